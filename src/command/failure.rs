//! Turns the errors of the layers into failures: exit code and what to do about it.

use crate::{
    container::{HostError, image::ImageError, snapshot::SnapshotError},
    error::{ExitCode, Failure},
    execute::ListingFailed,
    store::StoreError,
    suite::interpreter::InterpreterError,
};

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (exit, hints): (_, &[&str]) = match &error {
            StoreError::Locked { .. } => (
                ExitCode::Locked,
                &[
                    "wait for it, stop it with Ctrl-C or SIGTERM, or choose another database with `--db`",
                ],
            ),
            StoreError::DiskFull { .. } => (
                ExitCode::Disk,
                &[
                    "free some space there and start the same command again: nothing that was acknowledged is lost",
                ],
            ),
            StoreError::Newer { .. } => (
                ExitCode::Database,
                &["use the release that wrote it, or choose another file with `--db`"],
            ),
            StoreError::Damaged { .. } => (
                ExitCode::Database,
                &[
                    "it was left untouched: restore a copy made by `soakhound db backup`, or choose another file with `--db`",
                ],
            ),
            StoreError::Foreign { .. } => {
                (ExitCode::Database, &["choose another file with `--db`"])
            }
            StoreError::Missing { .. } => {
                (ExitCode::Database, &["a hunt makes it: soakhound hunt"])
            }
            StoreError::Network { .. } => (
                ExitCode::Database,
                &["keep it on a local disk: `[store] path`, `--db` or `SOAKHOUND_DB`"],
            ),
            StoreError::Older { .. } => (
                ExitCode::Database,
                &["the next hunt on it brings it up to date"],
            ),
            StoreError::Library { .. }
            | StoreError::Query { .. }
            | StoreError::Binding { .. }
            | StoreError::Io { .. }
            | StoreError::Exists { .. }
            | StoreError::UnknownTest { .. }
            | StoreError::NoSuchRow { .. }
            | StoreError::NotOpen { .. }
            | StoreError::Gap { .. }
            | StoreError::Conflict { .. }
            | StoreError::Repetition { .. }
            | StoreError::MixedPlan
            | StoreError::Migration { .. }
            | StoreError::OutOfTurn { .. }
            | StoreError::Unfinished { .. }
            | StoreError::Packed { .. }
            | StoreError::ShutDown => (ExitCode::Database, &[]),
        };
        hints
            .iter()
            .fold(Self::new(exit, error), |failure, hint| failure.hint(*hint))
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::new(ExitCode::Containers, error)
            .hint("`soakhound doctor` says what is missing and how to get it")
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::new(ExitCode::Containers, error)
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        Self::new(ExitCode::Suite, error)
    }
}

impl From<InterpreterError> for Failure {
    fn from(error: InterpreterError) -> Self {
        Self::new(ExitCode::Suite, error)
            .hint("name the interpreter of the suite with `python` in [suite], or with `--python`")
    }
}

impl From<ListingFailed> for Failure {
    fn from(error: ListingFailed) -> Self {
        match error {
            ListingFailed::Host(error) => error.into(),
            ListingFailed::Empty => Self::new(ExitCode::Suite, error)
                .hint("tests are collected as `pytest --collect-only` does in the suite's root; see `args` in [suite]"),
            ListingFailed::Uncollectable(_) | ListingFailed::Broken { .. } | ListingFailed::TooLong(_) => {
                Self::new(ExitCode::Suite, error)
                    .hint("the suite runs in a container without network and with a bare environment: see `env_allow` in [suite]")
            }
        }
    }
}
