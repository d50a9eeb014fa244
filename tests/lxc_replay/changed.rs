//! Suites that have changed since an order was recorded.

use std::process::Command;

use soakhound::model::{HandleLength, SuiteId};
use soakhound::plan::{Minimal, Token};

use crate::support::{Started, World};
use crate::{answered, hunted_once, id, made, passed_once, same_order, text};

/// A minimal order of these tests, the last one flagged.
fn minimal(world: &World, names: &[&str]) -> String {
    let listed = world.json(&["list"]);
    let suite = SuiteId::of(&text(&listed["suite"]), "pytest");
    let tests: Vec<_> = names.iter().map(|name| id(name)).collect();
    let tests: Vec<_> = tests.iter().collect();
    Token::Minimal(Minimal::new(suite, &tests, HandleLength::Six, Vec::new()).unwrap()).to_string()
}

#[test]
fn replay_of_an_order_in_a_suite_that_grew_is_the_same_with_a_note() {
    let world = made();
    let token = hunted_once(&world);
    world.write("test_new.py", "def test_new():\n    pass\n");
    let answer = same_order(&world, &token);
    let drift = answer["drift"][0].as_str().unwrap();
    assert!(
        drift.contains("1 test added: test_new.py::test_new"),
        "{answer:#}"
    );
    assert_eq!(answer["repetitions"][0]["trials"], 3);
    let strict = answered(&world, &[&token, "--strict"]);
    assert_eq!(
        (&strict["match"], &strict["runs"]),
        (&"same".into(), &0.into())
    );
    assert_eq!(strict["result"], "inconclusive", "{strict:#}");
}

#[test]
fn replay_of_an_order_that_lost_a_test_has_drifted_and_names_it() {
    let world = World::of("polluter_victim");
    for token in [passed_once(&world), hunted_once(&world)] {
        let bystander = world.project.join("test_second.py");
        let before = std::fs::read_to_string(&bystander).unwrap();
        world.write(
            "test_second.py",
            &before.replace("test_bystander", "test_renamed"),
        );
        let answer = answered(&world, &[&token]);
        world.write("test_second.py", &before);
        assert_eq!(answer["match"], "drifted", "{answer:#}");
        assert_ne!(answer["order"], answer["recorded_order"], "{answer:#}");
        assert_eq!(
            answer["repetitions"][0]["order"], answer["order"],
            "{answer:#}"
        );
        let drift = answer["drift"].to_string();
        assert!(
            drift.contains("no longer exist: test_second.py::test_bystander"),
            "{answer:#}"
        );
        assert_eq!(answer["repetitions"][0]["trials"], 5, "{answer:#}");
    }
}

#[test]
fn minimal_order_replays_and_names_what_it_lost() {
    let world = World::of("polluter_victim");
    let order = [
        "test_second.py::test_bystander",
        "test_second.py::test_polluter",
        "test_first.py::test_victim",
    ];
    let token = minimal(&world, &order);
    let answer = same_order(&world, &token);
    assert_eq!(answer["result"], "reproduced", "{answer:#}");
    assert_eq!(answer["watched"][0], order[2]);

    // A record of the suite as it was knows the name behind the handle.
    passed_once(&world);
    world.write(
        "test_second.py",
        "import settings\n\ndef test_polluter():\n    settings.language = 'de'\n",
    );
    let answer = answered(&world, &[&token]);
    assert_eq!(answer["match"], "drifted", "{answer:#}");
    assert_eq!(answer["result"], "reproduced", "{answer:#}");
    let drift = answer["drift"][0].as_str().unwrap();
    assert!(
        drift.starts_with("1 of 3 tests of this order no longer exist"),
        "{answer:#}"
    );
    assert!(drift.contains(order[0]), "{answer:#}");
    let strict = answered(&world, &[&token, "--strict"]);
    assert_eq!(
        (&strict["result"], &strict["runs"]),
        (&"inconclusive".into(), &0.into())
    );
}

#[test]
fn minimal_order_without_its_flagged_test_is_impossible() {
    let world = World::of("polluter_victim");
    let token = minimal(
        &world,
        &["test_second.py::test_polluter", "test_first.py::test_gone"],
    );
    let answer = answered(&world, &[&token]);
    assert_eq!(answer["match"], "impossible", "{answer:#}");
    assert_eq!(answer["result"], "inconclusive", "{answer:#}");
    assert!(
        answer["drift"][0]
            .as_str()
            .unwrap()
            .contains("no longer exists"),
        "{answer:#}"
    );
    world
        .expect(125, &["replay", &token])
        .assert_says(&["no longer exists"]);
}

#[test]
fn bisection_by_replay_finds_the_commit_and_skips_what_does_not_collect() {
    let world = made();
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        world.clothe(&mut command).args(words);
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "Nobody")
                .env(format!("GIT_{role}_EMAIL"), "nobody@example.org");
        }
        let ended = Started::of(&mut command).wait();
        assert_eq!(ended.code, Some(0), "{words:?} {ended:#?}");
        ended.stdout
    };
    let token = passed_once(&world);
    let suite = std::fs::read_to_string(world.project.join("test_mode.py")).unwrap();
    git(&["init", "-q"]);
    let mut commits = Vec::new();
    for (mode, tests) in [
        ("pass", &*suite),
        ("pass", "syntax error"),
        ("pass", &*suite),
        ("fail", &*suite),
        ("fail", &*suite),
    ] {
        world.write("mode.txt", mode);
        world.write("test_mode.py", tests);
        git(&["add", "-A"]);
        git(&["commit", "-q", "--allow-empty", "-m", mode]);
        commits.push(git(&["rev-parse", "HEAD"]).trim().to_owned());
    }
    git(&["bisect", "start", &commits[4], &commits[0]]);
    let python = crate::support::venv::python().to_str().unwrap();
    let said = git(&[
        "bisect",
        "run",
        env!("CARGO_BIN_EXE_soakhound"),
        "replay",
        &token,
        "--repeat",
        "auto",
        "--python",
        python,
    ]);
    assert!(
        said.contains(&format!("{} is the first bad commit", commits[3])),
        "{said}"
    );
}
