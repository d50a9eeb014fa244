//! A test that always fails alone: broken, or in need of a test before it.

use super::{FIRST_ALONE, Facts, Plan, share};
use crate::{
    diagnose::{
        ledger::Family,
        question::Inquiry,
        setup::{Alone, Setup, Wanted},
    },
    model::{Question, Role},
    stats::{Cell, special::ln_sequence},
};

/// Runs alone until "it always fails alone" is believed, where nobody is needed to explain its passes.
const ALONE: u32 = 12;
/// Runs of a regression on each side of the change.
const SIDES: u32 = 5;
/// Failures in a row until which a regression is waited for.
const WAIT: u32 = 20;
/// One stray failure in so many runs before a regression may be anything.
const STRAY: u32 = 20;

/// What to ask next about a test that always failed alone.
pub(super) fn next(facts: &Facts<'_>) -> Option<Plan> {
    let total = facts.evidence().total;
    if total.passed == 0 || facts.regressed().is_some() || facts.may_have_regressed() {
        return None;
    }
    if let Some(plan) = facts.certify_found(Wanted::Setter) {
        return Some(plan);
    }
    let setters = facts.case.groups(Role::StateSetter);
    let residual = if setters.is_empty() {
        facts.evidence().clone()
    } else {
        facts.ledger.residual(facts.victim, &setters)
    };
    if residual.total.passed > 0 {
        if setters.is_empty()
            && share(&facts.posterior(), Family::Nothing) > 0.5
            && let Some(plan) = facts.alone(ALONE, 4, ALONE)
        {
            return Some(plan);
        }
        if let Some(plan) = facts.search(Wanted::Setter, setters.clone(), Vec::new(), 1.0) {
            return Some(plan);
        }
        if let Some(plan) = facts.reduce(&residual, true, setters.len(), 1.0) {
            return Some(plan);
        }
        if setters.is_empty()
            && let Some(plan) = facts.alone(ALONE, 4, ALONE)
        {
            return Some(plan);
        }
    }
    facts.follow_up(Role::StateSetter)
}

impl Facts<'_> {
    /// Returns the iteration since when it always fails, with ln of the e-value, when it passed at least five times
    /// before, and hardly ever failed.
    pub(crate) fn regressed(&self) -> Option<(u64, f64)> {
        let (before, after, since) = self.since_last_pass()?;
        let enough = before.passed >= SIDES && after >= SIDES && !fails_too_often(before);
        if !enough {
            return None;
        }
        let ln_e = ln_e_of_change(before, after);
        (ln_e >= self.policy.certify.ln()).then_some((since, ln_e))
    }

    /// Passes alone before it ceased to pass say nothing of now: a few runs alone since then.
    pub(super) fn alone_since_change(&self) -> Option<Plan> {
        let passed_alone = self.case.alone.failures < self.case.alone.trials;
        if !passed_alone || self.case.fails_alone_now() || self.regressed().is_none() {
            return None;
        }
        let (before, _, _) = self.since_last_pass()?;
        let enough = u64::from(before.failed + SIDES);
        let asked = |inquiry: &Inquiry| {
            inquiry.question == Question::Isolate && inquiry.opening.seen.failures >= enough
        };
        let runs = FIRST_ALONE;
        let alone = Alone {
            runs,
            batch: runs,
            failures: runs,
        };
        let cost = f64::from(runs) * self.cost_of(&[]);
        self.case
            .last(asked)
            .is_none()
            .then(|| self.plan(Question::Isolate, false, Setup::Alone(alone), cost))
    }

    /// Does it look as if it had just ceased to pass? A few more runs will tell.
    fn may_have_regressed(&self) -> bool {
        self.since_last_pass().is_some_and(|(before, after, _)| {
            before.passed >= SIDES && after < WAIT && !fails_too_often(before)
        })
    }

    /// Runs up to the last pass, failures since, and the iteration of the first of those.
    fn since_last_pass(&self) -> Option<(Cell, u32, u64)> {
        let runs = &self.evidence().runs;
        let last = runs.iter().rposition(|run| !run.failed)?;
        let (before, after) = runs.split_at(last + 1);
        let mut cell = Cell::default();
        for run in before {
            cell.add(run.failed);
        }
        let count = u32::try_from(after.len()).unwrap_or(u32::MAX);
        Some((cell, count, after.first()?.iteration))
    }
}

/// More failures before a change than stray ones.
fn fails_too_often(before: Cell) -> bool {
    STRAY * before.failed > before.trials()
}

/// ln of an e-value of "one rate before, failing always since" against any one rate: both rates forecast as they
/// come, the change after t runs with the prior weight 1 / ((t + 1)(t + 2)); the opponent is the best constant rate in
/// hindsight, as in [`ln_e_change`](crate::stats::ln_e_change).
fn ln_e_of_change(before: Cell, after: u32) -> f64 {
    let (failed, passed, since) = (
        f64::from(before.failed),
        f64::from(before.passed),
        f64::from(after),
    );
    let runs = failed + passed;
    let forecast = ln_sequence(failed, passed, 0.5, 0.5) + ln_sequence(since, 0.0, 0.5, 0.5)
        - ((runs + 1.0) * (runs + 2.0)).ln();
    let all = runs + since;
    let rate = (failed + since) / all;
    let part = |count: f64, rate: f64| if count > 0.0 { count * rate.ln() } else { 0.0 };
    forecast - part(failed + since, rate) - part(passed, 1.0 - rate)
}
