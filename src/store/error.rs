//! What can go wrong with the database. Cloneable, because a failed writer tells every later caller.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Holder;

/// Why the store could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process writes to this database.
    #[error("`{}` is in use by process {} on {}", path.display(), holder.pid, holder.host)]
    Locked {
        /// The database.
        path: PathBuf,
        /// Who holds it.
        holder: Holder,
    },
    /// A later release wrote it; it was left untouched.
    #[error("schema version {found} is newer than {known}, the newest this build reads")]
    Newer {
        /// Version in the file.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// An earlier release wrote it, and it is opened for reading alone; the next hunt upgrades it.
    #[error("schema version {found} is older than {known}, and reading does not upgrade it")]
    Older {
        /// Version in the file.
        found: i64,
        /// Version wanted here.
        known: i64,
    },
    /// The file belongs to another program; it was left untouched.
    #[error("`{}` is not a Soakhound database (application id {application_id:#010x})", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What its header says; 0 when it is no database at all.
        application_id: u32,
    },
    /// The file contradicts itself; it was left untouched.
    #[error("`{}` is damaged: {found}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        found: String,
    },
    /// There is no database at this place.
    #[error("there is no database at `{}`", path.display())]
    Missing {
        /// The place.
        path: PathBuf,
    },
    /// The folder is on a network file system, where the write-ahead log does not work.
    #[error("`{}` is on {filesystem}, where commits are not safe", path.display())]
    Network {
        /// The folder.
        path: PathBuf,
        /// Kind of file system.
        filesystem: &'static str,
    },
    /// The linked `SQLite` may lose commits.
    #[error("SQLite {found} is older than 3.51.3, or withdrawn, and may lose commits")]
    Library {
        /// Its version.
        found: &'static str,
    },
    /// No space is left, and the reserve is used up.
    #[error("no space is left for `{}`", path.display())]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// `SQLite` refused a statement.
    #[error("query `{query}` failed")]
    Query {
        /// Name of the query.
        query: &'static str,
        /// What `SQLite` said.
        source: Arc<rusqlite::Error>,
    },
    /// A statement was given the wrong number of values: a bug.
    #[error("query `{query}` takes {wanted} values and was given {given}")]
    Binding {
        /// Name of the query.
        query: &'static str,
        /// Number of its parameters.
        wanted: usize,
        /// Number of values.
        given: usize,
    },
    /// A file beside the database could not be used.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The target of a copy exists already.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// The record speaks of a test that no registered revision has.
    #[error("test `{}` is in no registered revision", name.escape_ascii())]
    UnknownTest {
        /// Its name, untrusted.
        name: Vec<u8>,
    },
    /// The record speaks of a row that does not exist.
    #[error("there is no {kind} {id}")]
    NoSuchRow {
        /// Kind of row.
        kind: &'static str,
        /// Its id.
        id: i64,
    },
    /// Trials came for a segment that is closed, or not of this hunt's making.
    #[error("segment {segment} is not open")]
    NotOpen {
        /// The segment.
        segment: i64,
    },
    /// Positions of a segment come in order, without gaps.
    #[error("segment {segment} was given position {found} where {expected} comes next")]
    Gap {
        /// The segment.
        segment: i64,
        /// Next position.
        expected: u32,
        /// Position given.
        found: u32,
    },
    /// A position was recorded again, with another content.
    #[error("position {position} of segment {segment} is already recorded with another content")]
    Conflict {
        /// The segment.
        segment: i64,
        /// The position.
        position: u32,
    },
    /// A repetition that half a byte cannot hold.
    #[error("position {position} of segment {segment} has repetition {rep}, not 1 to 16")]
    Repetition {
        /// The segment.
        segment: i64,
        /// The position.
        position: u32,
        /// The repetition given.
        rep: u8,
    },
    /// A schema step would leave rows that refer to nothing; the database stays as it was.
    #[error("the upgrade would leave rows of `{table}` that refer to nothing")]
    Migration {
        /// Table of the referring rows.
        table: String,
    },
    /// A question or one of its probes was not the next in turn.
    #[error("{kind} {found} was planned where {expected} comes next")]
    OutOfTurn {
        /// Kind of row.
        kind: &'static str,
        /// Next number.
        expected: u32,
        /// Number given.
        found: u32,
    },
    /// The shards of one planning do not belong to one iteration.
    #[error("the shards planned together disagree about their iteration, or there are none")]
    MixedPlan,
    /// A shard was called finished, but its planned trials do not have exactly one outcome each.
    #[error(
        "shard {shard} has {answered} of {planned} planned trials answered, {doubled} of them twice"
    )]
    Unfinished {
        /// The shard.
        shard: i64,
        /// Trials planned.
        planned: i64,
        /// Trials with an outcome.
        answered: i64,
        /// Trials with more than one outcome that says something.
        doubled: i64,
    },
    /// The stored bytes of a segment's times cannot be read.
    #[error("the packed trials of segment {segment} cannot be read")]
    Packed {
        /// The segment.
        segment: i64,
    },
    /// The writer has been shut down.
    #[error("the writer has been shut down")]
    ShutDown,
}

impl StoreError {
    pub(super) fn io(path: &Path, source: impl Into<std::io::Error>) -> Self {
        let source = source.into();
        if source.kind() == std::io::ErrorKind::StorageFull {
            return Self::DiskFull {
                path: path.to_owned(),
            };
        }
        Self::Io {
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    pub(super) fn query(query: &'static str, source: rusqlite::Error) -> Self {
        Self::Query {
            query,
            source: Arc::new(source),
        }
    }

    fn sqlite_code(&self) -> Option<rusqlite::ErrorCode> {
        if let Self::Query { source, .. } = self {
            source.sqlite_error_code()
        } else {
            None
        }
    }

    /// Did the file turn out to be no sound database?
    pub(super) fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        matches!(self.sqlite_code(), Some(DatabaseCorrupt | NotADatabase))
    }

    /// The same error; want of space while this database was written is [`StoreError::DiskFull`].
    pub(super) fn told_by(self, database: &Path) -> Self {
        if self.is_full() {
            Self::DiskFull {
                path: database.to_owned(),
            }
        } else {
            self
        }
    }

    /// Did a write fail for want of space?
    pub(super) fn is_full(&self) -> bool {
        // A full file system shows as an I/O error too, when it is the log's shared memory that cannot grow.
        let shm_full = matches!(
            self,
            Self::Query { source, .. }
                if source.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
        );
        shm_full || self.sqlite_code() == Some(rusqlite::ErrorCode::DiskFull)
    }
}
