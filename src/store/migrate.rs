//! Opening: whose file it is, and which schema it has.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::{
    StoreError, schema, space,
    storage_key::{self, Found, KeySource},
};
use crate::base::{PeerId, limits};

/// `CSgn`, in `SQLite`'s header, so that `file` and we know what it is.
const APPLICATION_ID: i32 = 0x4353_676e;

/// How long a connection waits for another one.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Each brings the schema from its index to the next number. Never changed once released.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    AT_REST,
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
    include_str!("migrations/0012.sql"),
];

/// From here on what people say is sealed: the connection must know the functions.
const AT_REST: &str = include_str!("migrations/0007.sql");

/// Under which a database is noted that may still hold plain text in pages that are free.
const TO_REWRITE: &str = "rewrite";

/// The newest schema.
#[must_use]
pub fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Opens the database to write, creating it if there is none.
pub(super) fn open(
    path: &Path,
    owner: &PeerId,
    source: &KeySource,
) -> Result<(Connection, Found), StoreError> {
    let mut db = Connection::open(path)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    check_kind(&db, path)?;
    // Of a new file alone: one that has tables keeps how it was made.
    db.execute_batch("PRAGMA auto_vacuum = INCREMENTAL;")?;
    db.execute_batch(
        // In memory, because a migration's temporary file would be one more that holds texts.
        "PRAGMA temp_store = MEMORY;
         PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON; PRAGMA cache_size = -2048;
         PRAGMA journal_size_limit = 16777216; PRAGMA wal_autocheckpoint = 4000;",
    )?;
    db.set_prepared_statement_cache_capacity(64);
    // Before a key is looked for, or made, for somebody else's database.
    check_owner(&db, path, owner)?;
    schema::refuse_planted(&db, path)?;
    let found = source.find(&db, owner)?;
    found.register(&db)?;
    migrate(&mut db, &found)?;
    schema::check(&db, path)?;
    if meta(&db, "identity")?.is_none() {
        set_meta(&db, "identity", &owner.to_string())?;
    }
    if source.came_in_file {
        storage_key::remember(&db, found.place)?;
    }
    rewrite(&db);
    make_shrinkable(&db, path);
    close_to_others(path);
    Ok((db, found))
}

/// A database without a file, for tests that step it.
#[cfg(test)]
pub(super) fn open_in_memory(owner: &PeerId) -> Result<Connection, StoreError> {
    let mut db = Connection::open_in_memory()?;
    db.execute_batch("PRAGMA foreign_keys = ON;")?;
    db.set_prepared_statement_cache_capacity(64);
    let found = Found::in_memory();
    found.register(&db)?;
    migrate(&mut db, &found)?;
    set_meta(&db, "identity", &owner.to_string())?;
    Ok(db)
}

/// Opens the database to read. It must have been opened to write before.
pub(super) fn open_to_read(path: &Path, found: &Found) -> Result<Connection, StoreError> {
    let db = open_without_key(path)?;
    found.register(&db)?;
    Ok(db)
}

/// As [`open_to_read`], for what is not sealed, or is taken as it is.
pub(super) fn open_without_key(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.execute_batch(
        "PRAGMA query_only = ON; PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY;",
    )?;
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

/// Whether the database's values are sealed.
pub(super) fn is_sealed(db: &Connection) -> Result<bool, StoreError> {
    let version: usize = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(MIGRATIONS.iter().take(version).any(|sql| *sql == AT_REST))
}

fn migrate(db: &mut Connection, found: &Found) -> Result<(), StoreError> {
    let version: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    for (number, sql) in (1..).zip(MIGRATIONS).skip(done) {
        let transaction = db.transaction()?;
        transaction.execute_batch(sql)?;
        if *sql == AT_REST {
            storage_key::remember(&transaction, found.place)?;
            if done > 0 {
                set_meta(&transaction, TO_REWRITE, "plain text may be left in free pages")?;
            }
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Runs every migration, in a database that has nothing in it and knows the functions.
pub(super) fn run_all(db: &Connection) -> Result<(), StoreError> {
    MIGRATIONS.iter().try_for_each(|sql| Ok(db.execute_batch(sql)?))
}

/// Makes the log as long as it becomes before its first checkpoint (4,000 pages of 4 KiB), by a
/// transaction that spills into it and is undone. A commit into a log that grows waits for the
/// file system's own journal too, which is several times as long: with it, the median commit took
/// 0.5 ms instead of 2.4 ms on a busy disk, for 0.13 s of writing once.
pub(super) fn grow_log(db: &Connection) -> Result<(), StoreError> {
    db.execute_batch(
        "PRAGMA cache_size = -256; BEGIN IMMEDIATE; CREATE TABLE log_is_grown (x BLOB);
         INSERT INTO log_is_grown VALUES (zeroblob(17000000)); ROLLBACK; PRAGMA cache_size = -2048;",
    )?;
    Ok(())
}

/// Writes a database anew that was sealed where it stood, so that nothing of the plain text is left
/// in it or in its log. What fails here is done at the next start.
fn rewrite(db: &Connection) {
    let rewritten = meta(db, TO_REWRITE).and_then(|due| {
        if due.is_some() {
            vacuum_large(db)?;
            // While somebody reads, the old pages stay, and that is no error of SQLite's.
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            let busy: i64 = db.query_row(sql, [], |row| row.get(0))?;
            if busy != 0 {
                return Err(StoreError::Busy);
            }
            forget_meta(db, TO_REWRITE)?;
        }
        Ok(())
    });
    if let Err(error) = rewritten {
        tracing::warn!(%error, "messages that were not sealed may still be in the database's file");
    }
}

/// A database that was made before its file could shrink is written anew, once, where it is small
/// enough for a start. A larger one uses its free pages again, and keeps its size.
fn make_shrinkable(db: &Connection, path: &Path) {
    let mode = db.pragma_query_value(None, "auto_vacuum", |row| row.get::<_, u32>(0));
    let size = std::fs::metadata(path).map_or(u64::MAX, |file| file.len());
    if mode.is_ok_and(|mode| mode != space::INCREMENTAL)
        && size <= limits::REWRITE_BYTES_MAX
        && let Err(error) = vacuum_large(db)
    {
        // It is as good as before.
        tracing::warn!(%error, "the database keeps its free pages");
    }
}

/// Writes a database anew whose values are sealed. It may be larger than the memory, so that this
/// alone has a temporary file.
fn vacuum_large(db: &Connection) -> Result<(), StoreError> {
    let sql = "PRAGMA temp_store = DEFAULT; PRAGMA auto_vacuum = INCREMENTAL; VACUUM;";
    let vacuumed = db.execute_batch(sql);
    db.execute_batch("PRAGMA temp_store = MEMORY;")?;
    Ok(vacuumed?)
}

fn check_owner(db: &Connection, path: &Path, owner: &PeerId) -> Result<(), StoreError> {
    if !has_meta(db)? {
        return Ok(());
    }
    match meta(db, "identity")? {
        Some(found) if found != owner.to_string() => {
            Err(StoreError::OtherNode { path: path.to_owned(), owner: found })
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether the database has its first table.
pub(super) fn has_meta(db: &Connection) -> Result<bool, StoreError> {
    Ok(db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'meta'")?.exists([])?)
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

/// The schema before values were sealed.
#[cfg(test)]
pub(super) fn before_at_rest() -> usize {
    MIGRATIONS.iter().position(|sql| *sql == AT_REST).unwrap()
}

/// A database as it was at an older schema.
#[cfg(test)]
pub(super) fn make(path: &Path, version: usize) {
    let db = Connection::open(path).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    for sql in &MIGRATIONS[..version] {
        db.execute_batch(sql).unwrap();
    }
    db.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    db.pragma_update(None, "user_version", version).unwrap();
}
