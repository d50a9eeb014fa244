//! Hunts with real containers under attack: hostile suites, kills, signals, full disks, broken databases.
//!
//! Needs root and LXC, and fails where they are missing.

#[path = "../support/mod.rs"]
mod support;

mod fixtures;
