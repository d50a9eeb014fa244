//! Logarithms of beta functions, the incomplete beta function and its inverse, right also where the shapes are
//! in the millions. Of `statrs` we use the gamma function alone: its incomplete
//! beta loses digits at large shapes, and its inverse may not return.

use std::f64::consts::PI;

use statrs::function::gamma::ln_gamma;

/// Above this, Stirling's series has every digit; below, the difference of logarithms has.
const STIRLING_FROM: f64 = 16.0;

/// Returns a count as a real number.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of runs stay far below 2^53"
)]
pub fn real(count: u64) -> f64 {
    count as f64
}

/// Returns ln B(a, b) for positive `a` and `b`.
#[must_use]
pub fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// Returns ln of (B(a + f, b + s) / B(a, b)): the chance of one sequence with `f` failures and `s` passes when the
/// rate is drawn from Beta(a, b).
#[must_use]
pub fn ln_sequence(f: f64, s: f64, a: f64, b: f64) -> f64 {
    ln_beta(a + f, b + s) - ln_beta(a, b)
}

/// Returns ln(e^x + e^y).
#[must_use]
pub fn ln_add(x: f64, y: f64) -> f64 {
    let high = x.max(y);
    if high == f64::NEG_INFINITY {
        return high;
    }
    high + (x.min(y) - high).exp().ln_1p()
}

/// Returns ln of the sum of e^x; minus infinity where there is none.
#[must_use]
pub fn ln_sum(values: &[f64]) -> f64 {
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if high == f64::NEG_INFINITY {
        return high;
    }
    high + values.iter().map(|x| (x - high).exp()).sum::<f64>().ln()
}

/// Returns ln of the mean of e^x: the e-value of a family from the e-values of its members. Minus infinity
/// where there is none.
#[must_use]
pub fn ln_mean(values: &[f64]) -> f64 {
    ln_sum(values) - real(values.len() as u64).ln()
}

/// Returns weights in proportion to e^x that add up to 1; all 0 where every `x` is minus infinity.
#[must_use]
pub fn softmax(values: &[f64]) -> Vec<f64> {
    let total = ln_sum(values);
    if total == f64::NEG_INFINITY {
        return vec![0.0; values.len()];
    }
    values.iter().map(|x| (x - total).exp()).collect()
}

/// Error of Stirling's formula: ln Γ(z + 1) minus ((z + 1/2) ln z - z + ln(2π)/2).
fn stirling_error(z: f64) -> f64 {
    if z < STIRLING_FROM {
        return ln_gamma(z + 1.0) - ((z + 0.5) * z.ln() - z + 0.5 * (2.0 * PI).ln());
    }
    let square = z * z;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / 1680.0 / square) / square) / square) / z
}

/// x ln(x / m) + m - x, without cancellation where `x` is near `m`.
fn deviance(x: f64, m: f64) -> f64 {
    let distance = x - m;
    if distance.abs() >= 0.1 * (x + m) {
        return x * (x / m).ln() + m - x;
    }
    let v = distance / (x + m);
    let mut sum = distance * v;
    let mut power = 2.0 * x * v;
    for odd in (3..).step_by(2) {
        power *= v * v;
        let next = sum + power / f64::from(odd);
        if next.to_bits() == sum.to_bits() {
            break;
        }
        sum = next;
    }
    sum
}

/// x^a (1 - x)^b / B(a, b), with `y` = 1 - x given apart so that it keeps its digits.
///
/// Source: C. Loader (2000), Fast and accurate computation of binomial probabilities.
fn beta_front(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    let log = stirling_error(n)
        - stirling_error(a)
        - stirling_error(b)
        - deviance(a, n * x)
        - deviance(b, n * y);
    (a * b / (2.0 * PI * n)).sqrt() * log.exp()
}

/// The continued fraction of the incomplete beta function by Lentz's method; converges fast where x is at most
/// (a + 1) / (a + b + 2).
///
/// Source: NIST Digital Library of Mathematical Functions 8.17.22.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let keep = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / keep(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    // The number of terms grows with the square root of the larger shape.
    let limit = 1000.0 + 10.0 * a.max(b).sqrt();
    let mut m = 1.0;
    while m < limit {
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / keep(1.0 + even * d);
        c = keep(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / keep(1.0 + odd * d);
        c = keep(1.0 + odd / c);
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
        m += 1.0;
    }
    h
}

/// The lower and the upper tail of Beta(a, b) at x = 1 / (1 + e^-t): the smaller of the two has all its digits.
fn tails(a: f64, b: f64, t: f64) -> (f64, f64) {
    let x = 1.0 / (1.0 + (-t).exp());
    let y = 1.0 / (1.0 + t.exp());
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if y <= 0.0 {
        return (1.0, 0.0);
    }
    let front = beta_front(a, b, x, y);
    if x <= (a + 1.0) / (a + b + 2.0) {
        let low = (front * fraction(a, b, x) / a).min(1.0);
        (low, 1.0 - low)
    } else {
        let high = (front * fraction(b, a, y) / b).min(1.0);
        (1.0 - high, high)
    }
}

/// Returns the probability that Beta(a, b) is at most `x`, for positive shapes.
#[must_use]
pub fn beta_cdf(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    tails(a, b, x.ln() - (-x).ln_1p()).0
}

/// Which end of a distribution a probability is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Probability below.
    Lower,
    /// Probability above.
    Upper,
}

/// Returns where Beta(a, b) leaves `probability` on the side of `tail`, for positive shapes: bisection on the
/// logit, which is monotone and cannot hang.
#[must_use]
pub fn beta_quantile(a: f64, b: f64, probability: f64, tail: Tail) -> f64 {
    let beyond = |t: f64| match tail {
        Tail::Lower => tails(a, b, t).0 >= probability,
        Tail::Upper => tails(a, b, t).1 <= probability,
    };
    logistic(bisect(beyond))
}

/// Returns 1 / (1 + e^-t).
pub(super) fn logistic(t: f64) -> f64 {
    1.0 / (1.0 + (-t).exp())
}

/// Returns the logit at which a monotone condition becomes true, within what a probability can express.
pub(super) fn bisect(beyond: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (-745.0_f64, 745.0_f64);
    while high - low > 1e-14 * low.abs().max(1.0) {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if beyond(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, relative: f64) {
        assert!(
            (found - expected).abs() <= relative * expected.abs(),
            "found {found:e}, expected {expected:e}"
        );
    }

    #[test]
    fn incomplete_beta_agrees_with_closed_forms() {
        // Beta(1, b): 1 - (1-x)^b. Beta(a, 1): x^a. Beta(1/2, 1/2): 2/pi asin(sqrt x).
        for x in [1e-9_f64, 0.01, 0.3, 0.5, 0.9, 0.999] {
            close(beta_cdf(1.0, 7.5, x), -(7.5 * (-x).ln_1p()).exp_m1(), 1e-13);
            close(beta_cdf(3.5, 1.0, x), x.powf(3.5), 1e-13);
            close(beta_cdf(0.5, 0.5, x), 2.0 / PI * x.sqrt().asin(), 1e-13);
        }
    }

    /// Exact sums of binomial probabilities.
    #[test]
    fn incomplete_beta_agrees_with_binomial_tails() {
        for (n, k, p) in [(20_u32, 3_u32, 0.1_f64), (50, 25, 0.5), (200, 7, 0.02)] {
            let mut term = f64::from(n) * (-p).ln_1p();
            let mut below = 0.0;
            for i in 0..k {
                below += term.exp();
                term += (f64::from(n - i) / f64::from(i + 1)).ln() + (p / (1.0 - p)).ln();
            }
            close(
                beta_cdf(f64::from(k), f64::from(n - k + 1), p),
                1.0 - below,
                1e-11,
            );
        }
    }

    /// At these shapes the inverse of `statrs` does not return; near the mean Beta is normal to a few parts in
    /// the square root of its smaller shape.
    #[test]
    fn quantiles_return_at_large_shapes_and_invert_the_distribution() {
        for (a, b) in [
            (3.5, 1e7),
            (0.5, 1e7),
            (1000.5, 7e7),
            (5e5, 6.5e6),
            (0.5, 2e4),
            (2.0, 3.0),
        ] {
            for q in [1e-9, 0.025, 0.5] {
                let low = beta_quantile(a, b, q, Tail::Lower);
                close(beta_cdf(a, b, low), q, 1e-8);
                let high = beta_quantile(a, b, q, Tail::Upper);
                close(1.0 - beta_cdf(a, b, high), q, 2e-6);
                assert!(low <= high, "{a} {b} {q}: {low} > {high}");
            }
        }
        close(
            beta_quantile(0.5, 20_000.0, 1e-9, Tail::Lower),
            3.9e-23,
            0.01,
        );
    }

    #[test]
    fn sums_of_logarithms_survive_huge_values() {
        close(ln_sum(&[2000.0, 2000.0]), 2000.0 + 2.0_f64.ln(), 1e-15);
        close(ln_add(-3000.0, 5.0), 5.0, 1e-15);
        close(ln_mean(&[1.0, 1.0, 1.0]), 1.0, 1e-15);
        assert_eq!(softmax(&[f64::NEG_INFINITY, 700.0]), vec![0.0, 1.0]);
        assert_eq!(softmax(&[f64::NEG_INFINITY]), vec![0.0]);
    }
}
