//! What each week added and took away: new tests above the line, mended ones below, open ones as a line.

use maud::{Markup, html};

use super::Figure;
use super::draw::{Anchor, Scale, label, line, number, path, real, rect, short_week, step};
use crate::report::digest::Stock;
use crate::report::html::piece;
use crate::ui::text;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 36.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 28.0;

/// Returns the chart; `None` where nothing was ever certified.
pub(super) fn figure(stock: &[Stock]) -> Option<Figure> {
    let highest = stock.iter().map(|week| week.new.max(week.open)).max()?;
    let lowest = stock.iter().map(|week| week.fixed).max()?;
    if highest + lowest == 0 {
        return None;
    }
    let step = step(real(highest + lowest));
    let ends = (
        -(real(lowest) / step).ceil() * step,
        (real(highest) / step).ceil() * step,
    );
    let y = Scale {
        values: ends,
        places: (HEIGHT - BOTTOM, TOP),
    };
    Some(Figure {
        id: "chart-stock",
        title: "New and mended tests".to_owned(),
        about: "By week, certified tests only: bars up are new ones, hatched bars down are mended ones, the line is \
                how many were open at the end of the week."
            .to_owned(),
        size: (WIDTH, HEIGHT),
        drawing: drawing(stock, y, step),
        table: table(stock),
    })
}

fn drawing(stock: &[Stock], y: Scale, step: f64) -> Markup {
    let one = (WIDTH - LEFT - RIGHT) / real(stock.len() as u64);
    let middle = |week: usize| LEFT + one * (real(week as u64) + 0.5);
    let bar = (one * 0.5).min(26.0);
    let mut ticks = Vec::new();
    let mut tick = y.values.0;
    while tick <= y.values.1 + 1e-9 {
        ticks.push(tick);
        tick += step;
    }
    let open: Vec<(f64, f64)> = stock
        .iter()
        .enumerate()
        .map(|(at, week)| (middle(at), y.at(real(week.open))))
        .collect();
    html! {
        @for tick in ticks {
            (line((LEFT, y.at(tick)), (WIDTH - RIGHT, y.at(tick)), if tick.abs() < 1e-9 { "axis" } else { "grid" }))
            (label(LEFT - 6.0, y.at(tick) + 4.0, Anchor::End, "tick", &number(tick.abs())))
        }
        @for (at, week) in stock.iter().enumerate() {
            @let x = middle(at) - bar / 2.0;
            @if week.new > 0 { (rect((x, y.at(real(week.new))), (bar, y.at(0.0) - y.at(real(week.new))), "fill1")) }
            @if week.fixed > 0 { (rect((x, y.at(0.0)), (bar, y.at(-real(week.fixed)) - y.at(0.0)), "striped")) }
            (label(middle(at), HEIGHT - 8.0, Anchor::Middle, "tick", short_week(&week.week)))
        }
        path d=(path(&open)) class="line l0" {}
        @for (x, y) in &open { circle cx=(number(*x)) cy=(number(*y)) r="3" class="dot d0" {} }
        @if let (Some((x, y)), Some(week)) = (open.last(), stock.last()) {
            (label(*x + 8.0, *y - 6.0, Anchor::Middle, "key", &text::count(week.open)))
        }
        (rect((LEFT, 6.0), (14.0, 11.0), "fill1"))
        (label(LEFT + 20.0, 16.0, Anchor::Start, "key", "new"))
        (rect((LEFT + 70.0, 6.0), (14.0, 11.0), "striped"))
        (label(LEFT + 90.0, 16.0, Anchor::Start, "key", "mended"))
        path d=(path(&[(LEFT + 165.0, 12.0), (LEFT + 189.0, 12.0)])) class="line l0" {}
        circle cx=(number(LEFT + 177.0)) cy="12" r="3" class="dot d0" {}
        (label(LEFT + 195.0, 16.0, Anchor::Start, "key", "open"))
    }
}

fn table(stock: &[Stock]) -> Markup {
    let rows: Vec<Vec<Markup>> = stock
        .iter()
        .map(|week| {
            let count = |number| piece::cell(text::count(number));
            vec![
                piece::cell(&week.week),
                count(week.new),
                count(week.fixed),
                count(week.open),
            ]
        })
        .collect();
    piece::table(
        "Certified tests by week",
        &["week", "new", "mended", "open at its end"],
        &rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_within_the_drawing() {
        let week = |week: &str, new, fixed, open| Stock {
            week: week.to_owned(),
            new,
            fixed,
            open,
        };
        assert!(figure(&[week("2026-W47", 0, 0, 0)]).is_none());
        let figure = figure(&[week("2026-W46", 41, 0, 41), week("2026-W47", 2, 7, 36)]).unwrap();
        let drawn = figure.drawing.into_string();
        assert_eq!(
            drawn.matches("class=\"fill1\"").count(),
            2 + 1,
            "and one in the key"
        );
        assert_eq!(drawn.matches("class=\"striped\"").count(), 1 + 1);
        for part in drawn.split(" height=\"").skip(1) {
            let height: f64 = part.split('"').next().unwrap().parse().unwrap();
            assert!((0.0..=HEIGHT).contains(&height), "{height}");
        }
    }
}
