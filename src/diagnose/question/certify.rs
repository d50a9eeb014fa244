//! Certification by randomised blocks. The e-values follow from the recorded opening and the outcomes of complete
//! blocks alone; a void arm voids its block, and a voided block is replaced by a new one.

use super::{About, Conclusion, NextStep, View};
use crate::{
    diagnose::setup::{Certify, Treatment},
    model::{Answer, Arm, Probe, Question, Reply},
    stats::{ArmCounts, Blocks, BlocksVerdict, Kind},
};

/// Voided blocks after which the question is given up.
const VOID_BLOCKS: u32 = 8;
/// Blocks that are asked at once, where they are cheap.
const AHEAD: u32 = 2;
/// A block with more test executions is asked alone.
const CHEAP_BLOCK: usize = 40;
/// Blocks of an interference that must lie later than the others.
const LATE_BLOCKS: u32 = 2;
/// How much later, in hours.
const LATER: f64 = 1.0;

/// What the blocks of a certification showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Certified {
    /// Failures per arm.
    pub(crate) counts: ArmCounts,
    /// Natural logarithm of the smaller of its e-values.
    pub(crate) ln_e: f64,
}

/// One block as far as it is known.
#[derive(Clone, Debug, Default)]
struct Block {
    /// By arm: treated, decoy, alone. What was asked, and what it showed.
    arms: [Option<Answer>; 3],
    /// When its last arm was answered, in hours.
    hours: f64,
}

/// The blocks so far.
#[derive(Clone, Debug)]
pub(super) struct Course {
    evidence: Blocks,
    two_arms: bool,
    blocks: Vec<Block>,
    /// How many of them were judged.
    judged: usize,
    void: u32,
    /// Hours of the first and of the last judged block.
    span: Option<(f64, f64)>,
    /// Valid blocks that lie late enough.
    late: u32,
}

impl Course {
    pub(super) fn new(certify: &Certify<u32>) -> Self {
        Self {
            evidence: Blocks::new(certify.blocks),
            two_arms: certify.blocks.kind == Kind::TwoArm,
            blocks: Vec::new(),
            judged: 0,
            void: 0,
            span: None,
            late: 0,
        }
    }

    pub(super) fn tell(&mut self, probe: &Probe<u32>, reply: &Reply<u32>) {
        let (Some(number), Some(arm)) = (probe.block, arm_index(probe.arm)) else {
            return;
        };
        let number = number as usize;
        if self.blocks.len() <= number {
            self.blocks.resize_with(number + 1, Block::default);
        }
        self.blocks[number].arms[arm] = Some(reply.answer);
        self.blocks[number].hours = reply.hours;
        self.judge();
    }

    /// Takes complete blocks into the evidence, in order; none after the claim is decided.
    fn judge(&mut self) {
        while let Some(block) = self.blocks.get(self.judged) {
            let [Some(treated), decoy, Some(alone)] = block.arms else {
                return;
            };
            if decoy.is_none() && !self.two_arms {
                return;
            }
            let of = |answer: Answer| match answer {
                Answer::Passed => Some(false),
                Answer::Failed => Some(true),
                Answer::Void => None,
            };
            match (of(treated), decoy.map(of), of(alone)) {
                (Some(treated), None, Some(alone)) => self.evidence.push(treated, None, alone),
                (Some(treated), Some(Some(decoy)), Some(alone)) => {
                    self.evidence.push(treated, Some(decoy), alone);
                }
                (None, _, _) | (_, Some(None), _) | (_, _, None) => {
                    self.void += 1;
                    self.judged += 1;
                    continue;
                }
            }
            let first = self.span.map_or(block.hours, |(first, _)| first);
            self.span = Some((first, block.hours));
            self.late += u32::from(block.hours >= first + LATER);
            self.judged += 1;
        }
    }

    fn so_far(&self) -> Certified {
        Certified {
            counts: self.evidence.counts(),
            ln_e: self.evidence.ln_e(),
        }
    }

    /// Does the victim pass after most decoys too? Then being between is enough, and no one test is a cleaner,
    /// however much better it is than those decoys that pollute.
    fn decoys_clean(&self, about: About) -> bool {
        let decoy = self.evidence.counts().decoy;
        about.question == Question::Cleaner && 2 * decoy.failures < decoy.trials
    }

    pub(super) fn next(
        &mut self,
        about: About,
        certify: &Certify<u32>,
        view: &View<'_>,
    ) -> NextStep {
        let beside = matches!(certify.treatment, Treatment::Beside(_));
        match self.evidence.verdict() {
            BlocksVerdict::Certified if self.decoys_clean(about) => {
                return NextStep::Done(Conclusion::OnlyAmount(self.so_far()));
            }
            BlocksVerdict::Certified if !beside || self.late >= LATE_BLOCKS => {
                return NextStep::Done(Conclusion::Certified(self.so_far()));
            }
            BlocksVerdict::Refuted => {
                return NextStep::Done(if self.evidence.beats_only_nothing() {
                    Conclusion::OnlyAmount(self.so_far())
                } else {
                    Conclusion::Refuted(self.so_far())
                });
            }
            BlocksVerdict::Certified => {
                let first = self.span.map_or(0.0, |(first, _)| first);
                if view.now < first + LATER {
                    return NextStep::Wait(first + LATER);
                }
            }
            BlocksVerdict::Undecided => {}
        }
        if self.void >= VOID_BLOCKS {
            return NextStep::Done(Conclusion::Impossible);
        }
        let mut missing = Vec::new();
        for number in self.judged..self.blocks.len() {
            let arms = block(about, certify, view, number_of(number), self.two_arms);
            let known = self.blocks[number].arms;
            missing.extend(
                arms.into_iter()
                    .flatten()
                    .filter(|probe| arm_index(probe.arm).is_some_and(|arm| known[arm].is_none())),
            );
        }
        if !missing.is_empty() {
            return NextStep::Try(missing);
        }
        let mut probes: Vec<Probe<u32>> = Vec::new();
        for number in (number_of(self.blocks.len())..).take(AHEAD as usize) {
            let Some(arms) = block(about, certify, view, number, self.two_arms) else {
                return NextStep::Done(Conclusion::Impossible);
            };
            probes.extend(arms);
            if probes.iter().map(Probe::executions).sum::<usize>() > CHEAP_BLOCK {
                break;
            }
        }
        NextStep::Try(probes)
    }
}

fn number_of(place: usize) -> u32 {
    u32::try_from(place).expect("a question has fewer than four billion blocks")
}

fn arm_index(arm: Arm) -> Option<usize> {
    match arm {
        Arm::Treated => Some(0),
        Arm::Decoy => Some(1),
        Arm::Alone => Some(2),
        Arm::Single => None,
    }
}

/// The arms of block `number`, in the order of its coin; `None` when there are no decoys.
fn block(
    about: About,
    certify: &Certify<u32>,
    view: &View<'_>,
    number: u32,
    two_arms: bool,
) -> Option<Vec<Probe<u32>>> {
    let mut draw = view.coins.draw(about.id, number);
    let with = |between: &[u32]| about.probe(&[&certify.before, between].concat());
    let (treated, decoy, alone) = match &certify.treatment {
        Treatment::Group(group) => {
            let decoys = view.decoys(group, &certify.pool, &mut draw)?;
            (with(group), Some(with(&decoys)), with(&[]))
        }
        Treatment::Twice => {
            let decoys = view.decoys(&[about.victim], &certify.pool, &mut draw)?;
            let mut twice = with(&[]);
            twice.processes[0].push((about.victim, 2));
            (twice, Some(with(&decoys)), with(&[]))
        }
        Treatment::Level {
            factor,
            level,
            other,
            held,
        } => {
            let at = |level: &String| {
                let mut probe = with(&[]);
                probe.factors.clone_from(held);
                probe.factors.push((factor.clone(), level.clone()));
                probe
            };
            (at(level), None, at(other))
        }
        Treatment::Beside(test) => {
            let decoys = view.decoys(&[*test], &certify.pool, &mut draw)?;
            let beside = |tests: Vec<u32>| Probe {
                beside: tests,
                ..with(&[])
            };
            (beside(vec![*test]), Some(beside(decoys)), with(&[]))
        }
        Treatment::Many { many, few, avoid } => {
            let mut fillers: Vec<u32> = (0..number_of(view.universe.names.len()))
                .filter(|test| {
                    *test != about.victim && view.runnable(*test) && !avoid.contains(test)
                })
                .collect();
            if fillers.len() < *many as usize {
                return None;
            }
            let chosen = draw.choose(&mut fillers, (*many + *few) as usize);
            let (chosen, rest) = chosen.split_at(*many as usize);
            let few = rest.to_vec();
            (with(chosen), Some(with(&few)), with(&[]))
        }
    };
    let mut arms: Vec<Probe<u32>> = [
        (Arm::Treated, Some(treated)),
        (Arm::Decoy, decoy.filter(|_| !two_arms)),
        (Arm::Alone, Some(alone)),
    ]
    .into_iter()
    .filter_map(|(arm, probe)| Some(Probe { arm, ..probe? }))
    .collect();
    let count = arms.len();
    draw.choose(&mut arms, count);
    for (turn, probe) in (0..).zip(&mut arms) {
        probe.turn = turn;
        probe.block = Some(number);
    }
    Some(arms)
}
