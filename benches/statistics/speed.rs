//! How long the formulas take that run after every iteration, at 20,000 candidates.

use std::hint::black_box;
use std::time::{Duration, Instant};

use soakhound::model::Count;
use soakhound::stats::{
    Active, Bets, Cell, Direction, ProbabilityBefore, Shared, Tables, confidence_sequence, jeffreys,
};

use crate::chance::Chance;

const CANDIDATES: usize = 20_000;

pub(crate) fn print() {
    println!("\nMedian times at {CANDIDATES} candidates");
    let mut chance = Chance(3);
    for (failed, passed) in [(10, 490), (400, 3100)] {
        let draw = |of: u32, chance: &mut Chance| {
            u32::try_from((0..of).filter(|_| chance.happens(0.12)).count()).expect("few")
        };
        let with: Vec<Cell> = (0..CANDIDATES)
            .map(|_| Cell {
                failed: draw(failed, &mut chance),
                passed: draw(passed, &mut chance),
            })
            .collect();
        let total = Cell { failed, passed };
        let tables = Tables::new(4000);
        time(
            &format!("scores, {failed} failures, {passed} passes"),
            || tables.scores(&with, total),
        );
        let chosen: Vec<Cell> = (0..CANDIDATES)
            .map(|place| Cell {
                failed: 0,
                passed: u32::from(place % 3 == 0),
            })
            .collect();
        let active = Active {
            with: &chosen,
            total: Cell {
                failed: 0,
                passed: 9,
            },
        };
        time("  with runs of our choice", || {
            tables.scores_joint(&with, total, active)
        });
        let mut bets = Bets::new(Direction::Fails, CANDIDATES);
        time("  one step of all bets", || {
            bets.step(
                &with,
                total,
                |test| test % 7 == 0,
                ProbabilityBefore::Same(0.14),
                false,
            );
        });
        let row = tables.scores(&with, total);
        let rows: Vec<&[f64]> = vec![&row; 200];
        time("  prior shared by 200 victims", || {
            Shared::learn(CANDIDATES, &rows)
        });
    }
    let seen = Count {
        failures: 175,
        trials: 3500,
    };
    time("confidence sequence", || confidence_sequence(seen, 0.05));
    time("Jeffreys", || jeffreys(seen, 0.05));
    let huge = Count {
        failures: 1000,
        trials: 70_000_000,
    };
    time("Jeffreys of 70 million", || jeffreys(huge, 0.05));
}

fn time<T>(name: &str, mut work: impl FnMut() -> T) {
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("{name:>40}: {:.1} us", times[10].as_secs_f64() * 1e6);
}
