//! The report as one self-contained page: no network, no inline style or handler, useful without its script.
//!
//! The policy in its head lets nothing run or load but the style and the script that are compiled in, by their
//! hashes. Every name and text that a suite chose goes through [`crate::ui::escape::terminal`] and then through the
//! template's escaping; none of it becomes an element, an attribute or a link.

mod about;
mod card;
mod changes;
mod chart;
mod lists;
mod piece;
mod table;
mod top;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use self::card::Cards;
use super::Digest;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// Most bytes of a page: more is slow to open and too much to attach.
const MOST: usize = 1024 * 1024;

/// Returns the page: at most 1 MiB, whatever the digest holds. Lists that are cut say how much more there is.
#[must_use]
pub fn page(digest: &Digest) -> String {
    let whole = render(digest, MOST);
    // Everything but the cards has limits of its own, far below this one.
    match whole.len().checked_sub(MOST) {
        None | Some(0) => whole,
        Some(over) => {
            let cards = Cards::of(digest, MOST);
            render(digest, cards.bytes().saturating_sub(over))
        }
    }
}

/// The page with cards of so many bytes at most.
fn render(digest: &Digest, most: usize) -> String {
    let cards = Cards::of(digest, most);
    let origin = &digest.head.origin;
    let title = format!(
        "Fragility of {}, {}",
        piece::safe(&origin.suite, piece::NAME),
        digest.head.window.label
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content=(format!("soakhound {}", origin.tool));
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (top::title_bar(digest))
                main #main { (content(digest, &cards)) }
                footer { (about::footer(digest)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn content(digest: &Digest, cards: &Cards) -> Markup {
    html! {
        (top::summary(digest, cards))
        (top::trust(digest))
        @if !digest.causes.is_empty() {
            (table::actions(digest, cards))
            (changes::section(digest, cards))
        }
        @if digest.head.as_of.is_some() { (chart::section(digest)) }
        (lists::clusters(digest, cards))
        (lists::owners(digest))
        (lists::funnel(digest))
        (cards.section())
        (about::section(digest))
    }
}

/// The content security policy: nothing but our own style and script.
fn policy() -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}
