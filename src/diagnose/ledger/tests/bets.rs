//! The passive e-value is one: it gains nothing where order does not matter, and much where it does.

use super::world::{free, iterate, layout, universe};
use crate::{
    diagnose::{
        ledger::Ledger,
        observation::{Showed, Universe},
    },
    model::{Design, Grouping, Layout, TestId},
    stats::chance::Chance,
};

/// Returns the e-value of test 0 after a hunt, and the highest it ever had.
fn hunt(
    universe: &Universe,
    layouts: &[Layout],
    iterations: u64,
    fails: &dyn Fn(&[u32], u64, &mut Chance) -> bool,
    chance: &mut Chance,
) -> (f64, f64, Ledger) {
    let mut ledger = Ledger::new(universe, &[]);
    let mut highest = f64::NEG_INFINITY;
    for iteration in 0..iterations {
        let layout = layouts[chance.below(layouts.len())];
        let truth = |test: u32, before: &[u32], _: bool, chance: &mut Chance| {
            let failed = test == 0 && fails(before, iteration, chance);
            if failed {
                Showed::Failed
            } else {
                Showed::Passed
            }
        };
        for made in iterate(universe, (iteration, layout), &[], &truth, chance) {
            ledger.observe(&made.observation());
        }
        ledger.end_iteration(iteration);
        highest = highest.max(ledger.passive_ln_e(0));
    }
    (ledger.passive_ln_e(0), highest, ledger)
}

fn mixed() -> Vec<Layout> {
    vec![
        free(1),
        free(4),
        layout(Design::Free, 2, Grouping::ModuleContiguous),
        layout(Design::Doubled, 1, Grouping::Interleaved),
    ]
}

/// Does it fail, given what ran before it and the iteration?
type Null = dyn Fn(&[u32], u64, &mut Chance) -> bool;

#[test]
fn the_mean_e_value_of_innocent_suites_is_at_most_one() {
    let universe = universe(12, 4);
    let worlds = 300;
    let nulls: [(&str, &Null); 3] = [
        ("rate", &|_, _, chance| chance.happens(0.3)),
        ("position", &|before, _, _| before.len() > 6),
        ("drift", &|_, iteration, chance| {
            chance.happens(if iteration < 8 { 0.05 } else { 0.6 })
        }),
    ];
    for (seed, (name, null)) in (1..).zip(nulls) {
        let mut chance = Chance::new(seed);
        let (mut sum, mut ever) = (0.0, 0);
        for _ in 0..worlds {
            let (last, highest, _) = hunt(&universe, &mixed(), 15, null, &mut chance);
            sum += last.exp();
            ever += u32::from(highest >= 20.0_f64.ln());
        }
        let mean = sum / f64::from(worlds);
        // Four standard errors of a mean of e-values whose spread is about 2, and a little.
        assert!(mean <= 1.5, "{name}: mean {mean}");
        // 0.999 quantile of Binomial(300, 0.05).
        assert!(ever <= 28, "{name}: {ever} of {worlds} ever at 20");
    }
}

#[test]
fn a_polluter_and_a_state_setter_make_it_grow_and_e_bh_names_the_victim() {
    let universe = universe(60, 6);
    let mut chance = Chance::new(3);
    let (_, polluted, ledger) = hunt(
        &universe,
        &[free(1), free(4)],
        60,
        &|before, _, _| before.contains(&30),
        &mut chance,
    );
    assert!(polluted > 1000.0_f64.ln() + 60.0_f64.ln(), "{polluted}");
    assert_eq!(ledger.suspected(0.05), [0]);
    let (_, set, _) = hunt(
        &universe,
        &[free(1)],
        60,
        &|before, _, _| !before.contains(&30),
        &mut chance,
    );
    assert!(set > 1000.0_f64.ln(), "{set}");
}

#[test]
fn orders_that_were_not_drawn_move_nothing() {
    let universe = universe(20, 4);
    for design in [
        Design::Reversed,
        Design::Natural,
        Design::Doubled,
        Design::Given,
    ] {
        let layouts = [layout(design, 1, Grouping::Interleaved)];
        let mut chance = Chance::new(9);
        let fails = |before: &[u32], _: u64, _: &mut Chance| before.contains(&7);
        let (last, highest, ledger) = hunt(&universe, &layouts, 20, &fails, &mut chance);
        assert_eq!((last, highest), (0.0, 0.0), "{design}");
        assert!(
            ledger.evidence(0).before[7].failed > 3,
            "they count all the same"
        );
        assert!(ledger.suspected(0.05).is_empty());
    }
}

/// The formula has one more home, in [`crate::stats`], with tables: both give the same.
#[test]
fn bets_are_those_of_the_statistics() {
    use crate::stats::{self, Cell, Direction, ProbabilityBefore, ln_mean};
    let universe = universe(16, 16);
    let mut chance = Chance::new(12);
    let fails =
        |before: &[u32], _: u64, chance: &mut Chance| before.contains(&4) && chance.happens(0.9);
    let (last, _, ledger) = hunt(&universe, &[free(1)], 40, &fails, &mut chance);
    let mut bets = stats::Bets::new(Direction::Fails, 16);
    let (mut with, mut total) = (vec![Cell::default(); 16], Cell::default());
    for (at, run) in ledger.runs(0).iter().enumerate() {
        let before = ledger.prefix(0, at);
        let pi = ProbabilityBefore::Same(f64::from(run.rank) / 15.0);
        let first = |test: usize| before.iter().any(|other| *other as usize == test);
        bets.step(&with, total, first, pi, run.failed);
        total.add(run.failed);
        for test in before {
            with[test as usize].add(run.failed);
        }
    }
    assert!(ledger.bursts().is_empty());
    let expected = ln_mean(&bets.all()[1..]);
    assert!((last - expected).abs() < 1e-9, "{last} {expected}");
    assert!(last > 1.0, "{last}");
}

/// A test that was removed before the hunt, or comes with a later revision, had no chance to run before anything.
#[test]
fn tests_that_an_iteration_did_not_plan_win_nothing() {
    let suite = universe(40, 4);
    let mut all = suite.clone();
    all.names.push(TestId::new("m9::removed").unwrap());
    all.modules.push(9);
    all.present.push(false);
    all.seconds.push(1.0);
    let mut chance = Chance::new(21);
    for rate in [0.02, 0.1] {
        let mut ledger = Ledger::new(&all, &[]);
        let truth = |test: u32, _: &[u32], _: bool, chance: &mut Chance| {
            if test == 0 && chance.happens(rate) {
                Showed::Failed
            } else {
                Showed::Passed
            }
        };
        let mut highest = f64::NEG_INFINITY;
        for iteration in 0..300 {
            let layout = free([1, 4][chance.below(2)]);
            for made in iterate(&suite, (iteration, layout), &[], &truth, &mut chance) {
                ledger.observe(&made.observation());
            }
            ledger.end_iteration(iteration);
            highest = highest.max(ledger.passive_ln_e(0));
        }
        assert!(ledger.evidence(0).total.failed > 1, "it did fail");
        // It would be far above with a bet on the removed test, which never came before a failure.
        assert!(highest < 3.0, "rate {rate}: {highest}");
    }
}

#[test]
fn iteration_with_a_shard_that_was_given_up_moves_no_bet() {
    let universe = universe(20, 4);
    let mut chance = Chance::new(5);
    let mut ledger = Ledger::new(&universe, &[]);
    let truth = |test: u32, before: &[u32], _: bool, _: &mut Chance| {
        if test == 0 && before.contains(&7) {
            Showed::Failed
        } else {
            Showed::Passed
        }
    };
    for iteration in 0..30 {
        let made = iterate(&universe, (iteration, free(2)), &[], &truth, &mut chance);
        let whole = made.iter().find(|made| made.asked.contains(&0)).unwrap();
        ledger.observe(&whole.observation());
        ledger.end_iteration(iteration);
    }
    assert!(ledger.evidence(0).before[7].failed > 3);
    assert!(ledger.passive_ln_e(0).abs() < 1e-12);
}
