//! `show`: all evidence about one test.

mod card;
mod text;

use serde_json::Value;

use super::{Context, finding::read, subject};
use crate::{
    cli::ShowArgs,
    config::Settings,
    error::{ExitCode, Failure},
    store::Reader,
};

use self::card::Card;

/// Shows one test.
///
/// # Errors
/// [`Failure`] with 150 when no such test is on record, or when the database cannot be read.
pub(super) fn run(
    context: &Context,
    arguments: &ShowArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let reader = Reader::open(&settings.store.path)?;
    let tests = read::tests(settings.suite.id, &reader)?;
    let test = subject::on_record(&arguments.test, settings.suite.id, &reader, &tests)?;
    let card = Card::read(settings, &reader, tests, test)?;
    if arguments.json {
        let answer: Value = card.json();
        context.console.json(&answer)?;
        return Ok(ExitCode::Fine);
    }
    for line in text::lines(&card) {
        context.console.line(&line)?;
    }
    let next = context.again.with(&card.next());
    context.console.line(&format!("next: {next}"))?;
    Ok(ExitCode::Fine)
}
