//! The worst tests over the nights: coloured by how often they failed, hatched where they were not run.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Figure;
use super::draw::{Anchor, label, line, number, path, real, rect, short_day};
use crate::model::Count;
use crate::report::digest::Digest;
use crate::report::html::piece;
use crate::ui::text;

const CELL: f64 = 18.0;
const NAMES: f64 = 360.0;
const TOP: f64 = 26.0;
/// Tests that are drawn.
const ROWS: usize = 30;
/// Longest name, in columns.
const COLUMNS: usize = 50;
/// Shades of the scale.
const SHADES: u32 = 7;

/// Returns the chart; `None` where nothing failed.
pub(super) fn figure(digest: &Digest) -> Option<Figure> {
    let heat = &digest.heat;
    if heat.rows.is_empty() || heat.nights.is_empty() {
        return None;
    }
    let nights: Vec<&str> = heat.nights.iter().map(|night| &*night.label).collect();
    let rows: Vec<(String, &[Count])> = heat
        .rows
        .iter()
        .take(ROWS)
        .map(|(card, counts)| {
            (
                piece::safe_bytes(digest.cards[*card].test.as_bytes(), COLUMNS),
                &**counts,
            )
        })
        .collect();
    let size = (
        NAMES + CELL * real(nights.len() as u64) + 22.0,
        TOP + CELL * real(rows.len() as u64) + 34.0,
    );
    Some(Figure {
        id: "chart-heat",
        title: format!("The worst {} by night", text::plural(rows.len() as u64, "test")),
        about: "The number of failures per night, coloured by the part of its runs that failed, as the key below says. \
                A dot is a night without failures, a hatched field one on which it was not run. A dashed line with a \
                triangle on top says that the suite had changed since the night before."
            .to_owned(),
        size,
        drawing: drawing(&nights, &heat.changes, &rows),
        table: table(&nights, &heat.changes, &rows),
    })
}

/// Which shade a night has: by the root of its rate, or small rates would all look the same. `None` without runs.
fn shade(count: Count) -> Option<u32> {
    let rate = piece::rate(count)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of shades"
    )]
    let shade = (rate.sqrt() * f64::from(SHADES)).ceil() as u32;
    Some(shade.min(SHADES))
}

fn drawing(nights: &[&str], changes: &[Option<String>], rows: &[(String, &[Count])]) -> Markup {
    let x = |night: usize| NAMES + 6.0 + CELL * real(night as u64);
    let y = |row: usize| TOP + CELL * real(row as u64);
    let below = y(rows.len()) + 12.0;
    html! {
        @for (at, night) in nights.iter().enumerate() {
            @if (nights.len() - 1 - at).is_multiple_of(7) {
                (label(x(at) + CELL / 2.0, TOP - 8.0, Anchor::Middle, "tick", short_day(night)))
            }
        }
        @for (row, (name, _)) in rows.iter().enumerate() {
            (label(NAMES, y(row) + 13.0, Anchor::End, "name", name))
        }
        (fields(rows.iter().enumerate().flat_map(|(row, (_, counts))| {
            counts.iter().enumerate().map(move |(night, count)| ((x(night), y(row)), *count))
        })))
        @for (at, _) in changes.iter().enumerate().filter(|(_, change)| change.is_some()) {
            (changed(x(at) - 0.5, y(rows.len())))
        }
        (label(NAMES, below + 12.0, Anchor::End, "tick", "part of its runs that failed"))
        @for shade in 1..=SHADES {
            @let at = x(0) + 2.2 * CELL * f64::from(shade - 1);
            @let most = (f64::from(shade) / f64::from(SHADES)).powi(2);
            (rect((at, below), (2.2 * CELL - 1.0, CELL - 2.0), &format!("v{shade}")))
            (label(at + 1.1 * CELL, below + 12.0, Anchor::Middle, &format!("in w{shade}"), &format!("\u{2264}{:.0}%", most * 100.0)))
        }
        (rect((x(0) + 17.0 * CELL, below), (CELL - 1.0, CELL - 2.0), "hatched"))
        (label(x(0) + 18.3 * CELL, below + 12.0, Anchor::Start, "tick", "not run"))
    }
}

/// The mark between two nights that the suite changed in between.
fn changed(x: f64, end: f64) -> Markup {
    let triangle = [(x - 3.5, TOP - 6.0), (x + 3.5, TOP - 6.0), (x, TOP)];
    html! {
        (line((x, TOP), (x, end), "change"))
        path d=(path(&triangle) + "Z") class="changed" {}
    }
}

/// All fields, those of one shade together: one element each would be half of the page.
fn fields(all: impl Iterator<Item = ((f64, f64), Count)>) -> Markup {
    let side = number(CELL - 1.0);
    let square = format!("h{side}v{side}h-{side}z");
    let (mut unseen, mut clean) = (Vec::new(), Vec::new());
    let mut failed: BTreeMap<u32, (Vec<String>, Vec<Markup>)> = BTreeMap::new();
    for ((x, y), count) in all {
        let middle = x + (CELL - 1.0) / 2.0;
        match shade(count) {
            None => unseen.push(format!("M{} {}{square}", number(x), number(y))),
            Some(0) => clean.push(format!(
                "M{} {}h2v2h-2z",
                number(middle - 1.0),
                number(y + 7.5)
            )),
            Some(shade) => {
                let (path, counts) = failed.entry(shade).or_default();
                path.push(format!("M{} {}{square}", number(x), number(y)));
                counts.push(html! { text x=(number(middle)) y=(number(y + 12.0)) { (short_count(count.failures)) } });
            }
        }
    }
    html! {
        @if !unseen.is_empty() { path d=(unseen.concat()) class="hatched" {} }
        @if !clean.is_empty() { path d=(clean.concat()) class="none" {} }
        @for (shade, (path, counts)) in &failed {
            path d=(path.concat()) class=(format!("v{shade}")) {}
            g text-anchor="middle" class=(format!("in w{shade}")) { @for count in counts { (count) } }
        }
    }
}

/// A number in at most three characters.
fn short_count(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..100_000 => format!("{}k", number / 1_000),
        _ => "many".to_owned(),
    }
}

fn table(nights: &[&str], changes: &[Option<String>], rows: &[(String, &[Count])]) -> Markup {
    let heads: Vec<&str> = std::iter::once("test")
        .chain(nights.iter().map(|night| short_day(night)))
        .collect();
    let suite = changes.iter().map(|change| {
        html! { @if let Some(revision) = change { (piece::revision(revision)) } }
    });
    let suite = std::iter::once(piece::cell("the suite changed to")).chain(suite);
    let rows: Vec<Vec<Markup>> = rows
        .iter()
        .map(|(name, counts)| {
            let cells = counts.iter().map(|count| match count.trials {
                0 => html! {},
                _ => piece::cell(format!("{}/{}", count.failures, count.trials)),
            });
            std::iter::once(html! { bdi { (name) } })
                .chain(cells)
                .collect()
        })
        .chain(changes.iter().any(Option::is_some).then(|| suite.collect()))
        .collect();
    piece::table(
        "Failures of runs by night; empty where it was not run",
        &heads,
        &rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_grow_with_the_rate_and_rare_failures_are_seen() {
        let of = |failures, trials| shade(Count { failures, trials });
        assert_eq!(of(0, 0), None);
        assert_eq!(of(0, 10), Some(0));
        assert_eq!(of(1, 100_000), Some(1));
        assert_eq!(of(1, 4), Some(4));
        assert_eq!(of(10, 10), Some(SHADES));
    }

    #[test]
    fn a_night_before_which_the_suite_changed_is_marked_and_told() {
        let changes = [
            None,
            Some("c41f9aa0b1c2d3e4f5061728394a5b6c7d8e9f00".to_owned()),
        ];
        let counts = [Count::default(); 2];
        let (nights, rows) = (
            ["2026-11-16", "2026-11-17"],
            [("t".to_owned(), &counts[..])],
        );
        let drawn = drawing(&nights, &changes, &rows).into_string();
        assert_eq!(drawn.matches("class=\"changed\"").count(), 1, "{drawn}");
        let told = table(&nights, &changes, &rows).into_string();
        assert!(
            told.contains("the suite changed to") && told.contains("c41f9aa0b"),
            "{told}"
        );
        let told = table(&nights, &[None, None], &rows).into_string();
        assert!(!told.contains("the suite changed to"), "{told}");
    }

    #[test]
    fn a_field_says_without_colour_what_it_holds() {
        let drawn = |failures, trials| {
            fields(std::iter::once(((0.0, 0.0), Count { failures, trials }))).into_string()
        };
        assert!(drawn(0, 0).contains("hatched"));
        assert!(drawn(3, 4).contains(">3</text>"));
        assert!(!drawn(0, 4).contains("text"));
        assert_eq!(short_count(12_345), "12k");
    }
}
