//! Hunts with real containers under attack: hostile suites, kills, signals, full disks, broken databases.
//!
//! Needs root and LXC, and fails where they are missing. Two variables make the torture longer:
//! `SOAKHOUND_KILLS=100` and `SOAKHOUND_CONTAINERS=1000`.

#[path = "../support/mod.rs"]
mod support;

mod crowd;
mod faults;
mod fixtures;
mod hostile;
mod kills;
mod signals;
