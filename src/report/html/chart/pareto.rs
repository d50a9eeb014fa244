//! Who takes how much of the red runs: the causes with the largest shares, and all others in one bar.

use maud::{Markup, html};

use super::Figure;
use super::draw::{Anchor, Scale, label, real, rect};
use crate::report::digest::{Cause, Digest, Subject};
use crate::report::html::piece;
use crate::report::sentence;
use crate::report::words::{self, percent};
use crate::ui::text;

/// Causes with a bar of their own.
const TOP: usize = 15;
const ROW: f64 = 24.0;
const NAMES: f64 = 236.0;
const BARS: f64 = 210.0;
const WIDTH: f64 = 600.0;
/// Longest name, in columns.
const COLUMNS: usize = 32;

/// One bar.
struct Bar {
    name: String,
    about: String,
    share: f64,
    is_rest: bool,
}

/// Returns the chart; `None` where no run was red.
pub(super) fn figure(digest: &Digest) -> Option<Figure> {
    let mut bars: Vec<Bar> = digest
        .causes
        .iter()
        .map(|cause| bar(digest, cause))
        .collect();
    bars.retain(|bar| bar.share > 0.0);
    bars.sort_by(|a, b| b.share.total_cmp(&a.share));
    let rest = bars.split_off(bars.len().min(TOP));
    if !rest.is_empty() {
        bars.push(Bar {
            name: format!("{} other", text::count(rest.len() as u64)),
            about: "all others together".to_owned(),
            share: rest.iter().map(|bar| bar.share).sum(),
            is_rest: true,
        });
    }
    let all: f64 = bars.iter().map(|bar| bar.share).sum();
    if all <= 0.0 {
        return None;
    }
    let mut sum = 0.0;
    let rows: Vec<(Bar, f64)> = bars
        .into_iter()
        .map(|bar| {
            sum += bar.share;
            (bar, sum / all)
        })
        .collect();
    Some(Figure {
        id: "chart-share",
        title: "Which causes make runs red".to_owned(),
        about: format!(
            "Share of 1,000 {} per cause, and what part of all red runs it is together with those above it.",
            sentence::counted_in(digest)
        ),
        size: (WIDTH, ROW * real(rows.len() as u64) + 24.0),
        drawing: drawing(&rows),
        table: table(&rows),
    })
}

fn bar(digest: &Digest, cause: &Cause) -> Bar {
    let card = &digest.cards[cause.cards[0]];
    let (test, about) = match &cause.subject {
        Subject::Test => (&card.test, words::brief(card.flag.verdict).to_owned()),
        Subject::Group { role, members } => (
            members.first().unwrap_or(&card.test),
            words::does(
                *role,
                members.len(),
                &text::plural(cause.cards.len() as u64, "test"),
            ),
        ),
    };
    Bar {
        name: piece::safe_bytes(test.as_bytes(), COLUMNS),
        about,
        share: sentence::ranking(digest, &cause.natural, &cause.shuffled).per_1000,
        is_rest: false,
    }
}

fn drawing(rows: &[(Bar, f64)]) -> Markup {
    let most = rows.iter().map(|(bar, _)| bar.share).fold(0.0, f64::max);
    let x = Scale {
        values: (0.0, most),
        places: (0.0, BARS),
    };
    html! {
        (label(NAMES + 8.0, 13.0, Anchor::Start, "tick", "of 1,000 runs"))
        (label(WIDTH - 4.0, 13.0, Anchor::End, "tick", "so far, of all"))
        @for (place, (bar, sum)) in rows.iter().enumerate() {
            @let y = 22.0 + ROW * real(place as u64);
            (label(NAMES, y + 14.0, Anchor::End, "name", &bar.name))
            (rect((NAMES + 8.0, y + 2.0), (x.at(bar.share).max(1.5), ROW - 7.0), if bar.is_rest { "hatched" } else { "fill" }))
            (label(NAMES + 14.0 + x.at(bar.share), y + 14.0, Anchor::Start, "key", &sentence::per_1000(bar.share)))
            (label(WIDTH - 4.0, y + 14.0, Anchor::End, "tick", &percent(*sum)))
        }
    }
}

fn table(rows: &[(Bar, f64)]) -> Markup {
    let rows: Vec<Vec<Markup>> = rows
        .iter()
        .map(|(bar, sum)| {
            vec![
                html! { bdi { (bar.name) } },
                piece::cell(&bar.about),
                piece::cell(sentence::per_1000(bar.share)),
                piece::cell(percent(*sum)),
            ]
        })
        .collect();
    piece::table(
        "Red runs per cause",
        &[
            "cause",
            "what it does",
            "of 1,000 runs",
            "so far, of all red runs",
        ],
        &rows,
    )
}
