//! Chance with a seed, for the calibration of these files. Nothing shipped draws from it.

/// `SplitMix64`.
///
/// Source: G. Steele, D. Lea, C. Flood (2014), OOPSLA, figure 16.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `0.0..1.0`.
    pub(crate) fn uniform(&mut self) -> f64 {
        super::special::real(self.word() >> 11) / 9_007_199_254_740_992.0
    }

    pub(crate) fn happens(&mut self, rate: f64) -> bool {
        self.uniform() < rate
    }

    /// Uniform in `0..bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from((u128::from(self.word()) * bound as u128) >> 64).expect("below a usize")
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
