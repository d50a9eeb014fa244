//! M15 and M16: how soon a hunt certifies, and how soon every pair has run in both orders.

use soakhound::model::Design;
use soakhound::plan::{Campaign, Cycle, HuntNonce, MasterSeed};

use super::super::bench::hunt::{Setup, hunt};
use super::super::bench::scenario::mixed;
use super::super::bench::score::{due, names_innocent, score};
use super::super::bench::world::Defect;
use super::super::options::Options;
use super::super::print::quantile;
use super::super::run::by_seed;
use super::{Goal, judge};

/// Prints them.
pub(super) fn rows(options: &Options, wanted: &dyn Fn(&str) -> bool) {
    if wanted("M15") {
        certified_share(options);
    }
    if wanted("M16") {
        coverage();
    }
}

/// M15: when half and nine tenths of the order-dependent tests are certified.
fn certified_share(options: &Options) {
    let tests = options.tests.unwrap_or(2000);
    let nights = by_seed(options, options.seeds, |seed| {
        let world = mixed(tests, seed);
        let found = hunt(&world, &Setup::shipped(seed, 100), &mut |_, _| {});
        let mut times = Vec::new();
        for (victim, defect) in &world.defects {
            if !matches!(defect, Defect::Polluted { .. }) {
                continue;
            }
            let due = due(&world, defect);
            let history = found.history.get(victim).map_or(&[][..], Vec::as_slice);
            let first = history
                .iter()
                .find(|known| known.flag.names_another() && !names_innocent(&due, &known.flag));
            times.push(first.map_or(f64::INFINITY, |known| known.equivalents));
        }
        let (_, slander) = score(&world, &found);
        (times, slander.innocent_named)
    });
    let median = |share| {
        let of: Vec<f64> = nights
            .iter()
            .map(|night| quantile(&night.0, share))
            .collect();
        quantile(&of, 0.5)
    };
    let innocent = nights.iter().map(|night| night.1).sum::<u64>();
    for (share, goal) in [
        (0.5, Goal::AtMost(13.0, 7.0)),
        (0.9, Goal::AtMost(35.0, 18.0)),
    ] {
        judge(
            "M15",
            median(share),
            goal,
            &format!(
                "whole suites until {:.0} % of 24 are certified, n={tests} (innocent {innocent})",
                100.0 * share
            ),
        );
    }
}

/// M16: members of the coverage cycle at sixteen shards, every ordered pair among them.
fn coverage() {
    let campaign = Campaign {
        master: MasterSeed(1),
        nonce: HuntNonce([0; 16]),
        ci_shards: 16,
        cycle: Cycle::default(),
    };
    let members = campaign.cycle_members();
    let affine = members
        .iter()
        .filter(|layout| layout.shards > 1)
        .filter(|layout| matches!(layout.design, Design::Coverage | Design::Reversed));
    judge(
        "M16",
        affine.count() as f64,
        Goal::AtMost(34.0, 34.0),
        "iterations for all ordered pairs at k=16 (that they are all is proved by the tests of the plan)",
    );
}
