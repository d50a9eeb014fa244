//! Was it the order after all? Before failures that came together are set aside, the orders up to some of them are
//! run again in fresh containers: what then fails again was no machine's doing.

use std::collections::BTreeMap;

use super::history::Segment;
use crate::model::Count;

/// Passing replays that acquit the tests of a burst. Victims of one polluter that fails every second of them may be
/// acquitted by chance, about once in sixteen times; they come back when it strikes again.
const PASSES: u32 = 4;
/// Tests of a burst that must have been replayed: it takes so many to make one.
const LEAST: usize = 3;
/// Failures of one test in replays that show that the order brings them: one may come of the same trouble again.
const AGAIN: u64 = 2;
/// How many of the earliest tests are replayed twice, the others once: their orders are the shortest.
const TWICE: usize = 1;

/// What a test waits for whose failures came together with others'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Awaited {
    /// How many of its failures wait to be judged.
    pub(crate) failures: u32,
    /// The segment (its number in the history) whose order up to this test is to be run again next, and how often.
    /// `None` while the replay of another test of the burst decides.
    pub(crate) replay: Option<(u32, u32)>,
    /// Did at least half of the tests of that burst fail again in the iterations around it, two of them together?
    pub(crate) recurred: bool,
}

/// What replays showed, by iteration and the test that had failed in it. An entry without a run is a replay that
/// could not be made.
#[derive(Debug, Default)]
pub(super) struct Replays(BTreeMap<(u64, u32), Count>);

impl Replays {
    /// Notes what a replay showed.
    pub(super) fn note(&mut self, iteration: u64, test: u32, showed: Count) {
        self.0.insert((iteration, test), showed);
    }

    /// Did a failure of this segment show again, and once more?
    pub(super) fn convict(&self, segment: &Segment) -> bool {
        self.of(segment).any(|count| count.failures >= AGAIN)
    }

    /// Did enough replays of this segment show no failure?
    pub(super) fn acquit(&self, segment: &Segment) -> bool {
        let replayed = self.of(segment).filter(|count| count.trials > 0).count();
        replayed >= LEAST && self.passed(segment) >= PASSES
    }

    /// Returns how many replays of this segment passed.
    pub(super) fn passed(&self, segment: &Segment) -> u32 {
        let passed = self.of(segment).map(|count| count.trials - count.failures);
        u32::try_from(passed.sum::<u64>()).unwrap_or(u32::MAX)
    }

    /// Returns the next test of a burst up to which its order is to be run again, and how often; `None` when there
    /// are not enough left that can be. The earliest come first: their orders are the shortest.
    pub(super) fn next(
        &self,
        segment: &Segment,
        odd: &[u32],
        present: &[bool],
    ) -> Option<(u32, u32)> {
        let mut places: Vec<(u32, u32)> = odd
            .iter()
            .filter_map(|test| Some((segment.place_of(*test)?, *test)))
            .filter(|(place, test)| {
                let mut order = segment.before(*place).chain([*test]);
                order.all(|other| present.get(other as usize) == Some(&true))
            })
            .collect();
        places.sort_unstable();
        let showed = |test: u32| self.0.get(&(segment.iteration, test));
        places.retain(|(_, test)| showed(*test).is_none_or(|count| count.trials > 0));
        if places.len() < LEAST {
            return None;
        }
        let next = places
            .iter()
            .position(|(_, test)| showed(*test).is_none())?;
        Some((places[next].1, if next < TWICE { 2 } else { 1 }))
    }

    fn of<'a>(&'a self, segment: &'a Segment) -> impl Iterator<Item = &'a Count> {
        let failed = segment.failed.iter();
        failed.filter_map(|test| self.0.get(&(segment.iteration, *test)))
    }
}
