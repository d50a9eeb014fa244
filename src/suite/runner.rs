//! The seam between Soakhound and test runners: one [`Runner`] per kind, one file each.
//!
//! A runner answers what to start in order to list the tests, or to run some of them in an order.
//! It starts nothing itself and keeps no state.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Canary;
use crate::model::TestId;

/// Folder in the container below which the [`Runner::files`] are mounted, read-only.
pub const DRIVER_DIR: &str = "/run/soakhound";

/// 128 random bits that every record of one process repeats; tests are never told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce(u128);

impl Nonce {
    /// Takes bits that the caller drew from the system's randomness.
    #[must_use]
    pub const fn new(bits: u128) -> Self {
        Self(bits)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Nonce {
    /// Hides the bits: whoever reads a log must not be able to forge a record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

/// Which orders a runner can keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderCapability {
    /// Any order of any tests.
    Explicit,
    /// Any order of modules, and of tests within a module.
    Grouped,
    /// Only orders that it draws from a seed of its own: such segments are no evidence about order.
    Seeded,
}

/// What a runner must know about the suite and about this one process.
#[derive(Clone, Copy, Debug)]
pub struct RunnerContext<'a> {
    /// Interpreter (or other executable) that runs the suite.
    pub interpreter: &'a Path,
    /// Where the files of the runner are: [`DRIVER_DIR`] in a container.
    pub driver_dir: &'a Path,
    /// Arguments that the user gave for the suite; every list and every run gets the same.
    pub args: &'a [OsString],
    /// Nonce of this process.
    pub nonce: Nonce,
    /// Longest failure text of one test in bytes.
    pub output_cap: usize,
    /// Seed for plugins that reseed the random generators of tests.
    pub seed32: u32,
}

/// A process to start in the root folder of the project, with the results pipe as descriptor 3
/// and a read-only file holding `job` as descriptor 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// Variables to set over those of the container.
    pub env: Vec<(OsString, OsString)>,
    /// The job; it holds the nonce, so it must be readable by nobody else.
    pub job: Vec<u8>,
}

/// Compiled code that a runner's processes leave beside its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Name of the folders that hold it.
    pub folder: &'static str,
    /// Variable of the environment that keeps them from writing it; empty, it lets them.
    pub kept_out_by: &'static str,
}

/// A kind of test runner.
pub trait Runner: Send + Sync {
    /// Returns its name in `soakhound.toml`.
    fn name(&self) -> &'static str;

    /// Returns which orders it can keep.
    fn order(&self) -> OrderCapability;

    /// Returns the part of a name that says which module (usually a file) the test belongs to.
    fn module_of<'a>(&self, test: &'a TestId) -> &'a [u8];

    /// Returns the files that its processes need, by path below [`RunnerContext::driver_dir`].
    /// They never change while this program runs.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)>;

    /// Returns where its processes leave compiled code when they are let, if they do.
    fn cache(&self) -> Option<Cache>;

    /// Returns the process that lists all tests in the suite's own order, and runs none.
    fn list(&self, context: &RunnerContext<'_>) -> Command;

    /// Returns the process that runs exactly these tests in this order; records refer to them by
    /// their index in it. The second number is the repetition: 2 for the second run of a test,
    /// which directly follows the first.
    fn run(&self, context: &RunnerContext<'_>, order: &[(TestId, u8)]) -> Command;

    /// Returns the process that runs one process after the other, each as [`Runner::run`] has it, with records of
    /// its own in the one pipe. It goes on while they come to their end, passing or failing, and otherwise ends as
    /// the last one did.
    fn run_in_turn(&self, processes: &[(RunnerContext<'_>, &[(TestId, u8)])]) -> Command;

    /// Returns the process that runs these tests over and over until it is killed. Its records are those of the first
    /// time. It may end by itself after a while, so that its memory is bounded: then it is to be started again.
    fn run_again(&self, context: &RunnerContext<'_>, order: &[(TestId, u8)]) -> Command;

    /// Returns the small suite of ours that this runner can run. Its files are among [`Runner::files`].
    fn canary(&self) -> &'static Canary;
}

/// The configured runner is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown runner `{name}`; known: pytest")]
pub struct UnknownRunner {
    /// Name that was asked for.
    pub name: String,
}

/// Returns the runner with this name.
///
/// # Errors
/// [`UnknownRunner`] when there is none.
pub fn named(name: &str) -> Result<&'static dyn Runner, UnknownRunner> {
    match name {
        "pytest" => Ok(&super::Pytest),
        other => Err(UnknownRunner {
            name: other.to_owned(),
        }),
    }
}
