//! The stream of a hunt: plans iterations as workers ask for shards, remembers which are open, tells when
//! an iteration is complete. The plan of an iteration is durable before its first shard is given out.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::factors::{self, seed32, variables};
use crate::{
    config::Factor,
    execute::{Assignment, Of, ShardEnd},
    model::{Layout, ListDigest, ShardPlan, ShardState, SuiteId, TestId},
    plan::{ALGORITHM, Campaign, IterationSeed, Planned, Tests, Trial, assign, predicted_longest},
    store::{OpenShard, Reader, RevisionId, StoreError, Writer},
};

/// Iterations between two looks at the recorded durations, once a hunt is under way.
const RELOAD_EVERY: u64 = 16;

/// What a hunt has to run, and what of it is under way.
pub(super) struct Stream {
    pub(super) reader: Reader,
    pub(super) suite: SuiteId,
    pub(super) writer: Writer,
    pub(super) hunt: i64,
    pub(super) revision: RevisionId,
    pub(super) campaign: Campaign,
    pub(super) tests: Arc<Tests>,
    /// Recorded durations in default order.
    pub(super) durations: Vec<Option<Duration>>,
    /// The factors of `[factors]`.
    pub(super) factors: Vec<Factor>,
    /// Layouts with a longer predicted shard are not drawn.
    pub(super) max_shard: Duration,
    /// When the hunt ends, where that is known: shards that cannot end before are not drawn.
    pub(super) deadline: Option<Instant>,
    /// Total of complete iterations asked for.
    pub(super) iterations: Option<u64>,
    /// Next iteration to plan.
    pub(super) next_iteration: u64,
    pub(super) next_plan_index: i64,
    /// Planned and not given out.
    pub(super) queue: VecDeque<Assignment>,
    pub(super) open: Open,
}

/// Two counts that the display reads while the stream counts on.
#[derive(Clone, Debug)]
pub(super) struct Counters(Arc<[AtomicU64; 2]>);

impl Counters {
    fn new(iterations: u64, shards: u64) -> Self {
        Self(Arc::new([
            AtomicU64::new(iterations),
            AtomicU64::new(shards),
        ]))
    }

    /// Returns the complete iterations and the closed shards.
    pub(super) fn read(&self) -> (u64, u64) {
        (
            self.0[0].load(Ordering::Relaxed),
            self.0[1].load(Ordering::Relaxed),
        )
    }

    fn count_iteration(&self) {
        self.0[0].fetch_add(1, Ordering::Relaxed);
    }

    fn count_shard(&self) {
        self.0[1].fetch_add(1, Ordering::Relaxed);
    }
}

/// Shards that are planned and not over, and iterations that wait for them.
pub(super) struct Open {
    /// Iteration of each open shard.
    shards: BTreeMap<i64, i64>,
    /// Number of open shards of each iteration.
    left: BTreeMap<i64, usize>,
    /// Complete iterations and closed shards, for whoever shows them.
    pub(super) counters: Counters,
}

impl Open {
    /// Starts with `complete` iterations and `closed` shards.
    pub(super) fn new(complete: u64, closed: u64) -> Self {
        Self {
            shards: BTreeMap::new(),
            left: BTreeMap::new(),
            counters: Counters::new(complete, closed),
        }
    }

    pub(super) fn insert(&mut self, shard: i64, iteration: i64) {
        self.shards.insert(shard, iteration);
        *self.left.entry(iteration).or_default() += 1;
    }

    /// Returns the first iteration that waits for a shard.
    fn first_open(&self) -> Option<i64> {
        self.left.keys().next().copied()
    }

    fn close(&mut self, shard: i64) {
        let Some(iteration) = self.shards.remove(&shard) else {
            return;
        };
        self.counters.count_shard();
        let left = self
            .left
            .get_mut(&iteration)
            .expect("an open shard's iteration waits for it");
        *left -= 1;
        if *left == 0 {
            self.left.remove(&iteration);
            self.counters.count_iteration();
        }
    }
}

/// Names the trials of an order.
pub(super) fn named(order: &[Trial], tests: &Tests) -> Vec<(TestId, u8)> {
    order
        .iter()
        .map(|trial| (tests.name(trial.test).clone(), trial.rep))
        .collect()
}

impl Stream {
    fn known(&self) -> BTreeMap<&TestId, Duration> {
        let known = self.tests.names().iter().zip(&self.durations);
        known
            .filter_map(|(test, duration)| Some((test, (*duration)?)))
            .collect()
    }

    /// Returns the plan of an iteration whose shards fit `max_shard` and the time that is left; `None` when the
    /// time that is left is too short for any. A suite too long for every layout is still hunted, cut as finely
    /// as its CI does.
    fn layout_of(&self, number: u64, room: Option<Duration>) -> Option<Planned> {
        let guess = IterationSeed::of_iteration(self.campaign.master, self.campaign.nonce, number);
        let fits = |layout: &Layout, most: Duration| {
            predicted_longest(*layout, guess, &self.tests, &self.durations)
                .is_ok_and(|longest| longest <= most)
        };
        let most = room.map_or(self.max_shard, |room| room.min(self.max_shard));
        let planned = self
            .campaign
            .iteration(number, &|layout| fits(layout, most));
        let finest = |layout: &Layout| {
            layout.shards >= self.campaign.ci_shards && room.is_none_or(|room| fits(layout, room))
        };
        planned.or_else(|| self.campaign.iteration(number, &finest))
    }

    /// Plans the next iteration and queues its shards; `false` when there is none.
    async fn plan(&mut self) -> Result<bool, StoreError> {
        if self
            .iterations
            .is_some_and(|total| self.next_iteration >= total)
        {
            return Ok(false);
        }
        let number = self.next_iteration;
        if is_time_to_reload(number) {
            self.durations = durations(&self.reader, self.suite, &self.tests)?;
        }
        let room = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let Some(planned) = self.layout_of(number, room) else {
            return Ok(false);
        };
        let shards = assign(planned.layout, planned.seed, &self.tests)
            .expect("the schedule only gives valid layouts");
        let mut plans = Vec::new();
        let mut orders = Vec::new();
        for (shard, order) in (0_u16..).zip(shards).filter(|(_, order)| !order.is_empty()) {
            let order = named(&order, &self.tests);
            plans.push(ShardPlan {
                plan_index: self.next_plan_index + i64::try_from(plans.len()).expect("few shards"),
                iteration: i64::try_from(number).expect("fewer iterations than 2^63"),
                shard,
                seed: planned.seed.0,
                algorithm: ALGORITHM,
                layout: planned.layout,
                drawn_with: planned.drawn_with,
                trials: u32::try_from(order.len()).expect("an order has fewer than 2^32 places"),
                order: ListDigest::of(order.iter().map(|(test, _)| test)),
                explicit_order: None,
                factors: factors::levels(&self.factors, &[], planned.seed, planned.layout, shard),
            });
            orders.push(order);
        }
        let rows = self
            .writer
            .plan_iteration(self.hunt, self.revision, &plans)
            .await?;
        let known = self.known();
        let queued: Vec<Assignment> = rows
            .iter()
            .zip(&plans)
            .zip(orders)
            .map(|((row, plan), order)| Assignment {
                shard: *row,
                attempts: 0,
                predicted: predicted(&order, &known),
                order,
                of: Of::Suite,
                probe: None,
                cause: None,
                factors: variables(&plan.factors),
                seed32: seed32(planned.seed, planned.layout, plan.shard),
            })
            .collect();
        drop(known);
        for (row, plan) in rows.iter().zip(&plans) {
            self.open.insert(*row, plan.iteration);
        }
        self.next_plan_index += i64::try_from(plans.len()).expect("few shards");
        self.next_iteration += 1;
        self.queue.extend(queued);
        Ok(true)
    }

    /// Queues a shard that an earlier process left open: what is left of it, in unchanged order.
    pub(super) fn resume(&mut self, shard: &OpenShard) {
        let plan = &shard.plan;
        let seed = IterationSeed(plan.seed);
        let order = if let Some(tests) = &plan.explicit_order {
            tests.iter().map(|test| (test.clone(), 1)).collect()
        } else {
            let all = assign(plan.layout, seed, &self.tests).expect("a recorded layout is valid");
            named(&all[usize::from(plan.shard)], &self.tests)
        };
        let over: BTreeSet<(&TestId, u8)> = shard
            .finished
            .iter()
            .map(|(test, rep, _)| (test, *rep))
            .collect();
        let is_left = |trial: &&(TestId, u8)| !over.contains(&(&trial.0, trial.1));
        let left: Vec<(TestId, u8)> = order.iter().filter(is_left).cloned().collect();
        self.open.insert(shard.id, plan.iteration);
        let known = self.known();
        let predicted = predicted(&left, &known);
        drop(known);
        self.queue.push_back(Assignment {
            shard: shard.id,
            attempts: shard.attempt,
            predicted,
            order: left,
            of: Of::Suite,
            probe: None,
            cause: shard.cause,
            factors: variables(&plan.factors),
            seed32: seed32(seed, plan.layout, plan.shard),
        });
    }
}

/// Predicts how long an order takes; unknown tests count as the median of the known.
fn predicted(order: &[(TestId, u8)], durations: &BTreeMap<&TestId, Duration>) -> Duration {
    let mut known: Vec<Duration> = durations.values().copied().collect();
    known.sort_unstable();
    let median = known.get(known.len() / 2).copied().unwrap_or_default();
    order
        .iter()
        .map(|(test, _)| durations.get(test).copied().unwrap_or(median))
        .sum()
}

/// The iterations, for a source that mixes other things in.
impl Stream {
    /// Plans and returns the next shard, its plan durable already; `None` when there is no more to give.
    ///
    /// # Errors
    /// When the record is broken.
    pub(super) async fn take(&mut self) -> Result<Option<Assignment>, StoreError> {
        loop {
            if let Some(assignment) = self.queue.pop_front() {
                return Ok(Some(assignment));
            }
            if !self.plan().await? {
                return Ok(None);
            }
        }
    }

    /// Hears that a shard is over.
    pub(super) fn ended(&mut self, shard: i64, end: ShardEnd) {
        match end {
            ShardEnd::Done | ShardEnd::HostFailed | ShardEnd::Uncollected => {
                self.open.close(shard);
            }
            ShardEnd::Interrupted => {}
        }
    }

    /// Is every shard that was planned closed?
    pub(super) fn is_over(&self) -> bool {
        self.open.shards.is_empty()
    }

    /// Takes places in the hunt's stream of shards for probes; returns the first.
    pub(super) fn places(&mut self, probes: usize) -> i64 {
        let first = self.next_plan_index;
        self.next_plan_index += i64::try_from(probes).expect("few probes");
        first
    }

    /// Returns the iteration up to which, inclusive, every shard is closed: the watermark in iterations; -1 before
    /// the first.
    pub(super) fn closed(&self) -> i64 {
        let planned = i64::try_from(self.next_iteration).expect("fewer iterations than 2^63");
        self.open.first_open().unwrap_or(planned) - 1
    }

    /// Predicts how long an order takes.
    pub(super) fn predicted(&self, order: &[(TestId, u8)]) -> Duration {
        predicted(order, &self.known())
    }
}

/// Are the recorded durations to be read again at this iteration? What a night has shown of them counts in the same
/// night: often at first, then now and then.
pub(super) fn is_time_to_reload(iteration: u64) -> bool {
    iteration.is_power_of_two() || iteration.is_multiple_of(RELOAD_EVERY)
}

/// Recorded durations in default order.
pub(super) fn durations(
    reader: &Reader,
    suite: SuiteId,
    tests: &Tests,
) -> Result<Vec<Option<Duration>>, StoreError> {
    let known: BTreeMap<_, _> = reader.durations(suite)?.into_iter().collect();
    let names = tests.names().iter();
    Ok(names.map(|test| known.get(test).copied()).collect())
}

/// Closes for good a shard that cannot run as it was planned any more.
pub(super) async fn abandon(stream: &mut Stream, shard: &OpenShard) -> Result<(), StoreError> {
    stream.open.insert(shard.id, shard.plan.iteration);
    stream.open.close(shard.id);
    let given_up = ShardState::Abandoned;
    stream.writer.close_shard(shard.id, given_up).await
}
