//! `minimize` without a hunt's history, and tokens and files that travel to another checkout.

use serde_json::{Value, json};

use crate::support::World;
use crate::{answered, made, passed_once, text};

/// Minimizes with JSON; the exit code must be what the result says.
#[track_caller]
fn minimized(world: &World, arguments: &[&str]) -> Value {
    let ended = world.run(&[&["minimize", "--json", "--workers", "2"], arguments].concat());
    let answer: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}\n{ended:#?}"));
    ended.assert_code(match answer["result"].as_str().unwrap() {
        "minimized" => 1,
        "not-reproduced" => 0,
        _ => 125,
    });
    answer
}

#[test]
fn minimize_of_a_failing_order_finds_the_polluter_and_its_token_travels() {
    let world = World::of("polluter_victim");
    world.write(
        "order.txt",
        "test_third.py::test_late\ntest_second.py::test_polluter\ntest_second.py::test_bystander\n\
         test_first.py::test_innocent\ntest_first.py::test_victim\n",
    );
    let answer = minimized(&world, &["--order", "order.txt"]);
    assert_eq!(answer["schema"], "soakhound.minimize/1");
    assert_eq!(answer["result"], "minimized", "{answer:#}");
    assert_eq!(answer["verdict"], "od-victim");
    assert_eq!(
        answer["order"],
        json!([
            {"test": "test_second.py::test_polluter", "rep": 1},
            {"test": "test_first.py::test_victim", "rep": 1},
        ])
    );
    assert_eq!(answer["recorded"], false);
    assert!(answer["e_value"].as_f64().unwrap() >= 1000.0, "{answer:#}");
    assert!(
        !world.database.exists(),
        "nothing is recorded where nothing was"
    );

    let elsewhere = World::of("polluter_victim");
    let token = text(&answer["token"]);
    let replayed = answered(&elsewhere, &[&token, "--repeat", "auto"]);
    assert_eq!(replayed["result"], "reproduced", "{replayed:#}");
    assert_eq!(replayed["match"], "same", "{replayed:#}");
}

#[test]
fn minimize_of_an_order_that_passes_ends_with_0() {
    let world = World::of("polluter_victim");
    world.write(
        "order.txt",
        "test_second.py::test_bystander\ntest_first.py::test_victim\n",
    );
    let answer = minimized(&world, &["--order", "order.txt"]);
    assert_eq!(answer["result"], "not-reproduced");
    assert_eq!(
        (&answer["failures"], &answer["probes"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn minimize_refuses_what_is_no_order() {
    let world = made();
    world.write("order.txt", "\n\n");
    world
        .expect(150, &["minimize", "--order", "order.txt"])
        .assert_says(&["names no test"]);
    world.write(
        "order.txt",
        "test_mode.py::test_first\ntest_mode.py::test_lost\n",
    );
    let lost = minimized(&world, &["--order", "order.txt"]);
    let why = text(&lost["why"]);
    assert!(
        why.contains("no longer exists: test_mode.py::test_lost"),
        "{why}"
    );
    let unseen = minimized(&world, &["test_mode.py::test_mode"]);
    let why = text(&unseen["why"]);
    assert!(
        why.contains("no failure of this test is on record"),
        "{why}"
    );
}

#[test]
fn exported_order_replays_where_its_database_is_not() {
    let world = made();
    let token = passed_once(&world);
    world.expect(0, &["export", "--repro", &token, "--out", "repro.json"]);
    let file = std::fs::read_to_string(world.project.join("repro.json")).unwrap();
    let elsewhere = made();
    elsewhere.write("repro.json", &file);
    answered(&elsewhere, &[&token]);
    let answer = answered(&elsewhere, &["--from", "repro.json", "--repeat", "auto"]);
    assert_eq!(answer["match"], "same", "{answer:#}");
    assert_eq!(answer["result"], "reproduced", "{answer:#}");
    assert_eq!(answer["repetitions"][0]["recorded"], 3, "{answer:#}");
    elsewhere.write("mode.txt", "pass");
    let mended = answered(&elsewhere, &[&token, "--from", "repro.json"]);
    assert_eq!(mended["result"], "not-reproduced", "{mended:#}");
}
