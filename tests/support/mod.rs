//! What tests of the whole program share: a project of its own with its own home, the real binary in a
//! cleared environment, its database, and what of a run is left on the machine. Containers are real.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of this module"
)]

pub(crate) mod left;
pub(crate) mod record;
pub(crate) mod truth;
pub(crate) mod venv;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use left::Run;

/// No command of these tests takes this long on a machine that is not stuck.
const PATIENCE: Duration = Duration::from_mins(6);

/// A hunt that asks no questions runs iterations alone.
pub(crate) const NO_QUESTIONS: &str = "[hunt]\nprobe_share = 0.0\nprobe_limit = 0.0\n";

/// A project in a folder of its own, a home of its own, and a database in neither.
pub(crate) struct World {
    folder: TempDir,
    /// Where the tests are; the program is started here.
    pub(crate) project: PathBuf,
    /// The database of every command.
    pub(crate) database: PathBuf,
}

/// How a command of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Largest memory that the process itself had at a time, in KiB.
    pub(crate) peak_kib: u64,
}

/// A command of the program that still runs; dropping it kills it.
pub(crate) struct Started {
    child: Option<Child>,
    pid: Pid,
    output: TempDir,
}

impl World {
    /// Copies a fixture suite.
    pub(crate) fn of(fixture: &str) -> Self {
        Self::in_folder(fixture, "project")
    }

    /// Copies a fixture suite into a folder of this name.
    pub(crate) fn in_folder(fixture: &str, name: &str) -> Self {
        let world = Self::empty(name);
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(fixture);
        copy(&source, &world.project);
        world
    }

    /// Makes a pytest suite of these files, called `made`, whose hunts ask no questions. The configuration ends in
    /// its section `[hunt]`.
    pub(crate) fn with_files(files: &[(&str, &str)]) -> Self {
        let world = Self::empty("project");
        world.write(
            "soakhound.toml",
            &format!("[suite]\nname = \"made\"\nrunner = \"pytest\"\n{NO_QUESTIONS}"),
        );
        for (path, text) in files {
            world.write(path, text);
        }
        world
    }

    fn empty(name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let project = folder.path().join(name);
        let database = folder.path().join("state/hunt.db");
        for made in [
            &project,
            &folder.path().join("home"),
            &folder.path().join("state"),
        ] {
            fs::create_dir(made).unwrap();
        }
        Self {
            folder,
            project,
            database,
        }
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.project.join(path);
        fs::create_dir_all(path.parent().expect("below the project")).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Appends to the project's `soakhound.toml`.
    pub(crate) fn configure(&self, text: &str) {
        let path = self.project.join("soakhound.toml");
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, before + text).unwrap();
    }

    /// Returns a folder of this test outside project and database.
    pub(crate) fn aside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Prepares the program in the project with a cleared environment. `--python` is added where it is known.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_soakhound"));
        self.clothe(&mut command).args(arguments);
        if ["hunt", "run", "list", "replay", "minimize"].contains(&arguments[0]) {
            command.arg("--python").arg(venv::python());
        }
        command
    }

    /// Gives a command this world's folder and environment.
    pub(crate) fn clothe<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .current_dir(&self.project)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path().join("home"))
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env("SOAKHOUND_DB", &self.database)
            .stdin(Stdio::null())
    }

    /// Runs a script of Python in the project's folder, and returns the JSON that it prints.
    #[track_caller]
    pub(crate) fn python(&self, script: &str) -> Value {
        let mut command = Command::new("python3");
        let ran = self.clothe(command.args(["-c", script])).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Started {
        Started::of(&mut self.command(arguments))
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).wait()
    }

    /// Runs the program and checks its exit code.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        ended.assert_code(code);
        ended
    }

    /// Returns what a command says with `--json`, whatever its exit code.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}\n{ended:#?}"))
    }

    /// Checks that `db check` finds nothing.
    #[track_caller]
    pub(crate) fn check(&self) {
        let ended = self.run(&["db", "check"]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }

    /// Returns the rows of a query, each as its columns in text joined by `|`.
    #[track_caller]
    pub(crate) fn rows(&self, query: &str) -> Vec<String> {
        rows(&self.database, query)
    }

    /// Returns the one number that a query answers with.
    #[track_caller]
    pub(crate) fn number(&self, query: &str) -> i64 {
        let rows = self.rows(query);
        rows[0]
            .parse()
            .unwrap_or_else(|_| panic!("{query}: {rows:?}"))
    }
}

/// What a terminal shows: nothing that moves a cursor, changes a colour, is not seen, or turns the order around.
#[track_caller]
pub(crate) fn assert_tame(what: &str, text: &str) {
    let acts = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    let found = text.char_indices().find(|(_, c)| acts(*c));
    assert!(found.is_none(), "{what}: {found:?}");
}

/// Returns the rows of a query, each as its columns in text joined by `|`.
#[track_caller]
pub(crate) fn rows(database: &Path, query: &str) -> Vec<String> {
    use rusqlite::types::ValueRef;
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    let mut statement = connection.prepare(query).unwrap();
    let columns = statement.column_count();
    let text = |value: ValueRef<'_>| match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
    };
    let rows = statement.query_map([], |row| {
        let words: Result<Vec<_>, _> = (0..columns).map(|at| row.get_ref(at).map(text)).collect();
        Ok(words?.join("|"))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

impl Ended {
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
    }

    /// Checks that stderr holds each of these.
    #[track_caller]
    pub(crate) fn assert_says(&self, parts: &[&str]) {
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "lacks `{part}`:\n{}",
                self.stderr
            );
        }
    }
}

impl Started {
    /// Starts a command; its output goes into files, so that no pipe can hold it up.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = TempDir::new().unwrap();
        let file = |name| File::create(output.path().join(name)).unwrap();
        let child = command
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        Self {
            child: Some(child),
            pid,
            output,
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Returns what it said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.said("stderr")
    }

    fn said(&self, stream: &str) -> String {
        let bytes = fs::read(self.output.path().join(stream)).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the run that the process holds in `/run/soakhound`; `None` before it has one.
    pub(crate) fn run(&self) -> Option<Run> {
        Run::of(self.pid())
    }

    /// Waits until `done` holds.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !done(self) {
            assert!(self.lives(), "it ended before {what}:\n{}", self.stderr());
            assert!(
                began.elapsed() < PATIENCE,
                "waited too long for {what}:\n{}",
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Has it not ended yet?
    pub(crate) fn lives(&mut self) -> bool {
        // A zombie is left for `wait`, which reads its usage.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        let began = Instant::now();
        let mut peak_kib = 0;
        while self.lives() {
            assert!(
                began.elapsed() < PATIENCE,
                "it does not end:\n{}",
                self.stderr()
            );
            peak_kib = peak(self.pid()).unwrap_or(peak_kib);
            std::thread::sleep(Duration::from_millis(5));
        }
        let status = self.child.take().expect("taken here only").wait().unwrap();
        Ended {
            code: status.code(),
            stdout: self.said("stdout"),
            stderr: self.said("stderr"),
            peak_kib,
        }
    }
}

/// Largest memory that a living process had, in KiB.
fn peak(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails only when it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            // Left by a run of the suite by hand.
            if ![
                OsStr::from_bytes(b"__pycache__"),
                OsStr::from_bytes(b".pytest_cache"),
            ]
            .contains(&&*entry.file_name())
            {
                copy(&entry.path(), &target);
            }
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
