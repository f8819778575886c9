//! Bearer tokens of clients that come over HTTP: hashes, never a token.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    rows::{all, ms},
};
use crate::base::{Digest, SessionName, Timestamp, TokenId};

/// A token that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// What it is called.
    pub name: SessionName,
    /// SHA-256 of the token.
    pub hash: Digest,
    /// When it was made.
    pub created: Timestamp,
    /// When a client last came by it.
    pub used: Option<Timestamp>,
}

/// Those that are good, oldest first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn live_tokens(db: &Connection) -> Result<Vec<TokenRow>, StoreError> {
    let sql = "SELECT * FROM tokens WHERE ended_ms IS NULL ORDER BY rowid";
    all(db, "tokens", sql, [], |row| {
        Ok(TokenRow {
            id: row.id("id", TokenId::from_slice)?,
            name: row.word("name", |name| SessionName::parse(name).ok())?,
            hash: row.id("hash", Digest::from_slice)?,
            created: row.time("created_ms")?,
            used: row.time_opt("used_ms")?,
        })
    })
}

/// Adds one.
///
/// # Errors
/// When there is one of this name or hash, or the database fails.
pub fn add(db: &Connection, row: &TokenRow) -> Result<(), StoreError> {
    let sql = "INSERT INTO tokens (id, name, hash, created_ms) VALUES (?1, ?2, ?3, ?4)";
    let (name, created) = (row.name.as_str(), ms(row.created));
    db.prepare_cached(sql)?.execute(params![
        row.id.as_bytes(),
        name,
        row.hash.as_bytes(),
        created
    ])?;
    Ok(())
}

/// Notes when a client last came by it.
///
/// # Errors
/// When the database fails.
pub fn set_used(db: &Connection, id: &TokenId, at: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE tokens SET used_ms = ?2 WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![id.as_bytes(), ms(at)])?;
    Ok(())
}

/// It is good no more.
///
/// # Errors
/// When the database fails.
pub fn end(db: &Connection, id: &TokenId, at: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE tokens SET ended_ms = ?2 WHERE id = ?1 AND ended_ms IS NULL";
    db.prepare_cached(sql)?.execute(params![id.as_bytes(), ms(at)])?;
    Ok(())
}
