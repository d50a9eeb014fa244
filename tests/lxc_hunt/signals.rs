//! Signals, deadlines and edits: how a hunt is stopped, what it keeps, and how it goes on.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::left::Run;
use crate::support::{Started, World};

/// Eight tests of a quarter of a second, which read a file of the project.
const SLOW: &str = "\
import pathlib, time, pytest
@pytest.mark.parametrize('n', range(8))
def test_it(n):
    time.sleep(0.25)
    assert pathlib.Path('word.txt').read_text() == 'good'
";

fn slow() -> World {
    World::with_files(&[("test_it.py", SLOW), ("word.txt", "good")])
}

/// A suite whose one test never ends.
fn stuck() -> World {
    World::with_files(&[(
        "test_it.py",
        "import time\ndef test_it():\n    time.sleep(1000)\n",
    )])
}

/// Starts a hunt and waits until a test of it has started.
fn hunting(world: &World, arguments: &[&str]) -> (Started, Run) {
    let before = if world.database.exists() {
        world.number("SELECT count(*) FROM segment")
    } else {
        0
    };
    let mut hunt = world.start(&[&["hunt", "--workers", "2"], arguments].concat());
    hunt.until("it has a run", |hunt| hunt.run().is_some());
    let run = hunt.run().unwrap();
    // The list has its own container, so one alone is no sign; a segment in the record is.
    hunt.until("a segment runs", |_| {
        let made = world.number("SELECT count(*) FROM sqlite_schema WHERE name = 'segment'") == 1;
        made && world.number("SELECT count(*) FROM segment") > before
    });
    (hunt, run)
}

/// Returns the planned shards with seeds and orders.
fn plan(world: &World) -> Vec<String> {
    world.rows(
        "SELECT plan_index, iteration.number, iteration.seed, hex(order_digest) FROM shard \
         JOIN iteration ON iteration.id = iteration_id ORDER BY plan_index",
    )
}

/// Finishes the hunt and checks that nothing planned before was changed or left out.
fn resumes(world: &World) {
    let before = plan(world);
    let iterations = world
        .number("SELECT max(number) + 1 FROM iteration")
        .to_string();
    world.expect(0, &["hunt", "--workers", "2", "--iterations", &iterations]);
    assert!(plan(world).starts_with(&before), "{before:#?}");
    assert_eq!(
        world.number("SELECT count(*) FROM shard WHERE state = 0"),
        0
    );
    assert_eq!(world.number("SELECT count(*) FROM hunt"), 1);
    world.check();
}

#[test]
fn first_interrupt_lets_running_shards_finish() {
    let world = slow();
    let (hunt, run) = hunting(&world, &["--seed", "3"]);
    hunt.signal(Signal::INT);
    hunt.wait().assert_code(0);
    run.assert_gone();
    world.check();
    assert_eq!(
        world.number("SELECT count(*) FROM segment WHERE \"end\" IS NOT 0"),
        0
    );
    let unfinished =
        "SELECT count(*) FROM shard WHERE state = 0 AND id IN (SELECT shard_id FROM segment)";
    assert_eq!(world.number(unfinished), 0);
    assert_eq!(world.json(&["status"])["state"], "interrupted");
    resumes(&world);
}

#[test]
fn second_interrupt_kills_containers_and_keeps_what_was_finished() {
    let world = slow();
    let (mut hunt, run) = hunting(&world, &["--seed", "3"]);
    hunt.until("a test ended", |_| {
        world.number("SELECT count(*) FROM journal") > 0
    });
    hunt.signal(Signal::INT);
    hunt.until("it drains", |hunt| hunt.stderr().contains("draining"));
    let began = Instant::now();
    hunt.signal(Signal::INT);
    hunt.wait().assert_code(130);
    // The promise itself; a moment is what it takes.
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    run.assert_gone();
    world.check();
    assert!(world.number("SELECT count(*) FROM trials WHERE outcome = 'passed'") > 0);
    let interrupted = world.rows("SELECT DISTINCT interruption FROM segment WHERE \"end\" = 4");
    assert_eq!(interrupted, ["0"], "0 is `abort`");
    resumes(&world);
    // What ran to its end before the abort did not run again, and what was cut off did.
    let twice = "SELECT test FROM trials WHERE outcome <> 'aborted' GROUP BY shard, test, rep HAVING count(*) <> 1";
    assert_eq!(world.rows(twice), Vec::<String>::new());
}

#[test]
fn sigterm_lets_running_shards_finish() {
    let world = slow();
    let (hunt, run) = hunting(&world, &["--seed", "3"]);
    hunt.signal(Signal::TERM);
    hunt.wait().assert_code(0);
    run.assert_gone();
    assert_eq!(
        world.number("SELECT count(*) FROM segment WHERE \"end\" IS NOT 0"),
        0
    );
    world.check();
}

#[test]
fn sighup_does_not_end_a_hunt() {
    let world = slow();
    let (hunt, _) = hunting(&world, &["--iterations", "1", "--seed", "3"]);
    hunt.signal(Signal::HUP);
    hunt.wait().assert_code(0);
    assert_eq!(world.json(&["status"])["state"], "finished");
}

#[test]
fn deadline_ends_a_hunt_in_the_middle_of_a_test() {
    let world = stuck();
    let (hunt, run) = hunting(&world, &["--for", "8s", "--seed", "3"]);
    let ended = hunt.wait();
    ended.assert_code(0);
    assert!(ended.stdout.contains("its time was up"), "{}", ended.stdout);
    run.assert_gone();
    world.check();
    let why = world.rows("SELECT DISTINCT \"end\", interruption FROM segment");
    assert_eq!(why, ["4|1"], "interrupted by the deadline");
    assert_eq!(
        world.rows("SELECT DISTINCT outcome FROM trials"),
        ["aborted"]
    );
}

#[test]
fn interrupts_end_a_hunt_that_has_not_listed_its_tests_yet() {
    let world = World::with_files(&[
        ("conftest.py", "import time\ntime.sleep(1000)\n"),
        ("test_it.py", "def test_it():\n    pass\n"),
    ]);
    for (command, code) in [("hunt", 0), ("run", 130)] {
        let mut started = world.start(&[command]);
        started.until("its list runs", |started| {
            started.run().is_some_and(|run| run.count_of("python") > 0)
        });
        let run = started.run().unwrap();
        started.signal(Signal::INT);
        started.wait().assert_code(code);
        run.assert_gone();
    }
    world.check();
}

#[test]
fn deadline_ends_a_hunt_that_has_not_listed_its_tests_yet() {
    let world = World::with_files(&[
        ("conftest.py", "import time\ntime.sleep(1000)\n"),
        ("test_it.py", "def test_it():\n    pass\n"),
    ]);
    world
        .expect(0, &["hunt", "--for", "3s"])
        .assert_says(&["nothing was begun"]);
}

#[test]
fn edit_during_a_hunt_changes_no_shard_of_it_and_is_a_revision_of_the_next() {
    let world = slow();
    let (mut hunt, _) = hunting(&world, &["--seed", "3"]);
    world.write("word.txt", "evil");
    let first = world.number("SELECT count(*) FROM segment");
    hunt.until("a shard that began after the edit ended", |_| {
        world.number("SELECT coalesce(max(id), 0) FROM segment WHERE \"end\" IS NOT NULL") > first
    });
    hunt.signal(Signal::INT);
    hunt.until("it drains", |hunt| hunt.stderr().contains("draining"));
    hunt.signal(Signal::INT);
    hunt.wait();
    assert_eq!(
        world.number("SELECT count(*) FROM trials WHERE outcome = 'failed'"),
        0
    );
    let open = world.rows("SELECT id FROM shard WHERE state = 0 ORDER BY id");
    let before = plan(&world);
    assert!(!open.is_empty());

    let iterations = (world.number("SELECT max(number) + 2 FROM iteration")).to_string();
    world.expect(0, &["hunt", "--workers", "2", "--iterations", &iterations]);
    world.check();
    assert!(plan(&world).starts_with(&before), "{before:#?}");
    assert_eq!(
        world.rows("SELECT id FROM shard WHERE state = 2 ORDER BY id"),
        open
    );
    assert_eq!(world.number("SELECT count(*) FROM revision"), 2);
    let event = world.rows("SELECT facts ->> 'files_changed', facts ->> 'tests_added' FROM event WHERE kind = 'revision changed'");
    assert_eq!(event, ["1|0"]);
    let given_up = world.rows("SELECT value FROM event, json_each(facts, '$.shards') WHERE kind = 'shards abandoned, project changed' ORDER BY 1");
    assert_eq!(given_up, open);
    let after = "SELECT DISTINCT outcome FROM trials JOIN shard ON shard.id = shard JOIN iteration ON iteration.id = iteration_id WHERE revision_id = 2";
    assert_eq!(world.rows(after), ["failed"]);
}

#[test]
fn list_that_changes_during_a_hunt_is_an_event_and_loses_nothing() {
    let world = slow();
    world.expect(
        0,
        &["hunt", "--workers", "2", "--iterations", "1", "--seed", "3"],
    );
    let before = world.number("SELECT count(*) FROM trial");
    world.write("test_it.py", &SLOW.replace("range(8)", "range(3, 10)"));
    // The first hunt is complete, so this is another one of the same suite.
    world.expect(
        0,
        &["hunt", "--workers", "2", "--iterations", "1", "--seed", "4"],
    );
    world.check();
    let event = world.rows("SELECT facts ->> 'tests_added', facts ->> 'tests_removed' FROM event WHERE kind = 'revision changed'");
    assert_eq!(event, ["2|3"]);
    assert!(world.number("SELECT count(*) FROM trial") > before);
    assert_eq!(
        world.number("SELECT count(*) FROM trials WHERE outcome <> 'passed'"),
        0
    );
}
