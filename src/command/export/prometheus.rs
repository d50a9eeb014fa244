//! Figures in Prometheus' text format, for a textfile collector: of the whole suite, never of one test.

use std::fmt::Write as _;

use super::listing::Figures;
use crate::model::{Outcome, Verdict};

/// The states of a canary.
const CANARY: [&str; 3] = ["waiting", "green", "red"];

/// The document so far.
struct Text {
    text: String,
    /// The label that every sample has.
    suite: String,
}

impl Text {
    /// Adds a metric; a label of each sample is its name and its value.
    fn metric(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Option<(&'static str, String)>, f64)>,
    ) {
        let suite = self.suite.clone();
        let mut line = |line: std::fmt::Arguments<'_>| {
            self.text.write_fmt(line).expect("a string takes all");
        };
        line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (label, value) in samples {
            let label = label.map_or_else(String::new, |(name, value)| {
                format!(",{name}=\"{}\"", escaped(&value))
            });
            line(format_args!("{name}{{suite=\"{suite}\"{label}}} {value}\n"));
        }
    }

    /// Adds a metric of one sample.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.metric(name, kind, help, [(None, value)]);
    }
}

/// Returns the figures of a suite.
#[expect(
    clippy::cast_precision_loss,
    reason = "the format knows no other numbers"
)]
pub(super) fn render(suite: &str, figures: &Figures) -> String {
    let mut text = Text {
        text: String::new(),
        suite: escaped(suite),
    };
    let outcomes = Outcome::ALL.iter().map(|outcome| {
        let label = ("outcome", outcome.word().to_owned());
        (Some(label), figures.outcomes.of(*outcome) as f64)
    });
    text.metric(
        "soakhound_outcomes_total",
        "counter",
        "Outcomes of tests in all hunts, without those of probes.",
        outcomes,
    );
    let open = Verdict::ALL.iter().map(|verdict| {
        let count = figures.open.get(verdict).copied().unwrap_or_default();
        (Some(("verdict", verdict.word().to_owned())), count as f64)
    });
    text.metric(
        "soakhound_flags_open",
        "gauge",
        "Certified flags that need action.",
        open,
    );
    text.one(
        "soakhound_iterations_total",
        "counter",
        "Complete passes of the suite in all hunts.",
        figures.iterations as f64,
    );
    let state = |state: &str, count: u64| (Some(("state", state.to_owned())), count as f64);
    text.metric(
        "soakhound_shards_total",
        "counter",
        "Closed shards of all hunts.",
        [
            state("finished", figures.finished),
            state("abandoned", figures.abandoned),
        ],
    );
    text.one(
        "soakhound_attempts_total",
        "counter",
        "Attempts to certify; expect at most a thousandth of them to be false certificates.",
        figures.attempts as f64,
    );
    let ratios = ["natural", "shuffled"].into_iter().zip(figures.green);
    let ratios: Vec<_> = ratios
        .filter(|(_, (_, runs))| *runs > 0)
        .map(|(order, (green, runs))| {
            (
                Some(("order", order.to_owned())),
                green as f64 / runs as f64,
            )
        })
        .collect();
    if !ratios.is_empty() {
        text.metric(
            "soakhound_suite_green_ratio",
            "gauge",
            "Full runs without a failure, of all in the CI's own order, and of all in random orders.",
            ratios,
        );
    }
    if let Some(canary) = &figures.canary {
        let states = CANARY.map(|state| {
            let now = if canary == state { 1.0 } else { 0.0 };
            (Some(("state", state.to_owned())), now)
        });
        text.metric(
            "soakhound_canary",
            "gauge",
            "1 for the state of the planted canary; red: do not trust what was not found.",
            states,
        );
    }
    if let Some(last) = figures.last_commit {
        text.one(
            "soakhound_last_commit_timestamp_seconds",
            "gauge",
            "When a hunt last wrote to the database.",
            last.0 as f64 / 1000.0,
        );
    }
    text.one(
        "soakhound_database_bytes",
        "gauge",
        "Size of the database with its write-ahead log.",
        figures.bytes as f64,
    );
    text.text
}

/// Escapes the value of a label.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{model::UnixMillis, store::OutcomeCounts};

    #[test]
    fn every_sample_has_its_type_and_labels_are_closed() {
        let mut outcomes = OutcomeCounts::default();
        outcomes.add(Outcome::Failed, 7);
        let figures = Figures {
            outcomes,
            open: BTreeMap::from([(Verdict::Nod, 2)]),
            iterations: 3,
            finished: 12,
            abandoned: 1,
            attempts: 4,
            green: [(3, 4), (1, 4)],
            last_commit: Some(UnixMillis(1_795_310_040_123)),
            bytes: 4096,
            canary: Some("red".into()),
        };
        let text = render("a\"b\\c", &figures);
        for line in [
            r#"soakhound_outcomes_total{suite="a\"b\\c",outcome="failed"} 7"#,
            r#"soakhound_outcomes_total{suite="a\"b\\c",outcome="passed"} 0"#,
            r#"soakhound_flags_open{suite="a\"b\\c",verdict="nod"} 2"#,
            r#"soakhound_shards_total{suite="a\"b\\c",state="abandoned"} 1"#,
            r#"soakhound_suite_green_ratio{suite="a\"b\\c",order="natural"} 0.75"#,
            r#"soakhound_suite_green_ratio{suite="a\"b\\c",order="shuffled"} 0.25"#,
            r#"soakhound_canary{suite="a\"b\\c",state="red"} 1"#,
            r#"soakhound_canary{suite="a\"b\\c",state="green"} 0"#,
            r#"soakhound_last_commit_timestamp_seconds{suite="a\"b\\c"} 1795310040.123"#,
            r#"soakhound_database_bytes{suite="a\"b\\c"} 4096"#,
        ] {
            assert!(text.lines().any(|one| one == line), "lacks {line}:\n{text}");
        }
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        for sample in samples {
            let name = sample.split('{').next().unwrap();
            let declared = text.matches(&format!("# TYPE {name} ")).count();
            assert_eq!(declared, 1, "{sample}");
        }
        assert!(text.ends_with('\n') && !text.contains("\n\n"));
    }
}
