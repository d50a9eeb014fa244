//! The commands that run one scenario after another over many seeds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use soakhound::model::Verdict;

use super::bench::hunt::{Setup, hunt};
use super::bench::scenario::Scenario;
use super::bench::score::{Mark, Scored, Slander, describe, score};
use super::options::Options;
use super::peers;
use super::print::{line, quantile, summary};

/// Runs `work` for every seed on some threads; results come back in the order of the seeds.
pub(crate) fn by_seed<R: Send>(
    options: &Options,
    seeds: u64,
    work: impl Fn(u64) -> R + Sync,
) -> Vec<R> {
    let next = AtomicU64::new(0);
    let mut all: Vec<(u64, R)> = std::thread::scope(|scope| {
        let take = || {
            let mut mine = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                if place >= seeds {
                    return mine;
                }
                let seed = options.first_seed + place;
                mine.push((seed, work(seed)));
            }
        };
        let threads: Vec<_> = (0..options.threads.max(1))
            .map(|_| scope.spawn(take))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("a hunt of the bench ends"))
            .collect()
    });
    all.sort_by_key(|(seed, _)| *seed);
    all.into_iter().map(|(_, result)| result).collect()
}

/// What one seed of a scenario gave.
struct Night {
    scored: Vec<Scored>,
    slander: Slander,
    probe_executions: u64,
    soak_executions: u64,
    attempts: u64,
    lost_by_kills: u64,
    notes: Vec<String>,
}

/// Runs the scenarios that are named.
pub(crate) fn scenarios(options: &Options) {
    let mut asked: Vec<Scenario> = Vec::new();
    for word in &options.words[1..] {
        match word.as_str() {
            "acceptance" => asked.extend(Scenario::ACCEPTANCE),
            "all" => asked.extend(Scenario::ALL.iter().map(|(scenario, _)| *scenario)),
            name => match Scenario::named(name) {
                Some(scenario) => asked.push(scenario),
                None => return line(&format!("error: there is no scenario `{name}`")),
            },
        }
    }
    if asked.is_empty() {
        asked.extend(Scenario::ACCEPTANCE);
    }
    let (tests, iterations) = (
        options.tests.unwrap_or(500),
        options.iterations.unwrap_or(300),
    );
    line(&format!(
        "{tests} tests, {iterations} iterations, seeds {} to {}",
        options.first_seed,
        options.first_seed + options.seeds - 1
    ));
    line(
        "scenario          right   due  recall (95 %)      inc und wrg INN uns  iter50/90  executions beyond the soak: mean / median / p90 (all)  best peer",
    );
    for scenario in asked {
        let nights = by_seed(options, options.seeds, |seed| {
            night(scenario, tests, iterations, seed, options)
        });
        report(scenario, &nights, options.verbose);
    }
}

fn night(scenario: Scenario, tests: u32, iterations: u64, seed: u64, options: &Options) -> Night {
    let world = scenario.world(tests, seed);
    let mut setup = Setup::shipped(seed, iterations);
    setup.kill_every = options.kill;
    setup.probe_limit = options.probe_limit.unwrap_or(setup.probe_limit);
    setup.workers = options.workers.unwrap_or(setup.workers);
    let found = hunt(&world, &setup, &mut |_, _| {});
    let (scored, slander) = score(&world, &found);
    let wrong = scored
        .iter()
        .filter(|scored| !matches!(scored.mark, Mark::Right | Mark::Unseen));
    let mut notes: Vec<String> = wrong
        .map(|scored| format!("  seed {seed}: {}", describe(&world, &found, scored)))
        .collect();
    notes.extend(found.lost_by_kills.iter().cloned());
    for (test, flag) in &found.flags {
        if flag.certified && !world.defects.contains_key(test) {
            notes.push(format!(
                "  seed {seed}: healthy test {test} flagged: {flag:?}"
            ));
        }
    }
    if options.verbose {
        notes.push(format!(
            "  seed {seed}: attempts {}, probes {} in {} containers, systemic {}, {:.1} h, kills {}; {:?}",
            found.attempts,
            found.probe_executions,
            found.probe_containers,
            found.systemic,
            found.clock / 3600.0,
            found.kills,
            found.questions
        ));
    }
    Night {
        scored,
        slander,
        probe_executions: found.probe_executions,
        soak_executions: found.soak_executions,
        attempts: found.attempts,
        lost_by_kills: found.lost_by_kills.len() as u64,
        notes,
    }
}

/// An answer is right only if all of one seed's are: ten pairs count as one.
fn report(scenario: Scenario, nights: &[Night], verbose: bool) {
    let mut by_night: BTreeMap<Mark, u64> = BTreeMap::new();
    for night in nights {
        let worst = night
            .scored
            .iter()
            .map(|scored| scored.mark)
            .max_by_key(|mark| match mark {
                Mark::Unseen => 0,
                Mark::Right => 1,
                Mark::Incomplete => 2,
                Mark::Undetermined => 3,
                Mark::Wrong => 4,
                Mark::Innocent => 5,
            });
        *by_night.entry(worst.unwrap_or(Mark::Unseen)).or_default() += 1;
    }
    let of = |mark| by_night.get(&mark).copied().unwrap_or(0);
    let right = of(Mark::Right);
    let due = nights.len() as u64 - of(Mark::Unseen);
    let (low, high) = super::bench::interval(right, due);
    let all = || nights.iter().flat_map(|night| &night.scored);
    let iterations: Vec<f64> = all()
        .filter_map(|s| s.iteration)
        .map(|i| i as f64)
        .collect();
    let executions: Vec<f64> = all()
        .filter_map(|s| s.executions)
        .map(|e| e as f64)
        .collect();
    let total: Vec<f64> = nights
        .iter()
        .map(|night| night.probe_executions as f64)
        .collect();
    let peer = peers::best(scenario).map_or("none is right".to_owned(), |(name, cost)| {
        format!("{cost} ({name})")
    });
    line(&format!(
        "{:16} {right:6} {due:5}  {:.3} ({low:.3}-{high:.3}) {:4}{:4}{:4}{:4}{:4}  {:4.0}/{:4.0}  {} (all {})  {peer}",
        scenario.name(),
        right as f64 / due.max(1) as f64,
        of(Mark::Incomplete),
        of(Mark::Undetermined),
        of(Mark::Wrong),
        of(Mark::Innocent),
        of(Mark::Unseen),
        quantile(&iterations, 0.5),
        quantile(&iterations, 0.9),
        summary(&executions),
        summary(&total),
    ));
    let innocent: u64 = nights
        .iter()
        .map(|night| night.slander.innocent_named)
        .sum();
    let healthy: u64 = nights
        .iter()
        .map(|night| night.slander.healthy_flagged)
        .sum();
    let lost: u64 = nights.iter().map(|night| night.lost_by_kills).sum();
    if innocent + healthy + lost > 0 {
        line(&format!(
            "  ever named an innocent: {innocent}; flagged a healthy test: {healthy}; lost by kills: {lost}"
        ));
    }
    let mut said: BTreeMap<Option<Verdict>, u64> = BTreeMap::new();
    for scored in all() {
        *said.entry(scored.said).or_default() += 1;
    }
    let said: Vec<String> = said
        .iter()
        .map(|(verdict, count)| format!("{} {count}", verdict.map_or("nothing", Verdict::word)))
        .collect();
    let attempts: u64 = nights.iter().map(|night| night.attempts).sum();
    let soak: u64 = nights.iter().map(|night| night.soak_executions).sum();
    let probes: u64 = nights.iter().map(|night| night.probe_executions).sum();
    line(&format!(
        "  said: {}; attempts {attempts}; probes {:.2} % of the soak",
        said.join(", "),
        100.0 * probes as f64 / soak.max(1) as f64
    ));
    let most = if verbose { usize::MAX } else { 5 };
    for note in nights.iter().flat_map(|night| &night.notes).take(most) {
        line(note);
    }
}
