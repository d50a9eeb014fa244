//! Properties of orders, cuts, the coverage cycle and handles, over seeded and generated suites.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::prelude::*;
use soakhound::model::{Design, Grouping, HandleLength, Layout, TestId};
use soakhound::plan::{
    Campaign, Cycle, Found, Handles, HuntNonce, IterationSeed, MasterSeed, Tests, Trial, assign,
    remainder, shard,
};

const MODULES: u32 = 7;

/// Test `i` of module `i % 7`.
fn name(i: u32) -> TestId {
    TestId::new(format!("m{}::test_{i}", i % MODULES)).unwrap()
}

fn listed(numbers: impl IntoIterator<Item = u32>) -> Tests {
    Tests::new(numbers.into_iter().map(name).collect(), module)
}

fn module(name: &TestId) -> &[u8] {
    &name.as_bytes()[..2]
}

fn named(tests: &Tests, order: &[Trial]) -> Vec<TestId> {
    order
        .iter()
        .map(|trial| tests.name(trial.test).clone())
        .collect()
}

/// Every layout whose order is a function of the seed, with about `k` shards.
fn layouts(k: u16) -> Vec<Layout> {
    let layout = |design, grouping| Layout {
        design,
        shards: k,
        grouping,
        class: 0,
    };
    let campaign = Campaign {
        master: MasterSeed(0),
        nonce: HuntNonce([0; 16]),
        ci_shards: k,
        cycle: Cycle::default(),
    };
    let mut all = campaign.cycle_members();
    for grouping in [Grouping::Interleaved, Grouping::ModuleContiguous] {
        all.extend([
            layout(Design::Free, grouping),
            layout(Design::Natural, grouping),
        ]);
    }
    all.push(layout(Design::Doubled, Grouping::Interleaved));
    all
}

fn is_hashed(layout: Layout) -> bool {
    layout.design != Design::Natural
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, rng_seed: proptest::test_runner::RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_shards_together_are_a_permutation_of_the_tests(seed: u64, n in 0_u32..80, k in 1_u16..10) {
        let tests = listed(0..n);
        for layout in layouts(k) {
            let shards = assign(layout, IterationSeed(seed), &tests).unwrap();
            prop_assert_eq!(shards.len(), usize::from(layout.shards));
            let mut all: Vec<Trial> = shards.concat();
            all.sort_unstable();
            let expected: Vec<Trial> = (0..n)
                .flat_map(|test| (1..=layout.repetitions()).map(move |rep| Trial { test, rep }))
                .collect();
            prop_assert_eq!(all, expected, "{:?}", layout);
            for (index, one) in (0_u16..).zip(&shards) {
                prop_assert_eq!(&shard(layout, IterationSeed(seed), &tests, index).unwrap(), one);
            }
        }
    }

    #[test]
    fn removing_tests_moves_no_other_test_of_a_hashed_layout(
        seed: u64,
        kept in prop::collection::btree_set(0_u32..80, 0..80),
        k in 1_u16..10,
    ) {
        let (all, some) = (listed(0..80), listed(kept.iter().copied()));
        let kept: HashSet<TestId> = kept.into_iter().map(name).collect();
        for layout in layouts(k).into_iter().filter(|layout| is_hashed(*layout)) {
            let before = assign(layout, IterationSeed(seed), &all).unwrap();
            let after = assign(layout, IterationSeed(seed), &some).unwrap();
            for (before, after) in before.iter().zip(&after) {
                let mut before = named(&all, before);
                before.retain(|name| kept.contains(name));
                prop_assert_eq!(before, named(&some, after), "{:?}", layout);
            }
        }
    }

    #[test]
    fn listing_order_moves_no_test_of_a_hashed_layout(seed: u64, k in 1_u16..6) {
        let (one, other) = (listed(0..40), listed((0..40).rev()));
        for layout in layouts(k).into_iter().filter(|layout| is_hashed(*layout)) {
            let a = assign(layout, IterationSeed(seed), &one).unwrap();
            let b = assign(layout, IterationSeed(seed), &other).unwrap();
            for (a, b) in a.iter().zip(&b) {
                prop_assert_eq!(named(&one, a), named(&other, b), "{:?}", layout);
            }
        }
    }

    #[test]
    fn module_contiguous_layouts_never_split_a_module(seed: u64, n in 0_u32..80, k in 1_u16..10) {
        let tests = listed(0..n);
        let layout = Layout { design: Design::Free, shards: k, grouping: Grouping::ModuleContiguous, class: 0 };
        let mut seen = HashSet::new();
        for shard in assign(layout, IterationSeed(seed), &tests).unwrap() {
            let mut modules: Vec<u32> = shard.iter().map(|trial| tests.module(trial.test)).collect();
            modules.dedup();
            for module in modules {
                prop_assert!(seen.insert(module), "module {} stands in two places", module);
            }
        }
    }

    #[test]
    fn remainder_keeps_the_order_of_what_is_not_finished(
        seed: u64,
        finished in prop::collection::btree_set((0_u32..40, 1_u8..3), 0..60),
    ) {
        let layout = Layout { design: Design::Doubled, shards: 1, grouping: Grouping::Interleaved, class: 0 };
        let order = shard(layout, IterationSeed(seed), &listed(0..40), 0).unwrap();
        let finished: BTreeSet<Trial> = finished.into_iter().map(|(test, rep)| Trial { test, rep }).collect();
        let left = remainder(&order, &finished);
        prop_assert_eq!(left.len(), order.len() - finished.len());
        let places: Vec<usize> = left.iter().map(|t| order.iter().position(|o| o == t).unwrap()).collect();
        prop_assert!(places.is_sorted());
        prop_assert!(left.iter().all(|trial| !finished.contains(trial)));
    }
}

#[test]
fn reversed_members_of_the_cycle_are_their_forwards_reversed() {
    let tests = listed(0..60);
    for members in cycle(4).chunks_exact(2) {
        assert_eq!(
            (members[0].0.design, members[1].0.design),
            (Design::Coverage, Design::Reversed)
        );
        let [forwards, backwards] =
            [members[0], members[1]].map(|(layout, seed)| assign(layout, seed, &tests).unwrap());
        for (forwards, backwards) in forwards.into_iter().zip(backwards) {
            assert_eq!(forwards.into_iter().rev().collect::<Vec<_>>(), backwards);
        }
    }
}

#[test]
fn coverage_cycle_runs_every_ordered_pair_in_one_shard_and_in_several() {
    for k in 1..=9 {
        for n in [2, 3, 17, 60] {
            let tests = listed(0..n);
            let (single, affine): (Vec<_>, Vec<_>) = cycle(k)
                .into_iter()
                .filter(|(layout, _)| layout.design != Design::Doubled)
                .partition(|(layout, _)| layout.shards == 1);
            let all_pairs = (n * (n - 1)) as usize;
            assert_eq!(
                ordered_pairs(&tests, &single),
                all_pairs,
                "one shard, n={n}"
            );
            if k > 1 {
                assert_eq!(ordered_pairs(&tests, &affine), all_pairs, "k={k} n={n}");
            }
        }
    }
}

/// The members of the first cycle with their seeds, as iterations 0, 2, 4, ... have them.
fn cycle(ci_shards: u16) -> Vec<(Layout, IterationSeed)> {
    let campaign = Campaign {
        master: MasterSeed(9),
        nonce: HuntNonce([3; 16]),
        ci_shards,
        cycle: Cycle::default(),
    };
    let count = campaign.cycle_members().len() as u64;
    (0..count)
        .map(|place| campaign.iteration(2 * place, &|_| true).unwrap())
        .map(|planned| (planned.layout, planned.seed))
        .collect()
}

fn ordered_pairs(tests: &Tests, members: &[(Layout, IterationSeed)]) -> usize {
    let mut pairs = HashSet::new();
    for (layout, seed) in members {
        for shard in assign(*layout, *seed, tests).unwrap() {
            for (place, after) in shard.iter().enumerate() {
                pairs.extend(
                    shard[..place]
                        .iter()
                        .map(|before| (before.test, after.test)),
                );
            }
        }
    }
    pairs.len()
}

#[test]
fn doubled_runs_every_test_twice_in_a_row() {
    let layout = Layout {
        design: Design::Doubled,
        shards: 1,
        grouping: Grouping::Interleaved,
        class: 0,
    };
    let order = shard(layout, IterationSeed(3), &listed(0..50), 0).unwrap();
    for pair in order.chunks(2) {
        assert_eq!(
            (pair[0].test, pair[0].rep, pair[1].rep),
            (pair[1].test, 1, 2)
        );
    }
}

#[test]
fn handles_are_eight_characters_where_six_collide() {
    // 20,000 names hold about 0.2 colliding pairs; 300,000 some dozens.
    let mut seen: BTreeMap<u64, u32> = BTreeMap::new();
    let (first, second) = (0..300_000)
        .find_map(|i| Some((seen.insert(name(i).handle(HandleLength::Six).bits(), i)?, i)))
        .expect("birthday");
    let mut names: Vec<TestId> = (0..20_000).map(name).collect();
    for collider in [first, second].map(name) {
        if !names.contains(&collider) {
            names.push(collider);
        }
    }
    let handles = Handles::of(&names);
    for (index, test) in (0_u32..).zip(&names) {
        assert_eq!(handles.find(handles.handle(test)), Found::One(index));
        let eight = test.handle(HandleLength::Eight);
        assert_eq!(handles.find(eight), Found::One(index), "eight always do");
    }
    let (a, b) = (name(first), name(second));
    assert_eq!(handles.handle(&a).length(), HandleLength::Eight);
    let mut both = vec![&a, &b];
    both.sort_unstable();
    let six = a.handle(HandleLength::Six);
    assert_eq!(handles.find(six), Found::Ambiguous(both));
    let stranger = TestId::new("nowhere").unwrap();
    assert_eq!(
        handles.find(stranger.handle(HandleLength::Six)),
        Found::None
    );
}
