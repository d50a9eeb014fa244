//! One file per subcommand, and what they share. Joins the layers; knows no SQL, no clap, no liblxc.

mod again;
mod asked;
pub mod canary;
mod completions;
mod db;
mod doctor;
mod export;
pub mod factors;
mod failure;
mod finding;
mod fixed;
mod flags;
mod hunt;
pub mod init;
mod junit;
mod list;
mod man;
mod minimize;
mod pass;
mod probing;
mod replay;
mod report;
mod repro;
mod roster;
mod run;
mod session;
mod show;
mod status;
mod stopping;
mod stream;
mod subject;
mod summary;
mod tally;
mod tokens;

use std::{ffi::OsStr, io::IsTerminal, path::PathBuf, process};

use tokio::sync::watch;

use self::again::Again;
use crate::{
    cli::{self, Cli, Command, DbCommand},
    config::{Environment, Machine, Settings},
    error::{ExitCode, Failure},
    ui::{ColourChoice, Console, Verbosity},
};

/// Starts to count SIGINTs; called at most once, by commands that drain.
pub type Interrupts = fn() -> Result<watch::Receiver<u32>, Box<dyn std::error::Error>>;

/// What every command gets.
pub(crate) struct Context {
    /// Where to say things.
    pub(crate) console: Console,
    /// The folder that the user works in, absolute.
    pub(crate) folder: PathBuf,
    /// The environment at the start of the process.
    pub(crate) environment: Environment,
    /// Starts to count SIGINTs.
    pub(crate) interrupts: Interrupts,
    /// How to start the program again with the same suite and database.
    pub(crate) again: Again,
}

impl Context {
    /// Joins the configuration file, the flags and the environment.
    fn settings(&self, cli: &Cli) -> Result<Settings, Failure> {
        Ok(Settings::load(
            &self.folder,
            &cli.overrides(),
            &self.environment,
            Machine::detect(),
        )?)
    }
}

/// Parses the command line, runs one command, shows its failure, and returns the exit code.
pub fn main(interrupts: Interrupts) -> process::ExitCode {
    let environment: Environment = std::env::vars_os().collect();
    let terminal = std::io::stderr().is_terminal();
    let live = terminal
        && environment
            .get(OsStr::new("TERM"))
            .is_none_or(|term| term != "dumb");
    let parsed = cli::parse(std::env::args_os());
    let global = parsed.as_ref().ok().map(|cli| &cli.global);
    let colour = global
        .map(|global| ColourChoice::from(global.color))
        .unwrap_or_default();
    let verbosity = global.map_or(Verbosity::Normal, cli::Global::verbosity);
    let console = Console::new(verbosity, colour.decide(terminal, &environment), live, None);
    let cli = match parsed {
        Ok(cli) => cli,
        Err(end) if end.exit == ExitCode::Fine => {
            let shown = console.line(end.text.trim_end()).map_err(Failure::from);
            return shown
                .map_or_else(|failure| failure.exit(), |()| ExitCode::Fine)
                .into();
        }
        Err(end) => {
            console.message(end.text.trim_end());
            return end.exit.into();
        }
    };
    trace();
    let outcome = start_folder(&cli).and_then(|folder| {
        let context = Context {
            console: console.clone(),
            folder,
            environment,
            interrupts,
            again: Again::of(&cli),
        };
        run(&context, &cli)
    });
    match outcome {
        Ok(code) => code.into(),
        Err(failure) => {
            let text = failure.render(console.colour());
            if !text.is_empty() {
                console.message(text.trim_end());
            }
            failure.exit().into()
        }
    }
}

/// Returns the folder that the user works in, absolute, after `-C`.
fn start_folder(cli: &Cli) -> Result<PathBuf, Failure> {
    if let Some(folder) = &cli.global.directory {
        std::env::set_current_dir(folder).map_err(|error| {
            Failure::new(
                ExitCode::Usage,
                format!("cannot work in `{}`: {error}", folder.display()),
            )
        })?;
    }
    std::env::current_dir().map_err(|error| {
        Failure::new(
            ExitCode::Usage,
            format!("cannot tell the current folder: {error}"),
        )
    })
}

/// Sends the trace that `RUST_LOG` asks for to stderr; none without it, but for warnings.
fn trace() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing_subscriber::filter::LevelFilter::WARN.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}

fn run(context: &Context, cli: &Cli) -> Result<ExitCode, Failure> {
    match &cli.command {
        Command::Init => init::run(&context.console, &context.folder),
        Command::Doctor(arguments) => {
            doctor::run(context, arguments, context.settings(cli).ok().as_ref())
        }
        Command::List(arguments) => list::run(context, arguments, &context.settings(cli)?),
        Command::Run(arguments) => run::run(context, arguments, &context.settings(cli)?),
        Command::Hunt(arguments) => hunt::run(context, arguments, &context.settings(cli)?),
        Command::Status(arguments) => status::run(context, arguments, &context.settings(cli)?),
        Command::Flags(arguments) => flags::run(context, arguments, &context.settings(cli)?),
        Command::Show(arguments) => show::run(context, arguments, &context.settings(cli)?),
        Command::Replay(arguments) => replay::run(context, arguments, &context.settings(cli)?),
        Command::Minimize(arguments) => minimize::run(context, arguments, &context.settings(cli)?),
        Command::Report(arguments) => report::run(context, arguments, &context.settings(cli)?),
        Command::Export(arguments) => export::run(context, arguments, &context.settings(cli)?),
        Command::Db {
            command: DbCommand::Check(arguments),
        } => db::check(context, arguments, &context.settings(cli)?),
        Command::Db {
            command: DbCommand::Backup(arguments),
        } => db::backup(context, arguments, &context.settings(cli)?),
        Command::Completions(arguments) => completions::run(&context.console, arguments),
        Command::Man(arguments) => man::run(context, arguments),
    }
}
