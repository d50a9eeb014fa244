//! Searches: what each probe tries.

use super::{
    ran,
    suite::{Rule, Suite, TESTS, VICTIM, universe},
};
use crate::{
    diagnose::{
        chance::Coins,
        question::{Inquiry, NextStep, Ranking, View},
        setup::{Opening, Search, Setup, Wanted},
    },
    model::{Count, Question, QuestionId, Recorded},
    plan::MasterSeed,
};

/// The tests of the first probe of a search, where these tests share the weight and were tried so often in vain, and
/// tests 20 to 23 share the rest of it.
fn first_probe(candidates: &[(u32, f64)], in_vain: u32) -> Vec<u32> {
    let universe = universe();
    let mut weights = vec![0.0; TESTS as usize];
    let mut tries = vec![0; TESTS as usize];
    for (test, weight) in candidates {
        weights[*test as usize] = *weight;
        tries[*test as usize] = in_vain;
    }
    let rest = 1.0 - weights.iter().sum::<f64>();
    weights[20..24].fill(rest / 4.0);
    let ranking = |_: &Search<u32>| Ranking {
        weights: weights.clone(),
        family: 1.0,
        count: 1.0,
        order: (0..TESTS).collect(),
        in_vain: tries.clone(),
        singles_refuted: false,
    };
    let search = Search {
        wanted: Wanted::Polluter,
        known: Vec::new(),
        first: Vec::new(),
        runs: 50,
        executions: 500,
        open: 0,
    };
    let opening = Opening {
        seen: Count::default(),
        setup: Setup::Search(search),
    };
    let mut inquiry = Inquiry::new(QuestionId(1), VICTIM, Question::Search, false, opening);
    let view = View {
        universe: &universe,
        deadly: &[false; TESTS as usize],
        coins: &Coins::new(MasterSeed(5)),
        now: 0.0,
        ranking: &ranking,
    };
    let NextStep::Try(probes) = inquiry.next(&view) else {
        panic!("something is left to be tried");
    };
    let order = probes[0].processes[0].iter().map(|(test, _)| *test);
    order.filter(|test| *test != VICTIM).collect()
}

#[test]
fn the_likeliest_is_tried_by_itself_and_again_while_it_leaves_little_to_the_others() {
    for (weight, in_vain) in [(0.6, 0), (0.6, 2), (0.7, 3), (0.9, 6)] {
        let tried = first_probe(&[(5, weight)], in_vain);
        assert_eq!(tried, [5], "{weight} {in_vain}");
    }
}

#[test]
fn one_that_was_tried_in_vain_gives_way_to_half_of_the_others() {
    for (weight, in_vain) in [(0.6, 3), (0.9, 9), (0.35, 3)] {
        let tried = first_probe(&[(5, weight)], in_vain);
        assert_eq!(tried, [20, 21], "{weight} {in_vain}");
    }
}

#[test]
fn two_that_are_alike_are_not_tried_together_but_one_of_them() {
    for in_vain in [0, 3, 6] {
        let tried = first_probe(&[(5, 0.4995), (9, 0.4995)], in_vain);
        assert_eq!(tried, [5], "{in_vain}");
    }
}

#[test]
fn a_set_holds_about_half_of_the_weight_never_nearly_all() {
    let four = [(5, 0.24), (6, 0.24), (7, 0.24), (8, 0.24)].map(|(test, x)| (test + 3, x));
    assert_eq!(first_probe(&four, 0), [8, 9]);
    assert_eq!(first_probe(&[(5, 0.29), (9, 0.71)], 3), [9]);
}

/// Probes of several tests by searches and reductions that were opened once the victim had run so often.
fn groups_tried(rule: Rule, seed: u64, after: u64) -> usize {
    let mut suite = Suite::new(rule, seed);
    suite.hunt(60);
    let late = suite.recorded.iter().filter(|recorded| {
        matches!(
            recorded.opened.question,
            Question::Search | Question::Reduce
        ) && seen(recorded, "trials") >= after
    });
    late.flat_map(|recorded| &recorded.probes)
        .filter(|(probe, _)| probe.executions() > 2)
        .count()
}

fn seen(recorded: &Recorded<u32>, what: &str) -> u64 {
    recorded.opened.parameters["seen"][what].as_u64().unwrap()
}

#[test]
fn where_how_much_ran_before_is_likelier_hardly_any_group_is_tried() {
    let rule: Rule = |scene| if scene.before.len() >= 22 { 0.6 } else { 0.0 };
    let tried: Vec<usize> = (1..9).map(|seed| groups_tried(rule, seed, 25)).collect();
    let none = tried.iter().filter(|groups| **groups == 0).count();
    assert!(none >= 5, "{tried:?}");
}

/// Is this a search for the same polluters as the one before, on the same recorded runs?
fn goes_on(pair: &[&Recorded<u32>]) -> bool {
    let [before, after] = [pair[0], pair[1]].map(|recorded| &recorded.opened.parameters);
    let same = |what| before[what] == after[what];
    same("known") && same("seen")
}

#[test]
fn a_search_that_ended_by_its_limit_goes_on_though_nothing_ran_since() {
    let rule: Rule = |scene| {
        if ran(scene, 30) || ran(scene, 12) {
            0.4
        } else {
            0.0
        }
    };
    let hunts = (1..31).filter(|seed| {
        let mut suite = Suite::new(rule, *seed);
        suite.hunt(40);
        let searches = suite.recorded.iter().filter(|recorded| {
            recorded.opened.question == Question::Search
                && recorded.opened.parameters["wanted"] == "polluter"
        });
        searches.collect::<Vec<_>>().windows(2).any(goes_on)
    });
    let hunts = hunts.count();
    assert!(hunts >= 4, "{hunts}");
}
