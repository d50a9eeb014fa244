//! How an iteration is cut into shards: design, number of shards, grouping.

use super::outcome::words;

words! {
    /// The kind of order and cut that an iteration has.
    Design, "design" {
        /// Independent hash orders and hash shards.
        Free = 0 "free",
        /// A member of the coverage cycle, forwards.
        Coverage = 1 "coverage",
        /// The same member with every shard's order reversed.
        Reversed = 2 "reversed",
        /// Every test twice in a row (finds NIO).
        Doubled = 3 "doubled",
        /// The suite's own order, cut as its CI cuts it.
        Natural = 4 "natural",
        /// A pass of `run`, balanced by recorded durations: not a function of the seed alone.
        Balanced = 5 "balanced",
        /// An order that a person gave, through a token or a list.
        Given = 6 "given",
        /// An order chosen to answer a question, for one fresh container.
        Probe = 7 "probe",
    }
}

words! {
    /// Which tests may be mixed in an order.
    Grouping, "grouping" {
        /// Any test may stand beside any other.
        Interleaved = 0 "interleaved",
        /// The tests of one module stand together, and in one shard.
        ModuleContiguous = 1 "module-contiguous",
    }
}

/// How one iteration is cut. With the iteration's seed and the test names it decides every order,
/// but for [`Design::Balanced`], [`Design::Given`] and [`Design::Probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Kind of order.
    pub design: Design,
    /// Number of shards, at least 1. For an affine coverage member this is the size g of the field.
    pub shards: u16,
    /// Which tests may be mixed.
    pub grouping: Grouping,
    /// For coverage members with more than one shard: the affine class, `0..=shards`. Otherwise 0.
    pub class: u16,
}

impl Layout {
    /// The layout of every probe: one shard, whose order is recorded.
    pub const PROBE: Self = Self {
        design: Design::Probe,
        shards: 1,
        grouping: Grouping::Interleaved,
        class: 0,
    };

    /// Is every order of this layout a function of seed and names (and, for `natural`, of the listing order)?
    #[must_use]
    pub fn is_function_of_seed(self) -> bool {
        match self.design {
            Design::Free
            | Design::Coverage
            | Design::Reversed
            | Design::Doubled
            | Design::Natural => true,
            Design::Balanced | Design::Given | Design::Probe => false,
        }
    }

    /// How often each test of a shard runs in it: 2 for doubled, otherwise 1 (a probe says it for each test).
    #[must_use]
    pub fn repetitions(self) -> u8 {
        match self.design {
            Design::Doubled => 2,
            Design::Free
            | Design::Coverage
            | Design::Reversed
            | Design::Natural
            | Design::Balanced
            | Design::Given
            | Design::Probe => 1,
        }
    }
}
