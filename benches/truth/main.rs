//! The bench of truth: hunts through suites with planted defects, scored against what was planted.
//!
//! `cargo bench --bench truth -- COMMAND [OPTIONS]`:
//!
//! - `scenario NAME...|acceptance|all`: one defect a suite; recall, false blame, cost beside the best peer's
//! - `multi`: many victims among 1,000 tests; iterations, probes counted as such, until they are certified
//! - `nulls [WORLD...]`: weeks in which nobody is to blame
//! - `table`: the rows M1 to M19 of the method that are about the analyst
//! - `scale`: processor time and memory for 20,000 tests
//! - `pytest OUT --scenario NAME`: the same truth as files that pytest runs
//!
//! Options: `--tests N --iterations N --seeds N --first-seed N --weeks N --threads N --kill SECONDS --rate R --verbose`.
//! Seeds below 1,000 are for tuning, those from 10,000 on for scoring.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::wildcard_enum_match_arm,
    reason = "counts of a simulation are far below 2^32, and most defects are like the others to a question"
)]

#[allow(
    dead_code,
    reason = "each of the two programs that share it uses a part"
)]
mod bench;
mod multi;
mod nulls;
mod options;
mod peers;
mod print;
mod run;
mod scale;
mod suite;
mod table;

use options::Options;

fn main() {
    let words = std::env::args().skip(1).filter(|word| word != "--bench");
    let options = match Options::parse(words) {
        Ok(options) => options,
        Err(fault) => {
            print::line(&format!("error: {fault}"));
            std::process::exit(150);
        }
    };
    match options.words.first().map(String::as_str) {
        Some("scenario") => run::scenarios(&options),
        Some("multi") => multi::multi(&options),
        Some("scale") => scale::scale(&options),
        Some("table") => table::table(&options),
        Some("pytest") => suite::write(&options),
        Some("nulls") => nulls::nulls(&options),
        Some(other) => print::line(&format!("error: there is no command `{other}`")),
        // `cargo bench` without arguments runs every bench: a short answer, then.
        None => run::scenarios(&Options {
            words: vec!["scenario".to_owned(), "acceptance".to_owned()],
            seeds: 2,
            ..options
        }),
    }
}
