//! The rows of the method's validation protocol (`research/statistics.md`, section 9) that are about the analyst,
//! measured with this generator and the shipped three-arm block. M8 is what `nulls` prints; M9, M17 and M18 are about
//! formulas alone and M19 about time: the bench `statistics` and the unit tests measure those.

mod certificates;
mod classes;
mod rank;
mod schedule;

use super::bench::hunt::{Layouts, Probing, Setup};
use super::bench::scenario::polluted_by;
use super::bench::world::World;
use super::options::Options;
use super::print::line;

/// Runs the rows that are named, or all.
pub(crate) fn table(options: &Options) {
    let asked = &options.words[1..];
    let wanted =
        |row: &str| asked.is_empty() || asked.iter().any(|word| word.eq_ignore_ascii_case(row));
    line(&format!(
        "seeds {} to {}",
        options.first_seed,
        options.first_seed + options.seeds - 1
    ));
    line("row   measured | must | challenge | what");
    rank::rows(options, &wanted);
    certificates::rows(options, &wanted);
    classes::rows(options, &wanted);
    schedule::rows(options, &wanted);
}

/// Is more better, or less?
#[derive(Clone, Copy)]
enum Goal {
    AtMost(f64, f64),
    AtLeast(f64, f64),
}

/// Prints one figure beside what it must be and what would be a feat.
fn judge(row: &str, measured: f64, goal: Goal, what: &str) {
    let (sign, must, challenge) = match goal {
        Goal::AtMost(must, challenge) => ("<=", must, challenge),
        Goal::AtLeast(must, challenge) => (">=", must, challenge),
    };
    let word = |bound: f64, yes: &'static str, no: &'static str| {
        let holds = match goal {
            Goal::AtMost(..) => measured <= bound,
            Goal::AtLeast(..) => measured >= bound,
        };
        if holds { yes } else { no }
    };
    line(&format!(
        "{row:4} {measured:9.2} | {sign} {must} {} | {sign} {challenge} {} | {what}",
        word(must, "holds", "MISSED"),
        word(challenge, "reached", "not reached"),
    ));
}

/// How a victim is soaked before it is asked about.
#[derive(Clone, Copy)]
struct Trial {
    tests: u32,
    shards: u16,
    iterations: u64,
    polluters: u32,
    together: u32,
    cleaners: u32,
    rate: f64,
}

const PLAIN: Trial = Trial {
    tests: 1000,
    shards: 4,
    iterations: 50,
    polluters: 1,
    together: 1,
    cleaners: 0,
    rate: 1.0,
};

/// More iterations than any victim needs to fail once: the soak ends with the first failure.
const UNTIL_FAILURE: u64 = 100_000;

impl Trial {
    fn world(&self, seed: u64) -> World {
        let Self {
            tests,
            polluters,
            together,
            cleaners,
            rate,
            ..
        } = *self;
        polluted_by(tests, [polluters, together, cleaners], rate, seed)
    }

    fn setup(&self, seed: u64, probing: Probing) -> Setup {
        Setup {
            layouts: Layouts::Only(self.shards),
            probing,
            until_failure: self.iterations == UNTIL_FAILURE,
            // Far more than any answer takes; a search that never ends counts as no answer.
            probe_limit: 100.0,
            ..Setup::shipped(seed, self.iterations)
        }
    }
}
