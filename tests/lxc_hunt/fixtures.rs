//! The fixture suites: what each record says is what `expected.toml` says.

use crate::support::World;

#[test]
fn a_hunt_of_a_steady_suite_records_every_trial_once() {
    let world = World::of("steady");
    let hunt = world.start(&["hunt", "--iterations", "2", "--workers", "2", "--seed", "1"]);
    let mut hunt = hunt;
    hunt.until("it has a run", |hunt| hunt.run().is_some());
    let run = hunt.run().unwrap();
    hunt.wait().assert_code(0);
    run.assert_gone();
    world.check();
    assert_eq!(
        world.number("SELECT count(*) FROM shard WHERE state <> 1"),
        0
    );
}
