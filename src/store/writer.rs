//! The one writer: a thread that owns the writing connection, and the handle that everyone else has.
//!
//! A call returns after its commit, but for [`Writer::record`], whose trials are committed together with
//! others. The first failure is final: the thread stops writing and every later call gets that same error,
//! because going on in memory would lose what was promised.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::StoreError;
use super::ballast::Ballast;
use super::book;
use super::desk::{Books, Command, Desk, Done, Health, Task};
use super::lock::Lock;
use super::open::{self, OpenOptions, StartReport};
use super::rows::{HuntRow, HuntStart, LeaseStart, RevisionId, RevisionStart};
use super::{AnalysisRow, FlagStart, ProbeBatch, flags, probes, segments, sql};
use crate::model::{
    EventRecord, HuntState, QuestionId, Reply, SegmentClose, SegmentOpen, ShardPlan, ShardState,
    TestId, TrialRecord, UnixMillis,
};

/// Commands that may wait for the thread; beyond it callers wait, so a slow disk cannot fill the memory.
/// It bounds a commit too, because the thread takes all that wait into one.
const QUEUE: usize = 64;

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

impl Writer {
    /// Opens a database for writing, making it if there is none, and starts its thread.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process (or another writer of this one) has it;
    /// `Newer`, `Foreign`, `Damaged` and `Network` leave the file as it is.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<(Self, StartReport), StoreError> {
        open::prepare_folder(path)?;
        let (lock, died) = Lock::take(path, options.now)?;
        let opened = open::open_for_writing(path, sql::STEPS, options.now);
        let (connection, mut report) = opened.map_err(|e| e.told_by(path))?;
        report.died = died;
        let ballast = Ballast::fill(path, options.reserve)?;
        let health = Arc::new(Health::default());
        let (commands, inbox) = mpsc::channel();
        let desk = Desk::new(
            connection,
            lock,
            ballast,
            Arc::clone(&health),
            path.to_owned(),
        );
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
        self.new_work(move |c, books| {
            book::plan_iteration(c, &mut books.names, hunt, revision, &shards)
        })
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
            queued,
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
        self.work(move |c, books| books.close(c, segment, &close, &trials))
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

    /// Closes the segments that dead hunts left open (while we hold the lock, all others are dead), as interrupted at their last recorded moment, and
    /// returns how many. Their trials stay, their shards stay open, nothing is invented.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn close_interrupted(&self) -> Result<u64, StoreError> {
        self.work(move |c, books| segments::close_interrupted(c, &mut books.names))
            .await
    }

    /// Commits probes of one question, with the question if it opens, before the first of them starts; returns
    /// their shards in the order given.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`]; [`StoreError::OutOfTurn`] when a question or a place was left out.
    pub async fn plan_probes(&self, batch: &ProbeBatch) -> Result<Vec<i64>, StoreError> {
        let batch = batch.clone();
        self.new_work(move |c, books| probes::plan(c, &mut books.names, &batch))
            .await
    }

    /// Commits what a probe showed, once. A shard that is still open is abandoned: a probe may be answered as void
    /// without having run.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn answer_probe(&self, shard: i64, reply: &Reply) -> Result<(), StoreError> {
        let reply = reply.clone();
        self.work(move |c, books| probes::answer(c, &mut books.names, shard, &reply))
            .await
    }

    /// Commits what a question of the hunt's suite came to, once.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn conclude(
        &self,
        hunt: i64,
        question: QuestionId,
        concluded: serde_json::Value,
    ) -> Result<(), StoreError> {
        self.work(move |c, _| probes::conclude(c, hunt, question, &concluded))
            .await
    }

    /// Commits a flag, and returns its row.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn raise_flag(&self, flag: FlagStart) -> Result<i64, StoreError> {
        self.work(move |c, books| flags::raise(c, &mut books.names, &flag))
            .await
    }

    /// Replaces how the analysis of the hunt's suite stands, and how each test does that is not above suspicion.
    ///
    /// # Errors
    /// As [`Writer::begin_hunt`].
    pub async fn put_analysis(
        &self,
        analysis: AnalysisRow,
        standings: Vec<(TestId, serde_json::Value)>,
    ) -> Result<(), StoreError> {
        self.work(move |c, books| flags::put_analysis(c, &mut books.names, &analysis, &standings))
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
        work: impl FnMut(&Connection, &mut Books) -> Result<T, StoreError> + Send + 'static,
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
        work: impl FnMut(&Connection, &mut Books) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(|done| Command::Work(Box::new(Task::new(work, done))))
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
