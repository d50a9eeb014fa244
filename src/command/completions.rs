//! `completions`: prints the script that completes our command line in a shell.

use crate::cli::{self, CompletionsArgs};
use crate::error::{ExitCode, Failure};
use crate::ui::Console;

/// Writes the script to stdout.
///
/// # Errors
/// [`Failure`] when stdout cannot be written.
pub(super) fn run(console: &Console, arguments: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let script = cli::completions(arguments.shell);
    console.line(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::Fine)
}
