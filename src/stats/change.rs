//! A test that passed in every run up to some point and failed in every run since: chance, or a change?

use super::special::real;

/// Returns ln of an e-value against "passes and failures come in any order", for `passes` passes that were all
/// followed by `failures` failures. Valid at every moment of looking, without knowing the point beforehand.
///
/// Universal inference: the forecaster that expects the change after P passes has the prior weight
/// 1 / ((P + 1)(P + 2)), and is compared with the best constant rate in hindsight; so the e-value is
/// (N/F)^F (N/P)^P / ((P + 1)(P + 2)) with N = F + P. A sequence whose order is random is a mixture of constant rates,
/// none of which beats the best.
///
/// Source: L. Wasserman, A. Ramdas, S. Balakrishnan (2020), Universal inference, PNAS 117(29), section 8.
#[must_use]
pub fn ln_e_change(passes: u64, failures: u64) -> f64 {
    let (p, f) = (real(passes), real(failures));
    let part = |x: f64| if x > 0.0 { x * ((p + f) / x).ln() } else { 0.0 };
    part(p) + part(f) - ((p + 1.0) * (p + 2.0)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::chance::Chance;

    #[test]
    fn the_formula_at_small_counts() {
        // P = F = 5: 2^10 / 42.
        assert!((ln_e_change(5, 5) - (1024.0_f64 / 42.0).ln()).abs() < 1e-12);
        assert!(ln_e_change(0, 50) < 0.0);
        assert!(ln_e_change(50, 0) < 0.0);
        assert!(ln_e_change(5, 14) > 1000.0_f64.ln() && ln_e_change(5, 10) < 1000.0_f64.ln());
        assert!(ln_e_change(100, 4) > 1000.0_f64.ln());
    }

    /// However often someone looks, at a level of 1/20 at most one test in twenty is ever called changed.
    #[test]
    fn tests_without_a_change_are_rarely_called_changed() {
        let mut chance = Chance::new(23);
        for rate in [0.05, 0.3, 0.7, 0.97] {
            let worlds = 2000;
            let called = (0..worlds)
                .filter(|_| ever_called(rate, &mut chance))
                .count();
            assert!(called <= worlds / 20, "{called} of {worlds} at rate {rate}");
        }
    }

    fn ever_called(rate: f64, chance: &mut Chance) -> bool {
        let (mut passes, mut failures) = (0, 0);
        for _ in 0..300 {
            if chance.happens(rate) {
                failures += 1;
            } else if failures > 0 {
                // A pass after a failure: the pattern is broken for good.
                return false;
            } else {
                passes += 1;
            }
            if ln_e_change(passes, failures) >= 20.0_f64.ln() {
                return true;
            }
        }
        false
    }
}
