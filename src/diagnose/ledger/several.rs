//! What recorded runs say of each test, were it one of several of which any suffices: kept for the victims that were
//! asked about, since it grows by a run at a time.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{evidence::Run, history::count};
use crate::stats::several::Several;

/// Victims times tests that are kept, at most: some fifty megabytes in all.
const MOST: usize = 1_500_000;

/// One victim's, by which runs it consists of.
#[derive(Debug)]
struct Entry {
    runs: usize,
    fingerprint: u64,
    several: Several,
}

/// Those of all victims: by victim, and whether a pass is the effect.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<BTreeMap<(u32, bool), Entry>>);

impl Memory {
    /// Returns what `runs` say, in a suite of `tests` tests. `before`: what ran before the victim in one of them.
    pub(super) fn of<I: Iterator<Item = u32>>(
        &self,
        (victim, passes): (u32, bool),
        tests: usize,
        runs: &[Run],
        before: impl Fn(&Run) -> I,
    ) -> Several {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !entries.contains_key(&(victim, passes)) && (entries.len() + 1) * tests > MOST {
            entries.clear();
        }
        let blank = || Entry {
            runs: 0,
            fingerprint: 0,
            several: Several::new(tests),
        };
        let entry = entries.entry((victim, passes)).or_insert_with(blank);
        let known = runs.get(..entry.runs).map(fingerprint);
        if known != Some(entry.fingerprint) {
            *entry = blank();
        }
        for run in &runs[entry.runs..] {
            let share = f64::from(run.pi);
            let before: Vec<u32> = before(run).collect();
            entry.several.run(share, &before, run.failed != passes);
        }
        entry.runs = runs.len();
        entry.fingerprint = fingerprint(runs);
        entry.several.clone()
    }
}

/// Tells different lists of runs apart.
fn fingerprint(runs: &[Run]) -> u64 {
    let start = u64::from(count(runs.len()));
    runs.iter().fold(start, |sum, run| {
        let run = 2 * u64::from(run.segment) + u64::from(run.failed);
        (sum ^ run)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(23)
    })
}
