//! Which tests each iteration planned: what the suite does not have yet, or no more, could not have run before anything.

use std::{collections::BTreeMap, sync::Arc};

use super::history::{Segment, count};

/// A set of tests, a bit for each.
pub(super) type Tests = [u64];

/// The tests of every iteration whose closed segments tell them all.
#[derive(Debug, Default)]
pub(super) struct Planned {
    words: usize,
    of: BTreeMap<u64, Arc<Tests>>,
    /// That of the latest iteration: most are equal to it.
    latest: Arc<Tests>,
}

impl Planned {
    /// Starts without iterations, for a universe of `tests` tests.
    pub(super) fn new(tests: usize) -> Self {
        Self {
            words: tests.div_ceil(64),
            ..Self::default()
        }
    }

    /// Takes the segments of whole iterations.
    pub(super) fn take(&mut self, segments: &[Segment]) {
        for of_one in segments.chunk_by(|one, other| one.iteration == other.iteration) {
            let mut tests = vec![0_u64; self.words];
            for segment in of_one {
                for test in segment.asked() {
                    tests[*test as usize / 64] |= 1 << (test % 64);
                }
            }
            let known: usize = tests.iter().map(|word| word.count_ones() as usize).sum();
            // Where a shard was given up, nobody can say whether a test is gone or was in it. To leave out only those
            // that are missing would keep a test exactly when it is in the victim's shard.
            if count(known) != of_one[0].tests {
                continue;
            }
            if *self.latest != tests[..] {
                self.latest = tests.into();
            }
            self.of
                .insert(of_one[0].iteration, Arc::clone(&self.latest));
        }
    }

    /// Returns the tests that an iteration planned; `None` where that is not known.
    pub(super) fn of(&self, iteration: u64) -> Option<&Tests> {
        self.of.get(&iteration).map(|tests| &**tests)
    }
}

/// Calls `with` for every test that is not in `tests`, which may also be numbers beyond the last test.
pub(super) fn each_missing(tests: &Tests, mut with: impl FnMut(usize)) {
    for (word, tests) in tests.iter().enumerate() {
        let mut missing = !tests;
        while missing != 0 {
            with(64 * word + missing.trailing_zeros() as usize);
            missing &= missing - 1;
        }
    }
}
