//! The smallest part of a failing order that is enough: drives the minimiser, which asks for subsets of places.

use super::{About, Conclusion, NextStep, alone::VOID_LIMIT};
use crate::{
    diagnose::setup,
    minimize::{self, Reduction},
    model::{Answer, Reply},
};

/// A reduction in progress.
#[derive(Clone, Debug)]
pub(super) struct Course {
    reduction: Reduction,
    void: u32,
}

impl Course {
    pub(super) fn new(reduce: &setup::Reduce<u32>) -> Self {
        Self {
            reduction: Reduction::new(reduce.start.clone()),
            void: 0,
        }
    }

    pub(super) fn tell(&mut self, reduce: &setup::Reduce<u32>, reply: &Reply<u32>) {
        let shown = match reply.answer {
            Answer::Void => {
                self.void += 1;
                return;
            }
            Answer::Failed => !reduce.passes,
            Answer::Passed => reduce.passes,
        };
        // An answer belongs to the step that asked for it, also when the question is read back.
        self.reduction.next_step();
        self.reduction.tell(shown);
    }

    pub(super) fn next(&mut self, about: About, reduce: &setup::Reduce<u32>) -> NextStep {
        if self.void >= VOID_LIMIT {
            return NextStep::Done(Conclusion::Impossible);
        }
        match self.reduction.next_step() {
            minimize::NextStep::Try(places) => {
                let before: Vec<u32> = places
                    .iter()
                    .filter_map(|place| reduce.order.get(*place as usize).copied())
                    .collect();
                NextStep::Try(vec![about.probe(&before)])
            }
            minimize::NextStep::Done(found) => NextStep::Done(match found {
                Some(reduced) if reduced.minimal && !reduced.members.is_empty() => {
                    Conclusion::Found(
                        reduced
                            .members
                            .iter()
                            .filter_map(|place| reduce.order.get(*place as usize).copied())
                            .collect(),
                    )
                }
                Some(_) | None => Conclusion::NotFound,
            }),
        }
    }
}
