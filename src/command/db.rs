//! `db check` and `db backup`.

use serde_json::json;

use super::Context;
use crate::{
    cli::{DbBackupArgs, DbCheckArgs},
    config::Settings,
    error::{ExitCode, Failure},
    store,
    ui::{escape, text},
};

/// Checks the database for damage and for broken promises.
///
/// # Errors
/// [`Failure`] when it cannot be read, or when something does not hold: everything found was printed before.
pub(super) fn check(
    context: &Context,
    arguments: &DbCheckArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let path = &settings.store.path;
    let report = store::check(path)?;
    let console = &context.console;
    if arguments.json {
        let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        console.json(&json!({
            "schema": "soakhound.db-check/1",
            "segments": report.segments,
            "trials": report.trials,
            "shards": report.shards,
            "log_bytes": report.log_bytes,
            "findings": findings,
        }))?;
    } else {
        for finding in &report.findings {
            console.line(&escape::terminal(finding.to_string().as_bytes()))?;
        }
        console.line(&format!(
            "{} in {} and {} checked: {}",
            text::plural(report.trials, "trial"),
            text::plural(report.segments, "segment"),
            text::plural(report.shards, "finished shard"),
            if report.findings.is_empty() {
                "all is well".to_owned()
            } else {
                text::plural(report.findings.len() as u64, "finding")
            },
        ))?;
    }
    if report.findings.is_empty() {
        return Ok(ExitCode::Fine);
    }
    Err(Failure::new(
        ExitCode::Database,
        format!("`{}` does not hold what it promises", path.display()),
    )
    .hint("keep it as it is for a look, and hunt into another file with `--db`"))
}

/// Writes a copy of the database that is whole, even while a hunt runs.
///
/// # Errors
/// [`Failure`] when the target exists or the copy is not sound.
pub(super) fn backup(
    context: &Context,
    arguments: &DbBackupArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let file = context.folder.join(&arguments.file);
    store::backup(&settings.store.path, &file)?;
    context.console.line(&format!(
        "wrote {}",
        escape::terminal(file.as_os_str().as_encoded_bytes())
    ))?;
    Ok(ExitCode::Fine)
}
