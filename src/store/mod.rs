//! The database: what was planned, what ran, what it showed. Every promise about not losing an
//! outcome is kept here.
//!
//! One thread owns the writing connection ([`Writer`]); a [`Reader`] has its own, read-only. All SQL
//! lives in `queries/`. The store judges nothing: it counts, and hands out what was recorded.

mod backup;
mod ballast;
mod book;
mod census;
mod check;
mod codec;
mod desk;
mod error;
mod flags;
mod lock;
mod logs;
mod observe;
mod open;
mod probes;
mod reader;
mod report;
mod resume;
mod rows;
mod segments;
mod signature;
mod sql;
mod writer;

pub use backup::backup;
pub use check::{CheckReport, Finding, check};
pub use error::StoreError;
pub use flags::{AnalysisRow, CanaryRow, FlagRow, FlagStart, Seen};
pub use lock::{Holder, holder};
pub use logs::{Pruned, prune_logs, read_log, write_log};
pub use observe::{Cursor, Observed, ObservedSegment, ObservedTrial};
pub use open::{OpenOptions, StartReport};
pub use probes::{PlannedProbe, ProbeBatch, ProbeRow, QuestionRow};
pub use reader::Reader;
pub use report::{LastFailure, RevisionBrief, SegmentStart, WholeRuns};
pub use resume::{OpenShard, ResumeState};
pub use rows::{
    EventRow, FailureRow, HuntRow, HuntStart, HuntStatus, LeaseStart, OutcomeCounts, RevisionId,
    RevisionRow, RevisionStart, SegmentRow, ShardRow, SuiteKey,
};
pub use signature::{SIGNATURE_ALGORITHM, signature};
pub use writer::{Receipt, Writer};
