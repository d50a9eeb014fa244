//! A database made by hand through the store's own writer: iterations, probes, flags, how the analysis stands.

use std::path::Path;
use std::time::Duration;

use soakhound::model::{
    Answer, Arm, Count, Design, Flag, Group, Grouping, HuntKind, HuntState, Layout, ListDigest,
    MonoMicros, Opened, Outcome, Probe, Question, QuestionId, Recipe, Reply, Role, SegmentClose,
    SegmentEnd, SegmentOpen, ShardPlan, ShardState, TestId, TrialRecord, UnixMillis, Usage,
    Verdict,
};
use soakhound::store::{
    AnalysisRow, FlagStart, HuntStart, LeaseStart, OpenOptions, PlannedProbe, ProbeBatch,
    RevisionId, RevisionStart, SuiteKey, Writer,
};

/// When everything of these records happened: 2026-11-22T01:14:00Z.
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_310_040_000);

/// A hunt of the suite `made`, under way.
pub(crate) struct Record {
    writer: Writer,
    runtime: tokio::runtime::Runtime,
    hunt: i64,
    revision: RevisionId,
    next: i64,
    iterations: i64,
    questions: u32,
    /// What failures say, in turn.
    says: Vec<Vec<u8>>,
}

/// Returns a test of this name.
pub(crate) fn test(name: impl AsRef<[u8]>) -> TestId {
    TestId::new(name.as_ref()).unwrap()
}

/// Returns a count.
pub(crate) fn count(failures: u64, trials: u64) -> Count {
    Count { failures, trials }
}

/// Returns a certified flag without a cause.
pub(crate) fn flag(name: impl AsRef<[u8]>, verdict: Verdict, soak: Count) -> Flag {
    Flag {
        certified: true,
        soak,
        ..Flag::bare(Some(test(name)), verdict)
    }
}

/// Returns a certified group.
pub(crate) fn group(role: Role, members: &[&str]) -> Group {
    Group {
        role,
        members: members.iter().map(test).collect(),
        adjacent: false,
        with: count(6, 6),
        with_decoy: count(0, 6),
        without: count(0, 6),
        ln_e: 4096_f64.ln() + 1e-9,
    }
}

/// Returns a victim of these polluters, any of which suffices, with its recipe.
pub(crate) fn victim(name: &str, polluters: &[&str], soak: Count) -> Flag {
    Flag {
        groups: polluters
            .iter()
            .map(|polluter| group(Role::Polluter, &[polluter]))
            .collect(),
        recipe: Some(Recipe {
            order: vec![(test(polluters[0]), 1), (test(name), 1)],
            factors: Vec::new(),
            beside: Vec::new(),
            seen: count(6, 6),
            repeat: 2,
            repeat_at_worst: 4,
        }),
        ln_e: Some(4096_f64.ln() + 1e-9),
        ..flag(name, Verdict::OdVictim, soak)
    }
}

/// Returns a probe with these tests in one process.
pub(crate) fn probe(question: Question, arm: Arm, order: &[&str]) -> Probe {
    Probe {
        victim: test(order.last().unwrap()),
        question,
        block: (arm != Arm::Single).then_some(0),
        arm,
        turn: 0,
        processes: vec![order.iter().map(|name| (test(name), 1)).collect()],
        beside: Vec::new(),
        factors: Vec::new(),
    }
}

impl Record {
    /// Begins a hunt of these tests.
    pub(crate) fn new(database: &Path, tests: &[impl AsRef<[u8]>]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let options = OpenOptions {
            reserve: 1 << 20,
            now: NOW,
        };
        let (writer, _) = Writer::open(database, &options).unwrap();
        let suite = SuiteKey {
            name: "made".into(),
            runner: "pytest".into(),
        };
        let start = HuntStart {
            suite: suite.clone(),
            kind: HuntKind::Hunt,
            master_seed: 7,
            nonce: [9; 16],
            algorithm: 1,
            config: serde_json::json!({}),
            ends: None,
            lease: LeaseStart {
                host: "host".into(),
                boot_id: "boot".into(),
                pid: 7,
                tool: "0.1.0".into(),
                workers: 2,
                at: NOW,
            },
        };
        let revision = RevisionStart {
            suite,
            tests: tests.iter().map(test).collect(),
            snapshot: [1; 32],
            environment: [2; 32],
            git: Some("9f3c2e1".into()),
            at: NOW,
        };
        let (hunt, revision) = runtime.block_on(async {
            let hunt = writer.begin_hunt(&start).await.unwrap();
            (hunt.id, writer.register_revision(&revision).await.unwrap())
        });
        Self {
            writer,
            runtime,
            hunt,
            revision,
            next: 0,
            iterations: 0,
            questions: 0,
            says: vec![b"AssertionError: not \x1b[31mempty".to_vec()],
        }
    }

    /// Changes the suite: these are its tests from now on.
    pub(crate) fn relist(&mut self, tests: &[&str]) {
        let revision = RevisionStart {
            suite: SuiteKey {
                name: "made".into(),
                runner: "pytest".into(),
            },
            tests: tests.iter().map(test).collect(),
            snapshot: [3; 32],
            environment: [2; 32],
            git: Some("8d02f11".into()),
            at: NOW,
        };
        let registered = self.writer.register_revision(&revision);
        self.revision = self.runtime.block_on(registered).unwrap();
    }

    /// Lets failures say these texts from now on, in turn.
    pub(crate) fn say(&mut self, texts: Vec<Vec<u8>>) {
        self.says = texts;
    }

    /// Records one iteration in one shard with these outcomes in this order.
    pub(crate) fn iteration(&mut self, outcomes: &[(impl AsRef<[u8]>, Outcome)]) {
        let order = ListDigest::of(
            &outcomes
                .iter()
                .map(|(name, _)| test(name))
                .collect::<Vec<_>>(),
        );
        let trials = u32::try_from(outcomes.len()).unwrap();
        let plan = ShardPlan {
            plan_index: self.next,
            iteration: self.iterations,
            shard: 0,
            seed: self.next.unsigned_abs(),
            algorithm: 1,
            layout: Layout {
                design: Design::Free,
                shards: 1,
                grouping: Grouping::Interleaved,
                class: 0,
            },
            drawn_with: 0.25,
            trials,
            order,
            explicit_order: None,
            factors: Vec::new(),
        };
        (self.next, self.iterations) = (self.next + 1, self.iterations + 1);
        let says = self
            .says
            .iter()
            .cycle()
            .skip(usize::try_from(self.next).unwrap() * self.says.len() / 2);
        let trial =
            |((position, (name, outcome)), text): ((u32, &(_, Outcome)), &Vec<u8>)| TrialRecord {
                position,
                test: test(name),
                rep: 1,
                outcome: *outcome,
                started: Some(MonoMicros(i64::from(position) * 1_000)),
                duration: Some(Duration::from_micros(900)),
                detail: outcome.is_failing().then(|| text.clone()),
            };
        let trials: Vec<TrialRecord> = (0..).zip(outcomes).zip(says).map(trial).collect();
        self.runtime.block_on(async {
            let shard = self
                .writer
                .plan_iteration(self.hunt, self.revision, &[plan])
                .await
                .unwrap()[0];
            let open = SegmentOpen {
                shard,
                attempt: 1,
                cause: None,
                trials: u32::try_from(trials.len()).unwrap(),
                order,
                worker: 0,
                started: MonoMicros(0),
                started_at: NOW,
                load_milli: None,
                cpu_pressure_milli: None,
                beside: Vec::new(),
            };
            let segment = self.writer.open_segment(&open).await.unwrap();
            let close = SegmentClose {
                end: SegmentEnd::Completed,
                interruption: None,
                ended: MonoMicros(1_000_000),
                ended_at: NOW,
                running: None,
                exit: Some(0),
                usage: Usage::default(),
                order_differs: false,
                reason: None,
                log: None,
            };
            self.writer
                .close_segment(segment, close, trials)
                .await
                .unwrap();
            self.writer
                .close_shard(shard, ShardState::Finished)
                .await
                .unwrap();
        });
    }

    /// Records a question with its probes and what they showed; returns the rows of their shards.
    pub(crate) fn question(
        &mut self,
        attempt: bool,
        probes: &[(Probe, Option<Answer>)],
    ) -> Vec<i64> {
        let first = &probes[0].0;
        let batch = ProbeBatch {
            hunt: self.hunt,
            revision: self.revision,
            question: QuestionId(self.questions),
            opened: Some(Opened {
                victim: first.victim.clone(),
                question: first.question,
                attempt,
                parameters: serde_json::json!({}),
            }),
            at: NOW,
            probes: (0..)
                .zip(self.next..)
                .zip(probes)
                .map(|((place, plan_index), (probe, _))| PlannedProbe {
                    place,
                    probe: probe.clone(),
                    plan_index,
                    seed: 3,
                    factors: Vec::new(),
                })
                .collect(),
        };
        self.questions += 1;
        self.next += i64::try_from(probes.len()).unwrap();
        self.runtime.block_on(async {
            let shards = self.writer.plan_probes(&batch).await.unwrap();
            for (shard, (_, answer)) in shards.iter().zip(probes) {
                let Some(answer) = answer else { continue };
                let reply = Reply {
                    answer: *answer,
                    first: None,
                    levels: Vec::new(),
                    died_in: None,
                    hours: 1.0,
                    seconds: 0.5,
                };
                self.writer.answer_probe(*shard, &reply).await.unwrap();
            }
            shards
        })
    }

    /// Raises a flag.
    pub(crate) fn raise(&self, flag: Flag, token: Option<&str>) {
        let start = FlagStart {
            hunt: self.hunt,
            revision: self.revision,
            at: NOW,
            flag,
            token: token.map(str::to_owned),
        };
        self.runtime
            .block_on(self.writer.raise_flag(start))
            .unwrap();
    }

    /// Writes how the analysis stands.
    pub(crate) fn analysis(&self, change: impl FnOnce(&mut AnalysisRow)) {
        let mut row = AnalysisRow {
            at: NOW,
            hunt: self.hunt,
            iterations: self.iterations.unsigned_abs(),
            attempts: 0,
            pair_coverage: 0.25,
            canary: None,
            suspected: Vec::new(),
            fixed: Vec::new(),
        };
        change(&mut row);
        self.runtime
            .block_on(self.writer.put_analysis(row, Vec::new()))
            .unwrap();
    }

    /// Ends the hunt and closes the database.
    pub(crate) fn finish(self) {
        let reason = Some("done".to_owned());
        self.runtime.block_on(async {
            self.writer
                .set_hunt_state(self.hunt, HuntState::Finished, reason, NOW)
                .await
                .unwrap();
            self.writer.shutdown().await.unwrap();
        });
    }
}
