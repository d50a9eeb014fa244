//! Deals the stream of shards out to free workers, without a barrier between iterations, until the stream
//! or the hunt ends.

use std::{future::Future, sync::Arc};

use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
};

use super::{Assignment, Event, Recorder, ShardEnd, Stop, Worker};
use crate::store::StoreError;

/// Where shards come from.
pub trait Source: Send {
    /// Plans the next shard and says what a free worker does, the plan durable already.
    fn next(&mut self) -> impl Future<Output = Result<Next, StoreError>> + Send;
    /// Hears that a shard is over, in the order they end.
    fn ended(
        &mut self,
        shard: i64,
        end: ShardEnd,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What a source has for a free worker.
#[derive(Clone, Debug)]
pub enum Next {
    /// This.
    Shard(Box<Assignment>),
    /// Nothing now; there may be something once a shard is over, or once the source wakes the dispatch.
    Wait,
    /// Nothing any more.
    Done,
}

/// Why a dispatch came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatched {
    /// The source had no more.
    Exhausted,
    /// We were asked to stop.
    Stopped(Stop),
    /// The host failed on one shard after the other.
    HostBroken,
    /// The suite did not collect.
    Uncollected,
}

/// What a dispatch works with.
pub struct Dispatch<'a, S, R, F> {
    /// Where shards come from.
    pub source: &'a mut S,
    /// The workers, all idle.
    pub workers: Vec<Worker<R>>,
    /// What the workers say.
    pub events: mpsc::Receiver<Event>,
    /// What the hunt as a whole is doing; may be moved on from here.
    pub stop: watch::Sender<Stop>,
    /// Rung by a source that had nothing and has something now.
    pub wake: Arc<Notify>,
    /// Hears every event and, twice a second, a tick (`None`), with the number of busy workers.
    pub hear: F,
}

/// A shard that is over.
struct Ended {
    shard: i64,
    is_probe: bool,
    end: Result<ShardEnd, StoreError>,
}

/// How many shards in a row may be given up, per worker, before the hunt stops: more would only make a broken
/// night longer, and each was tried several times.
const BROKEN_IN_A_ROW: usize = 3;

impl<S: Source, R: Recorder, F> Dispatch<'_, S, R, F>
where
    F: AsyncFnMut(Option<Event>, usize) -> Result<(), StoreError>,
{
    /// Runs until the source is exhausted or the hunt is stopped, and every worker is idle again.
    ///
    /// # Errors
    /// When the record is broken. Nothing new starts then; what runs may still be closed, as far as the record
    /// takes it.
    ///
    /// # Panics
    /// When a worker's task panicked.
    pub async fn run(mut self) -> Result<Dispatched, StoreError> {
        let mut idle = std::mem::take(&mut self.workers);
        let workers = idle.len();
        idle.reverse();
        let mut busy: JoinSet<(Worker<R>, Ended)> = JoinSet::new();
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut stop = self.stop.subscribe();
        let (mut exhausted, mut given_up, mut verdict) = (false, 0, None);
        let mut broken: Option<StoreError> = None;
        loop {
            let mut waits = false;
            while !exhausted && *stop.borrow() == Stop::Running && !idle.is_empty() {
                let assignment = match self.source.next().await {
                    Ok(Next::Shard(assignment)) => *assignment,
                    Ok(Next::Wait) => {
                        waits = true;
                        break;
                    }
                    Ok(Next::Done) => {
                        exhausted = true;
                        break;
                    }
                    Err(error) => {
                        self.drain_for(&mut broken, error);
                        break;
                    }
                };
                let mut worker = idle.pop().expect("checked above");
                let (shard, is_probe) = (assignment.shard, assignment.probe.is_some());
                busy.spawn(async move {
                    let end = worker.run(assignment).await;
                    (
                        worker,
                        Ended {
                            shard,
                            is_probe,
                            end,
                        },
                    )
                });
            }
            if busy.is_empty() && !waits {
                break;
            }
            let heard = tokio::select! {
                Some(event) = self.events.recv() => (self.hear)(Some(event), busy.len()).await,
                Some(done) = busy.join_next() => {
                    let (worker, ended) = done.expect("a worker's task does not panic");
                    idle.push(worker);
                    match ended.end {
                        Err(error) => Err(error),
                        Ok(end) => {
                            // Probes go where the trouble is: one test that forges records spoils a row of them.
                            given_up = match end {
                                ShardEnd::Done => 0,
                                _ if ended.is_probe => given_up,
                                ShardEnd::Interrupted
                                | ShardEnd::HostFailed
                                | ShardEnd::Uncollected => given_up + 1,
                            };
                            if let Some(bad) = too_bad(end, given_up, workers) {
                                verdict.get_or_insert(bad);
                                self.drain();
                            }
                            // What was said of a shard was said before its end, and is heard before it.
                            let mut heard = Ok(());
                            while let (Ok(()), Ok(event)) = (&heard, self.events.try_recv()) {
                                heard = (self.hear)(Some(event), busy.len()).await;
                            }
                            match heard {
                                Ok(()) => self.source.ended(ended.shard, end).await,
                                Err(error) => Err(error),
                            }
                        }
                    }
                }
                _ = tick.tick() => (self.hear)(None, busy.len()).await,
                () = self.wake.notified() => Ok(()),
                _ = stop.changed() => Ok(()),
            };
            if let Err(error) = heard {
                self.drain_for(&mut broken, error);
            }
        }
        drop(idle);
        if let Some(error) = broken {
            return Err(error);
        }
        while let Ok(event) = self.events.try_recv() {
            (self.hear)(Some(event), 0).await?;
        }
        let now = *self.stop.borrow();
        Ok(
            verdict.unwrap_or(if exhausted && !matches!(now, Stop::Aborting(_)) {
                Dispatched::Exhausted
            } else {
                Dispatched::Stopped(now)
            }),
        )
    }

    /// Starts nothing new.
    fn drain(&self) {
        self.stop.send_if_modified(|now| {
            let first = *now == Stop::Running;
            if first {
                *now = Stop::Draining;
            }
            first
        });
    }

    /// Starts nothing new, since the record is broken; remembers the first reason.
    fn drain_for(&self, broken: &mut Option<StoreError>, error: StoreError) {
        broken.get_or_insert(error);
        self.drain();
    }
}

/// Is this end, after so many in a row that gave up, reason to stop the hunt?
fn too_bad(end: ShardEnd, given_up: usize, workers: usize) -> Option<Dispatched> {
    match end {
        _ if given_up < BROKEN_IN_A_ROW * workers => None,
        ShardEnd::HostFailed => Some(Dispatched::HostBroken),
        ShardEnd::Uncollected => Some(Dispatched::Uncollected),
        ShardEnd::Done | ShardEnd::Interrupted => None,
    }
}
