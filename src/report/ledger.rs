//! One pass over the record: what every test did by week and by night, which runs went red and by whom, and under
//! which orders the flagged ones ran. Evidence comes in the order of the plan; nothing is looked at twice.

use std::collections::BTreeMap;
use std::time::Duration;

use super::exposure::{Exposure, Placed};
use super::window::{Stretch, Window};
use crate::model::{Count, Design, Outcome, UnixMillis};
use crate::stats::{Mended, Worse, confidence_sequence, mended};

/// Runs before the window below which nobody can say that a test became worse.
const LEAST_BEFORE: u64 = 50;
/// Error probability of the rate before, for the detector.
const ALPHA: f64 = 0.05;

/// One trial. Tests are indices into the roster of the pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// The test.
    pub test: u32,
    /// 1, or 2 for the second run of a doubled order.
    pub rep: u8,
    /// What it showed.
    pub outcome: Outcome,
}

/// One closed segment.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Kind of order.
    pub design: Design,
    /// Tests that the iteration planned, in all its shards.
    pub planned: u32,
    /// Row of the revision that was under test.
    pub revision: i64,
    /// When it started.
    pub at: UnixMillis,
    /// How long it took.
    pub took: Duration,
    /// Levels of the environment factors, by name.
    pub factors: &'a [(String, String)],
    /// Its trials in the order they ran.
    pub trials: &'a [Run],
}

/// Which orders a run counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// The CI's own.
    Natural,
    /// Drawn at random.
    Shuffled,
}

impl Order {
    fn of(design: Design) -> Option<Self> {
        match design {
            Design::Natural => Some(Self::Natural),
            Design::Free | Design::Coverage | Design::Reversed => Some(Self::Shuffled),
            Design::Doubled | Design::Balanced | Design::Given | Design::Probe => None,
        }
    }
}

/// A complete run of the whole suite.
#[derive(Clone, Debug, PartialEq)]
pub struct WholeRun {
    /// When it began.
    pub at: UnixMillis,
    /// In which order.
    pub order: Order,
    /// Tests that failed in it, in ascending order; empty where it was green.
    pub failing: Vec<u32>,
    /// Worker time that it took.
    pub took: Duration,
}

/// A moment in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Start of the segment.
    pub at: UnixMillis,
    /// Row of the revision.
    pub revision: i64,
}

/// What one test did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Up to the end of the window.
    pub life: Count,
    /// Before the window.
    pub before: Count,
    /// In the window.
    pub within: Count,
    /// Skipped in the window.
    pub skipped: u64,
    /// First run in the window.
    pub first_within: Option<Sight>,
    /// First failure.
    pub first: Option<Sight>,
    /// Last failure.
    pub last: Option<Sight>,
    /// Last run before the first failure.
    pub before_first: Option<Sight>,
    /// Last run of all.
    pub last_run: Option<Sight>,
}

/// What a flagged test did under the orders that make it fail.
#[derive(Clone, Debug)]
pub struct Watch {
    exposure: Exposure,
    /// Up to the last failure.
    pub before: Count,
    /// Passes since.
    pub passes: u64,
    /// The first revision among those passes that is not that of the last failure.
    pub since: Option<Sight>,
    /// In the window.
    pub within: Count,
    /// Before the window, for the detector.
    earlier: Count,
    detector: Option<Worse>,
    /// Was it mended at the end of each week?
    pub mended_at: Vec<bool>,
    last_revision: Option<i64>,
}

impl Watch {
    fn new(exposure: Exposure, known: Count, weeks: usize) -> Self {
        Self {
            exposure,
            before: known,
            passes: 0,
            since: None,
            within: Count::default(),
            earlier: Count::default(),
            detector: None,
            mended_at: vec![false; weeks],
            last_revision: None,
        }
    }

    /// Returns the orders that make it fail.
    #[must_use]
    pub fn exposure(&self) -> &Exposure {
        &self.exposure
    }

    /// Returns what its passes since the last failure are worth.
    #[must_use]
    pub fn mended(&self) -> Mended {
        mended(self.before, self.passes)
    }

    /// Did it pass so often since its last failure that it counts as fixed?
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.before.failures > 0 && self.mended().is_certain()
    }

    /// Did it become worse in the window?
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.detector.as_ref().is_some_and(Worse::is_alarmed)
    }

    fn saw(&mut self, failed: bool, sight: Sight, window: &Window) {
        if failed {
            self.before.failures += 1;
            self.before.trials += self.passes + 1;
            self.passes = 0;
            self.since = None;
            self.last_revision = Some(sight.revision);
        } else {
            self.passes += 1;
            if self
                .last_revision
                .is_some_and(|last| last != sight.revision)
            {
                self.since.get_or_insert(sight);
            }
        }
        let one = |count: &mut Count| {
            count.failures += u64::from(failed);
            count.trials += 1;
        };
        if window.holds(sight.at) {
            one(&mut self.within);
            if self.detector.is_none() && self.earlier.trials >= LEAST_BEFORE {
                let highest = confidence_sequence(self.earlier, ALPHA).1;
                self.detector = Some(Worse::than(highest));
            }
            if let Some(detector) = &mut self.detector {
                detector.saw(failed);
            }
        } else {
            one(&mut self.earlier);
        }
    }
}

/// Trials of the window per outcome.
pub type Outcomes = BTreeMap<Outcome, u64>;

/// Everything that the pass found.
#[derive(Debug)]
pub struct Ledger {
    window: Window,
    /// Weeks of the trend, oldest first.
    pub weeks: Vec<Stretch>,
    /// Days of the heat map, oldest first.
    pub nights: Vec<Stretch>,
    /// By test.
    pub tests: Vec<History>,
    /// Flagged tests.
    pub watched: BTreeMap<u32, Watch>,
    /// Complete runs of the trend's weeks.
    pub runs: Vec<WholeRun>,
    /// Trials of the window per outcome.
    pub outcomes: Outcomes,
    /// Iterations of the window, complete or not.
    pub iterations: u64,
    /// Worker time of the window.
    pub took: Duration,
    /// When the last piece began that counts.
    pub newest: Option<UnixMillis>,
    weekly: Vec<Count>,
    nightly: Vec<Count>,
    /// First and last revision by day.
    ran_on: Vec<Option<(i64, i64)>>,
    placed: Placed,
    open: Open,
    week: usize,
}

/// The iteration that is under way.
#[derive(Debug, Default)]
struct Open {
    begun: Option<(UnixMillis, Design, u32)>,
    told: u32,
    failing: Vec<u32>,
    took: Duration,
}

impl Ledger {
    /// Starts with nothing. `tests` is the number of tests in the roster; `watched` says for each flagged test which
    /// orders make it fail, with what blocks of our own have shown about those.
    #[must_use]
    pub fn new(window: &Window, tests: usize, watched: Vec<(u32, Exposure, Count)>) -> Self {
        let (weeks, nights) = (window.weeks(), window.nights());
        let watch = |(test, exposure, known)| (test, Watch::new(exposure, known, weeks.len()));
        Self {
            window: window.clone(),
            tests: vec![History::default(); tests],
            watched: watched.into_iter().map(watch).collect(),
            runs: Vec::new(),
            outcomes: Outcomes::new(),
            iterations: 0,
            took: Duration::ZERO,
            newest: None,
            weekly: vec![Count::default(); weeks.len() * tests],
            nightly: vec![Count::default(); nights.len() * tests],
            ran_on: vec![None; nights.len()],
            placed: Placed::new(tests),
            open: Open::default(),
            week: 0,
            weeks,
            nights,
        }
    }

    /// Returns what a test did by week.
    #[must_use]
    pub fn weekly(&self, test: u32) -> Vec<Count> {
        by_stretch(&self.weekly, self.weeks.len(), self.tests.len(), test)
    }

    /// Returns what a test did by day.
    #[must_use]
    pub fn nightly(&self, test: u32) -> Vec<Count> {
        by_stretch(&self.nightly, self.nights.len(), self.tests.len(), test)
    }

    /// Did anything run on a day of the heat map?
    #[must_use]
    pub fn ran_on(&self, night: usize) -> bool {
        self.ran_on[night].is_some()
    }

    /// Returns by day of the heat map the revision that the suite had at its end, where that is another than at the end
    /// of the last day before on which anything ran. Of the days before the first one nobody can tell.
    #[must_use]
    pub fn changes(&self) -> Vec<Option<i64>> {
        let mut before = None;
        let change = |ran: &Option<(i64, i64)>| {
            let (first, last) = (*ran)?;
            let since = before.replace(last).unwrap_or(first);
            (since != last || first != last).then_some(last)
        };
        self.ran_on.iter().map(change).collect()
    }

    /// Takes one segment. Those that began when the window was over are left out.
    pub fn segment(&mut self, piece: &Piece<'_>) {
        if piece.at >= self.window.until {
            return;
        }
        self.close_weeks(piece.at);
        self.newest = self.newest.max(Some(piece.at));
        let open = &mut self.open;
        open.begun
            .get_or_insert((piece.at, piece.design, piece.planned));
        open.took += piece.took;
        let week = place(&self.weeks, piece.at);
        let night = place(&self.nights, piece.at);
        if let Some(night) = night {
            let ran = &mut self.ran_on[night];
            let first = ran.map_or(piece.revision, |(first, _)| first);
            *ran = Some((first, piece.revision));
        }
        let within = self.window.holds(piece.at);
        if within {
            self.took += piece.took;
        }
        let sight = Sight {
            at: piece.at,
            revision: piece.revision,
        };
        let tests = self.tests.len();
        self.placed.begin();
        for (position, run) in (0_u32..).zip(piece.trials) {
            let index = run.test as usize;
            if index >= tests {
                continue;
            }
            let history = &mut self.tests[index];
            if within {
                *self.outcomes.entry(run.outcome).or_default() += 1;
                history.skipped += u64::from(run.outcome == Outcome::Skipped);
            }
            if run.outcome.is_void() {
                continue;
            }
            open.told += u32::from(run.rep == 1);
            if run.outcome == Outcome::Skipped {
                continue;
            }
            let failed = run.outcome.is_failing();
            let mut counts = counts_of(history, within);
            counts.saw(failed);
            for (stretch, table) in [(week, &mut self.weekly), (night, &mut self.nightly)] {
                if let Some(stretch) = stretch {
                    add(&mut table[stretch * tests + index], failed);
                }
            }
            if failed {
                open.failing.push(run.test);
                if history.first.is_none() {
                    history.before_first = history.last_run;
                }
                history.first.get_or_insert(sight);
                history.last = Some(sight);
            }
            history.last_run = Some(sight);
            if within {
                history.first_within.get_or_insert(sight);
            }
            if let Some(watch) = self.watched.get_mut(&run.test) {
                let exposed = watch
                    .exposure
                    .holds(run, position, &self.placed, piece.factors);
                if exposed || failed {
                    watch.saw(failed, sight, &self.window);
                }
            }
            self.placed.ran(run.test, position);
        }
    }

    /// An iteration is complete: all its segments came before.
    pub fn end_iteration(&mut self) {
        let open = std::mem::take(&mut self.open);
        let Some((at, design, planned)) = open.begun else {
            return;
        };
        self.iterations += u64::from(self.window.holds(at));
        let known = place(&self.weeks, at).is_some();
        if let Some(order) = Order::of(design).filter(|_| known && open.told >= planned) {
            let mut failing = open.failing;
            failing.sort_unstable();
            failing.dedup();
            self.runs.push(WholeRun {
                at,
                order,
                failing,
                took: open.took,
            });
        }
    }

    /// Closes the weeks up to the end of the window; nothing may come after.
    pub fn finish(&mut self) {
        self.close_weeks(self.window.until);
    }

    /// Notes who was mended at the end of every week that is over at `now`.
    fn close_weeks(&mut self, now: UnixMillis) {
        while self
            .weeks
            .get(self.week)
            .is_some_and(|week| week.until <= now)
        {
            for watch in self.watched.values_mut() {
                watch.mended_at[self.week] = watch.is_fixed();
            }
            self.week += 1;
        }
    }
}

/// The counts of a test that a run belongs to.
struct Counts<'a>(&'a mut Count, &'a mut Count);

fn counts_of(history: &mut History, within: bool) -> Counts<'_> {
    let span = if within {
        &mut history.within
    } else {
        &mut history.before
    };
    Counts(&mut history.life, span)
}

impl Counts<'_> {
    fn saw(&mut self, failed: bool) {
        add(self.0, failed);
        add(self.1, failed);
    }
}

fn add(count: &mut Count, failed: bool) {
    count.failures += u64::from(failed);
    count.trials += 1;
}

fn by_stretch(table: &[Count], stretches: usize, tests: usize, test: u32) -> Vec<Count> {
    (0..stretches)
        .map(|stretch| table[stretch * tests + test as usize])
        .collect()
}

/// Returns the stretch that holds a moment.
fn place(stretches: &[Stretch], at: UnixMillis) -> Option<usize> {
    let after = stretches.partition_point(|stretch| stretch.since <= at);
    let last = after.checked_sub(1)?;
    (at < stretches[last].until).then_some(last)
}
