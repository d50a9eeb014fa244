//! The closed segments of a hunt, compact: orders as lists of tests, outcomes as exceptions from "passed".

use std::sync::Arc;

use crate::{
    diagnose::observation::{Observation, Showed},
    model::{Design, Grouping, Layout},
    plan::Origin,
};

/// Levels of the factors under which a segment ran: index of the factor, level.
pub(crate) type LevelsOfRun = Arc<[(u16, Arc<str>)]>;

/// One closed segment.
#[derive(Debug)]
pub(super) struct Segment {
    /// Its iteration.
    pub(super) iteration: u64,
    /// How the iteration is cut.
    pub(super) layout: Layout,
    /// How it came to its order.
    pub(super) origin: Origin,
    /// Tests that the iteration planned.
    pub(super) tests: u32,
    /// Modules that the iteration planned.
    pub(super) modules: u32,
    /// Worker that ran it.
    pub(super) worker: u32,
    /// Hour of the day at which it started.
    pub(super) hour: f32,
    /// Levels of its factors.
    pub(super) levels: LevelsOfRun,
    /// The test in which it died.
    pub(super) died_in: Option<u32>,
    /// The asked order where what ran followed it; otherwise what ran, then what did not start.
    order: Box<[u32]>,
    /// How many of `order` there are up to the last one that started.
    started: u32,
    /// Places below `started` whose test did not start, ascending.
    gaps: Box<[u32]>,
    /// Did what ran follow the asked order? Where it did not, nothing is known of how the order came to be.
    pub(super) as_asked: bool,
    /// Start of each of the first `started` places since the first one, in units of `tick` seconds.
    starts: Box<[u16]>,
    tick: f32,
    /// Tests whose first trial failed, ascending.
    pub(super) failed: Box<[u32]>,
    /// Tests that started and whose first trial showed nothing, ascending.
    silent: Box<[u32]>,
    /// Tests whose first trial passed and whose second showed something: did that fail? Ascending.
    pub(super) second: Box<[(u32, bool)]>,
}

impl Segment {
    /// Packs what was observed.
    pub(super) fn of(observation: &Observation<'_>) -> Self {
        let firsts: Vec<_> = observation
            .trials
            .iter()
            .filter(|trial| trial.rep <= 1)
            .collect();
        let ran: Vec<u32> = firsts.iter().map(|trial| trial.test).collect();
        let (order, gaps, as_asked) = match places_within(&ran, observation.asked) {
            Some(gaps) => (observation.asked.to_vec(), gaps, true),
            None => (ran_then_rest(&ran, observation.asked), Vec::new(), false),
        };
        let zero = firsts.first().map_or(0.0, |trial| trial.start);
        let length = firsts.last().map_or(0.0, |trial| trial.start - zero);
        let tick = (length / f64::from(u16::MAX)).max(1e-6);
        let mut starts = Vec::with_capacity(ran.len() + gaps.len());
        let mut gap = gaps.iter().peekable();
        for trial in &firsts {
            let ticks = ((trial.start - zero) / tick).clamp(0.0, f64::from(u16::MAX));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to the range"
            )]
            let ticks = ticks as u16;
            while gap
                .next_if(|place| **place == count(starts.len()))
                .is_some()
            {
                starts.push(ticks);
            }
            starts.push(ticks);
        }
        let that_showed = |showed: Showed| {
            let mut tests: Vec<u32> = firsts
                .iter()
                .filter(|trial| trial.showed == showed)
                .map(|trial| trial.test)
                .collect();
            tests.sort_unstable();
            tests.dedup();
            tests.into_boxed_slice()
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a length in ticks needs no more"
        )]
        let tick = tick as f32;
        let (failed, silent) = (that_showed(Showed::Failed), that_showed(Showed::Nothing));
        Self {
            iteration: observation.iteration,
            layout: observation.layout,
            origin: observation.origin,
            tests: observation.tests,
            modules: observation.modules,
            worker: observation.worker,
            hour: observation.hour,
            levels: observation
                .levels
                .iter()
                .map(|(factor, level)| (*factor, Arc::from(level.as_str())))
                .collect(),
            died_in: observation.died_in,
            started: count(starts.len()),
            second: seconds(observation, &failed, &silent),
            order: order.into_boxed_slice(),
            gaps: gaps.into_boxed_slice(),
            as_asked,
            starts: starts.into_boxed_slice(),
            tick,
            failed,
            silent,
        }
    }

    /// Returns where `test` started, as a place in the order; `None` where it did not.
    pub(super) fn place_of(&self, test: u32) -> Option<u32> {
        let place = self.order[..self.started as usize]
            .iter()
            .position(|other| *other == test)?;
        Some(count(place)).filter(|place| self.gaps.binary_search(place).is_err())
    }

    /// Calls `with` for every test that started, with its place.
    pub(super) fn each_started(&self, mut with: impl FnMut(u32, u32)) {
        for (place, test) in (0..).zip(&self.order[..self.started as usize]) {
            if self.gaps.is_empty() || self.gaps.binary_search(&place).is_err() {
                with(*test, place);
            }
        }
    }

    /// Returns the tests that started before the one at `place`, in order, with their places.
    pub(super) fn places_before(&self, place: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut gaps = self.gaps.iter().copied().peekable();
        (0..place)
            .zip(self.order[..place as usize].iter().copied())
            .filter(move |(at, _)| gaps.next_if_eq(at).is_none())
    }

    /// Returns the tests that started before the one at `place`, in order.
    pub(super) fn before(&self, place: u32) -> impl Iterator<Item = u32> + '_ {
        self.places_before(place).map(|(_, test)| test)
    }

    /// Returns the test that ran directly before the one at `place`.
    pub(super) fn directly_before(&self, place: u32) -> Option<u32> {
        let place = (0..place)
            .rev()
            .find(|at| self.gaps.binary_search(at).is_err())?;
        Some(self.order[place as usize])
    }

    /// Returns how many tests started before the one at `place`.
    pub(super) fn rank(&self, place: u32) -> u32 {
        place - count(self.gaps.partition_point(|gap| *gap < place))
    }

    /// Returns how many tests started.
    pub(super) fn started(&self) -> u32 {
        self.started - count(self.gaps.len())
    }

    /// Returns the tests that it was asked to run, in the asked order where [`as_asked`](Self::as_asked).
    pub(super) fn asked(&self) -> &[u32] {
        &self.order
    }

    /// Were all orders of its tests equally likely?
    pub(super) fn is_drawn_evenly(&self) -> bool {
        let designs = [Design::Free, Design::Coverage, Design::Balanced];
        designs.contains(&self.layout.design)
            && self.layout.grouping == Grouping::Interleaved
            && self.origin == Origin::Planned
            && self.as_asked
    }

    /// Returns when the test at `place` started, in seconds since the first.
    pub(super) fn seconds_at(&self, place: u32) -> f32 {
        f32::from(self.starts[place as usize]) * self.tick
    }

    /// Did the first trial of a test that started fail? `None` where it showed nothing.
    pub(super) fn outcome(&self, test: u32) -> Option<bool> {
        if self.failed.binary_search(&test).is_ok() {
            Some(true)
        } else if self.silent.binary_search(&test).is_ok() {
            None
        } else {
            Some(false)
        }
    }

    /// Did the second trial fail, of a test whose first passed?
    pub(super) fn second_of(&self, test: u32) -> Option<bool> {
        let found = self.second.binary_search_by_key(&test, |(test, _)| *test);
        found.ok().map(|at| self.second[at].1)
    }
}

/// Places of `asked` that `ran` passes over, when `ran` follows `asked`; `None` when it does not.
fn places_within(ran: &[u32], asked: &[u32]) -> Option<Vec<u32>> {
    let mut gaps = Vec::new();
    let mut asked = (0_u32..).zip(asked);
    for test in ran {
        loop {
            let (place, wanted) = asked.next()?;
            if wanted == test {
                break;
            }
            gaps.push(place);
        }
    }
    Some(gaps)
}

fn ran_then_rest(ran: &[u32], asked: &[u32]) -> Vec<u32> {
    let mut known: Vec<u32> = ran.to_vec();
    known.sort_unstable();
    let rest = asked
        .iter()
        .copied()
        .filter(|test| known.binary_search(test).is_err());
    ran.iter().copied().chain(rest).collect()
}

fn seconds(observation: &Observation<'_>, failed: &[u32], silent: &[u32]) -> Box<[(u32, bool)]> {
    let first_passed =
        |test: &u32| failed.binary_search(test).is_err() && silent.binary_search(test).is_err();
    let mut second: Vec<(u32, bool)> = observation
        .trials
        .iter()
        .filter(|trial| trial.rep == 2 && trial.showed != Showed::Nothing)
        .map(|trial| (trial.test, trial.showed == Showed::Failed))
        .filter(|(test, _)| first_passed(test))
        .collect();
    second.sort_unstable();
    second.dedup_by_key(|(test, _)| *test);
    second.into_boxed_slice()
}

/// A length as it is kept: no suite has four billion tests.
pub(super) fn count(length: usize) -> u32 {
    u32::try_from(length).expect("fewer than four billion")
}
