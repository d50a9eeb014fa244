//! Bets on how many tests ran before the victim, in orders that we drew ourselves.
//!
//! If whether it fails had nothing to do with its order, how many tests ran before it would be chance with a law that
//! we know, whatever the failures depend on otherwise (load, drift, a bad night), and however often someone looks. But
//! a certain test that decides ran before it the more often, the more tests did. So what is won counts only as far as
//! it exceeds what a bet on the best fitting polluter or state-setter would have won, on average over all tests: our
//! chance treats all of them alike, so what holds for their average holds for each.
//!
//! What these bets cannot tell from a number are two and more tests that decide together; [`pairs`](super::pairs) can.
//!
//! Source: P. Grünwald, A. Henzi, T. Lardy (2023), Anytime-valid tests of conditional independence under model-X,
//! JASA 119(546), for the law; L. Wasserman, A. Ramdas, S. Balakrishnan (2020), Universal inference, PNAS 117(29), for
//! the best fitting rate in the denominator.

use std::cmp::Ordering;

use super::special::{ln_mean, real};
use super::tournament::Cell;

/// Numbers of tests from which it may fail: as many equal parts of the suite.
const CUTS: u32 = 40;

/// One run of the victim whose order was drawn, all orders of these tests being equally likely.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// The tests of the process, the victim among them.
    pub order: &'a [u32],
    /// The victim's place among them, from 0.
    pub place: u32,
    /// Did it fail?
    pub failed: bool,
}

/// Returns ln of the e-value of "it fails from some number of tests before it on", against every single test of the
/// suite that may decide instead, and against nothing in the order. `runs` in the order in which they were drawn;
/// `tests`: how many tests the suite has, the victim among them, numbered from 0.
///
/// It holds at any one stopping time.
#[must_use]
pub fn ln_e_of_rank(runs: &[Drawn<'_>], tests: usize) -> f64 {
    let cuts = cuts(tests);
    if cuts.is_empty() || runs.is_empty() {
        return 0.0;
    }
    let mut counts = Counts::new(&cuts);
    let mut won = vec![0.0; cuts.len()];
    let mut before = vec![Cell::default(); tests];
    let mut after = vec![Cell::default(); tests];
    for run in runs {
        let factors = cuts.iter().zip(counts.rates());
        for (won, (cut, rates)) in won.iter_mut().zip(factors) {
            *won += ln_factor(run, *cut, rates);
        }
        counts.add(run);
        for (place, test) in (0..).zip(run.order) {
            let side = match run.place.cmp(&place) {
                Ordering::Greater => &mut before,
                Ordering::Less => &mut after,
                Ordering::Equal => continue,
            };
            if let Some(cell) = side.get_mut(*test as usize) {
                cell.add(run.failed);
            }
        }
    }
    let victim = runs[0].order[runs[0].place as usize];
    let by_one: Vec<f64> = (0..)
        .zip(before.iter().zip(&after))
        .filter(|(test, _)| *test != victim)
        .map(|(_, (before, after))| {
            best_coin(before.failed, after.failed) + best_coin(before.passed, after.passed)
        })
        .collect();
    ln_mean(&won) - ln_mean(&by_one).max(0.0)
}

/// Numbers of tests before it from which a victim may fail.
fn cuts(tests: usize) -> Vec<u32> {
    let tests = u32::try_from(tests).unwrap_or(u32::MAX);
    let part = |part: u32| u64::from(part) * u64::from(tests) / u64::from(CUTS + 1);
    let parts = (1..=CUTS).filter_map(|number| u32::try_from(part(number)).ok());
    let mut cuts: Vec<u32> = parts.filter(|cut| *cut > 0).collect();
    cuts.dedup();
    cuts
}

/// ln of the factor of one run: how likely its outcome was with as many tests before as there were, over its mean over
/// all places in its process.
fn ln_factor(run: &Drawn<'_>, cut: u32, rates: [f64; 2]) -> f64 {
    let tests = run.order.len() as u64;
    let late = real(tests.saturating_sub(cut.into())) / real(tests);
    let [at_late, at_early] = rates.map(|rate| if run.failed { rate } else { 1.0 - rate });
    let seen = if run.place >= cut { at_late } else { at_early };
    (seen / (late * at_late + (1.0 - late) * at_early)).ln()
}

/// ln of how much more likely the coin that fits best makes these counts than a fair one does.
fn best_coin(heads: u32, tails: u32) -> f64 {
    let all = f64::from(heads + tails);
    let side = |count: u32| {
        if count == 0 {
            0.0
        } else {
            f64::from(count) * (2.0 * f64::from(count) / all).ln()
        }
    };
    side(heads) + side(tails)
}

/// Outcomes of earlier runs by cut: those with at least so many tests before, and all.
struct Counts<'a> {
    cuts: &'a [u32],
    late: Vec<Cell>,
    total: Cell,
}

impl<'a> Counts<'a> {
    fn new(cuts: &'a [u32]) -> Self {
        Self {
            cuts,
            late: vec![Cell::default(); cuts.len()],
            total: Cell::default(),
        }
    }

    fn add(&mut self, run: &Drawn<'_>) {
        self.total.add(run.failed);
        for (cut, late) in self.cuts.iter().zip(&mut self.late) {
            if run.place >= *cut {
                late.add(run.failed);
            }
        }
    }

    /// Rates of failing late and early, by cut: predictable, since they come of earlier runs.
    fn rates(&self) -> impl Iterator<Item = [f64; 2]> + '_ {
        self.late.iter().map(|late| {
            let early = self.total.without(*late);
            let rate = |cell: Cell, failed: f64, all: f64| {
                let rate = (f64::from(cell.failed) + failed) / (f64::from(cell.trials()) + all);
                rate.clamp(1e-6, 1.0 - 1e-6)
            };
            [rate(*late, 1.0, 1.2), rate(early, 0.1, 1.1)]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::chance::Chance;

    const TESTS: u32 = 60;

    /// Does the victim fail after these tests, in this iteration?
    type Fails = dyn Fn(&[u32], u32, &mut Chance) -> bool;

    /// e-values over many soaks of test 0, which fails where `fails` says so of what ran before it and the iteration.
    fn e_values(
        soaks: u32,
        iterations: u32,
        shards: usize,
        chance: &mut Chance,
        fails: &Fails,
    ) -> Vec<f64> {
        let one = |_: u32| {
            let mut orders = Vec::new();
            for iteration in 0..iterations {
                let mut order: Vec<u32> = (0..TESTS).collect();
                chance.shuffle(&mut order);
                order.truncate(TESTS as usize / shards);
                // The shard that holds the victim.
                if let Some(place) = order.iter().position(|test| *test == 0) {
                    let failed = fails(&order[..place], iteration, chance);
                    orders.push((order, u32::try_from(place).unwrap(), failed));
                }
            }
            let runs: Vec<Drawn<'_>> = orders
                .iter()
                .map(|(order, place, failed)| Drawn {
                    order,
                    place: *place,
                    failed: *failed,
                })
                .collect();
            ln_e_of_rank(&runs, TESTS as usize).exp()
        };
        (0..soaks).map(one).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / real(values.len() as u64)
    }

    #[test]
    fn the_mean_of_a_factor_over_all_places_is_one() {
        let order: Vec<u32> = (0..7).collect();
        for (cut, failed) in [(1, true), (3, false), (6, true), (7, true), (9, false)] {
            let at = |place: u32| {
                let run = Drawn {
                    order: &order,
                    place,
                    failed,
                };
                ln_factor(&run, cut, [0.9, 0.2]).exp()
            };
            let sum: f64 = (0..7).map(at).sum();
            assert!((sum / 7.0 - 1.0).abs() < 1e-12, "{cut} {failed} {sum}");
        }
    }

    #[test]
    fn a_number_of_tests_before_is_soon_told_from_certain_tests() {
        let mut chance = Chance::new(5);
        for (shards, iterations) in [(1, 60), (2, 160)] {
            let e = e_values(20, iterations, shards, &mut chance, &|before, _, _| {
                before.len() >= 20
            });
            assert!(
                e.iter().filter(|e| **e >= 100.0).count() >= 18,
                "{shards} {e:?}"
            );
        }
    }

    #[test]
    fn certain_tests_do_not_look_like_a_number() {
        let mut chance = Chance::new(6);
        let worlds: [&Fails; 5] = [
            &|before, _, _| before.contains(&1),
            &|before, _, _| !before.contains(&1),
            &|before, _, chance| before.contains(&1) && chance.happens(0.5),
            &|before, iteration, chance| {
                before.contains(&1) && chance.happens(f64::from(iteration) / 60.0)
            },
            &|_, _, chance| chance.happens(0.3),
        ];
        for (world, fails) in worlds.iter().enumerate() {
            let e = e_values(100, 60, 1, &mut chance, fails);
            assert!(mean(&e) <= 1.0, "{world}: {}", mean(&e));
            assert!(e.iter().all(|e| *e < 100.0), "{world}: {e:?}");
        }
    }
}
