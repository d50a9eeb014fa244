//! What the progress display and the commands may know of a hunt while it runs.

use std::time::Duration;

use crate::{
    container::Left,
    model::{Outcome, SegmentEnd, TestId},
};

/// One thing that happened. Sent after the fact was recorded.
#[derive(Clone, Debug)]
pub enum Event {
    /// A container is about to run these trials.
    SegmentStarted {
        /// Worker, from 0.
        worker: u32,
        /// Row id of the shard.
        shard: i64,
        /// Number of trials asked for.
        trials: usize,
    },
    /// A trial ended and was handed to the recorder.
    TrialEnded {
        /// Row id of the shard.
        shard: i64,
        /// The test.
        test: TestId,
        /// What it showed.
        outcome: Outcome,
        /// How long it ran, where known.
        duration: Option<Duration>,
        /// Failure text or skip reason: untrusted bytes.
        detail: Option<Vec<u8>>,
    },
    /// A segment was closed in the record.
    SegmentEnded {
        /// Worker, from 0.
        worker: u32,
        /// Row id of the shard.
        shard: i64,
        /// Why it stopped.
        end: SegmentEnd,
        /// The test that was running, if it did not complete.
        running: Option<TestId>,
        /// Why it is not trusted, or what the host said.
        reason: Option<String>,
    },
    /// What the container of a probe left behind, where that was asked for. Comes before the end of its segment.
    Left {
        /// Row id of the shard.
        shard: i64,
        /// The paths: untrusted text.
        left: Vec<Left>,
    },
    /// The runner said something worth a line, once per kind.
    Note(String),
}

impl Event {
    /// Returns the row of the shard that it is about.
    #[must_use]
    pub fn shard(&self) -> Option<i64> {
        match self {
            Self::SegmentStarted { shard, .. }
            | Self::TrialEnded { shard, .. }
            | Self::SegmentEnded { shard, .. }
            | Self::Left { shard, .. } => Some(*shard),
            Self::Note(_) => None,
        }
    }
}
