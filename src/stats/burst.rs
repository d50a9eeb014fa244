//! Infrastructure looks like this: several tests that hardly ever fail do so in one container. Decided by counts;
//! which tests failed is the caller's business.

use super::special::real;
use crate::model::Count;

/// A test that fails more rarely than this otherwise is not expected to fail. Doubled, intermittent tests count
/// towards bursts; halved, the first failures of a test in a young hunt do not.
pub const UNEXPECTED_RATE: f64 = 0.02;
/// Unexpected failures below which it is no burst, however unlikely.
const LEAST: u32 = 3;
/// Failures per segment that need no explanation.
const BASE: f64 = 0.02;
/// Part of the recorded rates that counts as expected: they contain the bursts themselves.
const PART: f64 = 0.25;
/// Chance of as many by themselves, below which it is a burst: about one false burst in 10,000 segments.
const UNLIKELY: f64 = 1e-4;

/// Returns the rate of a test without one failure of it: is it expected to fail? 0 where that was its only run.
#[must_use]
pub fn leave_one_out(soak: Count) -> f64 {
    if soak.trials <= 1 {
        return 0.0;
    }
    real(soak.failures.saturating_sub(1)) / real(soak.trials - 1)
}

/// Are `unexpected` failures in one segment a burst? `rates` is the sum of the failure rates of all its tests that are
/// not expected to fail ([`UNEXPECTED_RATE`]).
#[must_use]
pub fn is_burst(unexpected: u32, rates: f64) -> bool {
    unexpected >= LEAST && poisson_at_least(unexpected, BASE + PART * rates) < UNLIKELY
}

/// P(X >= `count`) of a Poisson variable: the tail summed from its largest term on, so that small tails keep their
/// digits; where the tail is not small, what is missing from 1.
pub(crate) fn poisson_at_least(count: u32, mean: f64) -> f64 {
    let mut term = (0..count).fold((-mean).exp(), |term, i| term * mean / f64::from(i + 1));
    if f64::from(count) <= mean {
        // The other side is the smaller one.
        let mut below = 0.0;
        let mut rest = (-mean).exp();
        for i in 0..count {
            below += rest;
            rest *= mean / f64::from(i + 1);
        }
        return 1.0 - below;
    }
    let mut tail = 0.0;
    let mut next = f64::from(count) + 1.0;
    while term > tail * 1e-17 {
        tail += term;
        term *= mean / next;
        next += 1.0;
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poisson_tails_agree_with_closed_forms() {
        for mean in [0.02_f64, 0.5, 3.0, 20.0] {
            let at_least_one = -(-mean).exp_m1();
            let at_least_two = at_least_one - mean * (-mean).exp();
            for (count, expected) in [(0, 1.0), (1, at_least_one), (2, at_least_two)] {
                let found = poisson_at_least(count, mean);
                assert!(
                    (found - expected).abs() < 1e-13,
                    "{count} at {mean}: {found} {expected}"
                );
            }
        }
        // Tables of the Poisson distribution: P(X >= 10 | 5) = 0.0318, P(X >= 3 | 0.02) = 1.3135e-6.
        assert!((poisson_at_least(10, 5.0) - 0.031_828).abs() < 1e-6);
        assert!((poisson_at_least(3, 0.02) - 1.3135e-6).abs() < 1e-9);
    }

    #[test]
    fn three_steady_tests_that_fail_together_are_a_burst_and_three_shaky_ones_are_not() {
        assert!(is_burst(3, 0.0));
        assert!(is_burst(4, 0.5));
        assert!(!is_burst(2, 0.0));
        assert!(!is_burst(3, 2.0));
        assert!(is_burst(40, 2.0));
    }

    #[test]
    fn a_polluter_with_many_victims_that_recurs_is_expected() {
        let rate = |failures, trials| leave_one_out(Count { failures, trials });
        assert!(rate(1, 50) < UNEXPECTED_RATE);
        assert!(rate(5, 50) > UNEXPECTED_RATE);
        assert!(rate(1, 1) < UNEXPECTED_RATE);
    }
}
