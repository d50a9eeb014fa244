//! Which tests ran on other workers at the same time: asked of the last segments only.

use std::collections::VecDeque;

use crate::diagnose::observation::Observation;

/// Segments that are kept at most: with more workers than this, some neighbours are missed.
const MOST_SEGMENTS: usize = 256;

/// Trials that are kept at most, in suites of one size: whole-suite segments must not pile up.
const MOST_SUITES: usize = 24;

/// A clock that goes back this far, in seconds, is another boot's.
const REBOOT: f64 = 3600.0;

/// One trial: test, start, end.
type Span = (u32, f64, f64);

#[derive(Debug)]
struct Entry {
    segment: u32,
    worker: u32,
    end: f64,
    spans: Vec<Span>,
    settled: bool,
}

/// The last segments with the times of their trials.
#[derive(Debug)]
pub(super) struct Window {
    entries: VecDeque<Entry>,
    trials: usize,
    most_trials: usize,
}

/// A segment of which it is known what ran beside it.
#[derive(Debug)]
pub(super) struct Settled<'a> {
    window: &'a Window,
    entry: &'a Entry,
}

impl Window {
    /// Starts empty, for suites of `tests` tests.
    pub(super) fn new(tests: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            trials: 0,
            most_trials: MOST_SUITES * tests.max(64),
        }
    }

    /// Takes a segment, the `segment`th of the history.
    pub(super) fn push(&mut self, segment: u32, observation: &Observation<'_>) {
        let mut spans: Vec<Span> = observation
            .trials
            .iter()
            .map(|trial| {
                let end = trial.start + f64::from(trial.seconds);
                (trial.test, trial.start, end)
            })
            .collect();
        let Some((_, start, _)) = spans.first().copied() else {
            return;
        };
        spans.sort_by(|a, b| a.1.total_cmp(&b.1));
        let end = spans.iter().map(|span| span.2).fold(start, f64::max);
        if self
            .entries
            .back()
            .is_some_and(|last| start + REBOOT < last.end)
        {
            self.entries.clear();
            self.trials = 0;
        }
        self.trials += spans.len();
        self.entries.push_back(Entry {
            segment,
            worker: observation.worker,
            end,
            spans,
            settled: false,
        });
        while self.entries.len() > MOST_SEGMENTS
            || (self.trials > self.most_trials && self.entries.len() > 2)
        {
            let dropped = self.entries.pop_front().expect("more than two");
            self.trials -= dropped.spans.len();
        }
    }

    /// Calls `with` for each segment that has become settled: every other worker has been seen to work
    /// beyond its end.
    pub(super) fn settle(&mut self, mut with: impl FnMut(&Settled<'_>)) {
        let mut reached: Vec<(u32, f64)> = Vec::new();
        for entry in &self.entries {
            match reached
                .iter_mut()
                .find(|(worker, _)| *worker == entry.worker)
            {
                Some((_, end)) => *end = end.max(entry.end),
                None => reached.push((entry.worker, entry.end)),
            }
        }
        let ready: Vec<usize> = (0..self.entries.len())
            .filter(|at| {
                let entry = &self.entries[*at];
                let mut others = reached.iter().filter(|(worker, _)| *worker != entry.worker);
                !entry.settled && reached.len() > 1 && others.all(|(_, end)| *end >= entry.end)
            })
            .collect();
        for at in ready {
            let entry = &self.entries[at];
            with(&Settled {
                window: self,
                entry,
            });
            self.entries[at].settled = true;
        }
        let open_from = self
            .entries
            .iter()
            .filter(|entry| !entry.settled)
            .filter_map(|entry| entry.spans.first())
            .map(|span| span.1)
            .fold(f64::INFINITY, f64::min);
        // The last ones stay: what comes next may lie beside them.
        let newest = self.entries.len().saturating_sub(2 * reached.len());
        let stale = (0..newest)
            .take_while(|at| self.entries[*at].settled && self.entries[*at].end < open_from)
            .count();
        for entry in self.entries.drain(..stale) {
            self.trials -= entry.spans.len();
        }
    }
}

impl Settled<'_> {
    /// Its number in the history.
    pub(super) fn segment(&self) -> u32 {
        self.entry.segment
    }

    /// Returns the tests that ran elsewhere while `test` did, ascending, in its first trial; `None` when
    /// it did not run here.
    pub(super) fn beside(&self, test: u32) -> Option<Vec<u32>> {
        let (_, start, end) = self
            .entry
            .spans
            .iter()
            .find(|span| span.0 == test)
            .copied()?;
        let mut beside = Vec::new();
        for other in &self.window.entries {
            if other.worker == self.entry.worker || other.end <= start {
                continue;
            }
            // One process runs one test at a time, so ends ascend as starts do.
            let from = other.spans.partition_point(|span| span.2 <= start);
            let meanwhile = other.spans[from..].iter().take_while(|span| span.1 < end);
            beside.extend(meanwhile.map(|span| span.0).filter(|other| *other != test));
        }
        beside.sort_unstable();
        beside.dedup();
        Some(beside)
    }
}
