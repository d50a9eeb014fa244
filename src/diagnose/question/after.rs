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

/// Separators that are tried at once.
const BATCH: u64 = 4;

/// Runs of a separator without the group, over the rate of the effect, before it is taken for one without an effect of
/// its own: a separator with it comes through once in 20 times.
const CHECKS: f64 = 3.0;
/// The same at most.
const MOST_CHECKS: u32 = 12;

/// Runs so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    count: Count,
    void: u32,
    /// Separators that were tried.
    tried: usize,
    /// Those after which the effect showed, with the runs without the group in which it did not.
    left: Vec<(u32, u32)>,
    /// Those that have the effect themselves.
    own: usize,
    /// Runs of the group directly before the victim, once no separator left the effect; and those that showed it.
    direct: u32,
    shown_directly: u32,
}

impl Course {
    pub(super) fn tell(&mut self, reply: &Reply<u32>) {
        tally(&mut self.count, reply.answer);
        self.void += u32::from(reply.answer == Answer::Void);
    }

    /// As [`tell`](Self::tell), of group, separator and victim, or of separator and victim.
    pub(super) fn tell_separated(
        &mut self,
        separate: &Separate<u32>,
        probe: &Probe<u32>,
        reply: &Reply<u32>,
    ) {
        let order = probe.processes.last().map_or(&[][..], Vec::as_slice);
        let Some((separator, _)) = order.len().checked_sub(2).map(|place| order[place]) else {
            return;
        };
        let effect = match reply.answer {
            Answer::Void => None,
            Answer::Passed => Some(separate.passes),
            Answer::Failed => Some(!separate.passes),
        };
        self.void += u32::from(effect.is_none());
        if order.len() == separate.group.len() + 1 && separate.group.contains(&separator) {
            self.direct += u32::from(effect.is_some());
            self.shown_directly += u32::from(effect == Some(true));
        } else if order.len() > separate.group.len() + 1 {
            self.tried += 1;
            match effect {
                Some(true) => self.left.push((separator, 0)),
                Some(false) => tally(&mut self.count, reply.answer),
                None => {}
            }
        } else if let Some(place) = self.left.iter().position(|(test, _)| *test == separator) {
            match effect {
                Some(true) => {
                    self.left.remove(place);
                    self.own += 1;
                }
                Some(false) => self.left[place].1 += 1,
                None => {}
            }
        }
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
        if self.void >= VOID_LIMIT || self.own > separate.times as usize {
            return NextStep::Done(Conclusion::Impossible);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most a dozen"
        )]
        let checks = (CHECKS / separate.rate.max(0.1)).ceil() as u32;
        let checks = checks.clamp(1, MOST_CHECKS);
        // A separator that leaves the effect is enough, unless it is its own: then those that take it away are
        // cleaners.
        if let Some((separator, passed)) = self.left.first() {
            if *passed >= checks {
                let count = Count {
                    failures: self.count.failures + u64::from(!separate.passes),
                    trials: self.count.trials + 1,
                };
                return NextStep::Done(Conclusion::NotAdjacent(count));
            }
            return NextStep::Try(vec![about.probe(&[*separator])]);
        }
        let mut pool: Vec<u32> = separate
            .pool
            .iter()
            .copied()
            .filter(|test| view.runnable(*test) && !separate.group.contains(test))
            .collect();
        let left = u64::from(separate.times).saturating_sub(self.count.trials);
        if left == 0 {
            // The suite may have changed: where the group has no effect any more, separators say nothing.
            return if self.shown_directly > 0 {
                NextStep::Done(Conclusion::Adjacent(self.count))
            } else if self.direct >= checks {
                NextStep::Done(Conclusion::Impossible)
            } else {
                NextStep::Try(vec![about.probe(&separate.group)])
            };
        }
        if pool.is_empty() {
            return NextStep::Done(Conclusion::Impossible);
        }
        // Each a test of its own, as far as there are enough.
        let mut draw = view.coins.draw(about.id, 0);
        let all = pool.len();
        let separators = draw.choose(&mut pool, all);
        let batch = usize::try_from(left.min(BATCH)).unwrap_or(1);
        let probes = (self.tried..self.tried + batch).map(|number| {
            let between = separators[number % separators.len()];
            about.probe(&[&separate.group[..], &[between]].concat())
        });
        NextStep::Try(probes.collect())
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

    /// Draws decoys for a group before the victim, as [`chance::decoys`]. For a group of the victim's own module one of
    /// them is of it too, if the pool has any, and stands last.
    pub(super) fn decoys(
        &self,
        victim: u32,
        group: &[u32],
        pool: &[u32],
        draw: &mut chance::Draw,
    ) -> Option<Vec<u32>> {
        let pool: Vec<u32> = pool
            .iter()
            .copied()
            .filter(|test| self.runnable(*test) && !group.contains(test))
            .collect();
        let mut chosen = chance::decoys(group, &pool, |test| self.universe.lasting(test), draw)?;
        let modules = &self.universe.modules;
        let at_home =
            |test: &u32| *test != victim && modules[*test as usize] == modules[victim as usize];
        if group.iter().any(at_home) && !chosen.iter().any(at_home) {
            let mut neighbours: Vec<u32> = pool.into_iter().filter(at_home).collect();
            chosen.extend(draw.choose(&mut neighbours, 1).iter());
        }
        Some(chosen)
    }
}
