//! From outcomes to verdicts: keeps the evidence of every flaky test, ranks explanations, chooses probes,
//! certifies causes. Pure: no clock, no process, no I/O. What is observed goes in, in the order of the plan;
//! probes and flags come out.
//!
//! - [`observation`]: what goes in: tests and closed segments
//! - [`analyst`]: the whole: the only type that the rest of the program drives
//! - [`ledger`]: the evidence of recorded runs
//! - [`case`]: what was asked about one test
//! - [`flow`]: which question comes next
//! - [`question`]: one question: what to run next, and what it came to
//! - [`setup`]: what is fixed when a question is opened, as it is recorded
//! - [`ranking`]: candidates of a search, decoys
//! - [`verdict`]: what is claimed
//! - [`systemic`]: flags about no test
//! - [`chance`]: decoys and coins
//! - [`docket`]: the budget

pub mod analyst;
mod case;
mod chance;
mod docket;
mod flow;
mod ledger;
pub mod observation;
mod question;
mod ranking;
mod setup;
mod strays;
mod systemic;
#[cfg(test)]
mod tests;
mod verdict;

pub use analyst::{Analyst, Batch, Policy, Standing};
pub use observation::{FactorDomain, Levels, Observation, Showed, Shown, Universe};
