//! What the analyst learns on the way, and what it tells of a test.

use super::suite::{Rule, Suite, TESTS, VICTIM, universe};
use crate::{
    diagnose::{Observation, Showed, Shown, Standing, case::Case, ledger::Ledger, ranking},
    model::{Design, Grouping, Layout, Role},
    plan::Origin,
};

const LONG: u32 = 3;

/// Fails once its process is older than all tests but the long one take together.
const SLOW: Rule = |scene| f64::from(u8::from(scene.before.contains(&LONG)));

fn seconds() -> Vec<f32> {
    let of = |test| if test == LONG { 30.0 } else { 0.4 };
    (0..TESTS).map(of).collect()
}

#[test]
fn long_test_is_not_named_once_it_is_known_that_no_decoy_lasts_as_long() {
    let named = |seconds: &[f32]| {
        let mut suite = Suite::new(SLOW, 1);
        suite.analyst.learn_seconds(&[0.0; TESTS as usize]);
        suite.soak();
        suite.analyst.learn_seconds(seconds);
        Suite::named(&suite.hunt(60).said(), Role::Polluter)
    };
    assert_eq!(named(&[0.0; TESTS as usize]), [["t03"]]);
    assert_eq!(named(&seconds()), Vec::<Vec<String>>::new());
}

/// A test of the victim's own module, which lasts longer than the others of the module together.
const SLOW_AT_HOME: u32 = 6;

#[test]
fn slow_polluter_of_the_own_module_is_named_unless_any_test_of_the_module_will_do() {
    let named = |rule: Rule| {
        let mut suite = Suite::new(rule, 1);
        let of = |test| if test == SLOW_AT_HOME { 3.0 } else { 0.4 };
        let seconds: Vec<f32> = (0..TESTS).map(of).collect();
        suite.analyst.learn_seconds(&seconds);
        Suite::named(&suite.hunt(60).said(), Role::Polluter)
    };
    let one: Rule = |scene| f64::from(u8::from(scene.before.contains(&SLOW_AT_HOME)));
    assert_eq!(named(one), [["t06"]]);
    let any: Rule = |scene| {
        let at_home = |test: &u32| test / 5 == VICTIM / 5;
        f64::from(u8::from(scene.before.iter().any(at_home)))
    };
    assert_eq!(named(any), Vec::<Vec<String>>::new());
}

#[test]
fn standing_of_a_test_that_failed_once_survives_json() {
    let rule: Rule = |scene| if scene.iteration == 4 { 1.0 } else { 0.0 };
    let mut suite = Suite::new(rule, 1);
    for _ in 0..8 {
        suite.soak();
    }
    let standing = suite.analyst.standing(VICTIM);
    assert_eq!(standing.soak.failures, 1);
    assert!(standing.ln_e.abs() < 1e-12, "{standing:?}");
    let json = serde_json::to_value(&standing).unwrap();
    let back: Standing = serde_json::from_value(json).unwrap();
    assert_eq!(back.soak, standing.soak);
    assert_eq!(back.explanations, standing.explanations);
}

#[test]
fn test_in_which_a_process_died_is_no_decoy_though_its_record_is_empty() {
    let universe = universe();
    let mut ledger = Ledger::new(&universe, &[]);
    let asked: Vec<u32> = (0..TESTS).collect();
    let shown = |failed: Option<u32>| {
        let trial = |test: &u32| Shown {
            test: *test,
            rep: 1,
            showed: if failed == Some(*test) {
                Showed::Failed
            } else {
                Showed::Passed
            },
            start: f64::from(*test),
            seconds: 1.0,
        };
        asked.iter().map(trial).collect::<Vec<_>>()
    };
    let deadly = 5;
    let rounds = [(None, Some(deadly)), (Some(VICTIM), None), (None, None)];
    for (iteration, (failed, died_in)) in (0..).zip(rounds) {
        ledger.observe(&Observation {
            iteration,
            tests: TESTS,
            modules: 1,
            layout: Layout {
                design: Design::Free,
                shards: 1,
                grouping: Grouping::Interleaved,
                class: 0,
            },
            origin: Origin::Planned,
            asked: &asked,
            trials: &shown(failed),
            died_in,
            worker: 0,
            hour: 0.0,
            levels: &[],
        });
        ledger.end_iteration(iteration);
    }
    let evidence = ledger.evidence(VICTIM);
    assert_eq!(evidence.before[deadly as usize].trials(), 0);
    let case = Case::default();
    let nobody = [false; TESTS as usize];
    let about: (u32, &[u32], bool) = (VICTIM, &[LONG], false);
    let pool = ranking::cleared(&universe, &nobody, evidence, &case, about);
    assert!(!pool.contains(&deadly), "{pool:?}");
    assert!(pool.len() > 30, "{pool:?}");
}
