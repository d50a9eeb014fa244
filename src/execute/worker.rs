//! The life of a shard on one worker: segment after segment until every trial is over.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    sync::{Arc, MutexGuard},
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use super::{
    Event, Probing, Recorder, Rig, Stop,
    segment::{Outlets, Report, Request},
    talk::{Place, Talk},
};
use crate::{
    container::{HostError, Launch, Slot},
    model::{
        Cause, ListDigest, Outcome, SegmentClose, SegmentEnd, SegmentOpen, TestId, TrialRecord,
    },
    store::StoreError,
    suite::{Canary, Command, Nonce, RunnerContext},
};

/// How often a shard may say nothing, since the host failed or the suite did not collect, before its trials are
/// closed without an answer. One more costs
/// seconds of a bad night; one less gives up on a single hiccup.
pub(super) const ATTEMPTS: u32 = 3;

/// Which suite an assignment runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Of {
    /// The user's.
    #[default]
    Suite,
    /// Our own small one, whose truth is known.
    Canary,
}

impl Of {
    /// Returns what the runner must know for one process.
    pub(super) fn context(self, rig: &Rig, nonce: Nonce, seed32: u32) -> RunnerContext<'_> {
        let context = rig.context(nonce, seed32);
        match self {
            Self::Suite => context,
            Self::Canary => RunnerContext {
                args: rig.runner.canary().args(),
                ..context
            },
        }
    }

    /// Puts a runner's command into words for a container.
    pub(super) fn launch(
        self,
        rig: &Rig,
        command: Command,
        factors: &[(OsString, OsString)],
        seed32: u32,
    ) -> Launch {
        match self {
            Self::Suite => rig.launch(command, factors),
            Self::Canary => {
                let canary = rig.runner.canary();
                let seed = (Canary::SEED.into(), seed32.to_string().into());
                let own = canary.env().iter().cloned().chain([seed]);
                let factors: Vec<_> = factors.iter().cloned().chain(own).collect();
                let mut launch = rig.launch(command, &factors);
                canary.folder().clone_into(&mut launch.cwd);
                launch
            }
        }
    }
}

/// A shard, what is left of one, or a probe, for a worker.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// Row id of the shard.
    pub shard: i64,
    /// Attempts made before (0 for a fresh shard).
    pub attempts: u32,
    /// What to run, in order, with repetitions; of a probe, what its last process runs, which answers.
    pub order: Vec<(TestId, u8)>,
    /// Which suite the tests are of.
    pub of: Of,
    /// What makes it a probe, if it is one: nothing of it runs again after a death, but for trouble of the host.
    pub probe: Option<Probing>,
    /// The segment that this continues, after a hunt was interrupted.
    pub cause: Option<Cause>,
    /// How long it should take, from recorded durations.
    pub predicted: Duration,
    /// Variables of the environment that this shard's factors set.
    pub factors: Vec<(OsString, OsString)>,
    /// Seed for random generators that the runner seeds for its tests.
    pub seed32: u32,
}

/// How a shard ended on a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardEnd {
    /// Every trial is over.
    Done,
    /// We stopped it; the rest runs on resume.
    Interrupted,
    /// The host failed time and again; its trials are `infra`.
    HostFailed,
    /// The suite did not collect, time and again; its trials are `lost`.
    Uncollected,
}

impl ShardEnd {
    pub(super) fn given_up(end: SegmentEnd) -> Self {
        match end {
            SegmentEnd::Uncollected => Self::Uncollected,
            SegmentEnd::Completed
            | SegmentEnd::Timeout
            | SegmentEnd::Crashed
            | SegmentEnd::Oom
            | SegmentEnd::Interrupted
            | SegmentEnd::Infra
            | SegmentEnd::Untrusted => Self::HostFailed,
        }
    }

    /// What a trial is recorded as when its shard is given up.
    fn outcome(self) -> Outcome {
        match self {
            Self::Uncollected => Outcome::Lost,
            Self::Done | Self::Interrupted | Self::HostFailed => Outcome::Infra,
        }
    }
}

/// A place for one container at a time.
pub struct Worker<R> {
    /// Index from 0.
    pub index: u32,
    pub(super) rig: Arc<Rig>,
    pub(super) slot: Option<Slot>,
    pub(super) recorder: R,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) stop: watch::Receiver<Stop>,
}

impl<R: Recorder> Worker<R> {
    /// Makes a worker; its slot starts with its first container unless one is given.
    pub fn new(
        index: u32,
        rig: Arc<Rig>,
        slot: Option<Slot>,
        recorder: R,
        events: mpsc::Sender<Event>,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        Self {
            index,
            rig,
            slot,
            recorder,
            events,
            stop,
        }
    }

    /// Runs a shard or a probe to its end.
    ///
    /// # Errors
    /// Only when the record is broken: then running on would be wasted.
    pub async fn run(&mut self, assignment: Assignment) -> Result<ShardEnd, StoreError> {
        if let Some(probing) = &assignment.probe {
            return self.probe(&assignment, probing).await;
        }
        let mut order = assignment.order.clone();
        let mut cause = assignment.cause;
        let mut attempt = assignment.attempts + 1;
        let mut troubles = 0;
        while !order.is_empty() {
            if matches!(*self.stop.borrow(), Stop::Aborting(_)) {
                return Ok(ShardEnd::Interrupted);
            }
            let open = self.open(&assignment, attempt, cause, &order);
            let segment = self.recorder.open_segment(open).await?;
            self.neighbours().insert(self.index, segment);
            let report = self.segment(&assignment, segment, &order).await;
            self.neighbours().remove(&self.index);
            let report = report?.without_blame();
            troubles += u32::from(report.says_nothing());
            let give_up = (report.says_nothing() && troubles >= ATTEMPTS)
                .then(|| ShardEnd::given_up(report.end));
            let (end, over) = (report.end, report.over.clone());
            if report.recorded > 0 {
                cause = Some(Cause {
                    parent: segment,
                    cut: report.cut,
                    end,
                });
            }
            self.close(&assignment, segment, &order, report, give_up)
                .await?;
            if end == SegmentEnd::Interrupted {
                return Ok(ShardEnd::Interrupted);
            }
            if let Some(given_up) = give_up {
                self.recorder.close_shard(assignment.shard).await?;
                return Ok(given_up);
            }
            if matches!(end, SegmentEnd::Infra | SegmentEnd::Uncollected) {
                attempt += 1;
                self.back_off(troubles).await;
            }
            let mut rest = over.into_iter().map(|over| !over);
            order.retain(|_| rest.next().unwrap_or(false));
        }
        self.recorder.close_shard(assignment.shard).await?;
        Ok(ShardEnd::Done)
    }

    pub(super) fn open(
        &self,
        assignment: &Assignment,
        attempt: u32,
        cause: Option<Cause>,
        order: &[(TestId, u8)],
    ) -> SegmentOpen {
        let pressure = HostLoad::read();
        SegmentOpen {
            shard: assignment.shard,
            attempt,
            cause,
            trials: u32::try_from(order.len()).expect("an order has fewer than 2^32 places"),
            order: ListDigest::of(order.iter().map(|(test, _)| test)),
            worker: self.index,
            started: self.rig.clock.mono(),
            started_at: self.rig.clock.now(),
            load_milli: pressure.load_milli,
            cpu_pressure_milli: pressure.cpu_pressure_milli,
            beside: self.neighbours().values().copied().collect(),
        }
    }

    /// The segments that run now, by worker; without our own while none of ours runs.
    pub(super) fn neighbours(&self) -> MutexGuard<'_, BTreeMap<u32, i64>> {
        self.rig
            .running
            .lock()
            .expect("nobody panics while holding this lock")
    }

    async fn segment(
        &mut self,
        assignment: &Assignment,
        segment: i64,
        order: &[(TestId, u8)],
    ) -> Result<Report, StoreError> {
        let nonce = Rig::nonce();
        let (rig, of) = (&self.rig, assignment.of);
        let command = rig
            .runner
            .run(&of.context(rig, nonce, assignment.seed32), order);
        let launch = of.launch(rig, command, &assignment.factors, assignment.seed32);
        let request = Request {
            order,
            nonce,
            limits: self.rig.limits,
            shard_limit: self.rig.limits.for_segment(assignment.predicted),
            shard: assignment.shard,
            segment,
        };
        let started = Event::SegmentStarted {
            worker: self.index,
            shard: assignment.shard,
            trials: order.len(),
        };
        self.events.send(started).await.ok();
        let mut slot = match self.take_slot().await {
            Ok(slot) => slot,
            Err(trouble) => return Ok(Report::never_ran(&trouble, order.len())),
        };
        let outlets = Outlets {
            recorder: &self.recorder,
            events: &self.events,
            stop: self.stop.clone(),
        };
        let report = match Talk::start(&mut slot, &launch, self.rig.limits.output).await {
            Ok(mut talk) => talk.follow(&request, &outlets, Place::Last).await?,
            Err(trouble) => return Ok(Report::never_ran(&trouble, order.len())),
        };
        // A slot that failed is dropped with whatever is in it: a new one is cheaper than knowing what broke.
        if !report.slot_failed {
            self.slot = Some(slot);
        }
        Ok(report)
    }

    /// Takes this worker's slot, or starts a new one.
    pub(super) async fn take_slot(&mut self) -> Result<Slot, HostError> {
        match self.slot.take() {
            Some(slot) => Ok(slot),
            None => self.rig.slot().await,
        }
    }

    pub(super) async fn close(
        &self,
        assignment: &Assignment,
        segment: i64,
        order: &[(TestId, u8)],
        mut report: Report,
        give_up: Option<ShardEnd>,
    ) -> Result<(), StoreError> {
        if let Some(given_up) = give_up {
            // The one that was running has its row already.
            let has_row = |trial: &(TestId, u8)| {
                let rows = &report.last;
                rows.iter()
                    .any(|row| (&row.test, row.rep) == (&trial.0, trial.1))
            };
            let left: Vec<_> = order
                .iter()
                .zip(&report.over)
                .filter(|(trial, over)| !**over && !has_row(trial))
                .collect();
            report
                .last
                .extend(left.into_iter().zip(report.recorded..).map(
                    |(((test, rep), _), position)| TrialRecord {
                        position,
                        test: test.clone(),
                        rep: *rep,
                        outcome: given_up.outcome(),
                        started: None,
                        duration: None,
                        detail: None,
                    },
                ));
        }
        let log = if report.output.is_empty() || report.end == SegmentEnd::Completed {
            None
        } else {
            self.recorder
                .keep_log(segment, std::mem::take(&mut report.output))
                .await
        };
        let news: Vec<Event> = report
            .last
            .iter()
            .map(|trial| Event::TrialEnded {
                shard: assignment.shard,
                test: trial.test.clone(),
                outcome: trial.outcome,
                duration: trial.duration,
                detail: None,
            })
            .collect();
        let ended = Event::SegmentEnded {
            worker: self.index,
            shard: assignment.shard,
            end: report.end,
            running: report.running.clone(),
            reason: report.reason.clone(),
        };
        let close = SegmentClose {
            end: report.end,
            interruption: report.interruption,
            ended: self.rig.clock.mono(),
            ended_at: self.rig.clock.now(),
            running: report.running,
            exit: report.exit,
            usage: report.usage,
            order_differs: report.order_differs,
            reason: report.reason,
            log,
        };
        tracing::debug!(segment, shard = assignment.shard, worker = self.index, end = %close.end, "segment ended");
        self.recorder
            .close_segment(segment, close, report.last)
            .await?;
        for event in news.into_iter().chain([ended]) {
            self.events.send(event).await.ok();
        }
        Ok(())
    }

    /// Waits 1, 2, 4 s after host trouble, or until the hunt stops.
    pub(super) async fn back_off(&mut self, failures: u32) {
        let pause = Duration::from_secs(1 << failures.saturating_sub(1).min(5));
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| matches!(stop, Stop::Aborting(_))) => {}
        }
    }
}

/// How busy the host was when a segment started.
struct HostLoad {
    load_milli: Option<u32>,
    cpu_pressure_milli: Option<u32>,
}

impl HostLoad {
    fn read() -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").ok();
        let load = load
            .as_deref()
            .and_then(|text| text.split(' ').next())
            .and_then(milli);
        let pressure = std::fs::read_to_string("/proc/pressure/cpu").ok();
        let pressure = pressure.as_deref().and_then(|text| {
            let some = text.lines().find(|line| line.starts_with("some"))?;
            milli(
                some.split_whitespace()
                    .find_map(|word| word.strip_prefix("avg10="))?,
            )
        });
        Self {
            load_milli: load,
            cpu_pressure_milli: pressure,
        }
    }
}

/// Reads a decimal number as thousandths.
fn milli(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: String = part.chars().chain("000".chars()).take(3).collect();
    whole
        .parse::<u32>()
        .ok()?
        .checked_mul(1000)?
        .checked_add(part.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::milli;

    #[test]
    fn decimal_numbers_become_thousandths() {
        assert_eq!(milli("1.25"), Some(1250));
        assert_eq!(milli("0.07"), Some(70));
        assert_eq!(milli("3"), Some(3000));
        assert_eq!(milli("x"), None);
    }
}
