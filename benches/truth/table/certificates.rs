//! M3 to M7 and M10: what a certificate costs, and whether it names the right tests.

use super::super::bench::hunt::{Probing, Setup, hunt};
use super::super::bench::interval;
use super::super::bench::scenario::intermittent;
use super::super::bench::score::{Mark, score};
use super::super::bench::world::Nature;
use super::super::options::Options;
use super::super::print::quantile;
use super::super::run::by_seed;
use super::{Goal, PLAIN, Trial, UNTIL_FAILURE, judge};

/// Prints them.
pub(super) fn rows(options: &Options, wanted: &dyn Fn(&str) -> bool) {
    for row in certificates() {
        if wanted(row.name) {
            certificate(options, &row);
        }
    }
    if wanted("M7") {
        false_certificates(options);
    }
    if wanted("M10") {
        minimal_sets(options);
    }
}

/// A victim, and what its certificate may cost in executions.
struct Row {
    name: &'static str,
    what: &'static str,
    trial: Trial,
    cost: (f64, f64),
    /// Share of victims that must be certified, in percent, where that is asked.
    success: Option<(f64, f64)>,
}

fn certificates() -> Vec<Row> {
    let large = Trial {
        tests: 10_000,
        ..PLAIN
    };
    let first = |trial: Trial| Trial {
        iterations: UNTIL_FAILURE,
        ..trial
    };
    let soaked = |trial: Trial| Trial {
        iterations: 100,
        ..trial
    };
    let row = |name, what, trial, must, challenge| Row {
        name,
        what,
        trial,
        cost: (must, challenge),
        success: None,
    };
    let noisy = soaked(Trial { rate: 0.5, ..PLAIN });
    let polluters = 50;
    let fifty = soaked(Trial { polluters, ..PLAIN });
    let cleaners = 20;
    let cleaned = soaked(Trial { cleaners, ..PLAIN });
    vec![
        row(
            "M3",
            "first failure, n=1000, k=4",
            first(PLAIN),
            120.0,
            70.0,
        ),
        row("M3", "T=50, n=1000, k=4", PLAIN, 40.0, 20.0),
        row(
            "M4",
            "first failure, n=10,000, k=4",
            first(large),
            900.0,
            500.0,
        ),
        row("M4", "T=50, n=10,000, k=4", large, 40.0, 20.0),
        Row {
            success: Some((98.0, 100.0)),
            ..row("M5", "q=.5, T=100", noisy, 110.0, 60.0)
        },
        row("M6", "50 polluters, T=100", fifty, 150.0, 60.0),
        row("M6", "20 cleaners, T=100", cleaned, 60.0, 28.0),
    ]
}

/// Executions until a planted polluter is named with certainty.
fn certificate(options: &Options, row: &Row) {
    let trial = &row.trial;
    let nights = by_seed(options, options.seeds, |seed| {
        let world = trial.world(seed);
        let found = hunt(
            &world,
            &trial.setup(seed, Probing::Afterwards),
            &mut |_, _| {},
        );
        let (scored, slander) = score(&world, &found);
        let has_failed = found.seen.values().any(|count| count.failures > 0);
        (has_failed, scored[0].named, slander.innocent_named)
    });
    let due: Vec<_> = nights
        .iter()
        .filter(|(has_failed, _, _)| *has_failed)
        .collect();
    let cost: Vec<f64> = due
        .iter()
        .filter_map(|night| night.1)
        .map(|cost| cost as f64)
        .collect();
    let innocent: u64 = nights.iter().map(|night| night.2).sum();
    let (must, challenge) = row.cost;
    judge(
        row.name,
        cost.iter().sum::<f64>() / cost.len() as f64,
        Goal::AtMost(must, challenge),
        &format!(
            "executions to a certificate (mean; median {:.0}, p90 {:.0}; success {}/{}; innocent {innocent}), {}",
            quantile(&cost, 0.5),
            quantile(&cost, 0.9),
            cost.len(),
            due.len(),
            row.what,
        ),
    );
    if let Some((must, challenge)) = row.success {
        judge(
            row.name,
            100.0 * cost.len() as f64 / due.len() as f64,
            Goal::AtLeast(must, challenge),
            &format!("% of victims certified, {}", row.what),
        );
    }
}

/// M7: how often an intermittent test gets a certificate that names another.
fn false_certificates(options: &Options) {
    let weeks = by_seed(options, options.seeds, |seed| {
        let world = intermittent(300, 40, Nature::Plain, seed);
        let found = hunt(&world, &Setup::shipped(seed, 60), &mut |_, _| {});
        let (scored, slander) = score(&world, &found);
        let seen = scored
            .iter()
            .filter(|scored| scored.mark != Mark::Unseen)
            .count();
        (seen as u64, slander.innocent_named, found.attempts)
    });
    let victims: u64 = weeks.iter().map(|week| week.0).sum();
    let named: u64 = weeks.iter().map(|week| week.1).sum();
    let attempts: u64 = weeks.iter().map(|week| week.2).sum();
    judge(
        "M7",
        1000.0 * named as f64 / victims as f64,
        Goal::AtMost(2.0, 0.0),
        &format!(
            "false certificates per 1000 NOD victims, n=300, T=60 ({named} of {victims}, 95 % up to {:.2}; {attempts} attempts)",
            1000.0 * interval(named, victims).1
        ),
    );
}

/// M10: groups found exactly.
fn minimal_sets(options: &Options) {
    let single = |rate, iterations| Trial {
        iterations,
        rate,
        ..PLAIN
    };
    let together = Trial {
        together: 2,
        shards: 1,
        iterations: 100,
        ..PLAIN
    };
    for (what, trial) in [
        ("2 together, T=100, k=1", together),
        ("q=.5, T=100", single(0.5, 100)),
        ("q=.2, T=500", single(0.2, 500)),
    ] {
        let nights = by_seed(options, options.seeds, |seed| {
            let world = trial.world(seed);
            let found = hunt(
                &world,
                &trial.setup(seed, Probing::Afterwards),
                &mut |_, _| {},
            );
            let (scored, _) = score(&world, &found);
            (scored[0].mark, found.probe_executions as f64)
        });
        let due = nights
            .iter()
            .filter(|(mark, _)| *mark != Mark::Unseen)
            .count();
        let right = nights
            .iter()
            .filter(|(mark, _)| *mark == Mark::Right)
            .count();
        let cost: Vec<f64> = nights.iter().map(|(_, cost)| *cost).collect();
        judge(
            "M10",
            100.0 * right as f64 / due as f64,
            Goal::AtLeast(97.0, 100.0),
            &format!(
                "% of groups exact ({right}/{due}; executions mean {:.0}, median {:.0}), {what}",
                cost.iter().sum::<f64>() / cost.len() as f64,
                quantile(&cost, 0.5),
            ),
        );
    }
}
