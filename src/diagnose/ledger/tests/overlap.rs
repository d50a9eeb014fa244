//! What ran elsewhere at the same time, and what ran twice.

use super::world::{Made, factors, free, iterate, layout, universe};
use crate::{
    diagnose::{
        ledger::{Active, Family, Ledger},
        observation::{Showed, Shown},
    },
    model::{Design, Grouping},
    plan::Origin,
    stats::{Cell, chance::Chance},
};

/// A segment of one worker: tests with start and length, all passing but `fails`.
fn segment(iteration: u64, worker: u32, trials: &[(u32, f64, f32)], fails: &[u32]) -> Made {
    let shown = |(test, start, seconds): &(u32, f64, f32)| Shown {
        test: *test,
        rep: 1,
        showed: if fails.contains(test) {
            Showed::Failed
        } else {
            Showed::Passed
        },
        start: *start,
        seconds: *seconds,
    };
    Made {
        iteration,
        tests: 8,
        modules: 1,
        layout: free(2),
        origin: Origin::Planned,
        asked: trials.iter().map(|trial| trial.0).collect(),
        trials: trials.iter().map(shown).collect(),
        died_in: None,
        worker,
        levels: Vec::new(),
    }
}

#[test]
fn neighbours_count_once_per_run_and_only_on_other_workers() {
    let mut ledger = Ledger::new(&universe(8, 8), &[]);
    let first = [
        // Test 0 fails from 10 to 20, beside 4 and 5 of worker 1, and 4 again of worker 2.
        segment(
            0,
            0,
            &[(1, 0.0, 10.0), (0, 10.0, 10.0), (2, 20.0, 5.0)],
            &[0],
        ),
        segment(0, 1, &[(3, 0.0, 9.0), (4, 9.0, 2.0), (5, 11.0, 20.0)], &[]),
    ];
    let second = [
        segment(
            1,
            2,
            &[(6, 0.0, 10.0), (4, 10.5, 1.0), (7, 20.0, 10.0)],
            &[],
        ),
        segment(1, 0, &[(0, 31.0, 10.0), (1, 41.0, 1.0)], &[]),
    ];
    for (iteration, made) in (0..).zip([&first, &second]) {
        for made in made {
            ledger.observe(&made.observation());
        }
        ledger.end_iteration(iteration);
    }
    let cell = |failed, passed| Cell { failed, passed };
    let evidence = ledger.evidence(0);
    // The second run of test 0 is not settled: workers 1 and 2 have not been seen beyond it.
    assert_eq!(evidence.overlapped, cell(1, 0));
    let mut expected = vec![Cell::default(); 8];
    expected[4] = cell(1, 0);
    expected[5] = cell(1, 0);
    assert_eq!(evidence.overlap, expected);
    for worker in [1, 2] {
        ledger.observe(&segment(2, worker, &[(3, 40.0, 3.0)], &[]).observation());
    }
    ledger.end_iteration(2);
    expected[3] = cell(0, 1);
    let evidence = ledger.evidence(0);
    assert_eq!(
        (evidence.overlapped, &evidence.overlap),
        (cell(1, 1), &expected)
    );
}

#[test]
fn a_test_that_fails_when_it_runs_again_is_a_suspect_through_its_second_trial() {
    let universe = universe(20, 5);
    let mut ledger = Ledger::new(&universe, &factors());
    let mut chance = Chance::new(2);
    let truth = |test: u32, _: &[u32], again: bool, _: &mut Chance| {
        if test == 7 && again {
            Showed::Failed
        } else {
            Showed::Passed
        }
    };
    for iteration in 0..10 {
        let design = if iteration == 4 {
            Design::Doubled
        } else {
            Design::Free
        };
        let layout = layout(design, 1, Grouping::Interleaved);
        for made in iterate(&universe, (iteration, layout), &[], &truth, &mut chance) {
            ledger.observe(&made.observation());
        }
        let expected: &[u32] = if iteration < 4 { &[] } else { &[7] };
        ledger.end_iteration(iteration);
        assert_eq!(ledger.suspects(), expected);
    }
    assert_eq!(ledger.soak(7).failures, 0);
    assert_eq!(
        ledger.evidence(7).total,
        Cell {
            failed: 0,
            passed: 10
        }
    );
    assert_eq!(
        ledger.evidence(7).second,
        Cell {
            failed: 1,
            passed: 0
        }
    );
    let posterior = ledger.posterior(7, &Active::default());
    let share = |family| {
        posterior
            .families
            .iter()
            .find(|(f, _)| *f == family)
            .map_or(0.0, |f| f.1)
    };
    assert!(share(Family::Second) > share(Family::Predecessor));
}
