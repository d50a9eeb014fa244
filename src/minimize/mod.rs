//! The search for the smallest order that still shows a failure, when one answer proves little: a pure stepper
//! that asks for runs and is told what they showed.
//!
//! - [`reduction`]: the stepper: finds a failing subset by rank, thins it out, proves that nothing can go
//! - [`answers`]: what repeated runs of one subset say together

mod answers;
mod reduction;
#[cfg(test)]
mod tests;

pub use reduction::{NextStep, Reduced, Reduction, Start};
