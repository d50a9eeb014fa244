//! `flags`: what was found, the certified first, one row per cause.

use serde_json::{Value, json};

use super::{
    Context,
    finding::{
        Found, Names,
        json::{self as shape, Naming},
        list::{self, Extent},
        read::{self, Board},
    },
};
use crate::{
    cli::{FailOn, FlagsArgs},
    config::Settings,
    error::{ExitCode, Failure},
    model::{Clock, SystemClock},
    store::{Reader, StoreError},
    ui::{escape, text},
};

const SCHEMA: &str = "soakhound.flags/1";
/// Rows that the end of a hunt shows; `flags` has the rest.
const AT_THE_END: usize = 10;

/// Shows the flags of the suite.
///
/// # Errors
/// [`Failure`] when the database cannot be read or stdout not be written.
pub(super) fn run(
    context: &Context,
    arguments: &FlagsArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let console = &context.console;
    let since = arguments.since.map(|since| since.before(SystemClock.now()));
    let board = match Reader::open(&settings.store.path) {
        Ok(reader) => read::board(settings, &reader, since)?,
        Err(StoreError::Missing { .. }) => Board::default(),
        Err(error) => return Err(error.into()),
    };
    if arguments.json {
        console.json(&answer(&board))?;
    } else {
        show(context, settings, &board, arguments)?;
    }
    Ok(arguments
        .fail_on
        .filter(|which| matches(*which, &board.found))
        .map_or(ExitCode::Fine, |_| ExitCode::Finding))
}

/// Is there a certified flag of this kind that needs action? New is what the board marks as new: its test was first
/// certified by the newest hunt, however often that was killed and resumed, or in the time that was asked for.
pub(super) fn matches(which: FailOn, found: &[Found]) -> bool {
    let mut open = found.iter().filter(|found| found.needs_action());
    match which {
        FailOn::Any => open.next().is_some(),
        FailOn::New => open.any(|found| found.is_new),
    }
}

fn answer(board: &Board) -> Value {
    json!({
        "schema": SCHEMA,
        "flags": values(board),
        "attempts": board.attempts,
        "false_certificates_expected": expected(board.attempts),
    })
}

/// The most false certificates to expect of so many attempts.
#[expect(clippy::cast_precision_loss, reason = "attempts are far below 2^52")]
pub(super) fn expected(attempts: u64) -> f64 {
    attempts as f64 / 1000.0
}

/// The same in words.
pub(super) fn attempts_line(attempts: u64) -> String {
    format!(
        "{} to certify: at most {} false certificates expected",
        text::plural(attempts, "attempt"),
        expected(attempts)
    )
}

fn show(
    context: &Context,
    settings: &Settings,
    board: &Board,
    arguments: &FlagsArgs,
) -> Result<(), Failure> {
    let console = &context.console;
    let names = Names::of(&board.tests);
    let extent = if arguments.all {
        Extent::All
    } else {
        Extent::Short
    };
    if board.found.is_empty() {
        console.line(&format!(
            "no flaky test of suite {} is on record{} in {}",
            settings.suite.name,
            arguments
                .since
                .map_or_else(String::new, |since| format!(" in the last {since}")),
            escape::terminal(settings.store.path.as_os_str().as_encoded_bytes()),
        ))?;
        let next = if board.tests.is_empty() {
            "hunt --for 8h"
        } else {
            "status"
        };
        console.line(&format!("next: {}", context.again.with(next)))?;
        return Ok(());
    }
    for line in list::lines(&board.found, &names, console.width(), extent) {
        console.line(&line)?;
    }
    console.line("")?;
    console.line(&attempts_line(board.attempts))?;
    let analysis = board.analysis.as_ref();
    if let Some(canary) = analysis.and_then(|analysis| analysis.canary.as_ref())
        && canary.state == "red"
    {
        console.warn("the canary is red: see `soakhound status`");
    }
    if let Some(handle) = next(&board.found) {
        console.line(&format!(
            "next: {}",
            context.again.with(&format!("show {handle}"))
        ))?;
    }
    Ok(())
}

/// The flag to look at first.
fn next(found: &[Found]) -> Option<&str> {
    let with_handle = |found: &&Found| found.handle.is_some();
    let open = found.iter().filter(|found| found.needs_action());
    open.chain(found)
        .find(with_handle)
        .and_then(|found| found.handle.as_deref())
}

/// Returns the open flags in a few lines, for the end of a hunt; nothing without any.
pub(super) fn summary(context: &Context, board: &Board) -> Vec<String> {
    let open: Vec<Found> = board
        .found
        .iter()
        .filter(|found| found.needs_action())
        .cloned()
        .collect();
    if open.is_empty() {
        return Vec::new();
    }
    let names = Names::of(&board.tests);
    let extent = Extent::At(AT_THE_END);
    let mut lines = list::lines(&open, &names, context.console.width(), extent);
    lines.push(attempts_line(board.attempts));
    lines
}

/// Returns every flag as JSON.
pub(super) fn values(board: &Board) -> Vec<Value> {
    let flag = |found: &Found| shape::flag(found, Naming::CertifiedOnly);
    board.found.iter().map(flag).collect()
}
