//! Certification by randomised blocks. The e-values follow from the recorded opening and the outcomes of complete
//! blocks alone; a void arm voids its block, and a voided block is replaced by a new one.
//!
//! A group of several is certified member by member: a block has one decoy arm for each, the group with a decoy in
//! the place of that member, and treated has to beat every one of them. So nobody is named who could be replaced.

use std::iter;

use super::{About, Conclusion, NextStep, View};
use crate::{
    diagnose::setup::{Certify, Stand, Treatment},
    model::{Answer, Arm, Probe, Question, Reply},
    stats::{ArmCounts, Blocks, BlocksVerdict, Kind},
};

/// Voided blocks after which the question is given up.
const VOID_BLOCKS: u32 = 8;
/// Blocks that are asked at once, where they are cheap and more than one is needed.
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
    /// By turn: which arm ran, and what it showed.
    runs: Vec<Option<(usize, Answer)>>,
    /// When its last run was answered, in hours.
    hours: f64,
}

/// The blocks so far.
#[derive(Clone, Debug)]
pub(super) struct Course {
    /// Treated against nothing and against one kind of decoy, for each kind of decoy.
    evidence: Vec<Blocks>,
    /// Runs in a block.
    runs: usize,
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
        let controls = certify.blocks.controls as usize;
        Self {
            evidence: vec![Blocks::new(certify.blocks); decoys],
            runs: 1 + controls * if two_arms { 1 } else { 1 + decoys },
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
        let runs = self.runs;
        if self.blocks.len() <= number {
            self.blocks.resize_with(number + 1, || Block {
                runs: vec![None; runs],
                hours: 0.0,
            });
        }
        let block = &mut self.blocks[number];
        if let Some(run) = block.runs.get_mut(usize::from(probe.turn)) {
            *run = Some((arm, reply.answer));
            block.hours = reply.hours;
        }
        self.judge();
    }

    /// Takes complete blocks into the evidence, in order; none after the claim is decided.
    fn judge(&mut self) {
        while let Some(block) = self.blocks.get(self.judged) {
            let runs: Option<Vec<(usize, Answer)>> = block.runs.iter().copied().collect();
            let Some(runs) = runs else {
                return;
            };
            self.judged += 1;
            if runs.iter().any(|(_, answer)| *answer == Answer::Void) {
                self.void += 1;
                continue;
            }
            let of = |arm: usize| -> Vec<bool> {
                let of_arm = runs.iter().filter(|(place, _)| *place == arm);
                of_arm
                    .map(|(_, answer)| *answer == Answer::Failed)
                    .collect()
            };
            let alone = of(1);
            for (place, evidence) in self.evidence.iter_mut().enumerate() {
                evidence.push(of(0).contains(&true), &of(2 + place), &alone);
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
            let known = &self.blocks[number].runs;
            let open = |probe: &Probe<u32>| known.get(usize::from(probe.turn)) == Some(&None);
            missing.extend(arms.into_iter().flatten().filter(open));
        }
        // A neighbour of one arm disturbs all others that run meanwhile.
        let at_once = if beside { 1 } else { usize::MAX };
        if !missing.is_empty() {
            missing.truncate(at_once);
            return NextStep::Try(missing);
        }
        let mut probes: Vec<Probe<u32>> = Vec::new();
        let may_end = self.evidence.iter().all(Blocks::may_end_next);
        let ahead = if may_end { 1 } else { AHEAD };
        for number in (number_of(self.blocks.len())..).take(ahead as usize) {
            let Some(arms) = block(about, certify, view, number, self.two_arms) else {
                return NextStep::Done(Conclusion::Impossible);
            };
            probes.extend(arms);
            if probes.iter().map(Probe::executions).sum::<usize>() > CHEAP_BLOCK {
                break;
            }
        }
        probes.truncate(at_once);
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
    let controls = certify.blocks.controls;
    let with = |between: &[u32]| about.probe(&[&certify.before, between].concat());
    let (treated, decoys, alone) = match &certify.treatment {
        Treatment::Group(group) if members(certify).is_some() => {
            let mut decoys = Vec::new();
            for (place, member) in group.iter().enumerate() {
                let instead = view.decoys(about.victim, &[*member], &certify.pool, &mut draw)?;
                let (before, after) = (&group[..place], &group[place + 1..]);
                decoys.push(with(&[before, &instead, after].concat()));
            }
            (with(group), decoys, with(&[]))
        }
        Treatment::Group(group) => {
            let decoys = view.decoys(about.victim, group, &certify.pool, &mut draw)?;
            (with(group), vec![with(&decoys)], with(&[]))
        }
        Treatment::Twice => {
            let decoys = view.decoys(about.victim, &[about.victim], &certify.pool, &mut draw)?;
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
            let decoys = view.decoys(about.victim, &[*test], &certify.pool, &mut draw)?;
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
            let chosen = draw.choose(&mut fillers, (*many + *few * controls) as usize);
            let (chosen, rest) = chosen.split_at(*many as usize);
            let few = |turn: usize| {
                let start = (turn * *few as usize).min(rest.len());
                &rest[start..(start + *few as usize).min(rest.len())]
            };
            let decoys = (0..controls as usize).map(|turn| with(few(turn)));
            (with(chosen), decoys.collect(), with(&[]))
        }
    };
    let mut arms: Vec<Probe<u32>> = vec![Probe {
        arm: Arm::Treated,
        ..treated
    }];
    let decoys = decoys.into_iter().filter(|_| !two_arms);
    let alone = iter::repeat_n((Arm::Alone, alone), controls as usize);
    arms.extend(
        decoys
            .map(|decoy| (Arm::Decoy, decoy))
            .chain(alone)
            .map(|(arm, control)| Probe { arm, ..control }),
    );
    let count = arms.len();
    draw.choose(&mut arms, count);
    for (turn, probe) in (0..).zip(&mut arms) {
        probe.turn = turn;
        probe.block = Some(number);
    }
    Some(arms)
}
