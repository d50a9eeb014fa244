//! What a hunt or a run has seen, as text and as JSON: counts, failing tests, the token of each last failure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Context, tokens};
use crate::{
    config::Settings,
    error::Failure,
    model::Outcome,
    plan::{Handles, MasterSeed, Token},
    store::{FailureRow, HuntStatus, Reader, RevisionId, RevisionRow, StoreError},
    ui::{Column, escape, table, text},
};

/// Failing tests that text output shows; `--json` shows all.
const SHOWN: usize = 20;
/// Failing tests that are read at all.
const MOST: u32 = 10_000;

/// A failing test with what replays its last failure.
pub(super) struct Failing {
    pub(super) row: FailureRow,
    pub(super) handle: String,
    pub(super) token: Token,
}

/// Reads the failing tests of a hunt, most failures first.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn failing(
    settings: &Settings,
    reader: &Reader,
    hunt: i64,
) -> Result<Vec<Failing>, StoreError> {
    let database = reader.database_id()?;
    let mut revisions: BTreeMap<RevisionId, RevisionRow> = BTreeMap::new();
    let mut found = Vec::new();
    for row in reader.failures(hunt, MOST)? {
        let shard = reader.shard(row.shard)?;
        if !revisions.contains_key(&shard.revision) {
            revisions.insert(shard.revision, reader.revision(shard.revision)?);
        }
        let revision = &revisions[&shard.revision];
        let token = tokens::of_shard(
            settings.suite.id,
            revision.list,
            &shard.plan,
            shard.id,
            database,
        );
        let handle = Handles::of(&revision.tests).handle(&row.test).to_string();
        found.push(Failing { row, handle, token });
    }
    Ok(found)
}

/// Returns the failing tests as JSON.
pub(super) fn failing_json(found: &[Failing]) -> Vec<Value> {
    found
        .iter()
        .map(|failing| {
            json!({
                "test": escape::json_name(&failing.row.test),
                "handle": failing.handle,
                "failures": failing.row.failures,
                "trials": failing.row.trials,
                "last_seen": failing.row.last_seen.rfc3339(),
                "last_outcome": failing.row.outcome.word(),
                "signature": failing.row.signature,
                "token": failing.token.to_string(),
            })
        })
        .collect()
}

/// Returns the counts of a hunt as JSON: the part that `hunt` and `status` share.
pub(super) fn counts_json(status: &HuntStatus) -> Value {
    let outcomes: BTreeMap<&str, u64> = Outcome::ALL
        .iter()
        .map(|outcome| (outcome.word(), status.outcomes.of(*outcome)))
        .collect();
    json!({
        "hunt": status.hunt.id,
        "seed": MasterSeed(status.hunt.master_seed).to_string(),
        "started": status.hunt.started.rfc3339(),
        "heartbeat": status.heartbeat.rfc3339(),
        "ends": status.hunt.ends.map(crate::model::UnixMillis::rfc3339),
        "iterations": status.iterations,
        "shards": status.shards_finished,
        "shards_abandoned": status.shards_abandoned,
        "watermark": status.watermark,
        "segments": status.segments,
        "trials": status.trials(),
        "executions": status.executions,
        "outcomes": outcomes,
        "aborted": status.outcomes.of(Outcome::Aborted),
        "infra": status.outcomes.of(Outcome::Infra),
        "failing_tests": status.failing_tests,
        "workers": status.lease.workers,
        "reason": status.hunt.reason,
    })
}

/// Returns the failing tests as a table, and the line that replays the first.
pub(super) fn failing_lines(found: &[Failing], columns: usize) -> Vec<String> {
    if found.is_empty() {
        return vec!["no test failed".to_owned()];
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .take(SHOWN)
        .map(|failing| {
            vec![
                failing.handle.clone(),
                format!(
                    "{}/{}",
                    text::count(failing.row.failures),
                    text::count(failing.row.trials)
                ),
                failing.row.outcome.word().to_owned(),
                escape::terminal(failing.row.test.as_bytes()),
            ]
        })
        .collect();
    let shape = [
        Column::Word("handle"),
        Column::Number("fails/runs"),
        Column::Word("last"),
        Column::Name("test"),
    ];
    let mut lines = vec![table(&shape, &rows, columns).trim_end().to_owned()];
    if found.len() > SHOWN {
        lines.push(format!(
            "… {} more: soakhound status --json",
            text::count((found.len() - SHOWN) as u64)
        ));
    }
    lines.push("the last failing order of each:".to_owned());
    for failing in found.iter().take(SHOWN) {
        lines.push(format!(
            "  {}  soakhound replay {}",
            failing.handle, failing.token
        ));
    }
    lines
}

/// Prints the last lines of a hunt: what was seen, and what to type next.
///
/// # Errors
/// [`Failure`] when the database cannot be read or stdout not be written.
pub(super) fn show(
    context: &Context,
    settings: &Settings,
    reader: &Reader,
    hunt: i64,
    as_json: bool,
    reason: &str,
) -> Result<(), Failure> {
    let status = reader.status(hunt)?;
    let found = failing(settings, reader, hunt)?;
    let console = &context.console;
    if as_json {
        let mut answer = counts_json(&status);
        answer["schema"] = json!("soakhound.hunt/1");
        answer["state"] = json!(status.hunt.state.word());
        answer["failing"] = json!(failing_json(&found));
        console.json(&answer)?;
        return Ok(());
    }
    console.line(&format!("hunt {hunt}: {reason}"))?;
    for line in counted_lines(&status) {
        console.line(&line)?;
    }
    for line in failing_lines(&found, console.width()) {
        console.line(&line)?;
    }
    let next = match found.first() {
        Some(failing) => format!("soakhound replay {}", failing.token),
        None => "soakhound status".to_owned(),
    };
    console.line(&format!("next: {next}"))?;
    Ok(())
}

/// Returns the counts of a hunt in words.
pub(super) fn counted_lines(status: &HuntStatus) -> Vec<String> {
    let of = |outcome| status.outcomes.of(outcome);
    let failing = status.outcomes.sum(Outcome::is_failing);
    let mut lines = vec![
        format!(
            "{} complete, {}, {}: {} passed, {} failing in {}, {} skipped",
            text::plural(status.iterations, "iteration"),
            text::plural(status.shards_finished, "shard"),
            text::plural(status.trials() + of(Outcome::Skipped), "trial"),
            text::count(of(Outcome::Passed)),
            text::count(failing),
            text::plural(status.failing_tests, "test"),
            text::count(of(Outcome::Skipped)),
        ),
        format!(
            "not counted: {} aborted, {} infra, {} lost, {} untrusted",
            text::count(of(Outcome::Aborted)),
            text::count(of(Outcome::Infra)),
            text::count(of(Outcome::Lost)),
            text::count(of(Outcome::Untrusted)),
        ),
    ];
    let open = status.shards_planned - status.shards_finished - status.shards_abandoned;
    if open + status.shards_abandoned > 0 {
        lines.push(format!(
            "{} open (they run first on resume), {} given up since the project changed; evidence up to shard {}",
            text::plural(open, "shard"),
            text::count(status.shards_abandoned),
            status.watermark,
        ));
    }
    lines
}
