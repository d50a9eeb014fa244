//! The store against a real database in a fresh folder: promises, refusals, faults.

mod evidence;
mod probes;
mod shell;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;
use soakhound::model::{
    Answer, Arm, Cause, Design, EventRecord, FactorLevel, Grouping, HuntKind, HuntState,
    Interruption, Layout, ListDigest, MonoMicros, Outcome, Question, Reach, Role, SegmentClose,
    SegmentEnd, SegmentOpen, ShardPlan, ShardState, TestId, TrialRecord, UnixMillis, Usage,
    Verdict,
};
use soakhound::store::{
    self, HuntStart, LeaseStart, OpenOptions, Reader, RevisionId, RevisionStart, StoreError,
    SuiteKey, Writer,
};

/// A database in its own folder, with a hunt and a revision.
struct Fixture {
    folder: tempfile::TempDir,
    writer: Writer,
    hunt: i64,
    revision: RevisionId,
    runtime: tokio::runtime::Runtime,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

fn options() -> OpenOptions {
    OpenOptions {
        reserve: 1 << 20,
        now: UnixMillis(1_000),
    }
}

fn suite() -> SuiteKey {
    SuiteKey {
        name: "demo".into(),
        runner: "pytest".into(),
    }
}

fn tests(count: usize) -> Vec<TestId> {
    (0..count)
        .map(|i| TestId::new(format!("tests/test_a.py::test_{i}")).unwrap())
        .collect()
}

fn lease() -> LeaseStart {
    LeaseStart {
        host: "host".into(),
        boot_id: "boot".into(),
        pid: 7,
        tool: "0.1.0".into(),
        workers: 2,
        at: UnixMillis(1_000),
    }
}

fn hunt_start() -> HuntStart {
    HuntStart {
        suite: suite(),
        kind: HuntKind::Hunt,
        master_seed: u64::MAX - 5,
        nonce: [9; 16],
        algorithm: 1,
        config: serde_json::json!({"workers": 2}),
        ends: None,
        lease: lease(),
    }
}

fn revision_start(tests: Vec<TestId>) -> RevisionStart {
    RevisionStart {
        suite: suite(),
        tests,
        snapshot: [1; 32],
        environment: [2; 32],
        git: None,
        at: UnixMillis(1_000),
    }
}

async fn begin(writer: &Writer, count: usize) -> (i64, RevisionId) {
    let hunt = writer.begin_hunt(&hunt_start()).await.unwrap();
    (
        hunt.id,
        writer
            .register_revision(&revision_start(tests(count)))
            .await
            .unwrap(),
    )
}

fn plan(plan_index: i64, trials: u32) -> ShardPlan {
    ShardPlan {
        plan_index,
        iteration: plan_index,
        shard: 0,
        seed: u64::MAX - plan_index.unsigned_abs(),
        algorithm: 1,
        layout: Layout {
            design: Design::Free,
            shards: 1,
            grouping: Grouping::Interleaved,
            class: 0,
        },
        drawn_with: 0.25,
        trials,
        order: ListDigest::from_bytes([3; 32]),
        explicit_order: None,
        factors: Vec::new(),
    }
}

fn opening(shard: i64, trials: u32) -> SegmentOpen {
    SegmentOpen {
        shard,
        attempt: 1,
        cause: None,
        trials,
        order: ListDigest::from_bytes([3; 32]),
        worker: 0,
        started: MonoMicros(5_000),
        started_at: UnixMillis(2_000),
        load_milli: Some(120),
        cpu_pressure_milli: None,
        beside: Vec::new(),
    }
}

fn closing(end: SegmentEnd) -> SegmentClose {
    SegmentClose {
        end,
        interruption: (end == SegmentEnd::Interrupted).then_some(Interruption::Abort),
        ended: MonoMicros(900_000),
        ended_at: UnixMillis(2_900),
        running: None,
        exit: Some(0),
        usage: Usage::default(),
        order_differs: false,
        reason: None,
        log: None,
    }
}

fn trial(position: u32, outcome: Outcome) -> TrialRecord {
    TrialRecord {
        position,
        test: tests(position as usize + 1).pop().unwrap(),
        rep: 1,
        outcome,
        started: Some(MonoMicros(6_000 + i64::from(position) * 1_000)),
        duration: Some(Duration::from_micros(700)),
        detail: outcome.is_failing().then(|| b"E   assert 1 == 2".to_vec()),
    }
}

fn passed(positions: std::ops::Range<u32>) -> Vec<TrialRecord> {
    positions.map(|p| trial(p, Outcome::Passed)).collect()
}

impl Fixture {
    fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (writer, report) =
            Writer::open(&folder.path().join("new/hunt.db"), &options()).unwrap();
        assert!(report.created);
        let runtime = runtime();
        let (hunt, revision) = runtime.block_on(begin(&writer, count));
        Self {
            folder,
            writer,
            hunt,
            revision,
            runtime,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("new/hunt.db")
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.path()).unwrap()
    }

    fn shard(&self, plan: ShardPlan) -> i64 {
        self.wait(
            self.writer
                .plan_iteration(self.hunt, self.revision, &[plan]),
        )
        .unwrap()[0]
    }

    fn segment(&self, shard: i64, trials: u32) -> i64 {
        self.wait(self.writer.open_segment(&opening(shard, trials)))
            .unwrap()
    }

    fn close(&self, segment: i64, trials: Vec<TrialRecord>) -> Result<(), StoreError> {
        self.wait(
            self.writer
                .close_segment(segment, closing(SegmentEnd::Completed), trials),
        )
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn assert_sound(&self) {
        assert_eq!(store::check(&self.path()).unwrap().findings, []);
    }
}

#[test]
fn a_hunt_is_recorded_and_read_back() {
    let it = Fixture::new(4);
    let mut planned = plan(0, 4);
    planned.factors = vec![FactorLevel {
        factor: "TZ".into(),
        level: "UTC".into(),
        drawn_with: 0.5,
    }];
    planned.explicit_order = Some(tests(4));
    let shard = it.shard(planned.clone());
    let segment = it.segment(shard, 4);
    let receipt = it.wait(it.writer.record(segment, passed(0..2))).unwrap();
    it.wait(receipt.committed()).unwrap();
    assert_eq!(
        it.reader()
            .status(it.hunt)
            .unwrap()
            .outcomes
            .of(Outcome::Passed),
        2,
        "open segments count too"
    );
    it.close(
        segment,
        vec![trial(2, Outcome::Failed), trial(3, Outcome::Skipped)],
    )
    .unwrap();
    it.wait(it.writer.close_shard(shard, ShardState::Finished))
        .unwrap();
    let event = EventRecord {
        at: UnixMillis(5),
        kind: "list changed",
        facts: serde_json::json!({"added": 1}),
    };
    it.wait(it.writer.event(Some(it.hunt), event)).unwrap();
    it.wait(it.writer.heartbeat(it.hunt, UnixMillis(77)))
        .unwrap();

    let reader = it.reader();
    let status = reader.status(it.hunt).unwrap();
    assert_eq!(
        (status.iterations, status.shards_finished, status.watermark),
        (1, 1, 1)
    );
    assert_eq!(
        (status.trials(), status.executions, status.failing_tests),
        (3, 4, 1)
    );
    assert_eq!(
        (status.heartbeat, status.hunt.master_seed),
        (UnixMillis(77), u64::MAX - 5)
    );
    assert_eq!(reader.shard(shard).unwrap().plan, planned);
    assert_eq!(
        reader.find_shards(planned.seed, planned.layout, 0).unwrap(),
        [shard]
    );
    let failures = reader.failures(it.hunt, 10).unwrap();
    assert_eq!(
        (failures.len(), failures[0].failures, failures[0].segment),
        (1, 1, segment)
    );
    assert_eq!(failures[0].signature.as_deref(), Some("assert # == #"));
    assert_eq!(reader.events(it.hunt, 9).unwrap()[0].kind, "list changed");
    assert_eq!(reader.durations(suite().id()).unwrap().len(), 4);
    assert_eq!(
        reader.latest_revision(suite().id()).unwrap().unwrap().tests,
        tests(4)
    );
    it.assert_sound();
    it.wait(it.writer.shutdown()).unwrap();
    assert_eq!(
        it.reader().status(it.hunt).unwrap(),
        status,
        "folding the roll-ups changes no count"
    );
    it.assert_sound();
}

#[test]
fn equal_revisions_share_a_row_and_a_state_that_returns_is_new() {
    let it = Fixture::new(3);
    let again = it
        .wait(it.writer.register_revision(&revision_start(tests(3))))
        .unwrap();
    assert_eq!(again, it.revision);
    let other = it
        .wait(it.writer.register_revision(&revision_start(tests(2))))
        .unwrap();
    let back = it
        .wait(it.writer.register_revision(&revision_start(tests(3))))
        .unwrap();
    assert!(again < other && other < back);
}

#[test]
fn the_same_trial_again_is_accepted_and_another_one_is_final() {
    let it = Fixture::new(3);
    let segment = it.segment(it.shard(plan(0, 3)), 3);
    it.wait(it.writer.record(segment, passed(0..2))).unwrap();
    let receipt = it.wait(it.writer.record(segment, passed(1..2))).unwrap();
    it.wait(receipt.committed()).unwrap();
    let receipt = it
        .wait(it.writer.record(segment, vec![trial(1, Outcome::Failed)]))
        .unwrap();
    let conflict = it.wait(receipt.committed()).unwrap_err();
    assert!(
        matches!(conflict, StoreError::Conflict { position: 1, .. }),
        "{conflict}"
    );
    let later = it
        .wait(it.writer.heartbeat(it.hunt, UnixMillis(1)))
        .unwrap_err();
    assert!(matches!(later, StoreError::Conflict { .. }), "{later}");
    assert_eq!(it.reader().segment(segment).unwrap().trials.len(), 2);
}

#[test]
fn workers_side_by_side_share_commits_and_each_gets_its_own_answer() {
    let it = Fixture::new(40);
    let shards: Vec<_> = (0..12).map(|index| it.shard(plan(index, 40))).collect();
    let worker = |shard: i64| {
        let writer = it.writer.clone();
        async move {
            let segment = writer.open_segment(&opening(shard, 40)).await.unwrap();
            let receipt = writer.record(segment, passed(0..30)).await.unwrap();
            let last = passed(30..40);
            let end = closing(SegmentEnd::Completed);
            // Both wait at once: the shard's end counts the trials that the same commit writes.
            let (closed, finished) = tokio::join!(
                writer.close_segment(segment, end, last),
                writer.close_shard(shard, ShardState::Finished)
            );
            closed.and(finished).unwrap();
            receipt.committed().await.unwrap();
            (shard, segment)
        }
    };
    let mut workers = tokio::task::JoinSet::new();
    let handle = it.runtime.handle();
    for shard in &shards {
        workers.spawn_on(worker(*shard), handle);
    }
    let done = it.wait(workers.join_all());
    let reader = it.reader();
    for (shard, segment) in done {
        assert_eq!(reader.segment(segment).unwrap().open.shard, shard);
        assert_eq!(reader.segment(segment).unwrap().trials, passed(0..40));
    }
    let status = reader.status(it.hunt).unwrap();
    assert_eq!((status.shards_finished, status.trials()), (12, 480));
    it.assert_sound();
}

#[test]
fn positions_with_a_gap_and_closed_segments_are_refused() {
    let it = Fixture::new(3);
    let segment = it.segment(it.shard(plan(0, 3)), 3);
    let error = it.close(segment, passed(1..2)).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Gap {
                expected: 0,
                found: 1,
                ..
            }
        ),
        "{error}"
    );
    let it = Fixture::new(3);
    let segment = it.segment(it.shard(plan(0, 3)), 3);
    it.close(segment, passed(0..3)).unwrap();
    let error = it.close(segment, passed(0..3)).unwrap_err();
    assert!(matches!(error, StoreError::NotOpen { .. }), "{error}");
}

#[test]
fn a_shard_is_finished_only_with_one_outcome_per_planned_trial() {
    let it = Fixture::new(3);
    let shard = it.shard(plan(0, 3));
    let first = it.segment(shard, 3);
    it.wait(it.writer.close_segment(
        first,
        closing(SegmentEnd::Interrupted),
        vec![trial(0, Outcome::Passed), trial(1, Outcome::Aborted)],
    ))
    .unwrap();
    let mut rest = opening(shard, 2);
    rest.cause = Some(Cause {
        parent: first,
        cut: 1,
        end: SegmentEnd::Interrupted,
    });
    rest.beside = vec![first];
    let second = it.wait(it.writer.open_segment(&rest)).unwrap();
    let mut trials = passed(1..3);
    for trial in &mut trials {
        trial.position -= 1;
    }
    it.close(second, trials).unwrap();
    it.wait(it.writer.close_shard(shard, ShardState::Finished))
        .unwrap();
    it.assert_sound();

    let short = it.shard(plan(1, 3));
    let segment = it.segment(short, 3);
    it.close(segment, passed(0..2)).unwrap();
    let error = it
        .wait(it.writer.close_shard(short, ShardState::Finished))
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Unfinished {
                planned: 3,
                answered: 2,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn an_aborted_trial_is_no_answer_for_the_writer_and_for_the_check() {
    let it = Fixture::new(3);
    let shard = it.shard(plan(0, 3));
    let segment = it.segment(shard, 3);
    let outcomes = [Outcome::Passed, Outcome::Lost, Outcome::Aborted];
    let trials = (0..).zip(outcomes).map(|(p, outcome)| trial(p, outcome));
    it.close(segment, trials.collect()).unwrap();
    let refused = it
        .wait(it.writer.close_shard(shard, ShardState::Finished))
        .unwrap_err();
    assert!(
        matches!(refused, StoreError::Unfinished { answered: 2, .. }),
        "{refused}"
    );
    it.assert_sound();
    let connection = rusqlite::Connection::open(it.path()).unwrap();
    connection
        .execute("UPDATE shard SET state = 1", [])
        .unwrap();
    let findings = store::check(&it.path()).unwrap().findings;
    let short = store::Finding::Shard {
        shard,
        planned: 3,
        answered: 2,
        doubled: 0,
    };
    assert_eq!(findings, [short]);
}

#[test]
fn a_dead_hunt_is_taken_up_where_it_stopped() {
    let it = Fixture::new(3);
    let shards = [it.shard(plan(0, 3)), it.shard(plan(1, 3))];
    let segment = it.segment(shards[0], 3);
    let receipt = it.wait(it.writer.record(
        segment,
        vec![trial(0, Outcome::Failed), trial(1, Outcome::Aborted)],
    ));
    it.wait(receipt.unwrap().committed()).unwrap();
    it.wait(it.writer.shutdown()).unwrap();

    let (writer, report) = Writer::open(&it.path(), &options()).unwrap();
    assert!(!report.created);
    assert_eq!(it.wait(writer.close_interrupted()).unwrap(), 1);
    let state = it.reader().unfinished_hunt(suite().id()).unwrap().unwrap();
    assert_eq!((state.next_iteration, state.next_plan_index), (2, 2));
    assert_eq!(
        state.open_shards.iter().map(|s| s.id).collect::<Vec<_>>(),
        shards
    );
    let first = &state.open_shards[0];
    assert_eq!(
        (first.attempt, first.cause.map(|cause| cause.parent)),
        (1, Some(segment))
    );
    assert_eq!(first.finished, [(tests(1)[0].clone(), 1, Outcome::Failed)]);
    let closed = it.reader().segment(segment).unwrap();
    let close = closed.close.unwrap();
    assert_eq!(
        (close.end, close.interruption),
        (SegmentEnd::Interrupted, Some(Interruption::HuntDied))
    );
    assert_eq!(
        close.ended,
        MonoMicros(7_700),
        "the end of the last recorded trial"
    );
    assert_eq!(
        closed.trials[0].detail.as_deref(),
        Some(&b"E   assert 1 == 2"[..])
    );
    assert_eq!(
        it.wait(writer.resume_hunt(it.hunt, None, &lease()))
            .unwrap()
            .state,
        HuntState::Running
    );
    it.wait(writer.set_hunt_state(it.hunt, HuntState::Finished, None, UnixMillis(9)))
        .unwrap();
    assert_eq!(it.reader().unfinished_hunt(suite().id()).unwrap(), None);
    it.assert_sound();
}

#[test]
fn a_second_writer_learns_who_has_the_lock() {
    let it = Fixture::new(1);
    let Err(StoreError::Locked { holder, .. }) = Writer::open(&it.path(), &options()) else {
        panic!("two writers");
    };
    assert_eq!(
        (holder.pid, holder.since),
        (std::process::id(), UnixMillis(1_000))
    );
    it.writer.shutdown_blocking().unwrap();
    assert!(matches!(
        it.writer.shutdown_blocking(),
        Err(StoreError::ShutDown)
    ));
    let (_writer, report) = Writer::open(&it.path(), &options()).unwrap();
    assert_eq!(report.died, None, "a clean end leaves no holder");
}

fn refused(path: &Path) -> StoreError {
    let before = std::fs::read(path).unwrap();
    let error = Writer::open(path, &options()).map(|_| ()).unwrap_err();
    assert!(Reader::open(path).is_err());
    assert!(store::check(path).is_err());
    assert_eq!(
        std::fs::read(path).unwrap(),
        before,
        "{error}: the file was touched"
    );
    error
}

#[test]
fn newer_foreign_and_damaged_files_are_refused_untouched() {
    let it = Fixture::new(50);
    it.writer.shutdown_blocking().unwrap();
    let path = it.path();
    let sound = std::fs::read(&path).unwrap();

    let mut newer = sound.clone();
    newer[60..64].copy_from_slice(&7_u32.to_be_bytes());
    std::fs::write(&path, &newer).unwrap();
    assert!(matches!(refused(&path), StoreError::Newer { found: 7, .. }));

    let mut foreign = sound.clone();
    foreign[68..72].copy_from_slice(&42_u32.to_be_bytes());
    std::fs::write(&path, &foreign).unwrap();
    assert!(matches!(
        refused(&path),
        StoreError::Foreign {
            application_id: 42,
            ..
        }
    ));
    std::fs::write(&path, b"dear diary").unwrap();
    assert!(matches!(
        refused(&path),
        StoreError::Foreign {
            application_id: 0,
            ..
        }
    ));

    std::fs::write(&path, &sound[..sound.len() / 2]).unwrap();
    assert!(matches!(refused(&path), StoreError::Damaged { .. }));
    let mut garbled = sound.clone();
    garbled[100..4096].fill(0x5a);
    std::fs::write(&path, &garbled).unwrap();
    assert!(matches!(refused(&path), StoreError::Damaged { .. }));
}

#[test]
fn check_sees_a_changed_outcome() {
    let it = Fixture::new(3);
    let segment = it.segment(it.shard(plan(0, 3)), 3);
    it.close(segment, passed(0..3)).unwrap();
    it.writer.shutdown_blocking().unwrap();
    let connection = rusqlite::Connection::open(it.path()).unwrap();
    connection
        .execute("UPDATE trial SET result = 1 WHERE position = 2", [])
        .unwrap();
    drop(connection);
    let findings = store::check(&it.path()).unwrap().findings;
    assert!(
        findings.contains(&store::Finding::Digest { segment }),
        "{findings:?}"
    );
}

#[test]
fn a_backup_is_a_whole_database_and_replaces_nothing() {
    let it = Fixture::new(3);
    let segment = it.segment(it.shard(plan(0, 3)), 3);
    it.close(segment, passed(0..3)).unwrap();
    let copy = it.folder.path().join("copy.db");
    store::backup(&it.path(), &copy).unwrap();
    let again = store::backup(&it.path(), &copy).unwrap_err();
    assert!(matches!(again, StoreError::Exists { .. }), "{again}");
    assert_eq!(store::check(&copy).unwrap().trials, 3);
    let reader = Reader::open(&copy).unwrap();
    assert_eq!(
        reader.segment(segment).unwrap(),
        it.reader().segment(segment).unwrap()
    );
    assert_eq!(
        reader.database_id().unwrap(),
        it.reader().database_id().unwrap()
    );
}

#[test]
fn a_database_of_version_1_is_upgraded_to_the_schema_of_a_fresh_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hunt.db");
    let kept = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/store/version_1.db.zst"
    );
    let old = zstd::decode_all(std::fs::File::open(kept).unwrap()).unwrap();
    std::fs::write(&path, &old).unwrap();
    assert!(matches!(
        Reader::open(&path).err().unwrap(),
        StoreError::Older { found: 1, .. }
    ));
    let (writer, report) = Writer::open(&path, &options()).unwrap();
    let (version, copy) = report.upgraded.unwrap();
    assert_eq!(version, 1);
    assert!(copy.exists());
    assert_eq!(runtime().block_on(writer.close_interrupted()).unwrap(), 1);
    writer.shutdown_blocking().unwrap();

    let schema = |path: &Path| {
        let connection = rusqlite::Connection::open(path).unwrap();
        let sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)));
        let rows = rows.unwrap().collect::<Result<_, _>>();
        rows.unwrap()
    };
    let found: Vec<(String, String, String, Option<String>)> = schema(&path);
    assert_eq!(found, schema(&Fixture::new(1).path()));

    let reader = Reader::open(&path).unwrap();
    let state = reader.unfinished_hunt(suite().id()).unwrap().unwrap();
    assert_eq!((state.next_iteration, state.next_plan_index), (2, 2));
    assert_eq!(state.open_shards[0].finished.len(), 2);
    let reversed: Vec<TestId> = tests(4).into_iter().rev().collect();
    assert_eq!(state.open_shards[0].plan.explicit_order, Some(reversed));
    let failures = reader.failures(state.hunt.id, 9).unwrap();
    assert_eq!(failures[0].test, tests(3)[2]);
    let done = reader.shard(failures[0].shard).unwrap().plan;
    assert_eq!((done.iteration, done.factors[0].level.as_str()), (0, "7"));
    assert_eq!(store::check(&path).unwrap().findings, []);
}

#[test]
fn the_words_of_the_database_are_those_of_the_program() {
    let it = Fixture::new(1);
    let connection = rusqlite::Connection::open(it.path()).unwrap();
    let mut statement = connection
        .prepare("SELECT kind, code, word FROM word ORDER BY kind, code")
        .unwrap();
    let rows = statement
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .unwrap();
    let stored: Vec<(String, i64, String)> = rows.collect::<Result<_, _>>().unwrap();
    let mut known = Vec::new();
    macro_rules! words {
        ($($kind:literal $name:ident),+) => {
            $(known.extend($name::ALL.iter().map(|w| ($kind.to_owned(), w.code(), w.word().to_owned())));)+
        };
    }
    words!["answer" Answer, "arm" Arm, "design" Design, "grouping" Grouping, "hunt kind" HuntKind];
    words!["hunt state" HuntState, "interruption" Interruption, "outcome" Outcome, "question" Question];
    words!["reach" Reach, "role" Role, "segment end" SegmentEnd, "shard state" ShardState, "verdict" Verdict];
    assert_eq!(stored, known);
}

#[test]
fn the_views_of_the_shell_show_words() {
    let it = Fixture::new(3);
    let segment = it.segment(it.shard(plan(0, 3)), 3);
    it.close(segment, vec![trial(0, Outcome::Failed)]).unwrap();
    let connection = rusqlite::Connection::open(it.path()).unwrap();
    let row: (String, String, String) = connection
        .query_row("SELECT test, outcome, detail FROM trials", [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })
        .unwrap();
    assert_eq!(
        (row.0.as_str(), row.1.as_str()),
        ("tests/test_a.py::test_0", "failed")
    );
    let end: String = connection
        .query_row("SELECT \"end\" FROM segments", [], |r| r.get(0))
        .unwrap();
    assert_eq!(end, "completed");
}

#[test]
fn logs_are_kept_within_their_budget_and_never_outside_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<_> = (0..3)
        .map(|s| store::write_log(folder.path(), 1, s, format!("output {s}").as_bytes()).unwrap())
        .collect();
    assert_eq!(
        store::read_log(folder.path(), &names[1])
            .unwrap()
            .as_deref(),
        Some(&b"output 1"[..])
    );
    assert!(store::read_log(folder.path(), "logs/../../etc/passwd").is_err());
    for (age, name) in (1..).zip(&names) {
        let file = std::fs::File::options()
            .write(true)
            .open(folder.path().join(name))
            .unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(age * 100))
            .unwrap();
    }
    let one = folder.path().join(&names[2]).metadata().unwrap().len();
    let now = UnixMillis(400_000);
    assert_eq!(
        store::prune_logs(folder.path(), Duration::from_secs(250), u64::MAX, now)
            .unwrap()
            .files,
        1
    );
    assert_eq!(
        store::prune_logs(folder.path(), Duration::from_secs(1_000), one, now)
            .unwrap()
            .files,
        1
    );
    assert_eq!(store::read_log(folder.path(), &names[0]).unwrap(), None);
    assert!(store::read_log(folder.path(), &names[2]).unwrap().is_some());
    let large = vec![b'x'; 20 << 20];
    let name = store::write_log(folder.path(), 1, 9, &large).unwrap();
    assert!(
        store::read_log(folder.path(), &name)
            .unwrap()
            .unwrap()
            .len()
            < 9 << 20
    );
}

fn any_trials() -> impl Strategy<Value = Vec<TrialRecord>> {
    let one = (
        0..Outcome::ALL.len(),
        1..3_u8,
        prop::option::of(-1_000_000_000_000..1_000_000_000_000_i64),
        prop::option::of(0..100_000_000_u64),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
    );
    prop::collection::vec(one, 0..30).prop_map(|rows| {
        let row = |(position, (outcome, rep, started, duration, detail)): (
            u32,
            (usize, u8, _, Option<u64>, _),
        )| {
            TrialRecord {
                position,
                test: tests(position as usize + 1).pop().unwrap(),
                rep,
                outcome: Outcome::ALL[outcome],
                started: Option::map(started, MonoMicros),
                duration: duration.map(Duration::from_micros),
                detail,
            }
        };
        (0..).zip(rows).map(row).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_stored_is_what_is_loaded(trials in any_trials(), cuts in prop::collection::vec(0..30_usize, 2)) {
        let it = Fixture::new(30);
        let segment = it.segment(it.shard(plan(0, 30)), 30);
        let mut rest = trials.clone();
        for cut in cuts {
            let later = rest.split_off(cut.min(rest.len()));
            let receipt = it.wait(it.writer.record(segment, rest)).unwrap();
            // A commit of any kind takes the trials along.
            it.wait(it.writer.heartbeat(it.hunt, UnixMillis(1))).unwrap();
            it.wait(receipt.committed()).unwrap();
            rest = later;
        }
        let mut close = closing(SegmentEnd::Crashed);
        close.running = trials.last().map(|t| t.test.clone());
        close.usage = Usage { cpu: Some(Duration::from_micros(5)), peak_memory: Some(1 << 40), oom_kills: 1, stragglers: 2 };
        close.log = Some("logs/1/1.log.zst".into());
        it.wait(it.writer.close_segment(segment, close.clone(), rest)).unwrap();
        let loaded = it.reader().segment(segment).unwrap();
        prop_assert_eq!(loaded.trials, trials);
        prop_assert_eq!(loaded.close, Some(close));
        prop_assert_eq!(loaded.open.started, MonoMicros(5_000));
        it.assert_sound();
    }
}

/// Runs one test of this file again in a process of its own, which sees `case` in its environment.
fn again(test: &str, case: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("SOAKHOUND_STORE_CASE", case);
    command
}

fn case() -> Option<PathBuf> {
    std::env::var_os("SOAKHOUND_STORE_CASE").map(PathBuf::from)
}

/// Writes segments for ever, and says on standard output what was acknowledged: `segment trials`.
fn write_until_killed(path: &Path) {
    use std::io::Write;
    runtime().block_on(async {
        let (writer, _) = Writer::open(path, &options()).unwrap();
        let (hunt, revision) = match Reader::open(path)
            .unwrap()
            .unfinished_hunt(suite().id())
            .unwrap()
        {
            None => begin(&writer, 40).await,
            Some(state) => {
                writer.close_interrupted().await.unwrap();
                (
                    state.hunt.id,
                    writer
                        .register_revision(&revision_start(tests(40)))
                        .await
                        .unwrap(),
                )
            }
        };
        let mut next = Reader::open(path)
            .unwrap()
            .status(hunt)
            .unwrap()
            .shards_planned
            .cast_signed();
        let said = |segment: i64, trials: u32| {
            let mut out = std::io::stdout();
            writeln!(out, "acknowledged {segment} {trials}")
                .and_then(|()| out.flush())
                .unwrap();
        };
        loop {
            let shard = writer
                .plan_iteration(hunt, revision, &[plan(next, 40)])
                .await
                .unwrap()[0];
            let segment = writer.open_segment(&opening(shard, 40)).await.unwrap();
            for first in [0, 10, 20] {
                let receipt = writer
                    .record(segment, passed(first..first + 10))
                    .await
                    .unwrap();
                writer.heartbeat(hunt, UnixMillis(next)).await.unwrap();
                receipt.committed().await.unwrap();
                said(segment, first + 10);
            }
            writer
                .close_segment(segment, closing(SegmentEnd::Completed), passed(30..40))
                .await
                .unwrap();
            said(segment, 40);
            writer
                .close_shard(shard, ShardState::Finished)
                .await
                .unwrap();
            next += 1;
        }
    });
}

#[test]
fn kill_at_any_instant_loses_nothing_acknowledged() {
    use std::io::{BufRead, BufReader};
    if let Some(path) = case() {
        return write_until_killed(&path);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hunt.db");
    let mut acknowledged = std::collections::BTreeMap::new();
    let mut dice = 0x5eed_u64;
    for round in 0..20 {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let lines = usize::try_from(dice >> 60).unwrap() + 1;
        let test = "kill_at_any_instant_loses_nothing_acknowledged";
        let mut child = again(test, &path).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: &str| {
            let mut words = line
                .split_whitespace()
                .skip_while(|w| *w != "acknowledged")
                .skip(1);
            let mut number = || words.next().and_then(|w| w.parse::<i64>().ok());
            // The line that was being written at the kill may be cut.
            if let (Some(segment), Some(trials)) = (number(), number()) {
                acknowledged.insert(segment, trials);
            }
        };
        // The kill falls on whatever the child is doing when its n-th line has come through.
        for line in output
            .by_ref()
            .filter(|l| l.as_ref().is_ok_and(|l| l.contains("acknowledged")))
            .take(lines)
        {
            note(&line.unwrap());
        }
        child.kill().unwrap();
        output.for_each(|line| note(&line.unwrap()));
        child.wait().unwrap();

        let report = store::check(&path).unwrap();
        assert_eq!(report.findings, [], "round {round}");
        let reader = Reader::open(&path).unwrap();
        for (segment, trials) in &acknowledged {
            let found = reader.segment(*segment).unwrap().trials.len();
            assert!(
                found >= usize::try_from(*trials).unwrap(),
                "segment {segment}: {found} of {trials}"
            );
        }
    }
    assert!(acknowledged.len() > 20);
    let (_writer, start) = Writer::open(&path, &options()).unwrap();
    assert!(
        start.died.is_some_and(|holder| holder.pid > 0),
        "the lock file names the last one killed"
    );
}

/// Fills a small file system while a segment is running. Runs in a mount namespace of its own.
fn fill_the_disk(folder: &Path) {
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16M", "none"])
        .arg(folder)
        .status()
        .unwrap();
    assert!(mounted.success());
    runtime().block_on(async {
        let path = folder.join("hunt.db");
        let options = OpenOptions {
            reserve: 64 << 20,
            now: UnixMillis(1),
        };
        let (writer, _) = Writer::open(&path, &options).unwrap();
        assert!(folder.join("hunt.db.ballast").metadata().unwrap().len() > 100_000);
        let (hunt, revision) = begin(&writer, 40).await;
        let shard = writer
            .plan_iteration(hunt, revision, &[plan(0, 40)])
            .await
            .unwrap()[0];
        let segment = writer.open_segment(&opening(shard, 40)).await.unwrap();
        // Logs and other files take all the space there is.
        let filled = std::fs::write(folder.join("filler"), vec![1_u8; 17 << 20]).unwrap_err();
        assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull);
        let mut trials = passed(0..40);
        for (trial, text) in trials.iter_mut().zip(1..) {
            trial.detail = Some(vec![text; 4_000]);
        }
        writer
            .close_segment(segment, closing(SegmentEnd::Completed), trials)
            .await
            .unwrap();
        assert!(
            !folder.join("hunt.db.ballast").exists(),
            "the reserve was given up"
        );
        let refused = writer.open_segment(&opening(shard, 1)).await.unwrap_err();
        assert!(matches!(refused, StoreError::DiskFull { .. }), "{refused}");
        writer
            .close_shard(shard, ShardState::Finished)
            .await
            .unwrap();
        writer
            .set_hunt_state(
                hunt,
                HuntState::Failed,
                Some("disk full".into()),
                UnixMillis(3),
            )
            .await
            .unwrap();
        let ended = writer.shutdown().await;
        assert!(ended.is_ok() || matches!(ended, Err(StoreError::DiskFull { .. })));
        let report = store::check(&path).unwrap();
        assert_eq!((report.trials, report.findings), (40, Vec::new()));
        std::fs::write(folder.with_extension("survived"), "").unwrap();
    });
}

#[test]
fn a_full_disk_loses_no_commit_and_stops_new_work() {
    if let Some(folder) = case() {
        return fill_the_disk(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let inner = again("a_full_disk_loses_no_commit_and_stops_new_work", &disk);
    let mut outer = Command::new("unshare");
    // Root needs no user namespace of its own, and some hosts forbid them.
    if !rustix::process::geteuid().is_root() {
        outer.args(["--user", "--map-root-user"]);
    }
    outer
        .arg("--mount")
        .arg(inner.get_program())
        .args(inner.get_args());
    let output = outer.env("SOAKHOUND_STORE_CASE", &disk).output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(disk.with_extension("survived").exists(), "{out}\n{err}");
}
