//! Group tests guided by the posterior: a top-ranked set that holds about half of the mass, until one candidate
//! holds enough to be tried by itself; found once that one has shown the effect by itself. It only ranks: nothing
//! here certifies, so it may look at all evidence there is at the moment of asking.

use super::{About, Conclusion, NextStep, View, alone::VOID_LIMIT};
use crate::{
    diagnose::setup::{Search, Wanted},
    model::{Answer, Probe, Reply},
};

/// Weight from which a candidate is tried by itself.
const SINGLE: f64 = 0.3;
/// It is tried on down to this weight.
const KEEP: f64 = 0.15;
/// Tries in vain by itself that halve what a candidate may leave to all others and still be tried again: what comes of
/// it seldom is worth less than to see whether it is one of the others.
const TRIES: u32 = 3;
/// Probability of the whole family below which the search ends.
const HOPELESS: f64 = 0.03;
/// ln 2: hazard at which a set holds one of many polluters with probability one half.
const HALF_HAZARD: f64 = 0.69;
/// From this size on a set holds less than half: to find one of N by sets that hold a share x of what is left takes
/// about N / (2 (1 - x)) executions, and hardly more probes at 0.3 than at 0.5.
const LARGE: usize = 16;
/// The share of one half that it holds.
const OF_LARGE: f64 = 0.6;
/// From this number of polluters on, small sets are enough.
const MANY: f64 = 1.5;

/// Probes in a row without the effect after which the search ends: a set that holds half of the mass, and fails one
/// time in five, stays silent so long once in seventy times.
const SILENT: u32 = 40;

/// What the evidence says about the candidates of a search, at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranking {
    /// Per test: its share of the probability of the family. Sums to 1, or is all 0 when nobody is in question.
    pub(crate) weights: Vec<f64>,
    /// Probability of the family among all explanations.
    pub(crate) family: f64,
    /// How many of them there seem to be.
    pub(crate) count: f64,
    /// Order in which a set is to run: place of each test in an order that showed the effect, late if not in it.
    pub(crate) order: Vec<u32>,
    /// Per test: how often it was tried by itself, where that never showed the effect.
    pub(crate) in_vain: Vec<u32>,
    /// Is the whole of what the recorded runs suggest refuted by probes of single tests?
    pub(crate) singles_refuted: bool,
}

/// A search in progress.
#[derive(Clone, Debug, Default)]
pub(super) struct Hunt {
    /// Tests that showed the effect by themselves, and how often.
    shown: Vec<u32>,
    /// How many of `first` were tried.
    tried: usize,
    /// The candidate that is being tried by itself.
    current: Option<u32>,
    group_shown: bool,
    runs: u32,
    /// Probes since the last that showed the effect.
    silent: u32,
    executions: u64,
    void: u32,
}

impl Hunt {
    pub(super) fn tell(&mut self, search: &Search<u32>, probe: &Probe<u32>, reply: &Reply<u32>) {
        let set = candidates(search, probe);
        self.runs += 1;
        self.silent += 1;
        self.executions += probe.executions() as u64;
        if self.tried < search.first.len() && set == [search.first[self.tried]] {
            self.tried += 1;
        }
        let effect = match search.wanted {
            Wanted::Polluter => Answer::Failed,
            Wanted::Setter | Wanted::Cleaner => Answer::Passed,
        };
        if reply.answer == Answer::Void {
            self.void += 1;
        } else if reply.answer == effect {
            self.silent = 0;
            match set[..] {
                [one] => self.shown.push(one),
                _ => self.group_shown = true,
            }
        }
    }

    /// The test that showed the effect by itself last.
    pub(super) fn shown(&self) -> Option<u32> {
        self.shown.last().copied()
    }

    pub(super) fn next(&mut self, about: About, search: &Search<u32>, view: &View<'_>) -> NextStep {
        let ranking = (view.ranking)(search);
        let weight = |test: u32| ranking.weights.get(test as usize).copied().unwrap_or(0.0);
        if let Some(found) = self.shown.last().filter(|test| weight(**test) >= SINGLE) {
            return NextStep::Done(Conclusion::Found(vec![*found]));
        }
        if self.void >= VOID_LIMIT
            || self.runs >= search.runs
            || self.silent >= SILENT
            || self.executions >= search.executions
        {
            return NextStep::Done(Conclusion::NotFound);
        }
        while let Some(test) = search.first.get(self.tried).copied() {
            if view.universe.present.get(test as usize) == Some(&true) {
                return NextStep::Try(vec![ask(about, search, &[test])]);
            }
            self.tried += 1;
        }
        if ranking.family < HOPELESS || (ranking.singles_refuted && !self.group_shown) {
            return NextStep::Done(Conclusion::NotFound);
        }
        let mut ranked: Vec<u32> = (0..)
            .zip(&ranking.weights)
            .filter(|(test, weight)| {
                **weight > 0.0 && view.universe.present.get(*test as usize) == Some(&true)
            })
            .map(|(test, _)| test)
            .collect();
        ranked.sort_by(|a, b| weight(*b).total_cmp(&weight(*a)).then(a.cmp(b)));
        let Some(top) = ranked.first().copied() else {
            return NextStep::Done(Conclusion::NotFound);
        };
        let in_vain = |test: u32| ranking.in_vain.get(test as usize).copied().unwrap_or(0);
        let halvings = f64::from(in_vain(top)) / f64::from(TRIES);
        let enough = 1.0 - (1.0 - SINGLE) * (-halvings).exp2();
        let others = |test: &u32| in_vain(*test) < TRIES;
        let untired = ranked.iter().filter(|test| **test != top && others(test));
        let against: f64 = untired.map(|test| weight(*test)).sum();
        let of_top = weight(top) / (weight(top) + against);
        self.current = self
            .current
            .filter(|test| *test == top && weight(top) >= KEEP && in_vain(top) < TRIES)
            .or((of_top >= enough).then_some(top));
        if self.current.is_none() && ranked.iter().any(others) {
            ranked.retain(others);
        }
        let left: f64 = ranked.iter().map(|test| weight(*test)).sum();
        if let Some(single) = self.current {
            return NextStep::Try(vec![ask(about, search, &[single])]);
        }
        let many = if self.group_shown { 1.0 } else { ranking.count };
        let mut set = Vec::new();
        let mut mass = 0.0;
        for test in ranked {
            let more = if many > MANY {
                -(-(many * weight(test) / left).min(0.999)).ln_1p()
            } else {
                weight(test) / left
            };
            let half = if many > MANY { HALF_HAZARD } else { 0.5 };
            let share = if set.len() < LARGE { 1.0 } else { OF_LARGE };
            // As near to it as whole tests allow: a set that holds nearly all says nothing, and would be asked again.
            let (without, with) = (share * half - mass, mass + more - share * half);
            if !set.is_empty() && with > without {
                break;
            }
            set.push(test);
            mass += more;
            if with >= 0.0 {
                break;
            }
        }
        let place = |test: u32| {
            ranking
                .order
                .get(test as usize)
                .copied()
                .unwrap_or(u32::MAX)
        };
        set.sort_by_key(|test| (place(*test), *test));
        NextStep::Try(vec![ask(about, search, &set)])
    }
}

/// For a cleaner, its polluter stands first.
fn ask(about: About, search: &Search<u32>, set: &[u32]) -> Probe<u32> {
    match (search.wanted, search.known.first()) {
        (Wanted::Cleaner, Some(polluter)) => about.probe(&[polluter, set].concat()),
        (Wanted::Cleaner | Wanted::Polluter | Wanted::Setter, _) => about.probe(set),
    }
}

/// The set that a probe tries.
pub(crate) fn candidates(search: &Search<u32>, probe: &Probe<u32>) -> Vec<u32> {
    let before = probe
        .processes
        .last()
        .map_or(&[][..], |order| &order[..order.len().saturating_sub(1)]);
    let skip = match (search.wanted, search.known.first()) {
        (Wanted::Cleaner, Some(polluter)) => polluter.len(),
        (Wanted::Cleaner | Wanted::Polluter | Wanted::Setter, _) => 0,
    };
    before.iter().skip(skip).map(|(test, _)| *test).collect()
}
