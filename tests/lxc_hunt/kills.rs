//! `kill -9` at random instants: what was acknowledged stays, nothing counts twice, nothing is left running.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::World;
use crate::support::left::Run;

/// Segment and position of each trial that the database holds, with its test and its result (outcome and repetition).
type Acknowledged = BTreeMap<(i64, i64), (i64, i64)>;

/// Forty tests, most quick, some not: segments last about half a second.
const SUITE: &str = "\
import time, pytest
@pytest.mark.parametrize('n', range(40))
def test_it(n):
    if n % 4 == 0:
        time.sleep(0.03)
    assert n != 39
";

/// One step of splitmix64: good enough to pick instants, and the same in every run of this test.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn varint(bytes: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes.next()?;
        value |= i64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Returns every trial that is durable now: those of closed segments, and those of open ones.
fn acknowledged(world: &World) -> Acknowledged {
    let connection = rusqlite::Connection::open(&world.database).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    let moment = connection.unchecked_transaction().unwrap();
    let mut found = Acknowledged::new();
    let mut trials = moment
        .prepare("SELECT segment_id, position, test_id, result FROM trial")
        .unwrap();
    let mut rows = trials.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let [segment, position, test, result] = [0, 1, 2, 3].map(|at| row.get(at).unwrap());
        found.insert((segment, position), (test, result));
    }
    let mut journal = moment
        .prepare("SELECT segment_id, first, batch FROM journal")
        .unwrap();
    let mut rows = journal.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (segment, first): (i64, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
        let mut bytes = row.get::<_, Vec<u8>>(2).unwrap().into_iter();
        for position in first.. {
            let Some(test) = varint(&mut bytes) else {
                break;
            };
            let result = i64::from(bytes.next().unwrap());
            found.insert((segment, position), (test, result));
            varint(&mut bytes).and_then(|_| varint(&mut bytes)).unwrap();
        }
    }
    found
}

/// Returns how many containers were asked for so far.
fn segments(world: &World) -> i64 {
    // The database is made by the first hunt.
    let made = world.database.exists()
        && world.number("SELECT count(*) FROM sqlite_schema WHERE name = 'segment'") == 1;
    if made {
        world.number("SELECT count(*) FROM segment")
    } else {
        0
    }
}

/// Returns what was planned: iterations with their seeds, shards with their orders. Not the canary's, nor probes: a
/// probe that was broken off is planned again.
fn planned(world: &World) -> BTreeSet<String> {
    let shards = "SELECT iteration.number, iteration.seed, shard.number, plan_index, hex(order_digest) \
                  FROM shard JOIN iteration ON iteration.id = iteration_id \
                  WHERE shard.hunt_id = 1 AND iteration.number >= 0";
    world.rows(shards).into_iter().collect()
}

#[test]
fn kill_at_any_instant_loses_nothing_acknowledged_and_counts_nothing_twice() {
    let kills: u64 = std::env::var("SOAKHOUND_KILLS").map_or(6, |text| text.parse().unwrap());
    let world = World::with_files(&[("test_it.py", SUITE)]);
    let mut state = 2026;
    let mut kept = Acknowledged::new();
    let mut plan = BTreeSet::new();
    let mut runs: Vec<Run> = Vec::new();
    let (mut most, mut before_first) = (0, 0);
    for kill in 0..kills {
        let mut hunt = world.start(&["hunt", "--workers", "2", "--seed", "7"]);
        // Some die on their way to the first container, some while one starts, some while they record.
        let before = segments(&world);
        match kill % 3 {
            0 => hunt.until("it recorded something", |_| {
                segments(&world) > before && acknowledged(&world).len() > kept.len()
            }),
            1 => hunt.until("a container started", |_| segments(&world) > before),
            _ => {}
        }
        std::thread::sleep(Duration::from_micros(random(&mut state) % 1_500_000));
        assert!(hunt.lives(), "{}", hunt.stderr());
        let run = hunt.run();
        let (now, now_planned) = (acknowledged(&world), planned(&world));
        hunt.signal(Signal::KILL);
        hunt.wait();
        lost_nothing(&kept, &now);
        assert!(
            plan.is_subset(&now_planned),
            "kill {kill} changed what was planned"
        );
        most = most.max(now.len().saturating_sub(kept.len()));
        before_first += u64::from(now.len() == kept.len());
        (kept, plan) = (now, now_planned);
        if let Some(run) = run {
            // The kernel kills our processes with their parent, and needs a moment for it.
            for _ in 0..1_000 {
                if run.processes().is_empty() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(run.processes(), Vec::<String>::new(), "after kill {kill}");
            runs.push(run);
        }
    }
    let iterations = world
        .number("SELECT max(number) + 1 FROM iteration WHERE hunt_id = 1")
        .to_string();
    world.expect(0, &["hunt", "--workers", "2", "--iterations", &iterations]);
    let (now, now_planned) = (acknowledged(&world), planned(&world));
    lost_nothing(&kept, &now);
    assert_eq!(plan.difference(&now_planned).count(), 0);
    world.check();
    assert_eq!(
        world.number(
            "SELECT count(*) FROM shard JOIN iteration ON iteration.id = iteration_id \
             WHERE state <> 1 AND shard.hunt_id = 1 AND iteration.number >= 0"
        ),
        0
    );
    assert_eq!(
        world.number("SELECT count(*) FROM hunt WHERE suite_id = 1"),
        1
    );
    assert_eq!(world.json(&["status"])["state"], "finished");
    for run in &runs {
        run.assert_gone();
    }
    println!(
        "{kills} kills: {} runs swept, {iterations} iterations, {} segments, {} trials recorded, \
         {before_first} kills before anything new, at most {most} new trials at a kill",
        runs.len(),
        world.number("SELECT count(*) FROM segment"),
        now.len(),
    );
}

#[track_caller]
fn lost_nothing(before: &Acknowledged, now: &Acknowledged) {
    for (place, trial) in before {
        assert_eq!(
            now.get(place),
            Some(trial),
            "trial {place:?} (segment, position) was acknowledged"
        );
    }
}
