//! The facts that the executor hands to the store: what was planned, what ran, what it showed.

use std::time::Duration;

use super::{
    Interruption, Layout, ListDigest, MonoMicros, Outcome, SegmentEnd, TestId, UnixMillis,
};

/// One shard as planned: committed before its container starts.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardPlan {
    /// Place in the hunt's stream of shards, from 0, without gaps.
    pub plan_index: i64,
    /// Iteration it belongs to, from 0.
    pub iteration: i64,
    /// Which shard of the iteration, `0..layout.shards`.
    pub shard: u16,
    /// Seed of the iteration (of the whole cycle for coverage members).
    pub seed: u64,
    /// Version of the order algorithm.
    pub algorithm: u16,
    /// How the iteration is cut.
    pub layout: Layout,
    /// Probability with which this design, number of shards and grouping were drawn, `0.0..=1.0`; 1 when fixed.
    pub drawn_with: f64,
    /// Number of trials planned (tests times repetitions).
    pub trials: u32,
    /// Digest of the planned order.
    pub order: ListDigest,
    /// The order itself, where it is not a function of the seed ([`Layout::is_function_of_seed`]).
    pub explicit_order: Option<Vec<TestId>>,
    /// Level of each environment factor, as sent to the container.
    pub factors: Vec<FactorLevel>,
}

/// One environment factor of one shard.
#[derive(Clone, Debug, PartialEq)]
pub struct FactorLevel {
    /// Name of the factor, such as `PYTHONHASHSEED`.
    pub factor: String,
    /// Its level, as text.
    pub level: String,
    /// Probability with which this level was drawn; 1 when fixed.
    pub drawn_with: f64,
}

/// Why a segment was cut off, when it continues another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Segment that was cut.
    pub parent: i64,
    /// Position in the parent (from 0) of the first test that did not start there.
    pub cut: u32,
    /// Why the parent ended.
    pub end: SegmentEnd,
}

/// A segment about to start: committed before its container does.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentOpen {
    /// The shard it runs (row id).
    pub shard: i64,
    /// Attempt at the shard: 1 for the first, one more each time the host or we broke it off.
    pub attempt: u32,
    /// The segment it continues, if any.
    pub cause: Option<Cause>,
    /// Number of trials it is asked to run.
    pub trials: u32,
    /// Digest of the order it is asked to run.
    pub order: ListDigest,
    /// Worker that runs it, from 0.
    pub worker: u32,
    /// Monotonic start.
    pub started: MonoMicros,
    /// Wall-clock label of the start.
    pub started_at: UnixMillis,
    /// Load average over one minute, in thousandths.
    pub load_milli: Option<u32>,
    /// CPU pressure (PSI `some avg10`), in thousandths of a percent; `None` where the kernel has none.
    pub cpu_pressure_milli: Option<u32>,
    /// Segments running on the other workers at this moment (row ids).
    pub beside: Vec<i64>,
}

/// What one trial showed. Positions count from 0 within the segment.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialRecord {
    /// Position in the segment as it really ran.
    pub position: u32,
    /// The test.
    pub test: TestId,
    /// 1, or 2 for the second run of a doubled layout.
    pub rep: u8,
    /// What it showed.
    pub outcome: Outcome,
    /// Monotonic start; `None` when it never started (`lost`, `infra`).
    pub started: Option<MonoMicros>,
    /// How long it ran; `None` when unknown.
    pub duration: Option<Duration>,
    /// Failure text, capped and untrusted; skip reason for a skip.
    pub detail: Option<Vec<u8>>,
}

/// What a segment used, from its own cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of everything in the container.
    pub cpu: Option<Duration>,
    /// Highest memory use in bytes.
    pub peak_memory: Option<u64>,
    /// Processes that the memory limit killed.
    pub oom_kills: u32,
    /// Processes still alive when the runner ended.
    pub stragglers: u32,
}

/// The end of a segment: committed together with its last trials.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentClose {
    /// Why it ended.
    pub end: SegmentEnd,
    /// Why we interrupted it; only with [`SegmentEnd::Interrupted`].
    pub interruption: Option<Interruption>,
    /// Monotonic end.
    pub ended: MonoMicros,
    /// Wall-clock label of the end.
    pub ended_at: UnixMillis,
    /// The test that was running when it ended, if it did not complete.
    pub running: Option<TestId>,
    /// How the runner's process ended, where one ran: exit code, or 256 + signal.
    pub exit: Option<i64>,
    /// What it used.
    pub usage: Usage,
    /// Did the observed order differ from the planned one? Such a segment carries no order evidence.
    pub order_differs: bool,
    /// Why it is not trusted, or what the host said.
    pub reason: Option<String>,
    /// File of the captured output below the log folder, if kept.
    pub log: Option<String>,
}

/// Something worth keeping that is no trial: a changed test list, a retry, a clock jump.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    /// Wall-clock label.
    pub at: UnixMillis,
    /// Kind in a few lower-case words, constant per place in the code.
    pub kind: &'static str,
    /// The facts, as a JSON object.
    pub facts: serde_json::Value,
}
