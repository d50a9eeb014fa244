//! What a minimisation found: the minimal order, its token, how often to run it, how sure that is.

use serde_json::{Value, json};

use super::inquiry::{Book, Failing, Inquiry};
use crate::{
    command::{
        Context,
        finding::{Names, json as shape, words},
        stopping::Stopping,
        tokens,
    },
    config::Settings,
    error::{ExitCode, Failure},
    model::{Clock, Count, Flag, Recipe, SystemClock, TestId},
    plan::{Handles, Row, Tests},
    stats,
    store::{FlagStart, Reader, StoreError, Writer},
    ui::{escape, text},
};

const SCHEMA: &str = "soakhound.minimize/1";

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conclusion {
    /// The order failed, and the smallest one is certified.
    Minimized,
    /// It failed, and no smallest one is certified.
    Inconclusive,
    /// It did not fail.
    NotReproduced,
}

impl Conclusion {
    fn word(self) -> &'static str {
        match self {
            Self::Minimized => "minimized",
            Self::Inconclusive => "inconclusive",
            Self::NotReproduced => "not-reproduced",
        }
    }
}

/// What a minimisation found.
pub(super) struct Answer {
    result: Conclusion,
    tests: std::sync::Arc<Tests>,
    victim: Option<TestId>,
    /// The analyst's flag about it.
    flag: Option<Flag>,
    /// What shows it: certified, or the shortest that was seen to fail.
    recipe: Option<Recipe>,
    token: Option<String>,
    reproduced: Count,
    probes: u64,
    executions: u64,
    recorded: bool,
}

impl Answer {
    /// Gathers what the analyst says.
    pub(super) fn of(
        settings: &Settings,
        inquiry: &Inquiry,
        reader: Option<&Reader>,
    ) -> Result<Self, StoreError> {
        let state = &inquiry.state;
        let victim = inquiry.victim.clone();
        let flags = inquiry.analyst.flags();
        let mut flags = flags.into_iter();
        let mut flag = flags.find(|flag| victim.is_some() && flag.test == victim);
        if let Some(flag) = &mut flag {
            inquiry.tell_files(flag);
        }
        let certified = flag.as_ref().filter(|flag| flag.certified);
        let recipe = certified.and_then(|flag| flag.recipe.clone());
        let result = match (&recipe, inquiry.has_failed()) {
            (_, false) => Conclusion::NotReproduced,
            (Some(_), true) => Conclusion::Minimized,
            (None, true) => Conclusion::Inconclusive,
        };
        let shortest = state.shortest.as_ref().filter(|_| recipe.is_none());
        let recipe = recipe.or_else(|| shortest.and_then(of_probe));
        let handles = Handles::of(inquiry.tests.names());
        let complete = recipe
            .as_ref()
            .and_then(|recipe| tokens::of_recipe(settings.suite.id, &handles, recipe));
        let row = state.shortest.as_ref().and_then(|failing| failing.shard);
        let token = match (complete, row, reader) {
            (Some(token), _, _) => Some(token),
            (None, Some(shard), Some(reader)) => Some(tokens::of_row(
                Row::Shard(shard.unsigned_abs()),
                reader.database_id()?,
            )),
            (None, _, _) => None,
        };
        Ok(Self {
            result,
            tests: std::sync::Arc::clone(&inquiry.tests),
            victim,
            token: token
                .filter(|_| result != Conclusion::NotReproduced)
                .map(|token| token.to_string()),
            recipe,
            flag,
            reproduced: state.reproduced,
            probes: state.probes,
            executions: state.executions,
            recorded: inquiry.book.is_some(),
        })
    }

    /// Keeps the flag, so that `flags` and `show` have it.
    pub(super) async fn raise(&self, writer: &Writer, book: &Book) -> Result<(), StoreError> {
        let Some(flag) = self.flag.as_ref().filter(|flag| flag.certified) else {
            return Ok(());
        };
        let start = FlagStart {
            hunt: book.hunt,
            revision: book.revision,
            at: SystemClock.now(),
            flag: flag.clone(),
            token: self.token.clone(),
        };
        writer.raise_flag(start).await.map(drop)
    }

    /// Prints it, and says how the command ends.
    pub(super) fn show(
        &self,
        context: &Context,
        as_json: bool,
        stopping: &Stopping,
    ) -> Result<ExitCode, Failure> {
        if as_json {
            context.console.json(&self.json())?;
        } else {
            for line in self.lines() {
                context.console.line(&line)?;
            }
            let next = match (&self.token, &self.victim, self.result) {
                (_, _, Conclusion::NotReproduced) => None,
                (Some(token), _, _) => Some(format!("replay {token} --repeat auto")),
                (None, Some(test), _) if self.recorded => {
                    let handle = Handles::of(self.tests.names()).handle(test);
                    Some(format!("show {handle}"))
                }
                (None, _, _) => None,
            };
            if let Some(next) = next {
                let next = context.again.with(&next);
                context.console.line(&format!("next: {next}"))?;
            }
        }
        let stopped = stopping.ending().aborted();
        Ok(match self.result {
            Conclusion::Minimized => ExitCode::Finding,
            _ if stopped != ExitCode::Fine => stopped,
            Conclusion::NotReproduced if self.reproduced.trials > 0 => ExitCode::Fine,
            Conclusion::Inconclusive | Conclusion::NotReproduced => ExitCode::Inconclusive,
        })
    }

    fn lines(&self) -> Vec<String> {
        let names = Names::of(self.tests.names());
        let runs = text::plural(self.reproduced.trials, "run");
        let mut lines = Vec::new();
        if self.result == Conclusion::NotReproduced {
            lines.push(match &self.victim {
                _ if self.reproduced.trials == 0 => {
                    "inconclusive: the order has not run to its end".to_owned()
                }
                Some(test) => format!(
                    "not reproduced in {runs}: {}",
                    escape::terminal(test.as_bytes())
                ),
                None => format!("no failure in {runs} of this order"),
            });
            return lines;
        }
        if self.reproduced.trials > 0 {
            lines.push(format!(
                "order    failed in {} of {runs}",
                text::count(self.reproduced.failures)
            ));
        }
        let verdict = self.flag.as_ref();
        let certified = verdict.is_some_and(|flag| flag.certified);
        if let Some(flag) = verdict {
            let sure = if certified {
                "certified"
            } else {
                "not certified"
            };
            lines.push(format!("verdict  {}, {sure}", flag.verdict));
            lines.push(format!("         {}", words::meaning(flag)));
            if let Some(ln_e) = flag.ln_e {
                lines.push(format!(
                    "         by accident at most {}",
                    words::one_in(ln_e)
                ));
            }
        }
        if let Some(recipe) = &self.recipe {
            let head = match self.result {
                Conclusion::Minimized => "minimal",
                Conclusion::Inconclusive | Conclusion::NotReproduced => "smallest so far",
            };
            lines.push(format!(
                "{head}: {}",
                text::plural(recipe.order.len() as u64, "trial")
            ));
            lines.extend(
                recipe
                    .order
                    .iter()
                    .map(|(test, _)| format!("         {}", names.both(test))),
            );
            lines.extend(
                recipe
                    .beside
                    .iter()
                    .map(|test| format!("         while {} runs elsewhere", names.both(test))),
            );
            if !recipe.factors.is_empty() {
                lines.push(format!(
                    "         with {}",
                    words::settings(&recipe.factors)
                ));
            }
            lines.push(format!("         {}", words::repeats(recipe)));
        } else {
            lines.push("inconclusive: no smaller order that fails was found in time".to_owned());
        }
        if let Some(settles) = verdict.and_then(|flag| flag.settles.as_ref()) {
            let settles = escape::terminal(settles.as_bytes());
            lines.push(format!("settles  {settles}"));
        }
        if let Some(token) = &self.token {
            lines.push(format!("token    {token}"));
        }
        lines.push(format!(
            "asked    {}, {}{}",
            text::plural(self.probes, "probe"),
            text::plural(self.executions, "test execution"),
            if self.recorded { "" } else { "; not recorded" }
        ));
        lines
    }

    fn json(&self) -> Value {
        let flag = self.flag.as_ref();
        let recipe = self.recipe.as_ref();
        let handles = Handles::of(self.tests.names());
        let order = |recipe: &Recipe| -> Vec<Value> {
            let step =
                |(test, rep): &(TestId, u8)| json!({"test": escape::json_name(test), "rep": rep});
            recipe.order.iter().map(step).collect()
        };
        json!({
            "schema": SCHEMA,
            "result": self.result.word(),
            "test": self.victim.as_ref().map(escape::json_name),
            "handle": self.victim.as_ref().map(|test| handles.handle(test).to_string()),
            "verdict": flag.map(|flag| flag.verdict.word()),
            "certified": self.result == Conclusion::Minimized,
            "order": recipe.map(order),
            "factors": recipe.map(|recipe| shape::factors(&recipe.factors)),
            "beside": recipe.map(|recipe| shape::names(&recipe.beside)),
            "seen": recipe.map(|recipe| shape::count(recipe.seen)),
            "repeat_for_95": recipe.map(|recipe| recipe.repeat),
            "repeat_at_worst": recipe.map(|recipe| recipe.repeat_at_worst),
            "token": self.token,
            "e_value": flag.and_then(|flag| flag.ln_e).map(shape::e_value),
            "settles": flag.and_then(|flag| flag.settles.clone()),
            "runs": self.reproduced.trials,
            "failures": self.reproduced.failures,
            "probes": self.probes,
            "executions": self.executions,
            "recorded": self.recorded,
            "why": Value::Null,
        })
    }
}

/// Returns in JSON that nothing was run, and why.
pub(super) fn refused(failure: &Failure) -> Value {
    json!({
        "schema": SCHEMA,
        "result": Conclusion::Inconclusive.word(),
        "test": Value::Null,
        "token": Value::Null,
        "certified": false,
        "runs": 0,
        "failures": 0,
        "probes": 0,
        "executions": 0,
        "recorded": false,
        "why": failure.message(),
    })
}

/// A probe that failed as a recipe: seen once. One with several processes has none.
fn of_probe(failing: &Failing) -> Option<Recipe> {
    let [order] = &*failing.probe.processes else {
        return None;
    };
    let seen = Count {
        failures: 1,
        trials: 1,
    };
    let repeats = stats::repeats(seen);
    Some(Recipe {
        order: order.clone(),
        factors: failing.probe.factors.clone(),
        beside: failing.probe.beside.clone(),
        seen,
        repeat: repeats.predictive,
        repeat_at_worst: repeats.worst,
    })
}
