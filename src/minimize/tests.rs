//! Reductions of known worlds: a function from the list to the chance of failing.

use super::*;
use crate::stats::chance::Chance;

/// What makes the test fail.
struct World {
    /// Groups, any of which suffices; all members of one are needed.
    causes: Vec<Vec<u32>>,
    /// Tests that, run after the last polluter, undo it.
    cleaners: Vec<u32>,
    rate: f64,
    background: f64,
}

impl World {
    fn sure(cause: &[u32]) -> Self {
        Self::noisy(cause, 1.0, 0.0)
    }

    fn noisy(cause: &[u32], rate: f64, background: f64) -> Self {
        Self {
            causes: vec![cause.to_vec()],
            cleaners: Vec::new(),
            rate,
            background,
        }
    }

    fn failure_rate(&self, list: &[u32]) -> f64 {
        let place = |test: &u32| list.iter().position(|other| other == test);
        let cleaned = self.cleaners.iter().filter_map(place).max();
        let polluted = self.causes.iter().any(|cause| {
            let members: Option<Vec<usize>> = cause.iter().map(place).collect();
            members.is_some_and(|places| places.into_iter().max() > cleaned)
        });
        if polluted { self.rate } else { self.background }
    }
}

/// A list of `len` tests; those in `high` are ranked highest, in that order.
fn start(len: u32, high: &[u32], world: &World) -> Start {
    let weight = |test: u32| {
        let place = high.iter().position(|other| *other == test);
        place.map_or(1e-6, |place| {
            0.5_f64.powi(1 + i32::try_from(place).expect("few"))
        })
    };
    Start {
        list: (0..len).collect(),
        weights: if high.is_empty() {
            vec![1.0; len as usize]
        } else {
            (0..len).map(weight).collect()
        },
        needed: Vec::new(),
        doubtful: false,
        rate: world.rate,
        background: world.background,
        runs: 2000,
        executions: 1_000_000,
    }
}

struct Ended {
    reduced: Option<Reduced>,
    executions: u64,
}

fn reduce(start: Start, world: &World, chance: &mut Chance) -> Ended {
    let mut reduction = Reduction::new(start);
    loop {
        match reduction.next_step() {
            NextStep::Try(list) => reduction.tell(chance.happens(world.failure_rate(&list))),
            NextStep::Done(reduced) => {
                return Ended {
                    reduced,
                    executions: reduction.executions(),
                };
            }
        }
    }
}

/// Share of `repetitions` that end in exactly this set, proven.
fn exact(repetitions: u32, high: &[u32], len: u32, world: &World, seed: u64) -> u32 {
    let mut chance = Chance::new(seed);
    (0..repetitions)
        .filter(|_| {
            let ended = reduce(start(len, high, world), world, &mut chance);
            ended
                .reduced
                .is_some_and(|reduced| reduced.minimal && reduced.members == world.causes[0])
        })
        .count()
        .try_into()
        .expect("few")
}

#[test]
fn a_sure_cause_of_one_to_four_is_found_exactly_from_any_ranking() {
    for cause in [&[17][..], &[3, 90], &[3, 40, 90], &[0, 33, 66, 99]] {
        let world = World::sure(cause);
        for high in [vec![], cause.to_vec(), vec![50, 51, 52, cause[0], 53]] {
            assert_eq!(
                exact(20, &high, 100, &world, 1),
                20,
                "cause {cause:?}, ranked {high:?}"
            );
        }
    }
}

#[test]
fn a_well_ranked_sure_cause_takes_few_executions() {
    let mut chance = Chance::new(2);
    for (cause, most) in [(&[700][..], 12), (&[100, 700], 25), (&[100, 500, 700], 45)] {
        let world = World::sure(cause);
        let ended = reduce(start(1000, cause, &world), &world, &mut chance);
        assert!(
            ended.executions <= most,
            "{cause:?}: {} executions",
            ended.executions
        );
    }
}

#[test]
fn noisy_causes_are_found_exactly() {
    for (cause, rate, background, least) in [
        (&[17][..], 0.5, 0.0, 97),
        (&[17], 0.2, 0.0, 95),
        (&[17], 0.5, 0.02, 95),
        (&[17], 0.5, 0.05, 95),
        (&[17, 60], 0.5, 0.0, 97),
        (&[17, 60], 0.3, 0.02, 96),
        (&[5, 17, 60], 0.5, 0.0, 96),
    ] {
        let world = World::noisy(cause, rate, background);
        let right = exact(
            100,
            &[30, cause[0], 31, *cause.last().expect("members")],
            80,
            &world,
            3,
        );
        assert!(
            right >= least,
            "{cause:?} at {rate}, background {background}: {right} of 100"
        );
    }
}

#[test]
fn a_cause_that_vanished_ends_without_an_answer() {
    let mut chance = Chance::new(4);
    for (expected, background) in [(1.0, 0.0), (0.5, 0.0), (0.5, 0.05), (0.2, 0.0)] {
        for high in [vec![], vec![7, 8]] {
            let gone = World::noisy(&[500], 1.0, background);
            let mut from = start(60, &high, &gone);
            from.rate = expected;
            let right = (0..40)
                .filter(|_| {
                    let ended = reduce(from.clone(), &gone, &mut chance);
                    ended
                        .reduced
                        .is_none_or(|reduced| !reduced.minimal || reduced.members.is_empty())
                })
                .count();
            assert!(
                right >= 39,
                "expected {expected}, background {background}, {high:?}: {right} of 40"
            );
        }
    }
}

#[test]
fn of_two_independent_causes_one_is_found_whole() {
    let mut chance = Chance::new(5);
    let world = World {
        causes: vec![vec![12, 70], vec![40]],
        ..World::sure(&[])
    };
    for high in [vec![], vec![12, 70], vec![40, 12]] {
        for _ in 0..20 {
            let reduced = reduce(start(80, &high, &world), &world, &mut chance)
                .reduced
                .expect("fails");
            assert!(
                reduced.minimal && world.causes.contains(&reduced.members),
                "{reduced:?}"
            );
        }
    }
}

#[test]
fn cleaners_before_the_polluter_neither_hide_it_nor_enter_the_answer() {
    let mut chance = Chance::new(6);
    for high in [vec![], vec![60], vec![3, 9, 60]] {
        let world = World {
            cleaners: vec![3, 9, 27],
            ..World::sure(&[60])
        };
        for _ in 0..20 {
            let reduced = reduce(start(80, &high, &world), &world, &mut chance)
                .reduced
                .expect("fails");
            assert_eq!(reduced.members, [60]);
            assert!(reduced.minimal);
        }
    }
}

#[test]
fn a_test_that_fails_as_often_alone_leaves_nothing() {
    let mut chance = Chance::new(7);
    let world = World::noisy(&[999], 0.6, 0.6);
    let right = (0..50)
        .filter(|_| {
            let mut from = start(40, &[], &world);
            from.background = 0.0;
            let ended = reduce(from, &world, &mut chance);
            ended
                .reduced
                .is_some_and(|reduced| reduced.members.is_empty())
        })
        .count();
    assert!(right >= 48, "{right} of 50");
}

#[test]
fn a_spent_budget_gives_the_best_so_far_unproven() {
    let mut chance = Chance::new(8);
    let world = World::sure(&[17, 60]);
    let mut from = start(100, &[], &world);
    from.executions = 400;
    let ended = reduce(from.clone(), &world, &mut chance);
    assert!(ended.executions <= 400);
    let reduced = ended.reduced.expect("the whole list failed");
    assert!(!reduced.minimal && reduced.members.contains(&17) && reduced.members.contains(&60));
    from.runs = 0;
    assert_eq!(reduce(from, &world, &mut chance).reduced, None);
}

#[test]
fn the_same_answers_lead_to_the_same_questions() {
    let world = World::noisy(&[17, 60], 0.6, 0.02);
    let from = start(90, &[17, 4, 60], &world);
    let text = serde_json::to_string(&from).expect("plain data");
    let mut first = Reduction::new(from);
    let mut second = Reduction::new(serde_json::from_str(&text).expect("own text"));
    let mut chance = Chance::new(9);
    loop {
        let step = first.next_step();
        assert_eq!(step, second.next_step());
        assert_eq!(step, first.next_step(), "asking twice changes nothing");
        let NextStep::Try(list) = step else { break };
        let failed = chance.happens(world.failure_rate(&list));
        first.tell(failed);
        second.tell(failed);
    }
}

#[test]
fn what_is_asked_keeps_the_order_of_the_list_and_names_the_callers_tests() {
    let list = vec![90, 7, 55, 3, 21];
    let mut reduction = Reduction::new(Start {
        list: list.clone(),
        weights: vec![1.0, 5.0, 1.0, 9.0, 2.0],
        needed: Vec::new(),
        doubtful: false,
        rate: 1.0,
        background: 0.0,
        runs: 100,
        executions: 1000,
    });
    while let NextStep::Try(tried) = reduction.next_step() {
        let mut places = tried
            .iter()
            .map(|test| list.iter().position(|other| other == test));
        assert!(places.all(|place| place.is_some()), "{tried:?}");
        assert!(tried.is_sorted_by_key(|test| list.iter().position(|other| other == test)));
        reduction.tell(tried.contains(&55));
    }
    let NextStep::Done(Some(reduced)) = reduction.next_step() else {
        panic!("55 makes it fail")
    };
    assert_eq!(reduced.members, [55]);
}

#[test]
fn an_empty_list_has_nothing_to_reduce() {
    let world = World::sure(&[]);
    assert_eq!(
        Reduction::new(start(0, &[], &world)).next_step(),
        NextStep::Done(None)
    );
}

/// Starts where the probabilities of being needed are known: high for those in `high`, low for the others.
fn start_knowing(len: u32, high: &[u32], world: &World) -> Start {
    let needed = |test: u32| if high.contains(&test) { 0.7 } else { 0.01 };
    Start {
        needed: (0..len).map(needed).collect(),
        ..start(len, high, world)
    }
}

#[test]
fn reduction_that_knows_who_is_needed_tries_them_at_once() {
    let world = World::sure(&[12, 70]);
    let mut chance = Chance::new(41);
    let right = reduce(start_knowing(200, &[12, 70], &world), &world, &mut chance);
    let reduced = right.reduced.expect("12 and 70 make it fail");
    assert_eq!((reduced.members, reduced.minimal), (vec![12, 70], true));
    assert!(right.executions < 200, "{}", right.executions);
    // Wrong probabilities cost runs, not the answer.
    let wrong = reduce(start_knowing(200, &[5, 6, 7], &world), &world, &mut chance);
    let reduced = wrong.reduced.expect("12 and 70 make it fail");
    assert_eq!((reduced.members, reduced.minimal), (vec![12, 70], true));
}

#[test]
fn reduction_that_knows_who_is_needed_doubts_a_list_that_does_not_fail_again() {
    let world = World::noisy(&[], 0.0, 0.0);
    let mut chance = Chance::new(42);
    let mut start = start_knowing(200, &[12, 70], &world);
    start.rate = 0.8;
    let ended = reduce(start, &world, &mut chance);
    assert_eq!(ended.reduced, None);
    assert!(ended.executions < 5000, "{}", ended.executions);
}

#[test]
fn doubtful_list_runs_whole_first_and_ends_there_where_it_passes() {
    let mut chance = Chance::new(43);
    let doubtful = |world: &World| Start {
        doubtful: true,
        rate: 0.8,
        ..start_knowing(200, &[12, 70], world)
    };
    let nothing = World::noisy(&[], 0.0, 0.0);
    let ended = reduce(doubtful(&nothing), &nothing, &mut chance);
    assert_eq!(ended.reduced, None);
    assert_eq!(ended.executions % 201, 0, "only the whole list ran");
    assert!(ended.executions <= 6 * 201, "{}", ended.executions);
    let world = World::sure(&[12, 70]);
    let ended = reduce(doubtful(&world), &world, &mut chance);
    let reduced = ended.reduced.expect("12 and 70 make it fail");
    assert_eq!((reduced.members, reduced.minimal), (vec![12, 70], true));
    assert!(ended.executions < 201 + 200, "{}", ended.executions);
}
