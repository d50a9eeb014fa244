//! What the analyst is told: the tests there are, closed segments. Tests are indexes into the
//! [`Universe`] here.

use crate::{
    model::{Layout, TestId},
    plan::Origin,
};

/// Every test that the evidence speaks of, also those that the suite no longer has.
#[derive(Clone, Debug, Default)]
pub struct Universe {
    /// Names; an index into this names a test everywhere in [`crate::diagnose`].
    pub names: Vec<TestId>,
    /// Per test, an index that names its module.
    pub modules: Vec<u32>,
    /// Per test: does the suite have it now? Others are never probed.
    pub present: Vec<bool>,
    /// Per test, how long it takes, in seconds (the median where unknown).
    pub seconds: Vec<f32>,
}

/// Differences between durations below this are those of the clock and the machine, in seconds.
const BRIEF: f32 = 0.01;

impl Universe {
    /// How long a test takes where it is held against another, in seconds: all brief ones take as long.
    pub(crate) fn lasting(&self, test: u32) -> f32 {
        self.seconds[test as usize].max(BRIEF)
    }

    /// How long an iteration's tests take together, in seconds.
    pub(crate) fn iteration_seconds(&self) -> f64 {
        let tests = self.present.iter().zip(&self.seconds);
        let present = tests.filter(|(present, _)| **present);
        present.map(|(_, seconds)| f64::from(*seconds)).sum()
    }
}

/// An environment factor that shards draw at random.
#[derive(Clone, Debug, PartialEq)]
pub struct FactorDomain {
    /// Its name, such as `PYTHONHASHSEED`.
    pub name: String,
    /// What it can be.
    pub levels: Levels,
    /// Can a probe set it? A worker's number, say, can only be observed.
    pub settable: bool,
}

/// The levels of a factor.
#[derive(Clone, Debug, PartialEq)]
pub enum Levels {
    /// These, each with the probability with which it is drawn.
    Listed(Vec<(String, f64)>),
    /// Any 32-bit number, uniform: the same level hardly ever comes twice unless a probe sets it.
    Number,
}

/// What one trial showed about its test, as far as statistics go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Showed {
    /// It passed.
    Passed,
    /// It failed in any way.
    Failed,
    /// Skipped, aborted, lost, infra, untrusted: neither.
    Nothing,
}

/// One trial in the order it ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// The test.
    pub test: u32,
    /// 1, or 2 for the second run of a doubled layout.
    pub rep: u8,
    /// What it showed.
    pub showed: Showed,
    /// Start, in seconds since some moment common to all observations of one boot.
    pub start: f64,
    /// How long it ran, in seconds.
    pub seconds: f32,
}

/// One closed segment of a soak iteration. Probes are not observations.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// The iteration, counted over all hunts of the suite: never decreases from one observation to the next.
    pub iteration: u64,
    /// Number of tests that the iteration planned (all its shards).
    pub tests: u32,
    /// Number of modules that the iteration planned.
    pub modules: u32,
    /// How the iteration is cut.
    pub layout: Layout,
    /// How the segment came to its order.
    pub origin: Origin,
    /// The tests that the segment was asked to run, in order, without repetitions.
    pub asked: &'a [u32],
    /// What ran, in the order it ran; it may stop short of `asked`.
    pub trials: &'a [Shown],
    /// The test that was running when the process died or was killed for a limit.
    pub died_in: Option<u32>,
    /// Worker that ran it.
    pub worker: u32,
    /// Hour of the day (UTC) at which it started, `0.0..24.0`.
    pub hour: f32,
    /// Levels of its factors: index into [`Policy::factors`](super::Policy), level as text.
    pub levels: &'a [(u16, String)],
}
