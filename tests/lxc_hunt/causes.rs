//! Whole hunts that find out why: certified flags as `expected.toml` says, questions that survive a kill, hooks.

use std::fs::{self, File};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::World;
use crate::support::truth::{Cause, Truth};

const VICTIM: &str = "test_first.py::test_victim";

/// Makes a world whose hunts go on until every question is answered.
fn curious(fixture: &str) -> World {
    let world = World::of(fixture);
    world.configure("\n[hunt]\nprobe_limit = 10.0\n");
    world
}

/// Checks the certified flags against the truth, and that every probe was answered once.
#[track_caller]
fn explained(world: &World, fixture: &str, said: &str) {
    println!(
        "{fixture}: {} shards, {} probes\n{said}",
        world.number("SELECT count(*) FROM shard"),
        world.number("SELECT count(*) FROM probe"),
    );
    world.check();
    let (mut found, mut truth) = (Cause::flagged(world), Truth::of(fixture).causes().clone());
    for (test, cause) in &mut found {
        // Who cleans up is asked only where the record shows somebody do it: what is named must be true.
        let named = cause.groups.remove("cleaner").unwrap_or_default();
        let cleaners = truth
            .get_mut(test)
            .and_then(|cause| cause.groups.remove("cleaner"));
        assert!(
            named.is_subset(&cleaners.unwrap_or_default()),
            "{test}: {named:?}"
        );
    }
    assert_eq!(found, truth, "{said}");
    // A hunt of more than a minute has a canary, whose questions end with the hunt, answered or not.
    let odd = world.rows(&format!(
        "SELECT question_id, place, count(answer) FROM probe JOIN question ON question.id = question_id \
         JOIN suite ON suite.id = question.suite_id WHERE suite.name = '{fixture}' GROUP BY 1, 2 HAVING count(answer) <> 1",
    ));
    assert_eq!(odd, Vec::<String>::new(), "question, place, answers");
    // What was chosen is in no rate: trials of iterations alone are.
    let counted = world.number("SELECT sum(trials) FROM tally");
    let planned = world.number(
        "SELECT sum(trials) FROM shard JOIN iteration ON iteration.id = iteration_id WHERE iteration.number >= 0",
    );
    assert_eq!(counted, planned);
}

/// Hunts a fixture until its questions are answered, and checks what was found. No seed decides the orders alone, so
/// `iterations` are so many that each cause shows but for one time in ten thousand.
#[track_caller]
fn found_out(fixture: &str, iterations: &str) {
    let world = curious(fixture);
    let hunt = [
        "hunt",
        "--iterations",
        iterations,
        "--workers",
        "2",
        "--seed",
        "3",
    ];
    let ended = world.expect(0, &hunt);
    explained(&world, fixture, &ended.stderr);
}

#[test]
fn polluter_and_cleaner_are_certified_and_named() {
    found_out("polluter_victim", "40");
}

#[test]
fn state_setter_of_a_brittle_test_is_certified_and_named() {
    found_out("needs_setter", "8");
}

#[test]
fn coin_is_random_by_itself_and_blames_nobody() {
    // So many that no worker has all its failures by chance: that would be a circumstance, and held back.
    found_out("coin", "60");
}

#[test]
fn file_through_which_a_polluter_acts_is_told_with_its_flag() {
    let world = curious("leaves_file");
    let hunt = [
        "hunt",
        "--iterations",
        "30",
        "--workers",
        "2",
        "--seed",
        "3",
    ];
    let ended = world.expect(0, &hunt);
    explained(&world, "leaves_file", &ended.stderr);
    let shown = world.json(&["show", VICTIM]);
    assert_eq!(shown["reach"], "container", "{shown}");
    let files: Vec<&str> = shown["files_left"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file.as_str().unwrap())
        .collect();
    assert_eq!(files, ["/tmp/leaves_file.lock"]);
    let said = world.expect(0, &["show", VICTIM]);
    assert!(
        said.stdout.contains("/tmp/leaves_file.lock"),
        "{}",
        said.stdout
    );
}

/// Only one of these may run on a machine at a time: what they fight for is the machine's.
fn alone_on_this_machine() -> File {
    let lock = File::create(std::env::temp_dir().join("soakhound-takes-queues.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

#[test]
fn test_that_disturbs_another_container_is_certified_and_its_token_replays_elsewhere() {
    let _machine = alone_on_this_machine();
    let world = curious("takes_queues");
    let hunt = |iterations| {
        let arguments = ["--workers", "2", "--seed", "3", "--iterations", iterations];
        world.expect(0, &[&["hunt"], &arguments[..]].concat())
    };
    hunt("25");
    assert_eq!(
        Cause::flagged(&world).get(VICTIM).map(|it| &*it.verdict),
        None
    );
    // Its blocks have to lie an hour apart: so much older is all that was recorded.
    world.rows("UPDATE probe SET hours = hours - 1.5 WHERE hours > 0");
    world.rows(
        "UPDATE segment SET started_ms = started_ms - 5400000, ended_ms = ended_ms - 5400000",
    );
    let ended = hunt("26");
    explained(&world, "takes_queues", &ended.stderr);
    let token = world.json(&["show", VICTIM])["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(token.starts_with("sk1x_"), "{token}");
    let file = world.aside("repro.json");
    let file = file.to_str().unwrap();
    world.expect(0, &["export", "--repro", &token, "--out", file]);
    let elsewhere = World::of("takes_queues");
    let replayed = elsewhere.expect(1, &["replay", "--from", file, "--repeat", "auto"]);
    assert!(replayed.stdout.contains(VICTIM), "{}", replayed.stdout);
}

#[test]
fn hunt_killed_while_it_asks_goes_on_where_it_was_and_tells_of_its_flag() {
    let world = curious("two_polluters");
    let told = world.aside("told");
    let on_flag = format!("cat >> '{0}'; echo >> '{0}'", told.display());
    let hunt = [
        "hunt",
        "--iterations",
        "60",
        "--workers",
        "2",
        "--seed",
        "3",
        "--on-flag",
        &on_flag,
        "--fail-on",
        "new",
    ];
    let answered = "SELECT count(*) FROM probe WHERE answer IS NOT NULL AND kind = 3";
    let mut killed = world.start(&hunt);
    killed.until("it has made its database", |_| {
        world.database.exists()
            && world.number("SELECT count(*) FROM sqlite_schema WHERE name = 'probe'") == 1
    });
    killed.until("it asks for certificates", |_| world.number(answered) >= 2);
    killed.signal(Signal::KILL);
    killed.wait();
    let before = world.rows(
        "SELECT question_id, place, answer FROM probe WHERE answer IS NOT NULL ORDER BY 1, 2",
    );
    let ended = world.expect(1, &hunt);
    explained(&world, "two_polluters", &ended.stderr);
    assert_eq!(
        world.number("SELECT count(*) FROM hunt WHERE suite_id = 1"),
        1
    );
    for row in &before {
        let [question, place, answer] = row.split('|').collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let now = format!(
            "SELECT answer FROM probe WHERE question_id = {question} AND place = {place} AND answer IS NOT NULL"
        );
        assert_eq!(world.rows(&now), [answer], "an answer is for ever");
    }
    let marked = world.expect(1, &["flags", "--fail-on", "new"]);
    assert!(marked.stdout.contains("NEW test_"), "{}", marked.stdout);
    let text = fs::read_to_string(told).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["verdict"], "od-victim");
    assert_eq!(last["polluters"].as_array().unwrap().len(), 2);
    let token = last["token"].as_str().unwrap();
    ended.assert_says(&[&format!("replay {token} --repeat auto")]);
    world.expect(1, &["replay", token, "--repeat", "auto"]);
    // What another hunt finds again is not new to it.
    let later = [
        "hunt",
        "--new",
        "--iterations",
        "1",
        "--probe-limit",
        "0",
        "--fail-on",
    ];
    world.expect(0, &[&later[..], &["new"]].concat());
    world.expect(1, &[&later[..], &["any"]].concat());
}

#[test]
fn hunt_without_time_for_questions_asks_none() {
    let world = World::of("always_fails");
    world.configure("\n[hunt]\nprobe_share = 0.0\n");
    world.expect(
        0,
        &[
            "hunt",
            "--iterations",
            "3",
            "--workers",
            "2",
            "--probe-limit",
            "0",
        ],
    );
    world.check();
    assert_eq!(world.number("SELECT count(*) FROM probe"), 0);
    assert_eq!(world.number("SELECT count(*) FROM iteration"), 3);
}

#[test]
fn victim_whose_polluter_is_mended_needs_no_action_and_the_report_says_the_same() {
    let world = curious("polluter_victim");
    // Nobody cleans up: the victim fails in half of the orders, so that chance hides neither that nor the mend.
    world.write(
        "test_second.py",
        "import settings\n\n\ndef test_polluter():\n    settings.language = \"de\"\n\n\ndef test_bystander():\n    pass\n\n\ndef test_cleaner():\n    pass\n",
    );
    let hunt = |iterations| {
        let arguments = ["--workers", "2", "--seed", "3", "--iterations", iterations];
        world.expect(0, &[&["hunt", "--new"], &arguments[..]].concat())
    };
    hunt("40");
    let shown = world.json(&["show", VICTIM]);
    assert_eq!(
        (&shown["verdict"], &shown["no_action"]),
        (&"od-victim".into(), &Value::Null)
    );
    // It leaves nothing behind any more.
    world.write(
        "test_second.py",
        "def test_polluter():\n    pass\n\n\ndef test_bystander():\n    pass\n\n\ndef test_cleaner():\n    pass\n",
    );
    let ended = hunt("60");
    let shown = world.json(&["show", VICTIM]);
    assert_eq!(shown["no_action"], "fixed", "{shown:#}\n{}", ended.stderr);
    world.expect(0, &["flags", "--fail-on", "any"]);
    assert_eq!(world.json(&["status"])["flags_open"], 0);
    let report = world.json(&["report", "--since", "2000-01-01", "--until", "2100-01-01"]);
    let mut tests = report["tests"].as_array().unwrap().iter();
    let card = tests.find(|card| card["test"] == VICTIM).unwrap();
    assert_eq!(card["state"], "fixed", "{card:#}");
    for field in ["passes", "by_accident", "still_flaky"] {
        assert_eq!(card["proof"][field], shown["fixed"][field], "{field}");
    }
}
