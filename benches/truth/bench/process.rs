//! What the tests of one process show, in the order in which they run there.

use soakhound::diagnose::Showed;

use super::chance::Chance;
use super::world::{Defect, Drawn, HASH_SEED, Nature, THROTTLE, World, bad_hash_seed};

/// Place of a test that has not run yet.
const NEVER: u32 = u32::MAX;
/// When a hanging test is killed, in seconds.
const LIMIT: f64 = 600.0;

/// What surrounds a container.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) drawn: Drawn,
    /// Shards of the layout.
    pub(crate) shards: u16,
    pub(crate) iteration: u64,
    /// Seconds since the hunt began, at the container's start.
    pub(crate) clock: f64,
    /// Tests that run over and over in another container meanwhile.
    pub(crate) beside: Vec<u32>,
    pub(crate) trouble: Trouble,
}

/// What is wrong with a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// From this place on every test fails.
    From(u32),
    /// Every test may fail.
    Shaky,
}

/// What one trial showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) showed: Showed,
    pub(crate) seconds: f64,
    /// The process ended in it.
    pub(crate) died: bool,
    /// It failed only because something was wrong with the container.
    pub(crate) by_machine: bool,
    /// It would fail at this rate if that neighbour ran at the same time.
    pub(crate) exposed: Option<(u32, f64)>,
}

/// The memory of the processes of one container. Reused: clearing costs what ran.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Per test, the last place at which it ran in this process.
    last: Vec<u32>,
    /// Per test, the last place at which it ran in an earlier process of this container.
    earlier: Vec<u32>,
    ran: Vec<u32>,
    place: u32,
    in_process: u32,
    previous: Option<u32>,
    module: Option<u32>,
    fixture_is_bad: bool,
    entered: bool,
    elapsed: f64,
}

impl Memory {
    /// Has room for so many tests.
    pub(crate) fn new(count: u32) -> Self {
        Self {
            last: vec![NEVER; count as usize],
            earlier: vec![NEVER; count as usize],
            ran: Vec::new(),
            place: 0,
            in_process: 0,
            previous: None,
            module: None,
            fixture_is_bad: false,
            entered: false,
            elapsed: 0.0,
        }
    }

    /// Forgets everything: a fresh container.
    pub(crate) fn fresh_container(&mut self) {
        for test in self.ran.drain(..) {
            self.last[test as usize] = NEVER;
            self.earlier[test as usize] = NEVER;
        }
        self.place = 0;
        self.fresh_start();
    }

    /// Forgets what a process forgets: files stay.
    pub(crate) fn fresh_process(&mut self) {
        for test in &self.ran {
            let test = *test as usize;
            if self.last[test] != NEVER {
                self.earlier[test] = self.last[test];
            }
            self.last[test] = NEVER;
        }
        self.fresh_start();
    }

    fn fresh_start(&mut self) {
        self.in_process = 0;
        self.previous = None;
        self.module = None;
        self.elapsed = 0.0;
    }

    /// Runs a test.
    pub(crate) fn run(
        &mut self,
        world: &World,
        test: u32,
        around: &Surroundings,
        chance: &mut Chance,
    ) -> Step {
        let speed = 1.0 + f64::from(around.drawn.0[THROTTLE]);
        let mut step = Step {
            showed: Showed::Passed,
            seconds: world.seconds[test as usize] * speed,
            died: false,
            by_machine: false,
            exposed: None,
        };
        self.enter(world, test, chance);
        if world.skips > 0.0 && chance.hits(world.skips) {
            step.showed = Showed::Nothing;
            step.seconds = 0.001;
        } else {
            if world.defective[test as usize] {
                self.strike(world, test, around, chance, &mut step);
            }
            let in_trouble = match around.trouble {
                Trouble::None => false,
                Trouble::From(place) => self.in_process >= place,
                Trouble::Shaky => chance.hits(0.03),
            };
            if in_trouble {
                step.by_machine = step.showed != Showed::Failed;
                step.showed = Showed::Failed;
            }
        }
        self.last[test as usize] = self.place;
        self.ran.push(test);
        self.place += 1;
        self.in_process += 1;
        self.previous = Some(test);
        self.elapsed += step.seconds;
        step
    }

    /// Notes into which module the process goes; leaving one tears its fixture down.
    fn enter(&mut self, world: &World, test: u32, chance: &mut Chance) {
        let module = Some(world.tests.module(test));
        self.entered = self.module != module;
        if self.entered {
            self.module = module;
            self.fixture_is_bad = world.nature == Nature::Fixtures && chance.hits(0.2);
        }
    }

    fn strike(
        &self,
        world: &World,
        test: u32,
        around: &Surroundings,
        chance: &mut Chance,
        step: &mut Step,
    ) {
        let defect = &world.defects[&test];
        if let Defect::Interference { neighbour, rate } = defect {
            step.exposed = Some((*neighbour, *rate));
        }
        let rate = match defect {
            Defect::Crash { rate } | Defect::Hang { rate } => *rate,
            other => self.rate(world, test, other, around),
        };
        if !chance.hits(rate) {
            return;
        }
        step.showed = Showed::Failed;
        if let Defect::Hang { .. } = defect {
            step.seconds = LIMIT;
        }
        step.died = matches!(defect, Defect::Crash { .. } | Defect::Hang { .. });
    }

    fn rate(&self, world: &World, test: u32, defect: &Defect, around: &Surroundings) -> f64 {
        let if_so = |holds: bool, rate: f64| if holds { rate } else { 0.0 };
        match defect {
            Defect::Nod { rate } => self.changed(world, *rate, around),
            Defect::Polluted {
                groups,
                cleaners,
                rate,
                background,
                in_files,
            } => {
                if self.is_polluted(groups, cleaners, *in_files) {
                    *rate
                } else {
                    *background
                }
            }
            Defect::Adjacent { polluters, rate } => if_so(
                self.previous
                    .is_some_and(|previous| polluters.contains(&previous)),
                *rate,
            ),
            Defect::Brittle { setters, rate } => {
                if_so(!self.is_polluted(setters, &[], false), *rate)
            }
            Defect::Nio { rate } => if_so(self.last[test as usize] != NEVER, *rate),
            Defect::Position { threshold, rate } => if_so(self.in_process >= *threshold, *rate),
            Defect::Environment {
                factor,
                level,
                rate,
            } => if_so(around.drawn.0[*factor] == *level, *rate),
            Defect::HashSeed { share } => {
                if_so(bad_hash_seed(test, around.drawn.0[HASH_SEED], *share), 1.0)
            }
            Defect::Night { rate } => if_so(hour(around.clock + self.elapsed) < 6.0, *rate),
            Defect::Interference { neighbour, rate } => {
                if_so(around.beside.contains(neighbour), *rate)
            }
            Defect::Broken => 1.0,
            Defect::Regression { since } => if_so(around.iteration >= *since, 1.0),
            Defect::Crash { rate } | Defect::Hang { rate } => *rate,
        }
    }

    /// Did all members of a group run since the last cleaner?
    fn is_polluted(&self, groups: &[Vec<u32>], cleaners: &[u32], in_files: bool) -> bool {
        let place_of = |test: u32| {
            let places = [self.last[test as usize], self.earlier[test as usize]];
            let seen = if in_files { &places[..] } else { &places[..1] };
            seen.iter().copied().filter(|place| *place != NEVER).max()
        };
        let cleaned = cleaners.iter().filter_map(|test| place_of(*test)).max();
        groups.iter().any(|group| {
            group.iter().all(|test| {
                place_of(*test).is_some_and(|place| cleaned.is_none_or(|cleaned| place > cleaned))
            })
        })
    }

    /// The rate of an intermittent test under the nature of its world.
    fn changed(&self, world: &World, rate: f64, around: &Surroundings) -> f64 {
        let factor = match world.nature {
            Nature::Plain => 1.0,
            Nature::LoadByLayout => match around.shards {
                1 => 3.0,
                2..=4 => 1.0,
                _ => 0.3,
            },
            Nature::Place => {
                let by_place = (f64::from(self.in_process) / 100.0).min(1.0);
                1.0 + 2.0 * by_place + (self.elapsed / 100.0).min(1.0)
            }
            Nature::Drift => {
                let share = (around.iteration as f64 / world.horizon.max(1) as f64).min(1.0);
                let by_hour = if hour(around.clock) < 6.0 { 2.0 } else { 1.0 };
                (0.2 + 2.5 * share) * by_hour
            }
            Nature::Fixtures => {
                if self.fixture_is_bad {
                    4.0
                } else {
                    0.5
                }
            }
            Nature::FixtureEntry => {
                if self.entered {
                    3.0
                } else {
                    0.5
                }
            }
        };
        (rate * factor).min(0.95)
    }
}

/// Returns the hour of the day, for a hunt that began at eight in the evening.
pub(crate) fn hour(clock: f64) -> f64 {
    (20.0 + clock / 3600.0) % 24.0
}
