//! Tests by index, as the analyst thinks of them: those of the suite as it is, and those it had before.

use std::{collections::HashMap, time::Duration};

use crate::{
    diagnose::{Batch, Universe},
    model::{Opened, Probe, QuestionId, Recorded, Reply, TestId},
    plan::Tests,
};

/// A batch of probes whose tests have names: what is recorded and run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    /// The question.
    pub(super) question: QuestionId,
    /// Set with the first batch of a question.
    pub(super) opened: Option<Opened>,
    /// Place of the first of `probes` among all probes of the question.
    pub(super) first: u32,
    /// What to run.
    pub(super) probes: Vec<Probe<TestId>>,
}

/// Every test that the evidence may speak of, with its index.
#[derive(Debug)]
pub(super) struct Roster {
    all: Tests,
    /// How many of them the suite has now: the first ones.
    present: usize,
    /// Looked up only, never walked.
    index: HashMap<TestId, u32>,
}

impl Roster {
    /// Takes the suite as it is, and names of tests that it had, which may repeat those.
    pub(super) fn new(
        tests: &Tests,
        former: impl IntoIterator<Item = TestId>,
        module_of: impl Fn(&TestId) -> &[u8],
    ) -> Self {
        let mut names = tests.names().to_vec();
        let present = names.len();
        let mut index: HashMap<TestId, u32> = names.iter().cloned().zip(0..).collect();
        for test in former {
            let next = u32::try_from(names.len()).expect("a suite has fewer than 2^32 tests");
            index.entry(test).or_insert_with_key(|test| {
                names.push(test.clone());
                next
            });
        }
        Self {
            all: Tests::new(names, module_of),
            present,
            index,
        }
    }

    /// Returns what the analyst is to know of the tests. `durations` are of the present ones, in their order.
    pub(super) fn universe(&self, durations: &[Option<Duration>]) -> Universe {
        let indexes = 0..u32::try_from(self.all.len()).expect("checked when it was made");
        Universe {
            names: self.all.names().to_vec(),
            modules: indexes.map(|test| self.all.module(test)).collect(),
            present: (0..self.all.len())
                .map(|place| place < self.present)
                .collect(),
            seconds: self.seconds(durations),
        }
    }

    /// Returns how long each test takes, in seconds: the median where it is not known, 0 where none is.
    /// `durations` are of the present ones, in their order.
    pub(super) fn seconds(&self, durations: &[Option<Duration>]) -> Vec<f32> {
        let mut known: Vec<Duration> = durations.iter().flatten().copied().collect();
        known.sort_unstable();
        let median = known.get(known.len() / 2).copied().unwrap_or_default();
        let seconds = |place| {
            let known = durations.get(place).copied().flatten();
            known.unwrap_or(median).as_secs_f32()
        };
        (0..self.all.len()).map(seconds).collect()
    }

    /// Returns the index of a test; `None` when nobody has heard of it.
    pub(super) fn index(&self, test: &TestId) -> Option<u32> {
        self.index.get(test).copied()
    }

    /// Returns the module of a test.
    pub(super) fn module(&self, test: u32) -> u32 {
        self.all.module(test)
    }

    /// Returns the name of a test.
    pub(super) fn test(&self, test: u32) -> &TestId {
        self.all.name(test)
    }

    /// Does the suite have this test now?
    pub(super) fn has(&self, test: &TestId) -> bool {
        self.index(test)
            .is_some_and(|index| (index as usize) < self.present)
    }

    /// Does the suite have all tests of this probe now?
    pub(super) fn can_run(&self, probe: &Probe<TestId>) -> bool {
        let mut run = probe.processes.iter().flatten();
        run.all(|(test, _)| self.has(test)) && probe.beside.iter().all(|test| self.has(test))
    }

    /// Names the tests of a batch.
    pub(super) fn name(&self, batch: &Batch) -> Asked {
        let named = |test: &u32| self.all.name(*test).clone();
        Asked {
            question: batch.question,
            opened: batch.opened.clone(),
            first: batch.first,
            probes: batch.probes.iter().map(|probe| probe.map(named)).collect(),
        }
    }

    /// Gives indexes to the tests of a reply.
    pub(super) fn reply(&self, reply: &Reply) -> Reply<u32> {
        Reply {
            answer: reply.answer,
            first: reply.first,
            levels: reply.levels.clone(),
            died_in: reply.died_in.as_ref().and_then(|test| self.index(test)),
            hours: reply.hours,
            seconds: reply.seconds,
        }
    }

    /// Gives indexes to the tests of a recorded question.
    ///
    /// # Panics
    /// When a test is unknown: the roster must have been made with every test of the record.
    pub(super) fn question(&self, recorded: &Recorded) -> Recorded<u32> {
        let index = |test: &TestId| {
            self.index(test)
                .expect("the roster has every test that was ever recorded")
        };
        Recorded {
            id: recorded.id,
            opened: recorded.opened.clone(),
            probes: recorded
                .probes
                .iter()
                .map(|(probe, reply)| {
                    (
                        probe.map(index),
                        reply.as_ref().map(|reply| self.reply(reply)),
                    )
                })
                .collect(),
            concluded: recorded.concluded.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Answer, Arm, Question};

    fn test(name: &str) -> TestId {
        TestId::new(name).unwrap()
    }

    fn module(test: &TestId) -> &[u8] {
        &test.as_bytes()[..1]
    }

    fn roster() -> Roster {
        let tests = Tests::new(vec![test("a1"), test("b1"), test("b2")], module);
        Roster::new(
            &tests,
            [test("b1"), test("a0"), test("c0"), test("a0")],
            module,
        )
    }

    fn probe(order: &[&str], beside: &[&str]) -> Probe<TestId> {
        Probe {
            victim: test("b2"),
            question: Question::Search,
            block: None,
            arm: Arm::Single,
            turn: 0,
            processes: vec![order.iter().map(|name| (test(name), 1)).collect()],
            beside: beside.iter().map(|name| test(name)).collect(),
            factors: Vec::new(),
        }
    }

    #[test]
    fn former_tests_follow_the_present_ones_and_are_not_present() {
        let universe = roster().universe(&[Some(Duration::from_secs(4)), None, None]);
        let names = ["a1", "b1", "b2", "a0", "c0"].map(test);
        assert_eq!(universe.names, names);
        assert_eq!(universe.present, [true, true, true, false, false]);
        assert_eq!(universe.modules, [0, 1, 1, 0, 2]);
        assert_eq!(
            universe.seconds, [4.0; 5],
            "the median where nothing is known"
        );
    }

    #[test]
    fn test_of_unknown_duration_takes_the_median_of_the_known() {
        let known = [8, 2, 4].map(|seconds| Some(Duration::from_secs(seconds)));
        assert_eq!(roster().seconds(&known), [8.0, 2.0, 4.0, 4.0, 4.0]);
        assert_eq!(roster().seconds(&[None, None, known[0]])[..3], [8.0; 3]);
        assert_eq!(roster().seconds(&[None; 3]), [0.0; 5], "none is known");
    }

    #[test]
    fn probe_of_a_test_that_is_gone_cannot_run() {
        let roster = roster();
        assert!(roster.can_run(&probe(&["a1", "b2"], &["b1"])));
        assert!(!roster.can_run(&probe(&["a0", "b2"], &[])));
        assert!(!roster.can_run(&probe(&["b2"], &["c0"])));
        assert!(!roster.can_run(&probe(&["unheard of", "b2"], &[])));
    }

    #[test]
    fn names_and_indexes_are_two_ways_to_say_the_same() {
        let roster = roster();
        let reply = Reply {
            answer: Answer::Failed,
            first: None,
            levels: vec![("TZ".to_owned(), "UTC".to_owned())],
            died_in: Some(test("a0")),
            hours: 1.5,
            seconds: 2.0,
        };
        let opened = Opened {
            victim: test("b2"),
            question: Question::Search,
            attempt: false,
            parameters: serde_json::Value::Null,
        };
        let recorded = Recorded {
            id: QuestionId(3),
            opened: opened.clone(),
            probes: vec![(probe(&["a1", "b2"], &["b1"]), Some(reply))],
            concluded: Some("not-found".into()),
        };
        let known = roster.question(&recorded);
        assert_eq!(known.concluded, recorded.concluded);
        let (asked, answered) = &known.probes[0];
        assert_eq!(answered.as_ref().unwrap().died_in, Some(3));
        let batch = Batch {
            question: known.id,
            opened: Some(opened),
            first: 0,
            probes: vec![asked.clone()],
        };
        assert_eq!(roster.name(&batch).probes[0], recorded.probes[0].0);
    }
}
