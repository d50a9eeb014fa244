//! Does the database keep its word? Reads everything, writes nothing.

use std::path::Path;

use rusqlite::{Connection, Row, named_params};

use super::codec::{self, Digest};
use super::{StoreError, book, open, rows, sql};
use crate::model::{Flag, MonoMicros};

/// Findings after which a kind of check stops listing: one damaged page can spoil thousands of rows.
const MAX_FINDINGS: usize = 100;

/// What `db check` looked at and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Closed segments whose digest was recomputed.
    pub segments: u64,
    /// Their trials.
    pub trials: u64,
    /// Finished shards whose outcomes were counted.
    pub shards: u64,
    /// Bytes in the write-ahead log.
    pub log_bytes: u64,
    /// What does not hold; empty when all is well.
    pub findings: Vec<Finding>,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// `SQLite` found a damaged page or a broken constraint.
    #[error("sqlite: {0}")]
    Integrity(String),
    /// A row refers to a row that does not exist.
    #[error("a row of `{table}` refers to a missing row of `{parent}`")]
    ForeignKey {
        /// Table of the referring row.
        table: String,
        /// Table of the missing row.
        parent: String,
    },
    /// The rows of a closed segment are not those that were written.
    #[error("segment {segment} does not match its digest")]
    Digest {
        /// The segment.
        segment: i64,
    },
    /// The positions of a closed segment have gaps, or their number is wrong.
    #[error("segment {segment} has {found} of {recorded} trials")]
    Positions {
        /// The segment.
        segment: i64,
        /// Trials it must have.
        recorded: i64,
        /// Trials in unbroken order from 0.
        found: i64,
    },
    /// A text is not the one that was written.
    #[error("text {text} does not match its digest")]
    Text {
        /// The text.
        text: i64,
    },
    /// The body of a flag does not read back, or speaks of another test or verdict than its row.
    #[error("flag {flag} does not say what its row says")]
    Flag {
        /// The flag.
        flag: i64,
    },
    /// A finished shard does not have exactly one outcome for each planned trial.
    #[error(
        "shard {shard} has {answered} of {planned} planned trials answered, {doubled} of them twice"
    )]
    Shard {
        /// The shard.
        shard: i64,
        /// Trials planned.
        planned: i64,
        /// Trials with an outcome.
        answered: i64,
        /// Trials with more than one outcome that says something.
        doubled: i64,
    },
    /// Rows that belong to nothing.
    #[error("{rows} {kind}")]
    Orphans {
        /// What they are.
        kind: String,
        /// How many.
        rows: i64,
    },
    /// The roll-up differs from the trials it was made from.
    #[error("the tally of test {test} in hunt {hunt} is off by {difference}")]
    Tally {
        /// The hunt.
        hunt: i64,
        /// The test's row.
        test: i64,
        /// Roll-up minus trials.
        difference: i64,
    },
}

/// Checks a whole database; takes some twenty seconds for ten million trials.
///
/// # Errors
/// When it cannot be opened or read at all; damage that can be described is in the report.
pub fn check(path: &Path) -> Result<CheckReport, StoreError> {
    let connection = open::open_for_reading(path)?;
    let moment = connection
        .unchecked_transaction()
        .map_err(|e| StoreError::query("check", e))?;
    let mut findings = integrity(&moment)?;
    findings.extend(foreign_keys(&moment)?);
    let (segments, trials) = check_segments(&moment, &mut findings)?;
    findings.extend(check_texts(&moment)?);
    findings.extend(check_flags(&moment)?);
    let shards = check_shards(&moment, &mut findings)?;
    let orphans = |row: &Row| {
        Ok(Finding::Orphans {
            kind: row.get("kind")?,
            rows: row.get("rows")?,
        })
    };
    let orphans = sql::CHECK_ORPHANS.all(&moment, &[], orphans)?;
    findings.extend(
        orphans
            .into_iter()
            .filter(|f| !matches!(f, Finding::Orphans { rows: 0, .. })),
    );
    let tally = |row: &Row| {
        Ok(Finding::Tally {
            hunt: row.get("hunt_id")?,
            test: row.get("test_id")?,
            difference: row.get("difference")?,
        })
    };
    findings.extend(
        sql::CHECK_TALLY
            .all(&moment, &[], tally)?
            .into_iter()
            .take(MAX_FINDINGS),
    );
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log_bytes = Path::new(&log).metadata().map_or(0, |m| m.len());
    Ok(CheckReport {
        segments,
        trials,
        shards,
        log_bytes,
        findings,
    })
}

fn integrity(connection: &Connection) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    let read = |row: &Row| {
        found.push(row.get::<_, String>(0)?);
        Ok(())
    };
    // SQLite stops at a hundred findings by itself.
    let answer = connection.pragma_query(None, "integrity_check", read);
    answer.map_err(|e| StoreError::query("integrity_check", e))?;
    Ok(found
        .into_iter()
        .filter(|line| line != "ok")
        .map(Finding::Integrity)
        .collect())
}

fn foreign_keys(connection: &Connection) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    let read = |row: &Row| {
        if found.len() < MAX_FINDINGS {
            found.push(Finding::ForeignKey {
                table: row.get("table")?,
                parent: row.get("parent")?,
            });
        }
        Ok(())
    };
    let answer = connection.pragma_query(None, "foreign_key_check", read);
    answer.map_err(|e| StoreError::query("foreign_key_check", e))?;
    Ok(found)
}

fn check_segments(
    connection: &Connection,
    findings: &mut Vec<Finding>,
) -> Result<(u64, u64), StoreError> {
    let read = |row: &Row| Ok((row.get("id")?, row.get("recorded")?, row.get("digest")?));
    let mut trials = 0;
    let segments: Vec<(i64, i64, Digest)> = sql::CHECK_SEGMENTS.all(connection, &[], read)?;
    for (segment, recorded, digest) in &segments {
        let id = named_params! { ":segment_id": segment };
        let times = sql::SELECT_TIMING.first(connection, id, |row| row.get("trials"))?;
        let times: Vec<u8> = times.unwrap_or_default();
        let row = |row: &Row| {
            let content = (
                row.get("test_id")?,
                row.get("rep")?,
                row.get("outcome")?,
                row.get("text_digest")?,
            );
            Ok((row.get::<_, i64>("position")?, content))
        };
        let rows = sql::CHECK_ROWS.all(connection, id, row)?;
        let in_order = (0..)
            .zip(&rows)
            .take_while(|(place, (position, _))| place == position)
            .count();
        let found = i64::try_from(in_order).unwrap_or(i64::MAX);
        if found != *recorded || in_order != rows.len() {
            findings.push(Finding::Positions {
                segment: *segment,
                recorded: *recorded,
                found,
            });
        }
        trials += rows.len() as u64;
        let readable =
            codec::unpack_times(&times, MonoMicros(0)).is_some_and(|t| t.len() == rows.len());
        if !readable
            || codec::digest(rows.into_iter().map(|(_, content)| content), &times) != *digest
        {
            findings.push(Finding::Digest { segment: *segment });
        }
    }
    Ok((segments.len() as u64, trials))
}

fn check_texts(connection: &Connection) -> Result<Vec<Finding>, StoreError> {
    let read = |row: &Row| {
        let (digest, body): (Digest, Vec<u8>) = (row.get("digest")?, row.get("body")?);
        let sound = codec::text_digest(&body) == digest;
        Ok((!sound).then_some(Finding::Text {
            text: row.get("id")?,
        }))
    };
    let texts = sql::CHECK_TEXTS.all(connection, &[], read)?;
    Ok(texts.into_iter().flatten().take(MAX_FINDINGS).collect())
}

fn check_flags(connection: &Connection) -> Result<Vec<Finding>, StoreError> {
    let read = |row: &Row| {
        let body: String = row.get("body")?;
        let said = serde_json::from_str::<Flag>(&body).ok();
        let said = said.map(|flag| (flag.test, flag.verdict.code()));
        let test = rows::test_name_or_null(row, "name")?;
        let sound = said == Some((test, row.get("verdict")?));
        Ok((!sound).then_some(Finding::Flag {
            flag: row.get("id")?,
        }))
    };
    let flags = sql::CHECK_FLAGS.all(connection, &[], read)?;
    Ok(flags.into_iter().flatten().take(MAX_FINDINGS).collect())
}

fn check_shards(connection: &Connection, findings: &mut Vec<Finding>) -> Result<u64, StoreError> {
    let read = |row: &Row| Ok((row.get("id")?, row.get("trials")?, row.get("is_probe")?));
    let shards: Vec<(i64, i64, bool)> = sql::CHECK_SHARDS.all(connection, &[], read)?;
    for (shard, planned, is_probe) in &shards {
        match book::check_answered(connection, *shard, *planned, *is_probe) {
            Err(StoreError::Unfinished {
                shard,
                planned,
                answered,
                doubled,
            }) => {
                findings.push(Finding::Shard {
                    shard,
                    planned,
                    answered,
                    doubled,
                });
            }
            other => other?,
        }
    }
    Ok(shards.len() as u64)
}
