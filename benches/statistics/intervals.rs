//! How often each interval misses the true rate at least once while someone looks after every run.

use soakhound::model::Count;
use soakhound::stats::{clopper_pearson, confidence_sequence, jeffreys, wilson};

use crate::chance::Chance;

pub(crate) fn print(worlds: usize) {
    println!(
        "Share of {worlds} worlds in which a 95 % interval was ever wrong, looking after every run"
    );
    println!(
        "{:>22} {:>10} {:>10} {:>10} {:>10}",
        "rate, runs", "exact", "Jeffreys", "Wilson", "sequence"
    );
    for (rate, runs) in [
        (0.05, 500),
        (0.05, 3500),
        (0.01, 3500),
        (0.3, 500),
        (0.3, 3500),
        (0.001, 3500),
    ] {
        let mut table = bounds(runs);
        let mut chance = Chance(1);
        let mut wrong = [0_u32; 4];
        for _ in 0..worlds {
            let mut failures = 0;
            let mut ever = [false; 4];
            for trials in 1..=runs {
                failures += usize::from(chance.happens(rate));
                for (kind, ever) in ever.iter_mut().enumerate() {
                    // An interval misses the rate when there were too many failures or too few.
                    let (least, most) = table[kind](rate, trials);
                    *ever |= failures < least || failures > most;
                }
            }
            for (wrong, ever) in wrong.iter_mut().zip(ever) {
                *wrong += u32::from(ever);
            }
        }
        let share = wrong.map(|wrong| format!("{:.1} %", 100.0 * f64::from(wrong) / real(worlds)));
        println!(
            "{:>22} {:>10} {:>10} {:>10} {:>10}",
            format!("{rate}, {runs}"),
            share[0],
            share[1],
            share[2],
            share[3]
        );
    }
    for (failures, trials) in [(10, 500), (175, 3500), (250, 500)] {
        let seen = Count { failures, trials };
        let (low, high) = confidence_sequence(seen, 0.05);
        let (least, most) = jeffreys(seen, 0.05);
        println!(
            "width {failures}/{trials}: sequence {low:.4}..{high:.4}, {:.2} times Jeffreys",
            (high - low) / (most - least)
        );
    }
}

/// Per kind of interval, the numbers of failures among `trials` for which it contains a rate.
type Accepts = Box<dyn FnMut(f64, usize) -> (usize, usize)>;

fn bounds(runs: usize) -> [Accepts; 4] {
    let kinds: [fn(Count) -> (f64, f64); 4] = [
        |seen| clopper_pearson(seen, 0.05),
        |seen| jeffreys(seen, 0.05),
        |seen| wilson(seen, 1.959_964),
        |seen| confidence_sequence(seen, 0.05),
    ];
    kinds.map(|interval| {
        let mut known: Vec<Option<(usize, usize)>> = vec![None; runs + 1];
        let accepts = move |rate: f64, trials: usize| {
            *known[trials].get_or_insert_with(|| {
                let contains = |failures: usize| {
                    let seen = Count {
                        failures: failures as u64,
                        trials: trials as u64,
                    };
                    interval(seen)
                };
                // Both ends rise with the failures.
                let least = first(trials + 1, |failures| contains(failures).1 >= rate);
                let most = first(trials + 1, |failures| contains(failures).0 > rate);
                (least, most.saturating_sub(1))
            })
        };
        Box::new(accepts) as Accepts
    })
}

/// First of `0..end` for which a condition holds that never ceases to; `end` where none.
fn first(end: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn real(count: usize) -> f64 {
    count as f64
}
