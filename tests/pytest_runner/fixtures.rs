//! The fixture suites tell the truth: each `expected.toml` against what its folder shows on the host.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::host::{Venv, contents};
use serde::Deserialize;
use soakhound::model::{Outcome, TestId};
use tempfile::TempDir;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(default)]
    test: Vec<Truth>,
    exit: Option<i32>,
    #[serde(default)]
    uncollectable: Vec<String>,
    #[serde(default, rename = "stragglers")]
    _stragglers: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Truth {
    name: String,
    natural: String,
    alone: String,
    verdict: Option<String>,
    failure_rate: Option<f64>,
    #[serde(default)]
    polluters: Vec<Vec<String>>,
    #[serde(default)]
    state_setters: Vec<Vec<String>>,
    #[serde(default)]
    cleaners: Vec<Vec<String>>,
    #[serde(default)]
    neighbours: Vec<Vec<String>>,
}

impl Truth {
    fn id(&self) -> TestId {
        TestId::new(self.name.as_str()).unwrap()
    }
}

/// A fixture in a folder of its own, so that nothing is written into the checkout.
struct Fixture {
    name: String,
    folder: TempDir,
    expected: Expected,
}

impl Fixture {
    fn copied(name: &str) -> Self {
        let source = root().join(name);
        let folder = TempDir::new().unwrap();
        for (path, bytes) in contents(&source) {
            let target = folder.path().join(path.strip_prefix(&source).unwrap());
            fs::create_dir_all(target.parent().expect("below the folder")).unwrap();
            fs::write(target, bytes).unwrap();
        }
        let text = fs::read_to_string(source.join("expected.toml")).unwrap();
        Self {
            name: name.to_owned(),
            folder,
            expected: toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the tests and returns what each showed. A test that ends the process crashed, and the rest
    /// runs in a new one.
    fn run(&self, venv: &Venv, order: &[TestId]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while outcomes.len() < order.len() {
            let ran = venv.run(self.path(), &[], &order[outcomes.len()..]);
            outcomes.extend(ran.outcomes());
            match ran.journal.running() {
                Some(_) => outcomes.push(Outcome::Crashed),
                None => break,
            }
        }
        assert_eq!(
            outcomes.len(),
            order.len(),
            "{}: a test is missing",
            self.name
        );
        outcomes
    }

    /// Runs the named tests and then this one, and returns what the last showed.
    fn after(&self, venv: &Venv, before: &[&String], last: &TestId) -> Outcome {
        let before = before
            .iter()
            .map(|name| TestId::new(name.as_str()).unwrap());
        let order: Vec<TestId> = before.chain([last.clone()]).collect();
        *self.run(venv, &order).last().expect("it ran")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn names() -> BTreeSet<String> {
    let entries = fs::read_dir(root()).unwrap().map(Result::unwrap);
    entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// Says whether an outcome is the expected word.
fn fits(word: &str, outcome: Outcome) -> bool {
    word == "varies" || word.parse() == Ok(outcome)
}

#[test]
fn every_fixture_has_a_configuration_and_a_line_in_the_readme() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for name in names() {
        assert!(readme.contains(&format!("| `{name}` |")), "{name}");
        let config = fs::read_to_string(root().join(&name).join("soakhound.toml")).unwrap();
        let config: toml::Table = config.parse().unwrap();
        assert_eq!(config["suite"]["name"].as_str(), Some(name.as_str()));
        assert_eq!(config["suite"]["runner"].as_str(), Some("pytest"));
    }
}

#[test]
fn every_expected_word_is_known() {
    let verdicts = [
        "broken",
        "nio",
        "nod",
        "od-victim",
        "od-brittle",
        "interference",
        "position",
    ];
    for name in names() {
        for truth in Fixture::copied(&name).expected.test {
            for word in [&truth.natural, &truth.alone] {
                assert!(
                    word == "varies" || word.parse::<Outcome>().is_ok(),
                    "{word}"
                );
            }
            let verdict = truth.verdict.as_deref();
            assert!(verdict.is_none_or(|v| verdicts.contains(&v)), "{name}");
            assert_eq!(truth.failure_rate.is_some(), verdict == Some("nod"));
            assert_eq!(!truth.polluters.is_empty(), verdict == Some("od-victim"));
            assert_eq!(
                !truth.state_setters.is_empty(),
                verdict == Some("od-brittle")
            );
            assert_eq!(
                !truth.neighbours.is_empty(),
                verdict == Some("interference")
            );
        }
    }
}

#[test]
fn every_fixture_lists_exactly_the_expected_tests() {
    let venv = Venv::newest();
    for name in names() {
        let fixture = Fixture::copied(&name);
        let listed = venv.list(fixture.path(), &[]);
        let exit = fixture.expected.exit;
        assert_eq!(listed.code, Some(exit.unwrap_or(0)), "{}", listed.output);
        assert_eq!(listed.uncollectable(), fixture.expected.uncollectable);
        if exit.is_none() {
            let expected: Vec<TestId> = fixture.expected.test.iter().map(Truth::id).collect();
            assert_eq!(listed.items(), expected, "{name}");
        }
    }
}

#[test]
fn every_fixture_shows_the_expected_outcomes() {
    let venv = Venv::newest();
    for name in names() {
        // These two are only for containers: one needs a time limit, the other refuses.
        if name == "hangs" || name == "hostile" {
            continue;
        }
        let fixture = Fixture::copied(&name);
        let order: Vec<TestId> = fixture.expected.test.iter().map(Truth::id).collect();
        for (truth, outcome) in fixture.expected.test.iter().zip(fixture.run(&venv, &order)) {
            assert!(fits(&truth.natural, outcome), "{}: {outcome}", truth.name);
        }
        // Alone, the sound tests tell nothing new.
        for truth in fixture
            .expected
            .test
            .iter()
            .filter(|truth| truth.verdict.is_some())
        {
            let outcome = fixture.after(&venv, &[], &truth.id());
            assert!(
                fits(&truth.alone, outcome),
                "{} alone: {outcome}",
                truth.name
            );
        }
    }
}

#[test]
fn planted_causes_are_what_they_are_said_to_be() {
    let venv = Venv::newest();
    for name in names() {
        let fixture = Fixture::copied(&name);
        for truth in &fixture.expected.test {
            let after = |before: &[&String]| fixture.after(&venv, before, &truth.id());
            for group in &truth.polluters {
                let all: Vec<&String> = group.iter().collect();
                assert_eq!(after(&all), Outcome::Failed, "{}", truth.name);
                if all.len() > 1 {
                    assert_eq!(after(&all[1..]), Outcome::Passed, "all of them are needed");
                }
                for cleaner in truth.cleaners.iter().flatten() {
                    let cleaned = [&all[..], &[cleaner]].concat();
                    assert_eq!(after(&cleaned), Outcome::Passed, "{cleaner}");
                }
            }
            for group in &truth.state_setters {
                let all: Vec<&String> = group.iter().collect();
                assert_eq!(after(&all), Outcome::Passed, "{}", truth.name);
            }
            if truth.verdict.as_deref() == Some("nio") {
                assert_eq!(after(&[]), Outcome::Passed, "{}", truth.name);
                assert_eq!(after(&[&truth.name]), Outcome::Failed, "{}", truth.name);
            }
        }
    }
}

#[test]
fn hostile_tests_refuse_outside_a_container() {
    let venv = Venv::newest();
    let fixture = Fixture::copied("hostile");
    let order: Vec<TestId> = fixture.expected.test.iter().map(Truth::id).collect();
    let ran = venv.run(fixture.path(), &[], &order);
    assert_eq!(ran.outcomes(), vec![Outcome::Error; order.len()]);
    assert!(ran.details().values().all(|text| text.contains("refused")));
}
