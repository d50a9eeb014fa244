//! Weeks in which nobody is to blame: every test that is named is named wrongly.

use std::fmt;
use std::sync::Mutex;

use soakhound::diagnose::Analyst;
use soakhound::model::Verdict;

use super::bench::hunt::{Found, Setup, hunt};
use super::bench::interval;
use super::bench::scenario::intermittent;
use super::bench::score::{due, names_innocent};
use super::bench::world::{Defect, Nature, World};
use super::options::Options;
use super::print::{line, progress};
use super::run::by_seed;

/// Intermittent tests of a week.
const FLAKY: u32 = 44;

/// The worlds by name.
const WORLDS: [&str; 12] = [
    "plain",
    "load",
    "place",
    "drift",
    "bursts",
    "crash",
    "hang",
    "long",
    "fixtures",
    "fixture-entry",
    "kills",
    "first",
];

/// Makes the suite of one week.
fn world(name: &str, tests: u32, iterations: u64, seed: u64) -> World {
    let nature = match name {
        "load" => Nature::LoadByLayout,
        "place" => Nature::Place,
        "drift" => Nature::Drift,
        "fixtures" => Nature::Fixtures,
        "fixture-entry" => Nature::FixtureEntry,
        _ => Nature::Plain,
    };
    let mut world = intermittent(tests, FLAKY.min(tests / 2), nature, seed);
    world.horizon = iterations;
    world.death = 0.002;
    world.blip = 0.003;
    let mut healthy = (0..tests).filter(|test| !world.defects.contains_key(test));
    let mut take = || healthy.next().expect("most tests are healthy");
    let extra = match name {
        "crash" => vec![(take(), Defect::Crash { rate: 0.05 })],
        "hang" => vec![(take(), Defect::Hang { rate: 0.02 })],
        "first" => (0..5)
            .map(|_| {
                let (threshold, rate) = (1, 1.0);
                (take(), Defect::Position { threshold, rate })
            })
            .collect(),
        _ => Vec::new(),
    };
    for (test, defect) in extra {
        world.plant(test, defect);
    }
    match name {
        "bursts" => (world.death, world.blip) = (0.02, 0.03),
        "long" => {
            let longest = (0..tests).find(|test| !world.defects.contains_key(test));
            world.seconds[longest.expect("most tests are healthy") as usize] = 100.0;
        }
        _ => {}
    }
    world
}

/// Totals of the weeks that are over, for a run that is watched for hours.
#[derive(Default)]
struct Totals {
    weeks: u64,
    attempts: u64,
    named: u64,
    verdicts_wrong: u64,
    passive: u64,
    victims: u64,
    lost_by_kills: u64,
}

impl Totals {
    fn add(&mut self, week: &Week) {
        self.weeks += 1;
        self.attempts += week.attempts;
        self.named += week.named;
        self.verdicts_wrong += week.verdicts_wrong;
        self.passive += week.passive;
        self.victims += week.victims;
        self.lost_by_kills += week.lost_by_kills;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} weeks, {} attempts, named {} (limit {}), other verdicts {}, passive {}/{}, lost by kills {}",
            self.weeks,
            self.attempts,
            self.named,
            poisson_limit(self.attempts as f64 / 1000.0),
            self.verdicts_wrong,
            self.passive,
            self.victims,
            self.lost_by_kills
        )
    }
}

/// What one week showed.
struct Week {
    attempts: u64,
    named: u64,
    verdicts_wrong: u64,
    victims: u64,
    passive: u64,
    suspected_at_stop: u64,
    suspects_right: u64,
    probes: f64,
    lost_by_kills: u64,
    notes: Vec<String>,
}

/// Runs the worlds that are named, or all.
pub(crate) fn nulls(options: &Options) {
    let tests = options.tests.unwrap_or(200);
    let iterations = options.iterations.unwrap_or(3500);
    line(&format!(
        "{} weeks of {iterations} iterations, {tests} tests, seeds from {}",
        options.weeks, options.first_seed
    ));
    line(
        "world          attempts  named (limit)  other verdicts  passive/victims (95 %)           e-BH: weeks with any, of them false share  probes",
    );
    let asked = &options.words[1..];
    for name in WORLDS {
        if !asked.is_empty() && !asked.iter().any(|word| word == name) {
            continue;
        }
        let so_far = Mutex::new(Totals::default());
        let weeks = by_seed(options, options.weeks, |seed| {
            let week = week(name, tests, iterations, seed);
            let mut so_far = so_far.lock().expect("no thread panics with it");
            so_far.add(&week);
            progress(&format!("{name}: {so_far} (of {} weeks)", options.weeks));
            week
        });
        report(name, &weeks, options.verbose);
    }
}

fn week(name: &str, tests: u32, iterations: u64, seed: u64) -> Week {
    let world = world(name, tests, iterations, seed);
    let mut setup = Setup::shipped(seed, iterations);
    setup.probe_limit = 0.0;
    if name == "kills" {
        setup.kill_every = Some(3600.0);
    }
    let victims: Vec<u32> = world.defects.keys().copied().collect();
    let mut ever = vec![false; victims.len()];
    let mut at_stop: Option<Vec<bool>> = None;
    let is_null = |test: u32| !matches!(world.defects.get(&test), Some(Defect::Position { .. }));
    let mut watch = |_: u64, analyst: &mut Analyst| {
        for (place, victim) in victims.iter().enumerate() {
            ever[place] |= analyst.passive_ln_e(*victim) >= 20.0_f64.ln();
        }
        // One look a week, at a moment that the data choose: the first that accuses anybody.
        if at_stop.is_none() {
            let suspected = analyst.suspected();
            if !suspected.is_empty() {
                let position = |name| world.tests.names().iter().position(|known| known == name);
                let nulls = suspected.iter().map(|suspicion| {
                    position(&suspicion.test).is_none_or(|test| is_null(test as u32))
                });
                at_stop = Some(nulls.collect());
            }
        }
    };
    let found = hunt(&world, &setup, &mut watch);
    let passive = victims
        .iter()
        .zip(&ever)
        .filter(|(victim, ever)| **ever && is_null(**victim));
    let at_stop_list = at_stop.clone().unwrap_or_default();
    let (named, verdicts_wrong, mut notes) = judge(&world, &found, seed);
    notes.extend(found.lost_by_kills.iter().cloned());
    Week {
        attempts: found.attempts,
        named,
        verdicts_wrong,
        victims: victims.iter().filter(|victim| is_null(**victim)).count() as u64,
        passive: passive.count() as u64,
        suspected_at_stop: at_stop_list.len() as u64,
        suspects_right: at_stop_list.iter().filter(|is_null| !**is_null).count() as u64,
        probes: found.probe_executions as f64 / found.soak_executions.max(1) as f64,
        lost_by_kills: found.lost_by_kills.len() as u64,
        notes,
    }
}

/// Counts certificates that ever named a test, and final verdicts that are not the truth.
fn judge(world: &World, found: &Found, seed: u64) -> (u64, u64, Vec<String>) {
    let mut notes = Vec::new();
    let mut named = 0;
    let mut wrong = 0;
    for (test, history) in &found.history {
        let truth = world.defects.get(test).map(|defect| due(world, defect));
        let right = truth.clone().map(|due| due.verdicts).unwrap_or_default();
        let blamed = history
            .iter()
            .find(|known| names_innocent(&truth.clone().unwrap_or_default(), &known.flag));
        if let Some(known) = blamed {
            named += 1;
            notes.push(format!(
                "  seed {seed}: test {test} {:?} at iteration {}: {:?}",
                world.defects.get(test),
                known.iteration,
                known.flag
            ));
        }
        let last = found.flags.get(test);
        let is_wrong = last.is_some_and(|flag| {
            flag.certified
                && flag.verdict != Verdict::Undetermined
                && flag.verdict != Verdict::Position
                && !right.contains(&flag.verdict)
        });
        if is_wrong && blamed.is_none() {
            wrong += 1;
            notes.push(format!(
                "  seed {seed}: test {test} {:?}: {:?}",
                world.defects.get(test),
                last
            ));
        }
    }
    (named, wrong, notes)
}

fn report(name: &str, weeks: &[Week], verbose: bool) {
    let sum = |of: fn(&Week) -> u64| weeks.iter().map(of).sum::<u64>();
    let attempts = sum(|week| week.attempts);
    let (passive, victims) = (sum(|week| week.passive), sum(|week| week.victims));
    let (low, high) = interval(passive, victims);
    let any = weeks
        .iter()
        .filter(|week| week.suspected_at_stop > 0)
        .count();
    let false_shares = weeks
        .iter()
        .filter(|week| week.suspected_at_stop > 0)
        .map(|week| 1.0 - week.suspects_right as f64 / week.suspected_at_stop as f64);
    // A sum of nothing is -0.
    let false_share = (false_shares.sum::<f64>() / weeks.len().max(1) as f64).max(0.0);
    let probes = weeks.iter().map(|week| week.probes).sum::<f64>() / weeks.len().max(1) as f64;
    let verdict = if low > 0.05 { "FAILS" } else { "holds" };
    line(&format!(
        "{name:14} {attempts:8}  {:5} ({:5})  {:14}  {passive}/{victims} {:.3} ({low:.3}-{high:.3}) {verdict}  {any}/{} mean false share {false_share:.3}  {:.2} %",
        sum(|week| week.named),
        poisson_limit(attempts as f64 / 1000.0),
        sum(|week| week.verdicts_wrong),
        passive as f64 / victims.max(1) as f64,
        weeks.len(),
        100.0 * probes,
    ));
    let lost = sum(|week| week.lost_by_kills);
    if lost > 0 {
        line(&format!("  certified flags lost by kills: {lost}"));
    }
    let most = if verbose { usize::MAX } else { 5 };
    for note in weeks.iter().flat_map(|week| &week.notes).take(most) {
        line(note);
    }
}

/// The 95 % quantile of a Poisson number with this mean.
fn poisson_limit(mean: f64) -> u64 {
    let mut term = (-mean).exp();
    let (mut sum, mut count) = (term, 0);
    while sum < 0.95 {
        count += 1;
        term *= mean / count as f64;
        sum += term;
    }
    count
}
