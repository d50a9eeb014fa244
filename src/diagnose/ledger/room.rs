//! Whose candidates are counted. In a suite where everything fails, counters per candidate of every failing test would
//! take the square of its tests: so only as many tests as there is room for get them, those first of which most can be
//! learnt, and of the rest some are known by their own runs alone.

use std::collections::{BTreeMap, BTreeSet};

use super::history::count;

/// Most suspects whose candidates are counted: more than a suite has that is worth a night. Each costs time in every
/// iteration.
const MOST: u32 = 400;
/// Fewest, in however large a suite.
const LEAST: u32 = 32;
/// Suspects times tests of them: at 36 bytes each, half of the 150 megabytes that a hunt may take.
const CELLS: u32 = 2_000_000;
/// Most suspects beyond these that are known by their own runs alone.
pub(super) const MOST_BARE: u32 = 400;

/// How much can be learnt of a test that failed; what orders first comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Are all its failures set aside?
    pub(super) is_above_suspicion: bool,
    /// Do all of them wait for the replay of another test?
    pub(super) waits: bool,
    /// No candidate explains a test that always fails.
    pub(super) never_passed: bool,
    /// The fewer failures, the more each says.
    pub(super) failures: u32,
}

/// Returns how many suspects have their candidates counted in a suite of so many tests.
pub(super) fn of(tests: usize) -> u32 {
    (CELLS / count(tests.max(1))).clamp(LEAST, MOST)
}

/// Chooses, among tests by rank, those whose candidates are counted; `counted` are those that have been. Such a test
/// gives way only to one that failed less than half as often, since each change counts the whole history again.
pub(super) fn choose(
    ranks: &BTreeMap<u32, Rank>,
    room: u32,
    counted: impl Fn(u32) -> bool,
) -> BTreeSet<u32> {
    if count(ranks.len()) <= room {
        return ranks.keys().copied().collect();
    }
    let mut ordered: Vec<(Rank, u32)> = ranks
        .iter()
        .map(|(test, rank)| {
            let failures = if counted(*test) {
                rank.failures / 2
            } else {
                rank.failures
            };
            (Rank { failures, ..*rank }, *test)
        })
        .collect();
    ordered.sort_unstable();
    let chosen = ordered.into_iter().take(room as usize);
    chosen.map(|(_, test)| test).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(failures: u32) -> Rank {
        Rank {
            is_above_suspicion: false,
            waits: false,
            never_passed: false,
            failures,
        }
    }

    #[test]
    fn room_shrinks_with_the_suite_and_never_vanishes() {
        assert_eq!([1, 5000, 20_000, 200_000].map(of), [400, 400, 100, 32]);
    }

    #[test]
    fn fewest_failures_come_first_and_those_that_never_passed_last() {
        let mut ranks: BTreeMap<u32, Rank> = [(1, 9), (2, 3), (3, 3), (4, 1)]
            .map(|(test, failures)| (test, rank(failures)))
            .into();
        ranks.get_mut(&4).unwrap().never_passed = true;
        let none = |_| false;
        assert_eq!(choose(&ranks, 2, none), [2, 3].into());
        assert_eq!(choose(&ranks, 3, none), [1, 2, 3].into());
        assert_eq!(choose(&ranks, 4, none), [1, 2, 3, 4].into());
        ranks.get_mut(&3).unwrap().waits = true;
        assert_eq!(choose(&ranks, 2, none), [1, 2].into());
    }

    #[test]
    fn counted_test_stays_until_another_failed_less_than_half_as_often() {
        let ranks: BTreeMap<u32, Rank> = [(1, rank(9)), (2, rank(5))].into();
        assert_eq!(choose(&ranks, 1, |test| test == 1), [1].into());
        let ranks: BTreeMap<u32, Rank> = [(1, rank(9)), (2, rank(3))].into();
        assert_eq!(choose(&ranks, 1, |test| test == 1), [2].into());
    }
}
