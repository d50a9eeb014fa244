//! The seeds of a hunt: a master seed that a person may give, a nonce that keeps two hunts of one
//! seed apart, and the iteration seeds made of both. Where randomness comes from is not decided here.

use std::fmt;
use std::str::FromStr;

use super::base32;
use super::hash::Keyed;

/// Version of the order algorithm. Any change to what a seed means needs the next number.
pub const ALGORITHM: u16 = 1;

/// Sizes of the groups in a seed's text: 13 characters hold 64 bits.
const GROUPS: [usize; 3] = [4, 4, 5];

/// The seed of a whole hunt. Its text is `4h8n-2vqk-71yd0`; a plain decimal number is read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MasterSeed(pub u64);

/// Sixteen random bytes drawn once per hunt and kept in the store, so that a hunt started again with
/// the same master seed brings fresh orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HuntNonce(pub [u8; 16]);

/// The seed that decides the orders of one iteration, or of a whole coverage cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IterationSeed(pub u64);

/// A text that is no master seed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// Not 13 base32 characters.
    #[error(
        "a seed has 13 characters like `4h8n-2vqk-71yd0`, or is a decimal number; this has {found}"
    )]
    Length {
        /// Number of characters without hyphens and spaces.
        found: usize,
    },
    /// A character that base32 does not have.
    #[error("character {position}, {found:?}, cannot stand in a seed")]
    Character {
        /// Place in the text, from 1.
        position: usize,
        /// What stands there.
        found: char,
    },
    /// More than 64 bits.
    #[error("the seed is larger than 64 bits")]
    TooLarge,
}

impl IterationSeed {
    /// Returns the seed of iteration `number`.
    #[must_use]
    pub fn of_iteration(master: MasterSeed, nonce: HuntNonce, number: u64) -> Self {
        Self::derived("soakhound 2026 iteration seed v1", master, nonce, number)
    }

    /// Returns the seed that the coverage members of cycle `number` share.
    #[must_use]
    pub fn of_cycle(master: MasterSeed, nonce: HuntNonce, number: u64) -> Self {
        Self::derived("soakhound 2026 cycle seed v1", master, nonce, number)
    }

    /// Returns the seed of what chance decides around a probe: the levels of the factors that it leaves free.
    /// `place` is its place among the probes of its question.
    #[must_use]
    pub fn of_probe(master: MasterSeed, nonce: HuntNonce, question: u32, place: u32) -> Self {
        let number = (u64::from(question) << 32) | u64::from(place);
        Self::derived("soakhound 2026 probe seed v1", master, nonce, number)
    }

    fn derived(domain: &'static str, master: MasterSeed, nonce: HuntNonce, number: u64) -> Self {
        let mut material = [0; 24];
        material[..8].copy_from_slice(&master.0.to_le_bytes());
        material[8..].copy_from_slice(&nonce.0);
        Self(Keyed::new(domain, &material).word(&number.to_le_bytes()))
    }
}

impl fmt::Display for MasterSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut place = GROUPS.iter().sum::<usize>();
        for (group, length) in GROUPS.into_iter().enumerate() {
            if group > 0 {
                f.write_str("-")?;
            }
            for _ in 0..length {
                place -= 1;
                write!(f, "{}", base32::character(self.0 >> (5 * place)))?;
            }
        }
        Ok(())
    }
}

impl FromStr for MasterSeed {
    type Err = SeedError;

    /// Reads a seed's text, forgiving case, hyphens, spaces and look-alikes. Digits alone are a
    /// decimal number: the text that we print always has hyphens, so the two cannot be confused.
    fn from_str(text: &str) -> Result<Self, SeedError> {
        let trimmed = text.trim();
        if !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit()) {
            return trimmed.parse().map(Self).map_err(|_| SeedError::TooLarge);
        }
        let expected: usize = GROUPS.iter().sum();
        let found = text.chars().filter(|c| !base32::is_ignored(*c)).count();
        if found != expected {
            return Err(SeedError::Length { found });
        }
        let mut value = 0_u128;
        for (index, found) in text.chars().enumerate() {
            if base32::is_ignored(found) {
                continue;
            }
            let symbol = base32::symbol(found).ok_or(SeedError::Character {
                position: index + 1,
                found,
            })?;
            value = (value << 5) | u128::from(symbol);
        }
        u64::try_from(value)
            .map(Self)
            .map_err(|_| SeedError::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn master_seed_text_round_trips() {
        for seed in [0, 1, 42, u64::MAX, 0x0123_4567_89ab_cdef] {
            let text = MasterSeed(seed).to_string();
            assert_eq!(text.parse(), Ok(MasterSeed(seed)), "{text}");
            assert_eq!(
                text.to_uppercase().replace('-', " ").parse(),
                Ok(MasterSeed(seed))
            );
        }
    }

    #[test]
    fn master_seed_reads_digits_alone_as_decimal() {
        assert_eq!("42".parse(), Ok(MasterSeed(42)));
        assert_eq!("1795310040400".parse(), Ok(MasterSeed(1_795_310_040_400)));
        assert_eq!(
            "18446744073709551616".parse::<MasterSeed>(),
            Err(SeedError::TooLarge)
        );
    }

    #[test]
    fn master_seed_refuses_what_is_none() {
        let refused = |text: &str| text.parse::<MasterSeed>().unwrap_err();
        assert_eq!(refused(""), SeedError::Length { found: 0 });
        assert_eq!(refused("4h8n"), SeedError::Length { found: 4 });
        assert_eq!(refused("zzzz-zzzz-zzzzz"), SeedError::TooLarge);
        let wrong = SeedError::Character {
            position: 6,
            found: 'u',
        };
        assert_eq!(refused("4h8n-uvqk-71yd0"), wrong);
    }

    #[test]
    fn iteration_seed_differs_by_number_nonce_master_and_domain() {
        let (master, nonce) = (MasterSeed(1), HuntNonce([7; 16]));
        let all = [
            IterationSeed::of_iteration(master, nonce, 0),
            IterationSeed::of_iteration(master, nonce, 1),
            IterationSeed::of_iteration(MasterSeed(2), nonce, 0),
            IterationSeed::of_iteration(master, HuntNonce([8; 16]), 0),
            IterationSeed::of_cycle(master, nonce, 0),
            IterationSeed::of_probe(master, nonce, 0, 0),
            IterationSeed::of_probe(master, nonce, 0, 1),
            IterationSeed::of_probe(master, nonce, 1, 0),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other != one), "{all:?}");
        }
    }
}
