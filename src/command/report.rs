//! `report`: the weekly fragility report, as HTML, Markdown and JSON.

mod gather;

use std::{fs, io::Write, path::Path};

use jiff::{civil, tz::TimeZone};

use super::Context;
use crate::{
    cli::{FailOn, ReportArgs},
    config::Settings,
    error::{ExitCode, Failure},
    model::{Clock, SystemClock, UnixMillis},
    report::{Digest, Week, Window, digest::State, html, json, markdown, sentence},
    store::{Reader, StoreError},
    ui::{escape, text},
};

/// Writes the report of a week or another span.
///
/// # Errors
/// [`Failure`] with 150 for a span that is none, 152 for a database that cannot be read, or when a file cannot be
/// written.
pub(super) fn run(
    context: &Context,
    arguments: &ReportArgs,
    settings: &Settings,
) -> Result<ExitCode, Failure> {
    let console = &context.console;
    if arguments.schema {
        console.line(json::SCHEMA.trim_end())?;
        return Ok(ExitCode::Fine);
    }
    let window = window(arguments, settings)?;
    let reader = match Reader::open(&settings.store.path) {
        Ok(reader) => Some(reader),
        Err(StoreError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let material = gather::material(settings, reader.as_ref(), window)?;
    let digest = Digest::of(&material);
    if arguments.json {
        console.json(&json::value(&digest))?;
    } else {
        let folder = context
            .folder
            .join(arguments.out.as_deref().unwrap_or(Path::new(".")));
        write(context, &digest, &folder)?;
    }
    Ok(match arguments.fail_on {
        Some(which) if matches(which, &digest) => ExitCode::Finding,
        _ => ExitCode::Fine,
    })
}

/// Is there a certified flag of this kind that needs action?
fn matches(which: FailOn, digest: &Digest) -> bool {
    digest.cards.iter().any(|card| {
        card.flag.certified
            && match which {
                FailOn::Any => card.state.is_open(),
                FailOn::New => card.state == State::New,
            }
    })
}

/// Writes the three files, each beside its place first.
fn write(context: &Context, digest: &Digest, folder: &Path) -> Result<(), Failure> {
    let console = &context.console;
    let shown = |path: &Path| escape::terminal(path.as_os_str().as_encoded_bytes());
    let broken = |path: &Path, error: &std::io::Error| {
        Failure::new(
            ExitCode::Usage,
            format!("cannot write `{}`: {error}", shown(path)),
        )
        .hint("choose another folder with `--out`")
    };
    fs::create_dir_all(folder).map_err(|error| broken(folder, &error))?;
    let name = format!("fragility-{}", digest.head.window.label);
    let rendered = [
        ("html", html::page(digest)),
        ("md", markdown::page(digest)),
        ("json", json::text(digest)),
    ];
    console.line(&sentence::headline(digest))?;
    for (ending, content) in rendered {
        let path = folder.join(format!("{name}.{ending}"));
        let beside = folder.join(format!(".{name}.{ending}.{}", std::process::id()));
        let written = fs::File::create(&beside)
            .and_then(|mut file| {
                file.write_all(content.as_bytes())
                    .and_then(|()| file.sync_all())
            })
            .and_then(|()| fs::rename(&beside, &path));
        if let Err(error) = written {
            // The file beside it is no report; its name says so if it cannot go.
            let _left = fs::remove_file(&beside);
            return Err(broken(&path, &error));
        }
        let line = format!("{}  {}", shown(&path), text::size(content.len() as u64));
        console.line(&line)?;
    }
    let first = digest.causes.iter().find(|cause| cause.state.is_open());
    if let Some(card) = first.map(|cause| &digest.cards[cause.cards[0]]) {
        let next = format!("show {}", card.handle);
        console.line(&format!("next: {}", context.again.with(&next)))?;
    }
    Ok(())
}

/// Returns the span that was asked for; the last complete week if none was.
fn window(arguments: &ReportArgs, settings: &Settings) -> Result<Window, Failure> {
    let zone = settings.report.tz.as_deref().unwrap_or("UTC");
    let tz = TimeZone::get(zone).map_err(|error| {
        Failure::new(ExitCode::Config, format!("no time zone `{zone}`: {error}"))
    })?;
    let as_of = match &arguments.as_of {
        Some(moment) => at(&moment.0, &tz)?,
        None => SystemClock.now(),
    };
    let mut window = match (&arguments.week, &arguments.since, &arguments.until) {
        (Some(week), ..) => Window::week(*week, &tz, zone),
        (None, None, None) => Window::week(Week::last_complete(as_of, &tz), &tz, zone),
        (None, since, until) => {
            let until = until
                .as_ref()
                .map_or(Ok(as_of), |until| at(&until.0, &tz))?;
            let since = match since {
                Some(since) => at(&since.0, &tz)?,
                None => UnixMillis(until.0 - 7 * 24 * 3_600_000),
            };
            Window::between(since, until, &tz, zone).ok_or_else(|| {
                Failure::new(ExitCode::Usage, "`--since` must be earlier than `--until`")
            })?
        }
    };
    if arguments.as_of.is_some() {
        window.until = window.until.min(as_of);
        if window.since >= window.until {
            return Err(Failure::new(
                ExitCode::Usage,
                "the span begins after the moment of `--as-of`",
            ));
        }
    }
    Ok(window)
}

fn at(moment: &civil::DateTime, tz: &TimeZone) -> Result<UnixMillis, Failure> {
    let zoned = moment.to_zoned(tz.clone()).map_err(|error| {
        Failure::new(
            ExitCode::Usage,
            format!("no such time in this zone: {error}"),
        )
    })?;
    Ok(UnixMillis(zoned.timestamp().as_millisecond()))
}
