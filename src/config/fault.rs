//! What can be wrong with a configuration, with its place in the file and the valid choices.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::units::{ByteSize, Period};

/// How much of a long line an error keeps on each side of the fault, in characters.
const CONTEXT: usize = 60;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No configuration file in the folder or above it.
    #[error("no `soakhound.toml` in `{}` or a folder above it", start.display())]
    Missing {
        /// Where the search began.
        start: PathBuf,
    },
    /// The file is there but cannot be read.
    #[error("cannot read `{}`", file.display())]
    Unreadable {
        /// The configuration file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than any configuration.
    #[error("`{}` is larger than {limit}", file.display())]
    TooLarge {
        /// The configuration file.
        file: PathBuf,
        /// The most that is read.
        limit: ByteSize,
    },
    /// Something in the file is wrong.
    #[error("cannot use `{}`, line {}, column {}", .0.file.display(), .0.excerpt.line, .0.excerpt.column)]
    Invalid(#[source] Box<Invalid>),
    /// There is no folder for the database.
    #[error("no place for the database: neither `XDG_STATE_HOME` nor `HOME` is an absolute path")]
    NoStateFolder,
}

/// One fault at one place of the file.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct Invalid {
    /// The configuration file.
    pub file: PathBuf,
    /// Where in it.
    pub excerpt: Excerpt,
    /// What is wrong there.
    pub problem: Problem,
}

/// The offending line, and where in it the fault is. Line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Line in the file.
    pub line: usize,
    /// Column of the fault's first character.
    pub column: usize,
    /// The line's characters before the fault, cut to a bounded length from the left.
    pub before: String,
    /// The offending characters of this line, cut to a bounded length; may be empty at the line's end.
    pub fault: String,
    /// The characters after them, cut likewise.
    pub after: String,
}

/// What is wrong with one section, key or value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is not TOML.
    #[error("{message}")]
    Syntax {
        /// The parser's own words.
        message: String,
    },
    /// The file is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A section or key that this version does not have.
    #[error("unknown {} `{found}`{}", kind(*section), inside(*section))]
    Unknown {
        /// The section it stands in; `None` at the top of the file.
        section: Option<&'static str>,
        /// The name as written.
        found: String,
        /// The names that may stand here.
        choices: &'static [&'static str],
    },
    /// A value that must be there.
    #[error("[{section}] needs a `{key}`")]
    Absent {
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A value of another type.
    #[error("`{key}` must be {expected}, found {found}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What it takes.
        expected: &'static str,
        /// The type that was found, as TOML calls it.
        found: &'static str,
    },
    /// A text or number that is no value of its key.
    #[error("`{key}` must be {expected}, found `{found}`")]
    BadValue {
        /// The key.
        key: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// A factor with a name or with levels that it cannot have.
    #[error("factor `{name}` must be {expected}")]
    BadFactor {
        /// Its name.
        name: String,
        /// What it, or one of its levels, can be.
        expected: &'static str,
    },
    /// A word that is none of a few.
    #[error("`{key}` cannot be `{found}`")]
    NotAChoice {
        /// The key.
        key: &'static str,
        /// What was found.
        found: String,
        /// The words it can be.
        choices: &'static [&'static str],
    },
    /// A test may run longer than the shard that holds it.
    #[error("a shard may run for {shard}, less than the {test} of one test")]
    ShardBelowTest {
        /// Limit for a shard.
        shard: Period,
        /// Limit for a test.
        test: Period,
    },
    /// The suite's root is not there.
    #[error("`root` is no folder: `{}`", .path.display())]
    RootIsNoFolder {
        /// Where it was looked for.
        path: PathBuf,
    },
}

fn kind(section: Option<&str>) -> &'static str {
    if section.is_some() { "key" } else { "section" }
}

fn inside(section: Option<&str>) -> String {
    section.map_or_else(String::new, |name| format!(" in [{name}]"))
}

impl ConfigError {
    /// Returns what the user can do about it, in whole sentences without full stop.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { .. } => {
                vec!["write one with `soakhound init`, or name it with `--config FILE`".to_owned()]
            }
            Self::NoStateFolder => {
                vec!["name a file with `--db FILE` or in `SOAKHOUND_DB`".to_owned()]
            }
            Self::Invalid(invalid) => invalid.problem.hints(),
            Self::Unreadable { .. } | Self::TooLarge { .. } => Vec::new(),
        }
    }

    /// Returns the offending place, where there is one.
    #[must_use]
    pub fn excerpt(&self) -> Option<&Excerpt> {
        match self {
            Self::Invalid(invalid) => Some(&invalid.excerpt),
            Self::Missing { .. }
            | Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::NoStateFolder => None,
        }
    }
}

impl Problem {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unknown { found, choices, .. } | Self::NotAChoice { found, choices, .. } => {
                let list = choices
                    .iter()
                    .map(|choice| format!("`{choice}`"))
                    .collect::<Vec<_>>()
                    .join(", ");
                let all = format!("valid here: {list}");
                match nearest(found, choices) {
                    Some(near) => vec![format!("did you mean `{near}`"), all],
                    None => vec![all],
                }
            }
            Self::ShardBelowTest { .. } => {
                vec!["raise `shard`, lower `test`, or leave `shard` out".to_owned()]
            }
            Self::RootIsNoFolder { .. } => {
                vec!["`root` counts from the folder of `soakhound.toml`".to_owned()]
            }
            Self::Syntax { .. }
            | Self::NotUtf8
            | Self::Absent { .. }
            | Self::WrongType { .. }
            | Self::BadValue { .. } => Vec::new(),
            Self::BadFactor { .. } => {
                vec!["such as `TZ = [\"UTC\", \"Pacific/Kiritimati\"]`".to_owned()]
            }
        }
    }
}

/// The text of a configuration file, which knows its places.
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) text: String,
}

impl Source {
    /// Builds the error for a fault at a byte range of the text.
    pub(super) fn fault(&self, span: Range<usize>, problem: Problem) -> ConfigError {
        invalid(&self.file, &self.text, span, problem)
    }
}

/// Builds the error for a fault at a byte range of `text`; a range outside it is moved to its end.
pub(super) fn invalid(
    file: &Path,
    text: &str,
    span: Range<usize>,
    problem: Problem,
) -> ConfigError {
    let start = text.floor_char_boundary(span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let end = text
        .ceil_char_boundary(span.end.max(start))
        .min(line_end)
        .max(start);
    let before = &text[line_start..start];
    let characters = before.chars().count();
    let kept = |text: &str| text.trim_end_matches('\r').chars().take(CONTEXT).collect();
    ConfigError::Invalid(Box::new(Invalid {
        file: file.to_owned(),
        excerpt: Excerpt {
            line: text[..line_start].matches('\n').count() + 1,
            column: characters + 1,
            before: before
                .chars()
                .skip(characters.saturating_sub(CONTEXT))
                .collect(),
            fault: kept(&text[start..end]),
            after: kept(&text[end..line_end]),
        },
        problem,
    }))
}

/// Returns the choice that `found` was probably meant to be: at most a third of its characters differ.
fn nearest(found: &str, choices: &[&'static str]) -> Option<&'static str> {
    /// No name of ours is as long; the distance costs the product of the lengths.
    const LONGEST: usize = 32;
    let length = found.chars().count();
    if length > LONGEST {
        return None;
    }
    choices
        .iter()
        .map(|choice| (distance(&found.to_lowercase(), choice), *choice))
        .min()
        .filter(|(distance, choice)| *distance <= choice.len().max(length).div_ceil(3))
        .map(|(_, choice)| choice)
}

/// Edit distance in insertions, deletions and replacements (Levenshtein 1966), by rows.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_offered_only_when_it_is_near() {
        const KEYS: &[&str] = &["workers", "ci_shards", "max_shard"];
        assert_eq!(nearest("wrokers", KEYS), Some("workers"));
        assert_eq!(nearest("Workers", KEYS), Some("workers"));
        assert_eq!(nearest("max-shard", KEYS), Some("max_shard"));
        assert_eq!(nearest("colour", KEYS), None);
        assert_eq!(nearest(&"w".repeat(5_000), KEYS), None);
    }

    #[test]
    fn place_counts_lines_and_characters_from_one() {
        let error = invalid(
            Path::new("f"),
            "a = 1\r\nü = \"x\"\r\nb",
            12..15,
            Problem::NotUtf8,
        );
        let excerpt = error.excerpt().unwrap();
        assert_eq!((excerpt.line, excerpt.column), (2, 5));
        assert_eq!(
            (&*excerpt.before, &*excerpt.fault, &*excerpt.after),
            ("ü = ", "\"x\"", "")
        );
    }

    #[test]
    fn place_of_a_fault_past_the_end_is_the_end() {
        let error = invalid(Path::new("f"), "a", 90..95, Problem::NotUtf8);
        let excerpt = error.excerpt().unwrap();
        assert_eq!((excerpt.line, excerpt.column), (1, 2));
    }

    #[test]
    fn excerpt_of_an_endless_line_is_bounded() {
        let text = "x".repeat(1_000_000);
        let error = invalid(Path::new("f"), &text, 500_000..900_000, Problem::NotUtf8);
        let excerpt = error.excerpt().unwrap();
        assert_eq!(excerpt.column, 500_001);
        assert_eq!(
            excerpt.before.len() + excerpt.fault.len() + excerpt.after.len(),
            3 * CONTEXT
        );
    }
}
