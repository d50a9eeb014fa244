//! Many victims at once among 1,000 tests: how long until they are certified, probes counted as iterations.

use super::bench::hunt::{Setup, hunt};
use super::bench::scenario::pairs;
use super::bench::score::{Mark, due, mark, score};
use super::options::Options;
use super::print::{line, quantile};
use super::run::by_seed;

/// What one seed gave: for each victim when its right flag stood first, in units of whole suites.
struct Night {
    times: Vec<f64>,
    right: usize,
    innocent: u64,
    attempts: u64,
}

/// Runs both suites: thirty pairs, and thirteen victims of one polluter.
pub(crate) fn multi(options: &Options) {
    let tests = options.tests.unwrap_or(1000);
    let iterations = options.iterations.unwrap_or(100);
    line(&format!(
        "{tests} tests, {iterations} iterations, seeds {} to {}; executions of soak and probes by suite size",
        options.first_seed,
        options.first_seed + options.seeds - 1
    ));
    for (name, victims, shared) in [("30 pairs", 30, false), ("13 of one", 13, true)] {
        let nights = by_seed(options, options.seeds, |seed| {
            let world = pairs(tests, victims, shared, seed);
            let found = hunt(&world, &Setup::shipped(seed, iterations), &mut |_, _| {});
            let mut times: Vec<f64> = world
                .defects
                .iter()
                .map(|(victim, defect)| {
                    let due = due(&world, defect);
                    let history = found.history.get(victim).map_or(&[][..], Vec::as_slice);
                    let first = history
                        .iter()
                        .find(|known| mark(&due, Some(&known.flag), 1) == Mark::Right);
                    first.map_or(f64::INFINITY, |known| known.equivalents)
                })
                .collect();
            times.sort_by(f64::total_cmp);
            let (scored, slander) = score(&world, &found);
            Night {
                times,
                right: scored.iter().filter(|s| s.mark == Mark::Right).count(),
                innocent: slander.innocent_named,
                attempts: found.attempts,
            }
        });
        let share = |share: f64| -> Vec<f64> {
            let of = |night: &Night| quantile(&night.times, share);
            nights.iter().map(of).collect()
        };
        let (half, most, all) = (share(0.5), share(0.9), share(1.0));
        let in_80 = all.iter().filter(|time| **time <= 80.0).count();
        line(&format!(
            "{name:10} 50 % certified by {:.1} (median), 90 % by {:.1}, all by {:.1}; all by 80 in {in_80} of {} seeds; right {}/{}; innocent named {}; attempts {}",
            quantile(&half, 0.5),
            quantile(&most, 0.5),
            quantile(&all, 0.5),
            nights.len(),
            nights.iter().map(|night| night.right).sum::<usize>(),
            nights.iter().map(|night| night.times.len()).sum::<usize>(),
            nights.iter().map(|night| night.innocent).sum::<u64>(),
            nights.iter().map(|night| night.attempts).sum::<u64>(),
        ));
    }
}
