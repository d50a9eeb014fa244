//! How often a test fails: intervals for looking once (Jeffreys, Clopper-Pearson, Wilson), one for looking all
//! the time (a confidence sequence), and how many runs it takes to see a failure.

use super::special::{Tail, beta_quantile, bisect, ln_sequence, logistic, real};
use crate::model::Count;

/// Shape of Jeffreys' prior, Beta(1/2, 1/2).
const HALF: f64 = 0.5;

/// Failures and passes as real numbers.
fn parts(count: Count) -> (f64, f64) {
    (
        real(count.failures),
        real(count.trials.saturating_sub(count.failures)),
    )
}

/// Returns an interval that holds the rate at every moment of looking at once with probability 1 - `alpha`.
///
/// The Beta-Binomial mixture with prior Beta(1/2, 1/2): all rates under which the observed sequence is at most
/// 1/`alpha` times less likely than under the mixture. (0, 1) without trials.
///
/// Source: H. Robbins (1970), Ann. Math. Stat. 41(5); I. Waudby-Smith, A. Ramdas (2020), `NeurIPS`, prior-posterior
/// ratio.
#[must_use]
pub fn confidence_sequence(count: Count, alpha: f64) -> (f64, f64) {
    let (f, s) = parts(count);
    let least = ln_sequence(f, s, HALF, HALF) + alpha.ln();
    // ln p = -ln(1 + e^-t) and ln(1 - p) = -ln(1 + e^t) at logit t: neither end loses digits.
    let likelihood = |t: f64| {
        let ln_p = if f > 0.0 { -f * softplus(-t) } else { 0.0 };
        let ln_q = if s > 0.0 { -s * softplus(t) } else { 0.0 };
        ln_p + ln_q
    };
    // Below the observed rate the likelihood rises, above it falls; each search stays on its own side.
    let top = if f > 0.0 && s > 0.0 {
        (f / s).ln()
    } else if f > 0.0 {
        f64::INFINITY
    } else {
        f64::NEG_INFINITY
    };
    let low = if f > 0.0 {
        logistic(bisect(|t| t >= top || likelihood(t) > least))
    } else {
        0.0
    };
    let high = if s > 0.0 {
        logistic(bisect(|t| t > top && likelihood(t) < least))
    } else {
        1.0
    };
    (low, high)
}

/// ln(1 + e^t).
fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}

/// Returns Jeffreys' interval of a rate: right on average, for one look at a time that was fixed beforehand.
/// (0, 1) without trials.
///
/// Source: L. D. Brown, T. T. Cai, A. `DasGupta` (2001), Statistical Science 16(2), 101-133.
#[must_use]
pub fn jeffreys(count: Count, alpha: f64) -> (f64, f64) {
    let (f, s) = parts(count);
    let bound = |tail| beta_quantile(f + HALF, s + HALF, alpha / 2.0, tail);
    (
        if f > 0.0 { bound(Tail::Lower) } else { 0.0 },
        if s > 0.0 { bound(Tail::Upper) } else { 1.0 },
    )
}

/// Returns the exact interval of a rate: never wrong more often than `alpha`, for one look. (0, 1) without trials.
///
/// Source: C. J. Clopper, E. S. Pearson (1934), Biometrika 26(4), 404-413.
#[must_use]
pub fn clopper_pearson(count: Count, alpha: f64) -> (f64, f64) {
    let (f, s) = parts(count);
    (
        if f > 0.0 {
            beta_quantile(f, s + 1.0, alpha / 2.0, Tail::Lower)
        } else {
            0.0
        },
        if s > 0.0 {
            beta_quantile(f + 1.0, s, alpha / 2.0, Tail::Upper)
        } else {
            1.0
        },
    )
}

/// Returns Wilson's score interval of a rate. `z` is the standard normal quantile (1.96 for 95 %). (0, 1) without
/// trials.
///
/// Source: E. B. Wilson (1927), JASA 22(158), 209-212.
#[must_use]
pub fn wilson(count: Count, z: f64) -> (f64, f64) {
    let (f, s) = parts(count);
    let n = f + s;
    if n <= 0.0 {
        return (0.0, 1.0);
    }
    let (p, square) = (f / n, z * z);
    let centre = p + square / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
    let scale = 1.0 + square / n;
    (
        ((centre - half) / scale).max(0.0),
        ((centre + half) / scale).min(1.0),
    )
}

/// Returns the upper limit of the rate of a test that never failed in `trials` runs; 1 without runs.
///
/// Valid at every moment of looking: the claim is wrong only if the test passes long enough for the limit to
/// fall below its rate, which has probability `alpha` at most. For all of n tests at once use `alpha` / n.
#[must_use]
pub fn never_failed_bound(trials: u64, alpha: f64) -> f64 {
    if trials == 0 {
        return 1.0;
    }
    -(alpha.ln() / real(trials)).exp_m1()
}

/// Returns how many runs fail at least once with probability `confidence`, for a rate `p`; at least 1, and
/// `u64::MAX` for a rate of 0.
#[must_use]
pub fn runs_to_see(p: f64, confidence: f64) -> u64 {
    if p >= 1.0 {
        return 1;
    }
    let runs = (-confidence).ln_1p() / (-p).ln_1p();
    ceiling(runs)
}

/// The next whole number, saturating, at least 1; what rounding put just above a whole number counts as it.
fn ceiling(value: f64) -> u64 {
    let up = (value * (1.0 - 1e-12)).ceil().max(1.0);
    if !up.is_finite() || up >= 9e18 {
        return u64::MAX;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at least 1 and below 2^63, as just checked"
    )]
    let whole = up as u64;
    whole
}

/// How many repetitions of a reproduction fail at least once with 95 % probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeats {
    /// If the rate is exactly what was seen; `u32::MAX` without failures.
    pub plug_in: u32,
    /// On average over what the rate may be after what was seen: the number to print.
    pub predictive: u32,
    /// If the rate is the lower end of its 95 % interval; `u32::MAX` without failures.
    pub worst: u32,
}

/// Chance that all repetitions pass, for which [`repeats`] plans.
const MISS: f64 = 0.05;

/// Returns how many repetitions show a failure with 95 % probability after `seen` (runs after the one that led
/// here).
///
/// Predictive: the smallest N with B(f + 1/2, s + 1/2 + N) / B(f + 1/2, s + 1/2) at most 0.05.
#[must_use]
pub fn repeats(seen: Count) -> Repeats {
    let (f, s) = parts(seen);
    let whole = |runs: u64| u32::try_from(runs).unwrap_or(u32::MAX);
    let certain = 1.0 - MISS;
    let enough = |runs: u32| ln_sequence(0.0, f64::from(runs), f + HALF, s + HALF) <= MISS.ln();
    let mut high = 1_u32;
    while !enough(high) && high < u32::MAX / 2 {
        high *= 2;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    let rate = if f + s > 0.0 { f / (f + s) } else { 0.0 };
    Repeats {
        plug_in: whole(runs_to_see(rate, certain)),
        predictive: high,
        worst: whole(runs_to_see(jeffreys(seen, MISS).0, certain)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(failures: u64, trials: u64) -> Count {
        Count { failures, trials }
    }

    fn near(found: (f64, f64), low: f64, high: f64, tolerance: f64) {
        assert!(
            (found.0 - low).abs() < tolerance && (found.1 - high).abs() < tolerance,
            "found {found:?}, expected ({low}, {high})"
        );
    }

    #[test]
    fn intervals_agree_with_independent_values() {
        // By quadrature of the density, with sin^2 substituted.
        near(
            jeffreys(count(1, 25), 0.05),
            0.004_350_397,
            0.172_132_958,
            1e-8,
        );
        near(
            jeffreys(count(5, 30), 0.05),
            0.066_573_954,
            0.327_427_752,
            1e-8,
        );
        // scipy; the exact interval also by summing binomial probabilities.
        near(jeffreys(count(10, 500), 0.05), 0.0103, 0.0352, 6e-5);
        near(jeffreys(count(175, 3500), 0.05), 0.0431, 0.0576, 6e-5);
        near(
            clopper_pearson(count(10, 100), 0.05),
            0.049_005,
            0.176_223,
            1e-5,
        );
        near(clopper_pearson(count(0, 20), 0.05), 0.0, 0.168_433, 1e-5);
        near(
            wilson(count(10, 100), 1.959_964),
            0.055_229,
            0.174_366,
            1e-5,
        );
        near(wilson(count(0, 10), 1.959_964), 0.0, 0.277_533, 1e-5);
    }

    #[test]
    fn confidence_sequence_agrees_with_the_simulated_widths() {
        near(
            confidence_sequence(count(10, 500), 0.05),
            0.0051,
            0.0508,
            6e-5,
        );
        near(
            confidence_sequence(count(175, 3500), 0.05),
            0.0372,
            0.0653,
            6e-5,
        );
        near(confidence_sequence(count(0, 500), 0.05), 0.0, 0.0133, 6e-5);
    }

    #[test]
    fn every_interval_contains_the_observed_rate_and_says_nothing_without_trials() {
        for n in [1, 2, 7, 100, 3500, 70_000_000] {
            for f in [0, 1, n / 3, n - 1, n] {
                let seen = count(f, n);
                let rate = real(f) / real(n);
                for (low, high) in [
                    confidence_sequence(seen, 0.05),
                    jeffreys(seen, 0.05),
                    clopper_pearson(seen, 0.05),
                    wilson(seen, 1.96),
                ] {
                    assert!(
                        (0.0..=1.0).contains(&low)
                            && low <= rate + 1e-12
                            && rate <= high + 1e-12
                            && high <= 1.0,
                        "{f}/{n}: {low}..{high}"
                    );
                }
            }
        }
        for (low, high) in [
            confidence_sequence(count(0, 0), 0.05),
            jeffreys(count(0, 0), 0.05),
            clopper_pearson(count(0, 0), 0.05),
            wilson(count(0, 0), 1.96),
        ] {
            assert!(low.abs() < 1e-12 && (high - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn confidence_sequence_mirrors_failures_and_passes() {
        for (f, n) in [(0, 10), (3, 10), (10, 10), (12, 4000)] {
            let (low, high) = confidence_sequence(count(f, n), 0.05);
            near(
                confidence_sequence(count(n - f, n), 0.05),
                1.0 - high,
                1.0 - low,
                1e-12,
            );
        }
    }

    /// Research table 1.2.
    #[test]
    fn runs_to_see_agrees_with_the_table() {
        let table: [(f64, [u64; 4]); 6] = [
            (0.5, [1, 4, 5, 7]),
            (0.1, [7, 22, 29, 44]),
            (0.05, [14, 45, 59, 90]),
            (0.01, [69, 230, 299, 459]),
            (1e-3, [693, 2302, 2995, 4603]),
            (1e-4, [6932, 23_025, 29_956, 46_050]),
        ];
        for (p, expected) in table {
            let found = [0.5, 0.9, 0.95, 0.99].map(|confidence| runs_to_see(p, confidence));
            assert_eq!(found, expected, "rate {p}");
        }
        assert_eq!(runs_to_see(0.0, 0.95), u64::MAX);
        assert_eq!(runs_to_see(1.0, 0.95), 1);
    }

    /// Research table 3.3.
    #[test]
    fn repeats_agree_with_the_table() {
        for (f, n, plug_in, predictive, worst) in [
            (4, 4, 1, 2, 4),
            (5, 10, 5, 6, 12),
            (3, 10, 9, 12, 31),
            (10, 50, 14, 15, 27),
            (5, 100, 59, 71, 154),
        ] {
            let expected = Repeats {
                plug_in,
                predictive,
                worst,
            };
            assert_eq!(repeats(count(f, n)), expected, "{f} of {n}");
        }
        let never = repeats(count(0, 20));
        assert_eq!((never.plug_in, never.worst), (u32::MAX, u32::MAX));
        assert!(never.predictive > 1000, "{never:?}");
    }

    #[test]
    fn never_failed_bound_is_the_rule_of_three() {
        assert!((never_failed_bound(500, 0.05) - 0.005_973_5).abs() < 1e-6);
        assert!((never_failed_bound(3500, 0.05) - 0.000_855_5).abs() < 1e-6);
        assert!((never_failed_bound(3500, 0.05 / 2000.0) - 0.003_023).abs() < 1e-5);
        assert!((never_failed_bound(0, 0.05) - 1.0).abs() < 1e-12);
    }
}
