//! From a token to the order to run: by handles, by seed, or from a row of the database. Says how the suite
//! has changed since, where it has.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};

use crate::{
    command::stream::{factors, named, seed32, variables},
    error::{ExitCode, Failure},
    model::{ListDigest, Outcome, SuiteId, TestId},
    plan::{
        Found, Handles, IterationSeed, Minimal, Random, Reference, Row, ShortDigest, Tests, Token,
        assign, shard,
    },
    store::{Reader, StoreError},
};

/// What a token says to run, and what is known of it.
pub(super) struct Target {
    /// The order as this checkout can run it.
    pub(super) order: Vec<(TestId, u8)>,
    /// Digest of that order.
    pub(super) digest: ListDigest,
    /// Digest (30 bits) of the order as it was recorded.
    pub(super) recorded_order: Option<ShortDigest>,
    /// How this checkout differs from the recorded one, a line each; untrusted.
    pub(super) drift: Vec<String>,
    /// What was recorded, by test and repetition.
    pub(super) recorded: BTreeMap<(TestId, u8), Shown>,
    /// The tests whose failure counts as a reproduction; empty: any.
    pub(super) watch: BTreeSet<TestId>,
    /// How often the watched tests failed in this very order, where the record says.
    pub(super) failure_rate: Option<f64>,
    /// Variables that the shard's factors set.
    pub(super) variables: Vec<(OsString, OsString)>,
    pub(super) seed32: u32,
    /// The layout in words.
    pub(super) what: String,
}

/// What a recorded trial showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) outcome: Outcome,
    pub(super) signature: Option<String>,
}

impl Target {
    /// `same`, or `drifted`.
    pub(super) fn matching(&self) -> &'static str {
        match self.recorded_order {
            Some(recorded) if recorded != ShortDigest::from(&self.digest) => "drifted",
            _ => "same",
        }
    }

    /// Does the record show a failure to be reproduced?
    pub(super) fn expects_failure(&self) -> bool {
        !self.watch.is_empty()
    }

    /// The watched tests in words.
    pub(super) fn watched(&self) -> String {
        match self.watch.len() {
            0 => "any failure".to_owned(),
            1..=3 => {
                let names = self
                    .watch
                    .iter()
                    .map(|test| crate::ui::escape::terminal(test.as_bytes()));
                names.collect::<Vec<_>>().join(", ")
            }
            more => format!("{more} tests that failed when it was recorded"),
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

/// Finds the order of a token in this checkout.
///
/// # Errors
/// [`Failure`] with 125 when it cannot be run here at all.
pub(super) fn resolve(
    token: &Token,
    tests: &Tests,
    reader: Option<&Reader>,
) -> Result<Target, Failure> {
    match token {
        Token::Minimal(minimal) => of_handles(minimal, tests),
        Token::Random(random) => of_seed(random, tests, reader),
        Token::Reference(reference) => of_row(*reference, tests, reader),
    }
}

fn impossible(message: impl Into<String>) -> Failure {
    Failure::new(
        ExitCode::Inconclusive,
        format!("impossible here: {}", message.into()),
    )
}

fn of_handles(minimal: &Minimal, tests: &Tests) -> Result<Target, Failure> {
    let handles = Handles::of(tests.names());
    let mut order = Vec::new();
    let mut missing = Vec::new();
    for handle in minimal.handles() {
        match handles.find(*handle) {
            Found::One(test) => order.push((tests.name(test).clone(), 1)),
            Found::None => missing.push(handle.to_string()),
            Found::Ambiguous(names) => {
                let names: Vec<String> = names
                    .iter()
                    .map(|name| crate::ui::escape::terminal(name.as_bytes()))
                    .collect();
                return Err(impossible(format!(
                    "handle {handle} stands for several tests now: {}",
                    names.join(", ")
                )));
            }
        }
    }
    let flagged = minimal.handles().last().copied();
    let is_missing = flagged.is_none_or(|handle| missing.contains(&handle.to_string()));
    if is_missing {
        return Err(impossible("the flagged test no longer exists"));
    }
    let of = minimal.handles().len();
    let drift = if missing.is_empty() {
        Vec::new()
    } else {
        vec![format!(
            "{} of {of} tests of this order no longer exist: {}",
            missing.len(),
            missing.join(", ")
        )]
    };
    let digest = ListDigest::of(order.iter().map(|(test, _)| test));
    let watch = order
        .last()
        .map(|(test, _)| test.clone())
        .into_iter()
        .collect();
    Ok(Target {
        order,
        digest,
        recorded_order: Some(minimal.digest()),
        drift,
        recorded: BTreeMap::new(),
        watch,
        failure_rate: None,
        variables: minimal
            .factors()
            .iter()
            .map(|set| (OsString::from(&set.factor), OsString::from(&set.level)))
            .collect(),
        seed32: 0,
        what: format!("a minimal order of {of}"),
    })
}

fn of_seed(random: &Random, tests: &Tests, reader: Option<&Reader>) -> Result<Target, Failure> {
    let here = shard(random.layout, random.seed, tests, random.shard)
        .map_err(|error| impossible(error.to_string()))?;
    let mut order = named(&here, tests);
    let mut drift = Vec::new();
    let known = known_shards(reader, random)?;
    let listed = ShortDigest::from(&tests.digest());
    if listed != random.list {
        drift.push(format!(
            "the suite lists other tests than then ({} now)",
            tests.len()
        ));
        // With the record at hand the very tests of then are run; without it the seed orders those of now.
        if let (Some(reader), Some(first)) = (reader, known.first()) {
            let then = order_of(reader, *first)?;
            order = existing(then, tests, &mut drift);
        }
    }
    if order.is_empty() {
        return Err(impossible("none of its tests exist any more"));
    }
    let mut target = Target {
        digest: ListDigest::of(order.iter().map(|(test, _)| test)),
        order,
        recorded_order: Some(random.order),
        drift,
        recorded: BTreeMap::new(),
        watch: BTreeSet::new(),
        failure_rate: None,
        variables: variables(&factors(random.seed, random.layout, random.shard)),
        seed32: seed32(random.seed, random.layout, random.shard),
        what: format!(
            "{} order, shard {} of {}, {}",
            random.layout.design,
            random.shard + 1,
            random.layout.shards,
            random.layout.grouping,
        ),
    };
    if let Some(reader) = reader {
        add_record(&mut target, reader, &known)?;
    }
    Ok(target)
}

fn known_shards(reader: Option<&Reader>, random: &Random) -> Result<Vec<i64>, StoreError> {
    reader.map_or_else(
        || Ok(Vec::new()),
        |reader| reader.find_shards(random.seed.0, random.layout, random.shard),
    )
}

/// The order of a recorded shard, from the revision that it was planned for.
fn order_of(reader: &Reader, id: i64) -> Result<Vec<(TestId, u8)>, Failure> {
    let row = reader.shard(id)?;
    if let Some(order) = row.plan.explicit_order {
        return Ok(order.into_iter().map(|test| (test, 1)).collect());
    }
    let revision = reader.revision(row.revision)?;
    // Modules are what a pytest name begins with; other runners will bring their own rule along.
    let tests = Tests::new(revision.tests, |test| {
        crate::suite::Runner::module_of(&crate::suite::Pytest, test)
    });
    let all = assign(row.plan.layout, IterationSeed(row.plan.seed), &tests)
        .map_err(|error| impossible(error.to_string()))?;
    Ok(all
        .get(usize::from(row.plan.shard))
        .map(|order| named(order, &tests))
        .unwrap_or_default())
}

/// Keeps what still exists, and says what does not.
fn existing(then: Vec<(TestId, u8)>, tests: &Tests, drift: &mut Vec<String>) -> Vec<(TestId, u8)> {
    let now: BTreeSet<&TestId> = tests.names().iter().collect();
    let of = then.len();
    let (kept, gone): (Vec<_>, Vec<_>) = then.into_iter().partition(|(test, _)| now.contains(test));
    if !gone.is_empty() {
        let names: Vec<String> = gone
            .iter()
            .take(5)
            .map(|(test, _)| String::from_utf8_lossy(test.as_bytes()).into_owned())
            .collect();
        let more = if gone.len() > names.len() {
            format!(", … {} more", gone.len() - names.len())
        } else {
            String::new()
        };
        drift.push(format!(
            "{} of {of} tests of this order no longer exist: {}{more}",
            gone.len(),
            names.join(", ")
        ));
    }
    kept
}

fn of_row(reference: Reference, tests: &Tests, reader: Option<&Reader>) -> Result<Target, Failure> {
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
    let row = |id: u64| i64::try_from(id).unwrap_or(i64::MAX);
    let (id, then, recorded_order, what) = match reference.row {
        Row::Shard(id) => {
            let shard = reader.shard(row(id))?;
            (
                shard.id,
                order_of(reader, shard.id)?,
                shard.plan.order,
                format!("{} shard {id}", shard.plan.layout.design),
            )
        }
        Row::Segment(id) => {
            let segment = reader.segment(row(id))?;
            let then = segment
                .trials
                .iter()
                .map(|trial| (trial.test.clone(), trial.rep))
                .collect();
            (
                segment.open.shard,
                then,
                segment.open.order,
                format!("segment {id}"),
            )
        }
    };
    let plan = reader.shard(id)?.plan;
    let mut drift = Vec::new();
    let order = existing(then, tests, &mut drift);
    if order.is_empty() {
        return Err(impossible("none of its tests exist any more"));
    }
    let mut target = Target {
        digest: ListDigest::of(order.iter().map(|(test, _)| test)),
        order,
        recorded_order: Some(ShortDigest::from(&recorded_order)),
        drift,
        recorded: BTreeMap::new(),
        watch: BTreeSet::new(),
        failure_rate: None,
        variables: variables(&plan.factors),
        seed32: seed32(IterationSeed(plan.seed), plan.layout, plan.shard),
        what,
    };
    add_record(&mut target, reader, &[id])?;
    Ok(target)
}

/// Adds what the record says of these shards: the newest outcome of each trial, and how often it failed.
fn add_record(target: &mut Target, reader: &Reader, shards: &[i64]) -> Result<(), StoreError> {
    let (mut runs, mut failing_runs) = (0_u32, 0_u32);
    for id in shards {
        let mut failed = false;
        for segment in reader.segments_of(*id)? {
            for trial in reader
                .segment(segment)?
                .trials
                .into_iter()
                .filter(|trial| !trial.outcome.is_void())
            {
                failed |= trial.outcome.is_failing();
                if trial.outcome.is_failing() {
                    target.watch.insert(trial.test.clone());
                }
                let signature = trial
                    .detail
                    .as_deref()
                    .filter(|_| trial.outcome.is_failing())
                    .map(crate::store::signature);
                target.recorded.insert(
                    (trial.test, trial.rep),
                    Shown {
                        outcome: trial.outcome,
                        signature,
                    },
                );
            }
        }
        runs += 1;
        failing_runs += u32::from(failed);
    }
    if runs > 0 {
        target.failure_rate = Some(f64::from(failing_runs) / f64::from(runs));
    }
    Ok(())
}
