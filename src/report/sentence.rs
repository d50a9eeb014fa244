//! The sentences of the report, the same in every format: plain text without markup and without untrusted text,
//! but for revisions, which come out escaped.

use super::digest::{Card, Cause, Digest, ENOUGH, Proof, Reliability, Share, State};
use super::words::{self, percent};
use crate::model::Count;
use crate::stats::{Mended, mended};
use crate::ui::text;

/// Returns the headline: what changed, and how often a full run is green.
#[must_use]
pub fn headline(digest: &Digest) -> String {
    if digest.head.as_of.is_none() {
        return "Nothing was recorded in this time, so there is nothing to say.".to_owned();
    }
    format!("{} {}", changes(digest), green(digest))
}

/// Returns how many causes are in each state: `3 new, 2 worse, 4 fixed, 11 still open.`
#[must_use]
pub fn changes(digest: &Digest) -> String {
    let parts: Vec<String> = State::ALL
        .iter()
        .filter_map(|state| {
            let causes = digest.states.get(state).copied().unwrap_or(0);
            let word = match state {
                State::Open => "still open",
                State::New | State::Returned | State::Worse | State::Silent | State::Fixed => {
                    state.word()
                }
            };
            (causes > 0).then(|| format!("{} {word}", text::count(causes)))
        })
        .collect();
    match &*parts {
        [] => "No test was seen to be flaky.".to_owned(),
        [one] => format!("{one} {}.", noun(digest)),
        [all @ .., last] => format!("{} and {last} {}.", all.join(", "), noun(digest)),
    }
}

fn noun(digest: &Digest) -> &'static str {
    match digest.causes.len() {
        1 => "cause of flakiness",
        _ => "causes of flakiness",
    }
}

fn green(digest: &Digest) -> String {
    let [natural, shuffled] = digest.green.now;
    let last = digest.green.last;
    let one = |order: &str, now: &Reliability, before: &Reliability| {
        now.rate().filter(|_| now.is_enough()).map(|rate| {
            let then = before
                .rate()
                .filter(|_| before.is_enough())
                .map_or_else(String::new, |then| {
                    format!(" (last week {})", percent(then))
                });
            format!("{order} is green {} of the time{then}", percent(rate))
        })
    };
    let other = if natural.is_enough() {
        "one in random order"
    } else {
        "a full run in random order"
    };
    let some: Vec<String> = [
        one("a full run in your CI's order", &natural, &last[0]),
        one(other, &shuffled, &last[1]),
    ]
    .into_iter()
    .flatten()
    .collect();
    if some.is_empty() {
        return format!(
            "How often a full run is green cannot be told yet: {} of the {ENOUGH} runs that it takes.",
            text::count(natural.runs.max(shuffled.runs).min(ENOUGH))
        );
    }
    capital(&format!("{}.", some.join("; ")))
}

/// Returns the rate of green runs with its interval, or how many runs are missing: `93.0 % (91.2 % to 94.5 %)`.
#[must_use]
pub fn reliability(of: &Reliability) -> String {
    match of.rate().filter(|_| of.is_enough()) {
        Some(rate) => format!(
            "{} ({} to {})",
            percent(rate),
            percent(of.interval.0),
            percent(of.interval.1)
        ),
        None => format!("not yet ({} of {ENOUGH} runs)", text::count(of.runs)),
    }
}

/// Returns how many runs of a night were green, with the interval of the rate, however few they were: `9 of 10, 90 % (60
/// to 99 %)`; `not run` without any.
#[must_use]
pub fn of_night(of: &Reliability) -> String {
    match of.rate() {
        Some(rate) => format!(
            "{} of {}, {} ({} to {})",
            text::count(of.green),
            text::count(of.runs),
            percent(rate),
            percent(of.interval.0),
            percent(of.interval.1)
        ),
        None => "not run".to_owned(),
    }
}

/// Returns what mending the first causes would give; `None` where nothing is open or too few runs were seen.
#[must_use]
pub fn if_mended(digest: &Digest) -> Option<String> {
    let causes = digest.green.if_mended.len();
    let mended = digest.green.if_mended.last()?;
    let order = usize::from(!mended[0].is_enough());
    let (now, then) = (&digest.green.now[order], &mended[order]);
    let (now, then) = (now.rate()?, then.rate().filter(|_| then.is_enough())?);
    let orders = ["", " in random orders"][order];
    let which = match causes {
        1 => "the first cause".to_owned(),
        some => format!("the first {some}"),
    };
    Some(format!(
        "With {which} mended, {} of the runs{orders} would have been green; {} were.",
        percent(then),
        percent(now)
    ))
}

/// Returns the share that ranks a cause or a test: of natural runs, of shuffled ones before there are enough.
#[must_use]
pub fn ranking<'a>(digest: &Digest, natural: &'a Share, shuffled: &'a Share) -> &'a Share {
    if digest.green.now[0].is_enough() {
        natural
    } else {
        shuffled
    }
}

/// Returns in which runs shares are counted: `full runs in your CI's order`.
#[must_use]
pub fn counted_in(digest: &Digest) -> &'static str {
    if digest.green.now[0].is_enough() {
        "full runs in your CI's order"
    } else {
        "full runs in random orders"
    }
}

/// Returns a share with its cost: `31 of 1,000 runs, 12 min`.
#[must_use]
pub fn cost(share: &Share) -> String {
    format!(
        "{} of 1,000 runs, {}",
        per_1000(share.per_1000),
        minutes(share.minutes)
    )
}

/// Returns a number of runs among 1,000: `31`, `2.5`, `0.04`.
#[must_use]
pub fn per_1000(value: f64) -> String {
    match value {
        ..=0.0 => "0".to_owned(),
        0.0..0.095 => format!("{value:.2}"),
        0.0..9.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Returns minutes of a worker: `12 min`, `0.4 min`, `3.1 h`.
#[must_use]
pub fn minutes(value: f64) -> String {
    match value {
        ..=0.0 => "0 min".to_owned(),
        0.0..0.05 => "<0.1 min".to_owned(),
        0.0..9.95 => format!("{value:.1} min"),
        0.0..120.0 => format!("{value:.0} min"),
        _ => format!("{:.1} h", value / 60.0),
    }
}

/// Returns the evidence that a test is mended, or what it has so far.
#[must_use]
pub fn proof(proof: &Proof) -> String {
    let enough = if proof.worth.is_certain() || proof.worth.needed == u64::MAX {
        String::new()
    } else {
        format!("; {} would be enough", text::count(proof.worth.needed))
    };
    let [passes, worth] = passes(
        (proof.passes, proof.exposure.words()),
        proof.before,
        proof.since.as_deref(),
    );
    format!("{passes}: {worth}{enough}")
}

/// Returns how often a test passed since its last failure and under which orders, and what that is worth after the
/// failures `before`.
#[must_use]
pub fn passes((passes, under): (u64, &str), before: Count, since: Option<&str>) -> [String; 2] {
    let Mended {
        by_accident,
        still_flaky,
        ..
    } = mended(before, passes);
    let since = since.map_or_else(
        || ", without a change of revision".to_owned(),
        |since| format!(" since {}", words::revision(since)),
    );
    [
        format!("{} {under}{since}", text::plural(passes, "pass")),
        format!(
            "had it still failed as before ({} of {}), the chance of this is at most {}, and {} that it is still flaky",
            text::count(before.failures),
            text::count(before.trials),
            chance(by_accident),
            chance(still_flaky),
        ),
    ]
}

/// Returns a small probability: `4.9 %`, `6e-21`.
#[must_use]
pub fn chance(probability: f64) -> String {
    if probability > 0.0 && probability < 1e-5 {
        format!("{probability:.0e}")
    } else {
        percent(probability)
    }
}

/// Returns between which revisions a test began to fail, or when it was first seen.
#[must_use]
pub fn began(card: &Card) -> Option<String> {
    let (_, revision) = card.first.as_ref()?;
    let revision = words::revision(revision);
    Some(match &card.began_after {
        Some(before) => format!(
            "after {}, at {revision} at the latest",
            words::revision(before)
        ),
        None => format!("at {revision} or before"),
    })
}

/// Returns what a cause is called in one line, without its names: `41 victims of one polluter`.
#[must_use]
pub fn subject(cause: &Cause) -> String {
    use super::digest::Subject;
    match &cause.subject {
        Subject::Test => "one test".to_owned(),
        Subject::Group { role, members } => {
            let group = match members.len() {
                1 => format!("one {role}"),
                some => format!("{some} {role}s together"),
            };
            format!(
                "{} of {group}",
                text::plural(cause.cards.len() as u64, "test")
            )
        }
    }
}

fn capital(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(per_1000(0.0), "0");
        assert_eq!(per_1000(0.04), "0.04");
        assert_eq!(per_1000(2.46), "2.5");
        assert_eq!(per_1000(31.2), "31");
        assert_eq!(minutes(0.01), "<0.1 min");
        assert_eq!(minutes(12.3), "12 min");
        assert_eq!(minutes(600.0), "10.0 h");
        assert_eq!(chance(6e-21), "6e-21");
        assert_eq!(chance(0.049), "4.9 %");
        assert_eq!(chance(0.0), "0 %");
    }

    #[test]
    fn too_few_runs_are_not_yet() {
        let some = Reliability {
            runs: 12,
            green: 12,
            interval: (0.8, 1.0),
        };
        assert_eq!(reliability(&some), "not yet (12 of 30 runs)");
        let enough = Reliability {
            runs: 100,
            green: 93,
            interval: (0.865, 0.969),
        };
        assert_eq!(reliability(&enough), "93 % (86 % to 97 %)");
    }
}
