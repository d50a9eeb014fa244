//! Layout, seed and tests to the ordered shards of an iteration.
//!
//! Every hash design gives a test keys that depend on the seed and on its own name (or its module's)
//! alone: a subset keeps its relative order, and adding or removing a test moves no other. Equal keys
//! are ordered by name. Which layout an iteration has is decided in [`super::schedule`].

use std::collections::BTreeSet;

use super::field::Field;
use super::hash::{Keyed, halves};
use super::list::Tests;
use super::seed::IterationSeed;
use crate::model::{Design, Grouping, Layout};

/// One test at one place of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trial {
    /// Index in the default order of the list.
    pub test: u32,
    /// 1, or 2 for the second run of a doubled layout.
    pub rep: u8,
}

/// A layout that gives no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// An iteration has at least one shard.
    #[error("a layout has no shards")]
    NoShards,
    /// Its orders were recorded, because the seed does not decide them.
    #[error("the order of a {0} layout is not a function of its seed")]
    NotOfTheSeed(Design),
    /// Only free and natural layouts keep modules together.
    #[error("a {0} layout cannot be module-contiguous")]
    Grouping(Design),
    /// Coverage needs a field with one element per shard.
    #[error("{0} shards cannot be a coverage layout, since that is no prime power")]
    NoField(u16),
    /// Classes go from 0 to the number of shards, and only coverage in several shards has any.
    #[error("there is no class {class} of a {design} layout with {shards} shards")]
    NoClass {
        /// Kind of order.
        design: Design,
        /// The class asked for.
        class: u16,
        /// Number of shards.
        shards: u16,
    },
    /// Shards count from 0.
    #[error("there is no shard {index} among {shards}")]
    NoShard {
        /// The shard asked for.
        index: u16,
        /// Number of shards.
        shards: u16,
    },
}

/// Returns all shards of an iteration, `layout.shards` of them; some may be empty.
///
/// # Errors
/// [`LayoutError`] when the layout gives no order.
pub fn assign(
    layout: Layout,
    seed: IterationSeed,
    tests: &Tests,
) -> Result<Vec<Vec<Trial>>, LayoutError> {
    check(layout)?;
    let cut = cut(layout, seed, tests)?;
    Ok(cut
        .into_iter()
        .map(|members| arranged(layout, seed, tests, members))
        .collect())
}

/// Returns one shard of an iteration.
///
/// # Errors
/// [`LayoutError`] when the layout gives no order or has no such shard.
pub fn shard(
    layout: Layout,
    seed: IterationSeed,
    tests: &Tests,
    index: u16,
) -> Result<Vec<Trial>, LayoutError> {
    check_shard(layout, index)?;
    let members = cut(layout, seed, tests)?.swap_remove(usize::from(index));
    Ok(arranged(layout, seed, tests, members))
}

/// Returns what is left of an order, in unchanged relative order, once some of its trials are finished.
#[must_use]
pub fn remainder(order: &[Trial], finished: &BTreeSet<Trial>) -> Vec<Trial> {
    order
        .iter()
        .filter(|trial| !finished.contains(trial))
        .copied()
        .collect()
}

/// Checks that a layout gives an order.
pub(super) fn check(layout: Layout) -> Result<(), LayoutError> {
    let Layout {
        design,
        shards,
        grouping,
        class,
    } = layout;
    if shards == 0 {
        return Err(LayoutError::NoShards);
    }
    if !layout.is_function_of_seed() {
        return Err(LayoutError::NotOfTheSeed(design));
    }
    let is_coverage = matches!(design, Design::Coverage | Design::Reversed);
    let may_group = matches!(design, Design::Free | Design::Natural);
    if grouping == Grouping::ModuleContiguous && !may_group {
        return Err(LayoutError::Grouping(design));
    }
    let classes = if is_coverage && shards > 1 { shards } else { 0 };
    if class > classes {
        return Err(LayoutError::NoClass {
            design,
            class,
            shards,
        });
    }
    if classes > 0 && Field::new(shards).is_none() {
        return Err(LayoutError::NoField(shards));
    }
    Ok(())
}

/// Checks that a layout gives an order and has this shard.
pub(super) fn check_shard(layout: Layout, index: u16) -> Result<(), LayoutError> {
    check(layout)?;
    let shards = layout.shards;
    if index < shards {
        Ok(())
    } else {
        Err(LayoutError::NoShard { index, shards })
    }
}

/// Deals the tests out to the shards; each shard's members stand in default order.
fn cut(layout: Layout, seed: IterationSeed, tests: &Tests) -> Result<Vec<Vec<u32>>, LayoutError> {
    let shards = layout.shards;
    match (layout.design, layout.grouping) {
        (Design::Natural, grouping) => Ok(blocks(tests, shards, grouping)),
        (Design::Coverage | Design::Reversed, _) if shards > 1 => affine_lines(layout, seed, tests),
        (_, Grouping::Interleaved) => {
            let hash = seeded("soakhound 2026 order v1 shard", seed);
            Ok(dealt(tests, shards, |test| {
                hash.below(tests.name(test).as_bytes(), shards.into())
            }))
        }
        (_, Grouping::ModuleContiguous) => {
            let hash = seeded("soakhound 2026 order v1 module shard", seed);
            let of_module: Vec<u64> = tests
                .modules()
                .map(|module| hash.below(module, shards.into()))
                .collect();
            Ok(dealt(tests, shards, |test| {
                of_module[tests.module(test) as usize]
            }))
        }
    }
}

fn dealt(tests: &Tests, shards: u16, shard_of: impl Fn(u32) -> u64) -> Vec<Vec<u32>> {
    let mut cut = vec![Vec::new(); usize::from(shards)];
    if let [only] = &mut cut[..] {
        only.extend(tests.indexes());
        return cut;
    }
    for test in tests.indexes() {
        let shard = usize::try_from(shard_of(test)).expect("a shard fits 16 bits");
        cut[shard].push(test);
    }
    cut
}

/// The shards of an affine class: with hash coordinates (x, y) over GF(g), class c < g puts a test
/// on line y + c x, class g on line x. Two tests share a line in exactly one class, or in all.
fn affine_lines(
    layout: Layout,
    seed: IterationSeed,
    tests: &Tests,
) -> Result<Vec<Vec<u32>>, LayoutError> {
    let field = Field::new(layout.shards).ok_or(LayoutError::NoField(layout.shards))?;
    let hash = seeded("soakhound 2026 order v1 coordinates", seed);
    let coordinate = |bits: u64| {
        u16::try_from(bits % u64::from(layout.shards)).expect("below the number of shards")
    };
    Ok(dealt(tests, layout.shards, |test| {
        let (x, y) = halves(hash.key(tests.name(test).as_bytes()));
        let (x, y) = (coordinate(x), coordinate(y));
        u64::from(if layout.class == layout.shards {
            x
        } else {
            field.add(y, field.multiply(layout.class, x))
        })
    }))
}

/// Cuts the default order of n tests into k contiguous blocks. The b-th cut belongs at b n / k; with
/// modules kept together it moves to the nearest place where the module changes (the earlier of
/// two), if that is less than half a block away. Otherwise it stays and splits a module.
fn blocks(tests: &Tests, shards: u16, grouping: Grouping) -> Vec<Vec<u32>> {
    let (count, k) = (tests.len(), usize::from(shards));
    let changes: Vec<usize> = tests
        .indexes()
        .skip(1)
        .filter(|test| tests.module(*test) != tests.module(test - 1))
        .map(|test| test as usize)
        .collect();
    let cut_at = |b: usize| {
        let after = changes.partition_point(|change| change * k < b * count);
        let around = after.saturating_sub(1)..changes.len().min(after + 1);
        let distance = |change: &usize| (change * k).abs_diff(b * count);
        let nearest = changes[around].iter().copied().min_by_key(distance);
        nearest
            .filter(|change| grouping == Grouping::ModuleContiguous && 2 * distance(change) < count)
            .unwrap_or(b * count / k)
    };
    let all: Vec<u32> = tests.indexes().collect();
    (0..k)
        .map(|b| {
            let end = if b + 1 == k { count } else { cut_at(b + 1) };
            let start = if b == 0 { 0 } else { cut_at(b) };
            all[start..end].to_vec()
        })
        .collect()
}

/// Puts the members of one shard into its order.
fn arranged(layout: Layout, seed: IterationSeed, tests: &Tests, members: Vec<u32>) -> Vec<Trial> {
    let mut order = members;
    match layout.design {
        Design::Natural => {}
        Design::Coverage | Design::Reversed => {
            let mut material = [0; 12];
            material[..8].copy_from_slice(&seed.0.to_le_bytes());
            material[8..10].copy_from_slice(&layout.shards.to_le_bytes());
            material[10..].copy_from_slice(&layout.class.to_le_bytes());
            let hash = Keyed::new("soakhound 2026 order v1 coverage", &material);
            sort_by_hash(tests, &mut order, &hash);
            if layout.design == Design::Reversed {
                order.reverse();
            }
        }
        Design::Free | Design::Doubled | Design::Balanced | Design::Given | Design::Probe => {
            sort_free(layout.grouping, seed, tests, &mut order);
        }
    }
    order
        .into_iter()
        .flat_map(|test| (1..=layout.repetitions()).map(move |rep| Trial { test, rep }))
        .collect()
}

/// Sorts tests by their order keys, within their modules where these stay together.
pub(super) fn sort_free(grouping: Grouping, seed: IterationSeed, tests: &Tests, order: &mut [u32]) {
    let by_test = seeded("soakhound 2026 order v1 order", seed);
    match grouping {
        Grouping::Interleaved => sort_by_hash(tests, order, &by_test),
        Grouping::ModuleContiguous => {
            let by_module = seeded("soakhound 2026 order v1 module", seed);
            let modules: Vec<(u128, &[u8])> = tests
                .modules()
                .map(|module| (by_module.key(module), module))
                .collect();
            order.sort_by_cached_key(|test| {
                let name = tests.name(*test);
                let module = modules[tests.module(*test) as usize];
                (module, by_test.key(name.as_bytes()), name)
            });
        }
    }
}

fn sort_by_hash(tests: &Tests, order: &mut [u32], hash: &Keyed) {
    order.sort_by_cached_key(|test| {
        let name = tests.name(*test);
        (hash.key(name.as_bytes()), name)
    });
}

fn seeded(domain: &'static str, seed: IterationSeed) -> Keyed {
    Keyed::new(domain, &seed.0.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::hash::calls;
    use super::*;
    use crate::model::TestId;

    fn listed(count: u32, per_module: u32) -> Tests {
        let names = (0..count)
            .map(|i| TestId::new(format!("m{:04}::t{i:05}", i / per_module)).unwrap())
            .collect();
        Tests::new(names, |name| &name.as_bytes()[..5])
    }

    fn layout(design: Design, shards: u16, grouping: Grouping) -> Layout {
        Layout {
            design,
            shards,
            grouping,
            class: 0,
        }
    }

    #[test]
    fn twenty_thousand_tests_are_ordered_in_two_hashes_each() {
        let tests = listed(20_000, 50);
        for (layout, most) in [
            (layout(Design::Free, 4, Grouping::Interleaved), 40_000),
            (layout(Design::Free, 1, Grouping::Interleaved), 20_000),
            (layout(Design::Coverage, 16, Grouping::Interleaved), 40_000),
            (layout(Design::Free, 4, Grouping::ModuleContiguous), 22_000),
            (layout(Design::Natural, 4, Grouping::ModuleContiguous), 0),
        ] {
            let calls = calls::during(|| {
                assign(layout, IterationSeed(1), &tests).unwrap();
            });
            assert!(calls <= most, "{layout:?} took {calls} hashes, not {most}");
        }
    }

    #[test]
    fn one_shard_hashes_order_keys_of_its_members_only() {
        let tests = listed(20_000, 50);
        let layout = layout(Design::Free, 100, Grouping::Interleaved);
        let calls = calls::during(|| {
            shard(layout, IterationSeed(1), &tests, 3).unwrap();
        });
        assert!(calls < 21_000, "{calls}");
    }

    #[test]
    fn natural_blocks_end_where_modules_do_if_one_is_near() {
        let sizes = |count, per_module, k, grouping| -> Vec<usize> {
            let layout = layout(Design::Natural, k, grouping);
            let shards = assign(layout, IterationSeed(0), &listed(count, per_module)).unwrap();
            let joined: Vec<u32> = shards.iter().flatten().map(|trial| trial.test).collect();
            assert_eq!(joined, (0..count).collect::<Vec<_>>(), "the listing order");
            shards.iter().map(Vec::len).collect()
        };
        let together = Grouping::ModuleContiguous;
        assert_eq!(sizes(100, 7, 4, together), [28, 21, 28, 23]);
        assert_eq!(sizes(100, 7, 4, Grouping::Interleaved), [25, 25, 25, 25]);
        assert_eq!(sizes(100, 100, 4, together), [25, 25, 25, 25], "one module");
        assert_eq!(sizes(9, 3, 1, together), [9]);
        assert_eq!(sizes(2, 1, 4, together), [0, 1, 0, 1]);
        assert_eq!(sizes(0, 1, 3, together), [0, 0, 0]);
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let inter = Grouping::Interleaved;
        let coverage = |shards, class| Layout {
            class,
            ..layout(Design::Coverage, shards, inter)
        };
        assert_eq!(check(coverage(4, 4)), Ok(()));
        assert_eq!(check(coverage(6, 0)), Err(LayoutError::NoField(6)));
        assert!(check(coverage(4, 5)).is_err());
        assert!(check(coverage(1, 1)).is_err());
        assert_eq!(
            check(layout(Design::Free, 0, inter)),
            Err(LayoutError::NoShards)
        );
        for design in [Design::Balanced, Design::Given, Design::Probe] {
            let error = LayoutError::NotOfTheSeed(design);
            assert_eq!(check(layout(design, 1, inter)), Err(error));
        }
        let doubled = layout(Design::Doubled, 1, Grouping::ModuleContiguous);
        assert_eq!(check(doubled), Err(LayoutError::Grouping(Design::Doubled)));
        assert!(check_shard(layout(Design::Free, 4, inter), 4).is_err());
    }
}
