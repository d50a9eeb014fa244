//! Searches: what each probe tries.

use super::suite::{TESTS, VICTIM, universe};
use crate::{
    diagnose::{
        chance::Coins,
        question::{Inquiry, NextStep, Ranking, View},
        setup::{Opening, Search, Setup, Wanted},
    },
    model::{Count, Question, QuestionId},
    plan::MasterSeed,
};

/// The tests of the first probe of a search, where test 5 has this weight and tests 20 to 23 share the rest, and test 5
/// was tried so often in vain.
fn first_probe(weight: f64, in_vain: u32) -> Vec<u32> {
    let universe = universe();
    let mut weights = vec![0.0; TESTS as usize];
    weights[5] = weight;
    weights[20..24].fill((1.0 - weight) / 4.0);
    let mut tries = vec![0; TESTS as usize];
    tries[5] = in_vain;
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
        assert_eq!(first_probe(weight, in_vain), [5], "{weight} {in_vain}");
    }
}

#[test]
fn one_that_was_tried_in_vain_gives_way_to_half_of_the_others() {
    for (weight, in_vain) in [(0.6, 3), (0.9, 9), (0.35, 3)] {
        assert_eq!(first_probe(weight, in_vain), [20, 21], "{weight} {in_vain}");
    }
}
