//! Tests that run over and over in a container beside a probe. What they show is nobody's evidence and is not
//! recorded.

use std::{ffi::OsString, sync::Arc};

use tokio::{
    io::AsyncReadExt,
    sync::{oneshot, watch},
    task::JoinHandle,
};

use super::Rig;
use crate::{
    container::{HostError, Slot},
    model::TestId,
    suite::{Journal, JournalEvent, JournalLimits},
};

use super::worker::Of;

/// Containers in a row in which no test began, before the neighbour is given up.
const SILENT_IN_A_ROW: u32 = 3;

/// A container that runs its tests over and over, replaced by a fresh one whenever it ends.
pub(super) struct Neighbour {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What a neighbour runs.
pub(super) struct Company {
    pub(super) of: Of,
    pub(super) tests: Vec<TestId>,
    pub(super) factors: Vec<(OsString, OsString)>,
    pub(super) seed32: u32,
}

/// Why there is no neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// In words for the record.
    pub(super) why: String,
    /// Is it the host's trouble, so that another try may do better?
    pub(super) of_host: bool,
}

/// Where a neighbour stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    Coming,
    Running,
    Failed(Missing),
}

impl Neighbour {
    /// Starts it in a slot of its own and waits until its first test runs.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn start(rig: &Arc<Rig>, company: Company) -> Result<Self, Missing> {
        let slot = rig.slot().await.map_err(|error| Missing {
            why: format!("no slot for the tests beside: {error}"),
            of_host: true,
        })?;
        let (says, mut hears) = watch::channel(Standing::Coming);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(over_and_over(Arc::clone(rig), slot, company, says, stopped));
        let neighbour = Self { stop, task };
        let standing = hears
            .wait_for(|standing| *standing != Standing::Coming)
            .await
            .map(|standing| standing.clone());
        match standing {
            Ok(Standing::Running) => Ok(neighbour),
            Ok(Standing::Failed(why)) => {
                neighbour.end().await;
                Err(why)
            }
            Ok(Standing::Coming) | Err(_) => Err(Missing {
                why: "the tests beside ended without a word".to_owned(),
                of_host: true,
            }),
        }
    }

    /// Ends it; returns when nothing of it is left.
    pub(super) async fn end(self) {
        // Gone already is as good.
        self.stop.send(()).ok();
        self.task.await.ok();
    }
}

/// Runs containers until it is told to stop, or the sender is gone.
async fn over_and_over(
    rig: Arc<Rig>,
    mut slot: Slot,
    company: Company,
    says: watch::Sender<Standing>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut silent = 0;
    while silent < SILENT_IN_A_ROW {
        match once(&rig, &mut slot, &company, &says, &mut stopped).await {
            Ok(Once::Stopped) => return,
            Ok(Once::Ended { began: true }) => silent = 0,
            Ok(Once::Ended { began: false }) => silent += 1,
            Err(error) => {
                says.send_replace(Standing::Failed(Missing {
                    why: format!("no container for the tests beside: {error}"),
                    of_host: true,
                }));
                return;
            }
        }
    }
    says.send_replace(Standing::Failed(Missing {
        why: "no test of those beside began to run".to_owned(),
        of_host: false,
    }));
}

/// How one container of a neighbour went.
enum Once {
    Stopped,
    Ended { began: bool },
}

async fn once(
    rig: &Rig,
    slot: &mut Slot,
    company: &Company,
    says: &watch::Sender<Standing>,
    stopped: &mut oneshot::Receiver<()>,
) -> Result<Once, HostError> {
    let nonce = Rig::nonce();
    let context = company.of.context(rig, nonce, company.seed32);
    let order: Vec<_> = company.tests.iter().map(|test| (test.clone(), 1)).collect();
    let command = rig.runner.run_again(&context, &order);
    let launch = company
        .of
        .launch(rig, command, &company.factors, company.seed32);
    let limits = JournalLimits::new(order.len(), rig.limits.output);
    let mut journal = Journal::of_run(nonce, limits, order.len());
    let mut running = slot.start(&launch).await?;
    let mut results = running.results().expect("nobody took it before");
    let mut output = running.output().expect("nobody took it before");
    let (mut results_open, mut output_open) = (true, true);
    let (mut records, mut chatter) = (vec![0; 4096], vec![0; 65_536]);
    let mut began = false;
    loop {
        tokio::select! {
            _ = &mut *stopped => {
                running.kill().await?;
                return Ok(Once::Stopped);
            }
            end = running.wait() => {
                end?;
                return Ok(Once::Ended { began });
            }
            read = results.read(&mut records), if results_open => {
                let read = read.unwrap_or(0);
                results_open = read > 0;
                let mut events = journal.feed(&records[..read]).into_iter();
                if !began && events.any(|event| matches!(event, JournalEvent::Started { .. })) {
                    began = true;
                    says.send_replace(Standing::Running);
                }
            }
            read = output.read(&mut chatter), if output_open => {
                output_open = read.unwrap_or(0) > 0;
            }
        }
    }
}
