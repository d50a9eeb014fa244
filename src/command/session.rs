//! Everything that stands before the first container of a command: interpreter, snapshot, image, slots,
//! and the suite's list of tests.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicU32},
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use super::Context;
use crate::{
    config::{Settings, ShardLimit},
    container::{
        self, InjectedFile, RunDir, Rung, Slot, Spawner, default_base,
        image::{self, Request},
        probe,
        snapshot::{self, Snapshot},
        sweep,
    },
    error::{ExitCode, Failure},
    execute::{Event, Limits, Listing, Recorder, Rig, Stop, StoreRecorder, Worker},
    model::SystemClock,
    plan::Tests,
    store::{SuiteKey, Writer},
    suite::{
        self, DRIVER_DIR, Runner,
        interpreter::{Interpreter, Search},
    },
    ui::{Console, text},
};

/// Snapshots kept besides those in use: one to come back to.
const SNAPSHOTS_KEPT: usize = 2;

/// What a command that starts containers works with.
pub(super) struct Session {
    pub(super) rig: Arc<Rig>,
    pub(super) snapshot: Snapshot,
    /// Digest of what surrounds the project: the host's packages, the interpreter, the confinement.
    pub(super) environment: [u8; 32],
}

/// A session that knows its suite.
pub(super) struct Listed {
    pub(super) session: Session,
    pub(super) listing: Listing,
    pub(super) tests: Arc<Tests>,
    /// The slot that listed: it can run, too.
    pub(super) slot: Slot,
}

/// Returns the suite's runner.
pub(super) fn runner(settings: &Settings) -> Result<&'static dyn Runner, Failure> {
    suite::named(settings.suite.runner.word())
        .map_err(|error| Failure::new(ExitCode::Config, error))
}

/// Returns what names the suite in the store.
pub(super) fn suite_key(settings: &Settings) -> SuiteKey {
    SuiteKey {
        name: settings.suite.name.as_str().to_owned(),
        runner: settings.suite.runner.word().to_owned(),
    }
}

/// Returns the folder of everything that a suite leaves on this machine.
pub(super) fn state_folder(settings: &Settings) -> PathBuf {
    settings
        .store
        .path
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Asks the suite's interpreter about itself.
pub(super) fn interpreter(
    context: &Context,
    settings: &Settings,
    root: &Path,
) -> Result<Interpreter, Failure> {
    let variable = |name: &str| context.environment.get(&OsString::from(name));
    let path = variable("PATH").cloned().unwrap_or_default();
    Ok(Interpreter::discover(&Search {
        root,
        configured: settings.suite.python.as_deref(),
        virtual_env: variable("VIRTUAL_ENV").map(Path::new),
        path: &path,
    })?)
}

/// Returns the suite's root without links, as its tests will see it.
pub(super) fn canonical_root(settings: &Settings) -> Result<PathBuf, Failure> {
    let root = &settings.suite.root;
    root.canonicalize().map_err(|error| {
        Failure::new(
            ExitCode::Config,
            format!("cannot use the suite's root `{}`: {error}", root.display()),
        )
    })
}

impl Session {
    /// Makes everything ready for slots: sweeps what dead hunts left, takes the snapshot, composes the image.
    ///
    /// # Errors
    /// [`Failure`] with the exit code of the first thing that is missing.
    pub(super) async fn prepare(context: &Context, settings: &Settings) -> Result<Self, Failure> {
        let console = &context.console;
        container::may_run()?;
        let root = canonical_root(settings)?;
        let interpreter = interpreter(context, settings, &root)?;
        let base = default_base();
        let swept = sweep(&base)?;
        if !swept.runs.is_empty() {
            console.detail(&format!(
                "removed what {} left",
                text::plural(swept.runs.len() as u64, "dead hunt")
            ));
        }
        let run_dir = RunDir::create(&base)?;
        let owner = image::runner_of(&root)?;
        let snapshot = take_snapshot(settings, &root, &interpreter, owner, console)?;
        let home = image::make_home(run_dir.path(), owner)?;
        let private = [state_folder(settings), base];
        let needs = interpreter.needs();
        let mut image = image::default_image(&Request {
            host: Path::new("/"),
            project: &root,
            snapshot: &snapshot.path,
            home: &home,
            interpreter: &needs,
            private: &private,
            owner,
        })?;
        for note in &image.notes {
            console.note(&note.to_string());
        }
        let runner = runner(settings)?;
        image.spec.files.extend(
            runner
                .files()
                .into_iter()
                .map(|(path, contents)| InjectedFile {
                    path: Path::new(DRIVER_DIR).join(path),
                    contents,
                    mode: 0o444,
                }),
        );
        // Not the program's path: an upgrade during the night would put another version there.
        let spawner = Spawner::new("/proc/self/exe")?;
        let (rung, refusals) = probe(&spawner, &run_dir).await?;
        for refusal in &refusals {
            console.warn(&format!(
                "containers are less confined than they could be: {} refused: {}",
                refusal.rung, refusal.why
            ));
        }
        let env = image::environment(
            &interpreter.executable,
            &image.user,
            interpreter.user_base.as_deref(),
            &settings.suite.env_allow,
            &context.environment,
        );
        let environment = environment_digest(&interpreter, rung, &env)?;
        let rig = Rig {
            spawner,
            run_dir,
            image: image.spec,
            rung,
            runner,
            interpreter: interpreter.executable.clone(),
            args: settings.suite.args.iter().map(OsString::from).collect(),
            env,
            cwd: root,
            limits: limits(settings),
            container_limits: container::Limits {
                memory: Some(settings.limits.memory),
                pids: settings.limits.pids,
                cpus: settings.limits.cpus,
                tmp_bytes: settings.limits.tmp,
            },
            clock: Arc::new(SystemClock),
            next_slot: AtomicU32::new(0),
            running: Mutex::new(BTreeMap::new()),
        };
        Ok(Self {
            rig: Arc::new(rig),
            snapshot,
            environment,
        })
    }

    /// Does all that stands before the first shard: makes everything ready and lists the suite.
    ///
    /// # Errors
    /// As [`Session::prepare`] and [`Session::list`].
    pub(super) async fn listed(context: &Context, settings: &Settings) -> Result<Listed, Failure> {
        let session = Self::prepare(context, settings).await?;
        session.list(&context.console).await
    }

    /// Lists the suite in a container.
    ///
    /// # Errors
    /// [`Failure`]: 153 when the container did not run, 156 when the suite is empty or does not collect.
    pub(super) async fn list(self, console: &Console) -> Result<Listed, Failure> {
        let mut slot = self.rig.slot().await?;
        for note in slot.notes() {
            console.note(note);
        }
        let listing = self.rig.list(&mut slot).await?;
        for note in &listing.notes {
            console.note(&format!("{}: {note}", self.rig.runner.name()));
        }
        let runner = self.rig.runner;
        let tests = Tests::new(listing.tests.clone(), |test| runner.module_of(test));
        Ok(Listed {
            session: self,
            listing,
            tests: Arc::new(tests),
            slot,
        })
    }
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        test: settings.limits.test,
        shard: match settings.limits.shard {
            ShardLimit::Fixed(limit) => Some(limit),
            ShardLimit::Predicted { .. } => None,
        },
        output: usize::try_from(settings.limits.output_per_test).unwrap_or(usize::MAX),
    }
}

fn take_snapshot(
    settings: &Settings,
    root: &Path,
    interpreter: &Interpreter,
    owner: snapshot::Owner,
    console: &Console,
) -> Result<Snapshot, Failure> {
    let state = state_folder(settings);
    let store = state.join("snapshots");
    std::fs::create_dir_all(&store).map_err(|error| {
        Failure::new(
            ExitCode::Disk,
            format!("cannot make `{}`: {error}", store.display()),
        )
    })?;
    let source = snapshot::Source {
        root,
        extra: &interpreter.environments_below(root),
        exclude: &[state],
        owner,
    };
    let mut told = false;
    let snapshot = Snapshot::take(&source, &store, &mut |progress| {
        if !told && progress.of > 20_000 {
            told = true;
            console.note(&format!(
                "taking a snapshot of {} files",
                text::count(progress.of as u64)
            ));
        }
    })?;
    for note in &snapshot.notes {
        console.detail(&note.to_string());
    }
    // Old copies only cost disk: a failure to remove one is no reason not to hunt.
    if let Err(error) = snapshot::prune(&store, SNAPSHOTS_KEPT) {
        console.warn(&format!("cannot remove old snapshots: {error}"));
    }
    Ok(snapshot)
}

fn environment_digest(
    interpreter: &Interpreter,
    rung: Rung,
    env: &[(OsString, OsString)],
) -> Result<[u8; 32], Failure> {
    let mut hasher = blake3::Hasher::new_derive_key("soakhound 2026 environment digest v1");
    hasher.update(image::host_fingerprint(Path::new("/"))?.as_bytes());
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(interpreter.executable.as_os_str().as_encoded_bytes());
    part(interpreter.version.as_bytes());
    part(interpreter.pytest.as_bytes());
    part(rung.to_string().as_bytes());
    for (name, value) in env {
        part(name.as_encoded_bytes());
        part(value.as_encoded_bytes());
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Workers, mostly such as record into the database, and what they say.
pub(super) struct Crew<R = StoreRecorder> {
    /// Keeps the slots' folders; to be dropped when the last worker is done.
    pub(super) session: Session,
    pub(super) workers: Vec<Worker<R>>,
    pub(super) events: mpsc::Receiver<Event>,
}

impl Listed {
    /// Makes as many workers as the settings say; the first goes on in the slot that listed.
    pub(super) fn crew(
        self,
        settings: &Settings,
        writer: &Writer,
        hunt: i64,
        stop: &watch::Sender<Stop>,
    ) -> Crew {
        let recorder = StoreRecorder {
            writer: writer.clone(),
            folder: state_folder(settings),
            hunt,
        };
        self.crew_with(settings, &recorder, stop)
    }

    /// As [`crew`](Self::crew), with another recorder.
    pub(super) fn crew_with<R: Recorder>(
        self,
        settings: &Settings,
        recorder: &R,
        stop: &watch::Sender<Stop>,
    ) -> Crew<R> {
        let (said, events) = mpsc::channel(EVENTS);
        let Self { session, slot, .. } = self;
        let mut first = Some(slot);
        let worker = |index| {
            let (rig, recorder) = (Arc::clone(&session.rig), recorder.clone());
            let (said, stop) = (said.clone(), stop.subscribe());
            Worker::new(index, rig, first.take(), recorder, said, stop)
        };
        let workers = (0..u32::from(settings.hunt.workers.get()))
            .map(worker)
            .collect();
        Crew {
            session,
            workers,
            events,
        }
    }
}

/// Events that may wait for a command before workers wait for it.
const EVENTS: usize = 1024;

/// How long `--for` or a prediction is, at most: longer ones would overflow the clock.
pub(super) const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);
