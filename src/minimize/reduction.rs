//! The stepper. Three phases: *deepen* runs the highest-ranked 1, 2, 4, … of the list until one fails again and
//! again; *thin out* deletes what is probably not needed, most at a time where little is known (weighted `ProbDD`);
//! *prove* shows for what is left that it reproduces and that without any one member it does not.
//!
//! Source: G. Wang, R. Shen, J. Chen, Y. Xiong, L. Zhang (2021), Probabilistic delta debugging, ESEC/FSE, for the
//! deletions; here the probabilities start at the ranking, and each question is answered by a sequential test.

use serde::{Deserialize, Serialize};

use super::answers::{Answers, Rejection};
use crate::model::Count;
use crate::stats::special::real;

/// Sizes up to this are tried in the first round, four times as large ones in each further round: a pass says little
/// where the failure is noisy, and small subsets are cheap to try again.
const FIRST_CEILING: usize = 16;
/// Expected number of needed members before any is found: deletes half of the list at first.
const NEEDED: f64 = 2.0;
/// Deletions that fail in a row before the whole list, which failed once, has to fail again.
const DOUBTS: u32 = 6;
/// Needed for sure.
const SURE: f64 = 0.999;

/// What a reduction starts from. All of it is fixed; with it and the answers the reduction can be built again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// What ran before the test where it failed, in that order; without repetitions.
    pub list: Vec<u32>,
    /// How suspect each entry of `list` is, in any unit; all equal where nothing is known.
    pub weights: Vec<f64>,
    /// Per entry of `list`, the probability that it is needed, `0.0..=1.0`. Empty where only the weights are known:
    /// then the highest-ranked are tried first; else deletions start at the whole list.
    #[serde(default)]
    pub needed: Vec<f64>,
    /// Must the whole list fail again before anything is deleted from it? Worth it where it is not likely to.
    #[serde(default)]
    pub doubtful: bool,
    /// How often the whole list is expected to fail, `0.0..=1.0`.
    pub rate: f64,
    /// How often the test fails alone, `0.0..=1.0`.
    pub background: f64,
    /// Runs that may be spent.
    pub runs: u32,
    /// Test executions that may be spent, the test itself included.
    pub executions: u64,
}

/// What is left of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduced {
    /// What must run before the test, in order; empty where it fails as often alone.
    pub members: Vec<u32>,
    /// What the members showed, without the run that led to them.
    pub seen: Count,
    /// Was it shown that no single member can go? If not, the budget ended first.
    pub minimal: bool,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Run these in this order, the test after them, in a fresh container; then [`tell`](Reduction::tell).
    Try(Vec<u32>),
    /// Finished. `None`: nothing reproduces any more, or nothing did within the budget.
    Done(Option<Reduced>),
}

#[derive(Clone, Debug)]
enum Phase {
    /// Runs the first `size` by rank.
    Deepen {
        size: usize,
        ceiling: usize,
    },
    /// They failed once: do they again?
    Verify {
        size: usize,
        ceiling: usize,
    },
    ThinOut,
    Prove,
    Ended(Option<Reduced>),
}

/// A reduction in progress. Subsets are rising places in the list.
#[derive(Clone, Debug)]
pub struct Reduction {
    start: Start,
    answers: Answers,
    /// Places by falling weight, and the rank of each place.
    ranked: Vec<u32>,
    rank_of: Vec<u32>,
    phase: Phase,
    /// The smallest subset known to reproduce, and the larger ones it came from.
    kept: Vec<Vec<u32>>,
    /// Per place, the probability that it is needed.
    needed: Vec<f64>,
    /// Did the list that it starts from fail again, or a part of it?
    trusted: bool,
    /// Deletions that failed since it was last sure that something reproduces.
    doubts: u32,
    /// What the last step asked for.
    asked: Option<Vec<u32>>,
    runs: u32,
    executions: u64,
}

impl Reduction {
    /// Starts a reduction.
    ///
    /// # Panics
    /// When `weights` is not as long as `list`, or `needed` neither so long nor empty.
    #[must_use]
    pub fn new(start: Start) -> Self {
        assert_eq!(
            start.list.len(),
            start.weights.len(),
            "one weight per entry"
        );
        let knows = !start.needed.is_empty();
        assert!(
            !knows || start.needed.len() == start.list.len(),
            "one probability per entry, or none"
        );
        let places = u32::try_from(start.list.len()).expect("a shard has fewer than 2^32 tests");
        let mut ranked: Vec<u32> = (0..places).collect();
        // Among equals the nearest to the test first: state fades.
        ranked.sort_by(|&a, &b| {
            let weight = |place: u32| start.weights[place as usize];
            weight(b).total_cmp(&weight(a)).then(b.cmp(&a))
        });
        let mut rank_of = vec![0; start.list.len()];
        for (rank, &place) in (0..).zip(&ranked) {
            rank_of[place as usize] = rank;
        }
        let all = start.list.len();
        let phase = if all == 0 {
            Phase::Ended(None)
        } else if knows && all > 1 && !start.doubtful {
            Phase::ThinOut
        } else if start.doubtful || is_flat(&start.weights) {
            Phase::Verify {
                size: all,
                ceiling: all,
            }
        } else {
            Phase::Deepen {
                size: 1,
                ceiling: FIRST_CEILING,
            }
        };
        Self {
            answers: Answers::new(start.rate, start.background),
            needed: if knows {
                start.needed.iter().map(|share| share.min(0.95)).collect()
            } else {
                vec![0.0; all]
            },
            kept: if knows && all > 1 {
                vec![(0..places).collect()]
            } else {
                Vec::new()
            },
            start,
            ranked,
            rank_of,
            phase,
            trusted: false,
            doubts: 0,
            asked: None,
            runs: 0,
            executions: 0,
        }
    }

    /// Runs spent so far.
    #[must_use]
    pub fn runs(&self) -> u32 {
        self.runs
    }

    /// Test executions spent so far, the test itself included.
    #[must_use]
    pub fn executions(&self) -> u64 {
        self.executions
    }

    /// Returns what to do next; the same until it is [told](Self::tell) the answer.
    pub fn next_step(&mut self) -> NextStep {
        if self.asked.is_none() {
            self.asked = self.question();
        }
        let Some(subset) = &self.asked else {
            return match &self.phase {
                Phase::Ended(reduced) => NextStep::Done(reduced.clone()),
                Phase::Deepen { .. } | Phase::Verify { .. } | Phase::ThinOut | Phase::Prove => {
                    unreachable!("only an ended reduction has no question")
                }
            };
        };
        if self.runs >= self.start.runs
            || self.executions + subset.len() as u64 + 1 > self.start.executions
        {
            self.asked = None;
            self.phase = Phase::Ended(self.kept.last().map(|kept| self.reduced(kept, false)));
            return self.next_step();
        }
        NextStep::Try(self.named(subset))
    }

    /// Takes the answer to the last [`Try`](NextStep::Try). Without one nothing changes; a void run is not told.
    pub fn tell(&mut self, failed: bool) {
        let Some(subset) = self.asked.take() else {
            return;
        };
        self.runs += 1;
        self.executions += subset.len() as u64 + 1;
        self.answers.record(&subset, failed);
        if let Phase::Deepen { size, ceiling } = self.phase {
            if failed {
                // It is looked at because it failed: that failure proves nothing.
                self.answers.forget(&subset);
                self.phase = Phase::Verify { size, ceiling };
            } else {
                self.phase = self.deeper(size, ceiling);
            }
        }
    }

    /// Goes on until a run is needed; `None` at the end.
    fn question(&mut self) -> Option<Vec<u32>> {
        loop {
            let open = match self.phase.clone() {
                Phase::Deepen { size, ceiling } => self.deepen(size, ceiling),
                Phase::Verify { size, ceiling } => self.verify(size, ceiling),
                Phase::ThinOut => self.thin_out(),
                Phase::Prove => self.prove(),
                Phase::Ended(_) => return None,
            };
            if open.is_some() {
                return open;
            }
        }
    }

    fn deepen(&mut self, size: usize, ceiling: usize) -> Option<Vec<u32>> {
        let subset = self.highest(size);
        let whole = size == self.ranked.len();
        if whole && self.answers.judge(&subset, Rejection::Whole) == Some(false) {
            self.phase = Phase::Ended(None);
            return None;
        }
        if !whole && self.answers.judge(&subset, Rejection::Proof) == Some(false) {
            self.phase = self.deeper(size, ceiling);
            return None;
        }
        Some(subset)
    }

    /// The next size: twice as many, or again from one with a higher ceiling.
    fn deeper(&self, size: usize, ceiling: usize) -> Phase {
        let all = self.ranked.len();
        if size >= ceiling.min(all) {
            Phase::Deepen {
                size: 1,
                ceiling: ceiling.saturating_mul(4),
            }
        } else {
            Phase::Deepen {
                size: (2 * size).min(all),
                ceiling,
            }
        }
    }

    fn verify(&mut self, size: usize, ceiling: usize) -> Option<Vec<u32>> {
        let subset = self.highest(size);
        let whole = size == self.ranked.len();
        let rejection = if whole {
            Rejection::Whole
        } else {
            Rejection::AfterFailure
        };
        match self.answers.judge(&subset, rejection) {
            None => return Some(subset),
            Some(true) => {
                if self.start.needed.is_empty() {
                    self.weigh(&subset, size);
                }
                self.keep(subset);
            }
            Some(false) if whole => self.phase = Phase::Ended(None),
            Some(false) => {
                self.answers.learn_background(&subset);
                self.phase = self.deeper(size, ceiling);
            }
        }
        None
    }

    /// First probabilities: one of the half that the last doubling added is needed, and of the others about two, by
    /// their weight. All the same where the list is flat.
    fn weigh(&mut self, subset: &[u32], size: usize) {
        let half = if size == 1 || is_flat(&self.start.weights) {
            0
        } else {
            size.div_ceil(2)
        };
        let upper: f64 = self.ranked[..half]
            .iter()
            .map(|&place| self.weight(place))
            .sum();
        for &place in subset {
            let probability = if (self.rank_of[place as usize] as usize) < half {
                1.0 / real(half as u64) + self.weight(place) / upper.max(f64::MIN_POSITIVE)
            } else {
                1.0 / real((size - half) as u64)
            };
            self.needed[place as usize] = probability.min(0.9);
        }
    }

    fn weight(&self, place: u32) -> f64 {
        self.start.weights[place as usize].max(0.0)
    }

    /// Goes on from a subset that reproduces.
    fn keep(&mut self, subset: Vec<u32>) {
        self.answers.learn(&subset);
        self.trusted = true;
        self.phase = if subset.len() > 1 {
            Phase::ThinOut
        } else {
            Phase::Prove
        };
        self.kept.push(subset);
    }

    fn thin_out(&mut self) -> Option<Vec<u32>> {
        let kept = self
            .kept
            .last()
            .expect("thinning out starts from a subset")
            .clone();
        if !self.trusted && self.doubts >= DOUBTS && kept.len() == self.ranked.len() {
            match self.answers.judge(&kept, Rejection::Whole) {
                None => return Some(kept),
                Some(false) => {
                    self.phase = Phase::Ended(None);
                    return None;
                }
                Some(true) => {
                    self.answers.learn(&kept);
                    self.trusted = true;
                }
            }
        }
        self.spread(&kept);
        let deleted = self.deletion(&kept);
        if deleted.is_empty() {
            self.phase = Phase::Prove;
            return None;
        }
        let rest: Vec<u32> = kept
            .into_iter()
            .filter(|place| deleted.binary_search(place).is_err())
            .collect();
        let rejection = if deleted.len() == 1 {
            Rejection::Proof
        } else {
            Rejection::Passing
        };
        match self.answers.judge(&rest, rejection) {
            None => return Some(rest),
            Some(true) => self.keep(rest),
            Some(false) => {
                self.doubts += 1;
                self.answers.learn_background(&rest);
                self.one_is_needed(&deleted);
            }
        }
        None
    }

    /// Something of a subset that reproduces is needed: probabilities that have fallen too low are raised.
    fn spread(&mut self, kept: &[u32]) {
        let (mut found, mut open) = (0.0, 0.0);
        for &place in kept {
            let probability = self.needed[place as usize];
            if probability >= SURE {
                found += 1.0;
            } else {
                open += probability;
            }
        }
        let least = (NEEDED - found).max(1.0);
        if open <= 0.0 || open >= least {
            return;
        }
        for &place in kept {
            let probability = &mut self.needed[place as usize];
            if *probability < SURE {
                *probability = (*probability * least / open).min(0.9);
            }
        }
    }

    /// The deletion that is expected to remove most: the least probable s places with the largest s times the
    /// probability that none of them is needed. Rising; empty when all that is left is needed for sure.
    fn deletion(&self, kept: &[u32]) -> Vec<u32> {
        let mut open: Vec<u32> = kept
            .iter()
            .copied()
            .filter(|&place| self.needed[place as usize] < SURE)
            .collect();
        open.sort_by(|&a, &b| {
            let needed = |place: u32| self.needed[place as usize];
            let rank = |place: u32| self.rank_of[place as usize];
            needed(a).total_cmp(&needed(b)).then(rank(b).cmp(&rank(a)))
        });
        let most = open.len().min(kept.len() - 1);
        let (mut none_needed, mut best, mut size) = (1.0, 0.0, 0);
        for (place, count) in open.iter().zip(1..=most) {
            none_needed *= 1.0 - self.needed[*place as usize];
            let gain = real(count as u64) * none_needed;
            if gain > best {
                (best, size) = (gain, count);
            }
        }
        open.truncate(size);
        open.sort_unstable();
        open
    }

    /// Without `deleted` it does not reproduce: their probabilities rise, given that one of them is needed.
    fn one_is_needed(&mut self, deleted: &[u32]) {
        if let &[place] = deleted {
            self.needed[place as usize] = 1.0;
            return;
        }
        let none: f64 = deleted
            .iter()
            .map(|&place| 1.0 - self.needed[place as usize])
            .product();
        for &place in deleted {
            let probability = &mut self.needed[place as usize];
            // Stays open: only a deletion of one alone makes it sure.
            *probability = (*probability / (1.0 - none)).min(0.99);
        }
    }

    fn prove(&mut self) -> Option<Vec<u32>> {
        let kept = self
            .kept
            .last()
            .expect("a proof starts from a subset")
            .clone();
        match self.answers.judge(&kept, Rejection::AfterFailure) {
            None => return Some(kept),
            Some(false) => {
                self.fall_back();
                return None;
            }
            Some(true) => {}
        }
        for member in &kept {
            let rest: Vec<u32> = kept
                .iter()
                .copied()
                .filter(|place| place != member)
                .collect();
            match self.answers.judge(&rest, Rejection::Proof) {
                None => return Some(rest),
                Some(true) if rest.is_empty() => {
                    self.phase = Phase::Ended(Some(self.reduced(&rest, true)));
                    return None;
                }
                Some(true) => {
                    self.keep(rest);
                    self.phase = Phase::Prove;
                    return None;
                }
                Some(false) => self.answers.learn_background(&rest),
            }
        }
        self.phase = Phase::Ended(Some(self.reduced(&kept, true)));
        None
    }

    /// What was kept last does not reproduce after all: goes back to what it came from, and takes one of those
    /// deleted meanwhile for needed.
    fn fall_back(&mut self) {
        let wrong = self.kept.pop().expect("a proof starts from a subset");
        self.answers.forget(&wrong);
        let Some(larger) = self.kept.last().cloned() else {
            self.phase = Phase::Ended(None);
            return;
        };
        // Its old runs led here: it has to show itself again.
        self.answers.forget(&larger);
        let deleted: Vec<u32> = larger
            .iter()
            .copied()
            .filter(|place| wrong.binary_search(place).is_err())
            .collect();
        for &place in &wrong {
            self.needed[place as usize] = self.needed[place as usize].min(0.5);
        }
        self.one_is_needed(&deleted);
        self.phase = if larger.len() > 1 {
            Phase::ThinOut
        } else {
            Phase::Prove
        };
    }

    /// The `size` highest-ranked places, in order of the list.
    fn highest(&self, size: usize) -> Vec<u32> {
        let mut places = self.ranked[..size.min(self.ranked.len())].to_vec();
        places.sort_unstable();
        places
    }

    fn named(&self, places: &[u32]) -> Vec<u32> {
        places
            .iter()
            .map(|&place| self.start.list[place as usize])
            .collect()
    }

    fn reduced(&self, places: &[u32], minimal: bool) -> Reduced {
        Reduced {
            members: self.named(places),
            seen: self.answers.seen(places),
            minimal,
        }
    }
}

/// Do the weights say (nearly) nothing? They do when they are spread as over half of the list or more.
fn is_flat(weights: &[f64]) -> bool {
    let total: f64 = weights.iter().map(|weight| weight.max(0.0)).sum();
    if total <= 0.0 {
        return true;
    }
    let entropy: f64 = weights
        .iter()
        .map(|weight| weight.max(0.0) / total)
        .filter(|&share| share > 0.0)
        .map(|share| -share * share.ln())
        .sum();
    weights.len() > 2 && entropy.exp() > 0.5 * real(weights.len() as u64)
}
