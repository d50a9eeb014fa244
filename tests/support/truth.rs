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
const ROLES: [(&str, &str); 4] = [
    ("polluter", "polluters"),
    ("state-setter", "state_setters"),
    ("cleaner", "cleaners"),
    ("neighbour", "neighbours"),
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
        // A hunt of more than a minute has a canary, whose tests are none of the suite's.
        let rows = world.rows(
            "SELECT outcome, test FROM trials WHERE test NOT LIKE 'soakhound_canary.py%' ORDER BY segment, position",
        );
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
            members
                .map(|name| name.as_str().unwrap().to_owned())
                .collect()
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
        // Members by test, role and alternative: the rows of one group need not stand together.
        let mut verdicts = BTreeMap::new();
        let mut members: BTreeMap<[String; 3], BTreeSet<String>> = BTreeMap::new();
        for row in &rows {
            let columns: Vec<String> = row.split('|').map(str::to_owned).collect();
            let Ok([test, verdict, role, alternative, other]) = <[String; 5]>::try_from(columns)
            else {
                panic!("a name holds a bar: {row}");
            };
            verdicts.insert(test.clone(), verdict);
            let group = members.entry([test, role, alternative]).or_default();
            group.insert(other);
        }
        let of_test = |test: &str, role: &str| -> BTreeSet<BTreeSet<String>> {
            let of_role = members
                .iter()
                .filter(|([of, holds, _], _)| of == test && holds == role);
            of_role.map(|(_, group)| group.clone()).collect()
        };
        let cause = |(test, verdict): (String, String)| {
            let groups = ROLES.map(|(word, _)| (word, of_test(&test, word)));
            let held = groups.into_iter().filter(|(_, groups)| !groups.is_empty());
            let groups = held.collect();
            (test, Self { verdict, groups })
        };
        verdicts.into_iter().map(cause).collect()
    }
}
