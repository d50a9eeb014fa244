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
    let place = format!(
        "{factor}\0{}\0{}\0{}\0{shard}",
        layout.design, layout.shards, layout.class
    );
    u32::try_from(hash.below(place.as_bytes(), 1 << 32)).expect("a number below 2^32")
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
}
