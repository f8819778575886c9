#![doc = include_str!("audit/AUDIT.md")]

mod places;
pub mod rotate;
mod verify;

pub use places::{Holding, holds};
pub use verify::{Ended, Progress, Verified, verify, verify_part};

use rusqlite::{Connection, params};

use super::{
    StoreError,
    rows::{Columns, all, ms},
    timeline::{begins, is_about},
};
use crate::{
    audit::{ChainError, Event, Head, Moved, Record},
    base::{Digest, MessageId, PeerId, Timestamp, limits},
    identity::IdentityKey,
};

/// The end of the chain.
///
/// # Errors
/// When the database fails.
pub fn head(db: &Connection) -> Result<Head, StoreError> {
    let read = |row: &Columns<'_>| {
        Ok(Head { seq: number(row)?, hash: row.id("hash", Digest::from_slice)? })
    };
    let sql = "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1";
    let last = all(db, "audit", sql, [], read)?.pop().unwrap_or(Head::EMPTY);
    // Of what was moved into a file some records stay, and the last of these is not the end.
    let sql = "SELECT number, hash FROM anchors ORDER BY number DESC LIMIT 1";
    let moved = all(db, "anchors", sql, [], read)?.pop().unwrap_or(Head::EMPTY);
    Ok(if moved.seq > last.seq { moved } else { last })
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
    let added = Head { seq: record.seq, hash: record.hash };
    // What another process put into the file could take the record away as it is written.
    if head(db)? == added { Ok(added) } else { Err(StoreError::Unwritten("audit")) }
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

/// Which records are looked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// Only records after this number.
    pub after: u64,
    /// At most this many.
    pub limit: usize,
    /// Only these events, by the names in the records; none named is all.
    pub kinds: Vec<String>,
    /// Only about this peer.
    pub peer: Option<PeerId>,
    /// Only of this time or later, as the records say.
    pub since: Option<Timestamp>,
}

/// Some of the records that were looked for.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Oldest first.
    pub records: Vec<Record>,
    /// After which record to go on looking; `None` where the chain ends.
    pub next: Option<u64>,
}

/// Looks for records, oldest first. Looks at [`limits::AUDIT_SCAN_RECORDS`] at most, so that nothing
/// else waits for long.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn find(db: &Connection, query: &Query) -> Result<Found, StoreError> {
    let begin: Vec<String> = query.kinds.iter().map(|kind| begins(kind)).collect();
    let sql = "SELECT * FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![query.after, limits::AUDIT_SCAN_RECORDS])?;
    let (mut found, mut looked, mut last) = (Found::default(), 0_u64, query.after);
    while let Some(row) = rows.next()? {
        let record = read_record(&Columns { table: "audit", row, db })?;
        looked += 1;
        last = record.seq;
        let named = begin.is_empty() || begin.iter().any(|begin| record.event.starts_with(begin));
        let late = query.since.is_none_or(|since| record.at >= since);
        if named
            && late
            && query.peer.map_or(Ok(true), |peer| is_about(db, &record.event, &peer))?
        {
            found.records.push(record);
            if found.records.len() >= query.limit {
                break;
            }
        }
    }
    let full = found.records.len() >= query.limit || looked >= limits::AUDIT_SCAN_RECORDS;
    found.next = full.then_some(last);
    Ok(found)
}

/// The record of this number.
///
/// # Errors
/// When the database fails.
pub fn record(db: &Connection, seq: u64) -> Result<Option<Record>, StoreError> {
    // No row has a larger one.
    let Ok(seq) = i64::try_from(seq) else { return Ok(None) };
    let sql = "SELECT * FROM audit WHERE number = ?1";
    Ok(all(db, "audit", sql, [seq], read_record)?.into_iter().next())
}

/// The id of the message in this row.
///
/// # Errors
/// When the database fails.
pub fn message_id(db: &Connection, row: i64) -> Result<Option<MessageId>, StoreError> {
    let sql = "SELECT id FROM messages WHERE number = ?1";
    let ids = all(db, "messages", sql, [row], |row| row.id("id", MessageId::from_slice))?;
    Ok(ids.into_iter().next())
}

/// Where records were moved into a file, as its row says.
#[derive(Clone, Debug)]
pub struct Anchor {
    /// What was moved, and what stayed of it.
    pub moved: Moved,
    /// Our signature of it.
    pub signature: Vec<u8>,
    /// When.
    pub at: Timestamp,
}

/// All of them, oldest first.
///
/// # Errors
/// When the database fails.
pub fn anchors(db: &Connection) -> Result<Vec<Anchor>, StoreError> {
    all(db, "anchors", "SELECT * FROM anchors ORDER BY number", [], |row| {
        let first: i64 = row.get("first")?;
        let first = u64::try_from(first).map_err(|_| row.wrong("first"))?;
        let last = Head { seq: number(row)?, hash: row.id("hash", Digest::from_slice)? };
        let moved = Moved { first, last, kept: row.id("kept", Digest::from_slice)? };
        Ok(Anchor { moved, signature: row.get("signature")?, at: row.time("at_ms")? })
    })
}

/// Checks that every part that was moved is signed, and follows the one before it.
pub(super) fn check_anchors(anchors: &[Anchor], node: &PeerId) -> Result<(), ChainError> {
    let mut before = 0_u64;
    for Anchor { moved, signature, .. } in anchors {
        moved.check(node, signature)?;
        if moved.first != before.saturating_add(1) {
            return Err(ChainError::Anchor(moved.last.seq));
        }
        before = moved.last.seq;
    }
    Ok(())
}

/// The head that the first record in the database follows.
///
/// # Errors
/// When the database fails.
pub fn base(db: &Connection) -> Result<Head, StoreError> {
    Ok(anchors(db)?.last().map_or(Head::EMPTY, |anchor| anchor.moved.last))
}
