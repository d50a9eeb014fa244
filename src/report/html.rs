//! The page.
use super::Digest;
/// Returns the page.
#[must_use]
pub fn page(digest: &Digest) -> String {
    format!("{digest:#?}")
}
