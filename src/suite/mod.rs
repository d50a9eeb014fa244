//! Stub: see lib.rs.
