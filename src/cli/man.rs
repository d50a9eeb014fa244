//! The manual pages, from the definition of the command line and the table of exit codes.

use std::{fmt::Write as _, io};

use clap::CommandFactory;

use super::Cli;
use crate::error::ExitCode;

/// A manual page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManPage {
    /// The name of its file, such as `soakhound-hunt.1`.
    pub file: String,
    /// Its text, for `man`.
    pub text: Vec<u8>,
}

/// Returns the manual: the main page first, then one per command and per command below it, by name.
///
/// # Errors
/// None that is known: nothing is written but memory.
pub fn man() -> io::Result<Vec<ManPage>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    add_pages(&root, &mut pages)?;
    Ok(pages)
}

fn add_pages(command: &clap::Command, pages: &mut Vec<ManPage>) -> io::Result<()> {
    let page = clap_mangen::Man::new(command.clone())
        .source(concat!("soakhound ", env!("CARGO_PKG_VERSION")))
        .manual("Soakhound");
    let mut text = Vec::new();
    page.render(&mut text)?;
    if pages.is_empty() {
        text.extend(exit_status().into_bytes());
    }
    pages.push(ManPage {
        file: page.get_filename(),
        text,
    });
    for below in command.get_subcommands() {
        add_pages(below, pages)?;
    }
    Ok(())
}

/// Returns the section about exit codes; the other pages' commands have the same.
fn exit_status() -> String {
    let mut section = String::from(".SH \"EXIT STATUS\"\nOne table for all commands.\n");
    for exit in ExitCode::ALL {
        // Roff reads a backslash, and a dot or quote at the beginning of a line.
        let meaning = exit.meaning().replace('\\', "\\e").replace('-', "\\-");
        write!(section, ".TP\n\\fB{}\\fR\n\\&{meaning}\n", exit.code())
            .expect("a string takes all");
    }
    section
}
