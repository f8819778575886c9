//! The audit chain from its end, narrowed to what somebody wants to see.

use rusqlite::{Connection, params};
use serde_json::Value;

use super::{StoreError, audit::read_record, rows::Columns};
use crate::{
    audit::Record,
    base::{MessageId, PeerId, PendingId},
};

/// Which records.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Only these events; none named is all.
    pub events: Vec<String>,
    /// Only about this peer.
    pub peer: Option<PeerId>,
    /// Before this record.
    pub before: i64,
    /// At most this many.
    pub limit: usize,
}

/// Records, newest first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn newest(db: &Connection, filter: &Filter) -> Result<Vec<Record>, StoreError> {
    let begins: Vec<String> = filter.events.iter().map(|name| begins(name)).collect();
    let sql = "SELECT * FROM audit WHERE number < ?1 ORDER BY number DESC";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![filter.before])?;
    let mut found = Vec::new();
    while found.len() < filter.limit
        && let Some(row) = rows.next()?
    {
        let event = row.get_ref("event")?.as_str().unwrap_or_default();
        let named = begins.is_empty() || begins.iter().any(|begin| event.starts_with(begin));
        if named && filter.peer.map_or(Ok(true), |peer| is_about(db, event, &peer))? {
            found.push(read_record(&Columns { table: "audit", row, db })?);
        }
    }
    Ok(found)
}

/// How the record of an event begins: its tag is written first. Nothing is parsed for this, so a
/// record that somebody broke hides no other.
pub(super) fn begins(name: &str) -> String {
    format!("{{\"event\":{}", Value::from(name))
}

/// Whether a record names the peer, or a decision or a message with it.
pub(super) fn is_about(db: &Connection, event: &str, peer: &PeerId) -> Result<bool, StoreError> {
    let Ok(event) = serde_json::from_str::<Value>(event) else { return Ok(false) };
    let word = |key: &str| event.get(key).and_then(Value::as_str);
    if let Some(named) = word("peer") {
        return Ok(named == peer.to_string());
    }
    let exists = |sql: &str, id: &[u8]| -> Result<bool, StoreError> {
        Ok(db.prepare_cached(sql)?.exists(params![id, peer.as_bytes()])?)
    };
    if let Some(id) = word("item").and_then(|id| id.parse::<PendingId>().ok()) {
        return exists("SELECT 1 FROM decisions WHERE id = ?1 AND peer = ?2", id.as_bytes());
    }
    match word("message").and_then(|id| id.parse::<MessageId>().ok()) {
        Some(id) => exists("SELECT 1 FROM messages WHERE id = ?1 AND peer = ?2", id.as_bytes()),
        None => Ok(false),
    }
}
