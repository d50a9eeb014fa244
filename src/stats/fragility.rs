//! What a flaky test costs: its share of the runs that go red, with an interval; and what the passes after a fix
//! are worth.

use statrs::function::gamma::gamma_lr;

use super::rate::confidence_sequence;
use super::special::{ln_sequence, real};
use crate::model::Count;

/// Shape of Jeffreys' prior, Beta(1/2, 1/2).
const HALF: f64 = 0.5;

/// Shares of red runs: each red run is split evenly over the tests that failed in it, so the shares of all tests add
/// up to the number of red runs, exactly, whether their failures have to do with each other or not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RedShare {
    sum: f64,
    squares: f64,
    largest: f64,
    /// Red runs in which no other test failed.
    alone: u64,
}

impl RedShare {
    /// Adds one red run, `part` of which is this test's (or this cause's), above 0 and at most 1.
    pub fn add(&mut self, part: f64) {
        self.sum += part;
        self.squares += part * part;
        self.largest = self.largest.max(part);
        self.alone += u64::from(part >= 1.0);
    }

    /// Returns the share in runs: 2.5 says two and a half red runs.
    #[must_use]
    pub fn runs(&self) -> f64 {
        self.sum
    }

    /// Returns the red runs that would have been green without it: those in which nothing else failed.
    #[must_use]
    pub fn alone(&self) -> u64 {
        self.alone
    }

    /// Returns the share per run of `runs`, `0.0..=1.0`; 0 without runs.
    #[must_use]
    pub fn rate(&self, runs: u64) -> f64 {
        if runs == 0 {
            0.0
        } else {
            self.sum / real(runs)
        }
    }

    /// Returns the interval of [`Self::rate`] with error probability `alpha`; (0, 1) without runs. Without a red run
    /// the upper end is that of a test of weight 1.
    ///
    /// Source: M. P. Fay, E. J. Feuer (1997), Statistics in Medicine 16, 791-801: gamma limits of a weighted sum of
    /// Poisson counts.
    #[must_use]
    pub fn interval(&self, runs: u64, alpha: f64) -> (f64, f64) {
        if runs == 0 {
            return (0.0, 1.0);
        }
        let n = real(runs);
        let low = if self.sum > 0.0 {
            let shape = self.sum * self.sum / self.squares;
            gamma_quantile(shape, alpha / 2.0) * self.squares / self.sum
        } else {
            0.0
        };
        let weight = if self.largest > 0.0 {
            self.largest
        } else {
            1.0
        };
        let (sum, squares) = (self.sum + weight, self.squares + weight * weight);
        let high = gamma_quantile(sum * sum / squares, 1.0 - alpha / 2.0) * squares / sum;
        (low / n, (high / n).min(1.0))
    }
}

/// Where a gamma distribution with this shape and scale 1 has `probability` below it: bisection on a bracket that is
/// doubled until it holds the point.
fn gamma_quantile(shape: f64, probability: f64) -> f64 {
    let below = |x: f64| gamma_lr(shape, x) < probability;
    let mut high = shape.max(1.0);
    while below(high) {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// What passes in a row say about a test that used to fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mended {
    /// Probability that it still fails as before, `0.0..=1.0`, when that was as likely as not beforehand.
    pub still_flaky: f64,
    /// Chance of so many passes in a row from a test that fails at the lowest rate that its failures allow.
    pub by_accident: f64,
    /// Passes in a row from which on `by_accident` is at most 5 %; `u64::MAX` where nothing is enough.
    pub needed: u64,
}

/// Chance of being wrong up to which a test counts as mended.
const WRONG: f64 = 0.05;

/// Returns what `passes` in a row are worth after `before`, the failures and trials under the orders that made it
/// fail, up to its last failure.
///
/// `still_flaky`: odds B(a, b + s) / B(a, b) with a = f + 1/2, b = n - f + 1/2 against a test that always passes.
/// `by_accident`: (1 - p)^s at the lower end p of the 95 % confidence sequence.
#[must_use]
pub fn mended(before: Count, passes: u64) -> Mended {
    let (f, s) = (
        real(before.failures),
        real(before.trials.saturating_sub(before.failures)),
    );
    let ln_odds = ln_sequence(0.0, real(passes), f + HALF, s + HALF);
    let odds = ln_odds.exp();
    let lowest = confidence_sequence(before, WRONG).0;
    let needed = if lowest > 0.0 {
        super::rate::runs_to_see(lowest, 1.0 - WRONG)
    } else {
        u64::MAX
    };
    Mended {
        still_flaky: odds / (1.0 + odds),
        by_accident: (real(passes) * (-lowest).ln_1p()).exp(),
        needed,
    }
}

impl Mended {
    /// Is the chance of being wrong small enough to say that it is mended?
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.by_accident <= WRONG
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::chance::Chance;

    #[test]
    fn shares_of_all_tests_add_up_to_the_red_runs() {
        let mut chance = Chance::new(5);
        let mut shares = [RedShare::default(); 4];
        let mut red = 0;
        for _ in 0..1000 {
            let failing: Vec<usize> = (0..4).filter(|_| chance.happens(0.1)).collect();
            red += u64::from(!failing.is_empty());
            for test in &failing {
                shares[*test].add(1.0 / real(failing.len() as u64));
            }
        }
        let sum: f64 = shares.iter().map(RedShare::runs).sum();
        assert!((sum - real(red)).abs() < 1e-9, "{sum} {red}");
    }

    #[test]
    fn weights_of_one_give_the_exact_poisson_interval() {
        let mut share = RedShare::default();
        for _ in 0..10 {
            share.add(1.0);
        }
        // Garwood's interval of 10 events.
        let (low, high) = share.interval(1, 0.05);
        assert!((low - 4.795_389).abs() < 1e-4, "{low}");
        assert!((high - 1.0).abs() < 1e-12);
        let (low, high) = share.interval(1000, 0.05);
        assert!((low - 0.004_795_389).abs() < 1e-7 && (high - 0.018_390_36).abs() < 1e-7);
        let (low, high) = RedShare::default().interval(1000, 0.05);
        assert!(
            low.abs() < 1e-12 && (high - 0.003_688_88).abs() < 1e-7,
            "{high}"
        );
    }

    /// Research 7.1: coverage 94.4 % over 72 cases.
    #[test]
    fn the_interval_of_a_share_covers_the_truth() {
        let mut chance = Chance::new(11);
        let (runs, worlds) = (400, 600);
        for (p, other) in [(0.02, 0.02), (0.05, 0.3), (0.2, 0.01)] {
            let truth = p * (1.0 - other) + p * other / 2.0;
            let mut covered = 0;
            for _ in 0..worlds {
                let mut share = RedShare::default();
                for _ in 0..runs {
                    if chance.happens(p) {
                        share.add(if chance.happens(other) { 0.5 } else { 1.0 });
                    }
                }
                let (low, high) = share.interval(runs, 0.05);
                covered += u32::from(low <= truth && truth <= high);
            }
            assert!(covered >= 550, "{covered} of {worlds} at {p}, {other}");
        }
    }

    /// Research table 7.3.
    #[test]
    fn passes_needed_after_a_fix_agree_with_the_table() {
        for (failures, trials, bayes, lower) in [
            (250, 500, 5, 6),
            (100, 500, 14, 20),
            (25, 500, 60, 131),
            (5, 500, 353, 2562),
            (3, 50, 65, 694),
        ] {
            let before = Count { failures, trials };
            assert!(mended(before, bayes).still_flaky <= 0.051, "{before:?}");
            assert!(mended(before, bayes - 2).still_flaky > 0.049, "{before:?}");
            let needed = mended(before, 0).needed;
            assert!(
                needed.abs_diff(lower) <= 1 + lower / 50,
                "{before:?}: {needed}"
            );
            assert!(mended(before, needed).is_certain());
            assert!(!mended(before, needed - 1).is_certain());
        }
        let never = mended(Count::default(), 1000);
        assert!(!never.is_certain() && never.needed == u64::MAX);
    }
}
