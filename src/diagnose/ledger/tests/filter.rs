//! Bursts are set aside while they stay alone.

use super::world::{free, iterate, replay, universe};
use crate::{
    diagnose::{ledger::Ledger, observation::Showed},
    stats::chance::Chance,
};

/// A hunt over 200 tests in 4 shards; at `bursts` (iteration), the tests of `victims` fail wherever they run.
fn hunt(iterations: u64, bursts: &[u64], victims: &[u32]) -> Ledger {
    let universe = universe(200, 10);
    let mut chance = Chance::new(7);
    let mut ledger = Ledger::new(&universe, &[]);
    for iteration in 0..iterations {
        let struck = bursts.contains(&iteration);
        let truth = |test: u32, _: &[u32], _: bool, chance: &mut Chance| {
            let fails = (struck && victims.contains(&test)) || (test == 0 && chance.happens(0.2));
            if fails {
                Showed::Failed
            } else {
                Showed::Passed
            }
        };
        let layout = free(if struck { 1 } else { 4 });
        for made in iterate(&universe, (iteration, layout), &[], &truth, &mut chance) {
            ledger.observe(&made.observation());
        }
        ledger.end_iteration(iteration);
        replay(&mut ledger, 200, 0);
    }
    ledger
}

const VICTIMS: [u32; 12] = [3, 11, 29, 31, 55, 60, 77, 90, 101, 150, 151, 190];

#[test]
fn a_burst_is_set_aside_and_its_tests_are_no_suspects() {
    let ledger = hunt(40, &[20], &VICTIMS);
    assert_eq!(ledger.suspects(), [0]);
    let bursts = ledger.bursts();
    assert_eq!(bursts.len(), 1, "{bursts:?}");
    assert_eq!(bursts[0].iteration, 20);
    assert_eq!(bursts[0].ran, 200);
    assert_eq!(bursts[0].failures, VICTIMS);
    for test in VICTIMS {
        assert_eq!((ledger.infra(test), ledger.soak(test).failures), (1, 0));
        assert_eq!(ledger.soak(test).trials, 39);
    }
}

#[test]
fn what_recurs_is_let_go_and_counted_as_if_it_never_was_set_aside() {
    let before = hunt(21, &[20], &VICTIMS);
    assert_eq!(before.infra(3), 1);
    let ledger = hunt(40, &[20, 30, 35], &VICTIMS);
    assert!(ledger.bursts().is_empty());
    for test in VICTIMS {
        assert_eq!((ledger.infra(test), ledger.soak(test).failures), (0, 3));
        let evidence = ledger.evidence(test);
        assert_eq!(evidence.total.failed, 3);
        let failed: Vec<u64> = evidence
            .runs
            .iter()
            .filter(|run| run.failed)
            .map(|run| run.iteration)
            .collect();
        assert_eq!(failed, [20, 30, 35]);
        let mut again = vec![crate::stats::Cell::default(); 200];
        for at in 0..evidence.runs.len() {
            for other in ledger.prefix(test, at) {
                again[other as usize].add(evidence.runs[at].failed);
            }
        }
        assert_eq!(*evidence.before, again);
    }
}

#[test]
fn what_fails_again_in_the_same_order_counts_for_its_tests() {
    let universe = universe(200, 10);
    let mut chance = Chance::new(7);
    let mut ledger = Ledger::new(&universe, &[]);
    for iteration in 0..30 {
        let truth = |test: u32, _: &[u32], _: bool, _: &mut Chance| {
            if iteration == 20 && VICTIMS.contains(&test) {
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
    let waits = |ledger: &Ledger| VICTIMS.iter().all(|test| ledger.is_waiting(*test));
    assert!(waits(&ledger) && ledger.bursts().is_empty());
    assert_eq!((ledger.infra(3), ledger.soak(3).failures), (0, 1));
    assert_eq!(
        replay(&mut ledger, 200, 2),
        1,
        "one test that fails again decides"
    );
    assert!(!waits(&ledger) && ledger.bursts().is_empty());
    assert_eq!(ledger.suspects(), VICTIMS);
}

#[test]
fn a_flaky_test_in_a_burst_keeps_its_failure() {
    let mut victims = VICTIMS.to_vec();
    victims.push(0);
    let ledger = hunt(60, &[5, 10, 15, 20, 25, 40], &[0]);
    assert!(ledger.bursts().is_empty());
    assert_eq!(ledger.infra(0), 0);
    let ledger = hunt(60, &[20], &victims);
    let aside: Vec<u32> = ledger.bursts()[0].failures.clone();
    let rate = ledger.soak(0).failures;
    assert!(rate > 3, "{rate}");
    assert!(VICTIMS.iter().all(|test| aside.contains(test)));
}

#[test]
fn first_failures_of_a_young_hunt_are_no_burst() {
    // Twelve different causes, each first seen in the first iteration of 2,000 tests.
    let universe = universe(2000, 20);
    let mut chance = Chance::new(5);
    let mut ledger = Ledger::new(&universe, &[]);
    let truth = |test: u32, _: &[u32], _: bool, _: &mut Chance| {
        if test.is_multiple_of(160) {
            Showed::Failed
        } else {
            Showed::Passed
        }
    };
    for made in iterate(&universe, (0, free(1)), &[], &truth, &mut chance) {
        ledger.observe(&made.observation());
    }
    assert_eq!(ledger.end_iteration(0).len(), 13);
}
