//! The database as a file: giving free pages back, and a copy of it while it is used.

use std::path::Path;

use rusqlite::Connection;

use super::{StoreError, migrate};

/// Gives at most so many free pages back to the file system. `true` when there are more. Nothing
/// happens in a database that was made before this was a matter of its making.
///
/// # Errors
/// When the database fails.
pub fn shrink(db: &Connection, pages: u32) -> Result<bool, StoreError> {
    let number = |pragma: &str| db.pragma_query_value(None, pragma, |row| row.get::<_, u32>(0));
    if number("auto_vacuum")? != INCREMENTAL {
        return Ok(false);
    }
    let before = number("freelist_count")?;
    if before == 0 {
        return Ok(false);
    }
    let mut statement = db.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    // Each row is a page that was given back.
    while rows.next()?.is_some() {}
    drop(rows);
    let after = number("freelist_count")?;
    Ok(after > 0 && after < before)
}

/// What `PRAGMA auto_vacuum` says of a database whose free pages can be given back in parts.
pub(super) const INCREMENTAL: u32 = 2;

/// Copies the database at `path`, as it is at one moment, to a new file that is whole by itself and
/// holds no free pages. Whoever uses the database goes on reading and writing meanwhile.
///
/// # Errors
/// When the database cannot be read, something is at `target`, or there is no room for it.
pub fn copy(path: &Path, target: &Path) -> Result<(), StoreError> {
    let db = migrate::open_without_key(path)?;
    // A temporary file for pages that do not fit would be one more that holds texts.
    db.execute_batch("PRAGMA query_only = OFF; PRAGMA temp_store = MEMORY;")?;
    let target = target.to_str().ok_or_else(|| {
        StoreError::Sqlite(format!("{} is no path that SQLite takes", target.display()))
    })?;
    db.execute("VACUUM INTO ?1", [target])?;
    db.close().map_err(|(_, error)| error.into())
}
