//! `status`: how a hunt stands, seen from outside.

use rustix::process::Signal;

use crate::support::World;

/// Fields of the JSON answer that stand for ever.
const FIELDS: [&str; 19] = [
    "schema",
    "hunt",
    "seed",
    "state",
    "started",
    "heartbeat",
    "ends",
    "iterations",
    "shards",
    "trials",
    "probe_trials",
    "executions",
    "aborted",
    "infra",
    "pair_coverage",
    "workers",
    "flags_open",
    "attempts",
    "canary",
];

#[track_caller]
fn state(world: &World, code: i32) -> String {
    let ended = world.expect(code, &["status", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    for field in FIELDS {
        assert!(answer.get(field).is_some(), "no `{field}` in {answer:#}");
    }
    answer["state"].as_str().unwrap_or("none").to_owned()
}

#[test]
fn status_follows_a_hunt_from_nothing_to_its_end() {
    let world = World::with_files(&[(
        "test_slow.py",
        "import time\n\ndef test_one():\n    time.sleep(0.2)\n\ndef test_two():\n    time.sleep(0.2)\n",
    )]);
    assert_eq!(state(&world, 3), "none");
    let none = world.expect(3, &["status"]);
    assert!(none.stdout.contains("no hunt of suite made"), "{none:#?}");

    let mut hunt = world.start(&["hunt", "--workers", "1"]);
    hunt.until("it runs", |_| world.run(&["status"]).code == Some(0));
    assert_eq!(state(&world, 0), "running");
    hunt.signal(Signal::KILL);
    hunt.wait();
    assert_eq!(state(&world, 3), "interrupted");
    let killed = world.expect(3, &["status"]);
    assert!(killed.stdout.contains("its process died"), "{killed:#?}");

    let mut hunt = world.start(&["hunt", "--workers", "1"]);
    hunt.until("it runs", |_| world.run(&["status"]).code == Some(0));
    hunt.signal(Signal::INT);
    hunt.wait().assert_code(0);
    assert_eq!(state(&world, 3), "interrupted");

    world.expect(0, &["hunt", "--workers", "1", "--iterations", "1"]);
    assert_eq!(state(&world, 3), "finished");
    world.check();
}

#[test]
fn status_calls_a_hunt_stale_that_lives_and_says_nothing() {
    let world = World::of("steady");
    let mut hunt = world.start(&["hunt", "--workers", "1"]);
    hunt.until("it runs", |_| world.run(&["status"]).code == Some(0));
    hunt.signal(Signal::STOP);
    let connection = rusqlite::Connection::open(&world.database).unwrap();
    connection
        .busy_timeout(std::time::Duration::from_millis(100))
        .unwrap();
    let age = "UPDATE lease SET heartbeat_ms = heartbeat_ms - 3600000";
    while connection.execute(age, []).is_err() {
        // It was stopped in the middle of a commit.
        hunt.signal(Signal::CONT);
        std::thread::yield_now();
        hunt.signal(Signal::STOP);
    }
    assert_eq!(state(&world, 4), "stale");
    hunt.signal(Signal::CONT);
    hunt.signal(Signal::INT);
    hunt.wait().assert_code(0);
}
