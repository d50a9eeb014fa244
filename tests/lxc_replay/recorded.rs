//! Orders on record: every design, passes, what was left after a crash.

use std::collections::BTreeMap;

use soakhound::model::{Design, Grouping, Layout, ListDigest, SuiteId};
use soakhound::plan::{IterationSeed, Random, ShortDigest, Tests, Token, shard};

use crate::support::World;
use crate::{answered, hunted_once, id, made, parsed, passed_once, same_order, text};

/// Checks that a replay shows what was recorded, and exits by it.
#[track_caller]
fn as_recorded(world: &World, token: &str) {
    let answer = same_order(world, token);
    let once = &answer["repetitions"][0];
    assert_eq!(
        once["differences"].as_array().unwrap().len(),
        0,
        "{answer:#}"
    );
    assert_eq!(once["recorded"], once["trials"], "{answer:#}");
    let failed = !answer["watched"].as_array().unwrap().is_empty();
    let result = if failed {
        "reproduced"
    } else {
        "not-reproduced"
    };
    assert_eq!(answer["result"], result, "{answer:#}");
}

#[test]
fn replay_of_every_design_of_a_hunt_runs_its_order_and_shows_its_outcomes() {
    let world = World::of("polluter_victim");
    world.configure("[hunt]\nci_shards = 2\n");
    // The coverage cycle takes every second iteration, and its last member is the ninth.
    world.expect(0, &["hunt", "--iterations", "17", "--workers", "2"]);
    let status = world.json(&["status", "--shards", "100"]);
    let mut one_of_each = BTreeMap::new();
    for shard in status["shard_tokens"].as_array().unwrap() {
        let token = text(&shard["token"]);
        let Token::Random(random) = parsed(&token) else {
            panic!("a hunt's order is a function of its seed: {token}");
        };
        let is_cut = random.layout.shards > 1;
        one_of_each.insert((random.layout.design.code(), is_cut), token);
    }
    for design in [
        Design::Free,
        Design::Coverage,
        Design::Reversed,
        Design::Doubled,
    ] {
        assert!(
            one_of_each.keys().any(|(code, _)| *code == design.code()),
            "{design}"
        );
    }
    for cut in [Design::Coverage, Design::Reversed] {
        assert!(
            one_of_each.contains_key(&(cut.code(), true)),
            "affine {cut}"
        );
    }
    for token in one_of_each.values() {
        as_recorded(&world, token);
    }
    world.check();
}

#[test]
fn replay_of_a_natural_order_needs_no_record() {
    let world = World::of("polluter_victim");
    let listed = world.json(&["list"]);
    let names = listed["tests"].as_array().unwrap().iter();
    let names = names
        .map(|test| id(test["test"].as_str().unwrap()))
        .collect();
    let tests = Tests::new(names, |test| test.as_bytes());
    let layout = Layout {
        design: Design::Natural,
        shards: 2,
        grouping: Grouping::Interleaved,
        class: 0,
    };
    let seed = IterationSeed(7);
    let order = shard(layout, seed, &tests, 1).unwrap();
    let order = ListDigest::of(order.iter().map(|trial| tests.name(trial.test)));
    let token = Token::Random(Random {
        suite: SuiteId::of("polluter_victim", "pytest"),
        seed,
        layout,
        shard: 1,
        list: ShortDigest::from(&tests.digest()),
        order: ShortDigest::from(&order),
    });
    let answer = same_order(&world, &token.to_string());
    assert_eq!(answer["drift"].as_array().unwrap().len(), 0, "{answer:#}");
}

#[test]
fn replay_of_a_pass_shows_its_outcomes() {
    let world = World::of("polluter_victim");
    let pass = world.json(&["run", "--workers", "2"]);
    for shard in pass["shards"].as_array().unwrap() {
        let token = text(&shard["token"]);
        assert!(matches!(parsed(&token), Token::Reference(_)), "{token}");
        as_recorded(&world, &token);
    }
}

#[test]
fn replay_of_what_a_crash_left_runs_only_that() {
    let world = World::of("crashes");
    let pass = world.json(&["run", "--workers", "1"]);
    let failing = pass["failing"].as_array().unwrap();
    assert_eq!(failing.len(), 3, "{pass:#}");
    let tokens: Vec<String> = failing.iter().map(|test| text(&test["token"])).collect();
    let mut trials = Vec::new();
    for token in &tokens {
        let answer = same_order(&world, token);
        assert_eq!(answer["result"], "reproduced", "{answer:#}");
        trials.push(answer["repetitions"][0]["trials"].as_u64().unwrap());
    }
    // The whole shard for the first crash; less and less for those behind it.
    trials.sort_unstable();
    assert_eq!(trials[2], 6, "{trials:?}");
    assert!(trials[0] < trials[1] && trials[1] < 6, "{trials:?}");
}

#[test]
fn replay_says_which_outcomes_differ_and_does_not_call_it_an_error() {
    let world = made();
    let token = hunted_once(&world);
    world.write("mode.txt", "pass");
    let answer = same_order(&world, &token);
    assert_eq!(answer["result"], "not-reproduced");
    let differences = &answer["repetitions"][0]["differences"];
    assert_eq!(differences[0]["test"], "test_mode.py::test_mode");
    assert_eq!(differences[0]["then"], "failed");
    assert_eq!(differences[0]["now"], "passed");
    let shown = world.expect(0, &["replay", &token]);
    assert!(
        shown.stdout.contains("failed then, passed now"),
        "{shown:#?}"
    );
    assert!(!shown.stderr.contains("error"), "{shown:#?}");
}

#[test]
fn replay_says_that_a_test_fails_otherwise_than_recorded() {
    let world = made();
    let token = passed_once(&world);
    world.write("mode.txt", "explode");
    let answer = same_order(&world, &token);
    assert_eq!(answer["result"], "reproduced");
    assert_eq!(
        answer["repetitions"][0]["failing"][0]["same_as_recorded"],
        false
    );
    let shown = world.expect(1, &["replay", &token]);
    assert!(
        shown.stdout.contains("otherwise than recorded"),
        "{shown:#?}"
    );
}

#[test]
fn replay_with_auto_stops_at_the_first_failure_and_repeats_what_passes() {
    let world = made();
    let token = hunted_once(&world);
    let failing = answered(&world, &[&token, "--repeat", "auto"]);
    assert_eq!(
        (&failing["runs"], &failing["failures"]),
        (&1.into(), &1.into())
    );
    let twice = answered(&world, &[&token, "--repeat", "2"]);
    assert_eq!((&twice["runs"], &twice["failures"]), (&2.into(), &2.into()));
    world.write("mode.txt", "pass");
    let passing = answered(&world, &[&token, "--repeat", "auto"]);
    // One failure in one run on record: five runs without one have a probability below 5 %.
    assert_eq!(
        (&passing["runs"], &passing["failures"]),
        (&5.into(), &0.into())
    );
}

#[test]
fn replay_reads_beside_a_hunt_that_writes() {
    let world = made();
    let token = passed_once(&world);
    let mut hunt = world.start(&["hunt", "--workers", "1"]);
    hunt.until("a first failure", |hunt| {
        hunt.stderr().contains("first failure")
    });
    let answer = same_order(&world, &token);
    assert_eq!(answer["result"], "reproduced");
    assert!(hunt.lives());
    hunt.signal(rustix::process::Signal::INT);
    hunt.wait().assert_code(0);
    world.check();
}
