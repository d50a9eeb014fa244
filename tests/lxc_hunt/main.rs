//! Hunts with real containers under attack: hostile suites, kills, signals, full disks, broken databases.
//!
//! Needs root and LXC, and fails where they are missing. `SOAKHOUND_KILLS`, `SOAKHOUND_AT_ONCE` and
//! `SOAKHOUND_IN_A_ROW` make the torture longer than a check of every day wants it.
#![expect(clippy::print_stdout, reason = "a long run is made for its figures")]

#[path = "../support/mod.rs"]
mod support;

mod causes;
mod crowd;
mod environment;
mod faults;
mod fixtures;
mod hostile;
mod kills;
mod signals;
