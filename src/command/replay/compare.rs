//! One repetition beside the record: which outcomes are as recorded, which differ, whether the failure is the
//! same. Pure.

use serde_json::{Value, json};

use super::resolve::{Shown, Target};
use crate::{
    execute::RecordedShard,
    model::TestId,
    store::signature,
    ui::{escape, text},
};

/// What one repetition showed.
pub(super) struct Comparison {
    /// Trials that have an outcome.
    trials: usize,
    /// Trials whose outcome is the recorded one.
    as_recorded: usize,
    /// Trials that the record knows.
    recorded: usize,
    /// What differs, a line each; untrusted.
    pub(super) differences: Vec<String>,
    /// Watched tests that failed.
    failing: Vec<(TestId, Shown)>,
    /// Of these, the ones that failed with the recorded signature.
    same_failure: usize,
    /// Did the runner keep to the order?
    pub(super) order_differs: bool,
}

/// Compares one repetition with the record.
pub(super) fn compare(target: &Target, shard: &RecordedShard) -> Comparison {
    let mut comparison = Comparison {
        trials: 0,
        as_recorded: 0,
        recorded: 0,
        differences: Vec::new(),
        failing: Vec::new(),
        same_failure: 0,
        order_differs: shard
            .segments
            .iter()
            .any(|(_, close)| close.as_ref().is_some_and(|close| close.order_differs)),
    };
    for (_, trial) in shard
        .trials
        .iter()
        .filter(|(_, trial)| !trial.outcome.is_void())
    {
        comparison.trials += 1;
        let failing = trial.outcome.is_failing();
        let signature = trial.detail.as_deref().filter(|_| failing).map(signature);
        let shown = Shown {
            outcome: trial.outcome,
            signature,
        };
        let known = target.recorded.get(&(trial.test.clone(), trial.rep));
        if let Some(known) = known {
            comparison.recorded += 1;
            if known.outcome == shown.outcome {
                comparison.as_recorded += 1;
            } else {
                let name = String::from_utf8_lossy(trial.test.as_bytes());
                comparison.differences.push(format!(
                    "{name}: {} then, {} now",
                    known.outcome, shown.outcome
                ));
            }
        }
        if failing && (target.watch.is_empty() || target.watch.contains(&trial.test)) {
            comparison.same_failure += usize::from(known.is_some_and(|known| *known == shown));
            comparison.failing.push((trial.test.clone(), shown));
        }
    }
    comparison
}

impl Comparison {
    /// Did a watched test fail?
    pub(super) fn reproduced(&self) -> bool {
        !self.failing.is_empty()
    }

    /// The repetition in one line.
    pub(super) fn line(&self) -> String {
        let mut line = text::plural(self.trials as u64, "trial");
        if self.recorded > 0 {
            line += &format!(
                ", {} of {} outcomes as recorded",
                self.as_recorded, self.recorded
            );
        }
        match self.failing.len() {
            0 => {}
            failing if self.recorded > 0 => {
                line += &format!(
                    ", {} failed, {} with the recorded failure",
                    text::plural(failing as u64, "watched test"),
                    self.same_failure
                );
            }
            failing => line += &format!(", {} failed", text::plural(failing as u64, "test")),
        }
        if self.order_differs {
            line += ", in another order than asked for";
        }
        line
    }

    /// The repetition as JSON.
    pub(super) fn json(&self) -> Value {
        let failing: Vec<Value> = self
            .failing
            .iter()
            .map(|(test, shown)| json!({"test": escape::json_name(test), "outcome": shown.outcome.word(), "signature": shown.signature}))
            .collect();
        json!({
            "trials": self.trials,
            "recorded": self.recorded,
            "as_recorded": self.as_recorded,
            "differences": self.differences,
            "failing": failing,
            "same_failure": self.same_failure,
            "order_differs": self.order_differs,
        })
    }
}
