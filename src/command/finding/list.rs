//! Many flags as tables: the certified first, one row per cause; what is merely suspected and what needs no
//! action apart.

use super::{Certainty, Found, Names, NoAction, words};
use crate::{
    model::{Flag, Role, TestId},
    report::{
        cause::{self, Grouped},
        sentence,
    },
    stats,
    ui::{Column, escape, table, text},
};

/// Rows and tokens of one table that are shown without `--all`.
const SHOWN: usize = 20;

/// How much of the flags is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command) enum Extent {
    /// The first rows, victims of one cause as one.
    Short,
    /// So many rows.
    At(usize),
    /// Every test.
    All,
}

impl Extent {
    fn rows(self) -> usize {
        match self {
            Self::Short => SHOWN,
            Self::At(rows) => rows,
            Self::All => usize::MAX,
        }
    }
}

/// What one row speaks of.
#[derive(Debug, PartialEq)]
enum Cause<'a> {
    /// A test with a cause of its own.
    One(&'a Found),
    /// Tests that one group makes fail (or pass).
    Shared {
        role: Role,
        members: &'a [TestId],
        victims: Vec<&'a Found>,
    },
}

impl Cause<'_> {
    fn failures(&self) -> u64 {
        match self {
            Self::One(found) => found.flag.soak.failures,
            Self::Shared { victims, .. } => {
                victims.iter().map(|found| found.flag.soak.failures).sum()
            }
        }
    }

    /// Its share of the red natural runs, per 1,000 runs; `None` until there are enough of them.
    fn fragility(&self) -> Option<f64> {
        let share = |found: &Found| Some(found.fragility?.per_1000);
        match self {
            Self::One(found) => share(found),
            Self::Shared { victims, .. } => victims.iter().map(|found| share(found)).sum(),
        }
    }

    /// How many tests it is about.
    fn tests(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Shared { victims, .. } => victims.len(),
        }
    }

    /// The flag whose token stands for the cause.
    fn example(&self) -> &Found {
        match self {
            Self::One(found) => found,
            Self::Shared { victims, .. } => victims[0],
        }
    }
}

/// Returns the lines of a list of flags.
pub(in crate::command) fn lines(
    found: &[Found],
    names: &Names<'_>,
    columns: usize,
    extent: Extent,
) -> Vec<String> {
    let of = |wanted: fn(&Found) -> bool| -> Vec<&Found> {
        found.iter().filter(|found| wanted(found)).collect()
    };
    let open = of(Found::needs_action);
    let suspected = of(|found| is(found, Certainty::Suspected));
    let unexplained = of(|found| is(found, Certainty::Open));
    let fixed = of(|found| found.no_action == Some(NoAction::Fixed));
    let closed = of(|found| found.no_action.is_some_and(|why| why != NoAction::Fixed));
    let mut lines = Vec::new();
    if !open.is_empty() {
        let causes = by_cause(&open);
        lines.push(format!("certified: {}", counted(&causes)));
        lines.extend(certified(&causes, names, columns, extent));
    }
    for (title, some) in [
        (
            "suspected: order or environment matters, no cause certified; may vanish",
            &suspected,
        ),
        ("not explained yet", &unexplained),
    ] {
        if !some.is_empty() {
            apart(&mut lines);
            lines.push(format!(
                "{title}: {}",
                text::plural(some.len() as u64, "test")
            ));
            lines.extend(plain(some, columns, extent));
        }
    }
    if !fixed.is_empty() {
        apart(&mut lines);
        lines.push(format!(
            "fixed: {}, no action needed; `show` has the evidence",
            text::plural(fixed.len() as u64, "test")
        ));
        lines.extend(mended(&fixed, columns, extent));
    }
    if !closed.is_empty() {
        apart(&mut lines);
        lines.push(format!(
            "no action needed: {}",
            text::plural(closed.len() as u64, "flag")
        ));
        lines.extend(no_action(&closed, columns, extent));
    }
    lines
}

/// Sets what follows apart from what is above it.
fn apart(lines: &mut Vec<String>) {
    if !lines.is_empty() {
        lines.push(String::new());
    }
}

fn is(found: &Found, certainty: Certainty) -> bool {
    found.certainty() == certainty && found.no_action.is_none()
}

/// Puts tests together that one group makes fail, most failures first.
fn by_cause<'a>(found: &[&'a Found]) -> Vec<Cause<'a>> {
    let flags: Vec<&'a Flag> = found.iter().map(|one| &one.flag).collect();
    let grouped = cause::by_cause(&flags).into_iter();
    let mut causes: Vec<Cause<'a>> = grouped
        .map(|grouped| match grouped {
            Grouped::One(place) => Cause::One(found[place]),
            Grouped::Shared {
                role,
                members,
                victims,
            } => {
                let mut victims: Vec<&'a Found> = victims.iter().map(|at| found[*at]).collect();
                victims.sort_by_key(|one| (std::cmp::Reverse(one.flag.soak.failures), one.name()));
                Cause::Shared {
                    role,
                    members,
                    victims,
                }
            }
        })
        .collect();
    causes.sort_by(|a, b| {
        let share = |cause: &Cause<'_>| cause.fragility().unwrap_or(0.0);
        let always = |cause: &Cause<'_>| cause.example().always_fails();
        (always(a).cmp(&always(b)))
            .then(share(b).total_cmp(&share(a)))
            .then(b.failures().cmp(&a.failures()))
            .then_with(|| a.example().name().cmp(&b.example().name()))
    });
    causes
}

/// Counts flaky tests with their causes; what always fails is not flaky, and counted apart.
fn counted(causes: &[Cause<'_>]) -> String {
    let always = causes
        .iter()
        .filter(|cause| cause.example().always_fails())
        .count();
    let flaky: usize = causes.iter().map(Cause::tests).sum::<usize>() - always;
    let mut parts = Vec::new();
    if flaky > 0 {
        parts.push(format!(
            "{}, {}",
            text::plural(flaky as u64, "flaky test"),
            text::plural((causes.len() - always) as u64, "cause"),
        ));
    }
    if always > 0 {
        parts.push(format!(
            "{} broken from the start",
            text::plural(always as u64, "test")
        ));
    }
    parts.join("; ")
}

const CERTIFIED: [Column; 6] = [
    Column::Number("of 1,000"),
    Column::Word("verdict"),
    Column::Word("handle"),
    Column::Number("fails/runs"),
    Column::Word("cause"),
    Column::Name("test"),
];

fn certified(
    causes: &[Cause<'_>],
    names: &Names<'_>,
    columns: usize,
    extent: Extent,
) -> Vec<String> {
    let mut rows = Vec::new();
    let mut tokens = Vec::new();
    let shown = extent.rows();
    for cause in causes.iter().take(shown) {
        match cause {
            Cause::One(found) => {
                rows.push(row(found, names));
                tokens.extend(token(found));
            }
            Cause::Shared {
                role,
                members,
                victims,
            } => {
                let share = per_1000(cause.fragility());
                rows.push([vec![share], shared(*role, members, victims, names)].concat());
                if extent == Extent::All {
                    rows.extend(victims.iter().map(|found| row(found, names)));
                    tokens.extend(victims.iter().filter_map(|found| token(found)));
                } else {
                    tokens.extend(token(victims[0]));
                }
            }
        }
    }
    // Until there are enough natural runs nobody knows a share.
    let known = causes.iter().any(|cause| cause.fragility().is_some());
    let from = usize::from(!known);
    for row in &mut rows {
        row.drain(..from);
    }
    let mut lines = vec![
        table(&CERTIFIED[from..], &rows, columns)
            .trim_end()
            .to_owned(),
    ];
    if causes.len() > shown {
        lines.push(format!(
            "… {} more: `--all` shows them",
            text::plural((causes.len() - shown) as u64, "cause")
        ));
    }
    if known {
        lines.push(
            "of 1,000: its share of the red runs among 1,000 full runs in your CI's order".into(),
        );
    }
    if !tokens.is_empty() {
        lines.push(
            "each fails at least once with 95 % in so many runs of `soakhound replay`:".into(),
        );
        lines.extend(tokens);
    }
    lines
}

fn row(found: &Found, names: &Names<'_>) -> Vec<String> {
    vec![
        per_1000(found.fragility.map(|share| share.per_1000)),
        found.flag.verdict.word().to_owned(),
        found.handle.clone().unwrap_or_default(),
        fails(found),
        words::cause(&found.flag, names),
        mark_new(found),
    ]
}

/// Red natural runs among 1,000 that are its fault.
fn per_1000(share: Option<f64>) -> String {
    share.map_or_else(String::new, sentence::per_1000)
}

/// The name, with a mark where the flag is new.
fn mark_new(found: &Found) -> String {
    let mark = if found.is_new { "NEW " } else { "" };
    format!("{mark}{}", found.name())
}

fn fails(found: &Found) -> String {
    let soak = found.flag.soak;
    format!(
        "{}/{}",
        text::count(soak.failures),
        text::count(soak.trials)
    )
}

/// The row of a cause with several victims: it names the cause.
fn shared(role: Role, members: &[TestId], victims: &[&Found], names: &Names<'_>) -> Vec<String> {
    let handles: Vec<String> = members.iter().map(|test| names.handle(test)).collect();
    let all: Vec<String> = members
        .iter()
        .map(|test| escape::terminal(test.as_bytes()))
        .collect();
    vec![
        victims[0].flag.verdict.word().to_owned(),
        handles.join("+"),
        text::plural(victims.len() as u64, "victim"),
        role.word().to_owned(),
        all.join(" and "),
    ]
}

/// What replays a flag: handle, how often, token.
fn token(found: &Found) -> Option<String> {
    let recipe = found.flag.recipe.as_ref()?;
    Some(format!(
        "{:<8} {:>5}  {}",
        found.handle.as_deref()?,
        format!("{}x", text::count(recipe.repeat.into())),
        found.token.as_deref()?
    ))
}

const PLAIN: [Column; 4] = [
    Column::Word("handle"),
    Column::Number("fails/runs"),
    Column::Word("accident"),
    Column::Name("test"),
];

/// Tests without a certified cause: no other test is named.
fn plain(found: &[&Found], columns: usize, extent: Extent) -> Vec<String> {
    let row = |found: &&Found| {
        let accident = found.suspicion.as_ref();
        vec![
            found.handle.clone().unwrap_or_default(),
            fails(found),
            accident.map_or_else(|| "-".to_owned(), |one| words::one_in(one.ln_e)),
            mark_new(found),
        ]
    };
    cut(&PLAIN, found, row, columns, extent)
}

const FIXED: [Column; 5] = [
    Column::Word("verdict"),
    Column::Word("handle"),
    Column::Number("passes since"),
    Column::Number("by accident"),
    Column::Name("test"),
];

fn mended(found: &[&Found], columns: usize, extent: Extent) -> Vec<String> {
    let row = |found: &&Found| {
        let fixed = found.fixed.as_ref();
        vec![
            found.flag.verdict.word().to_owned(),
            found.handle.clone().unwrap_or_default(),
            fixed.map_or_else(String::new, |fixed| text::count(fixed.passes)),
            fixed.map_or_else(String::new, |fixed| {
                sentence::chance(stats::mended(fixed.before, fixed.passes).by_accident)
            }),
            found.name(),
        ]
    };
    cut(&FIXED, found, row, columns, extent)
}

const NO_ACTION: [Column; 4] = [
    Column::Word("verdict"),
    Column::Word("handle"),
    Column::Word("why not"),
    Column::Name("test"),
];

fn no_action(found: &[&Found], columns: usize, extent: Extent) -> Vec<String> {
    let row = |found: &&Found| {
        vec![
            found.flag.verdict.word().to_owned(),
            found.handle.clone().unwrap_or_else(|| "-".to_owned()),
            found
                .no_action
                .map_or("", super::NoAction::meaning)
                .to_owned(),
            found
                .flag
                .test
                .as_ref()
                .map_or_else(String::new, |_| found.name()),
        ]
    };
    cut(&NO_ACTION, found, row, columns, extent)
}

fn cut(
    shape: &[Column],
    found: &[&Found],
    row: impl Fn(&&Found) -> Vec<String>,
    columns: usize,
    extent: Extent,
) -> Vec<String> {
    let shown = extent.rows().min(found.len());
    let rows: Vec<Vec<String>> = found[..shown].iter().map(row).collect();
    let mut lines = vec![table(shape, &rows, columns).trim_end().to_owned()];
    if found.len() > shown {
        lines.push(format!(
            "… {} more: `--all` shows them",
            text::count((found.len() - shown) as u64)
        ));
    }
    lines
}
