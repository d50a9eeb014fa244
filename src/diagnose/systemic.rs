//! Flags about no test: bursts of failures that the infrastructure caused, one flag for all that belong together.

use super::ledger::Burst;
use crate::model::{Count, Flag, Verdict};

/// Iterations without a burst after which the next one is another event.
const QUIET: u64 = 50;

/// Returns one flag per run of bursts that lie close together.
pub(crate) fn flags(bursts: &[Burst]) -> Vec<Flag> {
    let mut flags: Vec<(u64, u64, Count, u64)> = Vec::new();
    for burst in bursts {
        let failures = burst.failures.len() as u64;
        let count = Count {
            failures,
            trials: u64::from(burst.ran),
        };
        match flags.last_mut() {
            Some((_, last, all, segments)) if burst.iteration <= *last + QUIET => {
                *last = burst.iteration;
                all.failures += count.failures;
                all.trials += count.trials;
                *segments += 1;
            }
            _ => flags.push((burst.iteration, burst.iteration, count, 1)),
        }
    }
    flags
        .into_iter()
        .map(|(first, last, soak, segments)| Flag {
            test: None,
            verdict: Verdict::Infrastructure,
            certified: true,
            groups: Vec::new(),
            unnamed: 0,
            factors: Vec::new(),
            soak,
            alone: Count::default(),
            recipe: None,
            ln_e: None,
            since_iteration: Some(first),
            threshold: None,
            reach: None,
            files_left: Vec::new(),
            ruled_out: vec![format!(
                "{segments} container{} failed {} tests together between iterations {first} and {last}; these failures count for no test",
                if segments == 1 { "" } else { "s" },
                soak.failures
            )],
            settles: None,
        })
        .collect()
}
