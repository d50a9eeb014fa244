//! Reads `soakhound.toml` into checked, optional values, each with its place. Knows no defaults.
//!
//! The keys are read by hand rather than derived, because every error names the place, the valid
//! choices and the nearest one.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::factors;
use super::fault::{ConfigError, Problem, Source, invalid};
use super::section::{Section, refuse_unknown};
use super::settings::{Factor, Runner, SuiteName};
use super::units::{ByteSize, Period};

/// Most that is read of a configuration, in bytes: a thousand times a long one.
const MAX_FILE: &str = "1MiB";

/// Every section with its keys, but for `factors`, whose keys are the user's own.
const SECTIONS: [(&str, &[&str]); 5] = [
    (
        "suite",
        &["name", "root", "runner", "python", "args", "env_allow"],
    ),
    (
        "hunt",
        &[
            "workers",
            "ci_shards",
            "probe_share",
            "max_shard",
            "probe_limit",
            "on_flag",
            "on_stop",
        ],
    ),
    (
        "limits",
        &[
            "test",
            "shard",
            "memory",
            "cpus",
            "pids",
            "tmp",
            "output_per_test",
        ],
    ),
    ("store", &["path", "keep_logs", "log_budget", "min_free"]),
    ("report", &["tz"]),
];
const SECTION_NAMES: [&str; 6] = ["suite", "hunt", "factors", "limits", "store", "report"];

/// The most workers that a hunt takes: more containers than that need another machine.
const MAX_WORKERS: u16 = 1_000;

/// What the file says; `None` where it is silent.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: SuiteName,
    pub(super) root: Option<Spanned<String>>,
    pub(super) runner: Runner,
    pub(super) python: Option<Spanned<String>>,
    pub(super) args: Option<Spanned<Vec<String>>>,
    pub(super) env_allow: Option<Spanned<Vec<String>>>,
    pub(super) workers: Option<Spanned<u16>>,
    pub(super) ci_shards: Option<Spanned<u16>>,
    pub(super) probe_share: Option<Spanned<f64>>,
    pub(super) max_shard: Option<Spanned<Period>>,
    pub(super) probe_limit: Option<Spanned<f64>>,
    pub(super) on_flag: Option<Spanned<Vec<String>>>,
    pub(super) on_stop: Option<Spanned<Vec<String>>>,
    pub(super) factors: Vec<Factor>,
    pub(super) test: Option<Spanned<Period>>,
    pub(super) shard: Option<Spanned<Period>>,
    pub(super) memory: Option<Spanned<ByteSize>>,
    pub(super) cpus: Option<Spanned<f64>>,
    pub(super) pids: Option<Spanned<u32>>,
    pub(super) tmp: Option<Spanned<ByteSize>>,
    pub(super) output_per_test: Option<Spanned<ByteSize>>,
    pub(super) store_path: Option<Spanned<String>>,
    pub(super) keep_logs: Option<Spanned<Period>>,
    pub(super) log_budget: Option<Spanned<ByteSize>>,
    pub(super) min_free: Option<Spanned<ByteSize>>,
    pub(super) tz: Option<Spanned<String>>,
}

/// Loads the text of a configuration file.
pub(super) fn load(file: &Path) -> Result<Source, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        file: file.to_owned(),
        source,
    };
    let limit: ByteSize = MAX_FILE.parse().expect("the limit is a valid size");
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(limit.bytes() + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > limit.bytes() {
        return Err(ConfigError::TooLarge {
            file: file.to_owned(),
            limit,
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source {
            file: file.to_owned(),
            text,
        }),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            Err(invalid(file, &text, valid..valid + 1, Problem::NotUtf8))
        }
    }
}

/// Reads the whole file.
pub(super) fn read(source: &Source) -> Result<File, ConfigError> {
    let document = DeTable::parse(&source.text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().replace('\n', ", ");
        source.fault(span, Problem::Syntax { message })
    })?;
    let sections = sections(source, document.get_ref())?;
    let [suite, hunt, limits, store, report] = &sections;
    Ok(File {
        name: suite.required("name", NAME)?,
        root: suite.plain("root", PATH)?,
        runner: suite.runner()?,
        python: suite.plain("python", PATH)?,
        args: suite.list("args", "a list of texts without NUL", is_argument)?,
        env_allow: suite.list("env_allow", "a list of names of variables", is_variable)?,
        workers: hunt.whole("workers", 1..=MAX_WORKERS, WORKERS)?,
        ci_shards: hunt.whole("ci_shards", 1..=MAX_WORKERS, WORKERS)?,
        probe_share: hunt.number("probe_share", 0.0..=0.9, "a share from 0.0 to 0.9")?,
        max_shard: hunt.period("max_shard")?,
        probe_limit: hunt.number("probe_limit", 0.0..=10.0, "a share from 0.0 to 10.0")?,
        on_flag: hunt.list("on_flag", PROGRAM, is_argument)?,
        on_stop: hunt.list("on_stop", PROGRAM, is_argument)?,
        factors: factors::read(source, document.get_ref().get("factors"))?,
        test: limits.period("test")?,
        shard: limits.period("shard")?,
        memory: limits.size(
            "memory",
            "16MiB",
            "a size of at least 16MiB, such as `2GiB`",
        )?,
        cpus: limits.number("cpus", 0.01..=1_000.0, "a number from 0.01 to 1000")?,
        pids: limits.whole("pids", 16..=1_000_000, "a whole number from 16 to 1000000")?,
        tmp: limits.size("tmp", "1MiB", "a size of at least 1MiB, such as `1GiB`")?,
        output_per_test: limits.size(
            "output_per_test",
            "1KiB",
            "a size of at least 1KiB, such as `256KiB`",
        )?,
        store_path: store.plain("path", PATH)?,
        keep_logs: store.period("keep_logs")?,
        log_budget: store.size("log_budget", "0B", "a size such as `2GiB`")?,
        min_free: store.size("min_free", "0B", "a size such as `1GiB`")?,
        tz: report.text("tz", "a time zone such as `Europe/Berlin`", is_time_zone)?,
    })
}

const NAME: &str = "a name of 1 to 100 characters without control characters";
const PATH: &str = "a path without control characters";
const WORKERS: &str = "a whole number from 1 to 1000";
const PROGRAM: &str = "a program and its arguments, a list of texts without NUL";

fn is_argument(argument: &str) -> bool {
    !argument.contains('\0')
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

fn is_time_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok()
}

/// Splits the document into its known sections, in the order of [`SECTIONS`].
fn sections<'a>(
    source: &'a Source,
    document: &'a DeTable<'a>,
) -> Result<[Section<'a>; 5], ConfigError> {
    refuse_unknown(source, None, document, &SECTION_NAMES)?;
    let mut found = Vec::new();
    for (name, keys) in SECTIONS {
        let mut section = Section {
            name,
            values: BTreeMap::new(),
            span: 0..0,
            source,
        };
        if let Some((header, value)) = document.iter().find(|(header, _)| header.get_ref() == name)
        {
            section.span = header.span();
            let DeValue::Table(table) = value.get_ref() else {
                return Err(section.wrong_type(name, "a section", value));
            };
            refuse_unknown(source, Some(name), table, keys)?;
            section.values = table.iter().map(|(k, v)| (&**k.get_ref(), v)).collect();
        }
        found.push(section);
    }
    Ok(found
        .try_into()
        .unwrap_or_else(|_| unreachable!("one section per entry of SECTIONS")))
}
