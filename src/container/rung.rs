//! The fallback ladder: how strongly a container is confined, and the strongest that works here.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{HostError, ImageSpec, Launch, Limits, Refusal, RunDir, Slot, Spawner};
use crate::model::Exit;

/// A kind of confinement, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rung {
    /// Root inside is nobody outside, and files keep their owners.
    Shifted,
    /// Root inside is nobody outside; files of the host belong to nobody inside, so a command can
    /// read only what everybody can, and write only what it made.
    Mapped,
    /// Root inside is root outside with nearly all capabilities gone; the command is not root.
    Privileged,
}

impl Rung {
    /// Every rung, strongest first.
    pub const ALL: [Self; 3] = [Self::Shifted, Self::Mapped, Self::Privileged];

    /// Has the container a range of user ids of its own?
    #[must_use]
    pub fn maps_ids(self) -> bool {
        self != Self::Privileged
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Shifted => "id-mapped, owners kept",
            Self::Mapped => "id-mapped, owners lost",
            Self::Privileged => "privileged, capabilities dropped",
        })
    }
}

/// Starts `/bin/true` on each rung from the strongest and returns the first that works, with the
/// reasons why those above it did not.
///
/// # Errors
/// [`HostError::NoRung`] when none works; [`HostError::NotBuilt`] and [`HostError::NotRoot`] when
/// none can.
pub async fn probe(spawner: &Spawner, run: &RunDir) -> Result<(Rung, Vec<Refusal>), HostError> {
    let mut refusals = Vec::new();
    for rung in Rung::ALL {
        match starts(spawner, run, rung).await {
            Ok(()) => return Ok((rung, refusals)),
            Err(fatal @ (HostError::NotBuilt | HostError::NotRoot { .. })) => return Err(fatal),
            Err(error) => refusals.push(Refusal {
                rung,
                why: error.to_string(),
            }),
        }
    }
    Err(HostError::NoRung { refusals })
}

/// Slot number that a probe takes: far from those that workers have.
const PROBE_SLOT: u32 = 40_000;

async fn starts(spawner: &Spawner, run: &RunDir, rung: Rung) -> Result<(), HostError> {
    let image = ImageSpec {
        lower: "/".into(),
        masks: Vec::new(),
        binds: Vec::new(),
        trees: Vec::new(),
        files: Vec::new(),
        uid: 1000,
        gid: 1000,
    };
    let launch = Launch {
        list_changes: false,
        argv: vec!["/bin/true".into()],
        env: Vec::new(),
        cwd: "/".into(),
        hostname: "probe".to_owned(),
        limits: Limits {
            memory: None,
            pids: 16,
            cpus: None,
            tmp_bytes: 1 << 20,
        },
        job: Vec::new(),
        harvest: None,
    };
    let mut slot = Slot::spawn(spawner, run, PROBE_SLOT, &image, rung).await?;
    let end = slot.start(&launch).await?.wait().await?;
    if end.exit == Exit::Code(0) {
        return Ok(());
    }
    Err(HostError::Start {
        message: format!("`/bin/true` ended with {}", end.exit),
        log: end.log,
    })
}
