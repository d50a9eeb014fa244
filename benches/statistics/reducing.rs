//! What it costs to find the minimal failing order among 1,000 tests, after so many recorded iterations: with the
//! ranking that the soak gives, with none, and with ddmin, which is told how often to repeat.

use soakhound::minimize::{NextStep, Reduction, Start};
use soakhound::stats::{Cell, Tables, softmax};

use crate::chance::Chance;

const TESTS: usize = 1000;

/// What makes the victim fail: all of `cause` before it, unless a cleaner ran since.
#[derive(Clone, Copy)]
struct World {
    shards: usize,
    needed: u32,
    cleaners: u32,
    rate: f64,
    background: f64,
}

impl World {
    fn failure_rate(&self, list: &[u32]) -> f64 {
        let (mut met, mut at) = (0, 0);
        let mut cleaned = false;
        for (place, &test) in list.iter().enumerate() {
            if test < self.needed {
                met += 1;
                at = place;
                cleaned = false;
            } else if test < self.needed + self.cleaners && met > 0 && place > at {
                cleaned = true;
            }
        }
        if met == self.needed && !cleaned {
            self.rate
        } else {
            self.background
        }
    }
}

/// What the soak knows.
struct Soak {
    with: Vec<Cell>,
    total: Cell,
    /// The first failing order that holds the cause.
    failing: Option<Vec<u32>>,
}

fn soak(world: World, iterations: usize, chance: &mut Chance) -> Soak {
    let mut soak = Soak {
        with: vec![Cell::default(); TESTS - 1],
        total: Cell::default(),
        failing: None,
    };
    let mut order: Vec<u32> = (0..).take(TESTS - 1).collect();
    let mut iteration = 0;
    while iteration < iterations || soak.failing.is_none() {
        iteration += 1;
        chance.shuffle(&mut order);
        let before = &order[..chance.below(TESTS / world.shards)];
        let rate = world.failure_rate(before);
        let failed = chance.happens(rate);
        if iteration <= iterations {
            soak.total.add(failed);
            for &test in before {
                soak.with[test as usize].add(failed);
            }
        }
        let holds = (0..world.needed).all(|member| before.contains(&member));
        if failed && holds && soak.failing.is_none() {
            soak.failing = Some(before.to_vec());
        }
    }
    soak
}

#[derive(Default)]
struct Tally {
    executions: u64,
    exact: u32,
}

pub(crate) fn print(worlds: usize) {
    println!(
        "\nMean executions and share exact to a minimal order, {worlds} worlds of {TESTS} tests"
    );
    let world = |shards, needed, rate, background| World {
        shards,
        needed,
        cleaners: 0,
        rate,
        background,
    };
    let rows: [(&str, World, &[usize]); 9] = [
        ("one, sure, k 4", world(4, 1, 1.0, 0.0), &[50, 200]),
        ("one, 0.5, k 4", world(4, 1, 0.5, 0.0), &[50, 100, 200]),
        ("one, 0.2, k 4", world(4, 1, 0.2, 0.0), &[100, 200, 500]),
        (
            "one, 0.5, alone 0.02",
            world(4, 1, 0.5, 0.02),
            &[50, 100, 200],
        ),
        ("two, sure, k 1", world(1, 2, 1.0, 0.0), &[50, 100]),
        ("two, sure, k 4", world(4, 2, 1.0, 0.0), &[200, 500]),
        ("two, 0.5, k 1", world(1, 2, 0.5, 0.0), &[50, 100, 200]),
        ("three, sure, k 1", world(1, 3, 1.0, 0.0), &[50, 100, 200]),
        (
            "one, 20 cleaners, k 1",
            World {
                cleaners: 20,
                ..world(1, 1, 1.0, 0.0)
            },
            &[50, 200],
        ),
    ];
    for (name, world, snapshots) in rows {
        let mut cells = vec![
            ("ddmin".to_owned(), Tally::default()),
            ("unranked".to_owned(), Tally::default()),
        ];
        cells.extend(
            snapshots
                .iter()
                .map(|iterations| (format!("T {iterations}"), Tally::default())),
        );
        let mut chance = Chance(7);
        for _ in 0..worlds {
            let prefix = soak(world, 0, &mut chance)
                .failing
                .expect("soaked until it failed");
            add(&mut cells[0].1, world, ddmin(world, &prefix, &mut chance));
            let flat = vec![1.0; prefix.len()];
            add(
                &mut cells[1].1,
                world,
                reduce(world, prefix, flat, world.rate, &mut chance),
            );
            for (cell, &iterations) in cells[2..].iter_mut().zip(snapshots) {
                let soak = soak(world, iterations, &mut chance);
                let scores = Tables::new(600).scores(&soak.with, soak.total);
                let weights = softmax(&scores);
                let list = soak.failing.clone().expect("soaked until it failed");
                let rate = soak_rate(&soak, &weights);
                let own = list.iter().map(|&test| weights[test as usize]).collect();
                add(
                    &mut cell.1,
                    world,
                    reduce(world, list, own, rate, &mut chance),
                );
            }
        }
        print!("{name:>22}:");
        for (name, tally) in cells {
            let mean = tally.executions / worlds as u64;
            print!(
                "  {name} {mean} / {:.0} %",
                100.0 * f64::from(tally.exact) / f64::from(u32::try_from(worlds).expect("few"))
            );
        }
        println!();
    }
}

/// How often the victim failed with the first in rank before it.
fn soak_rate(soak: &Soak, weights: &[f64]) -> f64 {
    let best = (0..weights.len())
        .max_by(|&a, &b| weights[a].total_cmp(&weights[b]))
        .expect("candidates");
    let cell = soak.with[best];
    ((f64::from(cell.failed) + 0.7) / (f64::from(cell.trials()) + 1.0)).clamp(0.08, 0.9)
}

fn add(tally: &mut Tally, world: World, (members, executions): (Option<Vec<u32>>, u64)) {
    tally.executions += executions;
    let mut members = members.unwrap_or_default();
    members.sort_unstable();
    tally.exact += u32::from(members == (0..world.needed).collect::<Vec<_>>());
}

/// Four runs alone, then the reduction.
fn reduce(
    world: World,
    list: Vec<u32>,
    weights: Vec<f64>,
    rate: f64,
    chance: &mut Chance,
) -> (Option<Vec<u32>>, u64) {
    let alone = (0..4).filter(|_| chance.happens(world.background)).count();
    let background = if alone == 0 {
        0.0
    } else {
        ((0.5 + f64::from(u8::try_from(alone).expect("four"))) / 5.0).min(0.2)
    };
    let mut reduction = Reduction::new(Start {
        list,
        weights,
        needed: Vec::new(),
        doubtful: false,
        rate,
        background,
        runs: 20_000,
        executions: 100_000_000,
    });
    loop {
        match reduction.next_step() {
            NextStep::Try(list) => reduction.tell(chance.happens(world.failure_rate(&list))),
            NextStep::Done(reduced) => {
                let members = reduced
                    .filter(|reduced| reduced.minimal)
                    .map(|reduced| reduced.members);
                return (members, reduction.executions() + 4);
            }
        }
    }
}

/// Zeller and Hildebrandt (2002), each question repeated until it fails, as often as shows a failure with 95 %.
fn ddmin(world: World, list: &[u32], chance: &mut Chance) -> (Option<Vec<u32>>, u64) {
    let repeat = soakhound::stats::runs_to_see(world.rate, 0.95);
    let mut executions = 0;
    let mut fails = |list: &[u32]| {
        (0..repeat).any(|_| {
            executions += list.len() as u64 + 1;
            chance.happens(world.failure_rate(list))
        })
    };
    let mut kept = list.to_vec();
    let mut parts = 2;
    if !fails(&kept) {
        return (None, executions);
    }
    while kept.len() >= 2 {
        let bound = |part: usize| part * kept.len() / parts;
        let chunk = |part: usize| kept[bound(part)..bound(part + 1)].to_vec();
        let rest = |part: usize| [&kept[..bound(part)], &kept[bound(part + 1)..]].concat();
        let smaller = (0..parts).map(chunk).find(|chunk| fails(chunk));
        if let Some(smaller) = smaller {
            (kept, parts) = (smaller, 2);
            continue;
        }
        let fewer = (parts > 2)
            .then(|| (0..parts).map(rest).find(|rest| fails(rest)))
            .flatten();
        if let Some(fewer) = fewer {
            (kept, parts) = (fewer, (parts - 1).max(2));
        } else if parts >= kept.len() {
            break;
        } else {
            parts = (2 * parts).min(kept.len());
        }
    }
    (Some(kept), executions)
}
