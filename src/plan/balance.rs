//! Shards of equal predicted length for `run`, and how long a layout's longest shard will take.
//! Durations are given: they come from the record, and are not measured here.

use std::cmp::Reverse;
use std::time::Duration;

use super::list::Tests;
use super::order::{LayoutError, Trial, assign, sort_free};
use super::seed::IterationSeed;
use crate::model::{Grouping, Layout};

/// What a test is taken to last while nothing at all has been recorded: any length balances the
/// same, but a prediction should not be 0.
const GUESS: Duration = Duration::from_millis(100);

/// Returns `workers` shards (at least one) of nearly equal predicted length, each ordered by key.
///
/// `durations` has one entry per test in default order; an unknown or missing one counts as the
/// median. The longest test (or module, where these stay together) goes first, always to the shard
/// that is least loaded.
///
/// Source: R. L. Graham (1969), SIAM J. Appl. Math. 17(2), rule LPT.
#[must_use]
pub fn balanced(
    tests: &Tests,
    durations: &[Option<Duration>],
    workers: u16,
    grouping: Grouping,
    seed: IterationSeed,
) -> Vec<Vec<Trial>> {
    let lasting = filled(tests, durations);
    let mut pieces = pieces(tests, grouping);
    pieces.sort_by_cached_key(|piece| (Reverse(length(piece, &lasting)), tests.name(piece[0])));

    let mut shards = vec![(Duration::ZERO, Vec::new()); usize::from(workers.max(1))];
    for piece in pieces {
        let (load, members) = least_loaded(&mut shards);
        *load = load.saturating_add(length(&piece, &lasting));
        members.extend(piece);
    }
    shards
        .into_iter()
        .map(|(_, mut members)| {
            sort_free(grouping, seed, tests, &mut members);
            let once = |test| Trial { test, rep: 1 };
            members.into_iter().map(once).collect()
        })
        .collect()
}

/// Returns how long the longest shard of a layout will run, with `durations` as for [`balanced`].
///
/// # Errors
/// [`LayoutError`] when the layout gives no order.
pub fn predicted_longest(
    layout: Layout,
    seed: IterationSeed,
    tests: &Tests,
    durations: &[Option<Duration>],
) -> Result<Duration, LayoutError> {
    let lasting = filled(tests, durations);
    let longest = assign(layout, seed, tests)?
        .iter()
        .map(|shard| total(shard.iter().map(|trial| lasting[trial.test as usize])))
        .max();
    Ok(longest.unwrap_or_default())
}

/// One duration per test, the median of the known ones (the upper of two) where there is none.
fn filled(tests: &Tests, durations: &[Option<Duration>]) -> Vec<Duration> {
    let of_test = |test: u32| durations.get(test as usize).copied().flatten();
    let mut known: Vec<Duration> = tests.indexes().filter_map(of_test).collect();
    known.sort_unstable();
    let median = known.get(known.len() / 2).copied().unwrap_or(GUESS);
    tests
        .indexes()
        .map(|test| of_test(test).unwrap_or(median))
        .collect()
}

/// The shard with the least load; of several the one with the fewest tests, of these the first.
fn least_loaded(shards: &mut [(Duration, Vec<u32>)]) -> &mut (Duration, Vec<u32>) {
    shards
        .iter_mut()
        .min_by_key(|(load, members)| (*load, members.len()))
        .expect("there is at least one shard")
}

/// What may not be split: single tests, or the modules.
fn pieces(tests: &Tests, grouping: Grouping) -> Vec<Vec<u32>> {
    match grouping {
        Grouping::Interleaved => tests.indexes().map(|test| vec![test]).collect(),
        Grouping::ModuleContiguous => {
            let mut modules = vec![Vec::new(); tests.module_count()];
            for test in tests.indexes() {
                modules[tests.module(test) as usize].push(test);
            }
            modules
        }
    }
}

fn length(piece: &[u32], lasting: &[Duration]) -> Duration {
    total(piece.iter().map(|test| lasting[*test as usize]))
}

/// Recorded durations are untrusted: an absurd one must not overflow a sum.
fn total(durations: impl Iterator<Item = Duration>) -> Duration {
    durations.fold(Duration::ZERO, Duration::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Design, TestId};

    fn listed(count: u32) -> Tests {
        let names = (0..count)
            .map(|i| TestId::new(format!("m{}::t{i}", i / 5)).unwrap())
            .collect();
        Tests::new(names, |name| &name.as_bytes()[..2])
    }

    fn lengths(shards: &[Vec<Trial>], lasting: &[Option<Duration>]) -> Vec<Duration> {
        let of = |trial: &Trial| lasting[trial.test as usize].unwrap_or_default();
        shards.iter().map(|s| total(s.iter().map(of))).collect()
    }

    #[test]
    fn balanced_shards_hold_every_test_once_and_differ_by_less_than_the_longest_test() {
        let tests = listed(40);
        let lasting: Vec<_> = (0..40)
            .map(|i| Some(Duration::from_millis(7 * i % 41)))
            .collect();
        let shards = balanced(&tests, &lasting, 3, Grouping::Interleaved, IterationSeed(5));
        let mut all: Vec<u32> = shards.iter().flatten().map(|t| t.test).collect();
        all.sort_unstable();
        assert_eq!(all, (0..40).collect::<Vec<_>>());
        let lengths = lengths(&shards, &lasting);
        let shortest = *lengths.iter().min().unwrap();
        let most = shortest + Duration::from_millis(41);
        assert!(lengths.iter().all(|length| *length < most), "{lengths:?}");
    }

    #[test]
    fn balanced_modules_are_never_split() {
        let tests = listed(40);
        let shards = balanced(&tests, &[], 3, Grouping::ModuleContiguous, IterationSeed(5));
        for shard in &shards {
            let mut modules: Vec<u32> = shard.iter().map(|t| tests.module(t.test)).collect();
            modules.dedup();
            let runs = modules.len();
            modules.sort_unstable();
            modules.dedup();
            assert_eq!(runs, modules.len());
            assert_eq!(shard.len(), 5 * runs, "whole modules");
        }
    }

    #[test]
    fn unknown_durations_spread_evenly() {
        for lasting in [
            vec![],
            vec![Some(Duration::ZERO); 9],
            vec![Some(Duration::MAX); 9],
        ] {
            let shards = balanced(
                &listed(9),
                &lasting,
                3,
                Grouping::Interleaved,
                IterationSeed(0),
            );
            assert!(shards.iter().all(|shard| shard.len() == 3), "{lasting:?}");
        }
    }

    #[test]
    fn predicted_longest_counts_repetitions_and_takes_the_median_for_the_unknown() {
        let second = Duration::from_secs(1);
        let lasting = [Some(second), Some(3 * second), Some(2 * second)];
        let of = |design| {
            let layout = Layout {
                design,
                shards: 1,
                grouping: Grouping::Interleaved,
                class: 0,
            };
            predicted_longest(layout, IterationSeed(0), &listed(4), &lasting)
        };
        assert_eq!(of(Design::Free), Ok(8 * second));
        assert_eq!(of(Design::Doubled), Ok(16 * second));
        assert!(of(Design::Given).is_err());
        assert!(of(Design::Probe).is_err());
    }
}
