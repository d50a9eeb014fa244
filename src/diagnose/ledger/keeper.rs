//! [`Ledger`]: takes observations in the order of the plan and keeps all counters up to date.
//!
//! - `backfill`: suspects come and go

mod backfill;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use super::{
    bets::{Bets, Stand},
    coverage::Coverage,
    evidence::{Evidence, Run},
    filter::{Burst, Change, Filter, Totals},
    history::{LevelsOfRun, Segment, count},
    planned::Planned,
    replays::Awaited,
    several,
    window::Window,
};
use crate::{
    diagnose::observation::{FactorDomain, Levels, Observation, Universe},
    model::{Count, Design},
    stats::{
        Cell, Curve, Tables,
        ranks::{Drawn, ln_e_of_rank},
        several::Several,
        share::Shared,
    },
};

/// Suspects times tests beyond which the shared priors are not learnt in every iteration.
const LARGE: usize = 500_000;

/// What ran beside failing runs is remembered up to so many times the tests of the suite (or [`LEAST_BESIDE`]), so that
/// it can be taken back when they turn out to be the infrastructure's. Those that are set aside fail seldom.
const BESIDE_PER_TEST: usize = 4;
const LEAST_BESIDE: usize = 4096;

/// Runs that the tables begin with; they double with the hunt.
const FIRST_TABLES: u32 = 256;

/// The passive evidence of a hunt. Counters stand as of the last [`end_iteration`](Self::end_iteration).
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(super) modules: Vec<u32>,
    /// Per factor: does it list its levels?
    listed: Vec<bool>,
    history: Vec<Segment>,
    /// How many segments of the history are counted.
    counted: usize,
    iterations: u64,
    trials: Vec<u32>,
    failures: Vec<u32>,
    seconds: BTreeMap<u32, Cell>,
    /// Tests that ever failed in a first trial.
    failing: BTreeSet<u32>,
    /// Tests in which a process died, ascending.
    struck: Vec<u32>,
    filter: Filter,
    window: Window,
    planned: Planned,
    coverage: Option<Coverage>,
    present: Vec<bool>,
    pub(super) suspects: BTreeMap<u32, Suspect>,
    pub(super) tables: Tables,
    /// Up to how many runs the tables go.
    tabled: u32,
    blank: Evidence,
    polluting: OnceLock<Shared>,
    setting: OnceLock<Shared>,
    /// The iteration as of which they may be learnt.
    shared_at: u64,
    several: several::Memory,
}

/// What is kept of a test once it has failed.
#[derive(Debug)]
pub(super) struct Suspect {
    pub(super) evidence: Evidence,
    /// How its failures grow with what ran before.
    pub(super) curve: Curve,
    /// Kept from the second failure on.
    bets: Option<Bets>,
    /// Failing runs by segment, and what ran elsewhere during each.
    beside: BTreeMap<u32, Vec<u32>>,
}

impl Ledger {
    /// Starts without evidence.
    pub(crate) fn new(universe: &Universe, factors: &[FactorDomain]) -> Self {
        let tests = universe.names.len();
        let mut present = universe.present.clone();
        present.resize(tests, true);
        let mut modules = universe.modules.clone();
        modules.resize(tests, u32::MAX);
        let is_listed = |factor: &FactorDomain| match factor.levels {
            Levels::Listed(_) => true,
            Levels::Number => false,
        };
        Self {
            listed: factors.iter().map(is_listed).collect(),
            modules,
            history: Vec::new(),
            counted: 0,
            iterations: 0,
            trials: vec![0; tests],
            failures: vec![0; tests],
            seconds: BTreeMap::new(),
            failing: BTreeSet::new(),
            struck: Vec::new(),
            filter: Filter::default(),
            window: Window::new(tests),
            planned: Planned::new(tests),
            coverage: Coverage::new(&present),
            present,
            suspects: BTreeMap::new(),
            tables: Tables::new(FIRST_TABLES),
            tabled: FIRST_TABLES,
            blank: Evidence::of(tests),
            polluting: OnceLock::new(),
            setting: OnceLock::new(),
            shared_at: 0,
            several: several::Memory::default(),
        }
    }

    /// Takes one closed segment.
    pub(crate) fn observe(&mut self, observation: &Observation<'_>) {
        let segment = Segment::of(observation);
        if let Some(coverage) = &mut self.coverage {
            let mut started = Vec::with_capacity(segment.started() as usize);
            segment.each_started(|test, _| started.push(test));
            coverage.observe(&started);
        }
        self.window.push(count(self.history.len()), observation);
        self.history.push(segment);
    }

    /// Counts all segments up to this iteration. Returns the suspects whose evidence changed, ascending.
    pub(crate) fn end_iteration(&mut self, iteration: u64) -> Vec<u32> {
        let waiting = self.history[self.counted..].iter();
        let ended = waiting.take_while(|segment| segment.iteration <= iteration);
        let new = self.counted..self.counted + ended.count();
        self.iterations += 1;
        self.planned.take(&self.history[new.clone()]);
        let strikes = self.total_up(new.clone());
        let mut changed = self.judge_bursts();
        self.count_segments(new.clone(), &mut changed);
        self.counted = new.end;
        self.backfill(&mut changed);
        self.settle_overlap();
        for (test, suspect) in &mut self.suspects {
            if strikes || changed.contains(test) {
                suspect.evidence.strike(&self.struck);
            }
            if let Some(bets) = suspect.bets.as_mut().filter(|_| strikes) {
                bets.strike(&self.struck);
            }
        }
        if self.iterations > self.tabled.into() {
            self.tabled *= 2;
            self.tables = Tables::new(self.tabled);
        }
        self.forget_shared();
        let suspects = &self.suspects;
        changed.retain(|test| suspects.contains_key(test));
        changed
            .into_iter()
            .filter(|test| self.is_suspect(*test))
            .collect()
    }

    /// Notes what running the order of a failure again showed: `test` failed in `iteration`. It counts from the next
    /// [`rejudge`](Self::rejudge) or iteration on.
    pub(crate) fn replayed(&mut self, iteration: u64, test: u32, showed: Count) {
        self.filter.replayed(iteration, test, showed);
    }

    /// Takes a test whose failures are explained out of all bursts, as of the next [`rejudge`](Self::rejudge) or
    /// iteration. Returns whether that is new.
    pub(crate) fn explain(&mut self, test: u32) -> bool {
        self.filter.explain(test)
    }

    /// Judges all bursts anew. Returns the tests whose failures count otherwise than before, or waited for this,
    /// ascending.
    pub(crate) fn rejudge(&mut self) -> BTreeSet<u32> {
        let mut changed = self.waiting();
        let moved = self.judge_bursts();
        changed.extend(&moved);
        self.backfill(&mut changed);
        for test in &moved {
            if let Some(suspect) = self.suspects.get_mut(test) {
                suspect.evidence.strike(&self.struck);
            }
        }
        if !moved.is_empty() {
            self.forget_shared();
        }
        changed
    }

    /// Returns what a test waits for whose failures came in a burst that nobody has judged yet.
    pub(crate) fn awaited(&self, test: u32) -> Option<Awaited> {
        self.filter.awaited(test)
    }

    /// Was an iteration with every test twice recorded?
    pub(crate) fn has_doubled(&self) -> bool {
        let mut designs = self.history.iter().map(|segment| segment.layout.design);
        designs.any(|design| design == Design::Doubled)
    }

    /// Returns the tests that wait for the replay of a burst, ascending.
    pub(crate) fn waiting(&self) -> BTreeSet<u32> {
        self.filter.waiting().collect()
    }

    /// Do all failures of a test wait for the replay of bursts?
    pub(crate) fn is_waiting(&self, test: u32) -> bool {
        let counted = self.failures[test as usize] - self.filter.held_of(test);
        let second = self.seconds.get(&test).map_or(0, |cell| cell.failed);
        self.awaited(test)
            .is_some_and(|awaited| awaited.failures == counted && second == 0)
    }

    /// Returns the test whose replay comes next for a burst that this one waits for.
    pub(crate) fn decided_by(&self, test: u32) -> Option<u32> {
        if !self.is_waiting(test) {
            return None;
        }
        self.filter.waiting().find(|other| {
            let replay = self
                .filter
                .awaited(*other)
                .and_then(|awaited| awaited.replay);
            replay.is_some_and(|(segment, _)| {
                let failed = &self.history[segment as usize].failed;
                failed.binary_search(&test).is_ok()
            })
        })
    }

    /// Returns the iteration of a segment of the history, what ran in it before a test, in order and with
    /// repetitions, and the levels of its factors.
    pub(crate) fn order_of(&self, segment: u32, test: u32) -> (u64, Vec<(u32, u8)>, LevelsOfRun) {
        let segment = &self.history[segment as usize];
        let place = segment.place_of(test).unwrap_or(0);
        let reps = if segment.layout.design == Design::Doubled {
            2
        } else {
            1
        };
        let order = segment
            .before(place)
            .flat_map(|test| (1..=reps).map(move |rep| (test, rep)));
        (segment.iteration, order.collect(), segment.levels.clone())
    }

    /// Returns the tests with a failure that is not infrastructure's, ascending.
    pub(crate) fn suspects(&self) -> Vec<u32> {
        let known = self.suspects.keys().copied();
        known.filter(|test| self.is_suspect(*test)).collect()
    }

    /// Did this test fail, and not by infrastructure?
    pub(crate) fn is_in_question(&self, test: u32) -> bool {
        self.suspects.contains_key(&test) && self.is_suspect(test)
    }

    /// Returns the failures of a test among its first trials, infrastructure left out of both.
    pub(crate) fn soak(&self, test: u32) -> Count {
        let held = self.filter.held_of(test);
        Count {
            failures: u64::from(self.failures[test as usize] - held),
            trials: u64::from(self.trials[test as usize] - held),
        }
    }

    /// Returns how often tests passed or failed in all, set aside or not.
    pub(crate) fn all_trials(&self) -> u64 {
        self.trials.iter().copied().map(u64::from).sum()
    }

    /// Returns the failures that are set aside in containers of which most tests passed.
    pub(crate) fn held_of_a_few(&self) -> u64 {
        self.bursts()
            .iter()
            .map(|burst| (burst.failures.len() as u64, u64::from(burst.ran)))
            .filter(|(failures, ran)| 3 * failures < *ran)
            .map(|(failures, _)| failures)
            .sum()
    }

    /// Returns how many failures of a test are set aside as infrastructure.
    pub(crate) fn infra(&self, test: u32) -> u64 {
        self.filter.held_of(test).into()
    }

    /// Returns the runs of a suspect in the order of the plan, without those set aside; empty for others.
    pub(crate) fn runs(&self, test: u32) -> &[Run] {
        let suspect = self.suspects.get(&test);
        suspect.map_or(&[], |suspect| &suspect.evidence.runs)
    }

    /// Returns the evidence of a suspect; for other tests one without runs.
    pub(crate) fn evidence(&self, victim: u32) -> &Evidence {
        let suspect = self.suspects.get(&victim);
        suspect.map_or(&self.blank, |suspect| &suspect.evidence)
    }

    /// Returns how many polluters a victim seems to have.
    pub(crate) fn polluters(&self, victim: u32) -> f64 {
        let suspect = self.suspects.get(&victim);
        suspect.map_or(1.0, |suspect| suspect.curve.polluters())
    }

    /// Returns the prior that victims share over polluters, or over state-setters.
    pub(crate) fn shared(&self, polluters: bool) -> &Shared {
        let place = if polluters {
            &self.polluting
        } else {
            &self.setting
        };
        place.get_or_init(|| {
            // A brittle test fails nearly whenever its setter is not there: the others know nothing of setters.
            let may =
                |cell: Cell| polluters || 2 * u64::from(cell.failed) >= u64::from(cell.passed);
            let scores: Vec<Vec<f64>> = self
                .suspects
                .iter()
                .filter(|(test, suspect)| {
                    let evidence = &suspect.evidence;
                    !evidence.is_bare && self.is_suspect(**test) && may(evidence.total)
                })
                .map(|(_, suspect)| self.scores(&suspect.evidence, polluters))
                .collect();
            let rows: Vec<&[f64]> = scores.iter().map(Vec::as_slice).collect();
            Shared::learn(self.trials.len(), &rows)
        })
    }

    fn scores(&self, evidence: &Evidence, polluters: bool) -> Vec<f64> {
        if polluters {
            return self.tables.scores(&evidence.before, evidence.total);
        }
        let swapped: Vec<Cell> = evidence.before.iter().map(|cell| cell.swapped()).collect();
        self.tables.scores(&swapped, evidence.total.swapped())
    }

    /// ln of how much better "many polluters" fits the recorded runs than one rate.
    pub(super) fn many(&self, victim: u32) -> f64 {
        let suspect = self.suspects.get(&victim);
        suspect.map_or(f64::NEG_INFINITY, |suspect| suspect.curve.ln_bf_many())
    }

    /// Is there a factor whose levels never come twice?
    pub(super) fn has_numbers(&self) -> bool {
        self.listed.iter().any(|listed| !listed)
    }

    /// Returns the evidence of the runs that none of `groups` precedes completely, in whatever order. Failures among
    /// those of a burst are left out: `groups` explain others of the test, and the burst explains these.
    pub(crate) fn residual(&self, victim: u32, groups: &[Vec<u32>]) -> Evidence {
        let mut evidence = Evidence::of(self.modules.len());
        for run in self.runs(victim) {
            let segment = self.segment_of(run);
            let of_burst = run.failed && self.filter.is_burst(run.segment);
            if !of_burst
                && !groups
                    .iter()
                    .any(|group| precedes(segment, run, group).is_some())
            {
                evidence.put(segment, run.clone(), &self.listed);
            }
        }
        evidence.strike(&self.struck);
        evidence
    }

    /// Returns the evidence of the runs that `group` precedes completely; its candidates are the tests between the
    /// group's last member and the victim.
    pub(crate) fn cleaning(&self, victim: u32, group: &[u32]) -> Evidence {
        let mut evidence = Evidence::of(self.modules.len());
        for run in self.runs(victim) {
            let segment = self.segment_of(run);
            if let Some(last) = precedes(segment, run, group) {
                evidence.put_after(segment, run.clone(), last);
            }
        }
        evidence.strike(&self.struck);
        evidence
    }

    /// Did `test` run before the victim in a run in which it failed?
    pub(crate) fn has_failed_after(&self, victim: u32, test: u32) -> bool {
        let suspect = self.suspects.get(&victim);
        let cell = suspect.and_then(|suspect| suspect.evidence.before.get(test as usize));
        cell.is_some_and(|cell| cell.failed > 0)
    }

    /// Returns the tests that started before the victim in a run of its [`runs`](Self::runs), in order.
    pub(crate) fn prefix(&self, victim: u32, run: usize) -> Vec<u32> {
        let run = &self.runs(victim)[run];
        self.segment_of(run).before(run.place).collect()
    }

    /// Returns what runs of a victim say of each test, were it one of several of which any suffices.
    pub(crate) fn several(&self, victim: u32, runs: &[Run], passes: bool) -> Several {
        let before = |run: &Run| self.segment_of(run).before(run.place);
        self.several
            .of((victim, passes), self.trials.len(), runs, before)
    }

    /// Returns ln of the e-value of "it fails from some number of tests before it on", against any single test that may
    /// decide instead.
    pub(crate) fn ln_e_of_rank(&self, victim: u32) -> f64 {
        let drawn = self.runs(victim).iter().filter_map(|run| {
            let segment = self.segment_of(run);
            segment.is_drawn_evenly().then(|| Drawn {
                order: segment.asked(),
                place: run.place,
                failed: run.failed,
            })
        });
        ln_e_of_rank(&drawn.collect::<Vec<_>>(), self.trials.len())
    }

    /// Returns ln of the e-value against "whether it fails does not depend on what ran before"; minus infinity
    /// (an e-value of nothing) for tests that failed less than twice.
    pub(crate) fn passive_ln_e(&self, victim: u32) -> f64 {
        let bets = self
            .suspects
            .get(&victim)
            .and_then(|suspect| suspect.bets.as_ref());
        bets.map_or(f64::NEG_INFINITY, Bets::ln_e)
    }

    /// Returns the e-BH list at false discovery rate `alpha` over all tests that ever ran, ascending.
    pub(crate) fn suspected(&self, alpha: f64) -> Vec<u32> {
        let hypotheses = self.trials.iter().filter(|trials| **trials > 0).count();
        let victims: Vec<u32> = self.suspects.keys().copied().collect();
        let ln_e: Vec<f64> = victims
            .iter()
            .map(|test| self.passive_ln_e(*test))
            .collect();
        // All others have no e-value to speak of: the same list at the share of alpha that is left to these.
        let share = f64::from(count(victims.len())) / f64::from(count(hypotheses.max(1)));
        let rejected = crate::stats::e_bh(&ln_e, alpha * share);
        rejected.into_iter().map(|at| victims[at]).collect()
    }

    /// Returns the share of ordered pairs of present tests that ran in that order in one process; `None` when the
    /// suite is too large to count.
    pub(crate) fn pair_coverage(&self) -> Option<f64> {
        self.coverage.as_ref().map(Coverage::share)
    }

    /// Returns the bursts that are set aside, in the order of the plan.
    pub(crate) fn bursts(&self) -> Vec<Burst> {
        self.filter.bursts(&self.history)
    }

    /// Was the process of a segment ever lost while this test ran?
    pub(crate) fn is_struck(&self, test: u32) -> bool {
        self.struck.binary_search(&test).is_ok()
    }

    /// Lets the shared priors be learnt anew; in large suites only once the hunt is a little longer, since that
    /// takes longer than all else.
    fn forget_shared(&mut self) {
        let large = self.suspects.len() * self.trials.len() > LARGE;
        let since = self.iterations - self.shared_at;
        if !large || since > self.shared_at / 16 {
            self.shared_at = self.iterations;
            self.polluting = OnceLock::new();
            self.setting = OnceLock::new();
        }
    }

    fn is_suspect(&self, test: u32) -> bool {
        let held = self.filter.held_of(test);
        let second = self.seconds.get(&test).map_or(0, |cell| cell.failed);
        self.failures[test as usize] > held || second > 0
    }

    fn segment_of(&self, run: &Run) -> &Segment {
        &self.history[run.segment as usize]
    }

    /// Adds new segments to the totals. Returns whether a test was struck.
    fn total_up(&mut self, new: std::ops::Range<usize>) -> bool {
        let known = self.struck.len();
        for (number, segment) in (count(new.start)..).zip(&self.history[new]) {
            segment.each_started(|test, _| {
                self.trials[test as usize] += u32::from(segment.outcome(test).is_some());
            });
            for test in &segment.failed {
                self.failures[*test as usize] += 1;
                self.failing.insert(*test);
            }
            for (test, failed) in &segment.second {
                self.seconds.entry(*test).or_default().add(*failed);
            }
            if let Some(Err(at)) = segment.died_in.map(|test| self.struck.binary_search(&test)) {
                self.struck.insert(at, segment.died_in.expect("it died"));
            }
            self.filter.notice(number, segment);
        }
        self.struck.len() > known
    }

    /// Judges all bursts anew and moves the failures of suspects that count otherwise than before. Returns the tests
    /// of all such failures.
    fn judge_bursts(&mut self) -> BTreeSet<u32> {
        let totals = Totals {
            trials: &self.trials,
            failures: &self.failures,
            failing: &self.failing,
            iterations: self.iterations,
            present: &self.present,
        };
        let moved = self.filter.judge(&self.history, &totals);
        for change in &moved {
            self.move_failure(change);
        }
        moved.iter().map(|change| change.test).collect()
    }

    /// Sets a counted failure of a suspect aside, or takes it back.
    fn move_failure(&mut self, change: &Change) {
        let Some(suspect) = self.suspects.get_mut(&change.test) else {
            return;
        };
        let number = change.segment;
        if number as usize >= self.counted {
            return;
        }
        let segment = &self.history[number as usize];
        let beside = suspect.beside.get(&number);
        if change.held {
            suspect.evidence.take(segment, number);
            if let Some(beside) = beside {
                suspect.evidence.take_overlap(beside, true);
            }
        } else if let Some(place) = segment.place_of(change.test) {
            let run = Run::at(segment, number, place, true);
            suspect.evidence.put(segment, run, &self.listed);
            if let Some(beside) = beside {
                suspect.evidence.put_overlap(beside, true);
            }
        }
        suspect.draw_curve();
    }

    /// Counts new segments for the suspects there are.
    fn count_segments(&mut self, new: std::ops::Range<usize>, changed: &mut BTreeSet<u32>) {
        let mut place_of = vec![u32::MAX; self.trials.len()];
        let mut stand = Stand::default();
        for (number, segment) in (count(new.start)..).zip(&self.history[new]) {
            segment.each_started(|test, place| place_of[test as usize] = place);
            for (test, suspect) in &mut self.suspects {
                let place = place_of[*test as usize];
                let Some(failed) = (place != u32::MAX)
                    .then(|| segment.outcome(*test))
                    .flatten()
                else {
                    continue;
                };
                if let Some(bets) = &mut suspect.bets {
                    let planned = self.planned.of(segment.iteration);
                    stand.describe(segment, place, &self.modules, planned);
                    bets.step(&stand, failed);
                }
                if let Some(failed) = segment.second_of(*test) {
                    suspect.evidence.second.add(failed);
                }
                if !(failed && self.filter.holds(number, *test)) {
                    let run = Run::at(segment, number, place, failed);
                    suspect.curve.push(run.pi.into(), failed);
                    suspect.evidence.put(segment, run, &self.listed);
                }
                changed.insert(*test);
            }
            segment.each_started(|test, _| place_of[test as usize] = u32::MAX);
        }
    }

    /// Counts what ran elsewhere during segments of which that is known now.
    fn settle_overlap(&mut self) {
        let (suspects, filter, history) = (&mut self.suspects, &self.filter, &self.history);
        let most = (BESIDE_PER_TEST * self.trials.len()).max(LEAST_BESIDE);
        self.window.settle(|settled| {
            let number = settled.segment();
            for (test, suspect) in suspects.iter_mut() {
                if suspect.evidence.is_bare {
                    continue;
                }
                let Some(beside) = settled.beside(*test) else {
                    continue;
                };
                let Some(failed) = history[number as usize].outcome(*test) else {
                    continue;
                };
                if !(failed && filter.holds(number, *test)) {
                    suspect.evidence.put_overlap(&beside, failed);
                }
                if failed {
                    suspect.remember_beside(number, beside, most);
                }
            }
        });
    }
}

impl Suspect {
    fn new(evidence: Evidence) -> Self {
        let mut suspect = Self {
            evidence,
            curve: Curve::default(),
            bets: None,
            beside: BTreeMap::new(),
        };
        suspect.draw_curve();
        suspect
    }

    /// Forgets the candidates.
    fn strip(&mut self, blank: &Evidence) {
        self.evidence.strip(blank);
        self.bets = None;
        self.beside = BTreeMap::new();
    }

    /// Remembers what ran beside a failing run, and forgets the oldest of more than `most` tests.
    fn remember_beside(&mut self, number: u32, beside: Vec<u32>, most: usize) {
        self.beside.insert(number, beside);
        let mut kept: usize = self.beside.values().map(Vec::len).sum();
        while kept > most {
            kept -= self
                .beside
                .pop_first()
                .map_or(kept, |(_, tests)| tests.len());
        }
    }

    fn draw_curve(&mut self) {
        self.curve = Curve::default();
        for run in &self.evidence.runs {
            self.curve.push(run.pi.into(), run.failed);
        }
    }
}

/// The place of the last member of `group` when all of them started before the run.
fn precedes(segment: &Segment, run: &Run, group: &[u32]) -> Option<u32> {
    let mut missing = group.len();
    let mut last = 0;
    for (place, test) in segment.places_before(run.place) {
        if group.contains(&test) {
            missing -= 1;
            last = place;
        }
    }
    (missing == 0).then_some(last)
}
