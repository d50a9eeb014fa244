//! What every worker of one session shares: the image, the runner, the limits, and where slots come from.

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Mutex;

use crate::{
    container::{self, ContainerEnd, HostError, ImageSpec, Launch, RunDir, Rung, Slot, Spawner},
    model::{Clock, ListDigest, TestId},
    suite::{Command, Journal, JournalEvent, Runner, RunnerContext},
};

use super::Capped;

/// Limits of time and of output; those of memory and processes are the container's.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time for one test.
    pub test: Duration,
    /// Longest time for one segment; `None` means three times what is predicted, at least ten minutes.
    pub shard: Option<Duration>,
    /// Bytes of a segment's output that are kept.
    pub output: usize,
}

impl Limits {
    /// Returns the limit of a segment that is predicted to last `predicted`.
    #[must_use]
    pub fn for_segment(&self, predicted: Duration) -> Duration {
        self.shard.unwrap_or_else(|| (predicted * 3).max(Duration::from_secs(600))).max(self.test)
    }
}

/// The suite as its runner lists it.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The tests in default order, each once.
    pub tests: Vec<TestId>,
    /// Digest of that list.
    pub digest: ListDigest,
    /// What the runner wanted to say, such as plugins whose effect is switched off.
    pub notes: Vec<String>,
    /// The runner's own version.
    pub version: Option<String>,
}

/// Why a suite could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListingFailed {
    /// The container did not run.
    #[error("the container that lists the tests did not run")]
    Host(#[from] HostError),
    /// The suite's own code failed while it was collected.
    #[error("the suite does not collect:\n{0}")]
    Uncollectable(String),
    /// It collected, and there is nothing in it.
    #[error("the suite has no tests")]
    Empty,
    /// The runner ended before its list did.
    #[error("the runner ended with {exit} before it had listed the tests:\n{output}")]
    Broken {
        /// How it ended.
        exit: String,
        /// The end of what it printed.
        output: String,
    },
    /// It took longer than a shard may.
    #[error("listing the tests took longer than {} s", .0.as_secs())]
    TooLong(Duration),
}

/// What every worker shares.
pub struct Rig {
    /// Spawns slot processes from its one long-lived thread.
    pub spawner: Spawner,
    /// This session's folder and lock; dropped last, removes them.
    pub run_dir: RunDir,
    /// What the containers see.
    pub image: ImageSpec,
    /// How strongly they are confined.
    pub rung: Rung,
    /// The test runner.
    pub runner: Arc<dyn Runner>,
    /// What the runner needs to know of this suite; the nonce and the seed are set per segment.
    pub context: RunnerContext,
    /// Environment from the allow-list.
    pub env: Vec<(OsString, OsString)>,
    /// The project's own path.
    pub cwd: PathBuf,
    /// Limits of time and output.
    pub limits: Limits,
    /// Limits of the container.
    pub container_limits: container::Limits,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Hands out the next slot's index: a slot that was lost is replaced under a new one.
    pub next_slot: Mutex<u32>,
}

impl Rig {
    /// Starts a new slot.
    ///
    /// # Errors
    /// When the slot's process cannot be made ready.
    pub async fn slot(&self) -> Result<Slot, HostError> {
        let mut next = self.next_slot.lock().await;
        let index = *next;
        *next += 1;
        drop(next);
        Slot::spawn(&self.spawner, &self.run_dir, index, &self.image, self.rung).await
    }

    /// Puts a runner's command into words for a container.
    #[must_use]
    pub fn launch(&self, command: Command, factors: &[(OsString, OsString)]) -> Launch {
        let mut env = self.env.clone();
        env.extend(command.env);
        env.extend(factors.iter().cloned());
        Launch {
            argv: command.argv,
            env,
            cwd: self.cwd.clone(),
            hostname: "soakhound".to_owned(),
            limits: self.container_limits.clone(),
            job: command.job,
        }
    }

    /// Returns a fresh nonce: 128 bits in hexadecimal.
    #[must_use]
    pub fn nonce() -> String {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).expect("the kernel's random source answers after boot");
        blake3::Hash::from_bytes({
            let mut wide = [0_u8; 32];
            wide[..16].copy_from_slice(&bytes);
            wide
        })
        .to_hex()[..32]
            .to_owned()
    }

    /// Lists the suite in a container of its own.
    ///
    /// # Errors
    /// [`ListingFailed`] says whether the host, the suite or the runner is the cause.
    pub async fn list(&self, slot: &mut Slot) -> Result<Listing, ListingFailed> {
        let limit = self.limits.for_segment(Duration::ZERO);
        let mut context = self.context.clone();
        context.nonce = Self::nonce();
        let launch = self.launch(self.runner.list(&context), &[]);
        let (end, mut journal, events, output) =
            tokio::time::timeout(limit, converse(slot, &launch, &context.nonce, self.limits.output))
                .await
                .map_err(|_| ListingFailed::TooLong(limit))??;
        let mut tests = Vec::new();
        let (mut errors, mut notes) = (Vec::new(), Vec::new());
        let (mut version, mut finished) = (None, false);
        for event in events.into_iter().chain(journal.push(b"")) {
            match event {
                JournalEvent::Item(test) => tests.push(test),
                JournalEvent::CollectError { place, text } => {
                    errors.push(format!("{place}\n{}", String::from_utf8_lossy(&text)));
                }
                JournalEvent::Note(note) => notes.push(note),
                JournalEvent::Versions { runner, .. } => version = Some(runner),
                JournalEvent::Finished { .. } => finished = true,
                JournalEvent::Untrusted(why) => notes.push(why.to_string()),
                JournalEvent::Started { .. } | JournalEvent::Ended { .. } | JournalEvent::Missing(_) => {}
            }
        }
        if !errors.is_empty() {
            return Err(ListingFailed::Uncollectable(errors.join("\n")));
        }
        if !finished {
            let output = String::from_utf8_lossy(&output).into_owned();
            return Err(ListingFailed::Broken { exit: end.exit.to_string(), output });
        }
        if tests.is_empty() {
            return Err(ListingFailed::Empty);
        }
        let digest = ListDigest::of(&tests);
        Ok(Listing { tests, digest, notes, version })
    }
}

/// Runs a command that only answers, and gathers its answers.
async fn converse(
    slot: &mut Slot,
    launch: &Launch,
    nonce: &str,
    room: usize,
) -> Result<(ContainerEnd, Journal, Vec<JournalEvent>, Vec<u8>), HostError> {
    use tokio::io::AsyncReadExt;
    let mut running = slot.start(launch).await?;
    let (mut results, mut output) = (running.results(), running.output());
    let mut journal = Journal::for_list(nonce);
    let mut events = Vec::new();
    let mut log = Capped::new(room);
    let read_results = async {
        let mut buffer = vec![0; 65_536];
        while let Ok(read @ 1..) = results.read(&mut buffer).await {
            events.extend(journal.push(&buffer[..read]));
        }
    };
    let read_output = async {
        let mut buffer = vec![0; 65_536];
        while let Ok(read @ 1..) = output.read(&mut buffer).await {
            log.push(&buffer[..read]);
        }
    };
    let (end, (), ()) = tokio::join!(running.wait(), read_results, read_output);
    Ok((end?, journal, events, log.into_bytes()))
}
