//! Captured output of segments: compressed files beside the database, with a budget. Logs may go;
//! outcomes never do.

use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::StoreError;
use crate::model::UnixMillis;

/// Longest log that is kept of one segment, before compression; of a longer one, head and tail.
const MAX_LOG: usize = 8 << 20;

/// What stands where the middle of a log was cut out.
const CUT: &[u8] = b"\n[... cut ...]\n";

/// What pruning removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Files removed.
    pub files: u64,
    /// Bytes given back.
    pub bytes: u64,
}

/// Writes the output of a segment below `folder`, and returns its path relative to it.
///
/// Of more than 8 MiB the first and the last half are kept. A file that is there is replaced.
///
/// # Errors
/// When it cannot be written; [`StoreError::DiskFull`] for want of space, where the hunt goes on without.
pub fn write_log(
    folder: &Path,
    hunt: i64,
    segment: i64,
    output: &[u8],
) -> Result<String, StoreError> {
    let name = format!("logs/{hunt}/{segment}.log.zst");
    let path = folder.join(&name);
    let parent = folder.join(format!("logs/{hunt}"));
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&parent);
    made.map_err(|e| StoreError::io(&parent, e))?;
    let partial = path.with_extension("partial");
    let written = File::create(&partial).and_then(|file| {
        let mut encoder = zstd::Encoder::new(file, 0)?;
        if output.len() > MAX_LOG {
            encoder.write_all(&output[..MAX_LOG / 2])?;
            encoder.write_all(CUT)?;
            encoder.write_all(&output[output.len() - MAX_LOG / 2..])?;
        } else {
            encoder.write_all(output)?;
        }
        encoder.finish()?;
        std::fs::rename(&partial, &path)
    });
    match written {
        Ok(()) => Ok(name),
        Err(e) => {
            // What could not be written whole only takes space.
            drop(std::fs::remove_file(&partial));
            Err(StoreError::io(&path, e))
        }
    }
}

/// Reads a log back by its relative path; `None` when it was pruned.
///
/// # Errors
/// When it cannot be read, or the path leads out of `folder`.
pub fn read_log(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let relative = Path::new(name);
    if !relative
        .components()
        .all(|c| matches!(c, Component::Normal(_)))
    {
        let outside = std::io::Error::from(std::io::ErrorKind::InvalidInput);
        return Err(StoreError::io(relative, outside));
    }
    let path = folder.join(relative);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(StoreError::io(&path, e)),
    };
    let mut output = Vec::new();
    let bound = (MAX_LOG + CUT.len()) as u64;
    let read =
        zstd::Decoder::new(file).and_then(|decoder| decoder.take(bound).read_to_end(&mut output));
    read.map_err(|e| StoreError::io(&path, e))?;
    Ok(Some(output))
}

/// Removes the logs below `folder` that are older than `keep`, then the oldest until they fit `budget` bytes.
///
/// # Errors
/// When a folder cannot be listed or a file cannot be removed.
pub fn prune_logs(
    folder: &Path,
    keep: Duration,
    budget: u64,
    now: UnixMillis,
) -> Result<Pruned, StoreError> {
    let mut logs = Vec::new();
    for hunt in list(&folder.join("logs"))? {
        if hunt.is_dir() {
            for path in list(&hunt)? {
                let facts = path
                    .symlink_metadata()
                    .map_err(|e| StoreError::io(&path, e))?;
                let modified = facts.modified().map_err(|e| StoreError::io(&path, e))?;
                logs.push((modified, path, facts.len()));
            }
        }
    }
    logs.sort_unstable();
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now.0.max(0).unsigned_abs());
    let mut total: u64 = logs.iter().map(|(_, _, bytes)| bytes).sum();
    let mut pruned = Pruned::default();
    for (modified, path, bytes) in logs {
        // A log from the future (a clock that was set back) is as young as can be.
        let old = now.duration_since(modified).is_ok_and(|age| age > keep);
        if !old && total <= budget {
            break;
        }
        std::fs::remove_file(&path).map_err(|e| StoreError::io(&path, e))?;
        total -= bytes;
        pruned = Pruned {
            files: pruned.files + 1,
            bytes: pruned.bytes + bytes,
        };
    }
    Ok(pruned)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let fail = |e| StoreError::io(folder, e);
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|e| e.map(|e| e.path()).map_err(fail)).collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(fail(e)),
    }
}
