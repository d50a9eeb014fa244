//! One segment: one runner process in a fresh container, or in one that it shares with the processes before it.
//! Turns the runner's stream into trials, decides why the segment ended. Knows nothing of shards.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{Capped, Event, Limits, Recorder};
use crate::{
    container::{ContainerEnd, HostError, Left},
    model::{Exit, Interruption, Outcome, SegmentEnd, TestId, TrialRecord, Usage},
    store::StoreError,
    suite::{Journal, JournalEvent, JournalLimits, Nonce},
};

/// What the hunt as a whole is doing; only ever moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Shards are given out.
    Running,
    /// No new shard starts; running ones finish.
    Draining,
    /// Containers are killed now.
    Aborting(Interruption),
}

/// What a segment needs to know of the shard it belongs to.
pub(super) struct Request<'a> {
    pub order: &'a [(TestId, u8)],
    pub nonce: Nonce,
    pub limits: Limits,
    /// Limit for the whole segment.
    pub shard_limit: Duration,
    /// Row ids for the record and the events.
    pub shard: i64,
    pub segment: i64,
}

/// Where a segment reports to.
pub(super) struct Outlets<'a, R> {
    pub recorder: &'a R,
    pub events: &'a mpsc::Sender<Event>,
    pub stop: watch::Receiver<Stop>,
}

/// How a segment ended; the trials that ended before were recorded already.
#[derive(Debug)]
pub(super) struct Report {
    pub end: SegmentEnd,
    pub interruption: Option<Interruption>,
    /// Records for trials that the stream did not end itself: the running one, the lost ones.
    pub last: Vec<TrialRecord>,
    pub running: Option<TestId>,
    pub exit: Option<i64>,
    pub usage: Usage,
    pub order_differs: bool,
    pub reason: Option<String>,
    pub output: Vec<u8>,
    /// For each place of the order: did it start here, and is it over (not to be run again)?
    pub over: Vec<bool>,
    /// Place in the order of the first trial that did not start here.
    pub cut: u32,
    /// Number of trials recorded, those in `last` included: the next free position.
    pub recorded: u32,
    /// Did the slot fail, so that it must not be used again?
    pub slot_failed: bool,
    /// What the container left behind, where that was asked for.
    pub left: Option<Vec<Left>>,
}

/// Why we killed a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Killed {
    /// The limit of the test that ran at this position.
    TestLimit(u32),
    ShardLimit,
    Stopped(Interruption),
}

/// The place of a trial that has started and not ended.
struct Current {
    index: usize,
    position: u32,
    at: crate::model::MonoMicros,
    since: Instant,
}

/// Follows the stream: which trial runs, which are over.
pub(super) struct Follower<'a, R> {
    request: &'a Request<'a>,
    outlets: &'a Outlets<'a, R>,
    journal: Journal,
    current: Option<Current>,
    started: Vec<bool>,
    ended: Vec<bool>,
    next_position: u32,
    /// The runner's own exit code, once it says that it is through, and when it said so.
    finished: Option<(i32, Instant)>,
    uncollected: Vec<String>,
    /// What the runner noted before its first test.
    notes: Vec<String>,
    reason: Option<String>,
    pub(super) untrusted: bool,
}

impl<'a, R: Recorder> Follower<'a, R> {
    pub(super) fn new(request: &'a Request<'a>, outlets: &'a Outlets<'a, R>) -> Self {
        let n = request.order.len();
        Self {
            request,
            outlets,
            journal: Journal::of_run(
                request.nonce,
                JournalLimits::new(n, request.limits.output),
                n,
            ),
            current: None,
            started: vec![false; n],
            ended: vec![false; n],
            next_position: 0,
            finished: None,
            uncollected: Vec::new(),
            notes: Vec::new(),
            reason: None,
            untrusted: false,
        }
    }

    pub(super) async fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut trials = Vec::new();
        let mut news = Vec::new();
        for event in self.journal.feed(bytes) {
            match event {
                JournalEvent::Started { index, at } => {
                    let index = index as usize;
                    self.started[index] = true;
                    self.current = Some(Current {
                        index,
                        position: self.next_position,
                        at,
                        since: Instant::now(),
                    });
                    self.next_position += 1;
                }
                JournalEvent::Ended {
                    index,
                    outcome,
                    at,
                    detail,
                } => {
                    if let Some(current) = self.current.take() {
                        self.ended[index as usize] = true;
                        let trial =
                            self.trial(&current, outcome, Some(at.since(current.at)), detail);
                        news.push(self.event_of(&trial));
                        trials.push(trial);
                    }
                }
                JournalEvent::CollectError { module, text } => {
                    let (module, text) = (
                        String::from_utf8_lossy(&module),
                        String::from_utf8_lossy(&text),
                    );
                    self.uncollected.push(format!("{module}: {text}"));
                }
                JournalEvent::Note(note) => {
                    if self.next_position == 0 && self.notes.len() < 100 {
                        self.notes.push(note.clone());
                    }
                    news.push(Event::Note(note));
                }
                JournalEvent::Finished { exit } => self.finished = Some((exit, Instant::now())),
                JournalEvent::Untrusted(why) => {
                    self.untrusted = true;
                    self.reason = Some(why.to_string());
                }
                JournalEvent::Item(_)
                | JournalEvent::Missing(_)
                | JournalEvent::Versions { .. } => {}
            }
        }
        if !trials.is_empty() {
            self.outlets
                .recorder
                .record(self.request.segment, trials)
                .await?;
        }
        for event in news {
            // A display that has gone away must not stop a hunt.
            self.outlets.events.send(event).await.ok();
        }
        Ok(())
    }

    fn trial(
        &self,
        current: &Current,
        outcome: Outcome,
        duration: Option<Duration>,
        detail: Option<Vec<u8>>,
    ) -> TrialRecord {
        let (test, rep) = &self.request.order[current.index];
        TrialRecord {
            position: current.position,
            test: test.clone(),
            rep: *rep,
            outcome,
            started: Some(current.at),
            duration,
            detail,
        }
    }

    fn event_of(&self, trial: &TrialRecord) -> Event {
        Event::TrialEnded {
            shard: self.request.shard,
            test: trial.test.clone(),
            outcome: trial.outcome,
            duration: trial.duration,
            detail: trial.detail.clone(),
        }
    }

    /// When the running test (or the whole segment) is over its limit. A runner that is through gets as
    /// long as a test to end: a thread that a test left behind would hold it for ever. So does one before this,
    /// which this one has been `awaited` since.
    pub(super) fn deadline(&self, began: Instant, awaited: Option<Instant>) -> (Instant, Killed) {
        let shard = (began + self.request.shard_limit, Killed::ShardLimit);
        let since = match (&self.current, self.finished) {
            (Some(current), _) => Some(current.since),
            (None, finished) => finished.map(|(_, since)| since).or(awaited),
        };
        since
            .map(|since| {
                let position = self.next_position.saturating_sub(1);
                (
                    since + self.request.limits.test,
                    Killed::TestLimit(position),
                )
            })
            .filter(|test| test.0 < shard.0)
            .unwrap_or(shard)
    }

    /// Has the runner said that it is through, with no test running? Then the last record says that this
    /// test did not break it off.
    fn is_through(&self) -> bool {
        self.finished.is_some() && self.current.is_none()
    }

    /// Returns its exit code once it is through and its container goes on with the next process, if there is one.
    pub(super) fn goes_on(&self) -> Option<u8> {
        match self.finished {
            Some((0, _)) if self.is_through() => Some(0),
            Some((1, _)) if self.is_through() => Some(1),
            Some(_) | None => None,
        }
    }

    fn end_of(
        &self,
        killed: Option<Killed>,
        ended: &ContainerEnd,
    ) -> (SegmentEnd, Option<Interruption>) {
        match killed {
            Some(Killed::Stopped(why)) => (SegmentEnd::Interrupted, Some(why)),
            _ if self.untrusted => (SegmentEnd::Untrusted, None),
            _ if self.is_through() => {
                // 0 and 1: all passed, or some failed. Anything else is a runner that could not begin.
                let broke = self
                    .finished
                    .is_some_and(|(exit, _)| !matches!(exit, 0 | 1));
                if broke && self.next_position == 0 {
                    (SegmentEnd::Uncollected, None)
                } else {
                    (SegmentEnd::Completed, None)
                }
            }
            Some(Killed::TestLimit(_) | Killed::ShardLimit) => (SegmentEnd::Timeout, None),
            // 137: our init says 128 + 9 for a runner that SIGKILL ended.
            None if ended.usage.oom_kills > 0
                && matches!(ended.exit, Exit::Signal(9) | Exit::Code(137)) =>
            {
                (SegmentEnd::Oom, None)
            }
            None => (SegmentEnd::Crashed, None),
        }
    }

    /// What the test that was still running when the segment ended has shown.
    fn running_outcome(&self, end: SegmentEnd, killed: Option<Killed>) -> Outcome {
        match end {
            // Over the shard's limit, not its own: it is innocent unless it had the whole segment to itself.
            SegmentEnd::Timeout if killed == Some(Killed::ShardLimit) && self.next_position > 1 => {
                Outcome::Aborted
            }
            SegmentEnd::Timeout => match killed {
                // It began after the test whose time was up, and before the kill.
                Some(Killed::TestLimit(position)) if position + 1 != self.next_position => {
                    Outcome::Aborted
                }
                _ => Outcome::Timeout,
            },
            SegmentEnd::Oom => Outcome::Oom,
            SegmentEnd::Interrupted => Outcome::Aborted,
            SegmentEnd::Infra => Outcome::Infra,
            SegmentEnd::Untrusted => Outcome::Untrusted,
            SegmentEnd::Completed | SegmentEnd::Crashed | SegmentEnd::Uncollected => {
                Outcome::Crashed
            }
        }
    }

    pub(super) fn report(
        mut self,
        killed: Option<Killed>,
        ended: &Result<ContainerEnd, HostError>,
        output: Capped,
        now: Instant,
    ) -> Report {
        let (end, interruption) = match ended {
            Ok(ended) => self.end_of(killed, ended),
            Err(trouble) => {
                self.reason = Some(chain(trouble));
                (SegmentEnd::Infra, None)
            }
        };
        if matches!(killed, Some(Killed::TestLimit(_))) && end == SegmentEnd::Completed {
            self.reason = Some("the runner did not end after its last test".to_owned());
        }
        let mut last = Vec::new();
        let mut running = None;
        let mut over = self.ended.clone();
        if let Some(current) = self.current.take() {
            let outcome = self.running_outcome(end, killed);
            let ran = now.saturating_duration_since(current.since);
            last.push(self.trial(&current, outcome, Some(ran), None));
            over[current.index] = !matches!(outcome, Outcome::Aborted | Outcome::Infra);
            self.next_position = current.position + 1;
            running = Some(self.request.order[current.index].0.clone());
        }
        if end == SegmentEnd::Completed {
            // The runner says it is through its list: what it never started it does not know any more.
            for (index, _) in self
                .started
                .iter()
                .enumerate()
                .filter(|(_, started)| !**started)
            {
                let (test, rep) = &self.request.order[index];
                last.push(TrialRecord {
                    position: self.next_position,
                    test: test.clone(),
                    rep: *rep,
                    outcome: Outcome::Lost,
                    started: None,
                    duration: None,
                    detail: None,
                });
                self.next_position += 1;
                over[index] = true;
            }
        }
        if end == SegmentEnd::Uncollected {
            self.uncollected.append(&mut self.notes);
        }
        if !self.uncollected.is_empty() {
            let errors = std::mem::take(&mut self.uncollected).join("\n");
            self.reason = Some(
                self.reason
                    .take()
                    .map_or(errors.clone(), |why| format!("{why}\n{errors}")),
            );
        }
        let cut = self
            .started
            .iter()
            .position(|started| !started)
            .unwrap_or(self.started.len());
        Report {
            end,
            interruption,
            last,
            running,
            exit: ended.as_ref().ok().map(|ended| match ended.exit {
                Exit::Code(code) => i64::from(code),
                Exit::Signal(signal) => 256 + i64::from(signal),
            }),
            usage: ended
                .as_ref()
                .map_or_else(|_| Usage::default(), |ended| ended.usage),
            order_differs: self.journal.order_differs(),
            reason: self.reason.map(bounded),
            output: output.into_bytes(),
            over,
            cut: u32::try_from(cut).expect("an order has fewer than 2^32 places"),
            recorded: self.next_position,
            slot_failed: ended.is_err(),
            left: ended.as_ref().ok().and_then(|ended| ended.left.clone()),
        }
    }
}

/// Longest reason that is kept, in bytes. It is what people read first; the log holds the rest.
const LONGEST_REASON: usize = 16 << 10;

fn bounded(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
    reason
}

/// An error and its causes in one line, for the record.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |all, cause| format!("{all}: {cause}"))
}

impl Report {
    /// A runner that dies before its first test says nothing about tests: it is the host's trouble, or the suite's.
    pub(super) fn without_blame(self) -> Self {
        let silent = self.cut == 0 && self.running.is_none();
        let died = [SegmentEnd::Crashed, SegmentEnd::Oom, SegmentEnd::Timeout].contains(&self.end);
        let end = if silent && died {
            SegmentEnd::Infra
        } else {
            self.end
        };
        Self { end, ..self }
    }

    /// Did it end without a word about any test, through no stop of ours?
    pub(super) fn says_nothing(&self) -> bool {
        match self.end {
            SegmentEnd::Infra | SegmentEnd::Uncollected => true,
            SegmentEnd::Untrusted => self.recorded == 0,
            SegmentEnd::Completed
            | SegmentEnd::Timeout
            | SegmentEnd::Crashed
            | SegmentEnd::Oom
            | SegmentEnd::Interrupted => false,
        }
    }

    /// The end of a segment whose container never ran.
    pub(super) fn never_ran(trouble: &HostError, trials: usize) -> Self {
        Self::infra(chain(trouble), trials, true)
    }

    /// The end of a segment that was not begun, since what was to run beside it does not.
    pub(super) fn beside_missing(why: String, trials: usize) -> Self {
        Self::infra(bounded(why), trials, false)
    }

    fn infra(reason: String, trials: usize, slot_failed: bool) -> Self {
        Self {
            end: SegmentEnd::Infra,
            interruption: None,
            last: Vec::new(),
            running: None,
            exit: None,
            usage: Usage::default(),
            order_differs: false,
            reason: Some(reason),
            output: Vec::new(),
            over: vec![false; trials],
            cut: 0,
            recorded: 0,
            slot_failed,
            left: None,
        }
    }
}
