//! Counts of a hunt while it runs, for the progress display and the last lines.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use super::hunt::Glance;
use crate::{
    execute::Event,
    model::{Outcome, SegmentEnd, TestId},
    store::HuntStatus,
    ui::{HuntState, HuntView},
};

/// Counts by event; earlier parts of a resumed hunt come in through [`Tally::resumed`].
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) trials: u64,
    pub(super) failing: u64,
    pub(super) skipped: u64,
    pub(super) infra: u64,
    pub(super) aborted: u64,
    pub(super) lost: u64,
    pub(super) untrusted: u64,
    pub(super) shards: u64,
    pub(super) iterations: u64,
    /// Probes that ended while this process watched; they are in no other count.
    pub(super) probes: u64,
    /// What the analysis found so far.
    found: Glance,
    /// Iterations that were complete when this process took the hunt up.
    begun_with: u64,
    /// Segments that ended otherwise than completed, by why.
    pub(super) broken: BTreeMap<SegmentEnd, u64>,
    /// Tests that failed while this process watched.
    pub(super) failed: BTreeSet<TestId>,
    /// Tests that failed before this process watched.
    failed_before: u64,
    /// (time, trials) of the last minute, oldest first.
    recent: VecDeque<(Duration, u64)>,
}

/// Time over which the shown rate is averaged.
const RATE_OVER: Duration = Duration::from_secs(30);

impl Tally {
    /// Starts where a hunt stood.
    pub(super) fn resumed(status: &HuntStatus) -> Self {
        Self {
            trials: status.trials() + status.outcomes.of(Outcome::Skipped),
            failing: status.outcomes.sum(Outcome::is_failing),
            skipped: status.outcomes.of(Outcome::Skipped),
            infra: status.outcomes.of(Outcome::Infra),
            aborted: status.outcomes.of(Outcome::Aborted),
            lost: status.outcomes.of(Outcome::Lost),
            untrusted: status.outcomes.of(Outcome::Untrusted),
            shards: status.shards_finished + status.shards_abandoned,
            iterations: status.iterations,
            begun_with: status.iterations,
            failed_before: status.failing_tests,
            ..Self::default()
        }
    }

    /// Takes over what the analysis shows.
    pub(super) fn look(&mut self, glance: &Glance) {
        self.found.clone_from(glance);
    }

    /// Returns how long the iterations that are left will take, at the pace of those since this process took the hunt up.
    fn ready_in(&self, moment: &Moment) -> Option<Duration> {
        let left = moment.iterations_total?.checked_sub(self.iterations)?;
        let done = self.iterations.checked_sub(self.begun_with)?;
        #[expect(clippy::cast_precision_loss, reason = "an estimate for display")]
        let times = (done > 0 && left > 0).then(|| left as f64 / done as f64)?;
        Duration::try_from_secs_f64(moment.elapsed.as_secs_f64() * times).ok()
    }

    /// Counts one event.
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::TrialEnded { test, outcome, .. } => self.trial(test, *outcome),
            Event::SegmentEnded { end, .. } if *end != SegmentEnd::Completed => {
                *self.broken.entry(*end).or_default() += 1;
            }
            Event::SegmentEnded { .. }
            | Event::SegmentStarted { .. }
            | Event::Left { .. }
            | Event::Note(_) => {}
        }
    }

    fn trial(&mut self, test: &TestId, outcome: Outcome) {
        match outcome {
            Outcome::Aborted => self.aborted += 1,
            Outcome::Infra => self.infra += 1,
            Outcome::Lost => self.lost += 1,
            Outcome::Untrusted => self.untrusted += 1,
            Outcome::Skipped => {
                self.trials += 1;
                self.skipped += 1;
            }
            Outcome::Passed => self.trials += 1,
            Outcome::Failed
            | Outcome::Error
            | Outcome::Timeout
            | Outcome::Crashed
            | Outcome::Oom => {
                self.trials += 1;
                self.failing += 1;
                self.failed.insert(test.clone());
            }
        }
    }

    /// Trials per second over the last half minute; remembers this moment.
    fn rate(&mut self, elapsed: Duration) -> f64 {
        self.recent.push_back((elapsed, self.trials));
        while self.recent.len() > 2 && self.recent[1].0 + RATE_OVER < elapsed {
            self.recent.pop_front();
        }
        let (since, before) = self.recent[0];
        let seconds = elapsed.saturating_sub(since).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
        let trials = (self.trials - before) as f64;
        if seconds > 0.0 { trials / seconds } else { 0.0 }
    }

    /// Puts the counts into what the progress display shows.
    pub(super) fn view(&mut self, moment: &Moment) -> HuntView {
        HuntView {
            elapsed: moment.elapsed,
            ends_in: moment.ends_in,
            iterations_done: self.iterations,
            iterations_total: moment.iterations_total,
            shards_done: self.shards,
            probes: self.probes,
            flags: self.found.flags,
            newest: self
                .found
                .newest
                .as_ref()
                .map(|newest| (newest.handle.clone(), newest.says.clone())),
            questions: self.found.open,
            canary: self.found.canary.clone(),
            ready_in: self.ready_in(moment),
            trials: self.trials,
            failing: self.failing,
            infra: self.infra,
            aborted: self.aborted,
            rate_per_s: self.rate(moment.elapsed),
            workers_busy: moment.busy,
            workers: moment.workers,
            failing_tests: self
                .failed
                .len()
                .max(usize::try_from(self.failed_before).unwrap_or(usize::MAX)),
            state: if moment.draining {
                HuntState::Draining
            } else {
                HuntState::Running
            },
        }
    }
}

/// What the display shows besides counts.
pub(super) struct Moment {
    pub(super) elapsed: Duration,
    pub(super) ends_in: Option<Duration>,
    pub(super) iterations_total: Option<u64>,
    pub(super) busy: u16,
    pub(super) workers: u16,
    pub(super) draining: bool,
}
