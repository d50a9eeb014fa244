//! What was asked about a test and what it showed: probes by question, as text and as JSON.

use serde_json::{Value, json};

use super::finding::{Names, json as shape, words};
use crate::{
    model::{Answer, Arm, Count, Probe, Question, Recorded},
    ui::{escape, text},
};

/// Members of an order that a line names.
const NAMED: usize = 4;

/// What one question showed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    question: Question,
    number: u32,
    attempt: bool,
    /// The first probe of the arm that has what is in question.
    example: Option<Probe>,
    /// Failures by arm; arms without probes are left out.
    arms: Vec<(Arm, Count)>,
    probes: u64,
    void: u64,
    waiting: u64,
    executions: u64,
}

impl Asked {
    /// Counts what a question has shown so far.
    pub(super) fn of(recorded: &Recorded) -> Self {
        let arm_of = |arm: Arm| {
            let mut count = Count::default();
            let mut any = false;
            for (probe, reply) in &recorded.probes {
                if probe.arm != arm {
                    continue;
                }
                any = true;
                match reply.as_ref().map(|reply| reply.answer) {
                    Some(Answer::Passed) => count.trials += 1,
                    Some(Answer::Failed) => {
                        count.trials += 1;
                        count.failures += 1;
                    }
                    Some(Answer::Void) | None => {}
                }
            }
            any.then_some((arm, count))
        };
        let answers = |wanted: fn(Option<Answer>) -> bool| {
            let mut answered = recorded.probes.iter();
            let is = |(_, reply): &&(_, Option<crate::model::Reply>)| {
                wanted(reply.as_ref().map(|reply| reply.answer))
            };
            answered.by_ref().filter(is).count() as u64
        };
        let mut probes = recorded.probes.iter().map(|(probe, _)| probe);
        let treated = probes.clone().find(|probe| probe.arm == Arm::Treated);
        Self {
            question: recorded.opened.question,
            number: recorded.id.0,
            attempt: recorded.opened.attempt,
            example: treated.or_else(|| probes.next()).cloned(),
            arms: Arm::ALL.iter().filter_map(|arm| arm_of(*arm)).collect(),
            probes: recorded.probes.len() as u64,
            void: answers(|answer| answer == Some(Answer::Void)),
            waiting: answers(|answer| answer.is_none()),
            executions: recorded
                .probes
                .iter()
                .map(|(probe, _)| probe.executions() as u64)
                .sum(),
        }
    }

    /// Tests that its probes started.
    pub(super) fn executions(&self) -> u64 {
        self.executions
    }

    /// Does it count as an attempt to certify?
    pub(super) fn is_attempt(&self) -> bool {
        self.attempt
    }

    /// Number of its probes.
    pub(super) fn probes(&self) -> u64 {
        self.probes
    }

    /// The question in one line, escaped: what was asked, of whom, and what it showed.
    pub(super) fn line(&self, names: &Names<'_>) -> String {
        let arms: Vec<String> = self
            .arms
            .iter()
            .map(|(arm, count)| {
                let arm = match arm {
                    Arm::Single => "fails",
                    Arm::Treated => "with",
                    Arm::Decoy => "decoy",
                    Arm::Alone => "without",
                };
                let (failures, trials) = (count.failures, count.trials);
                format!("{arm} {}/{}", text::count(failures), text::count(trials))
            })
            .collect();
        let mut parts = arms;
        for (word, number) in [("void", self.void), ("not answered yet", self.waiting)] {
            if number > 0 {
                parts.push(format!("{} {word}", text::count(number)));
            }
        }
        let line = format!(
            "{:<12} {}  {}",
            self.question.word(),
            parts.join(", "),
            self.subject(names)
        );
        line.trim_end().to_owned()
    }

    /// Who or what the question is about, where that is a short story.
    fn subject(&self, names: &Names<'_>) -> String {
        let Some(probe) = &self.example else {
            return String::new();
        };
        let is_about_order = match self.question {
            Question::Polluter
            | Question::Setter
            | Question::Cleaner
            | Question::Separate
            | Question::Minimal
            | Question::Locate
            | Question::Interference => true,
            Question::Isolate
            | Question::Search
            | Question::Reduce
            | Question::Twice
            | Question::Environment
            | Question::Position
            | Question::Repeat => false,
        };
        let before = probe.processes.iter().flatten().map(|(test, _)| test);
        let others: Vec<String> = before
            .filter(|test| **test != probe.victim)
            .chain(&probe.beside)
            .map(|test| names.handle(test))
            .collect();
        if is_about_order && others.len() <= NAMED {
            others.join(" ")
        } else {
            words::settings(&probe.factors)
        }
    }

    /// The question as JSON.
    pub(super) fn json(&self) -> Value {
        let arms: Vec<Value> = self
            .arms
            .iter()
            .map(|(arm, count)| {
                json!({"arm": arm.word(), "failures": count.failures, "trials": count.trials})
            })
            .collect();
        let order = |probe: &Probe| -> Vec<Vec<Value>> {
            let process = |order: &Vec<(_, u8)>| {
                order
                    .iter()
                    .map(|(test, _)| escape::json_name(test))
                    .collect()
            };
            probe.processes.iter().map(process).collect()
        };
        json!({
            "question": self.number,
            "kind": self.question.word(),
            "attempt": self.attempt,
            "probes": self.probes,
            "void": self.void,
            "unanswered": self.waiting,
            "executions": self.executions,
            "arms": arms,
            "processes": self.example.as_ref().map(order),
            "beside": self.example.as_ref().map(|probe| shape::names(&probe.beside)),
            "factors": self.example.as_ref().map(|probe| shape::factors(&probe.factors)),
        })
    }
}
