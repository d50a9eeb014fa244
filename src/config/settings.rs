//! [`Settings`]: everything that a command may know of the file, the flags and the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;

use super::fault::{ConfigError, Problem, Source};
use super::file::{self, File};
use super::machine::Machine;
use super::units::{ByteSize, Period};
use crate::model::{SuiteId, UnknownWord};

/// The variables of the process, as they were when it started.
pub type Environment = BTreeMap<OsString, OsString>;

/// Tests that hang end here; long enough for slow integration tests, and a hang costs one of these per pass.
const TEST_LIMIT: &str = "10m";
/// Shortest default limit of a shard: below it, a start on a loaded machine looks like a hang.
const LEAST_SHARD_LIMIT: Duration = Duration::from_mins(10);
/// A shard may take this many times its prediction before it counts as hanging.
const SHARD_SLACK: u32 = 3;
/// Part of a hunt's time for questions of its own (design: `probe_share`).
const PROBE_SHARE: f64 = 0.3;
/// Layouts predicted to take longer are not drawn: an interrupted shard this long is a real loss.
const MAX_SHARD: &str = "30m";
/// Enough for a suite that starts servers, and few enough that a fork bomb stays small.
const PIDS: u32 = 512;
/// Size of a container's own `/tmp`, in memory.
const TMP: &str = "1GiB";
/// Failure text kept per test: what people read is at its two ends.
const OUTPUT_PER_TEST: &str = "256KiB";
/// Logs are kept for four weeks, to compare a month of nights.
const KEEP_LOGS: &str = "28d";
/// Logs of all hunts together; the oldest go first.
const LOG_BUDGET: &str = "2GiB";
/// A hunt stops before the disk is this full, so that what it must write still fits.
const MIN_FREE: &str = "1GiB";
/// Share of the machine's memory that all workers together may use, in percent: the rest is for the host and the store.
const MEMORY_PERCENT: u64 = 80;

/// The name of a suite: 1 to 100 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SuiteName(String);

/// Text that cannot name a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a suite's name has 1 to 100 characters and no control characters")]
pub struct InvalidSuiteName;

impl SuiteName {
    const LONGEST: usize = 100;

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SuiteName {
    type Err = InvalidSuiteName;

    fn from_str(text: &str) -> Result<Self, InvalidSuiteName> {
        let fits = (1..=Self::LONGEST).contains(&text.chars().count());
        if fits && !text.trim().is_empty() && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSuiteName)
        }
    }
}

impl fmt::Display for SuiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The program that lists and runs the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runner {
    /// pytest, in the project's own interpreter.
    Pytest,
}

impl Runner {
    /// Every runner's word, as the file writes it.
    pub const WORDS: &'static [&'static str] = &["pytest"];

    /// Returns the word that the file, the suite id and the output use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pytest => "pytest",
        }
    }
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Runner {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "pytest" => Ok(Self::Pytest),
            other => Err(UnknownWord {
                kind: "runner",
                word: other.to_owned(),
            }),
        }
    }
}

/// What flags say over the file; `None` where no flag was given. Relative paths count from the start folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--db`.
    pub db: Option<PathBuf>,
    /// `--workers`.
    pub workers: Option<NonZeroU16>,
    /// `--python`.
    pub python: Option<PathBuf>,
}

/// Everything that decides how a suite is hunted, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The configuration file, absolute where the start folder was.
    pub file: PathBuf,
    /// What is tested, and how it is asked.
    pub suite: SuiteSettings,
    /// How a hunt goes about it.
    pub hunt: HuntSettings,
    /// What a test, a shard and a container may use.
    pub limits: Limits,
    /// Where the results go.
    pub store: StoreSettings,
    /// How results are shown.
    pub report: ReportSettings,
}

/// Section `[suite]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteSettings {
    /// The suite's name; with the runner it makes the id.
    pub name: SuiteName,
    /// Which suite tokens and databases speak of.
    pub id: SuiteId,
    /// The existing folder that tests run in.
    pub root: PathBuf,
    /// The program that runs them.
    pub runner: Runner,
    /// The interpreter: a path, or a bare name for `PATH`; `None` leaves the choice to the runner.
    pub python: Option<PathBuf>,
    /// Arguments added to the runner's own.
    pub args: Vec<String>,
    /// Names of variables that tests may see besides the built-in list.
    pub env_allow: Vec<String>,
}

/// Section `[hunt]`.
#[derive(Clone, Debug, PartialEq)]
pub struct HuntSettings {
    /// Containers at a time.
    pub workers: NonZeroU16,
    /// Shards that the suite's CI cuts it into.
    pub ci_shards: NonZeroU16,
    /// Share of the time that probes may take, `0.0..=0.9`.
    pub probe_share: f64,
    /// Layouts with a longer predicted shard are not drawn.
    pub max_shard: Duration,
}

/// Section `[limits]`: for one container, unless it says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Longest time for one test.
    pub test: Duration,
    /// Longest time for one shard.
    pub shard: ShardLimit,
    /// Memory in bytes.
    pub memory: u64,
    /// Cores' worth of CPU time; `None` for no limit.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub pids: u32,
    /// Size of `/tmp` in bytes.
    pub tmp: u64,
    /// Failure text kept per test, in bytes.
    pub output_per_test: u64,
}

/// How long a shard may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardLimit {
    /// A multiple of what its tests took before, never below a floor.
    Predicted {
        /// The least it is: the limit of one test, or more.
        floor: Duration,
    },
    /// What the file says.
    Fixed(Duration),
}

impl ShardLimit {
    /// Returns the limit of a shard that is predicted to take this long; `None` when nothing is known yet.
    /// Without a prediction only the tests' own limits hold: `None`.
    #[must_use]
    pub fn of(self, predicted: Option<Duration>) -> Option<Duration> {
        match self {
            Self::Fixed(limit) => Some(limit),
            Self::Predicted { floor } => {
                predicted.map(|time| time.saturating_mul(SHARD_SLACK).max(floor))
            }
        }
    }
}

/// Section `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The database file.
    pub path: PathBuf,
    /// How long logs are kept.
    pub keep_logs: Duration,
    /// Most that all logs may take, in bytes.
    pub log_budget: u64,
    /// Disk space in bytes below which a hunt stops.
    pub min_free: u64,
}

/// Section `[report]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSettings {
    /// Time zone of dates in reports, by its IANA name; `None` for the system's.
    pub tz: Option<String>,
}

impl Settings {
    /// Finds and reads the file for `start`, and joins flags, environment and defaults to it.
    ///
    /// # Errors
    /// [`ConfigError`] when there is no file, or when something in it is wrong.
    pub fn load(
        start: &Path,
        flags: &Overrides,
        environment: &Environment,
        machine: Machine,
    ) -> Result<Self, ConfigError> {
        let file = match &flags.config {
            Some(file) => start.join(file),
            None => super::find(start).ok_or_else(|| ConfigError::Missing {
                start: start.to_owned(),
            })?,
        };
        let source = file::load(&file)?;
        let read = file::read(&source)?;
        let folder = file.parent().unwrap_or(start);
        let suite = suite(&source, folder, &read, start, flags)?;
        let hunt = hunt(&read, flags, machine);
        let limits = limits(&source, &read, hunt.workers, machine)?;
        let path = store_path(start, folder, &read, flags, environment, suite.id)?;
        Ok(Self {
            suite,
            hunt,
            limits,
            store: StoreSettings {
                path,
                keep_logs: period(read.keep_logs.as_ref(), KEEP_LOGS),
                log_budget: size(read.log_budget.as_ref(), LOG_BUDGET),
                min_free: size(read.min_free.as_ref(), MIN_FREE),
            },
            report: ReportSettings {
                tz: read.tz.map(Spanned::into_inner),
            },
            file,
        })
    }
}

fn suite(
    source: &Source,
    folder: &Path,
    read: &File,
    start: &Path,
    flags: &Overrides,
) -> Result<SuiteSettings, ConfigError> {
    let root = match &read.root {
        None => folder.to_owned(),
        Some(root) => {
            let path: PathBuf = folder.join(root.get_ref()).components().collect();
            if !path.is_dir() {
                return Err(source.fault(root.span(), Problem::RootIsNoFolder { path }));
            }
            path
        }
    };
    let from_file = read
        .python
        .as_ref()
        .map(|python| located(folder, Path::new(python.get_ref())));
    let from_flag = flags.python.as_ref().map(|python| located(start, python));
    let list = |list: &Option<Spanned<Vec<String>>>| {
        list.as_ref()
            .map(|list| list.get_ref().clone())
            .unwrap_or_default()
    };
    Ok(SuiteSettings {
        id: SuiteId::of(read.name.as_str(), read.runner.word()),
        name: read.name.clone(),
        root,
        runner: read.runner,
        python: from_flag.or(from_file),
        args: list(&read.args),
        env_allow: list(&read.env_allow),
    })
}

/// Joins a program's path to its folder; a bare name is left for `PATH`.
fn located(folder: &Path, program: &Path) -> PathBuf {
    if program.components().count() == 1 && program.is_relative() {
        program.to_owned()
    } else {
        folder.join(program)
    }
}

fn hunt(read: &File, flags: &Overrides, machine: Machine) -> HuntSettings {
    let count = |value: &Option<Spanned<u16>>| {
        value
            .as_ref()
            .and_then(|value| NonZeroU16::new(*value.get_ref()))
    };
    let workers = flags
        .workers
        .or(count(&read.workers))
        .unwrap_or(machine.cores);
    HuntSettings {
        workers,
        ci_shards: count(&read.ci_shards).unwrap_or(workers),
        probe_share: read
            .probe_share
            .as_ref()
            .map_or(PROBE_SHARE, |share| *share.get_ref()),
        max_shard: period(read.max_shard.as_ref(), MAX_SHARD),
    }
}

fn limits(
    source: &Source,
    read: &File,
    workers: NonZeroU16,
    machine: Machine,
) -> Result<Limits, ConfigError> {
    let test = period(read.test.as_ref(), TEST_LIMIT);
    let shard = match &read.shard {
        None => ShardLimit::Predicted {
            floor: LEAST_SHARD_LIMIT.max(test),
        },
        Some(shard) if shard.get_ref().duration() < test => {
            let default: Period = TEST_LIMIT.parse().expect("the default is a valid duration");
            let test = read.test.as_ref().map_or(default, |test| *test.get_ref());
            let problem = Problem::ShardBelowTest {
                shard: *shard.get_ref(),
                test,
            };
            return Err(source.fault(shard.span(), problem));
        }
        Some(shard) => ShardLimit::Fixed(shard.get_ref().duration()),
    };
    let of_each = machine.memory / 100 * MEMORY_PERCENT / u64::from(workers.get());
    Ok(Limits {
        test,
        shard,
        memory: read
            .memory
            .as_ref()
            .map_or(of_each, |memory| memory.get_ref().bytes()),
        cpus: read.cpus.as_ref().map(|cpus| *cpus.get_ref()),
        pids: read.pids.as_ref().map_or(PIDS, |pids| *pids.get_ref()),
        tmp: size(read.tmp.as_ref(), TMP),
        output_per_test: size(read.output_per_test.as_ref(), OUTPUT_PER_TEST),
    })
}

fn period(value: Option<&Spanned<Period>>, default: &str) -> Duration {
    let period = value.map_or_else(
        || default.parse().expect("the defaults are valid durations"),
        |value| *value.get_ref(),
    );
    period.duration()
}

fn size(value: Option<&Spanned<ByteSize>>, default: &str) -> u64 {
    let size = value.map_or_else(
        || default.parse().expect("the defaults are valid sizes"),
        |value| *value.get_ref(),
    );
    size.bytes()
}

/// Takes the flag, then `SOAKHOUND_DB`, then the file, then the state folder.
fn store_path(
    start: &Path,
    folder: &Path,
    read: &File,
    flags: &Overrides,
    environment: &Environment,
    suite: SuiteId,
) -> Result<PathBuf, ConfigError> {
    let variable = |name: &str| {
        environment
            .get(&OsString::from(name))
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(path) = flags.db.clone().or_else(|| variable("SOAKHOUND_DB")) {
        return Ok(start.join(path));
    }
    if let Some(path) = &read.store_path {
        return Ok(folder.join(path.get_ref()));
    }
    // The XDG specification has relative paths ignored.
    let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .ok_or(ConfigError::NoStateFolder)?;
    Ok(state
        .join("soakhound")
        .join(suite.to_string())
        .join("hunt.db"))
}
