//! Failures that are alike, owners, and the funnel from all tests to those with an owner.

use maud::{Markup, html};

use super::card::Cards;
use super::piece::{self, SENTENCE};
use crate::report::digest::Digest;
use crate::report::sentence;
use crate::ui::text;

/// Signatures that are listed.
const CLUSTERS: usize = 30;
/// Tests that are named per signature.
const TESTS: usize = 5;
/// Owners that are listed.
const OWNERS: usize = 60;

/// Failures of one signature.
pub(super) fn clusters(digest: &Digest, cards: &Cards) -> Markup {
    let all = &digest.clusters;
    html! {
        @if !all.is_empty() {
            section #clusters aria-labelledby="clusters-h" {
                h2 #clusters-h { "Failures that are alike" }
                p {
                    "Failures with one signature: the last error with numbers, addresses and paths taken out, by rule "
                    (digest.head.origin.signature_rule) "."
                }
                ul.clusters {
                    @for cluster in all.iter().take(CLUSTERS) {
                        li {
                            code { (piece::named(&cluster.signature, SENTENCE)) }
                            p {
                                (text::plural(cluster.failures, "failure")) " in "
                                (text::plural(cluster.cards.len() as u64, "test")) ": "
                                @for (place, at) in cluster.cards.iter().take(TESTS).enumerate() {
                                    @if place > 0 { ", " }
                                    (cards.link(digest, *at))
                                }
                                @if cluster.cards.len() > TESTS { " and " (cluster.cards.len() - TESTS) " more" }
                            }
                        }
                    }
                }
                (piece::more(all.len(), CLUSTERS, "report --json"))
            }
        }
    }
}

/// Who has what to do.
pub(super) fn owners(digest: &Digest) -> Markup {
    let all = &digest.owners;
    let rows: Vec<Vec<Markup>> = all
        .iter()
        .take(OWNERS)
        .map(|row| {
            let count = |number| piece::cell(text::count(number));
            vec![
                html! { @if row.owner.is_empty() { "nobody" } @else { (piece::named(&row.owner, 60)) } },
                count(row.open),
                count(row.new),
                count(row.fixed),
                html! { @match row.oldest { Some(at) => { (piece::day(digest, at)) } None => { "-" } } },
                piece::cell(sentence::per_1000(row.per_1000)),
            ]
        })
        .collect();
    html! {
        @if !all.is_empty() {
            section #owners aria-labelledby="owners-h" {
                h2 #owners-h { "Owners" }
                div.wide role="region" aria-labelledby="owners-h" tabindex="0" {
                    (piece::table(
                        "Tests by owner, as CODEOWNERS says",
                        &["owner", "open", "new", "fixed", "oldest open since", "of 1,000 runs"],
                        &rows,
                    ))
                }
                (piece::more(all.len(), OWNERS, "report --json"))
            }
        }
    }
}

/// From all tests to those with an owner.
pub(super) fn funnel(digest: &Digest) -> Markup {
    let funnel = &digest.funnel;
    let steps = [
        (funnel.tests, "listed", "in the newest revision"),
        (
            funnel.clean,
            "clean",
            "never failed, and would in less than 1 of 100 runs, with 95 %",
        ),
        (
            funnel.unknown,
            "not known yet",
            "never failed, but ran too rarely to say so",
        ),
        (funnel.failed, "failed", "at least once"),
        (
            funnel.certified,
            "certified",
            "their cause was shown by experiment",
        ),
        (
            funnel.reproducible,
            "reproducible",
            "with a certified recipe",
        ),
        (funnel.owned, "with an owner", "of the certified ones"),
    ];
    html! {
        @if funnel.tests > 0 {
            section #funnel aria-labelledby="funnel-h" {
                h2 #funnel-h { "From all tests to those that somebody can mend" }
                ol.funnel {
                    @for (tests, word, meaning) in steps {
                        li { b { (text::count(tests)) } " " strong { (word) } span { (meaning) } }
                    }
                }
            }
        }
    }
}
