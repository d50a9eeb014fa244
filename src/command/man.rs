//! `man`: the manual pages, from the command line's own definition.

use std::fs;

use super::Context;
use crate::{
    cli::{self, ManArgs},
    error::{ExitCode, Failure},
    ui::{escape, text},
};

/// Writes every page into a folder, or the main one to stdout.
///
/// # Errors
/// [`Failure`] with 150 when the folder cannot be written; or when stdout cannot.
pub(super) fn run(context: &Context, arguments: &ManArgs) -> Result<ExitCode, Failure> {
    let console = &context.console;
    let pages = cli::man()?;
    let Some(folder) = &arguments.out else {
        let main = String::from_utf8_lossy(&pages[0].text);
        console.line(main.trim_end())?;
        return Ok(ExitCode::Fine);
    };
    let folder = context.folder.join(folder);
    let shown = escape::terminal(folder.as_os_str().as_encoded_bytes());
    let written = fs::create_dir_all(&folder).and_then(|()| {
        pages
            .iter()
            .try_for_each(|page| fs::write(folder.join(&page.file), &page.text))
    });
    written.map_err(|error| {
        Failure::new(
            ExitCode::Usage,
            format!("cannot write to `{shown}`: {error}"),
        )
    })?;
    let count = text::plural(pages.len() as u64, "page");
    console.line(&format!("wrote {count} to {shown}"))?;
    let main = folder.join(&pages[0].file);
    let main = escape::terminal(main.as_os_str().as_encoded_bytes());
    console.line(&format!("next: man -l {main}"))?;
    Ok(ExitCode::Fine)
}
