//! Replays without a database, and without containers.

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
