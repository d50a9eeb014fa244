//! Has a test become worse? A detector that may be looked at after every run, for years.

use super::special::{ln_add, ln_mean};

/// Rates that the detector is ready for, as multiples of the rate before.
const TIMES: [f64; 5] = [2.0, 4.0, 8.0, 16.0, 32.0];
/// The highest rate that it compares with.
const MOST: f64 = 0.999;
/// Runs until a false alarm, on average at least: 200 flaky tests of 3,500 runs a week give one a week.
const PATIENCE: f64 = 7e5;

/// A Shiryaev-Roberts e-detector for a failure rate above one that is known: average over the alternatives of
/// R(t) = (1 + R(t - 1)) L(t), with the likelihood ratio L of one run. An alarm at a value A comes after A runs
/// or more on average where nothing changed.
///
/// Source: J. Shin, A. Ramdas, A. Rinaldo (2024), E-detectors, New England Journal of Statistics in Data Science 2(2).
#[derive(Clone, Debug, PartialEq)]
pub struct Worse {
    /// ln L of a failure and of a pass, by alternative.
    ratios: [(f64, f64); TIMES.len()],
    /// ln R by alternative; minus infinity for 0.
    ln_r: [f64; TIMES.len()],
    alarmed: bool,
}

impl Worse {
    /// Starts with the highest rate that the runs before allow, above 0 and below 1.
    #[must_use]
    pub fn than(rate: f64) -> Self {
        let p = rate.clamp(1e-9, MOST);
        let ratio = |times: f64| {
            let other = (p * times).min(f64::midpoint(p, 1.0).max(MOST * p));
            ((other / p).ln(), (-other).ln_1p() - (-p).ln_1p())
        };
        Self {
            ratios: TIMES.map(ratio),
            ln_r: [f64::NEG_INFINITY; TIMES.len()],
            alarmed: false,
        }
    }

    /// Takes one run.
    pub fn saw(&mut self, failed: bool) {
        for (ln_r, (failure, pass)) in self.ln_r.iter_mut().zip(self.ratios) {
            *ln_r = ln_add(0.0, *ln_r) + if failed { failure } else { pass };
        }
        self.alarmed |= ln_mean(&self.ln_r) >= PATIENCE.ln();
    }

    /// Was there an alarm?
    #[must_use]
    pub fn is_alarmed(&self) -> bool {
        self.alarmed
    }
}

/// Returns the slope of a rate from one span to the next: -1 falling, 1 rising, 0 where their intervals overlap.
#[must_use]
pub fn direction(before: (f64, f64), after: (f64, f64)) -> i8 {
    i8::from(after.0 > before.1) - i8::from(after.1 < before.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{chance::Chance, special::real};

    /// Research 7.3: delays of 329, 49, 338, 41 and 6 runs.
    #[test]
    fn delays_are_those_of_the_simulation() {
        let mut chance = Chance::new(3);
        for (before, after, delay) in [
            (0.002, 0.02, 329.0),
            (0.002, 0.08, 49.0),
            (0.02, 0.2, 41.0),
            (0.02, 0.8, 6.0),
        ] {
            let mut delays: Vec<f64> = (0..200)
                .map(|_| {
                    let mut detector = Worse::than(before);
                    let mut runs = 0_u64;
                    while !detector.is_alarmed() && runs < 20_000 {
                        detector.saw(chance.happens(after));
                        runs += 1;
                    }
                    real(runs)
                })
                .collect();
            delays.sort_by(f64::total_cmp);
            let found = delays[delays.len() / 2];
            assert!(
                found < 2.0 * delay + 3.0 && found > delay / 3.0,
                "{before} to {after}: {found} runs, {delay} in the simulation"
            );
        }
    }

    #[test]
    fn a_test_that_stays_as_it_was_hardly_ever_alarms() {
        let mut chance = Chance::new(7);
        let alarms = (0..300)
            .filter(|_| {
                let mut detector = Worse::than(0.02);
                (0..3500).for_each(|_| detector.saw(chance.happens(0.02)));
                detector.is_alarmed()
            })
            .count();
        assert!(alarms <= 4, "{alarms} of 300 weeks");
    }

    #[test]
    fn direction_needs_intervals_apart() {
        assert_eq!(direction((0.1, 0.2), (0.3, 0.4)), 1);
        assert_eq!(direction((0.3, 0.4), (0.1, 0.2)), -1);
        assert_eq!(direction((0.1, 0.3), (0.2, 0.4)), 0);
    }
}
