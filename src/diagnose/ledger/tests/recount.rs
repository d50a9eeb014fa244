//! Counters that follow the observations must equal counters that are counted afterwards.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::world::{Made, factors, free, iterate, layout, replay, universe};
use crate::{
    diagnose::{
        ledger::{Evidence, Ledger},
        observation::Showed,
    },
    model::{Design, Grouping, Layout},
    plan::Origin,
    stats::{Cell, chance::Chance},
};

const TESTS: u32 = 14;

fn layouts() -> [Layout; 6] {
    [
        free(1),
        free(3),
        layout(Design::Free, 2, Grouping::ModuleContiguous),
        layout(Design::Reversed, 1, Grouping::Interleaved),
        layout(Design::Doubled, 1, Grouping::Interleaved),
        layout(Design::Coverage, 2, Grouping::Interleaved),
    ]
}

/// A hunt with everything in it: crashes, remainders, skips, gaps, doubled runs, orders that differ.
fn hunt(seed: u64, iterations: u64) -> Vec<Made> {
    let mut chance = Chance::new(seed);
    let universe = universe(TESTS, 4);
    let deadly = [u32::try_from(chance.below(TESTS as usize)).unwrap()];
    let truth = |test: u32, before: &[u32], again: bool, chance: &mut Chance| {
        let fails = match test {
            0 | 1 => before.contains(&5),
            2 => again,
            3 => chance.happens(0.3),
            6 => before.is_empty(),
            _ if deadly.contains(&test) => chance.happens(0.4),
            _ => chance.happens(0.01),
        };
        match fails {
            _ if chance.happens(0.05) => Showed::Nothing,
            true => Showed::Failed,
            false => Showed::Passed,
        }
    };
    let mut all = Vec::new();
    for iteration in 0..iterations {
        let layout = layouts()[chance.below(6)];
        let bad_night = chance.happens(0.15);
        let truth = |test: u32, before: &[u32], again: bool, chance: &mut Chance| {
            if bad_night && chance.happens(0.4) {
                return Showed::Failed;
            }
            truth(test, before, again, chance)
        };
        for mut made in iterate(&universe, (iteration, layout), &deadly, &truth, &mut chance) {
            if made.origin == Origin::Planned && chance.happens(0.1) {
                made.origin = Origin::Differing;
                chance.shuffle(&mut made.asked);
            } else if chance.happens(0.1) && made.trials.len() > 2 {
                // Lost in the middle: asked for, never started.
                let lost = made.trials[1].test;
                made.trials.retain(|trial| trial.test != lost);
                made.died_in = made.died_in.filter(|test| *test != lost);
            }
            all.push(made);
        }
    }
    all
}

fn fill(segments: &[Made], iterations: u64) -> Ledger {
    let mut ledger = Ledger::new(&universe(TESTS, 4), &factors());
    for iteration in 0..iterations {
        for made in segments.iter().filter(|made| made.iteration == iteration) {
            ledger.observe(&made.observation());
        }
        ledger.end_iteration(iteration);
        replay(&mut ledger, TESTS, 0);
    }
    ledger
}

/// Segments in which a failure of the test is set aside.
fn held(ledger: &Ledger, test: u32) -> BTreeSet<usize> {
    let bursts = ledger.bursts();
    let of_test = bursts.iter().filter(|burst| burst.failures.contains(&test));
    of_test.map(|burst| burst.segment as usize).collect()
}

/// What ran before `test` in each of its counted runs, and whether it failed.
fn runs(segments: &[Made], test: u32, held: &BTreeSet<usize>) -> Vec<(usize, Vec<u32>, bool)> {
    let mut runs = Vec::new();
    for (number, made) in segments.iter().enumerate() {
        let failed = match made.showed(test, 1) {
            Some(Showed::Failed) => true,
            Some(Showed::Passed) => false,
            Some(Showed::Nothing) | None => continue,
        };
        if failed && held.contains(&number) {
            continue;
        }
        let before = made
            .started()
            .into_iter()
            .take_while(|other| *other != test);
        runs.push((number, before.collect(), failed));
    }
    runs
}

#[derive(Debug, Default, PartialEq)]
struct Counted {
    total: Cell,
    before: Vec<Cell>,
    adjacent: BTreeMap<u32, Cell>,
}

fn counted(
    runs: impl IntoIterator<Item = (Vec<u32>, Option<u32>, bool)>,
    struck: &BTreeSet<u32>,
) -> Counted {
    let mut counted = Counted {
        before: vec![Cell::default(); TESTS as usize],
        ..Counted::default()
    };
    for (before, last, failed) in runs {
        counted.total.add(failed);
        for test in before.iter().filter(|test| !struck.contains(test)) {
            counted.before[*test as usize].add(failed);
        }
        if let Some(last) = last.filter(|test| !struck.contains(test)) {
            counted.adjacent.entry(last).or_default().add(failed);
        }
    }
    counted
}

fn told(evidence: &Evidence) -> Counted {
    Counted {
        total: evidence.total,
        before: evidence.before.to_vec(),
        adjacent: evidence.adjacent.clone(),
    }
}

fn plain(run: &(usize, Vec<u32>, bool)) -> (Vec<u32>, Option<u32>, bool) {
    (run.1.clone(), run.1.last().copied(), run.2)
}

fn check(segments: &[Made], ledger: &Ledger) {
    let struck: BTreeSet<u32> = segments.iter().filter_map(|made| made.died_in).collect();
    let bursts = ledger.bursts().into_iter();
    let bursts: BTreeSet<usize> = bursts.map(|burst| burst.segment as usize).collect();
    for test in ledger.suspects() {
        let held = held(ledger, test);
        let runs = runs(segments, test, &held);
        let evidence = ledger.evidence(test);
        assert_eq!(
            told(evidence),
            counted(runs.iter().map(plain), &struck),
            "of {test}"
        );
        check_parts(segments, (test, &held), evidence);
        for (at, (number, before, failed)) in runs.iter().enumerate() {
            let run = &evidence.runs[at];
            assert_eq!((run.segment as usize, run.failed), (*number, *failed));
            let repetitions = usize::from(segments[*number].layout.repetitions());
            assert_eq!(run.rank as usize, before.len() * repetitions);
            assert_eq!(&ledger.prefix(test, at), before);
        }
        let groups = [vec![5], vec![7, 8]];
        let holds = |before: &[u32], group: &Vec<u32>| group.iter().all(|m| before.contains(m));
        let left = runs.iter().filter(|(number, before, failed)| {
            let of_burst = *failed && bursts.contains(number);
            !of_burst && !groups.iter().any(|group| holds(before, group))
        });
        let residual = told(&ledger.residual(test, &groups));
        assert_eq!(
            residual,
            counted(left.map(plain), &struck),
            "residual of {test}"
        );
        let after = runs
            .iter()
            .filter(|(_, before, _)| holds(before, &groups[1]));
        let between = after.map(|(_, before, failed)| {
            let last = before.iter().rposition(|other| groups[1].contains(other));
            (before[last.unwrap() + 1..].to_vec(), None, *failed)
        });
        let cleaning = told(&ledger.cleaning(test, &groups[1]));
        assert_eq!(cleaning, counted(between, &struck), "cleaning of {test}");
    }
}

/// Totals, second trials, levels.
fn check_parts(segments: &[Made], (test, held): (u32, &BTreeSet<usize>), evidence: &Evidence) {
    let (mut second, mut utc) = (Cell::default(), Cell::default());
    for (number, made) in segments.iter().enumerate() {
        if made.showed(test, 1) == Some(Showed::Passed) {
            match made.showed(test, 2) {
                Some(Showed::Failed) => second.add(true),
                Some(Showed::Passed) => second.add(false),
                Some(Showed::Nothing) | None => {}
            }
        }
        if made.levels[0].1 == "utc" {
            match made.showed(test, 1) {
                Some(Showed::Failed) if !held.contains(&number) => utc.add(true),
                Some(Showed::Passed) => utc.add(false),
                Some(Showed::Failed | Showed::Nothing) | None => {}
            }
        }
    }
    assert_eq!(evidence.second, second);
    let level = evidence.levels.iter().find(|level| &*level.level == "utc");
    assert_eq!(level.map_or(Cell::default(), |level| level.cell), utc);
    assert!(evidence.levels.iter().all(|level| level.factor == 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn counters_equal_a_recount(seed in any::<u64>(), iterations in 1_u64..14) {
        let segments = hunt(seed, iterations);
        let ledger = fill(&segments, iterations);
        check(&segments, &ledger);
        for test in 0..TESTS {
            let (mut failures, mut trials) = (0, 0);
            for made in &segments {
                match made.showed(test, 1) {
                    Some(Showed::Failed) => { failures += 1; trials += 1; }
                    Some(Showed::Passed) => trials += 1,
                    Some(Showed::Nothing) | None => {}
                }
            }
            let (soak, aside) = (ledger.soak(test), ledger.infra(test));
            prop_assert_eq!((soak.failures + aside, soak.trials + aside), (failures, trials));
        }
    }

    #[test]
    fn pair_coverage_equals_a_recount(seed in any::<u64>(), iterations in 1_u64..4) {
        let segments = hunt(seed, iterations);
        let ledger = fill(&segments, iterations);
        let mut pairs = BTreeSet::new();
        for made in &segments {
            let started = made.started();
            for (at, later) in started.iter().enumerate() {
                pairs.extend(started[..at].iter().map(|earlier| (*earlier, *later)));
            }
        }
        let all = f64::from(TESTS * (TESTS - 1));
        let share = f64::from(u32::try_from(pairs.len()).unwrap()) / all;
        prop_assert!((ledger.pair_coverage().unwrap() - share).abs() < 1e-12);
    }
}

#[test]
fn recounted_hunts_hold_bursts_and_crashes() {
    let (mut bursts, mut deaths) = (0, 0);
    for seed in 0..20 {
        let segments = hunt(seed, 10);
        bursts += fill(&segments, 10).bursts().len();
        deaths += segments
            .iter()
            .filter(|made| made.died_in.is_some())
            .count();
    }
    assert!(bursts > 5 && deaths > 5, "{bursts} bursts, {deaths} deaths");
}

#[test]
fn tests_that_are_gone_count_in_no_pair() {
    let mut universe = universe(3, 1);
    universe.present[1] = false;
    let mut ledger = Ledger::new(&universe, &[]);
    let mut chance = Chance::new(1);
    let passes = |_: u32, _: &[u32], _: bool, _: &mut Chance| Showed::Passed;
    let made = iterate(&universe, (0, free(1)), &[], &passes, &mut chance);
    ledger.observe(&made[0].observation());
    assert_eq!(ledger.pair_coverage(), Some(0.5));
}

#[test]
fn a_test_in_which_a_process_died_is_struck_also_from_the_past() {
    let universe = universe(TESTS, 4);
    let mut chance = Chance::new(4);
    let mut ledger = Ledger::new(&universe, &[]);
    // Test 9 pollutes test 0 and, much later, dies.
    let polluted = |test: u32, before: &[u32], _: bool, _: &mut Chance| {
        let fails = test == 0 && before.contains(&9);
        if fails {
            Showed::Failed
        } else {
            Showed::Passed
        }
    };
    for iteration in 0..12 {
        for made in iterate(&universe, (iteration, free(1)), &[], &polluted, &mut chance) {
            ledger.observe(&made.observation());
        }
        ledger.end_iteration(iteration);
    }
    assert!(ledger.evidence(0).before[9].failed > 1);
    let posterior = ledger.posterior(0, &crate::diagnose::ledger::Active::default());
    assert_eq!(posterior.best.predecessor, Some(9));
    let before = ledger.passive_ln_e(0);
    let dies = |test: u32, _: &[u32], _: bool, _: &mut Chance| {
        if test == 9 {
            Showed::Failed
        } else {
            Showed::Passed
        }
    };
    for made in iterate(&universe, (12, free(1)), &[9], &dies, &mut chance) {
        ledger.observe(&made.observation());
    }
    let changed = ledger.end_iteration(12);
    assert!(changed.contains(&9), "it is a suspect itself: {changed:?}");
    assert!(ledger.is_struck(9));
    assert_eq!(ledger.evidence(0).before[9], Cell::default());
    assert!(ledger.evidence(0).total.failed > 1, "its own record stays");
    assert!(
        ledger.passive_ln_e(0) < before - 1.0,
        "nothing is won on a struck one"
    );
    let posterior = ledger.posterior(0, &crate::diagnose::ledger::Active::default());
    assert!(posterior.predecessor[9] <= 0.0);
}
