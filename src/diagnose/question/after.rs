//! What is asked about a certified group: does it act only directly before the victim, and does its state reach the
//! next process of the same container? Neither names anybody, so plain counts are enough.

use super::{About, Conclusion, NextStep, View, alone::VOID_LIMIT, tally};
use crate::{
    diagnose::{
        chance,
        setup::{Locate, Separate},
    },
    model::{Answer, Count, Probe, Reply},
};

/// Tests that stand between group and victim.
const SEPARATORS: usize = 5;

/// Runs so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    count: Count,
    void: u32,
}

impl Course {
    pub(super) fn tell(&mut self, reply: &Reply<u32>) {
        tally(&mut self.count, reply.answer);
        self.void += u32::from(reply.answer == Answer::Void);
    }

    /// How often the effect showed.
    fn shown(&self, passes: bool) -> u64 {
        if passes {
            self.count.trials - self.count.failures
        } else {
            self.count.failures
        }
    }

    pub(super) fn next_separated(
        &self,
        about: About,
        separate: &Separate<u32>,
        view: &View<'_>,
    ) -> NextStep {
        if self.void >= VOID_LIMIT {
            return NextStep::Done(Conclusion::Impossible);
        }
        let left = u64::from(separate.times).saturating_sub(self.count.trials);
        if left > 0 {
            let done = u32::try_from(self.count.trials).unwrap_or(u32::MAX) + self.void;
            let batch = u32::try_from(left.min(4)).unwrap_or(4);
            let probes = (done..done + batch).map(|block| {
                let mut draw = view.coins.draw(about.id, block);
                let mut pool: Vec<u32> = separate
                    .pool
                    .iter()
                    .copied()
                    .filter(|test| view.runnable(*test) && !separate.group.contains(test))
                    .collect();
                let between = draw.choose(&mut pool, SEPARATORS).to_vec();
                about.probe(&[separate.group.clone(), between].concat())
            });
            return NextStep::Try(probes.collect());
        }
        #[expect(clippy::cast_precision_loss, reason = "a few dozen runs")]
        let rate = self.shown(separate.passes) as f64 / self.count.trials.max(1) as f64;
        NextStep::Done(if rate < separate.rate / 2.0 {
            Conclusion::Adjacent(self.count)
        } else {
            Conclusion::NotAdjacent(self.count)
        })
    }

    pub(super) fn next_located(&self, about: About, locate: &Locate<u32>) -> NextStep {
        if self.void >= VOID_LIMIT {
            return NextStep::Done(Conclusion::Impossible);
        }
        if self.shown(locate.passes) >= 1 {
            return NextStep::Done(Conclusion::Crosses(self.count));
        }
        if self.count.trials >= u64::from(locate.times) {
            return NextStep::Done(Conclusion::StaysWithin(self.count));
        }
        let first = locate.group.iter().map(|test| (*test, 1)).collect();
        NextStep::Try(vec![Probe {
            processes: vec![first, vec![(about.victim, 1)]],
            ..about.probe(&[])
        }])
    }
}

impl View<'_> {
    /// May this test run as a decoy, filler or separator?
    pub(super) fn runnable(&self, test: u32) -> bool {
        self.universe.present.get(test as usize) == Some(&true) && !self.deadly[test as usize]
    }

    /// Draws decoys for a group, as [`chance::decoys`].
    pub(super) fn decoys(
        &self,
        group: &[u32],
        pool: &[u32],
        draw: &mut chance::Draw,
    ) -> Option<Vec<u32>> {
        let pool: Vec<u32> = pool
            .iter()
            .copied()
            .filter(|test| self.runnable(*test) && !group.contains(test))
            .collect();
        chance::decoys(
            group,
            &pool,
            |test| self.universe.seconds[test as usize],
            draw,
        )
    }
}
