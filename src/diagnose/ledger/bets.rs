//! Bets against "whether it fails does not depend on what ran before it": one e-process per candidate.
//!
//! They take every failure, also those that are set aside as infrastructure: to leave out failures that
//! came together would leave out those of one polluter's victims, and so depend on the order.

use super::{
    history::{Segment, count},
    planned::{self, each_missing},
};
use crate::plan::{Candidate, Standing, precedence};

/// Where a candidate stood in a run, as two bits and a flag; 0 is elsewhere.
const SAME_SEGMENT: u8 = 1;
const SAME_MODULE: u8 = 2;
/// The iteration did not plan it: it had no chance to come before, and nothing is bet on it.
const ABSENT: u8 = 3;
const BEFORE: u8 = 4;

/// Beyond this an e-value is cut: less is claimed than was shown, so it stays valid.
const MOST: f64 = 1e280;

/// The e-processes of one victim over all candidates.
///
/// Source: Grünwald, Henzi and Lardy (2023), JASA: with the rates `q1` after the candidate and `q0` without
/// it, both from earlier runs, and the known probability `pi` that it came before, the factor is
/// `l_x / (pi l_1 + (1 - pi) l_0)`. Two choices of `q1` are averaged.
#[derive(Debug)]
pub(super) struct Bets {
    /// Per candidate, the two e-values.
    e: Vec<[f64; 2]>,
    /// Per candidate, failed and passed runs after it; a full counter stays full, which is as predictable.
    after: Vec<[u16; 2]>,
    runs: [u32; 2],
}

/// Scratch for one run: how each candidate stood, and with which probability it came before.
#[derive(Debug, Default)]
pub(super) struct Stand {
    how: Vec<u8>,
    /// By the two bits of `how`; 0 where nothing is bet.
    probability: [f64; 4],
}

impl Bets {
    /// Starts with nothing won or lost.
    pub(super) fn new(victim: u32, tests: usize) -> Self {
        let mut bets = Self {
            e: vec![[1.0; 2]; tests],
            after: vec![[0; 2]; tests],
            runs: [0; 2],
        };
        bets.strike(&[victim]);
        bets
    }

    /// Takes one run of the victim.
    pub(super) fn step(&mut self, stand: &Stand, failed: bool) {
        let [runs_failed, runs_passed] = self.runs.map(f64::from);
        let bets = stand.probability.map(|pi| pi > 0.0 && pi < 1.0);
        let outcome = usize::from(!failed);
        for ((e, after), how) in self.e.iter_mut().zip(&mut self.after).zip(&stand.how) {
            let before = how & BEFORE != 0;
            let at = usize::from(how & 3);
            if bets[at] {
                let pi = stand.probability[at];
                let [failed_after, passed_after] = after.map(f64::from);
                let runs_after = failed_after + passed_after;
                let q0 = (runs_failed - failed_after + 0.1)
                    / (runs_failed + runs_passed - runs_after + 1.1);
                let q1 = [
                    (failed_after + 1.0) / (runs_after + 1.2),
                    (failed_after + 1.0) / (runs_after + 2.0),
                ];
                for (e, q1) in e.iter_mut().zip(q1) {
                    let [l0, l1] = [q0, q1].map(|q| {
                        let q = q.clamp(1e-6, 1.0 - 1e-6);
                        if failed { q } else { 1.0 - q }
                    });
                    let seen = if before { l1 } else { l0 };
                    *e = (*e * (seen / (pi * l1 + (1.0 - pi) * l0))).min(MOST);
                }
            }
            if before {
                after[outcome] = after[outcome].saturating_add(1);
            }
        }
        self.runs[outcome] += 1;
    }

    /// Declares the bets on these candidates lost, for good: the mean only gets smaller.
    pub(super) fn strike(&mut self, struck: &[u32]) {
        for test in struck {
            self.e[*test as usize] = [0.0; 2];
        }
    }

    /// Returns the natural logarithm of the mean e-value over all candidates.
    pub(super) fn ln_e(&self) -> f64 {
        let all: f64 = self.e.iter().map(|[a, b]| f64::midpoint(*a, *b)).sum();
        let others = self.e.len().saturating_sub(1).max(1);
        (all / f64::from(count(others))).ln()
    }
}

impl Stand {
    /// Describes the run of `victim` at `place` of `segment`, whose iteration planned these tests: where that is not
    /// known, nothing is bet. Returns whether anything may be bet on it.
    pub(super) fn describe(
        &mut self,
        segment: &Segment,
        place: u32,
        modules: &[u32],
        planned: Option<&planned::Tests>,
    ) -> bool {
        let order = segment.asked();
        let module_of = |test: u32| modules[test as usize];
        let own = module_of(order[place as usize]);
        self.how.clear();
        self.how.resize(modules.len(), 0);
        each_missing(planned.unwrap_or_default(), |test| {
            if let Some(how) = self.how.get_mut(test) {
                *how = ABSENT;
            }
        });
        let (mut blocks, mut blocks_before) = (0_u32, 0);
        let (mut of_module, mut of_module_before) = (0_u32, 0);
        let mut last = None;
        for (at, test) in (0_u32..).zip(order) {
            let module = module_of(*test);
            if at == place {
                of_module_before = of_module;
            }
            if last != Some(module) {
                if module == own {
                    blocks_before = blocks;
                }
                blocks += 1;
                last = Some(module);
            }
            of_module += u32::from(module == own);
            let where_to = if module == own {
                SAME_MODULE
            } else {
                SAME_SEGMENT
            };
            self.how[*test as usize] = where_to | if at < place { BEFORE } else { 0 };
        }
        let standing = Standing {
            before: place,
            segment: count(order.len()),
            tests: segment.tests,
            modules_before: blocks_before,
            segment_modules: blocks,
            modules: segment.modules,
            before_in_module: of_module_before,
            module: of_module,
        };
        let [elsewhere, same_segment, same_module] = [
            Candidate::Elsewhere,
            Candidate::SameSegment,
            Candidate::SameModule,
        ]
        .map(|candidate| {
            let known = precedence(segment.layout, segment.origin, candidate, &standing);
            known
                .filter(|_| segment.as_asked && planned.is_some())
                .unwrap_or(0.0)
        });
        self.probability = [elsewhere, same_segment, same_module, 0.0];
        self.probability.iter().any(|pi| *pi > 0.0 && *pi < 1.0)
    }
}
