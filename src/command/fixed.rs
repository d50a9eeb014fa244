//! Which flagged tests are fixed: found by the pass that the report makes, kept beside the analysis, so that `flags`,
//! `show` and `status` need not read the whole record.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::pass::{Roster, flags, pass};
use crate::{
    model::{Fixed, SuiteId, TestId, UnixMillis},
    report::Window,
    store::{FlagRow, Reader, StoreError},
};

/// What the pass looks back over for trends, which nobody asks for here.
const SPAN_MILLIS: i64 = 1;

/// Goes through the record, and returns the flagged tests that are fixed.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn look(
    suite: SuiteId,
    reader: &Reader,
    now: UnixMillis,
) -> Result<Vec<Fixed>, StoreError> {
    let until = UnixMillis(now.0 + 1);
    let since = UnixMillis(until.0 - SPAN_MILLIS);
    let Some(window) = Window::between(since, until, &TimeZone::UTC, "UTC") else {
        return Ok(Vec::new());
    };
    let roster = Roster::read(suite, reader)?;
    let raised = flags(suite, reader, &roster, until)?;
    if raised.is_empty() {
        return Ok(Vec::new());
    }
    let ledger = pass(suite, reader, &roster, &raised, &window)?;
    let labels: BTreeMap<i64, String> = reader
        .revisions(suite)?
        .into_iter()
        .map(|brief| (brief.id.0, brief.label()))
        .collect();
    let mut fixed = Vec::new();
    for (index, watch) in ledger.watched.iter().filter(|(_, watch)| watch.is_fixed()) {
        let test = &roster.tests[*index as usize];
        let last = reader.failures_of(suite, test, 1)?.pop();
        let last_segment = match &last {
            Some(last) => Some((last.segment, reader.segment(last.segment)?.open.started_at)),
            None => None,
        };
        // A failure that the pass has not come to yet: what it says is out of date.
        let known = ledger.tests[*index as usize].last.map(|sight| sight.at);
        if known != last_segment.map(|(_, started)| started) {
            continue;
        }
        fixed.push(Fixed {
            test: test.clone(),
            at: now,
            last_segment: last_segment.map(|(row, _)| row),
            passes: watch.passes,
            under: watch.exposure().words().to_owned(),
            before: watch.before,
            since: watch.since.map(|sight| labels[&sight.revision].clone()),
        });
    }
    Ok(fixed)
}

/// Does what was found of a test still hold for its newest flag?
pub(super) fn holds(fixed: &Fixed, row: &FlagRow) -> bool {
    let last = row.last_seen.as_ref().map(|seen| seen.segment);
    row.flag.test.as_ref() == Some(&fixed.test) && row.at <= fixed.at && last == fixed.last_segment
}

/// Returns what was found of the test of a flag, if it still holds.
pub(super) fn of<'a>(fixed: &'a [Fixed], row: &FlagRow) -> Option<&'a Fixed> {
    let test: &TestId = row.flag.test.as_ref()?;
    let found = fixed.iter().find(|fixed| fixed.test == *test)?;
    holds(found, row).then_some(found)
}
