//! From the record to the analyst: closed segments as observations, in the order of the plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    command::roster::Roster,
    diagnose::{Analyst, Observation, Showed, Shown},
    model::{Flag, Outcome, TestId, UnixMillis},
    store::{Cursor, Observed, ObservedSegment, ObservedTrial, Reader, RevisionId, StoreError},
};

/// How far the evidence was given to the analyst.
pub(in crate::command) struct Evidence {
    cursor: Cursor,
    hunt: i64,
    /// Index of each test by its row.
    index: BTreeMap<i64, u32>,
    /// Place of each factor among those that the analyst knows.
    factors: BTreeMap<String, u16>,
    /// Number of modules of each revision.
    modules: BTreeMap<RevisionId, u32>,
    /// Is the iteration that is under way one of this hunt?
    is_own: bool,
    iterations: u64,
    spent: f64,
}

impl Evidence {
    /// Starts before everything. `listed` are all tests by row; `factors` those of the analyst, in its order.
    pub(in crate::command) fn new(
        cursor: Cursor,
        hunt: i64,
        listed: &[(i64, TestId)],
        roster: &Roster,
        factors: impl IntoIterator<Item = String>,
    ) -> Self {
        let index = listed
            .iter()
            .filter_map(|(row, test)| Some((*row, roster.index(test)?)));
        Self {
            cursor,
            hunt,
            index: index.collect(),
            factors: factors.into_iter().zip(0..).collect(),
            modules: BTreeMap::new(),
            is_own: false,
            iterations: 0,
            spent: 0.0,
        }
    }

    /// Gives the analyst everything that closed behind the watermark since. Returns the flags that this changed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(in crate::command) fn observe(
        &mut self,
        reader: &Reader,
        roster: &Roster,
        analyst: &mut Analyst,
    ) -> Result<Vec<Flag>, StoreError> {
        let mut cursor = self.cursor.clone();
        let mut flags = Vec::new();
        let mut broken = None;
        reader.observe(&mut cursor, |observed| match observed {
            Observed::Segment(segment) => {
                let modules = match self.modules.get(&segment.revision) {
                    Some(modules) => *modules,
                    None => match modules_of(reader, roster, segment.revision) {
                        Ok(modules) => *self.modules.entry(segment.revision).or_insert(modules),
                        Err(error) => {
                            broken.get_or_insert(error);
                            return;
                        }
                    },
                };
                self.is_own = segment.hunt == self.hunt;
                self.give(analyst, &segment, modules);
            }
            Observed::Iteration { iteration, seconds } => {
                flags.extend(analyst.end_iteration(iteration, seconds));
                self.iterations = iteration + 1;
                self.spent += if self.is_own { seconds } else { 0.0 };
            }
        })?;
        self.cursor = cursor;
        match broken {
            Some(error) => Err(error),
            None => Ok(flags),
        }
    }

    fn give(&self, analyst: &mut Analyst, segment: &ObservedSegment, modules: u32) {
        let index = |row: &i64| self.index.get(row).copied();
        let asked: Vec<u32> = segment.asked.iter().filter_map(index).collect();
        let trials: Vec<Shown> = segment
            .trials
            .iter()
            .filter_map(|trial| shown(trial, index(&trial.test)?))
            .collect();
        let levels = segment.factors.iter().filter_map(|level| {
            let place = self.factors.get(&level.factor)?;
            Some((*place, level.level.clone()))
        });
        let levels: Vec<(u16, String)> = levels.collect();
        analyst.observe(&Observation {
            iteration: segment.iteration,
            tests: segment.tests,
            modules,
            layout: segment.layout,
            origin: segment.origin,
            asked: &asked,
            trials: &trials,
            died_in: segment.died_in.as_ref().and_then(index),
            worker: segment.worker,
            hour: hour(segment.started_at),
            levels: &levels,
        });
    }

    /// Returns the iterations that the analyst has seen, over all hunts.
    pub(in crate::command) fn iterations(&self) -> u64 {
        self.iterations
    }

    /// Returns the seconds of workers that the iterations of this hunt took.
    pub(super) fn spent(&self) -> f64 {
        self.spent
    }
}

fn modules_of(reader: &Reader, roster: &Roster, id: RevisionId) -> Result<u32, StoreError> {
    let tests = reader.revision(id)?.tests;
    let indexes = tests.iter().filter_map(|test| roster.index(test));
    let modules: BTreeSet<u32> = indexes.map(|test| roster.module(test)).collect();
    Ok(u32::try_from(modules.len()).expect("a suite has fewer than 2^32 modules"))
}

/// A trial as statistics see it; `None` when it never started, so that nothing ran.
fn shown(trial: &ObservedTrial, test: u32) -> Option<Shown> {
    let start = trial.started?;
    let showed = match trial.outcome {
        Outcome::Passed => Showed::Passed,
        Outcome::Failed | Outcome::Error | Outcome::Timeout | Outcome::Crashed | Outcome::Oom => {
            Showed::Failed
        }
        Outcome::Skipped
        | Outcome::Aborted
        | Outcome::Lost
        | Outcome::Infra
        | Outcome::Untrusted => Showed::Nothing,
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of one boot fit for 285 years"
    )]
    let start = start.0 as f64 / 1e6;
    Some(Shown {
        test,
        rep: trial.rep,
        showed,
        start,
        seconds: trial.duration.unwrap_or_default().as_secs_f32(),
    })
}

/// Hour of the day, UTC.
fn hour(at: UnixMillis) -> f32 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a day has fewer than 2^27 milliseconds"
    )]
    let ms = at.0.rem_euclid(86_400_000) as f32;
    ms / 3_600_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MonoMicros;

    #[test]
    fn hour_is_that_of_the_day_in_utc() {
        for (ms, expected) in [(0, 0.0), (86_400_000 + 5_400_000, 1.5), (-3_600_000, 23.0)] {
            assert!((hour(UnixMillis(ms)) - expected).abs() < 1e-4, "{ms}");
        }
    }

    #[test]
    fn trial_that_never_started_did_not_run_before_anything() {
        let trial = |outcome, started: Option<i64>| ObservedTrial {
            test: 7,
            rep: 1,
            outcome,
            started: started.map(MonoMicros),
            duration: None,
        };
        let seen = |outcome, started| shown(&trial(outcome, started), 3).map(|shown| shown.showed);
        assert_eq!(seen(Outcome::Infra, None), None);
        assert_eq!(seen(Outcome::Lost, None), None);
        assert_eq!(seen(Outcome::Skipped, Some(1)), Some(Showed::Nothing));
        assert_eq!(seen(Outcome::Timeout, Some(1)), Some(Showed::Failed));
        assert_eq!(seen(Outcome::Passed, Some(1)), Some(Showed::Passed));
    }
}
