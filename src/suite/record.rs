//! The shape of one line of the results, before anything in it is believed.

use std::borrow::Cow;

use base64::Engine as _;
use serde::Deserialize;

use super::event::{JournalEvent, Untrusted};
use crate::model::{MonoMicros, Outcome};

/// Text, or bytes that are not UTF-8.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Text<'a> {
    Plain(#[serde(borrow)] Cow<'a, str>),
    Bytes { b64: Cow<'a, str> },
}

impl Text<'_> {
    /// Returns the bytes; `None` when the base64 is broken.
    pub(super) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Plain(text) => Some(text.into_owned().into_bytes()),
            Self::Bytes { b64 } => base64::engine::general_purpose::STANDARD
                .decode(b64.as_bytes())
                .ok(),
        }
    }
}

/// One line, every kind in one: the fields that a kind needs are checked where it is read.
#[derive(Deserialize)]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    pub(super) n: Cow<'a, str>,
    pub(super) s: u64,
    #[serde(borrow)]
    pub(super) k: Cow<'a, str>,
    pub(super) i: Option<u32>,
    pub(super) t: Option<i64>,
    pub(super) o: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) d: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    pub(super) missing: Option<Vec<u32>>,
    pub(super) exit: Option<i32>,
    pub(super) runner: Option<String>,
    pub(super) language: Option<String>,
}

impl Record<'_> {
    /// Returns the test and the time of a record that has both.
    pub(super) fn moment(&self) -> Result<(u32, MonoMicros), Untrusted> {
        match (self.i, self.t) {
            (Some(index), Some(at)) if at >= 0 => Ok((index, MonoMicros(at))),
            _ => Err(Untrusted::Senseless { record: self.s }),
        }
    }

    /// Returns the outcome, if a runner can know it: the others are for the host to say.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self.o.as_deref()?.parse().ok()? {
            outcome @ (Outcome::Passed
            | Outcome::Failed
            | Outcome::Error
            | Outcome::Skipped
            | Outcome::Lost) => Some(outcome),
            Outcome::Timeout
            | Outcome::Crashed
            | Outcome::Oom
            | Outcome::Aborted
            | Outcome::Infra
            | Outcome::Untrusted => None,
        }
    }

    /// Returns the event of a complete record of this kind, and so below.
    pub(super) fn versions(self) -> Option<JournalEvent> {
        Some(JournalEvent::Versions {
            runner: self.runner?,
            language: self.language?,
        })
    }

    pub(super) fn note(self) -> Option<JournalEvent> {
        let text = self.d?.bytes()?;
        Some(JournalEvent::Note(
            String::from_utf8_lossy(&text).into_owned(),
        ))
    }

    pub(super) fn uncollected(self) -> Option<JournalEvent> {
        Some(JournalEvent::CollectError {
            module: self.name?.bytes()?,
            text: self.d?.bytes()?,
        })
    }
}
