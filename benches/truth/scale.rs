//! Does the analysis keep up with a large suite? Processor time per iteration, and peak memory of the program.

use super::bench::hunt::{Setup, hunt};
use super::bench::scenario::large;
use super::bench::score::{Mark, score};
use super::options::Options;
use super::print::line;

/// Runs one hunt of one seed.
pub(crate) fn scale(options: &Options) {
    let tests = options.tests.unwrap_or(20_000);
    let iterations = options.iterations.unwrap_or(500);
    let world = large(tests, options.first_seed);
    let flaky = world.defects.len();
    let before = peak_mib();
    let found = hunt(
        &world,
        &Setup::shipped(options.first_seed, iterations),
        &mut |_, _| {},
    );
    let (scored, slander) = score(&world, &found);
    let of = |mark| scored.iter().filter(|scored| scored.mark == mark).count();
    line(&format!(
        "{tests} tests, {iterations} iterations, {flaky} flaky: {:.1} ms of analysis per iteration, peak memory {} MiB ({before} MiB before the hunt)",
        1000.0 * found.analysis_seconds / iterations as f64,
        peak_mib(),
    ));
    line(&format!(
        "right {}, incomplete {}, undetermined {}, wrong {}, innocent named {} (ever {}), unseen {}; probes {:.1} % of the soak; attempts {}",
        of(Mark::Right),
        of(Mark::Incomplete),
        of(Mark::Undetermined),
        of(Mark::Wrong),
        of(Mark::Innocent),
        slander.innocent_named,
        of(Mark::Unseen),
        100.0 * found.probe_executions as f64 / found.soak_executions as f64,
        found.attempts,
    ));
}

/// The most memory that this process had at a time; 0 where the kernel does not say.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let row = status.lines().find(|row| row.starts_with("VmHWM:"));
    row.and_then(|row| row.split_whitespace().nth(1))
        .and_then(|kib| kib.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024)
}
