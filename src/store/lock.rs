//! One writer per database: an exclusive `flock` on a file beside it that names its holder.
//!
//! The file is never removed: whoever unlinks a lock file lets two processes hold "the" lock.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::StoreError;
use crate::model::UnixMillis;

/// Longest holder line that is read: the file may hold anything.
const MAX_HOLDER: u64 = 1024;

/// How often and how far apart the lock is asked for: a reader has it for microseconds.
const ATTEMPTS: u32 = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// Who writes to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Process id on its host; 0 when the lock file does not say.
    pub pid: u32,
    /// Host name; empty when the lock file does not say.
    pub host: String,
    /// When it took the lock.
    pub since: UnixMillis,
}

/// The held lock. Dropping it empties the file and gives the lock back.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of `database`, and returns the holder that died without giving it back, if one did.
    pub(super) fn take(
        database: &Path,
        now: UnixMillis,
    ) -> Result<(Self, Option<Holder>), StoreError> {
        let path = super::open::beside(database, "lock");
        let fail = |e: std::io::Error| StoreError::io(&path, e);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(fail)?;
        if let Err(errno) = try_exclusive(&file) {
            if errno != rustix::io::Errno::WOULDBLOCK {
                return Err(fail(errno.into()));
            }
            let holder = read_holder(&mut file).map_err(fail)?.unwrap_or(Holder {
                pid: 0,
                host: String::new(),
                since: now,
            });
            let path = PathBuf::from(database);
            return Err(StoreError::Locked { path, holder });
        }
        let died = read_holder(&mut file).map_err(fail)?;
        let line = format!("{} {} {}\n", std::process::id(), now.0, host_name());
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(line.as_bytes())
        };
        match write(&mut file) {
            // The line is a courtesy to the next in line; a full disk must not keep the hunt from draining.
            Err(e) if e.kind() == std::io::ErrorKind::StorageFull => {}
            other => other.map_err(fail)?,
        }
        Ok((Self { file }, died))
    }
}

/// Takes the lock, past readers that have it for the instant in which they ask who holds it.
fn try_exclusive(file: &File) -> rustix::io::Result<()> {
    for _ in 1..ATTEMPTS {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(BETWEEN_ATTEMPTS),
            other => return other,
        }
    }
    flock(file, FlockOperation::NonBlockingLockExclusive)
}

/// Returns who writes to a database now; `None` when nobody does.
///
/// # Errors
/// When the lock file is there and cannot be read.
pub fn holder(database: &Path) -> Result<Option<Holder>, StoreError> {
    let path = super::open::beside(database, "lock");
    let fail = |e: std::io::Error| StoreError::io(&path, e);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => read_holder(&mut file).map_err(fail),
        Err(errno) => Err(fail(errno.into())),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.file.set_len(0) {
            tracing::warn!(%error, "lock file not emptied");
        }
    }
}

fn read_holder(file: &mut File) -> std::io::Result<Option<Holder>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(MAX_HOLDER).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut words = text.split_whitespace();
    let holder = (|| {
        Some(Holder {
            pid: words.next()?.parse().ok()?,
            since: UnixMillis(words.next()?.parse().ok()?),
            host: words.next()?.to_owned(),
        })
    })();
    Ok(holder)
}

fn host_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    name.split_whitespace().collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_is_taken_past_whoever_asks_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("hunt.db");
        let now = UnixMillis(0);
        drop(Lock::take(&database, now).unwrap());
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    holder(&database).unwrap();
                }
            });
            for _ in 0..200 {
                let taken = Lock::take(&database, now).map(drop);
                done.store(taken.is_err(), std::sync::atomic::Ordering::Relaxed);
                taken.unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
