//! The bench of truth: suites with planted defects, hunts through them on a simulated clock with the shipped
//! schedule and the shipped analyst, and a score against what was planted.
//!
//! - [`chance`]: the coins of a simulation
//! - [`world`]: a suite, what is wrong with it, what surrounds it
//! - [`process`]: what the tests of one process show
//! - [`scenario`]: the suites that are asked for by name
//! - [`hunt`]: workers, watermark, probes, kills
//! - [`score`]: flags against the truth
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::wildcard_enum_match_arm,
    reason = "counts of a simulation are far below 2^32, and most defects are like the others to a question"
)]

pub(crate) mod chance;
pub(crate) mod hunt;
pub(crate) mod process;
pub(crate) mod scenario;
pub(crate) mod score;
pub(crate) mod world;

/// Returns the 95 % interval of Clopper and Pearson.
pub(crate) fn interval(hits: u64, trials: u64) -> (f64, f64) {
    let side = |beyond: &dyn Fn(f64) -> f64| {
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if beyond(middle) > 0.025 {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    };
    // P(at least `hits`) rises with the rate, P(at most `hits`) falls.
    let low = side(&|rate| at_least(hits, trials, rate));
    let high = 1.0 - side(&|other| at_least(trials - hits, trials, other));
    (
        if hits == 0 { 0.0 } else { low },
        if hits == trials { 1.0 } else { high },
    )
}

/// P(X >= hits) for a binomial X, by its terms.
fn at_least(hits: u64, trials: u64, rate: f64) -> f64 {
    let mut ln_choose = 0.0;
    let mut sum = 0.0;
    for k in 0..=trials {
        if k >= hits {
            let ln = ln_choose + k as f64 * rate.ln() + (trials - k) as f64 * (-rate).ln_1p();
            sum += if k == 0 && rate == 0.0 { 1.0 } else { ln.exp() };
        }
        ln_choose += ((trials - k) as f64 / (k + 1) as f64).ln();
    }
    sum
}
