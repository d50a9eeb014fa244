//! Removes what dead runs left: cgroups with whatever still runs in them, and folders.
//!
//! A run is dead when the lock in its folder can be taken. Living runs, and anything that does not
//! carry the id of a dead one, are not touched. Mounts need no sweep: they lie in mount namespaces
//! that die with their processes.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::run_dir::{LOCK, lock_base, name_prefix};
use super::{HostError, cgroup};

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Ids of the dead runs that are gone now, sorted.
    pub runs: Vec<String>,
    /// Number of cgroup folders removed, over all hierarchies.
    pub cgroups: usize,
    /// Number of living runs found.
    pub living: usize,
}

/// Removes everything that belongs to dead runs below `base`.
///
/// # Errors
/// [`HostError::File`] when something of a dead run cannot be removed; what came before it is gone.
pub fn sweep(base: &Path) -> Result<Swept, HostError> {
    let mut swept = Swept::default();
    if !base.is_dir() {
        return Ok(swept);
    }
    let _base_lock = lock_base(base)?;
    let entries = fs::read_dir(base).map_err(HostError::file("read", base))?;
    for entry in entries {
        let path = entry.map_err(HostError::file("read", base))?.path();
        let Some(id) = path
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|id| is_run_id(id))
        else {
            continue;
        };
        if lives(&path)? {
            swept.living += 1;
            continue;
        }
        swept.cgroups += cgroup::remove_named(&name_prefix(id))?;
        fs::remove_dir_all(&path).map_err(HostError::file("remove", &path))?;
        swept.runs.push(id.to_owned());
    }
    swept.runs.sort_unstable();
    Ok(swept)
}

fn is_run_id(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Is somebody holding the run's lock? A run without a lock file died while it was made.
fn lives(run: &Path) -> Result<bool, HostError> {
    let path = run.join(LOCK);
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(HostError::file("open", path)(error)),
    };
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(HostError::file("lock", path)(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::RunDir;
    use super::*;

    #[test]
    fn sweep_removes_dead_runs_and_leaves_living_ones_and_strangers() {
        let base = tempfile::tempdir().unwrap();
        let living = RunDir::create(base.path()).unwrap();
        let dead = base.path().join("0123456789ab");
        fs::create_dir_all(dead.join("slot-0/left")).unwrap();
        fs::create_dir(base.path().join("notes")).unwrap();
        let swept = sweep(base.path()).unwrap();
        assert_eq!(swept.runs, ["0123456789ab"]);
        assert_eq!(swept.living, 1);
        assert!(!dead.exists() && living.path().exists() && base.path().join("notes").exists());
    }

    #[test]
    fn sweep_of_a_missing_base_finds_nothing() {
        assert_eq!(
            sweep(Path::new("/nonexistent/base")).unwrap(),
            Swept::default()
        );
    }
}
