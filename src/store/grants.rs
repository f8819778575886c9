//! Grants on disk. Whether one counts is not for its row to say.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    rows::{Columns, all, ms},
    standing,
};
use crate::{
    base::{GrantId, Timestamp, limits},
    wire::{Grant, SignedGrant},
};

/// A grant as its row says, with how many messages passed by it.
#[derive(Clone, Debug)]
pub struct GrantRow {
    /// What was signed.
    pub signed: SignedGrant,
    /// Messages that passed by it.
    pub used: u64,
}

/// The grants that nobody ended, oldest first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn open_grants(db: &Connection) -> Result<Vec<GrantRow>, StoreError> {
    let sql = "SELECT *, (SELECT count(*) FROM messages WHERE granted = grants.id) AS used
               FROM grants WHERE ended_ms IS NULL ORDER BY rowid";
    all(db, "grants", sql, [], |row: &Columns<'_>| {
        let signature: Vec<u8> = row.get("signature")?;
        let signature = signature.try_into().map_err(|_| row.wrong("signature"))?;
        let signed = SignedGrant { statement: row.get("statement")?, signature };
        Ok(GrantRow { signed, used: row.get("used")? })
    })
}

/// Keeps a grant. An id is used once.
///
/// # Errors
/// When there is one of this id, or the database fails.
pub fn add(db: &Connection, id: &GrantId, signed: &SignedGrant) -> Result<(), StoreError> {
    let sql = "INSERT INTO grants (id, statement, signature) VALUES (?1, ?2, ?3)";
    db.prepare_cached(sql)?.execute(params![id.as_bytes(), signed.statement, signed.signature])?;
    Ok(())
}

/// Ends a grant. `false` when there is none to end.
///
/// # Errors
/// When the database fails.
pub fn end(db: &Connection, id: &GrantId, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE grants SET ended_ms = ?2 WHERE id = ?1 AND ended_ms IS NULL";
    Ok(db.prepare_cached(sql)?.execute(params![id.as_bytes(), ms(now)])? == 1)
}

/// How much may pass by a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Which grant.
    pub id: GrantId,
    /// Messages in all.
    pub messages_max: u64,
    /// Messages within an hour, where that is bounded.
    pub per_hour_max: Option<u64>,
}

impl From<&Grant> for Room {
    fn from(grant: &Grant) -> Self {
        let Grant { id, messages_max, per_hour_max, .. } = *grant;
        Self { id, messages_max, per_hour_max }
    }
}

/// Whether a grant has not been ended, and one more message may pass by it at `now`.
///
/// # Errors
/// When the database fails.
pub fn has_room(db: &Connection, room: &Room, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) = 1 AND (SELECT count(*) FROM messages WHERE granted = ?1)
               + (SELECT count(*) FROM spent WHERE granted = ?1) < ?2
               FROM grants WHERE id = ?1 AND ended_ms IS NULL";
    let all = params![room.id.as_bytes(), room.messages_max];
    let open: bool = db.prepare_cached(sql)?.query_row(all, |row| row.get(0))?;
    // Of a message that is gone, or whose row says otherwise, the audit chain still knows.
    let passed = |since| standing::passed(db, &room.id, since);
    if !open || passed(Timestamp::from_ms(0))? >= room.messages_max {
        return Ok(false);
    }
    let Some(per_hour_max) = room.per_hour_max else { return Ok(true) };
    let since = now.minus(limits::GRANT_RATE_WINDOW);
    Ok(used_since(db, room.id, since)?.max(passed(since)?) < per_hour_max)
}

/// How many messages passed by a grant after `since`. What was held at first passed when it was
/// queued.
fn used_since(db: &Connection, id: GrantId, since: Timestamp) -> Result<u64, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM spent WHERE granted = ?1 AND at_ms > ?2) + count(*)
               FROM messages WHERE granted = ?1 AND (stored_ms > ?2 OR EXISTS
               (SELECT 1 FROM history WHERE message = number AND state = 'queued' AND at_ms > ?2))";
    let params = params![id.as_bytes(), ms(since)];
    Ok(db.prepare_cached(sql)?.query_row(params, |row| row.get(0))?)
}

/// Notes that a message passed by a grant.
///
/// # Errors
/// When the database fails.
pub fn set_used(db: &Connection, message: i64, id: &GrantId) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET granted = ?2 WHERE number = ?1";
    db.prepare_cached(sql)?.execute(params![message, id.as_bytes()])?;
    Ok(())
}
