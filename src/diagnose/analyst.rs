//! The analyst: takes observations and answers, gives batches of probes and flags.

use serde::{Deserialize, Serialize};

use super::observation::{FactorDomain, Observation, Universe};
use crate::{
    model::{Count, Flag, Opened, Probe, QuestionId, Recorded, Reply, Suspicion},
    plan::MasterSeed,
};

/// What the analyst may spend and what it must know of the suite's environment.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Share of the running time that probes may take while questions are open, `0.0..=1.0`.
    pub probe_share: f64,
    /// What a container costs beside its tests, in seconds.
    pub container_seconds: f64,
    /// The factors, in the order that observations index.
    pub factors: Vec<FactorDomain>,
    /// e-value that certifies.
    pub certify: f64,
    /// Number of shards in the suite's CI.
    pub ci_shards: u16,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            probe_share: 0.3,
            container_seconds: 0.3,
            factors: Vec::new(),
            certify: 1000.0,
            ci_shards: 1,
        }
    }
}

/// Probes to run next, all of one question. They may run side by side; the question goes on when all are answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The question.
    pub question: QuestionId,
    /// Set with the first batch of a question: to be recorded before its probes.
    pub opened: Option<Opened>,
    /// Place of the first of `probes` among all probes of the question, from 0.
    pub first: u32,
    /// What to run; never empty.
    pub probes: Vec<Probe<u32>>,
}

/// How one test stands, for `show`: all that is known, flag or not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Failures in recorded iterations, infrastructure left out.
    pub soak: Count,
    /// Failures alone in a fresh container.
    pub alone: Count,
    /// Failures that were set aside as infrastructure.
    pub infra: u64,
    /// Explanations by posterior probability, highest first, in plain words.
    pub explanations: Vec<(String, f64)>,
    /// What was ruled out and how, in plain sentences.
    pub ruled_out: Vec<String>,
    /// Natural logarithm of the passive e-value against "order does not matter".
    pub ln_e: f64,
}

/// Follows a hunt. One owner, no clock: the same calls give the same answers.
#[derive(Debug)]
pub struct Analyst {
    universe: Universe,
    policy: Policy,
    coins: MasterSeed,
}

impl Analyst {
    /// Starts without evidence. `coins` decides every random choice: arms, decoys, fillers.
    #[must_use]
    pub fn new(universe: Universe, policy: Policy, coins: MasterSeed) -> Self {
        Self {
            universe,
            policy,
            coins,
        }
    }

    /// Takes one closed segment, in the order of the plan.
    pub fn observe(&mut self, observation: &Observation<'_>) {
        let _ = (observation, &self.universe, &self.policy, self.coins);
    }

    /// Looks at the evidence once an iteration is complete behind the watermark; `spent` is what it took, in
    /// seconds of one worker, and earns probes their share. Returns the flags that this changed.
    pub fn end_iteration(&mut self, iteration: u64, spent: f64) -> Vec<Flag> {
        let _ = (iteration, spent);
        Vec::new()
    }

    /// Gives back the questions of earlier processes, after all their observations.
    pub fn restore(&mut self, questions: Vec<Recorded<u32>>) {
        drop(questions);
    }

    /// Returns what to run next within the budget; `None` when there is nothing to ask or nothing left to spend.
    /// The same question is not returned again until all its probes are answered.
    pub fn propose(&mut self) -> Option<Batch> {
        None
    }

    /// As [`propose`](Self::propose), for one test and without a budget: for `minimize`, and for the end of a hunt.
    pub fn propose_for(&mut self, victim: u32) -> Option<Batch> {
        let _ = victim;
        None
    }

    /// Takes the answer of a probe, by its place in its question. Returns the flags that this changed.
    pub fn answer(&mut self, question: QuestionId, place: u32, reply: &Reply<u32>) -> Vec<Flag> {
        let _ = (question, place, reply);
        Vec::new()
    }

    /// Returns the latest flag of every test that has one, systemic ones first, by fragility.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        Vec::new()
    }

    /// Returns the e-BH list at 5 % at this moment.
    #[must_use]
    pub fn suspected(&self) -> Vec<Suspicion> {
        Vec::new()
    }

    /// Returns how one test stands.
    #[must_use]
    pub fn standing(&self, test: u32) -> Standing {
        let _ = test;
        Standing::default()
    }

    /// Returns the number of attempts to certify, over the life of the store.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        0
    }

    /// Returns the share of ordered pairs of present tests that ran in that order in one process, `0.0..=1.0`.
    #[must_use]
    pub fn pair_coverage(&self) -> f64 {
        0.0
    }

    /// Returns the tests with open questions or unexplained failures.
    #[must_use]
    pub fn open_cases(&self) -> Vec<u32> {
        Vec::new()
    }
}
