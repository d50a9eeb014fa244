//! Failures that come in bursts are set aside as those of the infrastructure, once the same orders, run again, did not
//! show them, or once the tests did not fail together again for many iterations; and until they recur.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    history::{Segment, count},
    replays::{Awaited, Replays},
};
use crate::{
    model::Count,
    stats::burst::{UNEXPECTED_RATE, is_burst, leave_one_out},
};

/// In a burst, failures of tests with a lower rate elsewhere are set aside; others would have come anyway.
const SET_ASIDE: f64 = 0.3;

/// Unexpected failures that make a burst, at least.
const LEAST: u32 = 3;

/// Flaky tests that fail for the first time, per trial and 1 / iterations: a twentieth of all tests flaky, with
/// rates spread evenly by magnitude from 0.0001 to 0.5, gives `0.05 / ln 5000`; four times that, since a burst counts
/// a quarter of what it is told to expect. Without it the first failures of a young hunt are taken for a burst; with
/// ten times as much, bursts of its first ten iterations are not seen.
const NEWLY_SEEN: f64 = 0.024;

/// Failures that came together and were set aside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Burst {
    /// The iteration.
    pub(crate) iteration: u64,
    /// Number of the segment in the ledger's history.
    pub(crate) segment: u32,
    /// Worker that ran it.
    pub(crate) worker: u32,
    /// Hour of the day at which it started.
    pub(crate) hour: f32,
    /// Number of shards of the iteration.
    pub(crate) shards: u16,
    /// Tests that started in it.
    pub(crate) ran: u32,
    /// The tests whose failures were set aside, ascending.
    pub(crate) failures: Vec<u32>,
    /// How many replays of its order passed.
    pub(crate) replays: u32,
}

/// Totals per test that rates elsewhere are reckoned from.
#[derive(Debug)]
pub(super) struct Totals<'a> {
    /// Trials that passed or failed.
    pub(super) trials: &'a [u32],
    /// Those that failed, set aside or not.
    pub(super) failures: &'a [u32],
    /// Tests that ever failed.
    pub(super) failing: &'a BTreeSet<u32>,
    /// Iterations so far.
    pub(super) iterations: u64,
    /// Per test: does the suite have it now? Only what it has can be run again.
    pub(super) present: &'a [bool],
}

/// What is set aside.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// Segments with enough failures to be a burst.
    crowded: Vec<u32>,
    held: BTreeMap<u32, Vec<u32>>,
    per_test: BTreeMap<u32, u32>,
    /// What running their orders again showed.
    replays: Replays,
    /// Per segment: did its tests fail again in the iterations around it? Kept once those are all recorded.
    recurred: BTreeMap<u32, bool>,
    /// Tests whose failures have an explanation of their own.
    explained: BTreeSet<u32>,
    /// Tests whose failures wait for the replay of a burst.
    awaited: BTreeMap<u32, Awaited>,
}

/// A segment that looks like a burst, by counts alone.
#[derive(Debug, Default)]
struct Crowd {
    /// Its tests that are not expected to fail, ascending.
    odd: Vec<u32>,
    /// The tests whose failures are to be set aside, ascending.
    aside: Vec<u32>,
}

/// A failure that is set aside from now on, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) segment: u32,
    pub(super) test: u32,
    pub(super) held: bool,
}

impl Burst {
    /// Iterations on each side of a burst in which its tests did not come back together that show as much as replays: a
    /// single polluter, of those that show in one iteration of ten, stays silent so long once in 200 times.
    pub(crate) const QUIET: u64 = 50;
}

impl Filter {
    /// Notes a new segment.
    pub(super) fn notice(&mut self, number: u32, segment: &Segment) {
        if count(segment.failed.len()) >= LEAST {
            self.crowded.push(number);
        }
    }

    /// Is the failure of `test` in this segment set aside?
    pub(super) fn holds(&self, segment: u32, test: u32) -> bool {
        self.held
            .get(&segment)
            .is_some_and(|tests| tests.binary_search(&test).is_ok())
    }

    /// Are failures of this segment set aside?
    pub(super) fn is_burst(&self, segment: u32) -> bool {
        self.held.contains_key(&segment)
    }

    /// Returns how many failures of `test` are set aside.
    pub(super) fn held_of(&self, test: u32) -> u32 {
        self.per_test.get(&test).copied().unwrap_or(0)
    }

    /// Notes what running the order of a failure again showed: `test` failed in `iteration`.
    pub(super) fn replayed(&mut self, iteration: u64, test: u32, showed: Count) {
        self.replays.note(iteration, test, showed);
    }

    /// Takes a test whose failures are explained out of all bursts. Returns whether that is new.
    pub(super) fn explain(&mut self, test: u32) -> bool {
        self.explained.insert(test)
    }

    /// Returns what a test waits for whose failures came in a burst that nobody has judged yet.
    pub(super) fn awaited(&self, test: u32) -> Option<Awaited> {
        self.awaited.get(&test).copied()
    }

    /// Returns the tests that wait for the replay of a burst, ascending.
    pub(super) fn waiting(&self) -> impl Iterator<Item = u32> + '_ {
        self.awaited.keys().copied()
    }

    /// Judges all crowded segments anew by today's rates and replays, and returns what changed.
    ///
    /// Twice: first by all failures, so that a polluter with many victims is let go once it strikes again; then
    /// without what the first look set aside, since one burst raises the rates that hide the next.
    ///
    /// Counts only propose: failures are set aside once replays showed none of them, or the iterations around them did
    /// not, and count until then.
    pub(super) fn judge(&mut self, history: &[Segment], totals: &Totals<'_>) -> Vec<Change> {
        let first = self.look(history, totals, &BTreeMap::new());
        let aside = first
            .iter()
            .map(|(number, crowd)| (*number, crowd.aside.clone()));
        let mut crowds = self.look(history, totals, &per_test(&aside.collect()));
        for (number, crowd) in first {
            let all = crowds.entry(number).or_default();
            for (known, more) in [(&mut all.odd, crowd.odd), (&mut all.aside, crowd.aside)] {
                known.extend(more);
                known.sort_unstable();
                known.dedup();
            }
        }
        let mut held = BTreeMap::new();
        self.awaited.clear();
        for (number, crowd) in crowds {
            let segment = &history[number as usize];
            let recurred = self.recurred(history, number, &crowd.odd, totals.iterations);
            let quiet = !recurred && is_past(segment, totals.iterations);
            if quiet || self.replays.acquit(segment) {
                held.insert(number, crowd.aside);
            } else if let Some(next) = self.replays.next(segment, &crowd.odd, totals.present) {
                for test in crowd.aside {
                    let awaited = self.awaited.entry(test).or_default();
                    awaited.failures += 1;
                    if test == next.0 && awaited.replay.is_none() {
                        awaited.replay = Some((number, next.1));
                        awaited.recurred = recurred;
                    }
                }
            }
        }
        let mut changes = Vec::new();
        for (before, after, gone) in [(&self.held, &held, true), (&held, &self.held, false)] {
            for (segment, tests) in before {
                let other = after.get(segment).map_or(&[][..], Vec::as_slice);
                let missing = tests
                    .iter()
                    .filter(|test| other.binary_search(test).is_err());
                changes.extend(missing.map(|test| Change {
                    segment: *segment,
                    test: *test,
                    held: !gone,
                }));
            }
        }
        self.per_test = per_test(&held);
        self.held = held;
        changes
    }

    /// Did at least half of the odd tests of a segment fail in another one of the iterations around it, and two of
    /// them together? Those of one polluter come back together; those of bursts, one by one at best, or together with
    /// others.
    fn recurred(&mut self, history: &[Segment], number: u32, odd: &[u32], iterations: u64) -> bool {
        if let Some(known) = self.recurred.get(&number) {
            return *known;
        }
        let segment = &history[number as usize];
        let near = |other: &&Segment| other.iteration.abs_diff(segment.iteration) <= Burst::QUIET;
        let (before, rest) = history.split_at(number as usize);
        let before = before.iter().rev().take_while(near);
        let mut again: Vec<u32> = Vec::new();
        let mut together = false;
        for other in before.chain(rest[1..].iter().take_while(near)) {
            let failed = other.failed.iter().copied();
            let known = again.len();
            again.extend(failed.filter(|test| odd.binary_search(test).is_ok()));
            together |= again.len() >= known + 2;
        }
        again.sort_unstable();
        again.dedup();
        let recurred = together && 2 * again.len() >= odd.len();
        if is_past(segment, iterations) {
            self.recurred.insert(number, recurred);
        }
        recurred
    }

    fn look(
        &self,
        history: &[Segment],
        totals: &Totals<'_>,
        aside: &BTreeMap<u32, u32>,
    ) -> BTreeMap<u32, Crowd> {
        let failures_of = |test: u32| {
            let aside = aside.get(&test).copied().unwrap_or(0);
            totals.failures[test as usize].saturating_sub(aside)
        };
        let elsewhere = |test: &u32| {
            leave_one_out(Count {
                failures: failures_of(*test).into(),
                trials: totals.trials[*test as usize].into(),
            })
        };
        let rate = |test: &u32| {
            let trials = totals.trials[*test as usize].max(1);
            f64::from(failures_of(*test)) / f64::from(trials)
        };
        let low = |rate: &f64| *rate < UNEXPECTED_RATE;
        let background: f64 = totals.failing.iter().map(rate).filter(low).sum();
        let mut crowds = BTreeMap::new();
        for number in &self.crowded {
            let segment = &history[*number as usize];
            if self.replays.convict(segment) {
                continue;
            }
            let odd: Vec<u32> = segment
                .failed
                .iter()
                .copied()
                .filter(|test| elsewhere(test) < UNEXPECTED_RATE && !self.explained.contains(test))
                .collect();
            if count(odd.len()) < LEAST {
                continue;
            }
            let own: f64 = odd.iter().map(rate).filter(low).sum();
            let started = f64::from(segment.started());
            let share = started / f64::from(segment.tests.max(1));
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 iterations")]
            let newly = NEWLY_SEEN * started / totals.iterations.max(1) as f64;
            let rates = (background - own).max(0.0) * share;
            if is_burst(count(odd.len()), rates + newly) {
                let tests = segment.failed.iter().copied();
                let aside = tests
                    .filter(|test| elsewhere(test) < SET_ASIDE && !self.explained.contains(test))
                    .collect();
                crowds.insert(*number, Crowd { odd, aside });
            }
        }
        crowds
    }

    /// Returns what is set aside, by segment.
    pub(super) fn bursts(&self, history: &[Segment]) -> Vec<Burst> {
        let burst = |(number, tests): (&u32, &Vec<u32>)| {
            let segment = &history[*number as usize];
            Burst {
                iteration: segment.iteration,
                segment: *number,
                worker: segment.worker,
                hour: segment.hour,
                shards: segment.layout.shards,
                ran: segment.started(),
                failures: tests.clone(),
                replays: self.replays.passed(segment),
            }
        };
        self.held.iter().map(burst).collect()
    }
}

/// Are all iterations recorded that tell whether a burst comes back?
fn is_past(segment: &Segment, iterations: u64) -> bool {
    iterations > segment.iteration + Burst::QUIET
}

fn per_test(held: &BTreeMap<u32, Vec<u32>>) -> BTreeMap<u32, u32> {
    let mut per_test = BTreeMap::new();
    for test in held.values().flatten() {
        *per_test.entry(*test).or_default() += 1;
    }
    per_test
}
