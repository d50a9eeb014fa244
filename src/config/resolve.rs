//! Joins flags, environment and defaults to what the file says, and checks the whole.

use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::fault::{ConfigError, Problem, Source};
use super::file::{self, File};
use super::machine::Machine;
use super::settings::{
    Environment, HuntSettings, Limits, Overrides, ReportSettings, Settings, ShardLimit,
    StoreSettings, SuiteSettings,
};
use super::units::{ByteSize, Period};
use crate::model::SuiteId;

/// Tests that hang end here; long enough for slow integration tests, and a hang costs one of these per pass.
const TEST_LIMIT: &str = "10m";
/// Shortest default limit of a shard: below it, a start on a loaded machine looks like a hang.
const LEAST_SHARD_LIMIT: Duration = Duration::from_mins(10);
/// Part of a hunt's time for questions of its own.
const PROBE_SHARE: f64 = 0.3;
/// Share of a hunt's time that its open questions may take once its iterations are complete.
const PROBE_LIMIT: f64 = 0.5;
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
            factors: read.factors,
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
    Ok(SuiteSettings {
        id: SuiteId::of(read.name.as_str(), read.runner.word()),
        name: read.name.clone(),
        root,
        runner: read.runner,
        python: from_flag.or(from_file),
        args: texts(read.args.as_ref()),
        env_allow: texts(read.env_allow.as_ref()),
    })
}

fn texts(list: Option<&Spanned<Vec<String>>>) -> Vec<String> {
    list.map(|list| list.get_ref().clone()).unwrap_or_default()
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
        probe_limit: read
            .probe_limit
            .as_ref()
            .map_or(PROBE_LIMIT, |share| *share.get_ref()),
        on_flag: texts(read.on_flag.as_ref()),
        on_stop: texts(read.on_stop.as_ref()),
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
