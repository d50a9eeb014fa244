//! Can the numbers of the report be trusted? What spoils them, what one should know, what cannot be seen.

use std::collections::BTreeSet;

use super::digest::{ENOUGH, Green, Material, Trust};
use super::words::percent;
use crate::model::{Count, Outcome, UnixMillis, Verdict};
use crate::stats::never_failed_bound;
use crate::ui::{escape, text};

/// Share of trials that say nothing above which the week is suspect.
const MOST_VOID: f64 = 0.05;
/// Error probability of the limit for tests that never failed.
const ALPHA: f64 = 0.05;

/// Looks at the week.
pub(super) fn of(material: &Material, green: &Green) -> Trust {
    let mut facts = Vec::new();
    let mut faults = Vec::new();
    let hunts = &material.hunts;
    let [planned, finished, abandoned] = hunts.shards;
    let void = void(material);
    if planned > 0 {
        facts.push(format!(
            "{} of {} finished, {} given up",
            text::count(finished),
            text::plural(planned, "shard"),
            text::count(abandoned)
        ));
    }
    if void.trials > 0 {
        #[expect(clippy::cast_precision_loss, reason = "trials stay far below 2^53")]
        let share = void.failures as f64 / void.trials as f64;
        let line = format!(
            "{} of trials say nothing: {}",
            percent(share),
            by_kind(material)
        );
        if share > MOST_VOID {
            &mut faults
        } else {
            &mut facts
        }
        .push(line);
    }
    let missing = missing(material);
    if material.ledger.newest.is_none() || material.ledger.iterations == 0 {
        faults.push("nothing was recorded in this time".to_owned());
    } else if !missing.is_empty() {
        facts.push(format!("no evidence from {}", missing.join(", ")));
    }
    for (at, seconds) in &hunts.clock_jumps {
        facts.push(format!(
            "the clock of the machine jumped by {seconds} s at {}",
            material.window.time(*at)
        ));
    }
    let nights = material
        .flags
        .iter()
        .filter(|raised| raised.flag.verdict == Verdict::Infrastructure)
        .filter(|raised| material.window.holds(raised.at))
        .count();
    if nights > 0 {
        facts.push(format!(
            "{}: many tests failed at once and none was to blame",
            text::plural(nights as u64, "infrastructure night")
        ));
    }
    let changes = changes(material);
    if changes != (0, 0) {
        facts.push(format!(
            "the suite changed: {} came, {} went",
            text::plural(changes.0, "test"),
            text::count(changes.1)
        ));
    }
    facts.push(promise(hunts.attempts, hunts.suspected));
    match &hunts.canary {
        Some((state, why)) if state == "red" => faults.push(format!(
            "the canary is red: {}",
            why.as_deref().map_or_else(
                || "not detected as planted".into(),
                |why| escape::terminal(why.as_bytes())
            )
        )),
        Some((state, _)) if state == "green" => {
            facts.push(
                "canary: the planted defects were found, so the detector is alive".to_owned(),
            );
        }
        Some(_) => facts.push("canary: still waiting, too few runs to tell".to_owned()),
        None => facts.push("canary: none ran".to_owned()),
    }
    Trust {
        faults,
        facts,
        blind: blind(material, green),
        shards: hunts.shards,
        void,
        missing,
        suite_changes: changes,
        attempts: hunts.attempts,
        canary: hunts.canary.as_ref().map(|(state, _)| state.clone()),
    }
}

fn promise(attempts: u64, suspected: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "attempts stay far below 2^53")]
    let expected = attempts as f64 / 1000.0;
    let more = match suspected {
        0 => String::new(),
        some => format!(
            "; of {} at most 5 % are expected to be innocent",
            text::plural(some, "suspected test")
        ),
    };
    format!(
        "certified causes: {} so far, at most {expected} false ones expected{more}",
        text::plural(attempts, "attempt")
    )
}

/// Trials that say nothing among all of the window.
fn void(material: &Material) -> Count {
    let all = &material.ledger.outcomes;
    Count {
        failures: all
            .iter()
            .filter(|(outcome, _)| outcome.is_void())
            .map(|(_, trials)| trials)
            .sum(),
        trials: all.values().sum(),
    }
}

fn by_kind(material: &Material) -> String {
    let some: Vec<String> = Outcome::ALL
        .iter()
        .filter(|outcome| outcome.is_void())
        .filter_map(|outcome| {
            let trials = material.ledger.outcomes.get(outcome)?;
            Some(format!("{} {outcome}", text::count(*trials)))
        })
        .collect();
    if some.is_empty() {
        "none aborted, lost, infra or untrusted".to_owned()
    } else {
        some.join(", ")
    }
}

/// Days of the window, up to its newest evidence, on which nothing was recorded.
fn missing(material: &Material) -> Vec<String> {
    let ledger = &material.ledger;
    let Some(newest) = ledger.newest else {
        return Vec::new();
    };
    let ran: BTreeSet<usize> = (0..ledger.nights.len())
        .filter(|night| ledger.ran_on(*night))
        .collect();
    let within = |at: UnixMillis| material.window.holds(at) && at <= newest;
    ledger
        .nights
        .iter()
        .enumerate()
        .filter(|(night, day)| within(day.since) && !ran.contains(night))
        .map(|(_, day)| day.label.clone())
        .collect()
}

/// Tests that the last revision of the window lists and the first does not, and the other way round.
fn changes(material: &Material) -> (u64, u64) {
    let tests = &material.ledger.tests;
    let rows: BTreeSet<i64> = tests
        .iter()
        .flat_map(|history| [history.first_within, history.last_run])
        .flatten()
        .filter(|sight| material.window.holds(sight.at))
        .map(|sight| sight.revision)
        .collect();
    let lists = |row: &i64| {
        let revision = material.revisions.get(row)?;
        Some(revision.tests.iter().copied().collect::<BTreeSet<u32>>())
    };
    let ends = rows
        .first()
        .and_then(lists)
        .zip(rows.last().and_then(lists));
    let Some((first, last)) = ends else {
        return (0, 0);
    };
    (
        last.difference(&first).count() as u64,
        first.difference(&last).count() as u64,
    )
}

/// What the report cannot see.
fn blind(material: &Material, green: &Green) -> Vec<String> {
    let mut lines = Vec::new();
    let [natural, shuffled] = green.now;
    if natural.runs < ENOUGH {
        lines.push(format!(
            "how often your CI's order is green: {} of the {ENOUGH} runs that it takes",
            text::count(natural.runs)
        ));
    }
    if shuffled.runs < ENOUGH {
        lines.push(format!(
            "how often shuffled runs are green: {} of the {ENOUGH} runs that it takes",
            text::count(shuffled.runs)
        ));
    }
    let never: Vec<u64> = material
        .ledger
        .tests
        .iter()
        .zip(&material.listed)
        .filter(|(history, listed)| **listed && history.life.failures == 0)
        .map(|(history, _)| history.life.trials)
        .collect();
    let silent = never.iter().filter(|trials| **trials == 0).count();
    if silent > 0 {
        lines.push(format!(
            "{} without a single run that passed or failed",
            text::plural(silent as u64, "test")
        ));
    }
    if let Some(least) = never.iter().filter(|trials| **trials > 0).min() {
        lines.push(format!(
            "failures of tests that never failed yet: each may still fail in up to {} of its runs",
            percent(never_failed_bound(*least, ALPHA))
        ));
    }
    match material.hunts.pair_coverage {
        Some(covered) if covered < 1.0 => lines.push(format!(
            "pairs of tests that never ran in one process: {} of them",
            percent(1.0 - covered)
        )),
        _ => {}
    }
    lines.push(
        "what only shows on other machines, kernels or networks: tests run without a network"
            .to_owned(),
    );
    lines
}
