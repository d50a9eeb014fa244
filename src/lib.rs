//! Soakhound hunts flaky tests: it soaks a suite in parallel LXC containers, records every outcome
//! in `SQLite`, and replays any order from a token.
//!
//! Data flows one way: **config → plan → execute → record → analyse → report / replay**. A later stage never
//! calls an earlier one; [`command`] joins them.
//!
//! - [`model`]: the words of the domain, without I/O; imports nothing of ours
//! - [`plan`]: pure; the same seed and the same test names give the same order, for ever
//! - [`suite`]: how a test runner is asked to list and to run, and how its answers are read
//! - [`container`]: the one door to LXC: slot workers, images, limits, the sweep
//! - [`execute`]: planned shards in, events out; the only async code below [`command`]
//! - [`store`]: the database; all SQL lives in `queries/`
//! - [`stats`]: pure; rates, intervals, e-values, Bayes factors
//! - [`minimize`]: pure; the smallest order that still fails, when answers are noisy
//! - [`diagnose`]: pure; evidence in, probes and flags out
//! - [`report`]: pure; the weekly fragility report, from evidence to pages
//! - [`config`]: file, flags and defaults become `Settings`, once
//! - [`ui`]: escaping, tables and progress
//! - [`error`]: kinds of failure, hints, exit codes
//! - [`command`]: one file per subcommand
//! - [`cli`]: clap types and help text

pub mod cli;
pub mod command;
pub mod config;
pub mod container;
pub mod diagnose;
pub mod error;
pub mod execute;
pub mod minimize;
pub mod model;
pub mod plan;
pub mod report;
pub mod stats;
pub mod store;
pub mod suite;
pub mod ui;
