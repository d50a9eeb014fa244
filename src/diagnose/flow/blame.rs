//! From a search to a certificate, and from one certified group to the next: alternatives, groups that are needed
//! together, cleaners, separators, where the state lives.

use super::{ATTEMPTS, Facts, Plan, at_most};
use crate::{
    diagnose::{
        case::Claim,
        ledger::Evidence,
        question::{Conclusion, Inquiry, Ranking},
        ranking,
        setup::{Locate, Reduce, Search, Separate, Setup, Wanted},
    },
    minimize,
    model::{Question, Role},
};

/// Tests in a failing order beyond which a reduction is not tried: it would take thousands of executions.
const LONGEST_ORDER: usize = 30_000;

/// Probability from which a cleaner is searched for.
const CLEANER_FROM: f64 = 0.5;
/// Probes that a reduction may spend.
const REDUCTION_RUNS: u32 = 300;

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
                return None;
            }
            if let Some((group, before)) = found(inquiry) {
                return self.certify(question, group, before);
            }
        }
        None
    }

    /// The smallest part of a run that showed the effect, among runs that no known group explains.
    pub(super) fn reduce(&self, residual: &Evidence, passes: bool, known: usize) -> Option<Plan> {
        let again = |inquiry: &Inquiry| {
            matches!(&inquiry.opening.setup, Setup::Reduce(reduce) if reduce.passes == passes)
                && !matches!(inquiry.conclusion, Some(Conclusion::Found(_)))
        };
        let half_again =
            |inquiry: &Inquiry| 2 * self.soak.failures >= 3 * inquiry.opening.seen.failures.max(1);
        let wanted = if passes {
            Wanted::Setter
        } else {
            Wanted::Polluter
        };
        let soon = self.case.last(again).is_some_and(|last| !half_again(last));
        if soon || self.failed_attempts(wanted) >= ATTEMPTS {
            return None;
        }
        let all = self.ledger.runs(self.victim);
        let (_, at) = residual
            .runs
            .iter()
            .filter(|run| run.failed != passes && run.rank > 0)
            .filter_map(|run| {
                let at = all.iter().position(|other| other.segment == run.segment)?;
                Some((run.rank, at))
            })
            .min()?;
        let order: Vec<u32> = self
            .ledger
            .prefix(self.victim, at)
            .into_iter()
            .filter(|test| {
                *test != self.victim
                    && self.universe.present[*test as usize]
                    && !self.deadly[*test as usize]
            })
            .collect();
        if order.is_empty() || order.len() > LONGEST_ORDER {
            return None;
        }
        let role = if passes {
            Role::StateSetter
        } else {
            Role::Polluter
        };
        let search = Search {
            wanted,
            known: if known == 0 {
                Vec::new()
            } else {
                self.case.groups(role)
            },
            first: Vec::new(),
            runs: 0,
            executions: 0,
        };
        let weights = self.passive(&search).weights;
        let weights: Vec<f64> = order
            .iter()
            .map(|test| weights.get(*test as usize).copied().unwrap_or(0.0))
            .collect();
        let background = self.background(passes);
        let cost = self.cost_of(&order) * 8.0 + 60.0 * self.cost_of(&[]);
        let start = minimize::Start {
            list: (0..).take(order.len()).collect(),
            weights,
            rate: 0.8,
            background: background.clamp(0.0, 0.2),
            runs: REDUCTION_RUNS,
            executions: 6 * order.len() as u64 + 2000,
        };
        Some(self.plan(
            Question::Reduce,
            false,
            Setup::Reduce(Reduce {
                order,
                passes,
                start,
            }),
            cost,
        ))
    }

    /// How often the effect shows where its cause did not run: alone, and after tests that turned out not to hold it.
    fn background(&self, passes: bool) -> f64 {
        let alone = self.case.alone;
        let effects = if passes {
            alone.trials - alone.failures
        } else {
            alone.failures
        };
        let without = self.case.shots.iter().filter(|shot| {
            shot.plain && !shot.before.is_empty() && shot.failed == passes
        });
        let trials = alone.trials + without.count() as u64;
        #[expect(clippy::cast_precision_loss, reason = "a few hundred runs")]
        let background = (effects as f64 + 0.05) / (trials as f64 + 1.0);
        background
    }

    /// The ranking by recorded runs alone: probes of single tests speak against each member of a group.
    pub(super) fn passive(&self, search: &Search<u32>) -> Ranking {
        ranking::Source {
            universe: self.universe,
            ledger: self.ledger,
            tables: self.tables,
            victim: self.victim,
            shots: &[],
        }
        .rank(search)
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
        let pool = self.pool(&claim.group, passes);
        let times = at_most(4.0 / rate.max(0.1), 30);
        let cost = f64::from(times) * 5.0 * self.cost_of(&claim.group);
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
        if !self.suspects_a_cleaner(&cleaning, &known) {
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
        self.search(Wanted::Cleaner, known, Vec::new())
    }

    /// Does a cleaner fit the recorded passes after the group better than chance, where no known cleaner explains them?
    fn suspects_a_cleaner(&self, cleaning: &Evidence, known: &[Vec<u32>]) -> bool {
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
                })
                .family
                >= CLEANER_FROM
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
