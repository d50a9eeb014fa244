//! The `expected.toml` of a fixture suite: what its tests show.

use std::collections::BTreeMap;
use std::path::Path;

use super::World;

/// What one test shows, from `expected.toml`; `varies` where nothing is promised.
pub(crate) struct Truth(BTreeMap<String, (String, String)>);

impl Truth {
    /// Reads the truth about a fixture suite.
    pub(crate) fn of(fixture: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(fixture)
            .join("expected.toml");
        let table: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        let word = |test: &toml::Value, key: &str| test[key].as_str().unwrap().to_owned();
        let tests = table["test"].as_array().unwrap().iter();
        Self(
            tests
                .map(|test| {
                    (
                        word(test, "name"),
                        (word(test, "natural"), word(test, "alone")),
                    )
                })
                .collect(),
        )
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
        assert_eq!(names, self.0.keys().map(String::as_str).collect::<Vec<_>>());
        for (test, (natural, alone)) in &self.0 {
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
