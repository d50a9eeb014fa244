//! What the best peer needs for the same question, as measured in `research/peers.md`, section 2b: planted
//! dependency in 500 trivial tests, test executions to an answer, none of them certified.

use super::bench::scenario::Scenario;

/// Returns the best peer's executions with its name; `None` where none gave the right and complete answer.
pub(crate) fn best(scenario: Scenario) -> Option<(&'static str, u32)> {
    match scenario {
        Scenario::One => Some(("pytest-bisect-tests", 513)),
        // One of the two polluters only.
        Scenario::Either => Some(("pytest-bisect-tests, one of two", 513)),
        // 200 tests.
        Scenario::Together => Some(("minitest-bisect, n=200", 796)),
        // Fed with the failing order.
        Scenario::Cleaner => Some(("detect-test-pollution, given the order", 844)),
        // 200 tests; a blob of fourteen tests without pairing.
        Scenario::TenPairs => Some(("rspec --bisect, n=200, no pairing", 3917)),
        Scenario::Noisy
        | Scenario::Brittle
        | Scenario::Three
        | Scenario::BrittleEither
        | Scenario::BrittleTogether
        | Scenario::Nio
        | Scenario::Nod
        | Scenario::Ndod
        | Scenario::Adjacent
        | Scenario::Position
        | Scenario::First
        | Scenario::Environment
        | Scenario::HashSeed
        | Scenario::Interference
        | Scenario::Broken
        | Scenario::Regression
        | Scenario::Infrastructure
        | Scenario::Often => None,
    }
}
