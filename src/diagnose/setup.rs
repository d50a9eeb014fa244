//! What is fixed when a question is opened. It is recorded with the names of tests, so that the question means the
//! same after the suite has changed; here it is also read back.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    minimize,
    model::{Count, Question, Role, TestId},
    stats::BlocksOpening,
};

/// Factor levels: name and level.
pub(crate) type Settings = Vec<(String, String)>;

/// Whom a search looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wanted {
    /// A test after which the victim fails.
    Polluter,
    /// A test after which the victim passes.
    Setter,
    /// A test that makes the victim pass again, after its polluter.
    Cleaner,
}

impl Wanted {
    /// Returns the question that certifies what is wanted.
    pub(crate) fn certified_as(self) -> Question {
        match self {
            Self::Polluter => Question::Polluter,
            Self::Setter => Question::Setter,
            Self::Cleaner => Question::Cleaner,
        }
    }

    /// Returns its role.
    pub(crate) fn role(self) -> Role {
        match self {
            Self::Polluter => Role::Polluter,
            Self::Setter => Role::StateSetter,
            Self::Cleaner => Role::Cleaner,
        }
    }
}

/// What is fixed when a question is opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Opening<T> {
    /// Recorded trials of the victim at that time, and failures among them: a question that found nothing is asked
    /// again only when these have doubled.
    pub(crate) seen: Count,
    /// The rest, by kind.
    #[serde(flatten)]
    pub(crate) setup: Setup<T>,
}

/// What is fixed when a question is opened, by kind of question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Setup<T> {
    /// The victim alone, again and again.
    Alone(Alone),
    /// Group tests.
    Search(Search<T>),
    /// Certification by blocks.
    Blocks(Certify<T>),
    /// The smallest part of a failing order that is enough.
    Reduce(Reduce<T>),
    /// Do the levels of a failing run fail again, and those of a passing run pass again?
    Split(Split),
    /// Does a separator between group and victim change the outcome?
    Separate(Separate<T>),
    /// The group in one process, the victim in the next.
    Locate(Locate<T>),
    /// The order up to a failure, once more.
    Replay(Replay<T>),
}

/// Runs of the victim alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alone {
    /// How many at most.
    pub(crate) runs: u32,
    /// How many at once.
    pub(crate) batch: u32,
    /// Enough once this many of them failed.
    pub(crate) failures: u32,
}

/// A search by group tests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Search<T> {
    /// Whom it looks for.
    pub(crate) wanted: Wanted,
    /// Groups that are known; evidence after one of them is left out. For a cleaner: the polluter that stands before.
    pub(crate) known: Vec<Vec<T>>,
    /// Tests to try first, each alone before the victim.
    pub(crate) first: Vec<T>,
    /// Probes that it may spend.
    pub(crate) runs: u32,
    /// Test executions that it may spend.
    pub(crate) executions: u64,
    /// Candidates that were open when it was opened, about; 0 where it does not matter.
    #[serde(default)]
    pub(crate) open: u32,
}

/// A certification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Certify<T> {
    /// What stands in the treated arm.
    pub(crate) treatment: Treatment<T>,
    /// What stands before everything else in all arms: the polluter, when a cleaner is in question.
    pub(crate) before: Vec<T>,
    /// Tests that were cleared when it was opened; decoys are drawn from them.
    pub(crate) pool: Vec<T>,
    /// What decoys stand for, where the treatment is a group of several.
    #[serde(default)]
    pub(crate) decoys: Stand,
    /// Rates to start from and the level that certifies.
    pub(crate) blocks: BlocksOpening,
}

/// What decoys stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stand {
    /// One arm, decoys for the whole group.
    #[default]
    ForAll,
    /// An arm for each member, with a decoy in its place: shows that each is needed.
    ForEach,
}

/// What the treated arm of a block has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Treatment<T> {
    /// A group of tests before the victim.
    Group(Vec<T>),
    /// The victim itself, before.
    Twice,
    /// A level of a factor.
    Level {
        /// The factor.
        factor: String,
        /// The level in question.
        level: String,
        /// What it is compared with.
        other: String,
        /// Levels of other factors, the same in all arms.
        held: Settings,
    },
    /// A test elsewhere at the same time.
    Beside(T),
    /// Many tests, whatever they are, against few.
    Many {
        /// How many.
        many: u32,
        /// How many in the decoy arm.
        few: u32,
        /// Tests that are suspected in other ways, and are not among them.
        avoid: Vec<T>,
    },
}

/// A reduction of a failing order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reduce<T> {
    /// The tests that ran before the victim, in order.
    pub(crate) order: Vec<T>,
    /// Is a pass what is looked for (a state-setter)?
    pub(crate) passes: bool,
    /// How the search starts; it speaks of places in `order`.
    pub(crate) start: minimize::Start,
}

/// Two sets of levels, tried in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Split {
    /// Those of a run that failed.
    pub(crate) failing: Settings,
    /// Those of a run that passed.
    pub(crate) passing: Settings,
    /// How often each is tried; one contradiction ends it.
    pub(crate) times: u32,
}

/// A separator between group and victim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Separate<T> {
    /// The certified group.
    pub(crate) group: Vec<T>,
    /// Cleared tests.
    pub(crate) pool: Vec<T>,
    /// How often it is tried.
    pub(crate) times: u32,
    /// Rate of the effect without a separator.
    pub(crate) rate: f64,
    /// Is a pass the effect (a state-setter)?
    pub(crate) passes: bool,
}

/// Group and victim in two processes of one container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Locate<T> {
    /// The certified group.
    pub(crate) group: Vec<T>,
    /// How often it is tried.
    pub(crate) times: u32,
    /// Is a pass the effect (a state-setter)?
    pub(crate) passes: bool,
}

/// The order up to a failure that came together with those of others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Replay<T> {
    /// The iteration in which the victim failed.
    pub(crate) iteration: u64,
    /// What ran before it in its process, in order, with repetitions.
    pub(crate) order: Vec<(T, u8)>,
    /// The levels of the factors that can be set.
    pub(crate) factors: Settings,
    /// How often it is run; more often where it fails.
    pub(crate) times: u32,
}

impl<T> Opening<T> {
    /// The same opening with tests named another way; `None` when one of them has no such name.
    pub(crate) fn map<U>(&self, name: &impl Fn(&T) -> Option<U>) -> Option<Opening<U>> {
        Some(Opening {
            seen: self.seen,
            setup: self.setup.map(name)?,
        })
    }
}

impl Opening<u32> {
    /// Returns what is recorded.
    pub(crate) fn to_json(&self, names: &[TestId]) -> serde_json::Value {
        let by_name = self
            .map(&|test| names.get(*test as usize).cloned())
            .expect("an opening speaks of tests of the universe");
        serde_json::to_value(by_name).expect("an opening has only texts as keys")
    }

    /// Reads back what was recorded; `None` when it is not of this version, or names a test that is not known.
    pub(crate) fn from_json(
        value: &serde_json::Value,
        index: &HashMap<TestId, u32>,
    ) -> Option<Self> {
        let named: Opening<TestId> = serde_json::from_value(value.clone()).ok()?;
        named.map(&|name| index.get(name).copied())
    }
}

impl<T> Setup<T> {
    /// The certification, if it is one.
    pub(crate) fn certify(&self) -> Option<&Certify<T>> {
        if let Self::Blocks(certify) = self {
            Some(certify)
        } else {
            None
        }
    }

    /// The search, if it is one.
    pub(crate) fn search(&self) -> Option<&Search<T>> {
        if let Self::Search(search) = self {
            Some(search)
        } else {
            None
        }
    }

    /// The reduction, if it is one.
    pub(crate) fn reduce(&self) -> Option<&Reduce<T>> {
        if let Self::Reduce(reduce) = self {
            Some(reduce)
        } else {
            None
        }
    }

    fn map<U>(&self, name: &impl Fn(&T) -> Option<U>) -> Option<Setup<U>> {
        let all = |tests: &[T]| tests.iter().map(name).collect::<Option<Vec<U>>>();
        Some(match self {
            Self::Alone(alone) => Setup::Alone(alone.clone()),
            Self::Search(search) => Setup::Search(Search {
                wanted: search.wanted,
                known: search
                    .known
                    .iter()
                    .map(|group| all(group))
                    .collect::<Option<_>>()?,
                first: all(&search.first)?,
                runs: search.runs,
                executions: search.executions,
                open: search.open,
            }),
            Self::Blocks(certify) => Setup::Blocks(Certify {
                treatment: certify.treatment.map(name)?,
                before: all(&certify.before)?,
                pool: all(&certify.pool)?,
                decoys: certify.decoys,
                blocks: certify.blocks,
            }),
            Self::Reduce(reduce) => Setup::Reduce(Reduce {
                order: all(&reduce.order)?,
                passes: reduce.passes,
                start: reduce.start.clone(),
            }),
            Self::Split(split) => Setup::Split(split.clone()),
            Self::Separate(separate) => Setup::Separate(Separate {
                group: all(&separate.group)?,
                pool: all(&separate.pool)?,
                times: separate.times,
                rate: separate.rate,
                passes: separate.passes,
            }),
            Self::Locate(locate) => Setup::Locate(Locate {
                group: all(&locate.group)?,
                times: locate.times,
                passes: locate.passes,
            }),
            Self::Replay(replay) => {
                let order = replay.order.iter();
                Setup::Replay(Replay {
                    iteration: replay.iteration,
                    order: order
                        .map(|(test, rep)| Some((name(test)?, *rep)))
                        .collect::<Option<_>>()?,
                    factors: replay.factors.clone(),
                    times: replay.times,
                })
            }
        })
    }
}

impl<T> Treatment<T> {
    fn map<U>(&self, name: &impl Fn(&T) -> Option<U>) -> Option<Treatment<U>> {
        let all = |tests: &[T]| tests.iter().map(name).collect::<Option<Vec<U>>>();
        Some(match self {
            Self::Group(group) => Treatment::Group(all(group)?),
            Self::Twice => Treatment::Twice,
            Self::Level {
                factor,
                level,
                other,
                held,
            } => Treatment::Level {
                factor: factor.clone(),
                level: level.clone(),
                other: other.clone(),
                held: held.clone(),
            },
            Self::Beside(test) => Treatment::Beside(name(test)?),
            Self::Many { many, few, avoid } => Treatment::Many {
                many: *many,
                few: *few,
                avoid: all(avoid)?,
            },
        })
    }
}
