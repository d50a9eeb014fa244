//! `status`: is a hunt alive, how far is it, what did it see.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Context,
    finding::{read, words},
    flags, summary, tokens,
};
use crate::{
    cli::StatusArgs,
    config::Settings,
    error::{ExitCode, Failure},
    model::{Clock, Count, HuntKind, HuntState, SystemClock},
    plan::MasterSeed,
    report::digest::ENOUGH,
    stats,
    store::{AnalysisRow, CanaryRow, Holder, HuntRow, HuntStatus, Reader, StoreError, holder},
    ui::{escape, text},
};

/// Age of a heartbeat after which a living process is called stale: twelve missed ones.
const STALE: Duration = Duration::from_mins(1);

/// Error probability of the bound for tests that never failed: 95 %.
const ALPHA: f64 = 0.05;

const SCHEMA: &str = "soakhound.status/1";

/// How a hunt stands, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// A process drives it.
    Alive(HuntState),
    /// A process holds it and says nothing any more.
    Stale,
    /// Nobody drives it.
    Still(HuntState),
}

impl Standing {
    fn of(status: &HuntStatus, held: bool, age: Duration) -> Self {
        let state = status.hunt.state;
        let alive = matches!(state, HuntState::Running | HuntState::Draining);
        match (alive, held) {
            (true, true) if age > STALE => Self::Stale,
            (true, true) => Self::Alive(state),
            // It still says that it runs: the process died without a word.
            (true, false) => Self::Still(HuntState::Interrupted),
            (false, _) => Self::Still(state),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Alive(state) | Self::Still(state) => state.word(),
            Self::Stale => "stale",
        }
    }

    fn exit(self) -> ExitCode {
        match self {
            Self::Alive(_) => ExitCode::Fine,
            Self::Stale => ExitCode::Stale,
            Self::Still(_) => ExitCode::NotRunning,
        }
    }
}

/// Shows how the newest hunt of the suite stands.
///
/// # Errors
/// [`Failure`] when there is no database, or it cannot be read.
pub(super) fn run(
    context: &Context,
    arguments: &StatusArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let console = &context.console;
    let reader = match Reader::open(&settings.store.path) {
        Ok(reader) => reader,
        Err(StoreError::Missing { .. }) => return none(context, arguments, settings),
        Err(error) => return Err(error.into()),
    };
    let Some(hunt) = reader.latest_hunt(settings.suite.id, HuntKind::Hunt)? else {
        return none(context, arguments, settings);
    };
    let status = reader.status(hunt.id)?;
    let held = holder(&settings.store.path)?;
    let age = SystemClock.now().0 - status.heartbeat.0;
    let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
    let standing = Standing::of(&status, held.is_some(), age);
    let most = if arguments.json {
        summary::MOST
    } else {
        summary::SHOWN
    };
    let found = summary::failing(settings, &reader, hunt.id, most)?;
    let analysed = Analysed::read(settings, &reader, &status)?;
    let shards = match arguments.shards {
        Some(most) => shard_tokens(settings, &reader, hunt.id, most.get())?,
        None => Vec::new(),
    };
    if arguments.json {
        let mut answer = summary::counts_json(&status);
        answer["schema"] = json!(SCHEMA);
        answer["state"] = json!(standing.word());
        analysed.fill(&mut answer);
        answer["failing"] = json!(summary::failing_json(&found));
        if arguments.shards.is_some() {
            answer["shard_tokens"] = shards
                .iter()
                .map(|(shard, token)| json!({"shard": shard, "token": token}))
                .collect();
        }
        console.json(&answer)?;
        return Ok(standing.exit());
    }
    let words = Words {
        standing,
        holder: held.as_ref(),
        age,
    };
    for line in words.lines(settings, &status) {
        console.line(&line)?;
    }
    for line in summary::counted_lines(&status)
        .into_iter()
        .chain(analysed.lines())
        .chain(summary::failing_lines(
            &found,
            status.failing_tests,
            console.width(),
        ))
    {
        console.line(&line)?;
    }
    for (shard, token) in &shards {
        console.line(&format!("shard {shard}  {token}"))?;
    }
    let next = match (standing, found.first()) {
        _ if analysed.flags_open > 0 => Some("flags".to_owned()),
        (_, Some(failing)) => Some(format!("replay {}", failing.token)),
        (Standing::Still(_), None) => Some("hunt".to_owned()),
        (Standing::Alive(_) | Standing::Stale, None) => None,
    };
    if let Some(next) = next {
        console.line(&format!("next: {}", context.again.with(&next)))?;
    }
    Ok(standing.exit())
}

/// Answers where no hunt of this suite was ever started.
fn none(
    context: &Context,
    arguments: &StatusArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let console = &context.console;
    if arguments.json {
        let mut answer = json!({"schema": SCHEMA, "failing": []});
        for absent in [
            "hunt",
            "seed",
            "state",
            "started",
            "heartbeat",
            "ends",
            "workers",
            "pair_coverage",
            "canary",
            "never_failed",
        ] {
            answer[absent] = Value::Null;
        }
        for zero in [
            "iterations",
            "shards",
            "trials",
            "probe_trials",
            "executions",
            "aborted",
            "infra",
            "flags_open",
            "attempts",
            "false_certificates_expected",
        ] {
            answer[zero] = json!(0);
        }
        console.json(&answer)?;
    } else {
        console.line(&format!(
            "no hunt of suite {} ({}) is on record in {}",
            settings.suite.name,
            settings.suite.id,
            escape::terminal(settings.store.path.as_os_str().as_encoded_bytes()),
        ))?;
        console.line(&format!("next: {}", context.again.with("hunt --for 8h")))?;
    }
    Ok(ExitCode::NotRunning)
}

/// What the first lines say of.
struct Words<'a> {
    standing: Standing,
    holder: Option<&'a Holder>,
    age: Duration,
}

impl Words<'_> {
    fn lines(&self, settings: &Settings, status: &HuntStatus) -> Vec<String> {
        let hunt = &status.hunt;
        let mut lines = vec![
            format!("state   {}{}", self.standing.word(), self.why(hunt)),
            format!(
                "hunt    {} of suite {} ({}), seed {}",
                hunt.id,
                settings.suite.name,
                settings.suite.id,
                MasterSeed(hunt.master_seed),
            ),
        ];
        let ends = hunt
            .ends
            .filter(|_| matches!(self.standing, Standing::Alive(_)));
        lines.push(format!(
            "began   {}{}",
            hunt.started.rfc3339(),
            ends.map_or_else(String::new, |ends| format!(", ends {}", ends.rfc3339())),
        ));
        if let (Standing::Alive(_) | Standing::Stale, Some(holder)) = (self.standing, self.holder) {
            lines.push(format!(
                "driven  by process {} on {}, {}; last heard of {} ago",
                holder.pid,
                escape::terminal(holder.host.as_bytes()),
                text::plural(u64::from(status.lease.workers), "worker"),
                text::duration(self.age),
            ));
        }
        lines
    }

    fn why(&self, hunt: &HuntRow) -> String {
        match self.standing {
            Standing::Alive(_) => String::new(),
            Standing::Stale => ": its process lives but does not get on".to_owned(),
            // The process died without a word: what it last said does not hold any more.
            Standing::Still(HuntState::Interrupted) if hunt.state != HuntState::Interrupted => {
                ": its process died; `soakhound hunt` resumes it".to_owned()
            }
            Standing::Still(state) => {
                let reason = hunt.reason.as_deref().unwrap_or("no reason given");
                let next = if state == HuntState::Finished {
                    "begins another"
                } else {
                    "resumes it"
                };
                format!(
                    ": {}; `soakhound hunt` {next}",
                    escape::terminal(reason.as_bytes())
                )
            }
        }
    }
}

/// What the analysis says of the suite.
struct Analysed {
    flags_open: usize,
    attempts: u64,
    probe_trials: u64,
    row: Option<AnalysisRow>,
    /// Green runs among the complete natural ones, as `failures` among `trials`.
    green: Count,
    /// Tests that never failed in this hunt, and the failure rate that they may still have, with 95 %; `None` before
    /// the first iteration is complete.
    never_failed: Option<(u64, f64)>,
}

impl Analysed {
    fn read(settings: &Settings, reader: &Reader, status: &HuntStatus) -> Result<Self, StoreError> {
        let suite = settings.suite.id;
        let tests = read::tests(suite, reader)?;
        let passing = (tests.len() as u64).saturating_sub(status.failing_tests);
        let natural = reader.natural_runs(suite)?;
        // Every one of them ran at least this often, unless it was skipped.
        let runs = status.iterations;
        let row = reader.analysis(suite)?;
        let fixed = row.as_ref().map_or(&[][..], |row| &row.fixed);
        Ok(Self {
            flags_open: read::open_flags(suite, reader, &tests, fixed)?,
            attempts: reader.attempts(suite)?,
            probe_trials: status.probe_trials,
            row,
            green: Count {
                failures: natural.green(),
                trials: natural.runs,
            },
            never_failed: (runs > 0).then(|| (passing, stats::never_failed_bound(runs, ALPHA))),
        })
    }

    fn fill(&self, answer: &mut Value) {
        answer["flags_open"] = json!(self.flags_open);
        answer["attempts"] = json!(self.attempts);
        answer["false_certificates_expected"] = json!(flags::expected(self.attempts));
        answer["probe_trials"] = json!(self.probe_trials);
        answer["pair_coverage"] = json!(self.row.as_ref().map(|row| row.pair_coverage));
        answer["canary"] = self.canary().map_or(
            Value::Null,
            |canary| json!({"state": canary.state, "why": canary.why}),
        );
        let (low, high) = words::interval(self.green).unzip();
        answer["green"] = json!({
            "order": "natural",
            "green": self.green.failures,
            "runs": self.green.trials,
            "low": low,
            "high": high,
        });
        answer["never_failed"] = self.never_failed.map_or(
            Value::Null,
            |(tests, bound)| json!({"tests": tests, "upper_bound": bound}),
        );
    }

    /// How often full runs in the CI's own order were green.
    fn green_line(&self) -> String {
        let of = self.green;
        match words::interval(of) {
            Some((low, high)) if of.trials >= ENOUGH => format!(
                "green   {} of {} in your CI's order (95 %: {} to {})",
                text::count(of.failures),
                text::plural(of.trials, "full run"),
                words::percent(low),
                words::percent(high)
            ),
            _ => format!(
                "green   not yet: {} of {ENOUGH} full runs in your CI's order",
                text::count(of.trials)
            ),
        }
    }

    fn canary(&self) -> Option<&CanaryRow> {
        self.row.as_ref().and_then(|row| row.canary.as_ref())
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("flags   {} open", text::count(self.flags_open as u64)),
            format!("tried   {}", flags::attempts_line(self.attempts)),
        ];
        lines.push(self.green_line());
        if self.probe_trials > 0 {
            lines.push(format!(
                "probes  {} in probes, in no count above",
                text::plural(self.probe_trials, "trial")
            ));
        }
        if let Some((tests, bound)) = self.never_failed {
            lines.push(format!(
                "rest    {} never failed: each fails in at most {} of its runs, with 95 %",
                text::plural(tests, "test"),
                words::percent(bound)
            ));
        }
        if let Some(row) = &self.row {
            lines.push(format!(
                "pairs   {} of the ordered pairs of tests have run in one process",
                words::percent(row.pair_coverage)
            ));
        }
        if let Some(canary) = self.canary() {
            let why = canary.why.as_ref().map_or_else(String::new, |why| {
                format!(": {}", escape::terminal(why.as_bytes()))
            });
            let state = match canary.state.as_str() {
                "red" => "RED, do not trust what this hunt did not find",
                other => other,
            };
            lines.push(format!("canary  {state}{why}"));
        }
        lines
    }
}

/// The tokens of the newest closed shards.
fn shard_tokens(
    settings: &Settings,
    reader: &Reader,
    hunt: i64,
    most: u32,
) -> Result<Vec<(i64, String)>, Failure> {
    let database = reader.database_id()?;
    let mut lists = std::collections::BTreeMap::new();
    let mut tokens = Vec::new();
    for shard in reader.finished_shards(hunt, most)? {
        let row = reader.shard(shard)?;
        if let std::collections::btree_map::Entry::Vacant(entry) = lists.entry(row.revision) {
            entry.insert(reader.revision(row.revision)?.list);
        }
        let token = tokens::of_shard(
            settings.suite.id,
            lists[&row.revision],
            &row.plan,
            row.id,
            database,
        );
        tokens.push((shard, token.to_string()));
    }
    Ok(tokens)
}
