//! Flags as workflow commands of GitHub Actions, which annotate the files of a change; then all of them in plain words
//! for the log, in a stretch where the runner obeys no command.

use std::fmt::Write as _;

use super::listing::{Listing, sentences};
use crate::{
    command::finding::Found,
    model::Verdict,
    ui::{escape, text},
};

/// Annotations of one kind that GitHub shows of a step.
const SHOWN: usize = 10;
/// Longest name of a test in a title, in columns.
const TITLE: usize = 160;

/// The kinds of annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Error,
    Warning,
    Notice,
}

impl Kind {
    /// Returns how loud a flag is; `None` for what needs no action.
    fn of(found: &Found) -> Option<Self> {
        match (found.no_action, found.flag.certified, found.flag.verdict) {
            (Some(_), ..) => None,
            (None, true, Verdict::Broken) => Some(Self::Error),
            (None, true, _) => Some(Self::Warning),
            (None, false, _) => Some(Self::Notice),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// Returns the commands and the log; nothing without flags.
pub(super) fn render(listing: &Listing) -> String {
    if listing.found.is_empty() {
        return String::new();
    }
    let of = |kind: Kind| -> Vec<&Found> {
        let all = listing.found.iter();
        all.filter(|found| Kind::of(found) == Some(kind)).collect()
    };
    let (errors, warnings, notices) = (of(Kind::Error), of(Kind::Warning), of(Kind::Notice));
    // The line that says how many more there are is a notice too.
    let fits = errors.len() <= SHOWN && warnings.len() <= SHOWN && notices.len() <= SHOWN;
    let room = if fits { SHOWN } else { SHOWN - 1 };
    let mut out = String::new();
    let mut more = 0;
    for (kind, some, room) in [
        (Kind::Error, errors, SHOWN),
        (Kind::Warning, warnings, SHOWN),
        (Kind::Notice, notices, room),
    ] {
        more += some.len().saturating_sub(room);
        for found in some.into_iter().take(room) {
            out += &annotation(listing, kind, found);
        }
    }
    if more > 0 {
        writeln!(
            out,
            "::notice title=Soakhound::{} more: soakhound flags --all",
            text::count(more as u64)
        )
        .expect("a string takes all");
    }
    out + &quiet(&log(listing))
}

fn annotation(listing: &Listing, kind: Kind, found: &Found) -> String {
    let mut properties = Vec::new();
    if let Some(file) = listing.file_of(found) {
        properties.push(format!("file={}", property(&file)));
    }
    let name = text::elide_middle(&found.name(), TITLE);
    let handle = found.handle.as_deref().unwrap_or_default();
    let title = format!("{} {handle} {name}", found.flag.verdict);
    properties.push(format!("title={}", property(&title)));
    format!(
        "::{} {}::{}\n",
        kind.word(),
        properties.join(","),
        message(&sentences(found, found.flag.soak).join("\n"))
    )
}

/// Encodes what ends a message.
fn message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Encodes what ends a property too.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// All flags in words, a few lines each.
fn log(listing: &Listing) -> String {
    let mut log = String::new();
    for found in &listing.found {
        let handle = found.handle.as_deref().unwrap_or("-");
        writeln!(log, "{handle}  {}", found.name()).expect("a string takes all");
        let signature = found.signature.iter().map(|line| {
            let line = escape::terminal(line.as_bytes());
            format!("last failure: {line}")
        });
        for line in sentences(found, found.flag.soak)
            .into_iter()
            .chain(signature)
        {
            writeln!(log, "        {line}").expect("a string takes all");
        }
    }
    log
}

/// Wraps text so that the runner takes no line of it for a command. The word that ends this comes from the text itself,
/// which cannot hold its own digest.
fn quiet(text: &str) -> String {
    let digest = blake3::hash(text.as_bytes()).to_hex();
    let word = format!("soakhound-{}", &digest[..32]);
    format!("::stop-commands::{word}\n{text}::{word}::\n")
}
