//! `export` and the owners of tests, over databases made by hand: every format is read back by Python's own parsers. No
//! container runs.

#[path = "../src/ui/hostile.rs"]
mod hostile;
#[path = "support/mod.rs"]
mod support;

use std::fs;

use serde_json::{Value, json};
use soakhound::model::{HuntKind, Outcome, SuiteId, UnixMillis, Verdict};
use soakhound::store::{CanaryRow, Reader};

use support::World;
use support::record::{Record, count, flag, test, victim};

/// Reads files back with parsers that know nothing of us, and prints the names in them, one JSON list per file.
const READ_BACK: &str = r"
import csv, json, sys, xml.etree.ElementTree as tree
out = {}
root = tree.parse('out.junit').getroot()
cases = root.findall('./testsuite/testcase')
out['junit'] = ['::'.join(filter(None, [c.get('classname'), c.get('name')])) for c in cases]
out['flaky'] = len(root.findall('.//flakyFailure'))
out['broken'] = len(root.findall('.//failure'))
with open('out.csv', newline='', encoding='utf-8') as file:
    rows = list(csv.DictReader(file, strict=True))
out['csv'] = [row['test'] for row in rows]
out['formulas'] = sum(cell.lstrip()[:1] in tuple('=+-@') for row in rows for cell in row.values())
lines = open('out.ndjson', encoding='utf-8').read().split('\n')
out['ndjson'] = [json.loads(line)['test'] for line in lines if line]
log = json.load(open('out.sarif', encoding='utf-8'))
run = log['runs'][0]
out['sarif'] = [r['locations'][0]['logicalLocations'][0]['fullyQualifiedName'] for r in run['results']]
print(json.dumps(out))
";

/// A project whose tests are never run, with a flag for every hostile name.
fn hostile_world() -> (World, usize) {
    let world = World::with_files(&[("t.py", "")]);
    // What a test list may hold: names that are UTF-8 suffice here, the others have tests of their own.
    let names: Vec<String> = hostile::names()
        .into_iter()
        .filter_map(|name| String::from_utf8(name).ok())
        .collect();
    assert!(!hostile::texts().is_empty());
    let listed: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut record = Record::new(&world.database, &listed);
    for failing in [Outcome::Failed, Outcome::Passed] {
        let outcomes: Vec<(&str, Outcome)> = listed.iter().map(|name| (*name, failing)).collect();
        record.iteration(&outcomes);
    }
    for name in &listed {
        record.raise(flag(name, Verdict::Nod, count(1, 2)), Some("sk1m_x"));
    }
    record.finish();
    (world, names.len())
}

#[test]
fn every_format_of_a_hostile_suite_reads_back_with_every_test_once() {
    let (world, total) = hostile_world();
    for format in ["junit", "csv", "ndjson", "sarif", "github", "prometheus"] {
        let file = format!("out.{format}");
        let shown = world.expect(0, &["export", "--format", format]);
        let acts = |c: char| c.is_control() && !['\n', '\r'].contains(&c);
        assert!(!shown.stdout.contains(acts), "{format}");
        let told = world.expect(0, &["export", "--format", format, "--out", &file]);
        assert!(told.stdout.starts_with("wrote "), "{told:?}");
        let written = fs::read_to_string(world.project.join(&file)).unwrap();
        assert_eq!(
            written.replace("\r\n", "\n").trim_end(),
            shown.stdout.replace("\r\n", "\n").trim_end()
        );
        world
            .expect(150, &["export", "--format", format, "--out", &file])
            .assert_says(&["exists"]);
    }
    let read = world.python(READ_BACK);
    for format in ["junit", "csv", "ndjson", "sarif"] {
        let mut names: Vec<&str> = read[format]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), total, "{format}");
    }
    assert_eq!(read["flaky"], total);
    assert_eq!((&read["broken"], &read["formulas"]), (&json!(0), &json!(0)));
    let mut listed: Vec<String> = hostile::names()
        .into_iter()
        .filter_map(|n| String::from_utf8(n).ok())
        .collect();
    let mut read: Vec<String> = serde_json::from_value(read["ndjson"].clone()).unwrap();
    listed.sort_unstable();
    read.sort_unstable();
    assert!(read == listed, "JSON keeps every character");
}

#[test]
fn owners_come_from_the_checkout_that_the_suite_is_in() {
    let world = World::with_files(&[("t.py", ""), ("sub/u.py", "")]);
    fs::create_dir(world.project.join(".git")).unwrap();
    world.write(
        ".github/CODEOWNERS",
        "* @acme/all\n/sub/ @acme/sub \u{1b}[2J@evil # comment\n",
    );
    let names = ["t.py::test_a", "sub/u.py::test_b", "t.py::test_c"];
    let mut record = Record::new(&world.database, &names);
    record.iteration(&names.map(|name| (name, Outcome::Passed)));
    record.raise(victim(names[1], &[names[0]], count(3, 10)), Some("sk1m_x"));
    record.finish();

    let flags = world.json(&["flags"]);
    assert_eq!(
        flags["flags"][0]["owners"],
        json!(["@acme/sub", "\u{1b}[2J@evil"])
    );
    let shown = world.expect(0, &["show", names[1]]);
    assert!(
        shown
            .stdout
            .contains("owner    @acme/sub \\u{1b}[2J@evil\n"),
        "{}",
        shown.stdout
    );
    assert_eq!(
        world.json(&["show", names[2]])["owners"],
        json!(["@acme/all"])
    );
    let github = world.expect(0, &["export", "--format", "github"]).stdout;
    assert!(
        github.starts_with("::warning file=sub/u.py,title=od-victim "),
        "{github}"
    );

    world.write(".github/CODEOWNERS", &"*a @b\n".repeat(6000));
    let shown = world.expect(0, &["show", names[1]]);
    assert!(
        shown
            .stdout
            .contains("owner    not known: cannot use `.github/CODEOWNERS`"),
        "{}",
        shown.stdout
    );
    world
        .expect(0, &["export", "--format", "csv"])
        .assert_says(&["owners are left out"]);
}

#[test]
fn junit_of_a_hunt_tells_what_passed_what_is_flaky_and_what_did_not_run() {
    let world = World::with_files(&[("t.py", "")]);
    let names = [
        "t.py::test_fine",
        "t.py::test_flaky",
        "t.py::test_broken",
        "t.py::test_absent",
    ];
    let mut record = Record::new(&world.database, &names);
    for outcome in [Outcome::Passed, Outcome::Failed, Outcome::Passed] {
        record.iteration(&[
            (names[0], Outcome::Passed),
            (names[1], outcome),
            (names[2], Outcome::Timeout),
        ]);
    }
    record.finish();
    let document = world.expect(0, &["export", "--format", "junit"]).stdout;
    for part in [
        r#"tests="4" skipped="1" failures="0" errors="1""#,
        r#"<testcase name="test_fine" classname="t.py"/>"#,
        r#"<flakyFailure message="failed 1 of 3 (95 %: "#,
        r#"type="failed""#,
        r#"<error message="failed 3 of 3 (95 %: "#,
        r#"type="timeout""#,
        "AssertionError: not \\u{1b}[31mempty",
        r#"<skipped message="did not run"/>"#,
    ] {
        assert!(document.contains(part), "lacks {part}:\n{document}");
    }
    // `--since` takes the hunts that were alive then; the last heartbeat of this one is its first.
    let reader = Reader::open(&world.database).unwrap();
    let suite = SuiteId::of("made", "pytest");
    let hunt = reader.latest_hunt(suite, HuntKind::Hunt).unwrap().unwrap();
    let alive = reader.status(hunt.id).unwrap().heartbeat;
    let hunts = |since| reader.hunts_of(suite, since).unwrap();
    assert_eq!(hunts(alive), [hunt.id]);
    assert!(hunts(UnixMillis(alive.0 + 1)).is_empty());
    let counts = reader.counts_of(hunt.id).unwrap();
    assert_eq!(counts[&test(names[1])].of(Outcome::Failed), 1);
    assert_eq!(counts.len(), 3);
}

#[test]
fn figures_are_of_the_whole_suite() {
    let world = World::with_files(&[("t.py", "")]);
    let names = ["t.py::test_a", "t.py::test_b"];
    let mut record = Record::new(&world.database, &names);
    for outcome in [Outcome::Passed, Outcome::Failed] {
        record.iteration(&[(names[0], Outcome::Passed), (names[1], outcome)]);
    }
    record.raise(flag(names[1], Verdict::Nod, count(1, 2)), None);
    record.analysis(|row| {
        row.canary = Some(CanaryRow {
            state: "green".into(),
            why: None,
        });
    });
    record.finish();
    let text = world
        .expect(0, &["export", "--format", "prometheus"])
        .stdout;
    for line in [
        r#"soakhound_outcomes_total{suite="made",outcome="passed"} 3"#,
        r#"soakhound_outcomes_total{suite="made",outcome="failed"} 1"#,
        r#"soakhound_flags_open{suite="made",verdict="nod"} 1"#,
        r#"soakhound_iterations_total{suite="made"} 2"#,
        r#"soakhound_shards_total{suite="made",state="finished"} 2"#,
        r#"soakhound_attempts_total{suite="made"} 0"#,
        r#"soakhound_canary{suite="made",state="green"} 1"#,
        r#"soakhound_last_commit_timestamp_seconds{suite="made"} 1795310040"#,
    ] {
        assert!(text.lines().any(|one| one == line), "lacks {line}:\n{text}");
    }
    assert!(!text.contains("test_b"), "no labels of single tests");
    world
        .expect(150, &["export", "--format", "prometheus", "--since", "7d"])
        .assert_says(&["`--since` does not go with"]);
}

#[test]
fn export_without_a_database_fails_and_without_flags_says_nothing() {
    let world = World::with_files(&[("t.py", "")]);
    for format in ["junit", "csv", "ndjson", "sarif", "github", "prometheus"] {
        world.expect(152, &["export", "--format", format]);
    }
    Record::new(&world.database, &["t.py::test_a"]).finish();
    assert_eq!(
        world.expect(0, &["export", "--format", "github"]).stdout,
        ""
    );
    assert_eq!(
        world.expect(0, &["export", "--format", "ndjson"]).stdout,
        ""
    );
    let sarif = world.expect(0, &["export", "--format", "sarif"]).stdout;
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    assert_eq!(sarif["runs"][0]["results"], json!([]));
}

#[test]
fn man_writes_a_page_per_command() {
    let world = World::with_files(&[("t.py", "")]);
    let main = world.expect(0, &["man"]).stdout;
    assert!(
        main.contains(".TH soakhound 1") && main.contains("EXIT STATUS"),
        "{main}"
    );
    let told = world.expect(0, &["man", "--out", "man/man1"]);
    assert!(told.stdout.contains("next: man -l "), "{told:?}");
    let page = fs::read_to_string(world.project.join("man/man1/soakhound-db-check.1")).unwrap();
    assert!(page.contains("soakhound\\-db\\-check"), "{page}");
    let pages = fs::read_dir(world.project.join("man/man1"))
        .unwrap()
        .count();
    assert!(
        told.stdout.contains(&format!("wrote {pages} pages")),
        "{told:?}"
    );
}
