//! Prints how fast the store takes outcomes in, what each costs in processor time and bytes on disk, and how
//! fast it answers afterwards: with flags, and with probes whose number does not count as outcomes.
//!
//! `cargo bench --bench store_ingest [-- ROWS [WORKERS]]`: one million rows and one worker unless told
//! otherwise. Each worker opens a segment, closes it with its 250 trials and closes its shard, each call waiting
//! for its commit as in a hunt; several workers record half of the trials before the end. Wall time depends
//! on who else uses the machine; processor time hardly.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

use soakhound::model::{
    Answer, Arm, Count, Design, Flag, Group, Grouping, HuntKind, Layout, ListDigest, MonoMicros,
    Opened, Outcome, Probe, Question, QuestionId, Reply, Role, SegmentClose, SegmentEnd,
    SegmentOpen, ShardPlan, ShardState, SuiteId, TestId, TrialRecord, UnixMillis, Usage, Verdict,
};
use soakhound::store::{
    self, AnalysisRow, Cursor, FlagStart, HuntStart, LeaseStart, Observed, OpenOptions,
    PlannedProbe, ProbeBatch, Reader, RevisionId, RevisionStart, StoreError, SuiteKey, Writer,
};

/// Tests in the suite; one iteration runs each once.
const TESTS: u32 = 5_000;
/// Trials of a segment, and rows of a commit.
const TRIALS: u32 = 250;
/// Tests that have a flag.
const FLAGGED: usize = 200;
/// Probes of each of them.
const PROBES: i64 = 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse::<u64>().ok());
    let rows = numbers.next().unwrap_or(1_000_000);
    let workers = numbers.next().unwrap_or(1);
    let workers = workers.clamp(1, u64::from(TESTS / TRIALS));
    // Beside the build, because a temporary folder may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = folder.path().join("hunt.db");
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (writer, _) = Writer::open(&path, &OpenOptions::at(UnixMillis(0)))?;
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
            runtime.block_on(run_side_by_side(&writer, group, iteration, &tests))?;
        }
    }
    let (wall, busy) = (begun.0.elapsed(), store_time().saturating_sub(begun.1));
    runtime.block_on(writer.checkpoint())?;
    let bytes = path.metadata()?.len();
    let planned = (iterations * u64::from(TESTS / TRIALS)).cast_signed();
    runtime.block_on(flag(&writer, hunt, revision, planned, &tests))?;
    runtime.block_on(writer.shutdown())?;
    drop(writer);
    let rows = iterations * u64::from(TESTS);
    report(rows, workers, wall, busy, bytes);
    answer(&path, hunt, rows, &tests)
}

/// Processor time of the store's thread: of all threads but this one.
fn store_time() -> Duration {
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    read(ClockId::ProcessCPUTime).saturating_sub(read(ClockId::ThreadCPUTime))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "figures for a person"
)]
fn report(rows: u64, workers: u64, wall: Duration, busy: Duration, bytes: u64) {
    println!(
        "{rows} outcomes, {workers} workers: {:.0} rows/s, {:.2} us of processor time and {:.2} bytes per outcome",
        rows as f64 / wall.as_secs_f64(),
        busy.as_secs_f64() * 1e6 / rows as f64,
        bytes as f64 / rows as f64,
    );
}

#[expect(clippy::print_stdout, reason = "figures for a person")]
fn answer(
    path: &Path,
    hunt: i64,
    rows: u64,
    tests: &[TestId],
) -> Result<(), Box<dyn std::error::Error>> {
    let milliseconds = |since: Instant| since.elapsed().as_secs_f64() * 1e3;
    let asked = Instant::now();
    let status = Reader::open(path)?.status(hunt)?;
    println!("status in {:.1} ms", milliseconds(asked));
    assert_eq!(
        status.outcomes.sum(|_| true),
        rows,
        "every outcome is counted once"
    );
    let asked = Instant::now();
    let failing = Reader::open(path)?.failures(hunt, 20)?.len();
    println!("{failing} failing tests in {:.1} ms", milliseconds(asked));
    let suite = SuiteId::of("bench", "pytest");
    let asked = Instant::now();
    let flags = Reader::open(path)?.flags(suite, UnixMillis(0))?.len();
    println!("{flags} flags in {:.1} ms", milliseconds(asked));
    let asked = Instant::now();
    let reader = Reader::open(path)?;
    let test = &tests[7];
    let told = (
        reader.flags_of(suite, test)?.len(),
        reader.questions_of(suite, test)?.len(),
        reader.failures_of(suite, test, 20)?.len(),
        reader.standing::<serde_json::Value>(suite, test)?.is_some(),
        reader.attempts(suite)?,
        reader.analysis(suite)?.is_some(),
    );
    let trials = reader.outcomes_of(suite, test)?.sum(|_| true);
    println!(
        "all of one test in {:.1} ms: {trials} trials, {told:?}",
        milliseconds(asked)
    );
    let asked = Instant::now();
    let (mut segments, mut seen) = (0_u64, 0_u64);
    let mut cursor = Cursor::start(suite);
    reader.observe(&mut cursor, |observed| {
        if let Observed::Segment(segment) = observed {
            segments += 1;
            seen += segment.trials.len() as u64;
        }
    })?;
    println!(
        "{seen} outcomes of {segments} segments observed in {:.0} ms",
        milliseconds(asked)
    );
    assert_eq!(seen, rows, "every outcome is evidence, and no probe is");
    let asked = Instant::now();
    reader.observe(&mut cursor, |_| panic!("nothing is new"))?;
    println!("nothing new in {:.1} ms", milliseconds(asked));
    let asked = Instant::now();
    let found = store::check(path)?.findings;
    println!("check in {:.0} ms", milliseconds(asked));
    assert!(found.is_empty(), "{found:?}");
    Ok(())
}

/// Flags [`FLAGGED`] tests, each after a question with [`PROBES`] probes that ran.
async fn flag(
    writer: &Writer,
    hunt: i64,
    revision: RevisionId,
    planned: i64,
    tests: &[TestId],
) -> Result<(), StoreError> {
    let at = UnixMillis(1_795_310_050_000);
    let first = (planned..).step_by(usize::try_from(PROBES).expect("few probes"));
    for ((number, victim), first) in (0..).zip(&tests[..FLAGGED]).zip(first) {
        let polluter = &tests[FLAGGED + 1];
        let probe = Probe {
            victim: victim.clone(),
            question: Question::Polluter,
            block: Some(0),
            arm: Arm::Treated,
            turn: 0,
            processes: vec![vec![(polluter.clone(), 1), (victim.clone(), 1)]],
            beside: Vec::new(),
            factors: Vec::new(),
        };
        let probes = (0..)
            .zip(first..first + PROBES)
            .map(|(place, plan_index)| PlannedProbe {
                place,
                probe: probe.clone(),
                plan_index,
                seed: 1,
                factors: Vec::new(),
            });
        let batch = ProbeBatch {
            hunt,
            revision,
            question: QuestionId(number),
            opened: Some(Opened {
                victim: victim.clone(),
                question: Question::Polluter,
                attempt: true,
                parameters: serde_json::json!({ "candidates": tests[..20] }),
            }),
            at,
            probes: probes.collect(),
        };
        for shard in writer.plan_probes(&batch).await? {
            run_probe(writer, shard, &probe).await?;
        }
        let start = FlagStart {
            hunt,
            revision,
            at,
            flag: claim(victim, polluter),
            token: Some("sk1m_0123456789abcdefghjkmnpqrstvwxyz".into()),
        };
        writer.raise_flag(start).await?;
    }
    let analysis = AnalysisRow {
        at,
        hunt,
        iterations: 2_000,
        attempts: FLAGGED as u64,
        pair_coverage: 0.99,
        canary: None,
        suspected: Vec::new(),
    };
    let standing = |test: &TestId| (test.clone(), serde_json::json!({ "ln_e": 7.5 }));
    let standings = tests[..FLAGGED].iter().map(standing).collect();
    writer.put_analysis(analysis, standings).await
}

async fn run_probe(writer: &Writer, shard: i64, probe: &Probe) -> Result<(), StoreError> {
    let order = probe.processes.iter().flatten();
    let trials = (0..).zip(order).map(|(position, (test, rep))| TrialRecord {
        position,
        test: test.clone(),
        rep: *rep,
        outcome: if position == 0 {
            Outcome::Passed
        } else {
            Outcome::Failed
        },
        started: Some(MonoMicros(1_000_000 + i64::from(position))),
        duration: Some(Duration::from_micros(1)),
        detail: None,
    });
    let open = SegmentOpen {
        trials: 2,
        ..opening(shard)
    };
    let segment = writer.open_segment(&open).await?;
    writer
        .close_segment(segment, closing(), trials.collect())
        .await?;
    writer.close_shard(shard, ShardState::Finished).await?;
    let reply = Reply {
        answer: Answer::Failed,
        first: None,
        levels: Vec::new(),
        died_in: None,
        hours: 0.0,
        seconds: 0.3,
    };
    writer.answer_probe(shard, &reply).await
}

fn claim(victim: &TestId, polluter: &TestId) -> Flag {
    let count = |failures| Count {
        failures,
        trials: 6,
    };
    Flag {
        test: Some(victim.clone()),
        verdict: Verdict::OdVictim,
        certified: true,
        groups: vec![Group {
            role: Role::Polluter,
            members: vec![polluter.clone()],
            adjacent: false,
            with: count(6),
            with_decoy: count(0),
            without: count(0),
            ln_e: 7.5,
        }],
        unnamed: 0,
        factors: Vec::new(),
        soak: count(1),
        alone: count(0),
        recipe: None,
        ln_e: Some(7.5),
        since_iteration: None,
        threshold: None,
        reach: None,
        files_left: Vec::new(),
        ruled_out: Vec::new(),
        settles: None,
    }
}

async fn run_side_by_side(
    writer: &Writer,
    shards: &[i64],
    iteration: u64,
    tests: &Arc<[TestId]>,
) -> Result<(), StoreError> {
    let recorded = if shards.len() > 1 { TRIALS / 2 } else { 0 };
    let mut workers = JoinSet::new();
    for shard in shards.iter().copied() {
        let (writer, tests) = (writer.clone(), Arc::clone(tests));
        workers.spawn(async move {
            let segment = writer.open_segment(&opening(shard)).await?;
            if recorded > 0 {
                let first = trials(shard, iteration, &tests, 0..recorded);
                writer.record(segment, first).await?;
            }
            let rest = trials(shard, iteration, &tests, recorded..TRIALS);
            writer.close_segment(segment, closing(), rest).await?;
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
    iteration: u64,
    tests: &[TestId],
    positions: std::ops::Range<u32>,
) -> Vec<TrialRecord> {
    let mut clock = 1_000_000_i64;
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
                design: Design::Free,
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

fn opening(shard: i64) -> SegmentOpen {
    SegmentOpen {
        shard,
        attempt: 1,
        cause: None,
        trials: TRIALS,
        order: ListDigest::from_bytes([1; 32]),
        worker: 0,
        started: MonoMicros(1_000_000),
        started_at: UnixMillis(1_795_310_040_000),
        load_milli: Some(1_200),
        cpu_pressure_milli: Some(5_000),
        beside: Vec::new(),
    }
}

fn closing() -> SegmentClose {
    SegmentClose {
        end: SegmentEnd::Completed,
        interruption: None,
        ended: MonoMicros(9_000_000),
        ended_at: UnixMillis(1_795_310_049_000),
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
