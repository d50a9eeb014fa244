//! Failures that come together: the machine's doing only where the same order, run again, does not show them.

use std::collections::BTreeMap;

use super::suite::{Chance, TESTS, policy, universe};
use crate::{
    diagnose::{Analyst, Batch, Observation, Policy, Showed, Shown},
    model::{
        Answer, Design, Flag, Grouping, Layout, Probe, Question, Recorded, Reply, Role, TestId,
        Verdict,
    },
    plan::{MasterSeed, Origin},
};

/// Does a test fail, by what ran before it, in this iteration? Probes are of none.
type Rule = fn(u32, &[u32], Option<u64>) -> bool;

/// Tests that fail together.
const TOGETHER: [u32; 6] = [7, 11, 19, 23, 30, 36];

/// A suite of several victims, and the hunt through it.
struct Crowd {
    rule: Rule,
    chance: Chance,
    analyst: Analyst,
    soaked: Vec<(u64, Vec<u32>)>,
    recorded: Vec<Recorded<u32>>,
    /// Every flag about no test that was ever told of.
    systemic: Vec<Flag>,
    /// Did all failures of a test ever wait for a replay?
    waited: bool,
}

impl Crowd {
    fn hunt(rule: Rule, iterations: u64) -> Self {
        let mut crowd = Self {
            rule,
            chance: Chance(3),
            analyst: Analyst::new(universe(), policy(), MasterSeed(1)),
            soaked: Vec::new(),
            recorded: Vec::new(),
            systemic: Vec::new(),
            waited: false,
        };
        for iteration in 0..iterations {
            let mut order: Vec<u32> = (0..TESTS).collect();
            crowd.chance.shuffle(&mut order);
            let flags = tell(&mut crowd.analyst, rule, iteration, &order);
            crowd.keep(flags);
            crowd.waited |= TOGETHER
                .iter()
                .any(|test| crowd.analyst.waits_for_replay(*test));
            crowd.soaked.push((iteration, order));
            while let Some(batch) = crowd.analyst.propose() {
                crowd.run(batch);
            }
            crowd.conclude();
        }
        while let Some(batch) = crowd.analyst.propose_last() {
            crowd.run(batch);
        }
        crowd.conclude();
        crowd
    }

    fn run(&mut self, batch: Batch) {
        if let Some(opened) = batch.opened {
            self.recorded.push(Recorded {
                id: batch.question,
                opened,
                probes: Vec::new(),
                concluded: None,
            });
        }
        for (place, probe) in (batch.first..).zip(batch.probes) {
            let reply = reply(self.rule, &probe);
            let recorded = &mut self.recorded[batch.question.0 as usize];
            recorded.probes.push((probe, Some(reply.clone())));
            let flags = self.analyst.answer(batch.question, place, &reply);
            self.keep(flags);
        }
        self.conclude();
    }

    fn conclude(&mut self) {
        for (question, concluded) in self.analyst.take_concluded() {
            self.recorded[question.0 as usize].concluded = Some(concluded);
        }
    }

    fn keep(&mut self, flags: Vec<Flag>) {
        let systemic = flags.into_iter().filter(|flag| flag.test.is_none());
        self.systemic.extend(systemic);
    }

    fn replays(&self) -> usize {
        let repeated = self.recorded.iter();
        let repeated = repeated.filter(|it| it.opened.question == Question::Repeat);
        repeated.map(|it| it.probes.len()).sum()
    }

    /// A new process: everything observed and recorded is given back.
    fn resumed(&self) -> Analyst {
        let mut analyst = Analyst::new(universe(), policy(), MasterSeed(1));
        for (iteration, order) in &self.soaked {
            tell(&mut analyst, self.rule, *iteration, order);
        }
        analyst.restore(self.recorded.clone());
        analyst
    }
}

fn tell(analyst: &mut Analyst, rule: Rule, iteration: u64, order: &[u32]) -> Vec<Flag> {
    let mut trials = Vec::new();
    for (place, test) in order.iter().enumerate() {
        trials.push(Shown {
            test: *test,
            rep: 1,
            showed: if rule(*test, &order[..place], Some(iteration)) {
                Showed::Failed
            } else {
                Showed::Passed
            },
            start: f64::from(u32::try_from(place).unwrap()),
            seconds: 0.5,
        });
    }
    analyst.observe(&Observation {
        iteration,
        tests: TESTS,
        modules: TESTS / 5,
        layout: Layout {
            design: Design::Free,
            shards: 1,
            grouping: Grouping::Interleaved,
            class: 0,
        },
        origin: Origin::Planned,
        asked: order,
        trials: &trials,
        died_in: None,
        worker: 0,
        hour: 12.0,
        levels: &[(0, "UTC".to_owned())],
    });
    analyst.end_iteration(iteration, 5000.0)
}

fn reply(rule: Rule, probe: &Probe<u32>) -> Reply<u32> {
    let last = probe.processes.last().expect("a probe has a process");
    let order: Vec<u32> = last.iter().map(|(test, _)| *test).collect();
    let (victim, before) = order.split_last().expect("the victim runs");
    Reply {
        answer: if rule(*victim, before, None) {
            Answer::Failed
        } else {
            Answer::Passed
        },
        first: None,
        levels: vec![("TZ".to_owned(), "UTC".to_owned())],
        died_in: None,
        hours: 1.0,
        seconds: 1.0,
    }
}

fn by_test(analyst: &Analyst) -> BTreeMap<Option<TestId>, Flag> {
    let flags = analyst.flags().into_iter();
    flags.map(|flag| (flag.test.clone(), flag)).collect()
}

#[test]
fn victims_of_one_polluter_that_fail_together_are_never_the_machines_doing() {
    // The first strike comes after many quiet iterations, so that by counts it looks like a burst.
    let rule: Rule = |test, before, _| {
        let seldom = before.iter().position(|other| *other == 3);
        TOGETHER.contains(&test) && seldom.is_some_and(|place| place < 1)
    };
    let crowd = Crowd::hunt(rule, 120);
    assert_eq!(crowd.systemic, [], "{:?}", crowd.replays());
    assert!(crowd.waited, "it looked like a burst once");
    let flags = by_test(&crowd.analyst);
    for test in TOGETHER {
        let flag = &flags[&Some(universe().names[test as usize].clone())];
        let named = flag.groups.iter().filter(|it| it.role == Role::Polluter);
        let named: Vec<_> = named.flat_map(|group| group.members.clone()).collect();
        assert_eq!(named, [universe().names[3].clone()], "{flag:?}");
    }
}

#[test]
fn what_a_replay_does_not_show_again_is_the_machines_doing_and_counts_for_no_test() {
    let rule: Rule = |test, _, iteration| TOGETHER.contains(&test) && iteration == Some(20);
    let crowd = Crowd::hunt(rule, 30);
    assert_eq!(
        crowd.systemic.len(),
        1,
        "told of once: {:?}",
        crowd.systemic
    );
    assert_eq!(crowd.replays(), 4, "twice the earliest, once two more");
    for analyst in [&crowd.analyst, &crowd.resumed()] {
        let flags = analyst.flags();
        let [flag] = &flags[..] else {
            panic!("only the machine is to blame: {flags:?}");
        };
        assert_eq!(
            (flag.verdict, flag.certified),
            (Verdict::Infrastructure, true)
        );
        assert_eq!(flag.since_iteration, Some(20));
        assert!(
            TOGETHER
                .iter()
                .all(|test| analyst.standing(*test).infra == 1)
        );
    }
}

#[test]
fn what_nobody_brings_back_in_fifty_iterations_is_the_machines_doing_without_a_replay() {
    let rule: Rule = |test, _, iteration| TOGETHER.contains(&test) && iteration == Some(20);
    let crowd = Crowd::hunt(rule, 90);
    assert!(crowd.waited);
    assert_eq!(crowd.replays(), 0);
    for analyst in [&crowd.analyst, &crowd.resumed()] {
        let flags = analyst.flags();
        let [flag] = &flags[..] else {
            panic!("only the machine is to blame: {flags:?}");
        };
        assert_eq!(flag.verdict, Verdict::Infrastructure);
        assert_eq!(
            flag.ruled_out[1],
            "not the orders: in the iterations around it (50 before, 50 after) fewer than half of the tests failed again, or no two of them together"
        );
    }
}

#[test]
fn until_a_replay_shows_whose_doing_it_was_failures_count_for_their_tests() {
    let mut analyst = Analyst::new(universe(), policy(), MasterSeed(1));
    let rule: Rule = |test, _, iteration| TOGETHER.contains(&test) && iteration == Some(5);
    for iteration in 0..8 {
        let order: Vec<u32> = (0..TESTS).collect();
        let told = tell(&mut analyst, rule, iteration, &order);
        assert_eq!(told, [], "nothing is announced yet");
    }
    assert_eq!(analyst.standing(TOGETHER[0]).soak.failures, 1);
    assert_eq!(by_test(&analyst).len(), TOGETHER.len());
    // Whoever is asked about, the replay comes first: of the earliest of them.
    let batch = analyst.propose_for(TOGETHER[3]).expect("a replay is due");
    assert_eq!(batch.probes[0].question, Question::Repeat);
    assert_eq!(batch.probes[0].victim, TOGETHER[0]);
    let order: Vec<u32> = batch.probes[0].processes[0].iter().map(|it| it.0).collect();
    assert_eq!(order, (0..=TOGETHER[0]).collect::<Vec<_>>());
    assert_eq!(
        batch.probes[0].factors,
        [("TZ".to_owned(), "UTC".to_owned())]
    );
}

#[test]
fn tests_that_always_fail_are_broken_and_not_the_machines_doing() {
    let rule: Rule = |test, _, _| TOGETHER.contains(&test);
    let crowd = Crowd::hunt(rule, 15);
    assert_eq!(crowd.systemic, []);
    let flags = by_test(&crowd.analyst);
    assert_eq!(flags.len(), TOGETHER.len());
    assert!(
        flags.values().all(|flag| flag.verdict == Verdict::Broken),
        "{flags:?}"
    );
}

#[test]
fn at_the_end_a_test_with_endless_questions_starves_nobody() {
    // The first of the list fails every fourth time, and never when it is looked at.
    let rule: Rule = |test, before, iteration| match test {
        2 => iteration.is_some_and(|iteration| iteration % 4 == 0),
        30 => before.contains(&3),
        _ => false,
    };
    let idle = Policy {
        probe_share: 0.0,
        ..policy()
    };
    let mut analyst = Analyst::new(universe(), idle, MasterSeed(1));
    let mut chance = Chance(3);
    for iteration in 0..60 {
        let mut order: Vec<u32> = (0..TESTS).collect();
        chance.shuffle(&mut order);
        tell(&mut analyst, rule, iteration, &order);
        assert_eq!(analyst.propose(), None, "nothing was earned");
    }
    let mut spent: BTreeMap<u32, usize> = BTreeMap::new();
    let is_certified = |analyst: &Analyst| {
        let flags = by_test(analyst);
        flags[&Some(universe().names[30].clone())].certified
    };
    while !is_certified(&analyst) {
        let batch = analyst.propose_last().expect("it is not certified yet");
        for (place, probe) in (batch.first..).zip(batch.probes) {
            *spent.entry(probe.victim).or_default() += 1;
            analyst.answer(batch.question, place, &reply(rule, &probe));
        }
    }
    assert!(spent[&2] <= spent[&30] + 32, "{spent:?}");
    assert!(analyst.propose_last().is_some(), "the other is asked on");
}
