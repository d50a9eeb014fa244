//! Bayes factors of explanations: how much better "fails often with it, hardly ever without" fits what was seen than
//! "one rate for all". They rank and propose; they never certify.

use statrs::function::gamma::ln_gamma;

use super::special::{ln_add, ln_sequence, ln_sum, real};

/// Prior probabilities of the families of explanations, to be divided by the size of each family; they add up to 1.
///
/// Source: tuned on simulated suites that are not used for scoring. Halving one moves a verdict only where the
/// evidence is within a factor of two.
pub mod prior {
    /// Some predecessor pollutes.
    pub const PREDECESSOR: f64 = 0.30;
    /// Many predecessors pollute.
    pub const MANY: f64 = 0.05;
    /// Some predecessor is needed to pass.
    pub const SETTER: f64 = 0.10;
    /// Some test directly before it pollutes.
    pub const ADJACENT: f64 = 0.04;
    /// Some test that runs at the same time disturbs.
    pub const OVERLAP: f64 = 0.06;
    /// The number of tests before it decides.
    pub const POSITION: f64 = 0.08;
    /// A level of an environment factor decides.
    pub const ENVIRONMENT: f64 = 0.17;
    /// Nothing that we know of.
    pub const NOTHING: f64 = 0.20;
}

/// Offsets of the two shapes of a Beta distribution, and of their sum.
type Shapes = (usize, usize, usize);

/// Shapes of the rate where the cause is present, with their probabilities: nearly always, or anything.
const HIGH: [(Shapes, f64); 2] = [((ONE, TENTH, ONE_TENTH), 0.8), ((ONE, ONE, TWO), 0.2)];
/// Shapes of the rate without it, in the soak: hardly ever.
const LOW_SOAK: Shapes = (TENTH, ONE, ONE_TENTH);
/// The same in runs of our choice, where nothing else disturbs.
const LOW_ACTIVE: Shapes = (TENTH, THREE, THREE_TENTH);
/// Shapes of one rate for all.
const NULL: Shapes = (HALF, HALF, ONE);

// Offsets at which ln Γ is tabled.
const TENTH: usize = 0;
const HALF: usize = 1;
const ONE: usize = 2;
const ONE_TENTH: usize = 3;
const TWO: usize = 4;
const THREE: usize = 5;
const THREE_TENTH: usize = 6;
const OFFSETS: [f64; 7] = [0.1, 0.5, 1.0, 1.1, 2.0, 3.0, 3.1];

/// Failures and passes under one condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cell {
    /// Runs that failed.
    pub failed: u32,
    /// Runs that passed.
    pub passed: u32,
}

impl Cell {
    /// Counts one more run.
    pub fn add(&mut self, failed: bool) {
        if failed {
            self.failed += 1;
        } else {
            self.passed += 1;
        }
    }

    /// Number of runs.
    #[must_use]
    pub fn trials(self) -> u32 {
        self.failed + self.passed
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            failed: self.failed + other.failed,
            passed: self.passed + other.passed,
        }
    }

    /// What is left of this after taking away a part of it.
    #[must_use]
    pub fn without(self, part: Self) -> Self {
        Self {
            failed: self.failed.saturating_sub(part.failed),
            passed: self.passed.saturating_sub(part.passed),
        }
    }

    /// Passes taken for failures: what pollutes a brittle test's passing is a state-setter.
    #[must_use]
    pub fn swapped(self) -> Self {
        Self {
            failed: self.passed,
            passed: self.failed,
        }
    }
}

/// Runs of our choice, beside the soak: per candidate those with it, and all.
#[derive(Clone, Copy, Debug)]
pub struct Active<'a> {
    /// Per candidate, runs that it took part in before the victim.
    pub with: &'a [Cell],
    /// All runs.
    pub total: Cell,
}

/// Tables of ln Γ at fixed offsets; counts beyond them are computed.
#[derive(Clone, Debug)]
pub struct Tables {
    ln_gamma: [Vec<f64>; OFFSETS.len()],
}

impl Tables {
    /// Tables for up to `runs` runs; more works too, slower.
    #[must_use]
    pub fn new(runs: u32) -> Self {
        Self {
            ln_gamma: OFFSETS.map(|offset| {
                (0..=runs)
                    .map(|n| ln_gamma(f64::from(n) + offset))
                    .collect()
            }),
        }
    }

    fn ln_gamma(&self, offset: usize, n: u32) -> f64 {
        let tabled = self.ln_gamma[offset].get(n as usize).copied();
        tabled.unwrap_or_else(|| ln_gamma(f64::from(n) + OFFSETS[offset]))
    }

    /// Marginal likelihood of a cell whose rate has the prior Beta(a, b), with the offsets of a, b and a + b.
    fn marginal(&self, cell: Cell, (a, b, sum): Shapes) -> f64 {
        self.ln_gamma(a, cell.failed) + self.ln_gamma(b, cell.passed)
            - self.ln_gamma(sum, cell.trials())
            - (self.ln_gamma(a, 0) + self.ln_gamma(b, 0) - self.ln_gamma(sum, 0))
    }

    fn high(&self, cell: Cell) -> f64 {
        let [sure, any] =
            HIGH.map(|(shapes, weight)| self.marginal(cell, shapes) + f64::ln(weight));
        ln_add(sure, any)
    }

    /// Returns ln of the likelihood of one rate for the soak and the runs of our choice, or of one for each.
    #[must_use]
    pub fn null(&self, soak: Cell, active: Cell) -> f64 {
        let shared = self.marginal(soak.plus(active), NULL);
        let apart = self.marginal(soak, NULL) + self.marginal(active, NULL);
        ln_add(shared, apart) - std::f64::consts::LN_2
    }

    /// Returns ln of the Bayes factor of "fails often with it, hardly ever without" against "one rate", from soak
    /// runs with and without. Minus infinity where it explains no failure. For a state-setter give both cells
    /// [`swapped`](Cell::swapped).
    #[must_use]
    pub fn ln_bf(&self, with: Cell, without: Cell) -> f64 {
        if with.failed == 0 {
            return f64::NEG_INFINITY;
        }
        self.high(with) + self.marginal(without, LOW_SOAK) - self.marginal(with.plus(without), NULL)
    }

    /// The same from soak runs and runs of our choice together. With it, the rate is the same in both or differs
    /// (a cleaner lowers it in the soak); without it, rates are apart.
    #[must_use]
    pub fn ln_bf_joint(&self, soak: [Cell; 2], active: [Cell; 2]) -> f64 {
        let [soak_with, soak_without] = soak;
        let [active_with, active_without] = active;
        if soak_with.failed + active_with.failed == 0 {
            return f64::NEG_INFINITY;
        }
        self.joint_likelihood(soak, active)
            - self.null(
                soak_with.plus(soak_without),
                active_with.plus(active_without),
            )
    }

    fn joint_likelihood(&self, soak: [Cell; 2], active: [Cell; 2]) -> f64 {
        let shared = self.high(soak[0].plus(active[0]));
        let apart = self.high(soak[0]) + self.high(active[0]);
        ln_add(shared, apart) - std::f64::consts::LN_2
            + self.marginal(soak[1], LOW_SOAK)
            + self.marginal(active[1], LOW_ACTIVE)
    }

    /// [`ln_bf`](Self::ln_bf) of every candidate, given its soak runs and the totals.
    #[must_use]
    pub fn scores(&self, with: &[Cell], total: Cell) -> Vec<f64> {
        let null = self.marginal(total, NULL);
        let mut memory = Memory::new();
        with.iter()
            .map(|&with| {
                if with.failed == 0 {
                    return f64::NEG_INFINITY;
                }
                memory.recall([with.failed, with.passed, 0, 0], || {
                    self.high(with) + self.marginal(total.without(with), LOW_SOAK) - null
                })
            })
            .collect()
    }

    /// [`ln_bf_joint`](Self::ln_bf_joint) of every candidate, given its runs and the totals.
    ///
    /// # Panics
    /// When `with` and `active.with` differ in length.
    #[must_use]
    pub fn scores_joint(&self, with: &[Cell], total: Cell, active: Active<'_>) -> Vec<f64> {
        assert_eq!(with.len(), active.with.len(), "one cell per candidate");
        let null = self.null(total, active.total);
        let mut memory = Memory::new();
        with.iter()
            .zip(active.with)
            .map(|(&soak, &chosen)| {
                if soak.failed + chosen.failed == 0 {
                    return f64::NEG_INFINITY;
                }
                let key = [soak.failed, soak.passed, chosen.failed, chosen.passed];
                memory.recall(key, || {
                    self.joint_likelihood(
                        [soak, total.without(soak)],
                        [chosen, active.total.without(chosen)],
                    ) - null
                })
            })
            .collect()
    }
}

/// Remembers scores by counters: most candidates share theirs with many others.
struct Memory(Vec<([u32; 4], f64)>);

impl Memory {
    const BITS: u32 = 12;

    fn new() -> Self {
        Self(vec![([u32::MAX; 4], 0.0); 1 << Self::BITS])
    }

    fn recall(&mut self, key: [u32; 4], score: impl FnOnce() -> f64) -> f64 {
        let mixed = key.iter().fold(0_u64, |sum, &part| {
            (sum ^ u64::from(part)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        });
        let slot = &mut self.0[(mixed >> (64 - Self::BITS)) as usize];
        if slot.0 != key {
            *slot = (key, score());
        }
        slot.1
    }
}

/// Numbers of polluters on the grid of [`Curve`].
const POLLUTERS: [f64; 11] = [1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 32.0, 50.0, 80.0, 128.0];
/// Failure rates after a polluter on the same grid.
const RATES: [f64; 6] = [1.0, 0.8, 0.6, 0.4, 0.2, 0.1];
/// Rates that count for "many": after many polluters a rate as low as the last looks like no cause at all.
const RATES_OF_MANY: usize = 5;

/// How failures grow with the share of the suite that ran before: with m polluters that each make it fail at rate q,
/// P(fail | pi) = q (1 - (1 - pi)^m). Grows by a run at a time.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    ln_likelihood: [[f64; POLLUTERS.len()]; RATES.len()],
    total: Cell,
}

impl Curve {
    /// Takes one run of the victim, `pi` being the share of the other tests that ran before it.
    pub fn push(&mut self, pi: f64, failed: bool) {
        let later = (1.0 - pi).clamp(1e-3, 1.0);
        for (rate, row) in RATES.iter().zip(&mut self.ln_likelihood) {
            for (polluters, ln) in POLLUTERS.iter().zip(row) {
                let fails = (rate * (1.0 - later.powf(*polluters))).clamp(2e-3, 1.0 - 2e-3);
                *ln += if failed { fails.ln() } else { (-fails).ln_1p() };
            }
        }
        self.total.add(failed);
    }

    /// Returns how many polluters there seem to be: the geometric posterior mean under a prior of 1/m.
    #[must_use]
    pub fn polluters(&self) -> f64 {
        let by_number = |column: usize| {
            let rows: Vec<f64> = self.ln_likelihood.iter().map(|row| row[column]).collect();
            ln_sum(&rows) - POLLUTERS[column].ln()
        };
        let ln: Vec<f64> = (0..POLLUTERS.len()).map(by_number).collect();
        let weights = super::special::softmax(&ln);
        weights
            .iter()
            .zip(POLLUTERS)
            .map(|(weight, polluters)| weight * polluters.ln())
            .sum::<f64>()
            .exp()
    }

    /// Returns ln of the Bayes factor of "two or more polluters" against "one rate".
    #[must_use]
    pub fn ln_bf_many(&self) -> f64 {
        let all: Vec<f64> = self.ln_likelihood[..RATES_OF_MANY]
            .iter()
            .flat_map(|row| row[1..].iter().copied())
            .collect();
        let (failed, passed) = (f64::from(self.total.failed), f64::from(self.total.passed));
        ln_sum(&all) - real(all.len() as u64).ln() - ln_sequence(failed, passed, 0.5, 0.5)
    }
}

/// Returns how many polluters a victim seems to have, from (share of the other tests that ran before, failed) per
/// run: [`Curve::polluters`] at once.
#[must_use]
pub fn polluter_count(runs: impl IntoIterator<Item = (f64, bool)>) -> f64 {
    let mut curve = Curve::default();
    for (pi, failed) in runs {
        curve.push(pi, failed);
    }
    curve.polluters()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::chance::Chance;
    use crate::stats::special::softmax;

    fn cell(failed: u32, passed: u32) -> Cell {
        Cell { failed, passed }
    }

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-9,
            "found {found}, expected {expected}"
        );
    }

    /// The formula of the simulation with our weights, in plain ln B.
    fn plainly(with: Cell, without: Cell) -> f64 {
        let lml =
            |cell: Cell, a, b| ln_sequence(f64::from(cell.failed), f64::from(cell.passed), a, b);
        (0.8 * lml(with, 1.0, 0.1).exp() + 0.2 * lml(with, 1.0, 1.0).exp()).ln()
            + lml(without, 0.1, 1.0)
            - lml(with.plus(without), 0.5, 0.5)
    }

    #[test]
    fn tables_give_the_formula_inside_and_beyond_them() {
        let tables = Tables::new(40);
        for (with, without) in [
            (cell(3, 0), cell(0, 12)),
            (cell(1, 9), cell(2, 30)),
            (cell(20, 20), cell(3, 57)),
        ] {
            close(tables.ln_bf(with, without), plainly(with, without));
            let scores = tables.scores(&[with, cell(0, 5)], with.plus(without));
            close(scores[0], plainly(with, without));
            assert!(scores[1].is_infinite() && scores[1] < 0.0);
        }
    }

    #[test]
    fn joint_scores_equal_single_ones_and_move_with_active_runs() {
        let tables = Tables::new(100);
        let soak = [cell(4, 1), cell(4, 1), cell(2, 3)];
        let total = cell(5, 15);
        let chosen = [cell(2, 0), cell(0, 2), cell(0, 0)];
        let active = Active {
            with: &chosen,
            total: cell(2, 6),
        };
        let scores = tables.scores_joint(&soak, total, active);
        for (place, score) in scores.iter().enumerate() {
            let split = |part: Cell, whole: Cell| [part, whole.without(part)];
            close(
                *score,
                tables.ln_bf_joint(
                    split(soak[place], total),
                    split(chosen[place], active.total),
                ),
            );
        }
        assert!(scores[0] > scores[1] + 3.0, "{scores:?}");
    }

    /// Research table 2.3: one process and 1,000 tests take 15 iterations to a unique first, four processes 22.5.
    #[test]
    fn the_polluter_comes_first_as_soon_as_in_the_simulation() {
        let tables = Tables::new(300);
        for (k, most) in [(1, 18), (4, 27)] {
            let mut chance = Chance::new(100 + k as u64);
            let mut lengths: Vec<u32> = (0..40)
                .map(|_| until_unique(&tables, k, &mut chance))
                .collect();
            lengths.sort_unstable();
            assert!(lengths[20] <= most, "k {k}: {lengths:?}");
        }
    }

    fn until_unique(tables: &Tables, k: usize, chance: &mut Chance) -> u32 {
        let n = 999;
        let mut with = vec![Cell::default(); n];
        let mut total = Cell::default();
        let mut order: Vec<usize> = (0..n).collect();
        for iteration in 1.. {
            chance.shuffle(&mut order);
            let before = &order[..chance.below(1000 / k)];
            let failed = before.contains(&7);
            total.add(failed);
            for &test in before {
                with[test].add(failed);
            }
            let scores = tables.scores(&with, total);
            if scores[7].is_finite()
                && scores.iter().filter(|score| **score >= scores[7]).count() == 1
            {
                return iteration;
            }
        }
        unreachable!("iterations have no end")
    }

    #[test]
    fn a_setter_is_ranked_by_swapped_cells() {
        let tables = Tables::new(50);
        let setter = tables.ln_bf(cell(0, 8).swapped(), cell(20, 0).swapped());
        let innocent = tables.ln_bf(cell(6, 3).swapped(), cell(14, 5).swapped());
        assert!(setter > innocent + 5.0, "{setter} {innocent}");
    }

    #[test]
    fn the_curve_tells_one_polluter_from_fifty() {
        let mut chance = Chance::new(4);
        for (polluters, low, high) in [(1, 0.9, 1.7), (10, 5.0, 20.0), (50, 25.0, 100.0)] {
            let mut curve = Curve::default();
            for _ in 0..200 {
                let pi = chance.uniform() * 0.25;
                let fails = 1.0 - (1.0 - pi).powi(polluters);
                curve.push(pi, chance.happens(fails));
            }
            let found = curve.polluters();
            assert!(
                (low..high).contains(&found),
                "{polluters} polluters, found {found}"
            );
        }
    }

    #[test]
    fn many_polluters_fit_better_than_one_rate_only_if_there_are_many() {
        let mut chance = Chance::new(14);
        let (mut many, mut none) = (Curve::default(), Curve::default());
        for _ in 0..150 {
            let pi = chance.uniform();
            many.push(pi, chance.happens(1.0 - (1.0 - pi).powi(8)));
            none.push(pi, chance.happens(0.1));
        }
        assert!(many.ln_bf_many() > 5.0, "{}", many.ln_bf_many());
        assert!(none.ln_bf_many() < 0.0, "{}", none.ln_bf_many());
    }

    #[test]
    fn priors_add_up_to_one() {
        close(
            prior::PREDECESSOR
                + prior::MANY
                + prior::SETTER
                + prior::ADJACENT
                + prior::OVERLAP
                + prior::POSITION
                + prior::ENVIRONMENT
                + prior::NOTHING,
            1.0,
        );
    }

    #[test]
    fn softmax_of_scores_gives_no_weight_to_what_explains_nothing() {
        let tables = Tables::new(20);
        let scores = tables.scores(&[cell(3, 0), cell(0, 3)], cell(3, 9));
        assert_eq!(softmax(&scores), vec![1.0, 0.0]);
    }
}
