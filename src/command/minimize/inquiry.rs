//! What the workers of a minimisation get: first the failing order, until it fails; then the questions of the
//! analyst, one batch after the other, until it has none left.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::notes::Notes;
use crate::{
    command::{
        probing,
        replay::resolve::Target,
        roster::{Asked, Roster},
    },
    config::Factor,
    container::Left,
    diagnose::{Analyst, Observation, Showed, Shown},
    execute::{Assignment, Next, Of, Probing, ShardEnd, Source},
    model::{
        Answer, Clock, Count, Design, Flag, Grouping, Layout, Opened, Outcome, Probe, Question,
        QuestionId, Reply, SystemClock, TestId,
    },
    plan::{HuntNonce, IterationSeed, MasterSeed, Origin, Tests},
    store::{
        PlannedProbe, ProbeBatch, QuestionRow, Reader, RevisionId, SegmentRow, StoreError, Writer,
    },
    ui::{Console, escape, text},
};

/// The layout of an order that a person gave: nobody bets on it.
const GIVEN: Layout = Layout {
    design: Design::Given,
    shards: 1,
    grouping: Grouping::Interleaved,
    class: 0,
};

/// The database that keeps the probes.
pub(super) struct Book {
    pub(super) writer: Writer,
    pub(super) reader: Reader,
    pub(super) hunt: i64,
    pub(super) revision: RevisionId,
    /// Next place in the stream of that hunt.
    pub(super) next: i64,
}

/// What the containers of probes left behind, by shard: written as it is heard, read at the end.
pub(super) type Files = Arc<Mutex<BTreeMap<i64, Vec<Left>>>>;

/// What is on its way.
enum Flying {
    /// The failing order as it is.
    Order,
    /// A probe.
    Probe {
        question: QuestionId,
        planned: Box<PlannedProbe>,
    },
}

/// One run of the failing order: what its last process ran.
struct Run {
    order: Vec<(TestId, u8)>,
    segment: SegmentRow,
}

/// A probe in which the test failed, for an end before the end.
#[derive(Clone, Debug)]
pub(super) struct Failing {
    pub(super) probe: Probe<TestId>,
    /// Row of its shard, where it is in the database.
    pub(super) shard: Option<i64>,
}

/// A minimisation under way.
pub(super) struct Inquiry {
    pub(super) console: Console,
    pub(super) analyst: Analyst,
    pub(super) roster: Roster,
    pub(super) tests: Arc<Tests>,
    pub(super) factors: Vec<Factor>,
    pub(super) durations: BTreeMap<TestId, Duration>,
    pub(super) notes: Notes,
    pub(super) book: Option<Book>,
    pub(super) seeds: (MasterSeed, HuntNonce),
    /// Iterations that the analyst has seen.
    pub(super) iterations: u64,
    pub(super) workers: u32,
    /// The order to begin with; `None` where the record speaks for itself.
    pub(super) target: Option<Target>,
    /// How often to run it at most.
    pub(super) most: u32,
    /// The test that it is about, once that is known.
    pub(super) victim: Option<TestId>,
    /// Questions that an earlier process left open.
    pub(super) left: Vec<QuestionRow>,
    /// What the containers of probes left behind, by shard.
    pub(super) files: Files,
    pub(super) state: State,
}

/// How far it is.
#[derive(Default)]
pub(super) struct State {
    queue: VecDeque<Assignment>,
    flying: BTreeMap<i64, Flying>,
    next_outside: i64,
    given: u32,
    runs: Vec<Run>,
    asking: bool,
    /// Runs of the order, and those in which the test failed.
    pub(super) reproduced: Count,
    /// Probes that were answered, and the tests that they started.
    pub(super) probes: u64,
    pub(super) executions: u64,
    /// Shard of the newest answered probe that asked where the state lives.
    pub(super) located: Option<i64>,
    /// The shortest probe in which the test failed.
    pub(super) shortest: Option<Failing>,
    /// Answers of the batch under way: failed, passed, void.
    batch: (u64, u64, u64),
}

impl Inquiry {
    /// Has the order failed, or is it known to?
    pub(super) fn has_failed(&self) -> bool {
        self.target.is_none() || self.state.reproduced.failures > 0
    }

    /// Adds to a flag what the probe that found out where the state lives left behind.
    pub(super) fn tell_files(&self, flag: &mut Flag) {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = self.state.located.and_then(|shard| files.get(&shard)) {
            probing::tell_files(flag, left.iter().map(|left| left.path.clone()));
        }
    }

    /// Puts repetitions of the order on their way, as many as run side by side.
    fn repeat(&mut self, target: &Target) {
        let (last, before) = target
            .processes
            .split_last()
            .expect("an order has a process");
        let wave = self.workers.min(self.most - self.state.given);
        self.state.given += wave;
        for _ in 0..wave {
            self.state.next_outside -= 1;
            let shard = self.state.next_outside;
            let is_probe = !before.is_empty() || !target.beside.is_empty();
            self.state.queue.push_back(Assignment {
                shard,
                attempts: 0,
                order: last.clone(),
                of: Of::Suite,
                probe: is_probe.then(|| Probing {
                    before: before.to_vec(),
                    beside: target.beside.clone(),
                    list_changes: false,
                }),
                cause: None,
                predicted: self.predicted(target.order()),
                factors: target.variables.clone(),
                seed32: target.seed32,
            });
            self.state.flying.insert(shard, Flying::Order);
        }
    }

    fn predicted<'a>(&self, order: impl Iterator<Item = &'a (TestId, u8)>) -> Duration {
        order
            .map(|(test, _)| self.durations.get(test).copied().unwrap_or_default())
            .sum()
    }

    /// Takes what a repetition of the order showed.
    fn repeated(&mut self, shard: i64) {
        let Some(target) = &self.target else { return };
        let order = target.processes.last().cloned().unwrap_or_default();
        let mut segments = self.notes.segments(shard);
        let Some(attempt) = segments.iter().map(|one| one.open.attempt).max() else {
            return;
        };
        segments.retain(|segment| segment.open.attempt == attempt);
        // What ran after a death ran in another process: the first segment is the order, for one process.
        let at = target.processes.len() - 1;
        if at >= segments.len() {
            return;
        }
        let segment = segments.swap_remove(at);
        if segment
            .close
            .as_ref()
            .is_none_or(|close| close.order_differs)
        {
            return;
        }
        let failing = |test: &TestId| {
            let mut trials = segment.trials.iter();
            trials.any(|trial| trial.test == *test && trial.outcome.is_failing())
        };
        if self.victim.is_none() {
            let watched = |test: &&TestId| target.watch.is_empty() || target.watch.contains(*test);
            let mut failed = order
                .iter()
                .map(|(test, _)| test)
                .filter(|test| failing(test));
            let mut watched_failed = failed.clone().filter(watched);
            self.victim = watched_failed.next().cloned();
            if let Some(victim) = &self.victim
                && failed.any(|test| test != victim)
            {
                self.console.note(&format!(
                    "several tests fail in this order; this is about {} (choose another with `--test`)",
                    escape::terminal(victim.as_bytes())
                ));
            }
        }
        let fails = self.victim.as_ref().is_some_and(failing);
        let said = segment.trials.iter().any(|trial| {
            !trial.outcome.is_void()
                && self
                    .victim
                    .as_ref()
                    .is_none_or(|victim| *victim == trial.test)
        });
        self.state.reproduced.trials += u64::from(said);
        self.state.reproduced.failures += u64::from(fails);
        self.state.runs.push(Run { order, segment });
    }

    /// Shows the analyst the runs of the order.
    fn look(&mut self) {
        let Some(victim) = self.victim.clone() else {
            return;
        };
        for run in std::mem::take(&mut self.state.runs) {
            let index = |test: &TestId| self.roster.index(test);
            let asked: Vec<u32> = run
                .order
                .iter()
                .filter(|(_, rep)| *rep == 1)
                .filter_map(|(test, _)| index(test))
                .collect();
            let trials: Vec<Shown> = run
                .segment
                .trials
                .iter()
                .filter_map(|trial| shown(trial, index(&trial.test)?, &victim))
                .collect();
            let seconds = trials.iter().map(|trial| f64::from(trial.seconds)).sum();
            let close = run.segment.close.as_ref();
            let died_in = close.and_then(|close| index(close.running.as_ref()?));
            let count = |number: usize| u32::try_from(number).expect("a suite has few tests");
            self.analyst.observe(&Observation {
                iteration: self.iterations,
                tests: count(self.tests.len()),
                modules: count(self.tests.module_count()),
                layout: GIVEN,
                origin: Origin::Differing,
                asked: &asked,
                trials: &trials,
                died_in,
                worker: 0,
                hour: 0.0,
                levels: &[],
            });
            self.learn(&run.segment);
            self.analyst.end_iteration(self.iterations, seconds);
            self.iterations += 1;
        }
    }

    /// Takes the durations of tests of which none is known yet.
    fn learn(&mut self, segment: &SegmentRow) {
        for trial in &segment.trials {
            if let Some(duration) = trial.duration {
                let known = self.durations.entry(trial.test.clone());
                known.or_insert(duration);
            }
        }
        let names = self.tests.names().iter();
        let known: Vec<Option<Duration>> = names
            .map(|test| self.durations.get(test).copied())
            .collect();
        self.analyst.learn_seconds(&self.roster.seconds(&known));
    }

    /// Answers, as void, the arms that an earlier process left of blocks that began on another revision.
    async fn drop_torn(&mut self) -> Result<(), StoreError> {
        let Some(book) = &mut self.book else {
            return Ok(());
        };
        for question in &mut self.left {
            let unanswered = question.unanswered();
            let torn: Vec<(i64, u32)> = unanswered
                .filter(|row| question.is_torn(row, book.revision))
                .map(|row| (row.shard, row.place))
                .collect();
            for (shard, place) in torn {
                let nothing = probing::nothing();
                book.writer.answer_probe(shard, &nothing).await?;
                let known = self.roster.reply(&nothing);
                self.analyst.answer(question.id, place, &known);
                question.probes.retain(|row| row.place != place);
            }
        }
        Ok(())
    }

    /// Returns the next probes: those that an earlier process left first.
    fn propose(&mut self) -> Option<Asked> {
        while let Some(question) = self.left.pop() {
            let mut unanswered = question.unanswered();
            if let Some(row) = unanswered.next() {
                let asked = Asked {
                    question: question.id,
                    opened: None,
                    first: row.place,
                    probes: vec![row.probe.clone()],
                };
                let rest: Vec<_> = unanswered.map(|row| row.place).collect();
                let mut question = question;
                question
                    .probes
                    .retain(|row| rest.contains(&row.place) && row.reply.is_none());
                self.left.push(question);
                return Some(asked);
            }
        }
        let victim = self.roster.index(self.victim.as_ref()?)?;
        let batch = self.analyst.propose_for(victim)?;
        Some(self.roster.name(&batch))
    }

    /// Puts a batch on its way; it is durable before, where there is a database.
    async fn plan(&mut self, asked: Asked) -> Result<(), StoreError> {
        let first = self.book.as_ref().map_or(0, |book| book.next);
        let probes = (asked.first..).zip(first..).zip(asked.probes);
        let (master, nonce) = self.seeds;
        let planned: Vec<PlannedProbe> = probes
            .map(|((place, plan_index), probe)| {
                let seed = IterationSeed::of_probe(master, nonce, asked.question.0, place);
                PlannedProbe {
                    place,
                    factors: probing::levels(&self.factors, &probe, seed),
                    plan_index,
                    seed: seed.0,
                    probe,
                }
            })
            .collect();
        let shards = self.keep(asked.question, asked.opened, &planned).await?;
        self.state.batch = (0, 0, 0);
        for (shard, planned) in shards.into_iter().zip(planned) {
            let all = planned.probe.processes.iter().flatten();
            let predicted = self.predicted(all);
            let assignment = probing::assignment(shard, &planned, predicted, Of::Suite);
            self.state.queue.push_back(assignment);
            let flying = Flying::Probe {
                question: asked.question,
                planned: Box::new(planned),
            };
            self.state.flying.insert(shard, flying);
        }
        Ok(())
    }

    /// Is a probe under way that asks what a test elsewhere does? Such probes run one at a time: else the test beside
    /// one arm would run beside the other arms, too.
    fn asks_beside(&self) -> bool {
        let beside = |flying: &Flying| matches!(flying, Flying::Probe { planned, .. } if planned.probe.question == Question::Interference);
        // What is planned counts as flying, too.
        self.state.queue.len() < self.state.flying.len() && self.state.flying.values().any(beside)
    }

    /// Records what questions came to, where there is a database.
    async fn conclude(&mut self) -> Result<(), StoreError> {
        let concluded = self.analyst.take_concluded();
        let Some((writer, hunt)) = self.book.as_ref().map(|it| (it.writer.clone(), it.hunt)) else {
            return Ok(());
        };
        for (question, concluded) in concluded {
            writer.conclude(hunt, question, concluded).await?;
        }
        Ok(())
    }

    /// Makes probes durable, or gives them numbers outside the database.
    async fn keep(
        &mut self,
        question: QuestionId,
        opened: Option<Opened>,
        planned: &[PlannedProbe],
    ) -> Result<Vec<i64>, StoreError> {
        let Some(book) = &mut self.book else {
            return Ok(planned
                .iter()
                .map(|_| {
                    self.state.next_outside -= 1;
                    self.state.next_outside
                })
                .collect());
        };
        book.next += i64::try_from(planned.len()).expect("few probes");
        let batch = ProbeBatch {
            hunt: book.hunt,
            revision: book.revision,
            question,
            opened,
            at: SystemClock.now(),
            probes: planned.to_vec(),
        };
        book.writer.plan_probes(&batch).await
    }

    /// Takes what a probe showed.
    async fn answered(
        &mut self,
        shard: i64,
        question: QuestionId,
        planned: PlannedProbe,
    ) -> Result<(), StoreError> {
        let mut segments = match &self.book {
            None => self.notes.segments(shard),
            Some(book) => book
                .reader
                .segments_of(shard)?
                .into_iter()
                .map(|id| book.reader.segment(id))
                .collect::<Result<_, _>>()?,
        };
        let last = segments.iter().map(|segment| segment.open.attempt).max();
        segments.retain(|segment| Some(segment.open.attempt) == last);
        let reply = probing::reply(&planned.probe, &planned.factors, &segments);
        if let Some(book) = &self.book {
            book.writer.answer_probe(shard, &reply).await?;
        }
        self.count(shard, &planned.probe, &reply);
        let known = self.roster.reply(&reply);
        self.analyst.answer(question, planned.place, &known);
        self.conclude().await?;
        if self.state.flying.is_empty() {
            let (failed, passed, void) = self.state.batch;
            let void = if void > 0 {
                format!(", {void} void")
            } else {
                String::new()
            };
            self.console.note(&format!(
                "{:<12} {}: failed {failed} of {}{void}",
                planned.probe.question.word(),
                text::plural(self.state.executions, "test execution"),
                failed + passed,
            ));
        }
        Ok(())
    }

    fn count(&mut self, shard: i64, probe: &Probe<TestId>, reply: &Reply<TestId>) {
        let state = &mut self.state;
        state.probes += 1;
        state.executions += probe.executions() as u64;
        if probe.question == Question::Locate && reply.answer != Answer::Void {
            state.located = Some(shard);
        }
        match reply.answer {
            Answer::Failed => state.batch.0 += 1,
            Answer::Passed => state.batch.1 += 1,
            Answer::Void => state.batch.2 += 1,
        }
        let is_shorter = state
            .shortest
            .as_ref()
            .is_none_or(|before| probe.executions() < before.probe.executions());
        if reply.answer == Answer::Failed && is_shorter {
            state.shortest = Some(Failing {
                probe: probe.clone(),
                shard: self.book.is_some().then_some(shard),
            });
        }
    }
}

/// A trial as the analyst sees it. Failures of other tests say nothing here: what fails in the same order again and
/// again would look like a bad night.
fn shown(trial: &crate::model::TrialRecord, test: u32, victim: &TestId) -> Option<Shown> {
    let start = trial.started?;
    let showed = if trial.outcome == Outcome::Passed {
        Showed::Passed
    } else if trial.outcome.is_failing() && trial.test == *victim {
        Showed::Failed
    } else {
        Showed::Nothing
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of one boot fit for 285 years"
    )]
    let start = start.0 as f64 / 1e6;
    Some(Shown {
        test,
        rep: trial.rep,
        showed,
        start,
        seconds: trial.duration.unwrap_or_default().as_secs_f32(),
    })
}

impl Source for Inquiry {
    async fn next(&mut self) -> Result<Next, StoreError> {
        loop {
            if self.asks_beside() {
                return Ok(Next::Wait);
            }
            if let Some(assignment) = self.state.queue.pop_front() {
                return Ok(Next::Shard(Box::new(assignment)));
            }
            if !self.state.flying.is_empty() {
                return Ok(Next::Wait);
            }
            if self.state.asking {
                let asked = self.propose();
                self.conclude().await?;
                let Some(asked) = asked else {
                    return Ok(Next::Done);
                };
                self.plan(asked).await?;
                continue;
            }
            if !self.has_failed() && self.state.given < self.most {
                let target = self.target.take().expect("without one it has failed");
                self.repeat(&target);
                self.target = Some(target);
                continue;
            }
            if !self.has_failed() {
                return Ok(Next::Done);
            }
            self.look();
            self.drop_torn().await?;
            self.state.asking = true;
        }
    }

    async fn ended(&mut self, shard: i64, end: ShardEnd) -> Result<(), StoreError> {
        let flying = self.state.flying.remove(&shard);
        match (flying, end) {
            (None, _) | (Some(_), ShardEnd::Interrupted) => Ok(()),
            (Some(Flying::Order), _) => {
                self.repeated(shard);
                Ok(())
            }
            (Some(Flying::Probe { question, planned }), _) => {
                self.answered(shard, question, *planned).await
            }
        }
    }
}
