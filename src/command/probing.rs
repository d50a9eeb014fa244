//! A probe on its way: the levels of its environment, what a worker gets, and what its record shows.

use std::time::Duration;

use super::{
    factors::{self, seed32, variables},
    roster::Asked,
};
use crate::{
    config::Factor,
    container::Left,
    execute::{Assignment, Of, Probing},
    model::{
        Answer, Clock, EventRecord, FactorLevel, Flag, Layout, Outcome, Probe, Question, Reach,
        Reply, SegmentEnd, SystemClock, TestId, TrialRecord,
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

/// Most paths that a flag tells of: the first say where to look.
const MOST_FILES: usize = 20;

/// The event that records what the container of a probe left behind.
pub(super) fn left_behind(shard: i64, left: &[Left]) -> EventRecord {
    let files: Vec<&str> = left.iter().map(|left| &*left.path).collect();
    EventRecord {
        at: SystemClock.now(),
        kind: "files left",
        facts: serde_json::json!({ "shard": shard, "files": files }),
    }
}

/// Says in a flag what the container of a probe left behind, where that is how the state reaches the test.
pub(super) fn tell_files(flag: &mut Flag, files: impl IntoIterator<Item = String>) {
    if flag.reach == Some(Reach::Container) {
        flag.files_left = files.into_iter().take(MOST_FILES).collect();
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
    let processes = probe.processes.iter();
    let whole = segments.len() == probe.processes.len()
        && processes
            .zip(segments)
            .all(|(order, segment)| can_be_believed(segment) && ran_all(order, segment, probe));
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

/// Did everything start that a process was asked to run, up to the victim's last trial in it? A test that is gone from
/// the suite, that the process never came to, or of which nothing is known, leaves a run that is not the one asked for:
/// a treated arm without its treatment, or a decoy arm without its decoy.
fn ran_all(order: &[(TestId, u8)], segment: &SegmentRow, probe: &Probe<TestId>) -> bool {
    let last = order.iter().rposition(|(test, _)| *test == probe.victim);
    let needed = &order[..last.unwrap_or(order.len())];
    let ran = |(test, rep): &(TestId, u8)| {
        let mut trials = segment.trials.iter();
        trials.any(|trial| trial.test == *test && trial.rep == *rep && has_run(trial))
    };
    needed.iter().all(ran)
}

fn has_run(trial: &TrialRecord) -> bool {
    trial.started.is_some()
        && match trial.outcome {
            Outcome::Passed
            | Outcome::Failed
            | Outcome::Error
            | Outcome::Timeout
            | Outcome::Crashed
            | Outcome::Oom
            | Outcome::Skipped => true,
            Outcome::Aborted | Outcome::Lost | Outcome::Infra | Outcome::Untrusted => false,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Arm, ListDigest, MonoMicros, SegmentClose, SegmentOpen, UnixMillis, Usage};

    fn test(name: &str) -> TestId {
        TestId::new(name).unwrap()
    }

    fn probe(processes: &[&[&str]]) -> Probe<TestId> {
        let named = |names: &&[&str]| names.iter().map(|name| (test(name), 1)).collect();
        Probe {
            victim: test("v"),
            question: Question::Polluter,
            block: Some(0),
            arm: Arm::Treated,
            turn: 0,
            processes: processes.iter().map(named).collect(),
            beside: Vec::new(),
            factors: Vec::new(),
        }
    }

    /// A process that came to its end, with what each test showed; `Lost` and `Infra` ones never started.
    fn process(trials: &[(&str, Outcome)]) -> SegmentRow {
        let never = [Outcome::Lost, Outcome::Infra];
        let started = |outcome| (!never.contains(&outcome)).then_some(MonoMicros(5));
        let trials = (0..).zip(trials);
        SegmentRow {
            id: 1,
            boot_id: String::new(),
            open: SegmentOpen {
                shard: 1,
                attempt: 1,
                cause: None,
                trials: 0,
                order: ListDigest::from_bytes([0; 32]),
                worker: 0,
                started: MonoMicros(0),
                started_at: UnixMillis(0),
                load_milli: None,
                cpu_pressure_milli: None,
                beside: Vec::new(),
            },
            close: Some(SegmentClose {
                end: SegmentEnd::Completed,
                interruption: None,
                ended: MonoMicros(9),
                ended_at: UnixMillis(0),
                running: None,
                exit: Some(0),
                usage: Usage::default(),
                order_differs: false,
                reason: None,
                log: None,
            }),
            trials: trials
                .map(|(position, (name, outcome))| TrialRecord {
                    position,
                    test: test(name),
                    rep: 1,
                    outcome: *outcome,
                    started: started(*outcome),
                    duration: None,
                    detail: None,
                })
                .collect(),
        }
    }

    fn shown(probe: &Probe<TestId>, segments: &[SegmentRow]) -> Answer {
        reply(probe, &[], segments).answer
    }

    #[test]
    fn probe_without_one_of_its_tests_is_void() {
        use Outcome::{Failed, Infra, Lost, Passed, Skipped};
        let one = probe(&[&["a", "b", "v"]]);
        for (showed, expected) in [
            (
                [("a", Passed), ("b", Failed), ("v", Passed)],
                Answer::Passed,
            ),
            (
                [("a", Passed), ("b", Skipped), ("v", Failed)],
                Answer::Failed,
            ),
            ([("a", Lost), ("b", Passed), ("v", Passed)], Answer::Void),
            ([("a", Passed), ("b", Infra), ("v", Failed)], Answer::Void),
            ([("a", Passed), ("b", Passed), ("v", Lost)], Answer::Void),
        ] {
            assert_eq!(shown(&one, &[process(&showed)]), expected, "{showed:?}");
        }
        let gone = process(&[("a", Passed), ("v", Passed)]);
        assert_eq!(shown(&one, &[gone]), Answer::Void);
    }

    #[test]
    fn what_is_missing_after_the_victim_changes_nothing() {
        use Outcome::{Lost, Passed};
        let one = probe(&[&["a", "v", "b"]]);
        let showed = [("a", Passed), ("v", Passed), ("b", Lost)];
        assert_eq!(shown(&one, &[process(&showed)]), Answer::Passed);
    }

    #[test]
    fn test_that_is_missing_in_an_earlier_process_makes_a_probe_void() {
        use Outcome::{Failed, Lost, Passed};
        let two = probe(&[&["a"], &["v"]]);
        let last = || process(&[("v", Failed)]);
        let came = process(&[("a", Passed)]);
        assert_eq!(shown(&two, &[came, last()]), Answer::Failed);
        let missing = process(&[("a", Lost)]);
        assert_eq!(shown(&two, &[missing, last()]), Answer::Void);
        assert_eq!(shown(&two, &[last()]), Answer::Void);
    }
}
