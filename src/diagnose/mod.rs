//! From outcomes to verdicts: keeps the evidence of every flaky test, ranks explanations, chooses probes,
//! certifies causes. Pure: no clock, no process, no I/O. What is observed goes in, in the order of the plan;
//! probes and flags come out.
//!
//! - [`observation`]: what goes in: tests and closed segments
//! - [`ledger`]: the passive evidence: counters of every suspect, bursts, ranking
//! - [`analyst`]: the whole: the only type that the rest of the program drives

pub mod analyst;
#[allow(
    dead_code,
    unused_imports,
    reason = "the analyst takes it up part by part"
)]
pub(crate) mod ledger;
pub mod observation;

pub use analyst::{Analyst, Batch, Policy, Standing};
pub use observation::{FactorDomain, Levels, Observation, Showed, Shown, Universe};
