//! How a test runner is asked to list and to run, and how its answers are read. Starts no container.

pub mod interpreter;
