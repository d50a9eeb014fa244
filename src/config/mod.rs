//! File, flags and defaults become [`Settings`], once; nothing later reads the environment or a flag.
//!
//! `soakhound.toml` is found upwards from a folder, read with the place of every value, and checked
//! whole: an unknown key, a wrong type or an impossible value is a [`ConfigError`] that knows its line
//! and column. Does not print and does not choose exit codes; that is the error printer's.

mod factors;
mod fault;
mod file;
mod locate;
mod machine;
mod resolve;
mod section;
mod settings;
mod units;

pub use factors::HASH_SEED;
pub use fault::{ConfigError, Excerpt, Invalid, Problem};
pub use locate::{FILE_NAME, find};
pub use machine::Machine;
pub use settings::{
    Environment, Factor, HuntSettings, Limits, Overrides, ReportSettings, Runner, Settings,
    ShardLimit, StoreSettings, SuiteName, SuiteSettings,
};
pub use units::{ByteSize, Period, TimeOfDay, UnitError};
