//! The report as Markdown.
use super::Digest;
/// Returns the page.
#[must_use]
pub fn page(digest: &Digest) -> String {
    headline(digest)
}
/// Returns the headline sentence.
#[must_use]
pub fn headline(digest: &Digest) -> String {
    format!("{:?}", digest.states)
}
