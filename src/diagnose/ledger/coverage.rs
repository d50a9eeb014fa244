//! Which ordered pairs of tests have run in that order in one process.

/// Suites beyond this get no figure: with as many, a bit per pair takes 28 megabytes of the 150 that a hunt may; with
/// twice as many, 112.
const MOST_TESTS: usize = 15_000;

/// One bit per ordered pair of tests.
#[derive(Debug)]
pub(super) struct Coverage {
    words: usize,
    /// Per test, the set of those that ran before it.
    rows: Vec<u64>,
    /// Tests that are counted.
    present: Vec<bool>,
    /// Pairs of counted tests that have run, and all there are.
    covered: u64,
    pairs: u64,
}

impl Coverage {
    /// Starts without pairs; `None` when the suite is too large.
    pub(super) fn new(present: &[bool]) -> Option<Self> {
        if present.len() > MOST_TESTS {
            return None;
        }
        let words = present.len().div_ceil(64);
        let counted = present.iter().filter(|present| **present).count() as u64;
        Some(Self {
            words,
            rows: vec![0; words * present.len()],
            present: present.to_vec(),
            covered: 0,
            pairs: counted * counted.saturating_sub(1),
        })
    }

    /// Takes the tests of one process in the order in which they started.
    pub(super) fn observe(&mut self, started: &[u32]) {
        if self.covered == self.pairs {
            return;
        }
        let mut before = vec![0_u64; self.words];
        for test in started.iter().map(|test| *test as usize) {
            if !self.present[test] {
                continue;
            }
            let bit = (test / 64, 1 << (test % 64));
            let row = &mut self.rows[test * self.words..][..self.words];
            // A test that started twice in one process does not precede itself.
            let own = before[bit.0] & bit.1;
            before[bit.0] &= !bit.1;
            let mut new = 0;
            for (known, more) in row.iter_mut().zip(&before) {
                new += (more & !*known).count_ones();
                *known |= more;
            }
            before[bit.0] |= own | bit.1;
            self.covered += u64::from(new);
        }
    }

    /// Returns the share of ordered pairs of present tests that have run; 1 where there is no pair.
    pub(super) fn share(&self) -> f64 {
        if self.pairs == 0 {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share, to be shown")]
        let share = self.covered as f64 / self.pairs as f64;
        share
    }
}
