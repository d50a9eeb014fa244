//! One file per subcommand, and what they share. Joins the layers; knows no SQL, no clap, no liblxc.

mod completions;
mod db;
mod doctor;
mod failure;
mod hunt;
mod init;
mod junit;
mod list;
mod replay;
mod run;
mod session;
mod status;
mod stopping;
mod tally;
mod tokens;

use std::{collections::BTreeMap, io::IsTerminal, path::PathBuf, process};

use tokio::sync::watch;

use crate::{
    cli::{self, Cli, Command, DbCommand},
    config::{Environment, Machine, Settings},
    error::{ExitCode, Failure},
    ui::{ColourChoice, Console},
};

/// Starts to count SIGINTs; called at most once, by commands that drain.
pub type Interrupts = fn() -> Result<watch::Receiver<u32>, ctrlc::Error>;

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
}

impl Context {
    /// Joins the configuration file, the flags and the environment.
    fn settings(&self, cli: &Cli) -> Result<Settings, Failure> {
        Ok(Settings::load(&self.folder, &cli.overrides(), &self.environment, Machine::detect())?)
    }
}

/// Parses the command line, runs one command, shows its failure, and returns the exit code.
pub fn main(interrupts: Interrupts) -> process::ExitCode {
    let environment: BTreeMap<_, _> = std::env::vars_os().collect();
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(end) => return early(&end),
    };
    let live = std::io::stderr().is_terminal();
    let colour = ColourChoice::from(cli.global.color).decide(live, &environment);
    let width = crossterm_width(&environment);
    let console = Console::new(cli.global.verbosity(), colour, live, width);
    trace(&console);
    let outcome = start_folder(&cli).and_then(|folder| {
        let context = Context { console, folder, environment, interrupts };
        let outcome = run(&context, &cli);
        outcome.inspect_err(|failure| say(&context.console, failure))
    });
    match outcome {
        Ok(code) => code.into(),
        Err(failure) => failure.exit().into(),
    }
}

fn run(context: &Context, cli: &Cli) -> Result<ExitCode, Failure> {
    match &cli.command {
        Command::Init => init::run(&context.console, &context.folder),
        Command::Doctor(arguments) => doctor::run(context, arguments, context.settings(cli).ok().as_ref()),
        Command::List(arguments) => list::run(context, arguments, &context.settings(cli)?),
        Command::Run(arguments) => run::run(context, arguments, &context.settings(cli)?),
        Command::Hunt(arguments) => hunt::run(context, arguments, &context.settings(cli)?),
        Command::Status(arguments) => status::run(context, arguments, &context.settings(cli)?),
        Command::Replay(arguments) => replay::run(context, arguments, &context.settings(cli)?),
        Command::Db { command: DbCommand::Check(arguments) } => db::check(context, arguments, &context.settings(cli)?),
        Command::Db { command: DbCommand::Backup(arguments) } => {
            db::backup(context, arguments, &context.settings(cli)?)
        }
        Command::Completions(arguments) => completions::run(&context.console, arguments),
    }
}
