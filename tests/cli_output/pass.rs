//! `run`: exit codes, `JUnit`, balance.

use std::process::Command;

use crate::support::{Started, World, venv};

/// Reads a `JUnit` file with Python, and returns `tests failures errors skipped`.
#[track_caller]
fn counts(world: &World, file: &str) -> String {
    let script = "import sys, xml.etree.ElementTree as tree\n\
                  root = tree.parse(sys.argv[1]).getroot()\n\
                  cases = root.findall('.//testcase')\n\
                  of = lambda kind: sum(case.find(kind) is not None for case in cases)\n\
                  print(len(cases), of('failure'), of('error'), of('skipped'))";
    let mut python = Command::new(venv::python());
    world.clothe(&mut python).args(["-c", script, file]);
    let ended = Started::of(&mut python).wait();
    ended.assert_code(0);
    ended.stdout.trim().to_owned()
}

#[test]
fn pass_without_failures_is_green() {
    let world = World::of("steady");
    let ended = world.expect(0, &["run", "--junit", "results.xml"]);
    assert!(ended.stdout.contains("8 tests in "), "{ended:#?}");
    assert!(
        ended.stdout.contains("7 passed, 0 failed, 1 skipped\n"),
        "{ended:#?}"
    );
    assert_eq!(counts(&world, "results.xml"), "8 0 0 1");
}

#[test]
fn pass_with_failures_shows_them_and_ends_with_1() {
    let world = World::of("odd_names");
    let ended = world.expect(1, &["run", "--junit", "results.xml"]);
    assert!(
        ended.stdout.contains("::TestÜber::test_fails\n"),
        "{ended:#?}"
    );
    assert!(ended.stdout.contains("next: "), "{ended:#?}");
    assert_eq!(counts(&world, "results.xml"), "19 1 0 0");
    let answer = world.json(&["run"]);
    assert_eq!(
        (&answer["passed"], &answer["failed"]),
        (&18.into(), &1.into())
    );
    assert_eq!(answer["failing"][0]["last_outcome"], "failed", "{answer:#}");
    assert_eq!(answer["tests"].as_array().unwrap().len(), 19);
}

#[test]
fn pass_that_lost_a_test_is_not_green() {
    // Every collection makes up another name, so that what was listed is not there to be run.
    let world = World::with_files(&[(
        "test_made_up.py",
        "import uuid\nimport pytest\n\n\
         @pytest.mark.parametrize('x', [uuid.uuid4().hex])\ndef test_made_up(x):\n    pass\n\n\
         def test_steady():\n    pass\n",
    )]);
    let ended = world.expect(1, &["run", "--junit", "results.xml"]);
    assert!(
        ended
            .stdout
            .contains("lost     test_made_up.py::test_made_up["),
        "{ended:#?}"
    );
    assert!(
        ended
            .stdout
            .contains("1 passed, 0 failed, 0 skipped, 1 unknown"),
        "{ended:#?}"
    );
    assert_eq!(counts(&world, "results.xml"), "2 0 1 0");
}

#[test]
fn second_pass_is_balanced_by_the_durations_of_the_first() {
    let quick = "def test_a():\n    pass\n\ndef test_b():\n    pass\n";
    let slow = "import time\n\ndef test_slow():\n    time.sleep(0.5)\n";
    let world = World::with_files(&[
        ("test_1.py", quick),
        ("test_2.py", quick),
        ("test_3.py", slow),
        ("test_4.py", quick),
    ]);
    world.expect(0, &["run", "--workers", "2"]);
    world.expect(0, &["run", "--workers", "2"]);
    let sizes = world.rows(
        "SELECT count(*) FROM shard_order JOIN shard ON shard.id = shard_order.shard_id \
         JOIN iteration ON iteration.id = shard.iteration_id \
         WHERE iteration.hunt_id = 2 GROUP BY shard.id ORDER BY 1",
    );
    assert_eq!(sizes, ["1", "6"], "the slow test has a container to itself");
}
