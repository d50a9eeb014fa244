//! The thread behind a [`super::Writer`]: it owns the writing connection, and whatever waits for it at one
//! moment it commits together. What a commit writes is decided elsewhere.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::StoreError;
use super::ballast::Ballast;
use super::book::Names;
use super::lock::Lock;
use super::segments::{self, Running};
use crate::model::{SegmentClose, TrialRecord};

/// Trials after which a group commit is not put off any longer: the price of a commit is spread well by then.
const GROUP_ROWS: usize = 250;

/// Longest time that a recorded trial waits for its commit.
const GROUP_DELAY: Duration = Duration::from_secs(1);

/// Closed trials after which the roll-ups are brought up to date; what is not in them is counted by readers.
const FOLD_ROWS: usize = 20_000;

/// Work between two checkpoints, in commits or fifty rows each: some thousand pages of log.
const CHECKPOINT_WORK: usize = 200;

/// Log frames (of 4 KiB) that a checkpoint could not clear beyond which someone should look: 256 MiB.
const STUCK_FRAMES: i64 = 65_536;

/// Where an answer goes.
pub(super) type Done<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the thread tells its callers at any time.
#[derive(Default)]
pub(super) struct Health {
    /// The error that stopped the writing.
    pub(super) failed: OnceLock<StoreError>,
    /// Was the disk full once? Then nothing new begins.
    pub(super) reserve_used: AtomicBool,
}

/// What a caller wants.
pub(super) enum Command {
    /// Trials to be committed within [`GROUP_DELAY`].
    Record {
        segment: i64,
        trials: Vec<TrialRecord>,
        done: Done<()>,
        queued: OwnedSemaphorePermit,
    },
    /// Something to be committed now.
    Work(Box<dyn Work>),
    /// Moves the log into the database.
    Checkpoint(Done<()>),
    /// Ends the thread.
    Shutdown(Done<()>),
}

/// One caller's part of a commit; `apply` may run twice, when the reserve had to be given up.
pub(super) trait Work: Send {
    fn apply(&mut self, connection: &Connection, books: &mut Books) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, result: Result<(), StoreError>);
}

/// Work as a closure, with what it returned last.
pub(super) struct Task<F, T> {
    work: F,
    value: Option<T>,
    done: Done<T>,
}

impl<F, T> Task<F, T> {
    pub(super) fn new(work: F, done: Done<T>) -> Self {
        Self {
            work,
            value: None,
            done,
        }
    }
}

impl<F, T> Work for Task<F, T>
where
    F: FnMut(&Connection, &mut Books) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn apply(&mut self, connection: &Connection, books: &mut Books) -> Result<(), StoreError> {
        self.value = Some((self.work)(connection, books)?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let value = self.value;
        let result = result.map(|()| value.expect("a commit that succeeded has applied its work"));
        // A caller that no longer waits needs no answer.
        drop(self.done.send(result));
    }
}

/// What is remembered between commits.
#[derive(Default)]
pub(super) struct Books {
    /// Rows of test names.
    pub(super) names: Names,
    /// Open segments that have trials, and those that the running commit closes.
    running: BTreeMap<i64, Running>,
    /// Closed trials that the roll-ups do not have yet.
    untallied: usize,
}

impl Books {
    fn record(
        &mut self,
        connection: &Connection,
        segment: i64,
        trials: &[TrialRecord],
    ) -> Result<&mut Running, StoreError> {
        let running = match self.running.entry(segment) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Running::load(connection, segment)?),
        };
        running.push(connection, &mut self.names, trials)?;
        Ok(running)
    }

    /// Writes the last trials of a segment and its end.
    pub(super) fn close(
        &mut self,
        connection: &Connection,
        segment: i64,
        close: &SegmentClose,
        trials: &[TrialRecord],
    ) -> Result<(), StoreError> {
        self.record(connection, segment, trials)?;
        let running = self.running.get_mut(&segment);
        let running = running.expect("recording has loaded it");
        running.close(connection, &mut self.names, close)
    }

    fn uncommitted(&self) -> usize {
        self.running.values().map(Running::uncommitted).sum()
    }

    /// Writes what goes along with every commit: the trials of open segments, and the roll-ups when due.
    fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        for running in self.running.values().filter(|r| !r.is_closed()) {
            running.write_batch(connection)?;
        }
        if self.untallied + self.closed() >= FOLD_ROWS {
            segments::fold(connection)?;
        }
        Ok(())
    }

    fn closed(&self) -> usize {
        let closed = self.running.values().filter(|r| r.is_closed());
        closed.map(Running::len).sum()
    }

    /// Remembers that all of it is committed, and returns how many trials were closed.
    fn committed(&mut self) -> usize {
        let closed = self.closed();
        self.untallied += closed;
        if self.untallied >= FOLD_ROWS {
            self.untallied = 0;
        }
        self.running.retain(|_, running| !running.is_closed());
        self.running.values_mut().for_each(Running::mark_committed);
        closed
    }
}

/// What the thread owns. The connection closes before the lock goes.
pub(super) struct Desk {
    connection: Connection,
    books: Books,
    /// Callers whose trials are recorded and not committed.
    waiting: Vec<Done<()>>,
    flush_at: Option<Instant>,
    work_since_checkpoint: usize,
    ballast: Ballast,
    health: Arc<Health>,
    path: PathBuf,
    _lock: Lock,
}

impl Desk {
    pub(super) fn new(
        connection: Connection,
        lock: Lock,
        ballast: Ballast,
        health: Arc<Health>,
        path: PathBuf,
    ) -> Self {
        Self {
            connection,
            books: Books::default(),
            waiting: Vec::new(),
            flush_at: None,
            work_since_checkpoint: 0,
            ballast,
            health,
            path,
            _lock: lock,
        }
    }

    /// Serves until it is told to end, or the last caller is gone.
    pub(super) fn serve(mut self, inbox: &mpsc::Receiver<Command>) {
        loop {
            let first = match self.flush_at {
                Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            if first
                .as_ref()
                .is_err_and(|e| *e == RecvTimeoutError::Disconnected)
            {
                if let Err(error) = self.attempt(Self::finish) {
                    tracing::error!(%error, "the last commit failed");
                }
                return;
            }
            // It ends: those who wait for an answer hold their places in the queue.
            let all: Vec<Command> = first.into_iter().chain(inbox.try_iter()).collect();
            if let Some(done) = self.take(all) {
                let result = self.attempt(Self::finish);
                drop(self);
                drop(done.send(result));
                return;
            }
        }
    }

    /// Does everything that was asked for in one commit; returns who asked for the end.
    fn take(&mut self, commands: Vec<Command>) -> Option<Done<()>> {
        let (mut works, mut checkpoints, mut shutdown) = (Vec::new(), Vec::new(), None);
        let mut places = Vec::new();
        for command in commands {
            match command {
                Command::Record {
                    segment,
                    trials,
                    done,
                    queued,
                } => {
                    places.push(queued);
                    match self.attempt(|desk| desk.record(segment, &trials)) {
                        Ok(()) => self.waiting.push(done),
                        error => drop(done.send(error)),
                    }
                }
                Command::Work(work) => works.push(work),
                Command::Checkpoint(done) => checkpoints.push(done),
                Command::Shutdown(done) => shutdown = Some(done),
            }
        }
        if !works.is_empty() || self.flush_due() {
            // Without works the error reaches the receipts, and every later call.
            let result = self.attempt(|desk| desk.commit(&mut works));
            for work in works {
                work.answer(result.clone());
            }
        }
        for done in checkpoints {
            drop(done.send(self.attempt(|desk| desk.checkpoint("PASSIVE"))));
        }
        shutdown
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
        self.flush_at
            .is_some_and(|at| self.books.uncommitted() >= GROUP_ROWS || Instant::now() >= at)
    }

    fn record(&mut self, segment: i64, trials: &[TrialRecord]) -> Result<(), StoreError> {
        self.books.record(&self.connection, segment, trials)?;
        self.flush_at
            .get_or_insert_with(|| Instant::now() + GROUP_DELAY);
        Ok(())
    }

    /// Commits these works and everything that waits.
    fn commit(&mut self, works: &mut [Box<dyn Work>]) -> Result<(), StoreError> {
        self.with_reserve(|desk| {
            let fail = |e| StoreError::query("commit", e);
            let transaction = desk
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(fail)?;
            for work in &mut *works {
                work.apply(&transaction, &mut desk.books)?;
            }
            desk.books.write(&transaction)?;
            transaction.commit().map_err(fail)
        })?;
        let closed = self.books.committed();
        self.flush_at = None;
        for done in self.waiting.drain(..) {
            drop(done.send(Ok(())));
        }
        self.work_since_checkpoint += 1 + closed / 50;
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
        self.books.untallied = FOLD_ROWS;
        self.commit(&mut [])?;
        self.checkpoint("TRUNCATE")
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
