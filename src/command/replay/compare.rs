//! One repetition beside the record: which outcomes are as recorded, which differ, whether the failure is the
//! same. Pure.

use serde_json::{Value, json};

use super::resolve::{Shown, Target};
use crate::{
    execute::RecordedShard,
    model::{ListDigest, TestId},
    plan::ShortDigest,
    ui::{escape, text},
};

/// Differences that text output lists for one repetition.
const LISTED: usize = 10;

/// What one repetition showed.
pub(super) struct Comparison {
    /// Trials that have an outcome.
    trials: usize,
    /// Trials whose outcome is the recorded one.
    as_recorded: usize,
    /// Trials that the record knows.
    recorded: usize,
    differences: Vec<Difference>,
    /// Watched trials that failed.
    failing: Vec<Failing>,
    /// Watched trials that have an outcome.
    watched: usize,
    /// Digest of what ran, in the order in which it ran.
    order: ShortDigest,
    /// Did the runner keep to the order?
    pub(super) order_differs: bool,
}

/// A trial that did not show what was recorded.
struct Difference {
    test: TestId,
    rep: u8,
    then: Shown,
    now: Shown,
}

/// A watched trial that failed.
struct Failing {
    test: TestId,
    shown: Shown,
    /// Is there a record of this trial failing, and did it fail in another way?
    differs_from: Option<Shown>,
    same: bool,
}

/// Compares one repetition with the record.
pub(super) fn compare(target: &Target, shard: &RecordedShard) -> Comparison {
    let mut told: Vec<_> = shard
        .trials
        .iter()
        .filter(|(_, trial)| !trial.outcome.is_void())
        .collect();
    told.sort_by_key(|(segment, trial)| (*segment, trial.position));
    let ran = ListDigest::of(told.iter().map(|(_, trial)| &trial.test));
    let mut comparison = Comparison {
        trials: told.len(),
        as_recorded: 0,
        recorded: 0,
        differences: Vec::new(),
        failing: Vec::new(),
        watched: 0,
        order: ShortDigest::from(&ran),
        order_differs: shard
            .segments
            .iter()
            .any(|(_, close)| close.as_ref().is_some_and(|close| close.order_differs)),
    };
    for (_, trial) in told {
        let now = Shown::of(trial.outcome, trial.detail.as_deref());
        let then = target.recorded.get(&(trial.test.clone(), trial.rep));
        comparison.recorded += usize::from(then.is_some());
        if let Some(then) = then {
            if then.outcome == now.outcome {
                comparison.as_recorded += 1;
            } else {
                comparison.differences.push(Difference {
                    test: trial.test.clone(),
                    rep: trial.rep,
                    then: then.clone(),
                    now: now.clone(),
                });
            }
        }
        if !target.watch.is_empty() && !target.watch.contains(&trial.test) {
            continue;
        }
        comparison.watched += 1;
        if now.outcome.is_failing() {
            let before = then.filter(|then| then.outcome.is_failing());
            comparison.failing.push(Failing {
                test: trial.test.clone(),
                same: before == Some(&now),
                differs_from: before.filter(|then| **then != now).cloned(),
                shown: now,
            });
        }
    }
    comparison
}

impl Comparison {
    /// Did a watched test fail?
    pub(super) fn reproduced(&self) -> bool {
        !self.failing.is_empty()
    }

    /// Can a repetition without a failure be taken for one that passed?
    pub(super) fn is_conclusive(&self) -> bool {
        self.watched > 0 && !self.order_differs
    }

    /// The watched tests that failed.
    pub(super) fn failing(&self) -> impl Iterator<Item = &TestId> {
        self.failing.iter().map(|failing| &failing.test)
    }

    /// How many of the failures have a record, and are not what it shows.
    pub(super) fn other_failures(&self) -> usize {
        self.failing
            .iter()
            .filter(|failing| failing.differs_from.is_some())
            .count()
    }

    /// The repetition in words: one line, then one for each failure and each difference. Escaped.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut head = text::plural(self.trials as u64, "trial");
        if self.recorded > 0 {
            let (same, of) = (self.as_recorded, self.recorded);
            head = format!("{head}, {same} of {of} outcomes as recorded");
        }
        if self.order_differs {
            head += ", in another order than asked for";
        }
        let mut lines = vec![head];
        let failing = self.failing.iter().map(Failing::line);
        let differing = self.differences.iter().map(Difference::line);
        // Every failure is named: any of them may be the one that is looked for.
        lines.extend(failing.chain(differing.take(LISTED)));
        if self.differences.len() > LISTED {
            let more = self.differences.len() - LISTED;
            lines.push(format!("… {more} more that differ"));
        }
        lines
    }

    /// The repetition as JSON.
    pub(super) fn json(&self) -> Value {
        let failing: Vec<Value> = self
            .failing
            .iter()
            .map(|failing| {
                json!({
                    "test": escape::json_name(&failing.test),
                    "outcome": failing.shown.outcome.word(),
                    "signature": failing.shown.signature,
                    "same_as_recorded": failing.same,
                })
            })
            .collect();
        let differences: Vec<Value> = self
            .differences
            .iter()
            .map(|difference| {
                json!({
                    "test": escape::json_name(&difference.test),
                    "rep": difference.rep,
                    "then": difference.then.outcome.word(),
                    "now": difference.now.outcome.word(),
                })
            })
            .collect();
        json!({
            "order": self.order.to_string(),
            "order_differs": self.order_differs,
            "trials": self.trials,
            "recorded": self.recorded,
            "as_recorded": self.as_recorded,
            "failing": failing,
            "differences": differences,
        })
    }
}

fn shown_name(test: &TestId) -> String {
    escape::terminal(test.as_bytes())
}

fn signature_of(shown: &Shown) -> String {
    escape::terminal(shown.signature.as_deref().unwrap_or_default().as_bytes())
}

impl Failing {
    fn line(&self) -> String {
        let (name, outcome) = (shown_name(&self.test), self.shown.outcome);
        match &self.differs_from {
            Some(then) => format!(
                "{outcome} otherwise than recorded: {name}: {} `{}` then, {outcome} `{}` now",
                then.outcome,
                signature_of(then),
                signature_of(&self.shown)
            ),
            None if self.same => format!("{outcome} as recorded: {name}"),
            None => format!("{outcome}: {name}"),
        }
    }
}

impl Difference {
    fn line(&self) -> String {
        let again = if self.rep > 1 { " (second run)" } else { "" };
        format!(
            "differs: {}{again}: {} then, {} now",
            shown_name(&self.test),
            self.then.outcome,
            self.now.outcome
        )
    }
}
