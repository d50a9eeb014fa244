//! What a report needs besides the evidence itself: flags with their history, revisions, the texts of failures, where
//! segments ran.

use std::collections::BTreeMap;

use rusqlite::{Row, named_params};

use super::flags::{self, FlagRow, Seen};
use super::rows::{self, RevisionId, word};
use super::{Reader, StoreError, sql};
use crate::model::{Design, MonoMicros, ShardState, SuiteId, TestId, UnixMillis};

/// A revision without the names of its tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionBrief {
    /// Row.
    pub id: RevisionId,
    /// Row of its list of tests, see [`Reader::list_rows`].
    pub list: i64,
    /// Commit that was checked out.
    pub git: Option<String>,
    /// When it was first seen.
    pub seen: UnixMillis,
}

impl RevisionBrief {
    /// Returns its commit, else its number.
    #[must_use]
    pub fn label(&self) -> String {
        self.git
            .clone()
            .unwrap_or_else(|| format!("number {}", self.id.0))
    }
}

/// The last failure of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// Where and when.
    pub seen: Seen,
    /// What it said, untrusted.
    pub text: Option<Vec<u8>>,
}

/// Where and by which clocks a segment began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentStart {
    /// Its shard.
    pub shard: i64,
    /// How that shard stands.
    pub state: ShardState,
    /// The machine.
    pub host: String,
    /// Boot whose monotonic clock it is.
    pub boot_id: String,
    /// Monotonic start.
    pub started: MonoMicros,
    /// Wall-clock label of the start.
    pub started_at: UnixMillis,
}

/// The complete iterations of a suite in one kind of order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WholeRuns {
    /// How many there are.
    pub runs: u64,
    /// The red ones by row of the iteration, each with the tests that failed in it, in the order of their rows.
    pub red: BTreeMap<i64, Vec<TestId>>,
}

impl WholeRuns {
    /// Returns the number of green ones.
    #[must_use]
    pub fn green(&self) -> u64 {
        self.runs - self.red.len() as u64
    }
}

impl Reader {
    /// Returns which natural iterations went red, and by whom. Reads the failures alone, so it is quick where few
    /// trials of many fail.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn natural_runs(&self, suite: SuiteId) -> Result<WholeRuns, StoreError> {
        self.whole_runs(suite, Design::Natural, Design::Natural)
    }

    /// Returns the same of the iterations whose orders were drawn at random.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn shuffled_runs(&self, suite: SuiteId) -> Result<WholeRuns, StoreError> {
        self.whole_runs(suite, Design::Free, Design::Reversed)
    }

    /// The same of the designs between two, both included, in the order of their codes.
    fn whole_runs(
        &self,
        suite: SuiteId,
        first: Design,
        last: Design,
    ) -> Result<WholeRuns, StoreError> {
        let complete = &sql::COMPLETE_SEGMENTS;
        let moment = self
            .connection
            .unchecked_transaction()
            .map_err(|e| StoreError::query(complete.name, e))?;
        let between = named_params! {
            ":suite_id": suite.bits(),
            ":first_design": first.code(),
            ":last_design": last.code(),
        };
        let pair = |row: &Row| Ok((row.get("segment_id")?, row.get("iteration_id")?));
        let whole: Vec<(i64, i64)> = complete.all(&moment, between, pair)?;
        let mut runs: Vec<i64> = whole.iter().map(|(_, iteration)| *iteration).collect();
        runs.sort_unstable();
        runs.dedup();
        let mut found = WholeRuns {
            runs: runs.len() as u64,
            red: BTreeMap::new(),
        };
        if whole.is_empty() {
            return Ok(found);
        }
        let test = |row: &Row| Ok((row.get("test_id")?, rows::test_name(row, "name")?));
        let values = named_params! { ":suite_id": suite.bits() };
        let failing: Vec<(i64, TestId)> = sql::NATURAL_FAILING.all(&moment, values, test)?;
        for (row, test) in failing {
            let values = named_params! { ":test_id": row };
            let segments = sql::NATURAL_FAILURES.all(&moment, values, |row| row.get(0))?;
            for segment in segments {
                let Ok(at) = whole.binary_search_by_key(&segment, |(segment, _)| *segment) else {
                    continue;
                };
                let failed = found.red.entry(whole[at].1).or_default();
                if failed.last() != Some(&test) {
                    failed.push(test.clone());
                }
            }
        }
        Ok(found)
    }

    /// Returns every flag of a suite that was raised before a moment, oldest first, with the row of its test and
    /// without sightings.
    ///
    /// # Errors
    /// When the database cannot be read; so for all methods below.
    pub fn flags_before(
        &self,
        suite: SuiteId,
        until: UnixMillis,
    ) -> Result<Vec<(Option<i64>, FlagRow)>, StoreError> {
        let values = named_params! { ":suite_id": suite.bits(), ":until_ms": until.0 };
        sql::REPORT_FLAGS.all(&self.connection, values, flags::flag)
    }

    /// Returns every revision of a suite, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn revisions(&self, suite: SuiteId) -> Result<Vec<RevisionBrief>, StoreError> {
        let values = named_params! { ":suite_id": suite.bits() };
        let brief = |row: &Row| {
            Ok(RevisionBrief {
                id: RevisionId(row.get("id")?),
                list: row.get("list_id")?,
                git: row.get("git")?,
                seen: UnixMillis(row.get("seen_ms")?),
            })
        };
        sql::REPORT_REVISIONS.all(&self.connection, values, brief)
    }

    /// Returns the tests of a list by row, in default order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_rows(&self, list: i64) -> Result<Vec<i64>, StoreError> {
        let values = named_params! { ":list_id": list };
        sql::REPORT_LIST.all(&self.connection, values, |row| row.get("test_id"))
    }

    /// Returns the signatures of a test's failures in segments that began between two moments, the most frequent
    /// first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn signatures_between(
        &self,
        suite: SuiteId,
        test: i64,
        since: UnixMillis,
        until: UnixMillis,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let values = named_params! {
            ":suite_id": suite.bits(), ":test_id": test, ":since_ms": since.0, ":until_ms": until.0,
        };
        sql::REPORT_SIGNATURES.all(&self.connection, values, |row| {
            Ok((row.get("signature")?, row.get("failures")?))
        })
    }

    /// Returns the last failure of a test in segments that began before a moment, with its text.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn failure_before(
        &self,
        suite: SuiteId,
        test: i64,
        until: UnixMillis,
    ) -> Result<Option<LastFailure>, StoreError> {
        let values = named_params! {
            ":suite_id": suite.bits(), ":test_id": test, ":until_ms": until.0,
        };
        sql::REPORT_FAILURE.first(&self.connection, values, |row| {
            Ok(LastFailure {
                seen: flags::seen(row)?,
                text: row.get("detail")?,
            })
        })
    }

    /// Returns where and when the segments of a suite's hunts began between two moments, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn segments_between(
        &self,
        suite: SuiteId,
        since: UnixMillis,
        until: UnixMillis,
    ) -> Result<Vec<SegmentStart>, StoreError> {
        let values = named_params! {
            ":suite_id": suite.bits(), ":since_ms": since.0, ":until_ms": until.0,
        };
        let start = |row: &Row| {
            Ok(SegmentStart {
                shard: row.get("shard_id")?,
                state: word(row, "state", ShardState::from_code)?,
                host: row.get("host")?,
                boot_id: row.get("boot_id")?,
                started: MonoMicros(row.get("started_us")?),
                started_at: UnixMillis(row.get("started_ms")?),
            })
        };
        sql::REPORT_SEGMENTS.all(&self.connection, values, start)
    }
}
