//! From a token to the order to run: by handles, by seed, or from a row of the database. Says how the suite
//! has changed since, where it has.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};

use super::record::{self, Order, Recorded};
use crate::{
    command::{
        factors::{self, seed32, variables},
        repro::Repro,
        stream::named,
    },
    config::Factor,
    error::{ExitCode, Failure},
    model::{Handle, ListDigest, Outcome, SuiteId, TestId},
    plan::{Found, Handles, Minimal, Random, Reference, ShortDigest, Tests, Token, shard},
    store::{Reader, RevisionId, StoreError},
    ui::{escape, text},
};

/// Names that a line of drift lists; the rest is counted.
const NAMED: usize = 5;
/// Newest revisions that are searched for the names of missing handles.
const SEARCHED_REVISIONS: usize = 50;

/// What a token says to run, and what is known of it.
pub(in crate::command) struct Target {
    /// Processes of one container, one after the other, as this checkout can run them; mostly one.
    pub(in crate::command) processes: Vec<Order>,
    /// Tests that run over and over in another container meanwhile; mostly none.
    pub(in crate::command) beside: Vec<TestId>,
    /// Digest of that order.
    pub(in crate::command) digest: ListDigest,
    /// Digest (30 bits) of the order as it was recorded.
    pub(in crate::command) recorded_order: ShortDigest,
    /// How this checkout differs from the recorded one, a line each, escaped.
    pub(in crate::command) drift: Vec<String>,
    /// What was recorded, by test and repetition.
    pub(in crate::command) recorded: BTreeMap<(TestId, u8), Shown>,
    /// The tests whose failure counts as a reproduction; empty: any.
    pub(in crate::command) watch: BTreeSet<TestId>,
    /// The one test that the order is about, where there is one: only its failures are watched.
    pub(in crate::command) about: Option<TestId>,
    /// Repetitions that show it with 95 %, where a certified recipe says so.
    pub(in crate::command) repeat: Option<u32>,
    /// Recorded runs of this very order that said something.
    pub(in crate::command) runs: u32,
    /// Those of them in which a test failed.
    pub(in crate::command) failing_runs: u32,
    /// Variables that the shard's factors set.
    pub(in crate::command) variables: Vec<(OsString, OsString)>,
    pub(in crate::command) seed32: u32,
    /// The layout in words.
    pub(in crate::command) what: String,
}

/// What a trial showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command) struct Shown {
    pub(super) outcome: Outcome,
    pub(super) signature: Option<String>,
}

/// How the recorded order was run, for everything that the tests do not decide.
struct Setting {
    recorded_order: ShortDigest,
    drift: Vec<String>,
    variables: Vec<(OsString, OsString)>,
    seed32: u32,
    what: String,
}

impl Target {
    fn new(processes: Vec<Order>, setting: Setting) -> Result<Self, Failure> {
        if processes.is_empty() {
            return Err(impossible("none of the tests of this order exist any more"));
        }
        let mut target = Self {
            digest: ListDigest::of(processes.iter().flatten().map(|(test, _)| test)),
            processes,
            beside: Vec::new(),
            recorded_order: setting.recorded_order,
            drift: setting.drift,
            recorded: BTreeMap::new(),
            watch: BTreeSet::new(),
            about: None,
            repeat: None,
            runs: 0,
            failing_runs: 0,
            variables: setting.variables,
            seed32: setting.seed32,
            what: setting.what,
        };
        if target.matching() == "drifted" && target.drift.is_empty() {
            target
                .drift
                .push("this order was another one when it was recorded".to_owned());
        }
        Ok(target)
    }

    /// Watches this test alone. To be called before recorded runs are added.
    ///
    /// # Errors
    /// [`Failure`] with 125 when the order does not run it.
    fn narrow(&mut self, about: &TestId) -> Result<(), Failure> {
        if !self.order().any(|(test, _)| test == about) {
            let about = escape::terminal(about.as_bytes());
            return Err(impossible(format!("this order does not run {about}")));
        }
        self.watch = BTreeSet::from([about.clone()]);
        self.about = Some(about.clone());
        Ok(())
    }

    /// All trials in the order in which they run.
    pub(in crate::command) fn order(&self) -> impl Iterator<Item = &(TestId, u8)> {
        self.processes.iter().flatten()
    }

    /// `same`, or `drifted`: is the order the recorded one? A suite may have changed around the same order.
    pub(super) fn matching(&self) -> &'static str {
        if self.recorded_order == ShortDigest::from(&self.digest) {
            "same"
        } else {
            "drifted"
        }
    }
}

/// Returns the suite that a token names; a reference names a database instead.
pub(in crate::command) fn suite_of(token: &Token) -> Option<SuiteId> {
    match token {
        Token::Minimal(minimal) => Some(minimal.suite()),
        Token::Random(random) => Some(random.suite),
        Token::Reference(_) => None,
    }
}

/// Finds the order of a token in this checkout of `suite`, whose `[factors]` are `listed`. Only failures of `about`
/// count, where it is given.
///
/// # Errors
/// [`Failure`] with 125 when it cannot be run here at all.
pub(in crate::command) fn resolve(
    token: &Token,
    suite: SuiteId,
    tests: &Tests,
    listed: &[Factor],
    reader: Option<&Reader>,
    about: Option<&TestId>,
) -> Result<Target, Failure> {
    match token {
        Token::Minimal(minimal) => {
            let mut target = of_handles(minimal, suite, tests, reader)?;
            about.map_or(Ok(()), |about| target.narrow(about))?;
            Ok(target)
        }
        Token::Random(random) => of_seed(random, tests, listed, reader, about),
        Token::Reference(reference) => of_row(*reference, suite, tests, reader, about),
    }
}

/// The order cannot be run here.
pub(in crate::command) fn impossible(message: impl Into<String>) -> Failure {
    Failure::new(
        ExitCode::Inconclusive,
        format!("impossible here: {}", message.into()),
    )
}

/// Returns names for people: the first ones, and how many more there are.
fn names<'a>(tests: impl ExactSizeIterator<Item = &'a TestId>) -> String {
    let count = tests.len();
    let mut shown: Vec<String> = tests
        .take(NAMED)
        .map(|test| escape::terminal(test.as_bytes()))
        .collect();
    if count > NAMED {
        shown.push(format!("… {} more", text::count((count - NAMED) as u64)));
    }
    shown.join(", ")
}

fn of_handles(
    minimal: &Minimal,
    suite: SuiteId,
    tests: &Tests,
    reader: Option<&Reader>,
) -> Result<Target, Failure> {
    let handles = Handles::of(tests.names());
    let mut order: Order = Vec::new();
    let mut missing = Vec::new();
    for handle in minimal.handles() {
        match handles.find(*handle) {
            Found::One(test) => {
                let test = tests.name(test).clone();
                let again = order.iter().filter(|(before, _)| *before == test).count();
                // A token names a test as often as it runs.
                let rep = u8::try_from(again + 1).unwrap_or(u8::MAX);
                order.push((test, rep));
            }
            Found::None => missing.push(*handle),
            Found::Ambiguous(several) => {
                let names = names(several.into_iter());
                return Err(impossible(format!(
                    "handle {handle} stands for several tests now: {names}"
                )));
            }
        }
    }
    let gone = known_as(&missing, suite, reader)?;
    if minimal.handles().last() == missing.last() {
        let flagged = gone.last().map_or("", String::as_str);
        return Err(impossible(format!(
            "the test that this order is about no longer exists: {flagged}"
        )));
    }
    let of = minimal.handles().len();
    let mut drift = Vec::new();
    if !gone.is_empty() {
        drift.push(format!(
            "{} of {of} tests of this order no longer exist: {}",
            gone.len(),
            gone.join(", ")
        ));
    }
    let flagged = order.last().map(|(test, _)| test.clone());
    let processes = if order.is_empty() {
        Vec::new()
    } else {
        vec![order]
    };
    let mut target = Target::new(
        processes,
        Setting {
            recorded_order: minimal.digest(),
            drift,
            variables: minimal
                .factors()
                .iter()
                .map(|set| (OsString::from(&set.factor), OsString::from(&set.level)))
                .collect(),
            seed32: 0,
            what: format!("a minimal order of {}", text::plural(of as u64, "test")),
        },
    )?;
    target.watch.extend(flagged);
    Ok(target)
}

/// Returns handles with the names that they had in a recorded revision, newest first; bare where none knows them.
fn known_as(
    handles: &[Handle],
    suite: SuiteId,
    reader: Option<&Reader>,
) -> Result<Vec<String>, StoreError> {
    let mut known: Vec<Option<String>> = vec![None; handles.len()];
    let newest = match reader {
        Some(reader) if !handles.is_empty() => reader.latest_revision(suite)?,
        _ => None,
    };
    for id in (1..=newest.map_or(0, |revision| revision.id.0))
        .rev()
        .take(SEARCHED_REVISIONS)
    {
        let Some(reader) = reader else { break };
        let revision = match reader.revision(RevisionId(id)) {
            Ok(revision) => revision,
            Err(StoreError::NoSuchRow { .. }) => continue,
            Err(error) => return Err(error),
        };
        let then = Handles::of(&revision.tests);
        for (handle, name) in handles.iter().zip(&mut known) {
            if let (None, Found::One(test)) = (&name, then.find(*handle)) {
                let test = &revision.tests[test as usize];
                *name = Some(escape::terminal(test.as_bytes()));
            }
        }
    }
    Ok(handles
        .iter()
        .zip(known)
        .map(|(handle, name)| {
            name.map_or_else(|| handle.to_string(), |name| format!("{handle} ({name})"))
        })
        .collect())
}

fn of_seed(
    random: &Random,
    tests: &Tests,
    listed: &[Factor],
    reader: Option<&Reader>,
    about: Option<&TestId>,
) -> Result<Target, Failure> {
    let here = shard(random.layout, random.seed, tests, random.shard)
        .map_err(|error| impossible(error.to_string()))?;
    let mut processes = vec![named(&here, tests)];
    let mut drift = Vec::new();
    let known = match reader {
        Some(reader) => record::of_seed(random, reader)?,
        None => None,
    };
    if ShortDigest::from(&tests.digest()) != random.list {
        // With the record at hand the very tests of then are run; without it the seed orders those of now.
        if let Some(known) = &known {
            drift.extend(changed(&known.listed, tests));
            processes = existing(&known.processes, tests, &mut drift);
        } else {
            drift.push(format!(
                "the suite lists other tests than then ({} now); without the database that recorded it, \
                 nobody can say which",
                text::count(tests.len() as u64)
            ));
        }
    }
    let setting = Setting {
        recorded_order: random.order,
        drift,
        variables: variables(&factors::levels(
            listed,
            &[],
            random.seed,
            random.layout,
            random.shard,
        )),
        seed32: seed32(random.seed, random.layout, random.shard),
        what: format!(
            "{} order, shard {} of {}, {}",
            random.layout.design,
            random.shard + 1,
            random.layout.shards,
            random.layout.grouping,
        ),
    };
    processes.retain(|order| !order.is_empty());
    let mut target = Target::new(processes, setting)?;
    about.map_or(Ok(()), |about| target.narrow(about))?;
    for run in known.into_iter().flat_map(|known| known.runs) {
        target.add_run(run);
    }
    Ok(target)
}

/// Says how the list of tests has changed.
fn changed(then: &[TestId], tests: &Tests) -> Option<String> {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) =
        (then.iter().collect(), tests.names().iter().collect());
    let added: Vec<&TestId> = new.difference(&old).copied().collect();
    let removed: Vec<&TestId> = old.difference(&new).copied().collect();
    let part = |word: &str, some: &[&TestId]| {
        (!some.is_empty()).then(|| {
            format!(
                "{} {word}: {}",
                text::plural(some.len() as u64, "test"),
                names(some.iter().copied())
            )
        })
    };
    let parts: Vec<String> = [part("added", &added), part("removed", &removed)]
        .into_iter()
        .flatten()
        .collect();
    match (parts.is_empty(), then == tests.names()) {
        (true, true) => None,
        (true, false) => Some("the suite lists the same tests in another order".to_owned()),
        (false, _) => Some(format!("the suite has changed: {}", parts.join("; "))),
    }
}

/// Keeps what still exists, and says what does not.
fn existing(then: &[Order], tests: &Tests, drift: &mut Vec<String>) -> Vec<Order> {
    let now: BTreeSet<&TestId> = tests.names().iter().collect();
    let of: BTreeSet<&TestId> = then.iter().flatten().map(|(test, _)| test).collect();
    let gone: Vec<&TestId> = of.difference(&now).copied().collect();
    if !gone.is_empty() {
        drift.push(format!(
            "{} of {} tests of this order no longer exist: {}",
            gone.len(),
            of.len(),
            names(gone.iter().copied())
        ));
    }
    let left = |order: &Order| -> Order {
        let left = order.iter().filter(|(test, _)| now.contains(test));
        left.cloned().collect()
    };
    then.iter()
        .map(left)
        .filter(|order| !order.is_empty())
        .collect()
}

fn of_row(
    reference: Reference,
    suite: SuiteId,
    tests: &Tests,
    reader: Option<&Reader>,
    about: Option<&TestId>,
) -> Result<Target, Failure> {
    let Some(reader) = reader else {
        return Err(
            impossible("this token refers to a row of a database, and there is none here").hint(
                "name the database with `--db`, or have `soakhound export --repro` write a file there",
            ),
        );
    };
    of_recorded(
        record::of_reference(reference, suite, reader)?,
        tests,
        about,
    )
}

/// Takes a recorded order as far as this checkout can run it.
fn of_recorded(
    recorded: Recorded,
    tests: &Tests,
    asked: Option<&TestId>,
) -> Result<Target, Failure> {
    let mut drift: Vec<String> = changed(&recorded.listed, tests).into_iter().collect();
    let (processes, beside) = here(&recorded.processes, &recorded.beside, tests, &mut drift)?;
    let setting = Setting {
        recorded_order: ShortDigest::from(&recorded.order),
        drift,
        variables: words(&recorded.levels),
        seed32: recorded.seed32,
        what: recorded.what,
    };
    let mut target = Target::new(processes, setting)?;
    target.beside = beside;
    if let Some(about) = recorded.about {
        still_there(std::slice::from_ref(&about), &target)?;
        target.narrow(&about)?;
    }
    asked.map_or(Ok(()), |about| target.narrow(about))?;
    for run in recorded.runs {
        target.add_run(run);
    }
    Ok(target)
}

/// Finds the order of a portable file in this checkout.
///
/// # Errors
/// [`Failure`] with 125 when it cannot be run here at all.
pub(super) fn of_file(
    repro: Repro,
    tests: &Tests,
    about: Option<&TestId>,
) -> Result<Target, Failure> {
    let mut drift = Vec::new();
    if tests.digest() != repro.list {
        drift.push(format!(
            "the suite lists other tests than where this file was written ({} now)",
            text::count(tests.len() as u64)
        ));
    }
    let names = repro.processes.iter().flatten().map(|(test, _)| test);
    let order = ListDigest::of(names);
    let (processes, beside) = here(&repro.processes, &repro.beside, tests, &mut drift)?;
    let setting = Setting {
        recorded_order: ShortDigest::from(&order),
        drift,
        variables: words(&repro.factors),
        seed32: repro.seed32,
        what: format!("from a file: {}", escape::terminal(repro.what.as_bytes())),
    };
    let mut target = Target::new(processes, setting)?;
    target.beside = beside;
    if !repro.watch.is_empty() {
        still_there(&repro.watch, &target)?;
    }
    target.watch.extend(repro.watch);
    target.recorded = repro
        .outcomes
        .into_iter()
        .map(|one| {
            let shown = Shown {
                outcome: one.outcome,
                signature: one.signature,
            };
            ((one.test, one.rep), shown)
        })
        .collect();
    (target.runs, target.failing_runs) = repro.runs;
    target.repeat = repro.repeat;
    if let Some(about) = about {
        target.narrow(about)?;
    }
    Ok(target)
}

/// Takes an order that a person gave by its names, the test that it is about last.
///
/// # Errors
/// [`Failure`] with 125 when that test does not exist here.
pub(in crate::command) fn of_names(names: &[TestId], tests: &Tests) -> Result<Target, Failure> {
    let mut order: Order = Vec::new();
    let mut times: BTreeMap<&TestId, u8> = BTreeMap::new();
    for test in names {
        let rep = times.entry(test).or_default();
        *rep = rep.saturating_add(1);
        order.push((test.clone(), *rep));
    }
    let digest = ListDigest::of(names);
    let mut drift = Vec::new();
    let (processes, _) = here(&[order], &[], tests, &mut drift)?;
    let setting = Setting {
        recorded_order: ShortDigest::from(&digest),
        drift,
        variables: Vec::new(),
        seed32: 0,
        what: format!("an order of {}", text::plural(names.len() as u64, "test")),
    };
    let mut target = Target::new(processes, setting)?;
    let about: Vec<TestId> = names.last().cloned().into_iter().collect();
    still_there(&about, &target)?;
    target.watch.extend(about.iter().cloned());
    target.about = about.into_iter().next();
    Ok(target)
}

/// Checks that one of the tests that an order is about still runs in it.
fn still_there(about: &[TestId], target: &Target) -> Result<(), Failure> {
    if target.order().any(|(test, _)| about.contains(test)) {
        return Ok(());
    }
    let gone = names(about.iter());
    Err(impossible(format!(
        "the test that this order is about no longer exists: {gone}"
    )))
}

/// Keeps what this checkout has of an order.
fn here(
    processes: &[Order],
    beside: &[TestId],
    tests: &Tests,
    drift: &mut Vec<String>,
) -> Result<(Vec<Order>, Vec<TestId>), Failure> {
    let processes = existing(processes, tests, drift);
    let now: BTreeSet<&TestId> = tests.names().iter().collect();
    let gone: Vec<&TestId> = beside.iter().filter(|test| !now.contains(test)).collect();
    if !gone.is_empty() {
        let gone = names(gone.into_iter());
        return Err(impossible(format!(
            "a test that has to run beside it no longer exists: {gone}"
        )));
    }
    Ok((processes, beside.to_vec()))
}

fn words(levels: &[(String, String)]) -> Vec<(OsString, OsString)> {
    let levels = levels.iter();
    levels
        .map(|(factor, level)| (OsString::from(factor), OsString::from(level)))
        .collect()
}

/// The token belongs to a suite that is not the one here.
pub(in crate::command) fn other_suite(owner: SuiteId, here: &str) -> Failure {
    impossible(format!(
        "this token belongs to suite {owner}; this is {here}"
    ))
    .hint("run it in the checkout of that suite, or name its configuration with `--config`")
}

#[cfg(test)]
impl Target {
    /// A target without tests, of which so many runs are on record.
    pub(super) fn of_runs(runs: u32, failing_runs: u32) -> Self {
        Self {
            processes: Vec::new(),
            beside: Vec::new(),
            digest: ListDigest::of([]),
            recorded_order: ShortDigest::from_bits(0),
            drift: Vec::new(),
            recorded: BTreeMap::new(),
            watch: BTreeSet::new(),
            about: None,
            repeat: None,
            runs,
            failing_runs,
            variables: Vec::new(),
            seed32: 0,
            what: String::new(),
        }
    }
}
