//! The one place that prints: results on stdout, progress and messages on stderr.
//!
//! Everything shown passes through one escaping function per context, because test names and output
//! are untrusted. Reads no clock and no environment, starts no thread, and decides no exit code.

mod console;
pub mod escape;
#[cfg(test)]
pub(crate) mod hostile;
mod progress;
mod table;
pub mod text;

pub use console::{ColourChoice, Console, Verbosity};
pub use progress::{HuntState, HuntView, Progress, line, screen};
pub use table::{Column, table};
pub use text::{count, duration, elide_middle, plural, rate, size, width};
