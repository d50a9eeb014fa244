//! What the bench prints: lines, medians, intervals.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench answers on standard output, and tells on standard error how far it is"
)]

/// Prints a line.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Says how far it is.
pub(crate) fn progress(text: &str) {
    eprintln!("{text}");
}

/// Mean, median and 90 % quantile, as the tables show them; a dash where there is nothing.
pub(crate) fn summary(values: &[f64]) -> String {
    if values.is_empty() {
        return "-".to_owned();
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    format!(
        "{mean:.0} / {:.0} / {:.0}",
        quantile(values, 0.5),
        quantile(values, 0.9)
    )
}

/// The value below which this share of the values lies; NaN where there is none.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(place.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}
