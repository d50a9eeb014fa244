//! Which tests are likely polluters where any of several suffices. A ranking that knows of one cause alone takes the
//! failures after the others for failures without a cause, and so prefers an innocent test that happened to run before
//! most of them: here they are expected, the more tests ran before, the more.

use super::special::real;

/// One way in which tests may pollute.
#[derive(Clone, Copy)]
struct Model {
    /// How many there are, any of which suffices.
    number: f64,
    /// How often the effect shows after one of them.
    rate: f64,
    /// How many tests undo it when they run between.
    cleaners: f64,
    /// Its prior probability.
    prior: f64,
}

const fn model(number: f64, rate: f64, cleaners: f64, prior: f64) -> Model {
    Model {
        number,
        rate,
        cleaners,
        prior,
    }
}

/// How many ways are thought of.
const MODELS: usize = 8;
/// Several that act nearly always or now and then, and one that many others undo. Their probabilities add up to 1.
const ALL: [Model; MODELS] = [
    model(2.0, 0.98, 0.0, 0.24),
    model(5.0, 0.98, 0.0, 0.144),
    model(20.0, 0.98, 0.0, 0.096),
    model(2.0, 0.4, 0.0, 0.16),
    model(5.0, 0.4, 0.0, 0.096),
    model(20.0, 0.4, 0.0, 0.064),
    model(1.0, 0.98, 12.0, 0.1),
    model(1.0, 0.98, 40.0, 0.1),
];
/// The effect shows without any of them, at least so often.
const BACKGROUND: f64 = 0.01;

/// What runs say about each test, were it one of several of which any suffices, or one that others mostly undo. Grows
/// by a run at a time.
#[derive(Clone, Debug)]
pub struct Several {
    /// ln likelihood of all runs as if the test had never run before the victim.
    without: [f64; MODELS],
    /// What is to be added for the runs before which it did.
    with: Vec<[f32; MODELS]>,
}

impl Several {
    /// Starts without runs, for a suite of `tests` tests.
    #[must_use]
    pub fn new(tests: usize) -> Self {
        Self {
            without: [0.0; MODELS],
            with: vec![[0.0; MODELS]; tests],
        }
    }

    /// Takes a recorded run: the share of the other tests that ran before the victim, `0.0..=1.0`, which those were,
    /// in their order, and whether the effect showed.
    pub fn run(&mut self, share: f64, before: &[u32], effect: bool) {
        let ln = |rate: f64| if effect { rate.ln() } else { (-rate).ln_1p() };
        let mut without = [0.0; MODELS];
        let mut added = [0.0_f32; MODELS];
        for (place, model) in ALL.iter().enumerate() {
            let others = model.rate * (1.0 - (1.0 - share).powf(model.number - 1.0));
            without[place] = ln(others.clamp(BACKGROUND, 0.99));
            self.without[place] += without[place];
            added[place] = narrow(ln(model.rate.max(others)) - without[place]);
        }
        let tests = real(self.with.len() as u64);
        for (between, test) in (0..).zip(before.iter().rev()) {
            let Some(with) = self.with.get_mut(*test as usize) else {
                continue;
            };
            let places = ALL.iter().zip(with).zip(without.iter().zip(added));
            for ((model, with), (without, added)) in places {
                if model.cleaners == 0.0 || between == 0 {
                    *with += added;
                    continue;
                }
                let left = (-model.cleaners * real(between) / tests).exp() * model.rate;
                if left > BACKGROUND {
                    *with += narrow(ln(left) - without);
                }
            }
        }
    }

    /// Takes a probe with these tests before the victim. Where it shows the effect one of them is a cause: others are
    /// left out of account, since one is enough.
    pub fn probe(&mut self, before: &[u32], effect: bool) {
        self.run(0.0, before, effect);
    }

    /// Returns ln of the likelihood of all runs if this test is such a one: of the way that fits best, with its prior
    /// probability. The others would add about two nats at most.
    #[must_use]
    pub fn ln_likelihood(&self, test: u32) -> f64 {
        let Some(with) = self.with.get(test as usize) else {
            return f64::NEG_INFINITY;
        };
        let models = self.without.iter().zip(with).zip(ALL);
        models
            .map(|((without, with), model)| without + f64::from(*with) + model.prior.ln())
            .fold(f64::NEG_INFINITY, f64::max)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a few nats, for a ranking")]
fn narrow(nats: f64) -> f32 {
    nats as f32
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
            several.run(share, &order, effect);
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
    fn one_that_others_mostly_undo_leads_where_a_count_of_what_ran_before_cannot_tell() {
        let mut chance = Chance::new(7);
        let mut found = [0, 0];
        for _ in 0..20 {
            let mut several = Several::new(TESTS as usize);
            let mut cells = vec![Cell::default(); TESTS as usize];
            let mut total = Cell::default();
            // Test 1 pollutes, tests 2 to 21 clean up.
            while total.failed < 3 {
                let mut order: Vec<u32> = (1..TESTS).collect();
                chance.shuffle(&mut order);
                order.truncate(chance.below(TESTS as usize));
                let last = |of: &dyn Fn(u32) -> bool| order.iter().rposition(|test| of(*test));
                let cleaned = last(&|test| (2..=21).contains(&test));
                let effect = last(&|test| test == 1) > cleaned;
                let share = real(order.len() as u64) / f64::from(TESTS - 1);
                several.run(share, &order, effect);
                total.add(effect);
                for test in &order {
                    cells[*test as usize].add(effect);
                }
            }
            let by_one = Tables::new(200).scores(&cells, total);
            let better = |score: &dyn Fn(u32) -> f64| {
                (1..TESTS).filter(|test| score(*test) > score(1)).count() < 3
            };
            found[0] += usize::from(better(&|test| several.ln_likelihood(test)));
            found[1] += usize::from(better(&|test| by_one[test as usize]));
        }
        assert!(found[0] >= 14 && found[1] <= 10, "{found:?}");
    }

    #[test]
    fn a_pass_after_a_sure_one_speaks_against_it_and_a_failure_without_it_does_not_refute_it() {
        let mut several = Several::new(10);
        several.run(0.2, &[1, 2], true);
        several.run(0.5, &[2, 3, 4, 5, 6], true);
        several.run(0.2, &[3, 4], false);
        assert!(several.ln_likelihood(1) > several.ln_likelihood(3));
        assert!(several.ln_likelihood(2) > several.ln_likelihood(1));
        several.probe(&[2], false);
        several.probe(&[2], false);
        assert!(several.ln_likelihood(1) > several.ln_likelihood(2));
    }
}
