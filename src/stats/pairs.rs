//! How probable it is that each of some candidates is needed, where one of them or two together are the cause: all
//! singles and all pairs are weighed by what ran before the test and whether the effect showed. Passes of runs that
//! held only one of two say nothing against a pair, where a ranking of single tests counts them against both.

use super::special::{ln_add, ln_beta, ln_sum, real};

/// Rates at which a cause shows, with their prior probabilities: nearly always, often, seldom.
const RATES: [(f64, f64); 3] = [(0.98, 0.7), (0.6, 0.2), (0.25, 0.1)];
/// How often the effect shows without the cause, at least: another cause may exist.
const LEAST_BACKGROUND: f64 = 0.02;
/// Part of what a member weighs that does not depend on the evidence: three may be needed, the model may be wrong.
const FLAT: f64 = 0.1;
/// ln of the odds that two are needed together, before anything is known.
const LN_PRIOR_OF_TWO: f64 = -4.0;
/// Candidates that are weighed in pairs, at most: their number squared is the work.
const MOST: usize = 600;

/// One run, as far as candidates go.
#[derive(Clone, Debug)]
pub struct Held {
    /// Places of the candidates that ran before the test; any order.
    pub candidates: Vec<u32>,
    /// How many tests ran before it in all.
    pub rank: u32,
    /// Did the effect show?
    pub effect: bool,
}

/// What runs say about one cause or two together.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// Per candidate, the probability that it is needed, `0.0..=1.0`. They add up to between 1 and 2, as far as the
    /// evidence speaks for one or for two; all are alike where there is no evidence.
    pub needed: Vec<f64>,
    /// ln of the mean likelihood of the runs, over all singles and pairs of the suite; those with a member that is no
    /// candidate explain nothing.
    pub ln: f64,
    /// The same over the singles alone ...
    ln_of_one: f64,
    /// ... and over the pairs alone.
    ln_of_two: f64,
}

/// Returns ln of the mean likelihood of the runs if the effect shows from some number of tests before it on, over all
/// numbers that were seen with it. To be compared with [`Pairs::ln`] of the same runs.
#[must_use]
pub fn ln_of_position(runs: &[Held], background: f64) -> f64 {
    let mut ranks: Vec<(u32, bool)> = runs.iter().map(|run| (run.rank, run.effect)).collect();
    ranks.sort_unstable_by(|a, b| b.cmp(a));
    let count = |effect: bool| ranks.iter().filter(|run| run.1 == effect).count();
    let (shown, others) = (to_u32(count(true)), to_u32(count(false)));
    let scores = Scores::new(shown, others, background);
    let (mut shown, mut others) = (0, 0);
    let mut all = Vec::new();
    for (place, (rank, effect)) in ranks.iter().enumerate() {
        *(if *effect { &mut shown } else { &mut others }) += 1;
        // All runs with as many tests before belong to the same side.
        if *effect && ranks.get(place + 1).is_none_or(|next| next.0 < *rank) {
            all.push(scores.of((shown, others)));
        }
    }
    ln_sum(&all) - real(all.len().max(1) as u64).ln()
}

impl Pairs {
    /// Returns the probability that two are needed together, `0.0..=1.0`: against one alone, a number of tests before,
    /// and a rate that nothing before changes. `runs` and `background` as in [`weigh`].
    #[must_use]
    pub fn share_of_two(&self, runs: &[Held], background: f64) -> f64 {
        let two = self.ln_of_two + LN_PRIOR_OF_TWO;
        let others = [
            self.ln_of_one,
            ln_of_nothing(runs),
            ln_of_position(runs, background),
        ];
        (two - ln_add(two, ln_sum(&others))).exp()
    }
}

/// ln of the mean likelihood of the runs if the effect shows at some rate whatever ran before, over all rates by
/// Jeffreys' prior.
fn ln_of_nothing(runs: &[Held]) -> f64 {
    let shown = runs.iter().filter(|run| run.effect).count() as u64;
    let others = runs.len() as u64 - shown;
    ln_beta(real(shown) + 0.5, real(others) + 0.5) - ln_beta(0.5, 0.5)
}

/// Weighs `count` candidates of a suite of `tests` by runs that held some of them.
///
/// `background` is how often the effect shows without the cause, `0.0..=1.0`.
#[must_use]
pub fn weigh(count: usize, tests: usize, runs: &[Held], background: f64) -> Pairs {
    if count == 0 {
        return Pairs {
            needed: Vec::new(),
            ln: f64::NEG_INFINITY,
            ln_of_one: f64::NEG_INFINITY,
            ln_of_two: f64::NEG_INFINITY,
        };
    }
    let rows = Rows::new(count, runs);
    let scores = Scores::new(rows.shown, rows.others, background);
    let singles: Vec<f64> = (0..count)
        .map(|place| scores.of(rows.held(place, place)))
        .collect();
    let mut ranked: Vec<usize> = (0..count).collect();
    // A member of a pair ran before every effect of that pair: by those first, then by how it does alone.
    ranked.sort_by(|&a, &b| {
        let effects = |place: usize| rows.held(place, place).0;
        let by_single = singles[b].total_cmp(&singles[a]);
        effects(b).cmp(&effects(a)).then(by_single).then(a.cmp(&b))
    });
    ranked.truncate(MOST);
    let pairs = real((ranked.len() * ranked.len().saturating_sub(1) / 2) as u64).max(1.0);
    let (ln_single, ln_pair) = ((0.5 / real(count as u64)).ln(), (0.5 / pairs).ln());
    let mut all: Vec<f64> = singles.iter().map(|score| score + ln_single).collect();
    for (at, &a) in ranked.iter().enumerate() {
        for &b in &ranked[at + 1..] {
            all.push(scores.of(rows.held(a, b)) + ln_pair);
        }
    }
    let total = ln_sum(&all);
    let of_suite = real(tests.max(count) as u64);
    let pairs_of_suite = (0.5 * of_suite * (of_suite - 1.0)).max(1.0);
    let ln_of_one = ln_sum(&all[..count]) + (real(count as u64) / of_suite).ln();
    let ln_of_two = ln_sum(&all[count..]) + (pairs / pairs_of_suite).ln();
    let ln = ln_add(ln_of_one, ln_of_two);
    let flat = FLAT * 2.0 / real(count as u64);
    let mut needed: Vec<f64> = all[..count]
        .iter()
        .map(|score| (score - total).exp())
        .collect();
    let mut next = count;
    for (at, &a) in ranked.iter().enumerate() {
        for &b in &ranked[at + 1..] {
            let share = (all[next] - total).exp();
            needed[a] += share;
            needed[b] += share;
            next += 1;
        }
    }
    let needed = needed.into_iter();
    Pairs {
        needed: needed
            .map(|share| ((1.0 - FLAT) * share + flat).min(1.0))
            .collect(),
        ln,
        ln_of_one,
        ln_of_two,
    }
}

fn to_u32(runs: usize) -> u32 {
    u32::try_from(runs).expect("runs fit 32 bits")
}

/// Which runs held which candidate, one bit per run: those that showed the effect, then the others.
struct Rows {
    bits: Vec<u64>,
    words: usize,
    /// Words that belong to runs that showed the effect.
    shown_words: usize,
    shown: u32,
    others: u32,
}

/// ln of the likelihood by how many runs with and without the effect held a cause.
struct Scores {
    table: Vec<f64>,
    others: u32,
}

impl Rows {
    fn new(count: usize, runs: &[Held]) -> Self {
        let shown = runs.iter().filter(|run| run.effect).count();
        let others = runs.len() - shown;
        let shown_words = shown.div_ceil(64);
        let words = shown_words + others.div_ceil(64);
        let mut bits = vec![0; count * words];
        let (mut next_shown, mut next_other) = (0, 64 * shown_words);
        for run in runs {
            let next = if run.effect {
                &mut next_shown
            } else {
                &mut next_other
            };
            for &place in &run.candidates {
                bits[place as usize * words + *next / 64] |= 1 << (*next % 64);
            }
            *next += 1;
        }
        Self {
            bits,
            words,
            shown_words,
            shown: to_u32(shown),
            others: to_u32(others),
        }
    }

    /// Runs with the effect, and without, that held both.
    fn held(&self, a: usize, b: usize) -> (u32, u32) {
        let row = |place: usize| &self.bits[place * self.words..(place + 1) * self.words];
        let (mut shown, mut others) = (0, 0);
        for (word, (x, y)) in row(a).iter().zip(row(b)).enumerate() {
            let both = (x & y).count_ones();
            if word < self.shown_words {
                shown += both;
            } else {
                others += both;
            }
        }
        (shown, others)
    }
}

impl Scores {
    fn new(all_shown: u32, all_others: u32, background: f64) -> Self {
        let background = background.clamp(LEAST_BACKGROUND, 0.5);
        let mut table = Vec::new();
        for shown in 0..=all_shown {
            for others in 0..=all_others {
                let held: Vec<f64> = RATES
                    .iter()
                    .map(|(rate, prior): &(f64, f64)| {
                        prior.ln()
                            + f64::from(shown) * rate.ln()
                            + f64::from(others) * (1.0 - rate).ln()
                    })
                    .collect();
                table.push(
                    ln_sum(&held)
                        + f64::from(all_shown - shown) * background.ln()
                        + f64::from(all_others - others) * (1.0 - background).ln(),
                );
            }
        }
        Self {
            table,
            others: all_others,
        }
    }

    fn of(&self, (shown, others): (u32, u32)) -> f64 {
        self.table[shown as usize * (self.others as usize + 1) + others as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::chance::Chance;

    /// Runs of `count` candidates, each with probability one half; the effect shows if all of `cause` ran.
    fn runs(count: u32, cause: &[u32], rate: f64, number: usize, chance: &mut Chance) -> Vec<Held> {
        (0..number)
            .map(|_| {
                let candidates: Vec<u32> = (0..count).filter(|_| chance.happens(0.5)).collect();
                let held = cause.iter().all(|test| candidates.contains(test));
                Held {
                    effect: held && chance.happens(rate),
                    rank: to_u32(candidates.len()),
                    candidates,
                }
            })
            .collect()
    }

    fn needed(count: usize, runs: &[Held]) -> Vec<f64> {
        weigh(count, count, runs, 0.01).needed
    }

    fn best(needed: &[f64], count: usize) -> Vec<usize> {
        let mut ranked: Vec<usize> = (0..needed.len()).collect();
        ranked.sort_by(|&a, &b| needed[b].total_cmp(&needed[a]));
        let mut best = ranked[..count].to_vec();
        best.sort_unstable();
        best
    }

    #[test]
    fn needed_finds_two_together_that_singles_hide() {
        let mut chance = Chance::new(7);
        for _ in 0..20 {
            let needed = needed(40, &runs(40, &[3, 17], 1.0, 60, &mut chance));
            assert_eq!(best(&needed, 2), [3, 17]);
            assert!(needed[3] > 0.8 && needed[17] > 0.8, "{needed:?}");
            let sum: f64 = needed.iter().sum();
            assert!((1.0..=2.01).contains(&sum), "{sum}");
        }
    }

    #[test]
    fn needed_finds_one_also_where_it_shows_now_and_then() {
        let mut chance = Chance::new(8);
        for _ in 0..20 {
            let needed = needed(40, &runs(40, &[5], 0.5, 120, &mut chance));
            assert_eq!(best(&needed, 1), [5]);
        }
    }

    #[test]
    fn needed_says_nothing_without_runs() {
        let needed = needed(50, &[]);
        assert!(needed.iter().all(|share| (share - needed[0]).abs() < 1e-9));
        assert!((0.02..0.04).contains(&needed[0]), "{}", needed[0]);
        assert!(super::weigh(0, 0, &[], 0.01).needed.is_empty());
    }

    /// Runs that show the effect from 15 candidates on, with this rate.
    fn of_position(rate: f64, chance: &mut Chance) -> Vec<Held> {
        let mut runs: Vec<Held> = Vec::new();
        for _ in 0..150 {
            let rank = 40 * to_u32(chance.below(100)) / 100;
            let mut tests: Vec<u32> = (0..40).collect();
            let candidates: Vec<u32> = (0..rank)
                .map(|_| tests.swap_remove(chance.below(tests.len())))
                .collect();
            runs.push(Held {
                candidates,
                rank,
                effect: rank >= 15 && chance.happens(rate),
            });
        }
        runs
    }

    #[test]
    fn two_together_are_told_from_one_from_a_number_and_from_nothing() {
        let mut chance = Chance::new(10);
        let mut share = |cause: &[u32], rate: f64| {
            let runs = runs(40, cause, rate, 150, &mut chance);
            weigh(40, 40, &runs, 0.01).share_of_two(&runs, 0.01)
        };
        let [together, seldom] = [share(&[3, 17], 1.0), share(&[3, 17], 0.6)];
        assert!(together > 0.99 && seldom > 0.9, "{together} {seldom}");
        let [one, noisy, nothing] = [share(&[5], 1.0), share(&[5], 0.5), share(&[], 0.1)];
        assert!(
            one < 0.05 && noisy < 0.05 && nothing < 0.05,
            "{one} {noisy} {nothing}"
        );
        let late = of_position(0.8, &mut chance);
        let late = weigh(40, 40, &late, 0.01).share_of_two(&late, 0.01);
        assert!(late < 0.05, "{late}");
    }

    #[test]
    fn a_pair_is_told_from_a_number_of_tests_before() {
        let mut chance = Chance::new(9);
        let of_pair = runs(40, &[3, 17], 1.0, 150, &mut chance);
        let of_position = of_position(0.8, &mut chance);
        let lead = |runs: &[Held]| weigh(40, 40, runs, 0.01).ln - ln_of_position(runs, 0.01);
        assert!(lead(&of_pair) > 5.0, "{}", lead(&of_pair));
        assert!(lead(&of_position) < -5.0, "{}", lead(&of_position));
    }
}
