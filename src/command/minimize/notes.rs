//! Where the outcomes of a minimisation go: probes into the database where there is one, all else into memory.

use crate::{
    execute::{MemoryRecorder, Recorder, StoreRecorder},
    model::{SegmentClose, SegmentOpen, TrialRecord},
    store::{SegmentRow, StoreError},
};

/// Records shards with a row of the database there, and those with a number below 0 in memory.
#[derive(Clone)]
pub(super) struct Notes {
    pub(super) memory: MemoryRecorder,
    pub(super) store: Option<StoreRecorder>,
}

/// Segments in memory have numbers below 0: -1 is the first.
fn outside(segment: i64) -> i64 {
    -1 - segment
}

impl Notes {
    fn is_ours(&self, id: i64) -> Option<&StoreRecorder> {
        self.store.as_ref().filter(|_| id >= 0)
    }

    /// Returns the segments of a shard in memory, in the order they ran.
    pub(super) fn segments(&self, shard: i64) -> Vec<SegmentRow> {
        let recorded = self.memory.of_shard(shard);
        let mut trials = recorded.trials;
        let rows = recorded.segments.into_iter().enumerate();
        rows.map(|(place, (open, close))| {
            let mut own: Vec<TrialRecord> = trials
                .extract_if(.., |(of, _)| *of == place)
                .map(|(_, trial)| trial)
                .collect();
            own.sort_by_key(|trial| trial.position);
            SegmentRow {
                id: i64::try_from(place).expect("a shard has few segments"),
                boot_id: String::new(),
                open,
                close,
                trials: own,
            }
        })
        .collect()
    }
}

impl Recorder for Notes {
    async fn open_segment(&self, open: SegmentOpen) -> Result<i64, StoreError> {
        match self.is_ours(open.shard) {
            Some(store) => store.open_segment(open).await,
            None => self.memory.open_segment(open).await.map(outside),
        }
    }

    async fn record(&self, segment: i64, trials: Vec<TrialRecord>) -> Result<(), StoreError> {
        match self.is_ours(segment) {
            Some(store) => store.record(segment, trials).await,
            None => self.memory.record(outside(segment), trials).await,
        }
    }

    async fn close_segment(
        &self,
        segment: i64,
        close: SegmentClose,
        last: Vec<TrialRecord>,
    ) -> Result<(), StoreError> {
        if let Some(store) = self.is_ours(segment) {
            return store.close_segment(segment, close, last).await;
        }
        let segment = outside(segment);
        self.memory.close_segment(segment, close, last).await
    }

    async fn close_shard(&self, shard: i64) -> Result<(), StoreError> {
        match self.is_ours(shard) {
            Some(store) => store.close_shard(shard).await,
            None => self.memory.close_shard(shard).await,
        }
    }

    async fn keep_log(&self, segment: i64, output: Vec<u8>) -> Option<String> {
        match self.is_ours(segment) {
            Some(store) => store.keep_log(segment, output).await,
            None => self.memory.keep_log(outside(segment), output).await,
        }
    }
}
