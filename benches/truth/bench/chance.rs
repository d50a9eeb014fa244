//! The coins of a simulation: a small generator of our own, so that a seed means the same for ever. Nothing
//! here decides an order of the product.

/// Generator `xoshiro256++`.
///
/// Source: D. Blackman and S. Vigna (2021), ACM Trans. Math. Softw. 47(4).
#[derive(Clone, Debug)]
pub(crate) struct Chance([u64; 4]);

impl Chance {
    /// Starts from a seed and a stream: two streams of one seed have nothing in common.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut state = seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95);
        let mut word = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mixed(state)
        };
        Self([word(), word(), word(), word()])
    }

    /// Returns 64 random bits.
    pub(crate) fn word(&mut self) -> u64 {
        let state = &mut self.0;
        let result = state[0]
            .wrapping_add(state[3])
            .rotate_left(23)
            .wrapping_add(state[0]);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        result
    }

    /// Returns a number in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Is true with this probability.
    pub(crate) fn hits(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// Returns a number in `0..below`.
    pub(crate) fn below(&mut self, below: u32) -> u32 {
        (self.unit() * f64::from(below)) as u32
    }

    /// Returns a normally distributed number (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Returns the numbers `0..count` in random order.
    pub(crate) fn shuffled(&mut self, count: u32) -> Vec<u32> {
        let mut all: Vec<u32> = (0..count).collect();
        for place in (1..count).rev() {
            all.swap(place as usize, self.below(place + 1) as usize);
        }
        all
    }
}

/// Mixes the bits of a word (the finalizer of splitmix64).
pub(crate) fn mixed(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
