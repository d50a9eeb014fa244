//! What a hunt is for, and how far a hunt and a shard have come.

use super::outcome::words;

words! {
    /// Which command started a hunt.
    HuntKind, "hunt kind" {
        /// An unattended, resumable stream of iterations.
        Hunt = 0 "hunt",
        /// One balanced pass; never resumed.
        Run = 1 "run",
        /// Shards run again from a token; no evidence, never resumed.
        Replay = 2 "replay",
    }
}

words! {
    /// How a hunt stands, as it last said itself.
    HuntState, "hunt state" {
        /// It takes new shards.
        Running = 0 "running",
        /// It finishes what it has started.
        Draining = 1 "draining",
        /// It reached its goal.
        Finished = 2 "finished",
        /// Someone stopped it before.
        Interrupted = 3 "interrupted",
        /// It could not go on.
        Failed = 4 "failed",
    }
}

words! {
    /// How a shard stands.
    ShardState, "shard state" {
        /// Planned; perhaps running; not closed.
        Planned = 0 "planned",
        /// Every planned trial has its outcome.
        Finished = 1 "finished",
        /// Closed for good without all its outcomes.
        Abandoned = 2 "abandoned",
    }
}
