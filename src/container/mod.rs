//! The one door to containers: images, slots, limits, the fallback ladder and the sweep.
//!
//! The calling process never touches liblxc. A [`Slot`] is one single-threaded process of our own
//! binary (the hidden subcommand `__slot`, [`slot_main`]) in its own cgroup and mount namespace,
//! which forks once per container; PID 1 inside is our own static init. Everything dies with the
//! thread that a [`Spawner`] owns, so nothing outlives a killed hunt but cgroups and folders, which
//! [`sweep`] removes. What to run, in which order and for how long is not decided here.

pub mod doctor;
pub mod image;
pub mod snapshot;

mod cgroup;
mod error;
mod init;
mod left;
mod run_dir;
mod rung;
mod slot;
mod spawner;
mod spec;
mod sweep;
mod wire;

#[cfg(feature = "lxc")]
mod dev;
#[cfg(feature = "lxc")]
mod harvest;
#[cfg(feature = "lxc")]
mod ids;
#[cfg(feature = "lxc")]
mod lxc;
#[cfg(feature = "lxc")]
mod over;
#[cfg(feature = "lxc")]
mod rootfs;
#[cfg(feature = "lxc")]
mod sys;
#[cfg(feature = "lxc")]
mod worker;

pub use error::{HostError, Refusal};
pub use left::{Change, Left, MOST_LEFT};
pub use run_dir::{RunDir, default_base};
pub use rung::{Rung, probe};
pub use slot::{ContainerEnd, Running, Slot, may_run};
pub use spawner::Spawner;
pub use spec::{Bind, ImageSpec, InjectedFile, Launch, Limits, Tree};
pub use sweep::{Swept, sweep};
#[cfg(feature = "lxc")]
pub use worker::slot_main;

/// Runs nothing: this build has no containers.
#[cfg(not(feature = "lxc"))]
#[must_use]
pub fn slot_main(_: impl Iterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}

/// Returns the version of liblxc; `None` in a build without it.
#[must_use]
pub fn liblxc_version() -> Option<String> {
    #[cfg(feature = "lxc")]
    let version = Some(lxc::version());
    #[cfg(not(feature = "lxc"))]
    let version = None;
    version
}
