//! The canary: a tiny suite of our own whose truth is known. A hunt that does not find out about it finds nothing else
//! either.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::model::TestId;

/// A suite of our own, as one kind of runner runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    pub(super) folder: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) tests: Vec<TestId>,
    pub(super) coin: TestId,
    pub(super) polluter: TestId,
    pub(super) victim: TestId,
}

impl Canary {
    /// Variable that holds the seed of the coin: a shard's `seed32`.
    pub const SEED: &'static str = "SOAKHOUND_COIN";

    /// How often the coin fails, over seeds that are uniform.
    pub const COIN_RATE: f64 = 0.01;

    /// Returns the folder in the container in which it runs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the runner's arguments, in place of the user's: they keep out what is the user's own.
    #[must_use]
    pub fn args(&self) -> &[OsString] {
        &self.args
    }

    /// Returns the variables that keep out what is the user's own.
    #[must_use]
    pub fn env(&self) -> &[(OsString, OsString)] {
        &self.env
    }

    /// Returns its tests in default order.
    #[must_use]
    pub fn tests(&self) -> &[TestId] {
        &self.tests
    }

    /// Returns the test that fails at [`Canary::COIN_RATE`], whatever ran before it.
    #[must_use]
    pub fn coin(&self) -> &TestId {
        &self.coin
    }

    /// Returns the test after which [`Canary::victim`] fails.
    #[must_use]
    pub fn polluter(&self) -> &TestId {
        &self.polluter
    }

    /// Returns the test that fails exactly when [`Canary::polluter`] ran before it in its process.
    #[must_use]
    pub fn victim(&self) -> &TestId {
        &self.victim
    }
}
