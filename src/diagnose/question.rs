//! One question about one test: it is opened, says what to run next, is told what that showed, and comes to a
//! conclusion. Everything but the ranking of a search follows from how it was opened and from the replies alone.
//!
//! - [`alone`]: the victim alone; the same levels again
//! - [`search`]: group tests
//! - [`certify`]: three-arm blocks
//! - [`after`]: what is asked about a certified group
//! - [`reduce`]: the smallest part of a failing order
//! - [`replay`]: the order up to a failure once more
//! - [`judged`]: what is recorded of a conclusion

mod after;
mod alone;
mod certify;
mod judged;
mod reduce;
mod replay;
mod search;

pub(crate) use certify::Certified;
pub(crate) use search::Ranking;

use super::{
    chance::Coins,
    observation::Universe,
    setup::{Opening, Setup},
};
use crate::model::{Answer, Arm, Count, Probe, Question, QuestionId, Reply};

/// What a question wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NextStep {
    /// Run these; they may run side by side.
    Try(Vec<Probe<u32>>),
    /// Nothing before this moment, in hours as [`View::now`] has them.
    Wait(f64),
    /// It is answered.
    Done(Conclusion),
}

/// What a question came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Conclusion {
    /// The runs are made; what they showed is counted elsewhere.
    Ran,
    /// A group that deserves to be certified, in the order in which it must run.
    Found(Vec<u32>),
    /// Nothing was found within the budget.
    NotFound,
    /// The claim is certified.
    Certified(Certified),
    /// The claim did not hold.
    Refuted(Certified),
    /// The group is no better than the group with a decoy in the place of this member: it is not needed.
    Spare(Certified, u32),
    /// With the group beats nothing, but not the decoys: it is how much ran, or how long.
    OnlyAmount(Certified),
    /// It could not be asked: too many void arms, or no decoys.
    Impossible,
    /// The levels decide, or not.
    Splits(bool),
    /// The group acts only when it ends directly before the victim.
    Adjacent(Count),
    /// The separator changes nothing.
    NotAdjacent(Count),
    /// The effect also crosses from one process of a container to the next.
    Crosses(Count),
    /// It stays within a process.
    StaysWithin(Count),
    /// The order of a failure ran again so often, and failed so often. No run where it could not be run.
    Replayed(Count),
}

/// What a question may look at.
pub(crate) struct View<'a> {
    /// The tests.
    pub(crate) universe: &'a Universe,
    /// Tests that must not be run as fillers or decoys: they killed a process.
    pub(crate) deadly: &'a [bool],
    /// Chance.
    pub(crate) coins: &'a Coins,
    /// Hours since the first observation.
    pub(crate) now: f64,
    /// Ranks candidates for a search; never looked at by a certification.
    pub(crate) ranking: &'a dyn Fn(&super::setup::Search<u32>) -> Ranking,
}

/// The progress of one question.
#[derive(Clone, Debug)]
enum Progress {
    Alone(alone::Run),
    Split(alone::Levels),
    Search(search::Hunt),
    Blocks(certify::Course),
    Reduce(Box<reduce::Course>),
    After(after::Course),
    Replay(replay::Course),
}

/// A question with its probes.
#[derive(Clone, Debug)]
pub(crate) struct Inquiry {
    /// Its number.
    pub(crate) id: QuestionId,
    /// Whom it is about.
    pub(crate) victim: u32,
    /// Its kind.
    pub(crate) question: Question,
    /// Does it count as an attempt to certify?
    pub(crate) attempt: bool,
    /// How it was opened.
    pub(crate) opening: Opening<u32>,
    /// Its probes with their replies, by place.
    pub(crate) probes: Vec<(Probe<u32>, Option<Reply<u32>>)>,
    /// How many of the probes the progress has been told of.
    told: usize,
    progress: Progress,
    /// What it came to.
    pub(crate) conclusion: Option<Conclusion>,
}

impl Inquiry {
    /// Opens a question.
    pub(crate) fn new(
        id: QuestionId,
        victim: u32,
        question: Question,
        attempt: bool,
        opening: Opening<u32>,
    ) -> Self {
        let progress = match &opening.setup {
            Setup::Alone(_) => Progress::Alone(alone::Run::default()),
            Setup::Split(_) => Progress::Split(alone::Levels::default()),
            Setup::Search(_) => Progress::Search(search::Hunt::default()),
            Setup::Blocks(certify) => Progress::Blocks(certify::Course::new(certify)),
            Setup::Reduce(reduce) => Progress::Reduce(Box::new(reduce::Course::new(reduce))),
            Setup::Separate(_) | Setup::Locate(_) => Progress::After(after::Course::default()),
            Setup::Replay(_) => Progress::Replay(replay::Course::default()),
        };
        Self {
            id,
            victim,
            question,
            attempt,
            opening,
            probes: Vec::new(),
            told: 0,
            progress,
            conclusion: None,
        }
    }

    /// Are probes out whose answers are missing?
    pub(crate) fn waits(&self) -> bool {
        self.told < self.probes.len()
    }

    /// Takes the reply to the probe at `place`. Replies are told to the question in the order of places, whatever
    /// order they come in. A second reply to one place is ignored.
    pub(crate) fn answer(&mut self, place: u32, reply: &Reply<u32>) {
        if let Some((_, slot @ None)) = self.probes.get_mut(place as usize) {
            *slot = Some(reply.clone());
        }
        self.catch_up();
    }

    /// Tells the question of all replies that are next in order.
    pub(crate) fn catch_up(&mut self) {
        while let Some((probe, Some(reply))) = self.probes.get(self.told) {
            match (&mut self.progress, &self.opening.setup) {
                (Progress::Alone(run), _) => run.tell(reply),
                (Progress::Split(levels), _) => levels.tell(self.told, reply),
                (Progress::Search(hunt), Setup::Search(search)) => hunt.tell(search, probe, reply),
                (Progress::Blocks(course), Setup::Blocks(certify)) => {
                    course.tell(certify, probe, reply);
                }
                (Progress::Reduce(course), Setup::Reduce(reduce)) => course.tell(reduce, reply),
                (Progress::After(course), Setup::Separate(separate)) => {
                    course.tell_separated(separate, probe, reply);
                }
                (Progress::After(course), _) => course.tell(reply),
                (Progress::Replay(course), _) => course.tell(reply),
                (Progress::Search(_) | Progress::Blocks(_) | Progress::Reduce(_), _) => {}
            }
            self.told += 1;
        }
    }

    /// Ends a question that later ones followed: what its ranking said then is not known any more.
    pub(crate) fn give_up(&mut self) {
        self.conclusion = Some(match &self.progress {
            Progress::Search(hunt) => hunt
                .shown()
                .map_or(Conclusion::NotFound, |test| Conclusion::Found(vec![test])),
            Progress::Alone(_) => Conclusion::Ran,
            Progress::Replay(course) => course.conclusion(),
            Progress::Split(_) | Progress::Blocks(_) | Progress::Reduce(_) | Progress::After(_) => {
                Conclusion::Impossible
            }
        });
    }

    /// Says what to run next, and keeps it as its own; called only when it does not wait.
    pub(crate) fn next(&mut self, view: &View<'_>) -> NextStep {
        if let Some(conclusion) = &self.conclusion {
            return NextStep::Done(conclusion.clone());
        }
        let about = About {
            id: self.id,
            victim: self.victim,
            question: self.question,
        };
        let step = match (&mut self.progress, &self.opening.setup) {
            (Progress::Alone(run), Setup::Alone(alone)) => run.next(about, alone),
            (Progress::Split(levels), Setup::Split(split)) => levels.next(about, split),
            (Progress::Search(hunt), Setup::Search(search)) => hunt.next(about, search, view),
            (Progress::Blocks(course), Setup::Blocks(certify)) => course.next(about, certify, view),
            (Progress::Reduce(course), Setup::Reduce(reduce)) => course.next(about, reduce),
            (Progress::After(course), Setup::Separate(separate)) => {
                course.next_separated(about, separate, view)
            }
            (Progress::After(course), Setup::Locate(locate)) => course.next_located(about, locate),
            (Progress::Replay(course), Setup::Replay(replay)) => course.next(about, replay),
            (
                Progress::Alone(_)
                | Progress::Split(_)
                | Progress::Search(_)
                | Progress::Blocks(_)
                | Progress::Reduce(_)
                | Progress::After(_)
                | Progress::Replay(_),
                _,
            ) => NextStep::Done(Conclusion::Impossible),
        };
        match &step {
            NextStep::Try(probes) => self
                .probes
                .extend(probes.iter().map(|probe| (probe.clone(), None))),
            NextStep::Done(conclusion) => self.conclusion = Some(conclusion.clone()),
            NextStep::Wait(_) => {}
        }
        step
    }
}

/// Which question a probe belongs to.
#[derive(Clone, Copy, Debug)]
struct About {
    id: QuestionId,
    victim: u32,
    question: Question,
}

impl About {
    /// A probe outside blocks: `before`, then the victim, in one process.
    fn probe(self, before: &[u32]) -> Probe<u32> {
        let order = before
            .iter()
            .copied()
            .chain([self.victim])
            .map(|test| (test, 1));
        Probe {
            victim: self.victim,
            question: self.question,
            block: None,
            arm: Arm::Single,
            turn: 0,
            processes: vec![order.collect()],
            beside: Vec::new(),
            factors: Vec::new(),
        }
    }
}

/// Adds an answer to a count of failures; a void one says nothing.
pub(crate) fn tally(count: &mut Count, answer: Answer) {
    match answer {
        Answer::Passed => count.trials += 1,
        Answer::Failed => {
            count.trials += 1;
            count.failures += 1;
        }
        Answer::Void => {}
    }
}
