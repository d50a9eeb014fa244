//! Groups that are needed together: the smallest part of a failing order, where no single test explains it.

use super::{ATTEMPTS, Facts, Plan};
use crate::{
    diagnose::{
        ledger::Evidence,
        question::{Conclusion, Inquiry, Ranking},
        ranking,
        setup::{Reduce, Search, Setup, Wanted},
    },
    minimize,
    model::Question,
    stats::{
        pairs::{self, Held},
        special::real,
    },
};

/// Tests in a failing order beyond which a reduction is not tried: it would take thousands of executions.
const LONGEST_ORDER: usize = 30_000;
/// Probes that a reduction may spend.
const REDUCTION_RUNS: u32 = 300;
/// Recorded runs that are weighed in pairs, of each outcome, at most ...
const RUNS: usize = 200;
/// ... and tests in them altogether.
const TESTS_IN_RUNS: usize = 2_000_000;
/// Executions that a reduction takes for each test that the evidence leaves open.
const PER_TEST: f64 = 4.0;
/// Executions that are never too many.
const CHEAP: f64 = 300.0;
/// Runs after which a reduction may take as many executions more as the suite has tests.
const RUNS_PER_SUITE: f64 = 20.0;

impl Facts<'_> {
    /// The smallest part of a run that showed the effect, among runs that no known group explains. It waits for more
    /// evidence while it would be dear: each further iteration rules out pairs.
    pub(super) fn reduce(&self, residual: &Evidence, passes: bool, known: usize) -> Option<Plan> {
        let again = |inquiry: &Inquiry| {
            is_reduction(inquiry, passes)
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
        let groups = self.case.groups(wanted.role());
        let background = self.background(passes);
        let needed = self.needed(residual, passes, &order, &groups, background);
        let executions = PER_TEST * perplexity(&needed);
        if !self.pressing && executions > self.affordable() {
            return None;
        }
        let search = Search {
            wanted,
            known: if known == 0 { Vec::new() } else { groups },
            first: Vec::new(),
            runs: 0,
            executions: 0,
        };
        let weights = self.passive(&search).weights;
        let weights: Vec<f64> = order
            .iter()
            .map(|test| weights.get(*test as usize).copied().unwrap_or(0.0))
            .collect();
        let cost = executions * self.mean_seconds() + 60.0 * self.cost_of(&[]);
        let start = minimize::Start {
            list: (0..).take(order.len()).collect(),
            weights,
            needed,
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

    /// Executions that a reduction may take by now: more, the longer the soak has not made it cheaper.
    fn affordable(&self) -> f64 {
        let tests = self.universe.present.iter().filter(|here| **here).count();
        let suites = 1.0 + real(self.soak.trials) / RUNS_PER_SUITE;
        (real(tests as u64) * suites).max(CHEAP)
    }

    /// Was a failing order (or for `passes` a passing one) reduced before, to whatever end?
    pub(super) fn was_reduced(&self, passes: bool) -> bool {
        self.case
            .last(|inquiry| is_reduction(inquiry, passes))
            .is_some()
    }

    /// For each test of `order`, the probability that it is needed, by recorded runs that no known group explains and
    /// by probes.
    fn needed(
        &self,
        residual: &Evidence,
        passes: bool,
        order: &[u32],
        groups: &[Vec<u32>],
        background: f64,
    ) -> Vec<f64> {
        let mut places = vec![u32::MAX; self.universe.names.len()];
        for (place, test) in (0..).zip(order) {
            places[*test as usize] = place;
        }
        let candidates = |tests: &[u32]| -> Vec<u32> {
            tests
                .iter()
                .map(|test| places[*test as usize])
                .filter(|place| *place != u32::MAX)
                .collect()
        };
        let most = RUNS.min(TESTS_IN_RUNS / self.universe.names.len().max(1));
        let all = self.ledger.runs(self.victim);
        let mut held = Vec::new();
        for effect in [true, false] {
            let runs = residual.runs.iter().rev();
            let runs = runs.filter(|run| (run.failed != passes) == effect);
            for run in runs.take(most) {
                let Some(at) = all.iter().position(|other| other.segment == run.segment) else {
                    continue;
                };
                held.push(Held {
                    candidates: candidates(&self.ledger.prefix(self.victim, at)),
                    effect,
                });
            }
        }
        let explained = |before: &[u32]| {
            groups
                .iter()
                .any(|group| group.iter().all(|test| before.contains(test)))
        };
        for shot in self.case.shots.iter().filter(|shot| shot.plain) {
            if !explained(&shot.before) {
                held.push(Held {
                    candidates: candidates(&shot.before),
                    effect: shot.failed != passes,
                });
            }
        }
        pairs::needed(order.len(), &held, background)
    }

    /// How often the effect shows where its cause did not run: alone, and after tests that turned out not to hold it.
    fn background(&self, passes: bool) -> f64 {
        let alone = self.case.alone;
        let effects = if passes {
            alone.trials - alone.failures
        } else {
            alone.failures
        };
        let without = self
            .case
            .shots
            .iter()
            .filter(|shot| shot.plain && !shot.before.is_empty() && shot.failed == passes);
        let trials = alone.trials + without.count() as u64;
        (real(effects) + 0.05) / (real(trials) + 1.0)
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
}

fn is_reduction(inquiry: &Inquiry, passes: bool) -> bool {
    matches!(&inquiry.opening.setup, Setup::Reduce(reduce) if reduce.passes == passes)
}

/// How many tests these probabilities leave open.
fn perplexity(needed: &[f64]) -> f64 {
    let total: f64 = needed.iter().sum();
    let entropy: f64 = needed
        .iter()
        .map(|share| share / total.max(f64::MIN_POSITIVE))
        .filter(|share| *share > 0.0)
        .map(|share| -share * share.ln())
        .sum();
    entropy.exp()
}
