//! Evidence: the closed segments of all hunts of a suite, in the order of their plans, up to the watermark. The
//! same way serves a hunt that begins and one that lives, which only asks for more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::{Connection, Row, named_params};

use super::codec;
use super::rows::{self, RevisionId, word};
use super::{Reader, StoreError, sql};
use crate::model::{
    Design, FactorLevel, Grouping, Layout, ListDigest, MonoMicros, Outcome, SegmentEnd, ShardState,
    SuiteId, TestId, UnixMillis,
};
use crate::plan::Origin;

/// How far the evidence of a suite was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    suite: SuiteId,
    hunt: i64,
    /// Next plan index of that hunt.
    next: i64,
    /// Iterations of all earlier hunts.
    before: u64,
    /// Microseconds that the segments of the iteration took that is not complete.
    spent: i64,
}

/// A piece of evidence.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// A closed segment of a shard that was finished, or closed for good.
    Segment(Box<ObservedSegment>),
    /// An iteration is complete: all its segments came before.
    Iteration {
        /// Counted over all hunts of the suite, from 0.
        iteration: u64,
        /// What its segments took, in seconds of one worker.
        seconds: f64,
    },
}

/// A closed segment of an iteration. Tests are the rows of [`Reader::tests_of`].
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedSegment {
    /// Row.
    pub segment: i64,
    /// Its shard.
    pub shard: i64,
    /// Its hunt.
    pub hunt: i64,
    /// Iteration, counted over all hunts of the suite.
    pub iteration: u64,
    /// Revision that was under test.
    pub revision: RevisionId,
    /// How the iteration was cut.
    pub layout: Layout,
    /// Tests that the iteration planned, in all its shards.
    pub tests: u32,
    /// How the segment came to its order. What the order was that it was asked for cannot be told of a shard that
    /// was given up: it counts as differing, as does one whose trials contradict the recorded digest.
    pub origin: Origin,
    /// Tests that it was asked to run, in order, without repetitions.
    pub asked: Vec<i64>,
    /// What ran, in the order it ran.
    pub trials: Vec<ObservedTrial>,
    /// Test that was running when the process died, or was killed for a limit.
    pub died_in: Option<i64>,
    /// Worker that ran it.
    pub worker: u32,
    /// Boot whose monotonic clock its times are on.
    pub boot_id: String,
    /// Monotonic start.
    pub started: MonoMicros,
    /// Wall-clock label of the start.
    pub started_at: UnixMillis,
    /// How long it ran.
    pub took: Duration,
    /// Levels of its environment factors by name.
    pub factors: Vec<FactorLevel>,
}

/// One trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObservedTrial {
    /// Row of the test.
    pub test: i64,
    /// 1, or 2 for the second run of a doubled layout.
    pub rep: u8,
    /// What it showed.
    pub outcome: Outcome,
    /// Monotonic start; `None` when it never started.
    pub started: Option<MonoMicros>,
    /// How long it ran; `None` when unknown.
    pub duration: Option<Duration>,
}

impl Cursor {
    /// Starts before the first iteration of the first hunt of a suite.
    #[must_use]
    pub fn start(suite: SuiteId) -> Self {
        Self {
            suite,
            hunt: 0,
            next: 0,
            before: 0,
            spent: 0,
        }
    }
}

/// A shard whose evidence is read.
struct Shard {
    id: i64,
    plan_index: i64,
    state: ShardState,
    iteration_id: i64,
    iteration: u64,
    revision: RevisionId,
    layout: Layout,
}

/// What all shards of an iteration have in common.
#[derive(Clone, Copy)]
struct Size {
    iteration_id: i64,
    tests: u32,
    last: i64,
}

/// A segment, and what is needed to say what it was asked to run.
struct Found {
    row: ObservedSegment,
    asked: u32,
    order: ListDigest,
}

impl Reader {
    /// Gives every piece of evidence that is new since the cursor, and moves it. Where it stops, an iteration may
    /// be half given: the rest of it comes first the next time.
    ///
    /// Hunts come in the order of their rows, each up to its own watermark: a hunt that was given up for another
    /// ends there.
    ///
    /// # Errors
    /// When the database cannot be read; the cursor is then of no use any more.
    pub fn observe(
        &self,
        cursor: &mut Cursor,
        mut each: impl FnMut(Observed),
    ) -> Result<(), StoreError> {
        let moment = self
            .connection
            .unchecked_transaction()
            .map_err(|e| StoreError::query("observe", e))?;
        let values = named_params! { ":suite_id": cursor.suite.bits(), ":from_hunt": cursor.hunt };
        let hunt = |row: &Row| Ok((row.get("id")?, row.get("iterations")?, row.get("before")?));
        let hunts: Vec<(i64, u64, i64)> = sql::OBSERVED_HUNTS.all(&moment, values, hunt)?;
        let mut names = Names::default();
        let mut earlier = 0;
        for (id, iterations, before) in hunts {
            if id != cursor.hunt {
                *cursor = Cursor {
                    suite: cursor.suite,
                    hunt: id,
                    next: 0,
                    before: cursor.before + earlier,
                    spent: 0,
                };
            }
            earlier = iterations;
            self.observe_hunt(&moment, cursor, before, &mut names, &mut each)?;
        }
        Ok(())
    }

    fn observe_hunt(
        &self,
        moment: &Connection,
        cursor: &mut Cursor,
        before: i64,
        names: &mut Names,
        each: &mut impl FnMut(Observed),
    ) -> Result<(), StoreError> {
        let values = named_params! {
            ":hunt_id": cursor.hunt, ":from": cursor.next, ":before": before,
        };
        let mut size: Option<Size> = None;
        for shard in sql::OBSERVED_SHARDS.all(moment, values, shard)? {
            let size = match size {
                Some(size) if size.iteration_id == shard.iteration_id => size,
                _ => *size.insert(size_of(moment, &shard)?),
            };
            for found in self.segments(moment, cursor, &shard, size, names)? {
                let took = found.row.took.as_micros();
                cursor.spent += i64::try_from(took).unwrap_or(0);
                each(Observed::Segment(Box::new(found.row)));
            }
            if shard.plan_index == size.last {
                let took = Duration::from_micros(cursor.spent.unsigned_abs());
                each(Observed::Iteration {
                    iteration: cursor.before + shard.iteration,
                    seconds: took.as_secs_f64(),
                });
                cursor.spent = 0;
            }
            cursor.next = shard.plan_index + 1;
        }
        Ok(())
    }

    /// Reads the segments of a shard, oldest first.
    fn segments(
        &self,
        moment: &Connection,
        cursor: &Cursor,
        shard: &Shard,
        size: Size,
        names: &mut Names,
    ) -> Result<Vec<Found>, StoreError> {
        let id = named_params! { ":shard_id": shard.id };
        let mut segments = sql::OBSERVED_SEGMENTS.all(moment, id, |row| segment(row, shard))?;
        let factors = self.factors(shard.id)?;
        for found in &mut segments {
            let row = &mut found.row;
            row.hunt = cursor.hunt;
            row.iteration = cursor.before + shard.iteration;
            row.tests = size.tests;
            row.factors.clone_from(&factors);
            row.trials = trials(moment, row.segment, row.started)?;
        }
        for place in 0..segments.len() {
            let order = asked(&segments[place..]);
            let found = &segments[place];
            let whole = found.row.trials.iter().all(|trial| trial.started.is_some())
                && found.row.trials.len() == found.asked as usize;
            // What ran from the first test to the last is what was asked for, unless the segment says otherwise.
            let known = whole
                || (shard.state == ShardState::Finished
                    && names.digest(self, cursor.suite, &order)? == Some(found.order));
            let row = &mut segments[place].row;
            if !known {
                row.origin = Origin::Differing;
            }
            row.asked = without_repetitions(&order);
        }
        Ok(segments)
    }

    /// Returns every test that a suite ever listed, by row.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn tests_of(&self, suite: SuiteId) -> Result<Vec<(i64, TestId)>, StoreError> {
        let values = named_params! { ":suite_id": suite.bits() };
        let test = |row: &Row| Ok((row.get("id")?, rows::test_name(row, "name")?));
        sql::TESTS_OF_SUITE.all(&self.connection, values, test)
    }
}

/// Names by row, read when the first order has to be checked.
#[derive(Default)]
struct Names(BTreeMap<i64, TestId>);

impl Names {
    /// Digests an order; `None` when the suite never listed one of its tests.
    fn digest(
        &mut self,
        reader: &Reader,
        suite: SuiteId,
        order: &[(i64, u8)],
    ) -> Result<Option<ListDigest>, StoreError> {
        if self.0.is_empty() {
            self.0 = reader.tests_of(suite)?.into_iter().collect();
        }
        let named: Option<Vec<&TestId>> = order.iter().map(|(test, _)| self.0.get(test)).collect();
        Ok(named.map(ListDigest::of))
    }
}

/// The order that the first of these segments was asked for: what it ran, then what the later ones ran of the rest,
/// which they had in unchanged order.
fn asked(segments: &[Found]) -> Vec<(i64, u8)> {
    let trials = segments.iter().map(|found| &found.row.trials);
    let first = segments[0].row.trials.len();
    if first == segments[0].asked as usize {
        return segments[0]
            .row
            .trials
            .iter()
            .map(|t| (t.test, t.rep))
            .collect();
    }
    let mut met = BTreeSet::new();
    let all = trials.flatten().map(|trial| (trial.test, trial.rep));
    all.filter(|trial| met.insert(*trial)).collect()
}

/// Keeps the first of each test.
fn without_repetitions(order: &[(i64, u8)]) -> Vec<i64> {
    if order.iter().all(|(_, rep)| *rep == 1) {
        return order.iter().map(|(test, _)| *test).collect();
    }
    let mut met = BTreeSet::new();
    let all = order.iter().map(|(test, _)| *test);
    all.filter(|test| met.insert(*test)).collect()
}

fn size_of(moment: &Connection, shard: &Shard) -> Result<Size, StoreError> {
    let values = named_params! { ":iteration_id": shard.iteration_id };
    let size = |row: &Row| Ok((row.get("trials")?, row.get("last")?));
    let (trials, last): (u32, i64) = sql::SIZE_OF_ITERATION.only(moment, values, size)?;
    Ok(Size {
        iteration_id: shard.iteration_id,
        tests: trials / u32::from(shard.layout.repetitions()),
        last,
    })
}

fn shard(row: &Row) -> rusqlite::Result<Shard> {
    Ok(Shard {
        id: row.get("id")?,
        plan_index: row.get("plan_index")?,
        state: word(row, "state", ShardState::from_code)?,
        iteration_id: row.get("iteration_id")?,
        iteration: row.get("iteration")?,
        revision: RevisionId(row.get("revision_id")?),
        layout: Layout {
            design: word(row, "design", Design::from_code)?,
            shards: row.get("shards")?,
            grouping: word(row, "grouping", Grouping::from_code)?,
            class: row.get("class")?,
        },
    })
}

fn segment(row: &Row, shard: &Shard) -> rusqlite::Result<Found> {
    let end = word(row, "end", SegmentEnd::from_code)?;
    let died = matches!(
        end,
        SegmentEnd::Timeout | SegmentEnd::Crashed | SegmentEnd::Oom
    );
    let parent: Option<i64> = row.get("parent_id")?;
    let origin = match (row.get("order_differs")?, parent) {
        (true, _) => Origin::Differing,
        (false, Some(_)) => Origin::Remainder,
        (false, None) => Origin::Planned,
    };
    let running: Option<i64> = row.get("running_id")?;
    let started = MonoMicros(row.get("started_us")?);
    let ended = MonoMicros(row.get("ended_us")?);
    Ok(Found {
        row: ObservedSegment {
            segment: row.get("id")?,
            shard: shard.id,
            hunt: 0,
            iteration: 0,
            revision: shard.revision,
            layout: shard.layout,
            tests: 0,
            origin,
            asked: Vec::new(),
            trials: Vec::new(),
            died_in: running.filter(|_| died),
            worker: row.get("worker")?,
            boot_id: row.get("boot_id")?,
            started,
            started_at: UnixMillis(row.get("started_ms")?),
            took: ended.since(started),
            factors: Vec::new(),
        },
        asked: row.get("trials")?,
        order: ListDigest::from_bytes(row.get("order_digest")?),
    })
}

fn trials(
    moment: &Connection,
    segment: i64,
    started: MonoMicros,
) -> Result<Vec<ObservedTrial>, StoreError> {
    let id = named_params! { ":segment_id": segment };
    let packed = sql::SELECT_TIMING.first(moment, id, |row| row.get("trials"))?;
    let packed: Vec<u8> = packed.ok_or(StoreError::Packed { segment })?;
    let times = codec::unpack_times(&packed, started).ok_or(StoreError::Packed { segment })?;
    let mut times = times.into_iter();
    // Ten million times: by number, because looking a column up by its name costs as much as reading it.
    let trial = |row: &Row| {
        let result: u8 = row.get(1)?;
        let code = i64::from(result & 15);
        let outcome = Outcome::from_code(code);
        let times = times.next();
        Ok(ObservedTrial {
            test: row.get(0)?,
            rep: (result >> 4) + 1,
            outcome: outcome.ok_or(rusqlite::Error::IntegralValueOutOfRange(1, code))?,
            started: times.and_then(codec::Times::started),
            duration: times.and_then(codec::Times::duration),
        })
    };
    sql::BARE_TRIALS.all(moment, id, trial)
}
