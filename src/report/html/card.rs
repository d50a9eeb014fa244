//! One card per test: the command that shows it first, then what is known about it and why.

mod evidence;

use maud::{Markup, PreEscaped, html};

use super::chart::spark;
use super::piece::{self, SENTENCE};
use crate::report::digest::{Card, Digest};
use crate::report::sentence;
use crate::report::words::{self, percent};
use crate::ui::text;

/// Lines of a failure's text; the excerpt has fewer.
const LINES: usize = 24;
/// Signatures of a card.
const SIGNATURES: usize = 5;

/// The cards that fit on the page, in the order of the causes.
pub(super) struct Cards {
    made: Vec<Markup>,
    all: usize,
}

impl Cards {
    /// Makes as many as have so many bytes at most; the rest is named by number.
    pub(super) fn of(digest: &Digest, most: usize) -> Self {
        let mut bytes = 0;
        let made = digest
            .cards
            .iter()
            .map(|card| one(digest, card))
            .take_while(|card| {
                bytes += card.0.len();
                bytes <= most
            })
            .collect();
        Self {
            made,
            all: digest.cards.len(),
        }
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> usize {
        self.made.iter().map(|card| card.0.len()).sum()
    }

    /// The name of a card's test, with a link where the card is on the page.
    pub(super) fn link(&self, digest: &Digest, at: usize) -> Markup {
        let card = &digest.cards[at];
        html! {
            @if at < self.made.len() {
                a href=(format!("#t-{}", card.handle)) { (piece::name(&card.test)) }
            } @else {
                (piece::name(&card.test)) " " code { (card.handle) }
            }
        }
    }

    /// The section.
    pub(super) fn section(&self) -> Markup {
        html! {
            @if self.all > 0 {
                section #tests aria-labelledby="tests-h" {
                    h2 #tests-h { "Test by test" }
                    @for card in &self.made { (PreEscaped(&card.0)) }
                    (piece::more(self.all, self.made.len(), "flags"))
                }
            }
        }
    }
}

fn one(digest: &Digest, card: &Card) -> Markup {
    html! {
        details.card {
            summary {
                h3 { (piece::state(card.state)) " " (piece::name(&card.test)) }
                span.v { (card.flag.verdict.word()) }
                @if let Some(rate) = piece::rate(card.within) { span.v { "fails " (percent(rate)) } }
            }
            div id=(format!("t-{}", card.handle)) {
                (piece::reproduce(card))
                (how_sure(card))
                p {
                    strong { (text::elide_middle(&capital(&words::meaning(&card.flag)), SENTENCE)) }
                    @if card.flag.certified { " (certified)." } @else { " (not certified)." }
                }
                @if let Some(why) = &card.silence { p { "Silent: " (why) "." } }
                @if let Some(proof) = &card.proof { p { "Since its last failure: " (sentence::proof(proof)) "." } }
                (facts(digest, card))
                (evidence::of(card))
                (failures(card))
                p.more { "All evidence: " (piece::command(&format!("show {}", card.handle))) }
            }
        }
    }
}

/// How often the command must run.
fn how_sure(card: &Card) -> Markup {
    html! {
        p.sure {
            @match (&card.flag.recipe, card.repeat, &card.token) {
                (Some(recipe), Some(_), _) => { "Certified recipe: " (words::repeats(recipe)) "." }
                (_, _, Some(_)) => {
                    "The order in which it failed last, not reduced to what is needed: "
                    (piece::command(&format!("minimize {}", card.handle)))
                }
                (_, _, None) => { "No order of a failure of it is on record." }
            }
        }
    }
}

fn facts(digest: &Digest, card: &Card) -> Markup {
    let share = sentence::ranking(digest, &card.natural, &card.shuffled);
    let counted = |interval: Option<(f64, f64)>, count| {
        html! {
            (piece::fraction(count))
            @if let Some(interval) = interval { " (95 %: " (piece::range(interval)) ")" }
        }
    };
    let direction = match card.direction {
        1.. => ", more often than in the week before",
        0 => "",
        _ => ", more rarely than in the week before",
    };
    html! {
        dl {
            dt { "Fails" }
            dd {
                (counted((card.within.trials > 0).then_some(card.interval), card.within)) (direction)
                "; ever: " (counted(words::interval(card.life), card.life))
            }
            dt { "12 weeks" }
            dd {
                (spark::rates(&digest.green.weeks, &card.weekly))
                details.numbers { summary { "Numbers" } div.wide { (spark::table(&digest.green.weeks, &card.weekly)) } }
            }
            dt { "Share" }
            dd { (sentence::cost(share)) @if share.alone > 0 { "; red for this alone: " (text::plural(share.alone, "run")) } }
            @if let Some((at, _)) = &card.first {
                dt { "First seen" }
                dd { (piece::time(digest, *at)) @if let Some(began) = sentence::began(card) { "; it began " bdi { (began) } } }
            }
            @if let Some((at, revision)) = &card.last {
                dt { "Last seen" }
                dd { (piece::time(digest, *at)) ", at " (piece::revision(revision)) }
            }
            @if let Some(at) = card.certified_at { dt { "Certified" } dd { (piece::time(digest, at)) } }
            dt { "Owner" }
            dd {
                @if card.owners.is_empty() { "nobody" }
                @for (place, owner) in card.owners.iter().take(5).enumerate() { @if place > 0 { ", " } (piece::named(owner, 40)) }
                @if card.owners.len() > 5 { " and " (card.owners.len() - 5) " more" }
            }
            dt { "Handle" }
            dd { code { (card.handle) } }
        }
    }
}

fn failures(card: &Card) -> Markup {
    html! {
        @if !card.signatures.is_empty() {
            h4 { "Failures" }
            ul {
                @for (signature, count) in card.signatures.iter().take(SIGNATURES) {
                    li { (text::count(*count)) " \u{d7} " code { (piece::named(signature, SENTENCE)) } }
                }
            }
            (piece::more(card.signatures.len(), SIGNATURES, &format!("show {}", card.handle)))
        }
        @if !card.excerpt.is_empty() {
            // Its lines are escaped where they are cut.
            pre tabindex="0" aria-label="Text of the last failure" { @for line in card.excerpt.iter().take(LINES) { (line) "\n" } }
        }
    }
}

fn capital(sentence: &str) -> String {
    let mut characters = sentence.chars();
    let first = characters
        .next()
        .map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}
