//! From what a person typed to a test: its exact name, its handle, else near names to choose from.

use std::{cmp::Reverse, ffi::OsStr, os::unix::ffi::OsStrExt};

use crate::{
    error::{ExitCode, Failure},
    model::{Handle, SuiteId, TestId},
    plan::{Found, Handles},
    store::Reader,
    ui::escape,
};

/// Near names that an error lists.
const NEAR: usize = 5;
/// Longest text that is compared letter by letter: longer ones are pasted, not typed.
const LONGEST_TYPED: usize = 512;

/// Finds the test that a person means among `tests`, each once.
///
/// # Errors
/// [`Failure`] with 150 when there is none, or several; it names near ones.
pub(super) fn find<'a>(typed: &OsStr, tests: &'a [TestId]) -> Result<&'a TestId, Failure> {
    let bytes = typed.as_bytes();
    if let Some(test) = tests.iter().find(|test| test.as_bytes() == bytes) {
        return Ok(test);
    }
    let handle = typed.to_str().and_then(Handle::parse);
    let found = handle.map_or(Found::None, |handle| Handles::of(tests).find(handle));
    match found {
        Found::One(test) => Ok(&tests[test as usize]),
        Found::Ambiguous(several) => Err(said(
            "handle",
            bytes,
            "stands for several tests",
            several.iter().copied(),
        )),
        Found::None => Err(said("test", bytes, "is not on record", near(bytes, tests))),
    }
}

/// Finds the test that a person means among those that the suite has (`tests`), or ever had.
///
/// # Errors
/// As [`find`]; or when the database cannot be read.
pub(super) fn on_record(
    typed: &OsStr,
    suite: SuiteId,
    reader: &Reader,
    tests: &[TestId],
) -> Result<TestId, Failure> {
    let now = find(typed, tests);
    if let Ok(test) = now {
        return Ok(test.clone());
    }
    let ever = reader.tests_of(suite)?;
    let ever: Vec<TestId> = ever.into_iter().map(|(_, test)| test).collect();
    match find(typed, &ever) {
        Ok(test) => Ok(test.clone()),
        // What the suite has now is what a person most likely means.
        Err(never) if tests.is_empty() => Err(never),
        Err(_) => now.cloned(),
    }
}

fn said<'a>(
    what: &str,
    typed: &[u8],
    fault: &str,
    names: impl IntoIterator<Item = &'a TestId>,
) -> Failure {
    let typed = readable(typed);
    let failure = Failure::new(ExitCode::Usage, format!("{what} `{typed}` {fault}"));
    let names: Vec<String> = names
        .into_iter()
        .take(NEAR)
        .map(|test| format!("`{}`", readable(test.as_bytes())))
        .collect();
    if names.is_empty() {
        failure.hint("give its name as `soakhound list` prints it, or its handle")
    } else {
        failure.hint(format!("did you mean {}?", names.join(" or ")))
    }
}

/// Returns bytes as text for a failure, which escapes once more what could harm.
fn readable(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| escape::terminal(bytes), str::to_owned)
}

/// Returns the names most like what was typed: those that hold it first, then those a few letters away.
fn near<'a>(typed: &[u8], tests: &'a [TestId]) -> Vec<&'a TestId> {
    let typed = typed.to_ascii_lowercase();
    if typed.is_empty() || typed.len() > LONGEST_TYPED {
        return Vec::new();
    }
    let most = typed.len() / 3;
    let mut near: Vec<(Reverse<bool>, usize, &TestId)> = tests
        .iter()
        .filter_map(|test| {
            let name = test.as_bytes().to_ascii_lowercase();
            let holds = name.windows(typed.len()).any(|part| part == typed);
            if holds {
                return Some((Reverse(true), name.len(), test));
            }
            // People type the last part of a name from memory.
            let last = name.rsplit(|byte| *byte == b':').next().unwrap_or(&name);
            let away = distance(&typed, &name).min(distance(&typed, last));
            (away <= most).then_some((Reverse(false), away, test))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().map(|(_, _, test)| test).collect()
}

/// Returns how many letters must change, come or go (Levenshtein 1965); names too long to be meant are far away.
fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len().abs_diff(b.len()) > a.len() / 3 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HandleLength;

    fn tests() -> Vec<TestId> {
        [
            "tests/test_cart.py::test_total",
            "tests/test_cart.py::test_total_of_none",
            "tests/test_user.py::test_login",
            "tests/odd.py::test_\u{1b}[31m",
        ]
        .map(|name| TestId::new(name).unwrap())
        .to_vec()
    }

    #[test]
    fn test_is_found_by_its_name_and_by_its_handle() {
        let tests = tests();
        for test in &tests {
            let handle = test.handle(HandleLength::Six).to_string();
            for typed in [OsStr::from_bytes(test.as_bytes()), OsStr::new(&handle)] {
                assert_eq!(find(typed, &tests).unwrap(), test);
            }
        }
    }

    #[test]
    fn unknown_test_is_answered_with_near_names_that_are_safe_to_print() {
        let tests = tests();
        for (typed, named) in [
            ("test_totla", "test_cart.py::test_total`"),
            ("CART.py", "test_cart.py::test_total`"),
            ("test_logn", "test_login`"),
            ("odd", "\\u{1b}[31m"),
        ] {
            let failure = find(OsStr::new(typed), &tests).unwrap_err();
            let shown = failure.render(false);
            assert_eq!(failure.exit(), ExitCode::Usage);
            assert!(shown.contains(named), "{typed}: {shown}");
            assert!(!shown.contains('\u{1b}'), "{shown:?}");
        }
        let nothing = find(OsStr::new("zzzzzzzzzzzzzz"), &tests).unwrap_err();
        assert!(nothing.render(false).contains("soakhound list"));
    }

    #[test]
    fn distance_counts_changes() {
        for (a, b, away) in [
            ("kitten", "sitting", 3),
            ("same", "same", 0),
            ("abc", "ab", 1),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), away, "{a} {b}");
        }
    }
}
