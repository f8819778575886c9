//! The audit chain on disk.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    StoreError,
    rows::{Columns, all, ms},
};
use crate::{
    audit::{self, ChainError, Event, Head, Record},
    base::{Digest, PeerId, Timestamp, limits},
    identity::IdentityKey,
};

/// The end of the chain.
///
/// # Errors
/// When the database fails.
pub fn head(db: &Connection) -> Result<Head, StoreError> {
    let sql = "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1";
    let found = all(db, "audit", sql, [], |row| {
        Ok(Head { seq: number(row)?, hash: row.id("hash", Digest::from_slice)? })
    })?;
    Ok(found.into_iter().next().unwrap_or(Head::EMPTY))
}

fn number(row: &Columns<'_>) -> Result<u64, StoreError> {
    let number: i64 = row.get("number")?;
    u64::try_from(number).map_err(|_| row.wrong("number"))
}

/// Adds an event to the chain, in the transaction of what it tells of.
///
/// # Errors
/// When the database fails.
pub fn append(db: &Connection, at: Timestamp, event: &Event) -> Result<Head, StoreError> {
    // A time past what a row can hold would not be the one that was hashed.
    let at = at.min(Timestamp::from_ms(i64::MAX.unsigned_abs()));
    let record = head(db)?.next(at, event);
    let sql =
        "INSERT INTO audit (number, previous, at_ms, event, hash) VALUES (?1, ?2, ?3, ?4, ?5)";
    db.prepare_cached(sql)?.execute(params![
        record.seq,
        record.previous.as_bytes(),
        ms(at),
        record.event,
        record.hash.as_bytes()
    ])?;
    Ok(Head { seq: record.seq, hash: record.hash })
}

/// Signs the head where the last signature is [`limits::AUDIT_CHECKPOINT_RECORDS`] behind it, or
/// where `now` is asked for.
///
/// # Errors
/// When the database fails.
pub fn checkpoint(db: &Connection, key: &IdentityKey, now: bool) -> Result<(), StoreError> {
    let head = head(db)?;
    let sql = "SELECT coalesce(max(number), 0) FROM checkpoints";
    let last: u64 = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    let due = head.seq.saturating_sub(last) >= limits::AUDIT_CHECKPOINT_RECORDS;
    if head.seq > last && (due || now) {
        let sql = "INSERT INTO checkpoints (number, hash, signature) VALUES (?1, ?2, ?3)";
        let signature = head.sign(key);
        db.prepare_cached(sql)?.execute(params![head.seq, head.hash.as_bytes(), signature])?;
    }
    Ok(())
}

/// At most `limit` records after `after`, oldest first.
///
/// # Errors
/// When the database fails.
pub fn page(db: &Connection, after: u64, limit: u32) -> Result<Vec<Record>, StoreError> {
    let sql = "SELECT * FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2";
    all(db, "audit", sql, params![after, limit], read_record)
}

pub(super) fn read_record(row: &Columns<'_>) -> Result<Record, StoreError> {
    Ok(Record {
        seq: number(row)?,
        previous: row.id("previous", Digest::from_slice)?,
        at: row.time("at_ms")?,
        event: row.get("event")?,
        hash: row.id("hash", Digest::from_slice)?,
    })
}

/// What checking the whole chain gave.
#[derive(Debug, Default)]
pub struct Verified {
    /// Records that follow each other.
    pub records: u64,
    /// Checkpoints that fit.
    pub checkpoints: u64,
    /// The first thing that is wrong.
    pub problem: Option<ChainError>,
}

/// Checks the chain and every checkpoint, a page at a time.
///
/// # Errors
/// When the database fails.
pub fn verify(db: &Connection, node: &PeerId) -> Result<Verified, StoreError> {
    let mut verified = Verified::default();
    let mut head = Head::EMPTY;
    loop {
        let records = page(db, head.seq, 1000)?;
        if records.is_empty() {
            break;
        }
        for record in &records {
            match audit::follow(&head, record).and_then(|next| signed(db, node, &next)) {
                Ok((next, checkpoint)) => {
                    head = next;
                    verified.records += 1;
                    verified.checkpoints += u64::from(checkpoint);
                }
                Err(problem) => return Ok(Verified { problem: Some(problem), ..verified }),
            }
        }
    }
    let sql = "SELECT coalesce(max(number), 0) FROM checkpoints";
    let signed: u64 = db.query_row(sql, [], |row| row.get(0))?;
    if signed > head.seq {
        verified.problem = Some(ChainError::Cut { last: head.seq, signed });
    }
    Ok(verified)
}

/// Checks the checkpoint at `head`, if there is one.
fn signed(db: &Connection, node: &PeerId, head: &Head) -> Result<(Head, bool), ChainError> {
    let sql = "SELECT signature FROM checkpoints WHERE number = ?1";
    let found: Option<Vec<u8>> = db
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement.query_row([head.seq], |row| row.get::<_, Vec<u8>>(0)).optional()
        })
        .unwrap_or(None);
    match found {
        Some(signature) => audit::check_checkpoint(head, node, &signature).map(|()| (*head, true)),
        None => Ok((*head, false)),
    }
}
