//! Questions, their probes and the answers: written before a probe's container starts and after it ended, and
//! read back so that a question goes on where it was.

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Row, named_params};
use serde::de::DeserializeOwned;

use super::book::{self, Names};
use super::rows::{self, RevisionId, word, word_or_null};
use super::{Reader, StoreError, sql};
use crate::model::{
    Answer, Arm, FactorLevel, Layout, ListDigest, Opened, Probe, Question, QuestionId, Recorded,
    Reply, ShardPlan, ShardState, SuiteId, TestId, UnixMillis,
};
use crate::plan::ALGORITHM;

/// Probes of one question, to be committed before the first of them starts.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeBatch {
    /// The hunt that runs them. The question belongs to its suite.
    pub hunt: i64,
    /// The revision they run on.
    pub revision: RevisionId,
    /// The question.
    pub question: QuestionId,
    /// How it was opened, with its first batch.
    pub opened: Option<Opened>,
    /// Wall clock.
    pub at: UnixMillis,
    /// The probes; never empty.
    pub probes: Vec<PlannedProbe>,
}

/// One probe as planned.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedProbe {
    /// Its place among all probes of its question, from 0. A place that was planned before and not answered is
    /// planned again; the shard that it had is abandoned.
    pub place: u32,
    /// What it runs.
    pub probe: Probe,
    /// Place in the hunt's stream of shards, which probes share.
    pub plan_index: i64,
    /// Seed that its factors, and the random generators of its tests, are drawn from.
    pub seed: u64,
    /// Level of each environment factor, fixed ones included, as sent to the container.
    pub factors: Vec<FactorLevel>,
}

/// A question as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionRow {
    /// Its number in the suite.
    pub id: QuestionId,
    /// How it was opened.
    pub opened: Opened,
    /// When.
    pub at: UnixMillis,
    /// Hunt that opened it.
    pub hunt: i64,
    /// Revision it was opened on.
    pub revision: RevisionId,
    /// What it came to, as the analyst put it, where that does not follow from the replies alone.
    pub concluded: Option<serde_json::Value>,
    /// Its probes in order.
    pub probes: Vec<ProbeRow>,
}

/// A probe as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeRow {
    /// Row of its shard.
    pub shard: i64,
    /// Hunt that planned it.
    pub hunt: i64,
    /// Revision it was planned for.
    pub revision: RevisionId,
    /// Place in the stream of that hunt.
    pub plan_index: i64,
    /// How its shard stands.
    pub state: ShardState,
    /// How often it was tried; 0 when never.
    pub attempt: u32,
    /// Its place among all probes of its question.
    pub place: u32,
    /// Seed that its factors were drawn from.
    pub seed: u64,
    /// Level of each environment factor by name, as planned.
    pub factors: Vec<FactorLevel>,
    /// What it runs.
    pub probe: Probe,
    /// What it showed, once it is answered.
    pub reply: Option<Reply>,
}

impl QuestionRow {
    /// Returns what the analyst is given back.
    #[must_use]
    pub fn recorded(&self) -> Recorded {
        let probes = self.probes.iter();
        Recorded {
            id: self.id,
            opened: self.opened.clone(),
            probes: probes
                .map(|row| (row.probe.clone(), row.reply.clone()))
                .collect(),
            concluded: self.concluded.clone(),
        }
    }

    /// Returns the probes that wait for their answer.
    pub fn unanswered(&self) -> impl Iterator<Item = &ProbeRow> {
        self.probes.iter().filter(|row| row.reply.is_none())
    }

    /// Did an arm of this probe's block run on another revision than this one? Arms of one block are only comparable
    /// on the same.
    #[must_use]
    pub fn is_torn(&self, row: &ProbeRow, revision: RevisionId) -> bool {
        row.probe.block.is_some()
            && self.probes.iter().any(|other| {
                let has_run = other.reply.is_some() || other.state == ShardState::Finished;
                other.probe.block == row.probe.block && has_run && other.revision != revision
            })
    }
}

/// Writes a batch of probes with their shards, and the question if it opens; returns the shards in the order given.
pub(super) fn plan(
    connection: &Connection,
    names: &mut Names,
    batch: &ProbeBatch,
) -> Result<Vec<i64>, StoreError> {
    if let Some(opened) = &batch.opened {
        open(connection, names, batch, opened)?;
    }
    let number = i64::from(batch.question.0);
    let values = named_params! { ":hunt_id": batch.hunt, ":number": number };
    let found = |row: &Row| Ok((row.get("id")?, row.get("places")?));
    let (question, mut places): (i64, u32) = sql::FIND_QUESTION
        .first(connection, values, found)?
        .ok_or(StoreError::NoSuchRow {
        kind: "question",
        id: number,
    })?;
    let mut shards = Vec::with_capacity(batch.probes.len());
    for planned in &batch.probes {
        if planned.place > places {
            return Err(StoreError::OutOfTurn {
                kind: "probe",
                expected: places,
                found: planned.place,
            });
        }
        places = places.max(planned.place + 1);
        abandon(connection, question, planned.place)?;
        shards.push(plan_one(connection, names, batch, question, planned)?);
    }
    Ok(shards)
}

fn open(
    connection: &Connection,
    names: &mut Names,
    batch: &ProbeBatch,
    opened: &Opened,
) -> Result<(), StoreError> {
    let id = named_params! { ":hunt_id": batch.hunt };
    let expected = sql::COUNT_QUESTIONS.only(connection, id, |row| row.get("questions"))?;
    if batch.question.0 != expected {
        return Err(StoreError::OutOfTurn {
            kind: "question",
            expected,
            found: batch.question.0,
        });
    }
    let values = named_params! {
        ":number": batch.question.0,
        ":hunt_id": batch.hunt,
        ":revision_id": batch.revision.0,
        ":victim_id": names.find(connection, &opened.victim)?,
        ":kind": opened.question.code(),
        ":attempt": opened.attempt,
        ":parameters": opened.parameters.to_string(),
        ":opened_ms": batch.at.0,
    };
    book::one_row(
        sql::INSERT_QUESTION.run(connection, values)?,
        "hunt",
        batch.hunt,
    )
}

/// Closes the shards of a place that is planned again.
fn abandon(connection: &Connection, question: i64, place: u32) -> Result<(), StoreError> {
    let values = named_params! { ":question_id": question, ":place": place };
    let left: Vec<i64> = sql::FIND_UNANSWERED.all(connection, values, |row| row.get("shard_id"))?;
    left.into_iter()
        .try_for_each(|shard| book::close_shard(connection, shard, ShardState::Abandoned))
}

fn plan_one(
    connection: &Connection,
    names: &mut Names,
    batch: &ProbeBatch,
    question: i64,
    planned: &PlannedProbe,
) -> Result<i64, StoreError> {
    let probe = &planned.probe;
    let order = || probe.processes.iter().flatten().map(|(test, _)| test);
    let hunt = named_params! { ":hunt_id": batch.hunt };
    let plan = ShardPlan {
        plan_index: planned.plan_index,
        iteration: sql::NEXT_PROBE_ITERATION.only(connection, hunt, |row| row.get("number"))?,
        shard: 0,
        seed: planned.seed,
        algorithm: ALGORITHM,
        layout: Layout::PROBE,
        drawn_with: 1.0,
        trials: u32::try_from(order().count()).expect("a probe runs few tests"),
        order: ListDigest::of(order()),
        explicit_order: None,
        factors: planned.factors.clone(),
    };
    let shard = book::plan_iteration(connection, names, batch.hunt, batch.revision, &[plan])?[0];
    let processes = (0_i64..).zip(&probe.processes);
    let trials = processes.flat_map(|(process, order)| order.iter().map(move |t| (process, t)));
    for (place, (process, (test, rep))) in (0_i64..).zip(trials) {
        let values = named_params! {
            ":shard_id": shard,
            ":place": place,
            ":test_id": names.find(connection, test)?,
            ":rep": rep,
            ":process": process,
        };
        sql::INSERT_SHARD_ORDER.run(connection, values)?;
    }
    let values = named_params! {
        ":shard_id": shard,
        ":question_id": question,
        ":place": planned.place,
        ":victim_id": names.find(connection, &probe.victim)?,
        ":kind": probe.question.code(),
        ":block": probe.block,
        ":arm": probe.arm.code(),
        ":turn": probe.turn,
        ":factors": json_of(&probe.factors),
    };
    sql::INSERT_PROBE.run(connection, values)?;
    for (place, test) in (0_i64..).zip(&probe.beside) {
        let test_id = names.find(connection, test)?;
        let values = named_params! { ":shard_id": shard, ":place": place, ":test_id": test_id };
        sql::INSERT_PROBE_BESIDE.run(connection, values)?;
    }
    Ok(shard)
}

/// Writes what a probe showed, once; its shard is abandoned if nobody closed it.
pub(super) fn answer(
    connection: &Connection,
    names: &mut Names,
    shard: i64,
    reply: &Reply,
) -> Result<(), StoreError> {
    let died_in = reply.died_in.as_ref();
    let died_in = died_in.map(|test| names.find(connection, test));
    let values = named_params! {
        ":shard_id": shard,
        ":answer": reply.answer.code(),
        ":first": reply.first.map(Answer::code),
        ":levels": json_of(&reply.levels),
        ":died_in": died_in.transpose()?,
        ":hours": reply.hours,
        ":seconds": reply.seconds,
    };
    book::one_row(
        sql::SET_ANSWER.run(connection, values)?,
        "unanswered probe",
        shard,
    )?;
    let id = named_params! { ":shard_id": shard };
    let state = |row: &Row| word(row, "state", ShardState::from_code);
    let state = sql::SELECT_SHARD.only(connection, id, state)?;
    if state == ShardState::Planned {
        book::close_shard(connection, shard, ShardState::Abandoned)?;
    }
    Ok(())
}

/// Writes what a question of the suite of a hunt came to, once.
pub(super) fn conclude(
    connection: &Connection,
    hunt: i64,
    question: QuestionId,
    concluded: &serde_json::Value,
) -> Result<(), StoreError> {
    let number = i64::from(question.0);
    let values = named_params! {
        ":hunt_id": hunt, ":number": number, ":body": concluded.to_string(),
    };
    book::one_row(
        sql::INSERT_CONCLUSION.run(connection, values)?,
        "question",
        number,
    )
}

/// Number of trials that the last attempt at a probe recorded.
pub(super) fn answered_trials(connection: &Connection, shard: i64) -> Result<i64, StoreError> {
    let id = named_params! { ":shard_id": shard };
    sql::ANSWER_PROBE.only(connection, id, |row| row.get("answered"))
}

impl Reader {
    /// Returns all questions of a suite by number, over all its hunts, with their probes.
    ///
    /// A probe without a reply waits for its answer. Its hunt may run it again as planned; on another revision, or
    /// in another hunt, it is planned again under the same place.
    ///
    /// # Errors
    /// When the database cannot be read; so for all methods below.
    pub fn questions(&self, suite: SuiteId) -> Result<Vec<QuestionRow>, StoreError> {
        let values = named_params! { ":suite_id": suite.bits() };
        let rows = sql::SELECT_QUESTIONS.all(&self.connection, values, question)?;
        rows.into_iter().map(|row| self.with_probes(row)).collect()
    }

    /// Returns the questions of a suite about one test by number, with their probes.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn questions_of(
        &self,
        suite: SuiteId,
        test: &TestId,
    ) -> Result<Vec<QuestionRow>, StoreError> {
        let Some(test_id) = self.test_by_name(test)? else {
            return Ok(Vec::new());
        };
        let values = named_params! { ":suite_id": suite.bits(), ":test_id": test_id };
        let rows = sql::QUESTIONS_OF_TEST.all(&self.connection, values, question)?;
        rows.into_iter().map(|row| self.with_probes(row)).collect()
    }

    /// Returns the probe of a shard; `None` when the shard is no probe.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn probe(&self, shard: i64) -> Result<Option<ProbeRow>, StoreError> {
        let id = named_params! { ":shard_id": shard };
        let row = sql::SELECT_PROBE.first(&self.connection, id, probe)?;
        row.map(|row| self.complete_probe(row)).transpose()
    }

    /// Returns the paths that the container of a probe left behind (made, changed or deleted), as its event says; none
    /// where there is no such event.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn files_left(&self, shard: i64) -> Result<Vec<String>, StoreError> {
        let id = named_params! { ":shard_id": shard };
        sql::FILES_LEFT.all(&self.connection, id, |row| row.get("path"))
    }

    /// Returns how often a suite tried to certify something, in its whole life.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn attempts(&self, suite: SuiteId) -> Result<u64, StoreError> {
        let values = named_params! { ":suite_id": suite.bits() };
        sql::COUNT_ATTEMPTS.only(&self.connection, values, |row| row.get("attempts"))
    }

    fn with_probes(&self, (id, mut row): (i64, QuestionRow)) -> Result<QuestionRow, StoreError> {
        let values = named_params! { ":question_id": id };
        let probes = sql::SELECT_PROBES.all(&self.connection, values, probe)?;
        row.probes = probes
            .into_iter()
            .map(|probe| self.complete_probe(probe))
            .collect::<Result<_, _>>()?;
        Ok(row)
    }

    /// Adds what has rows of its own.
    fn complete_probe(&self, mut row: ProbeRow) -> Result<ProbeRow, StoreError> {
        let id = named_params! { ":shard_id": row.shard };
        let attempt = |row: &Row| row.get::<_, Option<u32>>("attempt");
        let attempt = sql::ATTEMPTS_OF_SHARD.only(&self.connection, id, attempt)?;
        row.attempt = attempt.unwrap_or(0);
        row.factors = self.factors(row.shard)?;
        let trial = |row: &Row| {
            let trial = (rows::test_name(row, "name")?, row.get("rep")?);
            Ok((row.get("process")?, trial))
        };
        let trials: Vec<(usize, _)> = sql::SELECT_SHARD_ORDER.all(&self.connection, id, trial)?;
        for (process, trial) in trials {
            let processes = &mut row.probe.processes;
            if processes.len() <= process {
                processes.resize_with(process + 1, Vec::new);
            }
            processes[process].push(trial);
        }
        let beside = |row: &Row| rows::test_name(row, "name");
        row.probe.beside = sql::SELECT_PROBE_BESIDE.all(&self.connection, id, beside)?;
        Ok(row)
    }
}

fn question(row: &Row) -> rusqlite::Result<(i64, QuestionRow)> {
    let question = QuestionRow {
        id: QuestionId(row.get("number")?),
        opened: Opened {
            victim: rows::test_name(row, "victim")?,
            question: word(row, "kind", Question::from_code)?,
            attempt: row.get("attempt")?,
            parameters: json(row, "parameters")?,
        },
        at: UnixMillis(row.get("opened_ms")?),
        hunt: row.get("hunt_id")?,
        revision: RevisionId(row.get("revision_id")?),
        concluded: json_or_null(row, "concluded")?,
        probes: Vec::new(),
    };
    Ok((row.get("id")?, question))
}

fn probe(row: &Row) -> rusqlite::Result<ProbeRow> {
    let answer = word_or_null(row, "answer", Answer::from_code)?;
    Ok(ProbeRow {
        shard: row.get("shard_id")?,
        hunt: row.get("hunt_id")?,
        revision: RevisionId(row.get("revision_id")?),
        plan_index: row.get("plan_index")?,
        state: word(row, "state", ShardState::from_code)?,
        attempt: 0,
        place: row.get("place")?,
        seed: row.get::<_, i64>("seed")?.cast_unsigned(),
        factors: Vec::new(),
        probe: Probe {
            victim: rows::test_name(row, "victim")?,
            question: word(row, "kind", Question::from_code)?,
            block: row.get("block")?,
            arm: word(row, "arm", Arm::from_code)?,
            turn: row.get("turn")?,
            processes: Vec::new(),
            beside: Vec::new(),
            factors: json(row, "factors")?,
        },
        reply: answer.map(|answer| reply(row, answer)).transpose()?,
    })
}

fn reply(row: &Row, answer: Answer) -> rusqlite::Result<Reply> {
    Ok(Reply {
        answer,
        first: word_or_null(row, "first", Answer::from_code)?,
        levels: json(row, "levels")?,
        died_in: rows::test_name_or_null(row, "died_in")?,
        hours: row.get("hours")?,
        seconds: row.get("seconds")?,
    })
}

/// Reads a column of JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|e| FromSqlError::other(e).into())
}

/// Reads JSON that may be missing.
fn json_or_null<T: DeserializeOwned>(row: &Row, column: &str) -> rusqlite::Result<Option<T>> {
    match row.get::<_, Option<String>>(column)? {
        None => Ok(None),
        Some(_) => json(row, column).map(Some),
    }
}

/// Writes what has no map whose keys are no text, so it cannot fail.
pub(super) fn json_of<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data becomes JSON")
}
