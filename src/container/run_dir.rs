//! The folder of one living run: its lock says that it lives, its name is in all that it makes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use super::{HostError, cgroup};

/// Name of the lock file, in the base (while runs are made or swept) and in each run.
pub(super) const LOCK: &str = "lock";

/// Returns where runs live unless told otherwise: on a tmpfs that a reboot empties.
#[must_use]
pub fn default_base() -> PathBuf {
    PathBuf::from("/run/soakhound")
}

/// The folder of a living run; dropping it ends the run and removes what it left.
///
/// Clones share the folder. It must outlive its slots.
#[derive(Clone, Debug)]
pub struct RunDir(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    path: PathBuf,
    /// Held, never read: closing it would declare the run dead.
    _lock: File,
}

impl RunDir {
    /// Makes `base/<run id>/` and locks it for as long as this value lives.
    ///
    /// # Errors
    /// [`HostError::File`] when a file or folder cannot be made or locked.
    pub fn create(base: &Path) -> Result<Self, HostError> {
        // Between making a folder and locking it a sweep would take it for dead.
        let _base_lock = lock_base(base)?;
        let random = getrandom::u64().map_err(|_| HostError::File {
            action: "name",
            path: base.to_owned(),
            source: io::Error::other("the kernel gives no random bytes"),
        })?;
        let id = format!("{:012x}", random >> 16);
        let path = base.join(&id);
        fs::create_dir(&path).map_err(HostError::file("create", &path))?;
        let lock_path = path.join(LOCK);
        let mut lock = File::create(&lock_path).map_err(HostError::file("create", &lock_path))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|errno| HostError::file("lock", &lock_path)(errno.into()))?;
        writeln!(lock, "{}", std::process::id()).map_err(HostError::file("write", &lock_path))?;
        Ok(Self(Arc::new(Inner {
            id,
            path,
            _lock: lock,
        })))
    }

    /// Returns the run's id: 12 hexadecimal digits, part of every name that it gives.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Returns the run's folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Returns the name that a slot's cgroup and containers have.
    pub(super) fn slot_name(&self, index: u32) -> String {
        format!("{}{index}", name_prefix(&self.0.id))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let removed = cgroup::remove_named(&name_prefix(&self.id)).and_then(|_| {
            fs::remove_dir_all(&self.path).map_err(HostError::file("remove", &self.path))
        });
        if let Err(error) = removed {
            tracing::warn!(run = self.id, error = %error, "a run left something behind for the next sweep");
        }
    }
}

/// Returns what the names of a run's cgroups begin with.
pub(super) fn name_prefix(id: &str) -> String {
    format!("soakhound-{id}-")
}

/// Makes the base and takes its lock, which is held for moments only.
pub(super) fn lock_base(base: &Path) -> Result<File, HostError> {
    fs::create_dir_all(base).map_err(HostError::file("create", base))?;
    let path = base.join(LOCK);
    let lock = File::create(&path).map_err(HostError::file("create", &path))?;
    flock(&lock, FlockOperation::LockExclusive)
        .map_err(|errno| HostError::file("lock", &path)(errno.into()))?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_dir_is_gone_after_its_last_clone() {
        let base = tempfile::tempdir().unwrap();
        let run = RunDir::create(base.path()).unwrap();
        let (clone, path) = (run.clone(), run.path().to_owned());
        drop(run);
        assert!(path.is_dir());
        drop(clone);
        assert!(!path.exists());
    }
}
