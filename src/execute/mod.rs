//! Runs planned shards on workers and says what happened. Assignments in, [`Event`]s out; every outcome
//! goes to a [`Recorder`] before anybody hears of it. Decides nothing about which shards there are: a
//! [`Source`] does. The only async code below `command`.

mod capped;
mod dispatcher;
mod event;
mod neighbour;
mod probing;
mod recorder;
mod rig;
mod segment;
mod talk;
mod worker;

pub use capped::Capped;
pub use dispatcher::{Dispatch, Dispatched, Next, Source};
pub use event::Event;
pub use probing::Probing;
pub use recorder::{MemoryRecorder, RecordedShard, Recorder, StoreRecorder};
pub use rig::{Limits, Listing, ListingFailed, Rig};
pub use segment::Stop;
pub use worker::{Assignment, Of, ShardEnd, Worker};
