//! The parts of a digest that do not matter card by card: rates, trends, owners, facts.

use std::collections::BTreeMap;

use soakhound::model::{Outcome, Role, UnixMillis};
use soakhound::report::digest::{
    Card, Cause, Cluster, Edge, Funnel, Green, Head, Heat, Origin, OwnerRow, Reliability, State,
    Stock, Trust,
};
use soakhound::report::{Digest, Window};
use soakhound::stats::jeffreys;

use super::{Words, count};

/// Puts a digest together.
pub(super) fn complete(
    words: &dyn Words,
    window: Window,
    cards: Vec<Card>,
    causes: Vec<Cause>,
) -> Digest {
    let mut states: BTreeMap<State, u64> = State::ALL.iter().map(|state| (*state, 0)).collect();
    for cause in &causes {
        *states.get_mut(&cause.state).unwrap() += 1;
    }
    let certified = cards.iter().filter(|card| card.flag.certified).count() as u64;
    Digest {
        trust: trust(),
        green: green(&window),
        clusters: clusters(words, cards.len()),
        heat: heat(&window, &cards),
        stock: stock(&window),
        graph: graph(&cards),
        owners: owners(&cards),
        head: head(words, window),
        funnel: Funnel {
            tests: 5_012,
            clean: 4_771,
            unknown: 183,
            failed: 58,
            certified,
            reproducible: certified.saturating_sub(3),
            owned: certified / 2,
        },
        states,
        causes,
        cards,
    }
}

fn reliability(runs: u64, green: u64) -> Reliability {
    Reliability {
        runs,
        green,
        interval: jeffreys(count(green, runs), 0.05),
    }
}

/// Twelve weeks: two without runs, one with few, and a gap.
fn green(window: &Window) -> Green {
    let weeks: Vec<(String, [Reliability; 2])> = window
        .weeks()
        .into_iter()
        .zip(0_u64..)
        .map(|(week, at)| {
            let both = match at {
                0 | 1 | 6 => [reliability(0, 0), reliability(0, 0)],
                2 => [reliability(12, 11), reliability(120, 110)],
                _ => [
                    reliability(430, 412 - 2 * at),
                    reliability(1_800, 1_725 - 9 * at),
                ],
            };
            (week.label, both)
        })
        .collect();
    Green {
        now: weeks[11].1,
        last: weeks[10].1,
        without_broken: None,
        if_mended: vec![
            [reliability(430, 404), reliability(1_800, 1_690)],
            [reliability(430, 411), reliability(1_800, 1_722)],
            [reliability(430, 417), reliability(1_800, 1_750)],
        ],
        nights: nights(window),
        weeks,
    }
}

/// Seven nights: one without any run, one without a natural one, few natural ones in the others.
fn nights(window: &Window) -> Vec<(String, [Reliability; 2])> {
    let nights = window.nights().into_iter().rev().take(7).rev();
    let both = |at: u64| match at {
        3 => [reliability(0, 0), reliability(0, 0)],
        5 => [reliability(0, 0), reliability(40, 39)],
        _ => [
            reliability(50 + at, 46 + at),
            reliability(330, 305 - 4 * at),
        ],
    };
    nights
        .zip(0_u64..)
        .map(|(night, at)| (night.label, both(at)))
        .collect()
}

fn heat(window: &Window, cards: &[Card]) -> Heat {
    let nights = window.nights();
    let failing = (0..cards.len())
        .filter(|at| cards[*at].within.failures > 0)
        .take(30);
    let rows = failing
        .map(|at| {
            let nightly = (0..nights.len()).map(|night| match night % 9 {
                4 => count(0, 0),
                _ => count(
                    cards[at].within.failures * ((night as u64 * 7 + at as u64 * 3) % 5) / 14,
                    900,
                ),
            });
            (at, nightly.collect())
        })
        .collect();
    let mut changes = vec![None; nights.len()];
    changes[9] = Some("8d02f11a7c9e0b1f".to_owned());
    changes[23] = Some("9f3c2e1d0a4b5c6d".to_owned());
    Heat {
        nights,
        changes,
        rows,
    }
}

fn stock(window: &Window) -> Vec<Stock> {
    let weeks = window.weeks().into_iter().zip(0_u64..);
    weeks
        .map(|(week, at)| Stock {
            week: week.label,
            new: at * 5 % 7,
            fixed: at * 3 % 4,
            open: 6 + at + at % 3,
        })
        .collect()
}

fn graph(cards: &[Card]) -> Vec<Edge> {
    let groups = cards
        .iter()
        .enumerate()
        .flat_map(|(to, card)| card.flag.groups.iter().map(move |group| (to, group)));
    groups
        .filter(|(_, group)| group.role != Role::Cleaner)
        .map(|(to, group)| Edge {
            from: group.members.clone(),
            role: group.role,
            to,
            with: group.with,
        })
        .collect()
}

fn owners(cards: &[Card]) -> Vec<OwnerRow> {
    let mut owners: BTreeMap<String, OwnerRow> = BTreeMap::new();
    for card in cards {
        let owner = card.owners.first().cloned().unwrap_or_default();
        let row = owners.entry(owner.clone()).or_insert(OwnerRow {
            owner,
            open: 0,
            new: 0,
            fixed: 0,
            oldest: None,
            per_1000: 0.0,
        });
        row.open += u64::from(card.state.is_open());
        row.new += u64::from(card.state == State::New);
        row.fixed += u64::from(card.state == State::Fixed);
        row.oldest = row
            .oldest
            .into_iter()
            .chain(card.first.as_ref().map(|(at, _)| *at))
            .min();
        row.per_1000 += card.natural.per_1000;
    }
    let mut owners: Vec<OwnerRow> = owners.into_values().collect();
    owners.sort_by(|a, b| b.per_1000.total_cmp(&a.per_1000));
    owners
}

fn clusters(words: &dyn Words, cards: usize) -> Vec<Cluster> {
    vec![
        Cluster {
            signature: words
                .text("AssertionError: assert cache.is_empty() in tests/api/test_cache.py:<n>"),
            failures: 613,
            cards: (0..cards.min(12)).collect(),
        },
        Cluster {
            signature: words.text("TimeoutError: no answer after <n> s"),
            failures: 18,
            cards: vec![0],
        },
    ]
}

fn head(words: &dyn Words, window: Window) -> Head {
    Head {
        origin: Origin {
            suite: words.text("acme/ledger"),
            suite_id: "q4m9zt".to_owned(),
            tool: "0.1.0".to_owned(),
            schema: 9,
            database: 271_828,
            signature_rule: 2,
        },
        as_of: Some(UnixMillis(window.until.0 - 3 * 3_600_000)),
        revisions: Some((
            "8d02f11a77665544332211009f3c2e1d0b4a5968".to_owned(),
            "9f3c2e1d0b4a59687766554433221100ffeeddcc".to_owned(),
            7,
        )),
        hours: 1_834.6,
        machines: vec![words.text("soak-01"), words.text("soak-02")],
        iterations: 2_310,
        outcomes: BTreeMap::from([
            (Outcome::Passed, 11_560_121),
            (Outcome::Failed, 14_209),
            (Outcome::Aborted, 3_070),
        ]),
        tests: 5_012,
        window,
    }
}

fn trust() -> Trust {
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    Trust {
        faults: Vec::new(),
        facts: lines(&[
            "9,198 of 9,240 shards finished, 2 given up",
            "0.027 % of trials say nothing: 3,070 aborted",
            "no evidence from 2026-11-19",
            "the suite changed: 14 tests came, 3 went",
            "certified causes: 412 attempts so far, at most 0.412 false ones expected; of 9 suspected tests at most 5 % \
             are expected to be innocent",
            "canary: the planted defects were found, so the detector is alive",
        ]),
        blind: lines(&[
            "14 tests that never ran, or were always skipped",
            "failures of tests that never failed yet: each may still fail in up to 0.13 % of its runs",
            "what only shows on other machines, kernels or networks: tests run without a network",
        ]),
        shards: [9_240, 9_198, 2],
        void: count(3_070, 11_577_400),
        missing: vec!["2026-11-19".to_owned()],
        suite_changes: (14, 3),
        attempts: 412,
        canary: Some("green".to_owned()),
    }
}
