//! Stub: see mod.rs.
