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
    store::{HuntStatus, Reader, holder},
    ui::{escape, text},
};

/// Age of a heartbeat after which a living process is called stale: twelve missed ones.
const STALE: Duration = Duration::from_secs(60);

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
    let reader = Reader::open(&settings.store.path)?;
    let Some(hunt) = reader.latest_hunt(settings.suite.id, HuntKind::Hunt)? else {
        if arguments.json {
            console.json(
                &json!({"schema": "soakhound.status/1", "hunt": Value::Null, "state": Value::Null}),
            )?;
        } else {
            console.line(&format!(
                "no hunt of suite `{}` in this database",
                settings.suite.name
            ))?;
            console.line("next: soakhound hunt --for 8h")?;
        }
        return Ok(ExitCode::NotRunning);
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
        answer["schema"] = json!("soakhound.status/1");
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
    console.line(&format!(
        "{}   hunt {} of suite `{}`, seed {}, begun {}",
        standing.word(),
        hunt.id,
        settings.suite.name,
        MasterSeed(hunt.master_seed),
        hunt.started.rfc3339(),
    ))?;
    match (standing, &held) {
        (Standing::Alive(_) | Standing::Stale, Some(holder)) => console.line(&format!(
            "driven by process {} on {}, heartbeat {} ago, {}",
            holder.pid,
            escape::terminal(holder.host.as_bytes()),
            text::duration(age),
            text::plural(u64::from(status.lease.workers), "worker"),
        ))?,
        _ => console.line(&format!(
            "not running{}; `soakhound hunt` {}",
            hunt.reason
                .as_deref()
                .map_or_else(String::new, |why| format!(
                    ": {}",
                    escape::terminal(why.as_bytes())
                )),
            if hunt.state == HuntState::Finished {
                "begins another"
            } else {
                "resumes it"
            },
        ))?,
    }
    if let Some(ends) = hunt.ends.filter(|_| matches!(standing, Standing::Alive(_))) {
        console.line(&format!("ends {}", ends.rfc3339()))?;
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
    Ok(standing.exit())
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
