//! `replay` of what hunts and passes recorded, with real containers: the same order, the same outcomes, or
//! what has changed.
//!
//! Needs root and LXC, and fails where they are missing.

#[path = "../support/mod.rs"]
mod support;

mod changed;
mod minimized;
mod recorded;
mod refused;
mod shell;
mod unrecorded;

use serde_json::Value;
use soakhound::model::TestId;
use soakhound::plan::Token;

use support::World;

/// A suite in which a folder's file decides what its tests show: a commit can change that.
fn made() -> World {
    World::with_files(&[
        ("mode.txt", "fail"),
        (
            "test_mode.py",
            "import pathlib\nmode = pathlib.Path('mode.txt').read_text().strip()\n\n\
             def test_first():\n    pass\n\n\
             def test_mode():\n    assert mode == 'pass', mode\n\n\
             def test_last():\n    pass\n",
        ),
    ])
}

/// Makes one pass of a suite in one container and returns the token of its shard.
#[track_caller]
fn passed_once(world: &World) -> String {
    let pass = world.json(&["run", "--workers", "1"]);
    text(&pass["shards"][0]["token"])
}

/// Hunts one iteration, in one shard, and returns its token: of the `r` kind.
#[track_caller]
fn hunted_once(world: &World) -> String {
    let hunt = world.run(&["hunt", "--new", "--iterations", "1", "--workers", "1"]);
    hunt.assert_code(0);
    let status = world.json(&["status", "--shards", "1"]);
    text(&status["shard_tokens"][0]["token"])
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

fn parsed(token: &str) -> Token {
    token.parse().unwrap()
}

fn id(name: &str) -> TestId {
    TestId::new(name).unwrap()
}

/// Replays with JSON and returns the answer; the exit code must be what the result says.
#[track_caller]
fn answered(world: &World, arguments: &[&str]) -> Value {
    let ended = world.run(&[&["replay", "--json"], arguments].concat());
    let answer: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}\n{ended:#?}"));
    ended.assert_code(match answer["result"].as_str().unwrap() {
        "reproduced" => 1,
        "not-reproduced" => 0,
        _ => 125,
    });
    answer
}

/// Checks that a replay ran the very order that the token names, and returns its answer.
#[track_caller]
fn same_order(world: &World, token: &str) -> Value {
    let answer = answered(world, &[token]);
    assert_eq!(answer["match"], "same", "{answer:#}");
    assert_eq!(answer["order"], answer["recorded_order"], "{answer:#}");
    assert_eq!(
        answer["repetitions"][0]["order"], answer["order"],
        "{answer:#}"
    );
    answer
}
