//! Many containers, at once and one after the other: nothing piles up in the machine or in the hunt.

use std::fs;
use std::time::Instant;

use rustix::process::Signal;

use crate::support::{Started, World};

/// What a process holds at one moment.
#[derive(Debug)]
struct Holds {
    descriptors: usize,
    threads: usize,
    zombies: usize,
    mounts: usize,
    cgroups: usize,
    folders: usize,
}

impl Holds {
    fn now(hunt: &Started) -> Self {
        let proc = |name: &str| format!("/proc/{}/{name}", hunt.pid());
        let count = |folder: String| fs::read_dir(folder).map_or(0, Iterator::count);
        let run = hunt.run().expect("it hunts");
        Self {
            descriptors: count(proc("fd")),
            threads: count(proc("task")),
            zombies: zombies_of(hunt.pid()),
            mounts: mounts_of_ours(&proc("mounts")),
            cgroups: run.cgroups().len(),
            folders: count(run.folder().display().to_string()),
        }
    }
}

/// Counts the mounts where slots make theirs, which must not show outside. Other tests mount elsewhere.
fn mounts_of_ours(table: &str) -> usize {
    let table = fs::read_to_string(table).unwrap();
    let points = table.lines().filter_map(|line| line.split(' ').nth(1));
    points
        .filter(|point| *point == "/run" || point.starts_with("/run/"))
        .count()
}

/// Counts dead children that nobody has reaped.
fn zombies_of(parent: i32) -> usize {
    let stats = fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let dead = format!("Z {parent} ");
    stats
        .filter(|stat| {
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with(&dead))
        })
        .count()
}

fn number(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn many_containers_at_once_fit_into_a_hunt_and_leave_nothing() {
    let workers = number("SOAKHOUND_AT_ONCE", 16);
    // None ends by itself, so that all of them run at one moment.
    let world = World::with_files(&[(
        "test_it.py",
        "import time\ndef test_it():\n    time.sleep(1000)\n",
    )]);
    world.configure("ci_shards = 1\n[limits]\nmemory = \"128MiB\"\n");
    let mut hunt = world.start(&["hunt", "--workers", &workers.to_string()]);
    hunt.until("all of them run", |hunt| {
        let inside = hunt
            .run()
            .map_or(0, |run| run.processes_named("python").len());
        inside >= workers
    });
    let holds = Holds::now(&hunt);
    let run = hunt.run().unwrap();
    hunt.signal(Signal::INT);
    hunt.until("it drains", |hunt| hunt.stderr().contains("draining"));
    let began = Instant::now();
    hunt.signal(Signal::INT);
    let ended = hunt.wait();
    let took = began.elapsed();
    ended.assert_code(130);
    run.assert_gone();
    world.check();
    let aborted = world.number("SELECT count(*) FROM segment WHERE \"end\" = 4");
    assert_eq!(usize::try_from(aborted), Ok(workers));
    println!(
        "{workers} at once: aborted in {took:?}, peak {} KiB, {holds:?}",
        ended.peak_kib
    );
    assert!(ended.peak_kib < 150 * 1024, "{} KiB", ended.peak_kib);
}

#[test]
fn long_row_of_containers_leaves_nothing_behind() {
    let containers = number("SOAKHOUND_IN_A_ROW", 100);
    let world = World::with_files(&[("test_it.py", "def test_it():\n    pass\n")]);
    world.configure("ci_shards = 1\n");
    let mut hunt = world.start(&["hunt", "--workers", "2"]);
    let closed = |world: &World| {
        let closed = world.number("SELECT count(*) FROM segment WHERE \"end\" IS NOT NULL");
        usize::try_from(closed).expect("a count")
    };
    hunt.until("the first ran", |hunt| {
        hunt.stderr().contains("record ") && closed(&world) >= containers / 10
    });
    let early = Holds::now(&hunt);
    // In steps, since patience is for each.
    for tenth in 2..=10 {
        hunt.until("more of them ran", |_| {
            closed(&world) >= containers * tenth / 10
        });
    }
    let late = Holds::now(&hunt);
    let run = hunt.run().unwrap();
    hunt.signal(Signal::INT);
    let ended = hunt.wait();
    ended.assert_code(0);
    run.assert_gone();
    world.check();
    println!(
        "{containers} in a row: peak {} KiB, early {early:?}, late {late:?}",
        ended.peak_kib
    );
    // A container that runs at the moment of the count holds two pipes and two descriptors of its own, of each worker.
    assert!(
        late.descriptors <= early.descriptors + 8,
        "{early:?} {late:?}"
    );
    assert!(late.threads <= early.threads + 2, "{early:?} {late:?}");
    assert_eq!((late.zombies, late.mounts), (0, early.mounts));
    assert!(
        late.cgroups <= early.cgroups + 4 && late.folders <= early.folders + 2,
        "{early:?} {late:?}"
    );
    assert!(ended.peak_kib < 150 * 1024, "{} KiB", ended.peak_kib);
}
