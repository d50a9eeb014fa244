//! `status`: is a hunt alive, how far is it, what did it see.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Context, summary, tokens};
use crate::{
    cli::StatusArgs,
    config::Settings,
    error::{ExitCode, Failure},
    model::{Clock, HuntKind, HuntState, SystemClock},
    plan::MasterSeed,
    store::{Holder, HuntRow, HuntStatus, Reader, StoreError, holder},
    ui::{escape, text},
};

/// Age of a heartbeat after which a living process is called stale: twelve missed ones.
const STALE: Duration = Duration::from_mins(1);

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
    let found = summary::failing(settings, &reader, hunt.id)?;
    let shards = match arguments.shards {
        Some(most) => shard_tokens(settings, &reader, hunt.id, most.get())?,
        None => Vec::new(),
    };
    if arguments.json {
        let mut answer = summary::counts_json(&status);
        answer["schema"] = json!(SCHEMA);
        answer["state"] = json!(standing.word());
        answer["probe_trials"] = json!(0);
        answer["pair_coverage"] = Value::Null;
        answer["flags_open"] = json!(0);
        answer["attempts"] = json!(0);
        answer["canary"] = Value::Null;
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
        .chain(summary::failing_lines(&found, console.width()))
    {
        console.line(&line)?;
    }
    for (shard, token) in &shards {
        console.line(&format!("shard {shard}  {token}"))?;
    }
    let next = match (standing, found.first()) {
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
