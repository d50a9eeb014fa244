//! A test that sometimes fails alone: a factor decides, or nothing does. Then still: does a polluter make it worse?

use super::{Facts, Plan, at_most, order, share};
use crate::{
    diagnose::{
        ledger::{Family, Posterior},
        observation::Levels,
        question::{Conclusion, Inquiry},
        setup::{Settings, Setup, Split, Wanted},
    },
    model::{Count, Question, Role},
    stats::tournament::prior,
};

/// Failures alone that make failing alone a fact.
pub(crate) const FACT: u64 = 2;
/// Runs alone that may be spent on that.
const MOST: u32 = 1000;
/// Probability of a level, or of a neighbour elsewhere, from which it is tried before it is certain that the test fails alone.
const CAUSE_FIRST: f64 = 0.5;
/// Probability of a neighbour from which failing alone is no verdict yet. It is above that from which it is tried: what
/// was tried in vain before must not come and go with each passing run.
const DISTURBED: f64 = 0.8;
/// Failures that its rate in recorded runs would bring in those: that rate may be a lucky one.
const OFTEN: f64 = 24.0;
/// One that fails no more often than tests do for no reason of their own gets fewer.
const MOST_OF_STRAYS: u32 = 100;
/// How often the levels of a failing and of a passing run must repeat what they showed.
const TIMES: u32 = 6;
/// Probability from which a polluter on top of a background is searched for.
const SEARCH_FROM: f64 = 0.5;
/// Probability from which a level is tried.
const LEVEL_FROM: f64 = 0.15;

/// An experiment that follows from the ranking.
type Cause = fn(&Facts<'_>, &Posterior) -> Option<Plan>;

/// What to ask next about a test that failed alone, but not always.
pub(super) fn next(facts: &Facts<'_>) -> Option<Plan> {
    if let Some(plan) = order::twice(facts) {
        return Some(plan);
    }
    if facts.case.certified(Question::Environment).is_some() {
        return None;
    }
    if let Some(plan) = split(facts) {
        return Some(plan);
    }
    if facts.evidence().total.failed > 0 {
        let posterior = facts.posterior();
        let causes = [
            (
                share(&posterior, Family::Environment),
                order::level as Cause,
            ),
            (overlap_share(facts, &posterior), order::beside),
        ];
        for (share, cause) in causes {
            if share > CAUSE_FIRST
                && let Some(plan) = cause(facts, &posterior)
            {
                return Some(plan);
            }
        }
    }
    if facts.missing_failures() > 0 {
        let soak = facts.ledger.soak(facts.victim);
        let most = if facts.strays().explain(soak, facts.case.alone) {
            MOST_OF_STRAYS
        } else {
            MOST
        };
        let most = at_most(OFTEN / facts.rate(), most);
        let missing = u32::try_from(facts.missing_failures()).unwrap_or(u32::MAX);
        if let Some(plan) = facts.alone(most, 8, missing) {
            return Some(plan);
        }
    }
    if facts.are_strays() {
        return None;
    }
    let polluters = facts.case.groups(Role::Polluter);
    if !polluters.is_empty() && facts.passes_without() {
        let residual = facts.ledger.residual(facts.victim, &polluters);
        if residual.total.failed > 0
            && let Some(plan) = facts.by_itself(&residual, order::SETTLED, order::ALONE_MOST)
        {
            return Some(plan);
        }
    }
    for wanted in [Wanted::Polluter, Wanted::Setter] {
        if let Some(plan) = facts.certify_found(wanted) {
            return Some(plan);
        }
    }
    worse_after(facts)
}

/// A polluter or a level on top of a background.
fn worse_after(facts: &Facts<'_>) -> Option<Plan> {
    let looked = |inquiry: &Inquiry| {
        matches!(&inquiry.opening.setup, Setup::Search(it) if it.wanted == Wanted::Polluter)
            && inquiry.conclusion == Some(Conclusion::NotFound)
    };
    if facts.case.asked(facts.soak, looked) {
        return facts.follow_up(Role::Polluter);
    }
    let polluters = facts.case.groups(Role::Polluter);
    let posterior = facts.posterior();
    if share(&posterior, Family::Environment) > LEVEL_FROM
        && let Some(plan) = order::level(facts, &posterior)
    {
        return Some(plan);
    }
    if overlap_share(facts, &posterior) > LEVEL_FROM
        && let Some(plan) = order::beside(facts, &posterior)
    {
        return Some(plan);
    }
    let predecessor = share(&posterior, Family::Predecessor) + share(&posterior, Family::Many);
    if polluters.is_empty() && predecessor > SEARCH_FROM {
        return facts.search(Wanted::Polluter, polluters, Vec::new(), predecessor);
    }
    if polluters.is_empty() && share(&posterior, Family::Setter) > SEARCH_FROM {
        return facts.search(
            Wanted::Setter,
            facts.case.groups(Role::StateSetter),
            Vec::new(),
            1.0,
        );
    }
    facts.follow_up(Role::Polluter)
}

impl Facts<'_> {
    /// May a test elsewhere be what makes it fail? Its failures alone say nothing against that while it is asked, or is
    /// the first thing to be asked: the same neighbour may have run beside those, too.
    pub(crate) fn may_be_disturbed(&self) -> bool {
        let asks = |inquiry: &Inquiry| inquiry.question == Question::Interference;
        self.case.open.as_ref().is_some_and(asks) || {
            let posterior = self.posterior();
            overlap_share(self, &posterior) > DISTURBED && order::beside(self, &posterior).is_some()
        }
    }
}

/// Probability that a test elsewhere disturbs. Its failures alone say nothing against that: the same neighbour may
/// have run beside those too.
fn overlap_share(facts: &Facts<'_>, posterior: &Posterior) -> f64 {
    let evidence = facts.evidence();
    let best = posterior.best.overlap;
    let cell = best.and_then(|test| evidence.overlap.get(test as usize));
    let Some(cell) = cell.copied() else {
        return 0.0;
    };
    let without = evidence.overlapped.without(cell);
    let tests = u32::try_from(evidence.overlap.len()).unwrap_or(u32::MAX);
    let odds = facts.tables.ln_bf(cell, without).exp() * prior::OVERLAP
        / (f64::from(tests.max(1)) * prior::NOTHING);
    odds / (1.0 + odds)
}

/// Do the levels of a failing run decide? First all settable factors together, then each by itself; then blocks.
fn split(facts: &Facts<'_>) -> Option<Plan> {
    let together = facts
        .case
        .closed
        .iter()
        .find(|inquiry| is_split(inquiry, None));
    let Some(together) = together else {
        let failing = settings(facts, true)?;
        let passing = settings(facts, false)?;
        return Some(plan(facts, failing, passing));
    };
    if together.conclusion != Some(Conclusion::Splits(true)) {
        return None;
    }
    let Setup::Split(Split {
        failing, passing, ..
    }) = &together.opening.setup
    else {
        return None;
    };
    let differing: Vec<&(String, String)> = failing
        .iter()
        .filter(|level| !passing.contains(level))
        .collect();
    for (factor, level) in differing.iter().copied() {
        let other = passing.iter().find(|(name, _)| name == factor)?;
        if differing.len() > 1 {
            let one = facts
                .case
                .last(|inquiry| is_split(inquiry, Some((factor, level))));
            let Some(one) = one else {
                let mut held = passing.clone();
                held.retain(|(name, _)| name != factor);
                let with = [held.clone(), vec![(factor.clone(), level.clone())]].concat();
                let without = [held, vec![other.clone()]].concat();
                return Some(plan(facts, with, without));
            };
            if one.conclusion != Some(Conclusion::Splits(true)) {
                continue;
            }
        }
        let times = u64::from(TIMES);
        let (with, without) = (
            Count {
                failures: times,
                trials: times,
            },
            Count {
                failures: 0,
                trials: times,
            },
        );
        return order::certify_level(facts, factor, level, &other.1, with, without);
    }
    None
}

/// Is it the split of all factors, or of one?
fn is_split(inquiry: &Inquiry, of: Option<(&str, &str)>) -> bool {
    let Setup::Split(split) = &inquiry.opening.setup else {
        return false;
    };
    let differing: Vec<_> = split
        .failing
        .iter()
        .filter(|level| !split.passing.contains(level))
        .collect();
    match of {
        None => true,
        Some((factor, level)) => {
            matches!(differing[..], [(f, l)] if f == factor && l == level)
        }
    }
}

fn plan(facts: &Facts<'_>, failing: Settings, passing: Settings) -> Plan {
    facts.plan(
        Question::Repeat,
        false,
        Setup::Split(Split {
            failing,
            passing,
            times: TIMES,
        }),
        4.0 * facts.cost_of(&[]),
    )
}

/// Settable levels of the latest solo run that failed, or passed; `None` when there is no settable factor.
fn settings(facts: &Facts<'_>, failed: bool) -> Option<Settings> {
    let shot = facts
        .case
        .shots
        .iter()
        .rev()
        .find(|shot| shot.solo && shot.failed == failed)?;
    let settings: Settings = shot
        .levels
        .iter()
        .filter(|(name, _)| {
            facts.policy.factors.iter().any(|factor| {
                factor.settable
                    && factor.name == *name
                    && match &factor.levels {
                        Levels::Listed(levels) => levels.len() > 1,
                        Levels::Number => true,
                    }
            })
        })
        .cloned()
        .collect();
    (!settings.is_empty()).then_some(settings)
}
