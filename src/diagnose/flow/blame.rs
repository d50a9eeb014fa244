//! From a search to a certificate, and from one certified group to the next: alternatives, cleaners, separators,
//! where the state lives.

use super::{Facts, Plan, at_most};
use crate::{
    diagnose::{
        case::Claim,
        ledger::Evidence,
        question::{Conclusion, Inquiry},
        ranking,
        setup::{Locate, Search, Separate, Setup, Wanted},
    },
    model::{Question, Role},
};

/// Probability from which a cleaner is searched for ...
const CLEANER_FROM: f64 = 0.9;
/// ... and where the effect showed nearly always in blocks, so that a pass needs a reason.
const CLEANER_FROM_SURE: f64 = 0.1;
/// From this rate on it showed nearly always.
const SURE: f64 = 0.9;

/// Different tests that must each take away the effect before it counts as one that shows only directly before the
/// victim, for a sure effect. Where a fifth of all tests leave it, one in 35 would still be missed.
const SEPARATORS: f64 = 16.0;
/// The same for any effect, at most.
const MOST_SEPARATORS: u32 = 48;
/// Fewer cleared tests than this are too much alike.
const ENOUGH_SEPARATORS: usize = 16;

impl Facts<'_> {
    /// Certifies what the latest search or reduction found, if that is still to be done.
    pub(super) fn certify_found(&self, wanted: Wanted) -> Option<Plan> {
        let question = wanted.certified_as();
        let found = |inquiry: &Inquiry| {
            let Some(Conclusion::Found(group)) = &inquiry.conclusion else {
                return None;
            };
            if let Setup::Reduce(reduce) = &inquiry.opening.setup {
                let same = reduce.passes == (wanted == Wanted::Setter);
                return (same && wanted != Wanted::Cleaner).then(|| (group.clone(), Vec::new()));
            }
            let search = inquiry.opening.setup.search()?;
            let before = match wanted {
                Wanted::Cleaner => search.known.first().cloned().unwrap_or_default(),
                Wanted::Polluter | Wanted::Setter => Vec::new(),
            };
            (search.wanted == wanted).then(|| (group.clone(), before))
        };
        // What was found last, unless it was put to the test since.
        for inquiry in self.case.closed.iter().rev() {
            if inquiry.question == question {
                return self.certify_rest(inquiry);
            }
            if let Some((group, before)) = found(inquiry) {
                return self.certify(question, group, before);
            }
        }
        None
    }

    /// Certifies what is left of a group of which one member turned out not to be needed.
    fn certify_rest(&self, inquiry: &Inquiry) -> Option<Plan> {
        let Some(Conclusion::Spare(_, spare)) = inquiry.conclusion else {
            return None;
        };
        let group = inquiry.treated_group()?.iter().copied();
        let rest = group.filter(|member| *member != spare).collect();
        let before = inquiry.opening.setup.certify()?.before.clone();
        self.certify(inquiry.question, rest, before)
    }

    /// What is still to be asked about certified groups of a role.
    pub(super) fn follow_up(&self, role: Role) -> Option<Plan> {
        let claims = self.case.claims(role);
        claims
            .iter()
            .find_map(|claim| self.separate(claim))
            .or_else(|| {
                (role == Role::Polluter)
                    .then(|| claims.iter().find_map(|claim| self.cleaner(claim)))
                    .flatten()
            })
            .or_else(|| claims.first().and_then(|claim| self.locate(claim)))
    }

    /// How often the effect showed with the group, in blocks.
    fn effect_rate(claim: &Claim) -> f64 {
        let count = claim.blocks.counts.treated;
        #[expect(clippy::cast_precision_loss, reason = "at most some hundred blocks")]
        let rate = (count.failures as f64 + 0.5) / (count.trials as f64 + 1.0);
        if claim.role == Role::StateSetter {
            1.0 - rate
        } else {
            rate
        }
    }

    /// A separator, where recorded runs show the effect more seldom after the group than blocks do.
    fn separate(&self, claim: &Claim) -> Option<Plan> {
        let asked = |inquiry: &Inquiry| matches!(&inquiry.opening.setup, Setup::Separate(it) if it.group == claim.group);
        let [one] = claim.group[..] else {
            return None;
        };
        if self.case.last(asked).is_some() {
            return None;
        }
        let passes = claim.role == Role::StateSetter;
        let rate = Self::effect_rate(claim);
        let soak = self.evidence().before[one as usize];
        let soak = if passes { soak.swapped() } else { soak };
        let seen = (f64::from(soak.failed) + 0.5) / (f64::from(soak.trials()) + 1.0);
        if soak.passed < 2 || seen >= 0.7 * rate {
            return None;
        }
        self.separate_now(claim)
    }

    /// A separator, unless one was tried.
    fn separate_now(&self, claim: &Claim) -> Option<Plan> {
        let asked = |inquiry: &Inquiry| matches!(&inquiry.opening.setup, Setup::Separate(it) if it.group == claim.group);
        if claim.group.len() > 1 || self.case.last(asked).is_some() {
            return None;
        }
        let passes = claim.role == Role::StateSetter;
        let rate = Self::effect_rate(claim);
        let pool = self.separators(claim);
        let times = at_most(SEPARATORS / rate.max(0.1), MOST_SEPARATORS);
        let cost = f64::from(times) * 2.0 * self.cost_of(&claim.group);
        Some(self.plan(
            Question::Separate,
            false,
            Setup::Separate(Separate {
                group: claim.group.clone(),
                pool,
                times,
                rate,
                passes,
            }),
            cost,
        ))
    }

    /// Tests to stand between a group and the victim: those that are cleared of the effect; in a small suite all that
    /// are not known to have it.
    fn separators(&self, claim: &Claim) -> Vec<u32> {
        let passes = claim.role == Role::StateSetter;
        let cleared = self.pool(&claim.group, passes);
        if cleared.len() >= ENOUGH_SEPARATORS {
            return cleared;
        }
        let guilty = self.case.groups(claim.role).concat();
        let acted = |test: u32| {
            let mut shots = self.case.shots.iter();
            shots.any(|shot| shot.before == [test] && shot.failed != passes)
        };
        let tests = (0..).zip(&self.universe.present).filter(|(_, here)| **here);
        tests
            .map(|(test, _)| test)
            .filter(|test| {
                *test != self.victim
                    && !self.deadly[*test as usize]
                    && !self.ledger.is_struck(*test)
                    && !guilty.contains(test)
                    && !acted(*test)
            })
            .collect()
    }

    pub(super) fn pool(&self, group: &[u32], passes: bool) -> Vec<u32> {
        ranking::cleared(
            self.universe,
            self.deadly,
            self.evidence(),
            self.case,
            (self.victim, group, passes),
        )
    }

    /// A cleaner, while the victim passes after its polluter for no known reason.
    fn cleaner(&self, claim: &Claim) -> Option<Plan> {
        let adjacent = |inquiry: &Inquiry| {
            matches!(&inquiry.opening.setup, Setup::Separate(it) if it.group == claim.group)
                && matches!(inquiry.conclusion, Some(Conclusion::Adjacent(_)))
        };
        if self.case.last(adjacent).is_some() {
            return None;
        }
        let mut known = vec![claim.group.clone()];
        for cleaner in self.case.claims(Role::Cleaner) {
            if cleaner.of == claim.group {
                known.push(cleaner.group);
            }
        }
        let cleaning = self.ledger.cleaning(self.victim, &claim.group);
        if !self.suspects_a_cleaner(claim, &cleaning, &known) {
            return None;
        }
        // After a polluter that acts only directly before the victim, any test at all would be its cleaner.
        if let Some(plan) = self.separate_now(claim) {
            return Some(plan);
        }
        let open = |inquiry: &Inquiry| {
            matches!(&inquiry.opening.setup, Setup::Search(it)
                if it.wanted == Wanted::Cleaner && it.known == known
                    && matches!(inquiry.conclusion, Some(Conclusion::Found(_))))
        };
        if self.case.last(open).is_some() {
            let certified = self.certify_found(Wanted::Cleaner);
            if certified.is_some() {
                return certified;
            }
        }
        self.search(Wanted::Cleaner, known, Vec::new(), 1.0)
    }

    /// Does a cleaner fit the recorded passes after the group better than chance, where no known cleaner explains them?
    fn suspects_a_cleaner(&self, claim: &Claim, cleaning: &Evidence, known: &[Vec<u32>]) -> bool {
        let from = if Self::effect_rate(claim) >= SURE {
            CLEANER_FROM_SURE
        } else {
            CLEANER_FROM
        };
        let all = self.ledger.runs(self.victim);
        let (polluter, cleaners) = known.split_first().expect("the polluter comes first");
        let unexplained = cleaning.runs.iter().filter(|run| !run.failed).any(|run| {
            let at = all.iter().position(|other| other.segment == run.segment);
            let prefix = at.map_or_else(Vec::new, |at| self.ledger.prefix(self.victim, at));
            let last = prefix.iter().rposition(|test| polluter.contains(test));
            let after = &prefix[last.map_or(0, |last| last + 1)..];
            !cleaners
                .iter()
                .any(|group| group.iter().all(|test| after.contains(test)))
        });
        unexplained
            && self
                .passive(&Search {
                    wanted: Wanted::Cleaner,
                    known: known.to_vec(),
                    first: Vec::new(),
                    runs: 0,
                    executions: 0,
                    open: 0,
                })
                .family
                >= from
    }

    /// Does the state reach the next process of the same container?
    fn locate(&self, claim: &Claim) -> Option<Plan> {
        let asked = |inquiry: &Inquiry| inquiry.question == Question::Locate;
        if self.case.last(asked).is_some() || claim.role == Role::Cleaner {
            return None;
        }
        let rate = Self::effect_rate(claim).clamp(0.05, 0.95);
        let times = at_most(0.05_f64.ln() / (1.0 - rate).ln(), 20);
        let cost = f64::from(times) * (self.cost_of(&claim.group) + self.policy.container_seconds);
        Some(self.plan(
            Question::Locate,
            false,
            Setup::Locate(Locate {
                group: claim.group.clone(),
                times,
                passes: claim.role == Role::StateSetter,
            }),
            cost,
        ))
    }
}
