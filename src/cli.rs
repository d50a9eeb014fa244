//! The command line: clap's types and the help text, nothing else.
//!
//! [`parse`] turns arguments into a [`Cli`] or into the end of the process; what a flag means is decided
//! in `config` and the commands.

mod man;

use std::ffi::OsString;
use std::fmt;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::config::{Overrides, Period, TimeOfDay};
use crate::error::ExitCode;
use crate::report::Week;
use crate::ui::{ColourChoice, Verbosity};

pub use man::{ManPage, man};

/// Hunts flaky tests: soaks a suite in parallel containers and replays any order from a token
#[derive(Debug, Parser)]
#[command(
    name = "soakhound",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(after_help = "Exit codes and a tour: see the README. Start with `soakhound init`.")]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Args, Debug)]
pub struct Global {
    /// Read this configuration [default: soakhound.toml here or in a folder above]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub config: Option<PathBuf>,
    /// Use this database [default: `SOAKHOUND_DB`, the configuration, or the state folder]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub db: Option<PathBuf>,
    /// Work as if started in this folder
    #[arg(
        short = 'C',
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub directory: Option<PathBuf>,
    /// Say more on stderr; twice for every container
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// Say nothing on stderr but warnings and errors
    #[arg(
        long,
        global = true,
        conflicts_with = "verbose",
        help_heading = "Global options"
    )]
    pub quiet: bool,
    /// Use colour: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        hide_possible_values = true,
        default_value_t,
        help_heading = "Global options"
    )]
    pub color: When,
}

impl Global {
    /// Returns how much is said on stderr.
    #[must_use]
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        }
    }

    /// Returns the file's overrides that every command may bring.
    fn overrides(&self) -> Overrides {
        Overrides {
            config: self.config.clone(),
            db: self.db.clone(),
            ..Overrides::default()
        }
    }
}

/// When colour is used.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Whatever the output is
    Always,
    /// Not at all
    Never,
}

impl From<When> for ColourChoice {
    fn from(when: When) -> Self {
        match when {
            When::Auto => Self::Auto,
            When::Always => Self::Always,
            When::Never => Self::Never,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find the suite here and write a commented soakhound.toml
    Init,
    /// Check whether this machine can run containers, and say what to do if not
    Doctor(DoctorArgs),
    /// List the tests as a hunt sees them
    List(ListArgs),
    /// Run the suite once in parallel containers, balanced by duration
    Run(RunArgs),
    /// Run the suite over and over in seeded random orders, and record every outcome
    Hunt(HuntArgs),
    /// Show whether a hunt is alive, how far it is and what it saw
    Status(StatusArgs),
    /// List the flaky tests that were found, with their causes and what replays them
    Flags(FlagsArgs),
    /// Show all evidence about one test
    Show(ShowArgs),
    /// Run the order of a token again and compare what it shows with the record
    Replay(ReplayArgs),
    /// Find the smallest order that still fails, now
    Minimize(MinimizeArgs),
    /// Write the weekly fragility report as HTML, Markdown and JSON
    Report(ReportArgs),
    /// Write what was found for other programs, or what another machine needs to replay
    Export(ExportArgs),
    /// Look after the database
    Db {
        /// What to do with it.
        #[command(subcommand)]
        command: DbCommand,
    },
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
}

/// Flags of commands that start the runner.
#[derive(Args, Debug, Default)]
pub struct RunnerArgs {
    /// Run the tests with this interpreter [default: the configuration, or the project's own]
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,
}

/// Flags of commands that use several containers.
#[derive(Args, Debug, Default)]
pub struct WorkerArgs {
    /// Run this many containers at a time [default: the configuration, or one per core]
    #[arg(long, value_name = "N")]
    pub workers: Option<NonZeroU16>,
}

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// The runner's flags.
    #[command(flatten)]
    pub runner: RunnerArgs,
    /// Answer with one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// The runner's flags.
    #[command(flatten)]
    pub runner: RunnerArgs,
    /// Answer with one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The containers' flags.
    #[command(flatten)]
    pub workers: WorkerArgs,
    /// The runner's flags.
    #[command(flatten)]
    pub runner: RunnerArgs,
    /// File for the results, as CI servers read them.
    #[arg(
        long,
        value_name = "FILE",
        help = "Write the results to this file as JUnit XML"
    )]
    pub junit: Option<PathBuf>,
    /// Draw the environment of the shards from this seed [default: from the system]
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Answer with one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `hunt`.
#[derive(Args, Debug)]
pub struct HuntArgs {
    /// Stop after this long, such as 8h [default: go on until stopped]
    #[arg(long = "for", value_name = "TIME", value_parser = some_time, conflicts_with_all = ["until", "iterations"])]
    pub duration: Option<Period>,
    /// Stop at this local time, such as 06:00
    #[arg(long, value_name = "HH:MM", conflicts_with = "iterations")]
    pub until: Option<TimeOfDay>,
    /// Stop when the hunt has this many complete iterations, those before a resume included
    #[arg(long, value_name = "N")]
    pub iterations: Option<NonZeroU64>,
    /// The containers' flags.
    #[command(flatten)]
    pub workers: WorkerArgs,
    /// The runner's flags.
    #[command(flatten)]
    pub runner: RunnerArgs,
    /// Draw every order from this master seed [default: from the system, and printed]
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Start another hunt instead of resuming the last unfinished one
    #[arg(long)]
    pub new: bool,
    /// Go on for open questions after the last iteration, for this share of the time so far [default: the
    /// configuration, or 0.5]
    #[arg(long, value_name = "SHARE", value_parser = some_share)]
    pub probe_limit: Option<f64>,
    /// Run this shell command for each flag that is certified; it reads the flag as JSON from its input
    #[arg(long, value_name = "CMD")]
    pub on_flag: Option<String>,
    /// Run this shell command when the hunt stops; it reads the summary as JSON from its input
    #[arg(long, value_name = "CMD")]
    pub on_stop: Option<String>,
    /// End with 1 when there is a certified flag that needs action: any, or only new ones
    #[arg(long, value_name = "new|any", value_enum, hide_possible_values = true)]
    pub fail_on: Option<FailOn>,
    /// Answer with one JSON object at the end
    #[arg(long)]
    pub json: bool,
}

/// Which flags make a command end with 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Those first certified by the newest hunt, or in the time of `--since`
    New,
    /// All that are certified and open
    Any,
}

/// Arguments of `status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Show the tokens of this many newest finished shards, failing or not
    #[arg(long, value_name = "N")]
    pub shards: Option<NonZeroU32>,
    /// Answer with one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `flags`.
#[derive(Args, Debug)]
pub struct FlagsArgs {
    /// List only what was raised or seen in this time, such as 7d [default: all time]
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    pub since: Option<Period>,
    /// List every flag in full, also each victim of one polluter and what needs no action
    #[arg(long)]
    pub all: bool,
    /// End with 1 when there is a certified flag that needs action: any, or only new ones
    #[arg(long, value_name = "new|any", value_enum, hide_possible_values = true)]
    pub fail_on: Option<FailOn>,
    /// Answer with one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Show the test with this name or handle
    #[arg(value_name = "TEST|HANDLE")]
    pub test: OsString,
    /// Answer with one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Report on this ISO week, such as 2026-W47 [default: the last complete one]
    #[arg(long, value_name = "WEEK", conflicts_with_all = ["since", "until"])]
    pub week: Option<Week>,
    /// Report on the time from this moment on, such as 2026-11-16 or 2026-11-16T06:00
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// Report on the time up to this moment [default: now]
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
    /// Know nothing of what came after this moment [default: now]
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<Moment>,
    /// Write the files into this folder [default: here]
    #[arg(long, value_name = "DIR", conflicts_with = "json")]
    pub out: Option<PathBuf>,
    /// End with 1 when there is a certified flag that needs action: any, or only new ones
    #[arg(long, value_name = "new|any", value_enum, hide_possible_values = true)]
    pub fail_on: Option<FailOn>,
    /// Write no files, answer with one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print the JSON Schema of the report and do nothing else
    #[arg(long, conflicts_with_all = ["json", "out"])]
    pub schema: bool,
}

/// A day or a time of day in the zone of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub jiff::civil::DateTime);

/// Text that is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a day such as 2026-11-16, or a time such as 2026-11-16T06:00")]
pub struct InvalidMoment;

impl FromStr for Moment {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        // An offset or a `Z` would contradict the zone that days are cut in.
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"-T:".contains(&b));
        plain
            .then(|| text.parse().ok())
            .flatten()
            .map(Self)
            .ok_or(InvalidMoment)
    }
}

/// Arguments of `minimize`.
#[derive(Args, Debug)]
pub struct MinimizeArgs {
    /// Begin with the order of this token, or with what is on record about this test
    #[arg(value_name = "TOKEN|TEST", required_unless_present = "order")]
    pub subject: Option<OsString>,
    /// Begin with the order in this file: a name a line, the failing test last
    #[arg(long, value_name = "FILE", conflicts_with = "subject")]
    pub order: Option<PathBuf>,
    /// Minimize the failure of this test, where several fail in the order
    #[arg(long, value_name = "TEST|HANDLE")]
    pub test: Option<OsString>,
    /// Stop after this long with what is known by then [default: 30m]
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    pub limit: Option<Period>,
    /// The containers' flags.
    #[command(flatten)]
    pub workers: WorkerArgs,
    /// The runner's flags.
    #[command(flatten)]
    pub runner: RunnerArgs,
    /// Answer with one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// Write what was found as junit, csv, ndjson, sarif, github (annotations) or prometheus (a text file)
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        hide_possible_values = true,
        required_unless_present = "repro",
        conflicts_with = "repro"
    )]
    pub format: Option<ExportFormat>,
    /// Write what this token needs, so that it replays without this database
    #[arg(long, value_name = "TOKEN")]
    pub repro: Option<String>,
    /// Export only what was raised or seen in this time, such as 7d [default: all flags; of test results, those
    /// of the newest hunt]
    #[arg(long, value_name = "TIME", value_parser = some_time, conflicts_with = "repro")]
    pub since: Option<Period>,
    /// Write to this file, which must not exist [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What other programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A test per case, with marks where it is flaky
    Junit,
    /// A flag per row
    Csv,
    /// A flag per line, as JSON
    Ndjson,
    /// A flag per result, as SARIF 2.1.0
    Sarif,
    /// Workflow commands that annotate files
    Github,
    /// Figures for a textfile collector
    Prometheus,
}

/// Arguments of `man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write the page of every command into this folder, which is made [default: the main page to stdout]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Arguments of `replay`.
#[derive(Args, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub struct ReplayArgs {
    /// Replay the order that this token names
    #[arg(value_name = "TOKEN", required_unless_present = "from")]
    pub token: Option<String>,
    /// Take the order from this file, as `export --repro` wrote it
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Repeat this often, or `auto` for as often as the record calls for
    #[arg(long, value_name = "N|auto", default_value_t)]
    pub repeat: Repeat,
    /// Count failures of this test alone [default: the test that the token is about, or those that failed on record]
    #[arg(long, value_name = "TEST|HANDLE")]
    pub test: Option<OsString>,
    /// Afterwards open a shell in such a container, with the order ready to be run by hand
    #[arg(long, conflicts_with = "json")]
    pub shell: bool,
    /// Run without a container, and say what that loses
    #[arg(long, conflicts_with = "shell")]
    pub local: bool,
    /// Treat a changed suite as inconclusive
    #[arg(long)]
    pub strict: bool,
    /// The runner's flags.
    #[command(flatten)]
    pub runner: RunnerArgs,
    /// Answer with one JSON object
    #[arg(long)]
    pub json: bool,
}

/// How often a replay runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// As often as the recorded failure rate calls for.
    Auto,
    /// This often.
    Times(NonZeroU32),
}

/// The most repetitions that a replay takes.
const MOST_REPEATS: u32 = 100_000;

/// Text that is neither `auto` nor a number of repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `auto` or a number from 1 to {MOST_REPEATS}")]
pub struct InvalidRepeat;

impl Default for Repeat {
    fn default() -> Self {
        Self::Times(NonZeroU32::MIN)
    }
}

impl FromStr for Repeat {
    type Err = InvalidRepeat;

    fn from_str(text: &str) -> Result<Self, InvalidRepeat> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse::<NonZeroU32>()
            .ok()
            .filter(|times| times.get() <= MOST_REPEATS)
            .map(Self::Times)
            .ok_or(InvalidRepeat)
    }
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Times(times) => write!(f, "{times}"),
        }
    }
}

/// Reads a time to hunt for; a hunt of no time would only look like one.
fn some_time(text: &str) -> Result<Period, Box<dyn std::error::Error + Send + Sync>> {
    let period: Period = text.parse()?;
    if period.duration().is_zero() {
        return Err("must be longer than nothing".into());
    }
    Ok(period)
}

/// The largest share that `--probe-limit` takes, as in the configuration.
const MOST_SHARE: f64 = 10.0;

/// Reads a share of the time.
fn some_share(text: &str) -> Result<f64, Box<dyn std::error::Error + Send + Sync>> {
    let share: f64 = text.parse()?;
    if (0.0..=MOST_SHARE).contains(&share) {
        Ok(share)
    } else {
        Err("must be a share from 0.0 to 10.0".into())
    }
}

/// What `db` does.
#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Check the database for damage and for broken promises
    Check(DbCheckArgs),
    /// Write a copy of the database that is whole, even while a hunt runs
    Backup(DbBackupArgs),
}

/// Arguments of `db check`.
#[derive(Args, Debug)]
pub struct DbCheckArgs {
    /// Answer with one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `db backup`.
#[derive(Args, Debug)]
pub struct DbBackupArgs {
    /// Write the copy to this file, which must not exist
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// Name the shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

impl Cli {
    /// Returns what the flags say over the configuration file.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        let (workers, runner) = match &self.command {
            Command::Run(run) => (run.workers.workers, Some(&run.runner)),
            Command::Hunt(hunt) => (hunt.workers.workers, Some(&hunt.runner)),
            Command::List(list) => (None, Some(&list.runner)),
            Command::Replay(replay) => (None, Some(&replay.runner)),
            Command::Minimize(minimize) => (minimize.workers.workers, Some(&minimize.runner)),
            Command::Doctor(doctor) => (None, Some(&doctor.runner)),
            Command::Init
            | Command::Status(_)
            | Command::Flags(_)
            | Command::Show(_)
            | Command::Report(_)
            | Command::Export(_)
            | Command::Db { .. }
            | Command::Completions(_)
            | Command::Man(_) => (None, None),
        };
        Overrides {
            workers,
            python: runner.and_then(|runner| runner.python.clone()),
            ..self.global.overrides()
        }
    }
}

/// The command line ended the process: help, version, or a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyEnd {
    /// What to show, without colour.
    pub text: String,
    /// [`ExitCode::Fine`] for what was asked for, which goes to stdout; otherwise [`ExitCode::Usage`], to stderr.
    pub exit: ExitCode,
}

/// Reads the arguments, the program's name first.
///
/// # Errors
/// [`EarlyEnd`] for help, version and every mistake: clap's own exit code 2 never leaves this function.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, EarlyEnd> {
    Cli::try_parse_from(arguments).map_err(|error| {
        let asked_for = matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        );
        EarlyEnd {
            text: error.render().to_string(),
            exit: if asked_for {
                ExitCode::Fine
            } else {
                ExitCode::Usage
            },
        }
    })
}

/// Returns the script that completes our command line in a shell.
#[must_use]
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "soakhound", &mut script);
    script
}
