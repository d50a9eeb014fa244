//! The ledger: all passive evidence of a hunt, in counters that follow the observations.
//!
//! It proposes and never certifies: what it ranks first is asked of fresh containers. Nothing in it knows
//! of probes, but for [`Active`], which the caller keeps and hands in for the ranking.
//!
//! - [`keeper`]: [`Ledger`], the whole
//! - [`history`]: the closed segments, compact, from which any counter can be counted again
//! - [`evidence`]: what the history says about one test
//! - [`filter`]: failures that come in bursts are those of the infrastructure
//! - [`planned`]: which tests each iteration planned
//! - [`replays`]: what running the order of a burst again showed
//! - [`room`]: whose candidates are counted, where too many tests fail
//! - [`window`]: which tests ran elsewhere at the same time
//! - [`several`]: what speaks for each test as one of several
//! - [`bets`]: e-processes against "the order does not matter"
//! - [`coverage`]: which ordered pairs have run
//! - [`posterior`]: the tournament of explanations

mod bets;
mod coverage;
mod evidence;
mod filter;
mod history;
mod keeper;
mod planned;
mod posterior;
mod replays;
mod room;
mod several;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use evidence::Evidence;
pub(crate) use filter::Burst;
pub(crate) use keeper::Ledger;
pub(crate) use posterior::{Active, Family, Posterior};
