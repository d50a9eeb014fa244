//! Which hunts a suite had, and how often each test came out how.

use std::collections::BTreeMap;

use rusqlite::{Row, named_params};

use super::rows::{self, OutcomeCounts, word};
use super::{Reader, StoreError, sql};
use crate::model::{Count, Outcome, SuiteId, TestId, UnixMillis};

impl Reader {
    /// Counts the failures of each flagged test of a suite among its trials that passed or failed, as
    /// [`Reader::outcomes_of`] does for one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn soak_of_flagged(&self, suite: SuiteId) -> Result<BTreeMap<TestId, Count>, StoreError> {
        let values = named_params! { ":suite_id": suite.bits() };
        let counted = |row: &Row| {
            let count = Count {
                failures: row.get("failures")?,
                trials: row.get("trials")?,
            };
            Ok((rows::test_name(row, "name")?, count))
        };
        let rows = sql::COUNT_SOAK.all(&self.connection, values, counted)?;
        Ok(rows.into_iter().collect())
    }

    /// Returns the hunts of a suite that were alive at `since` or later, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn hunts_of(&self, suite: SuiteId, since: UnixMillis) -> Result<Vec<i64>, StoreError> {
        let values = named_params! { ":suite_id": suite.bits(), ":since_ms": since.0 };
        sql::HUNTS_OF_SUITE.all(&self.connection, values, |row| row.get("id"))
    }

    /// Counts the trials of each test of a hunt, probes and open segments left out.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn counts_of(&self, hunt: i64) -> Result<BTreeMap<TestId, OutcomeCounts>, StoreError> {
        let values = named_params! { ":hunt_id": hunt };
        let counted = |row: &Row| {
            Ok((
                rows::test_name(row, "name")?,
                word(row, "outcome", Outcome::from_code)?,
                row.get("trials")?,
            ))
        };
        let mut counts: BTreeMap<TestId, OutcomeCounts> = BTreeMap::new();
        for (test, outcome, trials) in sql::COUNT_TESTS.all(&self.connection, values, counted)? {
            counts.entry(test).or_default().add(outcome, trials);
        }
        Ok(counts)
    }
}
