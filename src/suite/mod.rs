//! How a test runner is asked to list its tests and to run them, and how its answers are read.
//!
//! A [`Runner`] only says what to start and with which job; it starts nothing. What the started
//! process writes to its results pipe goes through a [`Journal`], which believes nothing. Starting
//! processes, containers and time limits belong to `execute`. [`Owners`] says who looks after a test's file.

mod canary;
mod event;
pub mod interpreter;
mod journal;
mod owners;
mod pytest;
mod record;
mod runner;

pub use canary::Canary;
pub use event::{JournalEvent, Untrusted};
pub use journal::{Journal, JournalLimits};
pub use owners::{Checkout, Owners, OwnersError, OwnersFault};
pub use pytest::Pytest;
pub use runner::{
    Cache, Command, DRIVER_DIR, Nonce, OrderCapability, Runner, RunnerContext, UnknownRunner, named,
};
