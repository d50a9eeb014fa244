//! The order up to a failure once more, in fresh containers: does it fail again? A failure is asked for a second time:
//! the trouble that was to be ruled out may have struck once more.

use super::{About, Conclusion, NextStep, tally};
use crate::{
    diagnose::setup::Replay,
    model::{Answer, Count, Probe, Reply},
};

/// Void answers after which it is given up: something in this order cannot be run now.
const VOID_LIMIT: u32 = 3;
/// Failures that are enough to know.
const ENOUGH: u64 = 2;
/// Runs after a single failure, beside those that were asked for.
const MORE: u64 = 3;

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

    /// What it showed so far.
    pub(super) fn conclusion(&self) -> Conclusion {
        Conclusion::Replayed(self.count)
    }

    pub(super) fn next(&self, about: About, replay: &Replay<u32>) -> NextStep {
        let more = MORE * self.count.failures;
        let enough = self.count.trials >= u64::from(replay.times) + more;
        if enough || self.count.failures >= ENOUGH || self.void >= VOID_LIMIT {
            return NextStep::Done(self.conclusion());
        }
        let order = replay.order.iter().copied().chain([(about.victim, 1)]);
        NextStep::Try(vec![Probe {
            processes: vec![order.collect()],
            factors: replay.factors.clone(),
            ..about.probe(&[])
        }])
    }
}
