//! What the analyst learns on the way, and what it tells of a test.

use super::suite::{Rule, Suite, TESTS, VICTIM};
use crate::{diagnose::Standing, model::Role};

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
