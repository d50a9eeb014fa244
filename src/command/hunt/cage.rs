//! The canary of a hunt: a small hunt of our own beside the user's, in rows of its own suite, with an analysis of its
//! own. It takes about a hundredth of the time, so a short hunt has none.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use tokio::time::Instant;

use super::{
    analysis::{Analysis, Over},
    desk::DeskStart,
    herald::{CanaryState, Herald},
};
use crate::{
    command::{
        canary,
        factors::seed32,
        probing::{self, Planner},
        stream::named,
    },
    diagnose::Policy,
    execute::{Assignment, Of, ShardEnd},
    model::{
        Clock, Design, Grouping, HuntKind, HuntState, Layout, ListDigest, ShardPlan, ShardState,
        SystemClock,
    },
    plan::{ALGORITHM, HuntNonce, IterationSeed, MasterSeed, Tests, assign},
    store::{HuntStart, LeaseStart, Reader, RevisionStart, StoreError, SuiteKey, Writer},
    suite::Runner,
};

/// Share of the workers' time. One in a hundred finds a blind hunt within a night and costs nobody anything.
const SHARE: f64 = 0.01;

/// How long a run of it is taken to last before any was seen.
const FIRST_GUESS: Duration = Duration::from_millis(600);

/// Every run in one shard and a random order: the pair then shows in half of them.
const LAYOUT: Layout = Layout {
    design: Design::Free,
    shards: 1,
    grouping: Grouping::Interleaved,
    class: 0,
};

/// A canary's hunt under way.
pub(super) struct Cage {
    planner: Planner,
    tests: Arc<Tests>,
    analysis: Analysis,
    next_iteration: u64,
    next_plan_index: i64,
    queue: VecDeque<Assignment>,
    /// Probes under way, by row.
    asked: BTreeMap<i64, Over>,
    /// Runs under way, by row.
    runs: BTreeSet<i64>,
    /// When what is under way was given out.
    given: BTreeMap<i64, Instant>,
    spent: Duration,
    ended: u32,
}

/// What a canary's hunt is begun with.
pub(super) struct CageStart {
    /// Name of the user's suite.
    pub(super) suite: String,
    pub(super) runner: &'static dyn Runner,
    pub(super) environment: [u8; 32],
    pub(super) lease: LeaseStart,
    /// Seed and nonce of the user's hunt.
    pub(super) seeds: (MasterSeed, HuntNonce),
    pub(super) database: PathBuf,
    pub(super) writer: Writer,
    /// How the canary stands, for the analysis of the user's suite.
    pub(super) state: CanaryState,
}

impl Cage {
    /// Takes up the canary's hunt of this suite, or begins it.
    ///
    /// # Errors
    /// When the record is broken.
    pub(super) async fn open(start: CageStart) -> Result<Self, StoreError> {
        let key = SuiteKey {
            name: format!("canary of {}", start.suite),
            runner: start.runner.name().to_owned(),
        };
        let tests = Arc::new(canary::suite(start.runner));
        let writer = start.writer;
        let revision = writer
            .register_revision(&RevisionStart {
                suite: key.clone(),
                tests: tests.names().to_vec(),
                snapshot: [0; 32],
                environment: start.environment,
                git: None,
                at: SystemClock.now(),
            })
            .await?;
        let unfinished = Reader::open(&start.database)?.unfinished_hunt(key.id())?;
        let (hunt, next) = if let Some(state) = unfinished {
            for shard in &state.open_shards {
                let given_up = ShardState::Abandoned;
                writer.close_shard(shard.id, given_up).await?;
            }
            let hunt = writer.resume_hunt(state.hunt.id, None, &start.lease);
            (hunt.await?, (state.next_iteration, state.next_plan_index))
        } else {
            let begun = HuntStart {
                suite: key.clone(),
                kind: HuntKind::Hunt,
                master_seed: start.seeds.0.0,
                nonce: start.seeds.1.0,
                algorithm: ALGORITHM,
                config: json!({ "canary": true }),
                ends: None,
                lease: start.lease,
            };
            (writer.begin_hunt(&begun).await?, (0, 0))
        };
        let planner = Planner {
            writer: writer.clone(),
            hunt: hunt.id,
            revision,
            master: MasterSeed(hunt.master_seed),
            nonce: HuntNonce(hunt.nonce),
            factors: Vec::new(),
        };
        let desk = DeskStart {
            database: start.database,
            suite: key.id(),
            hunt: hunt.id,
            revision,
            durations: vec![None; tests.len()],
            tests: Arc::clone(&tests),
            runner: start.runner,
            policy: Policy::default(),
        };
        let herald = Herald {
            hunt: hunt.id,
            revision,
            workers: 1,
            voice: None,
            canary: start.state,
        };
        Ok(Self {
            planner,
            tests,
            analysis: Analysis::start(desk, herald, writer),
            next_iteration: u64::try_from(next.0).unwrap_or(0),
            next_plan_index: next.1,
            queue: VecDeque::new(),
            asked: BTreeMap::new(),
            runs: BTreeSet::new(),
            given: BTreeMap::new(),
            spent: Duration::ZERO,
            ended: 0,
        })
    }

    /// Is it its turn, after so much time of all workers?
    pub(super) fn is_due(&self, time: Duration) -> bool {
        self.given.is_empty() && is_due(self.spent, self.ended, time)
    }

    /// Returns the next thing to run: a probe, else an iteration.
    pub(super) async fn next(&mut self) -> Result<Assignment, StoreError> {
        if self.queue.is_empty()
            && let Some(asked) = self.analysis.batch()?
        {
            let (question, first) = (asked.question, self.next_plan_index);
            let planned = self.planner.plan(asked, first).await?;
            self.next_plan_index += i64::try_from(planned.len()).expect("few probes");
            for (shard, planned) in planned {
                let predicted = FIRST_GUESS;
                self.queue
                    .push_back(probing::assignment(shard, &planned, predicted, Of::Canary));
                self.asked.insert(shard, Over::of(shard, question, planned));
            }
        }
        let assignment = match self.queue.pop_front() {
            Some(assignment) => assignment,
            None => self.run().await?,
        };
        self.given.insert(assignment.shard, Instant::now());
        Ok(assignment)
    }

    /// Plans an iteration.
    async fn run(&mut self) -> Result<Assignment, StoreError> {
        let (number, planner) = (self.next_iteration, &self.planner);
        let seed = IterationSeed::of_iteration(planner.master, planner.nonce, number);
        let shards = assign(LAYOUT, seed, &self.tests).expect("the layout is valid");
        let order = named(&shards[0], &self.tests);
        let plan = ShardPlan {
            plan_index: self.next_plan_index,
            iteration: i64::try_from(number).expect("fewer iterations than 2^63"),
            shard: 0,
            seed: seed.0,
            algorithm: ALGORITHM,
            layout: LAYOUT,
            drawn_with: 1.0,
            trials: u32::try_from(order.len()).expect("the canary has few tests"),
            order: ListDigest::of(order.iter().map(|(test, _)| test)),
            explicit_order: None,
            factors: Vec::new(),
        };
        let rows = planner
            .writer
            .plan_iteration(planner.hunt, planner.revision, &[plan])
            .await?;
        self.next_iteration += 1;
        self.next_plan_index += 1;
        self.runs.insert(rows[0]);
        Ok(canary::assignment(rows[0], order, seed32(seed, LAYOUT, 0)))
    }

    /// Hears that a shard is over; `false` when it is none of its own.
    pub(super) fn ended(&mut self, shard: i64, end: ShardEnd) -> bool {
        let Some(given) = self.given.remove(&shard) else {
            return false;
        };
        self.spent += given.elapsed();
        self.ended += 1;
        let is_run = self.runs.remove(&shard);
        let over = self.asked.remove(&shard);
        if end != ShardEnd::Interrupted {
            if is_run {
                self.analysis.closed();
            }
            if let Some(over) = over {
                self.analysis.ended(over);
            }
        }
        true
    }

    /// Ends it for this process.
    ///
    /// # Errors
    /// When the record is broken.
    pub(super) async fn close(self) -> Result<(), StoreError> {
        let (_, closed) = self.analysis.close().await;
        closed?;
        let planner = self.planner;
        let (state, now) = (HuntState::Interrupted, SystemClock.now());
        planner
            .writer
            .set_hunt_state(planner.hunt, state, None, now)
            .await
    }
}

/// Does another run fit its share?
pub(super) fn is_due(spent: Duration, ended: u32, time: Duration) -> bool {
    let next = spent.checked_div(ended).unwrap_or(FIRST_GUESS);
    (spent + next).as_secs_f64() <= SHARE * time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_due_once_a_hundredth_of_the_time_pays_for_it() {
        let seconds = Duration::from_secs;
        assert!(!is_due(Duration::ZERO, 0, seconds(59)));
        assert!(is_due(Duration::ZERO, 0, seconds(60)));
        // Two runs took four seconds; a third takes two.
        assert!(!is_due(seconds(4), 2, seconds(599)));
        assert!(is_due(seconds(4), 2, seconds(600)));
    }
}
