//! Groups that are needed together: the smallest part of a failing order, where no single test explains it.

use super::{ALTERNATIVES, ATTEMPTS, Facts, Plan, SOME_RUNS};
use crate::{
    diagnose::{
        ledger::{Evidence, Family},
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
/// Nats by which a number of tests before must explain better than any one or two of them before no group is looked for.
const LEADS: f64 = 5.0;
/// Failing orders of which one is chosen.
const SHORTEST: usize = 3;
/// Nats by which the shortest may explain the recorded runs worse than the best of them.
const WORSE: f64 = 3.0;
/// Probability of a position from which it is compared with groups.
const POSITION: f64 = 0.5;
/// Probes that a reduction may spend.
const REDUCTION_RUNS: u32 = 300;
/// Recorded runs that are weighed in pairs, of each outcome, at most ...
const RUNS: usize = 200;
/// ... and tests in them altogether.
const TESTS_IN_RUNS: usize = 2_000_000;
/// Executions that a reduction takes for each test that the evidence leaves open.
const PER_TEST: f64 = 2.0;
/// Times as many as the order has that it takes when there is nothing to be found.
const IN_VAIN: f64 = 4.0;
/// Failures from which pairs that fit worse than a number of tests are no reason to wait, where one or many tests by
/// themselves fit better than both: pairs know of no two causes of which one is enough.
const FEW_FAILURES: u32 = 4;
/// Executions that it may take, over those of its order: while recorded runs come in, and beyond that.
const TIMES_ITS_ORDER: u64 = 3;
const TIMES_IN_THE_END: u64 = 6;
/// Executions that it may take beside those, for each time as many as its order.
const SPARE: u64 = 350;
/// Part of an order that the evidence leaves open from which it says nothing: then the whole order is run again first.
const FLAT: f64 = 0.8;

/// What ran before the victim in a run that showed the effect.
struct Shown {
    order: Vec<u32>,
    /// What recorded runs held of that.
    held: Vec<Held>,
    /// ln of how likely those are if one or two of `order` are the cause.
    ln_of_pairs: f64,
}

impl Shown {
    /// By how many nats "so many tests ran before it" explains the recorded runs better than any one or two of them.
    fn lead_of_position(&self, background: f64) -> f64 {
        pairs::ln_of_position(&self.held, background) - self.ln_of_pairs
    }
}

impl Facts<'_> {
    /// The smallest part of a run that showed the effect, among runs that no known group explains. Each further
    /// iteration rules out pairs, and makes it cheaper.
    /// `chance`: the probability that there is such a part.
    pub(super) fn reduce(
        &self,
        residual: &Evidence,
        passes: bool,
        known: usize,
        chance: f64,
    ) -> Option<Plan> {
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
        if soon || known >= ALTERNATIVES || self.failed_attempts(wanted) >= ATTEMPTS {
            return None;
        }
        let groups = self.case.groups(wanted.role());
        let background = self.background(passes);
        let tests = self.universe.names.len();
        let shown = self.order_to_reduce(residual, passes, background)?;
        let lead = shown.lead_of_position(background);
        let Shown {
            order, mut held, ..
        } = shown;
        held.extend(self.probed(passes, &order, &groups));
        let weighed = pairs::weigh(order.len(), tests, &held, background);
        let mut chance = chance;
        if self.soak.trials >= SOME_RUNS {
            // Where a search finds nobody, there is half as often anything to be found at all.
            chance *= (-real(self.in_vain(wanted))).exp2();
        }
        // Unless the runs themselves tell that two are needed.
        chance = chance.max(weighed.share_of_two(&held, background));
        if !passes && known == 0 {
            if lead > LEADS && self.likely_position() {
                return None;
            }
            if self.likely_position() || residual.total.failed < FEW_FAILURES {
                chance = chance.min(1.0 / (1.0 + lead.exp()));
            }
        }
        let needed = weighed.needed;
        let open = perplexity(&needed);
        let doubtful = open > FLAT * real(order.len() as u64);
        let length = real(order.len() as u64);
        let executions = PER_TEST * open + (1.0 - chance) * IN_VAIN * length;
        let falls = executions * self.mean_seconds();
        let search = Search {
            wanted,
            known: if known == 0 { Vec::new() } else { groups },
            first: Vec::new(),
            runs: 0,
            executions: 0,
            open: 0,
        };
        let weights = self.passive(&search).weights;
        let weights: Vec<f64> = order
            .iter()
            .map(|test| weights.get(*test as usize).copied().unwrap_or(0.0))
            .collect();
        let cost = falls + 60.0 * self.cost_of(&[]);
        let times = if self.pressing {
            TIMES_IN_THE_END
        } else {
            TIMES_ITS_ORDER
        };
        let start = minimize::Start {
            list: (0..).take(order.len()).collect(),
            weights,
            needed,
            rate: 0.8,
            background: background.clamp(0.0, 0.2),
            doubtful,
            runs: REDUCTION_RUNS,
            executions: times * (order.len() as u64 + SPARE),
        };
        let setup = Setup::Reduce(Reduce {
            order,
            passes,
            start,
        });
        let plan = self.plan(Question::Reduce, false, setup, cost);
        Some(plan.falling(falls).with_chance(chance))
    }

    /// Was a failing order (or for `passes` a passing one) reduced before, to whatever end?
    pub(super) fn was_reduced(&self, passes: bool) -> bool {
        self.case
            .last(|inquiry| is_reduction(inquiry, passes))
            .is_some()
    }

    /// One of the shortest runs that showed the effect, as far as it can run again, never empty. A failure that was a stray has an order that explains the others badly.
    fn order_to_reduce(&self, residual: &Evidence, passes: bool, background: f64) -> Option<Shown> {
        let in_vain: Vec<&Vec<u32>> = self
            .case
            .closed
            .iter()
            .filter(|inquiry| !matches!(inquiry.conclusion, Some(Conclusion::Found(_))))
            .filter_map(|inquiry| {
                let reduce = inquiry.opening.setup.reduce()?;
                (reduce.passes == passes).then_some(&reduce.order)
            })
            .collect();
        let all = self.ledger.runs(self.victim);
        let mut shown: Vec<_> = residual
            .runs
            .iter()
            .filter(|run| run.failed != passes && run.rank > 0)
            .collect();
        shown.sort_by_key(|run| (run.rank, run.segment));
        let orders = shown.into_iter().filter_map(|run| {
            let at = all.iter().position(|other| other.segment == run.segment)?;
            let mut order = self.ledger.prefix(self.victim, at);
            order.retain(|test| {
                *test != self.victim
                    && self.universe.present[*test as usize]
                    && !self.deadly[*test as usize]
            });
            let fresh = !order.is_empty() && order.len() <= LONGEST_ORDER;
            (fresh && !in_vain.contains(&&order)).then_some(order)
        });
        let tests = self.universe.names.len();
        let mut weighed: Vec<Shown> = orders
            .take(SHORTEST)
            .map(|order| {
                let held = self.recorded(residual, passes, &order);
                let ln_of_pairs = pairs::weigh(order.len(), tests, &held, background).ln;
                Shown {
                    order,
                    held,
                    ln_of_pairs,
                }
            })
            .collect();
        let ln = weighed.iter().map(|shown| shown.ln_of_pairs);
        let best = ln.fold(f64::MIN, f64::max);
        let good = |shown: &Shown| shown.ln_of_pairs >= best - WORSE;
        let at = weighed.iter().position(good)?;
        Some(weighed.swap_remove(at))
    }

    /// Is how much ran before the likeliest of all, and also likelier than any one or two of the tests that did?
    pub(super) fn position_leads(&self) -> bool {
        let background = self.background(false);
        let leads = |shown: Shown| shown.lead_of_position(background) > LEADS;
        self.likely_position()
            && self
                .order_to_reduce(self.evidence(), false, background)
                .is_none_or(leads)
    }

    fn likely_position(&self) -> bool {
        super::share(&self.posterior(), Family::Position) > POSITION
    }

    /// What recorded runs held of `order`: the latest with the effect, and as many without.
    fn recorded(&self, residual: &Evidence, passes: bool, order: &[u32]) -> Vec<Held> {
        let candidates = self.places(order);
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
                    rank: run.rank,
                    effect,
                });
            }
        }
        held
    }

    /// What probes held of `order` that no known group explains.
    fn probed(&self, passes: bool, order: &[u32], groups: &[Vec<u32>]) -> Vec<Held> {
        let candidates = self.places(order);
        let explained = |before: &[u32]| {
            groups
                .iter()
                .any(|group| group.iter().all(|test| before.contains(test)))
        };
        let shots = self.case.shots.iter();
        shots
            .filter(|shot| shot.plain && !explained(&shot.before))
            .map(|shot| Held {
                candidates: candidates(&shot.before),
                rank: u32::try_from(shot.before.len()).unwrap_or(u32::MAX),
                effect: shot.failed != passes,
            })
            .collect()
    }

    /// The places in `order` of those tests that have one.
    fn places(&self, order: &[u32]) -> impl Fn(&[u32]) -> Vec<u32> + use<> {
        let mut places = vec![None; self.universe.names.len()];
        for (place, test) in (0..).zip(order) {
            places[*test as usize] = Some(place);
        }
        move |tests| {
            let known = tests.iter().filter_map(|test| places[*test as usize]);
            known.collect()
        }
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
    let reduce = inquiry.opening.setup.reduce();
    reduce.is_some_and(|reduce| reduce.passes == passes)
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
