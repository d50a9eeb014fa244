//! What a replay says: the order, each repetition, the result; as text or as one JSON object.

use std::{collections::BTreeSet, num::NonZeroU32};

use serde_json::{Value, json};

use super::{compare::Comparison, resolve::Target};
use crate::{
    config::Settings,
    error::{ExitCode, Failure},
    model::TestId,
    plan::{ShortDigest, Token},
    ui::{Console, escape, text},
};

/// Where to say it, and in which form.
pub(super) struct Show<'a> {
    pub(super) console: &'a Console,
    pub(super) json: bool,
}

/// What all repetitions together showed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Reproduced,
    NotReproduced,
    Inconclusive,
}

impl Verdict {
    fn of(comparisons: &[Comparison], stopped: bool) -> Self {
        if comparisons.iter().any(Comparison::reproduced) {
            Self::Reproduced
        } else if !stopped && comparisons.iter().any(Comparison::is_conclusive) {
            Self::NotReproduced
        } else {
            Self::Inconclusive
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::NotReproduced => "not-reproduced",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl Show<'_> {
    /// Says what the token stands for, and how the suite has changed.
    pub(super) fn target(
        &self,
        token: &Token,
        target: &Target,
        settings: &Settings,
    ) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        self.console.line(&format!(
            "{token}\nsuite  {} ({}), {}",
            settings.suite.name, settings.suite.id, target.what,
        ))?;
        let (now, trials) = (
            ShortDigest::from(&target.digest),
            text::plural(target.order().count() as u64, "trial"),
        );
        self.console.line(&if target.matching() == "same" {
            format!("order  {now}, {trials}: same as recorded")
        } else {
            format!(
                "order  {now}, {trials}: drifted, was {}",
                target.recorded_order
            )
        })?;
        for line in &target.drift {
            self.console.line(&format!("       {line}"))?;
        }
        let outcomes = text::plural(target.recorded.len() as u64, "outcome");
        let record = match (target.recorded.len(), target.watch.len()) {
            (0, 0) => "no outcomes of this order here: any failure counts".to_owned(),
            (0, _) => format!(
                "no outcomes of this order here; it is about {}",
                subject(&target.watch)
            ),
            (_, 0) => format!("{outcomes}, none failing"),
            (_, _) => format!("{outcomes}, failing {}", subject(&target.watch)),
        };
        self.console.line(&format!("record {record}"))?;
        Ok(())
    }

    /// Says what one repetition showed.
    pub(super) fn repetition(
        &self,
        repetition: u32,
        most: NonZeroU32,
        comparison: &Comparison,
    ) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let mut lines = comparison.lines().into_iter();
        let head = lines.next().unwrap_or_default();
        self.console
            .line(&format!("{:<6} {head}", format!("{repetition}/{most}")))?;
        for line in lines {
            self.console.line(&format!("       {line}"))?;
        }
        Ok(())
    }

    /// Says the result; `stopped` is the exit code of a replay that was stopped before its end.
    pub(super) fn conclusion(
        &self,
        target: &Target,
        comparisons: &[Comparison],
        stopped: Option<ExitCode>,
    ) -> Result<ExitCode, Failure> {
        let verdict = Verdict::of(comparisons, stopped.is_some());
        let failures = comparisons.iter().filter(|one| one.reproduced()).count();
        if self.json {
            let drifted = comparisons.iter().any(|one| one.order_differs);
            let mut drift = target.drift.clone();
            drift.extend(drifted.then(|| "the runner kept to another order".to_owned()));
            self.console.json(&json!({
                "schema": "soakhound.replay/1",
                "result": verdict.word(),
                "match": if drifted { "drifted" } else { target.matching() },
                "drift": drift,
                "order": ShortDigest::from(&target.digest).to_string(),
                "recorded_order": target.recorded_order.to_string(),
                "runs": comparisons.len(),
                "failures": failures,
                "watched": target.watch.iter().map(escape::json_name).collect::<Vec<Value>>(),
                "repetitions": comparisons.iter().map(Comparison::json).collect::<Vec<Value>>(),
            }))?;
        } else {
            self.console.line(&words(
                verdict,
                target,
                comparisons,
                failures,
                stopped.is_some(),
            ))?;
        }
        Ok(match (verdict, stopped) {
            (Verdict::Reproduced, _) => ExitCode::Finding,
            (_, Some(code)) => code,
            (Verdict::NotReproduced, None) => ExitCode::Fine,
            (Verdict::Inconclusive, None) => ExitCode::Inconclusive,
        })
    }

    /// Answers in JSON that nothing was run, and why.
    pub(super) fn refused(&self, failure: &Failure) -> Result<(), Failure> {
        if self.json {
            self.console.json(&json!({
                "schema": "soakhound.replay/1",
                "result": Verdict::Inconclusive.word(),
                "match": "impossible",
                "drift": [failure.message()],
                "order": Value::Null,
                "recorded_order": Value::Null,
                "runs": 0,
                "failures": 0,
                "watched": [],
                "repetitions": [],
            }))?;
        }
        Ok(())
    }
}

/// Tests in a few words: lines above or below name them all.
fn subject(tests: &BTreeSet<TestId>) -> String {
    match tests.first() {
        Some(only) if tests.len() == 1 => escape::terminal(only.as_bytes()),
        _ => text::plural(tests.len() as u64, "test"),
    }
}

fn words(
    verdict: Verdict,
    target: &Target,
    comparisons: &[Comparison],
    failures: usize,
    stopped: bool,
) -> String {
    let runs = text::plural(comparisons.len() as u64, "run");
    let failing = comparisons.iter().flat_map(Comparison::failing).cloned();
    let failing = subject(&failing.collect());
    match verdict {
        Verdict::Reproduced if target.watch.is_empty() => {
            let record = if target.recorded.is_empty() {
                ""
            } else {
                ", which the record does not show"
            };
            format!("FAILED in {failures} of {runs}{record}: {failing}")
        }
        Verdict::Reproduced => {
            let others: usize = comparisons.iter().map(Comparison::other_failures).sum();
            let how = if others > 0 {
                ", not always with the recorded failure"
            } else {
                ""
            };
            format!("REPRODUCED in {failures} of {runs}{how}: {failing}")
        }
        Verdict::NotReproduced if target.watch.is_empty() => format!("no failure in {runs}"),
        Verdict::NotReproduced => format!("not reproduced in {runs}: {}", subject(&target.watch)),
        Verdict::Inconclusive if stopped => format!("inconclusive: stopped after {runs}"),
        Verdict::Inconclusive if comparisons.is_empty() => {
            "inconclusive: the suite has changed, and `--strict` is set".to_owned()
        }
        Verdict::Inconclusive if comparisons.iter().any(|one| one.order_differs) => {
            "inconclusive: the runner kept to another order".to_owned()
        }
        Verdict::Inconclusive => {
            format!(
                "inconclusive: no outcome in {runs} of {}",
                subject(&target.watch)
            )
        }
    }
}
