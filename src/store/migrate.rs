//! Opening: whose file it is, which schema it has, and whether it is whole.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::StoreError;
use crate::base::PeerId;

/// `CSgn`, in `SQLite`'s header, so that `file` and we know what it is.
const APPLICATION_ID: i32 = 0x4353_676e;

/// Each brings the schema from its index to the next number. Never changed once released.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
];

/// The newest schema.
#[must_use]
pub fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Opens the database to write, creating it if there is none.
pub(super) fn open(path: &Path, owner: &PeerId) -> Result<Connection, StoreError> {
    let mut db = Connection::open(path)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    check_kind(&db, path)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON; PRAGMA cache_size = -2048;
         PRAGMA journal_size_limit = 16777216; PRAGMA wal_autocheckpoint = 4000;",
    )?;
    db.set_prepared_statement_cache_capacity(64);
    check_whole(&db, path)?;
    migrate(&mut db)?;
    check_owner(&db, path, owner)?;
    grow_log(&db)?;
    close_to_others(path);
    Ok(db)
}

/// A database without a file, for tests that step it.
#[cfg(test)]
pub(super) fn open_in_memory(owner: &PeerId) -> Result<Connection, StoreError> {
    let mut db = Connection::open_in_memory()?;
    db.execute_batch("PRAGMA foreign_keys = ON;")?;
    db.set_prepared_statement_cache_capacity(64);
    migrate(&mut db)?;
    check_owner(&db, Path::new("memory"), owner)?;
    Ok(db)
}

/// Opens the database to read. It must have been opened to write before.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048;")?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

fn check_kind(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let foreign = |_| StoreError::Foreign(path.to_owned());
    let number = |pragma: &str| db.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let id = match number("application_id") {
        Ok(id) => id,
        Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            return Err(foreign(e));
        }
        Err(e) => return Err(e.into()),
    };
    let version = number("user_version")?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    let empty = id == 0 && version == 0 && tables == 0;
    if id != APPLICATION_ID && !empty {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    let found = u32::try_from(version).unwrap_or(u32::MAX);
    if found > newest() {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: newest() });
    }
    Ok(())
}

fn check_whole(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let said: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" {
        return Ok(());
    }
    Err(StoreError::Damaged { path: path.to_owned(), problem: said })
}

fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let version: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    for (number, sql) in (1..).zip(MIGRATIONS).skip(done) {
        let transaction = db.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Makes the log as long as it becomes before its first checkpoint (4,000 pages of 4 KiB), by a
/// transaction that spills into it and is undone. A commit into a log that grows waits for the
/// file system's own journal too, which is ten times as long.
fn grow_log(db: &Connection) -> Result<(), StoreError> {
    db.execute_batch(
        "PRAGMA cache_size = -256; BEGIN IMMEDIATE; CREATE TABLE log_is_grown (x BLOB);
         INSERT INTO log_is_grown VALUES (zeroblob(17000000)); ROLLBACK; PRAGMA cache_size = -2048;",
    )?;
    Ok(())
}

fn check_owner(db: &Connection, path: &Path, owner: &PeerId) -> Result<(), StoreError> {
    let found: Option<String> = meta(db, "identity")?;
    match found {
        None => set_meta(db, "identity", &owner.to_string()),
        Some(found) if found == owner.to_string() => Ok(()),
        Some(found) => Err(StoreError::OtherNode { path: path.to_owned(), owner: found }),
    }
}

fn close_to_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        // The home folder is 0700 already; this is a second door.
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).ok();
    }
}

/// What the node remembers under `key`.
///
/// # Errors
/// When the database fails.
pub fn meta(db: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    let mut statement = db.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

/// Forgets what is under `key`.
///
/// # Errors
/// When the database fails.
pub fn forget_meta(db: &Connection, key: &str) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([key])?;
    Ok(())
}

/// Remembers `value` under `key`.
///
/// # Errors
/// When the database fails.
pub fn set_meta(db: &Connection, key: &str, value: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    db.prepare_cached(sql)?.execute([key, value])?;
    Ok(())
}
