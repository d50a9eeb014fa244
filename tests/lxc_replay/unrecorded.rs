//! Replays without a database, and without containers.

use serde_json::json;

use crate::{answered, hunted_once, made, same_order};

#[test]
fn order_of_a_seed_replays_without_any_database() {
    let world = made();
    let token = hunted_once(&world);
    let fresh = world.aside("fresh.db");
    let words = [&*token, "--db", fresh.to_str().unwrap()];
    let answer = answered(&world, &words);
    assert_eq!(answer["match"], "same", "{answer:#}");
    assert_eq!(
        answer["repetitions"][0]["order"], answer["recorded_order"],
        "{answer:#}"
    );
    assert_eq!(answer["result"], "reproduced", "{answer:#}");
    assert!(!fresh.exists(), "a replay records nothing");

    world.write("test_new.py", "def test_new():\n    pass\n");
    let answer = answered(&world, &words);
    assert_eq!(answer["match"], "drifted", "{answer:#}");
    assert!(
        answer["drift"][0]
            .as_str()
            .unwrap()
            .contains("lists other tests"),
        "{answer:#}"
    );
}

#[test]
fn failure_of_another_test_is_no_reproduction_of_the_one_that_is_named() {
    let world = made();
    let token = hunted_once(&world);
    let fresh = world.aside("fresh.db");
    let tests = world.json(&["list"])["tests"].clone();
    let handle_of = |name: &str| {
        let tests = tests.as_array().unwrap();
        let test = tests.iter().find(|test| test["test"] == name);
        test.unwrap()["handle"].as_str().unwrap().to_owned()
    };
    for database in [&["--db", fresh.to_str().unwrap()][..], &[]] {
        let of = |test: &str| answered(&world, &[&[&*token, "--test", test], database].concat());
        let innocent = of("test_mode.py::test_first");
        assert_eq!(innocent["result"], "not-reproduced", "{innocent:#}");
        let failing = of(&handle_of("test_mode.py::test_mode"));
        assert_eq!(failing["result"], "reproduced", "{failing:#}");
        assert_eq!(failing["watched"], json!(["test_mode.py::test_mode"]));
    }
    let ended = world.expect(150, &["replay", &token, "--test", "test_mode.py::test_mod"]);
    ended.assert_says(&["did you mean `test_mode.py::test_mode`"]);
}

#[test]
fn every_failing_test_of_an_order_is_named() {
    let one = "def test_NN():\n    assert False\n\n";
    let body: String = (10..24)
        .map(|number| one.replace("NN", &number.to_string()))
        .collect();
    let world = crate::support::World::with_files(&[("test_all.py", &body)]);
    let token = hunted_once(&world);
    let ended = world.expect(1, &["replay", &token]);
    for number in 10..24 {
        let line = format!("failed as recorded: test_all.py::test_{number}\n");
        assert!(ended.stdout.contains(&line), "{line}{}", ended.stdout);
    }
}

#[test]
fn local_replay_runs_the_order_and_says_what_it_loses() {
    let world = made();
    let token = hunted_once(&world);
    let contained = same_order(&world, &token);
    let local = world.run(&["replay", "--json", &token, "--local"]);
    local.assert_code(1);
    local.assert_says(&["without a container", "no isolation"]);
    let local: serde_json::Value = serde_json::from_str(&local.stdout).unwrap();
    assert_eq!(
        local["repetitions"][0]["order"], contained["order"],
        "{local:#}"
    );
    assert_eq!(local["result"], "reproduced", "{local:#}");
}

#[test]
fn local_replay_does_not_tell_tests_that_they_are_contained() {
    let world = crate::support::World::with_files(&[(
        "test_where.py",
        "import os\n\ndef test_where():\n    assert 'SOAKHOUND' in os.environ\n",
    )]);
    let token = hunted_once(&world);
    world.expect(0, &["replay", &token]);
    world.expect(1, &["replay", &token, "--local"]);
}
