//! Which tests are likely polluters where any of several suffices. A ranking that knows of one cause alone takes the
//! failures after the others for failures without a cause, and so prefers an innocent test that happened to run before
//! most of them: here they are expected, the more tests ran before, the more.

/// How many there may be, with their prior probabilities.
const NUMBERS: [(f64, f64); 3] = [(2.0, 0.5), (5.0, 0.3), (20.0, 0.2)];
/// How often the effect shows after one of them, with prior probabilities.
const RATES: [(f64, f64); 2] = [(0.98, 0.6), (0.4, 0.4)];
/// Pairs of both.
const MODELS: usize = NUMBERS.len() * RATES.len();
/// The effect shows without any of them, at least so often.
const BACKGROUND: f64 = 0.01;

/// What runs say about each test, were it one of several of which any suffices. Grows by a run at a time.
#[derive(Clone, Debug)]
pub struct Several {
    /// ln likelihood of all runs as if the test had never run before the victim.
    without: [f64; MODELS],
    /// What is to be added for the runs before which it did.
    with: Vec<[f32; MODELS]>,
    ln_prior: [f64; MODELS],
}

impl Several {
    /// Starts without runs, for a suite of `tests` tests.
    #[must_use]
    pub fn new(tests: usize) -> Self {
        Self {
            without: [0.0; MODELS],
            with: vec![[0.0; MODELS]; tests],
            ln_prior: std::array::from_fn(|model| {
                let (rate, number) = (model / NUMBERS.len(), model % NUMBERS.len());
                (RATES[rate].1 * NUMBERS[number].1).ln()
            }),
        }
    }

    /// Takes a recorded run: the share of the other tests that ran before the victim, `0.0..=1.0`, which those were,
    /// and whether the effect showed.
    pub fn run(&mut self, share: f64, before: impl IntoIterator<Item = u32>, effect: bool) {
        let mut added = [0.0_f32; MODELS];
        for (model, (rate, number)) in models().enumerate() {
            let others = rate * (1.0 - (1.0 - share).powf(number - 1.0));
            let ln = |rate: f64| if effect { rate.ln() } else { (-rate).ln_1p() };
            let without = ln(others.clamp(BACKGROUND, 0.99));
            self.without[model] += without;
            added[model] = narrow(ln(rate.max(others)) - without);
        }
        for test in before {
            if let Some(with) = self.with.get_mut(test as usize) {
                for (with, added) in with.iter_mut().zip(added) {
                    *with += added;
                }
            }
        }
    }

    /// Takes a probe with these tests before the victim. Where it shows the effect one of them is a cause: others are
    /// left out of account, since one is enough.
    pub fn probe(&mut self, before: &[u32], effect: bool) {
        self.run(0.0, before.iter().copied(), effect);
    }

    /// Returns ln of the likelihood of all runs if this test is one of several: of the number and rate that fit best,
    /// with their prior probability. The others would add less than two nats.
    #[must_use]
    pub fn ln_likelihood(&self, test: u32) -> f64 {
        let Some(with) = self.with.get(test as usize) else {
            return f64::NEG_INFINITY;
        };
        let models = self.without.iter().zip(with).zip(self.ln_prior);
        models
            .map(|((without, with), prior)| without + f64::from(*with) + prior)
            .fold(f64::NEG_INFINITY, f64::max)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a few nats, for a ranking")]
fn narrow(nats: f64) -> f32 {
    nats as f32
}

/// Rates and numbers of all models, in their order.
fn models() -> impl Iterator<Item = (f64, f64)> {
    RATES
        .into_iter()
        .flat_map(|rate| NUMBERS.map(|number| (rate.0, number.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Cell, Tables, chance::Chance, special::real};

    const TESTS: u32 = 400;

    /// Is the best one of tests 1 to `number`, after a soak of test 0 that fails at `rate` after any of them? By this
    /// ranking, and by one that knows of a single cause.
    fn leads(number: u32, rate: f64, iterations: u32, chance: &mut Chance) -> [bool; 2] {
        let mut several = Several::new(TESTS as usize);
        let mut cells = vec![Cell::default(); TESTS as usize];
        let mut total = Cell::default();
        for iteration in 0..iterations {
            let mut order: Vec<u32> = (1..TESTS).collect();
            chance.shuffle(&mut order);
            let longest = TESTS as usize / if iteration % 2 == 0 { 4 } else { 1 };
            order.truncate(chance.below(longest));
            let polluted = order.iter().any(|test| *test <= number);
            let effect = polluted && chance.happens(rate);
            let share = real(order.len() as u64) / f64::from(TESTS - 1);
            several.run(share, order.iter().copied(), effect);
            total.add(effect);
            for test in &order {
                cells[*test as usize].add(effect);
            }
        }
        let by_one = Tables::new(iterations).scores(&cells, total);
        let best = |score: &dyn Fn(u32) -> f64| {
            (1..TESTS).max_by(|a, b| score(*a).total_cmp(&score(*b))) <= Some(number)
        };
        [
            best(&|test| several.ln_likelihood(test)),
            best(&|test| by_one[test as usize]),
        ]
    }

    #[test]
    fn one_of_several_leads_the_ranking_sooner_than_where_one_cause_is_thought_of() {
        let mut chance = Chance::new(3);
        for (number, rate, iterations) in [(5, 1.0, 60), (2, 0.5, 100), (3, 1.0, 40)] {
            let all: Vec<[bool; 2]> = (0..40)
                .map(|_| leads(number, rate, iterations, &mut chance))
                .collect();
            let count = |place: usize| all.iter().filter(|leads| leads[place]).count();
            let [several, one] = [count(0), count(1)];
            assert!(several >= 24, "{number} {rate}: {several} {one}");
            assert!(several >= one, "{number} {rate}: {several} {one}");
        }
    }

    #[test]
    fn a_pass_after_a_sure_one_speaks_against_it_and_a_failure_without_it_does_not_refute_it() {
        let mut several = Several::new(10);
        several.run(0.2, [1, 2], true);
        several.run(0.5, [2, 3, 4, 5, 6], true);
        several.run(0.2, [3, 4], false);
        assert!(several.ln_likelihood(1) > several.ln_likelihood(3));
        assert!(several.ln_likelihood(2) > several.ln_likelihood(1));
        several.probe(&[2], false);
        several.probe(&[2], false);
        assert!(several.ln_likelihood(1) > several.ln_likelihood(2));
    }
}
