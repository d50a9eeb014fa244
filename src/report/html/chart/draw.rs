//! What the drawings are made of: numbers, lines of text, scales, patterns. Colours are classes of the style.

use maud::{Markup, html};

/// Returns a coordinate with at most one decimal.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// Which end of a text stands at its place.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of text at a place.
pub(super) fn label(x: f64, y: f64, anchor: Anchor, class: &str, content: &str) -> Markup {
    let anchor = match anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    html! { text x=(number(x)) y=(number(y)) text-anchor=(anchor) class=(class) { (content) } }
}

/// A straight line.
pub(super) fn line(from: (f64, f64), to: (f64, f64), class: &str) -> Markup {
    html! { line x1=(number(from.0)) y1=(number(from.1)) x2=(number(to.0)) y2=(number(to.1)) class=(class) {} }
}

/// A rectangle.
pub(super) fn rect(at: (f64, f64), size: (f64, f64), class: &str) -> Markup {
    html! { rect x=(number(at.0)) y=(number(at.1)) width=(number(size.0)) height=(number(size.1)) class=(class) {} }
}

/// Returns the path through some points.
pub(super) fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (place, (x, y)) in points.iter().enumerate() {
        path.push(if place == 0 { 'M' } else { 'L' });
        path.push_str(&number(*x));
        path.push(' ');
        path.push_str(&number(*y));
    }
    path
}

/// A scale from a range of values to a range of places, either of which may run backwards.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) values: (f64, f64),
    pub(super) places: (f64, f64),
}

impl Scale {
    pub(super) fn at(&self, value: f64) -> f64 {
        let span = self.values.1 - self.values.0;
        let part = if span == 0.0 {
            0.0
        } else {
            (value - self.values.0) / span
        };
        self.places.0 + part * (self.places.1 - self.places.0)
    }
}

/// Returns a step that cuts a length into at most five parts: 1, 2 or 5 times a power of ten, at least 1.
pub(super) fn step(length: f64) -> f64 {
    let mut power = 1.0;
    loop {
        for times in [1.0, 2.0, 5.0] {
            if length / (times * power) <= 5.0 {
                return times * power;
            }
        }
        power *= 10.0;
    }
}

/// Returns a count as a place or a length.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a report stay far below 2^53"
)]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

/// Returns a week without its year: `W47`.
pub(super) fn short_week(label: &str) -> &str {
    label.split_once('-').map_or(label, |(_, week)| week)
}

/// Returns a day without its year: `11-20` of `2026-11-20`.
pub(super) fn short_day(label: &str) -> &str {
    label.split_once('-').map_or(label, |(_, day)| day)
}

/// The hatchings that tell areas apart without colour; every drawing refers to them.
pub(super) fn patterns() -> Markup {
    html! {
        svg.defs width="0" height="0" aria-hidden="true" {
            title { "Patterns" }
            desc { "Hatchings of the charts" }
            defs {
                pattern #hatch width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    line x1="0" y1="0" x2="0" y2="6" class="hatch" {}
                }
                pattern #stripe width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)" {
                    rect width="5" height="5" class="stripe-b" {}
                    line x1="0" y1="0" x2="0" y2="5" class="stripe" {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, shown) in [
            (0.0, "0"),
            (-0.04, "0"),
            (12.0, "12"),
            (12.34, "12.3"),
            (-3.55, "-3.5"),
        ] {
            assert_eq!(number(value), shown, "{value}");
        }
        assert_eq!(path(&[(0.0, 1.0), (2.5, 3.0)]), "M0 1L2.5 3");
    }

    #[test]
    fn scales_run_both_ways_and_take_an_empty_range() {
        let scale = Scale {
            values: (0.0, 10.0),
            places: (100.0, 0.0),
        };
        assert_eq!(
            [0.0, 5.0, 10.0].map(|value| number(scale.at(value))),
            ["100", "50", "0"]
        );
        let empty = Scale {
            values: (3.0, 3.0),
            places: (0.0, 9.0),
        };
        assert_eq!(number(empty.at(3.0)), "0");
    }

    #[test]
    fn steps_cut_any_length_into_five_parts_at_most() {
        let steps = [1.0, 5.0, 6.0, 11.0, 26.0, 51.0, 260.0].map(|length| number(step(length)));
        assert_eq!(steps, ["1", "1", "2", "5", "10", "20", "100"]);
    }
}
