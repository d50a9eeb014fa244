//! The budget of probes: a bucket that the soak fills and probes empty.

/// Worth of how many iterations the bucket holds.
const DEPTH: f64 = 3.0;

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
    fn bucket_without_a_share_stays_empty() {
        let mut bucket = Bucket::default();
        bucket.earn(1000.0, 0.0);
        assert!(!bucket.allows());
    }
}
