//! What repeated runs of one subset say together: Wald's sequential test of "it reproduces" against "it fails as
//! the test does anyway". What reproduces does so nearly always, or at a rate that is learned on the way.
//!
//! Source: A. Wald (1945), Sequential tests of statistical hypotheses, Ann. Math. Stat. 16(2), 117-186.

use std::collections::BTreeMap;

use crate::model::Count;
use crate::stats::special::{ln_beta, real};

/// ln of the odds at which a subset is taken to reproduce: wrongly at most once in 100.
const LN_ACCEPT: f64 = 4.605_170_185_988_091;
/// The same where a wrong yes would lose a member for good, or say that the test fails alone: once in 1,000.
const LN_ACCEPT_PROOF: f64 = 6.907_755_278_982_137;
/// Background rates below this cannot be told from none with the runs that anyone spends.
const LEAST_BACKGROUND: f64 = 0.005;
/// A failure that comes oftener than this by itself is no order dependence that this search could find.
const MOST_BACKGROUND: f64 = 0.3;
/// What the background that was expected at the start weighs, in runs. Much less, and a few rejections without a
/// failure talk it down until chance failures are taken for the cause; much more, and a single unlucky run alone
/// makes every question long.
const BACKGROUND_WEIGHT: f64 = 20.0;
/// What the rate that was expected at the start weighs, in runs.
const WEIGHT: f64 = 4.0;
/// How often a sure cause shows.
const SURE: f64 = 0.98;
/// Probability that a cause is sure, over the rate that was expected. Most are: with much less, each rejection takes
/// several runs of a long list; with much more, what fails now and then loses its members to single passes.
const SURE_AT_FIRST: f64 = 1.1;
/// Part of what an accepted subset showed that counts for the rate: others may reproduce at another one.
const LEARNED: f64 = 0.5;

/// How sure a rejection must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// A wrong one costs a detour: at most one in 20.
    Passing,
    /// It is part of the proof that nothing can go: at most one in 100.
    Proof,
    /// A run of this very subset just failed: at most one in 100, also if it reproduces only a good half as often as
    /// expected.
    AfterFailure,
    /// The whole list that once failed: at most one in 100, also at half the expected rate.
    Whole,
}

/// Runs of all subsets so far, and the rates.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    runs: BTreeMap<Vec<u32>, Count>,
    expected: f64,
    background: f64,
    learned_failures: f64,
    learned_trials: f64,
    /// Runs of subsets that were accepted, once each.
    accepted: BTreeMap<Vec<u32>, Count>,
    /// Runs of subsets that were rejected, once each.
    rejected: BTreeMap<Vec<u32>, Count>,
    first_background: f64,
}

impl Answers {
    pub(super) fn new(rate: f64, background: f64) -> Self {
        Self {
            runs: BTreeMap::new(),
            expected: rate.clamp(0.05, 1.0),
            background: background.clamp(LEAST_BACKGROUND, MOST_BACKGROUND),
            accepted: BTreeMap::new(),
            rejected: BTreeMap::new(),
            first_background: background,
            learned_failures: 0.0,
            learned_trials: 0.0,
        }
    }

    pub(super) fn seen(&self, subset: &[u32]) -> Count {
        self.runs.get(subset).copied().unwrap_or_default()
    }

    pub(super) fn record(&mut self, subset: &[u32], failed: bool) {
        let count = self.runs.entry(subset.to_vec()).or_default();
        count.trials += 1;
        count.failures += u64::from(failed);
    }

    /// What was seen of a subset counts no longer: it was chosen because of it.
    pub(super) fn forget(&mut self, subset: &[u32]) {
        self.runs.remove(subset);
        self.accepted.remove(subset);
    }

    /// Learns the rate from a subset that was accepted. One failure is left out: runs stop at one.
    pub(super) fn learn(&mut self, subset: &[u32]) {
        let seen = self.seen(subset);
        self.accepted.insert(subset.to_vec(), seen);
        if seen.trials > 1 {
            self.learned_failures += LEARNED * real(seen.failures.saturating_sub(1));
            self.learned_trials += LEARNED * real(seen.trials - 1);
        }
    }

    /// Learns the background from a subset that was rejected: without the cause it fails as the test does alone.
    pub(super) fn learn_background(&mut self, subset: &[u32]) {
        let seen = self.seen(subset);
        self.rejected.insert(subset.to_vec(), seen);
        let (mut failures, mut trials) = (0, 0);
        for count in self.rejected.values() {
            failures += count.failures;
            trials += count.trials;
        }
        let mean = (BACKGROUND_WEIGHT * self.first_background + real(failures))
            / (BACKGROUND_WEIGHT + real(trials));
        // What was rejected failed less than it does on average, or it would not have been rejected.
        let least = LEAST_BACKGROUND.max(0.5 * self.first_background);
        self.background = mean.max(least).min(MOST_BACKGROUND);
    }

    /// The rate at which a subset must reproduce to be told from the background: somewhat below the best guess, less so
    /// the more is known.
    fn rate(&self, rejection: Rejection) -> f64 {
        let a = WEIGHT * self.expected + self.learned_failures;
        let b = WEIGHT * (1.0 - self.expected) + 0.05 + self.learned_trials - self.learned_failures;
        let mean = a / (a + b);
        let deviation = (a * b / (a + b + 1.0)).sqrt() / (a + b);
        let cautious = (mean - 0.5 * deviation).max(0.75 * mean);
        let rate = match rejection {
            Rejection::Passing | Rejection::Proof => cautious,
            Rejection::AfterFailure => 0.6 * cautious,
            Rejection::Whole => (0.5 * self.expected).max(0.1),
        };
        rate.max(3.0 * self.background).min(0.97)
    }

    /// Probability that the cause is sure, given what the accepted subsets showed; the others are taken to fail at
    /// rates spread around the expected one.
    fn sure(&self) -> f64 {
        let (mut failures, mut passes) = (0.0, 0.0);
        for count in self.accepted.values() {
            failures += real(count.failures);
            passes += real(count.trials - count.failures);
        }
        let a = WEIGHT * self.expected;
        let b = WEIGHT * (1.0 - self.expected) + 0.05;
        let graded = ln_beta(a + failures, b + passes) - ln_beta(a, b);
        let sure = failures * SURE.ln() + passes * (1.0 - SURE).ln();
        let first = (SURE_AT_FIRST * self.expected).min(0.95);
        let odds = first / (1.0 - first) * (sure - graded).exp();
        odds / (1.0 + odds)
    }

    /// Does the subset reproduce? `None` while its runs do not say.
    pub(super) fn judge(&self, subset: &[u32], rejection: Rejection) -> Option<bool> {
        let seen = self.seen(subset);
        let (f, s) = (real(seen.failures), real(seen.trials - seen.failures));
        let rate = self.rate(rejection);
        let sure = self.sure();
        let reproduces = sure * SURE.powf(f) * (1.0 - SURE).powf(s)
            + (1.0 - sure) * rate.powf(f) * (1.0 - rate).powf(s);
        let ln = reproduces.max(f64::MIN_POSITIVE).ln()
            - f * self.background.ln()
            - s * (1.0 - self.background).ln();
        let reject = match rejection {
            Rejection::Passing => 0.05_f64.ln(),
            Rejection::Proof | Rejection::AfterFailure | Rejection::Whole => 0.01_f64.ln(),
        };
        let accept = if subset.is_empty() || rejection == Rejection::Proof {
            LN_ACCEPT_PROOF
        } else {
            LN_ACCEPT
        };
        if ln >= accept {
            Some(true)
        } else if ln <= reject {
            Some(false)
        } else {
            None
        }
    }
}
