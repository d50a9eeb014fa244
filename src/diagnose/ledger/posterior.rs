//! The tournament of explanations for one victim.

use std::sync::Arc;

use crate::stats::Cell;

/// What probes have shown about a victim, kept by the caller.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Active {
    /// All probes that answered.
    pub(crate) total: Cell,
    /// Those that ran it alone.
    pub(crate) alone: Cell,
    /// Per test: those in which it ran before the victim.
    pub(crate) before: Vec<Cell>,
}

/// A family of explanations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// A test that ran before it.
    Predecessor,
    /// One of many tests.
    Many,
    /// A test that did not run before it.
    Setter,
    /// A test directly before it.
    Adjacent,
    /// A test that ran elsewhere meanwhile.
    Overlap,
    /// How many tests ran before it.
    Position,
    /// A level of a factor.
    Environment,
    /// A factor whose levels never come twice, such as the hash seed.
    Number,
    /// That it ran before in the same process.
    Second,
    /// A change after some iteration.
    Since,
    /// The hour, the worker or the number of shards.
    Circumstance,
    /// None of these.
    Nothing,
}

/// The best member of each family.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Best {
    /// The likeliest polluter.
    pub(crate) predecessor: Option<u32>,
    /// The likeliest state-setter.
    pub(crate) setter: Option<u32>,
    /// The likeliest test that acts directly before it.
    pub(crate) adjacent: Option<u32>,
    /// The likeliest neighbour elsewhere.
    pub(crate) overlap: Option<u32>,
    /// The likeliest number of tests before it from which it fails.
    pub(crate) position: Option<u32>,
    /// The likeliest factor and level.
    pub(crate) level: Option<(u16, Arc<str>)>,
    /// The first iteration since when it fails.
    pub(crate) since: Option<u64>,
}

/// How well the explanations fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Posterior {
    /// Probability of each family, highest first; they add up to 1.
    pub(crate) families: Vec<(Family, f64)>,
    /// Per test: probability that it is the polluter, if there is one.
    pub(crate) predecessor: Vec<f64>,
    /// Per test: probability that it is the state-setter, if there is one.
    pub(crate) setter: Vec<f64>,
    /// The best of each family.
    pub(crate) best: Best,
    /// How many polluters there seem to be.
    pub(crate) polluters: f64,
}
