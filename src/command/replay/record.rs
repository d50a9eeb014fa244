//! What the database says of an order: the order itself, its outcomes, how often it failed.

use std::collections::BTreeSet;

use super::resolve::{Shown, Target, impossible};
use crate::{
    command::stream::named,
    error::Failure,
    model::{ListDigest, Outcome, TestId, TrialRecord},
    plan::{IterationSeed, Tests, assign},
    store::{Reader, SegmentRow, StoreError, signature},
};

/// Trials of an order: test and repetition.
pub(super) type Order = Vec<(TestId, u8)>;

/// Returns the order of a recorded shard, from the list of tests that it was planned for.
///
/// # Errors
/// [`Failure`] when the database cannot be read, or holds a layout without an order.
pub(super) fn order_of_shard(reader: &Reader, id: i64) -> Result<Order, Failure> {
    let row = reader.shard(id)?;
    if let Some(order) = row.plan.explicit_order {
        return Ok(order.into_iter().map(|test| (test, 1)).collect());
    }
    let revision = reader.revision(row.revision)?;
    // Modules are what a pytest name begins with; other runners will bring their own rule along.
    let tests = Tests::new(revision.tests, |test| {
        crate::suite::Runner::module_of(&crate::suite::Pytest, test)
    });
    let all = assign(row.plan.layout, IterationSeed(row.plan.seed), &tests)
        .map_err(|error| impossible(error.to_string()))?;
    Ok(all
        .get(usize::from(row.plan.shard))
        .map(|order| named(order, &tests))
        .unwrap_or_default())
}

/// Returns the order that a recorded segment was asked to run: its shard's, without what was over before.
///
/// # Errors
/// [`Failure`] when the database cannot be read.
pub(super) fn order_of_segment(reader: &Reader, segment: &SegmentRow) -> Result<Order, Failure> {
    let order = order_of_shard(reader, segment.open.shard)?;
    let mut before: Vec<TrialRecord> = Vec::new();
    for earlier in reader.segments_of(segment.open.shard)? {
        if earlier < segment.id {
            before.extend(reader.segment(earlier)?.trials);
        }
    }
    // Within a hunt only what we or the host cut off runs again; a resumed hunt also repeats what was void otherwise.
    let again: [fn(Outcome) -> bool; 2] = [
        |outcome| matches!(outcome, Outcome::Aborted | Outcome::Infra),
        Outcome::is_void,
    ];
    for runs_again in again {
        let over: BTreeSet<(&TestId, u8)> = before
            .iter()
            .filter(|trial| !runs_again(trial.outcome))
            .map(|trial| (&trial.test, trial.rep))
            .collect();
        let rest: Order = order
            .iter()
            .filter(|(test, rep)| !over.contains(&(test, *rep)))
            .cloned()
            .collect();
        if ListDigest::of(rest.iter().map(|(test, _)| test)) == segment.open.order {
            return Ok(rest);
        }
    }
    Ok(segment
        .trials
        .iter()
        .map(|trial| (trial.test.clone(), trial.rep))
        .collect())
}

/// Returns the trials of a recorded shard, those of its first segment first.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn trials_of_shard(reader: &Reader, id: i64) -> Result<Vec<TrialRecord>, StoreError> {
    let mut trials = Vec::new();
    for segment in reader.segments_of(id)? {
        trials.extend(reader.segment(segment)?.trials);
    }
    Ok(trials)
}

impl Target {
    /// Adds one recorded run of this order; the newest outcome of each trial is the one that counts.
    pub(super) fn add_run(&mut self, trials: Vec<TrialRecord>) {
        let order: BTreeSet<(TestId, u8)> = self.order.iter().cloned().collect();
        let (mut said, mut failed) = (false, false);
        for trial in trials {
            let place = (trial.test, trial.rep);
            if trial.outcome.is_void() || !order.contains(&place) {
                continue;
            }
            let shown = Shown::of(trial.outcome, trial.detail.as_deref());
            said = true;
            if trial.outcome.is_failing() {
                failed = true;
                self.watch.insert(place.0.clone());
            }
            self.recorded.insert(place, shown);
        }
        self.runs += u32::from(said);
        self.failing_runs += u32::from(failed);
    }
}

impl Shown {
    /// Keeps of an outcome what comparing needs.
    pub(super) fn of(outcome: Outcome, detail: Option<&[u8]>) -> Self {
        Self {
            outcome,
            signature: detail.filter(|_| outcome.is_failing()).map(signature),
        }
    }
}
