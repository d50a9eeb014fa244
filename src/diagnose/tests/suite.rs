//! A scripted suite: a function from what ran before to the chance of failing, and the hunt through it.

use std::collections::BTreeMap;

use crate::diagnose::{
    Analyst, Batch, FactorDomain, Levels, Observation, Policy, Showed, Shown, Universe,
};
use crate::{
    model::{Answer, Design, Flag, Grouping, Layout, Probe, Recorded, Reply, Role, TestId},
    plan::{MasterSeed, Origin},
};

pub(super) const TESTS: u32 = 40;
pub(super) const VICTIM: u32 = 7;

/// Numbers that follow from a seed.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    pub(super) fn happens(&mut self, rate: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < rate
    }

    pub(super) fn shuffle(&mut self, items: &mut [u32]) {
        for place in (1..items.len()).rev() {
            let other = usize::try_from(self.next() % (place as u64 + 1)).unwrap();
            items.swap(place, other);
        }
    }
}

/// What a run of the victim happens under.
pub(super) struct Scene<'a> {
    pub(super) before: &'a [u32],
    pub(super) level: &'a str,
    pub(super) iteration: u64,
}

/// Chance that the victim fails.
pub(super) type Rule = fn(&Scene<'_>) -> f64;

/// One iteration: its orders, whether the victim failed in each, the level of each.
pub(super) struct Lap {
    pub(super) iteration: u64,
    pub(super) orders: Vec<Vec<u32>>,
    pub(super) failed: Vec<bool>,
    pub(super) levels: Vec<String>,
    pub(super) doubled: bool,
}

/// A suite with one victim, and the hunt through it.
pub(super) struct Suite {
    pub(super) rule: Rule,
    pub(super) universe: Universe,
    pub(super) policy: Policy,
    pub(super) seed: u64,
    pub(super) chance: Chance,
    pub(super) analyst: Analyst,
    pub(super) flags: BTreeMap<Option<TestId>, Flag>,
    pub(super) recorded: Vec<Recorded<u32>>,
    pub(super) history: Vec<Lap>,
    pub(super) iteration: u64,
    pub(super) hours: f64,
    /// Every reply whose number is a multiple of this is void.
    pub(super) void: Option<u64>,
    pub(super) replies: u64,
}

pub(super) fn policy() -> Policy {
    Policy {
        factors: vec![FactorDomain {
            name: "TZ".to_owned(),
            levels: Levels::Listed(vec![
                ("UTC".to_owned(), 0.5),
                ("Asia/Tokyo".to_owned(), 0.5),
            ]),
            settable: true,
        }],
        ..Policy::default()
    }
}

pub(super) fn universe() -> Universe {
    Universe {
        names: (0..TESTS)
            .map(|test| TestId::new(format!("t{test:02}").into_bytes()).unwrap())
            .collect(),
        modules: (0..TESTS).map(|test| test / 5).collect(),
        present: vec![true; TESTS as usize],
        seconds: (0..TESTS)
            .map(|test| if test == 3 { 2.0 } else { 0.5 })
            .collect(),
    }
}

impl Suite {
    pub(super) fn new(rule: Rule, seed: u64) -> Self {
        Self::under(policy(), rule, seed)
    }

    pub(super) fn under(policy: Policy, rule: Rule, seed: u64) -> Self {
        Self {
            rule,
            universe: universe(),
            policy: policy.clone(),
            seed,
            chance: Chance(seed),
            analyst: Analyst::new(universe(), policy, MasterSeed(seed)),
            flags: BTreeMap::new(),
            recorded: Vec::new(),
            history: Vec::new(),
            iteration: 0,
            hours: 0.0,
            void: None,
            replies: 0,
        }
    }

    /// Runs iterations, each followed by as many probes as there is budget for.
    pub(super) fn hunt(&mut self, iterations: u64) -> &mut Self {
        for _ in 0..iterations {
            self.soak();
            while let Some(batch) = self.analyst.propose() {
                self.run(&batch);
            }
            self.conclude();
        }
        self
    }

    /// Runs iterations, each followed by every probe that the victim's questions ask for; `killed` after each.
    pub(super) fn ask(&mut self, iterations: u64, killed: bool) -> &mut Self {
        for _ in 0..iterations {
            self.soak();
            while let Some(batch) = self.analyst.propose_for(VICTIM) {
                self.run(&batch);
            }
            self.conclude();
            if killed {
                self.analyst = self.resumed();
                self.conclude();
            }
        }
        self
    }

    pub(super) fn soak(&mut self) {
        let shards = if self.chance.happens(0.5) { 1 } else { 2 };
        let mut all: Vec<u32> = (0..TESTS).collect();
        self.chance.shuffle(&mut all);
        let size = all.len() / shards;
        let orders: Vec<Vec<u32>> = all.chunks(size).map(<[u32]>::to_vec).collect();
        let doubled = self.iteration % 25 == 5;
        let levels: Vec<String> = orders.iter().map(|_| self.level()).collect();
        let failed = orders
            .iter()
            .zip(&levels)
            .map(|(order, level)| {
                let place = order.iter().position(|test| *test == VICTIM);
                place.is_some_and(|place| self.fails(&order[..place], level))
            })
            .collect();
        let lap = Lap {
            iteration: self.iteration,
            orders,
            failed,
            levels,
            doubled,
        };
        self.hours += 0.3;
        let flags = self.tell(&lap);
        self.keep(flags);
        self.history.push(lap);
        self.iteration += 1;
    }

    pub(super) fn tell(&mut self, lap: &Lap) -> Vec<Flag> {
        let Lap {
            iteration,
            orders,
            failed,
            levels,
            doubled,
        } = lap;
        let layout = Layout {
            design: if *doubled {
                Design::Doubled
            } else {
                Design::Free
            },
            shards: u16::try_from(orders.len()).unwrap(),
            grouping: Grouping::Interleaved,
            class: 0,
        };
        for ((order, failed), level) in orders.iter().zip(failed).zip(levels) {
            let mut trials = Vec::new();
            for (place, test) in order.iter().enumerate() {
                let start = f64::from(u32::try_from(place).unwrap());
                let mut put = |rep, failed| {
                    trials.push(Shown {
                        test: *test,
                        rep,
                        showed: if failed {
                            Showed::Failed
                        } else {
                            Showed::Passed
                        },
                        start,
                        seconds: 0.5,
                    });
                };
                put(1, *test == VICTIM && *failed);
                if *doubled {
                    let scene = Scene {
                        before: &[&order[..place], &[*test]].concat(),
                        level,
                        iteration: *iteration,
                    };
                    put(2, *test == VICTIM && (self.rule)(&scene) > 0.5);
                }
            }
            self.analyst.observe(&Observation {
                iteration: *iteration,
                tests: TESTS,
                modules: TESTS / 5,
                layout,
                origin: Origin::Planned,
                asked: order,
                trials: &trials,
                died_in: None,
                worker: 0,
                hour: 12.0,
                levels: &[(0, level.clone())],
            });
        }
        self.analyst.end_iteration(*iteration, f64::from(TESTS))
    }

    pub(super) fn level(&mut self) -> String {
        let name = if self.chance.happens(0.5) {
            "UTC"
        } else {
            "Asia/Tokyo"
        };
        name.to_owned()
    }

    pub(super) fn fails(&mut self, before: &[u32], level: &str) -> bool {
        let rate = (self.rule)(&Scene {
            before,
            level,
            iteration: self.iteration,
        });
        self.chance.happens(rate)
    }

    /// Records what questions came to.
    fn conclude(&mut self) {
        for (question, concluded) in self.analyst.take_concluded() {
            let recorded = &mut self.recorded[question.0 as usize];
            assert_eq!(recorded.concluded, None, "a question is judged once");
            recorded.concluded = Some(concluded);
        }
    }

    /// Runs a batch, records it, and answers from the last probe to the first.
    pub(super) fn run(&mut self, batch: &Batch) {
        if let Some(opened) = &batch.opened {
            assert_eq!(batch.first, 0);
            assert_eq!(batch.question.0 as usize, self.recorded.len(), "no gaps");
            self.recorded.push(Recorded {
                id: batch.question,
                opened: opened.clone(),
                probes: Vec::new(),
                concluded: None,
            });
        }
        let number = batch.question.0 as usize;
        assert_eq!(self.recorded[number].probes.len(), batch.first as usize);
        assert!(!batch.probes.is_empty());
        let replies: Vec<Reply<u32>> = batch.probes.iter().map(|probe| self.reply(probe)).collect();
        for (probe, reply) in batch.probes.iter().zip(&replies) {
            self.recorded[number]
                .probes
                .push((probe.clone(), Some(reply.clone())));
        }
        for (place, reply) in replies.iter().enumerate().rev() {
            let place = batch.first + u32::try_from(place).unwrap();
            let flags = self.analyst.answer(batch.question, place, reply);
            self.keep(flags);
        }
        self.conclude();
    }

    pub(super) fn reply(&mut self, probe: &Probe<u32>) -> Reply<u32> {
        assert!(
            probe
                .processes
                .iter()
                .flatten()
                .all(|(test, _)| *test < TESTS)
        );
        let last = probe.processes.last().expect("a probe has a process");
        let (victim, before) = last.split_last().expect("the victim runs");
        assert_eq!((victim.0, probe.victim), (VICTIM, VICTIM));
        let before: Vec<u32> = before.iter().map(|(test, _)| *test).collect();
        let fixed = probe.factors.iter().find(|(name, _)| name == "TZ");
        let level = fixed.map_or_else(|| self.level(), |(_, level)| level.clone());
        let failed = self.fails(&before, &level);
        self.hours += 0.001;
        self.replies += 1;
        let void = self
            .void
            .is_some_and(|every| self.replies.is_multiple_of(every));
        Reply {
            answer: if void {
                Answer::Void
            } else if failed {
                Answer::Failed
            } else {
                Answer::Passed
            },
            first: None,
            levels: vec![("TZ".to_owned(), level)],
            died_in: None,
            hours: self.hours,
            seconds: 1.0,
        }
    }

    pub(super) fn keep(&mut self, flags: Vec<Flag>) {
        for flag in flags {
            self.flags.insert(flag.test.clone(), flag);
        }
    }

    /// The flag of the victim now.
    pub(super) fn said(&self) -> Flag {
        let victim = &self.universe.names[VICTIM as usize];
        let flags = self.analyst.flags();
        let flag = flags.iter().find(|flag| flag.test.as_ref() == Some(victim));
        flag.cloned().expect("the victim is flagged")
    }

    pub(super) fn named(flag: &Flag, role: Role) -> Vec<Vec<String>> {
        let mut groups: Vec<Vec<String>> = flag
            .groups
            .iter()
            .filter(|group| group.role == role)
            .map(|group| {
                let mut names: Vec<String> = group
                    .members
                    .iter()
                    .map(|name| name.as_str().expect("text").to_owned())
                    .collect();
                names.sort();
                names
            })
            .collect();
        groups.sort();
        groups
    }

    /// A new process: everything observed and recorded is given back.
    pub(super) fn resumed(&self) -> Analyst {
        let mut again = Self {
            chance: Chance(0),
            ..Self::under(self.policy.clone(), self.rule, self.seed)
        };
        for lap in &self.history {
            again.tell(lap);
        }
        again.analyst.restore(self.recorded.clone());
        again.analyst
    }
}
