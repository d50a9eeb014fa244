//! The canary of a hunt: what runs of it, and how it stands. Its truth is known: one test fails now and then, one fails
//! after another, all others are innocent. A hunt that does not find that out is not to be believed about the suite.

use std::time::Duration;

use crate::{
    execute::{Assignment, Of},
    model::{Count, Flag, TestId, Verdict},
    plan::Tests,
    stats::confidence_sequence,
    suite::{Canary, Runner},
};

/// Probability with which a sound hunt may be called unsound, for each of the reasons, over its whole life.
const FALSE_ALARM: f64 = 1e-6;

/// Runs of the canary after which its pair has to be certified.
///
/// The victim fails in half of the runs: after 20 without a failure, chance is below one in a million. A dozen of
/// three-arm blocks certifies a pair that always shows. At a share of 0.3, the 36 containers of these blocks are earned
/// by some 90 runs; all else is room for a search and for blocks that a host broke. Half as many runs would call a slow
/// start broken; twice as many would let a night pass before anybody hears of it.
const PAIR_DUE: u64 = 300;

/// Failures of the coin after which a flag has to speak of it, whatever it says: ten failures among a thousand passes
/// are no question of chance any more.
const COIN_DUE: u64 = 10;

/// What is known of the canary's runs. Probes are not counted: they are chosen, and their outcomes are in no rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Complete iterations, each in one shard and a random order.
    pub iterations: u64,
    /// Failures of the coin in them.
    pub coin: Count,
}

/// How the canary stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Too few runs to say.
    Waiting,
    /// What has to be found was found, and nothing else.
    Green,
    /// The hunt misses what is there, or sees what is not.
    Red {
        /// What is wrong, as a sentence.
        why: String,
    },
}

impl State {
    /// Returns the word for it: `waiting`, `green` or `red`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Green => "green",
            Self::Red { .. } => "red",
        }
    }

    /// Returns what is wrong, if anything is.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Waiting | Self::Green => None,
            Self::Red { why } => Some(why),
        }
    }
}

/// Returns the canary's tests.
#[must_use]
pub fn suite(runner: &dyn Runner) -> Tests {
    let names = runner.canary().tests().to_vec();
    Tests::new(names, |test| runner.module_of(test))
}

/// Returns the assignment of one run of the canary's tests in this order. The coin is thrown by `seed32`.
#[must_use]
pub fn assignment(shard: i64, order: Vec<(TestId, u8)>, seed32: u32) -> Assignment {
    Assignment {
        shard,
        attempts: 0,
        order,
        of: Of::Canary,
        probe: None,
        cause: None,
        predicted: Duration::from_secs(1),
        factors: Vec::new(),
        seed32,
    }
}

/// Judges from the runs and from the latest flag of every test of the canary that has one.
#[must_use]
pub fn state(canary: &Canary, seen: Seen, flags: &[Flag]) -> State {
    let red = |why: String| State::Red { why };
    if let Some(why) = flags.iter().find_map(|flag| falsehood(canary, flag)) {
        return red(why);
    }
    let pair = flags.iter().any(|flag| names_the_pair(canary, flag));
    if !pair && seen.iterations >= PAIR_DUE {
        return red(format!(
            "its order-dependent test is not certified after {} iterations; {PAIR_DUE} suffice",
            seen.iterations
        ));
    }
    let (low, high) = confidence_sequence(seen.coin, FALSE_ALARM);
    if !(low..=high).contains(&Canary::COIN_RATE) {
        return red(format!(
            "its test that fails in 1 % of all runs failed in {} of {}",
            seen.coin.failures, seen.coin.trials
        ));
    }
    let coin = flags
        .iter()
        .any(|flag| flag.test.as_ref() == Some(canary.coin()));
    if !coin && seen.coin.failures >= COIN_DUE {
        return red(format!(
            "its test that fails in 1 % of all runs failed {} times and has no flag",
            seen.coin.failures
        ));
    }
    if pair && seen.coin.failures > 0 {
        State::Green
    } else {
        State::Waiting
    }
}

/// Is this the truth about the pair?
fn names_the_pair(canary: &Canary, flag: &Flag) -> bool {
    flag.test.as_ref() == Some(canary.victim())
        && flag.certified
        && flag.verdict == Verdict::OdVictim
        && flag
            .groups
            .iter()
            .any(|group| group.members == [canary.polluter().clone()])
}

/// Returns what a flag says that is not so. What is not certified yet may still be wrong, but names nobody.
fn falsehood(canary: &Canary, flag: &Flag) -> Option<String> {
    let test = flag.test.as_ref()?;
    let name = |test: &TestId| String::from_utf8_lossy(test.as_bytes()).into_owned();
    if let Some(blamed) = flag
        .groups
        .iter()
        .flat_map(|group| &group.members)
        .find(|member| test != canary.victim() || *member != canary.polluter())
    {
        return Some(format!(
            "its test `{}` is blamed on `{}`, which is innocent",
            name(test),
            name(blamed)
        ));
    }
    let possible: &[Verdict] = if test == canary.coin() {
        &[Verdict::Nod, Verdict::Undetermined]
    } else if test == canary.victim() {
        &[Verdict::OdVictim, Verdict::Undetermined]
    } else {
        return Some(format!(
            "its test `{}` never fails and is flagged",
            name(test)
        ));
    };
    (flag.certified && !possible.contains(&flag.verdict)).then(|| {
        format!(
            "its test `{}` is certified as `{}`",
            name(test),
            flag.verdict
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Group, Role};
    use crate::suite::Pytest;

    fn canary() -> &'static Canary {
        Pytest.canary()
    }

    fn seen(iterations: u64, failures: u64) -> Seen {
        let trials = iterations;
        Seen {
            iterations,
            coin: Count { failures, trials },
        }
    }

    fn flag(test: &TestId, verdict: Verdict, certified: bool, polluter: Option<&TestId>) -> Flag {
        let nothing = Count::default();
        Flag {
            certified,
            groups: polluter
                .map(|polluter| Group {
                    role: Role::Polluter,
                    members: vec![polluter.clone()],
                    adjacent: false,
                    with: nothing,
                    with_decoy: nothing,
                    without: nothing,
                    ln_e: 7.0,
                })
                .into_iter()
                .collect(),
            ..Flag::bare(Some(test.clone()), verdict)
        }
    }

    fn found() -> Vec<Flag> {
        let canary = canary();
        vec![
            flag(
                canary.victim(),
                Verdict::OdVictim,
                true,
                Some(canary.polluter()),
            ),
            flag(canary.coin(), Verdict::Undetermined, false, None),
        ]
    }

    fn word(seen: Seen, flags: &[Flag]) -> &'static str {
        state(canary(), seen, flags).word()
    }

    #[test]
    fn a_sound_hunt_waits_and_then_is_green_for_good() {
        assert_eq!(word(seen(0, 0), &[]), "waiting");
        assert_eq!(word(seen(PAIR_DUE - 1, 3), &[]), "waiting");
        assert_eq!(word(seen(40, 0), &found()[..1]), "waiting");
        assert_eq!(word(seen(120, 1), &found()), "green");
        assert_eq!(word(seen(100_000, 1_000), &found()), "green");
    }

    #[test]
    fn detection_that_is_broken_turns_it_red() {
        // The victim never failed in what was recorded, so nobody asked about it.
        let State::Red { why } = state(canary(), seen(PAIR_DUE, 3), &[]) else {
            panic!("not red");
        };
        assert!(why.contains("300 iterations"), "{why}");
        let pair = &found()[..1];
        assert_eq!(word(seen(1_700, 0), pair), "waiting");
        assert_eq!(word(seen(1_900, 0), pair), "red", "the coin never failed");
        assert_eq!(
            word(seen(600, 60), &found()),
            "red",
            "the coin fails too often"
        );
        assert_eq!(word(seen(1_000, 9), pair), "green");
        assert_eq!(
            word(seen(1_000, 10), pair),
            "red",
            "nobody speaks of the coin"
        );
    }

    #[test]
    fn a_false_word_turns_it_red_at_once() {
        let (coin, victim, polluter) = (canary().coin(), canary().victim(), canary().polluter());
        let innocent = &canary().tests()[0];
        for (false_flag, certified) in [
            (flag(victim, Verdict::OdVictim, true, Some(innocent)), true),
            (flag(coin, Verdict::OdVictim, true, Some(polluter)), true),
            (flag(innocent, Verdict::Undetermined, false, None), false),
            (flag(polluter, Verdict::Nod, true, None), true),
            (flag(victim, Verdict::Nod, true, None), true),
            (flag(coin, Verdict::Broken, true, None), true),
        ] {
            let mut flags = found();
            assert_eq!(false_flag.certified, certified);
            flags.push(false_flag);
            assert_eq!(word(seen(120, 1), &flags), "red", "{flags:?}");
        }
    }

    #[test]
    fn its_suite_is_one_module_with_the_tests_of_its_file() {
        let tests = suite(&Pytest);
        assert_eq!(tests.names(), canary().tests());
        assert_eq!(Of::Canary, assignment(1, Vec::new(), 7).of);
    }
}
