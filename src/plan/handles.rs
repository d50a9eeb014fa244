//! Handles among the tests of one suite: six characters, eight where six collide.

use crate::model::{Handle, HandleLength, TestId};

/// Bits that eight characters have beyond six.
const EXTRA_BITS: u32 = 10;

/// What a handle stands for in a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Exactly one test, by its index in the list.
    One(u32),
    /// No test.
    None,
    /// Several tests; here are their names, in byte order.
    Ambiguous(Vec<&'a TestId>),
}

/// The handles of a list of tests, each hashed once.
#[derive(Clone, Debug)]
pub struct Handles<'a> {
    tests: &'a [TestId],
    /// Bits of the eight-character handle and index of the test, sorted.
    sorted: Vec<(u64, u32)>,
}

impl<'a> Handles<'a> {
    /// Computes the handles of `tests`, whose names must be distinct.
    #[must_use]
    pub fn of(tests: &'a [TestId]) -> Self {
        let mut sorted: Vec<(u64, u32)> = (0_u32..)
            .zip(tests)
            .map(|(index, test)| (test.handle(HandleLength::Eight).bits(), index))
            .collect();
        sorted.sort_unstable();
        Self { tests, sorted }
    }

    /// Returns the handle to print for `test`: eight characters where six would be ambiguous.
    #[must_use]
    pub fn handle(&self, test: &TestId) -> Handle {
        let six = test.handle(HandleLength::Six);
        let same = self.matching(six);
        let is_alone = same.iter().all(|(_, index)| self.test(*index) == test);
        if is_alone {
            six
        } else {
            test.handle(HandleLength::Eight)
        }
    }

    /// Looks up a handle of either length.
    #[must_use]
    pub fn find(&self, handle: Handle) -> Found<'a> {
        match self.matching(handle) {
            [] => Found::None,
            [(_, index)] => Found::One(*index),
            several => {
                let mut names: Vec<_> = several.iter().map(|(_, i)| self.test(*i)).collect();
                names.sort_unstable();
                Found::Ambiguous(names)
            }
        }
    }

    fn test(&self, index: u32) -> &'a TestId {
        &self.tests[index as usize]
    }

    fn matching(&self, handle: Handle) -> &[(u64, u32)] {
        let drop_bits = match handle.length() {
            HandleLength::Six => EXTRA_BITS,
            HandleLength::Eight => 0,
        };
        let start = self
            .sorted
            .partition_point(|(bits, _)| bits >> drop_bits < handle.bits());
        let rest = &self.sorted[start..];
        let count = rest.partition_point(|(bits, _)| bits >> drop_bits == handle.bits());
        &rest[..count]
    }
}
