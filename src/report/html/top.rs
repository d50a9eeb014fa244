//! The first screen: whose report it is, the headline, what to do first, five numbers, and whether to trust them.

use maud::{Markup, html};

use super::card::Cards;
use super::{piece, table};
use crate::report::digest::{Cause, Digest, ENOUGH, Reliability, State};
use crate::report::sentence;
use crate::report::words::percent;
use crate::ui::text;

/// Facts of a list.
const LINES: usize = 24;

/// The title bar with the way to each part of the page.
pub(super) fn title_bar(digest: &Digest) -> Markup {
    let head = &digest.head;
    html! {
        header {
            h1 { "Flaky tests of " (piece::named(&head.origin.suite, 60)) span.week { (head.window.label.replace('_', " to ")) } }
            p.meta {
                @for (place, fact) in facts(digest).iter().enumerate() {
                    @if place > 0 { span.dot aria-hidden="true" { " \u{b7} " } }
                    span { (fact) }
                }
            }
            nav aria-label="Parts of the report" {
                @for (id, word) in parts(digest) { a href=(format!("#{id}")) { (word) } " " }
            }
        }
    }
}

/// Hours of workers; many of them without decimals.
fn hours(hours: f64) -> String {
    if hours < 100.0 {
        return sentence::minutes(60.0 * hours);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a truncated hour is near enough"
    )]
    let whole = hours.round() as u64;
    format!("{} h", text::count(whole))
}

fn parts(digest: &Digest) -> Vec<(&'static str, &'static str)> {
    let (causes, evidence) = (!digest.causes.is_empty(), digest.head.as_of.is_some());
    [
        ("trust", "Trust", true),
        ("actions", "What to mend", causes),
        ("changes", "What changed", causes),
        ("charts", "Charts", evidence),
        ("clusters", "Alike", !digest.clusters.is_empty()),
        ("owners", "Owners", !digest.owners.is_empty()),
        ("tests", "Test by test", !digest.cards.is_empty()),
        ("about", "About", true),
    ]
    .into_iter()
    .filter_map(|(id, word, shown)| shown.then_some((id, word)))
    .collect()
}

fn facts(digest: &Digest) -> Vec<Markup> {
    let head = &digest.head;
    let trials: u64 = head.outcomes.values().sum();
    let mut facts = vec![
        html! { (text::plural(head.tests, "test")) },
        html! { (text::plural(head.iterations, "iteration")) },
        html! { (text::count(trials)) " outcomes in " (hours(head.hours)) " of workers" },
    ];
    if !head.machines.is_empty() {
        let names: Vec<String> = head.machines.iter().take(3).cloned().collect();
        let others = head.machines.len() - names.len();
        facts.push(html! {
            "on "
            @for (place, name) in names.iter().enumerate() { @if place > 0 { ", " } (piece::named(name, 40)) }
            @if others > 0 { " and " (others) " more" }
        });
    }
    match &head.revisions {
        Some((first, last, 1)) if first == last => {
            facts.push(html! { "revision " (piece::revision(last)) });
        }
        Some((first, last, revisions)) => facts.push(html! {
            (text::plural(*revisions, "revision")) ": " (piece::revision(first)) " to " (piece::revision(last))
        }),
        None => {}
    }
    if let Some(at) = head.as_of {
        facts.push(html! { "evidence up to " (piece::time(digest, at)) });
    }
    facts.push(html! { "times in " (piece::named(&head.window.zone, 40)) });
    facts
}

/// Headline, first step and tiles; what to type where there is nothing to show yet.
pub(super) fn summary(digest: &Digest, cards: &Cards) -> Markup {
    html! {
        section #summary aria-labelledby="headline" {
            h2.headline #headline { (sentence::headline(digest)) }
            @if let Some(first) = digest.causes.iter().find(|cause| cause.state.is_open()) {
                (start_here(digest, cards, first))
            }
            @if let Some(hint) = hint(digest) { (hint) }
            @if digest.head.as_of.is_some() { (tiles(digest)) }
        }
    }
}

/// What to type when there is too little.
fn hint(digest: &Digest) -> Option<Markup> {
    let head = &digest.head;
    let runs = digest.green.now[0].runs + digest.green.now[1].runs;
    let hint = match head.as_of {
        None => html! {
            p { "Let it run for a night, then write the report again:" }
            p { (piece::command("hunt --for 8h")) }
            p { "Is something recorded, but not in this time? " (piece::command("status")) " says when." }
        },
        Some(at) if head.iterations == 0 => html! {
            p {
                "Nothing ran in this time; the newest evidence is from " (piece::day(digest, at))
                ". What is below stands as it was then."
            }
            p { (piece::command("hunt --for 8h")) }
        },
        Some(_) if runs < ENOUGH => html! {
            p {
                @if runs == 0 { "No full run was completed: " } @else { "Only " (text::plural(runs, "full run")) ": " }
                "enough to see failures, too few for rates. More of them:"
            }
            p { (piece::command("hunt --for 8h")) }
        },
        Some(_) => return None,
    };
    Some(html! { div.hint { (hint) } })
}

/// The most fragile cause with the one command that shows it.
fn start_here(digest: &Digest, cards: &Cards, cause: &Cause) -> Markup {
    let card = &digest.cards[cause.cards[0]];
    let order = usize::from(!digest.green.now[0].is_enough());
    let rate = |one: &Reliability| one.rate().filter(|_| one.is_enough());
    let then: Vec<f64> = digest
        .green
        .if_mended
        .iter()
        .filter_map(|both| rate(&both[order]))
        .collect();
    let gain = rate(&digest.green.now[order]).zip(then.first().copied());
    html! {
        div.first {
            p.lead { strong { "Start here" } " " (table::title(digest, cards, cause)) }
            (piece::reproduce(card))
            @if let Some((now, first)) = gain {
                p.gain {
                    "Without it " strong { (percent(first)) } " of the " (["", "shuffled "][order])
                    "runs would have been green instead of " (percent(now))
                    @if let [_, .., last] = *then { "; without the first " (then.len()) " of the table " strong { (percent(last)) } }
                    "."
                }
            }
        }
    }
}

fn tiles(digest: &Digest) -> Markup {
    let count = |state: State| digest.states.get(&state).copied().unwrap_or(0);
    let open: u64 = State::ALL
        .iter()
        .filter(|state| state.is_open())
        .map(|state| count(*state))
        .sum();
    let details: Vec<String> = [State::New, State::Returned, State::Worse, State::Open]
        .into_iter()
        .filter(|state| count(*state) > 0)
        .map(|state| {
            let word = match state {
                State::Open => "as before",
                State::New | State::Returned | State::Worse | State::Silent | State::Fixed => {
                    state.word()
                }
            };
            format!("{} {word}", text::count(count(state)))
        })
        .collect();
    let lost: f64 = digest
        .causes
        .iter()
        .map(|cause| cause.natural.minutes + cause.shuffled.minutes)
        .sum();
    let open_detail = if digest.head.iterations == 0 {
        "nothing ran that could show one".to_owned()
    } else if details.is_empty() {
        "nothing calls for action".to_owned()
    } else {
        details.join(", ")
    };
    let silent = match count(State::Silent) {
        0 => "with evidence, not by silence".to_owned(),
        some => format!("{} silent: proves nothing", text::count(some)),
    };
    let tile = |label: &str, value: &str, detail: &str| {
        html! { li { span.label { (label) } span.value { (value) } span.detail { (detail) } } }
    };
    let green = |label: &str, order: usize| {
        let (value, detail) = reliability(&digest.green.now[order], &digest.green.last[order]);
        tile(label, &value, &detail)
    };
    html! {
        ul.tiles {
            (green("Green in your CI's order", 0))
            (green("Green in random order", 1))
            (tile("Causes to mend", &text::count(open), &open_detail))
            (tile("Fixed", &text::count(count(State::Fixed)), &silent))
            (tile("Lost in red runs", &sentence::minutes(lost), &format!("of {} of workers", hours(digest.head.hours))))
        }
    }
}

fn reliability(now: &Reliability, last: &Reliability) -> (String, String) {
    let Some(rate) = now.rate().filter(|_| now.is_enough()) else {
        return (
            "not yet".to_owned(),
            format!("{} of {ENOUGH} runs", text::count(now.runs)),
        );
    };
    let before = last
        .rate()
        .filter(|_| last.is_enough())
        .map_or_else(String::new, |rate| format!(", last week {}", percent(rate)));
    let detail = format!("95 %: {}{before}", piece::range(now.interval));
    (percent(rate), detail)
}

/// Can the numbers be trusted?
pub(super) fn trust(digest: &Digest) -> Markup {
    let trust = &digest.trust;
    let is_sound = trust.faults.is_empty();
    html! {
        section #trust class=(if is_sound { "trust" } else { "trust fault" }) aria-labelledby="trust-h" {
            h2 #trust-h { "Can you trust these numbers?" }
            @if is_sound {
                p.verdict { "\u{2713} Nothing speaks against them." }
            } @else {
                p.verdict { "\u{26a0} Not without a look at this:" }
                ul.faults { (lines(&trust.faults)) }
            }
            details open[!is_sound] {
                summary { (text::plural(trust.facts.len() as u64, "fact")) " about this time" }
                ul.facts { (lines(&trust.facts)) }
            }
            details {
                summary { "What this report cannot see" }
                ul.facts { (lines(&trust.blind)) }
            }
        }
    }
}

/// Items of a list of facts; they are escaped where they are made.
pub(super) fn lines(lines: &[String]) -> Markup {
    html! {
        @for line in lines.iter().take(LINES) { li { (text::elide_middle(line, 2 * piece::SENTENCE)) } }
        @if lines.len() > LINES {
            li { "+ " (text::count((lines.len() - LINES) as u64)) " more: " (piece::command("report --json")) }
        }
    }
}
