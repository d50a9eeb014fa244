//! Flags about no test: bursts of failures that the infrastructure caused, one flag for all that belong together.

use std::collections::BTreeSet;

use super::ledger::Burst;
use crate::model::{Count, Flag, Verdict};

/// Iterations without a burst after which the next one is another event.
const QUIET: u64 = 50;

/// Bursts that lie close together.
#[derive(Debug)]
pub(crate) struct Event {
    /// What is said of them.
    pub(crate) flag: Flag,
    /// Their segments: numbers in the history.
    pub(crate) segments: BTreeSet<u32>,
}

/// Returns one event per run of bursts that lie close together.
pub(crate) fn events(bursts: &[Burst]) -> Vec<Event> {
    let near = |a: &Burst, b: &Burst| b.iteration <= a.iteration + QUIET;
    bursts.chunk_by(near).map(event).collect()
}

/// Returns what is said once no burst is left that the infrastructure caused.
pub(crate) fn withdrawn() -> Flag {
    Flag {
        certified: false,
        ruled_out: vec![
            "withdrawn: what failed together then has causes among the tests by now".to_owned(),
        ],
        ..blank()
    }
}

fn event(bursts: &[Burst]) -> Event {
    let mut soak = Count::default();
    let mut replays = 0;
    for burst in bursts {
        soak.failures += burst.failures.len() as u64;
        soak.trials += u64::from(burst.ran);
        replays += burst.replays;
    }
    let (first, last) = (bursts.first(), bursts.last());
    let (first, last) = (
        first.map_or(0, |burst| burst.iteration),
        last.map_or(0, |burst| burst.iteration),
    );
    let containers = bursts.len();
    let mut said = vec![format!(
        "{containers} container{} failed {} tests together between iterations {first} and {last}; these failures count for no test",
        if containers == 1 { "" } else { "s" },
        soak.failures
    )];
    if replays > 0 {
        said.push(format!(
            "not the orders: run again in fresh containers the tests passed {replays} times"
        ));
    }
    let quiet = bursts.iter().filter(|burst| burst.replays == 0).count();
    if quiet > 0 {
        let of = if quiet == containers && containers == 1 {
            "around it".to_owned()
        } else {
            format!("around {quiet} of them")
        };
        said.push(format!(
            "not the orders: in the iterations {of} ({} before, {} after) fewer than half of the tests failed again, or no two of them together",
            Burst::QUIET,
            Burst::QUIET
        ));
    }
    Event {
        flag: Flag {
            soak,
            since_iteration: Some(first),
            ruled_out: said,
            ..blank()
        },
        segments: bursts.iter().map(|burst| burst.segment).collect(),
    }
}

fn blank() -> Flag {
    Flag {
        certified: true,
        ..Flag::bare(None, Verdict::Infrastructure)
    }
}
