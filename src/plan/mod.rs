//! Seeds, orders, layouts, the stream of iterations and the tokens that replay them.
//!
//! Everything here is pure: no clock, no process, no I/O, no generator from a crate. The same
//! algorithm version, seed and test names give the same order for ever; `tests/golden/plan/` holds
//! the vectors that prove it. What ran and what it showed is not known here.
//!
//! - [`seed`]: master seed, hunt nonce, iteration seed
//! - [`list`]: a suite's tests in their default order, with their modules
//! - [`order`]: layout, seed and tests to the ordered shards of an iteration
//! - [`balance`]: shards of equal predicted length, and how long a layout's longest will take
//! - [`factor`]: levels of environment factors
//! - [`field`]: finite fields for the affine classes of the coverage cycle
//! - [`schedule`]: which layout each iteration has, and how far evidence may advance
//! - [`precedence`]: the probability that one test ran before another
//! - [`handles`]: short names for tests
//! - [`token`]: the text of a seed, as `replay` takes it

pub mod balance;
mod base32;
mod check;
pub mod factor;
pub mod field;
pub mod handles;
mod hash;
pub mod list;
pub mod order;
pub mod precedence;
pub mod schedule;
pub mod seed;
pub mod token;
mod typed;

pub use balance::{balanced, predicted_longest};
pub use handles::{Found, Handles};
pub use list::Tests;
pub use order::{LayoutError, Trial, assign, remainder, shard};
pub use precedence::{Candidate, Origin, Standing, precedence};
pub use schedule::{Campaign, Cycle, Planned, Watermark};
pub use seed::{ALGORITHM, HuntNonce, IterationSeed, MasterSeed};
pub use token::{
    DatabaseId, FactorSetting, Minimal, Random, Reference, Row, ShortDigest, Token, TokenError,
    replaying,
};
