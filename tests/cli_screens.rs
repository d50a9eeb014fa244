//! `status`, `flags` and `show` as a person sees them, against golden files at 80 columns; and what counts as fixed.
//!
//! After a change that is meant, `SOAKHOUND_BLESS=1 cargo test --test cli_screens` writes the files anew; read what
//! changed before committing it.

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use soakhound::model::{
    Answer, Arm, Fixed, Flag, Outcome, Question, Role, Suspicion, UnixMillis, Verdict,
};
use soakhound::store::CanaryRow;

use support::record::{NOW, Record, count, flag, group, probe, test, victim};
use support::{Ended, World};

const POLLUTER: &str = "tests/test_settings.py::test_language_is_switched_to_german";
const VICTIM: &str = "tests/test_money.py::TestPrices::test_price_is_written_as_in_england[1-234]";
const OTHER: &str = "tests/test_money.py::TestPrices::test_cents_are_never_lost";
const COIN: &str = "tests/test_mail.py::test_letter_arrives_in_time";
const BRITTLE: &str = "tests/test_orders.py::test_order_is_found_again";
const SETTER: &str = "tests/test_orders.py::test_order_is_kept";
const SUSPECT: &str = "tests/test_search.py::test_accents_do_not_matter";
const ONCE: &str = "tests/test_search.py::test_empty_query";
const MENDED: &str = "tests/test_cart.py::test_total_after_discount";
const STEADY: &str = "tests/test_cart.py::test_empty_cart";
const GONE: &str = "tests/test_old.py::test_that_was_deleted";
const TESTS: [&str; 10] = [
    POLLUTER, VICTIM, OTHER, COIN, BRITTLE, SETTER, SUSPECT, ONCE, MENDED, STEADY,
];
/// Iterations of the record.
const ITERATIONS: i64 = 60;
/// Up to this one (from 1), the test that is mended failed in every second.
const LAST: i64 = 6;

fn mended(at: UnixMillis, last: i64) -> Fixed {
    Fixed {
        test: test(MENDED),
        at,
        last_segment: Some(last),
        passes: 54,
        under: "in a row".into(),
        before: count(3, 6),
        since: Some("8d02f11".into()),
    }
}

/// Sixty iterations, and all that can be said of a test.
fn week(world: &World) -> Record {
    let before: Vec<&str> = TESTS.into_iter().chain([GONE]).collect();
    let mut record = Record::new(&world.database, &before);
    record.relist(&TESTS);
    for iteration in 1..=ITERATIONS {
        let fails = |name: &str| match name {
            VICTIM => iteration % 4 == 0,
            OTHER => iteration % 5 == 0,
            COIN => iteration == 3 || iteration == 17,
            BRITTLE => iteration % 2 == 1,
            SUSPECT => iteration % 7 == 0,
            ONCE => iteration == 11,
            MENDED => iteration % 2 == 0 && iteration <= LAST,
            _ => false,
        };
        let outcomes = TESTS.map(|name| match fails(name) {
            true => (name, Outcome::Failed),
            false if name == STEADY && iteration == 9 => (name, Outcome::Skipped),
            false => (name, Outcome::Passed),
        });
        record.iteration(&outcomes);
    }
    for name in [VICTIM, OTHER] {
        record.raise(
            victim(name, &[POLLUTER], count(4, 50)),
            Some("sk1m_mh14zh1n0tat0ken7xg3vd"),
        );
    }
    record.raise(flag(COIN, Verdict::Nod, count(1, 50)), None);
    let brittle = Flag {
        groups: vec![group(Role::StateSetter, &[SETTER])],
        ..flag(BRITTLE, Verdict::OdBrittle, count(8, 50))
    };
    record.raise(brittle, Some("sk1m_mh14zh1n0tat0ken5bq9mk"));
    let open = Flag {
        certified: false,
        settles: Some("about 40 more iterations".into()),
        ..flag(ONCE, Verdict::Undetermined, count(1, 50))
    };
    record.raise(open, None);
    record.raise(flag(MENDED, Verdict::Nod, count(3, 6)), None);
    record.raise(flag(GONE, Verdict::Nod, count(2, 10)), None);
    let arms = |arm, order: &[&str]| probe(Question::Polluter, arm, order);
    record.question(
        true,
        &[
            (
                arms(Arm::Treated, &[POLLUTER, VICTIM]),
                Some(Answer::Failed),
            ),
            (arms(Arm::Decoy, &[STEADY, VICTIM]), Some(Answer::Passed)),
            (arms(Arm::Alone, &[VICTIM]), Some(Answer::Passed)),
        ],
    );
    record.analysis(|row| {
        row.canary = Some(CanaryRow {
            state: "green".into(),
            why: None,
        });
        row.suspected = vec![Suspicion {
            test: test(SUSPECT),
            ln_e: 2000_f64.ln() + 1e-9,
            explanations: vec![("after tests/test_mail.py".into(), 0.9)],
            soak: count(2, 50),
        }];
        row.fixed = vec![mended(NOW, LAST)];
    });
    record
}

/// Compares what is shown with a golden file: the exact text, in at most 80 columns but for the command to type next.
#[track_caller]
fn is_golden(world: &World, name: &str, shown: &Ended) {
    let folder = world.database.parent().unwrap().parent().unwrap();
    let text = shown
        .stdout
        .replace(folder.to_str().unwrap(), "/work")
        .replace(env!("CARGO_BIN_EXE_soakhound"), "soakhound");
    for line in text.lines().filter(|line| !line.starts_with("next: ")) {
        let columns = soakhound::ui::width(line);
        assert!(columns <= 80, "{columns} columns: {line}");
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/screens")
        .join(name);
    if std::env::var_os("SOAKHOUND_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "{name} is not as it was; if that is meant: SOAKHOUND_BLESS=1 cargo test --test cli_screens\n{text}"
    );
}

#[test]
fn screens_are_as_they_were() {
    let world = World::with_files(&[("t.py", "")]);
    week(&world).finish();
    for (name, code, words) in [
        ("status.txt", 3, &["status"][..]),
        ("flags.txt", 0, &["flags"]),
        ("flags_all.txt", 0, &["flags", "--all"]),
        ("show_victim.txt", 0, &["show", VICTIM]),
        ("show_coin.txt", 0, &["show", COIN]),
        ("show_suspect.txt", 0, &["show", SUSPECT]),
        ("show_undetermined.txt", 0, &["show", ONCE]),
        ("show_fixed.txt", 0, &["show", MENDED]),
        ("show_steady.txt", 0, &["show", STEADY]),
    ] {
        is_golden(&world, name, &world.expect(code, words));
    }
}

#[test]
fn screens_without_any_hunt_are_as_they_were() {
    let world = World::with_files(&[("t.py", "")]);
    is_golden(&world, "status_none.txt", &world.expect(3, &["status"]));
    is_golden(&world, "flags_none.txt", &world.expect(0, &["flags"]));
}

#[test]
fn what_is_fixed_needs_no_action_and_says_why() {
    let world = World::with_files(&[("t.py", "")]);
    week(&world).finish();
    let answer = world.json(&["flags"]);
    let of = |name: &str| {
        let flags = answer["flags"].as_array().unwrap();
        flags
            .iter()
            .find(|flag| flag["test"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(of(MENDED)["no_action"], "fixed");
    assert_eq!(of(COIN)["no_action"], json!(null));
    let fixed = &of(MENDED)["fixed"];
    assert_eq!(fixed["passes"], 54);
    assert_eq!(fixed["before"]["failures"], 3);
    assert_eq!(fixed["since"], "8d02f11");
    let worth = soakhound::stats::mended(count(3, 6), 54);
    assert!(worth.is_certain());
    assert_eq!(fixed["by_accident"], json!(worth.by_accident));
    assert_eq!(world.json(&["show", MENDED])["fixed"], *fixed);
    // Two victims, the coin and the brittle one are left.
    assert_eq!(world.json(&["status"])["flags_open"], 4);
}

#[test]
fn one_more_failure_or_a_newer_flag_and_nothing_is_fixed() {
    let action = |change: &dyn Fn(&mut Record)| {
        let world = World::with_files(&[("t.py", "")]);
        let mut record = week(&world);
        change(&mut record);
        record.finish();
        world.json(&["show", MENDED])["no_action"].clone()
    };
    assert_eq!(action(&|_| {}), "fixed");
    let passed = action(&|record| record.iteration(&[(MENDED, Outcome::Passed)]));
    assert_eq!(passed, "fixed");
    let failed = action(&|record| record.iteration(&[(MENDED, Outcome::Failed)]));
    assert_eq!(failed, json!(null));
    let older = action(&|record| {
        record.analysis(|row| row.fixed = vec![mended(UnixMillis(NOW.0 - 1), LAST)]);
    });
    assert_eq!(older, json!(null));
}

#[test]
fn queries_of_the_readme_answer_as_they_stand() {
    let readme = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let readme = readme.unwrap();
    let shell = readme.split("```sql\n").nth(1).unwrap();
    let queries: Vec<&str> = shell
        .split("```")
        .next()
        .unwrap()
        .split_inclusive(";\n")
        .collect();
    assert_eq!(queries.len(), 3);
    let world = World::with_files(&[("t.py", "")]);
    week(&world).finish();
    let rows: Vec<Vec<String>> = queries
        .iter()
        .map(|query| world.rows(&query.replace("test_first.py::test_victim", COIN)))
        .collect();
    assert_eq!(rows[0][0], format!("{BRITTLE}|30|30"));
    assert_eq!(rows[1], ["AssertionError: not \u{1b}[31mempty"]);
    assert_eq!(rows[2].len(), 6, "{:#?}", rows[2]);
}

#[test]
fn flags_and_show_count_the_same_trials() {
    let world = World::with_files(&[("t.py", "")]);
    let mut record = week(&world);
    // After the flag was written, and in no evidence yet.
    record.iteration(&TESTS.map(|name| (name, Outcome::Failed)));
    record.finish();
    let answer = world.json(&["flags"]);
    let flags = answer["flags"].as_array().unwrap();
    assert_eq!(flags.len(), 8, "{answer:#}");
    for flag in flags.iter().filter(|flag| flag["test"] != GONE) {
        let name = flag["test"].as_str().unwrap();
        let shown = &world.json(&["show", name])["failure_rate"];
        assert_eq!(&flag["failure_rate"], shown, "{name}");
        assert_eq!(shown["trials"], ITERATIONS + 1, "{name}");
    }
}
