//! Flags as they were raised, what is known of one test, and how the analysis stood when it last looked.

use rusqlite::{Connection, Row, named_params};
use serde::de::DeserializeOwned;

use super::book::{self, Names};
use super::probes::{json, json_of};
use super::rows::{OutcomeCounts, RevisionId, word};
use super::{Reader, StoreError, sql};
use crate::model::{Fixed, Flag, Outcome, Reach, SuiteId, Suspicion, TestId, UnixMillis};

/// A flag to be raised in the suite of a hunt.
#[derive(Clone, Debug, PartialEq)]
pub struct FlagStart {
    /// The hunt.
    pub hunt: i64,
    /// The revision that was under test.
    pub revision: RevisionId,
    /// Wall clock.
    pub at: UnixMillis,
    /// The claim.
    pub flag: Flag,
    /// What replays it, where something does.
    pub token: Option<String>,
}

/// A failure in a recorded iteration: where and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// End of the segment.
    pub at: UnixMillis,
    /// The hunt.
    pub hunt: i64,
    /// Iteration of that hunt.
    pub iteration: i64,
    /// Revision that was under test.
    pub revision: RevisionId,
    /// Commit of that revision.
    pub git: Option<String>,
    /// The shard.
    pub shard: i64,
    /// The segment.
    pub segment: i64,
    /// Position in the segment.
    pub position: u32,
    /// How it failed.
    pub outcome: Outcome,
    /// What makes this failure and others alike.
    pub signature: Option<String>,
}

/// A flag as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct FlagRow {
    /// Row.
    pub id: i64,
    /// Hunt that raised it.
    pub hunt: i64,
    /// Revision that was under test.
    pub revision: RevisionId,
    /// When it was raised.
    pub at: UnixMillis,
    /// The claim.
    pub flag: Flag,
    /// What replays it.
    pub token: Option<String>,
    /// First failure of its test in the recorded iterations, where there was one.
    pub first_seen: Option<Seen>,
    /// Last failure of its test in the recorded iterations.
    pub last_seen: Option<Seen>,
}

/// How the canary stands, in the words of whoever judged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryRow {
    /// `waiting`, `green` or `red`.
    pub state: String,
    /// Why, when it is red.
    pub why: Option<String>,
}

/// How the analysis stands: replaces what stood there before.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysisRow {
    /// Wall clock.
    pub at: UnixMillis,
    /// The hunt that looked.
    pub hunt: i64,
    /// Iterations that it had seen, over all hunts of the suite.
    pub iterations: u64,
    /// Attempts to certify, over the life of the store.
    pub attempts: u64,
    /// Share of ordered pairs that ran in that order in one process, `0.0..=1.0`.
    pub pair_coverage: f64,
    /// The canary; `None` where none was run.
    pub canary: Option<CanaryRow>,
    /// The e-BH list at that moment.
    pub suspected: Vec<Suspicion>,
    /// Flagged tests that count as fixed, as of the last time that anyone looked for them.
    pub fixed: Vec<Fixed>,
}

/// Writes a flag, and returns its row.
pub(super) fn raise(
    connection: &Connection,
    names: &mut Names,
    start: &FlagStart,
) -> Result<i64, StoreError> {
    let flag = &start.flag;
    let test = flag.test.as_ref().map(|test| names.find(connection, test));
    let values = named_params! {
        ":test_id": test.transpose()?,
        ":hunt_id": start.hunt,
        ":revision_id": start.revision.0,
        ":at_ms": start.at.0,
        ":verdict": flag.verdict.code(),
        ":certified": flag.certified,
        ":ln_e": flag.ln_e,
        ":reach": flag.reach.map(Reach::code),
        ":body": json_of(flag),
        ":token": start.token,
    };
    book::one_row(
        sql::INSERT_FLAG.run(connection, values)?,
        "hunt",
        start.hunt,
    )?;
    let id = connection.last_insert_rowid();
    for (alternative, group) in (0_i64..).zip(&flag.groups) {
        for (place, member) in (0_i64..).zip(&group.members) {
            let values = named_params! {
                ":flag_id": id,
                ":alternative": alternative,
                ":place": place,
                ":role": group.role.code(),
                ":test_id": names.find(connection, member)?,
            };
            sql::INSERT_FLAG_ROLE.run(connection, values)?;
        }
    }
    Ok(id)
}

/// Replaces how the analysis of a suite stands, and how its tests do.
pub(super) fn put_analysis(
    connection: &Connection,
    names: &mut Names,
    row: &AnalysisRow,
    standings: &[(TestId, serde_json::Value)],
) -> Result<(), StoreError> {
    let values = named_params! {
        ":hunt_id": row.hunt,
        ":at_ms": row.at.0,
        ":iterations": row.iterations.cast_signed(),
        ":attempts": row.attempts.cast_signed(),
        ":pair_coverage": row.pair_coverage,
        ":canary": row.canary.as_ref().map(|c| &c.state),
        ":canary_why": row.canary.as_ref().and_then(|c| c.why.as_ref()),
        ":suspected": json_of(&row.suspected),
        ":fixed": json_of(&row.fixed),
    };
    book::one_row(sql::SET_ANALYSIS.run(connection, values)?, "hunt", row.hunt)?;
    let mut kept = Vec::with_capacity(standings.len());
    for (test, body) in standings {
        let test_id = names.find(connection, test)?;
        let values = named_params! {
            ":hunt_id": row.hunt, ":test_id": test_id, ":body": body.to_string(),
        };
        sql::SET_STANDING.run(connection, values)?;
        kept.push(test_id);
    }
    let values = named_params! { ":hunt_id": row.hunt, ":kept": json_of(&kept) };
    sql::DELETE_STANDINGS.run(connection, values).map(drop)
}

impl Reader {
    /// Returns the newest flag of each test of a suite, oldest first, among those raised at `since` or later; of
    /// flags about no test the newest of each hunt.
    ///
    /// # Errors
    /// When the database cannot be read; so for all methods below.
    pub fn flags(&self, suite: SuiteId, since: UnixMillis) -> Result<Vec<FlagRow>, StoreError> {
        let values = named_params! { ":suite_id": suite.bits(), ":since_ms": since.0 };
        let rows = sql::SELECT_FLAGS.all(&self.connection, values, flag)?;
        let stands = |row: &FlagRow| row.flag.test.is_some() || row.flag.certified;
        rows.into_iter()
            .filter(|(_, row)| stands(row))
            .map(|(test, row)| self.with_sightings(suite, test, row))
            .collect()
    }

    /// Returns all flags that a test ever had, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn flags_of(&self, suite: SuiteId, test: &TestId) -> Result<Vec<FlagRow>, StoreError> {
        let Some(test_id) = self.test_by_name(test)? else {
            return Ok(Vec::new());
        };
        let values = named_params! { ":suite_id": suite.bits(), ":test_id": test_id };
        let rows = sql::FLAGS_OF_TEST.all(&self.connection, values, flag)?;
        rows.into_iter()
            .map(|(test, row)| self.with_sightings(suite, test, row))
            .collect()
    }

    fn with_sightings(
        &self,
        suite: SuiteId,
        test: Option<i64>,
        mut row: FlagRow,
    ) -> Result<FlagRow, StoreError> {
        if let Some(test_id) = test {
            row.first_seen = self.first_failure(suite, test_id)?;
            row.last_seen = self.failures_by_row(suite, test_id, 1)?.pop();
        }
        Ok(row)
    }

    fn first_failure(&self, suite: SuiteId, test_id: i64) -> Result<Option<Seen>, StoreError> {
        let values = named_params! { ":suite_id": suite.bits(), ":test_id": test_id };
        sql::FIRST_SEEN.first(&self.connection, values, seen)
    }

    fn failures_by_row(
        &self,
        suite: SuiteId,
        test_id: i64,
        limit: u32,
    ) -> Result<Vec<Seen>, StoreError> {
        let values =
            named_params! { ":suite_id": suite.bits(), ":test_id": test_id, ":limit": limit };
        sql::FAILURES_OF_TEST.all(&self.connection, values, seen)
    }

    /// Returns the first failure of a test in the hunts of a suite.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn first_failure_of(
        &self,
        suite: SuiteId,
        test: &TestId,
    ) -> Result<Option<Seen>, StoreError> {
        match self.test_by_name(test)? {
            Some(test_id) => self.first_failure(suite, test_id),
            None => Ok(None),
        }
    }

    /// Returns the failures of a test in the hunts of a suite, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn failures_of(
        &self,
        suite: SuiteId,
        test: &TestId,
        limit: u32,
    ) -> Result<Vec<Seen>, StoreError> {
        match self.test_by_name(test)? {
            Some(test_id) => self.failures_by_row(suite, test_id, limit),
            None => Ok(Vec::new()),
        }
    }

    /// Counts the trials of a test in the hunts of a suite, probes and open segments left out.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn outcomes_of(&self, suite: SuiteId, test: &TestId) -> Result<OutcomeCounts, StoreError> {
        let mut counts = OutcomeCounts::default();
        let Some(test_id) = self.test_by_name(test)? else {
            return Ok(counts);
        };
        let values = named_params! { ":suite_id": suite.bits(), ":test_id": test_id };
        let counted = |row: &Row| {
            let outcome = word(row, "outcome", Outcome::from_code)?;
            Ok((outcome, row.get("trials")?))
        };
        for (outcome, trials) in
            sql::COUNT_OUTCOMES_OF_TEST.all(&self.connection, values, counted)?
        {
            counts.add(outcome, trials);
        }
        Ok(counts)
    }

    /// Returns how the analysis of a suite stood when it last looked; `None` when it never did.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn analysis(&self, suite: SuiteId) -> Result<Option<AnalysisRow>, StoreError> {
        let values = named_params! { ":suite_id": suite.bits() };
        sql::SELECT_ANALYSIS.first(&self.connection, values, analysis)
    }

    /// Returns how one test stood when the analysis last looked; `None` when it was above suspicion.
    ///
    /// # Errors
    /// When the database cannot be read, or what it says is no `T`.
    pub fn standing<T: DeserializeOwned>(
        &self,
        suite: SuiteId,
        test: &TestId,
    ) -> Result<Option<T>, StoreError> {
        let Some(test_id) = self.test_by_name(test)? else {
            return Ok(None);
        };
        let values = named_params! { ":suite_id": suite.bits(), ":test_id": test_id };
        sql::SELECT_STANDING.first(&self.connection, values, |row| json(row, "body"))
    }
}

pub(super) fn flag(row: &Row) -> rusqlite::Result<(Option<i64>, FlagRow)> {
    let flag = FlagRow {
        id: row.get("id")?,
        hunt: row.get("hunt_id")?,
        revision: RevisionId(row.get("revision_id")?),
        at: UnixMillis(row.get("at_ms")?),
        flag: json(row, "body")?,
        token: row.get("token")?,
        first_seen: None,
        last_seen: None,
    };
    Ok((row.get("test_id")?, flag))
}

pub(super) fn seen(row: &Row) -> rusqlite::Result<Seen> {
    Ok(Seen {
        at: UnixMillis(row.get("ended_ms")?),
        hunt: row.get("hunt_id")?,
        iteration: row.get("iteration")?,
        revision: RevisionId(row.get("revision_id")?),
        git: row.get("git")?,
        shard: row.get("shard_id")?,
        segment: row.get("segment_id")?,
        position: row.get("position")?,
        outcome: word(row, "outcome", Outcome::from_code)?,
        signature: row.get("signature")?,
    })
}

fn analysis(row: &Row) -> rusqlite::Result<AnalysisRow> {
    let state: Option<String> = row.get("canary")?;
    let why = row.get("canary_why")?;
    Ok(AnalysisRow {
        at: UnixMillis(row.get("at_ms")?),
        hunt: row.get("hunt_id")?,
        iterations: row.get("iterations")?,
        attempts: row.get("attempts")?,
        pair_coverage: row.get("pair_coverage")?,
        canary: state.map(|state| CanaryRow { state, why }),
        suspected: json(row, "suspected")?,
        fixed: json(row, "fixed")?,
    })
}
