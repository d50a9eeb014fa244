//! The fixture suites: each record says what `expected.toml` says, and every planned trial is in it once.

use crate::support::truth::Truth;
use crate::support::{NO_QUESTIONS, World};

/// Hunts a fixture for two iterations, checks the record against the truth and the machine for leftovers.
fn hunted(fixture: &str) -> World {
    let world = World::of(fixture);
    world.configure(NO_QUESTIONS);
    let mut hunt = world.start(&["hunt", "--iterations", "2", "--workers", "2", "--seed", "1"]);
    hunt.until("it has a run", |hunt| hunt.run().is_some());
    let run = hunt.run().unwrap();
    hunt.wait().assert_code(0);
    run.assert_gone();
    world.check();
    assert_eq!(
        world.number("SELECT count(*) FROM iteration WHERE number >= 0"),
        2
    );
    assert_eq!(
        world.number("SELECT count(*) FROM shard WHERE state <> 1"),
        0
    );
    Truth::of(fixture).assert_recorded(&world);
    world
}

#[test]
fn steady_suite_is_recorded_as_it_is() {
    let world = hunted("steady");
    assert_eq!(
        world.number("SELECT count(*) FROM segment WHERE \"end\" <> 0"),
        0
    );
}

#[test]
fn failures_of_every_phase_are_recorded_as_they_are() {
    hunted("always_fails");
}

#[test]
fn coin_is_recorded_beside_its_steady_neighbour() {
    hunted("coin");
}

#[test]
fn names_that_break_careless_code_come_through_the_record_unchanged() {
    hunted("odd_names");
}

#[test]
fn test_that_never_ends_is_a_timeout_and_the_rest_runs() {
    let world = hunted("hangs");
    let ends = world
        .rows("SELECT \"end\", running FROM segments WHERE \"end\" <> 'completed' GROUP BY 1, 2");
    assert_eq!(ends, ["timeout|test_wait.py::test_waits_for_ever"]);
    continued(&world);
}

#[test]
fn test_that_ends_its_process_is_a_crash_and_the_rest_runs() {
    let world = hunted("crashes");
    let ends = world.rows(
        "SELECT DISTINCT \"end\", running FROM segments WHERE \"end\" <> 'completed' ORDER BY 2",
    );
    let crashed = ["test_aborts", "test_exits_at_once", "test_kills_itself"];
    assert_eq!(
        ends,
        crashed.map(|test| format!("crashed|test_crash.py::{test}"))
    );
    continued(&world);
}

/// Checks that every segment that is not the first of its shard names the one it continues, and why.
fn continued(world: &World) {
    let odd = world.rows(
        "SELECT later.id FROM segment AS later JOIN segment AS first ON first.id = \
         (SELECT min(id) FROM segment WHERE shard_id = later.shard_id) \
         LEFT JOIN segment AS parent ON parent.id = later.parent_id AND parent.shard_id = later.shard_id \
         WHERE later.id <> first.id AND (parent.id IS NULL OR later.cause IS NOT parent.\"end\")",
    );
    assert_eq!(odd, Vec::<String>::new());
}

#[test]
fn process_that_outlives_the_runner_is_counted_and_gone() {
    let world = hunted("leaks_child");
    let leaking = world
        .rows("SELECT DISTINCT segment FROM trials WHERE test LIKE '%leaves_a_child%'")
        .len();
    let stragglers = world.number("SELECT sum(stragglers) FROM segment");
    assert_eq!(usize::try_from(stragglers), Ok(leaking));
}

#[test]
fn empty_suite_is_refused() {
    let world = World::of("empty");
    for command in ["hunt", "run", "list"] {
        world
            .expect(156, &[command])
            .assert_says(&["the suite has no tests"]);
    }
    world.check();
}

#[test]
fn suite_that_does_not_collect_is_refused_with_the_reason() {
    let world = World::of("uncollectable");
    for command in ["hunt", "run", "list"] {
        let ended = world.expect(156, &[command]);
        ended.assert_says(&[
            "test_import.py",
            "No module named 'a_module_that_nobody_wrote'",
        ]);
    }
    world.check();
}
