//! The analyst against small scripted suites: each verdict once, innocents, kills.

mod burst;
mod group;
mod known;
mod search;
mod suite;

use std::collections::BTreeMap;

use serde_json::json;
use suite::{Rule, Scene, Suite, VICTIM, policy, universe};

use super::Analyst;
use crate::{
    model::{Answer, Arm, Flag, Question, Recorded, Role, Verdict},
    plan::MasterSeed,
};

fn ran(scene: &Scene<'_>, test: u32) -> bool {
    scene.before.contains(&test)
}

/// Hunts and returns what is said in the end.
fn verdict_of(rule: Rule, iterations: u64) -> Flag {
    let flag = Suite::new(rule, 1).hunt(iterations).said();
    assert!(
        flag.certified == (flag.verdict != Verdict::Undetermined),
        "{flag:?}"
    );
    flag
}

fn groups(flag: &Flag, role: Role) -> Vec<Vec<String>> {
    Suite::named(flag, role)
}

#[test]
fn one_polluter_is_certified_and_nobody_else_named() {
    let flag = verdict_of(|scene| if ran(scene, 3) { 1.0 } else { 0.0 }, 40);
    assert_eq!(flag.verdict, Verdict::OdVictim, "{flag:?}");
    assert_eq!(groups(&flag, Role::Polluter), [["t03"]]);
    assert_eq!((flag.unnamed, flag.alone.failures), (0, 0));
    let recipe = flag.recipe.expect("a polluter has a recipe");
    let order: Vec<_> = recipe.order.iter().map(|(test, _)| test.as_str()).collect();
    assert_eq!(order, [Some("t03"), Some("t07")]);
    assert_eq!(recipe.seen.failures, recipe.seen.trials);
}

#[test]
fn alternative_polluters_are_all_named() {
    let rule: Rule = |scene| f64::from(u8::from(ran(scene, 3) || ran(scene, 20)));
    let flag = verdict_of(rule, 60);
    assert_eq!(
        groups(&flag, Role::Polluter),
        [["t03"], ["t20"]],
        "{flag:?}"
    );
    assert_eq!(flag.unnamed, 0);
}

#[test]
fn two_polluters_that_are_needed_together_are_one_group() {
    let rule: Rule = |scene| f64::from(u8::from(ran(scene, 3) && ran(scene, 20)));
    let flag = verdict_of(rule, 120);
    assert_eq!(flag.verdict, Verdict::OdVictim, "{flag:?}");
    assert_eq!(groups(&flag, Role::Polluter), [["t03", "t20"]]);
}

#[test]
fn a_cleaner_is_named_beside_its_polluter() {
    let rule: Rule = |scene| {
        let last = |test| scene.before.iter().rposition(|other| *other == test);
        f64::from(u8::from(last(3) > last(20)))
    };
    let flag = verdict_of(rule, 120);
    assert_eq!(groups(&flag, Role::Polluter), [["t03"]], "{flag:?}");
    assert_eq!(groups(&flag, Role::Cleaner), [["t20"]]);
}

#[test]
fn a_brittle_test_is_flagged_with_its_state_setter() {
    let flag = verdict_of(|scene| if ran(scene, 3) { 0.0 } else { 1.0 }, 40);
    assert_eq!(flag.verdict, Verdict::OdBrittle, "{flag:?}");
    assert_eq!(groups(&flag, Role::StateSetter), [["t03"]]);
    assert_eq!(flag.alone.failures, flag.alone.trials);
}

#[test]
fn a_test_that_fails_the_second_time_is_nio() {
    let flag = verdict_of(|scene| if ran(scene, VICTIM) { 1.0 } else { 0.0 }, 40);
    assert_eq!(flag.verdict, Verdict::Nio, "{flag:?}");
    let recipe = flag.recipe.expect("two runs show it");
    let reps: Vec<u8> = recipe.order.iter().map(|(_, rep)| *rep).collect();
    assert_eq!(reps, [1, 2]);
}

#[test]
fn a_coin_is_nod_and_names_nobody() {
    let flag = verdict_of(|_| 0.15, 120);
    assert_eq!(flag.verdict, Verdict::Nod, "{flag:?}");
    assert!(flag.groups.is_empty() && flag.alone.failures >= 2);
}

#[test]
fn a_coin_is_repeated_as_often_as_all_its_runs_call_for_not_as_a_few_alone_do() {
    // Runs alone end with the failures that they are to show: now and then those come early.
    let mut recorded_ones_count = 0;
    let coins: [Rule; 4] = [|_| 0.15, |_| 0.12, |_| 0.1, |_| 0.08];
    for coin in coins {
        let flag = verdict_of(coin, 120);
        let (alone, seen) = (flag.alone, flag.recipe.expect("it fails alone").seen);
        assert!(seen.failures * alone.trials <= alone.failures * seen.trials);
        recorded_ones_count += u32::from(seen.trials > alone.trials);
    }
    assert!(recorded_ones_count > 0);
}

#[test]
fn a_level_of_a_factor_is_certified() {
    let flag = verdict_of(|scene| if scene.level == "UTC" { 1.0 } else { 0.0 }, 40);
    assert_eq!(flag.verdict, Verdict::Environment, "{flag:?}");
    assert_eq!(flag.factors, [("TZ".to_owned(), "UTC".to_owned())]);
}

#[test]
fn a_level_that_no_probe_can_set_is_suspected_where_runs_alone_agree() {
    let mut observed = policy();
    observed.factors[0].settable = false;
    let rule: Rule = |scene| if scene.level == "UTC" { 0.7 } else { 0.0 };
    let flag = Suite::under(observed, rule, 1).hunt(100).said();
    let expected = [("TZ".to_owned(), "UTC".to_owned())];
    assert_eq!(
        (flag.verdict, flag.certified, &flag.factors[..]),
        (Verdict::Environment, false, &expected[..]),
        "{flag:?}"
    );
}

#[test]
fn a_coin_is_nod_whatever_else_its_failures_may_look_like() {
    for seed in 0..60 {
        let flag = Suite::new(|_| 0.3, seed).hunt(60).said();
        assert_eq!(flag.verdict, Verdict::Nod, "seed {seed}: {flag:?}");
    }
}

#[test]
fn a_test_that_fails_unless_it_is_first_is_position() {
    let flag = verdict_of(|scene| if scene.before.is_empty() { 0.0 } else { 1.0 }, 60);
    assert_eq!(flag.verdict, Verdict::Position, "{flag:?}");
    assert_eq!(flag.threshold, Some(1));
    assert!(flag.groups.is_empty());
}

#[test]
fn a_polluter_on_top_of_a_background_is_ndod() {
    let flag = verdict_of(|scene| if ran(scene, 3) { 0.9 } else { 0.08 }, 150);
    assert_eq!(flag.verdict, Verdict::Ndod, "{flag:?}");
    assert_eq!(groups(&flag, Role::Polluter), [["t03"]]);
}

#[test]
fn an_adjacent_polluter_is_marked_as_such() {
    let flag = verdict_of(
        |scene| f64::from(u8::from(matches!(scene.before.last(), Some(3 | 20)))),
        250,
    );
    assert_eq!(flag.verdict, Verdict::OdVictim, "{flag:?}");
    assert!(flag.groups.iter().all(|group| group.adjacent), "{flag:?}");
}

#[test]
fn a_test_that_never_passes_is_broken_and_one_that_ceased_to_pass_says_since_when() {
    let flag = verdict_of(|_| 1.0, 40);
    assert_eq!(
        (flag.verdict, flag.since_iteration),
        (Verdict::Broken, None),
        "{flag:?}"
    );
    let flag = verdict_of(|scene| if scene.iteration >= 20 { 1.0 } else { 0.0 }, 60);
    assert_eq!(
        (flag.verdict, flag.since_iteration),
        (Verdict::Broken, Some(20)),
        "{flag:?}"
    );
    // It failed once before, so that it was looked at, and passed alone then.
    let rule: Rule = |scene| f64::from(u8::from(scene.iteration == 3 || scene.iteration >= 40));
    let flag = verdict_of(rule, 100);
    assert!(flag.alone.failures < flag.alone.trials, "{flag:?}");
    assert_eq!(
        (flag.verdict, flag.since_iteration),
        (Verdict::Broken, Some(40)),
        "{flag:?}"
    );
}

#[test]
fn coins_of_any_rate_never_name_an_innocent() {
    for (seed, rule) in
        (0_u64..).zip([|_: &Scene<'_>| 0.03, |_| 0.1, |_| 0.3, |_| 0.6] as [Rule; 4])
    {
        for seed in [seed, seed + 100] {
            let mut suite = Suite::new(rule, seed);
            suite.hunt(100);
            let named = suite.flags.values().find(|flag| flag.names_another());
            assert_eq!(named, None);
        }
    }
}

#[test]
fn a_killed_hunt_says_the_same_and_goes_on() {
    let rule: Rule = |scene| f64::from(u8::from(ran(scene, 3))) * 0.7;
    for iterations in [3, 6, 12, 30] {
        let mut suite = Suite::new(rule, 1);
        suite.hunt(iterations);
        let claim = |flag: &Flag| {
            let groups: Vec<_> = flag
                .groups
                .iter()
                .map(|group| {
                    (
                        group.role,
                        group.members.clone(),
                        group.with,
                        group.ln_e.to_bits(),
                    )
                })
                .collect();
            (flag.test.clone(), flag.verdict, flag.certified, groups)
        };
        let resumed = suite.resumed();
        let before: Vec<_> = suite.analyst.flags().iter().map(claim).collect();
        let after: Vec<_> = resumed.flags().iter().map(claim).collect();
        assert_eq!(before, after, "after {iterations} iterations");
        assert_eq!(suite.analyst.attempts(), resumed.attempts());
        suite.analyst = resumed;
        suite.hunt(40);
        let flag = suite.said();
        assert_eq!(groups(&flag, Role::Polluter), [["t03"]], "{flag:?}");
    }
}

#[test]
fn a_hunt_that_is_killed_again_and_again_judges_each_question_once() {
    // The suite checks that nothing is judged twice.
    let mut suite = Suite::new(
        |scene| f64::from(u8::from(ran(scene, 3) || ran(scene, 20))),
        2,
    );
    let flag = suite.ask(25, true).said();
    assert_eq!(
        groups(&flag, Role::Polluter),
        [["t03"], ["t20"]],
        "{flag:?}"
    );
    let judged = suite.recorded.iter().filter(|it| it.concluded.is_some());
    assert!(judged.count() >= 2, "{:?}", suite.recorded);
}

#[test]
fn what_a_search_came_to_holds_whatever_its_ranking_says_later() {
    let mut suite = Suite::new(|scene| f64::from(u8::from(ran(scene, 3))), 1);
    let search = 'soak: loop {
        suite.soak();
        while let Some(next) = suite.analyst.propose() {
            suite.run(&next);
            let recorded = &suite.recorded[next.question.0 as usize];
            let found_nothing =
                next.probes[0].question == Question::Search && recorded.concluded.is_none();
            if found_nothing {
                break 'soak next.question;
            }
        }
    };
    let next = |suite: &Suite| {
        let mut resumed = suite.resumed();
        let batch = resumed
            .propose_for(VICTIM)
            .expect("there is something to ask");
        (batch.question, resumed.take_concluded())
    };
    let (question, judged) = next(&suite);
    assert_eq!(question, search, "an open search goes on");
    assert_eq!(judged, []);
    for concluded in [json!("not-found"), json!({ "found": ["t20"] })] {
        suite.recorded[search.0 as usize].concluded = Some(concluded);
        let (question, judged) = next(&suite);
        assert!(question > search);
        assert_eq!(judged, [], "it is judged already");
    }
}

#[test]
fn a_block_cut_in_two_by_a_kill_is_completed() {
    let rule: Rule = |scene| f64::from(u8::from(ran(scene, 3)));
    let mut suite = Suite::new(rule, 1);
    let mut batch = None;
    'soak: for _ in 0..20 {
        suite.soak();
        while let Some(next) = suite.analyst.propose() {
            if next.probes[0].question == Question::Polluter {
                batch = Some(next);
                break 'soak;
            }
            suite.run(&next);
        }
    }
    let batch = batch.expect("a polluter comes to a certification");
    let opened = batch.opened.clone().expect("this is its first batch");
    let arms: Vec<Arm> = batch.probes.iter().map(|probe| probe.arm).collect();
    // The first arm was recorded but not answered, the others not even recorded.
    suite.recorded.push(Recorded {
        id: batch.question,
        opened,
        probes: vec![(batch.probes[0].clone(), None)],
        concluded: None,
    });
    let mut resumed = suite.resumed();
    assert!(
        resumed.propose_for(VICTIM).is_none(),
        "it waits for the answer that is missing"
    );
    let reply = suite.reply(&batch.probes[0]);
    resumed.answer(batch.question, 0, &reply);
    let rest = resumed.propose_for(VICTIM).expect("the rest of the block");
    assert_eq!((rest.question, rest.first), (batch.question, 1));
    assert_eq!(rest.opened, None);
    assert_eq!(rest.probes[..2], batch.probes[1..3], "{arms:?}");
}

#[test]
fn a_void_arm_voids_its_block_and_nothing_else() {
    let mut suite = Suite::new(|scene| f64::from(u8::from(ran(scene, 3))), 1);
    suite.void = Some(11);
    let flag = suite.hunt(40).said();
    assert_eq!(groups(&flag, Role::Polluter), [["t03"]], "{flag:?}");
    let blocks = |complete: bool| {
        let certified = suite
            .recorded
            .iter()
            .rev()
            .find(|recorded| recorded.opened.question == Question::Polluter)
            .expect("the polluter was put to the test");
        let mut valid: BTreeMap<u32, bool> = BTreeMap::new();
        for (probe, reply) in &certified.probes {
            let reply = reply.as_ref().expect("all are answered");
            *valid
                .entry(probe.block.expect("an arm of a block"))
                .or_insert(true) &= reply.answer != Answer::Void;
        }
        valid.values().filter(|valid| **valid == complete).count() as u64
    };
    assert!(blocks(false) > 0, "some arm was void");
    assert!(flag.groups[0].with.trials <= blocks(true), "{flag:?}");
    assert_eq!(flag.groups[0].with.trials, flag.groups[0].without.trials);
    assert_eq!(flag.groups[0].with.trials, flag.groups[0].with_decoy.trials);
}

#[test]
fn a_question_is_handed_out_once_until_it_is_answered() {
    let rule: Rule = |scene| f64::from(u8::from(ran(scene, 3)));
    let mut suite = Suite::new(rule, 1);
    while suite.analyst.open_cases().is_empty() {
        suite.soak();
    }
    let batch = suite
        .analyst
        .propose()
        .expect("the victim is looked at alone");
    assert_eq!(batch.probes.len(), 4);
    assert!(
        batch
            .probes
            .iter()
            .all(|probe| probe.processes == [[(VICTIM, 1)]])
    );
    assert_eq!(suite.analyst.propose(), None);
    assert_eq!(suite.analyst.propose_for(VICTIM), None);
    suite.run(&batch);
    assert!(suite.analyst.propose().is_some());
}

#[test]
fn a_victim_of_which_no_doubled_run_told_anything_is_run_twice_before_its_polluter_is_the_last_word()
 {
    // What it does itself is what the polluter does: one that ran before both of its runs hides that.
    let rule: Rule = |scene| f64::from(u8::from(ran(scene, 3) || ran(scene, VICTIM)));
    let mut suite = Suite::new(rule, 1);
    suite.iteration = 6;
    let flag = suite.ask(18, false).said();
    assert_eq!(flag.verdict, Verdict::Nio, "{flag:?}");
    let questions = suite.recorded.iter().map(|it| it.opened.question);
    assert!(questions.collect::<Vec<_>>().contains(&Question::Twice));
}

#[test]
fn brief_tests_stand_for_each_other_whatever_the_clock_says() {
    // All others together last less than the polluter does, by a few thousandths of a second.
    let mut brief = universe();
    brief.seconds.fill(0.000_05);
    brief.seconds[3] = 0.004;
    let mut suite = Suite::new(|scene| f64::from(u8::from(ran(scene, 3))), 1);
    suite.universe = brief.clone();
    suite.analyst = Analyst::new(brief, policy(), MasterSeed(1));
    let flag = suite.ask(20, false).said();
    assert_eq!(groups(&flag, Role::Polluter), [["t03"]], "{flag:?}");
}

#[test]
fn a_slow_test_that_fails_the_second_time_is_compared_with_tests_of_other_modules() {
    // Its whole module lasts less than it does.
    let mut slow = universe();
    slow.seconds[VICTIM as usize] = 5.0;
    let mut suite = Suite::new(|scene| f64::from(u8::from(ran(scene, VICTIM))), 1);
    suite.universe = slow.clone();
    suite.analyst = Analyst::new(slow, policy(), MasterSeed(1));
    let flag = suite.hunt(20).said();
    assert_eq!(
        (flag.verdict, flag.certified),
        (Verdict::Nio, true),
        "{flag:?}"
    );
}

#[test]
fn probes_leave_out_tests_that_the_suite_no_longer_has() {
    let rule: Rule = |scene| f64::from(u8::from(ran(scene, 3)));
    let mut gone = universe();
    gone.present[3] = false;
    let mut suite = Suite::new(rule, 1);
    suite.analyst = Analyst::new(gone, policy(), MasterSeed(1));
    suite.hunt(60);
    let probed = suite
        .recorded
        .iter()
        .flat_map(|recorded| &recorded.probes)
        .flat_map(|(probe, _)| probe.processes.iter().flatten());
    assert!(probed.clone().count() > 0);
    assert!(probed.into_iter().all(|(test, _)| *test != 3));
    assert!(!suite.said().names_another());
}

#[test]
fn a_polluter_that_a_few_tests_clean_up_after_is_not_called_adjacent() {
    // Three of forty, all of them cleaners: four in ten failing orders have one in between.
    let rule: Rule = |scene| {
        let last = |test| scene.before.iter().rposition(|other| *other == test);
        let cleaned = [20, 21, 22].into_iter().filter_map(last).max();
        f64::from(u8::from(last(3) > cleaned))
    };
    let flag = verdict_of(rule, 250);
    assert_eq!(groups(&flag, Role::Polluter), [["t03"]], "{flag:?}");
    assert!(flag.groups.iter().all(|group| !group.adjacent), "{flag:?}");
    let cleaners = groups(&flag, Role::Cleaner).concat();
    assert!(!cleaners.is_empty(), "{flag:?}");
    let known = ["t20", "t21", "t22"];
    assert!(
        cleaners.iter().all(|name| known.contains(&&name[..])),
        "{flag:?}"
    );
}
