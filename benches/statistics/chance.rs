//! Chance with a seed.

/// `SplitMix64`.
pub(crate) struct Chance(pub u64);

impl Chance {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(crate) fn happens(&mut self, rate: f64) -> bool {
        ((self.word() >> 11) as f64) < rate * 9_007_199_254_740_992.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from((u128::from(self.word()) * bound as u128) >> 64).expect("below a usize")
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
