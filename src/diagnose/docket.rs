//! The budget of probes: a bucket that the soak fills and probes empty.

use crate::stats::special::real;

/// Worth of how many iterations the bucket holds.
const DEPTH: f64 = 3.0;

/// Share of an iteration that a question may cost in the first one, if more recorded runs would make it cheaper ...
const AT_FIRST: f64 = 0.07;
/// ... and iterations after which it may cost another whole one: what they have not made cheap, they will not soon.
const ITERATIONS: f64 = 500.0;
/// Probes of the first class: about what a search and a certificate take.
const FIRST_CLASS: usize = 32;

/// Returns the share of an iteration that a question may cost by this one, if more recorded runs would make it cheaper.
pub(crate) fn patience(iteration: u64) -> f64 {
    AT_FIRST + real(iteration) / ITERATIONS
}

/// Returns the class of a test that so many probes were spent on: each holds twice as many as the one before.
pub(crate) fn class(probes: usize) -> u32 {
    (probes / FIRST_CLASS)
        .checked_ilog2()
        .map_or(0, |log| log + 1)
}

/// Seconds that probes may spend.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    seconds: f64,
}

impl Bucket {
    /// The soak spent `spent` seconds; probes earn so much that they come to `share` of all time.
    pub(crate) fn earn(&mut self, spent: f64, share: f64) {
        let worth = spent * ratio(share);
        self.seconds = (self.seconds + worth).min(DEPTH * worth.max(0.0));
    }

    /// May a probe start? It may overdraw the bucket once.
    pub(crate) fn allows(self) -> bool {
        self.seconds > 0.0
    }

    /// Probes spent `seconds`.
    pub(crate) fn spend(&mut self, seconds: f64) {
        self.seconds -= seconds;
    }
}

/// Seconds of probes per second of soak, at a share of the whole.
fn ratio(share: f64) -> f64 {
    let share = share.clamp(0.0, 0.95);
    share / (1.0 - share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_gives_probes_their_share_and_holds_three_iterations() {
        let mut bucket = Bucket::default();
        assert!(!bucket.allows());
        let mut spent = 0.0;
        for _ in 0..100 {
            bucket.earn(70.0, 0.3);
            while bucket.allows() {
                bucket.spend(7.0);
                spent += 7.0;
            }
        }
        assert!((spent / (spent + 7000.0) - 0.3_f64).abs() < 0.01, "{spent}");
        for _ in 0..100 {
            bucket.earn(70.0, 0.3);
        }
        bucket.spend(89.0);
        assert!(bucket.allows());
        bucket.spend(2.0);
        assert!(!bucket.allows());
    }

    #[test]
    fn classes_double() {
        assert_eq!(
            [0, 31, 32, 63, 64, 127, 128].map(class),
            [0, 0, 1, 1, 2, 2, 3]
        );
    }

    #[test]
    fn bucket_without_a_share_stays_empty() {
        let mut bucket = Bucket::default();
        bucket.earn(1000.0, 0.0);
        assert!(!bucket.allows());
    }
}
