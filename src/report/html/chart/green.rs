//! Green runs by week, and by night: a line for the CI's own order and one for random orders, with their intervals as bands.

use maud::{Markup, html};

use super::Figure;
use super::draw::{Anchor, Scale, label, line, number, path, real, rect, short_day, short_week};
use crate::report::digest::{ENOUGH, Reliability};
use crate::report::html::piece;
use crate::report::words::percent;
use crate::ui::text;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 52.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 28.0;
/// Names of the two orders.
const ORDERS: [&str; 2] = ["your CI's order", "random order"];

/// What a place of the chart stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Week,
    Night,
}

impl Span {
    fn word(self) -> &'static str {
        match self {
            Self::Week => "week",
            Self::Night => "night",
        }
    }

    /// Returns its label without the year.
    fn short(self, label: &str) -> &str {
        match self {
            Self::Week => short_week(label),
            Self::Night => short_day(label),
        }
    }

    /// Returns where the chart is, and what it is called.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Week => ("chart-green", "How often a full run is green"),
            Self::Night => ("chart-nights", "Green runs, night by night"),
        }
    }
}

/// Returns the chart; `None` without a complete run.
pub(super) fn figure(weeks: &[(String, [Reliability; 2])], span: Span) -> Option<Figure> {
    let seen = weeks
        .iter()
        .flat_map(|(_, both)| both)
        .filter(|one| one.runs > 0);
    let lowest = seen.map(|one| one.interval.0).reduce(f64::min)?;
    // Where everything is nearly green, the whole range would show a flat line.
    let (floor, step) = if lowest >= 0.5 {
        ((lowest * 10.0).floor() / 10.0, 0.1)
    } else {
        (0.0, 0.25)
    };
    let y = Scale {
        values: (floor.min(0.9), 1.0),
        places: (HEIGHT - BOTTOM, TOP),
    };
    let x = |week: usize| {
        let one = (WIDTH - LEFT - RIGHT) / real(weeks.len() as u64);
        LEFT + one * (real(week as u64) + 0.5)
    };
    let (id, title) = span.place();
    Some(Figure {
        id,
        title: title.to_owned(),
        about: format!(
            "By {}: solid with dots is your CI's order, dashed with squares random order; bands are 95 % intervals, \
             hollow marks have fewer than {ENOUGH} runs, gaps had none. Where it is hatched, no full run of either order \
             was made.",
            span.word()
        ),
        size: (WIDTH, HEIGHT),
        drawing: html! {
            (unseen(weeks))
            (axes(weeks, span, y, step, x))
            @for order in [1, 0] {
                @let of: Vec<Option<Reliability>> = weeks.iter().map(|(_, both)| Some(both[order]).filter(|one| one.runs > 0)).collect();
                (series(&of, order, y, x))
            }
            (legend(weeks, y))
        },
        table: table(weeks, span),
    })
}

/// Hatches the places where nothing was run.
fn unseen(weeks: &[(String, [Reliability; 2])]) -> Markup {
    let one = (WIDTH - LEFT - RIGHT) / real(weeks.len() as u64);
    let empty = |both: &[Reliability; 2]| both.iter().all(|order| order.runs == 0);
    let places: Vec<Option<()>> = weeks
        .iter()
        .map(|(_, both)| empty(both).then_some(()))
        .collect();
    html! {
        @for (from, to) in stretches(&places) {
            @let (x, wide) = (LEFT + one * real(from as u64), one * real((to - from) as u64));
            (rect((x, TOP), (wide, HEIGHT - BOTTOM - TOP), "hatched unrun"))
        }
    }
}

fn axes(
    weeks: &[(String, [Reliability; 2])],
    span: Span,
    y: Scale,
    step: f64,
    x: impl Fn(usize) -> f64,
) -> Markup {
    let mut ticks = Vec::new();
    let mut tick = 1.0;
    while tick > y.values.0 - 1e-9 {
        ticks.push(tick);
        tick -= step;
    }
    html! {
        @for tick in ticks {
            (line((LEFT, y.at(tick)), (WIDTH - RIGHT, y.at(tick)), "grid"))
            (label(LEFT - 6.0, y.at(tick) + 4.0, Anchor::End, "tick", &format!("{:.0} %", tick * 100.0)))
        }
        // Labels of more places than this would run into each other.
        @let every = weeks.len().div_ceil(14);
        @for (at, (week, _)) in weeks.iter().enumerate().filter(|(at, _)| at.is_multiple_of(every)) {
            (label(x(at), HEIGHT - 8.0, Anchor::Middle, "tick", span.short(week)))
        }
    }
}

/// Runs of places without a gap: places of the first and behind the last.
fn stretches<T>(values: &[Option<T>]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = None;
    for (at, value) in values.iter().enumerate() {
        match (value.is_some(), from) {
            (true, None) => from = Some(at),
            (false, Some(start)) => {
                found.push((start, at));
                from = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    found.extend(from.map(|start| (start, values.len())));
    found
}

fn series(of: &[Option<Reliability>], order: usize, y: Scale, x: impl Fn(usize) -> f64) -> Markup {
    let shift = [-2.0, 2.0][order];
    let class = |part: &str| format!("{part}{order}");
    let stretches = stretches(of);
    let points =
        |value: &dyn Fn(&Reliability) -> f64, (from, to): (usize, usize)| -> Vec<(f64, f64)> {
            (from..to)
                .filter_map(|at| Some((x(at) + shift, y.at(value(of[at].as_ref()?)))))
                .collect()
        };
    let rate = |one: &Reliability| one.rate().unwrap_or(0.0);
    html! {
        @for &stretch in &stretches {
            @if stretch.1 - stretch.0 > 1 {
                @let lower: Vec<(f64, f64)> = points(&|one| one.interval.0, stretch).into_iter().rev().collect();
                @let band = [points(&|one| one.interval.1, stretch), lower].concat();
                path d=(path(&band) + "Z") class=(class("band b")) {}
            } @else {
                @let ends = [points(&|one| one.interval.0, stretch), points(&|one| one.interval.1, stretch)].concat();
                path d=(path(&ends)) class=(class("line l")) {}
            }
        }
        @for &stretch in &stretches {
            path d=(path(&points(&rate, stretch))) class=(class("line l")) {}
        }
        @for (at, one) in of.iter().enumerate() {
            @if let Some(one) = one {
                @let class = if one.is_enough() { class("dot d") } else { class("hollow l") };
                (mark((x(at) + shift, y.at(rate(one))), order, &class))
            }
        }
    }
}

/// A dot for the CI's order, a square for random ones.
fn mark(at: (f64, f64), order: usize, class: &str) -> Markup {
    html! {
        @if order == 0 {
            circle cx=(number(at.0)) cy=(number(at.1)) r="3.6" class=(class) {}
        } @else {
            (rect((at.0 - 3.2, at.1 - 3.2), (6.4, 6.4), class))
        }
    }
}

fn legend(weeks: &[(String, [Reliability; 2])], y: Scale) -> Markup {
    let last = |order: usize| {
        weeks
            .last()
            .and_then(|(_, both)| both[order].rate().filter(|_| both[order].is_enough()))
    };
    let mut ends: Vec<(f64, f64)> = [0, 1]
        .into_iter()
        .filter_map(|order| last(order).map(|rate| (y.at(rate) + 4.0, rate)))
        .collect();
    // Numbers at the end keep a line's distance from each other.
    if let [a, b] = &mut *ends {
        let (middle, near) = (f64::midpoint(a.0, b.0), (a.0 - b.0).abs() < 13.0);
        if near {
            let up = if a.0 <= b.0 { 6.5 } else { -6.5 };
            a.0 = middle - up;
            b.0 = middle + up;
        }
    }
    html! {
        @for (order, name) in ORDERS.iter().enumerate() {
            @let at = LEFT + 150.0 * real(order as u64);
            path d=(path(&[(at, 12.0), (at + 24.0, 12.0)])) class=(format!("line l{order}")) {}
            (mark((at + 12.0, 12.0), order, &format!("dot d{order}")))
            (label(at + 30.0, 16.0, Anchor::Start, "key", name))
        }
        @for (at, rate) in ends { (label(WIDTH - RIGHT + 2.0, at, Anchor::Start, "key", &percent(rate))) }
    }
}

fn table(weeks: &[(String, [Reliability; 2])], span: Span) -> Markup {
    let shown = |one: &Reliability| match one.rate() {
        Some(rate) => piece::cell(format!(
            "{} ({}), {} of {}",
            percent(rate),
            piece::range(one.interval),
            text::count(one.green),
            text::count(one.runs)
        )),
        None => piece::cell("not run"),
    };
    let rows: Vec<Vec<Markup>> = weeks
        .iter()
        .map(|(week, both)| vec![piece::cell(week), shown(&both[0]), shown(&both[1])])
        .collect();
    piece::table(
        &format!("Green runs by {}, with 95 % intervals", span.word()),
        &[span.word(), ORDERS[0], ORDERS[1]],
        &rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(label: &str, natural: (u64, u64), shuffled: (u64, u64)) -> (String, [Reliability; 2]) {
        let one = |(green, runs)| Reliability {
            runs,
            green,
            interval: if runs > 0 { (0.7, 0.99) } else { (0.0, 1.0) },
        };
        (label.to_owned(), [one(natural), one(shuffled)])
    }

    #[test]
    fn without_runs_there_is_no_chart() {
        assert!(figure(&[week("2026-W46", (0, 0), (0, 0))], Span::Week).is_none());
    }

    #[test]
    fn a_week_without_runs_leaves_a_gap() {
        assert_eq!(
            stretches(&[Some(1), None, Some(1), Some(1), None]),
            [(0, 1), (2, 4)]
        );
        let weeks = [
            week("2026-W44", (90, 100), (0, 0)),
            week("2026-W45", (0, 0), (0, 0)),
            week("2026-W46", (90, 100), (5, 10)),
            week("2026-W47", (95, 100), (8, 10)),
        ];
        let drawn = figure(&weeks, Span::Week).unwrap().drawing.into_string();
        // One band each from the two last weeks; the first week has a whisker.
        assert_eq!(drawn.matches("class=\"band b").count(), 2);
        assert_eq!(
            drawn.matches("class=\"dot d0\"").count(),
            1 + 3,
            "the key has one, too"
        );
        assert_eq!(
            drawn.matches("class=\"hollow l1\"").count(),
            2,
            "ten runs are too few"
        );
        assert_eq!(drawn.matches("class=\"hatched unrun\"").count(), 1, "W45");
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
    }

    #[test]
    fn a_night_without_a_run_is_hatched_and_says_so_in_the_table() {
        let nights = [
            week("2026-11-16", (40, 40), (9, 10)),
            week("2026-11-17", (0, 0), (0, 0)),
        ];
        let figure = figure(&nights, Span::Night).unwrap();
        let (drawn, told) = (figure.drawing.into_string(), figure.table.into_string());
        assert_eq!(drawn.matches("class=\"hatched unrun\"").count(), 1);
        assert!(drawn.contains(">11-17</text>"), "{drawn}");
        assert_eq!(told.matches("not run").count(), 2, "{told}");
        assert!(told.contains("90 % ("), "{told}");
    }
}
