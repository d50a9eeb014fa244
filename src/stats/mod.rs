//! The statistics of flakiness, all pure: rates with their intervals, bets and blocks that stay valid while
//! someone watches, Bayes factors that rank explanations. Which test ran before which is not known here, and
//! nothing is decided: [`crate::diagnose`] does that.
