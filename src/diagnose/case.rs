//! Everything that was asked about one test, and what follows from the answers.

use super::{
    flow::FIRST_ALONE,
    question::{Certified, Conclusion, Inquiry, tally},
    setup::{Settings, Setup, Treatment},
};
use crate::model::{Answer, Arm, Count, Probe, Question, Reply, Role};

/// One answered probe, as the rankings count it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shot {
    /// What ran before the victim in its process, in order.
    pub(crate) before: Vec<u32>,
    /// Did it fail?
    pub(crate) failed: bool,
    /// One process, nothing beside it, levels drawn at random, the victim once: as an ordinary run.
    pub(crate) plain: bool,
    /// Nothing before it or beside it, at whatever levels.
    pub(crate) solo: bool,
    /// Levels of all factors.
    pub(crate) levels: Settings,
}

impl Shot {
    /// Did it run solo, as an ordinary run?
    pub(crate) fn is_alone(&self) -> bool {
        self.plain && self.solo
    }
}

/// A certified group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    /// Its role.
    pub(crate) role: Role,
    /// Its members in order.
    pub(crate) group: Vec<u32>,
    /// For a cleaner, the polluter before it.
    pub(crate) of: Vec<u32>,
    /// The blocks.
    pub(crate) blocks: Certified,
}

/// A test that is, or was, in question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    /// Questions that came to a conclusion, in the order of their conclusions.
    pub(crate) closed: Vec<Inquiry>,
    /// The question that is open.
    pub(crate) open: Option<Inquiry>,
    /// Answered probes, in the order of their answers.
    pub(crate) shots: Vec<Shot>,
    /// Failures when it ran alone in a fresh container, at random levels or at ones that turned out to decide nothing.
    pub(crate) alone: Count,
    /// Failures when it ran after decoys, with those decoys.
    pub(crate) decoys: Vec<(Vec<u32>, bool)>,
}

impl Case {
    /// Returns how many probes were spent on it.
    pub(crate) fn probes(&self) -> usize {
        let questions = self.closed.iter().chain(&self.open);
        questions.map(|inquiry| inquiry.probes.len()).sum()
    }

    /// Counts the answer to a probe.
    pub(crate) fn count(&mut self, probe: &Probe<u32>, reply: &Reply<u32>) {
        let failed = match reply.answer {
            Answer::Failed => true,
            Answer::Passed => false,
            Answer::Void => return,
        };
        let [order] = &probe.processes[..] else {
            return;
        };
        let before: Vec<u32> = order[..order.len().saturating_sub(1)]
            .iter()
            .map(|(test, _)| *test)
            .collect();
        let plain =
            probe.beside.is_empty() && probe.factors.is_empty() && !before.contains(&probe.victim);
        if plain && before.is_empty() {
            tally(&mut self.alone, reply.answer);
        }
        let decoy = plain
            && probe.arm == Arm::Decoy
            && matches!(
                probe.question,
                Question::Polluter | Question::Setter | Question::Twice
            );
        if decoy {
            self.decoys.push((before.clone(), failed));
        }
        self.shots.push(Shot {
            solo: before.is_empty() && probe.beside.is_empty(),
            before,
            failed,
            plain,
            levels: reply.levels.clone(),
        });
    }

    /// Takes a question that came to its conclusion.
    pub(crate) fn close(&mut self, inquiry: Inquiry) {
        let certify = inquiry.opening.setup.certify();
        let by_level = certify.is_some_and(|it| matches!(it.treatment, Treatment::Level { .. }));
        if let (true, Some(Conclusion::Refuted(seen))) = (by_level, &inquiry.conclusion) {
            for count in [seen.counts.treated, seen.counts.alone] {
                self.alone.failures += count.failures;
                self.alone.trials += count.trials;
            }
        }
        self.closed.push(inquiry);
    }

    /// Did it fail the last few times that it ran alone?
    pub(crate) fn fails_alone_now(&self) -> bool {
        let alone = self.shots.iter().rev();
        let alone = alone.filter(|shot| shot.is_alone());
        let latest: Vec<bool> = alone
            .take(FIRST_ALONE as usize)
            .map(|shot| shot.failed)
            .collect();
        latest.len() == FIRST_ALONE as usize && !latest.contains(&false)
    }

    /// Returns the certified groups of a role.
    pub(crate) fn claims(&self, role: Role) -> Vec<Claim> {
        self.closed
            .iter()
            .filter_map(Inquiry::claim)
            .filter(|claim| claim.role == role)
            .collect()
    }

    /// Returns the members of the certified groups of a role.
    pub(crate) fn groups(&self, role: Role) -> Vec<Vec<u32>> {
        self.claims(role)
            .into_iter()
            .map(|claim| claim.group)
            .collect()
    }

    /// Returns the latest closed question that `wanted` picks.
    pub(crate) fn last(&self, wanted: impl Fn(&Inquiry) -> bool) -> Option<&Inquiry> {
        self.closed.iter().rev().find(|inquiry| wanted(inquiry))
    }

    /// Have the data doubled since this was asked?
    pub(crate) fn is_old(inquiry: &Inquiry, soak: Count) -> bool {
        let seen = inquiry.opening.seen;
        soak.failures >= 2 * seen.failures.max(1) || soak.trials >= 2 * seen.trials.max(1)
    }

    /// Was this asked already on data that have not doubled since?
    pub(crate) fn asked(&self, soak: Count, wanted: impl Fn(&Inquiry) -> bool) -> bool {
        self.last(wanted)
            .is_some_and(|inquiry| !Self::is_old(inquiry, soak))
    }

    /// Returns the certified blocks of the latest closed question of this kind.
    pub(crate) fn certified(&self, question: Question) -> Option<(&Inquiry, &Certified)> {
        self.closed
            .iter()
            .rev()
            .filter(|inquiry| inquiry.question == question)
            .find_map(|inquiry| match &inquiry.conclusion {
                Some(Conclusion::Certified(blocks)) => Some((inquiry, blocks)),
                _ => None,
            })
    }

    /// Is there a reason for failures of this test that is no other's: it always fails alone, or a cause is certified?
    pub(crate) fn is_explained(&self) -> bool {
        let alone = self.alone;
        let always = alone.trials >= u64::from(FIRST_ALONE) && alone.failures == alone.trials;
        let certified = |inquiry: &Inquiry| {
            inquiry.question != Question::Cleaner
                && matches!(inquiry.conclusion, Some(Conclusion::Certified(_)))
        };
        always || self.closed.iter().any(certified)
    }

    /// Failures alone, and after decoys none of which was ever suspected: how often it fails by itself.
    pub(crate) fn by_itself(&self) -> Count {
        let suspects: Vec<u32> = self
            .closed
            .iter()
            .chain(&self.open)
            .filter_map(Inquiry::treated_group)
            .flatten()
            .copied()
            .collect();
        let mut count = self.alone;
        for (decoys, failed) in &self.decoys {
            if !decoys.iter().any(|test| suspects.contains(test)) {
                count.trials += 1;
                count.failures += u64::from(*failed);
            }
        }
        count
    }

    /// Failures after decoys none of which turned out to be a polluter.
    pub(crate) fn clean_decoys(&self) -> Count {
        let polluters = self.groups(Role::Polluter).concat();
        let mut count = Count::default();
        for (decoys, failed) in &self.decoys {
            if !decoys.iter().any(|test| polluters.contains(test)) {
                count.trials += 1;
                count.failures += u64::from(*failed);
            }
        }
        count
    }
}

impl Inquiry {
    /// Returns the group that this question certified, if any.
    pub(crate) fn claim(&self) -> Option<Claim> {
        let (Some(Conclusion::Certified(blocks)), Setup::Blocks(certify)) =
            (&self.conclusion, &self.opening.setup)
        else {
            return None;
        };
        let role = match self.question {
            Question::Polluter => Role::Polluter,
            Question::Setter => Role::StateSetter,
            Question::Cleaner => Role::Cleaner,
            Question::Interference => Role::Neighbour,
            Question::Isolate
            | Question::Search
            | Question::Reduce
            | Question::Twice
            | Question::Environment
            | Question::Position
            | Question::Separate
            | Question::Minimal
            | Question::Locate
            | Question::Repeat => return None,
        };
        let group = match &certify.treatment {
            Treatment::Group(group) => group.clone(),
            Treatment::Beside(test) => vec![*test],
            Treatment::Twice | Treatment::Level { .. } | Treatment::Many { .. } => return None,
        };
        Some(Claim {
            role,
            group,
            of: certify.before.clone(),
            blocks: *blocks,
        })
    }

    /// Returns the group that a certification was about.
    pub(crate) fn treated_group(&self) -> Option<&[u32]> {
        match &self.opening.setup.certify()?.treatment {
            Treatment::Group(group) => Some(group),
            Treatment::Beside(test) => Some(std::slice::from_ref(test)),
            Treatment::Twice | Treatment::Level { .. } | Treatment::Many { .. } => None,
        }
    }
}
