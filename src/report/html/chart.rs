//! The charts: plain SVG from pure functions, each with a title, a description and its numbers as a table.

mod draw;
mod graph;
mod green;
mod heat;
mod pareto;
pub(super) mod spark;
mod stock;

use maud::{Markup, html};

use crate::report::Digest;

/// A drawing with what it shows in words, and its numbers.
pub(super) struct Figure {
    /// Its place on the page.
    pub(super) id: &'static str,
    /// What it is called.
    pub(super) title: String,
    /// What is seen in it.
    pub(super) about: String,
    /// Width and height of the drawing, in its own units.
    pub(super) size: (f64, f64),
    /// Its elements.
    pub(super) drawing: Markup,
    /// Its numbers.
    pub(super) table: Markup,
}

impl Figure {
    fn markup(&self) -> Markup {
        let (width, height) = self.size;
        let of = |part: &str| format!("{}-{part}", self.id);
        let size = format!("0 0 {} {}", draw::number(width), draw::number(height));
        html! {
            figure id=(self.id) {
                figcaption { h3 id=(of("h")) { (self.title) } p { (self.about) } }
                div.wide role="region" aria-labelledby=(of("h")) tabindex="0" {
                    svg viewBox=(size) width=(draw::number(width)) height=(draw::number(height)) role="img" aria-labelledby=(format!("{} {}", of("t"), of("d"))) {
                        title id=(of("t")) { (self.title) }
                        desc id=(of("d")) { (self.about) }
                        (self.drawing)
                    }
                }
                details.numbers { summary { "Numbers" } div.wide role="region" aria-label=(format!("Numbers: {}", self.title)) tabindex="0" { (self.table) } }
            }
        }
    }
}

/// The section with every chart that has something to show.
pub(super) fn section(digest: &Digest) -> Markup {
    let figures = [
        green::figure(&digest.green.weeks, green::Span::Week),
        green::figure(&digest.green.nights, green::Span::Night),
        pareto::figure(digest),
        stock::figure(&digest.stock),
        heat::figure(digest),
        graph::figure(digest),
    ];
    html! {
        section #charts aria-labelledby="charts-h" {
            h2 #charts-h { "Charts" }
            (draw::patterns())
            div.figures { @for figure in figures.into_iter().flatten() { (figure.markup()) } }
        }
    }
}
