//! Flags as CSV (RFC 4180, a header, UTF-8), for spreadsheets. Programs read NDJSON, where nothing is changed.
//!
//! What cannot be seen is spelled out (`\u{1b}`), so that a row is a line. A spreadsheet takes a cell that begins with
//! one of `= + - @` for a formula, also after blanks: such a cell, and one that begins with an apostrophe, gets an
//! apostrophe in front. Taking one away from each cell that begins with one gives the cell back.

use ::csv::{Terminator, WriterBuilder};

use super::listing::Listing;
use crate::{
    command::finding::{Certainty, Found, NoAction, words},
    model::{Flag, Role, TestId},
    ui::escape,
};

/// What begins a formula, also in their wide forms.
const FORMULA: [char; 9] = ['=', '+', '-', '@', '\'', '＝', '＋', '－', '＠'];

const HEADER: [&str; 22] = [
    "handle",
    "test",
    "verdict",
    "certified",
    "suspected",
    "failures",
    "trials",
    "low",
    "high",
    "polluters",
    "state_setters",
    "cleaners",
    "neighbours",
    "factors",
    "token",
    "repeat_for_95",
    "first_seen",
    "last_seen",
    "owners",
    "signature",
    "no_action",
    "new",
];

/// Returns a header and a row per flag.
pub(super) fn render(listing: &Listing) -> String {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    let mut write = |row: &[String]| writer.write_record(row).expect("a vector takes all");
    write(&HEADER.map(str::to_owned));
    for found in &listing.found {
        write(&row(found));
    }
    let bytes = writer.into_inner().expect("a vector takes all");
    String::from_utf8(bytes).expect("every cell is text")
}

fn row(found: &Found) -> [String; HEADER.len()] {
    let flag = &found.flag;
    let interval = words::interval(flag.soak);
    let test = flag.test.as_ref().map(TestId::as_bytes);
    let repeat = flag.recipe.as_ref().map(|recipe| recipe.repeat);
    [
        cell(found.handle.as_deref().unwrap_or_default().as_bytes()),
        cell(test.unwrap_or_default()),
        flag.verdict.to_string(),
        flag.certified.to_string(),
        (found.certainty() == Certainty::Suspected).to_string(),
        flag.soak.failures.to_string(),
        flag.soak.trials.to_string(),
        number(interval.map(|(low, _)| low)),
        number(interval.map(|(_, high)| high)),
        groups(flag, Role::Polluter),
        groups(flag, Role::StateSetter),
        groups(flag, Role::Cleaner),
        groups(flag, Role::Neighbour),
        cell(words::settings(&flag.factors).as_bytes()),
        cell(found.token.as_deref().unwrap_or_default().as_bytes()),
        number(repeat),
        found
            .first
            .as_ref()
            .map_or_else(String::new, |seen| seen.time.rfc3339()),
        found
            .last
            .as_ref()
            .map_or_else(String::new, |seen| seen.time.rfc3339()),
        cell(found.owners.join(" ").as_bytes()),
        cell(found.signature.as_deref().unwrap_or_default().as_bytes()),
        found.no_action.map_or("", NoAction::word).to_owned(),
        found.is_new.to_string(),
    ]
}

/// Makes text harmless.
fn cell(bytes: &[u8]) -> String {
    let shown = escape::terminal(bytes);
    if shown.trim_start().starts_with(FORMULA) {
        format!("'{shown}")
    } else {
        shown
    }
}

fn number(number: Option<impl ToString>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

/// Returns the groups of a role: `a + b | c` says that a and b together do it, or c. As everywhere, what is not
/// certified names nobody.
fn groups(flag: &Flag, role: Role) -> String {
    if !flag.certified {
        return String::new();
    }
    let groups: Vec<String> = words::holders(flag, role)
        .iter()
        .map(|group| {
            let members: Vec<String> = group
                .members
                .iter()
                .map(|test| escape::terminal(test.as_bytes()))
                .collect();
            members.join(" + ")
        })
        .collect();
    // Escaped already: only its beginning may still mean something.
    let all = groups.join(" | ");
    if all.trim_start().starts_with(FORMULA) {
        format!("'{all}")
    } else {
        all
    }
}
