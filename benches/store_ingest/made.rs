//! Makes a database as a long hunt leaves it behind.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

use soakhound::model::{
    Design, Grouping, HuntKind, HuntState, Layout, ListDigest, MonoMicros, Outcome, SegmentClose,
    SegmentEnd, SegmentOpen, ShardPlan, ShardState, TestId, TrialRecord, UnixMillis, Usage,
};
use soakhound::store::{
    HuntStart, LeaseStart, OpenOptions, RevisionStart, StoreError, SuiteKey, Writer,
};

use crate::flags;

/// Tests in the suite; one iteration runs each once.
const TESTS: u32 = 5_000;
/// Trials of a segment, and rows of a commit.
const TRIALS: u32 = 250;

/// The newest segment begins here; the oldest twelve weeks before.
const NEWEST: i64 = 1_795_310_040_000;
const SPAN: i64 = 12 * 7 * 24 * 3_600_000;
/// Every so many iterations one is in the suite's own order.
const NATURAL: u64 = 10;

/// When an iteration began, on both clocks.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    pub(crate) wall: UnixMillis,
    pub(crate) mono: MonoMicros,
}

impl Begun {
    /// Iteration `number` of so many that are spread evenly over twelve weeks.
    fn of(number: u64, iterations: u64) -> Self {
        let before = SPAN - SPAN / iterations.max(1).cast_signed() * (number + 1).cast_signed();
        Self {
            wall: UnixMillis(NEWEST - before),
            mono: MonoMicros((SPAN - before) * 1000 + 1_000_000),
        }
    }

    /// After the last one.
    pub(crate) fn newest() -> Self {
        Self::of(0, 1)
    }
}

/// A database and what making it took.
pub(crate) struct Made {
    pub(crate) hunt: i64,
    /// The suite's tests.
    pub(crate) tests: Arc<[TestId]>,
    /// Outcomes of iterations.
    pub(crate) rows: u64,
    pub(crate) workers: u64,
    pub(crate) wall: Duration,
    /// Processor time of the store's thread.
    pub(crate) busy: Duration,
    /// Size of the database before flags and probes.
    pub(crate) bytes: u64,
}

/// Writes at least `rows` outcomes, then flags and their probes.
pub(crate) fn make(
    path: &Path,
    rows: u64,
    workers: u64,
) -> Result<Made, Box<dyn std::error::Error>> {
    let workers = workers.clamp(1, u64::from(TESTS / TRIALS));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (writer, _) = Writer::open(path, &OpenOptions::at(UnixMillis(0)))?;
    let tests: Arc<[_]> = (0..TESTS)
        .map(|i| {
            TestId::new(format!("tests/test_module_{}.py::test_case_{i}", i / 50))
                .expect("short and not empty")
        })
        .collect();
    let key = SuiteKey {
        name: "bench".into(),
        runner: "pytest".into(),
    };
    let start = hunt_start(key.clone());
    let revision = RevisionStart {
        suite: key,
        tests: tests.to_vec(),
        snapshot: [0; 32],
        environment: [0; 32],
        git: None,
        at: UnixMillis(0),
    };
    let hunt = runtime.block_on(writer.begin_hunt(&start))?.id;
    let revision = runtime.block_on(writer.register_revision(&revision))?;

    let begun = (Instant::now(), store_time());
    let iterations = rows.div_ceil(u64::from(TESTS));
    for iteration in 0..iterations {
        let plans = plans(iteration);
        let shards = runtime.block_on(writer.plan_iteration(hunt, revision, &plans))?;
        for group in shards.chunks(usize::try_from(workers)?) {
            runtime.block_on(run_side_by_side(
                &writer,
                group,
                (iteration, Begun::of(iteration, iterations)),
                &tests,
            ))?;
        }
    }
    let (wall, busy) = (begun.0.elapsed(), store_time().saturating_sub(begun.1));
    runtime.block_on(writer.checkpoint())?;
    let bytes = path.metadata()?.len();
    let planned = (iterations * u64::from(TESTS / TRIALS)).cast_signed();
    runtime.block_on(flags::raise(&writer, hunt, revision, planned, &tests))?;
    let (state, at) = (HuntState::Interrupted, UnixMillis(1_795_310_060_000));
    runtime.block_on(writer.set_hunt_state(hunt, state, None, at))?;
    runtime.block_on(writer.shutdown())?;
    Ok(Made {
        hunt,
        tests,
        rows: iterations * u64::from(TESTS),
        workers,
        wall,
        busy,
        bytes,
    })
}

/// Processor time of the store's thread: of all threads but this one.
fn store_time() -> Duration {
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    read(ClockId::ProcessCPUTime).saturating_sub(read(ClockId::ThreadCPUTime))
}

async fn run_side_by_side(
    writer: &Writer,
    shards: &[i64],
    (iteration, begun): (u64, Begun),
    tests: &Arc<[TestId]>,
) -> Result<(), StoreError> {
    let recorded = if shards.len() > 1 { TRIALS / 2 } else { 0 };
    let mut workers = JoinSet::new();
    for shard in shards.iter().copied() {
        let (writer, tests) = (writer.clone(), Arc::clone(tests));
        workers.spawn(async move {
            let segment = writer.open_segment(&opening(shard, begun)).await?;
            if recorded > 0 {
                let first = trials(shard, (iteration, begun), &tests, 0..recorded);
                writer.record(segment, first).await?;
            }
            let rest = trials(shard, (iteration, begun), &tests, recorded..TRIALS);
            writer.close_segment(segment, closing(begun), rest).await?;
            writer.close_shard(shard, ShardState::Finished).await
        });
    }
    while let Some(done) = workers.join_next().await {
        done.expect("no worker panics")?;
    }
    Ok(())
}

fn trials(
    shard: i64,
    (iteration, begun): (u64, Begun),
    tests: &[TestId],
    positions: std::ops::Range<u32>,
) -> Vec<TrialRecord> {
    let mut clock = begun.mono.0;
    positions
        .map(|position| {
            let place = (shard.unsigned_abs() * 250 + u64::from(position) * 37 + iteration * 11)
                % u64::from(TESTS);
            // Multiplying by a number without a common factor walks through every test once.
            let test = &tests[usize::try_from(place).expect("below the number of tests")];
            let dice = (place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                ^ iteration.wrapping_mul(0xbf58_476d_1ce4_e5b9);
            // From 0.1 to 100 ms, each power of ten as likely.
            let duration = Duration::from_micros(
                100 * 10_u64.pow(u32::try_from(dice % 4).expect("small")) + dice % 900,
            );
            let started = MonoMicros(clock + i64::try_from(dice % 300).expect("small"));
            clock = started.0 + i64::try_from(duration.as_micros()).expect("small");
            let failing = dice.is_multiple_of(2_000);
            TrialRecord {
                position,
                test: test.clone(),
                rep: 1,
                outcome: if failing {
                    Outcome::Failed
                } else {
                    Outcome::Passed
                },
                started: Some(started),
                duration: Some(duration),
                detail: failing.then(|| format!("E   AssertionError: {dice}").into_bytes()),
            }
        })
        .collect()
}

fn plans(iteration: u64) -> Vec<ShardPlan> {
    let shards = TESTS / TRIALS;
    (0..shards)
        .map(|shard| ShardPlan {
            plan_index: (iteration * u64::from(shards) + u64::from(shard)).cast_signed(),
            iteration: iteration.cast_signed(),
            shard: u16::try_from(shard).expect("few shards"),
            seed: iteration,
            algorithm: 1,
            layout: Layout {
                design: if iteration.is_multiple_of(NATURAL) {
                    Design::Natural
                } else {
                    Design::Free
                },
                shards: u16::try_from(shards).expect("few shards"),
                grouping: Grouping::Interleaved,
                class: 0,
            },
            drawn_with: 0.4,
            trials: TRIALS,
            order: ListDigest::from_bytes([1; 32]),
            explicit_order: None,
            factors: Vec::new(),
        })
        .collect()
}

fn hunt_start(suite: SuiteKey) -> HuntStart {
    let lease = LeaseStart {
        host: "bench".into(),
        boot_id: String::new(),
        pid: 1,
        tool: "bench".into(),
        workers: 1,
        at: UnixMillis(0),
    };
    HuntStart {
        suite,
        kind: HuntKind::Hunt,
        master_seed: 1,
        nonce: [0; 16],
        algorithm: 1,
        config: serde_json::Value::Null,
        ends: None,
        lease,
    }
}

pub(crate) fn opening(shard: i64, begun: Begun) -> SegmentOpen {
    SegmentOpen {
        shard,
        attempt: 1,
        cause: None,
        trials: TRIALS,
        order: ListDigest::from_bytes([1; 32]),
        worker: 0,
        started: begun.mono,
        started_at: begun.wall,
        load_milli: Some(1_200),
        cpu_pressure_milli: Some(5_000),
        beside: Vec::new(),
    }
}

pub(crate) fn closing(begun: Begun) -> SegmentClose {
    SegmentClose {
        end: SegmentEnd::Completed,
        interruption: None,
        ended: MonoMicros(begun.mono.0 + 8_000_000),
        ended_at: UnixMillis(begun.wall.0 + 9_000),
        running: None,
        exit: Some(0),
        usage: Usage {
            cpu: Some(Duration::from_secs(3)),
            peak_memory: Some(90 << 20),
            oom_kills: 0,
            stragglers: 0,
        },
        order_differs: false,
        reason: None,
        log: Some("logs/1/12345.log.zst".into()),
    }
}
