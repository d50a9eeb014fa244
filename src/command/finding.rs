//! A flag as people get to see it: the claim, when it was seen first and last, what replays it. What `flags`,
//! `show`, `status` and the end of a hunt have in common.
//!
//! - [`read`]: from the database
//! - [`json`]: the same for programs
//! - [`list`]: many flags as tables, one row per cause

pub(super) mod json;
pub(super) mod list;
pub(super) mod read;

use crate::report::digest::Share;
pub(super) use crate::report::words::{self, Names};
use crate::{
    model::{Count, Fixed, Flag, Suspicion, TestId, UnixMillis, Verdict},
    ui::escape,
};

/// A flag with all that stands beside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// The claim.
    pub(super) flag: Flag,
    /// The test's handle; `None` for a systemic flag.
    pub(super) handle: Option<String>,
    /// Is it on the list that the passive evidence accuses at the moment of looking?
    pub(super) suspicion: Option<Suspicion>,
    /// When this verdict was raised first; `None` for what is merely suspected.
    pub(super) raised: Option<UnixMillis>,
    /// Its first recorded failure.
    pub(super) first: Option<Seen>,
    /// Its last recorded failure.
    pub(super) last: Option<Seen>,
    /// What replays it: its recipe, else the order in which it failed last.
    pub(super) token: Option<String>,
    /// Signature of its last failure.
    pub(super) signature: Option<String>,
    /// Share of the red natural runs on record; `None` until there are enough of them.
    pub(super) fragility: Option<Share>,
    /// Who looks after the test's file, as the checkout's CODEOWNERS file says: untrusted text.
    pub(super) owners: Vec<String>,
    /// Why nobody needs to do anything about it.
    pub(super) no_action: Option<NoAction>,
    /// Why it counts as fixed, where it does.
    pub(super) fixed: Option<Fixed>,
    /// Was it certified first by the newest hunt, or in the time that was asked for?
    pub(super) is_new: bool,
}

/// One recorded failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// When its segment ended.
    pub(super) time: UnixMillis,
    /// The revision: its commit, else its number.
    pub(super) revision: String,
    /// Row of its shard.
    pub(super) shard: i64,
}

/// Why a flag needs no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAction {
    /// The host's doing, not a test's.
    Infrastructure,
    /// The suite no longer has the test.
    Gone,
    /// It passed often enough under the orders that make it fail.
    Fixed,
}

impl NoAction {
    /// The word in JSON and in tables.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Infrastructure => "infrastructure",
            Self::Gone => "gone",
            Self::Fixed => "fixed",
        }
    }

    /// What it means.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Infrastructure => "the machine's doing, not a test's",
            Self::Gone => "the suite no longer has it",
            Self::Fixed => "it no longer fails where it used to",
        }
    }
}

/// How sure a flag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certainty {
    /// An experiment of ours, or a plain fact.
    Certified,
    /// The passive evidence accuses it; may vanish.
    Suspected,
    /// It failed, and that is all.
    Open,
}

impl Found {
    /// A test without a flag.
    pub(super) fn of_test(test: &TestId, handle: &str, soak: Count) -> Self {
        Self {
            flag: Flag::unexplained(test.clone(), soak),
            handle: Some(handle.to_owned()),
            suspicion: None,
            raised: None,
            first: None,
            last: None,
            token: None,
            signature: None,
            fragility: None,
            owners: Vec::new(),
            no_action: None,
            fixed: None,
            is_new: false,
        }
    }

    /// How sure it is.
    pub(super) fn certainty(&self) -> Certainty {
        match (self.flag.certified, &self.suspicion) {
            (true, _) => Certainty::Certified,
            (false, Some(_)) => Certainty::Suspected,
            (false, None) => Certainty::Open,
        }
    }

    /// Does someone have to look at it: certified, and neither gone nor the machine's doing?
    pub(super) fn needs_action(&self) -> bool {
        self.flag.certified && self.no_action.is_none()
    }

    /// Did it fail from the first run on? Every run of the suite shows that, so that lists have it last.
    pub(super) fn always_fails(&self) -> bool {
        self.flag.verdict == Verdict::Broken && self.flag.since_iteration.is_none()
    }

    /// The natural logarithm of the e-value to show: the certificate's, else the passive one.
    pub(super) fn ln_e(&self) -> Option<f64> {
        let passive = self.suspicion.as_ref().map(|suspicion| suspicion.ln_e);
        self.flag.ln_e.or(passive)
    }

    /// How the test is called for people: handle and name; the systemic flag by its verdict.
    pub(super) fn name(&self) -> String {
        match &self.flag.test {
            Some(test) => escape::terminal(test.as_bytes()),
            None => Verdict::Infrastructure.word().to_owned(),
        }
    }
}
