//! Little bars for a trend of twelve weeks; the numbers stand in the description, and in a table beside it.

use maud::{Markup, html};

use super::draw::{number, real, short_week};
use crate::model::Count;
use crate::report::digest::Reliability;
use crate::report::html::piece;
use crate::report::sentence::per_1000;

/// The weeks of the trend by their labels, and what else is known of them.
pub(in crate::report::html) type Weeks = [(String, [Reliability; 2])];

const BAR: f64 = 6.0;
const STEP: f64 = 7.0;
const HEIGHT: f64 = 24.0;

/// Shares of red runs per 1,000, by week; a gap where there was no full run.
pub(in crate::report::html) fn shares(weeks: &Weeks, weekly: &[f64]) -> Markup {
    let ran = weeks
        .iter()
        .map(|(_, both)| both.iter().any(|order| order.runs > 0));
    let values: Vec<Option<f64>> = ran
        .zip(weekly)
        .map(|(ran, share)| ran.then_some(*share))
        .collect();
    let words = values
        .iter()
        .map(|share| share.map_or_else(|| "not run".to_owned(), per_1000));
    bars("Share of 1,000 runs by week", &values, &told(weeks, words))
}

/// Failure rates by week; a gap where it did not run.
pub(in crate::report::html) fn rates(weeks: &Weeks, weekly: &[Count]) -> Markup {
    let rate =
        |count: &Count| (count.trials > 0).then(|| real(count.failures) / real(count.trials));
    let values: Vec<Option<f64>> = weekly.iter().map(rate).collect();
    bars(
        "Failures by week",
        &values,
        &told(weeks, weekly.iter().map(counted)),
    )
}

/// The same rates as a table.
pub(in crate::report::html) fn table(weeks: &Weeks, weekly: &[Count]) -> Markup {
    let heads: Vec<&str> = weeks.iter().map(|(week, _)| short_week(week)).collect();
    let cells: Vec<Markup> = weekly
        .iter()
        .map(|count| piece::cell(counted(count)))
        .collect();
    piece::table("Failures of runs by week", &heads, &[cells])
}

fn counted(count: &Count) -> String {
    match count.trials {
        0 => "not run".to_owned(),
        _ => format!("{}/{}", count.failures, count.trials),
    }
}

/// What every week says.
fn told(weeks: &Weeks, words: impl Iterator<Item = String>) -> Vec<String> {
    let weeks = weeks.iter().map(|(week, _)| short_week(week));
    weeks
        .zip(words)
        .map(|(week, word)| format!("{week} {word}"))
        .collect()
}

fn bars(title: &str, values: &[Option<f64>], words: &[String]) -> Markup {
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let (mut bars, mut base) = (String::new(), String::new());
    for (place, value) in values.iter().enumerate() {
        let x = number(real(place as u64) * STEP);
        match value {
            // A bar that is there must be seen.
            Some(value) if *value > 0.0 => {
                let height = (value / most * HEIGHT).max(2.0);
                bars.extend([
                    format!("M{x} {}", number(HEIGHT - height)),
                    format!("h{BAR}v{}h-{BAR}z", number(height)),
                ]);
            }
            Some(_) => base.extend([format!("M{x} {HEIGHT}h{BAR}")]),
            None => {}
        }
    }
    let width = number(real(values.len() as u64) * STEP);
    html! {
        svg.spark viewBox=(format!("0 -1 {width} {}", HEIGHT + 2.0)) width=(width) height=(HEIGHT + 2.0) role="img" {
            title { (title) }
            desc { (words.join(", ")) }
            @if !bars.is_empty() { path d=(bars) class="bar" {} }
            @if !base.is_empty() { path d=(base) class="base" {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weeks() -> Vec<(String, [Reliability; 2])> {
        let runs = |runs| Reliability {
            runs,
            ..Reliability::default()
        };
        let week = |(label, many): (&str, u64)| (label.to_owned(), [runs(0), runs(many)]);
        [("2026-W45", 0), ("2026-W46", 10), ("2026-W47", 10)]
            .map(week)
            .to_vec()
    }

    #[test]
    fn a_week_without_a_full_run_has_no_share() {
        let drawn = shares(&weeks(), &[0.0, 0.0, 250.0]).into_string();
        assert!(drawn.contains("W45 not run, W46 0, W47 250"), "{drawn}");
        assert!(drawn.contains("d=\"M7 24h6\" class=\"base\""), "{drawn}");
    }

    #[test]
    fn a_week_without_a_run_is_empty_and_one_without_a_failure_is_a_line() {
        let count = |failures, trials| Count { failures, trials };
        let counts = [count(0, 0), count(0, 10), count(5, 10)];
        let drawn = rates(&weeks(), &counts).into_string();
        assert!(
            drawn.contains("<path d=\"M14 0h6v24h-6z\" class=\"bar\">"),
            "{drawn}"
        );
        assert!(
            drawn.contains("<path d=\"M7 24h6\" class=\"base\">"),
            "{drawn}"
        );
        assert!(drawn.contains("W45 not run, W46 0/10, W47 5/10"), "{drawn}");
        let told = table(&weeks(), &counts).into_string();
        assert!(
            told.contains("W47</th>") && told.contains("<td>5/10</td>"),
            "{told}"
        );
    }

    #[test]
    fn nothing_at_all_is_no_division_by_zero() {
        let drawn = shares(&weeks(), &[0.0; 3]).into_string();
        assert!(
            !drawn.contains("NaN") && !drawn.contains("class=\"bar\""),
            "{drawn}"
        );
    }
}
