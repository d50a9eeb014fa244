//! Small random hunts: observations drawn from a seed, kept so that anything can be counted again by hand.

use crate::{
    diagnose::{
        ledger::Ledger,
        observation::{FactorDomain, Levels, Observation, Showed, Shown, Universe},
    },
    model::{Count, Design, Grouping, Layout, TestId},
    plan::Origin,
    stats::chance::Chance,
};

/// One segment with its own buffers.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) iteration: u64,
    pub(super) tests: u32,
    pub(super) modules: u32,
    pub(super) layout: Layout,
    pub(super) origin: Origin,
    pub(super) asked: Vec<u32>,
    pub(super) trials: Vec<Shown>,
    pub(super) died_in: Option<u32>,
    pub(super) worker: u32,
    pub(super) levels: Vec<(u16, String)>,
}

impl Made {
    pub(super) fn observation(&self) -> Observation<'_> {
        Observation {
            iteration: self.iteration,
            tests: self.tests,
            modules: self.modules,
            layout: self.layout,
            origin: self.origin,
            asked: &self.asked,
            trials: &self.trials,
            died_in: self.died_in,
            worker: self.worker,
            hour: 3.5,
            levels: &self.levels,
        }
    }

    /// First trials in the order in which they started.
    pub(super) fn started(&self) -> Vec<u32> {
        let firsts = self.trials.iter().filter(|trial| trial.rep == 1);
        firsts.map(|trial| trial.test).collect()
    }

    pub(super) fn showed(&self, test: u32, rep: u8) -> Option<Showed> {
        let mut trials = self.trials.iter();
        let found = trials.find(|trial| trial.test == test && trial.rep == rep);
        found.map(|trial| trial.showed)
    }
}

pub(super) fn universe(tests: u32, per_module: u32) -> Universe {
    Universe {
        names: (0..tests)
            .map(|test| TestId::new(format!("m{}::t{test}", test / per_module)).unwrap())
            .collect(),
        modules: (0..tests).map(|test| test / per_module).collect(),
        present: vec![true; tests as usize],
        seconds: vec![1.0; tests as usize],
    }
}

pub(super) fn factors() -> Vec<FactorDomain> {
    let listed = vec![("utc".to_owned(), 0.5), ("tokyo".to_owned(), 0.5)];
    [("TZ", Levels::Listed(listed)), ("HASHSEED", Levels::Number)]
        .map(|(name, levels)| FactorDomain {
            name: name.to_owned(),
            levels,
            settable: true,
        })
        .to_vec()
}

pub(super) fn free(shards: u16) -> Layout {
    layout(Design::Free, shards, Grouping::Interleaved)
}

pub(super) fn layout(design: Design, shards: u16, grouping: Grouping) -> Layout {
    Layout {
        design,
        shards,
        grouping,
        class: 0,
    }
}

/// What a test shows, given what started before it in its process and whether this is its second trial.
pub(super) type Truth<'a> = dyn Fn(u32, &[u32], bool, &mut Chance) -> Showed + 'a;

/// Runs one iteration: hash shards, hash order, cut after each test of `deadly` that fails.
pub(super) fn iterate(
    universe: &Universe,
    (iteration, layout): (u64, Layout),
    deadly: &[u32],
    truth: &Truth<'_>,
    chance: &mut Chance,
) -> Vec<Made> {
    let tests = u32::try_from(universe.names.len()).unwrap();
    let mut shards = vec![Vec::new(); usize::from(layout.shards)];
    let mut order: Vec<u32> = (0..tests).collect();
    chance.shuffle(&mut order);
    if layout.grouping == Grouping::ModuleContiguous {
        let mut modules = universe.modules.clone();
        modules.sort_unstable();
        modules.dedup();
        chance.shuffle(&mut modules);
        let place = |test: &u32| {
            modules
                .iter()
                .position(|m| *m == universe.modules[*test as usize])
        };
        order.sort_by_key(place);
        let shard_of: Vec<usize> = modules.iter().map(|_| chance.below(shards.len())).collect();
        for test in order {
            shards[shard_of[place(&test).unwrap()]].push(test);
        }
    } else {
        for test in order {
            let shard = chance.below(shards.len());
            shards[shard].push(test);
        }
    }
    let mut modules = universe.modules.clone();
    modules.sort_unstable();
    modules.dedup();
    let modules = u32::try_from(modules.len()).unwrap();
    let mut made = Vec::new();
    for (shard, order) in shards.into_iter().enumerate() {
        let mut rest = order;
        let mut origin = Origin::Planned;
        let mut clock = 1000.0 * f64::from(u32::try_from(iteration).unwrap());
        while !rest.is_empty() {
            let worker = u32::try_from(shard % 3).unwrap();
            let zone = if chance.happens(0.5) { "utc" } else { "tokyo" };
            let number = chance.word() >> 32;
            let mut segment = Made {
                iteration,
                tests,
                modules,
                layout,
                origin,
                asked: rest.clone(),
                trials: Vec::new(),
                died_in: None,
                worker,
                levels: vec![(0, zone.to_owned()), (1, number.to_string())],
            };
            clock = run(&mut segment, deadly, truth, (clock, chance));
            let started = segment.started().len();
            rest.drain(..started);
            origin = Origin::Remainder;
            made.push(segment);
        }
    }
    made
}

fn run(
    segment: &mut Made,
    deadly: &[u32],
    truth: &Truth<'_>,
    (mut clock, chance): (f64, &mut Chance),
) -> f64 {
    let mut before = Vec::new();
    for test in segment.asked.clone() {
        for rep in 1..=segment.layout.repetitions() {
            let showed = truth(test, &before, rep == 2, chance);
            let seconds = 0.5 + chance.uniform();
            segment.trials.push(Shown {
                test,
                rep,
                showed,
                start: clock,
                #[expect(clippy::cast_possible_truncation, reason = "a short length")]
                seconds: seconds as f32,
            });
            clock += seconds;
            if showed == Showed::Failed && deadly.contains(&test) {
                segment.died_in = Some(test);
                return clock;
            }
        }
        before.push(test);
    }
    clock
}

/// Answers every replay that is due, `failures` of its runs failing. Returns how many there were.
pub(super) fn replay(ledger: &mut Ledger, tests: u32, failures: u64) -> u32 {
    let mut replays = 0;
    let due =
        |ledger: &Ledger| (0..tests).find_map(|test| Some((test, ledger.awaited(test)?.replay?)));
    while let Some((test, (segment, times))) = due(ledger) {
        let (iteration, _, _) = ledger.order_of(segment, test);
        let showed = Count {
            failures,
            trials: u64::from(times).max(failures),
        };
        ledger.replayed(iteration, test, showed);
        ledger.rejudge();
        replays += 1;
    }
    replays
}
