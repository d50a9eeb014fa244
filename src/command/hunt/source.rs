//! What a hunt's workers get: the questions of the analysis first, which keep to their share of the time by
//! themselves, then the iterations. When no iteration is left, what is open still.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use super::analysis::{Analysis, Over};
use crate::{
    command::{probing, roster::Asked, stream::Stream},
    execute::{Assignment, Next, ShardEnd, Source},
    model::{Clock, SystemClock},
    plan::IterationSeed,
    store::{PlannedProbe, ProbeBatch, StoreError},
};

/// Rows of the shards that are probes, for whoever counts only iterations.
#[derive(Clone, Debug, Default)]
pub(super) struct ProbeShards(Arc<Mutex<BTreeSet<i64>>>);

impl ProbeShards {
    /// Is this shard a probe?
    pub(super) fn contains(&self, shard: i64) -> bool {
        self.lock().contains(&shard)
    }

    fn insert(&self, shard: i64) {
        self.lock().insert(shard);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<i64>> {
        // A set of numbers is whole after every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Iterations and probes.
pub(super) struct Mixed {
    pub(super) stream: Stream,
    pub(super) analysis: Analysis,
    /// Share of the time that the iterations took, for open questions after them.
    pub(super) probe_limit: f64,
    pub(super) probes: ProbeShards,
    /// Planned and not given out.
    queue: VecDeque<Assignment>,
    /// Given out or about to be, by row.
    asked: BTreeMap<i64, Over>,
    /// The iteration up to which the analysis was told to look.
    told: i64,
    /// Was the analysis told that no iteration is left?
    finishing: bool,
}

impl Mixed {
    pub(super) fn new(stream: Stream, analysis: Analysis, probe_limit: f64) -> Self {
        Self {
            told: stream.closed(),
            stream,
            analysis,
            probe_limit,
            probes: ProbeShards::default(),
            queue: VecDeque::new(),
            asked: BTreeMap::new(),
            finishing: false,
        }
    }

    /// Makes a batch durable and queues it.
    async fn plan(&mut self, asked: Asked) -> Result<(), StoreError> {
        let campaign = &self.stream.campaign;
        let (master, nonce) = (campaign.master, campaign.nonce);
        let first = self.stream.places(asked.probes.len());
        let probes = (asked.first..).zip(first..).zip(asked.probes);
        let planned: Vec<PlannedProbe> = probes
            .map(|((place, plan_index), probe)| {
                let seed = IterationSeed::of_probe(master, nonce, asked.question.0, place);
                PlannedProbe {
                    place,
                    factors: probing::levels(&self.stream.factors, &probe, seed),
                    plan_index,
                    seed: seed.0,
                    probe,
                }
            })
            .collect();
        let batch = ProbeBatch {
            hunt: self.stream.hunt,
            revision: self.stream.revision,
            question: asked.question,
            opened: asked.opened,
            at: SystemClock.now(),
            probes: planned,
        };
        let shards = self.stream.writer.plan_probes(&batch).await?;
        for (shard, planned) in shards.into_iter().zip(batch.probes) {
            let whole: Vec<_> = planned.probe.processes.concat();
            let predicted = self.stream.predicted(&whole);
            self.probes.insert(shard);
            self.queue
                .push_back(probing::assignment(shard, &planned, predicted));
            let over = Over {
                shard,
                question: asked.question,
                place: planned.place,
                probe: planned.probe,
            };
            self.asked.insert(shard, over);
        }
        Ok(())
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
        loop {
            if let Some(assignment) = self.queue.pop_front() {
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
