//! What has still to reach a peer, on disk.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    rows::{Columns, all},
    seal::{self, Place},
};
use crate::base::{MessageId, PeerId};

/// One thing to send.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// Its place in the order.
    pub number: i64,
    /// The envelope's bytes.
    pub envelope: Vec<u8>,
}

/// Adds an envelope. `own` is its bytes where it is no message (a receipt); a message's are
/// where the message is.
///
/// # Errors
/// When the database fails.
pub fn add(
    db: &Connection,
    peer: &PeerId,
    id: &MessageId,
    own: Option<&[u8]>,
) -> Result<i64, StoreError> {
    let own = seal::seal_opt(db, &own_place(peer, id), own)?;
    let sql = "INSERT INTO outbox (peer, id, envelope) VALUES (?1, ?2, ?3)";
    db.prepare_cached(sql)?.execute(params![peer.as_bytes(), id.as_bytes(), own])?;
    Ok(db.last_insert_rowid())
}

fn own_place(peer: &PeerId, id: &MessageId) -> Place {
    Place::of("outbox.envelope", &[peer.as_bytes().as_slice(), id.as_bytes()].concat())
}

/// At most `limit` envelopes for a peer after number `after`, in their order. One that does not open has no byte, and so is no envelope.
///
/// # Errors
/// When the database fails.
pub fn after(
    db: &Connection,
    peer: &PeerId,
    after: i64,
    limit: usize,
) -> Result<Vec<OutboxRow>, StoreError> {
    let sql = "SELECT o.number AS number, o.peer AS peer, o.id AS id, o.envelope AS own,
               m.envelope AS of_message FROM outbox o LEFT JOIN messages m
               ON o.envelope IS NULL AND m.id = o.id AND m.peer = o.peer AND m.outgoing = 1
               WHERE o.peer = ?1 AND o.number > ?2 ORDER BY o.number LIMIT ?3";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    all(db, "outbox", sql, params![peer.as_bytes(), after, limit], |row| {
        let envelope = match envelope(row) {
            Err(error @ StoreError::Sealed { .. }) => {
                tracing::error!(%error, "what waits for a peer cannot be read");
                Vec::new()
            }
            envelope => envelope?,
        };
        Ok(OutboxRow { number: row.get("number")?, envelope })
    })
}

fn envelope(row: &Columns<'_>) -> Result<Vec<u8>, StoreError> {
    let (id, peer) = (row.id("id", MessageId::from_slice)?, row.id("peer", PeerId::from_slice)?);
    if let Some(own) = row.opened_opt("own", &own_place(&peer, &id))? {
        return Ok(own);
    }
    row.opened("of_message", &Place::message("messages.envelope", &id, &peer, true))
}

/// Removes one thing that the peer has.
///
/// # Errors
/// When the database fails.
pub fn remove(db: &Connection, number: i64) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM outbox WHERE number = ?1")?.execute([number])?;
    Ok(())
}

/// Removes a message that the peer has, or that will not be sent any more.
///
/// # Errors
/// When the database fails.
pub fn remove_message(db: &Connection, peer: &PeerId, id: &MessageId) -> Result<(), StoreError> {
    let sql = "DELETE FROM outbox WHERE id = ?1 AND peer = ?2";
    db.prepare_cached(sql)?.execute(params![id.as_bytes(), peer.as_bytes()])?;
    Ok(())
}

/// Removes all that waits for a peer.
///
/// # Errors
/// When the database fails.
pub fn purge(db: &Connection, peer: &PeerId) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM outbox WHERE peer = ?1")?.execute([peer.as_bytes()])?;
    Ok(())
}

/// Messages that wait for a peer.
///
/// # Errors
/// When the database fails.
pub fn waiting(db: &Connection, peer: &PeerId) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM outbox WHERE peer = ?1";
    Ok(db.prepare_cached(sql)?.query_row([peer.as_bytes()], |row| row.get(0))?)
}
