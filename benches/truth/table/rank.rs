//! M1 and M2: when the true polluter alone leads the ranking.

use std::collections::BTreeMap;

use super::super::bench::hunt::{Probing, hunt};
use super::super::bench::scenario::sharing;
use super::super::bench::world::{Defect, World};
use super::super::options::Options;
use super::super::print::quantile;
use super::super::run::by_seed;
use super::{Goal, PLAIN, Trial, judge};

/// Prints them.
pub(super) fn rows(options: &Options, wanted: &dyn Fn(&str) -> bool) {
    if wanted("M1") {
        for (shards, must, challenge) in [(1, 18.0, 15.0), (4, 27.0, 22.0), (16, 80.0, 60.0)] {
            rank(options, "M1", 1, shards, Goal::AtMost(must, challenge));
        }
    }
    if wanted("M2") {
        rank(options, "M2", 13, 4, Goal::AtMost(8.0, 5.0));
    }
}

fn rank(options: &Options, row: &str, victims: u32, shards: u16, goal: Goal) {
    let trial = Trial {
        shards,
        iterations: 40 + 12 * u64::from(shards),
        ..PLAIN
    };
    let nights = by_seed(options, options.seeds, |seed| {
        let mut world = sharing(trial.tests, victims, seed);
        // The schedule draws the layouts of the suite's CI and no others.
        world.ci_shards = world.ci_shards.max(shards);
        let truth: BTreeMap<u32, String> = world
            .defects
            .iter()
            .map(|(victim, defect)| (*victim, polluter_name(&world, defect)))
            .collect();
        let mut since: BTreeMap<u32, u64> = BTreeMap::new();
        hunt(
            &world,
            &trial.setup(seed, Probing::Never),
            &mut |iteration, analyst| {
                for (victim, polluter) in &truth {
                    let standing = analyst.standing(*victim);
                    let leads = standing.explanations.first();
                    let is_unique = standing
                        .explanations
                        .get(1)
                        .is_none_or(|second| leads.is_some_and(|first| second.1 < first.1));
                    if is_unique && leads.is_some_and(|(text, _)| text.contains(polluter)) {
                        since.entry(*victim).or_insert(iteration + 1);
                    }
                }
            },
        );
        let all = truth.keys().map(|victim| since.get(victim).copied());
        all.map(|at| at.map_or(f64::INFINITY, |at| at as f64))
            .collect::<Vec<f64>>()
    });
    let all: Vec<f64> = nights.into_iter().flatten().collect();
    judge(
        row,
        quantile(&all, 0.5),
        goal,
        &format!(
            "iterations to the unique top rank (median; p90 {:.0}), {victims} of one polluter, n=1000, k={shards}",
            quantile(&all, 0.9)
        ),
    );
}

fn polluter_name(world: &World, defect: &Defect) -> String {
    let Defect::Polluted { groups, .. } = defect else {
        unreachable!("the suite has polluted tests only")
    };
    let name = world.tests.name(groups[0][0]);
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}
