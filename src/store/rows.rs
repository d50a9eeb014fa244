//! What goes into the store and comes out of it, where `model` has no word for it yet.

use rusqlite::Row;
use rusqlite::types::FromSqlError;

use crate::model::{
    Count, Design, EventRecord, Grouping, HuntKind, HuntState, Layout, ListDigest, Outcome,
    SegmentClose, SegmentOpen, ShardPlan, ShardState, SuiteId, TestId, TrialRecord, UnixMillis,
};

/// What names a suite for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteKey {
    /// Name in the configuration.
    pub name: String,
    /// Runner, such as `pytest`.
    pub runner: String,
}

impl SuiteKey {
    /// Returns the 30 bits of this suite.
    #[must_use]
    pub fn id(&self) -> SuiteId {
        SuiteId::of(&self.name, &self.runner)
    }
}

/// A process that begins to drive a hunt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseStart {
    /// Host name.
    pub host: String,
    /// Kernel's id of this boot: monotonic times compare within it only.
    pub boot_id: String,
    /// Process id.
    pub pid: u32,
    /// Version of this program.
    pub tool: String,
    /// Places for containers, at least 1.
    pub workers: u32,
    /// Wall clock.
    pub at: UnixMillis,
}

/// A hunt that begins.
#[derive(Clone, Debug, PartialEq)]
pub struct HuntStart {
    /// The suite.
    pub suite: SuiteKey,
    /// Which command started it.
    pub kind: HuntKind,
    /// Seed that all iteration seeds come from.
    pub master_seed: u64,
    /// Random bytes that make equal master seeds differ between hunts.
    pub nonce: [u8; 16],
    /// Version of the order algorithm, at least 1.
    pub algorithm: u16,
    /// The whole configuration that took effect.
    pub config: serde_json::Value,
    /// When it ends by itself, if it does.
    pub ends: Option<UnixMillis>,
    /// The process that drives it.
    pub lease: LeaseStart,
}

/// A hunt as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct HuntRow {
    /// Row.
    pub id: i64,
    /// Suite.
    pub suite: SuiteId,
    /// Which command started it.
    pub kind: HuntKind,
    /// Seed that all iteration seeds come from.
    pub master_seed: u64,
    /// Random bytes that make equal master seeds differ between hunts.
    pub nonce: [u8; 16],
    /// Version of the order algorithm.
    pub algorithm: u16,
    /// The whole configuration that took effect.
    pub config: serde_json::Value,
    /// Wall clock at its first start.
    pub started: UnixMillis,
    /// When it ends by itself, if it does.
    pub ends: Option<UnixMillis>,
    /// How it stood when it last said so; a dead hunt still says `running`.
    pub state: HuntState,
    /// Why it is in that state, where that needs a reason.
    pub reason: Option<String>,
    /// When it ended.
    pub ended: Option<UnixMillis>,
}

/// Row of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevisionId(pub i64);

/// A state of the suite, the project and the environment, to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionStart {
    /// The suite.
    pub suite: SuiteKey,
    /// Its tests in default order, each once.
    pub tests: Vec<TestId>,
    /// Digest of the project's snapshot.
    pub snapshot: [u8; 32],
    /// Digest of the image, the host's packages and the interpreter.
    pub environment: [u8; 32],
    /// Commit that is checked out, where there is one.
    pub git: Option<String>,
    /// Wall clock.
    pub at: UnixMillis,
}

/// A registered revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionRow {
    /// Row.
    pub id: RevisionId,
    /// Tests in default order.
    pub tests: Vec<TestId>,
    /// Digest of that list.
    pub list: ListDigest,
    /// Digest of the project's snapshot.
    pub snapshot: [u8; 32],
    /// Digest of the environment.
    pub environment: [u8; 32],
    /// Commit that was checked out.
    pub git: Option<String>,
    /// When it was first seen.
    pub seen: UnixMillis,
}

/// A shard as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardRow {
    /// Row.
    pub id: i64,
    /// Its hunt.
    pub hunt: i64,
    /// Revision it was planned for.
    pub revision: RevisionId,
    /// The plan; its factors in the order of their names.
    pub plan: ShardPlan,
    /// How it stands.
    pub state: ShardState,
}

/// A segment as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentRow {
    /// Row.
    pub id: i64,
    /// Boot whose monotonic clock its times are on.
    pub boot_id: String,
    /// Its start; `beside` in ascending order.
    pub open: SegmentOpen,
    /// Its end; `None` while it is open.
    pub close: Option<SegmentClose>,
    /// What its trials showed, by position, the acknowledged ones of an open segment included.
    /// Details of an open segment are left out.
    pub trials: Vec<TrialRecord>,
}

/// An event as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// Wall clock.
    pub at: UnixMillis,
    /// Kind.
    pub kind: String,
    /// The facts.
    pub facts: serde_json::Value,
}

/// A test that failed in a hunt. Counts are of closed segments.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureRow {
    /// The test.
    pub test: TestId,
    /// How often it failed.
    pub failures: u64,
    /// How often it passed or failed.
    pub trials: u64,
    /// End of the segment where it failed last.
    pub last_seen: UnixMillis,
    /// How it failed last.
    pub outcome: Outcome,
    /// Shard of the last failure.
    pub shard: i64,
    /// Segment of the last failure.
    pub segment: i64,
    /// Position of the last failure.
    pub position: u32,
    /// Text of the last failure, untrusted.
    pub detail: Option<Vec<u8>>,
    /// Signature of the last failure.
    pub signature: Option<String>,
}

/// Number of trials per outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutcomeCounts([u64; Outcome::ALL.len()]);

impl OutcomeCounts {
    /// Returns the number of trials with this outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0[Self::place(outcome)]
    }

    /// Returns the number of trials whose outcome is one of those that `which` accepts.
    pub fn sum(&self, which: impl Fn(Outcome) -> bool) -> u64 {
        Outcome::ALL
            .iter()
            .filter(|o| which(**o))
            .map(|o| self.of(*o))
            .sum()
    }

    /// Returns the failures among the trials that passed or failed.
    #[must_use]
    pub fn soak(&self) -> Count {
        let failures = self.sum(Outcome::is_failing);
        Count {
            failures,
            trials: failures + self.of(Outcome::Passed),
        }
    }

    /// Adds trials with this outcome.
    pub fn add(&mut self, outcome: Outcome, trials: u64) {
        self.0[Self::place(outcome)] += trials;
    }

    fn place(outcome: Outcome) -> usize {
        Outcome::ALL
            .iter()
            .position(|o| *o == outcome)
            .expect("every outcome is in the list")
    }
}

/// How far a hunt is.
#[derive(Clone, Debug, PartialEq)]
pub struct HuntStatus {
    /// The hunt.
    pub hunt: HuntRow,
    /// The process that drove it last.
    pub lease: LeaseStart,
    /// When that process last said that it is alive.
    pub heartbeat: UnixMillis,
    /// Iterations all of whose shards are closed.
    pub iterations: u64,
    /// Iterations planned.
    pub iterations_planned: u64,
    /// Shards planned.
    pub shards_planned: u64,
    /// Shards finished.
    pub shards_finished: u64,
    /// Shards closed for good without all their outcomes.
    pub shards_abandoned: u64,
    /// First plan index that is not closed: evidence stops there.
    pub watermark: i64,
    /// Closed segments.
    pub segments: u64,
    /// Segments running now, or left open by a dead hunt.
    pub segments_open: u64,
    /// Trials per outcome, the acknowledged ones of open segments included.
    pub outcomes: OutcomeCounts,
    /// Tests started, whatever they showed, those of probes included.
    pub executions: u64,
    /// Tests that passed or failed in probes. All other counts leave probes out.
    pub probe_trials: u64,
    /// Tests that failed at least once, in closed segments.
    pub failing_tests: u64,
}

impl HuntStatus {
    /// Returns the number of trials that passed or failed.
    #[must_use]
    pub fn trials(&self) -> u64 {
        self.outcomes.sum(|o| !o.is_void() && o != Outcome::Skipped)
    }
}

/// Reads a coded column.
pub(super) fn word<T>(
    row: &Row,
    column: &str,
    from_code: fn(i64) -> Option<T>,
) -> rusqlite::Result<T> {
    let code = row.get(column)?;
    from_code(code).ok_or_else(|| FromSqlError::OutOfRange(code).into())
}

/// Reads a coded column that may be NULL.
pub(super) fn word_or_null<T>(
    row: &Row,
    column: &str,
    read: fn(i64) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    match row.get::<_, Option<i64>>(column)? {
        None => Ok(None),
        Some(_) => word(row, column, read).map(Some),
    }
}

/// Reads a test name.
pub(super) fn test_name(row: &Row, column: &str) -> rusqlite::Result<TestId> {
    let name: Vec<u8> = row.get(column)?;
    TestId::new(name).map_err(|e| FromSqlError::other(e).into())
}

/// Reads a test name that may be NULL.
pub(super) fn test_name_or_null(row: &Row, column: &str) -> rusqlite::Result<Option<TestId>> {
    let name: Option<Vec<u8>> = row.get(column)?;
    name.map(|name| TestId::new(name).map_err(|e| FromSqlError::other(e).into()))
        .transpose()
}

fn json(row: &Row, column: &str) -> rusqlite::Result<serde_json::Value> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|e| FromSqlError::other(e).into())
}

/// Reads a row of `select_hunt` and `latest_hunt`.
pub(super) fn hunt(row: &Row) -> rusqlite::Result<HuntRow> {
    Ok(HuntRow {
        id: row.get("id")?,
        suite: SuiteId::from_bits(row.get("suite_id")?),
        kind: word(row, "kind", HuntKind::from_code)?,
        master_seed: row.get::<_, i64>("master_seed")?.cast_unsigned(),
        nonce: row.get("nonce")?,
        algorithm: row.get("algorithm")?,
        config: json(row, "config")?,
        started: UnixMillis(row.get("started_ms")?),
        ends: row.get::<_, Option<i64>>("ends_ms")?.map(UnixMillis),
        state: word(row, "state", HuntState::from_code)?,
        reason: row.get("reason")?,
        ended: row.get::<_, Option<i64>>("ended_ms")?.map(UnixMillis),
    })
}

/// Reads a row of `select_shard` and `open_shards`; factors and explicit order are added by the caller.
pub(super) fn shard(row: &Row) -> rusqlite::Result<ShardRow> {
    Ok(ShardRow {
        id: row.get("id")?,
        hunt: row.get("hunt_id")?,
        revision: RevisionId(row.get("revision_id")?),
        plan: ShardPlan {
            plan_index: row.get("plan_index")?,
            iteration: row.get("iteration")?,
            shard: row.get("number")?,
            seed: row.get::<_, i64>("seed")?.cast_unsigned(),
            algorithm: row.get("algorithm")?,
            layout: Layout {
                design: word(row, "design", Design::from_code)?,
                shards: row.get("shards")?,
                grouping: word(row, "grouping", Grouping::from_code)?,
                class: row.get("class")?,
            },
            drawn_with: row.get("drawn_with")?,
            trials: row.get("trials")?,
            order: ListDigest::from_bytes(row.get("order_digest")?),
            explicit_order: None,
            factors: Vec::new(),
        },
        state: word(row, "state", ShardState::from_code)?,
    })
}

/// Reads a row of `select_events`.
pub(super) fn event(row: &Row) -> rusqlite::Result<EventRow> {
    Ok(EventRow {
        at: UnixMillis(row.get("at_ms")?),
        kind: row.get("kind")?,
        facts: json(row, "facts")?,
    })
}

/// The values of an event, as stored.
pub(super) fn facts_of(event: &EventRecord) -> String {
    event.facts.to_string()
}
