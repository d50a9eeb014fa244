//! One file per subcommand; the only layer that sees all others.

pub mod completions;
pub mod init;
