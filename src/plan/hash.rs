//! Keyed hashes in separate domains: the only source of chance in `plan`.
//!
//! A domain is a context string of blake3's key derivation. The strings are part of the order
//! algorithm: changing one changes every stored order, so it needs a new `ALGORITHM` version.

/// A hash function of its own, fixed by a domain and by what it is derived from (a seed, mostly).
pub(super) struct Keyed([u8; 32]);

impl Keyed {
    /// Derives the function of one domain. `material` must have one length per domain.
    pub(super) fn new(domain: &'static str, material: &[u8]) -> Self {
        Self(blake3::derive_key(domain, material))
    }

    /// Returns 128 bits for `name`.
    pub(super) fn key(&self, name: &[u8]) -> u128 {
        #[cfg(test)]
        calls::COUNT.with(|count| count.set(count.get() + 1));
        let hash = blake3::keyed_hash(&self.0, name);
        let (first, _) = hash
            .as_bytes()
            .split_first_chunk::<16>()
            .expect("a hash has 32 bytes");
        u128::from_be_bytes(*first)
    }

    /// Returns 64 bits for `name`.
    pub(super) fn word(&self, name: &[u8]) -> u64 {
        halves(self.key(name)).0
    }

    /// Returns a number in `0..below`. The bias is below 2^-63, since no caller's `below` passes 2^64.
    pub(super) fn below(&self, name: &[u8], below: u64) -> u64 {
        remainder(self.key(name), below)
    }
}

/// Splits 128 bits into their high and low 64.
pub(super) fn halves(key: u128) -> (u64, u64) {
    let bytes = key.to_be_bytes();
    let (high, low) = bytes
        .split_first_chunk::<8>()
        .expect("16 bytes hold the first 8");
    (
        u64::from_be_bytes(*high),
        low.iter()
            .fold(0, |all, byte| (all << 8) | u64::from(*byte)),
    )
}

fn remainder(key: u128, below: u64) -> u64 {
    u64::try_from(key % u128::from(below)).expect("a remainder is smaller than its divisor")
}

#[cfg(test)]
pub(super) mod calls {
    //! Counts hash calls of this thread, so that a test can bound them without a clock.
    use std::cell::Cell;

    thread_local!(pub(super) static COUNT: Cell<u64> = const { Cell::new(0) });

    /// Runs `work` and returns how many names it hashed.
    pub(in crate::plan) fn during(work: impl FnOnce()) -> u64 {
        let before = COUNT.with(Cell::get);
        work();
        COUNT.with(Cell::get) - before
    }
}
