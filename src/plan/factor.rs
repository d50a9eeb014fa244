//! Levels of environment factors, drawn per shard from its seed. What a level is set on is not known here.

use super::hash::Keyed;
use super::seed::IterationSeed;
use crate::model::Layout;

/// Returns the level of a numeric factor of one shard: uniform on all 32-bit numbers.
///
/// `factor` names the factor and is part of the algorithm: another name draws another level. Members of a
/// coverage cycle share a seed, so the layout counts as well.
///
/// # Panics
/// Never: the hash is taken modulo 2^32.
#[must_use]
pub fn number(seed: IterationSeed, layout: Layout, shard: u16, factor: &str) -> u32 {
    let hash = Keyed::new("soakhound 2026 factor v1 number", &seed.0.to_le_bytes());
    let place = place(layout, shard, factor);
    u32::try_from(hash.below(place.as_bytes(), 1 << 32)).expect("a number below 2^32")
}

/// Returns which of `levels` levels (in the order that the configuration has them) a listed factor of one shard
/// has: each with the same probability. `None` when there is none.
///
/// # Panics
/// Never: the hash is taken modulo their number.
#[must_use]
pub fn choice(
    seed: IterationSeed,
    layout: Layout,
    shard: u16,
    factor: &str,
    levels: usize,
) -> Option<usize> {
    if levels == 0 {
        return None;
    }
    let hash = Keyed::new("soakhound 2026 factor v1 choice", &seed.0.to_le_bytes());
    let chosen = hash.below(place(layout, shard, factor).as_bytes(), levels as u64);
    Some(usize::try_from(chosen).expect("below a number of levels"))
}

fn place(layout: Layout, shard: u16, factor: &str) -> String {
    format!(
        "{factor}\0{}\0{}\0{}\0{shard}",
        layout.design, layout.shards, layout.class
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Design, Grouping};

    #[test]
    fn numbers_are_fixed_for_ever_and_differ_by_place() {
        let layout = |design| Layout {
            design,
            shards: 4,
            grouping: Grouping::Interleaved,
            class: 1,
        };
        let seed = IterationSeed(7);
        let level = number(seed, layout(Design::Free), 0, "PYTHONHASHSEED");
        assert_eq!(level, GOLDEN);
        for other in [
            number(IterationSeed(8), layout(Design::Free), 0, "PYTHONHASHSEED"),
            number(seed, layout(Design::Reversed), 0, "PYTHONHASHSEED"),
            number(seed, layout(Design::Free), 1, "PYTHONHASHSEED"),
            number(seed, layout(Design::Free), 0, "random"),
        ] {
            assert_ne!(other, level);
        }
    }

    /// Computed once with version 1 of the algorithm; a change breaks every stored token.
    const GOLDEN: u32 = 1_091_670_986;

    #[test]
    fn choices_are_fixed_for_ever_and_of_no_levels_there_is_none() {
        let layout = Layout {
            design: Design::Free,
            shards: 4,
            grouping: Grouping::Interleaved,
            class: 1,
        };
        let drawn = |factor| -> Vec<usize> {
            (0..12)
                .map(|shard| choice(IterationSeed(7), layout, shard, factor, 3).unwrap())
                .collect()
        };
        assert_eq!(drawn("TZ"), CHOICES);
        assert_ne!(drawn("LANG"), CHOICES);
        assert_eq!(choice(IterationSeed(7), layout, 0, "TZ", 0), None);
    }

    /// As above.
    const CHOICES: [usize; 12] = [1, 0, 2, 1, 2, 0, 1, 2, 2, 2, 0, 1];
}
