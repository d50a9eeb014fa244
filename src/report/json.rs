//! The report for programs.
use super::Digest;
use serde_json::Value;
/// Returns the report.
#[must_use]
pub fn value(digest: &Digest) -> Value {
    serde_json::json!({"schema": "soakhound.report/1", "suite": digest.head.origin.suite})
}
/// Returns the report as text.
#[must_use]
pub fn text(digest: &Digest) -> String {
    value(digest).to_string()
}
