//! The report for programs: everything that the page shows, raw counts as well as rates, with stable keys. Keys are
//! added, never taken away or given another meaning; [`SCHEMA`] describes them.

use serde_json::{Map, Value, json};

use super::digest::{Card, Cause, Digest, Green, Reliability, Share, State, Subject};
use super::exposure::Exposure;
use super::sentence;
use crate::model::{Count, Group, Role, UnixMillis};
use crate::ui::escape;

/// The JSON Schema (draft 2020-12) of the report.
pub const SCHEMA: &str = include_str!("schema.json");

/// Returns the report as text: one line, keys in the order of their names, and nothing in it that acts on a terminal.
#[must_use]
pub fn text(digest: &Digest) -> String {
    let mut text = escape::json_text(&value(digest));
    text.push('\n');
    text
}

/// Returns the report.
#[must_use]
pub fn value(digest: &Digest) -> Value {
    let head = &digest.head;
    let trust = &digest.trust;
    json!({
        "schema": "soakhound.report/1",
        "headline": sentence::headline(digest),
        "suite": {"name": head.origin.suite, "id": head.origin.suite_id, "tests": head.tests},
        "window": {
            "label": head.window.label,
            "since": time(head.window.since),
            "until": time(head.window.until),
            "tz": head.window.zone,
            "as_of": head.as_of.map(time),
        },
        "origin": {
            "tool": head.origin.tool,
            "schema_version": head.origin.schema,
            "database": head.origin.database,
            "signature_rule": head.origin.signature_rule,
        },
        "evidence": {
            "iterations": head.iterations,
            "worker_hours": head.hours,
            "machines": head.machines,
            "revisions": head.revisions.as_ref().map(|(first, last, count)| {
                json!({"first": first, "last": last, "count": count})
            }),
            "outcomes": outcomes(digest),
        },
        "trust": {
            "faults": trust.faults,
            "facts": trust.facts,
            "blind": trust.blind,
            "shards": {
                "planned": trust.shards[0], "finished": trust.shards[1], "abandoned": trust.shards[2],
            },
            "void": {"trials": trust.void.failures, "of": trust.void.trials},
            "missing": trust.missing,
            "suite_changes": {"came": trust.suite_changes.0, "went": trust.suite_changes.1},
            "attempts": trust.attempts,
            "canary": trust.canary,
        },
        "green": green(&digest.green),
        "states": State::ALL
            .iter()
            .map(|state| (state.word().to_owned(), digest.states.get(state).copied().unwrap_or(0).into()))
            .collect::<Map<String, Value>>(),
        "ranked_by": if digest.green.now[0].is_enough() { "natural" } else { "shuffled" },
        "causes": digest.causes.iter().map(|one| cause(one, digest)).collect::<Vec<_>>(),
        "tests": digest.cards.iter().map(card).collect::<Vec<_>>(),
        "clusters": digest.clusters.iter().map(|cluster| json!({
            "signature": cluster.signature,
            "failures": cluster.failures,
            "tests": handles(digest, &cluster.cards),
        })).collect::<Vec<_>>(),
        "nights": {
            "days": digest.heat.nights.iter().map(|night| night.label.clone()).collect::<Vec<_>>(),
            "changes": digest.heat.changes,
            "rows": digest.heat.rows.iter().map(|(at, counts)| json!({
                "handle": digest.cards[*at].handle,
                "counts": counts.iter().map(bare).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        },
        "stock": digest.stock.iter().map(|week| json!({
            "week": week.week, "new": week.new, "fixed": week.fixed, "open": week.open,
        })).collect::<Vec<_>>(),
        "owners": digest.owners.iter().map(|row| json!({
            "owner": (!row.owner.is_empty()).then_some(&row.owner),
            "open": row.open,
            "new": row.new,
            "fixed": row.fixed,
            "oldest": row.oldest.map(time),
            "per_1000": row.per_1000,
        })).collect::<Vec<_>>(),
        "funnel": {
            "tests": digest.funnel.tests,
            "clean": digest.funnel.clean,
            "unknown": digest.funnel.unknown,
            "failed": digest.funnel.failed,
            "certified": digest.funnel.certified,
            "reproducible": digest.funnel.reproducible,
            "owned": digest.funnel.owned,
        },
    })
}

fn time(at: UnixMillis) -> String {
    at.rfc3339()
}

fn outcomes(digest: &Digest) -> Map<String, Value> {
    let counts = digest.head.outcomes.iter();
    counts
        .map(|(outcome, trials)| (outcome.word().to_owned(), (*trials).into()))
        .collect()
}

fn handles<'a>(digest: &'a Digest, places: &[usize]) -> Vec<&'a str> {
    let cards = places.iter().map(|at| &*digest.cards[*at].handle);
    cards.collect()
}

fn green(green: &Green) -> Value {
    json!({
        "now": both(&green.now),
        "last": both(&green.last),
        "weeks": green.weeks.iter().map(|(week, two)| {
            json!({"week": week, "natural": reliability(&two[0]), "shuffled": reliability(&two[1])})
        }).collect::<Vec<_>>(),
        "nights": green.nights.iter().map(|(night, two)| {
            json!({"night": night, "natural": reliability(&two[0]), "shuffled": reliability(&two[1])})
        }).collect::<Vec<_>>(),
        "without_broken": green.without_broken.as_ref().map(both),
        "if_mended": green.if_mended.iter().map(both).collect::<Vec<_>>(),
    })
}

fn both(two: &[Reliability; 2]) -> Value {
    json!({"natural": reliability(&two[0]), "shuffled": reliability(&two[1])})
}

/// The rate is null until there are enough runs.
fn reliability(of: &Reliability) -> Value {
    json!({
        "runs": of.runs,
        "green": of.green,
        "rate": of.rate().filter(|_| of.is_enough()),
        "low": of.interval.0,
        "high": of.interval.1,
    })
}

fn share(share: &Share) -> Value {
    json!({
        "runs": share.runs,
        "per_1000": share.per_1000,
        "low": share.interval.0,
        "high": share.interval.1,
        "alone": share.alone,
        "minutes": share.minutes,
    })
}

fn cause(cause: &Cause, digest: &Digest) -> Value {
    let (role, members) = match &cause.subject {
        Subject::Test => (None, Vec::new()),
        Subject::Group { role, members } => (
            Some(role.word()),
            members.iter().map(escape::json_name).collect(),
        ),
    };
    json!({
        "role": role,
        "members": members,
        "tests": handles(digest, &cause.cards),
        "state": cause.state.word(),
        "natural": share(&cause.natural),
        "shuffled": share(&cause.shuffled),
        "weekly_per_1000": cause.weekly,
    })
}

fn card(card: &Card) -> Value {
    let flag = &card.flag;
    let groups = |role: Role| -> Vec<Value> {
        let held = flag
            .groups
            .iter()
            .filter(|group| flag.certified && group.role == role);
        held.map(group).collect()
    };
    json!({
        "test": escape::json_name(&card.test),
        "handle": card.handle,
        "owners": card.owners,
        "verdict": flag.verdict.word(),
        "certified": flag.certified,
        "state": card.state.word(),
        "silence": card.silence,
        "polluters": groups(Role::Polluter),
        "state_setters": groups(Role::StateSetter),
        "cleaners": groups(Role::Cleaner),
        "neighbours": groups(Role::Neighbour),
        "unnamed": flag.unnamed,
        "factors": flag.factors.iter().map(|(factor, level)| {
            json!({"factor": factor, "level": level})
        }).collect::<Vec<_>>(),
        "failure_rate": {
            "failures": card.within.failures,
            "trials": card.within.trials,
            "low": card.interval.0,
            "high": card.interval.1,
        },
        "life": bare(&card.life),
        "weekly": card.weekly.iter().map(bare).collect::<Vec<_>>(),
        "direction": card.direction,
        "natural": share(&card.natural),
        "shuffled": share(&card.shuffled),
        "first_seen": card.first.as_ref().map(seen),
        "last_seen": card.last.as_ref().map(seen),
        "began_after": card.began_after,
        "certified_at": card.certified_at.map(time),
        "proof": card.proof.as_ref().map(|proof| json!({
            "passes": proof.passes,
            "orders": exposure(&proof.exposure),
            "before": bare(&proof.before),
            "by_accident": proof.worth.by_accident,
            "still_flaky": proof.worth.still_flaky,
            "needed": (proof.worth.needed < u64::MAX).then_some(proof.worth.needed),
            "since": proof.since,
        })),
        "token": card.token,
        "repeat_for_95": card.repeat,
        "signatures": card.signatures.iter().map(|(signature, failures)| {
            json!({"signature": signature, "failures": failures})
        }).collect::<Vec<_>>(),
        "excerpt": card.excerpt,
        "ruled_out": flag.ruled_out,
        "settles": flag.settles,
    })
}

/// A group with what blocks have shown.
fn group(group: &Group) -> Value {
    json!({
        "members": group.members.iter().map(escape::json_name).collect::<Vec<_>>(),
        "adjacent": group.adjacent,
        "with": bare(&group.with),
        "with_decoy": bare(&group.with_decoy),
        "without": bare(&group.without),
    })
}

fn bare(count: &Count) -> Value {
    json!({"failures": count.failures, "trials": count.trials})
}

fn seen((at, revision): &(UnixMillis, String)) -> Value {
    json!({"time": time(*at), "revision": revision})
}

fn exposure(exposure: &Exposure) -> &'static str {
    match exposure {
        Exposure::Always => "all",
        Exposure::After { .. } => "after-polluter",
        Exposure::Unless(_) => "without-state-setter",
        Exposure::Second => "second-run",
        Exposure::Late(_) => "late",
        Exposure::Levels(_) => "factor-levels",
    }
}
