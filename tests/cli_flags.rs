//! `flags`, `show`, `status` and `export` over databases made by hand: what they say, that it fits and does no harm,
//! and the shapes of their JSON. No container runs.

#[path = "support/mod.rs"]
mod support;

use serde_json::{Value, json};
use soakhound::model::{Answer, Arm, Flag, Outcome, Question, Role, Suspicion, Verdict};
use soakhound::store::CanaryRow;

use support::record::{Record, count, flag, group, probe, test, victim};
use support::{Ended, World};

const HOSTILE: &str = "t.py::test_\u{1b}[2J\u{202e}evil\n[x]";
const GONE: &str = "t.py::test_gone";

/// A project whose tests are never run.
fn world() -> World {
    World::with_files(&[("t.py", "")])
}

/// Thirteen victims of one polluter, one of several causes, one suspected, one unexplained, what needs no action.
fn crowd(world: &World) {
    let victims: Vec<String> = (0..13)
        .map(|i| format!("t.py::test_victim_{i:02}"))
        .collect();
    let mut tests = vec!["t.py::test_polluter", "t.py::test_other", "t.py::test_coin"];
    tests.extend([
        "t.py::test_suspect",
        "t.py::test_once",
        "t.py::test_brittle",
        HOSTILE,
    ]);
    tests.extend(victims.iter().map(String::as_str));
    let before: Vec<&str> = tests.iter().copied().chain([GONE]).collect();
    let mut record = Record::new(&world.database, &before);
    let all: Vec<(&str, Outcome)> = tests
        .iter()
        .map(|name| {
            let failed = name.contains("victim");
            (
                *name,
                if failed {
                    Outcome::Failed
                } else {
                    Outcome::Passed
                },
            )
        })
        .collect();
    record.iteration(&all);
    record.relist(&tests);
    for name in &victims {
        record.raise(
            victim(name, &["t.py::test_polluter"], count(3, 10)),
            Some("sk1m_victim"),
        );
    }
    let either = victim(
        "t.py::test_coin",
        &["t.py::test_other", HOSTILE],
        count(5, 10),
    );
    record.raise(either, Some("sk1m_coin"));
    record.raise(flag(HOSTILE, Verdict::Nod, count(1, 10)), None);
    let brittle = Flag {
        groups: vec![group(
            Role::StateSetter,
            &["t.py::test_other", "t.py::test_coin"],
        )],
        ..flag("t.py::test_brittle", Verdict::OdBrittle, count(7, 10))
    };
    record.raise(brittle, None);
    let guessed = Flag {
        certified: false,
        groups: vec![group(Role::Neighbour, &["t.py::test_other"])],
        ..flag("t.py::test_once", Verdict::Undetermined, count(1, 10))
    };
    record.raise(guessed, None);
    record.raise(victim(GONE, &["t.py::test_other"], count(2, 10)), None);
    let night = Flag {
        test: None,
        ..flag("t.py::test_other", Verdict::Infrastructure, count(40, 50))
    };
    record.raise(night, None);
    record.analysis(|row| {
        row.suspected = vec![Suspicion {
            test: test("t.py::test_suspect"),
            ln_e: 2000_f64.ln() + 1e-9,
            explanations: vec![("after t.py::test_other".into(), 0.9)],
            soak: count(4, 10),
        }];
    });
    record.question(
        true,
        &[(
            probe(
                Question::Polluter,
                Arm::Treated,
                &["t.py::test_polluter", "t.py::test_victim_00"],
            ),
            Some(Answer::Failed),
        )],
    );
    record.finish();
}

#[track_caller]
fn assert_fits_without_harm(ended: &Ended) {
    let acts = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    assert!(!ended.stdout.contains(acts), "{:?}", ended.stdout);
    let lines = ended
        .stdout
        .lines()
        .filter(|line| !line.starts_with("next: "));
    let wide: Vec<_> = lines
        .filter(|line| soakhound::ui::width(line) > 80)
        .collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

#[track_caller]
fn assert_says(ended: &Ended, parts: &[&str]) {
    for part in parts {
        assert!(
            ended.stdout.contains(part),
            "lacks `{part}`:\n{}",
            ended.stdout
        );
    }
}

#[test]
fn flags_shows_one_row_per_cause_and_keeps_what_is_not_certified_apart() {
    let world = world();
    crowd(&world);
    let shown = world.expect(0, &["flags"]);
    assert_fits_without_harm(&shown);
    assert_says(
        &shown,
        &[
            "certified: 16 flaky tests, 4 causes",
            "13 victims",
            "polluter",
            "after any of 2",
            "without ",
            "suspected: ",
            "not explained yet: 1 test",
            "no action needed: 2 flags",
            "the suite no longer has it",
            "1 attempt to certify: at most 0.001 false certificates expected",
            "next: ",
            "show ",
        ],
    );
    assert!(!shown.stdout.contains("test_victim_07"), "{shown:#?}");
    let all = world.expect(0, &["flags", "--all"]);
    assert_fits_without_harm(&all);
    assert_says(&all, &["test_victim_07", "test_victim_12"]);
    // What is suspected names no other test.
    let suspected = shown.stdout.split("suspected: ").nth(1).unwrap();
    let suspected = suspected.split("no action needed").next().unwrap();
    assert!(!suspected.contains("test_other"), "{suspected}");
}

#[test]
fn flags_counts_what_always_failed_apart_and_lists_it_last() {
    let world = world();
    let tests = [
        "t.py::test_old_a",
        "t.py::test_old_b",
        "t.py::test_new",
        "t.py::test_victim",
        "t.py::test_polluter",
    ];
    let mut record = Record::new(&world.database, &tests);
    record.iteration(&tests.map(|name| (name, Outcome::Failed)));
    for name in &tests[..2] {
        record.raise(flag(name, Verdict::Broken, count(10, 10)), None);
    }
    let regression = Flag {
        since_iteration: Some(5),
        ..flag("t.py::test_new", Verdict::Broken, count(5, 10))
    };
    record.raise(regression, None);
    record.raise(
        victim("t.py::test_victim", &["t.py::test_polluter"], count(3, 10)),
        None,
    );
    record.finish();
    let shown = world.expect(0, &["flags"]);
    assert_says(
        &shown,
        &["certified: 2 flaky tests, 2 causes; 2 tests broken from the start"],
    );
    let at = |name: &str| shown.stdout.find(name).unwrap();
    assert!(at("test_new") < at("test_victim"), "{shown:#?}");
    assert!(at("test_victim") < at("test_old_a"), "{shown:#?}");
    // What to look at next, and JSON, follow the same order.
    let regression = world.json(&["flags"])["flags"][0]["handle"].clone();
    let next = format!("show {}", regression.as_str().unwrap());
    assert_says(&shown, &[&next]);
    assert!(
        shown.stdout.lines().last().unwrap().ends_with(&next),
        "{shown:#?}"
    );
    let first = world.json(&["flags"])["flags"][0]["test"].clone();
    assert_eq!(first, "t.py::test_new");
}

#[test]
fn flags_answers_in_its_json_shape() {
    let world = world();
    crowd(&world);
    let answer = world.json(&["flags"]);
    assert_eq!(answer["schema"], "soakhound.flags/1");
    assert_eq!(answer["attempts"], 1);
    let flags = answer["flags"].as_array().unwrap();
    assert_eq!(flags.len(), 20, "{answer:#}");
    for flag in flags {
        for field in [
            "test",
            "handle",
            "verdict",
            "certified",
            "suspected",
            "polluters",
            "state_setters",
            "cleaners",
            "factors",
            "failure_rate",
            "token",
            "repeat_for_95",
            "first_seen",
            "last_seen",
            "e_value",
            "fragility",
            "signature",
            "owners",
        ] {
            assert!(flag.get(field).is_some(), "no `{field}` in {flag:#}");
        }
    }
    let of = |name: &str| flags.iter().find(|flag| flag["test"] == name).unwrap();
    let victim = of("t.py::test_victim_03");
    assert_eq!(victim["verdict"], "od-victim");
    assert_eq!(victim["polluters"], json!([["t.py::test_polluter"]]));
    assert_eq!(victim["token"], "sk1m_victim");
    assert_eq!(victim["repeat_for_95"], 2);
    assert_eq!(victim["first_seen"]["time"], "2026-11-22T01:14:00Z");
    assert_eq!(victim["first_seen"]["revision"], "9f3c2e1");
    assert_eq!(victim["last_seen"], "2026-11-22T01:14:00Z");
    // Counted in the record as it is now, not as it was when the claim was written.
    assert_eq!(victim["failure_rate"]["failures"], 1);
    assert_eq!(
        victim["failure_rate"],
        world.json(&["show", "t.py::test_victim_03"])["failure_rate"]
    );
    let (low, high) = (
        &victim["failure_rate"]["low"],
        &victim["failure_rate"]["high"],
    );
    assert!(
        low.as_f64().unwrap() < 0.3 && high.as_f64().unwrap() > 0.3,
        "{victim:#}"
    );
    assert!((victim["e_value"].as_f64().unwrap() - 4096.0).abs() < 0.1);
    assert_eq!(
        of("t.py::test_coin")["polluters"],
        json!([["t.py::test_other"], [HOSTILE]])
    );
    assert_eq!(
        of("t.py::test_brittle")["state_setters"],
        json!([["t.py::test_other", "t.py::test_coin"]])
    );
    let suspect = of("t.py::test_suspect");
    assert_eq!(
        (&suspect["certified"], &suspect["suspected"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(suspect["polluters"], json!([]));
    assert_eq!(
        of("t.py::test_once")["neighbours"],
        json!([]),
        "not certified"
    );
    assert_eq!(of(GONE)["no_action"], "gone");
    let night = flags.iter().find(|flag| flag["test"].is_null()).unwrap();
    assert_eq!(night["verdict"], "infrastructure");
    assert_eq!(night["no_action"], "infrastructure");
}

#[test]
fn flags_ends_with_1_only_when_it_is_asked_to_and_something_needs_action() {
    let world = world();
    crowd(&world);
    world.expect(0, &["flags"]);
    world.expect(1, &["flags", "--fail-on", "any"]);
    world.expect(1, &["flags", "--fail-on", "new"]);

    let quiet = self::world();
    let mut record = Record::new(&quiet.database, &["t.py::test_a", GONE]);
    record.relist(&["t.py::test_a"]);
    record.iteration(&[("t.py::test_a", Outcome::Passed)]);
    record.raise(flag(GONE, Verdict::Nod, count(1, 9)), None);
    record.finish();
    let shown = quiet.expect(0, &["flags", "--fail-on", "any"]);
    assert_says(&shown, &["no action needed: 1 flag"]);
}

#[test]
fn flags_without_a_database_says_what_makes_one() {
    let world = world();
    let shown = world.expect(0, &["flags"]);
    assert_says(&shown, &["no flaky test of suite made", "hunt --for 8h"]);
    let answer = world.json(&["flags"]);
    assert_eq!(answer["flags"], json!([]));
    world.expect(152, &["show", "t.py::test_a"]);
}

#[test]
fn show_tells_the_evidence_in_words_and_numbers() {
    let world = world();
    let names = ["t.py::test_a", "t.py::test_v", "t.py::test_d"];
    let mut record = Record::new(&world.database, &names);
    for outcome in [Outcome::Failed, Outcome::Passed, Outcome::Skipped] {
        record.iteration(&[("t.py::test_a", Outcome::Passed), ("t.py::test_v", outcome)]);
    }
    let order = |arm, order: &[&str]| probe(Question::Polluter, arm, order);
    record.question(
        true,
        &[
            (
                order(Arm::Treated, &["t.py::test_a", "t.py::test_v"]),
                Some(Answer::Failed),
            ),
            (
                order(Arm::Decoy, &["t.py::test_d", "t.py::test_v"]),
                Some(Answer::Passed),
            ),
            (order(Arm::Alone, &["t.py::test_v"]), Some(Answer::Void)),
        ],
    );
    record.question(
        false,
        &[(
            probe(Question::Isolate, Arm::Single, &["t.py::test_v"]),
            None,
        )],
    );
    let mut claim = victim("t.py::test_v", &["t.py::test_a"], count(1, 2));
    claim.reach = Some(soakhound::model::Reach::Container);
    claim.files_left = vec!["/tmp/left\u{1b}[31m".into()];
    claim.ruled_out = vec!["alone it passed 4 of 4".into()];
    record.raise(claim, Some("sk1m_recipe"));
    record.finish();

    let shown = world.expect(0, &["show", "t.py::test_v"]);
    assert_fits_without_harm(&shown);
    assert_says(
        &shown,
        &[
            "od-victim, certified",
            "failed 1 of 2 (95 %: ",
            "1 skipped, 0 void",
            "t.py::test_a",
            "fails 6 of 6",
            "by accident at most 1 in 4,096",
            "files, ports or daemons",
            "/tmp/left\\u{1b}[31m",
            "failed 6 of 6; 2 runs show it at least once with 95 % (at worst 4)",
            "sk1m_recipe",
            "4 probes of 6 test executions, 2 questions, 1 attempt to certify",
            "with 1/1, decoy 0/1, without 0/0, 1 void",
            "1 not answered yet",
            "alone it passed 4 of 4",
            "revision 9f3c2e1",
            "replay sk1m_recipe --repeat auto",
        ],
    );
    let handle = test("t.py::test_v").handle(soakhound::model::HandleLength::Six);
    let answer = world.json(&["show", &handle.to_string()]);
    assert_eq!(answer["schema"], "soakhound.show/1");
    assert_eq!(answer["test"], "t.py::test_v");
    assert_eq!(answer["trials"], 2);
    assert_eq!(answer["skipped"], 1);
    assert_eq!(answer["attempts"], 1);
    assert_eq!(answer["executions"], 6);
    assert_eq!(answer["reach"], "container");
    assert_eq!(answer["ruled_out"], json!(["alone it passed 4 of 4"]));
    let asked = &answer["probes"][0];
    assert_eq!(asked["kind"], "polluter");
    assert_eq!(
        asked["processes"],
        json!([["t.py::test_a", "t.py::test_v"]])
    );
    assert_eq!(
        asked["arms"][1],
        json!({"arm": "decoy", "failures": 0, "trials": 1})
    );
    assert_eq!(answer["failures"].as_array().unwrap().len(), 1);
    let token = answer["failures"][0]["token"].as_str().unwrap();
    assert!(token.starts_with("sk1r_"), "{token}");
}

#[test]
fn show_of_a_test_that_never_failed_says_how_often_it_may() {
    let world = world();
    let mut record = Record::new(&world.database, &["t.py::test_a"]);
    for _ in 0..59 {
        record.iteration(&[("t.py::test_a", Outcome::Passed)]);
    }
    record.analysis(|_| {});
    record.finish();
    let shown = world.expect(0, &["show", "t.py::test_a"]);
    assert_says(
        &shown,
        &[
            "never failed in 59 runs",
            "at most 5.0 %",
            "25 % of the suite's ordered pairs",
        ],
    );
    let answer = world.json(&["show", "t.py::test_a"]);
    let bound = answer["upper_bound"].as_f64().unwrap();
    assert!(
        (bound - (1.0 - 0.05_f64.powf(1.0 / 59.0))).abs() < 1e-12,
        "{bound}"
    );
    assert_eq!(answer["pair_coverage"], 0.25);
    assert_eq!(answer["verdict"], Value::Null);
}

#[test]
fn show_of_an_undetermined_test_says_what_would_settle_it() {
    let world = world();
    let mut record = Record::new(&world.database, &["t.py::test_a"]);
    record.iteration(&[("t.py::test_a", Outcome::Failed)]);
    let open = Flag {
        certified: false,
        settles: Some("about 40 more iterations".into()),
        ..flag("t.py::test_a", Verdict::Undetermined, count(1, 1))
    };
    record.raise(open, None);
    record.finish();
    let shown = world.expect(0, &["show", "t.py::test_a"]);
    assert_says(
        &shown,
        &[
            "undetermined, not certified",
            "settles  about 40 more iterations",
            "minimize ",
        ],
    );
}

#[test]
fn show_of_an_unknown_test_names_near_ones() {
    let world = world();
    let record = Record::new(&world.database, &["t.py::test_total", HOSTILE]);
    record.finish();
    world.expect(150, &["show", "test_totl"]).assert_says(&[
        "test `test_totl` is not on record",
        "did you mean `t.py::test_total`?",
    ]);
    let hostile = world.expect(150, &["show", "evil"]);
    assert!(!hostile.stderr.contains('\u{202e}'), "{hostile:?}");
    hostile.assert_says(&["\\u{202e}evil"]);
}

#[test]
fn status_tells_of_flags_attempts_coverage_and_a_red_canary() {
    let world = world();
    crowd(&world);
    let connection = rusqlite::Connection::open(&world.database).unwrap();
    connection
        .execute(
            "UPDATE analysis SET canary = 'red', canary_why = 'the pair is not certified'",
            [],
        )
        .unwrap();
    drop(connection);
    let shown = world.expect(3, &["status"]);
    assert_fits_without_harm(&shown);
    assert_says(
        &shown,
        &[
            "flags   16 open",
            "tried   1 attempt to certify: at most 0.001 false",
            "never failed: each fails in at most 95 % of its runs",
            "25 % of the ordered pairs",
            "canary  RED, do not trust what this hunt did not find: the pair is not certified",
        ],
    );
    let answer = world.json(&["status"]);
    assert_eq!(answer["flags_open"], 16);
    assert_eq!(answer["attempts"], 1);
    assert_eq!(answer["pair_coverage"], 0.25);
    assert_eq!(
        answer["canary"],
        json!({"state": "red", "why": "the pair is not certified"})
    );
    assert_eq!(answer["never_failed"]["tests"], 7);
    let canary = CanaryRow {
        state: "green".into(),
        why: None,
    };
    let green = self::world();
    let record = Record::new(&green.database, &["t.py::test_a"]);
    record.analysis(|row| row.canary = Some(canary));
    record.finish();
    assert_says(&green.expect(3, &["status"]), &["canary  green"]);
}

#[test]
fn exported_probe_is_a_file_that_refuses_to_be_changed() {
    let world = world();
    let names = ["t.py::test_a", HOSTILE];
    let mut record = Record::new(&world.database, &names);
    let mut asked = probe(
        Question::Interference,
        Arm::Treated,
        &["t.py::test_a", HOSTILE],
    );
    asked.processes = vec![vec![(test("t.py::test_a"), 1)], vec![(test(HOSTILE), 1)]];
    asked.beside = vec![test("t.py::test_a")];
    asked.factors = vec![("TZ".into(), "UTC".into())];
    let shard = record.question(true, &[(asked, Some(Answer::Failed))])[0];
    record.finish();
    let database = soakhound::store::Reader::open(&world.database)
        .unwrap()
        .database_id()
        .unwrap();
    let token = soakhound::plan::Token::Reference(soakhound::plan::Reference {
        database: soakhound::plan::DatabaseId::from_bits(database),
        row: soakhound::plan::Row::Shard(shard.unsigned_abs()),
    })
    .to_string();

    let printed = world.expect(0, &["export", "--repro", &token]);
    let file: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(file["schema"], "soakhound.repro/1");
    assert_eq!(file["token"], token);
    assert_eq!(
        file["processes"],
        json!([[{"rep": 1, "test": "t.py::test_a"}], [{"rep": 1, "test": HOSTILE}]])
    );
    assert_eq!(file["beside"], json!(["t.py::test_a"]));
    assert_eq!(file["watch"], json!([HOSTILE]));

    world.expect(0, &["export", "--repro", &token, "--out", "repro.json"]);
    let written = std::fs::read_to_string(world.project.join("repro.json")).unwrap();
    assert_eq!(written, printed.stdout);
    world
        .expect(150, &["export", "--repro", &token, "--out", "repro.json"])
        .assert_says(&["exists"]);
    world.write("repro.json", &written.replace("test_a", "test_b"));
    world
        .expect(150, &["replay", "--from", "repro.json"])
        .assert_says(&["its checksum does not fit"]);
    world.write("repro.json", "\u{1b}[2J");
    let hostile = world.expect(150, &["replay", "--from", "repro.json"]);
    hostile.assert_says(&["not what `soakhound export --repro` writes"]);
    assert!(!hostile.stderr.contains('\u{1b}'), "{hostile:?}");
    world
        .expect(150, &["replay", "--from", "absent.json"])
        .assert_says(&["cannot read `absent.json`"]);

    let elsewhere = token.replace("sk1x", "sk1m");
    world.expect(150, &["export", "--repro", &elsewhere]);
    let other = self::world();
    Record::new(&other.database, &names).finish();
    other
        .expect(125, &["export", "--repro", &token])
        .assert_says(&["refers to database"]);
}
