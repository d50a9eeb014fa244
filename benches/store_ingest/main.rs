//! Prints how fast the store takes outcomes in, what each costs in processor time and bytes on disk, and how
//! fast it answers afterwards: with flags, and with probes whose number does not count as outcomes.
//!
//! `cargo bench --bench store_ingest [-- [commands] [ROWS [WORKERS]] [PATH]]`: one million rows and one worker unless told
//! otherwise. Each worker opens a segment, closes it with its 250 trials and closes its shard, each call waiting
//! for its commit as in a hunt; several workers record half of the trials before the end. Wall time depends
//! on who else uses the machine; processor time hardly. `commands` goes on with the program's own `status`, `flags`
//! and `show`, as whole processes, beside what they may take with ten million rows. The database is kept at PATH, or
//! taken from there.

mod commands;
mod flags;
mod made;

use std::path::{Path, PathBuf};
use std::time::Instant;

use made::Made;
use soakhound::model::{SuiteId, TestId, UnixMillis};
use soakhound::store::{self, Cursor, Observed, Reader};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut numbers = words.iter().filter_map(|word| word.parse::<u64>().ok());
    let rows = numbers.next().unwrap_or(1_000_000);
    let workers = numbers.next().unwrap_or(1);
    let times_commands = words.iter().any(|word| word == "commands");
    let kept = words
        .iter()
        .find(|word| word.contains('/'))
        .map(PathBuf::from);
    // Beside the build, because a temporary folder may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = kept.unwrap_or_else(|| folder.path().join("hunt.db"));
    if !path.exists() {
        let made = made::make(&path, rows, workers)?;
        report(&made);
        answer(&path, made.hunt, made.rows, &made.tests)?;
    }
    if times_commands {
        commands::time(folder.path(), &path)?;
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "figures for a person"
)]
fn report(made: &Made) {
    let Made {
        rows,
        workers,
        wall,
        busy,
        bytes,
        ..
    } = made;
    println!(
        "{rows} outcomes, {workers} workers: {:.0} rows/s, {:.2} us of processor time and {:.2} bytes per outcome",
        *rows as f64 / wall.as_secs_f64(),
        busy.as_secs_f64() * 1e6 / *rows as f64,
        *bytes as f64 / *rows as f64,
    );
}

#[expect(clippy::print_stdout, reason = "figures for a person")]
fn answer(
    path: &Path,
    hunt: i64,
    rows: u64,
    tests: &[TestId],
) -> Result<(), Box<dyn std::error::Error>> {
    let milliseconds = |since: Instant| since.elapsed().as_secs_f64() * 1e3;
    let asked = Instant::now();
    let status = Reader::open(path)?.status(hunt)?;
    println!("status in {:.1} ms", milliseconds(asked));
    assert_eq!(
        status.outcomes.sum(|_| true),
        rows,
        "every outcome is counted once"
    );
    let asked = Instant::now();
    let failing = Reader::open(path)?.failures(hunt, 20)?.len();
    println!("{failing} failing tests in {:.1} ms", milliseconds(asked));
    let suite = SuiteId::of("bench", "pytest");
    let asked = Instant::now();
    let flags = Reader::open(path)?.flags(suite, UnixMillis(0))?.len();
    println!("{flags} flags in {:.1} ms", milliseconds(asked));
    let asked = Instant::now();
    let reader = Reader::open(path)?;
    let test = &tests[7];
    let told = (
        reader.flags_of(suite, test)?.len(),
        reader.questions_of(suite, test)?.len(),
        reader.failures_of(suite, test, 20)?.len(),
        reader.standing::<serde_json::Value>(suite, test)?.is_some(),
        reader.attempts(suite)?,
        reader.analysis(suite)?.is_some(),
    );
    let trials = reader.outcomes_of(suite, test)?.sum(|_| true);
    println!(
        "all of one test in {:.1} ms: {trials} trials, {told:?}",
        milliseconds(asked)
    );
    let asked = Instant::now();
    let (mut segments, mut seen) = (0_u64, 0_u64);
    let mut cursor = Cursor::start(suite);
    reader.observe(&mut cursor, |observed| {
        if let Observed::Segment(segment) = observed {
            segments += 1;
            seen += segment.trials.len() as u64;
        }
    })?;
    println!(
        "{seen} outcomes of {segments} segments observed in {:.0} ms",
        milliseconds(asked)
    );
    assert_eq!(seen, rows, "every outcome is evidence, and no probe is");
    let asked = Instant::now();
    reader.observe(&mut cursor, |_| panic!("nothing is new"))?;
    println!("nothing new in {:.1} ms", milliseconds(asked));
    let asked = Instant::now();
    let found = store::check(path)?.findings;
    println!("check in {:.0} ms", milliseconds(asked));
    assert!(found.is_empty(), "{found:?}");
    Ok(())
}
