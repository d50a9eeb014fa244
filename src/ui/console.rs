//! Where lines go: results to stdout, messages to stderr around the live progress.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};

use super::escape;

/// Columns assumed where output is no terminal: tables in logs and mails should fit too.
const PLAIN_WIDTH: usize = 80;

/// When colour is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourChoice {
    /// On a terminal that wants it.
    #[default]
    Auto,
    /// Whatever the output is.
    Always,
    /// Not at all.
    Never,
}

impl ColourChoice {
    /// Decides for one stream. `NO_COLOR` (not empty) and `TERM=dumb` switch it off, `CLICOLOR_FORCE`
    /// (neither empty nor `0`) on; a choice on the command line beats them all.
    #[must_use]
    pub fn decide(self, is_terminal: bool, environment: &BTreeMap<OsString, OsString>) -> bool {
        let value = |name: &str| {
            environment
                .get(OsStr::new(name))
                .filter(|value| !value.is_empty())
        };
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if value("NO_COLOR").is_some() => false,
            Self::Auto if value("CLICOLOR_FORCE").is_some_and(|force| force != "0") => true,
            Self::Auto => is_terminal && value("TERM").is_none_or(|term| term != "dumb"),
        }
    }
}

/// How much is said on stderr; results on stdout are always given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Warnings and errors.
    Quiet,
    /// Notes and progress too.
    #[default]
    Normal,
    /// Details too.
    Verbose,
}

/// The terminal, or what stands for it. Clones write to the same place.
#[derive(Clone, Debug)]
pub struct Console {
    verbosity: Verbosity,
    colour: bool,
    live: bool,
    width: usize,
    bars: MultiProgress,
}

impl Console {
    /// Builds a console for streams that `main` has looked at.
    ///
    /// `colour` is for stderr; `live` says that stderr is a terminal whose cursor may move; `width` is the
    /// terminal's number of columns, `None` where stdout is none.
    #[must_use]
    pub fn new(verbosity: Verbosity, colour: bool, live: bool, width: Option<usize>) -> Self {
        let live = live && verbosity > Verbosity::Quiet;
        let target = if live {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            verbosity,
            colour,
            live,
            width: width.unwrap_or(PLAIN_WIDTH).max(PLAIN_WIDTH / 2),
            bars: MultiProgress::with_draw_target(target),
        }
    }

    /// Returns the number of columns that tables may take.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Are messages coloured?
    #[must_use]
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Returns how much is said.
    #[must_use]
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// May the cursor move on stderr?
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live
    }

    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Writes one line (or several) of the result to stdout.
    ///
    /// # Errors
    /// What the stream says; a closed pipe becomes a quiet end when it is turned into a `Failure`.
    pub fn line(&self, text: &str) -> io::Result<()> {
        self.bars.suspend(|| write_line(io::stdout().lock(), text))
    }

    /// Writes one JSON value with a line end to stdout.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub fn json(&self, value: &serde_json::Value) -> io::Result<()> {
        self.line(&escape::json_text(value))
    }

    /// Writes a message for people to stderr, unless quiet.
    pub fn note(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.message(text);
        }
    }

    /// Writes a detail to stderr, when verbose.
    pub fn detail(&self, text: &str) {
        if self.verbosity > Verbosity::Normal {
            self.message(text);
        }
    }

    /// Writes a warning to stderr, even when quiet.
    pub fn warn(&self, text: &str) {
        let label = if self.colour {
            "\x1b[1;33mwarning:\x1b[0m"
        } else {
            "warning:"
        };
        self.message(&format!("{label} {text}"));
    }

    /// Writes finished text to stderr as it is: rendered failures and help.
    pub fn message(&self, text: &str) {
        // There is nowhere left to tell that stderr is gone, and a night's hunt must not end over it.
        let _gone = self.bars.suspend(|| write_line(io::stderr().lock(), text));
    }
}

fn write_line(mut stream: impl Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stream.write_all(b"\n")?;
    }
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_follows_flag_then_variables_then_terminal() {
        let with = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect::<BTreeMap<OsString, OsString>>()
        };
        for (choice, terminal, variables, expected) in [
            (ColourChoice::Auto, true, &[][..], true),
            (ColourChoice::Auto, false, &[], false),
            (ColourChoice::Auto, true, &[("NO_COLOR", "1")], false),
            (ColourChoice::Auto, true, &[("NO_COLOR", "")], true),
            (ColourChoice::Auto, true, &[("TERM", "dumb")], false),
            (ColourChoice::Auto, false, &[("CLICOLOR_FORCE", "1")], true),
            (ColourChoice::Auto, false, &[("CLICOLOR_FORCE", "0")], false),
            (
                ColourChoice::Auto,
                true,
                &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
                false,
            ),
            (ColourChoice::Always, false, &[("NO_COLOR", "1")], true),
            (ColourChoice::Never, true, &[("CLICOLOR_FORCE", "1")], false),
        ] {
            assert_eq!(
                choice.decide(terminal, &with(variables)),
                expected,
                "{choice:?} {terminal} {variables:?}"
            );
        }
    }

    #[test]
    fn quiet_console_never_moves_a_cursor() {
        assert!(!Console::new(Verbosity::Quiet, false, true, None).is_live());
    }

    #[test]
    fn line_is_ended_once() {
        let mut written = Vec::new();
        write_line(&mut written, "a").unwrap();
        write_line(&mut written, "b\n").unwrap();
        assert_eq!(written, b"a\nb\n");
    }
}
