//! The policy on disk. Whether a row counts is not for it to say.

use rusqlite::{Connection, params};

use super::{StoreError, rows::all};
use crate::{
    audit::{Event, Record},
    identity::SIGNATURE_BYTES,
    wire::SignedOrder,
};

/// What the rows say, and the audit chain beside them.
#[derive(Clone, Debug, Default)]
pub struct PolicyRows {
    /// The order that a human signed. Whatever is not of its form has no signature that verifies.
    pub signed: Option<SignedOrder>,
    /// A text that tightens it.
    pub tightened: Option<String>,
    /// What the audit chain says last of the policy.
    pub last: Option<Record>,
}

/// Reads all of it. A row that cannot be read is one that does not count, and no error: what
/// counts then is for the node to say.
///
/// # Errors
/// When the database fails.
pub fn rows(db: &Connection) -> Result<PolicyRows, StoreError> {
    let mut found = PolicyRows::default();
    let sql = "SELECT kind, statement, signature FROM policies";
    let rows = all(db, "policies", sql, [], |row| {
        let kind: String = row.get("kind")?;
        let (statement, signature): (Vec<u8>, Option<Vec<u8>>) =
            (row.get("statement")?, row.get("signature")?);
        Ok((kind, statement, signature))
    })?;
    for (kind, statement, signature) in rows {
        if kind == "signed" {
            let signature = signature.and_then(|bytes| bytes.try_into().ok());
            let signature = signature.unwrap_or([0; SIGNATURE_BYTES]);
            found.signed = Some(SignedOrder { statement, signature });
        } else {
            found.tightened = Some(String::from_utf8_lossy(&statement).into_owned());
        }
    }
    found.last = last(db)?;
    Ok(found)
}

/// The newest record that names a policy.
fn last(db: &Connection) -> Result<Option<Record>, StoreError> {
    // As the index `audit_policy` has it.
    let sql = "SELECT * FROM audit WHERE substr(event, 1, 17) = '{\"event\":\"policy_'
               ORDER BY number DESC LIMIT 1";
    Ok(all(db, "audit", sql, [], super::audit::read_record)?.into_iter().next())
}

/// Keeps what the human signed; a text that tightened another one ends with it.
///
/// # Errors
/// When the database fails.
pub fn set_signed(db: &Connection, order: &SignedOrder) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM policies")?.execute([])?;
    let sql = "INSERT INTO policies (kind, statement, signature) VALUES ('signed', ?1, ?2)";
    db.prepare_cached(sql)?.execute(params![order.statement, order.signature])?;
    Ok(())
}

/// Keeps a text that tightens what was signed.
///
/// # Errors
/// When the database fails.
pub fn set_tightened(db: &Connection, text: &str) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO policies (kind, statement) VALUES ('tightened', ?1)";
    db.prepare_cached(sql)?.execute([text.as_bytes()])?;
    Ok(())
}

/// The event of a record, where it is one that we write.
#[must_use]
pub fn event_of(record: &Record) -> Option<Event> {
    serde_json::from_str(&record.event).ok()
}
