//! Flags for programs: the shape that `flags --json` and `show --json` share.

use serde_json::{Value, json};

use super::{Certainty, Found, Seen, words::interval};
use crate::{
    model::{Count, Fixed, Flag, Role, TestId},
    report::digest::Share,
    stats,
    ui::escape,
};

/// How much is told of what is not certified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command) enum Naming {
    /// A flag that is not certified names no other test.
    CertifiedOnly,
    /// All that is known, for who asks about this very test.
    Everything,
}

/// Returns a flag.
pub(in crate::command) fn flag(found: &Found, naming: Naming) -> Value {
    let flag = &found.flag;
    let groups = |role| groups(flag, role, naming);
    json!({
        "test": flag.test.as_ref().map(escape::json_name),
        "handle": found.handle,
        "verdict": flag.verdict.word(),
        "certified": flag.certified,
        "suspected": found.certainty() == Certainty::Suspected,
        "polluters": groups(Role::Polluter),
        "state_setters": groups(Role::StateSetter),
        "cleaners": groups(Role::Cleaner),
        "neighbours": groups(Role::Neighbour),
        "unnamed": flag.unnamed,
        "factors": factors(&flag.factors),
        "failure_rate": count(flag.soak),
        "token": found.token,
        "repeat_for_95": flag.recipe.as_ref().map(|recipe| recipe.repeat),
        "first_seen": found.first.as_ref().map(seen),
        "last_seen": found.last.as_ref().map(|seen| seen.time.rfc3339()),
        "e_value": found.ln_e().map(e_value),
        "fragility": found.fragility.as_ref().map(fragility),
        "signature": found.signature,
        "owners": found.owners,
        "fixed": found.fixed.as_ref().map(fixed),
        "no_action": found.no_action.map(super::NoAction::word),
        "new": found.is_new,
    })
}

/// The passes that say that a test is fixed, and what they are worth.
fn fixed(fixed: &Fixed) -> Value {
    let worth = stats::mended(fixed.before, fixed.passes);
    json!({
        "passes": fixed.passes,
        "orders": fixed.under,
        "before": count(fixed.before),
        "since": fixed.since,
        "by_accident": worth.by_accident,
        "still_flaky": worth.still_flaky,
        "at": fixed.at.rfc3339(),
    })
}

/// The share of the red natural runs, per 1,000 runs.
fn fragility(share: &Share) -> Value {
    json!({
        "per_1000": share.per_1000,
        "low": share.interval.0,
        "high": share.interval.1,
        "alone": share.alone,
    })
}

/// Returns a count with its anytime-valid 95 % interval; without trials there is none.
pub(in crate::command) fn count(count: Count) -> Value {
    let (low, high) = interval(count).unzip();
    json!({
        "failures": count.failures,
        "trials": count.trials,
        "low": low,
        "high": high,
    })
}

/// Returns the levels of factors.
pub(in crate::command) fn factors(levels: &[(String, String)]) -> Vec<Value> {
    levels
        .iter()
        .map(|(factor, level)| json!({"factor": factor, "level": level}))
        .collect()
}

/// Returns tests by their names.
pub(in crate::command) fn names<'a>(tests: impl IntoIterator<Item = &'a TestId>) -> Vec<Value> {
    tests.into_iter().map(escape::json_name).collect()
}

/// Returns where and when something was seen.
pub(in crate::command) fn seen(seen: &Seen) -> Value {
    json!({
        "time": seen.time.rfc3339(),
        "revision": seen.revision,
        "shard": seen.shard,
    })
}

/// Returns an e-value from its logarithm. Those past the largest number that JSON readers take stay at it.
pub(in crate::command) fn e_value(ln_e: f64) -> f64 {
    ln_e.exp().min(f64::MAX)
}

/// The groups of one role: the outer list are alternatives, of the inner all are needed.
fn groups(flag: &Flag, role: Role, naming: Naming) -> Vec<Vec<Value>> {
    if naming == Naming::CertifiedOnly && !flag.certified {
        return Vec::new();
    }
    flag.groups
        .iter()
        .filter(|group| group.role == role)
        .map(|group| names(&group.members))
        .collect()
}
