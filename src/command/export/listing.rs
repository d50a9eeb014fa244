//! What is exported: the flags with the files they are about, the tests with their outcomes, the figures of the
//! database. Renderers get these and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use crate::{
    cli::ExportFormat,
    command::finding::{Certainty, Found, read, words},
    config::Settings,
    model::{Count, HuntKind, Outcome, Role, SuiteId, TestId, UnixMillis, Verdict},
    plan,
    store::{OutcomeCounts, Reader, StoreError},
    suite::Checkout,
    ui::{escape, text},
};

/// Failing tests whose last failure text is read.
const MOST: u32 = 10_000;
/// Groups of a role, and members of a group, that a sentence names.
const NAMED: usize = 3;

/// The flags of a suite, for programs.
pub(super) struct Listing {
    /// The suite's name.
    pub(super) suite: String,
    pub(super) id: SuiteId,
    /// Where the suite is in its checkout.
    pub(super) checkout: Checkout,
    /// The suite's configuration file, from the top of the checkout, as a relative URI: stands for tests without a file.
    pub(super) configuration: String,
    /// In the order of `flags`.
    pub(super) found: Vec<Found>,
    /// The suite's tests in default order, then those that it no longer has; empty but for `JUnit`.
    pub(super) tests: Vec<Tested>,
    /// Why nobody is known to own a test, where there is a CODEOWNERS file that cannot be used.
    pub(super) owners_unknown: Option<String>,
}

/// What one test showed in the hunts that are told of.
#[derive(Clone, Debug)]
pub(super) struct Tested {
    pub(super) test: TestId,
    pub(super) outcomes: OutcomeCounts,
    /// How it failed last.
    pub(super) last: Option<Failing>,
}

/// How a test failed last.
#[derive(Clone, Debug)]
pub(super) struct Failing {
    pub(super) outcome: Outcome,
    /// The text of the failure, untrusted.
    pub(super) detail: Vec<u8>,
}

impl Listing {
    /// Reads what a format tells.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) fn read(
        settings: &Settings,
        reader: &Reader,
        since: Option<UnixMillis>,
        format: ExportFormat,
    ) -> Result<Self, StoreError> {
        let board = read::board(settings, reader, since)?;
        let tests = match format {
            ExportFormat::Junit => tested(settings.suite.id, reader, since, &board.tests)?,
            ExportFormat::Csv
            | ExportFormat::Ndjson
            | ExportFormat::Sarif
            | ExportFormat::Github
            | ExportFormat::Prometheus => Vec::new(),
        };
        let checkout = Checkout::of(&settings.suite.root);
        Ok(Self {
            suite: settings.suite.name.as_str().to_owned(),
            id: settings.suite.id,
            configuration: uri(checkout
                .below_top(&settings.file)
                .as_os_str()
                .as_encoded_bytes()),
            checkout,
            found: board.found,
            tests,
            owners_unknown: board.owners_unknown,
        })
    }

    /// Returns the flag of a test.
    pub(super) fn flag_of(&self, test: &TestId) -> Option<&Found> {
        self.found
            .iter()
            .find(|found| found.flag.test.as_ref() == Some(test))
    }

    /// Returns the file of a flag's test, from the top of the checkout, escaped for a terminal.
    pub(super) fn file_of(&self, found: &Found) -> Option<String> {
        let file = self.checkout.file_of(found.flag.test.as_ref()?)?;
        Some(escape::terminal(file.as_os_str().as_encoded_bytes()))
    }

    /// Returns the same as a relative URI.
    pub(super) fn uri_of(&self, found: &Found) -> Option<String> {
        let file = self.checkout.file_of(found.flag.test.as_ref()?)?;
        Some(uri(file.as_os_str().as_encoded_bytes()))
    }
}

/// Counts the tests over the newest hunt, or over all that were alive since then; tests of the suite that did not run
/// are in it.
fn tested(
    suite: SuiteId,
    reader: &Reader,
    since: Option<UnixMillis>,
    listed: &[TestId],
) -> Result<Vec<Tested>, StoreError> {
    let hunts = match since {
        Some(since) => reader.hunts_of(suite, since)?,
        None => reader
            .latest_hunt(suite, HuntKind::Hunt)?
            .map_or_else(Vec::new, |hunt| vec![hunt.id]),
    };
    let mut counts: BTreeMap<TestId, OutcomeCounts> = BTreeMap::new();
    let mut last: BTreeMap<TestId, Failing> = BTreeMap::new();
    for hunt in hunts {
        for (test, more) in reader.counts_of(hunt)? {
            let counted = counts.entry(test).or_default();
            for outcome in Outcome::ALL {
                counted.add(*outcome, more.of(*outcome));
            }
        }
        // Hunts come oldest first: what is newer replaces what was there.
        last.extend(reader.failures(hunt, MOST)?.into_iter().map(|row| {
            let failing = Failing {
                outcome: row.outcome,
                detail: row.detail.unwrap_or_default(),
            };
            (row.test, failing)
        }));
    }
    let present: BTreeSet<&TestId> = listed.iter().collect();
    let gone: Vec<TestId> = counts
        .keys()
        .filter(|test| !present.contains(test))
        .cloned()
        .collect();
    let of = |test: &TestId| Tested {
        outcomes: counts.get(test).cloned().unwrap_or_default(),
        last: last.get(test).cloned(),
        test: test.clone(),
    };
    Ok(listed.iter().chain(&gone).map(of).collect())
}

impl Tested {
    /// Its failures among the trials that passed or failed.
    pub(super) fn count(&self) -> Count {
        let failures = self.outcomes.sum(Outcome::is_failing);
        Count {
            failures,
            trials: failures + self.outcomes.of(Outcome::Passed),
        }
    }
}

/// How sure a flag is, in a word.
pub(super) fn certainty(found: &Found) -> &'static str {
    match found.certainty() {
        Certainty::Certified => "certified",
        Certainty::Suspected => "suspected",
        Certainty::Open => "not certified",
    }
}

/// Returns what a flag says, a sentence a line: the claim, its cause, how often it failed (by this count), what replays
/// it. Names come out escaped for a terminal.
pub(super) fn sentences(found: &Found, count: Count) -> Vec<String> {
    let flag = &found.flag;
    let mut lines = vec![format!(
        "{}, {}: {}",
        flag.verdict,
        certainty(found),
        words::meaning(flag)
    )];
    if flag.certified {
        for (role, word) in [
            (Role::Polluter, "polluter"),
            (Role::StateSetter, "state-setter"),
            (Role::Cleaner, "cleaner"),
            (Role::Neighbour, "beside it"),
        ] {
            let groups = words::holders(flag, role);
            if !groups.is_empty() {
                let some: Vec<String> = groups
                    .iter()
                    .map(|group| listed(group.members.iter(), " + "))
                    .take(NAMED)
                    .collect();
                let more = more(groups.len());
                lines.push(format!("{word}: {}{more}", some.join(" or ")));
            }
        }
    }
    if count.trials > 0 {
        lines.push(format!("failed {}", words::counted(count)));
    }
    if let Some(why) = found.no_action {
        lines.push(format!("no action needed: {}", why.meaning()));
    }
    if let Some(token) = &found.token {
        let replay = plan::replaying(token, found.handle.as_deref());
        lines.push(format!("soakhound {replay}"));
    }
    if !found.owners.is_empty() {
        let owners = found.owners.join(" ");
        lines.push(format!("owners: {}", escape::terminal(owners.as_bytes())));
    }
    lines
}

/// Returns the first few names, and how many more there are.
fn listed<'a>(tests: impl ExactSizeIterator<Item = &'a TestId>, between: &str) -> String {
    let count = tests.len();
    let some: Vec<String> = tests
        .take(NAMED)
        .map(|test| text::elide_middle(&escape::terminal(test.as_bytes()), 120))
        .collect();
    some.join(between) + &more(count)
}

fn more(count: usize) -> String {
    match count.saturating_sub(NAMED) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    }
}

/// Returns a path as a relative URI: all but unreserved characters and slashes are percent-encoded.
fn uri(path: &[u8]) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(*byte));
            }
            other => write!(uri, "%{other:02X}").expect("a string takes all"),
        }
    }
    uri
}

/// The figures of a database, over all hunts of a suite.
pub(super) struct Figures {
    pub(super) outcomes: OutcomeCounts,
    /// Certified flags that need action, by verdict.
    pub(super) open: BTreeMap<Verdict, usize>,
    pub(super) iterations: u64,
    pub(super) finished: u64,
    pub(super) abandoned: u64,
    pub(super) attempts: u64,
    /// Green and all complete runs, in the CI's own order and in random ones.
    pub(super) green: [(u64, u64); 2],
    /// When the database last heard from a hunt; `None` before the first.
    pub(super) last_commit: Option<UnixMillis>,
    /// Its size with its write-ahead log.
    pub(super) bytes: u64,
    /// `waiting`, `green` or `red`; `None` where none was run.
    pub(super) canary: Option<String>,
}

impl Figures {
    /// Reads the figures.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) fn read(
        settings: &Settings,
        reader: &Reader,
        database: &Path,
    ) -> Result<Self, StoreError> {
        let suite = settings.suite.id;
        let board = read::board(settings, reader, None)?;
        let mut open = BTreeMap::new();
        for found in board.found.iter().filter(|found| found.needs_action()) {
            *open.entry(found.flag.verdict).or_default() += 1;
        }
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        // A write-ahead log that is not there takes no space.
        let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        let canary = board.analysis.and_then(|analysis| analysis.canary);
        let mut figures = Self {
            outcomes: OutcomeCounts::default(),
            open,
            iterations: 0,
            finished: 0,
            abandoned: 0,
            attempts: board.attempts,
            green: [reader.natural_runs(suite)?, reader.shuffled_runs(suite)?]
                .map(|whole| (whole.green(), whole.runs)),
            last_commit: None,
            bytes: size(database) + size(Path::new(&log)),
            canary: canary.map(|canary| canary.state),
        };
        for hunt in reader.hunts_of(suite, UnixMillis(i64::MIN))? {
            let status = reader.status(hunt)?;
            for outcome in Outcome::ALL {
                figures.outcomes.add(*outcome, status.outcomes.of(*outcome));
            }
            figures.iterations += status.iterations;
            figures.finished += status.shards_finished;
            figures.abandoned += status.shards_abandoned;
            figures.last_commit = figures.last_commit.max(Some(status.heartbeat));
        }
        Ok(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uri_encodes_all_that_could_mean_something() {
        assert_eq!(uri(b"tests/a-b_c.py"), "tests/a-b_c.py");
        assert_eq!(uri("é %?#:\\".as_bytes()), "%C3%A9%20%25%3F%23%3A%5C");
        assert_eq!(uri(b"\xff\n"), "%FF%0A");
    }
}
