//! Copies of a living database, by the online backup interface: never by copying its file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::{StoreError, open};

/// Pages per step; the writer gets its turn between steps.
const STEP: i32 = 4096;

/// Copies the database at `path` into the new file `to`; the copy is checked before it gets its name.
///
/// # Errors
/// [`StoreError::Exists`] when `to` exists; [`StoreError::Damaged`] when the copy is not sound.
pub fn backup(path: &Path, to: &Path) -> Result<(), StoreError> {
    let connection = open::open_for_reading(path)?;
    copy_database(&connection, to)
}

/// Copies an open database into a new file.
pub(super) fn copy_database(from: &Connection, to: &Path) -> Result<(), StoreError> {
    let partial = open::beside(to, "partial");
    match std::fs::remove_file(&partial) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(StoreError::io(&partial, e));
        }
        _ => {}
    }
    let copied = copy(from, &partial).and_then(|()| {
        // A hard link, unlike a rename, never replaces a file that came in between.
        std::fs::hard_link(&partial, to).map_err(|e| {
            if e.kind() == std::io::ErrorKind::AlreadyExists {
                let path = to.to_owned();
                StoreError::Exists { path }
            } else {
                StoreError::io(to, e)
            }
        })
    });
    let removed = std::fs::remove_file(&partial).map_err(|e| StoreError::io(&partial, e));
    copied.and(removed)?;
    sync_folder(to)
}

/// Copies an open database beside itself before it is upgraded from `version`. An earlier upgrade that
/// was cut off may have left a copy: it is kept, and this one gets the next free number.
pub(super) fn copy_to_free_name(
    from: &Connection,
    database: &Path,
    version: i64,
) -> Result<PathBuf, StoreError> {
    let mut number = 1;
    loop {
        let copy = open::beside(database, &format!("v{version}-{number}"));
        match copy_database(from, &copy) {
            Err(StoreError::Exists { .. }) => number += 1,
            other => return other.map(|()| copy),
        }
    }
}

fn copy(from: &Connection, partial: &Path) -> Result<(), StoreError> {
    let fail = |e| StoreError::query("backup", e);
    let mut copy = Connection::open(partial).map_err(fail)?;
    Backup::new(from, &mut copy)
        .map_err(fail)?
        .run_to_completion(STEP, Duration::ZERO, None)
        .map_err(fail)?;
    // A copy travels alone: without a log beside it.
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .map_err(fail)?;
    let verdict: String = copy
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(fail)?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(StoreError::Damaged {
            path: partial.to_owned(),
            found: verdict,
        })
    }
}

fn sync_folder(file: &Path) -> Result<(), StoreError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let synced = std::fs::File::open(folder).and_then(|f| f.sync_all());
    synced.map_err(|e| StoreError::io(folder, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_before_an_upgrade_never_takes_the_place_of_an_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("hunt.db");
        let from = Connection::open(&database).unwrap();
        from.execute_batch("CREATE TABLE old (id INTEGER) STRICT;")
            .unwrap();
        let first = copy_to_free_name(&from, &database, 1).unwrap();
        let kept = std::fs::read(&first).unwrap();
        from.execute_batch("DROP TABLE old;").unwrap();
        let second = copy_to_free_name(&from, &database, 1).unwrap();
        assert_ne!(first, second);
        assert_eq!(std::fs::read(&first).unwrap(), kept);
        assert!(!open::beside(&first, "partial").exists());
    }
}
