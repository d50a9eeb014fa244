//! The chance of probes: which decoys, which fillers, which arm first. All of it is drawn from a seed, the number of
//! the question and the number of the block, so that the same question asks the same again after a kill.

use crate::{model::QuestionId, plan::MasterSeed};

/// A source of independent draws, one per question and block.
#[derive(Clone, Debug)]
pub(crate) struct Coins([u8; 32]);

/// The chance of one block: an endless stream of numbers.
pub(crate) struct Draw(blake3::OutputReader);

impl Coins {
    /// Derives the source from the seed of a hunt's coins.
    pub(crate) fn new(seed: MasterSeed) -> Self {
        Self(blake3::derive_key(
            "soakhound 2026 probe coins v1",
            &seed.0.to_le_bytes(),
        ))
    }

    /// Returns the chance of `block` of `question`.
    pub(crate) fn draw(&self, question: QuestionId, block: u32) -> Draw {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&question.0.to_le_bytes());
        hasher.update(&block.to_le_bytes());
        Draw(hasher.finalize_xof())
    }
}

impl Draw {
    /// Returns a number in `0..below`; 0 when `below` is 0. The bias is below 2^-32 for any list of tests.
    pub(crate) fn below(&mut self, below: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        let below = u64::try_from(below).expect("a length fits 64 bits").max(1);
        usize::try_from(u64::from_le_bytes(bytes) % below).expect("it is below a usize")
    }

    /// Moves a random choice of `count` items to the front of `items`, in random order, and returns them.
    pub(crate) fn choose<'a, T>(&mut self, items: &'a mut [T], count: usize) -> &'a mut [T] {
        let count = count.min(items.len());
        for place in 0..count {
            let other = place + self.below(items.len() - place);
            items.swap(place, other);
        }
        &mut items[..count]
    }
}

/// Draws a decoy group for `group`: as many tests of `pool`, which together last at least as long. Where no such
/// choice is likely, more tests than `group` has: a decoy arm may have more before the victim, never less.
/// `None` when the whole pool is too short or empty.
pub(crate) fn decoys(
    group: &[u32],
    pool: &[u32],
    seconds: impl Fn(u32) -> f32,
    draw: &mut Draw,
) -> Option<Vec<u32>> {
    let needed: f32 = group.iter().map(|test| seconds(*test)).sum();
    let longest = group
        .iter()
        .map(|test| seconds(*test))
        .fold(0.0_f32, f32::max);
    let mut long: Vec<u32> = pool
        .iter()
        .copied()
        .filter(|test| seconds(*test) >= longest)
        .collect();
    if long.len() >= group.len() && !long.is_empty() {
        return Some(draw.choose(&mut long, group.len()).to_vec());
    }
    let mut rest = pool.to_vec();
    let count = rest.len();
    draw.choose(&mut rest, count);
    let (mut chosen, mut lasted) = (Vec::new(), 0.0);
    for test in rest {
        if chosen.len() >= group.len() && lasted >= needed {
            break;
        }
        lasted += seconds(test);
        chosen.push(test);
    }
    (chosen.len() >= group.len() && lasted >= needed && !chosen.is_empty()).then_some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_for_one_block_and_differ_between_blocks() {
        let coins = Coins::new(MasterSeed(1));
        let numbers = |question, block| {
            let mut draw = coins.draw(QuestionId(question), block);
            [0; 4].map(|_: i32| draw.below(1_000_000))
        };
        assert_eq!(numbers(3, 2), numbers(3, 2));
        assert_ne!(numbers(3, 2), numbers(3, 3));
        assert_ne!(numbers(3, 2), numbers(4, 2));
    }

    #[test]
    fn decoys_last_at_least_as_long_as_the_group() {
        let coins = Coins::new(MasterSeed(1));
        let seconds = |test: u32| if test == 0 { 10.0 } else { 1.0 };
        let pool: Vec<u32> = (1..40).collect();
        for block in 0..20 {
            let one = decoys(
                &[5],
                &[7, 8, 9],
                seconds,
                &mut coins.draw(QuestionId(0), block),
            );
            assert_eq!(one.map(|d| d.len()), Some(1));
            let many = decoys(&[0], &pool, seconds, &mut coins.draw(QuestionId(0), block))
                .expect("39 seconds are enough");
            assert_eq!(many.len(), 10);
        }
        let mut draw = coins.draw(QuestionId(0), 0);
        assert_eq!(decoys(&[0], &[1, 2], seconds, &mut draw), None);
        assert_eq!(decoys(&[1], &[], seconds, &mut draw), None);
    }
}
