//! The action table: one row per cause, the most fragile first, the command that shows it before everything else.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::card::Cards;
use super::chart::spark;
use super::piece;
use crate::model::{Flag, Group, TestId, Verdict};
use crate::report::digest::{Card, Cause, Digest, State, Subject};
use crate::report::sentence;
use crate::report::words::{self, percent};
use crate::ui::text;

/// Bytes of all rows together; the rest is named by number.
const BUDGET: usize = 300 * 1024;
/// Victims of a cause that are listed.
const VICTIMS: usize = 50;
/// Owners that the filter offers; the others are found by text.
const CHOICES: usize = 100;
/// Members of a group that are named.
const MEMBERS: usize = 3;
/// Owners of a cause that are named.
const OWNERS: usize = 3;

/// The section with the table and, for the script, what filters it.
pub(super) fn actions(digest: &Digest, cards: &Cards) -> Markup {
    let owners = owners(digest);
    let mut rows: Vec<Markup> = Vec::new();
    let mut bytes = 0;
    for (place, cause) in digest.causes.iter().enumerate() {
        let made = row(digest, cards, cause, place + 1, &owners);
        bytes += made.0.len();
        if bytes > BUDGET {
            break;
        }
        rows.push(made);
    }
    html! {
        section #actions aria-labelledby="actions-h" {
            h2 #actions-h { "What to mend first" }
            p {
                "One row per cause. Per 1,000: how many of 1,000 " (sentence::counted_in(digest))
                " went red because of it; a red run is split evenly among its failing tests."
                @if !digest.green.now[0].is_enough() {
                    " Your CI's own order: not yet (" (text::count(digest.green.now[0].runs)) " of 30 runs)."
                }
            }
            (filters(digest, &owners))
            div.wide role="region" aria-labelledby="actions-h" tabindex="0" {
                table #causes {
                    caption.hidden { "Causes of flakiness, the largest share first, those that call for nothing last" }
                    thead {
                        tr {
                            th scope="col" data-k="t" { "Run this to see it" }
                            th scope="col" data-k="n" { "State" }
                            th.r scope="col" data-k="n" { "Per 1,000" }
                            th.r scope="col" data-k="n" { "Fails" }
                            th scope="col" { "12 weeks" }
                            th scope="col" data-k="n" { "First seen" }
                            th scope="col" data-k="t" { "Owner" }
                        }
                    }
                    tbody { @for row in &rows { (row) } }
                }
            }
            (piece::more(digest.causes.len(), rows.len(), "flags"))
        }
    }
}

/// Every owner of a card, in order; rows and filter know them by their place here.
fn owners(digest: &Digest) -> Vec<&str> {
    let all: BTreeSet<&str> = digest
        .cards
        .iter()
        .flat_map(|card| card.owners.iter().map(String::as_str))
        .collect();
    all.into_iter().collect()
}

/// Hidden until the script shows it: without scripts there is nothing that it could do.
fn filters(digest: &Digest, owners: &[&str]) -> Markup {
    let verdicts: BTreeSet<Verdict> = digest.cards.iter().map(|card| card.flag.verdict).collect();
    html! {
        form #filter hidden {
            label { "Find " input #f-text type="search" autocomplete="off" spellcheck="false"; }
            label { "Verdict "
                select #f-verdict {
                    option value="" { "all" }
                    @for verdict in verdicts { option value=(verdict.word()) { (verdict.word()) } }
                }
            }
            label { "Owner "
                select #f-owner {
                    option value="" { "all" }
                    @for (place, owner) in owners.iter().enumerate().take(CHOICES) { option value=(place) { (piece::safe(owner, 40)) } }
                    option value="-" { "nobody" }
                }
            }
            label { "State "
                select #f-state {
                    option value="" { "all" }
                    @for state in State::ALL { option value=(state.word()) { (state.word()) } }
                }
            }
            p #f-count role="status" aria-live="polite" {}
        }
    }
}

fn row(digest: &Digest, cards: &Cards, cause: &Cause, place: usize, owners: &[&str]) -> Markup {
    let members: Vec<&Card> = cause.cards.iter().map(|at| &digest.cards[*at]).collect();
    let card = members[0];
    let share = sentence::ranking(digest, &cause.natural, &cause.shuffled);
    let runs = digest.green.now[usize::from(!digest.green.now[0].is_enough())].runs;
    let worst = members
        .iter()
        .max_by(|a, b| rate(a).total_cmp(&rate(b)))
        .copied()
        .unwrap_or(card);
    let first = members
        .iter()
        .filter_map(|card| card.first.as_ref())
        .min_by_key(|(at, _)| *at);
    let theirs: BTreeSet<&str> = members
        .iter()
        .flat_map(|card| card.owners.iter().map(String::as_str))
        .collect();
    let verdicts: BTreeSet<Verdict> = members.iter().map(|card| card.flag.verdict).collect();
    let verdicts: Vec<&str> = verdicts.into_iter().map(Verdict::word).collect();
    let numbers: Vec<String> = theirs
        .iter()
        .filter_map(|owner| Some(owners.binary_search(owner).ok()?.to_string()))
        .collect();
    html! {
        tr data-p=(place) data-verdict=(verdicts.join(" ")) data-state=(cause.state.word()) data-owner=(numbers.join(" ")) {
            th scope="row" {
                (piece::reproduce(card))
                div.what { (title(digest, cards, cause)) }
                (victims(digest, cards, cause))
            }
            td data-l="State" data-v=(rank(cause.state)) { (piece::state(cause.state)) }
            td.r data-l="Per 1,000" data-v=(format!("{:.3}", share.per_1000)) {
                @if runs == 0 { "no full run" } @else {
                    b { (sentence::per_1000(share.per_1000)) }
                    small {
                        (sentence::per_1000(share.interval.0)) " to " (sentence::per_1000(share.interval.1))
                    }
                    small { (sentence::minutes(share.minutes)) " lost" }
                }
            }
            td.r data-l="Fails" data-v=(format!("{:.6}", rate(worst))) { (fails(worst, members.len())) }
            td data-l="12 weeks" { (spark::shares(&digest.green.weeks, &cause.weekly)) }
            td data-l="First seen" data-v=(first.map_or(0, |(at, _)| at.0)) {
                @match first {
                    Some((at, revision)) => { (piece::day(digest, *at)) small { (piece::revision(revision)) } }
                    None => { "-" }
                }
            }
            td data-l="Owner" {
                @if theirs.is_empty() { "nobody" }
                @for (at, owner) in theirs.iter().take(OWNERS).enumerate() {
                    @if at > 0 { br; }
                    (piece::named(owner, 24))
                }
                @if theirs.len() > OWNERS { small { "+ " (theirs.len() - OWNERS) " more" } }
            }
        }
    }
}

fn rank(state: State) -> usize {
    State::ALL.iter().position(|one| *one == state).unwrap_or(0)
}

fn rate(card: &Card) -> f64 {
    piece::rate(card.within).unwrap_or(0.0)
}

fn fails(card: &Card, members: usize) -> Markup {
    html! {
        @match piece::rate(card.within) {
            Some(rate) => {
                b { (percent(rate)) }
                small { (piece::range(card.interval)) }
                small { (piece::fraction(card.within)) }
            }
            None => { "not run" small { (piece::fraction(card.life)) " ever" } }
        }
        @if members > 1 { small { "worst of " (members) } }
    }
}

/// What a row is about, in words: the test and what makes it fail, or the group and how many it makes fail.
pub(super) fn title(digest: &Digest, cards: &Cards, cause: &Cause) -> Markup {
    let card = &digest.cards[cause.cards[0]];
    let tests = text::plural(cause.cards.len() as u64, "test");
    html! {
        @match &cause.subject {
            Subject::Test => {
                (cards.link(digest, cause.cards[0])) " " (brief(&card.flag))
            }
            Subject::Group { role, members } => {
                (group_names(members)) " " (words::does(*role, members.len(), &tests))
            }
        }
        " " span.v { (card.flag.verdict.word()) @if !card.flag.certified { ", not certified" } }
    }
}

/// What a test does and what decides over it, to follow its name.
fn brief(flag: &Flag) -> Markup {
    let groups: Vec<&Group> = flag
        .groups
        .iter()
        .filter(|group| words::decides(group))
        .collect();
    html! {
        (words::brief(flag.verdict))
        @if words::names_another(flag.verdict) {
            " "
            @match groups.first() {
                Some(group) => { (group_names(&group.members)) }
                None => { "others" }
            }
            @if groups.len() > 1 { " or " (text::plural(groups.len() as u64 - 1, "other group")) }
        }
        @if flag.verdict == Verdict::Environment && !flag.factors.is_empty() {
            ": " bdi { (text::elide_middle(&words::settings(&flag.factors), piece::NAME)) }
        }
    }
}

/// Members of a group, all of which are needed.
pub(super) fn group_names(members: &[TestId]) -> Markup {
    html! {
        @for (at, test) in members.iter().take(MEMBERS).enumerate() {
            @if at > 0 { " with " }
            (piece::name(test))
        }
        @if members.len() > MEMBERS { " with " (members.len() - MEMBERS) " more" }
    }
}

fn victims(digest: &Digest, cards: &Cards, cause: &Cause) -> Markup {
    html! {
        @if cause.cards.len() > 1 {
            details {
                summary { (text::plural(cause.cards.len() as u64, "test")) " it concerns" }
                ul.victims {
                    @for at in cause.cards.iter().take(VICTIMS) {
                        @let card = &digest.cards[*at];
                        li {
                            (cards.link(digest, *at)) " " span.v { (piece::fraction(card.within)) ", " (card.state.word()) }
                        }
                    }
                }
                (piece::more(cause.cards.len(), VICTIMS, "flags"))
            }
        }
    }
}
