//! Tests that attack: each is named for what it did, and nobody else feels it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::truth::Truth;
use crate::support::{NO_QUESTIONS, World, assert_tame};

#[path = "../../src/ui/hostile.rs"]
mod corpus;

/// Everything below a folder, with its contents.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn hostile_suite_runs_to_its_end_names_every_offender_and_harms_nobody() {
    let world = World::of("hostile");
    world.configure(NO_QUESTIONS);
    let before = contents(&world.project);
    let mut bystander = Command::new("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let neighbours = World::of("steady");
    let mut hunt = world.start(&["hunt", "--iterations", "2", "--workers", "2", "--seed", "1"]);
    hunt.until("it has a run", |hunt| hunt.run().is_some());
    let run = hunt.run().unwrap();
    neighbours.expect(0, &["hunt", "--iterations", "3", "--workers", "1"]);
    let ended = hunt.wait();
    let survived = bystander.try_wait().unwrap().is_none();
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    ended.assert_code(0);
    assert!(survived, "a process of the host was killed");
    run.assert_gone();
    assert_eq!(contents(&world.project), before);
    world.check();
    Truth::of("hostile").assert_recorded(&world);
    Truth::of("steady").assert_recorded(&neighbours);
    assert_eq!(
        neighbours.number("SELECT count(*) FROM segment WHERE \"end\" <> 0"),
        0
    );
    assert_eq!(
        world.number("SELECT count(*) FROM shard WHERE state <> 1"),
        0
    );

    // Whoever ended a segment is named in it, and is the last of it.
    let unnamed = world.rows(
        "SELECT segment FROM segments WHERE \"end\" <> 'completed' AND (running IS NULL OR running <> \
         (SELECT test FROM trials WHERE trials.segment = segments.segment ORDER BY position DESC LIMIT 1))",
    );
    assert_eq!(unnamed, Vec::<String>::new());
    // The limit is 512 MiB; the kernel may take a page or two beyond it for the process that it kills.
    let most = world.number("SELECT max(peak_memory) FROM segment");
    assert!((500 << 20..513 << 20).contains(&most), "{most}");
    assert_eq!(
        world.number("SELECT count(*) FROM segment WHERE \"end\" = 3 AND oom_kills = 0"),
        0
    );
    let forged = world.rows("SELECT DISTINCT reason FROM segments WHERE \"end\" = 'untrusted'");
    assert!(
        !forged.is_empty() && forged.iter().all(|why| why.contains("forged")),
        "{forged:?}"
    );
}

#[test]
fn what_a_test_prints_is_kept_within_bounds() {
    let world = World::with_files(&[(
        "test_loud.py",
        "import os\ndef test_loud():\n    for _ in range(100):\n        os.write(1, b'x' * 1000000)\n    os._exit(1)\n",
    )]);
    world.configure("[limits]\noutput_per_test = \"64KiB\"\n");
    let ended = world.expect(
        0,
        &["hunt", "--iterations", "2", "--workers", "1", "--seed", "1"],
    );
    let logs = contents(&world.database.with_file_name("logs"));
    let most = logs.iter().map(|(_, log)| log.len()).max();
    assert!(most.is_some_and(|size| size < 70_000), "{most:?}");
    assert!(ended.peak_kib < 150 * 1024, "{} KiB", ended.peak_kib);
}

#[test]
fn runner_that_does_not_end_after_its_last_test_is_ended_and_its_outcomes_count() {
    let world = World::with_files(&[(
        "test_thread.py",
        "import threading\ndef test_leaves_a_thread():\n    threading.Thread(target=threading.Event().wait).start()\n",
    )]);
    world.configure("[limits]\ntest = \"2s\"\n");
    world.expect(0, &["hunt", "--iterations", "1", "--workers", "1"]);
    world.check();
    let recorded =
        world.rows("SELECT outcome, \"end\", reason FROM trials JOIN segments USING (segment)");
    assert_eq!(
        recorded,
        ["passed|completed|the runner did not end after its last test"]
    );
}

#[test]
fn flood_of_output_does_not_hold_up_the_time_limit() {
    let world = World::with_files(&[(
        "test_flood.py",
        "import os\ndef test_flood():\n    for _ in range(6):\n        os.fork()\n    while True:\n        os.write(1, b'x' * 65536)\n",
    )]);
    world.write(
        "soakhound.toml",
        &format!("[suite]\nname = \"flood\"\nrunner = \"pytest\"\nargs = [\"-s\"]\n[limits]\ntest = \"2s\"\n{NO_QUESTIONS}"),
    );
    world.expect(0, &["hunt", "--iterations", "1", "--workers", "1"]);
    assert_eq!(world.rows("SELECT outcome FROM trials"), ["timeout"]);
}

/// Collects a test for every name in `names.json`, each of which fails with its own name and text.
const CORPUS: &str = r"
import json, pytest

class Case(pytest.Item):
    def __init__(self, text, **rest):
        super().__init__(**rest)
        self.text = text
    def runtest(self):
        print(self.name, self.text)
        raise AssertionError(self.text)

class Names(pytest.File):
    def collect(self):
        for name, text in json.loads(self.path.read_text()):
            yield Case.from_parent(self, name=name, text=text)

def pytest_collect_file(file_path, parent):
    if file_path.name == 'names.json':
        return Names.from_parent(parent, path=file_path)
";

#[test]
fn what_run_and_hunt_say_of_the_hostile_corpus_does_nothing_to_a_terminal() {
    let world = World::with_files(&[("conftest.py", CORPUS)]);
    // A name of pytest is text, and a test list takes no name that is longer.
    let texts = corpus::texts().into_iter();
    let texts = texts.map(|text| String::from_utf8_lossy(&text).into_owned());
    let named: Vec<(String, String)> = corpus::names()
        .into_iter()
        .filter_map(|name| String::from_utf8(name).ok())
        .filter(|name| name.len() < 4000)
        .zip(texts)
        .collect();
    world.write("names.json", &serde_json::to_string(&named).unwrap());
    let hunt = ["hunt", "--iterations", "1", "--workers", "1", "--seed", "1"];
    let mut cases = 0;
    for (what, code, words) in [
        ("run", 1, &["run"][..]),
        ("run --json", 1, &["run", "--json"]),
        ("hunt", 0, &hunt),
    ] {
        let ended = world.expect(code, words);
        assert_tame(what, &ended.stdout);
        assert_tame(what, &ended.stderr);
        cases += named.len();
        if words.contains(&"--json") {
            let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
            let failing = answer["failing"].as_array().unwrap();
            for (name, _) in &named {
                let full = json!(format!("names.json::{name}"));
                assert!(failing.iter().any(|row| row["test"] == full), "{full}");
            }
        }
    }
    println!(
        "hostile corpus: {} names through run and hunt, {cases} cases, none escapes",
        named.len()
    );
}
