//! One segment with its trials: of a closed one from its rows, of an open one from its journal.

use std::time::Duration;

use rusqlite::{Row, named_params};

use super::Reader;
use crate::model::{
    Cause, Interruption, ListDigest, MonoMicros, Outcome, SegmentClose, SegmentEnd, SegmentOpen,
    TrialRecord, UnixMillis, Usage,
};
use crate::store::{
    StoreError,
    codec::{self, Packed},
    rows::{self, SegmentRow, word, word_or_null},
    segments, sql,
};

impl Reader {
    /// Returns one segment with its trials.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRow`] when there is none.
    pub fn segment(&self, segment: i64) -> Result<SegmentRow, StoreError> {
        let moment = self
            .connection
            .unchecked_transaction()
            .map_err(|e| StoreError::query("segment", e))?;
        let id = named_params! { ":segment_id": segment };
        let row = sql::SELECT_SEGMENT.first(&moment, id, segment_row)?;
        let mut row = row.ok_or(StoreError::NoSuchRow {
            kind: "segment",
            id: segment,
        })?;
        row.open.beside = sql::SELECT_BESIDE.all(&moment, id, |row| row.get("beside_id"))?;
        row.trials = if row.close.is_some() {
            self.closed_trials(segment)?
        } else {
            self.open_trials(segment, row.open.started)?
        };
        Ok(row)
    }

    fn closed_trials(&self, segment: i64) -> Result<Vec<TrialRecord>, StoreError> {
        let (_, times) = self.times(segment)?;
        let id = named_params! { ":segment_id": segment };
        let mut times = times.into_iter();
        let trial = |row: &Row| {
            let times = times.next();
            Ok(TrialRecord {
                position: row.get("position")?,
                test: rows::test_name(row, "name")?,
                rep: row.get("rep")?,
                outcome: word(row, "outcome", Outcome::from_code)?,
                started: times.and_then(codec::Times::started),
                duration: times.and_then(codec::Times::duration),
                detail: row.get("detail")?,
            })
        };
        sql::SELECT_TRIALS.all(&self.connection, id, trial)
    }

    fn open_trials(
        &self,
        segment: i64,
        started: MonoMicros,
    ) -> Result<Vec<TrialRecord>, StoreError> {
        let rows = segments::journal(&self.connection, segment, started)?;
        let trial = |(place, row): (usize, &Packed)| {
            let values = named_params! { ":test_id": row.test };
            Ok(TrialRecord {
                position: u32::try_from(place).map_err(|_| StoreError::Packed { segment })?,
                test: sql::SELECT_TEST_NAME
                    .only(&self.connection, values, |row| rows::test_name(row, "name"))?,
                rep: row.rep,
                outcome: row.outcome,
                started: row.times.started(),
                duration: row.times.duration(),
                detail: None,
            })
        };
        rows.iter().enumerate().map(trial).collect()
    }

    /// Returns when a closed segment began, and the times of its trials in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) fn times(
        &self,
        segment: i64,
    ) -> Result<(MonoMicros, Vec<codec::Times>), StoreError> {
        let read = |row: &Row| {
            Ok((
                MonoMicros(row.get("started_us")?),
                row.get::<_, Vec<u8>>("trials")?,
            ))
        };
        let values = named_params! { ":segment_id": segment };
        let packed = sql::SELECT_TIMING.first(&self.connection, values, read)?;
        let (started, bytes) = packed.ok_or(StoreError::Packed { segment })?;
        let times = codec::unpack_times(&bytes, started).ok_or(StoreError::Packed { segment })?;
        Ok((started, times))
    }
}

fn segment_row(row: &Row) -> rusqlite::Result<SegmentRow> {
    let cause = match row.get("parent_id")? {
        None => None,
        Some(parent) => Some(Cause {
            parent,
            cut: row.get("cut")?,
            end: word(row, "cause", SegmentEnd::from_code)?,
        }),
    };
    let open = SegmentOpen {
        shard: row.get("shard_id")?,
        attempt: row.get("attempt")?,
        cause,
        trials: row.get("trials")?,
        order: ListDigest::from_bytes(row.get("order_digest")?),
        worker: row.get("worker")?,
        started: MonoMicros(row.get("started_us")?),
        started_at: UnixMillis(row.get("started_ms")?),
        load_milli: row.get("load_milli")?,
        cpu_pressure_milli: row.get("cpu_pressure_milli")?,
        beside: Vec::new(),
    };
    let close = word_or_null(row, "end", SegmentEnd::from_code)?
        .map(|end| segment_close(row, end))
        .transpose()?;
    Ok(SegmentRow {
        id: row.get("id")?,
        boot_id: row.get("boot_id")?,
        open,
        close,
        trials: Vec::new(),
    })
}

fn segment_close(row: &Row, end: SegmentEnd) -> rusqlite::Result<SegmentClose> {
    Ok(SegmentClose {
        end,
        interruption: word_or_null(row, "interruption", Interruption::from_code)?,
        ended: MonoMicros(row.get("ended_us")?),
        ended_at: UnixMillis(row.get("ended_ms")?),
        running: rows::test_name_or_null(row, "running")?,
        exit: row.get("exit")?,
        usage: Usage {
            cpu: row
                .get::<_, Option<u64>>("cpu_us")?
                .map(Duration::from_micros),
            peak_memory: row.get("peak_memory")?,
            oom_kills: row.get("oom_kills")?,
            stragglers: row.get("stragglers")?,
        },
        order_differs: row.get("order_differs")?,
        reason: row.get("reason")?,
        log: row.get("log")?,
    })
}
