//! Suspects come and go: who becomes one is counted over the whole history, as far as there is room.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        bets::{Bets, Stand},
        evidence::{Evidence, Run},
        history::count,
        room::{self, Rank},
    },
    Ledger, Suspect,
};

/// Bets are kept from this many failures on: with fewer, no e-value of a mean over candidates gets anywhere.
const BET_FROM: u32 = 2;

impl Ledger {
    /// Counts the whole history for tests that have become suspects, and bets for those that failed again; as far as
    /// there is room.
    pub(super) fn backfill(&mut self, changed: &mut BTreeSet<u32>) {
        let ranks = self.ranks();
        let room = room::of(self.trials.len());
        let is_counted = |test: u32| {
            let known = self.suspects.get(&test);
            known.is_some_and(|suspect| !suspect.evidence.is_bare)
        };
        let chosen = room::choose(&ranks, room, is_counted);
        let blank = &self.blank;
        for (test, suspect) in &mut self.suspects {
            if !suspect.evidence.is_bare && !chosen.contains(test) {
                suspect.strip(blank);
            }
        }
        for (test, rank) in ranks {
            let is_chosen = chosen.contains(&test);
            let known = self.suspects.get(&test);
            let is_counted = known.is_some_and(|suspect| !suspect.evidence.is_bare);
            let bets = is_chosen
                && self.failures[test as usize] >= BET_FROM
                && known.is_none_or(|suspect| suspect.bets.is_none());
            let evidence = if is_chosen && !is_counted {
                Some(Evidence::of(self.trials.len()))
            } else if known.is_none()
                && !rank.is_above_suspicion
                && (count(self.suspects.len()) < room + room::MOST_BARE || self.is_replayer(test))
            {
                Some(Evidence::bare(&self.blank))
            } else {
                None
            };
            if bets || evidence.is_some() {
                self.recount(test, bets, evidence);
                changed.insert(test);
            }
        }
    }

    /// How much can be learnt of each test that failed, or is known for it.
    fn ranks(&self) -> BTreeMap<u32, Rank> {
        let failing = self.failing.iter().chain(self.seconds.keys()).copied();
        let failing = failing.filter(|test| self.is_suspect(*test));
        failing
            .chain(self.suspects.keys().copied())
            .map(|test| {
                let failures = self.failures[test as usize];
                let rank = Rank {
                    is_above_suspicion: !self.is_suspect(test),
                    waits: self.is_waiting(test) && !self.is_replayer(test),
                    never_passed: failures == self.trials[test as usize],
                    failures,
                };
                (test, rank)
            })
            .collect()
    }

    /// Is its order the next to be run again? Others wait for that, however little room there is.
    fn is_replayer(&self, test: u32) -> bool {
        self.awaited(test)
            .is_some_and(|awaited| awaited.replay.is_some())
    }

    /// Counts the whole history of a test: its bets, and its runs where `evidence` is to take them.
    fn recount(&mut self, test: u32, bets: bool, mut evidence: Option<Evidence>) {
        let mut stand = Stand::default();
        let mut bets = bets.then(|| Bets::new(test, self.trials.len()));
        for (number, segment) in (0..).zip(&self.history[..self.counted]) {
            let Some(place) = segment.place_of(test) else {
                continue;
            };
            let Some(failed) = segment.outcome(test) else {
                continue;
            };
            if let Some(bets) = &mut bets {
                let planned = self.planned.of(segment.iteration);
                stand.describe(segment, place, &self.modules, planned);
                bets.step(&stand, failed);
            }
            let Some(evidence) = &mut evidence else {
                continue;
            };
            if let Some(failed) = segment.second_of(test) {
                evidence.second.add(failed);
            }
            if !(failed && self.filter.holds(number, test)) {
                let run = Run::at(segment, number, place, failed);
                evidence.put(segment, run, &self.listed);
            }
        }
        if let Some(evidence) = evidence {
            self.suspects.insert(test, Suspect::new(evidence));
        }
        if let (Some(mut bets), Some(suspect)) = (bets, self.suspects.get_mut(&test)) {
            bets.strike(&self.struck);
            suspect.bets = Some(bets);
        }
    }
}
