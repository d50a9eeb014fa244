//! What a hunt or a run has seen, as text and as JSON: counts, failing tests, the token of each last failure.

use std::collections::{BTreeMap, btree_map::Entry};

use serde_json::{Value, json};

use super::{Context, finding::read, flags, tokens};
use crate::{
    config::Settings,
    error::Failure,
    model::Outcome,
    plan::{Handles, MasterSeed, Row, Token},
    store::{FailureRow, HuntStatus, Reader, RevisionId, RevisionRow, StoreError},
    ui::{Column, escape, table, text},
};

/// Failing tests that text output shows; `--json` shows all.
pub(super) const SHOWN: u32 = 20;
/// Failing tests that are read at all.
pub(super) const MOST: u32 = 10_000;

/// A failing test with what replays its last failure.
pub(super) struct Failing {
    pub(super) row: FailureRow,
    pub(super) handle: String,
    pub(super) token: Token,
}

/// Reads the failing tests of a hunt, most failures first, at most so many.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn failing(
    settings: &Settings,
    reader: &Reader,
    hunt: i64,
    most: u32,
) -> Result<Vec<Failing>, StoreError> {
    let database = reader.database_id()?;
    let rows = reader.failures(hunt, most)?;
    let mut shards = BTreeMap::new();
    let mut revisions: BTreeMap<RevisionId, RevisionRow> = BTreeMap::new();
    for row in &rows {
        if let Entry::Vacant(entry) = shards.entry(row.shard) {
            let shard = entry.insert(reader.shard(row.shard)?);
            if let Entry::Vacant(entry) = revisions.entry(shard.revision) {
                entry.insert(reader.revision(shard.revision)?);
            }
        }
    }
    let handles: BTreeMap<RevisionId, Handles<'_>> = revisions
        .iter()
        .map(|(id, revision)| (*id, Handles::of(&revision.tests)))
        .collect();
    let found = rows.into_iter().map(|row| {
        let shard = &shards[&row.shard];
        let list = revisions[&shard.revision].list;
        let token = if tokens::continues(reader, row.shard, row.segment)? {
            tokens::of_row(Row::Segment(row.segment.unsigned_abs()), database)
        } else {
            tokens::of_shard(settings.suite.id, list, &shard.plan, shard.id, database)
        };
        let handle = handles[&shard.revision].handle(&row.test).to_string();
        Ok(Failing { row, handle, token })
    });
    found.collect()
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

/// Returns the first of `all` failing tests as a table, and what replays them.
pub(super) fn failing_lines(found: &[Failing], all: u64, columns: usize) -> Vec<String> {
    if found.is_empty() {
        return vec!["no test failed".to_owned()];
    }
    let rows: Vec<Vec<String>> = found
        .iter()
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
    let more = all.saturating_sub(found.len() as u64);
    if more > 0 {
        lines.push(format!(
            "… {} more: `soakhound status --json` has all",
            text::count(more)
        ));
    }
    lines.push("the order in which each failed last, for `soakhound replay`:".to_owned());
    for failing in found {
        lines.push(format!("{}  {}", failing.handle, failing.token));
    }
    lines
}

/// Returns the end of a hunt as JSON: for programs, and for the hook.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn facts(settings: &Settings, reader: &Reader, hunt: i64) -> Result<Value, StoreError> {
    let status = reader.status(hunt)?;
    let mut facts = counts_json(&status);
    facts["schema"] = json!("soakhound.hunt/1");
    facts["suite"] = json!(settings.suite.name.as_str());
    facts["state"] = json!(status.hunt.state.word());
    facts["failing"] = json!(failing_json(&failing(settings, reader, hunt, MOST)?));
    let board = read::board(settings, reader, None)?;
    facts["flags"] = json!(flags::values(&board));
    facts["attempts"] = json!(board.attempts);
    Ok(facts)
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
    let console = &context.console;
    if as_json {
        console.json(&facts(settings, reader, hunt)?)?;
        return Ok(());
    }
    let status = reader.status(hunt)?;
    let found = failing(settings, reader, hunt, SHOWN)?;
    let board = read::board(settings, reader, None)?;
    console.line(&format!("hunt    {hunt}: {reason}"))?;
    for line in counted_lines(&status) {
        console.line(&line)?;
    }
    let flagged = flags::summary(context, &board);
    for line in failing_lines(&found, status.failing_tests, console.width())
        .iter()
        .chain(&flagged)
    {
        console.line(line)?;
    }
    let next = match found.first() {
        _ if !flagged.is_empty() => "flags".to_owned(),
        Some(failing) => format!("replay {}", failing.token),
        None => "status".to_owned(),
    };
    console.line(&format!("next: {}", context.again.with(&next)))?;
    Ok(())
}

/// Returns the counts of a hunt in words.
pub(super) fn counted_lines(status: &HuntStatus) -> Vec<String> {
    let of = |outcome| status.outcomes.of(outcome);
    let failing = status.outcomes.sum(Outcome::is_failing);
    let void = status.outcomes.sum(Outcome::is_void);
    let mut lines = vec![
        format!(
            "done    {}, {}, {}",
            text::plural(status.iterations, "complete iteration"),
            text::plural(status.shards_finished, "shard"),
            text::plural(status.trials() + of(Outcome::Skipped), "trial"),
        ),
        format!(
            "seen    {} passed, {} failed{}, {} skipped",
            text::count(of(Outcome::Passed)),
            text::count(failing),
            match status.failing_tests {
                0 => String::new(),
                tests => format!(" (of {})", text::plural(tests, "test")),
            },
            text::count(of(Outcome::Skipped)),
        ),
    ];
    if void > 0 {
        lines.push(format!(
            "void    {} aborted, {} infra, {} lost, {} untrusted: not counted above",
            text::count(of(Outcome::Aborted)),
            text::count(of(Outcome::Infra)),
            text::count(of(Outcome::Lost)),
            text::count(of(Outcome::Untrusted)),
        ));
    }
    let open = status.shards_planned - status.shards_finished - status.shards_abandoned;
    if open > 0 {
        lines.push(format!(
            "open    {}; evidence up to shard {}",
            text::plural(open, "shard"),
            status.watermark
        ));
    }
    if status.shards_abandoned > 0 {
        lines.push(format!(
            "given up {}, since the project changed",
            text::plural(status.shards_abandoned, "shard")
        ));
    }
    lines
}
