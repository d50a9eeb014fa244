//! The next command to type: started as this one was, for the same suite, database and interpreter.

use std::ffi::OsStr;

use crate::{cli::Cli, ui::escape};

/// Commands that take the interpreter of the suite.
const TAKE_PYTHON: [&str; 6] = ["doctor", "list", "run", "hunt", "replay", "minimize"];

/// The words of this command that the next one needs, too.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    program: String,
    global: Vec<String>,
    python: Option<String>,
}

impl Again {
    /// Keeps what names suite, database and interpreter.
    pub(super) fn of(cli: &Cli) -> Self {
        let program = std::env::args_os().next().unwrap_or_default();
        let flags = [
            ("-C", &cli.global.directory),
            ("--config", &cli.global.config),
            ("--db", &cli.global.db),
        ];
        let given = flags
            .into_iter()
            .filter_map(|(flag, value)| Some((flag, value.as_ref()?)));
        Self {
            program: named(&program),
            global: given
                .flat_map(|(flag, value)| [flag.to_owned(), quoted(value.as_os_str())])
                .collect(),
            python: cli
                .overrides()
                .python
                .map(|python| quoted(python.as_os_str())),
        }
    }

    /// Returns a command line for a shell. The words must need no quotes.
    pub(super) fn with(&self, words: &str) -> String {
        let mut line = vec![self.program.clone()];
        line.extend(self.global.iter().cloned());
        line.push(words.to_owned());
        let command = words.split(' ').next().unwrap_or_default();
        if let Some(python) = self
            .python
            .as_ref()
            .filter(|_| TAKE_PYTHON.contains(&command))
        {
            line.extend(["--python".to_owned(), python.clone()]);
        }
        line.join(" ")
    }
}

/// A program that was found through `PATH` keeps its bare name.
fn named(program: &OsStr) -> String {
    if program.as_encoded_bytes().contains(&b'/') {
        quoted(program)
    } else {
        "soakhound".to_owned()
    }
}

/// Quotes a word for a POSIX shell where it needs it.
fn quoted(word: &OsStr) -> String {
    let text = escape::terminal(word.as_encoded_bytes());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-+=:,@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_command_names_the_same_suite_again() {
        let line = [
            "soakhound",
            "-C",
            "my suite",
            "hunt",
            "--db",
            "x.db",
            "--python",
            "it's",
        ];
        let cli = crate::cli::parse(line.map(std::ffi::OsString::from)).unwrap();
        let again = Again {
            program: named(OsStr::new("soakhound")),
            ..Again::of(&cli)
        };
        assert_eq!(
            again.with("status"),
            "soakhound -C 'my suite' --db x.db status"
        );
        assert_eq!(
            again.with("replay sk1x_0"),
            "soakhound -C 'my suite' --db x.db replay sk1x_0 --python 'it'\\''s'"
        );
    }

    #[test]
    fn program_with_a_path_is_named_as_it_was_typed() {
        assert_eq!(
            named(OsStr::new("target/release/soakhound")),
            "target/release/soakhound"
        );
        assert_eq!(named(OsStr::new("soakhound")), "soakhound");
    }
}
