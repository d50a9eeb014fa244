//! Space kept in reserve: a file beside the database that is given up when a commit finds the disk full.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::StoreError;

/// The reserve of one database.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
}

impl Ballast {
    /// Fills the reserve up to `bytes`, or to a twentieth of the free space where that is less.
    ///
    /// A file system that cannot reserve (no `fallocate`, no space) leaves it empty.
    pub(super) fn fill(database: &Path, bytes: u64) -> Result<Self, StoreError> {
        let path = super::open::beside(database, "ballast");
        let fail = |e: std::io::Error| StoreError::io(&path, e);
        let held = path.metadata().map_or(0, |m| m.len());
        let folder = path.parent().unwrap_or(Path::new("."));
        let space = statvfs(folder).map_err(|e| fail(e.into()))?;
        let size = bytes.min((space.f_bavail.saturating_mul(space.f_frsize) + held) / 20);
        if held < size {
            let file = File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(fail)?;
            if fallocate(&file, FallocateFlags::empty(), 0, size).is_err() {
                std::fs::remove_file(&path).map_err(fail)?;
            }
        }
        Ok(Self { path })
    }

    /// Gives the space back. `false` when there was none.
    pub(super) fn release(&self) -> Result<bool, StoreError> {
        match std::fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(StoreError::io(&self.path, e)),
        }
    }
}
