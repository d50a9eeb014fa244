//! Deals the stream of shards out to free workers, without a barrier between iterations, until the stream
//! or the hunt ends.

use std::future::Future;

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{Assignment, Event, Recorder, ShardEnd, Stop, Worker};
use crate::store::StoreError;

/// Where shards come from.
pub trait Source: Send {
    /// Plans and returns the next shard, its plan durable already; `None` when there is no more to give.
    fn next(&mut self) -> impl Future<Output = Result<Option<Assignment>, StoreError>> + Send;
    /// Hears that a shard is over, in the order they end.
    fn ended(
        &mut self,
        shard: i64,
        end: ShardEnd,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
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
    /// Hears every event and, twice a second, a tick (`None`), with the number of busy workers.
    pub hear: F,
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
    /// When the record is broken. Running containers are killed first.
    pub async fn run(mut self) -> Result<Dispatched, StoreError> {
        let mut idle = std::mem::take(&mut self.workers);
        let workers = idle.len();
        idle.reverse();
        let mut busy: JoinSet<(Worker<R>, i64, Result<ShardEnd, StoreError>)> = JoinSet::new();
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(500));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut stop = self.stop.subscribe();
        let (mut exhausted, mut broken, mut verdict) = (false, 0, None);
        loop {
            while !exhausted && *stop.borrow() == Stop::Running && !idle.is_empty() {
                let Some(assignment) = self.source.next().await? else {
                    exhausted = true;
                    break;
                };
                let mut worker = idle.pop().expect("checked above");
                let shard = assignment.shard;
                busy.spawn(async move {
                    let end = worker.run(assignment).await;
                    (worker, shard, end)
                });
            }
            if busy.is_empty() {
                break;
            }
            tokio::select! {
                Some(event) = self.events.recv() => (self.hear)(Some(event), busy.len()).await?,
                Some(done) = busy.join_next() => {
                    let (worker, shard, end) = done.expect("a worker's task does not panic");
                    idle.push(worker);
                    let end = end?;
                    self.source.ended(shard, end).await?;
                    broken = if end == ShardEnd::Done { 0 } else { broken + 1 };
                    let bad = match end {
                        _ if broken < BROKEN_IN_A_ROW * workers => None,
                        ShardEnd::HostFailed => Some(Dispatched::HostBroken),
                        ShardEnd::Uncollected => Some(Dispatched::Uncollected),
                        ShardEnd::Done | ShardEnd::Interrupted => None,
                    };
                    if let Some(bad) = bad {
                        verdict.get_or_insert(bad);
                        self.stop.send_if_modified(|now| {
                            let first = *now == Stop::Running;
                            if first { *now = Stop::Draining; }
                            first
                        });
                    }
                }
                _ = tick.tick() => (self.hear)(None, busy.len()).await?,
                _ = stop.changed() => {}
            }
        }
        drop(idle);
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
}
