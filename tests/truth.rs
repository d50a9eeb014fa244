//! A small bench of truth: hunts on a simulated clock through suites with planted defects. Every answer that is
//! due must be right, and no innocent test named. The large one is `cargo bench --bench truth`.

#[allow(
    dead_code,
    reason = "each of the two programs that share it uses a part"
)]
#[path = "../benches/truth/bench/mod.rs"]
mod bench;

use bench::chance::Chance;
use bench::hunt::{Found, Layouts, Probing, Setup, hunt};
use bench::process::{Memory, Surroundings, Trouble};
use bench::scenario::{Scenario, intermittent, pairs, polluted_by};
use bench::score::{Mark, describe, due, mark, score};
use bench::world::{Defect, Drawn, Nature, World, factors};
use soakhound::diagnose::Showed;
use soakhound::model::{Count, Flag, Group, Role, Verdict};

/// Checks that everything planted that ever failed was found, and nobody else named.
#[track_caller]
fn assert_right(world: &World, found: &Found, what: &str) {
    let (scored, slander) = score(world, found);
    for scored in &scored {
        assert!(
            matches!(scored.mark, Mark::Right | Mark::Unseen),
            "{what}: {:?}: {}",
            scored.mark,
            describe(world, found, scored)
        );
    }
    assert_eq!(slander.innocent_named, 0, "{what} named an innocent test");
    assert_eq!(slander.healthy_flagged, 0, "{what} flagged a healthy test");
    assert!(
        scored.iter().any(|scored| scored.mark == Mark::Right),
        "{what}: nothing ever failed, so nothing was checked"
    );
}

#[track_caller]
fn assert_found(scenario: Scenario, tests: u32, iterations: u64, seeds: &[u64]) {
    for seed in seeds {
        let world = scenario.world(tests, *seed);
        let found = hunt(&world, &Setup::shipped(*seed, iterations), &mut |_, _| {});
        assert_right(
            &world,
            &found,
            &format!("{} with seed {seed}", scenario.name()),
        );
    }
}

#[test]
fn one_polluter_is_found() {
    assert_found(Scenario::One, 100, 60, &[1, 2]);
}

#[test]
fn either_of_two_polluters_is_found() {
    assert_found(Scenario::Either, 100, 60, &[1]);
}

#[test]
fn two_polluters_that_are_needed_together_are_found() {
    assert_found(Scenario::Together, 80, 120, &[1]);
}

/// What many polluters do looks like a number of tests before it, since any so many hold one of them.
#[test]
fn one_of_many_polluters_is_found_where_a_number_of_tests_explains_as_much() {
    for seed in [309, 356, 431] {
        let world = polluted_by(1000, [50, 1, 0], 1.0, seed);
        let setup = Setup {
            layouts: Layouts::Only(4),
            probing: Probing::Afterwards,
            probe_limit: 100.0,
            ..Setup::shipped(seed, 100)
        };
        let found = hunt(&world, &setup, &mut |_, _| {});
        let (scored, _) = score(&world, &found);
        assert_eq!(scored[0].said, Some(Verdict::OdVictim), "seed {seed}");
    }
}

#[test]
fn a_polluter_is_found_behind_its_cleaner() {
    assert_found(Scenario::Cleaner, 80, 120, &[1]);
}

#[test]
fn the_polluter_of_a_noisy_victim_is_found() {
    assert_found(Scenario::Noisy, 100, 100, &[1]);
}

#[test]
fn the_setter_of_a_brittle_test_is_found() {
    assert_found(Scenario::Brittle, 100, 60, &[1, 2]);
}

#[test]
fn ten_pairs_are_found_at_once() {
    assert_found(Scenario::TenPairs, 120, 80, &[1]);
}

#[test]
fn a_test_that_fails_when_it_runs_again_is_found() {
    assert_found(Scenario::Nio, 100, 40, &[1]);
}

#[test]
fn an_intermittent_test_is_found() {
    assert_found(Scenario::Nod, 60, 200, &[1]);
}

#[test]
fn either_of_two_setters_of_a_brittle_test_is_found() {
    assert_found(Scenario::BrittleEither, 100, 80, &[1]);
}

#[test]
fn a_polluter_is_found_behind_a_background_of_failures() {
    assert_found(Scenario::Ndod, 100, 150, &[1]);
}

#[test]
fn levels_of_factors_are_found() {
    // By seed: time zone, throttle at half the rate, a listed hash switch.
    assert_found(Scenario::Environment, 80, 80, &[3, 4, 5]);
    assert_found(Scenario::HashSeed, 80, 80, &[1]);
}

#[test]
fn a_test_that_fails_unless_it_is_first_or_when_much_ran_before_names_nobody() {
    assert_found(Scenario::First, 80, 60, &[1]);
    assert_found(Scenario::Position, 80, 300, &[1]);
}

#[test]
fn a_regression_within_the_hunt_is_found() {
    assert_found(Scenario::Regression, 80, 120, &[1]);
}

#[test]
fn a_broken_test_is_found() {
    assert_found(Scenario::Broken, 60, 30, &[1]);
}

#[test]
fn a_hunt_that_is_killed_every_quarter_of_an_hour_finds_the_same() {
    let world = pairs(100, 3, false, 5);
    let mut setup = Setup::shipped(5, 80);
    setup.kill_every = Some(900.0);
    let found = hunt(&world, &setup, &mut |_, _| {});
    assert!(found.kills > 0, "the hunt was too short to be killed");
    let lost = &found.lost_by_kills;
    assert!(lost.is_empty(), "changed by a restart: {lost:?}");
    assert_right(&world, &found, "three pairs and kills");
}

#[test]
fn nobody_is_named_where_nobody_is_to_blame() {
    for (nature, seed) in [
        (Nature::Plain, 1),
        (Nature::LoadByLayout, 2),
        (Nature::Place, 3),
        (Nature::Drift, 4),
    ] {
        let mut world = intermittent(60, 20, nature, seed);
        (world.death, world.blip) = (0.004, 0.006);
        let found = hunt(&world, &Setup::shipped(seed, 80), &mut |_, _| {});
        let (_, slander) = score(&world, &found);
        assert_eq!(slander.innocent_named, 0, "{nature:?}");
        let seen = found.seen.values().filter(|count| count.failures > 0);
        assert!(seen.count() > 5, "{nature:?}: too little failed");
    }
}

// The bench itself: a score that calls everything right would prove nothing.

/// A flag of the first planted victim that names these tests as one polluter group.
fn flag(world: &World, victim: u32, verdict: Verdict, members: &[u32]) -> Flag {
    Flag {
        certified: true,
        groups: vec![Group {
            role: Role::Polluter,
            members: members
                .iter()
                .map(|test| world.tests.name(*test).clone())
                .collect(),
            adjacent: false,
            with: Count::default(),
            with_decoy: Count::default(),
            without: Count::default(),
            ln_e: 7.0,
        }],
        ..Flag::bare(Some(world.tests.name(victim).clone()), verdict)
    }
}

#[test]
fn a_flag_is_marked_by_what_was_planted() {
    let world = Scenario::Together.world(50, 3);
    let (victim, defect) = world.defects.iter().next().unwrap();
    let Defect::Polluted { groups, .. } = defect else {
        panic!("two together are polluters")
    };
    let both = &groups[0];
    let innocent = (0..50).find(|test| test != victim && !both.contains(test));
    let innocent = innocent.unwrap();
    let due = due(&world, defect);
    let od = Verdict::OdVictim;
    for (verdict, members, expected) in [
        (od, vec![both[0], both[1]], Mark::Right),
        (od, vec![both[1], both[0]], Mark::Right),
        (od, vec![both[0]], Mark::Incomplete),
        (od, vec![both[0], both[1], innocent], Mark::Innocent),
        (od, vec![innocent], Mark::Innocent),
        (Verdict::Ndod, vec![both[0], both[1]], Mark::Wrong),
        (
            Verdict::Undetermined,
            vec![both[0], both[1]],
            Mark::Undetermined,
        ),
        (Verdict::Undetermined, vec![innocent], Mark::Innocent),
    ] {
        let flag = flag(&world, *victim, verdict, &members);
        assert_eq!(
            mark(&due, Some(&flag), 1),
            expected,
            "{verdict} {members:?}"
        );
    }
    let mut suspected = flag(&world, *victim, od, both);
    suspected.certified = false;
    assert_eq!(mark(&due, Some(&suspected), 1), Mark::Undetermined);
    assert_eq!(mark(&due, None, 1), Mark::Undetermined);
    assert_eq!(mark(&due, None, 0), Mark::Unseen);
}

#[test]
fn a_simulated_process_fails_by_what_ran_in_it() {
    let mut chance = Chance::new(1, 1);
    let mut world = World::healthy(30, &mut chance);
    world.plant(
        1,
        Defect::Polluted {
            groups: vec![vec![2, 3], vec![4]],
            cleaners: vec![5],
            rate: 1.0,
            background: 0.0,
            in_files: false,
        },
    );
    let setters = vec![vec![7]];
    world.plant(6, Defect::Brittle { setters, rate: 1.0 });
    world.plant(8, Defect::Nio { rate: 1.0 });
    let polluters = vec![10];
    world.plant(
        9,
        Defect::Adjacent {
            polluters,
            rate: 1.0,
        },
    );
    let (threshold, rate) = (2, 1.0);
    world.plant(11, Defect::Position { threshold, rate });
    let around = Surroundings {
        drawn: Drawn::new(&factors(), &mut chance),
        shards: 1,
        iteration: 0,
        clock: 0.0,
        beside: Vec::new(),
        trouble: Trouble::None,
    };
    let mut memory = Memory::new(30);
    for (order, fails) in [
        (&[1][..], false),
        (&[2, 1], false),
        (&[2, 3, 1], true),
        (&[3, 20, 2, 21, 1], true),
        (&[2, 5, 3, 1], false),
        (&[4, 1], true),
        (&[4, 5, 1], false),
        (&[5, 4, 1], true),
        (&[6], true),
        (&[7, 20, 6], false),
        (&[8], false),
        (&[8, 20, 8], true),
        (&[10, 9], true),
        (&[10, 20, 9], false),
        (&[20, 11], false),
        (&[20, 21, 11], true),
    ] {
        memory.fresh_container();
        let mut run = |test: &u32| memory.run(&world, *test, &around, &mut chance).showed;
        let last = order.iter().map(&mut run).last().unwrap();
        assert_eq!(last == Showed::Failed, fails, "{order:?}");
    }
}

#[test]
fn interval_solves_the_binomial_sums() {
    // Solved to ten digits from the exact binomial sums.
    for (hits, trials, low, high) in [
        (194, 200, 0.935_849, 0.988_913),
        (0, 3000, 0.0, 0.001_229),
        (5, 10, 0.187_086, 0.812_914),
        (200, 200, 0.981_725, 1.0),
    ] {
        let found = bench::interval(hits, trials);
        assert!(
            (found.0 - low).abs() < 2e-6,
            "{hits} of {trials}: {found:?}"
        );
        assert!(
            (found.1 - high).abs() < 2e-6,
            "{hits} of {trials}: {found:?}"
        );
    }
}
