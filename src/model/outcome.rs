//! What a trial showed, how a process ended, and why a segment stopped.

use std::fmt;

/// A word in the database or on the command line that this build does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} `{word}`")]
pub struct UnknownWord {
    /// What was looked for, such as "outcome".
    pub kind: &'static str,
    /// The text that was found.
    pub word: String,
}

/// Declares an enum whose variants have one word each, as text and as a small integer for the database.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $kind:literal { $($(#[$vmeta:meta])* $variant:ident = $code:literal $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every variant, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used everywhere: output, JSON, docs.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The integer that the database stores.
            #[must_use]
            pub fn code(self) -> i64 {
                match self { $(Self::$variant => $code),+ }
            }

            /// Reads the database's integer; `None` when this build does not know it.
            #[must_use]
            pub fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(self.word()) }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::UnknownWord;
            fn from_str(text: &str) -> Result<Self, $crate::model::UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err($crate::model::UnknownWord { kind: $kind, word: other.to_owned() }),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use words;

words! {
    /// What one trial showed about its test.
    Outcome, "outcome" {
        /// It ran and passed (an expected failure that failed counts as passed).
        Passed = 0 "passed",
        /// It ran and failed (a strict expected failure that passed counts as failed).
        Failed = 1 "failed",
        /// Its set-up or tear-down failed.
        Error = 2 "error",
        /// It ran longer than its limit and was killed for it.
        Timeout = 3 "timeout",
        /// The runner's process ended while it ran.
        Crashed = 4 "crashed",
        /// Our own memory limit killed the process while it ran.
        Oom = 5 "oom",
        /// It chose not to run: neither passing nor failing.
        Skipped = 6 "skipped",
        /// We interrupted it; says nothing.
        Aborted = 7 "aborted",
        /// Planned, but the runner never reported it; says nothing.
        Lost = 8 "lost",
        /// The container or the host failed; says nothing.
        Infra = 9 "infra",
        /// What came out of the container cannot be believed; says nothing.
        Untrusted = 10 "untrusted",
    }
}

impl Outcome {
    /// Is it one of `failed error timeout crashed oom`?
    #[must_use]
    pub fn is_failing(self) -> bool {
        match self {
            Self::Failed | Self::Error | Self::Timeout | Self::Crashed | Self::Oom => true,
            Self::Passed
            | Self::Skipped
            | Self::Aborted
            | Self::Lost
            | Self::Infra
            | Self::Untrusted => false,
        }
    }

    /// Is it ours (`aborted lost infra untrusted`), and so in no numerator and no denominator?
    #[must_use]
    pub fn is_void(self) -> bool {
        match self {
            Self::Aborted | Self::Lost | Self::Infra | Self::Untrusted => true,
            Self::Passed
            | Self::Failed
            | Self::Error
            | Self::Timeout
            | Self::Crashed
            | Self::Oom
            | Self::Skipped => false,
        }
    }
}

words! {
    /// Why a segment stopped.
    SegmentEnd, "segment end" {
        /// The runner went through its whole list.
        Completed = 0 "completed",
        /// A test, or the whole shard, ran over its limit and was killed.
        Timeout = 1 "timeout",
        /// The runner's process ended before its list did.
        Crashed = 2 "crashed",
        /// Our memory limit killed the runner.
        Oom = 3 "oom",
        /// We stopped it; see the interruption's reason.
        Interrupted = 4 "interrupted",
        /// The container or the host failed.
        Infra = 5 "infra",
        /// Its stream of records cannot be believed.
        Untrusted = 6 "untrusted",
        /// The suite could not be collected, so no test ran.
        Uncollected = 7 "uncollected",
    }
}

words! {
    /// Why we interrupted a segment. Every one of these is decided without looking at outcomes.
    Interruption, "interruption" {
        /// A person or a service manager asked the hunt to stop at once.
        Abort = 0 "abort",
        /// The time given to the hunt was up.
        Deadline = 1 "deadline",
        /// The hunt died (kill, power); found at the next start.
        HuntDied = 2 "hunt-died",
        /// Writing the record failed, so running on would have been wasted.
        Store = 3 "store",
        /// Waiting out a drain took longer than its grace.
        DrainGrace = 4 "drain-grace",
    }
}

/// How a process ended. A timeout is ours, a signal may not be: they are kept apart elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(u8),
    /// This signal killed it.
    Signal(u8),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_word_and_a_code_that_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.word().parse(), Ok(*outcome));
            assert_eq!(Outcome::from_code(outcome.code()), Some(*outcome));
        }
        assert!("fine".parse::<Outcome>().is_err());
        assert_eq!(Outcome::from_code(99), None);
    }

    #[test]
    fn no_outcome_is_both_failing_and_void() {
        assert!(
            Outcome::ALL
                .iter()
                .all(|o| !(o.is_failing() && o.is_void()))
        );
    }
}
