//! Runs an order on this machine itself, for a desk without containers: `replay --local`.

use std::{
    ffi::OsString,
    fs::File,
    io::Read,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use super::{record::Order, resolve::Target};
use crate::{
    command::{
        Context,
        session::{canonical_root, interpreter, runner},
    },
    config::Settings,
    error::{ExitCode, Failure},
    execute::{RecordedShard, Rig},
    model::{MonoMicros, Outcome, TrialRecord},
    plan::Tests,
    suite::{self, Journal, JournalEvent, JournalLimits, Runner, RunnerContext},
};

/// The project where it is, its interpreter, and a folder of our own for the driver and the results.
pub(super) struct Local {
    pub(super) tests: Arc<Tests>,
    runner: &'static dyn Runner,
    interpreter: PathBuf,
    root: PathBuf,
    args: Vec<OsString>,
    output_cap: usize,
    folder: Folder,
}

/// A private folder that goes when it is dropped.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "temporary folder not removed");
        }
    }
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::new(ExitCode::Internal, error)
}

impl Local {
    /// Finds the interpreter, puts the driver into a folder of ours, and lists the suite.
    ///
    /// # Errors
    /// [`Failure`] when there is no interpreter, or the suite does not list.
    pub(super) fn prepare(context: &Context, settings: &Settings) -> Result<Self, Failure> {
        let root = canonical_root(settings)?;
        let python = interpreter(context, settings, &root)?;
        let runner = runner(settings)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| broken(error.to_string()))?;
        let path =
            std::env::temp_dir().join(format!("soakhound-{:016x}", u64::from_le_bytes(random)));
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(broken)?;
        let folder = Folder(path);
        for (name, contents) in runner.files() {
            std::fs::write(folder.0.join(name), contents).map_err(broken)?;
        }
        let mut local = Self {
            tests: Arc::new(Tests::new(Vec::new(), |test| runner.module_of(test))),
            runner,
            interpreter: python.executable,
            root,
            args: settings.suite.args.iter().map(OsString::from).collect(),
            output_cap: usize::try_from(settings.limits.output_per_test).unwrap_or(usize::MAX),
            folder,
        };
        local.list()?;
        Ok(local)
    }

    fn context(&self, nonce: suite::Nonce, seed32: u32) -> RunnerContext<'_> {
        RunnerContext {
            interpreter: &self.interpreter,
            driver_dir: &self.folder.0,
            args: &self.args,
            nonce,
            output_cap: self.output_cap,
            seed32,
        }
    }

    fn list(&mut self) -> Result<(), Failure> {
        let nonce = Rig::nonce();
        let command = self.runner.list(&self.context(nonce, 0));
        let journal = Journal::listing(nonce, JournalLimits::new(0, self.output_cap));
        let events = self.talk(command, &[], journal)?;
        let (mut names, mut errors) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                JournalEvent::Item(test) => names.push(test),
                JournalEvent::CollectError { module, text } => {
                    let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    errors.push(format!("{}\n{}", part(&module), part(&text)));
                }
                JournalEvent::Untrusted(why) => errors.push(why.to_string()),
                JournalEvent::Started { .. }
                | JournalEvent::Ended { .. }
                | JournalEvent::Missing(_)
                | JournalEvent::Note(_)
                | JournalEvent::Versions { .. }
                | JournalEvent::Finished { .. } => {}
            }
        }
        if !errors.is_empty() {
            let message = format!("the suite does not collect:\n{}", errors.join("\n"));
            return Err(Failure::new(ExitCode::Suite, message));
        }
        if names.is_empty() {
            return Err(Failure::new(
                ExitCode::Suite,
                "the suite lists no tests on this machine",
            ));
        }
        let runner = self.runner;
        self.tests = Arc::new(Tests::new(names, |test| runner.module_of(test)));
        Ok(())
    }

    /// Runs the order once, each of its processes in turn.
    ///
    /// # Errors
    /// [`Failure`] when a process cannot be started; with 125 when the order needs more than processes.
    pub(super) fn run(&self, target: &Target) -> Result<RecordedShard, Failure> {
        if !target.beside.is_empty() {
            return Err(Failure::new(
                ExitCode::Inconclusive,
                "this order needs another test to run beside it, which takes containers",
            ));
        }
        let mut shard = RecordedShard::default();
        for (segment, order) in target.processes.iter().enumerate() {
            self.process(target, order, segment, &mut shard)?;
        }
        Ok(shard)
    }

    fn process(
        &self,
        target: &Target,
        order: &Order,
        segment: usize,
        shard: &mut RecordedShard,
    ) -> Result<(), Failure> {
        let nonce = Rig::nonce();
        let command = self.runner.run(&self.context(nonce, target.seed32), order);
        let journal = Journal::of_run(
            nonce,
            JournalLimits::new(order.len(), self.output_cap),
            order.len(),
        );
        let mut position = 0;
        let mut push = |index, outcome, detail, times: Times| {
            let trial = trial(order, position, index, outcome, detail, times);
            position += 1;
            shard.trials.push((segment, trial));
        };
        let mut current = None;
        for event in self.talk(command, &target.variables, journal)? {
            match event {
                JournalEvent::Started { index, at } => current = Some((index, at)),
                JournalEvent::Ended {
                    index,
                    outcome,
                    at,
                    detail,
                } => {
                    let started = current.take().map(|(_, at)| at);
                    let duration = started.map(|started| at.since(started));
                    push(index, outcome, detail, (started, duration));
                }
                JournalEvent::Untrusted(why) => {
                    let message = format!("what the tests reported cannot be believed: {why}");
                    return Err(Failure::new(ExitCode::Inconclusive, message));
                }
                JournalEvent::Item(_)
                | JournalEvent::CollectError { .. }
                | JournalEvent::Missing(_)
                | JournalEvent::Note(_)
                | JournalEvent::Versions { .. }
                | JournalEvent::Finished { .. } => {}
            }
        }
        if let Some((index, _)) = current {
            push(index, Outcome::Crashed, None, (None, None));
        }
        Ok(())
    }

    /// Starts a runner's process with its two descriptors, waits for its end, and reads its records.
    fn talk(
        &self,
        command: suite::Command,
        factors: &[(OsString, OsString)],
        mut journal: Journal,
    ) -> Result<Vec<JournalEvent>, Failure> {
        let (results, job) = (self.folder.0.join("results"), self.folder.0.join("job"));
        std::fs::write(&results, b"").map_err(broken)?;
        std::fs::write(&job, &command.job).map_err(broken)?;
        let mut process = Command::new("/bin/sh");
        process
            .args(["-c", "exec 3>>\"$0\" 4<\"$1\"; shift; exec \"$@\""])
            .arg(&results)
            .arg(&job)
            .args(&command.argv);
        process
            .envs(command.env)
            // Suites may ask for this before they do what only a container survives.
            .env_remove("SOAKHOUND")
            .envs(factors.iter().cloned())
            .current_dir(&self.root);
        process
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        process.status().map_err(broken)?;
        let mut events = Vec::new();
        let mut file = File::open(&results).map_err(broken)?;
        let mut buffer = vec![0; 65_536];
        loop {
            match file.read(&mut buffer).map_err(broken)? {
                0 => return Ok(events),
                read => events.extend(journal.feed(&buffer[..read])),
            }
        }
    }
}

/// Start and duration, as far as they are known.
type Times = (Option<MonoMicros>, Option<Duration>);

fn trial(
    order: &Order,
    position: u32,
    index: u32,
    outcome: Outcome,
    detail: Option<Vec<u8>>,
    (started, duration): Times,
) -> TrialRecord {
    let (test, rep) = order[index as usize].clone();
    TrialRecord {
        position,
        test,
        rep,
        outcome,
        started,
        duration,
        detail,
    }
}
