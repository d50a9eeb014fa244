//! The rows of the method's validation protocol (`research/statistics.md`, section 9) that are about the analyst,
//! measured with this generator and the shipped three-arm block. M9, M17 and M18 are about formulas alone.

use std::collections::BTreeMap;

use soakhound::model::{Design, Question, Verdict};
use soakhound::plan::{Campaign, Cycle, HuntNonce, MasterSeed};

use super::bench::hunt::{Layouts, Probing, Setup, hunt};
use super::bench::interval;
use super::bench::scenario::{classes, intermittent, polluted_by, sharing};
use super::bench::score::{Mark, Scored, describe, due, mark, names_innocent, score};
use super::bench::world::{Defect, Nature, World};
use super::options::Options;
use super::print::{line, quantile};
use super::run::by_seed;

/// Runs the rows that are named, or all.
pub(crate) fn table(options: &Options) {
    let asked = &options.words[1..];
    let wanted =
        |row: &str| asked.is_empty() || asked.iter().any(|word| word.eq_ignore_ascii_case(row));
    line(&format!(
        "seeds {} to {}",
        options.first_seed,
        options.first_seed + options.seeds - 1
    ));
    line("row  what | measured | must | challenge");
    if wanted("M1") {
        rank(
            options,
            "M1 ",
            1,
            [(1, "18 | 15"), (4, "27 | 22"), (16, "80 | 60")].as_slice(),
        );
    }
    if wanted("M2") {
        rank(options, "M2 ", 13, &[(4, "8 | 5")]);
    }
    for (row, what, trial, bounds) in certificates() {
        if wanted(row) {
            certificate(options, row, what, &trial, bounds);
        }
    }
    if wanted("M7") {
        false_certificates(options);
    }
    if wanted("M10") {
        minimal_sets(options);
    }
    if wanted("M11") {
        classification(
            options,
            "M11 M13 M14",
            300,
            "95 / 1, 98, 7 | 99 / .2, 100, 3",
        );
    }
    if wanted("M12") {
        classification(options, "M12", 100, "90 / 1.5 | 95 / .5");
    }
    if wanted("M14") {
        classification(options, "M14", 1000, "2.5 | 1");
    }
    if wanted("M15") {
        certified_share(options);
    }
    if wanted("M16") {
        coverage();
    }
}

/// How a victim is soaked before it is asked about.
#[derive(Clone, Copy)]
struct Trial {
    tests: u32,
    shards: u16,
    iterations: u64,
    polluters: u32,
    together: u32,
    cleaners: u32,
    rate: f64,
}

const PLAIN: Trial = Trial {
    tests: 1000,
    shards: 4,
    iterations: 50,
    polluters: 1,
    together: 1,
    cleaners: 0,
    rate: 1.0,
};

/// More iterations than any victim needs to fail once: the soak ends with the first failure.
const UNTIL_FAILURE: u64 = 100_000;

impl Trial {
    fn world(&self, seed: u64) -> World {
        let Self {
            tests,
            polluters,
            together,
            cleaners,
            rate,
            ..
        } = *self;
        polluted_by(tests, [polluters, together, cleaners], rate, seed)
    }

    fn setup(&self, seed: u64, probing: Probing) -> Setup {
        Setup {
            layouts: Layouts::Only(self.shards),
            probing,
            until_failure: self.iterations == UNTIL_FAILURE,
            // Far more than any answer takes; a search that never ends counts as no answer.
            probe_limit: 100.0,
            ..Setup::shipped(seed, self.iterations)
        }
    }
}

type Row = (&'static str, &'static str, Trial, &'static str);

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
    vec![
        ("M3", "first failure, n=1000", first(PLAIN), "120 | 70"),
        ("M3", "T=50, n=1000", PLAIN, "40 | 20"),
        ("M4", "first failure, n=10,000", first(large), "900 | 500"),
        ("M4", "T=50, n=10,000", large, "40 | 20"),
        (
            "M5",
            "q=.5, T=100",
            soaked(Trial { rate: 0.5, ..PLAIN }),
            "110, 98 % | 60, 100 %",
        ),
        (
            "M6",
            "50 polluters, T=100",
            soaked(Trial {
                polluters: 50,
                ..PLAIN
            }),
            "150 | 60",
        ),
        (
            "M6",
            "20 cleaners, T=100",
            soaked(Trial {
                cleaners: 20,
                ..PLAIN
            }),
            "60 | 28",
        ),
    ]
}

/// Executions until a planted polluter is named with certainty.
fn certificate(options: &Options, row: &str, what: &str, trial: &Trial, bounds: &str) {
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
    line(&format!(
        "{row:4} {what} | mean {:.1}, median {:.0}, p90 {:.0}; success {}/{}; innocent {innocent} | {bounds}",
        cost.iter().sum::<f64>() / cost.len() as f64,
        quantile(&cost, 0.5),
        quantile(&cost, 0.9),
        cost.len(),
        due.len(),
    ));
}

/// Iterations until the true polluter alone leads the ranking.
fn rank(options: &Options, row: &str, victims: u32, shards: &[(u16, &str)]) {
    for (shards, bounds) in shards {
        let trial = Trial {
            shards: *shards,
            iterations: 40 + 12 * u64::from(*shards),
            ..PLAIN
        };
        let nights = by_seed(options, options.seeds, |seed| {
            let world = sharing(trial.tests, victims, seed);
            let truth: BTreeMap<u32, String> = world
                .defects
                .iter()
                .map(|(victim, defect)| (*victim, polluter_name(&world, defect)))
                .collect();
            let mut since: BTreeMap<u32, u64> = BTreeMap::new();
            hunt(
                &world,
                &trial.setup(seed, Probing::Never),
                &mut |iteration, analyst| {
                    for (victim, polluter) in &truth {
                        let standing = analyst.standing(*victim);
                        let leads = standing.explanations.first();
                        let is_unique = standing
                            .explanations
                            .get(1)
                            .is_none_or(|second| leads.is_some_and(|first| second.1 < first.1));
                        if is_unique && leads.is_some_and(|(text, _)| text.contains(polluter)) {
                            since.entry(*victim).or_insert(iteration + 1);
                        }
                    }
                },
            );
            let all = truth.keys().map(|victim| since.get(victim).copied());
            all.map(|at| at.map_or(f64::INFINITY, |at| at as f64))
                .collect::<Vec<f64>>()
        });
        let all: Vec<f64> = nights.into_iter().flatten().collect();
        line(&format!(
            "{row}  iterations to the unique top rank, {victims} of one polluter, n=1000, k={shards} | median {:.0}, p90 {:.0} | {bounds}",
            quantile(&all, 0.5),
            quantile(&all, 0.9),
        ));
    }
}

fn polluter_name(world: &World, defect: &Defect) -> String {
    let Defect::Polluted { groups, .. } = defect else {
        unreachable!("the suite has polluted tests only")
    };
    let name = world.tests.name(groups[0][0]);
    String::from_utf8_lossy(name.as_bytes()).into_owned()
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
    line(&format!(
        "M7   false certificates per NOD victim, n=300, T=60 | {named} of {victims} victims (95 % up to {:.2} per 1000), {attempts} attempts | 2/1000 | 0/5000",
        1000.0 * interval(named, victims).1
    ));
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
        line(&format!(
            "M10  {what} | exact {right}/{due}; executions mean {:.0}, median {:.0} | 97 % | 100 %",
            cost.iter().sum::<f64>() / cost.len() as f64,
            quantile(&cost, 0.5),
        ));
    }
}

/// M11 to M14: what was said of every kind of defect.
fn classification(options: &Options, row: &str, iterations: u64, bounds: &str) {
    let tests = options.tests.unwrap_or(2000);
    let suites = by_seed(options, options.seeds, |seed| {
        let world = classes(tests, iterations, seed);
        let found = hunt(&world, &Setup::shipped(seed, iterations), &mut |_, _| {});
        let (scored, slander) = score(&world, &found);
        let mut certified = (0_u64, 0_u64);
        let mut named = (0_u64, 0_u64);
        for (test, flag) in found.flags.iter().filter(|(_, flag)| flag.certified) {
            let due = world.defects.get(test).map(|defect| due(&world, defect));
            let due = due.unwrap_or_default();
            certified.1 += 1;
            certified.0 += u64::from(matches!(
                mark(&due, Some(flag), 1),
                Mark::Right | Mark::Incomplete
            ));
            if flag.names_another() {
                named.1 += 1;
                named.0 += u64::from(!names_innocent(&due, flag));
            }
        }
        let notes: Vec<String> = scored
            .iter()
            .filter(|scored| !matches!(scored.mark, Mark::Right | Mark::Unseen))
            .map(|scored| format!("  seed {seed}: {}", describe(&world, &found, scored)))
            .collect();
        let mut costs: BTreeMap<(&'static str, Question), u64> = BTreeMap::new();
        for ((test, question), executions) in &found.by_question {
            let kind = world.defects.get(test).map_or("healthy", kind);
            *costs.entry((kind, *question)).or_default() += executions;
        }
        let healthy: Vec<u64> = found
            .by_victim
            .iter()
            .filter(|(test, _)| !world.defects.contains_key(test))
            .map(|(_, executions)| *executions)
            .collect();
        let kinds: Vec<(&'static str, Scored)> = scored
            .into_iter()
            .map(|scored| (kind(&world.defects[&scored.victim]), scored))
            .collect();
        (
            kinds,
            certified,
            named,
            found.probe_executions,
            found.soak_executions,
            slander,
            notes,
            healthy,
            costs,
        )
    });
    let all: Vec<&(&str, Scored)> = suites.iter().flat_map(|suite| &suite.0).collect();
    let count = |marks: &[Mark]| {
        all.iter()
            .filter(|(_, scored)| marks.contains(&scored.mark))
            .count()
    };
    let seen = all.len() - count(&[Mark::Unseen]);
    let share = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
    let total = |of: fn(&(u64, u64)) -> u64, which: usize| -> u64 {
        suites
            .iter()
            .map(|suite| of(if which == 0 { &suite.1 } else { &suite.2 }))
            .sum()
    };
    line(&format!(
        "{row} n={tests}, T={iterations}, {} suites | right {:.1} % of {seen} seen (complete {:.1} %), wrong {:.1} %, undecided {:.1} %; certified right {:.1} % of {}; culprit right {}/{}; probes {:.1} % of the soak; healthy flagged {} | {bounds}",
        suites.len(),
        share(count(&[Mark::Right, Mark::Incomplete]) as u64, seen as u64),
        share(count(&[Mark::Right]) as u64, seen as u64),
        share(count(&[Mark::Wrong, Mark::Innocent]) as u64, seen as u64),
        share(count(&[Mark::Undetermined]) as u64, seen as u64),
        share(total(|pair| pair.0, 0), total(|pair| pair.1, 0)),
        total(|pair| pair.1, 0),
        total(|pair| pair.0, 1),
        total(|pair| pair.1, 1),
        share(
            suites.iter().map(|suite| suite.3).sum(),
            suites.iter().map(|suite| suite.4).sum()
        ),
        suites
            .iter()
            .map(|suite| suite.5.healthy_flagged)
            .sum::<u64>(),
    ));
    confusion(&all);
    let healthy: Vec<u64> = suites.iter().flat_map(|suite| suite.7.clone()).collect();
    line(&format!(
        "       executions for healthy tests: {} of {} tests",
        healthy.iter().sum::<u64>(),
        healthy.len()
    ));
    if options.verbose {
        let mut costs: BTreeMap<(&str, Question), u64> = BTreeMap::new();
        for ((kind, question), executions) in suites.iter().flat_map(|suite| &suite.8) {
            *costs.entry((kind, *question)).or_default() += executions;
        }
        for ((kind, question), executions) in costs {
            line(&format!("       {kind:14} {question:?} {executions}"));
        }
        for note in suites.iter().flat_map(|suite| &suite.6) {
            line(note);
        }
    }
}

fn confusion(all: &[&(&str, Scored)]) {
    let mut rows: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    let mut costs: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, scored) in all {
        *costs.entry(kind).or_default() += scored.all_executions;
        let said = match (scored.mark, scored.said) {
            (Mark::Unseen, _) => "unseen",
            (Mark::Undetermined, _) | (_, None) => "undetermined",
            (_, Some(verdict)) => verdict.word(),
        };
        *rows.entry(kind).or_default().entry(said).or_default() += 1;
    }
    for (kind, said) in rows {
        let said: Vec<String> = said
            .iter()
            .map(|(word, count)| format!("{word} {count}"))
            .collect();
        let cost = costs.get(kind).copied().unwrap_or(0);
        line(&format!(
            "       {kind:14} {}; executions {cost}",
            said.join(", ")
        ));
    }
}

fn kind(defect: &Defect) -> &'static str {
    match defect {
        Defect::Polluted { groups, .. } if groups[0].len() > 1 => "together",
        Defect::Polluted { rate, .. } if *rate < 1.0 => "noisy",
        Defect::Polluted { .. } => "polluted",
        Defect::Adjacent { .. } => "adjacent",
        Defect::Regression { .. } => "regression",
        Defect::Night { .. } => "night",
        Defect::Nod { .. } => Verdict::Nod.word(),
        Defect::Brittle { .. } => Verdict::OdBrittle.word(),
        Defect::Nio { .. } => Verdict::Nio.word(),
        Defect::Position { .. } => Verdict::Position.word(),
        Defect::Environment { .. } => Verdict::Environment.word(),
        Defect::HashSeed { .. } => "hash-seed",
        Defect::Interference { .. } => Verdict::Interference.word(),
        Defect::Broken => Verdict::Broken.word(),
        Defect::Crash { .. } => "crash",
        Defect::Hang { .. } => "hang",
    }
}

/// M15: when half and nine tenths of the order-dependent tests are certified.
fn certified_share(options: &Options) {
    let tests = options.tests.unwrap_or(2000);
    let nights = by_seed(options, options.seeds, |seed| {
        let world = super::bench::scenario::mixed(tests, seed);
        let found = hunt(&world, &Setup::shipped(seed, 100), &mut |_, _| {});
        let mut times = Vec::new();
        for (victim, defect) in &world.defects {
            if !matches!(defect, Defect::Polluted { .. }) {
                continue;
            }
            let due = due(&world, defect);
            let history = found.history.get(victim).map_or(&[][..], Vec::as_slice);
            let first = history
                .iter()
                .find(|known| known.flag.names_another() && !names_innocent(&due, &known.flag));
            times.push(first.map_or(f64::INFINITY, |known| known.equivalents));
        }
        let (_, slander) = score(&world, &found);
        (times, slander.innocent_named)
    });
    let median = |share| {
        let of: Vec<f64> = nights
            .iter()
            .map(|night| quantile(&night.0, share))
            .collect();
        quantile(&of, 0.5)
    };
    line(&format!(
        "M15  50 % / 90 % of 24 certified, n={tests}, in units of whole suites | {:.1} / {:.1}; innocent {} | 13 / 35 | 7 / 18",
        median(0.5),
        median(0.9),
        nights.iter().map(|night| night.1).sum::<u64>(),
    ));
}

/// M16: members of the coverage cycle at sixteen shards, every ordered pair among them.
fn coverage() {
    let campaign = Campaign {
        master: MasterSeed(1),
        nonce: HuntNonce([0; 16]),
        ci_shards: 16,
        cycle: Cycle::default(),
    };
    let members = campaign.cycle_members();
    let affine = members
        .iter()
        .filter(|layout| layout.shards > 1)
        .filter(|layout| matches!(layout.design, Design::Coverage | Design::Reversed));
    line(&format!(
        "M16  iterations for all ordered pairs at k=16 (proved by the tests of the plan) | {} | 34 | 34",
        affine.count()
    ));
}
