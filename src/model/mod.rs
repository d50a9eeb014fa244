//! The words of the domain, with one meaning each everywhere. No I/O, no clock; imports nothing of ours.

mod id;
mod layout;
mod outcome;
mod probe;
mod record;
mod state;
mod time;
mod verdict;

pub use id::{HANDLE_ALPHABET, Handle, HandleLength, InvalidName, ListDigest, SuiteId, TestId};
pub use layout::{Design, Grouping, Layout};
pub use outcome::{Exit, Interruption, Outcome, SegmentEnd, UnknownWord};
pub use probe::{Answer, Arm, Opened, Probe, Question, QuestionId, Recorded, Reply, Suspicion};
pub use record::{
    Cause, EventRecord, FactorLevel, SegmentClose, SegmentOpen, ShardPlan, TrialRecord, Usage,
};
pub use state::{HuntKind, HuntState, ShardState};
pub use time::{Clock, MonoMicros, SystemClock, UnixMillis};
pub use verdict::{Count, Fixed, Flag, FlagRecord, Group, Reach, Recipe, Role, Verdict};
