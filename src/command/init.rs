//! `init`: recognises a pytest project and writes a commented `soakhound.toml`. Never overwrites.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::config::{FILE_NAME, Runner, SuiteName};
use crate::error::{ExitCode, Failure};
use crate::ui::{Console, escape};

/// Most that is read of a project's own file, in bytes: they are small, and not ours.
const MAX_READ: u64 = 1 << 20;

/// Writes the file into `folder`, which must be absolute.
///
/// # Errors
/// [`Failure`] with the configuration's exit code when a file is there already, when no suite is
/// recognised, or when the file cannot be written.
pub fn run(console: &Console, folder: &Path) -> Result<ExitCode, Failure> {
    let file = folder.join(FILE_NAME);
    let shown = escape::terminal(file.as_os_str().as_encoded_bytes());
    // Asked first for its clear message; `create_new` below is what keeps the promise.
    if file.symlink_metadata().is_ok() {
        return Err(present(&shown));
    }
    let Some(suite) = recognise(folder) else {
        let message = format!("no pytest suite in `{}`", folder.display());
        return Err(Failure::new(ExitCode::Config, message)
            .hint("looked for pytest's section in pyproject.toml, pytest.ini, tox.ini and setup.cfg, for conftest.py and for test_*.py, also in packages")
            .hint("run `soakhound init` in the folder that you start pytest in"));
    };
    match write(&file, &contents(&suite)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(present(&shown)),
        Err(error) => {
            let message = format!("cannot write `{}`: {error}", file.display());
            return Err(Failure::new(ExitCode::Config, message));
        }
    }
    console.line(&format!("wrote {shown}"))?;
    console.line(&format!(
        "suite `{}`, runner {}, recognised by {}",
        suite.name, suite.runner, suite.evidence
    ))?;
    console.line("next: soakhound doctor")?;
    Ok(ExitCode::Fine)
}

fn present(shown: &str) -> Failure {
    Failure::new(
        ExitCode::Config,
        format!("`{shown}` is there already and stays as it is"),
    )
    .hint("edit it, or remove it first")
}

/// Writes a file that must not exist; a half-written one does not stay to block the next try.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let mut open = OpenOptions::new().write(true).create_new(true).open(file)?;
    let written = open
        .write_all(text.as_bytes())
        .and_then(|()| open.sync_all());
    if written.is_err() {
        fs::remove_file(file)?;
    }
    written
}

/// Deepest folder that is searched for tests: `src/group/package/tests` is the fourth.
const DEEPEST: usize = 4;
/// Most folders that are searched: `init` in a home folder shall end.
const MOST_FOLDERS: usize = 5000;

/// A suite that was found, and by what.
struct Suite {
    name: SuiteName,
    runner: Runner,
    evidence: &'static str,
}

fn recognise(folder: &Path) -> Option<Suite> {
    let pyproject = toml_table(&folder.join("pyproject.toml"));
    let evidence = evidence(folder, pyproject.as_ref())?;
    let declared = pyproject.as_ref().and_then(|table| {
        let name = table.get("project")?.get("name")?;
        name.as_str()?.parse().ok()
    });
    Some(Suite {
        name: declared.unwrap_or_else(|| folder_name(folder)),
        runner: Runner::Pytest,
        evidence,
    })
}

/// Returns by what the folder is a pytest project, the most explicit sign first.
fn evidence(folder: &Path, pyproject: Option<&toml::Table>) -> Option<&'static str> {
    let tool = pyproject.and_then(|table| table.get("tool")?.get("pytest"));
    let has_section = |file: &str, section: &str| {
        text(&folder.join(file))
            .is_some_and(|text| text.lines().any(|line| line.trim_end() == section))
    };
    if tool.is_some() {
        return Some("pyproject.toml");
    }
    if folder.join("pytest.ini").is_file() {
        return Some("pytest.ini");
    }
    if has_section("tox.ini", "[pytest]") {
        return Some("tox.ini");
    }
    if has_section("setup.cfg", "[tool:pytest]") {
        return Some("setup.cfg");
    }
    let places = ["", "tests", "test"].map(|place| folder.join(place));
    if places
        .iter()
        .any(|place| place.join("conftest.py").is_file())
    {
        return Some("conftest.py");
    }
    if places.iter().any(|place| has_test_file(place)) {
        return Some("its test files");
    }
    folders_below(folder)
        .iter()
        .any(|place| has_test_file(place))
        .then_some("the test files of its packages")
}

/// Returns the folders below this one that pytest would look into, nearest first.
fn folders_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut level = vec![folder.to_owned()];
    for _ in 0..DEEPEST {
        let mut next: Vec<PathBuf> = level.iter().flat_map(|at| folders_in(at)).collect();
        next.truncate(MOST_FOLDERS - found.len());
        found.extend_from_slice(&next);
        level = next;
    }
    found
}

/// Returns the folders directly in this one by name, without links and without those that hold no tests of a project's
/// own: pytest's `norecursedirs`, and where other tools keep what they fetch or make.
fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_foreign = matches!(
                &*name,
                "build" | "dist" | "node_modules" | "venv" | "site-packages" | "target"
            );
            !is_foreign && !name.starts_with('.') && !entry.path().join("pyvenv.cfg").is_file()
        })
        .map(|entry| entry.path())
        .collect();
    found.sort_unstable();
    found
}

fn has_test_file(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.filter_map(Result::ok).any(|entry| {
        let name = PathBuf::from(entry.file_name());
        let is_python = name.extension().is_some_and(|extension| extension == "py");
        let stem = name.file_stem().unwrap_or_default().to_string_lossy();
        is_python && (stem.starts_with("test_") || stem.ends_with("_test"))
    })
}

fn text(file: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(file)
        .ok()?
        .take(MAX_READ)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

fn toml_table(file: &Path) -> Option<toml::Table> {
    text(file)?.parse().ok()
}

/// Makes a suite's name of the folder's: what cannot stand in a name becomes a dash.
fn folder_name(folder: &Path) -> SuiteName {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let clean: String = name
        .chars()
        .map(|character| {
            if character.is_control() {
                '-'
            } else {
                character
            }
        })
        .take(100)
        .collect();
    clean
        .parse()
        .unwrap_or_else(|_| "suite".parse().expect("a plain word names a suite"))
}

/// Returns the text of the file: what must be said, then every other key as a comment with its default.
fn contents(suite: &Suite) -> String {
    let name = toml::Value::String(suite.name.to_string());
    let runner = suite.runner;
    format!(
        r#"# Configuration of Soakhound. Flags go over it; `soakhound hunt --help` lists them.
# Lines that begin with `#` show what holds when the key is left out.

[suite]
# The name and the runner make the suite's id: tokens and databases speak of that id, so keep them.
name = {name}
runner = "{runner}"
# Folder that the tests run in, from the folder of this file.
#root = "."
# Interpreter that runs them; without it, the project's own virtual environment or `python3`.
#python = ".venv/bin/python"
# Arguments for the runner, added to ours.
#args = []
# Variables that tests may see besides the built-in list.
#env_allow = []

[hunt]
# Containers at a time; without it, one per core.
#workers = 4
# Shards that your CI cuts the suite into; without it, the number of workers.
#ci_shards = 4
# Share of a hunt's time for questions of its own, 0.0 to 0.9.
#probe_share = 0.3
# Orders whose longest shard is predicted to take longer are not drawn.
#max_shard = "30m"
# Once its iterations are complete, a hunt goes on for open questions: for this share of the time they took.
#probe_limit = 0.5
# Programs with arguments to run for each flag, and when the hunt stops; they read JSON from their input.
#on_flag = []
#on_stop = []

[factors]
# Variables that each shard draws at random from a list, so that a hunt finds tests that depend on them.
#TZ = ["UTC", "Pacific/Kiritimati"]

[limits]
# A test that runs longer is killed and recorded as `timeout`.
#test = "10m"
# The same for a shard; without it, three times what is predicted, at least ten minutes.
#shard = "30m"
# Of one container. Without `memory`, the workers share 80 % of the machine's; without `cpus`, no limit.
#memory = "2GiB"
#cpus = 1.0
#pids = 512
#tmp = "1GiB"
# Failure text that is kept for a test.
#output_per_test = "256KiB"

[store]
# The database; without it, one per suite in the state folder (`~/.local/state/soakhound`).
#path = "hunt.db"
# Logs go when they are older than this, or when all take more than the budget.
#keep_logs = "28d"
#log_budget = "2GiB"
# A hunt stops before the disk has less space than this.
#min_free = "1GiB"

[report]
# Time zone in which weeks and nights are cut; without it, UTC.
#tz = "Europe/Berlin"
"#
    )
}
