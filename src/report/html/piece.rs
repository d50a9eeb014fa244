//! Pieces that every part of the page uses: names, commands, numbers, tables, ends of cut lists.

use maud::{Markup, html};

use crate::model::{Count, TestId, UnixMillis};
use crate::plan;
use crate::report::digest::{Card, Digest, State};
use crate::report::words::{self, percent};
use crate::ui::{escape, text};

/// Longest name, in columns: a hostile suite must not fill the page with one.
pub(super) const NAME: usize = 120;
/// Longest sentence or signature.
pub(super) const SENTENCE: usize = 240;
/// Longest token; the format's own are shorter.
const TOKEN: usize = 300;

/// Untrusted text without anything that could act or deceive, in at most so many columns.
pub(super) fn safe(text: &str, most: usize) -> String {
    safe_bytes(text.as_bytes(), most)
}

pub(super) fn safe_bytes(bytes: &[u8], most: usize) -> String {
    text::elide_middle(&escape::terminal(bytes), most)
}

/// Untrusted text, isolated from the direction of what is around it.
pub(super) fn named(text: &str, most: usize) -> Markup {
    html! { bdi { (safe(text, most)) } }
}

/// A test's name.
pub(super) fn name(test: &TestId) -> Markup {
    html! { bdi.n { (safe_bytes(test.as_bytes(), NAME)) } }
}

/// A command to type; the script adds a button that copies it. Lines do not break within its flags.
pub(super) fn command(words: &str) -> Markup {
    let words = safe(words, TOKEN);
    let (front, flags) = words.split_once(" --").unwrap_or((&words, ""));
    html! {
        span.cmd {
            code {
                "soakhound " (front)
                @for flag in flags.split_terminator(" --") { " " span.f { "--" (flag) } }
            }
        }
    }
}

/// The command that shows a card's failure, and whether it is a certified recipe.
pub(super) fn reproduce(card: &Card) -> Markup {
    match &card.token {
        Some(token) => command(&plan::replaying(token, Some(&card.handle))),
        None => command(&format!("show {}", card.handle)),
    }
}

/// The end of a cut list; nothing where nothing was left out.
pub(super) fn more(all: usize, shown: usize, words: &str) -> Markup {
    html! {
        @if all > shown {
            p.more { "+ " (text::count((all - shown) as u64)) " more: " (command(words)) }
        }
    }
}

/// A state with its sign, so that neither colour nor sign stands alone.
pub(super) fn state(state: State) -> Markup {
    html! { span class=(format!("st {}", state.word())) { (sign(state)) " " (state.word()) } }
}

fn sign(state: State) -> &'static str {
    match state {
        State::New => "\u{2605}",
        State::Returned => "\u{21ba}",
        State::Worse => "\u{25b2}",
        State::Open => "\u{25cb}",
        State::Silent => "\u{2026}",
        State::Fixed => "\u{2713}",
    }
}

/// A revision.
pub(super) fn revision(label: &str) -> Markup {
    html! { bdi.rev { (words::revision(label)) } }
}

/// A moment to the minute, in the zone of the report.
pub(super) fn time(digest: &Digest, at: UnixMillis) -> Markup {
    html! { time datetime=(at.rfc3339()) { (digest.head.window.time(at)) } }
}

/// A day in the zone of the report.
pub(super) fn day(digest: &Digest, at: UnixMillis) -> Markup {
    html! { time datetime=(at.rfc3339()) { (digest.head.window.day(at)) } }
}

/// `182 of 6,270`.
pub(super) fn fraction(count: Count) -> String {
    format!(
        "{} of {}",
        text::count(count.failures),
        text::count(count.trials)
    )
}

/// `2.5 to 3.3 %`.
pub(super) fn range((low, high): (f64, f64)) -> String {
    let (low, high) = (percent(low), percent(high));
    match low.strip_suffix(" %") {
        Some(plain) if high.ends_with(" %") => format!("{plain} to {high}"),
        _ => format!("{low} to {high}"),
    }
}

/// The rate of a count; `None` without trials.
pub(super) fn rate(count: Count) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "trials stay far below 2^53")]
    (count.trials > 0).then(|| count.failures as f64 / count.trials as f64)
}

/// A table with a caption; the first cell of each row is its heading.
pub(super) fn table(caption: &str, heads: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        table.data {
            caption { (caption) }
            thead { tr { @for head in heads { th scope="col" { (head) } } } }
            tbody {
                @for row in rows {
                    tr {
                        @for (place, cell) in row.iter().enumerate() {
                            @if place == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

/// A cell of such a table.
pub(super) fn cell(text: impl AsRef<str>) -> Markup {
    html! { (text.as_ref()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_escaped_and_isolated() {
        let test = TestId::new("<b onload=x>\u{202e}\"'&\n".as_bytes()).unwrap();
        assert_eq!(
            name(&test).into_string(),
            "<bdi class=\"n\">&lt;b onload=x&gt;\\u{202e}&quot;'&amp;\\u{a}</bdi>"
        );
        let long = TestId::new(vec![b'q'; 4000]).unwrap();
        assert_eq!(name(&long).into_string().matches('q').count(), NAME - 3);
    }

    #[test]
    fn ranges_say_percent_once() {
        assert_eq!(range((0.025, 0.033)), "2.5 to 3.3 %");
        assert_eq!(range((0.0, 1.0)), "0 to 100 %");
    }

    #[test]
    fn a_commit_is_shown_by_its_beginning_and_another_label_whole() {
        let shown = |label| revision(label).into_string();
        assert_eq!(
            shown("c41f9aa0b1c2d3e4f5061728394a5b6c7d8e9f00"),
            "<bdi class=\"rev\">c41f9aa0b</bdi>"
        );
        assert_eq!(shown("number 3"), "<bdi class=\"rev\">number 3</bdi>");
    }
}
