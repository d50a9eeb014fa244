//! `doctor`: can this machine run containers, and what to do if not.

use std::path::Path;

use serde_json::json;

use super::{
    Context,
    session::{interpreter, state_folder},
    stopping::block_on,
};
use crate::{
    cli::DoctorArgs,
    config::Settings,
    container::{
        RunDir, Spawner, default_base,
        doctor::{Check, DoctorInput, State, examine},
        liblxc_version, probe,
    },
    error::{ExitCode, Failure},
    ui::escape,
};

/// Space that a hunt wants where nothing is configured.
const MIN_FREE: u64 = 1 << 30;

/// Looks at the machine, starts a container, and prints one line per check.
///
/// # Errors
/// [`Failure`] with 153 when a hunt is not possible here.
pub(super) fn run(
    context: &Context,
    arguments: &DoctorArgs,
    settings: Option<&Settings>,
) -> Result<ExitCode, Failure> {
    let start = start_one();
    let path = context
        .environment
        .get(std::ffi::OsStr::new("PATH"))
        .cloned()
        .unwrap_or_default();
    let state = settings.map_or_else(|| Path::new("/").to_owned(), state_folder);
    let version = liblxc_version();
    let mut checks = examine(&DoctorInput {
        host: Path::new("/"),
        state_dir: &state,
        min_free: settings.map_or(MIN_FREE, |settings| settings.store.min_free),
        liblxc: version.as_deref(),
        uid: rustix::process::geteuid().as_raw(),
        path: &path,
        start: Some(match &start {
            Ok(rung) => Ok(rung),
            Err(why) => Err(why),
        }),
    });
    if let Some(settings) = settings {
        checks.push(suite_check(context, settings));
    }
    show(context, arguments, &checks)?;
    if checks.iter().all(|check| check.state < State::Fail) {
        let next = if settings.is_some() { "list" } else { "init" };
        context
            .console
            .note(&format!("next: {}", context.again.with(next)));
        return Ok(ExitCode::Fine);
    }
    Err(Failure::new(
        ExitCode::Containers,
        "a hunt is not possible on this machine yet",
    )
    .hint(
        "do what stands behind each failed check, from the top, and run `soakhound doctor` again",
    ))
}

/// Really starts a container, on the best rung that works.
fn start_one() -> Result<String, String> {
    let outcome: Result<String, Failure> = block_on(async {
        let run_dir = RunDir::create(&default_base())?;
        let spawner = Spawner::new("/proc/self/exe")?;
        let (rung, _) = probe(&spawner, &run_dir).await?;
        Ok(rung.to_string())
    });
    outcome.map_err(|failure| {
        let text = failure.render(false);
        text.lines()
            .map(|line| line.trim_start_matches("error: ").trim())
            .collect::<Vec<_>>()
            .join("; ")
    })
}

fn suite_check(context: &Context, settings: &Settings) -> Check {
    let found = super::session::canonical_root(settings)
        .and_then(|root| interpreter(context, settings, &root));
    match found {
        Ok(python) => Check {
            name: "suite",
            state: State::Ok,
            found: format!(
                "{} with Python {}, pytest {}",
                python.executable.display(),
                python.version,
                python.pytest
            ),
            remedy: None,
        },
        Err(failure) => Check {
            name: "suite",
            state: State::Warn,
            found: failure
                .render(false)
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned(),
            remedy: Some(
                "name the interpreter of the suite with `python` in [suite], or with `--python`"
                    .to_owned(),
            ),
        },
    }
}

fn show(context: &Context, arguments: &DoctorArgs, checks: &[Check]) -> Result<(), Failure> {
    let console = &context.console;
    if arguments.json {
        let checks: Vec<_> = checks
            .iter()
            .map(|check| json!({"name": check.name, "state": check.state.to_string(), "found": check.found, "remedy": check.remedy}))
            .collect();
        console.json(&json!({"schema": "soakhound.doctor/1", "checks": checks}))?;
        return Ok(());
    }
    for check in checks {
        console.line(&format!(
            "{:<7}  {:<14}  {}",
            check.state.to_string(),
            check.name,
            escape::terminal(check.found.as_bytes())
        ))?;
        if let Some(remedy) = &check.remedy {
            console.line(&format!(
                "{:<7}  {:<14}  -> {}",
                "",
                "",
                escape::terminal(remedy.as_bytes())
            ))?;
        }
    }
    Ok(())
}
