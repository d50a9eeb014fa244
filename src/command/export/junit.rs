//! The suite as `JUnit` XML, as CI servers show it: what passed, what is flaky, what is broken.
//!
//! A test that both passed and failed is a success with one `flakyFailure`, however often it failed; one that only
//! failed, or is certified to be broken, is a failure. Flags are properties of their test.

use quick_junit::{
    NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestRerun,
    TestSuite,
};

use super::listing::{Failing, Listing, Tested, certainty, sentences};
use crate::{
    command::{
        finding::{Found, words},
        junit::blank,
    },
    model::{Outcome, Verdict},
    ui::{escape, text},
};

/// Longest part of a failure text that is shown, in bytes: its beginning, and its end, which names the error.
const BEGINNING: usize = 1024;
const END: usize = 3072;

/// Returns the document.
///
/// # Errors
/// None that is known: nothing is written but memory, and all texts are such that XML can hold them.
pub(super) fn render(listing: &Listing) -> Result<String, SerializeError> {
    let name = safe(listing.suite.as_bytes());
    let mut report = Report::new(&name);
    let mut suite = TestSuite::new(&name);
    let cases = listing.tests.iter();
    suite.add_test_cases(cases.map(|tested| case(tested, listing.flag_of(&tested.test))));
    report.add_test_suite(suite);
    report.to_string()
}

fn case(tested: &Tested, found: Option<&Found>) -> TestCase {
    let mut case = blank(&tested.test, status(tested, found));
    if let Some(found) = found {
        let owners = found.owners.join(" ");
        let token = found.token.as_deref().unwrap_or_default();
        for (name, value) in [
            (
                "soakhound.handle",
                found.handle.as_deref().unwrap_or_default(),
            ),
            ("soakhound.verdict", found.flag.verdict.word()),
            ("soakhound.certainty", certainty(found)),
            ("soakhound.token", token),
            ("soakhound.owners", &owners),
        ] {
            if !value.is_empty() {
                case.add_property(Property::new(name, safe(value.as_bytes())));
            }
        }
    }
    case
}

fn status(tested: &Tested, found: Option<&Found>) -> TestCaseStatus {
    let count = tested.count();
    let broken =
        found.is_some_and(|found| found.flag.certified && found.flag.verdict == Verdict::Broken);
    if count.failures > 0 && (broken || count.failures == count.trials) {
        let mut status = TestCaseStatus::non_success(kind(tested.last.as_ref()));
        status.set_type(kind_word(tested.last.as_ref()));
        status.set_message(headline(tested, found));
        status.set_description(description(tested, found));
        return status;
    }
    if count.failures > 0 {
        let mut rerun = TestRerun::new(kind(tested.last.as_ref()));
        rerun.set_type(kind_word(tested.last.as_ref()));
        rerun.set_message(headline(tested, found));
        rerun.set_description(description(tested, found));
        let mut status = TestCaseStatus::success();
        status.add_rerun(rerun);
        return status;
    }
    if count.trials > 0 {
        return TestCaseStatus::success();
    }
    let mut status = TestCaseStatus::skipped();
    let skipped = tested.outcomes.of(Outcome::Skipped) > 0;
    let void = tested.outcomes.sum(Outcome::is_void) > 0;
    status.set_message(match (skipped, void) {
        (true, _) => "skipped",
        (false, true) => "ran, and nothing of it counts: aborted, lost, infra or untrusted",
        (false, false) => "did not run",
    });
    status
}

fn kind(last: Option<&Failing>) -> NonSuccessKind {
    match last.map(|last| last.outcome) {
        None | Some(Outcome::Failed) => NonSuccessKind::Failure,
        Some(_) => NonSuccessKind::Error,
    }
}

fn kind_word(last: Option<&Failing>) -> &'static str {
    last.map_or(Outcome::Failed, |last| last.outcome).word()
}

/// `failed 3 of 12 (95 %: ...): od-victim, certified`
fn headline(tested: &Tested, found: Option<&Found>) -> String {
    let failed = format!("failed {}", words::counted(tested.count()));
    match found {
        Some(found) => format!("{failed}: {}, {}", found.flag.verdict, certainty(found)),
        None => failed,
    }
}

/// What the flag says, then the beginning and the end of the last failure's text.
fn description(tested: &Tested, found: Option<&Found>) -> String {
    let said = |found| sentences(found, tested.count());
    let mut lines = found.map_or_else(Vec::new, said);
    let last = tested.last.as_ref();
    if let Some(last) = last.filter(|last| !last.detail.is_empty()) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(excerpt(&last.detail));
    }
    escape::xml(lines.join("\n").as_bytes())
}

/// Cuts the middle out of a text that is too long.
fn excerpt(detail: &[u8]) -> String {
    let shown = |part: &[u8]| escape::terminal_lines(&untabbed(part));
    if detail.len() <= BEGINNING + END {
        return shown(detail);
    }
    // Not within a character: no byte of what is kept should look broken that is not.
    let begins = |byte: &u8| byte & 0xc0 != 0x80;
    let cut = |from: usize| {
        let next = detail[from..].iter().take(4).position(begins);
        from + next.unwrap_or(0)
    };
    let (beginning, end) = (cut(BEGINNING), cut(detail.len() - END));
    let left_out = text::size((end - beginning) as u64);
    format!(
        "{}\n... {left_out} left out ...\n{}",
        shown(&detail[..beginning]),
        shown(&detail[end..])
    )
}

/// Tabs are layout, and harmless as blanks.
fn untabbed(part: &[u8]) -> Vec<u8> {
    let mut blank = Vec::with_capacity(part.len());
    for byte in part {
        match byte {
            b'\t' => blank.extend(b"    "),
            other => blank.push(*other),
        }
    }
    blank
}

fn safe(bytes: &[u8]) -> String {
    escape::xml(escape::terminal(bytes).as_bytes())
}
