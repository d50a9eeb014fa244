//! Typed answers from a read-only connection. What grows with every trial is never scanned: counts come
//! from roll-ups, and from the few segments that are not in them yet.

mod segment;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Row, named_params};

use super::rows::{
    self, EventRow, FailureRow, HuntRow, HuntStatus, LeaseStart, OutcomeCounts, RevisionId,
    RevisionRow, ShardRow, word,
};
use super::{StoreError, book, open, segments, sql};
use crate::model::{
    FactorLevel, HuntKind, Layout, ListDigest, MonoMicros, Outcome, SuiteId, TestId, UnixMillis,
};

/// Newest segments that durations are taken from: enough for several passes of a suite cut into 64 shards.
const RECENT_SEGMENTS: i64 = 512;

/// Newest trials that durations are taken from: ten passes of 20,000 tests, read in a fraction of a second.
const RECENT_TRIALS: i64 = 200_000;

/// A read-only connection of its own. Reading never holds the writer up.
pub struct Reader {
    pub(super) connection: Connection,
}

impl Reader {
    /// Opens a database for reading.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none; refuses the files that [`super::Writer::open`] refuses.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            connection: open::open_for_reading(path)?,
        })
    }

    /// Returns the 30 bits that tell this database from others.
    ///
    /// # Errors
    /// When the database cannot be read; so for all methods below.
    pub fn database_id(&self) -> Result<u32, StoreError> {
        open::database_id(&self.connection)
    }

    /// Returns one hunt.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRow`] when there is none.
    pub fn hunt(&self, hunt: i64) -> Result<HuntRow, StoreError> {
        book::hunt(&self.connection, hunt)
    }

    /// Returns the newest hunt of a suite of one kind.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn latest_hunt(
        &self,
        suite: SuiteId,
        kind: HuntKind,
    ) -> Result<Option<HuntRow>, StoreError> {
        let values = named_params! { ":suite_id": suite.bits(), ":kind": kind.code() };
        sql::LATEST_HUNT.first(&self.connection, values, rows::hunt)
    }

    /// Returns how far a hunt is, from one moment.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRow`] when there is no such hunt.
    pub fn status(&self, hunt: i64) -> Result<HuntStatus, StoreError> {
        let moment = self
            .connection
            .unchecked_transaction()
            .map_err(|e| StoreError::query("status", e))?;
        let id = named_params! { ":hunt_id": hunt };
        let (lease, heartbeat) = sql::LATEST_LEASE.only(&moment, id, lease)?;
        let mut outcomes = OutcomeCounts::default();
        let counted = |row: &Row| {
            Ok((
                word(row, "outcome", Outcome::from_code)?,
                row.get("trials")?,
            ))
        };
        for (outcome, trials) in sql::COUNT_OUTCOMES.all(&moment, id, counted)? {
            outcomes.add(outcome, trials);
        }
        let progress = |row: &Row| {
            Ok((
                row.get("segments")?,
                row.get("executions")?,
                row.get("probe_trials")?,
            ))
        };
        let (segments, mut executions, mut probe_trials): (u64, u64, u64) =
            sql::COUNT_PROGRESS.only(&moment, id, progress)?;
        let start = |row: &Row| {
            Ok((
                row.get("id")?,
                MonoMicros(row.get("started_us")?),
                row.get("is_probe")?,
            ))
        };
        let open: Vec<(i64, _, bool)> = sql::OPEN_SEGMENTS.all(&moment, id, start)?;
        for (segment, started, is_probe) in &open {
            for row in segments::journal(&moment, *segment, *started)? {
                executions += u64::from(row.times.started().is_some());
                let tells = !row.outcome.is_void() && row.outcome != Outcome::Skipped;
                match is_probe {
                    true => probe_trials += u64::from(tells),
                    false => outcomes.add(row.outcome, 1),
                }
            }
        }
        let shards = |row: &Row| {
            let (planned, unclosed): (u64, u64) = (row.get("planned")?, row.get("unclosed")?);
            let watermark = row.get::<_, Option<i64>>("first_open")?;
            Ok((
                planned,
                unclosed,
                row.get("abandoned")?,
                watermark.map_or_else(|| row.get("next"), Ok)?,
            ))
        };
        let (shards_planned, unclosed, shards_abandoned, watermark) =
            sql::COUNT_SHARDS.only(&moment, id, shards)?;
        let iterations = |row: &Row| Ok((row.get("planned")?, row.get("unclosed")?));
        let (iterations_planned, iterations_open): (u64, u64) =
            sql::COUNT_ITERATIONS.only(&moment, id, iterations)?;
        Ok(HuntStatus {
            hunt: book::hunt(&moment, hunt)?,
            lease,
            heartbeat,
            iterations: iterations_planned - iterations_open,
            iterations_planned,
            shards_planned,
            shards_finished: shards_planned.saturating_sub(unclosed + shards_abandoned),
            shards_abandoned,
            watermark,
            segments,
            segments_open: open.iter().filter(|(.., is_probe)| !is_probe).count() as u64,
            outcomes,
            executions,
            probe_trials,
            failing_tests: sql::COUNT_FAILING_TESTS.only(&moment, id, |row| row.get("tests"))?,
        })
    }

    /// Returns the mean duration of each test in the newest segments of a suite, by name. Tests whose
    /// duration was not seen there are absent; only trials that ended by themselves count.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn durations(&self, suite: SuiteId) -> Result<Vec<(TestId, Duration)>, StoreError> {
        let values = named_params! { ":suite_id": suite.bits(), ":limit": RECENT_SEGMENTS };
        let recent = |row: &Row| Ok((row.get("id")?, row.get("recorded")?));
        let recent: Vec<(i64, i64)> = sql::RECENT_SEGMENTS.all(&self.connection, values, recent)?;
        let mut sums: BTreeMap<TestId, (Duration, u32)> = BTreeMap::new();
        let mut trials = 0;
        for (segment, recorded) in recent {
            let (_, times) = self.times(segment)?;
            let id = named_params! { ":segment_id": segment };
            let plain = |row: &Row| {
                Ok((
                    rows::test_name(row, "name")?,
                    word(row, "outcome", Outcome::from_code)?,
                ))
            };
            for ((test, outcome), times) in sql::PLAIN_TRIALS
                .all(&self.connection, id, plain)?
                .into_iter()
                .zip(times)
            {
                let own = matches!(
                    outcome,
                    Outcome::Passed | Outcome::Failed | Outcome::Error | Outcome::Skipped
                );
                if let Some(duration) = times.duration().filter(|_| own) {
                    let sum = sums.entry(test).or_default();
                    *sum = (sum.0.saturating_add(duration), sum.1 + 1);
                }
            }
            trials += recorded;
            if trials >= RECENT_TRIALS {
                break;
            }
        }
        Ok(sums
            .into_iter()
            .map(|(test, (sum, count))| (test, sum / count))
            .collect())
    }

    /// Returns the tests that failed in a hunt, most failures first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn failures(&self, hunt: i64, limit: u32) -> Result<Vec<FailureRow>, StoreError> {
        let moment = self
            .connection
            .unchecked_transaction()
            .map_err(|e| StoreError::query("failures", e))?;
        let values = named_params! { ":hunt_id": hunt, ":limit": limit };
        let counts = |row: &Row| {
            Ok((
                row.get("test_id")?,
                rows::test_name(row, "name")?,
                row.get("failures")?,
                row.get("trials")?,
            ))
        };
        let failing: Vec<(i64, _, _, _)> = sql::COUNT_FAILURES.all(&moment, values, counts)?;
        let last = |(test_id, test, failures, trials)| {
            let values = named_params! { ":hunt_id": hunt, ":test_id": test_id };
            sql::LAST_FAILURE.only(&moment, values, |row| {
                Ok(FailureRow {
                    test,
                    failures,
                    trials,
                    last_seen: UnixMillis(row.get("ended_ms")?),
                    outcome: word(row, "outcome", Outcome::from_code)?,
                    shard: row.get("shard_id")?,
                    segment: row.get("segment_id")?,
                    position: row.get("position")?,
                    detail: row.get("detail")?,
                    signature: row.get("signature")?,
                })
            })
        };
        failing.into_iter().map(last).collect()
    }

    /// Returns one shard.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRow`] when there is none.
    pub fn shard(&self, shard: i64) -> Result<ShardRow, StoreError> {
        let row = sql::SELECT_SHARD.first(
            &self.connection,
            named_params! { ":shard_id": shard },
            rows::shard,
        )?;
        self.complete_shard(row.ok_or(StoreError::NoSuchRow {
            kind: "shard",
            id: shard,
        })?)
    }

    /// Adds the factors and the explicit order.
    pub(super) fn complete_shard(&self, mut row: ShardRow) -> Result<ShardRow, StoreError> {
        let id = named_params! { ":shard_id": row.id };
        row.plan.factors = self.factors(row.id)?;
        let order = sql::SELECT_SHARD_ORDER
            .all(&self.connection, id, |row| rows::test_name(row, "name"))?;
        row.plan.explicit_order = (!order.is_empty()).then_some(order);
        Ok(row)
    }

    /// Returns the environment factors of a shard by name.
    pub(super) fn factors(&self, shard: i64) -> Result<Vec<FactorLevel>, StoreError> {
        let factor = |row: &Row| {
            Ok(FactorLevel {
                factor: row.get("factor")?,
                level: row.get("level")?,
                drawn_with: row.get("drawn_with")?,
            })
        };
        let id = named_params! { ":shard_id": shard };
        sql::SELECT_SHARD_FACTORS.all(&self.connection, id, factor)
    }

    /// Returns the finished shards of a hunt, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn finished_shards(&self, hunt: i64, limit: u32) -> Result<Vec<i64>, StoreError> {
        let values = named_params! { ":hunt_id": hunt, ":limit": limit };
        sql::FINISHED_SHARDS.all(&self.connection, values, |row| row.get("id"))
    }

    /// Returns the segments of a shard, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn segments_of(&self, shard: i64) -> Result<Vec<i64>, StoreError> {
        sql::SEGMENTS_OF_SHARD.all(
            &self.connection,
            named_params! { ":shard_id": shard },
            |row| row.get("id"),
        )
    }

    /// Returns the shards that had this seed, layout and number, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find_shards(
        &self,
        seed: u64,
        layout: Layout,
        shard: u16,
    ) -> Result<Vec<i64>, StoreError> {
        let values = named_params! {
            ":seed": seed.cast_signed(),
            ":design": layout.design.code(),
            ":shards": layout.shards,
            ":grouping": layout.grouping.code(),
            ":class": layout.class,
            ":number": shard,
        };
        sql::FIND_SHARDS.all(&self.connection, values, |row| row.get("id"))
    }

    /// Returns the newest revision of a suite.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn latest_revision(&self, suite: SuiteId) -> Result<Option<RevisionRow>, StoreError> {
        let values = named_params! { ":suite_id": suite.bits() };
        let row = sql::LATEST_REVISION.first(&self.connection, values, revision)?;
        row.map(|found| self.with_tests(found)).transpose()
    }

    /// Returns the version of the database's schema.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn schema_version(&self) -> Result<i64, StoreError> {
        let version = |row: &Row| row.get(0);
        self.connection
            .pragma_query_value(None, "user_version", version)
            .map_err(|e| StoreError::query("user_version", e))
    }

    /// Returns one revision.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRow`] when there is none.
    pub fn revision(&self, id: RevisionId) -> Result<RevisionRow, StoreError> {
        let row = sql::SELECT_REVISION.first(
            &self.connection,
            named_params! { ":revision_id": id.0 },
            revision,
        )?;
        self.with_tests(row.ok_or(StoreError::NoSuchRow {
            kind: "revision",
            id: id.0,
        })?)
    }

    fn with_tests(
        &self,
        (list_id, mut row): (i64, RevisionRow),
    ) -> Result<RevisionRow, StoreError> {
        let values = named_params! { ":list_id": list_id };
        row.tests = sql::SELECT_LIST_ENTRIES
            .all(&self.connection, values, |row| rows::test_name(row, "name"))?;
        Ok(row)
    }

    /// Is a test of exactly this name in any registered revision? Returns its row.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn test_by_name(&self, test: &TestId) -> Result<Option<i64>, StoreError> {
        let values = named_params! { ":name": test.as_bytes() };
        sql::SELECT_TEST.first(&self.connection, values, |row| row.get("id"))
    }

    /// Returns the events of a hunt, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn events(&self, hunt: i64, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        let values = named_params! { ":hunt_id": hunt, ":limit": limit };
        sql::SELECT_EVENTS.all(&self.connection, values, rows::event)
    }
}

fn lease(row: &Row) -> rusqlite::Result<(LeaseStart, UnixMillis)> {
    let lease = LeaseStart {
        host: row.get("host")?,
        boot_id: row.get("boot_id")?,
        pid: row.get("pid")?,
        tool: row.get("tool")?,
        workers: row.get("workers")?,
        at: UnixMillis(row.get("started_ms")?),
    };
    Ok((lease, UnixMillis(row.get("heartbeat_ms")?)))
}

fn revision(row: &Row) -> rusqlite::Result<(i64, RevisionRow)> {
    let revision = RevisionRow {
        id: RevisionId(row.get("id")?),
        tests: Vec::new(),
        list: ListDigest::from_bytes(row.get("list_digest")?),
        snapshot: row.get("snapshot")?,
        environment: row.get("environment")?,
        git: row.get("git")?,
        seen: UnixMillis(row.get("seen_ms")?),
    };
    Ok((row.get("list_id")?, revision))
}
