//! Probes in real containers: several processes in one, tests beside, what dies, what is left behind, the canary.
//!
//! Needs root and liblxc, and fails where they are missing.

#[path = "support/venv.rs"]
mod venv;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, atomic::AtomicU32};
use std::time::Duration;

use soakhound::command::canary;
use soakhound::container::image::{self, Request};
use soakhound::container::{self, Bind, Change, InjectedFile, RunDir, Rung, Spawner};
use soakhound::execute::{
    Assignment, Event, Limits, MemoryRecorder, Of, Probing, RecordedShard, Rig, ShardEnd, Stop,
    Worker,
};
use soakhound::model::{Outcome, SegmentEnd, SystemClock, TestId};
use soakhound::suite::interpreter::{Interpreter, Search};
use soakhound::suite::{DRIVER_DIR, Pytest, Runner as _};
use tokio::sync::{mpsc, watch};

/// A project, and a rig for its containers; [`Lab::leaves_nothing`] ends it.
struct Lab {
    base: tempfile::TempDir,
    rig: Arc<Rig>,
}

/// What an assignment came to.
struct Shown {
    end: ShardEnd,
    recorded: RecordedShard,
    events: Vec<Event>,
}

impl Lab {
    /// Makes a project of these files. In its containers, `/srv/lock` is a file that all of them share.
    fn new(files: &[(&str, &str)]) -> Self {
        let base = tempfile::tempdir().unwrap();
        let project = base.path().join("project");
        fs::create_dir(&project).unwrap();
        for (name, text) in files {
            fs::write(project.join(name), text).unwrap();
        }
        let lock = base.path().join("lock");
        fs::write(&lock, "").unwrap();
        fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
        let run_base = base.path().join("runs");
        fs::create_dir(&run_base).unwrap();
        let run_dir = RunDir::create(&run_base).unwrap();
        let interpreter = Interpreter::discover(&Search {
            root: &project,
            configured: Some(venv::python()),
            virtual_env: None,
            path: &OsString::from("/usr/bin:/bin"),
        })
        .unwrap();
        let owner = image::runner_of(&project).unwrap();
        let home = image::make_home(run_dir.path(), owner).unwrap();
        let mut image = image::default_image(&Request {
            host: Path::new("/"),
            project: &project,
            snapshot: &project,
            home: &home,
            interpreter: &interpreter.needs(),
            private: &[],
            owner,
        })
        .unwrap();
        image.spec.binds.push(Bind {
            source: lock,
            target: "/srv/lock".into(),
        });
        let files = Pytest.files().into_iter();
        image
            .spec
            .files
            .extend(files.map(|(path, contents)| InjectedFile {
                path: Path::new(DRIVER_DIR).join(path),
                contents,
                mode: 0o444,
            }));
        let env = image::environment(
            &interpreter.executable,
            &image.user,
            None,
            &[],
            &BTreeMap::new(),
        );
        let rig = Rig {
            spawner: Spawner::new(env!("CARGO_BIN_EXE_soakhound")).unwrap(),
            run_dir,
            image: image.spec,
            rung: Rung::Shifted,
            runner: &Pytest,
            interpreter: interpreter.executable.clone(),
            args: Vec::new(),
            env,
            cwd: project,
            limits: Limits {
                test: Duration::from_mins(1),
                shard: Some(Duration::from_mins(2)),
                output: 64 << 10,
            },
            container_limits: container::Limits {
                memory: Some(512 << 20),
                pids: 64,
                cpus: None,
                tmp_bytes: 64 << 20,
            },
            clock: Arc::new(SystemClock),
            next_slot: AtomicU32::new(0),
            running: Mutex::new(BTreeMap::new()),
        };
        Self {
            base,
            rig: Arc::new(rig),
        }
    }

    async fn run(&self, assignment: Assignment) -> Shown {
        let recorder = MemoryRecorder::default();
        let (said, mut heard) = mpsc::channel(1024);
        let (_running, stop) = watch::channel(Stop::Running);
        let mut worker = Worker::new(0, Arc::clone(&self.rig), None, recorder.clone(), said, stop);
        let mut events = Vec::new();
        let running = async {
            let end = worker.run(assignment).await.unwrap();
            drop(worker);
            end
        };
        let hearing = async {
            while let Some(event) = heard.recv().await {
                events.push(event);
            }
        };
        let (end, ()) = tokio::join!(running, hearing);
        Shown {
            end,
            recorded: recorder.take(),
            events,
        }
    }

    /// Ends the run and looks for processes and cgroups that carry its id.
    fn leaves_nothing(self) {
        let id = self.rig.run_dir.id().to_owned();
        drop(Arc::into_inner(self.rig).expect("nobody else holds the rig"));
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let membership = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
            assert!(!membership.contains(&id), "{}", entry.path().display());
        }
        let runs: Vec<_> = fs::read_dir(self.base.path().join("runs"))
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .filter(|name| name != "lock")
            .collect();
        assert!(runs.is_empty(), "{runs:?}");
    }
}

impl Shown {
    /// The segments in order: how each ended, and the outcome of each of its trials by the test's last word.
    fn segments(&self) -> Vec<(SegmentEnd, Vec<String>)> {
        let segments = self.recorded.segments.iter().enumerate();
        segments
            .map(|(place, (_, close))| {
                let trials = self.recorded.trials.iter();
                let trials = trials.filter(|(segment, _)| *segment == place);
                let words = trials.map(|(_, trial)| {
                    let name = trial.test.as_str().unwrap().rsplit("::").next().unwrap();
                    format!("{} {}", name.trim_start_matches("test_"), trial.outcome)
                });
                (close.as_ref().unwrap().end, words.collect())
            })
            .collect()
    }
}

fn order(tests: &[&str]) -> Vec<(TestId, u8)> {
    let name = |test: &&str| TestId::new(format!("test_it.py::test_{test}")).unwrap();
    tests.iter().map(|test| (name(test), 1)).collect()
}

fn probe(before: &[&[&str]], last: &[&str], beside: &[&str]) -> Assignment {
    Assignment {
        shard: 1,
        attempts: 0,
        order: order(last),
        of: Of::Suite,
        probe: Some(Probing {
            before: before.iter().map(|tests| order(tests)).collect(),
            beside: order(beside).into_iter().map(|(test, _)| test).collect(),
            list_changes: false,
        }),
        cause: None,
        predicted: Duration::ZERO,
        factors: Vec::new(),
        seed32: 7,
    }
}

fn said(end: SegmentEnd, trials: &[&str]) -> (SegmentEnd, Vec<String>) {
    (end, trials.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn processes_of_one_container_share_its_files_and_nothing_else() {
    let lab = Lab::new(&[
        (
            "test_it.py",
            "import builtins, os, pathlib\n\
         def test_leaves():\n    builtins.spoiled = True\n    open('/tmp/mark', 'w').close()\n    \
         open('test_it.py', 'a').close()\n    open('/dev/shm/block', 'w').close()\n    \
         pathlib.Path.home().joinpath('.rc').write_text('x')\n    os.mkdir('made')\n    \
         os.unlink('gone.txt')\n    assert False\n\
         def test_memory():\n    assert not hasattr(builtins, 'spoiled')\n\
         def test_files():\n    assert not os.path.exists('/tmp/mark')\n\
         def test_quiet(tmp_path):\n    (tmp_path / 'x').write_text('x')\n",
        ),
        ("gone.txt", "x"),
    ]);
    let mut both = probe(&[&["quiet"], &["leaves"]], &["memory", "files"], &[]);
    both.probe.as_mut().unwrap().list_changes = true;
    let shown = lab.run(both).await;
    assert_eq!(shown.end, ShardEnd::Done);
    assert_eq!(
        shown.segments(),
        [
            said(SegmentEnd::Completed, &["quiet passed"]),
            said(SegmentEnd::Completed, &["leaves failed"]),
            said(SegmentEnd::Completed, &["memory passed", "files failed"]),
        ]
    );
    let project = lab.rig.cwd.display().to_string();
    let left = shown.events.into_iter().find_map(|event| {
        if let Event::Left { shard: 1, left } = event {
            Some(left)
        } else {
            None
        }
    });
    let mut left: Vec<_> = left
        .unwrap()
        .into_iter()
        .map(|left| (left.path.replace(&project, "."), left.change))
        .collect();
    left.sort();
    let expected = [
        ("./gone.txt", Change::Deleted),
        ("./made", Change::Made),
        ("./test_it.py", Change::Changed),
        ("/dev/shm/block", Change::Made),
        ("/home/soaked/.rc", Change::Made),
        ("/tmp/mark", Change::Made),
    ];
    assert_eq!(
        left,
        expected.map(|(path, change)| (path.to_owned(), change))
    );
    lab.leaves_nothing();
}

#[tokio::test]
async fn a_probe_that_dies_stays_dead() {
    let lab = Lab::new(&[(
        "test_it.py",
        "import os\ndef test_dies():\n    os.kill(os.getpid(), 11)\ndef test_fine():\n    pass\n",
    )]);
    let one = lab.run(probe(&[], &["fine", "dies", "fine"], &[])).await;
    assert_eq!(one.end, ShardEnd::Done);
    assert_eq!(
        one.segments(),
        [said(SegmentEnd::Crashed, &["fine passed", "dies crashed"])]
    );
    let two = lab.run(probe(&[&["dies"]], &["fine"], &[])).await;
    assert_eq!(two.end, ShardEnd::Done);
    assert_eq!(
        two.segments(),
        [said(SegmentEnd::Crashed, &["dies crashed"])]
    );
    let close = two.recorded.segments[0].1.as_ref().unwrap();
    assert_eq!(
        close.exit,
        Some(256 + 11),
        "the signal is not lost on its way"
    );
    lab.leaves_nothing();
}

#[tokio::test]
async fn tests_beside_run_all_the_while_and_are_not_recorded() {
    let lab = Lab::new(&[(
        "test_it.py",
        "import fcntl, os, time\nheld = []\n\
         def locked():\n    with open('/srv/lock') as file:\n        try:\n            \
         fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n        except OSError:\n            \
         return True\n    return False\n\
         def test_holds():\n    held.append(open('/srv/lock'))\n    fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)\n    \
         time.sleep(0.2)\n    os._exit(0)\n\
         def test_meets():\n    for _ in range(300):\n        if locked():\n            return\n        \
         time.sleep(0.1)\n    assert False\n\
         def test_alone():\n    assert not locked()\n",
    )]);
    // The one beside ends its process each time: a fresh container takes its place.
    let shown = lab.run(probe(&[], &["meets", "meets"], &["holds"])).await;
    let met = said(SegmentEnd::Completed, &["meets passed", "meets passed"]);
    assert_eq!((shown.end, shown.segments()), (ShardEnd::Done, vec![met]));
    let after = lab.run(probe(&[], &["alone"], &[])).await;
    let alone = said(SegmentEnd::Completed, &["alone passed"]);
    assert_eq!((after.end, after.segments()), (ShardEnd::Done, vec![alone]));
    lab.leaves_nothing();
}

#[tokio::test]
async fn a_probe_whose_company_does_not_come_is_void() {
    let lab = Lab::new(&[("test_it.py", "def test_fine():\n    pass\n")]);
    let shown = lab.run(probe(&[], &["fine"], &["absent"])).await;
    // Not the host's trouble, so it is not tried again and stops no hunt.
    assert_eq!(shown.end, ShardEnd::Done);
    assert_eq!(shown.segments(), [said(SegmentEnd::Infra, &["fine infra"])]);
    let reason = shown.recorded.segments[0].1.as_ref().unwrap();
    let reason = reason.reason.clone().unwrap();
    assert!(reason.contains("beside"), "{reason}");
    lab.leaves_nothing();
}

#[tokio::test]
async fn the_canary_shows_its_truth_in_the_image_of_any_project() {
    let lab = Lab::new(&[
        ("conftest.py", "raise RuntimeError('not for the canary')\n"),
        ("pytest.ini", "[pytest]\naddopts = --no-such-option\n"),
    ]);
    let canary = Pytest.canary();
    let mut tests = canary.tests().to_vec();
    tests.sort_by_key(|test| test == canary.victim());
    let all: Vec<_> = tests.into_iter().map(|test| (test, 1)).collect();
    // The digest of UNLUCKY is a multiple of a hundred.
    for (seed, unlucky) in [(UNLUCKY, true), (UNLUCKY + 1, false)] {
        let shown = lab.run(canary::assignment(1, all.clone(), seed)).await;
        assert_eq!(shown.end, ShardEnd::Done);
        let trials = shown.recorded.trials;
        assert_eq!(trials.len(), all.len());
        for (_, trial) in trials {
            let fails = trial.test == *canary.victim() || (unlucky && trial.test == *canary.coin());
            let expected = if fails {
                Outcome::Failed
            } else {
                Outcome::Passed
            };
            assert_eq!(trial.outcome, expected, "{:?} with {seed}", trial.test);
        }
    }
    lab.leaves_nothing();
}

/// Found by hand with Python's `hashlib`.
const UNLUCKY: u32 = 225;
