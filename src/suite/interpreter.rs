//! Finds the Python that runs a suite and asks it where it and its packages live, so that an image can show them.
//!
//! [`Interpreter::discover`] runs that Python once, on the host. It imports nothing of the project and writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde::Deserialize;

/// Asks an interpreter about itself.
const QUESTION: &str = include_str!("interpreter.py");
/// What stands before the answer.
const MARK: &str = "\nsoakhound-interpreter:";
/// The test runner that must be installed.
const RUNNER: &str = "pytest";
/// The oldest major version of the runner whose hooks we know.
const OLDEST_RUNNER: u32 = 6;
/// Plugins that change order or processes; a hunt switches their effect off and says so.
const PLUGINS: [&str; 4] = [
    "pytest-random-order",
    "pytest-randomly",
    "pytest-rerunfailures",
    "pytest-xdist",
];
/// Longest answer that is read, in bytes: ten thousand import paths fit.
const MAX_ANSWER: u64 = 1 << 20;
/// Longest part of an interpreter's last words that is kept, in bytes.
const MAX_WORDS: usize = 2000;
/// Links followed from an executable to the real file; the kernel stops there too.
const MAX_LINKS: usize = 40;

/// Where to look for the interpreter.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Folder of the project.
    pub root: &'a Path,
    /// What the configuration says: a path, relative to the root, or a bare name to find on `path`.
    pub configured: Option<&'a Path>,
    /// The activated virtual environment, `$VIRTUAL_ENV`.
    pub virtual_env: Option<&'a Path>,
    /// Folders of programs, as in `$PATH`.
    pub path: &'a OsStr,
}

/// The Python of a suite, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// What to execute: in a virtual environment its own `bin/python`, never a shim.
    pub executable: PathBuf,
    /// Its version, such as `3.11.7`.
    pub version: String,
    /// Version of pytest.
    pub pytest: String,
    /// Versions of the installed plugins that meddle with order or processes, by name.
    pub plugins: BTreeMap<String, String>,
    /// The base of the user's own packages when the interpreter uses them: `PYTHONUSERBASE` of the runner.
    pub user_base: Option<PathBuf>,
    prefixes: Vec<PathBuf>,
    paths: Vec<PathBuf>,
}

/// Why there is no interpreter to run the suite with.
#[derive(Debug, thiserror::Error)]
pub enum InterpreterError {
    /// Nothing is where interpreters are.
    #[error("no Python found in {}", list(looked))]
    NotFound {
        /// All places that were tried, in order.
        looked: Vec<PathBuf>,
    },
    /// It is there but cannot be executed.
    #[error("cannot execute `{}`", python.display())]
    Execute {
        /// The interpreter.
        python: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ran and failed.
    #[error("`{}` ended with {status}: {words}", python.display())]
    Failed {
        /// The interpreter.
        python: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it printed to its standard error.
        words: String,
    },
    /// It did not print what was asked for, so it may be no Python, or have paths that are not UTF-8.
    #[error("`{}` does not answer as Python does", python.display())]
    Answer {
        /// The interpreter.
        python: PathBuf,
        /// What is wrong with the answer; `None` when there is none.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// Its packages do not include the runner.
    #[error(
        "no pytest in `{0}` (Python {version}); `{0} -m pip install pytest` installs it",
        python.display()
    )]
    NoRunner {
        /// The interpreter.
        python: PathBuf,
        /// Its version.
        version: String,
    },
    /// The runner is older than what we can drive.
    #[error(
        "pytest {found} in `{0}` is older than {OLDEST_RUNNER}.0; `{0} -m pip install --upgrade pytest` replaces it",
        python.display()
    )]
    OldRunner {
        /// The interpreter.
        python: PathBuf,
        /// The version found.
        found: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let quoted = paths.iter().map(|path| format!("`{}`", path.display()));
    quoted.collect::<Vec<_>>().join(", ")
}

/// What `interpreter.py` prints.
#[derive(Deserialize)]
struct Answer {
    executable: PathBuf,
    version: String,
    prefixes: Vec<PathBuf>,
    paths: Vec<PathBuf>,
    user_base: Option<PathBuf>,
    packages: BTreeMap<String, Option<String>>,
}

impl Interpreter {
    /// Finds the interpreter of a project and asks it about itself.
    ///
    /// The configured one, else the first that is there: `.venv`, `venv` and `env` of the project, the activated
    /// virtual environment, `python3` and `python` on the path. One that is there and useless is an error, not
    /// a reason to try the next: nobody would expect that one.
    ///
    /// # Errors
    /// [`InterpreterError`] says which one was tried and what to install.
    pub fn discover(search: &Search<'_>) -> Result<Self, InterpreterError> {
        let looked = candidates(search);
        // A dangling link is there: it is the environment that somebody must repair.
        let Some(python) = looked.iter().find(|path| path.symlink_metadata().is_ok()) else {
            return Err(InterpreterError::NotFound { looked });
        };
        let answer = ask(&real_folder(python), search.root)?;
        let python = answer.executable;
        let version = answer.version;
        let mut packages = answer.packages;
        let Some(pytest) = packages.remove(RUNNER).flatten() else {
            return Err(InterpreterError::NoRunner { python, version });
        };
        let major = pytest
            .split('.')
            .next()
            .and_then(|major| major.parse().ok());
        if major.is_some_and(|major: u32| major < OLDEST_RUNNER) {
            let found = pytest;
            return Err(InterpreterError::OldRunner { python, found });
        }
        let installed = packages
            .into_iter()
            .filter_map(|(name, v)| Some((name, v?)));
        Ok(Self {
            executable: python,
            version,
            pytest,
            plugins: installed.collect(),
            user_base: answer.user_base,
            prefixes: answer.prefixes,
            paths: answer.paths,
        })
    }

    /// Returns all paths that must be visible where the interpreter is to run, sorted: its prefixes, its import
    /// paths, the executable and every link on the way to the real file.
    #[must_use]
    pub fn needs(&self) -> Vec<PathBuf> {
        let mut needs: BTreeSet<_> = self.prefixes.iter().chain(&self.paths).cloned().collect();
        needs.extend(links(&self.executable));
        needs.retain(|path| path.is_absolute());
        needs.into_iter().collect()
    }

    /// Returns the folders outside the project and all environments that it imports from, such as a development
    /// install of another project: no snapshot holds them, so edits there reach a running hunt.
    #[must_use]
    pub fn live_imports(&self, root: &Path) -> Vec<PathBuf> {
        let known = |path: &&PathBuf| {
            let mut known = self.prefixes.iter().chain(&self.user_base);
            path.starts_with(root) || known.any(|known| path.starts_with(known))
        };
        let live = self.paths.iter().filter(|path| !known(path));
        live.cloned().collect()
    }

    /// Returns the environments that lie below the project's canonical root, sorted: git may ignore them, a
    /// snapshot must not.
    #[must_use]
    pub fn environments_below(&self, root: &Path) -> Vec<PathBuf> {
        let below = self.prefixes.iter().filter(|path| path.starts_with(root));
        let below: BTreeSet<_> = below.cloned().collect();
        below.into_iter().collect()
    }
}

/// Lists where the interpreter may be, best first.
fn candidates(search: &Search<'_>) -> Vec<PathBuf> {
    let on_path = |name: &OsStr| -> Vec<PathBuf> {
        let folders = std::env::split_paths(search.path).filter(|f| f.is_absolute());
        folders.map(|folder| folder.join(name)).collect()
    };
    if let Some(configured) = search.configured {
        return if configured.components().count() == 1 && !search.root.join(configured).exists() {
            on_path(configured.as_os_str())
        } else {
            vec![search.root.join(configured)]
        };
    }
    let environments = [".venv", "venv", "env"].map(|name| search.root.join(name));
    let environments = environments.iter().map(PathBuf::as_path);
    let mut found: Vec<_> = environments
        .chain(search.virtual_env)
        .map(|environment| environment.join("bin/python"))
        .collect();
    found.extend(
        ["python3", "python"]
            .iter()
            .flat_map(|name| on_path(OsStr::new(name))),
    );
    found
}

/// Returns a program under its folder's real name, itself still a link: a virtual environment goes by that, and
/// would else report a path that does not lie in the project.
fn real_folder(program: &Path) -> PathBuf {
    let folder = program
        .parent()
        .and_then(|folder| folder.canonicalize().ok());
    let name = program.file_name().unwrap_or_default();
    folder.map_or_else(|| program.to_owned(), |folder| folder.join(name))
}

/// Runs an interpreter once. The folder matters: version managers choose by it.
fn ask(python: &Path, root: &Path) -> Result<Answer, InterpreterError> {
    let execute = |source| InterpreterError::Execute {
        python: python.to_owned(),
        source,
    };
    // `-E` and not `-I`: with that, an interpreter denies the user's packages that its runner would use.
    let mut child = Command::new(python)
        .args(["-E", "-B", "-c", QUESTION, RUNNER])
        .args(PLUGINS)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(execute)?;
    let (mut printed, mut words) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let errors = child.stderr.take();
        let errors = scope.spawn(|| read_capped(errors, &mut words));
        let answer = read_capped(child.stdout.take(), &mut printed);
        let errors = errors
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        answer.and(errors)
    })
    .map_err(execute)?;
    let status = child.wait().map_err(execute)?;
    let python = python.to_owned();
    if !status.success() {
        let words = String::from_utf8_lossy(&words[words.len().saturating_sub(MAX_WORDS)..]);
        let words = words.trim().to_owned();
        return Err(InterpreterError::Failed {
            python,
            status,
            words,
        });
    }
    let printed = String::from_utf8_lossy(&printed);
    let Some((_, answer)) = printed.rsplit_once(MARK) else {
        let source = None;
        return Err(InterpreterError::Answer { python, source });
    };
    serde_json::from_str(answer).map_err(|error| InterpreterError::Answer {
        python,
        source: Some(error),
    })
}

/// Keeps the first bytes and throws the rest away, so that a chatterbox neither fills memory nor blocks.
fn read_capped(from: Option<impl Read>, kept: &mut Vec<u8>) -> io::Result<()> {
    let Some(mut from) = from else {
        return Ok(());
    };
    (&mut from).take(MAX_ANSWER).read_to_end(kept)?;
    io::copy(&mut from, &mut io::sink()).map(drop)
}

/// Returns a path and what it links to, link by link, down to the real file.
fn links(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    for _ in 0..MAX_LINKS {
        let Some(last) = found.last() else { break };
        let Ok(target) = last.read_link() else { break };
        let next = last.parent().map_or(target.clone(), |p| p.join(target));
        found.push(tidy(&next));
    }
    found
}

/// Takes `..` out of a path whose folders are no links where it matters; a wrong result only is a path too many.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        if part == std::path::Component::ParentDir {
            tidied.pop();
        } else {
            tidied.push(part);
        }
    }
    tidied
}

#[cfg(test)]
mod tests;
