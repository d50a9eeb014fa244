//! What can go wrong between us and the host. None of it says anything about a test.

use std::io;
use std::path::PathBuf;

use super::Rung;

/// Trouble with the host: a container could not be prepared, started or observed.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// This build has no liblxc.
    #[error("this build runs no containers (it was compiled without the feature `lxc`)")]
    NotBuilt,
    /// Containers need root here.
    #[error("containers need root, and this is user {uid}; run it with sudo")]
    NotRoot {
        /// Effective user id.
        uid: u32,
    },
    /// A file or folder of ours cannot be used.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// What was tried, such as "create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A limit was asked for that this kernel cannot enforce.
    #[error("there is no cgroup controller `{controller}`: {remedy}")]
    NoController {
        /// Name of the controller.
        controller: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A path or name of the specification cannot be used.
    #[error("cannot use {what}: {reason}")]
    Spec {
        /// Which part.
        what: String,
        /// Why not.
        reason: &'static str,
    },
    /// A descriptor, pipe or process that a slot needs cannot be made.
    #[error("cannot {action} for a container slot")]
    Slot {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The slot's process could not prepare its part of the container.
    #[error("a container slot cannot {message}")]
    Setup {
        /// The failed step with its cause, as the slot's process says it.
        message: String,
    },
    /// The slot's process ended while it was needed.
    #[error("the process of a container slot ended {during}")]
    SlotDied {
        /// What it was doing.
        during: &'static str,
    },
    /// The container did not start.
    #[error("a container did not start: {message}")]
    Start {
        /// What went wrong, in one line.
        message: String,
        /// liblxc's own log, capped.
        log: String,
    },
    /// No confinement works on this machine.
    #[error("no kind of container starts on this machine: {}", join(refusals))]
    NoRung {
        /// Why each rung failed, strongest first.
        refusals: Vec<Refusal>,
    },
}

/// Why one rung of the fallback ladder does not work here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rung.
    pub rung: Rung,
    /// Why it failed, in one line.
    pub why: String,
}

fn join(refusals: &[Refusal]) -> String {
    let each: Vec<String> = refusals
        .iter()
        .map(|refusal| format!("{}: {}", refusal.rung, refusal.why))
        .collect();
    each.join("; ")
}

impl HostError {
    /// Wraps an error of a file or folder of ours.
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    /// Wraps an error of a descriptor or process.
    pub(super) fn slot<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Slot {
            action,
            source: source.into(),
        }
    }
}
