//! What the words mean, what is promised, what cannot be seen, and how to write the same page again.

use maud::{Markup, html};

use super::piece;
use crate::report::Week;
use crate::report::digest::{Digest, ENOUGH};
use crate::ui::text;

/// The section.
pub(super) fn section(digest: &Digest) -> Markup {
    html! {
        section #about aria-labelledby="about-h" {
            h2 #about-h { "About this report" }
            h3 { "Words" }
            dl { @for (word, meaning) in words() { dt { (word) } dd { (meaning) } } }
            h3 { "What is promised" }
            ul { @for line in promises(digest) { li { (line) } } }
            h3 { "What this report cannot see" }
            ul { (super::top::lines(&digest.trust.blind)) }
            h3 { "Write it again" }
            p { "The same database and this command give the same page, byte by byte:" }
            p { (piece::command(&again(digest))) }
        }
    }
}

fn words() -> [(&'static str, String); 13] {
    let plain = str::to_owned;
    [
        (
            "run",
            plain("one pass over the whole suite; red when a test fails, green when none does"),
        ),
        (
            "your CI's order",
            plain("the suite's own order, grouping and number of shards (natural runs)"),
        ),
        (
            "random order",
            plain("orders drawn at random (shuffled runs); they show what the CI's order hides"),
        ),
        (
            "share",
            plain(
                "a red run is split evenly among its failing tests, so that shares add up to all red runs",
            ),
        ),
        (
            "not yet",
            format!(
                "fewer than {ENOUGH} runs were seen: until then there is no rate, and shares are those of random orders"
            ),
        ),
        (
            "cause",
            plain("a test with a cause of its own, or a group that decides over several"),
        ),
        (
            "polluter",
            plain(
                "a test after which another one fails; state-setter: one that another needs before it",
            ),
        ),
        (
            "cleaner",
            plain("a test that undoes what a polluter did, when it runs in between"),
        ),
        (
            "certified",
            plain(
                "shown by an experiment of our own, with a decoy in the polluter's place for comparison",
            ),
        ),
        (
            "fixed",
            plain(
                "passed so often under the orders that used to make it fail that accident is ruled out with 95 %",
            ),
        ),
        (
            "silent",
            plain("did not fail, for want of runs that could have shown it; never taken for fixed"),
        ),
        (
            "outcomes that do not count",
            plain(
                "aborted, lost, infra and untrusted are ours or the machine's: in no numerator and in no denominator",
            ),
        ),
        (
            "interval",
            plain(
                "holds the true rate with 95 %; those of whole lives hold at every moment of looking at once",
            ),
        ),
    ]
}

fn promises(digest: &Digest) -> Vec<String> {
    let attempts = digest.trust.attempts;
    vec![
        format!(
            "A certified cause is wrong with a probability of at most 1 in 1,000 per attempt; so far there were {}.",
            text::plural(attempts, "attempt")
        ),
        "Of the tests that are only suspected at most 5 % are expected to be innocent.".to_owned(),
        "A test is called fixed with a probability of at most 5 % of being wrong; the chance stands beside it.".to_owned(),
        "Green runs are counted, not computed from the rates of single tests.".to_owned(),
    ]
}

/// The arguments that write this report again.
fn again(digest: &Digest) -> String {
    let window = &digest.head.window;
    let until = window.moment(window.until);
    if window.label.parse::<Week>().is_ok() {
        format!("report --week {} --as-of {until}", window.label)
    } else {
        format!(
            "report --since {} --until {until}",
            window.moment(window.since)
        )
    }
}

/// The last line of the page.
pub(super) fn footer(digest: &Digest) -> Markup {
    let origin = &digest.head.origin;
    html! {
        p {
            "soakhound " (origin.tool) ", schema " (origin.schema) ", database " (origin.database)
            ", suite " (piece::named(&origin.suite_id, 20))
        }
    }
}
