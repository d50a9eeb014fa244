//! What the history says about one test: its runs, and counters of what ran before it in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::history::{LevelsOfRun, Segment, count};
use crate::stats::Cell;

/// Hours of one part of the day.
pub(super) const PART_OF_DAY: f32 = 3.0;
/// Parts of a day.
pub(super) const PARTS_OF_DAY: u32 = 8;

/// Takes one run out of a cell again.
fn take(cell: &mut Cell, failed: bool) {
    let side = if failed {
        &mut cell.failed
    } else {
        &mut cell.passed
    };
    *side = side.saturating_sub(1);
}

/// One run of a test (the first trial, where it ran twice).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// The iteration.
    pub(crate) iteration: u64,
    /// Number of the segment in the ledger's history.
    pub(crate) segment: u32,
    /// Did it fail? Otherwise it passed.
    pub(crate) failed: bool,
    /// Executions before it in its segment, where each test of a doubled one counts twice; 0 is first in its process.
    pub(crate) rank: u32,
    /// Tests that the segment was asked to run.
    pub(crate) of: u32,
    /// Share of the other tests of the iteration that ran before it.
    pub(crate) pi: f32,
    /// When it started, in seconds since the first test of its process did.
    pub(crate) started: f32,
    /// Hour of the day at which the segment started.
    pub(crate) hour: f32,
    /// Worker that ran it.
    pub(crate) worker: u32,
    /// Number of shards of the iteration.
    pub(crate) shards: u16,
    /// Levels of the factors: index of the factor, level.
    pub(crate) levels: LevelsOfRun,
    /// Place in the segment's order.
    pub(super) place: u32,
}

impl Run {
    /// Part of the day in which the segment started, from 0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an hour of the day in parts"
    )]
    pub(super) fn part_of_day(&self) -> u32 {
        (self.hour / PART_OF_DAY) as u32
    }

    /// Describes the run at `place` of `segment`, the `number`th of the history.
    pub(super) fn at(segment: &Segment, number: u32, place: u32, failed: bool) -> Self {
        let tests_before = segment.rank(place);
        #[expect(clippy::cast_precision_loss, reason = "a share, for ranking")]
        let pi = tests_before as f32 / segment.tests.saturating_sub(1).max(1) as f32;
        Self {
            iteration: segment.iteration,
            segment: number,
            failed,
            rank: tests_before * u32::from(segment.layout.repetitions()),
            of: count(segment.asked().len()),
            pi: pi.min(1.0),
            started: segment.seconds_at(place),
            hour: segment.hour,
            worker: segment.worker,
            shards: segment.layout.shards,
            levels: Arc::clone(&segment.levels),
            place,
        }
    }
}

/// Runs under one level of one factor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LevelCell {
    /// Index of the factor.
    pub(crate) factor: u16,
    /// The level.
    pub(crate) level: Arc<str>,
    /// The runs.
    pub(crate) cell: Cell,
}

/// Counters of one test over its runs, or over those that a question singles out. Failures that were
/// set aside as infrastructure are nowhere in it; candidates that were struck have empty cells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Evidence {
    /// All its runs.
    pub(crate) total: Cell,
    /// Per test: the runs that it started before, in the same process.
    pub(crate) before: Arc<Vec<Cell>>,
    /// Per test that ever ran directly before it: those runs.
    pub(crate) adjacent: BTreeMap<u32, Cell>,
    /// The runs for which it is known what ran elsewhere meanwhile.
    pub(crate) overlapped: Cell,
    /// Per test: the runs of `overlapped` beside which it ran on another worker; empty where none is known.
    pub(crate) overlap: Vec<Cell>,
    /// Second trials of doubled runs whose first passed.
    pub(crate) second: Cell,
    /// Levels of factors that list their levels, by factor and level.
    pub(crate) levels: Vec<LevelCell>,
    /// The runs, in the order of the plan.
    pub(crate) runs: Vec<Run>,
    /// Tests in which a process died, ascending: their empty cells do not clear them.
    pub(crate) struck: Vec<u32>,
    /// Are candidates left out (`before`, `adjacent`, `overlap`)?
    pub(super) is_bare: bool,
}

impl Evidence {
    /// Returns in how many parts of the day it ran.
    pub(crate) fn parts_of_day(&self) -> usize {
        let parts: BTreeSet<u32> = self.runs.iter().map(Run::part_of_day).collect();
        parts.len()
    }

    /// Starts without runs, for suites of `tests` tests.
    pub(super) fn of(tests: usize) -> Self {
        Self {
            before: Arc::new(vec![Cell::default(); tests]),
            ..Self::default()
        }
    }

    /// Starts without runs, and never counts candidates: what `blank` holds of them stands for all.
    pub(super) fn bare(blank: &Self) -> Self {
        Self {
            before: Arc::clone(&blank.before),
            is_bare: true,
            ..Self::default()
        }
    }

    /// Forgets the candidates.
    pub(super) fn strip(&mut self, blank: &Self) {
        self.before = Arc::clone(&blank.before);
        self.adjacent = BTreeMap::new();
        self.overlap = Vec::new();
        self.overlapped = Cell::default();
        self.is_bare = true;
    }

    /// Counts one more run, whose levels count when `listed`.
    pub(super) fn put(&mut self, segment: &Segment, run: Run, listed: &[bool]) {
        let failed = run.failed;
        self.total.add(failed);
        if !self.is_bare {
            let cells = Arc::make_mut(&mut self.before);
            for test in segment.before(run.place) {
                cells[test as usize].add(failed);
            }
            if let Some(test) = segment.directly_before(run.place) {
                self.adjacent.entry(test).or_default().add(failed);
            }
        }
        for (factor, level) in run.levels.iter() {
            if listed.get(usize::from(*factor)).copied().unwrap_or(false) {
                self.level(*factor, level).add(failed);
            }
        }
        let key = (run.iteration, run.segment);
        let at = self
            .runs
            .partition_point(|other| (other.iteration, other.segment) < key);
        self.runs.insert(at, run);
    }

    /// Counts a run with those before it that came after `last` as its only candidates.
    pub(super) fn put_after(&mut self, segment: &Segment, run: Run, last: u32) {
        self.total.add(run.failed);
        let cells = Arc::make_mut(&mut self.before);
        for (place, test) in segment.places_before(run.place) {
            if place > last {
                cells[test as usize].add(run.failed);
            }
        }
        self.runs.push(run);
    }

    /// Takes back the run in segment `number`, if it is there.
    pub(super) fn take(&mut self, segment: &Segment, number: u32) -> Option<Run> {
        let at = self.runs.iter().position(|run| run.segment == number)?;
        let run = self.runs.remove(at);
        let failed = run.failed;
        take(&mut self.total, failed);
        if !self.is_bare {
            let cells = Arc::make_mut(&mut self.before);
            for test in segment.before(run.place) {
                take(&mut cells[test as usize], failed);
            }
        }
        if let Some(cell) = segment
            .directly_before(run.place)
            .and_then(|test| self.adjacent.get_mut(&test))
        {
            take(cell, failed);
        }
        for (factor, level) in run.levels.iter() {
            let key = (*factor, &**level);
            if let Ok(at) = self.find_level(key) {
                take(&mut self.levels[at].cell, failed);
            }
        }
        self.adjacent.retain(|_, cell| cell.trials() > 0);
        self.levels.retain(|level| level.cell.trials() > 0);
        Some(run)
    }

    /// Counts which tests ran elsewhere during a run.
    pub(super) fn put_overlap(&mut self, beside: &[u32], failed: bool) {
        if self.is_bare {
            return;
        }
        self.overlapped.add(failed);
        if self.overlap.is_empty() {
            self.overlap = vec![Cell::default(); self.before.len()];
        }
        for test in beside {
            self.overlap[*test as usize].add(failed);
        }
    }

    /// Takes that back.
    pub(super) fn take_overlap(&mut self, beside: &[u32], failed: bool) {
        if self.is_bare || self.overlap.is_empty() {
            return;
        }
        take(&mut self.overlapped, failed);
        for test in beside {
            take(&mut self.overlap[*test as usize], failed);
        }
    }

    /// Empties the cells of candidates that may not be judged by what was observed.
    pub(super) fn strike(&mut self, struck: &[u32]) {
        self.struck.clear();
        self.struck.extend_from_slice(struck);
        if self.is_bare || struck.is_empty() {
            return;
        }
        let cells = Arc::make_mut(&mut self.before);
        for test in struck {
            cells[*test as usize] = Cell::default();
            self.adjacent.remove(test);
            if let Some(cell) = self.overlap.get_mut(*test as usize) {
                *cell = Cell::default();
            }
        }
    }

    fn level(&mut self, factor: u16, level: &Arc<str>) -> &mut Cell {
        let at = match self.find_level((factor, &**level)) {
            Ok(at) => at,
            Err(at) => {
                let level = Arc::clone(level);
                let cell = Cell::default();
                self.levels.insert(
                    at,
                    LevelCell {
                        factor,
                        level,
                        cell,
                    },
                );
                at
            }
        };
        &mut self.levels[at].cell
    }

    fn find_level(&self, key: (u16, &str)) -> Result<usize, usize> {
        self.levels
            .binary_search_by(|cell| (cell.factor, &*cell.level).cmp(&key))
    }
}
