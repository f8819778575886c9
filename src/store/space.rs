//! The database as a file: giving free pages back, a copy of it while it is used, and whether such a
//! file is whole.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use rusqlite::Connection;

use super::{StoreError, migrate};
use crate::base::{PeerId, limits};

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
        // A temporary file would be one more that holds texts. It stays so for whatever comes after.
        db.execute_batch("PRAGMA temp_store = MEMORY; VACUUM;")?;
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

/// Refuses a file that is not the database of `owner`'s home, or is damaged. It takes as long as the
/// file is large.
///
/// # Errors
/// When it is empty, another node's or damaged, or cannot be read.
pub fn check_whole(path: &Path, owner: &PeerId) -> Result<(), StoreError> {
    let damaged = |problem: String| StoreError::Damaged { path: path.to_owned(), problem };
    let found = || {
        let db = migrate::open_without_key(path)?;
        is_whole(&db)?;
        let home = migrate::has_meta(&db)?;
        if home { migrate::meta(&db, "identity") } else { Ok(None) }
    };
    match found() {
        Ok(Some(found)) if found == owner.to_string() => Ok(()),
        Ok(Some(found)) => Err(StoreError::OtherNode { path: path.to_owned(), owner: found }),
        Ok(None) => Err(damaged("there is no home in it".to_owned())),
        Err(StoreError::Damaged { problem, .. } | StoreError::Sqlite(problem)) => {
            Err(damaged(problem))
        }
        Err(error) => Err(error),
    }
}

/// What `SQLite` itself says of all of a database.
///
/// # Errors
/// The first damage that it finds, or that it cannot be read.
pub(super) fn is_whole(db: &Connection) -> Result<(), StoreError> {
    let said: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    let path = db.path().unwrap_or_default().into();
    if said == "ok" { Ok(()) } else { Err(StoreError::Damaged { path, problem: said }) }
}

/// Opens a database that is whole, to be read as bytes. What was looked at is what the file gives,
/// whatever is at `path` later.
///
/// # Errors
/// As [`check_whole`]; and when another file comes to `path` meanwhile.
pub fn open_whole(path: &Path, owner: &PeerId) -> Result<File, StoreError> {
    let failed = |error: io::Error| StoreError::Sqlite(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    check_whole(path, owner)?;
    let (opened, there) = (file.metadata().map_err(failed)?, fs::metadata(path).map_err(failed)?);
    if (opened.dev(), opened.ino()) != (there.dev(), there.ino()) {
        return Err(StoreError::Busy);
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
