//! Whose texts were shown to an agent, for the taint rule.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    rows::{all, ms},
};
use crate::base::{PeerId, Timestamp};

/// All of them, with the time until which it counts.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn all_shown(db: &Connection) -> Result<Vec<(PeerId, Timestamp)>, StoreError> {
    all(db, "shown", "SELECT * FROM shown", [], |row| {
        Ok((row.id("peer", PeerId::from_slice)?, row.time("until_ms")?))
    })
}

/// A text of this peer is shown.
///
/// # Errors
/// When the database fails.
pub fn put(db: &Connection, peer: &PeerId, until: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO shown (peer, until_ms) VALUES (?1, ?2)";
    db.prepare_cached(sql)?.execute(params![peer.as_bytes(), ms(until)])?;
    Ok(())
}

/// The human says that it counts no more.
///
/// # Errors
/// When the database fails.
pub fn clear(db: &Connection) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM shown")?.execute([])?;
    Ok(())
}
