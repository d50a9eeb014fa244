//! `export`: what other programs read of the flags, or what another machine needs to replay a token without this
//! database.

mod csv;
mod github;
mod junit;
mod listing;
mod ndjson;
mod portable;
mod prometheus;
mod sarif;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    path::Path,
};

use super::Context;
use crate::{
    cli::{ExportArgs, ExportFormat},
    config::Settings,
    error::{ExitCode, Failure},
    model::{Clock, SystemClock, UnixMillis},
    store::Reader,
    ui::{escape, text},
};

use self::listing::{Figures, Listing};

/// Writes the portable file of a token, or the flags in a format.
///
/// # Errors
/// [`Failure`] with 150 for what is no token or a file that exists, 125 where this database does not know the order;
/// or when the database cannot be read: nothing is exported as if nothing was found.
pub(super) fn run(
    context: &Context,
    arguments: &ExportArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let out = arguments.out.as_deref();
    match (&arguments.repro, arguments.format) {
        (Some(token), _) => portable::run(context, token, out, settings),
        (None, Some(format)) => {
            let since = arguments.since.map(|since| since.before(SystemClock.now()));
            export(context, format, since, out, settings)
        }
        (None, None) => unreachable!("the command line asks for one of them"),
    }
}

fn export(
    context: &Context,
    format: ExportFormat,
    since: Option<UnixMillis>,
    out: Option<&Path>,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let console = &context.console;
    let path = &settings.store.path;
    let reader = Reader::open(path)?;
    if format == ExportFormat::Prometheus {
        if since.is_some() {
            let fault = "`--since` does not go with the format prometheus";
            return Err(Failure::new(ExitCode::Usage, fault)
                .hint("its counters are of all time; ask for their increase where you read them"));
        }
        let figures = Figures::read(settings, &reader, path)?;
        let document = prometheus::render(settings.suite.name.as_str(), &figures);
        return put(context, out, &document, "figures of all hunts");
    }
    let listing = Listing::read(settings, &reader, since, format)?;
    if let Some(why) = &listing.owners_unknown {
        console.warn(&format!("owners are left out: {why}"));
    }
    let document = match format {
        ExportFormat::Junit => {
            junit::render(&listing).map_err(|error| Failure::new(ExitCode::Internal, error))?
        }
        ExportFormat::Csv => csv::render(&listing),
        ExportFormat::Ndjson => ndjson::render(&listing),
        ExportFormat::Sarif => sarif::render(&listing),
        ExportFormat::Github => github::render(&listing),
        ExportFormat::Prometheus => unreachable!("done above"),
    };
    let what = match format {
        ExportFormat::Junit => text::plural(listing.tests.len() as u64, "test"),
        ExportFormat::Csv
        | ExportFormat::Ndjson
        | ExportFormat::Sarif
        | ExportFormat::Github
        | ExportFormat::Prometheus => text::plural(listing.found.len() as u64, "flag"),
    };
    put(context, out, &document, &what)
}

/// Writes a document to the file, which must not exist, and says so; without one to stdout.
fn put(
    context: &Context,
    out: Option<&Path>,
    document: &str,
    what: &str,
) -> Result<ExitCode, Failure> {
    let console = &context.console;
    match out {
        // Something follows each line in all formats, and the console ends the last one.
        None if document.is_empty() => {}
        None => console.line(document.strip_suffix('\n').unwrap_or(document))?,
        Some(file) => {
            let shown = write(&context.folder, file, document)?;
            console.line(&format!("wrote {shown}: {what}"))?;
        }
    }
    Ok(ExitCode::Fine)
}

/// Writes a file that must not exist, and returns its name for people.
fn write(folder: &Path, file: &Path, document: &str) -> Result<String, Failure> {
    let path = folder.join(file);
    let shown = escape::terminal(path.as_os_str().as_encoded_bytes());
    let mut made = std::fs::File::create_new(&path).map_err(|error| unwritten(&shown, error))?;
    let written = made
        .write_all(document.as_bytes())
        .and_then(|()| made.sync_all());
    if let Err(error) = written {
        // Half a file is worse than none; if it cannot go either, its reader has to tell.
        let _left = std::fs::remove_file(&path);
        return Err(unwritten(&shown, error));
    }
    Ok(shown)
}

fn unwritten(file: &str, error: io::Error) -> Failure {
    let kind = error.kind();
    if kind == io::ErrorKind::AlreadyExists {
        return Failure::new(ExitCode::Usage, format!("`{file}` exists"))
            .hint("choose another file with `--out`");
    }
    if [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded].contains(&kind) {
        return error.into();
    }
    Failure::new(ExitCode::Usage, format!("cannot write `{file}`: {error}"))
}
