//! Little bars for a trend of twelve weeks; the numbers stand in the description.

use maud::{Markup, html};

use super::draw::{number, real};
use crate::model::Count;
use crate::report::sentence::per_1000;

const BAR: f64 = 6.0;
const STEP: f64 = 7.0;
const HEIGHT: f64 = 24.0;

/// Shares of red runs per 1,000, by week.
pub(in crate::report::html) fn shares(weekly: &[f64]) -> Markup {
    let values: Vec<Option<f64>> = weekly.iter().copied().map(Some).collect();
    let words: Vec<String> = weekly.iter().map(|share| per_1000(*share)).collect();
    bars("Share of 1,000 runs by week", &values, &words)
}

/// Failure rates by week; a gap where it did not run.
pub(in crate::report::html) fn rates(weekly: &[Count]) -> Markup {
    let rate =
        |count: &Count| (count.trials > 0).then(|| real(count.failures) / real(count.trials));
    let values: Vec<Option<f64>> = weekly.iter().map(rate).collect();
    let words: Vec<String> = weekly
        .iter()
        .map(|count| format!("{}/{}", count.failures, count.trials))
        .collect();
    bars("Failures by week", &values, &words)
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
            desc { "Oldest first: " (words.join(", ")) }
            @if !bars.is_empty() { path d=(bars) class="bar" {} }
            @if !base.is_empty() { path d=(base) class="base" {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_without_a_run_is_empty_and_one_without_a_failure_is_a_line() {
        let count = |failures, trials| Count { failures, trials };
        let drawn = rates(&[count(0, 0), count(0, 10), count(5, 10)]).into_string();
        assert!(
            drawn.contains("<path d=\"M14 0h6v24h-6z\" class=\"bar\">"),
            "{drawn}"
        );
        assert!(
            drawn.contains("<path d=\"M7 24h6\" class=\"base\">"),
            "{drawn}"
        );
        assert!(drawn.contains("Oldest first: 0/0, 0/10, 5/10"), "{drawn}");
    }

    #[test]
    fn nothing_at_all_is_no_division_by_zero() {
        let drawn = shares(&[0.0; 12]).into_string();
        assert!(
            !drawn.contains("NaN") && !drawn.contains("class=\"bar\""),
            "{drawn}"
        );
    }
}
