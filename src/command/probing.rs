//! A probe on its way: the levels of its environment, what a worker gets, and what its record shows.

use std::time::Duration;

use super::{
    factors::{self, seed32, variables},
    roster::Asked,
};
use crate::{
    config::Factor,
    execute::{Assignment, Of, Probing},
    model::{
        Answer, Clock, FactorLevel, Layout, Outcome, Probe, Question, Reply, SegmentEnd,
        SystemClock, TestId, TrialRecord,
    },
    plan::{HuntNonce, IterationSeed, MasterSeed},
    store::{PlannedProbe, ProbeBatch, RevisionId, SegmentRow, StoreError, Writer},
};

/// Milliseconds in an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// Returns the level of every factor in a probe: those that it fixes, the others drawn by its seed.
pub(super) fn levels(
    listed: &[Factor],
    probe: &Probe<TestId>,
    seed: IterationSeed,
) -> Vec<FactorLevel> {
    factors::levels(listed, &probe.factors, seed, Layout::PROBE, 0)
}

/// Where probes are planned: a hunt, on a revision.
#[derive(Clone)]
pub(super) struct Planner {
    pub(super) writer: Writer,
    pub(super) hunt: i64,
    pub(super) revision: RevisionId,
    pub(super) master: MasterSeed,
    pub(super) nonce: HuntNonce,
    /// The factors of `[factors]`.
    pub(super) factors: Vec<Factor>,
}

impl Planner {
    /// Makes a batch durable, from this place in the hunt's stream of shards on. Returns the rows of its shards with
    /// what each runs.
    ///
    /// # Errors
    /// When the record is broken.
    pub(super) async fn plan(
        &self,
        asked: Asked,
        first: i64,
    ) -> Result<Vec<(i64, PlannedProbe)>, StoreError> {
        let probes = (asked.first..).zip(first..).zip(asked.probes);
        let planned = probes.map(|((place, plan_index), probe)| {
            let seed = IterationSeed::of_probe(self.master, self.nonce, asked.question.0, place);
            PlannedProbe {
                place,
                factors: levels(&self.factors, &probe, seed),
                plan_index,
                seed: seed.0,
                probe,
            }
        });
        let batch = ProbeBatch {
            hunt: self.hunt,
            revision: self.revision,
            question: asked.question,
            opened: asked.opened,
            at: SystemClock.now(),
            probes: planned.collect(),
        };
        let shards = self.writer.plan_probes(&batch).await?;
        Ok(shards.into_iter().zip(batch.probes).collect())
    }
}

/// Returns what a worker gets for a planned probe.
pub(super) fn assignment(
    shard: i64,
    planned: &PlannedProbe,
    predicted: Duration,
    of: Of,
) -> Assignment {
    let (order, mut probing) = Probing::of(&planned.probe);
    probing.list_changes = planned.probe.question == Question::Locate;
    Assignment {
        shard,
        attempts: 0,
        order,
        of,
        probe: Some(probing),
        cause: None,
        predicted,
        factors: variables(&planned.factors),
        seed32: seed32(IterationSeed(planned.seed), Layout::PROBE, 0),
    }
}

/// The answer of a probe that never ran.
pub(super) fn nothing() -> Reply<TestId> {
    Reply {
        answer: Answer::Void,
        first: None,
        levels: Vec::new(),
        died_in: None,
        hours: 0.0,
        seconds: 0.0,
    }
}

/// Returns what a probe showed. `segments` are those of its last attempt, in the order they ran: one for each of
/// its processes that started. Whatever leaves a doubt makes it void.
pub(super) fn reply(
    probe: &Probe<TestId>,
    levels: &[FactorLevel],
    segments: &[SegmentRow],
) -> Reply<TestId> {
    let whole = segments.len() == probe.processes.len() && segments.iter().all(can_be_believed);
    let shown: Vec<Answer> = match segments.last() {
        Some(last) if whole => last
            .trials
            .iter()
            .filter(|trial| trial.test == probe.victim)
            .map(answer)
            .collect(),
        _ => Vec::new(),
    };
    let asked = probe.processes.last().map_or(0, |order| {
        let of_victim = order.iter().filter(|(test, _)| *test == probe.victim);
        of_victim.count()
    });
    // A first run that killed the process leaves no second: that second is what was asked about.
    let answer = match shown.last() {
        Some(answer) if shown.len() == asked => *answer,
        _ => Answer::Void,
    };
    let times = segments.iter().filter_map(|segment| {
        let ended = segment.close.as_ref()?.ended;
        Some(ended.since(segment.open.started))
    });
    #[expect(
        clippy::cast_precision_loss,
        reason = "wall clocks of this century fit"
    )]
    Reply {
        answer,
        first: shown.first().copied().filter(|_| asked > 1),
        levels: levels
            .iter()
            .map(|level| (level.factor.clone(), level.level.clone()))
            .collect(),
        died_in: segments.iter().find_map(|segment| died_in(segment, probe)),
        hours: segments
            .first()
            .map_or(0.0, |segment| segment.open.started_at.0 as f64 / HOUR_MS),
        seconds: times.sum::<Duration>().as_secs_f64(),
    }
}

fn answer(trial: &TrialRecord) -> Answer {
    match trial.outcome {
        Outcome::Passed => Answer::Passed,
        Outcome::Failed | Outcome::Error | Outcome::Timeout | Outcome::Crashed | Outcome::Oom => {
            Answer::Failed
        }
        Outcome::Skipped
        | Outcome::Aborted
        | Outcome::Lost
        | Outcome::Infra
        | Outcome::Untrusted => Answer::Void,
    }
}

/// Did the process run what it was asked to, in that order, as far as it came?
fn can_be_believed(segment: &SegmentRow) -> bool {
    segment.close.as_ref().is_some_and(|close| {
        let ran = match close.end {
            SegmentEnd::Completed | SegmentEnd::Timeout | SegmentEnd::Crashed | SegmentEnd::Oom => {
                true
            }
            SegmentEnd::Interrupted
            | SegmentEnd::Infra
            | SegmentEnd::Untrusted
            | SegmentEnd::Uncollected => false,
        };
        ran && !close.order_differs
    })
}

/// The test in which a process died, unless it is the victim: that one's own outcome tells.
fn died_in(segment: &SegmentRow, probe: &Probe<TestId>) -> Option<TestId> {
    let close = segment.close.as_ref()?;
    let died = matches!(
        close.end,
        SegmentEnd::Timeout | SegmentEnd::Crashed | SegmentEnd::Oom
    );
    close
        .running
        .clone()
        .filter(|test| died && *test != probe.victim)
}
