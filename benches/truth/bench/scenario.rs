//! The suites that are asked for by name: one defect each, at random tests of a healthy suite, in the default
//! order that hides or shows it.

use super::chance::Chance;
use super::world::{Defect, HASH, HOST, Nature, THROTTLE, TZ, World};

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    One,
    Either,
    Together,
    Three,
    Cleaner,
    Noisy,
    Brittle,
    BrittleEither,
    BrittleTogether,
    TenPairs,
    Nio,
    Nod,
    Ndod,
    Adjacent,
    Position,
    First,
    Environment,
    HashSeed,
    Interference,
    Broken,
    Regression,
    Infrastructure,
    Often,
}

impl Scenario {
    /// Those of the acceptance list.
    pub(crate) const ACCEPTANCE: [Self; 9] = [
        Self::One,
        Self::Either,
        Self::Together,
        Self::Cleaner,
        Self::Noisy,
        Self::Brittle,
        Self::TenPairs,
        Self::Nio,
        Self::Nod,
    ];

    /// All of them with their names.
    pub(crate) const ALL: [(Self, &'static str); 23] = [
        (Self::One, "one"),
        (Self::Either, "either"),
        (Self::Together, "together"),
        (Self::Three, "three"),
        (Self::Cleaner, "cleaner"),
        (Self::Noisy, "noisy"),
        (Self::Brittle, "brittle"),
        (Self::BrittleEither, "brittle-either"),
        (Self::BrittleTogether, "brittle-together"),
        (Self::TenPairs, "ten-pairs"),
        (Self::Nio, "nio"),
        (Self::Nod, "nod"),
        (Self::Ndod, "ndod"),
        (Self::Adjacent, "adjacent"),
        (Self::Position, "position"),
        (Self::First, "first"),
        (Self::Environment, "environment"),
        (Self::HashSeed, "hash-seed"),
        (Self::Interference, "interference"),
        (Self::Broken, "broken"),
        (Self::Regression, "regression"),
        (Self::Infrastructure, "infrastructure"),
        (Self::Often, "often"),
    ];

    /// Returns its name.
    pub(crate) fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(scenario, _)| *scenario == self);
        known.expect("every scenario is listed").1
    }

    /// Finds one by its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let known = Self::ALL.iter().find(|(_, known)| *known == name);
        known.map(|(scenario, _)| *scenario)
    }

    /// Makes the suite of one seed.
    pub(crate) fn world(self, count: u32, seed: u64) -> World {
        let mut chance = Chance::new(seed, self as u64);
        let mut world = World::healthy(count, &mut chance);
        let mut free = chance.shuffled(count);
        let mut take = || free.pop().expect("the suite is large enough");
        match self {
            Self::Infrastructure => {
                world.death = 0.02;
                world.blip = 0.03;
            }
            Self::TenPairs => {
                for _ in 0..10 {
                    let polluted = polluted(vec![vec![take()]]);
                    world.plant(take(), polluted);
                }
            }
            Self::Cleaner => {
                // In default order the cleaner stands between the two and hides the victim.
                let mut three = [take(), take(), take()];
                three.sort_unstable();
                let [polluter, cleaner, victim] = three;
                let defect = Defect::Polluted {
                    groups: vec![vec![polluter]],
                    cleaners: vec![cleaner],
                    rate: 1.0,
                    background: 0.0,
                    in_files: false,
                };
                world.plant(victim, defect);
            }
            Self::Interference => {
                let neighbour = take();
                let total: f64 = world.seconds.iter().sum();
                world.seconds[neighbour as usize] = total * 0.01;
                let rate = 1.0;
                world.plant(take(), Defect::Interference { neighbour, rate });
            }
            Self::Adjacent => {
                let polluters = (0..count / 20).map(|_| take()).collect();
                let rate = 1.0;
                world.plant(take(), Defect::Adjacent { polluters, rate });
            }
            _ => {
                let defect = self.single(count, seed, &mut take);
                world.plant(take(), defect);
            }
        }
        world
    }

    /// The defect of a scenario that has one and asks nothing of the rest of the suite.
    fn single(self, count: u32, seed: u64, take: &mut dyn FnMut() -> u32) -> Defect {
        let mut group = |members: u32| (0..members).map(|_| take()).collect::<Vec<u32>>();
        let with_rates = |groups, rate, background| Defect::Polluted {
            groups,
            cleaners: Vec::new(),
            rate,
            background,
            in_files: false,
        };
        let brittle = |setters| Defect::Brittle { setters, rate: 1.0 };
        match self {
            Self::Either => polluted(vec![group(1), group(1)]),
            Self::Together => polluted(vec![group(2)]),
            Self::Three => polluted(vec![group(3)]),
            Self::Noisy => with_rates(vec![group(1)], 0.5, 0.0),
            Self::Ndod => with_rates(vec![group(1)], 0.7, 0.05),
            Self::Brittle => brittle(vec![group(1)]),
            Self::BrittleEither => brittle(vec![group(1), group(1)]),
            Self::BrittleTogether => brittle(vec![group(2)]),
            Self::Nio => Defect::Nio { rate: 1.0 },
            Self::Nod => Defect::Nod { rate: 0.02 },
            Self::Often => Defect::Nod { rate: 0.3 },
            Self::Position => Defect::Position {
                threshold: count / 3,
                rate: 0.9,
            },
            Self::First => Defect::Position {
                threshold: 1,
                rate: 1.0,
            },
            Self::Environment => {
                let factor = (seed % 3) as usize;
                let rate = if factor == THROTTLE { 0.5 } else { 1.0 };
                Defect::Environment {
                    factor,
                    level: 1,
                    rate,
                }
            }
            Self::HashSeed => Defect::HashSeed { share: 0.3 },
            Self::Broken => Defect::Broken,
            Self::Regression => Defect::Regression { since: 60 },
            _ => polluted(vec![group(1)]),
        }
    }
}

fn polluted(groups: Vec<Vec<u32>>) -> Defect {
    Defect::Polluted {
        groups,
        cleaners: Vec::new(),
        rate: 1.0,
        background: 0.0,
        in_files: false,
    }
}

/// Makes a suite in which no test is the cause of another's failures: intermittent tests of many rates.
pub(crate) fn intermittent(count: u32, flaky: u32, nature: Nature, seed: u64) -> World {
    let mut chance = Chance::new(seed, 1 << 20);
    let mut world = World::healthy(count, &mut chance);
    world.nature = nature;
    let tests = chance.shuffled(count);
    for (place, test) in tests.iter().take(flaky as usize).enumerate() {
        let share = place as f64 / f64::from(flaky.max(2) - 1);
        let rate = (0.001_f64.ln() * (1.0 - share) + 0.4_f64.ln() * share).exp();
        world.plant(*test, Defect::Nod { rate });
    }
    world
}

/// Makes a suite with many pairs: `victims` tests, each with a polluter of its own or all with the same one.
pub(crate) fn pairs(count: u32, victims: u32, shared: bool, seed: u64) -> World {
    let mut chance = Chance::new(seed, 2 << 20);
    let mut world = World::healthy(count, &mut chance);
    let mut free = chance.shuffled(count);
    let mut take = || free.pop().expect("the suite is large enough");
    let common = take();
    for _ in 0..victims {
        let polluter = if shared { common } else { take() };
        world.plant(take(), polluted(vec![vec![polluter]]));
    }
    world
}

/// Makes a large suite with 200 defects of many kinds.
pub(crate) fn large(count: u32, seed: u64) -> World {
    let mut chance = Chance::new(seed, 3 << 20);
    let mut world = World::healthy(count, &mut chance);
    let mut free = chance.shuffled(count);
    let mut take = || free.pop().expect("the suite is large enough");
    for place in 0..200 {
        let defect = match place % 10 {
            0..=3 => polluted(vec![vec![take()]]),
            4 => Defect::Brittle {
                setters: vec![vec![take()]],
                rate: 1.0,
            },
            5 => Defect::Nio { rate: 1.0 },
            _ => {
                let share = f64::from(place) / 200.0;
                let rate = (0.004_f64.ln() * (1.0 - share) + 0.4_f64.ln() * share).exp();
                Defect::Nod { rate }
            }
        };
        world.plant(take(), defect);
    }
    world
}

/// Makes the suite of the method's own classification (`suitegen.py`): 58 defects of twelve kinds, and
/// infrastructure noise.
pub(crate) fn classes(count: u32, iterations: u64, seed: u64) -> World {
    let mut chance = Chance::new(seed, 4 << 20);
    let mut world = World::healthy(count, &mut chance);
    (world.death, world.blip) = (0.004, 0.006);
    world.ci_shards = 16;
    let mut free = chance.shuffled(count);
    let mut take = || free.pop().expect("the suite is large enough");
    let mut planted = Vec::new();
    for place in 0..14 {
        let share = f64::from(place) / 13.0;
        let rate = (0.004_f64.ln() * (1.0 - share) + 0.4_f64.ln() * share).exp();
        planted.push(Defect::Nod { rate });
    }
    for (polluters, cleaners, rate, background) in [
        (1, 0, 1.0, 0.0),
        (1, 0, 1.0, 0.0),
        (1, 0, 1.0, 0.0),
        (1, 0, 1.0, 0.0),
        (1, 0, 1.0, 0.0),
        (3, 0, 1.0, 0.0),
        (20, 0, 1.0, 0.0),
        (1, 1, 1.0, 0.0),
        (1, 4, 1.0, 0.0),
        (1, 0, 0.7, 0.0),
        (1, 0, 0.5, 0.0),
        (1, 0, 0.35, 0.0),
        (1, 0, 0.25, 0.005),
    ] {
        planted.push(Defect::Polluted {
            groups: (0..polluters).map(|_| vec![take()]).collect(),
            cleaners: (0..cleaners).map(|_| take()).collect(),
            rate,
            background,
            in_files: false,
        });
    }
    for _ in 0..2 {
        planted.push(polluted(vec![vec![take(), take()]]));
    }
    for setters in [1, 1, 2, 3, 8] {
        let setters = (0..setters).map(|_| vec![take()]).collect();
        planted.push(Defect::Brittle { setters, rate: 1.0 });
    }
    planted.extend([1.0, 1.0, 1.0].map(|rate| Defect::Nio { rate }));
    for polluters in [6, 25] {
        let polluters = (0..polluters).map(|_| take()).collect();
        let rate = 1.0;
        planted.push(Defect::Adjacent { polluters, rate });
    }
    for (share, rate) in [(0.125, 0.9), (0.2, 0.6), (0.35, 0.8)] {
        let threshold = (share * f64::from(count)) as u32;
        planted.push(Defect::Position { threshold, rate });
    }
    for (factor, level, rate) in [
        (TZ, 1, 1.0),
        (THROTTLE, 1, 0.5),
        (HASH, 1, 1.0),
        (HOST, 2, 0.7),
        (THROTTLE, 1, 0.15),
    ] {
        planted.push(Defect::Environment {
            factor,
            level,
            rate,
        });
    }
    planted.push(Defect::Night { rate: 0.6 });
    let total: f64 = world.seconds.iter().sum();
    for (share, rate) in [(0.01, 1.0), (0.005, 1.0), (0.004, 0.8)] {
        let neighbour = take();
        world.seconds[neighbour as usize] = total * share;
        planted.push(Defect::Interference { neighbour, rate });
    }
    planted.extend((0..3).map(|_| Defect::Broken));
    for share in [0.3, 0.5, 0.7, 0.85] {
        let since = (iterations as f64 * share) as u64;
        planted.push(Defect::Regression { since });
    }
    for defect in planted {
        world.plant(take(), defect);
    }
    world
}

/// Makes a suite with one victim: `polluters` alternatives of `together` members each, some cleaners, and a rate.
pub(crate) fn polluted_by(
    count: u32,
    [polluters, together, cleaners]: [u32; 3],
    rate: f64,
    seed: u64,
) -> World {
    let mut chance = Chance::new(seed, 5 << 20);
    let mut world = World::healthy(count, &mut chance);
    let mut free = chance.shuffled(count);
    let mut take = || free.pop().expect("the suite is large enough");
    let groups = (0..polluters)
        .map(|_| (0..together).map(|_| take()).collect())
        .collect();
    let defect = Defect::Polluted {
        groups,
        cleaners: (0..cleaners).map(|_| take()).collect(),
        rate,
        background: 0.0,
        in_files: false,
    };
    world.plant(take(), defect);
    world
}

/// Makes a suite in which one polluter has so many victims.
pub(crate) fn sharing(count: u32, victims: u32, seed: u64) -> World {
    pairs(count, victims, true, seed)
}

/// Makes the suite of the method's exploring and confirming (`sim7_adaptive.py`): 24 victims of one to twenty
/// polluters, one in six noisy, and 16 intermittent tests.
pub(crate) fn mixed(count: u32, seed: u64) -> World {
    let mut chance = Chance::new(seed, 6 << 20);
    let mut world = World::healthy(count, &mut chance);
    let mut free = chance.shuffled(count);
    let mut take = || free.pop().expect("the suite is large enough");
    for place in 0..24 {
        let polluters = [1, 1, 1, 2, 5, 20][place % 6];
        let rate = if place % 6 == 3 { 0.5 } else { 1.0 };
        let groups = (0..polluters).map(|_| vec![take()]).collect();
        let defect = Defect::Polluted {
            groups,
            cleaners: Vec::new(),
            rate,
            background: 0.0,
            in_files: false,
        };
        world.plant(take(), defect);
    }
    for place in 0..16 {
        let share = f64::from(place) / 15.0;
        let rate = (0.005_f64.ln() * (1.0 - share) + 0.3_f64.ln() * share).exp();
        world.plant(take(), Defect::Nod { rate });
    }
    world
}
