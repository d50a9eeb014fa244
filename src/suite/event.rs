//! What a journal says: one event per record, or why the records cannot be believed.

use crate::model::{InvalidName, MonoMicros, Outcome, TestId};

/// Most tests that a suite may list. Ten times more than the largest suites known.
pub(super) const MOST_TESTS: usize = 1_000_000;

/// One fact from the runner's process. Indexes count from 0 in the order that it was asked to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalEvent {
    /// What runs the suite.
    Versions {
        /// Such as `pytest 8.4.2`.
        runner: String,
        /// Such as `Python 3.11.2`.
        language: String,
    },
    /// A test of the suite, in the suite's own order.
    Item(TestId),
    /// Part of the suite could not be collected. Fatal exactly if [`JournalEvent::Finished`] has exit code 2.
    CollectError {
        /// Name of the part, usually a file.
        module: Vec<u8>,
        /// What the runner says of it.
        text: Vec<u8>,
    },
    /// These planned tests do not exist in the suite, so they will not start.
    Missing(Vec<u32>),
    /// Something the user should know about this suite, such as a plugin that was switched off.
    Note(String),
    /// A test is about to run.
    Started {
        /// Which.
        index: u32,
        /// When, on the kernel's monotonic clock.
        at: MonoMicros,
    },
    /// The running test ended.
    Ended {
        /// Which.
        index: u32,
        /// How: `passed`, `failed`, `error`, `skipped`, or `lost` where the runner said nothing.
        outcome: Outcome,
        /// When, on the kernel's monotonic clock.
        at: MonoMicros,
        /// Failure text or skip reason.
        detail: Option<Vec<u8>>,
    },
    /// The runner's last record. A test that still runs is what broke it off.
    Finished {
        /// Exit code of the runner.
        exit: i32,
    },
    /// The stream cannot be believed; nothing follows.
    Untrusted(Untrusted),
}

/// Why a stream of records cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// A line is no record of ours.
    #[error("line {line} of the results is no record")]
    NotARecord {
        /// Number of the line, from 1.
        line: u64,
    },
    /// A record does not carry the nonce.
    #[error("a record was forged: line {line} has another nonce")]
    WrongNonce {
        /// Number of the line, from 1.
        line: u64,
    },
    /// A record was lost, repeated or inserted.
    #[error("record {found} came in place of record {expected}")]
    Sequence {
        /// Number that was due.
        expected: u64,
        /// Number that came.
        found: u64,
    },
    /// A record of this kind lacks a field, or has no place in this kind of process.
    #[error("record {record} makes no sense here")]
    Senseless {
        /// Its number.
        record: u64,
    },
    /// A record is about a test that was not asked for.
    #[error("test {index} of {tests} was never asked for")]
    OutOfRange {
        /// Index in the record.
        index: u32,
        /// Number of tests asked for.
        tests: usize,
    },
    /// A test started twice, or after it was said to be missing.
    #[error("test {index} cannot start again")]
    StartedTwice {
        /// Its index.
        index: u32,
    },
    /// A test started while another ran.
    #[error("test {index} started while test {running} ran")]
    Overlap {
        /// The one that ran.
        running: u32,
        /// The one that started.
        index: u32,
    },
    /// A test ended that was not running.
    #[error("test {index} ended without running")]
    EndWithoutStart {
        /// Its index.
        index: u32,
    },
    /// The clock of the records ran backwards.
    #[error("time ran backwards in record {record}")]
    Backwards {
        /// Its number.
        record: u64,
    },
    /// A record came after the last one.
    #[error("records came after the last one")]
    AfterFinish,
    /// A listed name cannot be taken.
    #[error("a listed test has no valid name")]
    Name(#[from] InvalidName),
    /// The same name was listed twice.
    #[error("a test was listed twice: `{}`", String::from_utf8_lossy(.name.as_bytes()))]
    ListedTwice {
        /// The name.
        name: TestId,
    },
    /// More was listed than any suite has.
    #[error("more than {MOST_TESTS} tests were listed")]
    TooManyTests,
    /// One line is longer than any record.
    #[error("a line of the results is longer than {limit} bytes")]
    LineTooLong {
        /// Longest allowed line.
        limit: usize,
    },
    /// All together is more than the records of this job can be.
    #[error("the results are longer than {limit} bytes")]
    TooLong {
        /// Most bytes allowed.
        limit: u64,
    },
}
