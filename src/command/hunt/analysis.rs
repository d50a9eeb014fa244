//! The analysis of a living hunt: a task of its own that owns the [`Desk`], so that neither the display nor a shard
//! waits for it. Hears what is closed and what was answered; gives batches of probes to the stream; records and
//! announces flags.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time::Instant,
};

use super::{
    desk::{Desk, DeskStart, Keep, Raised},
    herald::{Herald, Voice},
    news,
};
use crate::{
    command::roster::Asked,
    model::{Clock, Flag, Probe, QuestionId, Reply, SystemClock, TestId},
    store::{PlannedProbe, StoreError, Writer},
};

/// Time between two writings of how the analysis stands. `status` and `show` read it; each costs one commit.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Time between two looks for flagged tests that are fixed, which read the whole record.
const FIXED_EVERY: Duration = Duration::from_hours(1);

/// Probes in flight for each worker: one that runs and one that waits, so that no worker ever waits for a thought.
const IN_FLIGHT: usize = 2;

/// Longest that open questions may take, in seconds: more would overflow the clock.
const LONGEST: f64 = 1e9;

/// What the display shows of the analysis, as of the last time that it looked.
#[derive(Clone, Debug, Default)]
pub(in crate::command) struct Glance {
    /// Certified flags that need action.
    pub(in crate::command) flags: u64,
    /// Tests that are not explained yet.
    pub(in crate::command) open: u64,
    /// `waiting`, `green` or `red`; `None` before anybody looked.
    pub(in crate::command) canary: Option<String>,
    /// The flag that was told last.
    pub(in crate::command) newest: Option<Newest>,
}

/// A flag in a few words, escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command) struct Newest {
    pub(in crate::command) handle: String,
    pub(in crate::command) says: String,
}

impl Newest {
    fn of(raised: &Raised) -> Self {
        Self {
            handle: raised.handle.clone().unwrap_or_default(),
            says: news::sentence(&raised.flag),
        }
    }
}

/// A glance that the analysis and the display share.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<Glance>>);

impl Shared {
    /// Returns it, to be read or changed.
    pub(super) fn lock(&self) -> MutexGuard<'_, Glance> {
        // Nothing in it depends on anything else in it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the stream tells. However far the analysis lags behind, no more of it waits than one word of what is closed, one
/// of the end, and one for each probe in flight, of which there are few.
enum Told {
    /// Iterations are closed behind the watermark. All that are closed by the time it is heard are looked at, so it is
    /// said again only once it was heard.
    Closed,
    /// A probe is over and its shard closed.
    Ended(Box<Over>),
    /// No iteration is left: go on with the open questions, without a budget, for at most this share of the time
    /// that the iterations took, and not beyond that moment.
    Finish { limit: f64, latest: Option<Instant> },
}

/// A probe that is over.
pub(super) struct Over {
    pub(super) shard: i64,
    pub(super) question: QuestionId,
    pub(super) place: u32,
    pub(super) probe: Probe<TestId>,
}

impl Over {
    pub(super) fn of(shard: i64, question: QuestionId, planned: PlannedProbe) -> Self {
        Self {
            shard,
            question,
            place: planned.place,
            probe: planned.probe,
        }
    }
}

/// The end of the analysis that the stream holds.
pub(super) struct Analysis {
    told: mpsc::UnboundedSender<Told>,
    /// Does [`Told::Closed`] wait to be heard?
    closed: Arc<AtomicBool>,
    batches: mpsc::UnboundedReceiver<Asked>,
    rests: watch::Receiver<bool>,
    failed: Arc<OnceLock<StoreError>>,
    /// What the display shows of it.
    pub(super) glance: Shared,
    /// Rung when there is a batch, and when there will be none.
    pub(super) wake: Arc<Notify>,
    task: JoinHandle<(Option<Voice>, Result<(), StoreError>)>,
}

impl Analysis {
    /// Starts to read the record and to think.
    pub(super) fn start(desk: DeskStart, herald: Herald, writer: Writer) -> Self {
        let (told, hears) = mpsc::unbounded_channel();
        let (gives, batches) = mpsc::unbounded_channel();
        let (rest, rests) = watch::channel(false);
        let (wake, failed) = (Arc::new(Notify::new()), Arc::new(OnceLock::new()));
        let glance = Shared::default();
        let closed = Arc::new(AtomicBool::new(false));
        let room = IN_FLIGHT * usize::from(herald.workers);
        let thinker = Thinker {
            herald,
            writer,
            gives,
            rest,
            wake: Arc::clone(&wake),
            glance: glance.clone(),
            closed: Arc::clone(&closed),
            room,
            in_flight: 0,
            until: None,
            looked: None,
            looked_for_fixed: None,
        };
        let broken = Arc::clone(&failed);
        let task = tokio::spawn(thinker.run(desk, hears, broken));
        Self {
            told,
            closed,
            batches,
            rests,
            failed,
            glance,
            wake,
            task,
        }
    }

    /// Returns the next probes to plan, if there are any now.
    ///
    /// # Errors
    /// The store's error that ended the analysis.
    pub(super) fn batch(&mut self) -> Result<Option<Asked>, StoreError> {
        match self.failed.get() {
            Some(error) => Err(error.clone()),
            None => Ok(self.batches.try_recv().ok()),
        }
    }

    /// Says that another iteration is closed behind the watermark.
    pub(super) fn closed(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.tell(Told::Closed);
        }
    }

    /// Says that a probe is over.
    pub(super) fn ended(&self, over: Over) {
        self.tell(Told::Ended(Box::new(over)));
    }

    /// Says that no iteration is left.
    pub(super) fn finish(&self, limit: f64, latest: Option<Instant>) {
        self.tell(Told::Finish { limit, latest });
    }

    /// Will there be no batch any more? Only after [`finish`](Self::finish), once every probe is answered.
    pub(super) fn rests(&self) -> bool {
        *self.rests.borrow() && self.batches.is_empty()
    }

    /// Waits until everything that was told is thought through and recorded.
    pub(super) async fn close(self) -> (Option<Voice>, Result<(), StoreError>) {
        let Self { told, task, .. } = self;
        drop(told);
        task.await.expect("the analysis does not panic")
    }

    /// An analysis that has ended says why with the next [`batch`](Self::batch).
    fn tell(&self, told: Told) {
        let _ended = self.told.send(told);
    }
}

/// The task.
struct Thinker {
    herald: Herald,
    writer: Writer,
    gives: mpsc::UnboundedSender<Asked>,
    rest: watch::Sender<bool>,
    wake: Arc<Notify>,
    glance: Shared,
    closed: Arc<AtomicBool>,
    /// Most probes in flight.
    room: usize,
    /// Probes that were given and not answered.
    in_flight: usize,
    /// Set once no iteration is left: how long to go on.
    until: Option<Instant>,
    looked: Option<Instant>,
    looked_for_fixed: Option<Instant>,
}

impl Thinker {
    async fn run(
        mut self,
        start: DeskStart,
        hears: mpsc::UnboundedReceiver<Told>,
        failed: Arc<OnceLock<StoreError>>,
    ) -> (Option<Voice>, Result<(), StoreError>) {
        let done = self.follow(start, hears).await;
        if let Err(error) = &done {
            failed.get_or_init(|| error.clone());
            self.wake.notify_one();
        }
        (self.herald.voice, done)
    }

    async fn follow(
        &mut self,
        start: DeskStart,
        mut hears: mpsc::UnboundedReceiver<Told>,
    ) -> Result<(), StoreError> {
        let mut desk = Box::new(away(move || Desk::open(start)).await?);
        self.conclude(desk.take_concluded()).await?;
        desk = self.take_up(desk).await?;
        desk = self.ask(desk).await?;
        while let Some(told) = hears.recv().await {
            let flags;
            (desk, flags) = match told {
                Told::Closed => {
                    // Before it looks: what is closed while it does is said again.
                    self.closed.store(false, Ordering::Release);
                    thought(desk, Desk::observe).await?
                }
                Told::Ended(over) => {
                    self.in_flight -= 1;
                    self.answer(desk, *over).await?
                }
                Told::Finish { limit, latest } => {
                    let seconds = desk.spent() * limit / f64::from(self.herald.workers.max(1));
                    let own = Instant::now() + Duration::from_secs_f64(seconds.min(LONGEST));
                    self.until = Some(latest.map_or(own, |latest| latest.min(own)));
                    (desk, Vec::new())
                }
            };
            desk = self.raise(desk, flags, Keep::Claims).await?;
            desk = self.ask(desk).await?;
            desk = self.look(desk, LOOK_EVERY).await?;
        }
        let flags = desk.flags();
        desk = self.raise(desk, flags, Keep::Counts).await?;
        self.look(desk, Duration::ZERO).await?;
        Ok(())
    }

    /// Takes up what an earlier process left: answers that were not read yet, probes to run again, flags that were
    /// not raised yet.
    async fn take_up(&mut self, desk: Box<Desk>) -> Result<Box<Desk>, StoreError> {
        let (mut desk, loose) = thought(desk, Desk::loose_ends).await?;
        let mut flags = desk.flags();
        for (over, reply) in loose.answered {
            let (back, changed) = self.record(desk, over, reply).await?;
            desk = back;
            flags.extend(changed);
        }
        for asked in loose.again {
            self.give(asked);
        }
        self.raise(desk, flags, Keep::Claims).await
    }

    /// Reads and records what a probe showed. Returns the flags that this changed.
    async fn answer(
        &mut self,
        desk: Box<Desk>,
        over: Over,
    ) -> Result<(Box<Desk>, Vec<Flag>), StoreError> {
        let (desk, (over, reply)) = thought(desk, move |desk| {
            let reply = desk.reply(&over)?;
            Ok((over, reply))
        })
        .await?;
        self.record(desk, over, reply).await
    }

    async fn record(
        &mut self,
        desk: Box<Desk>,
        over: Over,
        reply: Reply<TestId>,
    ) -> Result<(Box<Desk>, Vec<Flag>), StoreError> {
        self.writer.answer_probe(over.shard, &reply).await?;
        let (desk, (flags, concluded)) = thought(desk, move |desk| {
            let flags = desk.answer(&over, &reply);
            Ok((flags, desk.take_concluded()))
        })
        .await?;
        self.conclude(concluded).await?;
        Ok((desk, flags))
    }

    /// Records what questions came to.
    async fn conclude(&self, concluded: Vec<(QuestionId, Value)>) -> Result<(), StoreError> {
        for (question, concluded) in concluded {
            let hunt = self.herald.hunt;
            self.writer.conclude(hunt, question, concluded).await?;
        }
        Ok(())
    }

    /// Records and announces what is news among these flags.
    async fn raise(
        &mut self,
        desk: Box<Desk>,
        flags: Vec<Flag>,
        keep: Keep,
    ) -> Result<Box<Desk>, StoreError> {
        let (desk, raised) = thought(desk, move |desk| desk.news(flags, keep)).await?;
        for raised in raised {
            let news = raised.is_news.then(|| Newest::of(&raised));
            self.herald.raise(&self.writer, raised).await?;
            if news.is_some() {
                self.glance.lock().newest = news;
            }
        }
        self.glance.lock().flags = desk.certified();
        Ok(desk)
    }

    /// Asks the analyst for probes as far as there is room, and says so when there will be none any more.
    async fn ask(&mut self, desk: Box<Desk>) -> Result<Box<Desk>, StoreError> {
        let may_ask = self.until.is_none_or(|until| Instant::now() < until);
        let (room, closing) = (
            self.room.saturating_sub(self.in_flight),
            self.until.is_some(),
        );
        let mut desk = desk;
        if may_ask && room > 0 {
            let (back, (batches, concluded)) = thought(desk, move |desk| {
                let batches = desk.propose(room, closing);
                Ok((batches, desk.take_concluded()))
            })
            .await?;
            desk = back;
            self.conclude(concluded).await?;
            for asked in batches {
                self.give(asked);
            }
        }
        if closing && self.in_flight == 0 {
            self.rest.send_replace(true);
            self.wake.notify_one();
        }
        Ok(desk)
    }

    fn give(&mut self, asked: Asked) {
        self.in_flight += asked.probes.len();
        // Nobody takes it once the hunt stops; it is asked again on resume.
        let _stopped = self.gives.send(asked);
        self.wake.notify_one();
    }

    /// Writes how the analysis stands, unless it did so a moment ago.
    async fn look(&mut self, desk: Box<Desk>, every: Duration) -> Result<Box<Desk>, StoreError> {
        if self.looked.is_some_and(|looked| looked.elapsed() < every) {
            return Ok(desk);
        }
        let (hunt, at) = (self.herald.hunt, SystemClock.now());
        let is_canary = self.herald.voice.is_none();
        let is_last = every.is_zero();
        let looked = self.looked_for_fixed;
        let for_fixed = is_last || looked.is_none_or(|looked| looked.elapsed() >= FIXED_EVERY);
        let (desk, (mut analysis, standings, canary, open)) = thought(desk, move |desk| {
            if for_fixed {
                desk.look_for_fixed(at)?;
            }
            let (analysis, standings) = desk.stands(hunt, at);
            let canary = is_canary.then(|| desk.canary()).transpose()?;
            Ok((analysis, standings, canary, desk.open_cases()))
        })
        .await?;
        if canary.is_some() {
            *self.herald.canary.row() = canary;
        }
        analysis.canary.clone_from(&self.herald.canary.row());
        {
            let mut glance = self.glance.lock();
            glance.open = open;
            glance.flags = desk.certified();
            glance.canary = analysis.canary.as_ref().map(|canary| canary.state.clone());
        }
        self.writer.put_analysis(analysis, standings).await?;
        self.looked = Some(Instant::now());
        if for_fixed {
            self.looked_for_fixed = self.looked;
        }
        Ok(desk)
    }
}

/// Thinks on a thread that may take its time.
async fn away<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.expect("the analysis does not panic")
}

/// Lends the desk to a thread that may take its time.
async fn thought<T: Send + 'static>(
    mut desk: Box<Desk>,
    work: impl FnOnce(&mut Desk) -> Result<T, StoreError> + Send + 'static,
) -> Result<(Box<Desk>, T), StoreError> {
    away(move || {
        let found = work(&mut desk)?;
        Ok((desk, found))
    })
    .await
}
