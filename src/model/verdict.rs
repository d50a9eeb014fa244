//! What was found out about a test: verdicts, roles, reproductions, flags.

use serde::{Deserialize, Serialize};

use super::outcome::words;
use super::{TestId, UnixMillis};

words! {
    /// Why a test is flaky. The order of the codes is the order of precedence: where two hold, the earlier one is said.
    Verdict, "verdict" {
        /// Containers or the host failed: one systemic flag, about no test.
        Infrastructure = 0 "infrastructure",
        /// Always fails, from the start or since some iteration.
        Broken = 1 "broken",
        /// A level of an environment factor decides.
        Environment = 2 "environment",
        /// Passes first, fails when it runs again in the same process.
        Nio = 3 "nio",
        /// A polluter is certified and the test fails at most 0.5 % without.
        OdVictim = 4 "od-victim",
        /// Fails alone, passes after a state-setter.
        OdBrittle = 5 "od-brittle",
        /// Fails while another test runs elsewhere.
        Interference = 6 "interference",
        /// Fails late (or not first) in a process, whatever ran before.
        Position = 7 "position",
        /// Fails without its polluter too, at a certified different rate.
        Ndod = 8 "ndod",
        /// Fails alone, and no factor explains it.
        Nod = 9 "nod",
        /// Not explained yet, or seen only once.
        Undetermined = 10 "undetermined",
    }
}

words! {
    /// What a test is to an order-dependent test. A role is held by a group, all of whose members are needed.
    Role, "role" {
        /// The victim fails after it.
        Polluter = 0 "polluter",
        /// The brittle test passes after it.
        StateSetter = 1 "state-setter",
        /// Run between polluter and victim, it makes the victim pass again.
        Cleaner = 2 "cleaner",
        /// The test fails while it runs elsewhere.
        Neighbour = 3 "neighbour",
    }
}

words! {
    /// The smallest thing that two tests must share for the state of one to reach the other.
    Reach, "reach" {
        /// Memory: only within one process.
        Process = 0 "process",
        /// Files, ports or daemons: also between two processes of one container.
        Container = 1 "container",
        /// Between containers of one host.
        Host = 2 "host",
    }
}

/// Failures among trials; void and skipped trials are in neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many failed.
    pub failures: u64,
    /// How many passed or failed.
    pub trials: u64,
}

/// One group that holds a role; several groups of one role are alternatives, any of which suffices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The role.
    pub role: Role,
    /// Members in the order in which they must run.
    pub members: Vec<TestId>,
    /// Does it act only when it ends directly before the test?
    pub adjacent: bool,
    /// Failures with the group, in certification blocks.
    pub with: Count,
    /// Failures with decoys instead: of the only member, or of each member in turn.
    pub with_decoy: Count,
    /// Failures without either.
    pub without: Count,
    /// Natural logarithm of the smaller of its e-values (against the decoy, and against nothing).
    pub ln_e: f64,
}

/// What to run to see it, and what that has shown: certified 1-minimal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The order, with repetitions; the flagged test last.
    pub order: Vec<(TestId, u8)>,
    /// Levels of the factors that matter.
    pub factors: Vec<(String, String)>,
    /// Tests to run beside it in another container, over and over.
    pub beside: Vec<TestId>,
    /// What it has shown after the trial that led to it; for a test that fails at random, in recorded runs too.
    pub seen: Count,
    /// Repetitions that fail at least once with 95 % probability.
    pub repeat: u32,
    /// The same at the lower end of the rate's interval.
    pub repeat_at_worst: u32,
}

/// A claim about one test (or, for `infrastructure`, about none).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    /// The test; `None` for a systemic flag.
    pub test: Option<TestId>,
    /// What is claimed.
    pub verdict: Verdict,
    /// Did an experiment of our own, or a plain fact, certify it?
    pub certified: bool,
    /// Certified groups.
    pub groups: Vec<Group>,
    /// Polluters (or setters) that must exist besides the named ones, since failures remain without those.
    pub unnamed: u32,
    /// Factor and level, where those decide.
    pub factors: Vec<(String, String)>,
    /// Failures in the recorded iterations.
    pub soak: Count,
    /// Failures when it ran alone in a fresh container.
    pub alone: Count,
    /// The reproduction, where one is known.
    pub recipe: Option<Recipe>,
    /// Natural logarithm of the e-value behind the verdict, where there is one.
    pub ln_e: Option<f64>,
    /// Iteration since when it always fails, for a regression.
    pub since_iteration: Option<u64>,
    /// First test places (tests that ran before) from which it fails, for `position`.
    pub threshold: Option<u32>,
    /// Where the state lives, where that was tried.
    pub reach: Option<Reach>,
    /// Files that are not as they were once the polluter and the test have run (made, changed or deleted), where the
    /// state lives in the container: paths in it, untrusted text.
    pub files_left: Vec<String>,
    /// What was ruled out and how, in plain sentences.
    pub ruled_out: Vec<String>,
    /// For `undetermined`: what is known and what would settle it.
    pub settles: Option<String>,
}

/// A flag as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct FlagRecord {
    /// When it was raised.
    pub at: UnixMillis,
    /// The claim.
    pub flag: Flag,
}

/// A flagged test that passed so often since its last failure, under the orders that make it fail, that it counts as
/// fixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// The test.
    pub test: TestId,
    /// When that was found; a flag that was raised later is about something else.
    pub at: UnixMillis,
    /// Row of the segment in which it failed last, where an iteration saw it fail; one more failure, and it is not
    /// fixed.
    pub last_segment: Option<i64>,
    /// Passes since, under those orders.
    pub passes: u64,
    /// Which orders those are, in words that follow the number of passes.
    pub under: String,
    /// Failures and trials under them, up to the last failure.
    pub before: Count,
    /// First revision among those passes that is not that of the last failure.
    pub since: Option<String>,
}

impl Flag {
    /// A claim about this test, or about no test in particular, with no evidence yet and not certified.
    #[must_use]
    pub fn bare(test: Option<TestId>, verdict: Verdict) -> Self {
        Self {
            test,
            verdict,
            certified: false,
            groups: Vec::new(),
            unnamed: 0,
            factors: Vec::new(),
            soak: Count::default(),
            alone: Count::default(),
            recipe: None,
            ln_e: None,
            since_iteration: None,
            threshold: None,
            reach: None,
            files_left: Vec::new(),
            ruled_out: Vec::new(),
            settles: None,
        }
    }

    /// A test that failed, or not, and of which nothing more is claimed.
    #[must_use]
    pub fn unexplained(test: TestId, soak: Count) -> Self {
        Self {
            soak,
            ..Self::bare(Some(test), Verdict::Undetermined)
        }
    }

    /// Does it name a test other than its own?
    #[must_use]
    pub fn names_another(&self) -> bool {
        self.groups.iter().any(|group| {
            group
                .members
                .iter()
                .any(|member| Some(member) != self.test.as_ref())
        })
    }
}
