//! Suites where everything fails: what is kept of them stays small.

use super::world::{free, iterate, universe};
use crate::{
    diagnose::{ledger::Ledger, observation::Showed},
    stats::chance::Chance,
};

/// A hunt of 5,000 tests that pass in the first iteration and, but for `rare`, fail in all others; `rare` passes but in
/// two of those.
fn broken_night(tests: u32, iterations: u64, rare: u32) -> Ledger {
    let universe = universe(tests, 50);
    let mut chance = Chance::new(4);
    let mut ledger = Ledger::new(&universe, &[]);
    for iteration in 0..iterations {
        let truth = |test: u32, _: &[u32], _: bool, _: &mut Chance| {
            let fails = if test == rare {
                iteration + 2 >= iterations
            } else {
                iteration > 0
            };
            if fails {
                Showed::Failed
            } else {
                Showed::Passed
            }
        };
        for made in iterate(&universe, (iteration, free(1)), &[], &truth, &mut chance) {
            ledger.observe(&made.observation());
        }
        ledger.end_iteration(iteration);
    }
    ledger
}

#[test]
fn counters_of_a_suite_where_everything_fails_do_not_grow_with_its_square() {
    let ledger = broken_night(5000, 4, u32::MAX);
    let bare = |test: &u32| ledger.evidence(*test).is_bare;
    let suspects = ledger.suspects();
    let counted: Vec<u32> = suspects
        .iter()
        .copied()
        .filter(|test| !bare(test))
        .collect();
    // One more than there is room for: the test whose order is to be run again, for which all others wait.
    assert_eq!((suspects.len(), counted.len()), (801, 400));
    for test in &suspects {
        let evidence = ledger.evidence(*test);
        assert_eq!((evidence.total.passed, evidence.total.failed), (1, 3));
        assert_eq!(evidence.runs.len(), 4);
        let known = evidence.before.iter().any(|cell| cell.trials() > 0);
        assert_eq!(known, !bare(test), "of {test}");
    }
}

#[test]
fn a_test_that_fails_seldom_is_counted_however_many_always_fail() {
    let rare = 777;
    let ledger = broken_night(800, 12, rare);
    let evidence = ledger.evidence(rare);
    assert!(!evidence.is_bare);
    assert_eq!((evidence.total.passed, evidence.total.failed), (10, 2));
    let seen: u32 = evidence.before.iter().map(|cell| cell.trials()).sum();
    let ran_before: u32 = evidence.runs.iter().map(|run| run.rank).sum();
    assert_eq!(seen, ran_before, "its whole past is counted");
    let counted = ledger.suspects();
    let counted = counted
        .iter()
        .filter(|test| !ledger.evidence(**test).is_bare);
    assert_eq!(counted.count(), 400);
}
