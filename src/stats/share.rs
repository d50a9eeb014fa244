//! One polluter usually has many victims. What each victim's evidence says of a candidate is shared: an empirical
//! prior over polluters, by expectation and maximisation over victims. It only ranks.

use super::special::{real, softmax};

/// What a candidate weighs before any victim is seen, together, in victims: keeps a polluter of one victim possible.
const STRENGTH: f64 = 4.0;
/// Rounds; the weights stand still long before.
const ROUNDS: usize = 12;
/// When no prior moves by more than this in a round, the rest of the rounds would change nothing.
const STILL: f64 = 1e-9;

/// A prior over polluters that victims share.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    ln_prior: Vec<f64>,
}

/// One victim's Bayes factors as plain numbers, the best being 1. Dense and in single precision: learning reads all of
/// them in every round.
struct Row(Vec<f32>);

impl Shared {
    /// The prior before any victim: the same for all `candidates`.
    #[must_use]
    pub fn even(candidates: usize) -> Self {
        Self {
            ln_prior: vec![-real(candidates as u64).ln(); candidates],
        }
    }

    /// Learns from ln Bayes factors, one row per victim with one entry per candidate.
    ///
    /// `pi_a` becomes (4 / n + sum over victims of their weight for a) / (4 + victims), repeatedly.
    ///
    /// # Panics
    /// When a row is not as long as `candidates`.
    #[must_use]
    pub fn learn(candidates: usize, ln_bf: &[&[f64]]) -> Self {
        assert!(
            ln_bf.iter().all(|row| row.len() == candidates),
            "one Bayes factor per candidate"
        );
        let rows: Vec<Row> = ln_bf.iter().filter_map(|row| Row::new(row)).collect();
        let even = STRENGTH / real(candidates.max(1) as u64);
        let victims = real(rows.len() as u64);
        let mut prior = vec![1.0 / real(candidates.max(1) as u64); candidates];
        for _ in 0..ROUNDS {
            let mut sums = vec![even; candidates];
            for row in &rows {
                row.add_weights(&prior, &mut sums);
            }
            let mut moved = 0.0_f64;
            for (prior, sum) in prior.iter_mut().zip(sums) {
                let next = sum / (STRENGTH + victims);
                moved = moved.max((next - *prior).abs());
                *prior = next;
            }
            if moved < STILL {
                break;
            }
        }
        Self {
            ln_prior: prior.into_iter().map(f64::ln).collect(),
        }
    }

    /// ln of the prior probability of each candidate.
    #[must_use]
    pub fn ln_prior(&self) -> &[f64] {
        &self.ln_prior
    }

    /// Returns posterior weights of one victim's candidates, from its ln Bayes factors: they add up to 1, or are all
    /// 0 where every factor is minus infinity.
    #[must_use]
    pub fn weights(&self, ln_bf: &[f64]) -> Vec<f64> {
        let sums: Vec<f64> = ln_bf
            .iter()
            .zip(&self.ln_prior)
            .map(|(bf, prior)| bf + prior)
            .collect();
        softmax(&sums)
    }
}

impl Row {
    /// `None` where no candidate explains anything.
    fn new(ln_bf: &[f64]) -> Option<Self> {
        let best = ln_bf.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "seven digits of a weight are plenty"
        )]
        let factor = |ln: &f64| (ln - best).exp() as f32;
        best.is_finite()
            .then(|| Self(ln_bf.iter().map(factor).collect()))
    }

    fn add_weights(&self, prior: &[f64], sums: &mut [f64]) {
        // Four sums side by side: one alone would wait for itself at every step.
        let mut totals = [0.0; 4];
        for (factors, priors) in self.0.chunks(4).zip(prior.chunks(4)) {
            for ((total, factor), prior) in totals.iter_mut().zip(factors).zip(priors) {
                *total += f64::from(*factor) * prior;
            }
        }
        let scale = 1.0 / totals.iter().sum::<f64>();
        for ((sum, factor), prior) in sums.iter_mut().zip(&self.0).zip(prior) {
            *sum += f64::from(*factor) * prior * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::chance::Chance;
    use crate::stats::tournament::{Cell, Tables};

    /// Soak counters of `victims` victims after `iterations` in one process; all fail after test 0.
    fn soak(victims: usize, iterations: usize, n: usize, chance: &mut Chance) -> Vec<Vec<f64>> {
        let tables = Tables::new(100);
        let mut with = vec![vec![Cell::default(); n]; victims];
        let mut total = vec![Cell::default(); victims];
        let mut order: Vec<usize> = (0..n).collect();
        for _ in 0..iterations {
            chance.shuffle(&mut order);
            for victim in 0..victims {
                let rank = chance.below(n + 1);
                let failed = order[..rank].contains(&0);
                total[victim].add(failed);
                for &test in &order[..rank] {
                    with[victim][test].add(failed);
                }
            }
        }
        with.iter()
            .zip(total)
            .map(|(with, total)| tables.scores(with, total))
            .collect()
    }

    /// Research 2.3: 13 victims of one polluter find it in 5 iterations instead of 18.
    #[test]
    fn victims_of_one_polluter_find_it_together_long_before_one_alone_could() {
        let mut chance = Chance::new(13);
        let (mut alone, mut together) = (0, 0);
        for _ in 0..20 {
            let scores = soak(13, 6, 1000, &mut chance);
            let rows: Vec<&[f64]> = scores.iter().map(Vec::as_slice).collect();
            let shared = Shared::learn(1000, &rows);
            let even = Shared::even(1000);
            for row in &scores {
                alone += u32::from(even.weights(row)[0] > 0.5);
                together += u32::from(shared.weights(row)[0] > 0.5);
            }
        }
        assert!(
            alone < 10 && together > 220,
            "{alone} alone, {together} together of 260"
        );
    }

    #[test]
    fn a_prior_adds_up_to_one_and_stays_even_without_evidence() {
        let nothing = [f64::NEG_INFINITY; 5];
        assert_eq!(
            Shared::learn(5, &[&nothing]).weights(&nothing),
            vec![0.0; 5]
        );
        for shared in [
            Shared::even(5),
            Shared::learn(5, &[]),
            Shared::learn(5, &[&nothing, &[9.0, 0.0, 0.0, 1.0, f64::NEG_INFINITY]]),
        ] {
            let sum: f64 = shared.ln_prior().iter().map(|ln| ln.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{shared:?}");
        }
    }

    #[test]
    fn one_victim_learns_nothing_from_itself_that_reverses_its_ranking() {
        let row = [3.0, 2.0, 5.0, f64::NEG_INFINITY];
        let shared = Shared::learn(4, &[&row]);
        let weights = shared.weights(&row);
        assert!(weights[2] > weights[0] && weights[0] > weights[1] && weights[3] <= 0.0);
    }
}
