//! Finds `soakhound.toml` upwards from a folder. Reads no environment.

use std::path::{Path, PathBuf};

/// Name of the configuration file.
pub const FILE_NAME: &str = "soakhound.toml";

/// Returns the nearest configuration file in `start` or a folder above it; `None` when there is none.
#[must_use]
pub fn find(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .map(|folder| folder.join(FILE_NAME))
        .find(|file| file.is_file())
}
