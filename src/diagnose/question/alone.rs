//! The victim alone in fresh containers: how often does it fail, and do the levels of the factors decide?

use super::{About, Conclusion, NextStep, tally};
use crate::{
    diagnose::setup::{Alone, Settings, Split},
    model::{Answer, Count, Probe, Reply},
};

/// Void answers in a row after which a question is given up: the test cannot be run now.
pub(super) const VOID_LIMIT: u32 = 8;

/// Runs alone so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    count: Count,
    void: u32,
}

impl Run {
    pub(super) fn tell(&mut self, reply: &Reply<u32>) {
        tally(&mut self.count, reply.answer);
        self.void = if reply.answer == Answer::Void {
            self.void + 1
        } else {
            0
        };
    }

    pub(super) fn next(&self, about: About, alone: &Alone) -> NextStep {
        if self.void >= VOID_LIMIT {
            return NextStep::Done(Conclusion::Impossible);
        }
        let left = u64::from(alone.runs).saturating_sub(self.count.trials);
        if left == 0 || self.count.failures >= u64::from(alone.failures) {
            return NextStep::Done(Conclusion::Ran);
        }
        let batch = left.min(u64::from(alone.batch.max(1)));
        NextStep::Try((0..batch).map(|_| about.probe(&[])).collect())
    }
}

/// Runs at the levels of a failing and of a passing run, in turn: failing first.
#[derive(Clone, Debug, Default)]
pub(super) struct Levels {
    asked: u32,
    void: u32,
    contradicted: bool,
}

impl Levels {
    pub(super) fn tell(&mut self, place: usize, reply: &Reply<u32>) {
        let expected = if place.is_multiple_of(2) {
            Answer::Failed
        } else {
            Answer::Passed
        };
        match reply.answer {
            Answer::Void => self.void += 1,
            answer @ (Answer::Passed | Answer::Failed) => self.contradicted |= answer != expected,
        }
        self.asked += 1;
    }

    pub(super) fn next(&self, about: About, split: &Split) -> NextStep {
        let at = |levels: &Settings| Probe {
            factors: levels.clone(),
            ..about.probe(&[])
        };
        if self.contradicted {
            NextStep::Done(Conclusion::Splits(false))
        } else if self.void >= VOID_LIMIT {
            NextStep::Done(Conclusion::Impossible)
        } else if self.asked - self.void >= 2 * split.times {
            NextStep::Done(Conclusion::Splits(true))
        } else if self.asked.is_multiple_of(2) {
            NextStep::Try(vec![at(&split.failing), at(&split.passing)])
        } else {
            NextStep::Try(vec![at(&split.passing)])
        }
    }
}
