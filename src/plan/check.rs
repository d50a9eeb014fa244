//! The six check characters of a token: a BCH code over GF(32) that locates one wrong character.
//!
//! Three consecutive roots of the generator give a distance of at least 4 for words of up to 1,023
//! symbols, so one substitution, or one pair of swapped neighbours, has a syndrome of its own. It
//! guards against typing, not against malice.
//!
//! Source: the generator is that of BIP 173 (Wuille and Maxwell, 2017); the constant is ours, so no
//! token is ever a valid text of another system.

/// Longest word, check symbols included, for which the distance holds.
pub(super) const MAX_WORD: usize = 1023;

/// Number of check symbols.
pub(super) const SYMBOLS: usize = 6;

/// Multiples of the generator by 1, 2, 4, 8 and 16.
const GENERATOR: [u32; 5] = [
    0x3b6a_57b2,
    0x2650_8e6d,
    0x1ea1_19fa,
    0x3d42_33dd,
    0x2a14_62b3,
];

/// The remainder of every valid word.
const DOMAIN: u32 = 0x2d1a_c0de;

/// What is wrong with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The symbol at this index should be this one.
    Substituted(usize, u8),
    /// The symbols at this index and the next changed places.
    Swapped(usize),
    /// No single slip explains it.
    Unexplained,
}

/// Returns the check symbols for a word without them.
pub(super) fn symbols(word: &[u8]) -> [u8; SYMBOLS] {
    let padded = word.iter().copied().chain([0; SYMBOLS]);
    let rest = padded.fold(0, step) ^ DOMAIN;
    std::array::from_fn(|i| {
        u8::try_from((rest >> (5 * (SYMBOLS - 1 - i))) & 31).expect("five bits")
    })
}

/// Checks a word with its check symbols and says what slip explains it if it is wrong.
pub(super) fn verify(word: &[u8]) -> Result<(), Fault> {
    let syndrome = word.iter().copied().fold(0, step) ^ DOMAIN;
    if syndrome == 0 {
        Ok(())
    } else {
        Err(locate(word, syndrome))
    }
}

/// Finds the slip by going from the last symbol to the first: an error `e` there adds `e`, and the
/// same error one place earlier adds the remainder one step later.
fn locate(word: &[u8], syndrome: u32) -> Fault {
    let mut added: [u32; 32] = std::array::from_fn(|e| u32::try_from(e).expect("below 32"));
    for at in (0..word.len()).rev() {
        let next = added.map(|remainder| step(remainder, 0));
        if let Some(error) = added.iter().position(|a| *a == syndrome) {
            let error = u8::try_from(error).expect("below 32");
            return Fault::Substituted(at, word[at] ^ error);
        }
        if let Some(before) = at.checked_sub(1) {
            let error = usize::from(word[at] ^ word[before]);
            if added[error] ^ next[error] == syndrome {
                return Fault::Swapped(before);
            }
        }
        added = next;
    }
    Fault::Unexplained
}

fn step(remainder: u32, symbol: u8) -> u32 {
    let top = remainder >> 25;
    let shifted = ((remainder & 0x01ff_ffff) << 5) ^ u32::from(symbol);
    GENERATOR
        .iter()
        .enumerate()
        .filter(|(bit, _)| (top >> bit) & 1 == 1)
        .fold(shifted, |rest, (_, multiple)| rest ^ multiple)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn slips_of_one_character_or_one_swap_have_syndromes_of_their_own() {
        let mut single = HashSet::new();
        let mut swapped = Vec::new();
        for error in 1..32 {
            let mut remainder = error;
            for _ in 0..MAX_WORD {
                assert!(single.insert(remainder), "two substitutions look alike");
                let next = step(remainder, 0);
                swapped.push(remainder ^ next);
                remainder = next;
            }
        }
        assert!(swapped.iter().all(|s| *s != 0 && !single.contains(s)));
    }

    #[test]
    fn one_slip_in_the_longest_word_is_located() {
        let mut word: Vec<u8> = (0..MAX_WORD - SYMBOLS)
            .map(|i| u8::try_from(i * 7 % 31).unwrap())
            .collect();
        word.extend(symbols(&word));
        assert_eq!(verify(&word), Ok(()));
        for at in [0, 500, MAX_WORD - 1] {
            let mut wrong = word.clone();
            wrong[at] ^= 9;
            assert_eq!(verify(&wrong), Err(Fault::Substituted(at, word[at])));
        }
        word.swap(100, 101);
        assert_eq!(verify(&word), Err(Fault::Swapped(100)));
    }
}
