//! What the report says, as data. Rates are in `0.0..=1.0`, fragility is per 1,000 runs, times are of the record.

use std::collections::BTreeMap;

use super::exposure::Exposure;
use super::ledger::{Ledger, Outcomes};
use super::window::{Stretch, Window};
use crate::model::{Count, Flag, Role, TestId, UnixMillis};
use crate::stats::Mended;

/// Natural runs below which fragility and the rate of green runs are "not yet".
pub const ENOUGH: u64 = 30;

/// Everything that a digest is made of.
#[derive(Debug)]
pub struct Material {
    /// The span.
    pub window: Window,
    /// The suite and the program.
    pub origin: Origin,
    /// Every test that the suite ever listed, by index.
    pub roster: Vec<TestId>,
    /// Short names, by index.
    pub handles: Vec<String>,
    /// Which of them the newest revision of the window lists.
    pub listed: Vec<bool>,
    /// What the pass over the record found.
    pub ledger: Ledger,
    /// The newest flag of each test at the end of the window.
    pub flags: Vec<Raised>,
    /// Revisions by row.
    pub revisions: BTreeMap<i64, Revision>,
    /// Signatures of the failures of the window, with their counts, by index of the test.
    pub signatures: BTreeMap<u32, Vec<(String, u64)>>,
    /// Text of the last failure, by index of the test; untrusted.
    pub texts: BTreeMap<u32, Vec<u8>>,
    /// Owners, by index of the test.
    pub owners: BTreeMap<u32, Vec<String>>,
    /// Tokens of the orders in which tests failed last, for those without a recipe, by index.
    pub tokens: BTreeMap<u32, String>,
    /// What is known of the hunts.
    pub hunts: Hunts,
}

/// Whose report it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Name of the suite.
    pub suite: String,
    /// Its id.
    pub suite_id: String,
    /// Version of the program.
    pub tool: String,
    /// Version of the database's schema.
    pub schema: i64,
    /// Id of the database.
    pub database: u32,
    /// Version of the rule that makes signatures.
    pub signature_rule: i64,
}

/// A revision of the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its commit, else its number.
    pub label: String,
    /// When it was first seen.
    pub seen: UnixMillis,
    /// Tests that it lists, by index, ascending.
    pub tests: Vec<u32>,
}

/// A flag with its history.
#[derive(Clone, Debug, PartialEq)]
pub struct Raised {
    /// Index of the test; `None` for a systemic flag.
    pub test: Option<u32>,
    /// The claim.
    pub flag: Flag,
    /// When it was raised.
    pub at: UnixMillis,
    /// When anything was first certified about the test.
    pub first_certified: Option<UnixMillis>,
    /// What replays it.
    pub token: Option<String>,
}

/// What is known of the hunts of the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hunts {
    /// Shards planned, finished and closed for good without all outcomes.
    pub shards: [u64; 3],
    /// Hosts that ran them, in order of their names.
    pub machines: Vec<String>,
    /// Attempts to certify, over the life of the database.
    pub attempts: u64,
    /// Share of ordered pairs that ran in one process; `None` where no analysis looked yet.
    pub pair_coverage: Option<f64>,
    /// State of the canary, and why.
    pub canary: Option<(String, Option<String>)>,
    /// Tests that the e-BH list accuses without a certificate.
    pub suspected: u64,
    /// Jumps of the wall clock by more than half a minute: when, and by how many seconds.
    pub clock_jumps: Vec<(UnixMillis, i64)>,
}

/// The report.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// Title bar.
    pub head: Head,
    /// Can the numbers be trusted?
    pub trust: Trust,
    /// How often a full run is green.
    pub green: Green,
    /// How many causes are in each state.
    pub states: BTreeMap<State, u64>,
    /// The action table: one row per cause, the most fragile first.
    pub causes: Vec<Cause>,
    /// One card per flagged or failing test, in the order of the causes.
    pub cards: Vec<Card>,
    /// Failures that are alike.
    pub clusters: Vec<Cluster>,
    /// The worst tests over the nights.
    pub heat: Heat,
    /// New against mended, by week.
    pub stock: Vec<Stock>,
    /// Who makes whom fail.
    pub graph: Vec<Edge>,
    /// By owner.
    pub owners: Vec<OwnerRow>,
    /// From all tests to those with an owner.
    pub funnel: Funnel,
}

/// The title bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Whose.
    pub origin: Origin,
    /// The span.
    pub window: Window,
    /// Start of the newest piece of evidence in it; `None` without any.
    pub as_of: Option<UnixMillis>,
    /// First and last revision of the window, and how many there were.
    pub revisions: Option<(String, String, u64)>,
    /// Worker hours.
    pub hours: f64,
    /// Hosts.
    pub machines: Vec<String>,
    /// Iterations that began in the window.
    pub iterations: u64,
    /// Trials of the window per outcome.
    pub outcomes: Outcomes,
    /// Tests of the newest revision.
    pub tests: u64,
}

/// What the trust box says.
#[derive(Clone, Debug, PartialEq)]
pub struct Trust {
    /// What spoils the numbers; empty when all is well.
    pub faults: Vec<String>,
    /// What one should know, a fact a line.
    pub facts: Vec<String>,
    /// What this report cannot see.
    pub blind: Vec<String>,
    /// Shards planned, finished, given up.
    pub shards: [u64; 3],
    /// Trials that say nothing, of all.
    pub void: Count,
    /// Days of the window without any evidence.
    pub missing: Vec<String>,
    /// Tests that came and went within the window.
    pub suite_changes: (u64, u64),
    /// Attempts to certify.
    pub attempts: u64,
    /// State of the canary.
    pub canary: Option<String>,
}

/// How often full runs were green.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reliability {
    /// Complete runs.
    pub runs: u64,
    /// Runs in which no test failed.
    pub green: u64,
    /// Jeffreys' 95 % interval of the rate; (0, 1) without runs.
    pub interval: (f64, f64),
}

impl Reliability {
    /// Returns the rate; `None` without runs.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "runs stay far below 2^53")]
        (self.runs > 0).then(|| self.green as f64 / self.runs as f64)
    }

    /// Are there enough runs to speak of a rate?
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.runs >= ENOUGH
    }
}

/// Green runs in the CI's own order and in random ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Green {
    /// In the window: natural, shuffled.
    pub now: [Reliability; 2],
    /// In the week before.
    pub last: [Reliability; 2],
    /// By week.
    pub weeks: Vec<(String, [Reliability; 2])>,
    /// By day of the window, of the last [`NIGHTS`](super::window::NIGHTS) of them; no runs means that none was whole.
    pub nights: Vec<(String, [Reliability; 2])>,
    /// As `now`, had every `broken` test passed; `None` where none is broken.
    pub without_broken: Option<[Reliability; 2]>,
    /// As `now`, had the first one, two and three causes of the table never failed: an exact recount.
    pub if_mended: Vec<[Reliability; 2]>,
}

/// How a cause or a test stands at the end of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// First certified (or, without a certificate, first seen failing) in the window.
    New,
    /// Was mended, and fails again.
    Returned,
    /// Fails more often than it used to.
    Worse,
    /// Fails as before.
    Open,
    /// Did not fail in the window, which proves nothing.
    Silent,
    /// Passed often enough under the orders that used to fail.
    Fixed,
}

impl State {
    /// Every state, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::New,
        Self::Returned,
        Self::Worse,
        Self::Open,
        Self::Silent,
        Self::Fixed,
    ];

    /// Returns its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Returned => "returned",
            Self::Worse => "worse",
            Self::Open => "open",
            Self::Silent => "silent",
            Self::Fixed => "fixed",
        }
    }

    /// Does it call for action?
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::New | Self::Returned | Self::Worse | Self::Open => true,
            Self::Silent | Self::Fixed => false,
        }
    }
}

/// A share of the red runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// Red runs, in parts.
    pub runs: f64,
    /// Per 1,000 runs; 0 without runs.
    pub per_1000: f64,
    /// 95 % interval of it (Fay and Feuer).
    pub interval: (f64, f64),
    /// Runs that were red for this alone.
    pub alone: u64,
    /// Worker minutes of the red runs, in the same parts.
    pub minutes: f64,
}

/// What a row of the action table speaks of.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A test with a cause of its own.
    Test,
    /// Tests that one group makes fail (or pass).
    Group {
        /// What the group is to them.
        role: Role,
        /// Its members.
        members: Vec<TestId>,
    },
}

/// One row of the action table.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// What it speaks of.
    pub subject: Subject,
    /// Places of its cards; the first one stands for it.
    pub cards: Vec<usize>,
    /// The most pressing state of its tests.
    pub state: State,
    /// Share of the natural runs.
    pub natural: Share,
    /// Share of the shuffled runs.
    pub shuffled: Share,
    /// Share per 1,000 shuffled and natural runs together, by week.
    pub weekly: Vec<f64>,
}

/// Evidence that a test is mended, or what is missing for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    /// Passes under the orders that used to fail, since the last failure.
    pub passes: u64,
    /// Which orders those are.
    pub exposure: Exposure,
    /// Failures and trials under them, up to the last failure.
    pub before: Count,
    /// What the passes are worth.
    pub worth: Mended,
    /// First revision after that of the last failure under which it passed.
    pub since: Option<String>,
}

/// One test.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// The test.
    pub test: TestId,
    /// Its short name.
    pub handle: String,
    /// Who owns it.
    pub owners: Vec<String>,
    /// The claim.
    pub flag: Flag,
    /// How it stands.
    pub state: State,
    /// Why it is silent.
    pub silence: Option<String>,
    /// Failures in the window.
    pub within: Count,
    /// 95 % interval (Jeffreys) of the rate in the window.
    pub interval: (f64, f64),
    /// Failures up to the end of the window.
    pub life: Count,
    /// By week.
    pub weekly: Vec<Count>,
    /// Against the week before: -1 falling, 1 rising, 0 neither for certain.
    pub direction: i8,
    /// Share of the natural runs.
    pub natural: Share,
    /// Share of the shuffled runs.
    pub shuffled: Share,
    /// First failure: time and revision.
    pub first: Option<(UnixMillis, String)>,
    /// Last failure: time and revision.
    pub last: Option<(UnixMillis, String)>,
    /// Revision of its last run before the first failure, where that is another than the first failure's: it began
    /// between those two.
    pub began_after: Option<String>,
    /// When anything was first certified about it.
    pub certified_at: Option<UnixMillis>,
    /// What its passes say.
    pub proof: Option<Proof>,
    /// What replays it.
    pub token: Option<String>,
    /// How many replays show it with 95 %, where the token is a certified recipe.
    pub repeat: Option<u32>,
    /// Signatures of its failures in the window, the most frequent first.
    pub signatures: Vec<(String, u64)>,
    /// Lines of its last failure, escaped.
    pub excerpt: Vec<String>,
}

/// Failures of several tests, or many of one, that have one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The signature.
    pub signature: String,
    /// Failures in the window.
    pub failures: u64,
    /// Places of the cards.
    pub cards: Vec<usize>,
}

/// The worst tests over the nights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heat {
    /// Days, oldest first.
    pub nights: Vec<Stretch>,
    /// By day: to what the suite had changed by its end since the last day on which it ran; `None` where it had not.
    pub changes: Vec<Option<String>>,
    /// Place of the card, and its counts by day; no trials means that it was not run.
    pub rows: Vec<(usize, Vec<Count>)>,
}

/// What a week added and took away, in tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    /// The week.
    pub week: String,
    /// First certified in it.
    pub new: u64,
    /// Mended in it.
    pub fixed: u64,
    /// Certified and not mended at its end.
    pub open: u64,
}

/// An arrow of the pollution graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// The group's members.
    pub from: Vec<TestId>,
    /// What it is to the test.
    pub role: Role,
    /// Place of the test's card.
    pub to: usize,
    /// Failures with the group, in certification blocks.
    pub with: Count,
}

/// One owner.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnerRow {
    /// Who; empty for tests without an owner.
    pub owner: String,
    /// Tests that call for action.
    pub open: u64,
    /// Of those, new ones.
    pub new: u64,
    /// Mended in the window.
    pub fixed: u64,
    /// First failure of the oldest open one.
    pub oldest: Option<UnixMillis>,
    /// Share of the natural (before there are enough, of the shuffled) runs, per 1,000.
    pub per_1000: f64,
}

/// How many tests there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Funnel {
    /// Listed.
    pub tests: u64,
    /// Never failed, and so often that they fail less than once in 100 runs with 95 %.
    pub clean: u64,
    /// Never failed, but ran too rarely to say so.
    pub unknown: u64,
    /// Failed at least once.
    pub failed: u64,
    /// With a certified cause.
    pub certified: u64,
    /// With a certified recipe.
    pub reproducible: u64,
    /// With an owner, of the certified.
    pub owned: u64,
}
