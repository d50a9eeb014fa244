//! A test that always fails alone: broken, or in need of a test before it.

use super::{Facts, Plan, share};
use crate::{
    diagnose::{ledger::Family, setup::Wanted},
    model::Role,
};

/// Runs alone until "it always fails alone" is believed, where nobody is needed to explain its passes.
const ALONE: u32 = 12;
/// Runs of a regression on each side of the change.
const SIDES: u32 = 5;

/// What to ask next about a test that always failed alone.
pub(super) fn next(facts: &Facts<'_>) -> Option<Plan> {
    let total = facts.evidence().total;
    if total.passed == 0 || facts.regressed().is_some() {
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
        if let Some(plan) = facts.search(Wanted::Setter, setters.clone(), Vec::new()) {
            return Some(plan);
        }
        if let Some(plan) = facts.reduce(&residual, true, setters.len()) {
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
    /// before, and never failed.
    pub(crate) fn regressed(&self) -> Option<(u64, f64)> {
        let runs = &self.evidence().runs;
        let first = runs.iter().position(|run| run.failed)?;
        let (before, after) = runs.split_at(first);
        let sides = before.len() >= SIDES as usize && after.len() >= SIDES as usize;
        if !sides || !after.iter().all(|run| run.failed) {
            return None;
        }
        let ln_e = crate::stats::ln_e_change(before.len() as u64, after.len() as u64);
        (ln_e >= self.policy.certify.ln()).then_some((runs[first].iteration, ln_e))
    }
}
