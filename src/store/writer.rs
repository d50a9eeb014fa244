//! The one writer: a thread that owns the writing connection, and the handle that everyone else has.
//!
//! A call returns after its commit, but for [`Writer::record`], whose trials are committed together with
//! others. The first failure is final: the thread stops writing and every later call gets that same error,
//! because going on in memory would lose what was promised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::StoreError;
use super::ballast::Ballast;
use super::book::{self, Names};
use super::lock::Lock;
use super::open::{self, OpenOptions, StartReport};
use super::rows::{HuntRow, HuntStart, LeaseStart, RevisionId, RevisionStart};
use super::segments::{self, Running};
use crate::model::{
    EventRecord, HuntState, SegmentClose, SegmentOpen, ShardPlan, ShardState, TrialRecord,
    UnixMillis,
};

/// Trials after which a group commit is not put off any longer: the price of a commit is spread well by then.
const GROUP_ROWS: usize = 250;

/// Longest time that a recorded trial waits for its commit.
const GROUP_DELAY: Duration = Duration::from_secs(1);

/// Commands that may wait for the thread; beyond it callers wait, so a slow disk cannot fill the memory.
const QUEUE: usize = 64;

/// Closed trials after which the roll-ups are brought up to date; what is not in them is counted by readers.
const FOLD_ROWS: u64 = 20_000;

/// Work between two checkpoints, in commits or fifty rows each: some thousand pages of log.
const CHECKPOINT_WORK: u64 = 200;

/// Log frames (of 4 KiB) that a checkpoint could not clear beyond which someone should look: 256 MiB.
const STUCK_FRAMES: i64 = 65_536;

type Done<T> = oneshot::Sender<Result<T, StoreError>>;

/// Handle to the writing thread; clones share it. The thread ends at [`Writer::shutdown`], or by itself
/// after the last handle is gone and everything is written.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    commands: mpsc::Sender<Command>,
    queue: Arc<Semaphore>,
    health: Arc<Health>,
    path: PathBuf,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread tells its callers at any time.
#[derive(Default)]
struct Health {
    failed: OnceLock<StoreError>,
    reserve_used: AtomicBool,
}

/// Resolves when the trials of one [`Writer::record`] are committed. It may be dropped.
pub struct Receipt(oneshot::Receiver<Result<(), StoreError>>);

impl Receipt {
    /// Waits for the commit.
    ///
    /// # Errors
    /// The error that stopped the writer.
    pub async fn committed(self) -> Result<(), StoreError> {
        self.0.await.unwrap_or(Err(StoreError::ShutDown))
    }
}

enum Command {
    Record {
        segment: i64,
        trials: Vec<TrialRecord>,
        done: Done<()>,
        _queued: OwnedSemaphorePermit,
    },
    Close {
        segment: i64,
        close: Box<SegmentClose>,
        trials: Vec<TrialRecord>,
        done: Done<()>,
    },
    Work(Box<dyn Work>),
    Checkpoint(Done<()>),
    Shutdown(Done<()>),
}

/// One commit of a caller; `apply` may run twice, when the reserve had to be given up.
trait Work: Send {
    fn apply(&mut self, connection: &Connection, names: &mut Names) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, result: Result<(), StoreError>);
}

struct Task<F, T> {
    work: F,
    value: Option<T>,
    done: Done<T>,
}

impl<F, T> Work for Task<F, T>
where
    F: FnMut(&Connection, &mut Names) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn apply(&mut self, connection: &Connection, names: &mut Names) -> Result<(), StoreError> {
        self.value = Some((self.work)(connection, names)?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let value = self.value;
        let result = result.map(|()| value.expect("a commit that succeeded has applied its work"));
        // A caller that no longer waits needs no answer.
        drop(self.done.send(result));
    }
}

impl Writer {
    /// Opens a database for writing, making it if there is none, and starts its thread.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process (or another writer of this one) has it;
    /// `Newer`, `Foreign`, `Damaged` and `Network` leave the file as it is.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<(Self, StartReport), StoreError> {
        open::prepare_folder(path)?;
        let (lock, died) = Lock::take(path, options.now)?;
        let opened = open::open_for_writing(path, options.now);
        let (connection, mut report) = opened.map_err(|e| e.told_by(path))?;
        report.died = died;
        let ballast = Ballast::fill(path, options.reserve)?;
        let health = Arc::new(Health::default());
        let (commands, inbox) = mpsc::channel();
        let desk = Desk {
            connection,
            names: Names::default(),
            running: BTreeMap::new(),
            waiting: Vec::new(),
            flush_at: None,
            untallied: 0,
            work_since_checkpoint: 0,
            ballast,
            health: Arc::clone(&health),
            path: path.to_owned(),
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || desk.serve(&inbox));
        let thread = Mutex::new(Some(thread.map_err(|e| StoreError::io(path, e))?));
        let queue = Arc::new(Semaphore::new(QUEUE));
        let shared = Shared {
            commands,
            queue,
            health,
            path: path.to_owned(),
            thread,
        };
        Ok((
            Self {
                shared: Arc::new(shared),
            },
            report,
        ))
    }

    /// Begins a hunt.
    ///
    /// # Errors
    /// The error that stopped the writer, now or before; so for all methods below.
    pub async fn begin_hunt(&self, start: &HuntStart) -> Result<HuntRow, StoreError> {
        let start = start.clone();
        self.new_work(move |c, _| book::begin_hunt(c, &start)).await
    }

    /// Takes up a hunt again, with a new process and perhaps another end.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn resume_hunt(
        &self,
        hunt: i64,
        ends: Option<UnixMillis>,
        lease: &LeaseStart,
    ) -> Result<HuntRow, StoreError> {
        let lease = lease.clone();
        self.new_work(move |c, _| book::resume_hunt(c, hunt, ends, &lease))
            .await
    }

    /// Returns the newest revision of a suite if nothing differs from it, otherwise registers a new one.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn register_revision(&self, start: &RevisionStart) -> Result<RevisionId, StoreError> {
        let start = start.clone();
        self.new_work(move |c, _| book::register_revision(c, &start))
            .await
    }

    /// Commits all shards of one iteration before the first of them starts, and returns their rows in the
    /// order given.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`]; [`StoreError::MixedPlan`] when the shards are not of one iteration.
    pub async fn plan_iteration(
        &self,
        hunt: i64,
        revision: RevisionId,
        shards: &[ShardPlan],
    ) -> Result<Vec<i64>, StoreError> {
        let shards = shards.to_vec();
        self.new_work(move |c, names| book::plan_iteration(c, names, hunt, revision, &shards))
            .await
    }

    /// Commits the start of a segment, before its container starts, and returns its row.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`]; [`StoreError::DiskFull`] when the reserve had to be given up: what is
    /// running can still be closed, but nothing new begins.
    pub async fn open_segment(&self, open: &SegmentOpen) -> Result<i64, StoreError> {
        let open = open.clone();
        self.new_work(move |c, _| segments::open(c, &open)).await
    }

    /// Queues trials of an open segment, in order of position; they are committed within a second.
    ///
    /// Waits while the queue is full. Trials recorded before are accepted again if they are the same.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`]. Errors of these trials come with the receipt, and from every later call.
    pub async fn record(
        &self,
        segment: i64,
        trials: Vec<TrialRecord>,
    ) -> Result<Receipt, StoreError> {
        let queue = Arc::clone(&self.shared.queue);
        let queued = queue
            .acquire_owned()
            .await
            .map_err(|_| StoreError::ShutDown)?;
        let (done, receipt) = oneshot::channel();
        self.send(Command::Record {
            segment,
            trials,
            done,
            _queued: queued,
        })?;
        Ok(Receipt(receipt))
    }

    /// Commits the last trials of a segment together with its end.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn close_segment(
        &self,
        segment: i64,
        close: SegmentClose,
        trials: Vec<TrialRecord>,
    ) -> Result<(), StoreError> {
        self.ask(|done| Command::Close {
            segment,
            close: Box::new(close),
            trials,
            done,
        })
        .await
    }

    /// Closes a shard; one that is finished must have exactly one outcome for each planned trial.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`]; [`StoreError::Unfinished`] when it has not.
    pub async fn close_shard(&self, shard: i64, state: ShardState) -> Result<(), StoreError> {
        self.work(move |c, _| book::close_shard(c, shard, state))
            .await
    }

    /// Closes the segments that a dead hunt left open, as interrupted at their last recorded moment, and
    /// returns how many. Their trials stay, their shards stay open, nothing is invented.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn close_interrupted(&self, hunt: i64) -> Result<u64, StoreError> {
        self.work(move |c, names| segments::close_interrupted(c, names, hunt))
            .await
    }

    /// Keeps an event.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn event(&self, hunt: Option<i64>, event: EventRecord) -> Result<(), StoreError> {
        self.work(move |c, _| book::event(c, hunt, &event)).await
    }

    /// Says that the hunt is alive.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn heartbeat(&self, hunt: i64, at: UnixMillis) -> Result<(), StoreError> {
        self.work(move |c, _| book::heartbeat(c, hunt, at)).await
    }

    /// Says how the hunt stands from now on; `Finished`, `Interrupted` and `Failed` end it at `at`.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn set_hunt_state(
        &self,
        hunt: i64,
        state: HuntState,
        reason: Option<String>,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.work(move |c, _| book::set_hunt_state(c, hunt, state, reason.as_deref(), at))
            .await
    }

    /// Moves the write-ahead log into the database, as far as readers let it.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        self.ask(Command::Checkpoint).await
    }

    /// Writes everything, clears the write-ahead log, gives the lock back and ends the thread.
    ///
    /// # Errors
    /// The error that stopped the writer, now or before.
    pub async fn shutdown(&self) -> Result<(), StoreError> {
        let result = self.ask(Command::Shutdown).await;
        self.join();
        result
    }

    /// Does the same as [`Writer::shutdown`] where there is no runtime.
    ///
    /// # Errors
    /// As [`Writer::shutdown`].
    ///
    /// # Panics
    /// Inside an asynchronous task.
    pub fn shutdown_blocking(&self) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        self.send(Command::Shutdown(done))?;
        let result = answer
            .blocking_recv()
            .unwrap_or_else(|_| Err(self.stopped()));
        self.join();
        result
    }

    fn join(&self) {
        let thread = self
            .shared
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|t| t.join().is_err()) {
            tracing::error!("the store's thread panicked");
        }
    }

    /// Commits what begins something new: not once the reserve is used up.
    async fn new_work<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection, &mut Names) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.shared.health.reserve_used.load(Ordering::Acquire) {
            return Err(StoreError::DiskFull {
                path: self.shared.path.clone(),
            });
        }
        self.work(work).await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection, &mut Names) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(|done| {
            Command::Work(Box::new(Task {
                work,
                value: None,
                done,
            }))
        })
        .await
    }

    async fn ask<T>(&self, command: impl FnOnce(Done<T>) -> Command) -> Result<T, StoreError> {
        let queued = self
            .shared
            .queue
            .acquire()
            .await
            .map_err(|_| StoreError::ShutDown)?;
        let (done, answer) = oneshot::channel();
        self.send(command(done))?;
        let result = answer.await.unwrap_or_else(|_| Err(self.stopped()));
        drop(queued);
        result
    }

    fn send(&self, command: Command) -> Result<(), StoreError> {
        if let Some(error) = self.shared.health.failed.get()
            && !matches!(command, Command::Shutdown(_))
        {
            return Err(error.clone());
        }
        self.shared
            .commands
            .send(command)
            .map_err(|_| self.stopped())
    }

    fn stopped(&self) -> StoreError {
        self.shared
            .health
            .failed
            .get()
            .cloned()
            .unwrap_or(StoreError::ShutDown)
    }
}

/// Runs a checkpoint and returns the frames that are still in the log; a reader may hold some back.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> Result<i64, StoreError> {
    let mut left = 0;
    let read = |row: &rusqlite::Row| {
        left = row.get::<_, i64>(1)? - row.get::<_, i64>(2)?;
        Ok(())
    };
    connection
        .pragma(None, "wal_checkpoint", mode, read)
        .map_err(|e| StoreError::query("wal_checkpoint", e))?;
    Ok(left)
}

/// What the thread owns. The connection closes before the lock goes.
struct Desk {
    connection: Connection,
    names: Names,
    running: BTreeMap<i64, Running>,
    /// Callers of `record` whose trials are not committed.
    waiting: Vec<Done<()>>,
    flush_at: Option<Instant>,
    untallied: u64,
    work_since_checkpoint: u64,
    ballast: Ballast,
    health: Arc<Health>,
    path: PathBuf,
    _lock: Lock,
}

impl Desk {
    fn serve(mut self, inbox: &mpsc::Receiver<Command>) {
        loop {
            let command = match self.flush_at {
                Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match command {
                Ok(Command::Shutdown(done)) => {
                    let result = self.attempt(Self::finish);
                    drop(self);
                    drop(done.send(result));
                    return;
                }
                Ok(command) => self.take(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    if let Err(error) = self.attempt(Self::finish) {
                        tracing::error!(%error, "the last commit failed");
                    }
                    return;
                }
            }
            if self.flush_due() {
                // The error reaches the receipts, and every later call.
                drop(self.attempt(|desk| desk.commit(&mut |_, _| Ok(()))));
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Record {
                segment,
                trials,
                done,
                ..
            } => match self.attempt(|desk| desk.record(segment, trials)) {
                Ok(()) => self.waiting.push(done),
                error => drop(done.send(error)),
            },
            Command::Close {
                segment,
                close,
                trials,
                done,
            } => {
                drop(done.send(self.attempt(|desk| desk.close(segment, &close, trials))));
            }
            Command::Work(mut work) => {
                let result = self.attempt(|desk| desk.commit(&mut |c, names| work.apply(c, names)));
                work.answer(result);
            }
            Command::Checkpoint(done) | Command::Shutdown(done) => {
                drop(done.send(self.attempt(|desk| desk.checkpoint("PASSIVE"))));
            }
        }
    }

    /// Does something unless the writer has failed; makes a failure final.
    fn attempt<T>(
        &mut self,
        action: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(error) = self.health.failed.get() {
            return Err(error.clone());
        }
        action(self).inspect_err(|error| {
            let error = self.health.failed.get_or_init(|| error.clone());
            tracing::error!(%error, "the record cannot be written");
            self.flush_at = None;
            for done in self.waiting.drain(..) {
                drop(done.send(Err(error.clone())));
            }
        })
    }

    fn flush_due(&self) -> bool {
        let rows: usize = self.running.values().map(Running::uncommitted).sum();
        self.flush_at
            .is_some_and(|at| rows >= GROUP_ROWS || Instant::now() >= at)
    }

    fn running(&mut self, segment: i64) -> Result<&mut Running, StoreError> {
        use std::collections::btree_map::Entry;
        match self.running.entry(segment) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(Running::load(&self.connection, segment)?)),
        }
    }

    fn record(&mut self, segment: i64, trials: Vec<TrialRecord>) -> Result<(), StoreError> {
        self.running(segment)?;
        let running = self
            .running
            .get_mut(&segment)
            .expect("it was loaded just now");
        running.push(&self.connection, &mut self.names, trials)?;
        self.flush_at
            .get_or_insert_with(|| Instant::now() + GROUP_DELAY);
        Ok(())
    }

    fn close(
        &mut self,
        segment: i64,
        close: &SegmentClose,
        trials: Vec<TrialRecord>,
    ) -> Result<(), StoreError> {
        self.record(segment, trials)?;
        let running = self
            .running
            .remove(&segment)
            .expect("recording has loaded it");
        let mut rows = 0;
        let untallied = self.untallied;
        self.commit(&mut |connection, names| {
            rows = running.close(connection, names, close)?;
            if untallied + rows >= FOLD_ROWS {
                segments::fold(connection)
            } else {
                Ok(())
            }
        })?;
        self.untallied += rows;
        if self.untallied >= FOLD_ROWS {
            self.untallied = 0;
        }
        self.work_since_checkpoint += rows / 50;
        Ok(())
    }

    /// Commits everything that waits, together with `work`.
    fn commit(
        &mut self,
        work: &mut dyn FnMut(&Connection, &mut Names) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.with_reserve(|desk| {
            let fail = |e| StoreError::query("commit", e);
            let transaction = desk
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(fail)?;
            for running in desk.running.values() {
                running.write_batch(&transaction)?;
            }
            work(&transaction, &mut desk.names)?;
            transaction.commit().map_err(fail)
        })?;
        self.running.values_mut().for_each(Running::mark_committed);
        self.flush_at = None;
        for done in self.waiting.drain(..) {
            drop(done.send(Ok(())));
        }
        self.work_since_checkpoint += 1;
        if self.work_since_checkpoint >= CHECKPOINT_WORK {
            self.checkpoint("PASSIVE")?;
        }
        Ok(())
    }

    /// Writes; where no space is left, gives up the reserve and writes once more.
    fn with_reserve(
        &mut self,
        mut write: impl FnMut(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let result = match write(self) {
            Err(error) if error.is_full() => {
                self.health.reserve_used.store(true, Ordering::Release);
                if self.ballast.release()? {
                    write(self)
                } else {
                    Err(error)
                }
            }
            other => other,
        };
        result.map_err(|e| e.told_by(&self.path))
    }

    fn checkpoint(&mut self, mode: &str) -> Result<(), StoreError> {
        self.work_since_checkpoint = 0;
        self.with_reserve(|desk| {
            let left = checkpoint(&desk.connection, mode)?;
            if left > STUCK_FRAMES {
                tracing::warn!(
                    frames = left,
                    "a reader keeps the write-ahead log from shrinking"
                );
            }
            Ok(())
        })
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.commit(&mut |connection, _| segments::fold(connection))?;
        self.checkpoint("TRUNCATE")
    }
}
