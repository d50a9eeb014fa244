//! Whole hunts that find out why: certified flags as `expected.toml` says, probes that survive a kill, hooks.

use crate::support::World;
use crate::support::truth::{Cause, Truth};

/// Hunts a fixture until its questions are answered, and checks its certified flags against the truth.
#[track_caller]
fn explained(fixture: &str, iterations: &str) -> World {
    let world = World::of(fixture);
    world.configure("\n[hunt]\nprobe_limit = 10.0\n");
    let began = std::time::Instant::now();
    let ended = world.expect(
        0,
        &[
            "hunt",
            "--iterations",
            iterations,
            "--workers",
            "2",
            "--seed",
            "3",
        ],
    );
    println!(
        "{fixture}: {:.1} s, {} shards, {} probes\n{}",
        began.elapsed().as_secs_f64(),
        world.number("SELECT count(*) FROM shard JOIN iteration ON iteration.id = iteration_id WHERE number >= 0"),
        world.number("SELECT count(*) FROM probe"),
        ended.stderr,
    );
    world.check();
    assert_eq!(
        Cause::flagged(&world),
        *Truth::of(fixture).causes(),
        "{}",
        ended.stderr
    );
    world
}

#[test]
fn polluter_and_cleaner_are_certified_and_named() {
    explained("polluter_victim", "16");
}
