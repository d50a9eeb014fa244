//! What we say about chance is what many seeds show: for every design with a stated probability,
//! the share of 20,000 fixed seeds in which one test precedes another, given the other's rank, lies
//! within an exact binomial bound. Seeds are fixed, so a failure is a fault and never bad luck.

use std::collections::{BTreeMap, BTreeSet};

use soakhound::model::{Design, Grouping, Layout, TestId};
use soakhound::plan::{
    Campaign, Candidate, Cycle, HuntNonce, IterationSeed, MasterSeed, Origin, Planned, Standing,
    Tests, Trial, assign, balanced, precedence, remainder,
};
use statrs::distribution::{Binomial, DiscreteCDF};

const SEEDS: u64 = 20_000;

/// Chance of a false alarm per comparison, had the seeds not been fixed.
const TAIL: f64 = 1e-6;

const TESTS: u32 = 12;

/// Four modules of three tests: 0, 1 and 2 share one, 0 and 3 do not.
/// Pairs ask whether the earlier name comes first: an order by name alone would be caught.
fn suite() -> Tests {
    let names = (0..TESTS)
        .map(|i| TestId::new(format!("m{}::t{i}", i / 3)).unwrap())
        .collect();
    Tests::new(names, |name| &name.as_bytes()[..2])
}

fn layout(design: Design, shards: u16, grouping: Grouping) -> Layout {
    Layout {
        design,
        shards,
        grouping,
        class: 0,
    }
}

fn assert_plausible(what: &str, probability: f64, trials: u64, hits: u64) {
    if probability <= 0.0 || probability >= 1.0 {
        let expected = if probability <= 0.0 { 0 } else { trials };
        assert_eq!(
            hits, expected,
            "{what}: {hits} of {trials} at {probability}"
        );
        return;
    }
    let binomial = Binomial::new(probability, trials).unwrap();
    let below = binomial.cdf(hits);
    let above = if hits == 0 {
        1.0
    } else {
        binomial.sf(hits - 1)
    };
    assert!(
        below.min(above) > TAIL,
        "{what}: {hits} of {trials} at {probability} (tails {below:e}, {above:e})"
    );
}

/// Where `v` stands, what `a` is to it, and whether `a` ran before it. `None` when `v` is not there.
fn observed(
    tests: &Tests,
    segments: &[Vec<Trial>],
    a: u32,
    v: u32,
) -> Option<(Standing, Candidate, bool)> {
    let position = |segment: &[Trial], test| segment.iter().position(|trial| trial.test == test);
    let segment = segments
        .iter()
        .find(|segment| position(segment, v).is_some())?;
    let at = position(segment, v)?;
    let module = tests.module(v);
    let modules =
        |part: &[Trial]| -> BTreeSet<u32> { part.iter().map(|t| tests.module(t.test)).collect() };
    let in_module = |part: &[Trial]| {
        part.iter()
            .filter(|t| tests.module(t.test) == module)
            .count()
    };
    let count = |n: usize| u32::try_from(n).unwrap();
    let mut modules_before = modules(&segment[..at]);
    modules_before.remove(&module);
    let standing = Standing {
        before: count(at),
        segment: count(segment.len()),
        tests: count(tests.len()),
        modules_before: count(modules_before.len()),
        segment_modules: count(modules(segment).len()),
        modules: count(tests.module_count()),
        before_in_module: count(in_module(&segment[..at])),
        module: count(in_module(segment)),
    };
    let candidate = match position(segment, a) {
        None => Candidate::Elsewhere,
        Some(_) if tests.module(a) == module => Candidate::SameModule,
        Some(_) => Candidate::SameSegment,
    };
    Some((standing, candidate, position(&segment[..at], a).is_some()))
}

/// Compares stated and shown probabilities; at least `least_bets` bets must have been on offer.
fn check(
    layout: Layout,
    origin: Origin,
    (a, v): (u32, u32),
    least_bets: u64,
    segments: impl Fn(IterationSeed) -> Vec<Vec<Trial>>,
) {
    let tests = suite();
    let mut shown: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for seed in 0..SEEDS {
        let Some((standing, candidate, is_before)) =
            observed(&tests, &segments(IterationSeed(seed)), a, v)
        else {
            continue;
        };
        if let Some(probability) = precedence(layout, origin, candidate, &standing) {
            let (bets, hits) = shown.entry(probability.to_bits()).or_default();
            *bets += 1;
            *hits += u64::from(is_before);
        }
    }
    let bets: u64 = shown.values().map(|(bets, _)| bets).sum();
    assert!(bets >= least_bets, "{layout:?} {origin:?}: {bets} bets");
    for (probability, (bets, hits)) in shown {
        assert_plausible(
            &format!("{layout:?} {origin:?} {a} before {v}"),
            f64::from_bits(probability),
            bets,
            hits,
        );
    }
}

fn check_planned(layout: Layout, pair: (u32, u32), least_bets: u64) {
    let tests = suite();
    check(layout, Origin::Planned, pair, least_bets, |seed| {
        assign(layout, seed, &tests).unwrap()
    });
}

/// What is left of every shard after its first half.
fn check_remainder(layout: Layout, pair: (u32, u32), least_bets: u64) {
    let tests = suite();
    check(layout, Origin::Remainder, pair, least_bets, |seed| {
        let halved = |shard: Vec<Trial>| {
            let done = shard[..shard.len() / 2].iter().copied().collect();
            remainder(&shard, &done)
        };
        assign(layout, seed, &tests)
            .unwrap()
            .into_iter()
            .map(halved)
            .collect()
    });
}

#[test]
fn free_interleaved_orders_precede_as_stated() {
    for shards in [1, 3, 4] {
        check_planned(
            layout(Design::Free, shards, Grouping::Interleaved),
            (0, 2),
            SEEDS,
        );
    }
}

#[test]
fn free_module_contiguous_orders_precede_as_stated_between_and_within_modules() {
    for pair in [(0, 3), (0, 1)] {
        check_planned(
            layout(Design::Free, 3, Grouping::ModuleContiguous),
            pair,
            SEEDS,
        );
    }
}

#[test]
fn coverage_orders_precede_as_stated() {
    check_planned(
        layout(Design::Coverage, 1, Grouping::Interleaved),
        (0, 2),
        SEEDS,
    );
    for class in [0, 2, 3] {
        let affine = Layout {
            class,
            ..layout(Design::Coverage, 3, Grouping::Interleaved)
        };
        check_planned(affine, (0, 2), SEEDS / 4);
    }
}

#[test]
fn balanced_passes_precede_as_stated() {
    // Equal durations deal tests and modules out in turn, so each pair shares one of the two shards.
    let tests = suite();
    for (grouping, pair) in [
        (Grouping::Interleaved, (0, 4)),
        (Grouping::ModuleContiguous, (0, 6)),
        (Grouping::ModuleContiguous, (0, 1)),
    ] {
        let layout = layout(Design::Balanced, 2, grouping);
        check(layout, Origin::Planned, pair, SEEDS, |seed| {
            balanced(&tests, &[], 2, grouping, seed)
        });
    }
}

#[test]
fn remainders_precede_as_stated() {
    check_remainder(
        layout(Design::Free, 2, Grouping::Interleaved),
        (0, 2),
        SEEDS / 10,
    );
    check_remainder(
        layout(Design::Coverage, 3, Grouping::Interleaved),
        (0, 2),
        SEEDS / 20,
    );
    check_remainder(
        layout(Design::Free, 2, Grouping::ModuleContiguous),
        (0, 1),
        SEEDS / 10,
    );
}

#[test]
fn layouts_are_drawn_as_often_as_stated() {
    let allowed: [&dyn Fn(&Layout) -> bool; 2] = [&|_| true, &|layout| layout.shards > 1];
    for ci_shards in [1, 4, 16] {
        for allowed in allowed {
            check_draws(ci_shards, allowed);
        }
    }
}

fn check_draws(ci_shards: u16, allowed: &dyn Fn(&Layout) -> bool) {
    let campaign = Campaign {
        master: MasterSeed(7),
        nonce: HuntNonce([1; 16]),
        ci_shards,
        cycle: Cycle::default(),
    };
    let draws = (0..SEEDS).map(|i| campaign.iteration(2 * i + 1, allowed).unwrap());
    let mut shown: BTreeMap<String, (f64, u64)> = BTreeMap::new();
    for Planned {
        layout, drawn_with, ..
    } in draws
    {
        let entry = shown
            .entry(format!("{layout:?}"))
            .or_insert((drawn_with, 0));
        assert_eq!(
            entry.0.to_bits(),
            drawn_with.to_bits(),
            "one layout, one probability"
        );
        entry.1 += 1;
    }
    let total: f64 = shown.values().map(|(probability, _)| probability).sum();
    assert!((total - 1.0).abs() < 1e-12, "{shown:?}");
    for (layout, (probability, count)) in shown {
        assert_plausible(&layout, probability, SEEDS, count);
    }
}

#[test]
fn draws_follow_the_design() {
    use Grouping::{Interleaved, ModuleContiguous};
    let campaign = Campaign {
        master: MasterSeed(7),
        nonce: HuntNonce([1; 16]),
        ci_shards: 16,
        cycle: Cycle::default(),
    };
    let mut stated: BTreeMap<(Design, u16, Grouping), f64> = BTreeMap::new();
    for i in 0..1000 {
        let Planned {
            layout, drawn_with, ..
        } = campaign.iteration(2 * i + 1, &|_| true).unwrap();
        stated.insert((layout.design, layout.shards, layout.grouping), drawn_with);
    }
    let expected = [
        ((Design::Free, 1, Interleaved), 0.9 * 0.2 * 0.8),
        ((Design::Free, 1, ModuleContiguous), 0.9 * 0.2 * 0.2),
        ((Design::Free, 4, Interleaved), 0.9 * 0.4 * 0.8),
        ((Design::Free, 4, ModuleContiguous), 0.9 * 0.4 * 0.2),
        ((Design::Free, 16, Interleaved), 0.9 * 0.4 * 0.8),
        ((Design::Free, 16, ModuleContiguous), 0.9 * 0.4 * 0.2),
        ((Design::Natural, 16, ModuleContiguous), 0.1),
    ];
    assert_eq!(stated.len(), expected.len());
    for (layout, probability) in expected {
        assert!((stated[&layout] - probability).abs() < 1e-12, "{layout:?}");
    }
}
