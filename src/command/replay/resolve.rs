//! From a token to the order to run: by handles, by seed, or from a row of the database. Says how the suite
//! has changed since, where it has.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};

use super::record::{Order, order_of_segment, order_of_shard, trials_of_shard};
use crate::{
    command::{
        factors::{self, seed32, variables},
        stream::named,
    },
    config::Factor,
    error::{ExitCode, Failure},
    model::{Handle, ListDigest, Outcome, SuiteId, TestId},
    plan::{
        Found, Handles, IterationSeed, Minimal, Random, Reference, Row, ShortDigest, Tests, Token,
        shard,
    },
    store::{Reader, RevisionId, StoreError},
    ui::{escape, text},
};

/// Names that a line of drift lists; the rest is counted.
const NAMED: usize = 5;
/// Newest revisions that are searched for the names of missing handles.
const SEARCHED_REVISIONS: usize = 50;

/// What a token says to run, and what is known of it.
pub(super) struct Target {
    /// The order as this checkout can run it.
    pub(super) order: Order,
    /// Digest of that order.
    pub(super) digest: ListDigest,
    /// Digest (30 bits) of the order as it was recorded.
    pub(super) recorded_order: ShortDigest,
    /// How this checkout differs from the recorded one, a line each, escaped.
    pub(super) drift: Vec<String>,
    /// What was recorded, by test and repetition.
    pub(super) recorded: BTreeMap<(TestId, u8), Shown>,
    /// The tests whose failure counts as a reproduction; empty: any.
    pub(super) watch: BTreeSet<TestId>,
    /// Recorded runs of this very order that said something.
    pub(super) runs: u32,
    /// Those of them in which a test failed.
    pub(super) failing_runs: u32,
    /// Variables that the shard's factors set.
    pub(super) variables: Vec<(OsString, OsString)>,
    pub(super) seed32: u32,
    /// The layout in words.
    pub(super) what: String,
}

/// What a trial showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
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
    fn new(order: Order, setting: Setting) -> Result<Self, Failure> {
        if order.is_empty() {
            return Err(impossible("none of the tests of this order exist any more"));
        }
        let mut target = Self {
            digest: ListDigest::of(order.iter().map(|(test, _)| test)),
            order,
            recorded_order: setting.recorded_order,
            drift: setting.drift,
            recorded: BTreeMap::new(),
            watch: BTreeSet::new(),
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
pub(super) fn suite_of(token: &Token) -> Option<SuiteId> {
    match token {
        Token::Minimal(minimal) => Some(minimal.suite()),
        Token::Random(random) => Some(random.suite),
        Token::Reference(_) => None,
    }
}

/// Finds the order of a token in this checkout of `suite`, whose `[factors]` are `listed`.
///
/// # Errors
/// [`Failure`] with 125 when it cannot be run here at all.
pub(super) fn resolve(
    token: &Token,
    suite: SuiteId,
    tests: &Tests,
    listed: &[Factor],
    reader: Option<&Reader>,
) -> Result<Target, Failure> {
    match token {
        Token::Minimal(minimal) => of_handles(minimal, suite, tests, reader),
        Token::Random(random) => of_seed(random, tests, listed, reader),
        Token::Reference(reference) => of_row(*reference, suite, tests, reader),
    }
}

/// The order cannot be run here.
pub(super) fn impossible(message: impl Into<String>) -> Failure {
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
    let mut order = Vec::new();
    let mut missing = Vec::new();
    for handle in minimal.handles() {
        match handles.find(*handle) {
            Found::One(test) => order.push((tests.name(test).clone(), 1)),
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
    let mut target = Target::new(
        order,
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
) -> Result<Target, Failure> {
    let here = shard(random.layout, random.seed, tests, random.shard)
        .map_err(|error| impossible(error.to_string()))?;
    let mut order = named(&here, tests);
    let mut drift = Vec::new();
    let known = known_shards(random, reader)?;
    if ShortDigest::from(&tests.digest()) != random.list {
        // With the record at hand the very tests of then are run; without it the seed orders those of now.
        if let (Some(reader), Some(newest)) = (reader, known.last()) {
            let then = reader.revision(reader.shard(*newest)?.revision)?.tests;
            drift.extend(changed(&then, tests));
            order = existing(&order_of_shard(reader, *newest)?, tests, &mut drift);
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
    let mut target = Target::new(order, setting)?;
    if let Some(reader) = reader {
        for id in &known {
            target.add_run(trials_of_shard(reader, *id)?);
        }
    }
    Ok(target)
}

/// Returns the shards on record that were planned with exactly this order, oldest first.
fn known_shards(random: &Random, reader: Option<&Reader>) -> Result<Vec<i64>, StoreError> {
    let Some(reader) = reader else {
        return Ok(Vec::new());
    };
    let mut known = Vec::new();
    for id in reader.find_shards(random.seed.0, random.layout, random.shard)? {
        if ShortDigest::from(&reader.shard(id)?.plan.order) == random.order {
            known.push(id);
        }
    }
    Ok(known)
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
fn existing(then: &Order, tests: &Tests, drift: &mut Vec<String>) -> Order {
    let now: BTreeSet<&TestId> = tests.names().iter().collect();
    let of: BTreeSet<&TestId> = then.iter().map(|(test, _)| test).collect();
    let gone: Vec<&TestId> = of.difference(&now).copied().collect();
    if !gone.is_empty() {
        drift.push(format!(
            "{} of {} tests of this order no longer exist: {}",
            gone.len(),
            of.len(),
            names(gone.iter().copied())
        ));
    }
    then.iter()
        .filter(|(test, _)| now.contains(test))
        .cloned()
        .collect()
}

fn of_row(
    reference: Reference,
    suite: SuiteId,
    tests: &Tests,
    reader: Option<&Reader>,
) -> Result<Target, Failure> {
    let Some(reader) = reader else {
        return Err(
            impossible("this token refers to a row of a database, and there is none here")
                .hint("name the database with `--db`"),
        );
    };
    let database = reader.database_id()?;
    if database != reference.database.bits() {
        let message = format!(
            "this token refers to database {}, this is {}",
            reference.database,
            crate::plan::DatabaseId::from_bits(database)
        );
        return Err(impossible(message).hint("name the right database with `--db`"));
    }
    let segment = match reference.row {
        Row::Shard(_) => None,
        Row::Segment(id) => Some(reader.segment(row_id(id)).map_err(no_such_row)?),
    };
    let id = match (reference.row, &segment) {
        (_, Some(segment)) => segment.open.shard,
        (Row::Shard(id) | Row::Segment(id), None) => row_id(id),
    };
    let shard = reader.shard(id).map_err(no_such_row)?;
    let owner = reader.hunt(shard.hunt)?.suite;
    if owner != suite {
        return Err(other_suite(owner, &suite.to_string()));
    }
    let plan = shard.plan;
    let of_shard = format!(
        "shard {} of {}, {}",
        plan.shard + 1,
        plan.layout.shards,
        plan.layout.grouping
    );
    let (then, recorded_order, what) = match &segment {
        None => (
            order_of_shard(reader, id)?,
            plan.order,
            format!("{} order, {of_shard}", plan.layout.design),
        ),
        Some(segment) => (
            order_of_segment(reader, segment)?,
            segment.open.order,
            format!(
                "segment {} of a {} order, {of_shard}",
                segment.id, plan.layout.design
            ),
        ),
    };
    let listed = reader.revision(shard.revision)?.tests;
    let mut drift: Vec<String> = changed(&listed, tests).into_iter().collect();
    let order = existing(&then, tests, &mut drift);
    let setting = Setting {
        recorded_order: ShortDigest::from(&recorded_order),
        drift,
        variables: variables(&plan.factors),
        seed32: seed32(IterationSeed(plan.seed), plan.layout, plan.shard),
        what,
    };
    let mut target = Target::new(order, setting)?;
    target.add_run(match segment {
        Some(segment) => segment.trials,
        None => trials_of_shard(reader, id)?,
    });
    Ok(target)
}

fn row_id(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn no_such_row(error: StoreError) -> Failure {
    if let StoreError::NoSuchRow { kind, id } = error {
        return impossible(format!("this database has no {kind} {id}"));
    }
    error.into()
}

/// The token belongs to a suite that is not the one here.
pub(super) fn other_suite(owner: SuiteId, here: &str) -> Failure {
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
            order: Vec::new(),
            digest: ListDigest::of([]),
            recorded_order: ShortDigest::from_bits(0),
            drift: Vec::new(),
            recorded: BTreeMap::new(),
            watch: BTreeSet::new(),
            runs,
            failing_runs,
            variables: Vec::new(),
            seed32: 0,
            what: String::new(),
        }
    }
}
