//! What every worker of one session shares: the image, the runner, the limits, and where slots come from.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{
    container::{self, ContainerEnd, HostError, ImageSpec, Launch, RunDir, Rung, Slot, Spawner},
    model::{Clock, ListDigest, TestId},
    suite::{
        Command, DRIVER_DIR, Journal, JournalEvent, JournalLimits, Nonce, Runner, RunnerContext,
    },
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
    /// Returns the limit of a segment that is predicted to last `predicted`. The limit of one test comes on top:
    /// whoever begins within the shard's own limit reaches its own, or a test that hangs only after others would
    /// always be taken for innocent.
    #[must_use]
    pub fn for_segment(&self, predicted: Duration) -> Duration {
        let shard = self
            .shard
            .unwrap_or_else(|| (predicted * 3).max(Duration::from_mins(10)));
        shard.saturating_add(self.test)
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
    /// Versions of the runner and of its language.
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

/// Exit code of a runner that finds no test.
const NOTHING: i32 = 5;

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
    pub runner: &'static dyn Runner,
    /// The suite's interpreter, as the containers see it.
    pub interpreter: PathBuf,
    /// Arguments that the user gave for every list and every run.
    pub args: Vec<OsString>,
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
    pub next_slot: AtomicU32,
    /// Segments that run now, by worker.
    pub running: Mutex<BTreeMap<u32, i64>>,
}

impl Rig {
    /// Starts a new slot.
    ///
    /// # Errors
    /// When the slot's process cannot be made ready.
    pub async fn slot(&self) -> Result<Slot, HostError> {
        let index = self.next_slot.fetch_add(1, Ordering::Relaxed);
        Slot::spawn(&self.spawner, &self.run_dir, index, &self.image, self.rung).await
    }

    /// Puts a runner's command into words for a container; `overrides` win over all other variables.
    #[must_use]
    pub fn launch(&self, command: Command, overrides: &[(OsString, OsString)]) -> Launch {
        // Each name once: of two, programs disagree about which one counts.
        let env: BTreeMap<OsString, OsString> = self
            .env
            .iter()
            .cloned()
            .chain(command.env)
            .chain(overrides.iter().cloned())
            .collect();
        Launch {
            argv: command.argv,
            env: env.into_iter().collect(),
            cwd: self.cwd.clone(),
            hostname: "soakhound".to_owned(),
            limits: self.container_limits,
            job: command.job,
            harvest: None,
            list_changes: false,
        }
    }

    /// Returns what the runner must know for one process.
    #[must_use]
    pub fn context(&self, nonce: Nonce, seed32: u32) -> RunnerContext<'_> {
        RunnerContext {
            interpreter: &self.interpreter,
            driver_dir: Path::new(DRIVER_DIR),
            args: &self.args,
            nonce,
            output_cap: self.limits.output,
            seed32,
        }
    }

    /// Draws a nonce from the system.
    ///
    /// # Panics
    /// Never once the machine has booted: until then the kernel's random source does not answer.
    #[must_use]
    pub fn nonce() -> Nonce {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the kernel's random source answers after boot");
        Nonce::new(u128::from_le_bytes(bytes))
    }

    /// Lists the suite in a container of its own.
    ///
    /// # Errors
    /// [`ListingFailed`] says whether the host, the suite or the runner is the cause.
    pub async fn list(&self, slot: &mut Slot) -> Result<Listing, ListingFailed> {
        let limit = self.limits.for_segment(Duration::ZERO);
        let nonce = Self::nonce();
        // Listing loads every module of the suite. What it compiles is kept with the snapshot, or every later
        // container would compile it again.
        let cache = self.runner.cache();
        let let_write = cache.map(|cache| (cache.kept_out_by.into(), OsString::new()));
        let command = self.runner.list(&self.context(nonce, 0));
        let mut launch = self.launch(command, let_write.as_slice());
        launch.harvest = cache.map(|cache| cache.folder.to_owned());
        let journal = Journal::listing(nonce, JournalLimits::new(0, self.limits.output));
        let talk = converse(slot, &launch, journal, self.limits.output);
        let (end, events, output) = tokio::time::timeout(limit, talk)
            .await
            .map_err(|_| ListingFailed::TooLong(limit))??;
        let mut tests = Vec::new();
        let (mut errors, mut notes) = (Vec::new(), Vec::new());
        let (mut version, mut finished) = (None, None);
        for event in events {
            match event {
                JournalEvent::Item(test) => tests.push(test),
                JournalEvent::CollectError { module, text } => {
                    let (module, text) = (
                        String::from_utf8_lossy(&module),
                        String::from_utf8_lossy(&text),
                    );
                    errors.push(format!("{module}\n{text}"));
                }
                JournalEvent::Note(note) => notes.push(note),
                JournalEvent::Versions { runner, language } => {
                    version = Some(format!("{runner}, {language}"));
                }
                JournalEvent::Finished { exit } => finished = Some(exit),
                JournalEvent::Untrusted(why) => errors.push(why.to_string()),
                JournalEvent::Started { .. }
                | JournalEvent::Ended { .. }
                | JournalEvent::Missing(_) => {}
            }
        }
        if !errors.is_empty() {
            return Err(ListingFailed::Uncollectable(errors.join("\n")));
        }
        let listed = match finished {
            Some(0) => true,
            // pytest's word for "nothing collected", which every adapter maps to.
            Some(NOTHING) => tests.is_empty(),
            _ => false,
        };
        if !listed {
            notes.extend(errors);
            let said = notes.join("\n");
            let output = String::from_utf8_lossy(&output);
            return Err(ListingFailed::Broken {
                exit: end.exit.to_string(),
                output: format!("{}\n{said}", output.trim_end()),
            });
        }
        if tests.is_empty() {
            return Err(ListingFailed::Empty);
        }
        let digest = ListDigest::of(&tests);
        Ok(Listing {
            tests,
            digest,
            notes,
            version,
        })
    }
}

/// Runs a command that only answers, and gathers its answers.
async fn converse(
    slot: &mut Slot,
    launch: &Launch,
    mut journal: Journal,
    room: usize,
) -> Result<(ContainerEnd, Vec<JournalEvent>, Vec<u8>), HostError> {
    let mut running = slot.start(launch).await?;
    let mut results = running.results().expect("nobody took it before");
    let mut output = running.output().expect("nobody took it before");
    let mut events = Vec::new();
    let mut log = Capped::new(room);
    let (end, (), ()) = tokio::join!(
        running.wait(),
        pour(&mut results, |bytes| events.extend(journal.feed(bytes))),
        pour(&mut output, |bytes| log.push(bytes)),
    );
    Ok((end?, events, log.into_bytes()))
}

/// Reads a pipe to its end; an error of a pipe is its end.
async fn pour(source: &mut (impl AsyncRead + Unpin), mut take: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = source.read(&mut buffer).await {
        take(&buffer[..read]);
    }
}
