//! Flags as lines of JSON: the objects of `flags --json`, one each, with a schema of their own.

use serde_json::json;

use super::listing::Listing;
use crate::{
    command::finding::json::{self as shape, Naming},
    ui::escape,
};

const SCHEMA: &str = "soakhound.flag/1";

/// Returns a line per flag; nothing without flags.
pub(super) fn render(listing: &Listing) -> String {
    let line = |found| {
        let mut flag = shape::flag(found, Naming::CertifiedOnly);
        flag["schema"] = json!(SCHEMA);
        escape::json_text(&flag) + "\n"
    };
    listing.found.iter().map(line).collect()
}
