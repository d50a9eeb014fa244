//! Prints how often intervals are wrong when someone looks after every run, what it costs to find a minimal failing
//! order, and how long the formulas take that run after every iteration.
//!
//! `cargo bench --bench statistics [-- WORLDS]`: 150 worlds per row unless told otherwise; fixed seeds. Only the
//! times depend on the machine.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

mod chance;
mod intervals;
mod reducing;
mod speed;

fn main() {
    let worlds = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(150);
    intervals::print(worlds * 10);
    reducing::print(worlds);
    speed::print();
}
