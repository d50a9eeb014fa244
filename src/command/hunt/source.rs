//! What a hunt's workers get: now and then the canary, the questions of the analysis, which keep to their share of the
//! time by themselves, then the iterations. When no iteration is left, what is open still.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    analysis::{Analysis, Over},
    cage::{self, Cage, CageStart},
    herald::Voice,
};
use crate::{
    command::{
        probing::{self, Planner},
        roster::Asked,
        stream::Stream,
    },
    execute::{Assignment, Next, Of, ShardEnd, Source},
    model::Question,
    store::StoreError,
};

/// A shard that is no part of an iteration of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aside {
    /// A probe.
    Probe,
    /// Of the canary.
    Canary,
}

/// The shards that are no part of an iteration, by row, for whoever counts only those.
#[derive(Clone, Debug, Default)]
pub(super) struct Asides(Arc<Mutex<BTreeMap<i64, Aside>>>);

impl Asides {
    /// Returns what a shard is, unless it is part of an iteration.
    pub(super) fn of(&self, shard: i64) -> Option<Aside> {
        self.lock().get(&shard).copied()
    }

    fn insert(&self, shard: i64, aside: Aside) {
        self.lock().insert(shard, aside);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i64, Aside>> {
        // A map of numbers is whole after every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The canary's hunt: begun when its first run is due.
enum Canary {
    /// Not yet.
    Waits(Box<CageStart>),
    /// Under way.
    Lives(Box<Cage>),
    /// Nothing any more.
    Gone,
}

/// Iterations and probes.
pub(super) struct Mixed {
    pub(super) stream: Stream,
    pub(super) analysis: Analysis,
    pub(super) asides: Asides,
    planner: Planner,
    /// Share of the time that the iterations took, for open questions after them.
    probe_limit: f64,
    canary: Canary,
    began: Instant,
    workers: u32,
    /// Planned and not given out.
    queue: VecDeque<Assignment>,
    /// Given out or about to be, by row.
    asked: BTreeMap<i64, Over>,
    /// The probe under way of a question about what runs beside, by row.
    alone: Option<i64>,
    /// The iteration up to which the analysis was told to look.
    told: i64,
    /// Was the analysis told that no iteration is left?
    finishing: bool,
}

impl Mixed {
    pub(super) fn new(
        stream: Stream,
        analysis: Analysis,
        canary: CageStart,
        probe_limit: f64,
        workers: u16,
    ) -> Self {
        let planner = Planner {
            writer: stream.writer.clone(),
            hunt: stream.hunt,
            revision: stream.revision,
            master: stream.campaign.master,
            nonce: stream.campaign.nonce,
            factors: stream.factors.clone(),
        };
        Self {
            told: stream.closed(),
            stream,
            analysis,
            asides: Asides::default(),
            planner,
            probe_limit,
            canary: Canary::Waits(Box::new(canary)),
            began: Instant::now(),
            workers: u32::from(workers),
            queue: VecDeque::new(),
            asked: BTreeMap::new(),
            alone: None,
            finishing: false,
        }
    }

    /// Makes a batch durable and queues it.
    async fn plan(&mut self, asked: Asked) -> Result<(), StoreError> {
        let question = asked.question;
        let first = self.stream.places(asked.probes.len());
        for (shard, planned) in self.planner.plan(asked, first).await? {
            let predicted = self.stream.predicted(&planned.probe.processes.concat());
            self.asides.insert(shard, Aside::Probe);
            let assignment = probing::assignment(shard, &planned, predicted, Of::Suite);
            self.queue.push_back(assignment);
            self.asked.insert(shard, Over::of(shard, question, planned));
        }
        Ok(())
    }

    /// Returns the first planned probe that may run now. Those that ask what a test elsewhere does run one at a time:
    /// else the test beside one arm would run beside the other arms, too, and more often than in any ordinary run.
    fn queued(&mut self) -> Option<Assignment> {
        let asks_beside = |shard: i64| {
            let over = self.asked.get(&shard);
            over.is_some_and(|over| over.probe.question == Question::Interference)
        };
        let taken = self.alone.is_some();
        let place = self
            .queue
            .iter()
            .position(|assignment| !(taken && asks_beside(assignment.shard)))?;
        let assignment = self.queue.remove(place)?;
        if asks_beside(assignment.shard) {
            self.alone = Some(assignment.shard);
        }
        Some(assignment)
    }

    /// Returns a run of the canary, when it is its turn.
    async fn canary(&mut self) -> Result<Option<Assignment>, StoreError> {
        let time = self.began.elapsed() * self.workers;
        match std::mem::replace(&mut self.canary, Canary::Gone) {
            Canary::Waits(start) if cage::is_due(Duration::ZERO, 0, time) => {
                self.canary = Canary::Lives(Box::new(Cage::open(*start).await?));
            }
            as_it_was @ (Canary::Waits(_) | Canary::Lives(_) | Canary::Gone) => {
                self.canary = as_it_was;
            }
        }
        match &mut self.canary {
            Canary::Lives(cage) if cage.is_due(time) => {
                let assignment = cage.next().await?;
                self.asides.insert(assignment.shard, Aside::Canary);
                Ok(Some(assignment))
            }
            Canary::Lives(_) | Canary::Waits(_) | Canary::Gone => Ok(None),
        }
    }

    /// Ends the analyses, once no shard is under way.
    pub(super) async fn close(self) -> (Option<Voice>, Result<(), StoreError>) {
        let canary = match self.canary {
            Canary::Lives(cage) => cage.close().await,
            Canary::Waits(_) | Canary::Gone => Ok(()),
        };
        let (voice, closed) = self.analysis.close().await;
        (voice, canary.and(closed))
    }

    /// Tells the analysis how far the iterations are closed, if that is news.
    fn tell_closed(&mut self) {
        let closed = self.stream.closed();
        if closed > self.told {
            self.told = closed;
            self.analysis.closed();
        }
    }
}

impl Source for Mixed {
    async fn next(&mut self) -> Result<Next, StoreError> {
        if let Some(assignment) = self.canary().await? {
            return Ok(Next::Shard(Box::new(assignment)));
        }
        loop {
            if let Some(assignment) = self.queued() {
                return Ok(Next::Shard(Box::new(assignment)));
            }
            if let Some(asked) = self.analysis.batch()? {
                self.plan(asked).await?;
                continue;
            }
            if self.finishing {
                let over = self.analysis.rests() && self.asked.is_empty();
                return Ok(if over { Next::Done } else { Next::Wait });
            }
            if let Some(assignment) = self.stream.take().await? {
                return Ok(Next::Shard(Box::new(assignment)));
            }
            if !self.stream.is_over() {
                return Ok(Next::Wait);
            }
            self.finishing = true;
            self.analysis.finish(self.probe_limit, self.stream.deadline);
        }
    }

    async fn ended(&mut self, shard: i64, end: ShardEnd) -> Result<(), StoreError> {
        self.alone.take_if(|alone| *alone == shard);
        if let Canary::Lives(cage) = &mut self.canary
            && cage.ended(shard, end)
        {
            return Ok(());
        }
        match (self.asked.remove(&shard), end) {
            // It runs again on resume, as it was planned.
            (Some(_), ShardEnd::Interrupted) => {}
            (Some(over), ShardEnd::Done | ShardEnd::HostFailed | ShardEnd::Uncollected) => {
                self.analysis.ended(over);
            }
            (None, _) => {
                self.stream.ended(shard, end);
                self.tell_closed();
            }
        }
        Ok(())
    }
}
