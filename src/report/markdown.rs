//! The report as Markdown, for an issue or a job's summary: the first things first, within a limit, and every cut list
//! says how many more there are. Everything untrusted stands in code spans, which neither link, ping nor format.

use std::fmt::Write as _;

use super::digest::{Card, Cause, Digest, State, Subject};
use super::sentence;
use super::words::{self, percent};
use crate::model::Role;
use crate::plan;
use crate::ui::{escape, text};

/// An issue on GitHub takes 65,536 characters; what is around the report has to fit as well.
const BUDGET: usize = 60_000;
/// Rows of the action table.
const ROWS: usize = 10;
/// Entries of every other list.
const ENTRIES: usize = 20;
/// Longest name or signature in characters, and longest token.
const NAME: usize = 100;
const TOKEN: usize = 300;

/// Returns the report, at most 60,000 characters.
#[must_use]
pub fn page(digest: &Digest) -> String {
    let head = &digest.head;
    let mut page = format!(
        "# Fragility of {}, {}\n\n**{}**\n",
        code(head.origin.suite.as_bytes(), NAME),
        head.window.label,
        sentence::headline(digest)
    );
    if let Some(line) = sentence::if_mended(digest) {
        line_of(&mut page, format_args!("\n{line}"));
    }
    let mut parts = vec![trust(digest)];
    if digest.head.as_of.is_none() {
        parts.push("next: `soakhound hunt --for 8h`\n".to_owned());
    } else {
        parts.extend([actions(digest), green(digest)]);
        parts.extend(State::ALL.iter().map(|state| changes(digest, *state)));
        parts.extend([clusters(digest), owners(digest), blind(digest)]);
    }
    let end = foot(digest);
    let mut left_out = 0;
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        // Characters are what is limited; the last line must still fit.
        if page.chars().count() + part.chars().count() + end.chars().count() + 200 <= BUDGET {
            page.push('\n');
            page.push_str(&part);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        let more = text::plural(left_out, "section");
        line_of(&mut page, format_args!("\n+ {more} more in the HTML"));
    }
    page.push('\n');
    page.push_str(&end);
    page
}

/// Untrusted text in a code span.
fn code(bytes: &[u8], most: usize) -> String {
    escape::markdown_code(&text::elide_middle(&escape::terminal(bytes), most))
}

fn trust(digest: &Digest) -> String {
    let trust = &digest.trust;
    let mut part = String::new();
    if trust.faults.is_empty() {
        part.push_str("The numbers can be trusted.\n");
    } else {
        part.push_str("> **Do not trust these numbers without a look at this:**\n");
        for fault in &trust.faults {
            line_of(&mut part, format_args!("> - {}", plain(fault)));
        }
    }
    part.push_str("\n<details><summary>Why</summary>\n\n");
    for fact in &trust.facts {
        line_of(&mut part, format_args!("- {}", plain(fact)));
    }
    part.push_str("\n</details>\n");
    part
}

fn green(digest: &Digest) -> String {
    let green = &digest.green;
    let mut part =
        "## Green runs\n\n| full runs | green | in the week before |\n|---|---|---|\n".to_owned();
    for (order, name) in [(0, "in your CI's order"), (1, "in random orders")] {
        line_of(
            &mut part,
            format_args!(
                "| {name} | {} | {} |",
                sentence::reliability(&green.now[order]),
                sentence::reliability(&green.last[order])
            ),
        );
    }
    if green
        .nights
        .iter()
        .any(|(_, both)| both.iter().any(|one| one.runs > 0))
    {
        part.push_str("\n| night | in your CI's order | in random orders |\n|---|---|---|\n");
        for (night, [natural, shuffled]) in &green.nights {
            let (natural, shuffled) = (sentence::of_night(natural), sentence::of_night(shuffled));
            line_of(
                &mut part,
                format_args!("| {night} | {natural} | {shuffled} |"),
            );
        }
    }
    if let Some([natural, shuffled]) = &green.without_broken {
        line_of(
            &mut part,
            format_args!(
                "\nWithout the tests that always fail: {} in your CI's order, {} in random orders.",
                sentence::reliability(natural),
                sentence::reliability(shuffled)
            ),
        );
    }
    part
}

fn actions(digest: &Digest) -> String {
    let open: Vec<&Cause> = digest
        .causes
        .iter()
        .filter(|cause| cause.state.is_open())
        .collect();
    if open.is_empty() {
        return String::new();
    }
    let mut part = format!(
        "## What to mend first\n\nBy share of the red {}.\n\n| | share of 1,000 | cause | fails | state | owner | \
         reproduce |\n|---:|---:|---|---:|---|---|---|\n",
        sentence::counted_in(digest)
    );
    for (place, cause) in (1..).zip(open.iter().take(ROWS)) {
        let card = &digest.cards[cause.cards[0]];
        let share = sentence::ranking(digest, &cause.natural, &cause.shuffled);
        line_of(
            &mut part,
            format_args!(
                "| {place} | {} | {} | {} | {} | {} | {} |",
                sentence::per_1000(share.per_1000),
                title(cause, card),
                rate(card),
                cause.state.word(),
                some_owners(card),
                token(card),
            ),
        );
    }
    more(&mut part, open.len(), ROWS);
    part
}

/// What a row is about: verdict, handle and name, or the group and how many tests it makes fail.
fn title(cause: &Cause, card: &Card) -> String {
    let verdict = card.flag.verdict.word();
    match &cause.subject {
        Subject::Test => format!(
            "{verdict}: `{}` {}",
            card.handle,
            code(card.test.as_bytes(), NAME)
        ),
        Subject::Group { role, members } => {
            let named: Vec<String> = members
                .iter()
                .take(3)
                .map(|test| code(test.as_bytes(), NAME))
                .collect();
            let others = match members.len().saturating_sub(3) {
                0 => String::new(),
                some => format!(" and {some} more"),
            };
            format!(
                "{verdict}: {role} {}{others}, {}",
                named.join(" and "),
                text::plural(cause.cards.len() as u64, "victim")
            )
        }
    }
}

fn rate(card: &Card) -> String {
    let count = format!(
        "{} of {}",
        text::count(card.within.failures),
        text::count(card.within.trials)
    );
    if card.within.trials == 0 {
        return count;
    }
    format!(
        "{count} ({} to {})",
        percent(card.interval.0),
        percent(card.interval.1)
    )
}

fn some_owners(card: &Card) -> String {
    let owners: Vec<String> = card
        .owners
        .iter()
        .take(3)
        .map(|owner| code(owner.as_bytes(), NAME))
        .collect();
    owners.join(" ")
}

fn token(card: &Card) -> String {
    match &card.token {
        None => String::new(),
        Some(token) => {
            let command = format!("soakhound {}", plan::replaying(token, Some(&card.handle)));
            code(command.as_bytes(), TOKEN)
        }
    }
}

fn changes(digest: &Digest, state: State) -> String {
    let cards: Vec<&Card> = digest
        .cards
        .iter()
        .filter(|card| card.state == state)
        .collect();
    if cards.is_empty() {
        return String::new();
    }
    let title = match state {
        State::New => "New",
        State::Returned => "Mended once, and back",
        State::Worse => "Worse",
        State::Open => "Still open",
        State::Silent => "Silent",
        State::Fixed => "Fixed",
    };
    let mut part = format!(
        "<details><summary>{title}: {}</summary>\n\n",
        text::plural(cards.len() as u64, "test")
    );
    for card in cards.iter().take(ENTRIES) {
        let mut about = vec![words::meaning(&card.flag)];
        about.extend(roles(card));
        about.extend(match state {
            State::Fixed => card.proof.as_ref().map(sentence::proof),
            State::Silent => card.silence.clone(),
            State::New | State::Returned | State::Worse | State::Open => {
                sentence::began(card).map(|began| format!("began {began}"))
            }
        });
        line_of(
            &mut part,
            format_args!(
                "- {} `{}` {}: {}",
                card.flag.verdict.word(),
                card.handle,
                code(card.test.as_bytes(), NAME),
                about
                    .iter()
                    .map(|one| plain(one))
                    .collect::<Vec<_>>()
                    .join("; ")
            ),
        );
        if state.is_open() && card.token.is_some() {
            line_of(&mut part, format_args!("  {}", token(card)));
        }
    }
    more(&mut part, cards.len(), ENTRIES);
    part.push_str("\n</details>\n");
    part
}

/// Who has a role in a certified flag, by handle: names stand in the table.
fn roles(card: &Card) -> Option<String> {
    let certified = card.flag.certified;
    let groups = |role: Role| {
        card.flag
            .groups
            .iter()
            .filter(move |group| group.role == role)
    };
    let alternatives = |role: Role| {
        let named: Vec<String> = groups(role)
            .take(3)
            .map(|group| {
                let members: Vec<String> = group
                    .members
                    .iter()
                    .take(3)
                    .map(|test| escape::terminal(test.as_bytes()))
                    .collect();
                text::elide_middle(&members.join(" + "), NAME)
            })
            .collect();
        (!named.is_empty()).then(|| format!("{role}: {}", named.join(", or ")))
    };
    let some: Vec<String> = [
        Role::Polluter,
        Role::StateSetter,
        Role::Cleaner,
        Role::Neighbour,
    ]
    .into_iter()
    .filter_map(alternatives)
    .collect();
    (certified && !some.is_empty()).then(|| some.join("; "))
}

fn clusters(digest: &Digest) -> String {
    if digest.clusters.is_empty() {
        return String::new();
    }
    let mut part = format!(
        "<details><summary>Failures that are alike: {}</summary>\n\nBy rule {} of signatures.\n\n",
        text::plural(digest.clusters.len() as u64, "signature"),
        digest.head.origin.signature_rule
    );
    for cluster in digest.clusters.iter().take(ENTRIES) {
        line_of(
            &mut part,
            format_args!(
                "- {} in {}: {}",
                text::plural(cluster.failures, "failure"),
                text::plural(cluster.cards.len() as u64, "test"),
                code(cluster.signature.as_bytes(), NAME)
            ),
        );
    }
    more(&mut part, digest.clusters.len(), ENTRIES);
    part.push_str("\n</details>\n");
    part
}

fn owners(digest: &Digest) -> String {
    if digest.owners.iter().all(|row| row.owner.is_empty()) {
        return String::new();
    }
    let mut part =
        "## Owners\n\n| owner | open | new | fixed | share of 1,000 |\n|---|---:|---:|---:|---:|\n"
            .to_owned();
    for row in digest.owners.iter().take(ENTRIES) {
        let owner = match &*row.owner {
            "" => "nobody".to_owned(),
            some => code(some.as_bytes(), NAME),
        };
        line_of(
            &mut part,
            format_args!(
                "| {owner} | {} | {} | {} | {} |",
                row.open,
                row.new,
                row.fixed,
                sentence::per_1000(row.per_1000)
            ),
        );
    }
    more(&mut part, digest.owners.len(), ENTRIES);
    part
}

fn blind(digest: &Digest) -> String {
    let mut part = "<details><summary>What this report cannot see</summary>\n\n".to_owned();
    for one in &digest.trust.blind {
        line_of(&mut part, format_args!("- {}", plain(one)));
    }
    part.push_str("\n</details>\n");
    part
}

fn foot(digest: &Digest) -> String {
    let head = &digest.head;
    let until = head.as_of.map_or_else(String::new, |at| {
        format!(", evidence up to {}", head.window.time(at))
    });
    format!(
        "soakhound {}, database {}, suite {}, times in {}{until}\n",
        head.origin.tool,
        head.origin.database,
        head.origin.suite_id,
        plain(&head.window.zone)
    )
}

/// A sentence of ours that may hold escaped names: nothing in it formats, links or pings.
fn plain(sentence: &str) -> String {
    escape::markdown(sentence)
}

fn line_of(part: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(part, "{content}").expect("writing to a string cannot fail");
}

fn more(part: &mut String, all: usize, shown: usize) {
    if all > shown {
        let rest = text::count((all - shown) as u64);
        line_of(part, format_args!("\n+ {rest} more in the HTML"));
    }
}
