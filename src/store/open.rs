//! Opening: what kind of file it is, settings, schema steps. A file that is not ours to write is left as it is.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, named_params};

use super::{Holder, StoreError, sql};
use crate::model::UnixMillis;

/// "Soak", at offset 68 of the file.
const APPLICATION_ID: u32 = 0x536F_616B;

/// The one `SQLite` release after 3.51.3 that was withdrawn.
const WITHDRAWN: i32 = 3_052_000;

/// How long a statement waits for another connection; a reader's transaction takes far less.
const BUSY: Duration = Duration::from_secs(10);

/// Longest row or statement: a segment of a million trials fits, a hostile blob does not.
const MAX_LENGTH: i32 = 16 << 20;

/// Tables whose pages are checked at every start: small, and everything hangs on them.
const KEY_TABLES: [&str; 5] = ["store", "suite", "hunt", "lease", "revision"];

/// How to open a database for writing.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Bytes kept in reserve beside the database; less where the disk is small.
    pub reserve: u64,
    /// The wall clock at the start, for the lock and a new database.
    pub now: UnixMillis,
}

impl OpenOptions {
    /// Returns the usual options: 64 MiB in reserve, many times what closing 64 segments takes.
    #[must_use]
    pub fn at(now: UnixMillis) -> Self {
        Self {
            reserve: 64 << 20,
            now,
        }
    }
}

/// What opening a database for writing found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartReport {
    /// Was it made now?
    pub created: bool,
    /// Schema version before, where it was upgraded, and the backup made for that.
    pub upgraded: Option<(i64, PathBuf)>,
    /// The process that died without giving the database back.
    pub died: Option<Holder>,
    /// 30 bits that tell this database from others.
    pub database_id: u32,
}

/// What stands at a path.
enum Found {
    Nothing,
    Database { version: i64 },
}

/// Returns the path of a file that belongs to a database: its name with `.suffix`.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the folder of a database, for its user alone, and refuses network file systems.
pub(super) fn prepare_folder(database: &Path) -> Result<(), StoreError> {
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|e| StoreError::io(folder, e))?;
    let facts = rustix::fs::statfs(folder).map_err(|e| StoreError::io(folder, e))?;
    match network_filesystem(facts.f_type) {
        Some(filesystem) => Err(StoreError::Network {
            path: folder.to_owned(),
            filesystem,
        }),
        None => Ok(()),
    }
}

/// Opens for writing: refuses what is not ours, applies the settings, brings the schema up to date by `steps`.
///
/// The caller holds the lock.
pub(super) fn open_for_writing(
    path: &Path,
    steps: &[&str],
    now: UnixMillis,
) -> Result<(Connection, StartReport), StoreError> {
    check_library()?;
    let newest = version_after(steps);
    let found = inspect(path, newest)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = connect(path, flags)?;
    let created = matches!(found, Found::Nothing);
    let settings = |c: &Connection| {
        if created {
            c.pragma_update(None, "page_size", 4096)?;
            c.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        c.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        c.pragma_update(None, "synchronous", "FULL")?;
        c.pragma_update(None, "foreign_keys", true)?;
        // Checkpoints are ours: the automatic ones, and the one at close, swallow their errors.
        c.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        c.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
        c.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .map(drop)
    };
    settings(&connection).map_err(|e| StoreError::query("settings", e))?;
    let upgraded = match found {
        Found::Database { version } if version < newest => {
            let copy = super::backup::copy_to_free_name(&connection, path, version)?;
            Some((version, copy))
        }
        Found::Nothing | Found::Database { .. } => None,
    };
    migrate(&mut connection, steps, now)?;
    let database_id = database_id(&connection)?;
    let report = StartReport {
        created,
        upgraded,
        died: None,
        database_id,
    };
    Ok((connection, report))
}

/// Opens for reading alone, refusing the same files.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, StoreError> {
    check_library()?;
    let known = version_after(sql::STEPS);
    match inspect(path, known)? {
        Found::Database { version } if version == known => connect(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        ),
        Found::Database { version } => Err(StoreError::Older {
            found: version,
            known,
        }),
        Found::Nothing => Err(StoreError::Missing {
            path: path.to_owned(),
        }),
    }
}

/// Returns the 30 bits that tell this database from others.
pub(super) fn database_id(connection: &Connection) -> Result<u32, StoreError> {
    sql::SELECT_STORE.only(connection, &[], |row| row.get("database_id"))
}

fn version_after(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).expect("a few steps")
}

fn check_library() -> Result<(), StoreError> {
    let version = rusqlite::version_number();
    if version < 3_051_003 || version == WITHDRAWN {
        return Err(StoreError::Library {
            found: rusqlite::version(),
        });
    }
    Ok(())
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(128);
        // Databases are mailed around: neither their schema nor their pages are believed.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        // Otherwise a value compared on a table with a partial index has its statement compiled anew each time.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_LENGTH)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(()))?;
        Ok(connection)
    };
    open().map_err(|e| StoreError::query("open", e))
}

/// Looks at a file without writing to it: first at its plain header, then through a read-only connection.
fn inspect(path: &Path, known: i64) -> Result<Found, StoreError> {
    let Some(header) = read_header(path)? else {
        return Ok(Found::Nothing);
    };
    let word = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    // A write-ahead log may hold a newer header, so this refuses early but does not accept.
    let refuse = |application_id: u32, version: i64| match (application_id, version) {
        (APPLICATION_ID, version) if version > known => Err(StoreError::Newer {
            found: version,
            known,
        }),
        (APPLICATION_ID | 0, _) => Ok(()),
        (application_id, _) => Err(StoreError::Foreign {
            path: path.to_owned(),
            application_id,
        }),
    };
    refuse(word(68), i64::from(word(60)))?;
    let damaged = |found: String| StoreError::Damaged {
        path: path.to_owned(),
        found,
    };
    let length = path.metadata().map_err(|e| StoreError::io(path, e))?.len();
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let log = path.with_file_name({
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push("-wal");
        name
    });
    // A checkpoint that was cut off leaves the file short, and the log makes up for it.
    if !log.metadata().is_ok_and(|m| m.len() > 0) && length < page * u64::from(word(28)) {
        return Err(damaged(format!(
            "{} pages promised, {} bytes there",
            word(28),
            length
        )));
    }
    let connection = connect(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    );
    let look = |c: &Connection| -> Result<Found, StoreError> {
        let pragma = |name: &'static str| {
            c.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .map_err(|e| StoreError::query(name, e))
        };
        let version = pragma("user_version")?;
        let application_id =
            u32::try_from(pragma("application_id")? & 0xffff_ffff).expect("masked to 32 bits");
        refuse(application_id, version)?;
        if application_id == 0 {
            // Ours, if we died between making the file and its first commit: nothing is in it then.
            let tables = pragma("schema_version")?;
            let foreign = StoreError::Foreign {
                path: path.to_owned(),
                application_id,
            };
            return if tables == 0 {
                Ok(Found::Nothing)
            } else {
                Err(foreign)
            };
        }
        for table in KEY_TABLES {
            let mut found = Vec::new();
            let answer = c.pragma(None, "quick_check", table, |row| {
                found.push(row.get::<_, String>(0)?);
                Ok(())
            });
            answer.map_err(|e| StoreError::query("quick_check", e))?;
            if found != ["ok"] {
                return Err(damaged(found.swap_remove(0)));
            }
        }
        Ok(Found::Database { version })
    };
    connection.and_then(|c| look(&c)).map_err(|e| {
        if e.is_damage() {
            damaged(e_text(&e))
        } else {
            e
        }
    })
}

fn e_text(error: &StoreError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Files whose headers were read, by device and inode. They are never closed: when a process closes any handle of a file,
/// all its locks on that file are gone, those of `SQLite` too. Another program would then take itself for the last
/// one at the database, and remove the write-ahead log under a living hunt.
static READ: Mutex<BTreeMap<(u64, u64), File>> = Mutex::new(BTreeMap::new());

/// Reads the 100 bytes of a database header; `None` when there is no file, or an empty one.
fn read_header(path: &Path) -> Result<Option<[u8; 100]>, StoreError> {
    let fail = |e| StoreError::io(path, e);
    let found = match path.metadata() {
        Ok(found) => found,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let file = match read.entry((found.dev(), found.ino())) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(entry) => entry.insert(File::open(path).map_err(fail)?),
    };
    let mut bytes = vec![0; 100];
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], length as u64) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(fail(e)),
        }
    }
    bytes.truncate(length);
    if bytes.is_empty() {
        return Ok(None);
    }
    match bytes.first_chunk::<100>() {
        Some(header) if header.starts_with(b"SQLite format 3\0") => Ok(Some(*header)),
        _ => Err(StoreError::Foreign {
            path: path.to_owned(),
            application_id: 0,
        }),
    }
}

/// Brings a database to the newest schema, in one transaction. A step may make a table anew that others
/// refer to, which needs foreign keys off from before the transaction: they are checked at its end.
fn migrate(connection: &mut Connection, steps: &[&str], now: UnixMillis) -> Result<(), StoreError> {
    let fail = |e| StoreError::query("migrate", e);
    let enforced = connection
        .pragma_query_value(None, "foreign_keys", |row| row.get::<_, bool>(0))
        .map_err(fail)?;
    let enforce = |on: bool, connection: &Connection| {
        let set = connection.pragma_update(None, "foreign_keys", on);
        set.map_err(fail)
    };
    enforce(false, connection)?;
    let migrated = apply(connection, steps, now);
    enforce(enforced, connection)?;
    migrated
}

/// Applies the missing steps, all or none.
fn apply(connection: &mut Connection, steps: &[&str], now: UnixMillis) -> Result<(), StoreError> {
    let fail = |e| StoreError::query("migrate", e);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fail)?;
    let version: usize = transaction
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(fail)?;
    if version >= steps.len() {
        return Ok(());
    }
    for step in &steps[version..] {
        transaction.execute_batch(step).map_err(fail)?;
    }
    if version == 0 {
        let values = named_params! { ":database_id": random_30_bits(), ":created_ms": now.0 };
        sql::INSERT_STORE.run(&transaction, values)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(fail)?;
    }
    transaction
        .pragma_update(None, "user_version", steps.len())
        .map_err(fail)?;
    let mut broken = Vec::new();
    let check = transaction.pragma_query(None, "foreign_key_check", |row| {
        broken.push(row.get::<_, String>(0)?);
        Ok(())
    });
    check.map_err(fail)?;
    if let Some(table) = broken.pop() {
        return Err(StoreError::Migration { table });
    }
    transaction.commit().map_err(fail)?;
    // So that the plain header tells the truth to those who look before opening.
    super::desk::checkpoint(connection, "TRUNCATE").map(drop)
}

fn random_30_bits() -> u32 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    u32::from_le_bytes(bytes) >> 2
}

fn network_filesystem(magic: i64) -> Option<&'static str> {
    match magic & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b => Some("SMB"),
        0xff53_4d42 => Some("CIFS"),
        0xfe53_4d42 => Some("SMB2"),
        0x0102_1997 => Some("9p"),
        0x00c3_6400 => Some("Ceph"),
        0x5346_414f => Some("AFS"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_refused_and_local_ones_are_not() {
        assert_eq!(network_filesystem(0x6969), Some("NFS"));
        assert_eq!(network_filesystem(0x0102_1997), Some("9p"));
        assert_eq!(
            network_filesystem(0xff53_4d42_u32.cast_signed().into()),
            Some("CIFS")
        );
        assert_eq!(network_filesystem(0xef53), None, "ext4");
    }

    /// All steps and one more.
    fn and_then(step: &'static str) -> Vec<&'static str> {
        sql::STEPS.iter().copied().chain([step]).collect()
    }

    #[test]
    fn steps_run_once_and_all_or_none() {
        let mut connection = Connection::open_in_memory().unwrap();
        let version = |c: &Connection| {
            c.pragma_query_value(None, "user_version", |r| r.get::<_, i64>(0))
                .unwrap()
        };
        migrate(&mut connection, sql::STEPS, UnixMillis(1)).unwrap();
        migrate(&mut connection, sql::STEPS, UnixMillis(2)).unwrap();
        assert_eq!(version(&connection), version_after(sql::STEPS));
        let broken = and_then(
            "CREATE TABLE more (id INTEGER) STRICT; CREATE TABLE more (id INTEGER) STRICT;",
        );
        assert!(migrate(&mut connection, &broken, UnixMillis(3)).is_err());
        assert_eq!(version(&connection), version_after(sql::STEPS));
        assert!(connection.prepare("SELECT id FROM more").is_err());
        let sound = and_then("CREATE TABLE more (id INTEGER) STRICT;");
        migrate(&mut connection, &sound, UnixMillis(3)).unwrap();
        assert_eq!(version(&connection), version_after(&sound));
    }

    #[test]
    fn an_older_database_is_copied_and_then_upgraded_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hunt.db");
        let open = |steps: &[&str]| open_for_writing(&path, steps, UnixMillis(1));
        let (connection, made) = open(sql::STEPS).unwrap();
        let fill = "INSERT INTO test (name) VALUES (x'61')";
        connection.execute(fill, []).unwrap();
        drop(connection);

        let broken = and_then("CREATE TABLE more (id INTEGER) STRICT; nonsense");
        assert!(open(&broken).is_err());
        let (connection, report) = open(sql::STEPS).unwrap();
        assert_eq!(report.upgraded, None, "the broken step left nothing behind");
        assert!(connection.prepare("SELECT id FROM more").is_err());
        drop(connection);

        let sound = and_then("CREATE TABLE more (id INTEGER) STRICT;");
        let (connection, report) = open(&sound).unwrap();
        let (version, copy) = report.upgraded.unwrap();
        assert_eq!(
            (version, report.created),
            (version_after(sql::STEPS), false)
        );
        assert_eq!(report.database_id, made.database_id);
        let count = |c: &Connection| c.query_row("SELECT COUNT(*) FROM test", [], |r| r.get(0));
        assert_eq!(count(&connection), Ok(1_i64));
        assert!(connection.prepare("SELECT id FROM more").is_ok());
        drop(connection);
        let Err(StoreError::Newer { found, known }) = open(sql::STEPS) else {
            panic!("a newer database is refused")
        };
        assert_eq!((found, known), (version + 1, version));
        let copy = open_for_reading(&copy).unwrap();
        assert_eq!(
            count(&copy),
            Ok(1),
            "the copy is a whole database of the version before"
        );
    }

    #[test]
    fn a_step_that_would_leave_rows_without_their_parent_is_refused_whole() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .pragma_update(None, "foreign_keys", true)
            .unwrap();
        migrate(&mut connection, sql::STEPS, UnixMillis(1)).unwrap();
        let fill = "INSERT INTO suite VALUES (1, 7, 'a', 'b'); INSERT INTO test_list VALUES (1, zeroblob(32));
            INSERT INTO revision VALUES (1, 1, 1, zeroblob(32), zeroblob(32), NULL, 0);";
        connection.execute_batch(fill).unwrap();
        let losing = and_then("DELETE FROM suite;");
        let error = migrate(&mut connection, &losing, UnixMillis(2)).unwrap_err();
        assert!(
            matches!(&error, StoreError::Migration { table } if table == "revision"),
            "{error}"
        );
        let count = |sql: &str| {
            connection
                .query_row(sql, [], |r| r.get::<_, i64>(0))
                .unwrap()
        };
        assert_eq!(count("SELECT COUNT(*) FROM suite"), 1);
        assert_eq!(count("PRAGMA foreign_keys"), 1, "enforced again");
    }
}
