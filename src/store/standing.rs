//! What the audit chain says of rows that carry no signature of their own: where trust in a peer
//! was moved to last, whether a grant was ended, how often one was used; and whether the chain's end
//! holds. Whether a row counts is not for this module to say.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::{
    StoreError,
    audit::{page, read_record},
    policies::event_of,
    rows::{all, ms},
};
use crate::{
    audit::{self, ChainError, Event, Head, Record},
    base::{Digest, GrantId, PeerId, Timestamp, limits},
    wire::Grant,
};

/// The newest record that says where trust in a peer was moved to.
///
/// # Errors
/// When the database fails, or the record cannot be read.
pub fn trust_moved(db: &Connection, peer: &PeerId) -> Result<Option<Record>, StoreError> {
    // As the index `audit_trust` has it.
    let sql = "SELECT * FROM audit WHERE substr(event, 1, 22) = '{\"event\":\"trust_moved\"'
               AND substr(event, 32, 64) = ?1 ORDER BY number DESC LIMIT 1";
    Ok(all(db, "audit", sql, [peer.to_string()], read_record)?.into_iter().next())
}

/// Whether a record says that a grant was ended.
///
/// # Errors
/// When the database fails.
pub fn grant_ended(db: &Connection, id: &GrantId) -> Result<bool, StoreError> {
    // As the index `audit_grant_ended` has it.
    let sql = "SELECT 1 FROM audit WHERE substr(event, 1, 22) = '{\"event\":\"grant_ended\"'
               AND substr(event, 33, 8) = ?1";
    Ok(db.prepare_cached(sql)?.exists([id.to_string()])?)
}

/// Whether a record says that a grant was given. Looks at every record: for what a human does now
/// and then.
///
/// # Errors
/// When the database fails.
pub fn granted(db: &Connection, id: &GrantId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM audit WHERE substr(event, 1, 18) = '{\"event\":\"granted\"'
               AND substr(event, 29, 8) = ?1";
    Ok(db.prepare_cached(sql)?.exists([id.to_string()])?)
}

/// Every grant that could count at `now`, by a row or by a record, whatever its row says of its end.
/// Looks at every record.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn lasting_grants(db: &Connection, now: Timestamp) -> Result<BTreeSet<GrantId>, StoreError> {
    let sql = "SELECT * FROM audit WHERE substr(event, 1, 18) = '{\"event\":\"granted\"'";
    let given = all(db, "audit", sql, [], read_record)?;
    let given = given.iter().filter_map(event_of).filter_map(|event| {
        let Event::Granted { grant, until, .. } = event else { return None };
        // Times of this form sort as their texts do.
        grant.parse().ok().filter(|_| until > now.rfc3339())
    });
    let rows = all(db, "grants", "SELECT statement FROM grants", [], |row| {
        row.get::<Vec<u8>>("statement")
    })?;
    let rows = rows.iter().filter_map(|statement| Grant::decode(statement).ok());
    let rows = rows.filter(|grant| grant.until > now).map(|grant| grant.id);
    let mut lasting = BTreeSet::new();
    for id in given.chain(rows) {
        if !grant_ended(db, &id)? {
            lasting.insert(id);
        }
    }
    Ok(lasting)
}

/// How many records after `since` say that a message passed by a grant. The rows of these messages
/// may be gone, or say otherwise.
///
/// # Errors
/// When the database fails.
pub fn passed(db: &Connection, id: &GrantId, since: Timestamp) -> Result<u64, StoreError> {
    // As the index `audit_passed` has it.
    let sql = "SELECT count(*) FROM audit WHERE substr(event, 1, 17) = '{\"event\":\"passed\"'
               AND substr(event, 73, 8) = ?1 AND at_ms > ?2";
    let params = params![id.to_string(), ms(since)];
    Ok(db.prepare_cached(sql)?.query_row(params, |row| row.get(0))?)
}

/// Checks the chain from its last signed record to its end: at most
/// [`limits::AUDIT_TAIL_RECORDS_MAX`] records. Gives the first thing that is wrong. What is older
/// than the last signature is looked at by [`super::audit::verify`] alone.
///
/// # Errors
/// When the database fails, or a record cannot be read.
pub fn tail(db: &Connection, node: &PeerId) -> Result<Option<ChainError>, StoreError> {
    let sql = "SELECT number, hash, signature FROM checkpoints ORDER BY number DESC LIMIT 1";
    let signed = all(db, "checkpoints", sql, [], |row| {
        let number: i64 = row.get("number")?;
        let seq = u64::try_from(number).map_err(|_| row.wrong("number"))?;
        let head = Head { seq, hash: row.id("hash", Digest::from_slice)? };
        Ok((head, row.get::<Vec<u8>>("signature")?))
    })?;
    let mut head = Head::EMPTY;
    let signed = signed.into_iter().next();
    // What was moved into a file is not there, and is signed by its anchor.
    let moved = super::audit::anchors(db)?.pop();
    let moved =
        moved.filter(|anchor| signed.as_ref().is_none_or(|(s, _)| s.seq <= anchor.moved.last.seq));
    if let Some(anchor) = moved {
        if let Err(problem) = anchor.moved.check(node, &anchor.signature) {
            return Ok(Some(problem));
        }
        head = anchor.moved.last;
    } else if let Some((signed, signature)) = signed {
        head = match checkpointed(db, node, &signed, &signature)? {
            Ok(head) => head,
            Err(problem) => return Ok(Some(problem)),
        };
    }
    let records = page(db, head.seq, limits::AUDIT_TAIL_RECORDS_MAX)?;
    let read = u32::try_from(records.len()).unwrap_or(u32::MAX);
    for record in &records {
        head = match audit::follow(&head, record) {
            Ok(head) => head,
            Err(problem) => return Ok(Some(problem)),
        };
    }
    // A node signs far more often than this: signatures were taken away.
    let unsigned = read >= limits::AUDIT_TAIL_RECORDS_MAX;
    Ok(unsigned.then_some(ChainError::Checkpoint(head.seq)))
}

/// The head at the last signature, where the record is there, is whole, and is what was signed.
fn checkpointed(
    db: &Connection,
    node: &PeerId,
    signed: &Head,
    signature: &[u8],
) -> Result<Result<Head, ChainError>, StoreError> {
    if let Err(problem) = audit::check_checkpoint(signed, node, signature) {
        return Ok(Err(problem));
    }
    let Some(record) = page(db, signed.seq.saturating_sub(1), 1)?.into_iter().next() else {
        let last = super::audit::head(db)?.seq;
        return Ok(Err(ChainError::Cut { last, signed: signed.seq }));
    };
    let followed = audit::check_alone(&record).map(|()| Head::of(&record));
    Ok(if followed.as_ref().is_ok_and(|head| head == signed) {
        followed
    } else {
        followed.and(Err(ChainError::Replaced { seq: signed.seq, at: record.at }))
    })
}
