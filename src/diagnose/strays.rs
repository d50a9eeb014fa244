//! Stray failures: what any test of the suite shows now and then, because a container is shaky. A test that fails alone
//! no more often than that is no intermittent test, however surely it was seen to fail.

use crate::{
    model::Count,
    stats::burst::{UNEXPECTED_RATE, poisson_at_least},
};

/// Probability with which one hunt may take strays for an intermittent test, over all of its suspects together.
const MISTAKEN: f64 = 0.005;
/// Strays alone that would come with less than this probability show that it fails alone.
const FAILS_ALONE: f64 = 0.01;
/// A test that fails so much more often than the others is none of those that tell how often strays come.
const ONE_OF_THE_OTHERS: f64 = 1e-3;
/// Strays from which on their rate is known.
const KNOWN: f64 = 5.0;
/// Failures that strays alone would bring with more than this probability need no other explanation.
const EXPLAINED: f64 = 0.01;
/// Looks at the others; the rate settles after two or three.
const ROUNDS: u32 = 6;
/// Pairs of neighbours among failures alone, too many for chance, from which something outside is at work.
const TOGETHER: f64 = 0.01;

/// How often failures come to tests against which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Strays {
    /// Failures per recorded run.
    soak: f64,
    /// Failures per run alone.
    alone: f64,
    /// Strays among the recorded runs.
    seen: f64,
    /// Tests that failed at all.
    suspects: usize,
}

impl Strays {
    /// Learns from recorded runs of the *other* tests that ever failed; `quiet` are the recorded runs of those that
    /// never did, `held` failures that were set aside because a few came together in one container. Those are missing
    /// from the recorded runs, but nothing sets them aside when a test runs alone.
    pub(crate) fn learn(others: &[Count], quiet: u64, held: u64) -> Self {
        let (soak, seen) = usual_rate(others, (0.5, real(quiet) + 1.0));
        let runs: u64 = others.iter().map(|count| count.trials).sum();
        Self {
            soak,
            alone: soak + real(held) / (real(quiet + runs) + 1.0),
            seen,
            suspects: others.len() + 1,
        }
    }

    fn expected(self, soak: Count, alone: Count) -> f64 {
        self.soak * real(soak.trials) + self.alone * real(alone.trials)
    }

    /// How many more failures alone show that it fails more often than by strays; 0 when it is shown.
    pub(crate) fn missing(self, soak: Count, alone: Count) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "a number of tests")]
        let surely = MISTAKEN / self.suspects as f64;
        let beyond = |more: u64| {
            let all = soak.failures + alone.failures + more;
            let by_itself = self.alone * real(alone.trials);
            tail(all, self.expected(soak, alone)) < surely
                && tail(alone.failures + more, by_itself) < FAILS_ALONE
        };
        let mut more = 0;
        while !beyond(more) {
            more += 1;
        }
        more
    }

    /// Could all of it be strays, where so many were seen that it is known how often they come?
    pub(crate) fn explain(self, soak: Count, alone: Count) -> bool {
        let all = soak.failures + alone.failures;
        self.seen >= KNOWN && tail(all, self.expected(soak, alone)) > EXPLAINED
    }
}

/// Do failures among runs in the order in which they ran stand side by side too often for chance? Each run of an
/// intermittent test fails on its own account; something outside lasts a while.
pub(crate) fn come_together(runs: impl Iterator<Item = bool>) -> bool {
    let (mut failures, mut all, mut pairs) = (0_u32, 0_u32, 0_u32);
    let mut last = false;
    for failed in runs {
        all += 1;
        failures += u32::from(failed);
        pairs += u32::from(failed && last);
        last = failed;
    }
    let (failures, all) = (f64::from(failures), f64::from(all.max(1)));
    pairs > 0 && poisson_at_least(pairs, failures * (failures - 1.0) / all) < TOGETHER
}

/// The rate that most of them share, and how many failures it is learnt from: those that fail more often are left out,
/// again and again.
fn usual_rate(counts: &[Count], (failures, trials): (f64, f64)) -> (f64, f64) {
    let rate_of = |all: &mut dyn Iterator<Item = &Count>| {
        let (failed, ran) = all.fold((failures, trials), |(failed, ran), count| {
            (failed + real(count.failures), ran + real(count.trials))
        });
        (failed / ran, failed - failures)
    };
    let seldom = |count: &&Count| {
        count.failures <= 1 || real(count.failures) < UNEXPECTED_RATE * real(count.trials)
    };
    let (mut rate, mut seen) = rate_of(&mut counts.iter().filter(seldom));
    for _ in 0..ROUNDS {
        let usual =
            |count: &&Count| tail(count.failures, rate * real(count.trials)) >= ONE_OF_THE_OTHERS;
        (rate, seen) = rate_of(&mut counts.iter().filter(usual));
    }
    (rate, seen)
}

fn tail(failures: u64, mean: f64) -> f64 {
    poisson_at_least(u32::try_from(failures).unwrap_or(u32::MAX), mean)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of runs are far below 2^52"
)]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(failures: u64, trials: u64) -> Count {
        Count { failures, trials }
    }

    #[test]
    fn in_a_quiet_suite_a_few_failures_alone_are_enough() {
        let strays = Strays::learn(&[], 150_000, 0);
        assert_eq!(strays.missing(count(6, 300), count(2, 60)), 0);
        assert!(!strays.explain(count(6, 300), count(2, 60)));
    }

    #[test]
    fn where_every_test_fails_now_and_then_the_same_failures_are_strays() {
        let others: Vec<Count> = (0..150).map(|test| count(2 + test % 4, 3500)).collect();
        let strays = Strays::learn(&others, 0, 150);
        let healthy = (count(5, 3500), count(2, 550));
        assert!(strays.missing(healthy.0, healthy.1) > 3);
        assert!(strays.explain(healthy.0, healthy.1));
        let flaky = (count(70, 3500), count(9, 400));
        assert_eq!(strays.missing(flaky.0, flaky.1), 0);
    }

    #[test]
    fn intermittent_tests_do_not_hide_each_other() {
        let others: Vec<Count> = (1..40).map(|test| count(test * 10, 3500)).collect();
        let strays = Strays::learn(&others, 150 * 3500, 0);
        assert_eq!(strays.missing(count(14, 3500), count(5, 600)), 0);
    }

    #[test]
    fn failures_side_by_side_come_from_outside_and_scattered_ones_do_not() {
        let runs = |failing: &[usize]| {
            let failing = failing.to_vec();
            (0..300).map(move |run| failing.contains(&run))
        };
        assert!(come_together(runs(&[70, 71])));
        assert!(come_together(runs(&[70, 71, 72, 200])));
        assert!(!come_together(runs(&[10, 71, 150, 200])));
        assert!(!come_together(
            (0..40).map(|run| run % 2 == 0 || run % 3 == 0)
        ));
    }
}
