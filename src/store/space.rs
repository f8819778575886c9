//! The database as a file: giving free pages back, and a copy of it while it is used.

use std::path::Path;

use rusqlite::Connection;

use super::{StoreError, migrate};
use crate::base::limits;

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

/// Writes a small database anew. `secure_delete` overwrites what is deleted where it lies; but when
/// `SQLite` moves rows between pages, it may leave a copy in the unused part of one, and nobody
/// overwrites that when the row is deleted later. A large database keeps such a remainder, until the
/// page is used again.
///
/// # Errors
/// When there is no room for it, or the database fails.
pub fn rewrite_small(db: &Connection) -> Result<(), StoreError> {
    let number = |pragma: &str| db.pragma_query_value(None, pragma, |row| row.get::<_, u64>(0));
    let size = number("page_count")?.saturating_mul(number("page_size")?);
    if size <= limits::WIPE_REWRITE_BYTES_MAX {
        // A temporary file would be one more that holds texts.
        db.execute_batch("PRAGMA temp_store = MEMORY; VACUUM; PRAGMA temp_store = DEFAULT;")?;
    }
    Ok(())
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
