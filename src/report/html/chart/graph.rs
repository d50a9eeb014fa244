//! Who makes whom fail, as a graph of two columns: groups on the left, the tests they decide over on the right.

use maud::{Markup, html};

use super::Figure;
use super::draw::{Anchor, label, number, real};
use crate::model::{Count, Role, TestId};
use crate::report::digest::{Digest, Edge};
use crate::report::html::piece;
use crate::report::words;
use crate::ui::text;

/// Groups that are drawn.
const GROUPS: usize = 14;
/// Tests that are drawn per group.
const VICTIMS: usize = 6;
/// Rows of the table.
const ROWS: usize = 60;
const ROW: f64 = 22.0;
const WIDTH: f64 = 640.0;
const LEFT: f64 = 255.0;
const RIGHT: f64 = 385.0;
/// Longest name, in columns.
const COLUMNS: usize = 36;

/// One group with the tests it decides over.
#[derive(Debug, PartialEq)]
struct Bundle<'a> {
    from: &'a [TestId],
    role: Role,
    to: Vec<(usize, Count)>,
}

/// What stands on the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A test, by the place of its card.
    Test(usize),
    /// So many more of a group.
    More(usize),
}

/// Returns the chart; `None` without an edge.
pub(super) fn figure(digest: &Digest) -> Option<Figure> {
    let bundles = bundles(&digest.graph);
    if bundles.is_empty() {
        return None;
    }
    let shown = &bundles[..bundles.len().min(GROUPS)];
    let (ends, arcs) = ends(shown);
    let lefts = lefts(&arcs);
    let lowest = lefts
        .iter()
        .copied()
        .chain([row(ends.len().saturating_sub(1))])
        .fold(0.0, f64::max);
    let left_out = bundles.len() - shown.len();
    let more = match left_out {
        0 => String::new(),
        some => format!(
            " Not drawn: {}.",
            text::plural(some as u64, "smaller group")
        ),
    };
    Some(Figure {
        id: "chart-graph",
        title: "Who makes whom fail".to_owned(),
        about: format!(
            "Certified causes on the left, the tests they decide over on the right: solid where it fails after them, \
             dashed where it needs them first, dotted where they disturb it from elsewhere.{more}"
        ),
        size: (WIDTH, lowest + 14.0),
        drawing: drawing(digest, shown, &ends, &arcs, &lefts),
        table: table(digest),
    })
}

/// Edges by group, the group with the most tests first.
fn bundles(edges: &[Edge]) -> Vec<Bundle<'_>> {
    let mut found: Vec<Bundle<'_>> = Vec::new();
    for edge in edges {
        let one = (edge.to, edge.with);
        match found
            .iter_mut()
            .find(|bundle| bundle.role == edge.role && *bundle.from == *edge.from)
        {
            Some(bundle) => bundle.to.push(one),
            None => found.push(Bundle {
                from: &edge.from,
                role: edge.role,
                to: vec![one],
            }),
        }
    }
    found.sort_by_key(|bundle| std::cmp::Reverse(bundle.to.len()));
    found
}

/// The right column, and which of it belongs to each group.
fn ends(bundles: &[Bundle<'_>]) -> (Vec<End>, Vec<Vec<usize>>) {
    let mut ends: Vec<End> = Vec::new();
    let arcs = bundles
        .iter()
        .map(|bundle| {
            let cut = if bundle.to.len() > VICTIMS {
                VICTIMS - 1
            } else {
                bundle.to.len()
            };
            let tests = bundle.to[..cut].iter().map(|(card, _)| End::Test(*card));
            let more = (bundle.to.len() > cut).then(|| End::More(bundle.to.len() - cut));
            tests
                .chain(more)
                .map(|end| {
                    let known = ends
                        .iter()
                        .position(|one| *one == end && matches!(end, End::Test(_)));
                    known.unwrap_or_else(|| {
                        ends.push(end);
                        ends.len() - 1
                    })
                })
                .collect()
        })
        .collect();
    (ends, arcs)
}

/// Where a row of the right column is.
fn row(place: usize) -> f64 {
    34.0 + ROW * real(place as u64)
}

/// Where each group is: in the middle of its tests, unless another one is there.
fn lefts(arcs: &[Vec<usize>]) -> Vec<f64> {
    let mut lowest = f64::NEG_INFINITY;
    arcs.iter()
        .map(|of| {
            let middle = of.iter().map(|at| row(*at)).sum::<f64>() / real(of.len().max(1) as u64);
            lowest = middle.max(lowest + ROW);
            lowest
        })
        .collect()
}

fn drawing(
    digest: &Digest,
    bundles: &[Bundle<'_>],
    ends: &[End],
    arcs: &[Vec<usize>],
    lefts: &[f64],
) -> Markup {
    html! {
        (label(LEFT, 14.0, Anchor::End, "tick", "cause"))
        (label(RIGHT, 14.0, Anchor::Start, "tick", "test"))
        @for ((bundle, of), y) in bundles.iter().zip(arcs).zip(lefts) {
            @for at in of {
                @let (a, b) = (number(*y), number(row(*at)));
                @let half = f64::midpoint(LEFT, RIGHT);
                path d=(format!("M{} {a}C{half} {a} {half} {b} {} {b}", LEFT + 6.0, RIGHT - 6.0)) class=(kind(bundle.role)) {}
            }
            circle cx=(number(LEFT + 6.0)) cy=(number(*y)) r="3.5" class="dot d1" {}
            (label(LEFT - 2.0, y + 4.0, Anchor::End, "name", &group(bundle.from)))
        }
        @for (place, end) in ends.iter().enumerate() {
            circle cx=(number(RIGHT - 6.0)) cy=(number(row(place))) r="3.5" class="dot d0" {}
            @match end {
                End::Test(card) => {
                    (label(RIGHT + 2.0, row(place) + 4.0, Anchor::Start, "name", &piece::safe_bytes(digest.cards[*card].test.as_bytes(), COLUMNS)))
                }
                End::More(tests) => {
                    (label(RIGHT + 2.0, row(place) + 4.0, Anchor::Start, "key", &format!("+ {} more, see the table", text::count(*tests as u64))))
                }
            }
        }
    }
}

fn kind(role: Role) -> &'static str {
    match role {
        Role::Polluter | Role::Cleaner => "arc",
        Role::StateSetter => "arc needs",
        Role::Neighbour => "arc beside",
    }
}

/// A group by its first member.
fn group(members: &[TestId]) -> String {
    let first = members.first().map_or(&b""[..], TestId::as_bytes);
    match members.len() {
        0 | 1 => piece::safe_bytes(first, COLUMNS),
        some => format!("{} + {}", piece::safe_bytes(first, COLUMNS - 5), some - 1),
    }
}

fn table(digest: &Digest) -> Markup {
    let rows: Vec<Vec<Markup>> = digest
        .graph
        .iter()
        .take(ROWS)
        .map(|edge| {
            vec![
                html! { bdi { (group(&edge.from)) } },
                piece::cell(words::does(edge.role, edge.from.len(), "this test")),
                html! { bdi { (piece::safe_bytes(digest.cards[edge.to].test.as_bytes(), COLUMNS)) } },
                piece::cell(piece::fraction(edge.with)),
            ]
        })
        .collect();
    html! {
        (piece::table("Certified causes and their tests", &["cause", "what it does", "the test", "failures with it"], &rows))
        (piece::more(digest.graph.len(), ROWS, "flags"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: usize) -> Edge {
        Edge {
            from: vec![TestId::new(from).unwrap()],
            role: Role::Polluter,
            to,
            with: Count::default(),
        }
    }

    #[test]
    fn a_group_with_many_tests_is_drawn_with_some_and_says_how_many_more() {
        let mut edges = vec![edge("small", 0)];
        edges.extend((0..41).map(|to| edge("large", to)));
        let bundles = bundles(&edges);
        assert_eq!((bundles[0].to.len(), bundles[1].to.len()), (41, 1));
        let (ends, arcs) = ends(&bundles);
        assert_eq!(
            ends.len(),
            VICTIMS,
            "the test of both groups stands there once"
        );
        assert_eq!(ends[VICTIMS - 1], End::More(41 - (VICTIMS - 1)));
        assert_eq!(arcs, [vec![0, 1, 2, 3, 4, 5], vec![0]]);
        let lefts = lefts(&[vec![0], vec![0], vec![0]]);
        assert!(
            lefts.windows(2).all(|two| two[1] - two[0] >= ROW),
            "groups of one test do not cover each other"
        );
    }
}
