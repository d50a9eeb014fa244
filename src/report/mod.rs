//! The weekly fragility report, all pure: one pass over the record makes a [`Ledger`], that and the flags make a
//! [`Digest`], and every format is a rendering of the digest. No clock, no file, no database: the same digest gives
//! the same bytes.
//!
//! - [`window`]: the week, or another span, with the weeks and nights before it
//! - [`exposure`]: under which orders a flagged test fails
//! - [`ledger`]: the pass
//! - [`digest`]: what the report says, as data; [`assemble`](Digest::of) makes it
//! - [`cause`]: one row per cause
//! - [`html`], [`markdown`], [`json`]: the formats
//! - [`sentence`]: the sentences that all formats share
//! - [`words`]: verdicts, causes and evidence in words and numbers

mod assemble;
pub mod cause;
pub mod digest;
mod excerpt;
pub mod exposure;
pub mod html;
pub mod json;
pub mod ledger;
pub mod markdown;
pub mod sentence;
#[cfg(test)]
mod tests;
mod trust;
pub mod window;
pub mod words;

pub use assemble::Fragility;
pub use digest::{Digest, Material};
pub use excerpt::excerpt;
pub use exposure::Exposure;
pub use ledger::{Ledger, Piece, Run};
pub use window::{InvalidWeek, Week, Window};
