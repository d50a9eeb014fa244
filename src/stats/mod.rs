//! The statistics of flakiness, all pure: rates with their intervals, bets and blocks that stay valid while
//! someone watches, Bayes factors that rank explanations. Which test ran before which is not known here, and
//! nothing is decided: [`crate::diagnose`] does that. Everything that multiplies is kept as a natural logarithm.
//!
//! - [`rate`]: how often a test fails, with limits, and how many runs show it
//! - [`blocks`]: certification by randomised blocks of runs
//! - [`model_x`]: bets on the orders that we drew ourselves; e-BH
//! - [`ranks`]: bets on how many tests ran before, against certain ones of them
//! - [`tournament`]: Bayes factors of explanations, their priors
//! - [`pairs`]: which tests are needed, one alone or two together
//! - [`several`]: which tests are likely causes where any of several suffices
//! - [`share`]: a prior over polluters that victims share
//! - [`burst`], [`change`], [`mass`]: infrastructure nights, regressions, what was not seen yet
//! - [`fragility`], [`trend`]: shares of red runs, what passes after a fix are worth, whether a test became worse
//! - [`special`]: beta functions that are right at large shapes

#![expect(
    clippy::many_single_char_names,
    reason = "formulas keep the letters of their sources"
)]

pub mod blocks;
pub mod burst;
#[cfg(test)]
pub(crate) mod chance;
pub mod change;
pub mod fragility;
pub mod mass;
pub mod model_x;
pub mod pairs;
pub mod ranks;
pub mod rate;
pub mod several;
pub mod share;
pub mod special;
pub mod tournament;
pub mod trend;

pub use blocks::{ArmCounts, Blocks, BlocksOpening, BlocksVerdict, Direction, Kind};
pub use change::ln_e_change;
pub use fragility::{Mended, RedShare, mended};
pub use mass::{Unseen, unseen};
pub use model_x::{Bets, ProbabilityBefore, e_bh};
pub use rate::{
    Repeats, clopper_pearson, confidence_sequence, jeffreys, never_failed_bound, repeats,
    runs_to_see, wilson,
};
pub use share::Shared;
pub use special::{ln_mean, ln_sum, softmax};
pub use tournament::{Active, Cell, Curve, Tables, polluter_count};
pub use trend::{Worse, direction};
