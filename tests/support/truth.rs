//! The `expected.toml` of a fixture suite: what its tests show, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::World;

/// What one test shows, from `expected.toml`; `varies` where nothing is promised.
pub(crate) struct Truth {
    shows: BTreeMap<String, (String, String)>,
    /// Per test with a verdict: the verdict, and per role its alternatives, each a set of names.
    causes: BTreeMap<String, Cause>,
}

/// Why a test is flaky: a verdict, and the groups that hold each role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) verdict: String,
    pub(crate) groups: BTreeMap<&'static str, BTreeSet<BTreeSet<String>>>,
}

/// Roles by their word, with their key in the file.
const ROLES: [(&str, &str); 3] = [
    ("polluter", "polluters"),
    ("state-setter", "state_setters"),
    ("cleaner", "cleaners"),
];

impl Truth {
    /// Reads the truth about a fixture suite.
    pub(crate) fn of(fixture: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(fixture)
            .join("expected.toml");
        let table: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        let word = |test: &toml::Value, key: &str| test[key].as_str().unwrap().to_owned();
        let tests = table["test"].as_array().unwrap();
        let shows = |test: &toml::Value| {
            let shown = (word(test, "natural"), word(test, "alone"));
            (word(test, "name"), shown)
        };
        let flaky = tests.iter().filter(|test| test.get("verdict").is_some());
        Self {
            shows: tests.iter().map(shows).collect(),
            causes: flaky
                .map(|test| (word(test, "name"), Cause::of(test)))
                .collect(),
        }
    }

    /// Returns why each test with a verdict is flaky, by name.
    pub(crate) fn causes(&self) -> &BTreeMap<String, Cause> {
        &self.causes
    }

    /// Checks every recorded trial of those tests that show the same alone and in the suite's own order.
    /// Each test must have been recorded.
    #[track_caller]
    pub(crate) fn assert_recorded(&self, world: &World) {
        let rows = world.rows("SELECT outcome, test FROM trials ORDER BY segment, position");
        let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (outcome, test) in rows
            .iter()
            .map(|row| row.split_once('|').expect("two columns"))
        {
            seen.entry(test).or_default().push(outcome);
        }
        let names: Vec<&str> = seen.keys().copied().collect();
        let known: Vec<&str> = self.shows.keys().map(String::as_str).collect();
        assert_eq!(names, known);
        for (test, (natural, alone)) in &self.shows {
            if natural == alone && natural != "varies" {
                let wrong = seen[&**test]
                    .iter()
                    .filter(|outcome| *outcome != natural)
                    .count();
                assert_eq!(
                    wrong, 0,
                    "{test} should always be {natural}: {:?}",
                    seen[&**test]
                );
            }
        }
    }
}

impl Cause {
    fn of(test: &toml::Value) -> Self {
        let names = |group: &toml::Value| -> BTreeSet<String> {
            let members = group.as_array().unwrap().iter();
            members.map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let role = |(word, key): (&'static str, &str)| {
            let groups = test.get(key)?.as_array().unwrap().iter();
            Some((word, groups.map(names).collect()))
        };
        Self {
            verdict: test["verdict"].as_str().unwrap().to_owned(),
            groups: ROLES.into_iter().filter_map(role).collect(),
        }
    }

    /// Returns the certified causes that a database holds: of each test, the newest flag.
    pub(crate) fn flagged(world: &World) -> BTreeMap<String, Self> {
        let rows = world.rows(
            "SELECT test, verdict, coalesce(role, ''), coalesce(alternative, 0), coalesce(other, '') FROM flags \
             WHERE certified AND flag IN (SELECT max(flag) FROM flags GROUP BY test)",
        );
        let mut found: BTreeMap<String, (String, BTreeMap<_, BTreeMap<String, BTreeSet<String>>>)> =
            BTreeMap::new();
        for row in &rows {
            let columns: Vec<&str> = row.split('|').collect();
            let [test, verdict, role, alternative, other] = columns[..] else {
                panic!("a name holds a bar: {row}");
            };
            let (_, groups) = found
                .entry(test.to_owned())
                .or_insert_with(|| (verdict.to_owned(), BTreeMap::new()));
            if let Some((word, _)) = ROLES.iter().find(|(word, _)| *word == role) {
                groups
                    .entry(*word)
                    .or_default()
                    .entry(alternative.to_owned())
                    .or_default()
                    .insert(other.to_owned());
            }
        }
        let cause = |(test, (verdict, groups)): (String, (String, BTreeMap<_, BTreeMap<_, _>>))| {
            let groups = groups
                .into_iter()
                .map(|(role, groups)| (role, groups.into_values().collect()));
            let groups = groups.collect();
            (test, Self { verdict, groups })
        };
        found.into_iter().map(cause).collect()
    }
}
