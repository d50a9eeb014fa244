//! Runs the pytest driver on the host, as a container would: results on descriptor 3, job on 4.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use soakhound::model::{Outcome, TestId};
use soakhound::suite::{
    Command, Journal, JournalEvent, JournalLimits, Nonce, Pytest, Runner, RunnerContext,
};
use tempfile::TempDir;

const OUTPUT_CAP: usize = 4096;

/// What each virtual environment holds, besides the plugins that fight over the order of tests.
const ENVIRONMENTS: &[(&str, &[&str])] = &[
    ("6.2", &["pytest==6.2.*", "pytest-subtests"]),
    ("7.4", &["pytest==7.4.*", "flaky"]),
    ("8", &["pytest==8.*"]),
    ("9", &["pytest==9.*"]),
];
const PLUGINS: &[&str] = &[
    "pytest-randomly",
    "pytest-xdist",
    "pytest-rerunfailures",
    "pytest-random-order",
];

/// A Python with one release of pytest.
pub(crate) struct Venv {
    pub(crate) pytest: &'static str,
    python: PathBuf,
}

impl Venv {
    /// Returns one environment per supported release, oldest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        ENVIRONMENTS
            .iter()
            .map(|(pytest, packages)| Self::made(pytest, packages))
    }

    /// Returns the one with the newest release.
    pub(crate) fn newest() -> Self {
        let (pytest, packages) = ENVIRONMENTS.last().expect("a constant");
        Self::made(pytest, packages)
    }

    /// Makes the environment unless an earlier test made it. Tests run in many processes, so a lock guards it.
    fn made(pytest: &'static str, packages: &[&str]) -> Self {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("venvs");
        fs::create_dir_all(&all).unwrap();
        let folder = all.join(format!("pytest-{pytest}"));
        let lock = File::create(all.join(format!("pytest-{pytest}.lock"))).unwrap();
        lock.lock().unwrap();
        let wanted = [packages, PLUGINS].concat();
        let done = folder.join("packages");
        if fs::read_to_string(&done).unwrap_or_default() != wanted.join("\n") {
            let _ = fs::remove_dir_all(&folder);
            succeed(Process::new("python3").args(["-m", "venv"]).arg(&folder));
            let mut pip = Process::new(folder.join("bin/python"));
            succeed(pip.args(["-m", "pip", "install", "-q"]).args(&wanted));
            fs::write(done, wanted.join("\n")).unwrap();
        }
        let python = folder.join("bin/python");
        Self { pytest, python }
    }

    /// Lists the tests of a project.
    pub(crate) fn list(&self, project: &Path, args: &[&str]) -> Ended {
        let nonce = Nonce::new(0x11);
        let journal = Journal::listing(nonce, JournalLimits::new(0, OUTPUT_CAP));
        self.start(project, args, nonce, journal, |context| {
            Pytest.list(context)
        })
    }

    /// Runs tests in exactly this order; a name that directly follows itself is the second run of a test.
    pub(crate) fn run(&self, project: &Path, args: &[&str], order: &[TestId]) -> Ended {
        let order: Vec<(TestId, u8)> = order
            .iter()
            .enumerate()
            .map(|(place, test)| {
                let again = place > 0 && order[place - 1] == *test;
                (test.clone(), 1 + u8::from(again))
            })
            .collect();
        let nonce = Nonce::new(0x22);
        let limits = JournalLimits::new(order.len(), OUTPUT_CAP);
        let journal = Journal::of_run(nonce, limits, order.len());
        self.start(project, args, nonce, journal, |context| {
            Pytest.run(context, &order)
        })
    }

    fn start(
        &self,
        project: &Path,
        args: &[&str],
        nonce: Nonce,
        mut journal: Journal,
        command: impl Fn(&RunnerContext<'_>) -> Command,
    ) -> Ended {
        let scratch = TempDir::new().unwrap();
        for (path, contents) in Pytest.files() {
            fs::write(scratch.path().join(path), contents).unwrap();
        }
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let command = command(&RunnerContext {
            interpreter: &self.python,
            driver_dir: scratch.path(),
            args: &args,
            nonce,
            output_cap: OUTPUT_CAP,
            seed32: 42,
        });
        let (results, job) = (scratch.path().join("results"), scratch.path().join("job"));
        fs::write(&job, &command.job).unwrap();
        let output = Process::new("sh")
            .args(["-c", r#"exec 3>"$1" 4<"$2"; shift 2; exec "$@""#, "sh"])
            .args([&results, &job])
            .args(&command.argv)
            .current_dir(project)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", scratch.path())
            // What a fixture leaves behind goes with its process, as it goes with a container.
            .env("TMPDIR", scratch.path())
            .env("LC_ALL", "C.UTF-8")
            // This is no container, and the hostile fixtures must know it.
            .envs(
                command
                    .env
                    .into_iter()
                    .filter(|(name, _)| name != "SOAKHOUND"),
            )
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let events = journal.feed(&fs::read(results).unwrap());
        let streams = [output.stdout, output.stderr].concat();
        Ended {
            events,
            journal,
            code: output.status.code(),
            output: String::from_utf8_lossy(&streams).into_owned(),
        }
    }
}

fn succeed(process: &mut Process) {
    let output = process.output().expect("python3 is installed");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{process:?} failed: {text}");
}

/// A process of the driver that ended.
pub(crate) struct Ended {
    pub(crate) events: Vec<JournalEvent>,
    pub(crate) journal: Journal,
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
}

impl Ended {
    /// Returns the listed tests.
    pub(crate) fn items(&self) -> Vec<TestId> {
        self.pick(|event| {
            let JournalEvent::Item(test) = event else {
                return None;
            };
            Some(test.clone())
        })
    }

    /// Returns the indexes of the tests in the order in which they started.
    pub(crate) fn started(&self) -> Vec<u32> {
        self.pick(|event| {
            let JournalEvent::Started { index, .. } = event else {
                return None;
            };
            Some(*index)
        })
    }

    /// Returns what each test showed, in the order in which they ended.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        self.pick(|event| {
            let JournalEvent::Ended { outcome, .. } = event else {
                return None;
            };
            Some(*outcome)
        })
    }

    /// Returns failure texts and skip reasons by index.
    pub(crate) fn details(&self) -> BTreeMap<u32, String> {
        let details = self.pick(|event| {
            let JournalEvent::Ended { index, detail, .. } = event else {
                return None;
            };
            let text = String::from_utf8_lossy(detail.as_deref()?).into_owned();
            Some((*index, text))
        });
        details.into_iter().collect()
    }

    /// Returns the notes.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.pick(|event| {
            let JournalEvent::Note(text) = event else {
                return None;
            };
            Some(text.clone())
        })
    }

    /// Returns the modules that could not be collected.
    pub(crate) fn uncollectable(&self) -> Vec<String> {
        self.pick(|event| {
            let JournalEvent::CollectError { module, .. } = event else {
                return None;
            };
            Some(String::from_utf8_lossy(module).into_owned())
        })
    }

    fn pick<T>(&self, wanted: impl Fn(&JournalEvent) -> Option<T>) -> Vec<T> {
        assert_eq!(self.journal.untrusted(), None, "{}", self.output);
        self.events.iter().filter_map(wanted).collect()
    }
}
/// Writes a project into a fresh folder.
pub(crate) fn project(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("below the folder")).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// Returns the names as tests.
pub(crate) fn tests(names: &[&str]) -> Vec<TestId> {
    names
        .iter()
        .map(|name| TestId::new(*name).unwrap())
        .collect()
}

/// Returns the contents of every file below a folder.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}
