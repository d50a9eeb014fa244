//! The tournament puts the planted cause first.

use super::world::{factors, free, iterate, layout, universe};
use crate::{
    diagnose::{
        case::Shot,
        ledger::{Active, Family, Ledger, Posterior},
        observation::{Observation, Showed},
        ranking::Source,
        setup::{Search, Settings, Wanted},
    },
    model::{Design, Grouping},
    stats::{Cell, Tables, chance::Chance},
};

const TESTS: u32 = 120;

/// What decides whether test 0 fails: what ran before it, the segment's levels are not known here.
type Cause<'a> = dyn Fn(&[u32], u64, &mut Chance) -> bool + 'a;

fn hunt(cause: &Cause<'_>, iterations: u64) -> Ledger {
    let universe = universe(TESTS, 10);
    let mut ledger = Ledger::new(&universe, &factors());
    let mut chance = Chance::new(11);
    for iteration in 0..iterations {
        let cut = [
            free(1),
            free(4),
            layout(Design::Free, 4, Grouping::ModuleContiguous),
        ];
        let truth = |test: u32, before: &[u32], _: bool, chance: &mut Chance| {
            let fails = test == 0 && cause(before, iteration, chance);
            if fails {
                Showed::Failed
            } else {
                Showed::Passed
            }
        };
        let layout = cut[chance.below(3)];
        for made in iterate(&universe, (iteration, layout), &[], &truth, &mut chance) {
            ledger.observe(&made.observation());
        }
        ledger.end_iteration(iteration);
    }
    ledger
}

fn first(posterior: &Posterior) -> Family {
    let sum: f64 = posterior.families.iter().map(|(_, share)| share).sum();
    assert!((sum - 1.0).abs() < 1e-9);
    posterior.families[0].0
}

#[test]
fn the_planted_cause_leads() {
    let none = Active::default();
    let one = hunt(&|before, _, _| before.contains(&77), 80).posterior(0, &none);
    assert_eq!(
        (first(&one), one.best.predecessor),
        (Family::Predecessor, Some(77))
    );
    assert!(one.predecessor[77] > 0.9 && one.polluters < 2.0, "{one:?}");

    let setter = hunt(&|before, _, _| !before.contains(&77), 80).posterior(0, &none);
    assert_eq!(
        (first(&setter), setter.best.setter),
        (Family::Setter, Some(77))
    );

    let adjacent =
        |before: &[u32], _: u64, _: &mut Chance| before.last().is_some_and(|last| last % 12 == 5);
    let adjacent = hunt(&adjacent, 200).posterior(0, &none);
    assert!(
        adjacent.best.adjacent.is_some_and(|test| test % 12 == 5),
        "{adjacent:?}"
    );

    let late = hunt(&|before, _, _| before.len() > 45, 120).posterior(0, &none);
    assert!(
        matches!(first(&late), Family::Position | Family::Many),
        "{late:?}"
    );

    let since = hunt(&|_, iteration, _| iteration >= 40, 80).posterior(0, &none);
    assert_eq!((first(&since), since.best.since), (Family::Since, Some(40)));

    let chance = hunt(&|_, _, chance| chance.happens(0.1), 150).posterior(0, &none);
    assert_eq!(first(&chance), Family::Nothing);
}

#[test]
fn a_level_that_decides_is_named() {
    let universe = universe(30, 10);
    let mut ledger = Ledger::new(&universe, &factors());
    let mut chance = Chance::new(21);
    let passes = |_: u32, _: &[u32], _: bool, _: &mut Chance| Showed::Passed;
    for iteration in 0..40 {
        for mut made in iterate(&universe, (iteration, free(2)), &[], &passes, &mut chance) {
            if made.levels[0].1 == "tokyo" {
                let own = made.trials.iter_mut().find(|trial| trial.test == 3);
                if let Some(trial) = own {
                    trial.showed = Showed::Failed;
                }
            }
            ledger.observe(&made.observation());
        }
        ledger.end_iteration(iteration);
    }
    let posterior = ledger.posterior(3, &Active::default());
    assert_eq!(first(&posterior), Family::Environment);
    assert_eq!(posterior.best.level, Some((0, "tokyo".into())));
}

#[test]
fn a_night_that_begins_with_one_part_of_the_day_and_ends_with_the_next_is_named_whole() {
    let universe = universe(30, 10);
    let mut ledger = Ledger::new(&universe, &factors());
    let mut chance = Chance::new(31);
    let passes = |_: u32, _: &[u32], _: bool, _: &mut Chance| Showed::Passed;
    for (iteration, hour) in (0..96).zip((0_u8..24).cycle().map(f32::from)) {
        for mut made in iterate(&universe, (iteration, free(2)), &[], &passes, &mut chance) {
            let night = !(3.0..21.0).contains(&hour) && chance.happens(0.6);
            let own = made.trials.iter_mut().find(|trial| trial.test == 3);
            if let Some(trial) = own.filter(|_| night) {
                trial.showed = Showed::Failed;
            }
            ledger.observe(&Observation {
                hour,
                ..made.observation()
            });
        }
        ledger.end_iteration(iteration);
    }
    let posterior = ledger.posterior(3, &Active::default());
    assert_eq!(first(&posterior), Family::Circumstance, "{posterior:?}");
    assert_eq!(
        posterior.best.circumstance,
        Some(("hour", "21-3".to_owned()))
    );
}

#[test]
fn probes_move_the_ranking() {
    let ledger = hunt(&|before, _, _| before.contains(&77), 12);
    let soak = ledger.posterior(0, &Active::default());
    let mut active = Active {
        before: vec![Cell::default(); TESTS as usize],
        ..Active::default()
    };
    // Test 77 alone before it failed twice; alone, it passed four times.
    active.before[77] = Cell {
        failed: 2,
        passed: 0,
    };
    active.alone = Cell {
        failed: 0,
        passed: 4,
    };
    active.total = Cell {
        failed: 2,
        passed: 4,
    };
    let after = ledger.posterior(0, &active);
    assert!(soak.predecessor[77] < 0.9);
    assert!(after.predecessor[77] > 0.99, "{}", after.predecessor[77]);
    // Three passes after it refute it instead.
    active.before[77] = Cell {
        failed: 0,
        passed: 6,
    };
    active.total = Cell {
        failed: 0,
        passed: 10,
    };
    let refuted = ledger.posterior(0, &active);
    assert!(refuted.predecessor[77] < soak.predecessor[77]);
}

/// Do so many passes after test 77 alone refute that any single test is the cause of these failures?
fn refuted(cause: &Cause<'_>, passes: usize) -> bool {
    let universe = universe(TESTS, 10);
    let ledger = hunt(cause, 80);
    let shot = Shot {
        before: vec![77],
        failed: false,
        plain: true,
        solo: false,
        levels: Settings::default(),
    };
    let source = Source {
        universe: &universe,
        ledger: &ledger,
        tables: &Tables::new(200),
        victim: 0,
        shots: &vec![shot; passes],
    };
    let search = Search {
        wanted: Wanted::Polluter,
        known: Vec::new(),
        first: Vec::new(),
        runs: 60,
        executions: 1000,
        open: 0,
    };
    source.rank(&search).singles_refuted
}

#[test]
fn passes_alone_refute_a_member_of_a_group_but_not_what_fails_in_any_company() {
    let together =
        |before: &[u32], _: u64, _: &mut Chance| before.contains(&77) && before.contains(&33);
    let often =
        |before: &[u32], _: u64, chance: &mut Chance| before.contains(&77) && chance.happens(0.6);
    assert!(!refuted(&together, 0));
    assert!(refuted(&together, 16));
    assert!(!refuted(&often, 16));
}

#[test]
fn a_test_without_failures_has_no_explanation_but_nothing() {
    let ledger = hunt(&|_, _, _| false, 3);
    let posterior = ledger.posterior(0, &Active::default());
    assert_eq!(first(&posterior), Family::Nothing);
    assert_eq!(
        (posterior.best.predecessor, posterior.best.setter),
        (None, None)
    );
}

#[test]
fn victims_of_one_polluter_rank_it_together() {
    let universe = universe(TESTS, 10);
    let mut ledger = Ledger::new(&universe, &[]);
    let mut chance = Chance::new(2);
    let truth = |test: u32, before: &[u32], _: bool, _: &mut Chance| {
        let fails = test < 13 && before.contains(&77);
        if fails {
            Showed::Failed
        } else {
            Showed::Passed
        }
    };
    for iteration in 0..5 {
        for made in iterate(&universe, (iteration, free(1)), &[], &truth, &mut chance) {
            ledger.observe(&made.observation());
        }
        ledger.end_iteration(iteration);
    }
    let shared = ledger.shared(true).ln_prior();
    assert!(shared[77].exp() > 0.5, "{}", shared[77].exp());
    for victim in ledger.suspects() {
        let posterior = ledger.posterior(victim, &Active::default());
        assert_eq!(posterior.best.predecessor, Some(77), "of {victim}");
    }
}
