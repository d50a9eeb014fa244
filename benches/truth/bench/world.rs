//! A suite, what is wrong with its tests, and what surrounds them: the truth that a hunt is to find.

use std::collections::BTreeMap;

use soakhound::diagnose::{FactorDomain, Levels, Universe};
use soakhound::model::TestId;
use soakhound::plan::Tests;

use super::chance::{Chance, mixed};

/// Factors by their index in [`factors`].
pub(crate) const TZ: usize = 0;
/// Halves the speed.
pub(crate) const THROTTLE: usize = 1;
/// A switch of the hash function with two positions.
pub(crate) const HASH: usize = 2;
/// Any 32-bit number.
pub(crate) const HASH_SEED: usize = 3;
/// Only observed.
pub(crate) const HOST: usize = 4;

/// What is wrong with one test.
#[derive(Clone, Debug)]
pub(crate) enum Defect {
    /// Fails at this rate, whatever is done.
    Nod { rate: f64 },
    /// Fails after any of the groups, unless a cleaner ran since.
    Polluted {
        /// Alternatives; all members of one are needed, in any order.
        groups: Vec<Vec<u32>>,
        cleaners: Vec<u32>,
        rate: f64,
        /// Rate without any of the groups.
        background: f64,
        /// Does the state outlive the process?
        in_files: bool,
    },
    /// Fails directly after any of these.
    Adjacent { polluters: Vec<u32>, rate: f64 },
    /// Fails unless one of the groups ran before.
    Brittle { setters: Vec<Vec<u32>>, rate: f64 },
    /// Fails when it ran before in the same process.
    Nio { rate: f64 },
    /// Fails when at least so many tests ran before; 1 is "fails unless first".
    Position { threshold: u32, rate: f64 },
    /// Fails at a level of a listed factor.
    Environment {
        factor: usize,
        level: u32,
        rate: f64,
    },
    /// Fails at this share of hash seeds, always at the same ones.
    HashSeed { share: f64 },
    /// Fails at night, from midnight to six.
    Night { rate: f64 },
    /// Fails while this test runs elsewhere.
    Interference { neighbour: u32, rate: f64 },
    /// Always fails.
    Broken,
    /// Always fails from this iteration on.
    Regression { since: u64 },
    /// Kills its process at this rate.
    Crash { rate: f64 },
    /// Never returns, at this rate: killed at the limit.
    Hang { rate: f64 },
}

/// How the surroundings change the rates of intermittent tests, without any test being the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Not at all.
    Plain,
    /// The fewer shards, the higher.
    LoadByLayout,
    /// The later in the process, by place and by seconds, the higher.
    Place,
    /// Rises over the hunt, and by the hour of the day.
    Drift,
    /// A module's fixture is good or bad, drawn whenever the module is entered.
    Fixtures,
    /// The first test after a module is entered pays for its fixture.
    FixtureEntry,
}

/// A suite with its truth.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) tests: Tests,
    /// Seconds of each test at full speed.
    pub(crate) seconds: Vec<f64>,
    pub(crate) defects: BTreeMap<u32, Defect>,
    /// Per test, is there a defect? The most common question by far.
    pub(crate) defective: Vec<bool>,
    pub(crate) nature: Nature,
    /// Probability that a container goes bad at some test: from there on all fail.
    pub(crate) death: f64,
    /// Probability that a container is shaky: each test fails at 3 %.
    pub(crate) blip: f64,
    /// Share of trials that are skipped.
    pub(crate) skips: f64,
    /// Shards of the CI.
    pub(crate) ci_shards: u16,
    /// Iterations after which drift is complete.
    pub(crate) horizon: u64,
}

impl World {
    /// Makes a healthy suite: modules of 25 tests, lognormal durations with a mean of a second.
    pub(crate) fn healthy(count: u32, chance: &mut Chance) -> Self {
        let names: Vec<TestId> = (0..count).map(test_name).collect();
        let tests = Tests::new(names, |name| {
            let text = name.as_bytes();
            let end = text.iter().position(|byte| *byte == b':');
            &text[..end.unwrap_or(text.len())]
        });
        Self {
            tests,
            seconds: (0..count).map(|_| (chance.normal() - 0.5).exp()).collect(),
            defects: BTreeMap::new(),
            defective: vec![false; count as usize],
            nature: Nature::Plain,
            death: 0.0,
            blip: 0.0,
            skips: 0.0,
            ci_shards: 4,
            horizon: 300,
        }
    }

    /// Plants a defect.
    pub(crate) fn plant(&mut self, test: u32, defect: Defect) {
        assert!(
            self.defects.insert(test, defect).is_none(),
            "a test has one defect"
        );
        self.defective[test as usize] = true;
    }

    /// Returns the number of tests.
    pub(crate) fn count(&self) -> u32 {
        self.tests.len() as u32
    }

    /// Returns what the analyst is told of the suite.
    pub(crate) fn universe(&self) -> Universe {
        Universe {
            names: self.tests.names().to_vec(),
            modules: (0..self.count())
                .map(|test| self.tests.module(test))
                .collect(),
            present: vec![true; self.tests.len()],
            seconds: self.seconds.iter().map(|seconds| *seconds as f32).collect(),
        }
    }
}

/// Returns the name of a test by its number: modules of 25, as pytest prints them.
pub(crate) fn test_name(number: u32) -> TestId {
    let module = number / 25;
    TestId::new(format!("tests/test_m{module:03}.py::test_t{number:05}")).expect("not empty")
}

/// Returns the factors of every simulated hunt.
pub(crate) fn factors() -> Vec<FactorDomain> {
    let listed = |name: &str, levels: &[(&str, f64)], settable| FactorDomain {
        name: name.to_owned(),
        levels: Levels::Listed(
            levels
                .iter()
                .map(|(level, share)| ((*level).to_owned(), *share))
                .collect(),
        ),
        settable,
    };
    vec![
        listed("TZ", &[("UTC", 0.5), ("Pacific/Apia", 0.5)], true),
        listed("THROTTLE", &[("off", 0.7), ("on", 0.3)], true),
        listed("HASH", &[("a", 0.5), ("b", 0.5)], true),
        FactorDomain {
            name: "PYTHONHASHSEED".to_owned(),
            levels: Levels::Number,
            settable: true,
        },
        listed(
            "HOST",
            &[("h0", 0.25), ("h1", 0.25), ("h2", 0.25), ("h3", 0.25)],
            false,
        ),
    ]
}

/// Is this hash seed one at which `test` fails, if it does so at this share of them?
pub(crate) fn bad_hash_seed(test: u32, number: u32, share: f64) -> bool {
    let mixture = mixed((u64::from(test) << 32) | u64::from(number));
    (mixture >> 11) as f64 / (1_u64 << 53) as f64 <= share
}

/// The levels of all factors that one container has.
#[derive(Clone, Debug)]
pub(crate) struct Drawn(pub(crate) Vec<u32>);

impl Drawn {
    /// Draws every factor.
    pub(crate) fn new(factors: &[FactorDomain], chance: &mut Chance) -> Self {
        let level = |factor: &FactorDomain, chance: &mut Chance| match &factor.levels {
            Levels::Number => chance.word() as u32,
            Levels::Listed(levels) => {
                let mut point = chance.unit();
                let mut place = 0;
                while place + 1 < levels.len() && point >= levels[place].1 {
                    point -= levels[place].1;
                    place += 1;
                }
                place as u32
            }
        };
        Self(factors.iter().map(|factor| level(factor, chance)).collect())
    }

    /// Fixes those that a probe sets.
    ///
    /// # Panics
    /// When the probe sets what there is not, or what can only be observed.
    pub(crate) fn fix(&mut self, factors: &[FactorDomain], fixed: &[(String, String)]) {
        for (name, level) in fixed {
            let place = factors.iter().position(|factor| factor.name == *name);
            let place = place.unwrap_or_else(|| panic!("a probe sets the unknown factor {name}"));
            assert!(
                factors[place].settable,
                "a probe sets {name}, which cannot be set"
            );
            self.0[place] = match &factors[place].levels {
                Levels::Number => level.parse().expect("a number is 32 bits"),
                Levels::Listed(levels) => {
                    let found = levels.iter().position(|(known, _)| known == level);
                    found.unwrap_or_else(|| panic!("{name} has no level {level}")) as u32
                }
            };
        }
    }

    /// Returns the level of one factor as text.
    pub(crate) fn text(&self, factors: &[FactorDomain], factor: usize) -> String {
        match &factors[factor].levels {
            Levels::Number => self.0[factor].to_string(),
            Levels::Listed(levels) => levels[self.0[factor] as usize].0.clone(),
        }
    }
}
