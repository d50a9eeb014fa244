//! `list`: the tests as a hunt sees them.

use serde_json::json;

use super::{Context, session::Session, stopping::block_on};
use crate::{
    cli::ListArgs,
    config::Settings,
    error::{ExitCode, Failure},
    plan::Handles,
    ui::{escape, text},
};

/// Lists the suite in a container and prints every test with its handle.
///
/// # Errors
/// [`Failure`] when the suite cannot be listed.
pub(super) fn run(
    context: &Context,
    arguments: &ListArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let listed = block_on(Session::listed(context, settings))?;
    let handles = Handles::of(listed.tests.names());
    let console = &context.console;
    if arguments.json {
        let tests: Vec<_> = listed
            .tests
            .names()
            .iter()
            .map(|test| json!({"test": escape::json_name(test), "handle": handles.handle(test).to_string()}))
            .collect();
        console.json(&json!({
            "schema": "soakhound.list/1",
            "suite": settings.suite.name.as_str(),
            "suite_id": settings.suite.id.to_string(),
            "list_digest": listed.listing.digest.to_string(),
            "runner": listed.listing.version,
            "tests": tests,
        }))?;
        return Ok(ExitCode::Fine);
    }
    for test in listed.tests.names() {
        console.line(&format!(
            "{}  {}",
            handles.handle(test),
            escape::terminal(test.as_bytes())
        ))?;
    }
    console.note(&format!(
        "{} in suite `{}` ({}), list {}",
        text::plural(listed.tests.len() as u64, "test"),
        settings.suite.name,
        settings.suite.id,
        listed.listing.digest,
    ));
    console.note(&format!("next: {}", context.again.with("hunt --for 8h")));
    Ok(ExitCode::Fine)
}
