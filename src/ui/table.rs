//! Tables that fit their width: names give way in the middle, everything else stays whole. Pure.

use comfy_table::{CellAlignment, ContentArrangement, Table, TableStyle};

use super::text::{elide_middle, width};

/// The least columns that a name keeps, however narrow the terminal: both ends stay recognisable.
const LEAST_NAME: usize = 12;

/// How one column behaves; the text is its title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Whole, to the left: handles, words, tokens.
    Word(&'static str),
    /// Whole, to the right: counts and times.
    Number(&'static str),
    /// Cut in the middle when the table would be too wide: names of tests, paths.
    Name(&'static str),
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Word(title) | Self::Number(title) | Self::Name(title) => title,
        }
    }
}

/// Returns the rows as lines without trailing spaces, below one line of titles, in at most `columns` columns
/// as far as the whole cells allow. Cells must be escaped already; missing ones are empty.
#[must_use]
pub fn table(shape: &[Column], rows: &[Vec<String>], columns: usize) -> String {
    let widest = |at: usize| {
        rows.iter()
            .filter_map(|row| row.get(at))
            .map(|cell| width(cell))
            .chain([width(shape[at].title())])
            .max()
            .unwrap_or(0)
    };
    let natural: Vec<usize> = (0..shape.len()).map(widest).collect();
    let allowed = allowances(shape, &natural, columns);

    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(shape.iter().map(|column| column.title()));
    for row in rows {
        let cells = allowed.iter().enumerate().map(|(at, allowed)| {
            let cell = row.get(at).map_or("", String::as_str);
            elide_middle(cell, *allowed)
        });
        table.add_row(cells.collect::<Vec<_>>());
    }
    for (at, column) in shape.iter().enumerate() {
        let last = at + 1 == shape.len();
        let Some(drawn) = table.column_mut(at) else {
            continue;
        };
        drawn.set_padding((0, if last { 0 } else { GAP }));
        if matches!(column, Column::Number(_)) {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Spaces between two columns.
const GAP: u16 = 2;

/// Returns the columns that each cell may take: the names share what the whole columns leave, narrow ones first.
fn allowances(shape: &[Column], natural: &[usize], columns: usize) -> Vec<usize> {
    let is_name = |at: &usize| matches!(shape[*at], Column::Name(_));
    let whole: usize = (0..shape.len())
        .filter(|at| !is_name(at))
        .map(|at| natural[at])
        .sum();
    let gaps = usize::from(GAP) * shape.len().saturating_sub(1);
    let mut left = columns.saturating_sub(whole + gaps);
    let mut names: Vec<usize> = (0..shape.len()).filter(is_name).collect();
    names.sort_by_key(|at| natural[*at]);
    let mut allowed = natural.to_vec();
    let mut waiting = names.len();
    for at in names {
        allowed[at] = natural[at].min((left / waiting).max(LEAST_NAME));
        left = left.saturating_sub(allowed[at]);
        waiting -= 1;
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(names: &[&str]) -> Vec<Vec<String>> {
        names
            .iter()
            .map(|name| vec!["7k3q9m".to_owned(), (*name).to_owned(), "1,088".to_owned()])
            .collect()
    }
    const SHAPE: [Column; 3] = [
        Column::Word("handle"),
        Column::Name("test"),
        Column::Number("fails"),
    ];

    #[test]
    fn table_cuts_names_and_never_handles_or_counts() {
        let long = "tests/ledger/sync/test_reconnect.py::TestAfterDrop::test_reconnect_after_drop[param-1]";
        let shown = table(&SHAPE, &rows(&[long, "short"]), 60);
        for line in shown.lines() {
            assert!(width(line) <= 60, "{line:?}");
            assert_eq!(line, line.trim_end());
        }
        assert!(
            shown.contains("7k3q9m") && shown.contains("1,088") && shown.contains("..."),
            "{shown}"
        );
    }

    #[test]
    fn table_aligns_numbers_to_the_right() {
        let shown = table(
            &SHAPE,
            &[vec!["a".to_owned(), "b".to_owned(), "7".to_owned()]],
            80,
        );
        assert_eq!(shown, "handle  test  fails\na       b         7");
    }

    #[test]
    fn table_of_a_narrow_terminal_keeps_names_recognisable() {
        let shown = table(&SHAPE, &rows(&["tests/test_a.py::test_something_long"]), 5);
        assert!(shown.contains("test..._long"), "{shown}");
    }

    #[test]
    fn table_without_rows_is_its_titles() {
        assert_eq!(table(&SHAPE, &[], 80), "handle  test  fails");
    }
}
