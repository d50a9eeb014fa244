//! The life of a probe on one worker: one container with its processes, in one attempt. What dies stays dead: a void
//! probe is an answer, too, and only the host's own trouble is tried again.

use super::{
    Assignment, Event, Recorder, Rig, ShardEnd, Stop, Worker,
    neighbour::{Company, Missing, Neighbour},
    segment::{Outlets, Report, Request},
    talk::{Place, Talk},
    worker::ATTEMPTS,
};
use crate::{
    container::Launch,
    model::{Probe, SegmentEnd, TestId},
    store::StoreError,
    suite::Nonce,
};

/// What makes an assignment a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probing {
    /// Processes that run in the container before the one of the assignment's order, one after the other.
    pub before: Vec<Vec<(TestId, u8)>>,
    /// Tests that run over and over in another container meanwhile.
    pub beside: Vec<TestId>,
    /// Is [`Event::Left`] to say which files the container left behind?
    pub list_changes: bool,
}

impl Probing {
    /// Splits what a probe runs into the order of its last process, which answers, and all that makes it a probe.
    #[must_use]
    pub fn of(probe: &Probe<TestId>) -> (Vec<(TestId, u8)>, Self) {
        let mut before = probe.processes.clone();
        let order = before.pop().unwrap_or_default();
        let probing = Self {
            before,
            beside: probe.beside.clone(),
            list_changes: false,
        };
        (order, probing)
    }
}

/// How one attempt at a probe went.
enum Tried {
    /// It has its answer, if only that there is none.
    Over,
    Interrupted,
    /// It said nothing, which may be the host's fault.
    Silent(ShardEnd),
}

/// One process of a probe.
struct Process<'a> {
    order: &'a [(TestId, u8)],
    nonce: Nonce,
    place: Place,
}

/// One attempt at a probe.
struct Run<'a> {
    assignment: &'a Assignment,
    processes: &'a [Process<'a>],
    /// Which attempt of this worker's, from 1.
    trouble: u32,
}

impl<R: Recorder> Worker<R> {
    /// Runs a probe to its end.
    pub(super) async fn probe(
        &mut self,
        assignment: &Assignment,
        probing: &Probing,
    ) -> Result<ShardEnd, StoreError> {
        for trouble in 1..=ATTEMPTS {
            if matches!(*self.stop.borrow(), Stop::Aborting(_)) {
                return Ok(ShardEnd::Interrupted);
            }
            let tried = self.attempt(assignment, probing, trouble).await?;
            let end = match tried {
                Tried::Interrupted => return Ok(ShardEnd::Interrupted),
                Tried::Silent(_) if trouble < ATTEMPTS => {
                    self.back_off(trouble).await;
                    continue;
                }
                Tried::Silent(given_up) => given_up,
                Tried::Over => ShardEnd::Done,
            };
            self.recorder.close_shard(assignment.shard).await?;
            return Ok(end);
        }
        unreachable!("the last attempt returns")
    }

    /// Starts what runs beside, tries once, ends what runs beside.
    async fn attempt(
        &mut self,
        assignment: &Assignment,
        probing: &Probing,
        trouble: u32,
    ) -> Result<Tried, StoreError> {
        if probing.beside.is_empty() {
            return self.container(assignment, probing, trouble, None).await;
        }
        let company = Company {
            of: assignment.of,
            tests: probing.beside.clone(),
            factors: assignment.factors.clone(),
            seed32: assignment.seed32,
        };
        let mut stop = self.stop.clone();
        let neighbour = tokio::select! {
            neighbour = Neighbour::start(&self.rig, company) => neighbour,
            _ = stop.wait_for(|stop| matches!(stop, Stop::Aborting(_))) => {
                return Ok(Tried::Interrupted);
            }
            () = tokio::time::sleep(self.rig.limits.for_segment(assignment.predicted)) => {
                Err(Missing {
                    why: "no test of those beside began to run in time".to_owned(),
                    of_host: false,
                })
            }
        };
        let (neighbour, missing) = match neighbour {
            Ok(neighbour) => (Some(neighbour), None),
            Err(why) => (None, Some(why)),
        };
        let tried = self.container(assignment, probing, trouble, missing).await;
        if let Some(neighbour) = neighbour {
            neighbour.end().await;
        }
        tried
    }

    /// Runs the processes in one container; `missing` says why what was to run beside does not, so that none runs.
    async fn container(
        &mut self,
        assignment: &Assignment,
        probing: &Probing,
        trouble: u32,
        missing: Option<Missing>,
    ) -> Result<Tried, StoreError> {
        let processes = processes(assignment, probing);
        let launch = self.launch_of(assignment, probing, &processes);
        let first = &processes[0];
        let segment = self.begin(assignment, first, trouble).await?;
        if let Some(missing) = missing {
            let report = Report::beside_missing(missing.why, first.order.len());
            let trouble = if missing.of_host { trouble } else { ATTEMPTS };
            let settled = self.settle(assignment, first, segment, report, trouble);
            return Ok(match settled.await? {
                Tried::Silent(_) if !missing.of_host => Tried::Over,
                tried @ (Tried::Over | Tried::Interrupted | Tried::Silent(_)) => tried,
            });
        }
        let mut slot = match self.take_slot().await {
            Ok(slot) => slot,
            Err(error) => {
                let report = Report::never_ran(&error, first.order.len());
                return self
                    .settle(assignment, first, segment, report, trouble)
                    .await;
            }
        };
        let (tried, failed) = match Talk::start(&mut slot, &launch, self.rig.limits.output).await {
            Ok(mut talk) => {
                let run = Run {
                    assignment,
                    processes: &processes,
                    trouble,
                };
                self.follow(&mut talk, &run, segment).await?
            }
            Err(error) => {
                let report = Report::never_ran(&error, first.order.len());
                let settled = self.settle(assignment, first, segment, report, trouble);
                (settled.await?, true)
            }
        };
        if !failed {
            self.slot = Some(slot);
        }
        Ok(tried)
    }

    /// Follows the processes of a container, the first of which records into `segment`. Returns also whether the
    /// slot failed.
    async fn follow(
        &mut self,
        talk: &mut Talk<'_>,
        run: &Run<'_>,
        mut segment: i64,
    ) -> Result<(Tried, bool), StoreError> {
        let assignment = run.assignment;
        let mut failed = false;
        let mut tried = Tried::Over;
        for (place, process) in run.processes.iter().enumerate() {
            if place > 0 {
                segment = self.begin(assignment, process, run.trouble).await?;
            }
            let outlets = Outlets {
                recorder: &self.recorder,
                events: &self.events,
                stop: self.stop.clone(),
            };
            let request = Request {
                order: process.order,
                nonce: process.nonce,
                limits: self.rig.limits,
                shard_limit: self.rig.limits.for_segment(assignment.predicted),
                shard: assignment.shard,
                segment,
            };
            let report = talk.follow(&request, &outlets, process.place).await;
            self.neighbours().remove(&self.index);
            let report = report?.without_blame();
            failed |= report.slot_failed;
            let goes_on = report.end == SegmentEnd::Completed;
            if let Some(left) = report.left.clone() {
                let shard = assignment.shard;
                self.events.send(Event::Left { shard, left }).await.ok();
            }
            // What the processes before it did is no trouble of the host's: such a probe is void, and not tried again.
            let trouble = if place > 0 { ATTEMPTS } else { run.trouble };
            let settled = self.settle(assignment, process, segment, report, trouble);
            tried = match settled.await? {
                Tried::Silent(_) if place > 0 => Tried::Over,
                tried @ (Tried::Over | Tried::Interrupted | Tried::Silent(_)) => tried,
            };
            if !goes_on {
                break;
            }
        }
        Ok((tried, failed))
    }

    /// Opens the segment of a process.
    async fn begin(
        &mut self,
        assignment: &Assignment,
        process: &Process<'_>,
        trouble: u32,
    ) -> Result<i64, StoreError> {
        let attempt = assignment.attempts + trouble;
        let open = self.open(assignment, attempt, None, process.order);
        let segment = self.recorder.open_segment(open).await?;
        self.neighbours().insert(self.index, segment);
        let started = Event::SegmentStarted {
            worker: self.index,
            shard: assignment.shard,
            trials: process.order.len(),
        };
        self.events.send(started).await.ok();
        Ok(segment)
    }

    /// Closes the segment of a process, and says what that means for the probe.
    async fn settle(
        &mut self,
        assignment: &Assignment,
        process: &Process<'_>,
        segment: i64,
        report: Report,
        trouble: u32,
    ) -> Result<Tried, StoreError> {
        self.neighbours().remove(&self.index);
        let end = report.end;
        let silent = report.says_nothing();
        let given_up = ShardEnd::given_up(end);
        let last = (silent && trouble >= ATTEMPTS).then_some(given_up);
        self.close(assignment, segment, process.order, report, last)
            .await?;
        Ok(if end == SegmentEnd::Interrupted {
            Tried::Interrupted
        } else if silent {
            Tried::Silent(given_up)
        } else {
            Tried::Over
        })
    }

    fn launch_of(
        &self,
        assignment: &Assignment,
        probing: &Probing,
        processes: &[Process<'_>],
    ) -> Launch {
        let (rig, of) = (&self.rig, assignment.of);
        let context = |nonce| of.context(rig, nonce, assignment.seed32);
        let command = match processes {
            [only] => rig.runner.run(&context(only.nonce), only.order),
            several => {
                let several: Vec<_> = several
                    .iter()
                    .map(|process| (context(process.nonce), process.order))
                    .collect();
                rig.runner.run_in_turn(&several)
            }
        };
        let mut launch = of.launch(rig, command, &assignment.factors, assignment.seed32);
        launch.list_changes = probing.list_changes;
        launch
    }
}

fn processes<'a>(assignment: &'a Assignment, probing: &'a Probing) -> Vec<Process<'a>> {
    let process = |order, place| Process {
        order,
        nonce: Rig::nonce(),
        place,
    };
    let earlier = probing.before.iter();
    earlier
        .filter(|order| !order.is_empty())
        .map(|order| process(order.as_slice(), Place::Earlier))
        .chain([process(&assignment.order, Place::Last)])
        .collect()
}
