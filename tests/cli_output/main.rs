//! What the commands print, with real containers: passes, states, streams, names that try to break a terminal.
//!
//! Needs root and LXC, and fails where they are missing.

#[path = "../support/mod.rs"]
mod support;

mod pass;
mod state;
mod streams;
