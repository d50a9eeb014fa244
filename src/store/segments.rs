//! Writes segments: open, the trials of each group commit, close.
//!
//! Trials of an open segment are kept in memory too ([`Running`]), at some fifty bytes each, so that a
//! repeated one can be compared and the closing write needs no reading.

use rusqlite::{Connection, named_params};

use super::book::Names;
use super::codec::{self, Digest, Packed, Times};
use super::signature::{SIGNATURE_ALGORITHM, signature};
use super::{StoreError, sql};
use crate::model::{
    Interruption, MonoMicros, SegmentClose, SegmentEnd, SegmentOpen, TrialRecord, UnixMillis, Usage,
};

/// Longest text kept per trial, as the schema says too.
const MAX_TEXT: usize = 16 << 10;

/// An open segment and what it has recorded so far.
pub(super) struct Running {
    id: i64,
    started: MonoMicros,
    rows: Vec<Packed>,
    /// Digest of each row's text.
    texts: Vec<Option<Digest>>,
    /// Texts of the rows that are not committed yet.
    fresh: Vec<(u32, Vec<u8>)>,
    committed: usize,
    closed: bool,
}

impl Running {
    /// Reads the start of an open segment, with what it had recorded before.
    pub(super) fn load(connection: &Connection, segment: i64) -> Result<Self, StoreError> {
        let id = named_params! { ":segment_id": segment };
        let started =
            sql::OPEN_SEGMENT.first(connection, id, |row| row.get("started_us").map(MonoMicros))?;
        let started = started.ok_or(StoreError::NotOpen { segment })?;
        let mut running = Self {
            id: segment,
            started,
            rows: Vec::new(),
            texts: Vec::new(),
            fresh: Vec::new(),
            committed: 0,
            closed: false,
        };
        running.rows = journal(connection, segment, started)?;
        running.committed = running.rows.len();
        let text = |row: &rusqlite::Row| row.get::<_, Option<Digest>>("text_digest");
        running.texts = running
            .rows
            .iter()
            .enumerate()
            .map(|(place, _)| {
                let values = named_params! { ":segment_id": segment, ":position": position(place) };
                Ok(sql::SELECT_DETAIL_DIGEST
                    .first(connection, values, text)?
                    .flatten())
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(running)
    }

    /// Takes the next trials; nothing is written yet. A trial that came before must be the same again.
    pub(super) fn push(
        &mut self,
        connection: &Connection,
        names: &mut Names,
        trials: &[TrialRecord],
    ) -> Result<(), StoreError> {
        for trial in trials {
            if !(1..=16).contains(&trial.rep) {
                return Err(StoreError::Repetition {
                    segment: self.id,
                    position: trial.position,
                    rep: trial.rep,
                });
            }
            let row = Packed {
                test: names.find(connection, &trial.test)?,
                rep: trial.rep,
                outcome: trial.outcome,
                times: Times::new(trial.started, trial.duration),
            };
            let text = trial.detail.as_deref();
            let text = text.map(|text| &text[..text.len().min(MAX_TEXT)]);
            let digest = text.map(codec::text_digest);
            let place = trial.position as usize;
            if let Some(before) = self.rows.get(place) {
                if (*before, self.texts[place]) != (row, digest) {
                    return Err(StoreError::Conflict {
                        segment: self.id,
                        position: trial.position,
                    });
                }
                continue;
            }
            if place != self.rows.len() {
                let expected = position(self.rows.len());
                return Err(StoreError::Gap {
                    segment: self.id,
                    expected,
                    found: trial.position,
                });
            }
            self.rows.push(row);
            self.texts.push(digest);
            self.fresh
                .extend(text.map(|text| (trial.position, text.to_vec())));
        }
        Ok(())
    }

    /// Number of trials so far.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Has its end been written? It counts once that is committed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Number of trials that no commit has taken yet.
    pub(super) fn uncommitted(&self) -> usize {
        self.rows.len() - self.committed
    }

    /// Writes what is not committed yet, as a batch of the journal.
    pub(super) fn write_batch(&self, connection: &Connection) -> Result<(), StoreError> {
        if self.uncommitted() == 0 {
            return Ok(());
        }
        self.write_texts(connection)?;
        let (before, fresh) = self.rows.split_at(self.committed);
        let batch = codec::pack_batch(fresh, codec::end_of(before, self.started));
        let values = named_params! { ":segment_id": self.id, ":first": position(self.committed), ":batch": batch };
        sql::INSERT_JOURNAL.run(connection, values).map(drop)
    }

    /// Remembers that everything so far is committed.
    pub(super) fn mark_committed(&mut self) {
        self.committed = self.rows.len();
        self.fresh = Vec::new();
    }

    /// Writes all trials and the close columns.
    pub(super) fn close(
        &mut self,
        connection: &Connection,
        names: &mut Names,
        close: &SegmentClose,
    ) -> Result<(), StoreError> {
        self.write_texts(connection)?;
        let columns = [":segment_id", ":position", ":test_id", ":result"];
        let rows = (0..).zip(&self.rows);
        let rows = rows.map(|(place, row)| [self.id, place, row.test, row.result().into()]);
        sql::INSERT_TRIAL.run_each(connection, columns, rows)?;
        let times = codec::pack_times(&self.rows, self.started);
        sql::INSERT_TIMING.run(
            connection,
            named_params! { ":segment_id": self.id, ":trials": times },
        )?;
        sql::DELETE_JOURNAL.run(connection, named_params! { ":segment_id": self.id })?;
        self.write_close(connection, names, close, &times)?;
        self.closed = true;
        Ok(())
    }

    fn write_close(
        &self,
        connection: &Connection,
        names: &mut Names,
        close: &SegmentClose,
        times: &[u8],
    ) -> Result<(), StoreError> {
        let rows = self.rows.iter().zip(&self.texts);
        let digest = codec::digest(
            rows.map(|(r, text)| (r.test, r.rep, r.outcome.code(), *text)),
            times,
        );
        let running = close
            .running
            .as_ref()
            .map(|test| names.find(connection, test))
            .transpose()?;
        let executed = self
            .rows
            .iter()
            .filter(|row| row.times.started().is_some())
            .count();
        let values = named_params! {
            ":segment_id": self.id,
            ":recorded": position(self.rows.len()),
            ":executed": position(executed),
            ":digest": digest,
            ":end": close.end.code(),
            ":interruption": close.interruption.map(Interruption::code),
            ":ended_us": close.ended.0,
            ":ended_ms": close.ended_at.0,
            ":running_id": running,
            ":exit": close.exit,
            ":cpu_us": close.usage.cpu.map(|d| clamped(d.as_micros())),
            ":peak_memory": close.usage.peak_memory.map(clamped),
            ":oom_kills": close.usage.oom_kills,
            ":stragglers": close.usage.stragglers,
            ":order_differs": close.order_differs,
            ":reason": close.reason,
            ":log": close.log,
        };
        match sql::CLOSE_SEGMENT.run(connection, values)? {
            1 => Ok(()),
            _ => Err(StoreError::NotOpen { segment: self.id }),
        }
    }

    /// Writes the texts that came since the last commit.
    fn write_texts(&self, connection: &Connection) -> Result<(), StoreError> {
        for (position, body) in &self.fresh {
            let digest = codec::text_digest(body);
            sql::INSERT_TEXT.run(
                connection,
                named_params! { ":digest": digest, ":body": body },
            )?;
            let outcome = self.rows[*position as usize].outcome;
            let line = outcome.is_failing().then(|| signature(body));
            if let Some(line) = &line {
                let values = named_params! { ":algorithm": SIGNATURE_ALGORITHM, ":line": line };
                sql::INSERT_SIGNATURE.run(connection, values)?;
            }
            let values = named_params! {
                ":segment_id": self.id,
                ":position": position,
                ":digest": digest,
                ":algorithm": SIGNATURE_ALGORITHM,
                ":line": line,
            };
            sql::INSERT_DETAIL.run(connection, values)?;
        }
        Ok(())
    }

    /// The end that a segment left open by a dead hunt gets: its last recorded moment, so nothing is invented.
    fn interrupted(&self, started_at: UnixMillis) -> SegmentClose {
        let ended = MonoMicros(codec::end_of(&self.rows, self.started));
        let lasted = i64::try_from(ended.since(self.started).as_millis()).unwrap_or(0);
        SegmentClose {
            end: SegmentEnd::Interrupted,
            interruption: Some(Interruption::HuntDied),
            ended,
            ended_at: UnixMillis(started_at.0.saturating_add(lasted)),
            running: None,
            exit: None,
            usage: Usage::default(),
            order_differs: false,
            reason: None,
            log: None,
        }
    }
}

/// Reads what an open segment has recorded.
pub(super) fn journal(
    connection: &Connection,
    segment: i64,
    started: MonoMicros,
) -> Result<Vec<Packed>, StoreError> {
    let id = named_params! { ":segment_id": segment };
    let batches: Vec<Vec<u8>> = sql::SELECT_JOURNAL.all(connection, id, |row| row.get("batch"))?;
    let mut rows = Vec::new();
    for batch in batches {
        let more = codec::unpack_batch(&batch, codec::end_of(&rows, started));
        rows.append(&mut more.ok_or(StoreError::Packed { segment })?);
    }
    Ok(rows)
}

/// Writes the start of a segment, and returns its row. Its shard must not be closed.
pub(super) fn open(connection: &Connection, open: &SegmentOpen) -> Result<i64, StoreError> {
    let values = named_params! {
        ":shard_id": open.shard,
        ":attempt": open.attempt,
        ":parent_id": open.cause.map(|c| c.parent),
        ":cut": open.cause.map(|c| c.cut),
        ":cause": open.cause.map(|c| c.end.code()),
        ":trials": open.trials,
        ":order_digest": open.order.as_bytes(),
        ":worker": open.worker,
        ":started_us": open.started.0,
        ":started_ms": open.started_at.0,
        ":load_milli": open.load_milli,
        ":cpu_pressure_milli": open.cpu_pressure_milli,
    };
    if sql::INSERT_SEGMENT.run(connection, values)? != 1 {
        return Err(StoreError::NoSuchRow {
            kind: "unclosed shard",
            id: open.shard,
        });
    }
    let id = connection.last_insert_rowid();
    for beside in &open.beside {
        let values = named_params! { ":segment_id": id, ":beside_id": beside };
        sql::INSERT_BESIDE.run(connection, values)?;
    }
    Ok(id)
}

/// Closes the segments that a dead hunt left open, and returns how many. Their shards stay open.
pub(super) fn close_interrupted(
    connection: &Connection,
    names: &mut Names,
) -> Result<u64, StoreError> {
    let row = |row: &rusqlite::Row| Ok((row.get("id")?, UnixMillis(row.get("started_ms")?)));
    let left: Vec<(i64, _)> = sql::LEFT_OPEN.all(connection, &[], row)?;
    for (segment, started_at) in &left {
        let mut running = Running::load(connection, *segment)?;
        let end = running.interrupted(*started_at);
        running.close(connection, names, &end)?;
    }
    Ok(left.len() as u64)
}

/// Adds the closed segments that are not tallied yet to the roll-ups.
pub(super) fn fold(connection: &Connection) -> Result<(), StoreError> {
    sql::FOLD_TALLY.run(connection, &[])?;
    sql::FOLD_PROGRESS.run(connection, &[])?;
    sql::MARK_TALLIED.run(connection, &[]).map(drop)
}

fn position(place: usize) -> u32 {
    u32::try_from(place).expect("positions are 32 bits and have no gaps")
}

fn clamped(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
