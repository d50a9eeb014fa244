//! What changed in this time, by state, each with its evidence.

use maud::{Markup, html};

use super::card::Cards;
use super::{piece, table};
use crate::model::Count;
use crate::report::digest::{Card, Cause, Digest, State};
use crate::report::sentence;
use crate::ui::text;

/// Entries per state.
const ENTRIES: usize = 12;

/// The section; states without a test are left out.
pub(super) fn section(digest: &Digest, cards: &Cards) -> Markup {
    html! {
        section #changes aria-labelledby="changes-h" {
            h2 #changes-h { "What changed" }
            @for state in State::ALL { (one(digest, cards, state)) }
        }
    }
}

fn one(digest: &Digest, cards: &Cards, state: State) -> Markup {
    let of = |cause: &Cause| -> Vec<usize> {
        let at = cause.cards.iter().copied();
        at.filter(|at| digest.cards[*at].state == state).collect()
    };
    let causes: Vec<(&Cause, Vec<usize>)> = digest
        .causes
        .iter()
        .map(|cause| (cause, of(cause)))
        .filter(|(_, tests)| !tests.is_empty())
        .collect();
    let tests: usize = causes.iter().map(|(_, tests)| tests.len()).sum();
    html! {
        @if tests > 0 {
            h3 { (piece::state(state)) " " (text::plural(tests as u64, "test")) }
            p.sure { (meaning(state)) }
            ul.changes {
                @for (cause, tests) in causes.iter().take(ENTRIES) {
                    @let card = &digest.cards[tests[0]];
                    li {
                        @if tests.len() == 1 { (cards.link(digest, tests[0])) }
                        @else {
                            (table::title(digest, cards, cause))
                            @if tests.len() < cause.cards.len() { " (" (tests.len()) " of them are " (state.word()) ")" }
                        }
                        ": " (evidence(digest, card, state))
                        @if tests.len() > 1 { " (the first of them)" }
                    }
                }
            }
            (piece::more(causes.len(), ENTRIES, "flags"))
        }
    }
}

fn meaning(state: State) -> &'static str {
    match state {
        State::New => "First certified, or first seen to fail, in this time.",
        State::Returned => "Was mended once, and failed again.",
        State::Worse => "Fails more often than it used to, with 95 %.",
        State::Open => "Failed in this time as before.",
        State::Silent => {
            "Did not fail in this time, which proves nothing: no evidence is not a mend."
        }
        State::Fixed => {
            "Passed so often under the orders that used to make it fail that accident is ruled out with 95 %."
        }
    }
}

fn evidence(digest: &Digest, card: &Card, state: State) -> Markup {
    let fails = |count: Count| format!("failed {} runs", piece::fraction(count));
    html! {
        @match state {
            State::New => {
                (fails(card.within))
                @if let Some((at, _)) = &card.first { "; first on " (piece::time(digest, *at)) }
                @if let Some(began) = sentence::began(card) { ", began " bdi { (began) } }
            }
            State::Returned | State::Worse => {
                (fails(card.within)) ", before that " (piece::fraction(earlier(card)))
                @if let Some((at, revision)) = &card.last { "; last on " (piece::time(digest, *at)) ", at " (piece::revision(revision)) }
            }
            State::Open => {
                (fails(card.within)) "; "
                (sentence::cost(sentence::ranking(digest, &card.natural, &card.shuffled)))
            }
            State::Silent => { (card.silence.as_deref().unwrap_or("it did not fail")) }
            State::Fixed => {
                @match &card.proof {
                    Some(proof) => { (sentence::proof(proof)) }
                    None => { "its passes stand on its card" }
                }
            }
        }
    }
}

/// What it did before this time.
fn earlier(card: &Card) -> Count {
    Count {
        failures: card.life.failures.saturating_sub(card.within.failures),
        trials: card.life.trials.saturating_sub(card.within.trials),
    }
}
