//! Groups: every member is shown to be needed, or it is not named.

use super::suite::{TESTS, VICTIM, universe};
use crate::{
    diagnose::{
        chance::Coins,
        question::{Conclusion, Inquiry, NextStep, Ranking, View},
        setup::{Certify, Opening, Search, Separate, Setup, Stand, Treatment},
    },
    model::{Answer, Arm, Count, Probe, Question, QuestionId, Reply},
    plan::MasterSeed,
    stats::{BlocksOpening, Direction, Kind},
};

fn inquiry(group: &[u32]) -> Inquiry {
    of(Question::Polluter, Treatment::Group(group.to_vec()))
}

fn of(question: Question, treatment: Treatment<u32>) -> Inquiry {
    let certify = Certify {
        treatment,
        before: Vec::new(),
        pool: (30..TESTS).collect(),
        decoys: Stand::ForEach,
        blocks: BlocksOpening::new(Kind::ThreeArm, Direction::Fails, 0.9, 0.02),
    };
    let opening = Opening {
        seen: Count::default(),
        setup: Setup::Blocks(certify),
    };
    Inquiry::new(QuestionId(1), VICTIM, question, true, opening)
}

fn reply(failed: bool) -> Reply<u32> {
    Reply {
        answer: if failed {
            Answer::Failed
        } else {
            Answer::Passed
        },
        first: None,
        levels: Vec::new(),
        died_in: None,
        hours: 0.0,
        seconds: 1.0,
    }
}

/// Asks until it is answered; returns what it came to, and the probes.
fn run(mut inquiry: Inquiry, fails: impl Fn(&[u32]) -> bool) -> (Conclusion, Vec<Probe<u32>>) {
    let universe = universe();
    let deadly = [false; TESTS as usize];
    let coins = Coins::new(MasterSeed(5));
    let ranking = |_: &Search<u32>| Ranking::default();
    let view = View {
        universe: &universe,
        deadly: &deadly,
        coins: &coins,
        now: 0.0,
        ranking: &ranking,
    };
    let mut asked = Vec::new();
    loop {
        match inquiry.next(&view) {
            NextStep::Try(probes) => {
                for probe in probes {
                    let before: Vec<u32> =
                        probe.processes[0].iter().map(|(test, _)| *test).collect();
                    let place = u32::try_from(asked.len()).unwrap();
                    asked.push(probe);
                    inquiry.answer(place, &reply(fails(&before)));
                }
            }
            NextStep::Done(conclusion) => return (conclusion, asked),
            NextStep::Wait(_) => panic!("blocks of a group wait for nothing"),
        }
    }
}

#[test]
fn group_is_certified_once_it_beats_a_decoy_in_the_place_of_each_member() {
    let both = |before: &[u32]| before.contains(&3) && before.contains(&20);
    let (conclusion, probes) = run(inquiry(&[3, 20]), both);
    let Conclusion::Certified(certified) = conclusion else {
        panic!("{conclusion:?}")
    };
    assert!(certified.ln_e >= 1000_f64.ln(), "{certified:?}");
    let (decoy, treated) = (certified.counts.decoy, certified.counts.treated);
    assert_eq!((decoy.trials, decoy.failures), (2 * treated.trials, 0));
    let decoys: Vec<_> = probes
        .iter()
        .filter(|probe| probe.arm == Arm::Decoy)
        .collect();
    for member in [3, 20] {
        let with =
            |probe: &&&Probe<u32>| probe.processes[0].iter().any(|(test, _)| *test == member);
        assert_eq!(2 * decoys.iter().filter(with).count(), decoys.len());
    }
    assert!(decoys.iter().all(|probe| probe.processes[0].len() >= 3));
}

#[test]
fn member_that_any_test_could_replace_is_not_named_with_its_group() {
    let (conclusion, _) = run(inquiry(&[3, 20]), |before| before.contains(&20));
    assert!(
        matches!(conclusion, Conclusion::Spare(_, 3)),
        "{conclusion:?}"
    );
}

#[test]
fn group_of_which_any_two_tests_do_the_same_is_only_an_amount() {
    let (conclusion, _) = run(inquiry(&[3, 20]), |before| before.len() > 2);
    assert!(
        matches!(conclusion, Conclusion::OnlyAmount(_)),
        "{conclusion:?}"
    );
}

#[test]
fn what_separators_take_away_must_still_be_there_without_them() {
    let separate = || {
        let separate = Separate {
            group: vec![3],
            pool: (10..TESTS).collect(),
            times: 16,
            rate: 0.98,
            passes: false,
        };
        let opening = Opening {
            seen: Count::default(),
            setup: Setup::Separate(separate),
        };
        Inquiry::new(QuestionId(2), VICTIM, Question::Separate, false, opening)
    };
    let (conclusion, probes) = run(separate(), |before| before.ends_with(&[3, VICTIM]));
    let Conclusion::Adjacent(count) = conclusion else {
        panic!("it acts directly before the victim: {conclusion:?}");
    };
    assert_eq!((count.trials, probes.len()), (16, 17));
    let (conclusion, probes) = run(separate(), |_| false);
    assert_eq!(conclusion, Conclusion::Impossible, "it was mended");
    assert_eq!(probes.len(), 16 + 4);
}

#[test]
fn arms_with_a_neighbour_run_one_after_another_and_all_of_them_make_a_block() {
    let universe = universe();
    let view = View {
        universe: &universe,
        deadly: &[false; TESTS as usize],
        coins: &Coins::new(MasterSeed(5)),
        now: 0.0,
        ranking: &|_: &Search<u32>| Ranking::default(),
    };
    let mut inquiry = of(Question::Interference, Treatment::Beside(3));
    let mut asked = Vec::new();
    for place in 0..9 {
        let NextStep::Try(probes) = inquiry.next(&view) else {
            panic!("three blocks decide nothing");
        };
        let [probe] = &probes[..] else {
            panic!("one at a time, not {}", probes.len());
        };
        asked.push((probe.block, probe.arm));
        inquiry.answer(place, &reply(probe.beside == [3]));
    }
    for (number, arms) in (0..).zip(asked.chunks(3)) {
        for arm in [Arm::Treated, Arm::Decoy, Arm::Alone] {
            assert!(arms.contains(&(Some(number), arm)), "{asked:?}");
        }
    }
}
