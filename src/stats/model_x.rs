//! Bets on orders that we drew ourselves. Whether `a` ran before the victim was decided by our own chance, with a
//! probability that we know; if `a` has nothing to do with the victim, knowing the outcome does not change that
//! probability. A bet on the opposite wins only if it does: whatever the failures depend on otherwise (load, drift,
//! position, a bad night), and however often someone looks.
//!
//! Source: P. Grünwald, A. Henzi, T. Lardy (2023), Anytime-valid tests of conditional independence under model-X,
//! JASA 119(546).

use super::blocks::Direction;
use super::special::{ln_add, real};
use super::tournament::Cell;

/// Probability with which one run puts a candidate before the victim.
#[derive(Clone, Copy, Debug)]
pub enum ProbabilityBefore<'a> {
    /// The same for every candidate.
    Same(f64),
    /// One per candidate; 0 and 1 mean no bet.
    Each(&'a [f64]),
}

/// The bets of one victim against each candidate. Counters are kept by the caller, who needs them anyway; what
/// comes here is how they stood *before* the run.
#[derive(Clone, Debug)]
pub struct Bets {
    direction: Direction,
    /// ln of both components, per candidate.
    ln_e: Vec<[f64; 2]>,
    /// ln factors by (failures before, passes before): most candidates share their counters.
    seen: Vec<[f64; 2]>,
}

/// One candidate's outcomes with it before the victim, and all outcomes.
#[derive(Clone, Copy)]
struct Past {
    with: Cell,
    total: Cell,
}

impl Bets {
    /// Starts with e-values of 1 for `candidates` candidates.
    #[must_use]
    pub fn new(direction: Direction, candidates: usize) -> Self {
        Self {
            direction,
            ln_e: vec![[0.0; 2]; candidates],
            seen: Vec::new(),
        }
    }

    /// Takes one run of the victim: which candidates ran before it, and did it fail?
    ///
    /// `with` holds per candidate the outcomes of earlier runs in which it came first, `total` all earlier outcomes;
    /// `before` is true where the candidate came first in this run. All have one entry per candidate.
    pub fn step(
        &mut self,
        with: &[Cell],
        total: Cell,
        before: impl Fn(usize) -> bool,
        probability: ProbabilityBefore<'_>,
        failed: bool,
    ) {
        match probability {
            ProbabilityBefore::Same(pi) => {
                if pi <= 0.0 || pi >= 1.0 {
                    return;
                }
                self.step_same(with, total, before, pi, failed);
            }
            ProbabilityBefore::Each(pis) => {
                for (candidate, &pi) in pis.iter().enumerate().take(self.ln_e.len()) {
                    if pi <= 0.0 || pi >= 1.0 {
                        continue;
                    }
                    let past = Past {
                        with: with[candidate],
                        total,
                    };
                    let factor = ln_factors(self.direction, past, pi, before(candidate), failed);
                    let ln_e = &mut self.ln_e[candidate];
                    ln_e[0] += factor[0];
                    ln_e[1] += factor[1];
                }
            }
        }
    }

    /// All candidates had the same probability: the factor depends on their counters alone, and few differ.
    fn step_same(
        &mut self,
        with: &[Cell],
        total: Cell,
        before: impl Fn(usize) -> bool,
        pi: f64,
        failed: bool,
    ) {
        let columns = total.passed as usize + 1;
        let cells = (total.failed as usize + 1)
            .saturating_mul(columns)
            .saturating_mul(2);
        let remember = cells <= self.ln_e.len().saturating_mul(4).max(1024);
        self.seen.clear();
        if remember {
            self.seen.resize(cells, [f64::NAN; 2]);
        }
        for (candidate, ln_e) in self.ln_e.iter_mut().enumerate() {
            let past = Past {
                with: with[candidate],
                total,
            };
            let first = before(candidate);
            let place = 2 * (past.with.failed as usize * columns + past.with.passed as usize)
                + usize::from(first);
            let known = self
                .seen
                .get(place)
                .copied()
                .filter(|factor| !factor[0].is_nan());
            let factor =
                known.unwrap_or_else(|| ln_factors(self.direction, past, pi, first, failed));
            if let Some(slot) = self.seen.get_mut(place) {
                *slot = factor;
            }
            ln_e[0] += factor[0];
            ln_e[1] += factor[1];
        }
    }

    /// ln of the e-value of one candidate.
    #[must_use]
    pub fn ln_e(&self, candidate: usize) -> f64 {
        let [sure, unsure] = self.ln_e[candidate];
        ln_add(sure, unsure) - std::f64::consts::LN_2
    }

    /// ln of the e-values of all candidates.
    #[must_use]
    pub fn all(&self) -> Vec<f64> {
        (0..self.ln_e.len())
            .map(|candidate| self.ln_e(candidate))
            .collect()
    }

    /// Number of candidates.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ln_e.len()
    }

    /// Are there no candidates?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ln_e.is_empty()
    }

    /// Forgets everything won or lost on one candidate, whose record turned out to be biased.
    pub fn strike(&mut self, candidate: usize) {
        self.ln_e[candidate] = [0.0; 2];
    }
}

/// ln factors of both components. The rates are predictable: from earlier runs alone. The first component takes the
/// treated rate for high, the second starts it at one half.
fn ln_factors(direction: Direction, past: Past, pi: f64, before: bool, failed: bool) -> [f64; 2] {
    // A state-setter is a polluter with outcomes swapped.
    let (with, total, success) = match direction {
        Direction::Fails => (past.with, past.total, failed),
        Direction::Passes => (past.with.swapped(), past.total.swapped(), !failed),
    };
    let x1f = f64::from(with.failed);
    let x1 = f64::from(with.trials());
    let x0f = f64::from(total.failed) - x1f;
    let x0 = f64::from(total.trials()) - x1;
    let q0 = (x0f + 0.1) / (x0 + 1.1);
    [(x1f + 1.0) / (x1 + 1.2), (x1f + 1.0) / (x1 + 2.0)]
        .map(|q1| ln_factor(q1, q0, pi, before, success))
}

/// ln of likelihood with `before` as it was, over its mean under our own chance.
fn ln_factor(q1: f64, q0: f64, pi: f64, before: bool, success: bool) -> f64 {
    let likely = |q: f64| {
        let q = q.clamp(1e-6, 1.0 - 1e-6);
        if success { q } else { 1.0 - q }
    };
    let (l1, l0) = (likely(q1), likely(q0));
    ((if before { l1 } else { l0 }) / (pi * l1 + (1.0 - pi) * l0)).ln()
}

/// Returns which hypotheses to reject at false discovery rate `alpha`, by rising index: the largest R with R
/// e-values of at least K / (`alpha` R).
///
/// Valid for e-values at one stopping time, not for running maxima.
///
/// Source: R. Wang, A. Ramdas (2022), False discovery rate control with e-values, JRSS-B 84(3).
#[must_use]
pub fn e_bh(ln_e: &[f64], alpha: f64) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..ln_e.len()).collect();
    ranked.sort_by(|&a, &b| ln_e[b].total_cmp(&ln_e[a]));
    let bar = real(ln_e.len() as u64).ln() - alpha.ln();
    let rejected = ranked
        .iter()
        .enumerate()
        .filter(|&(place, &index)| ln_e[index] + real(place as u64 + 1).ln() >= bar)
        .map(|(place, _)| place + 1)
        .max()
        .unwrap_or(0);
    ranked.truncate(rejected);
    ranked.sort_unstable();
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::chance::Chance;
    use crate::stats::special::ln_mean;

    /// A soak of one victim among `n` tests in one process: who came before it, and did it fail?
    struct World {
        n: usize,
        with: Vec<Cell>,
        total: Cell,
        bets: Bets,
    }

    impl World {
        fn new(n: usize, direction: Direction) -> Self {
            Self {
                n,
                with: vec![Cell::default(); n - 1],
                total: Cell::default(),
                bets: Bets::new(direction, n - 1),
            }
        }

        fn iterate(
            &mut self,
            k: usize,
            chance: &mut Chance,
            fails: impl Fn(&[bool], usize, &mut Chance) -> bool,
        ) {
            let shard = self.n / k;
            let rank = chance.below(shard);
            let mut order: Vec<usize> = (0..self.n - 1).collect();
            chance.shuffle(&mut order);
            let mut before = vec![false; self.n - 1];
            for &test in &order[..rank] {
                before[test] = true;
            }
            let failed = fails(&before, rank, chance);
            let pi = real(rank as u64) / real(self.n as u64 - 1);
            let first = |test: usize| before[test];
            self.bets.step(
                &self.with,
                self.total,
                first,
                ProbabilityBefore::Same(pi),
                failed,
            );
            self.total.add(failed);
            for &test in &order[..rank] {
                self.with[test].add(failed);
            }
        }
    }

    /// Position, load and a burst make it fail, no other test does: no candidate may ever exceed n / alpha in more
    /// than alpha of the worlds, looking after every iteration.
    #[test]
    fn bets_never_accuse_when_position_load_or_bursts_make_it_fail() {
        let mut chance = Chance::new(3);
        let (n, worlds) = (40, 300);
        let bar = (real(n as u64 - 1) / 0.05).ln();
        let mut accused = 0;
        for world in 0..worlds {
            let mut soak = World::new(n, Direction::Fails);
            let mut ever = false;
            for iteration in 0..120 {
                let k = [1, 2, 4][iteration % 3];
                soak.iterate(k, &mut chance, |_, rank, chance| match world % 3 {
                    0 => rank > 12,
                    1 => chance.happens(if k == 1 { 0.5 } else { 0.05 }),
                    _ => iteration % 10 == 3 || chance.happens(0.02),
                });
                ever |= soak.bets.all().iter().any(|&ln_e| ln_e >= bar);
            }
            accused += u32::from(ever);
        }
        // 0.999 quantile of Binomial(300, 0.05).
        assert!(accused <= 28, "{accused} of {worlds}");
    }

    #[test]
    fn the_mean_over_candidates_is_an_e_value() {
        let mut chance = Chance::new(21);
        let worlds = 2000;
        let mut sum = 0.0;
        for _ in 0..worlds {
            let mut soak = World::new(12, Direction::Fails);
            for _ in 0..12 {
                soak.iterate(1, &mut chance, |_, rank, chance| {
                    chance.happens(0.1 + 0.05 * real(rank as u64))
                });
            }
            sum += ln_mean(&soak.bets.all()).exp();
        }
        let mean = sum / f64::from(worlds);
        assert!(mean < 1.15, "mean e-value {mean}");
    }

    /// Research table 2.3: the median for n = 1000 and k = 1 is 22 iterations.
    #[test]
    fn a_sure_polluter_among_a_thousand_is_flagged_within_forty_iterations() {
        let mut chance = Chance::new(8);
        let mut lengths = Vec::new();
        for _ in 0..15 {
            let mut soak = World::new(1000, Direction::Fails);
            let bar = (999.0_f64 / 0.05).ln();
            let mut iterations = 0;
            while soak.bets.ln_e(17) < bar {
                soak.iterate(1, &mut chance, |before, _, _| before[17]);
                iterations += 1;
                assert!(iterations < 200, "no power");
            }
            lengths.push(iterations);
        }
        lengths.sort_unstable();
        assert!(lengths[7] <= 30, "median of {lengths:?}");
    }

    #[test]
    fn a_setter_is_flagged_by_bets_on_passes() {
        let mut chance = Chance::new(2);
        let mut soak = World::new(200, Direction::Passes);
        for _ in 0..60 {
            soak.iterate(2, &mut chance, |before, _, _| !before[5]);
        }
        let all = soak.bets.all();
        assert!(all[5] > (200.0_f64 / 0.05).ln(), "{}", all[5]);
        assert!(
            all.iter()
                .enumerate()
                .all(|(test, &ln_e)| test == 5 || ln_e < all[5])
        );
    }

    #[test]
    fn one_probability_for_all_equals_the_same_one_by_one() {
        let mut chance = Chance::new(6);
        let mut together = Bets::new(Direction::Fails, 30);
        let mut apart = Bets::new(Direction::Fails, 30);
        let mut with = vec![Cell::default(); 30];
        let mut total = Cell::default();
        for _ in 0..50 {
            let before: Vec<bool> = (0..30).map(|_| chance.happens(0.3)).collect();
            let failed = chance.happens(0.4);
            together.step(
                &with,
                total,
                |test| before[test],
                ProbabilityBefore::Same(0.3),
                failed,
            );
            apart.step(
                &with,
                total,
                |test| before[test],
                ProbabilityBefore::Each(&[0.3; 30]),
                failed,
            );
            total.add(failed);
            for (cell, _) in with.iter_mut().zip(&before).filter(|(_, first)| **first) {
                cell.add(failed);
            }
        }
        assert_eq!(together.all(), apart.all());
        assert!(together.all().iter().any(|ln_e| ln_e.abs() > 0.1));
    }

    #[test]
    fn orders_that_were_not_drawn_move_no_bet() {
        let mut bets = Bets::new(Direction::Fails, 2);
        let with = [Cell::default(); 2];
        bets.step(
            &with,
            Cell::default(),
            |_| true,
            ProbabilityBefore::Same(1.0),
            true,
        );
        bets.step(
            &with,
            Cell::default(),
            |_| false,
            ProbabilityBefore::Each(&[0.0, 1.0]),
            true,
        );
        assert_eq!(bets.all(), vec![0.0, 0.0]);
    }

    #[test]
    fn e_bh_rejects_the_largest_set_that_supports_itself() {
        // K = 4, alpha = 0.05: one needs 80, two need 40 each, three 26.7 each.
        let ln = |values: [f64; 4]| values.map(f64::ln);
        assert_eq!(e_bh(&ln([79.0, 1.0, 1.0, 1.0]), 0.05), Vec::<usize>::new());
        assert_eq!(e_bh(&ln([1.0, 81.0, 30.0, 1.0]), 0.05), vec![1]);
        assert_eq!(e_bh(&ln([41.0, 1.0, 50.0, 1.0]), 0.05), vec![0, 2]);
        assert_eq!(e_bh(&ln([30.0, 27.0, 28.0, 1.0]), 0.05), vec![0, 1, 2]);
        assert_eq!(e_bh(&[], 0.05), Vec::<usize>::new());
    }
}
