//! One pass as `JUnit` XML, for CI systems.

use std::{path::Path, time::Duration};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::{
    model::{Outcome, TestId},
    ui::{escape, text},
};

/// Longest message of a failure, in columns; all of it is in the description.
const MESSAGE: usize = 300;

/// What one test showed in a pass.
#[derive(Clone, Debug)]
pub(super) struct Result {
    pub(super) test: TestId,
    pub(super) outcome: Outcome,
    pub(super) duration: Option<Duration>,
    pub(super) detail: Option<Vec<u8>>,
}

/// Returns the document. Names and texts are escaped; characters that XML cannot hold are spelled out.
pub(super) fn document(
    suite: &str,
    results: &[Result],
) -> std::result::Result<String, quick_junit::SerializeError> {
    let mut report = Report::new(escape::xml(suite.as_bytes()));
    let mut all = TestSuite::new(escape::xml(suite.as_bytes()));
    all.add_test_cases(results.iter().map(case));
    report.add_test_suite(all);
    report.to_string()
}

fn case(result: &Result) -> TestCase {
    let detail = result
        .detail
        .as_deref()
        .map(escape::xml)
        .unwrap_or_default();
    let status = match result.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Skipped => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(if detail.is_empty() {
                result.outcome.word()
            } else {
                &detail
            });
            skipped
        }
        Outcome::Failed => failure(NonSuccessKind::Failure, result.outcome, &detail),
        Outcome::Error
        | Outcome::Timeout
        | Outcome::Crashed
        | Outcome::Oom
        | Outcome::Aborted
        | Outcome::Lost
        | Outcome::Infra
        | Outcome::Untrusted => failure(NonSuccessKind::Error, result.outcome, &detail),
    };
    let mut case = blank(&result.test, status);
    if let Some(duration) = result.duration {
        case.set_time(duration);
    }
    case
}

/// Returns a test case with its names. Readers show them, so what would deceive there is spelled out too.
pub(super) fn blank(test: &TestId, status: TestCaseStatus) -> TestCase {
    let name = escape::xml(escape::terminal(test.as_bytes()).as_bytes());
    // What stands in brackets is a parameter, and may hold anything.
    let plain = name.find('[').map_or(&*name, |at| &name[..at]);
    let (class, short) = match plain.rfind("::") {
        Some(at) if at > 0 && at + 2 < name.len() => (&name[..at], &name[at + 2..]),
        Some(_) | None => ("", &*name),
    };
    let mut case = TestCase::new(short, status);
    if !class.is_empty() {
        case.set_classname(class);
    }
    case
}

fn failure(kind: NonSuccessKind, outcome: Outcome, detail: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(outcome.word());
    let last = detail.lines().last().unwrap_or(outcome.word());
    status.set_message(text::elide_middle(last, MESSAGE));
    status.set_description(detail);
    status
}

/// Writes the document beside its place, then moves it there: readers see all of it or none.
pub(super) fn write(file: &Path, document: &str) -> std::io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".part");
    std::fs::write(&beside, document)?;
    std::fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_and_texts_stay_well_formed() {
        let result = |name: &[u8], outcome, detail: &[u8]| Result {
            test: TestId::new(name).unwrap(),
            outcome,
            duration: Some(Duration::from_millis(1500)),
            detail: Some(detail.to_vec()),
        };
        let results = [
            result(
                b"a.py::test[<x>&\"\x00\x1b]",
                Outcome::Failed,
                b"]]> \xff <script>\x07",
            ),
            result("b.py::tést".as_bytes(), Outcome::Passed, b""),
            result(b"c.py::t", Outcome::Skipped, b"no <reason>"),
        ];
        let text = document("suite & co", &results).unwrap();
        assert!(
            !text.contains("<script>") && !text.contains('\x1b') && !text.contains('\0'),
            "{text}"
        );
        assert_eq!(text.matches("<testcase").count(), 3);
        assert!(text.contains("failures=\"1\""), "{text}");
    }
}
