//! Certification by randomised blocks. The e-values follow from the recorded opening and the outcomes of complete
//! blocks alone; a void arm voids its block, and a voided block is replaced by a new one.
//!
//! A group of several is certified member by member: a block has one decoy arm for each, the group with a decoy in
//! the place of that member, and treated has to beat every one of them. So nobody is named who could be replaced.

use super::{About, Conclusion, NextStep, View};
use crate::{
    diagnose::setup::{Certify, Stand, Treatment},
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
    /// What each arm showed, by place: treated, alone, then the decoys.
    arms: Vec<Option<Answer>>,
    /// When its last arm was answered, in hours.
    hours: f64,
}

/// The blocks so far.
#[derive(Clone, Debug)]
pub(super) struct Course {
    /// Treated against nothing and against one kind of decoy, for each kind of decoy.
    evidence: Vec<Blocks>,
    /// Kinds of decoys in a block.
    decoys: usize,
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
        let two_arms = certify.blocks.kind == Kind::TwoArm;
        let decoys = members(certify).map_or(1, <[u32]>::len);
        Self {
            evidence: vec![Blocks::new(certify.blocks); decoys],
            decoys: if two_arms { 0 } else { decoys },
            two_arms,
            blocks: Vec::new(),
            judged: 0,
            void: 0,
            span: None,
            late: 0,
        }
    }

    pub(super) fn tell(&mut self, certify: &Certify<u32>, probe: &Probe<u32>, reply: &Reply<u32>) {
        let (Some(number), Some(arm)) = (probe.block, arm_index(certify, probe)) else {
            return;
        };
        let number = number as usize;
        let arms = 2 + self.decoys;
        if self.blocks.len() <= number {
            self.blocks.resize_with(number + 1, || Block {
                arms: vec![None; arms],
                hours: 0.0,
            });
        }
        self.blocks[number].arms[arm] = Some(reply.answer);
        self.blocks[number].hours = reply.hours;
        self.judge();
    }

    /// Takes complete blocks into the evidence, in order; none after the claim is decided.
    fn judge(&mut self) {
        while let Some(block) = self.blocks.get(self.judged) {
            let arms: Option<Vec<Answer>> = block.arms.iter().copied().collect();
            let Some(arms) = arms else {
                return;
            };
            self.judged += 1;
            let failed: Option<Vec<bool>> = arms
                .into_iter()
                .map(|answer| match answer {
                    Answer::Passed => Some(false),
                    Answer::Failed => Some(true),
                    Answer::Void => None,
                })
                .collect();
            let Some(failed) = failed else {
                self.void += 1;
                continue;
            };
            for (place, evidence) in self.evidence.iter_mut().enumerate() {
                evidence.push(failed[0], failed.get(2 + place).copied(), failed[1]);
            }
            let first = self.span.map_or(block.hours, |(first, _)| first);
            self.span = Some((first, block.hours));
            self.late += u32::from(block.hours >= first + LATER);
        }
    }

    fn so_far(&self) -> Certified {
        let mut counts = self.evidence[0].counts();
        for evidence in &self.evidence[1..] {
            let decoy = evidence.counts().decoy;
            counts.decoy.failures += decoy.failures;
            counts.decoy.trials += decoy.trials;
        }
        Certified {
            counts,
            ln_e: self
                .evidence
                .iter()
                .map(Blocks::ln_e)
                .fold(f64::INFINITY, f64::min),
        }
    }

    fn verdict(&self) -> BlocksVerdict {
        let verdicts = || self.evidence.iter().map(Blocks::verdict);
        if verdicts().any(|verdict| verdict == BlocksVerdict::Refuted) {
            BlocksVerdict::Refuted
        } else if verdicts().all(|verdict| verdict == BlocksVerdict::Certified) {
            BlocksVerdict::Certified
        } else {
            BlocksVerdict::Undecided
        }
    }

    /// What a refuted claim comes to.
    fn refuted(&self, certify: &Certify<u32>) -> Conclusion {
        let beaten = |evidence: &Blocks| evidence.beats_only_nothing();
        let Some(group) = members(certify) else {
            return if beaten(&self.evidence[0]) {
                Conclusion::OnlyAmount(self.so_far())
            } else {
                Conclusion::Refuted(self.so_far())
            };
        };
        let spare: Vec<u32> = group
            .iter()
            .zip(&self.evidence)
            .filter(|(_, evidence)| {
                evidence.verdict() == BlocksVerdict::Refuted && evidence.ln_e_decoy() <= 0.0
            })
            .map(|(member, _)| *member)
            .collect();
        if spare.len() == group.len() && self.evidence.iter().all(beaten) {
            return Conclusion::OnlyAmount(self.so_far());
        }
        match spare[..] {
            [member] => Conclusion::Spare(self.so_far(), member),
            _ => Conclusion::Refuted(self.so_far()),
        }
    }

    /// Does the victim pass after most decoys too? Then being between is enough, and no one test is a cleaner,
    /// however much better it is than those decoys that pollute.
    fn decoys_clean(&self, about: About) -> bool {
        let decoy = self.so_far().counts.decoy;
        about.question == Question::Cleaner && 2 * decoy.failures < decoy.trials
    }

    pub(super) fn next(
        &mut self,
        about: About,
        certify: &Certify<u32>,
        view: &View<'_>,
    ) -> NextStep {
        let beside = matches!(certify.treatment, Treatment::Beside(_));
        match self.verdict() {
            BlocksVerdict::Certified if self.decoys_clean(about) => {
                return NextStep::Done(Conclusion::OnlyAmount(self.so_far()));
            }
            BlocksVerdict::Certified if !beside || self.late >= LATE_BLOCKS => {
                return NextStep::Done(Conclusion::Certified(self.so_far()));
            }
            BlocksVerdict::Refuted => {
                return NextStep::Done(self.refuted(certify));
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
            let known = &self.blocks[number].arms;
            missing.extend(
                arms.into_iter().flatten().filter(|probe| {
                    arm_index(certify, probe).is_some_and(|arm| known[arm].is_none())
                }),
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

/// The members that decoys replace one by one, if they do.
fn members(certify: &Certify<u32>) -> Option<&[u32]> {
    match (&certify.treatment, certify.decoys) {
        (Treatment::Group(group), Stand::ForEach) if group.len() > 1 => Some(group),
        _ => None,
    }
}

/// The place of a probe among the arms of its block.
fn arm_index(certify: &Certify<u32>, probe: &Probe<u32>) -> Option<usize> {
    match probe.arm {
        Arm::Treated => Some(0),
        Arm::Alone => Some(1),
        Arm::Decoy => {
            let Some(group) = members(certify) else {
                return Some(2);
            };
            let order = probe.processes.last()?;
            let missing = |member: &u32| order.iter().all(|(test, _)| test != member);
            group.iter().position(missing).map(|place| 2 + place)
        }
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
    let (treated, decoys, alone) = match &certify.treatment {
        Treatment::Group(group) if members(certify).is_some() => {
            let mut decoys = Vec::new();
            for (place, member) in group.iter().enumerate() {
                let instead = view.decoys(&[*member], &certify.pool, &mut draw)?;
                let (before, after) = (&group[..place], &group[place + 1..]);
                decoys.push(with(&[before, &instead, after].concat()));
            }
            (with(group), decoys, with(&[]))
        }
        Treatment::Group(group) => {
            let decoys = view.decoys(group, &certify.pool, &mut draw)?;
            (with(group), vec![with(&decoys)], with(&[]))
        }
        Treatment::Twice => {
            let decoys = view.decoys(&[about.victim], &certify.pool, &mut draw)?;
            let mut twice = with(&[]);
            twice.processes[0].push((about.victim, 2));
            (twice, vec![with(&decoys)], with(&[]))
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
            (at(level), Vec::new(), at(other))
        }
        Treatment::Beside(test) => {
            let decoys = view.decoys(&[*test], &certify.pool, &mut draw)?;
            let beside = |tests: Vec<u32>| Probe {
                beside: tests,
                ..with(&[])
            };
            (beside(vec![*test]), vec![beside(decoys)], with(&[]))
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
            (with(chosen), vec![with(&few)], with(&[]))
        }
    };
    let as_decoy = |probe| Probe {
        arm: Arm::Decoy,
        ..probe
    };
    let decoys = decoys.into_iter().filter(|_| !two_arms).map(as_decoy);
    let mut arms: Vec<Probe<u32>> = vec![
        Probe {
            arm: Arm::Treated,
            ..treated
        },
        Probe {
            arm: Arm::Alone,
            ..alone
        },
    ];
    arms.extend(decoys);
    let count = arms.len();
    draw.choose(&mut arms, count);
    for (turn, probe) in (0..).zip(&mut arms) {
        probe.turn = turn;
        probe.block = Some(number);
    }
    Some(arms)
}
