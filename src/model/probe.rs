//! Probes: segments that the hunt chose in order to answer a question.

use serde::{Deserialize, Serialize};

use super::outcome::words;
use super::{Count, TestId};

words! {
    /// What a probe asks.
    Question, "question" {
        /// Does the test fail alone in a fresh container?
        Isolate = 0 "isolate",
        /// Which of many candidates is it? Group tests guided by the posterior; they only rank.
        Search = 1 "search",
        /// Which subset of a failing order is enough (groups)?
        Reduce = 2 "reduce",
        /// Certifies a polluter group by three-arm blocks.
        Polluter = 3 "polluter",
        /// Certifies a state-setter group by three-arm blocks.
        Setter = 4 "state-setter",
        /// Certifies a cleaner by three-arm blocks, all with the polluter.
        Cleaner = 5 "cleaner",
        /// Certifies that a second run in the same process fails.
        Twice = 6 "twice",
        /// Certifies a level of an environment factor.
        Environment = 7 "environment",
        /// Certifies a neighbour elsewhere.
        Interference = 8 "interference",
        /// Certifies that it depends on how much ran before, whatever it was.
        Position = 9 "position",
        /// Does the polluter act only directly before the test?
        Separate = 10 "separate",
        /// Is each member of a group needed?
        Minimal = 11 "minimal",
        /// Where does the state live: process, container?
        Locate = 12 "locate",
        /// Does the same order show the same again?
        Repeat = 13 "repeat",
    }
}

words! {
    /// Which arm of a block a probe is.
    Arm, "arm" {
        /// Not part of a block.
        Single = 0 "single",
        /// With what is in question.
        Treated = 1 "treated",
        /// With a cleared decoy in its place.
        Decoy = 2 "decoy",
        /// With neither.
        Alone = 3 "alone",
    }
}

/// One probe as chosen. `T` names a test: an index while we think, a [`TestId`] in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe<T = TestId> {
    /// The test that is asked about.
    pub victim: T,
    /// What is asked.
    pub question: Question,
    /// Block of a certification, from 0.
    pub block: Option<u32>,
    /// Its arm.
    pub arm: Arm,
    /// Which of the arms of its block runs first, second, third, by the coin; 0 outside blocks.
    pub turn: u8,
    /// Processes of one container, one after the other, each with its tests in order. The victim's answer is
    /// that of its last trial in the last process. Mostly one process.
    pub processes: Vec<Vec<(T, u8)>>,
    /// Tests that run over and over in another container meanwhile; mostly none.
    pub beside: Vec<T>,
    /// Levels of factors that are fixed; the others are drawn.
    pub factors: Vec<(String, String)>,
}

words! {
    /// What a probe showed.
    Answer, "answer" {
        /// The victim passed.
        Passed = 0 "passed",
        /// The victim failed.
        Failed = 1 "failed",
        /// It says nothing about the victim: the host failed, the process died before the victim ran, it was skipped.
        Void = 2 "void",
    }
}

/// What a probe showed, with what it was run under.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply<T = TestId> {
    /// The victim's last trial.
    pub answer: Answer,
    /// The victim's first trial, where the probe ran it twice.
    pub first: Option<Answer>,
    /// Levels of all factors as they were: name, level.
    pub levels: Vec<(String, String)>,
    /// The test, other than the victim, in which the process died.
    pub died_in: Option<T>,
    /// Hours since some common moment: blocks of interference are to lie an hour apart.
    pub hours: f64,
    /// How long it took, container included, in seconds.
    pub seconds: f64,
}

/// Number of a question in the life of a store, from 0, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QuestionId(pub u32);

/// A question as it was opened: with it and the replies to its probes, it goes on where it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// The test that is asked about.
    pub victim: TestId,
    /// What is asked.
    pub question: Question,
    /// Does it count as an attempt to certify?
    pub attempt: bool,
    /// Everything else that was fixed when it was opened (candidates, first rates, ranking), by names, never by
    /// indexes.
    pub parameters: serde_json::Value,
}

/// A question read back: its probes in order, with their replies as far as they are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded<T = TestId> {
    /// Its number.
    pub id: QuestionId,
    /// How it was opened.
    pub opened: Opened,
    /// Its probes and their replies.
    pub probes: Vec<(Probe<T>, Option<Reply<T>>)>,
    /// What it came to, as the analyst put it, where that does not follow from the replies alone.
    pub concluded: Option<serde_json::Value>,
}

/// A test that the passive evidence accuses at the moment of looking: may vanish, is no certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspicion {
    /// The test.
    pub test: TestId,
    /// Natural logarithm of its e-value against "order does not matter".
    pub ln_e: f64,
    /// Explanations by posterior probability, highest first, in plain words; at most a handful.
    pub explanations: Vec<(String, f64)>,
    /// Failures in the recorded iterations.
    pub soak: Count,
}

impl<T> Probe<T> {
    /// Number of test executions that it asks for, neighbours counted once.
    #[must_use]
    pub fn executions(&self) -> usize {
        self.processes.iter().map(Vec::len).sum::<usize>() + self.beside.len()
    }

    /// The same probe with tests named another way.
    pub fn map<U>(&self, name: impl Fn(&T) -> U) -> Probe<U> {
        Probe {
            victim: name(&self.victim),
            question: self.question,
            block: self.block,
            arm: self.arm,
            turn: self.turn,
            processes: self
                .processes
                .iter()
                .map(|order| order.iter().map(|(test, rep)| (name(test), *rep)).collect())
                .collect(),
            beside: self.beside.iter().map(&name).collect(),
            factors: self.factors.clone(),
        }
    }
}
