//! What the database says of an order: the order itself, its outcomes, how often it failed.

use std::collections::BTreeSet;

use super::resolve::{Shown, Target, impossible, other_suite};
use crate::{
    command::{factors::seed32, stream::named},
    error::Failure,
    model::{ListDigest, Outcome, SuiteId, TestId, TrialRecord},
    plan::{DatabaseId, IterationSeed, Random, Reference, Row, ShortDigest, Tests, assign},
    store::{Reader, SegmentRow, ShardRow, StoreError, signature},
};

/// Trials of an order: test and repetition.
pub(in crate::command) type Order = Vec<(TestId, u8)>;

/// An order as it was recorded, whatever tests this checkout has.
pub(in crate::command) struct Recorded {
    /// Processes of one container, one after the other.
    pub(in crate::command) processes: Vec<Order>,
    /// Tests that run over and over in another container meanwhile.
    pub(in crate::command) beside: Vec<TestId>,
    /// The suite's tests as they were.
    pub(in crate::command) listed: Vec<TestId>,
    /// Digest of the order.
    pub(in crate::command) order: ListDigest,
    /// Levels of its factors.
    pub(in crate::command) levels: Vec<(String, String)>,
    /// Seed of the random generators that the runner seeds.
    pub(in crate::command) seed32: u32,
    /// What it is, in words.
    pub(in crate::command) what: String,
    /// The one test that it is about; `None`: all of them.
    pub(in crate::command) about: Option<TestId>,
    /// What its runs showed, the newest last.
    pub(in crate::command) runs: Vec<Vec<TrialRecord>>,
}

/// Returns the order that a row of the database holds.
///
/// # Errors
/// [`Failure`] with 125 when it is another database, or has no such row.
pub(in crate::command) fn of_reference(
    reference: Reference,
    suite: SuiteId,
    reader: &Reader,
) -> Result<Recorded, Failure> {
    let database = reader.database_id()?;
    if database != reference.database.bits() {
        let message = format!(
            "this token refers to database {}, this is {}",
            reference.database,
            DatabaseId::from_bits(database)
        );
        return Err(impossible(message).hint(
            "name the right database with `--db`, or have `soakhound export --repro` write a file there",
        ));
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
    of_shard_row(reader, shard, segment)
}

fn of_shard_row(
    reader: &Reader,
    shard: ShardRow,
    segment: Option<SegmentRow>,
) -> Result<Recorded, Failure> {
    let plan = shard.plan;
    let probe = reader.probe(shard.id)?.map(|row| row.probe);
    let of_shard = format!(
        "shard {} of {}, {}",
        plan.shard + 1,
        plan.layout.shards,
        plan.layout.grouping
    );
    let (processes, order, what) = match (&probe, &segment) {
        (Some(probe), _) => (
            probe.processes.clone(),
            plan.order,
            format!("a probe: {}, {}", probe.question, probe.arm),
        ),
        (None, None) => (
            vec![order_of_shard(reader, shard.id)?],
            plan.order,
            format!("{} order, {of_shard}", plan.layout.design),
        ),
        (None, Some(segment)) => (
            vec![order_of_segment(reader, segment)?],
            segment.open.order,
            format!(
                "segment {} of a {} order, {of_shard}",
                segment.id, plan.layout.design
            ),
        ),
    };
    let levels = plan.factors.into_iter();
    Ok(Recorded {
        processes,
        listed: reader.revision(shard.revision)?.tests,
        order,
        levels: levels.map(|level| (level.factor, level.level)).collect(),
        seed32: seed32(IterationSeed(plan.seed), plan.layout, plan.shard),
        what,
        about: probe.as_ref().map(|probe| probe.victim.clone()),
        beside: probe.map_or_else(Vec::new, |probe| probe.beside),
        runs: vec![match segment {
            Some(segment) => segment.trials,
            None => trials_of_shard(reader, shard.id)?,
        }],
    })
}

/// Returns the order of a seed as a hunt or a pass recorded it, with all its runs; `None` where none did.
///
/// # Errors
/// [`Failure`] when the database cannot be read.
pub(in crate::command) fn of_seed(
    random: &Random,
    reader: &Reader,
) -> Result<Option<Recorded>, Failure> {
    let known = known_shards(random, reader)?;
    let Some(newest) = known.last() else {
        return Ok(None);
    };
    let mut recorded = of_shard_row(reader, reader.shard(*newest)?, None)?;
    let runs = known.iter().map(|id| trials_of_shard(reader, *id));
    recorded.runs = runs.collect::<Result<_, _>>()?;
    Ok(Some(recorded))
}

/// Returns the shards on record that were planned with exactly this order, oldest first.
fn known_shards(random: &Random, reader: &Reader) -> Result<Vec<i64>, StoreError> {
    let mut known = Vec::new();
    for id in reader.find_shards(random.seed.0, random.layout, random.shard)? {
        if ShortDigest::from(&reader.shard(id)?.plan.order) == random.order {
            known.push(id);
        }
    }
    Ok(known)
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

/// Returns the order of a recorded shard, from the list of tests that it was planned for.
///
/// # Errors
/// [`Failure`] when the database cannot be read, or holds a layout without an order.
pub(super) fn order_of_shard(reader: &Reader, id: i64) -> Result<Order, Failure> {
    if let Some(probe) = reader.probe(id)? {
        return Ok(probe.probe.processes.into_iter().flatten().collect());
    }
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

/// Returns the order that a recorded segment was asked to run: its shard's, without what was over before.
///
/// # Errors
/// [`Failure`] when the database cannot be read.
pub(super) fn order_of_segment(reader: &Reader, segment: &SegmentRow) -> Result<Order, Failure> {
    let order = order_of_shard(reader, segment.open.shard)?;
    let mut before: Vec<TrialRecord> = Vec::new();
    for earlier in reader.segments_of(segment.open.shard)? {
        if earlier < segment.id {
            before.extend(reader.segment(earlier)?.trials);
        }
    }
    // Within a hunt only what we or the host cut off runs again; a resumed hunt also repeats what was void otherwise.
    let again: [fn(Outcome) -> bool; 2] = [
        |outcome| matches!(outcome, Outcome::Aborted | Outcome::Infra),
        Outcome::is_void,
    ];
    for runs_again in again {
        let over: BTreeSet<(&TestId, u8)> = before
            .iter()
            .filter(|trial| !runs_again(trial.outcome))
            .map(|trial| (&trial.test, trial.rep))
            .collect();
        let rest: Order = order
            .iter()
            .filter(|(test, rep)| !over.contains(&(test, *rep)))
            .cloned()
            .collect();
        if ListDigest::of(rest.iter().map(|(test, _)| test)) == segment.open.order {
            return Ok(rest);
        }
    }
    Ok(segment
        .trials
        .iter()
        .map(|trial| (trial.test.clone(), trial.rep))
        .collect())
}

/// Returns the trials of a recorded shard, those of its first segment first.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn trials_of_shard(reader: &Reader, id: i64) -> Result<Vec<TrialRecord>, StoreError> {
    let mut trials = Vec::new();
    for segment in reader.segments_of(id)? {
        trials.extend(reader.segment(segment)?.trials);
    }
    Ok(trials)
}

impl Target {
    /// Adds one recorded run of this order; the newest outcome of each trial is the one that counts.
    pub(super) fn add_run(&mut self, trials: Vec<TrialRecord>) {
        let order: BTreeSet<(TestId, u8)> = self.order().cloned().collect();
        let about = self.about.clone();
        let (mut said, mut failed) = (false, false);
        for trial in trials {
            let place = (trial.test, trial.rep);
            if trial.outcome.is_void() || !order.contains(&place) {
                continue;
            }
            let shown = Shown::of(trial.outcome, trial.detail.as_deref());
            if about.as_ref().is_none_or(|about| *about == place.0) {
                said = true;
                failed |= trial.outcome.is_failing();
                if trial.outcome.is_failing() {
                    self.watch.insert(place.0.clone());
                }
            }
            self.recorded.insert(place, shown);
        }
        self.runs += u32::from(said);
        self.failing_runs += u32::from(failed);
    }
}

impl Shown {
    /// Keeps of an outcome what comparing needs.
    pub(super) fn of(outcome: Outcome, detail: Option<&[u8]>) -> Self {
        Self {
            outcome,
            signature: detail.filter(|_| outcome.is_failing()).map(signature),
        }
    }
}
