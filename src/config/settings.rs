//! [`Settings`]: everything that a command may know of the file, the flags and the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::model::{SuiteId, UnknownWord};

/// The variables of the process, as they were when it started.
pub type Environment = BTreeMap<OsString, OsString>;

/// A shard may take this many times its prediction before it counts as hanging.
const SHARD_SLACK: u32 = 3;

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
    /// Section `[factors]`, sorted by name.
    pub factors: Vec<Factor>,
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
    /// How long a hunt whose iterations are complete goes on for its open questions, as a share of the time that
    /// those took.
    pub probe_limit: f64,
    /// Program and arguments to run for each flag; empty for none.
    pub on_flag: Vec<String>,
    /// Program and arguments to run when a hunt stops; empty for none.
    pub on_stop: Vec<String>,
}

/// One entry of section `[factors]`: a variable of the environment that every shard draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factor {
    /// Name of the variable.
    pub name: String,
    /// What it can be, each with the same probability; at least one, all different.
    pub levels: Vec<String>,
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
    /// Time zone of dates in reports, by its IANA name; `None` for UTC.
    pub tz: Option<String>,
}
