//! Where outcomes go: the database for hunts and runs, memory for a replay at a desk.

use std::{
    future::Future,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use crate::{
    model::{SegmentClose, SegmentOpen, ShardState, TrialRecord},
    store::{StoreError, Writer, write_log},
};

/// Takes the facts of segments in the order they happen. When a call returns an error the record is
/// broken and running on would be wasted.
pub trait Recorder: Clone + Send + Sync + 'static {
    /// Records that a segment is about to start; returns its id once that is durable.
    fn open_segment(
        &self,
        open: SegmentOpen,
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;
    /// Hands over trials of an open segment; they become durable within a second.
    fn record(
        &self,
        segment: i64,
        trials: Vec<TrialRecord>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Records the end of a segment with its last trials; returns once all of it is durable.
    fn close_segment(
        &self,
        segment: i64,
        close: SegmentClose,
        last: Vec<TrialRecord>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Records that a shard has run to its end; returns once that is durable.
    fn close_shard(&self, shard: i64) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Keeps the captured output of a segment; returns the name to store, or `None` where logs are not kept.
    fn keep_log(
        &self,
        segment: i64,
        output: Vec<u8>,
    ) -> impl Future<Output = Option<String>> + Send;
}

/// What a [`MemoryRecorder`] has seen.
#[derive(Clone, Debug, Default)]
pub struct RecordedShard {
    /// Segments in the order they were opened.
    pub segments: Vec<(SegmentOpen, Option<SegmentClose>)>,
    /// Trials with their segment's place in `segments`, in the order they ended.
    pub trials: Vec<(usize, TrialRecord)>,
    /// Captured output of each segment that had any.
    pub output: Vec<(usize, Vec<u8>)>,
}

/// Keeps everything in memory: for a replay, which is no evidence and leaves no trace.
#[derive(Clone, Debug, Default)]
pub struct MemoryRecorder(Arc<Mutex<RecordedShard>>);

impl MemoryRecorder {
    /// Returns what was recorded so far and starts afresh.
    ///
    /// # Panics
    /// When a thread panicked while recording.
    #[must_use]
    pub fn take(&self) -> RecordedShard {
        std::mem::take(
            &mut self
                .0
                .lock()
                .expect("no recorder panics while it holds the lock"),
        )
    }

    /// Returns what was recorded so far of one shard, by the row that its segments name.
    ///
    /// # Panics
    /// When a thread panicked while recording.
    #[must_use]
    pub fn of_shard(&self, shard: i64) -> RecordedShard {
        self.with(|seen| {
            let is_of = |place: &usize| seen.segments[*place].0.shard == shard;
            let places: Vec<usize> = (0..seen.segments.len()).filter(is_of).collect();
            let among = |place: usize| places.iter().position(|one| *one == place);
            RecordedShard {
                segments: places
                    .iter()
                    .map(|place| seen.segments[*place].clone())
                    .collect(),
                trials: seen
                    .trials
                    .iter()
                    .filter_map(|(place, trial)| Some((among(*place)?, trial.clone())))
                    .collect(),
                output: seen
                    .output
                    .iter()
                    .filter_map(|(place, bytes)| Some((among(*place)?, bytes.clone())))
                    .collect(),
            }
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut RecordedShard) -> T) -> T {
        change(
            &mut self
                .0
                .lock()
                .expect("no recorder panics while it holds the lock"),
        )
    }
}

fn place(segment: i64) -> usize {
    usize::try_from(segment).expect("ids of a memory recorder are indexes")
}

impl Recorder for MemoryRecorder {
    async fn open_segment(&self, open: SegmentOpen) -> Result<i64, StoreError> {
        Ok(self.with(|seen| {
            seen.segments.push((open, None));
            i64::try_from(seen.segments.len() - 1).expect("a shard has few segments")
        }))
    }

    async fn record(&self, segment: i64, trials: Vec<TrialRecord>) -> Result<(), StoreError> {
        self.with(|seen| {
            seen.trials
                .extend(trials.into_iter().map(|trial| (place(segment), trial)));
        });
        Ok(())
    }

    async fn close_segment(
        &self,
        segment: i64,
        close: SegmentClose,
        last: Vec<TrialRecord>,
    ) -> Result<(), StoreError> {
        self.record(segment, last).await?;
        self.with(|seen| seen.segments[place(segment)].1 = Some(close));
        Ok(())
    }

    async fn close_shard(&self, _shard: i64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn keep_log(&self, segment: i64, output: Vec<u8>) -> Option<String> {
        self.with(|seen| seen.output.push((place(segment), output)));
        None
    }
}

/// The database as a recorder: a writer, and where captured output is kept.
#[derive(Clone)]
pub struct StoreRecorder {
    /// The one writer.
    pub writer: Writer,
    /// Folder below which logs are kept.
    pub folder: PathBuf,
    /// The hunt whose logs these are.
    pub hunt: i64,
}

impl Recorder for StoreRecorder {
    async fn open_segment(&self, open: SegmentOpen) -> Result<i64, StoreError> {
        self.writer.open_segment(&open).await
    }

    async fn record(&self, segment: i64, trials: Vec<TrialRecord>) -> Result<(), StoreError> {
        // The receipt is not waited for: an error of these trials comes from every later call.
        self.writer.record(segment, trials).await.map(drop)
    }

    async fn close_segment(
        &self,
        segment: i64,
        close: SegmentClose,
        last: Vec<TrialRecord>,
    ) -> Result<(), StoreError> {
        self.writer.close_segment(segment, close, last).await
    }

    async fn close_shard(&self, shard: i64) -> Result<(), StoreError> {
        self.writer.close_shard(shard, ShardState::Finished).await
    }

    async fn keep_log(&self, segment: i64, output: Vec<u8>) -> Option<String> {
        let (folder, hunt) = (self.folder.clone(), self.hunt);
        let written =
            tokio::task::spawn_blocking(move || write_log(&folder, hunt, segment, &output)).await;
        match written.expect("writing a log does not panic") {
            Ok(name) => Some(name),
            // A log is a convenience; outcomes are what must not be lost.
            Err(error) => {
                tracing::warn!(segment, %error, "log not kept");
                None
            }
        }
    }
}
