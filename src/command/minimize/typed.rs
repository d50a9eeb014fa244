//! What a minimisation begins with: a token, a file of names, or a test on record.

use std::{ffi::OsString, os::unix::ffi::OsStrExt, path::Path};

use crate::{
    cli::MinimizeArgs,
    command::replay,
    error::{ExitCode, Failure},
    model::TestId,
    plan::Token,
    ui::escape,
};

/// Longest file of names that is read.
const MOST_BYTES: u64 = 128 << 20;

/// What to begin with.
pub(super) enum Subject {
    Token(Token),
    /// Names in their order.
    Order(Vec<TestId>),
    Test(OsString),
}

impl Subject {
    /// Reads what was typed, and the file if it is one.
    ///
    /// # Errors
    /// [`Failure`] with 150 for what is no token, or a file without names.
    pub(super) fn of(arguments: &MinimizeArgs, folder: &Path) -> Result<Self, Failure> {
        if let Some(file) = &arguments.order {
            return Ok(Self::Order(names_in(&folder.join(file))?));
        }
        let typed = arguments
            .subject
            .as_ref()
            .expect("the command line has one of the two");
        let looks_like_token = typed.to_str().filter(|text| {
            let text = text.trim_start().to_ascii_lowercase();
            text.starts_with("sk") && text.contains('_') && !text.contains("::")
        });
        match looks_like_token {
            Some(text) => Ok(Self::Token(replay::parsed(text)?)),
            None => Ok(Self::Test(typed.clone())),
        }
    }
}

/// Reads a file with a name a line.
fn names_in(path: &Path) -> Result<Vec<TestId>, Failure> {
    use std::io::Read;
    let shown = escape::terminal(path.as_os_str().as_bytes());
    let unreadable = |error: std::io::Error| {
        Failure::new(ExitCode::Usage, format!("cannot read `{shown}`: {error}"))
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .map_err(unreadable)?
        .take(MOST_BYTES)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let lines = bytes.split(|byte| *byte == b'\n');
    let names: Vec<TestId> = lines
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .map(TestId::new)
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::new(ExitCode::Usage, format!("in `{shown}`: {error}")))?;
    if names.is_empty() {
        return Err(
            Failure::new(ExitCode::Usage, format!("`{shown}` names no test"))
                .hint("write a test's name a line, the failing test last"),
        );
    }
    Ok(names)
}
