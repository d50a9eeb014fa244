//! Progress of a hunt: several live lines on a terminal, one line a minute elsewhere.
//!
//! The caller drives it and brings the time; nothing here ticks by itself.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::console::{Console, Verbosity};
use super::text::{count, duration, elide_middle, plural, rate, width};
use crate::model::UnixMillis;

/// Time between two lines where no cursor moves: a night is then five hundred lines of a log.
const LINE_EVERY: Duration = Duration::from_mins(1);

/// Columns of the bar inside its brackets.
const BAR: u64 = 20;

/// Is the hunt still taking new shards?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HuntState {
    /// Yes.
    Running,
    /// No: the running shards finish.
    Draining,
}

impl HuntState {
    /// Returns the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Draining => "draining",
        }
    }
}

/// What a hunt shows of itself at one moment. Counts are of this hunt, resumed parts included.
#[derive(Clone, Debug, PartialEq)]
pub struct HuntView {
    /// Time since this process took the hunt up.
    pub elapsed: Duration,
    /// Time until `--for` or `--until` ends it.
    pub ends_in: Option<Duration>,
    /// Complete iterations.
    pub iterations_done: u64,
    /// Total asked for with `--iterations`.
    pub iterations_total: Option<u64>,
    /// Complete shards.
    pub shards_done: u64,
    /// Probes that ended since this process took the hunt up.
    pub probes: u64,
    /// Certified flags that need action.
    pub flags: u64,
    /// Handle of the flag that was told last, which may be empty, and what it says; escaped.
    pub newest: Option<(String, String)>,
    /// Tests that are not explained yet.
    pub questions: u64,
    /// `waiting`, `green` or `red`; `None` before anybody looked.
    pub canary: Option<String>,
    /// Time until the total of iterations will be complete, by the pace so far.
    pub ready_in: Option<Duration>,
    /// Trials with an outcome, without those of probes.
    pub trials: u64,
    /// Trials that failed, in any way.
    pub failing: u64,
    /// Trials that the host or the container spoilt.
    pub infra: u64,
    /// Trials that we interrupted.
    pub aborted: u64,
    /// Trials per second, lately.
    pub rate_per_s: f64,
    /// Workers with a container.
    pub workers_busy: u16,
    /// All workers.
    pub workers: u16,
    /// Tests that failed at least once.
    pub failing_tests: usize,
    /// Running or draining.
    pub state: HuntState,
}

/// Returns one line for a log: RFC 3339 stamp, then `key=value` pairs in a fixed order.
#[must_use]
pub fn line(view: &HuntView, now: UnixMillis) -> String {
    let total = view
        .iterations_total
        .map_or_else(String::new, |total| format!("/{total}"));
    let ends = view
        .ends_in
        .map_or_else(String::new, |left| format!(" ends_in_s={}", left.as_secs()));
    let ready = view.ready_in.map_or_else(String::new, |left| {
        format!(" ready_in_s={}", left.as_secs())
    });
    format!(
        "{} state={} elapsed_s={} iterations={}{total} shards={} trials={} failing={} failing_tests={} \
         probes={} open={} flags={} canary={} infra={} aborted={} rate={} workers={}/{}{ready}{ends}",
        now.rfc3339(),
        view.state.word(),
        view.elapsed.as_secs(),
        view.iterations_done,
        view.shards_done,
        view.trials,
        view.failing,
        view.failing_tests,
        view.probes,
        view.questions,
        view.flags,
        view.canary.as_deref().unwrap_or("waiting"),
        view.infra,
        view.aborted,
        rate(view.rate_per_s),
        view.workers_busy,
        view.workers,
    )
}

/// Returns the live lines, each in at most `columns` columns.
#[must_use]
pub fn screen(view: &HuntView, columns: usize) -> Vec<String> {
    let ends = view
        .ends_in
        .map_or_else(String::new, |left| format!(", ends in {}", duration(left)));
    let keys = match view.state {
        HuntState::Running => "Ctrl-C drains, twice aborts",
        HuntState::Draining => "Ctrl-C again aborts",
    };
    let state = format!("{:<10} {}{ends}", view.state.word(), duration(view.elapsed));
    let mut lines = vec![
        apart(&state, keys, columns),
        format!("iterations {}", iterations(view)),
        format!(
            "outcomes   {}   {}   failing {} in {}   infra {}   aborted {}",
            count(view.trials),
            rate(view.rate_per_s),
            count(view.failing),
            plural(view.failing_tests as u64, "test"),
            count(view.infra),
            count(view.aborted),
        ),
        format!(
            "causes     {} open   {}   workers {} of {} busy   canary {}",
            count(view.questions),
            plural(view.probes, "probe"),
            view.workers_busy,
            view.workers,
            canary(view.canary.as_deref()),
        ),
        format!("flags      {}", flags(view)),
    ];
    for line in &mut lines {
        *line = elide_middle(line, columns);
    }
    lines
}

/// Two texts at the ends of a line, or with three spaces between where they do not fit.
fn apart(left: &str, right: &str, columns: usize) -> String {
    let room = columns.saturating_sub(width(left) + width(right)).max(3);
    format!("{left}{}{right}", " ".repeat(room))
}

fn iterations(view: &HuntView) -> String {
    let shards = plural(view.shards_done, "shard");
    let Some(total) = view.iterations_total else {
        return format!("{}   {shards}", count(view.iterations_done));
    };
    let ready = view.ready_in.map_or_else(String::new, |left| {
        format!("   about {} left", duration(left))
    });
    let done = count(view.iterations_done);
    if view.iterations_done >= total {
        return format!("{done} complete, what is left is to answer the open causes   {shards}");
    }
    format!(
        "[{}] {done} of {}{ready}   {shards}",
        bar(view.iterations_done, total),
        count(total),
    )
}

fn canary(state: Option<&str>) -> &str {
    match state {
        // Without colour, too, it must be seen.
        Some("red") => "RED",
        Some(other) => other,
        None => "waiting",
    }
}

fn flags(view: &HuntView) -> String {
    let newest = view
        .newest
        .as_ref()
        .map_or_else(String::new, |(handle, says)| {
            format!("   newest: {handle} {says}")
        });
    match view.flags {
        0 => "none yet".to_owned(),
        flags => format!("{}{newest}", count(flags)),
    }
}

fn bar(done: u64, total: u64) -> String {
    let share = u128::from(done.min(total)) * u128::from(BAR) / u128::from(total.max(1));
    (0..u128::from(BAR))
        .map(|place| if place < share { '#' } else { '.' })
        .collect()
}

/// Shows a hunt while it runs.
#[derive(Debug)]
pub struct Progress<'a> {
    console: &'a Console,
    /// One bar whose message has several lines, so that they change together.
    bar: Option<ProgressBar>,
    next_line: Duration,
    last_state: HuntState,
}

impl<'a> Progress<'a> {
    /// Starts with nothing shown; the first [`Progress::update`] draws.
    #[must_use]
    pub fn new(console: &'a Console) -> Self {
        Self {
            console,
            bar: None,
            next_line: LINE_EVERY,
            last_state: HuntState::Running,
        }
    }

    /// Shows the view: redraws the live lines, or prints a line when a minute has passed or the state changed.
    pub fn update(&mut self, view: &HuntView, now: UnixMillis) {
        if self.console.is_live() {
            self.draw(view);
        } else if let Some(text) = self.due_line(view, now) {
            self.console.note(&text);
        }
    }

    /// Removes the live lines, or prints the last line. Call once, at the end.
    pub fn finish(self, view: &HuntView, now: UnixMillis) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            self.console.bars().remove(bar);
        }
        if !self.console.is_live() {
            self.console.note(&line(view, now));
        }
    }

    fn draw(&mut self, view: &HuntView) {
        let lines = screen(view, self.console.width().saturating_sub(1)).join("\n");
        self.bar
            .get_or_insert_with(|| {
                let style = ProgressStyle::with_template("{msg}").expect("the template is valid");
                let bar = ProgressBar::new_spinner().with_style(style);
                self.console.bars().add(bar)
            })
            .set_message(lines);
    }

    /// Returns the line to print now, if one is due.
    fn due_line(&mut self, view: &HuntView, now: UnixMillis) -> Option<String> {
        let due = view.elapsed >= self.next_line || view.state != self.last_state;
        if !due || self.console.verbosity() == Verbosity::Quiet {
            return None;
        }
        self.last_state = view.state;
        while self.next_line <= view.elapsed {
            self.next_line += LINE_EVERY;
        }
        Some(line(view, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::width;

    fn view() -> HuntView {
        HuntView {
            elapsed: Duration::from_mins(62),
            ends_in: Some(Duration::from_mins(226)),
            iterations_done: 12,
            iterations_total: Some(40),
            shards_done: 48,
            probes: 320,
            flags: 1,
            newest: Some((
                "h2w8fd".into(),
                "nod tests/test_mail.py::test_arrives".into(),
            )),
            questions: 4,
            canary: Some("green".into()),
            ready_in: Some(Duration::from_mins(145)),
            trials: 6_034_448,
            failing: 2_511,
            infra: 2,
            aborted: 0,
            rate_per_s: 741.6,
            workers_busy: 15,
            workers: 16,
            failing_tests: 18,
            state: HuntState::Running,
        }
    }
    const NOW: UnixMillis = UnixMillis(1_795_310_040_000);

    #[test]
    fn line_holds_stamp_and_every_count() {
        assert_eq!(
            line(&view(), NOW),
            "2026-11-22T01:14:00Z state=running elapsed_s=3720 iterations=12/40 shards=48 trials=6034448 \
             failing=2511 failing_tests=18 probes=320 open=4 flags=1 canary=green infra=2 aborted=0 rate=742/s \
             workers=15/16 ready_in_s=8700 ends_in_s=13560"
        );
    }

    #[test]
    fn line_of_an_endless_hunt_leaves_its_ends_out() {
        let endless = HuntView {
            ends_in: None,
            iterations_total: None,
            ready_in: None,
            ..view()
        };
        let text = line(&endless, NOW);
        assert!(
            text.contains("iterations=12 ") && !text.contains("ends_in"),
            "{text}"
        );
    }

    #[test]
    fn screen_fits_its_columns() {
        let lines = screen(&view(), 79);
        assert_eq!(
            lines,
            [
                "running    1h02m, ends in 3h46m                     Ctrl-C drains, twice aborts",
                "iterations [######..............] 12 of 40   about 2h25m left   48 shards",
                "outcomes   6,034,448   742/s   failing 2,511 in 18 tests   infra 2   aborted 0",
                "causes     4 open   320 probes   workers 15 of 16 busy   canary green",
                "flags      1   newest: h2w8fd nod tests/test_mail.py::test_arrives",
            ]
        );
        for line in screen(&view(), 40) {
            assert!(width(&line) <= 40, "{line}");
        }
    }

    #[test]
    fn screen_of_a_night_without_a_flag_says_so_and_a_red_canary_is_loud() {
        let quiet = HuntView {
            flags: 0,
            newest: None,
            canary: Some("red".into()),
            ..view()
        };
        let lines = screen(&quiet, 79);
        assert!(lines[3].ends_with("canary RED"), "{lines:#?}");
        assert_eq!(lines[4], "flags      none yet");
    }

    #[test]
    fn screen_says_when_all_iterations_are_complete() {
        let last = HuntView {
            iterations_done: 41,
            ready_in: None,
            ..view()
        };
        assert_eq!(
            screen(&last, 79)[1],
            "iterations 41 complete, what is left is to answer the open causes   48 shards"
        );
    }

    #[test]
    fn bar_is_full_at_its_total_and_empty_without_work() {
        assert_eq!(bar(40, 40), "#".repeat(20));
        assert_eq!(bar(90, 40), "#".repeat(20));
        assert_eq!(bar(0, 0), ".".repeat(20));
    }

    #[test]
    fn lines_are_due_once_a_minute_and_when_the_state_changes() {
        let console = Console::new(Verbosity::Normal, false, false, None);
        let mut progress = Progress::new(&console);
        let at = |seconds, state| HuntView {
            elapsed: Duration::from_secs(seconds),
            state,
            ..view()
        };
        let mut due = |seconds, state| progress.due_line(&at(seconds, state), NOW).is_some();
        assert!(!due(59, HuntState::Running));
        assert!(due(60, HuntState::Running));
        assert!(!due(119, HuntState::Running));
        assert!(due(250, HuntState::Running));
        assert!(!due(299, HuntState::Running));
        assert!(due(299, HuntState::Draining));
        assert!(!due(299, HuntState::Draining));
    }
}
