//! Kinds of failure, hints and exit codes: the one place where errors become text and numbers.
//!
//! Layers return their own error types; a command wraps them into a [`Failure`] and [`Failure::render`]
//! shows it. Prints nothing itself and never ends the process.

use std::error::Error;
use std::fmt::Write as _;
use std::io;

use crate::config::{ConfigError, Excerpt};
use crate::ui::escape;

/// Declares the exit codes once: number, constant name for people, meaning.
macro_rules! exit_codes {
    ($($(#[$meta:meta])* $variant:ident = $code:literal $meaning:literal),+ $(,)?) => {
        /// How the process ends: one table for all commands, stable, shown in the README.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ExitCode { $(#[doc = $meaning] $variant),+ }

        impl ExitCode {
            /// Every code, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the number that the shell sees.
            #[must_use]
            pub fn code(self) -> u8 {
                match self { $(Self::$variant => $code),+ }
            }

            /// Returns what it means, as the README says it.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

exit_codes! {
    Fine = 0 "fine; a drained hunt too",
    Finding = 1 "a finding: `run` saw a failing test, `replay` or `minimize` reproduced, `--fail-on` matched a flag",
    NotRunning = 3 "`status`: no hunt is running",
    Stale = 4 "`status`: the hunt's heartbeat is stale",
    Inconclusive = 125 "inconclusive: `replay` or `minimize` cannot say (`git bisect run` skips it)",
    Interrupted = 130 "ended by SIGINT",
    Terminated = 143 "ended by SIGTERM",
    Usage = 150 "the command line is wrong",
    Config = 151 "the configuration is wrong, missing or in the way",
    Database = 152 "the database cannot be used",
    Containers = 153 "containers cannot be started here",
    Locked = 154 "another hunt holds the database",
    Disk = 155 "the disk is full, or nearly",
    Suite = 156 "the suite is empty or cannot be collected",
    Internal = 157 "a bug in Soakhound",
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(exit: ExitCode) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not do its work: exit code, chain of causes, what to do about it.
#[derive(Debug)]
pub struct Failure(Box<Facts>);

#[derive(Debug)]
struct Facts {
    exit: ExitCode,
    /// `None` for an end without a word: whoever read our output is gone.
    error: Option<Box<dyn Error + Send + Sync>>,
    excerpt: Option<Excerpt>,
    hints: Vec<String>,
}

impl Failure {
    /// Wraps an error, or a fragment of text, with the code that the process ends with.
    #[must_use]
    pub fn new(exit: ExitCode, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(exit, Some(error.into()))
    }

    fn of(exit: ExitCode, error: Option<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Box::new(Facts {
            exit,
            error,
            excerpt: None,
            hints: Vec::new(),
        }))
    }

    /// Adds something that the user can do, as a sentence without capital and full stop.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Returns the code that the process ends with.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        self.0.exit
    }

    /// Takes another code for the end of the process: the same fault means different things to different commands.
    #[must_use]
    pub fn with_exit(mut self, exit: ExitCode) -> Self {
        self.0.exit = exit;
        self
    }

    /// Returns what went wrong, without causes and hints; empty for an end without a word.
    #[must_use]
    pub fn message(&self) -> String {
        self.0
            .error
            .as_ref()
            .map_or_else(String::new, ToString::to_string)
    }

    /// Returns the lines for stderr, each ended; empty when there is nothing to say.
    ///
    /// Untrusted text in any part is escaped; `colour` sets the labels apart.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let Some(error) = &self.0.error else {
            return String::new();
        };
        let mut text = String::new();
        push(
            &mut text,
            &label("error", Paint::Red, colour),
            &error.to_string(),
        );
        let mut cause = error.source();
        for _ in 0..LONGEST_CHAIN {
            let Some(error) = cause else { break };
            push(
                &mut text,
                &label("  cause", Paint::Yellow, colour),
                &error.to_string(),
            );
            cause = error.source();
        }
        if let Some(excerpt) = &self.0.excerpt {
            text.push_str(&shown(excerpt));
        }
        for hint in &self.0.hints {
            push(&mut text, &label("  hint", Paint::Cyan, colour), hint);
        }
        text
    }
}

/// More causes than any error of ours has; an error that is its own source must not hang the printer.
const LONGEST_CHAIN: usize = 16;

#[derive(Clone, Copy)]
enum Paint {
    Red,
    Yellow,
    Cyan,
}

fn label(word: &str, paint: Paint, colour: bool) -> String {
    let code = match paint {
        Paint::Red => 31,
        Paint::Yellow => 33,
        Paint::Cyan => 36,
    };
    if colour {
        format!("\x1b[1;{code}m{word}:\x1b[0m")
    } else {
        format!("{word}:")
    }
}

/// Adds one labelled text; further lines of it stand below the first.
fn push(text: &mut String, label: &str, message: &str) {
    let message = escape::terminal_lines(message.trim_end().as_bytes());
    writeln!(text, "{label} {}", message.replace('\n', "\n    ")).expect("a string takes all");
}

/// Draws the offending line with carets below the fault.
fn shown(excerpt: &Excerpt) -> String {
    let safe = |part: &str| escape::terminal(part.replace('\t', " ").as_bytes());
    let (before, fault) = (safe(&excerpt.before), safe(&excerpt.fault));
    let number = excerpt.line.to_string();
    let margin = " ".repeat(number.len());
    let indent = " ".repeat(crate::ui::width(&before));
    let carets = "^".repeat(crate::ui::width(&fault).max(1));
    let after = safe(&excerpt.after);
    format!("  {margin} |\n  {number} | {before}{fault}{after}\n  {margin} | {indent}{carets}\n")
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hints = error.hints();
        let excerpt = error.excerpt().cloned();
        let mut failure = Self::new(ExitCode::Config, error);
        failure.0.hints = hints;
        failure.0.excerpt = excerpt;
        failure
    }
}

/// For output streams: a reader that went away is no failure; a full disk has its own code.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let kind = error.kind();
        if kind == io::ErrorKind::BrokenPipe {
            Self::of(ExitCode::Fine, None)
        } else if [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded].contains(&kind) {
            Self::new(ExitCode::Disk, error).hint("free some space; nothing recorded is lost")
        } else {
            Self::new(ExitCode::Internal, error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open database `hunt.db`")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("schema version 7 is newer than 5, the newest this build reads")]
    struct Inner;

    /// One test per code, so that a changed number names itself.
    macro_rules! codes {
        ($($test:ident: $variant:ident = $code:literal),+ $(,)?) => {
            $(#[test]
            fn $test() {
                let failure = Failure::new(ExitCode::$variant, "it happened");
                assert_eq!((failure.exit(), failure.exit().code()), (ExitCode::$variant, $code));
                assert!(!failure.exit().meaning().is_empty());
            })+

            #[test]
            fn every_exit_code_has_its_test() {
                assert_eq!(ExitCode::ALL, &[$(ExitCode::$variant),+]);
            }
        };
    }

    codes! {
        exit_code_of_a_good_end_is_0: Fine = 0,
        exit_code_of_a_finding_is_1: Finding = 1,
        exit_code_of_status_without_a_hunt_is_3: NotRunning = 3,
        exit_code_of_status_with_a_stale_hunt_is_4: Stale = 4,
        exit_code_of_an_inconclusive_replay_is_125: Inconclusive = 125,
        exit_code_after_sigint_is_130: Interrupted = 130,
        exit_code_after_sigterm_is_143: Terminated = 143,
        exit_code_of_a_usage_error_is_150: Usage = 150,
        exit_code_of_a_configuration_error_is_151: Config = 151,
        exit_code_of_a_database_error_is_152: Database = 152,
        exit_code_without_containers_is_153: Containers = 153,
        exit_code_beside_another_hunt_is_154: Locked = 154,
        exit_code_of_a_full_disk_is_155: Disk = 155,
        exit_code_of_an_empty_suite_is_156: Suite = 156,
        exit_code_of_a_bug_is_157: Internal = 157,
    }

    #[test]
    fn failure_shows_error_causes_and_hints() {
        let failure = Failure::new(ExitCode::Database, Outer(Inner))
            .hint("use the release that wrote it, or choose another file with `--db`");
        assert_eq!(
            failure.render(false),
            "error: cannot open database `hunt.db`\n  \
               cause: schema version 7 is newer than 5, the newest this build reads\n  \
               hint: use the release that wrote it, or choose another file with `--db`\n"
        );
    }

    #[test]
    fn failure_escapes_what_others_wrote() {
        let failure = Failure::new(ExitCode::Suite, "collection says \x1b[2J\nline two");
        assert_eq!(
            failure.render(false),
            "error: collection says \\u{1b}[2J\n    line two\n"
        );
    }

    #[test]
    fn failure_in_colour_differs_in_its_labels_alone() {
        let failure = Failure::new(ExitCode::Internal, "x");
        assert_eq!(failure.render(true), "\x1b[1;31merror:\x1b[0m x\n");
    }

    #[test]
    fn closed_output_ends_quietly_with_0() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(
            (failure.exit(), &*failure.render(false)),
            (ExitCode::Fine, "")
        );
    }

    #[test]
    fn full_disk_is_told_apart_from_a_bug() {
        let exit = |kind| Failure::from(io::Error::from(kind)).exit();
        assert_eq!(exit(io::ErrorKind::StorageFull), ExitCode::Disk);
        assert_eq!(exit(io::ErrorKind::PermissionDenied), ExitCode::Internal);
    }
}
