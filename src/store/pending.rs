//! What waits for the human, and what the human decided, on disk.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::{
    StoreError,
    rows::{Columns, all, ms, readable},
    said,
    seal::{self, Place},
    verdicts::{VERDICT, Verdict},
};
use crate::{
    base::{Digest, MessageId, Note, PeerId, PendingId, Timestamp, limits},
    gate::{Decision, Item, What},
    policy::Reason,
    risk::Severity,
};

/// Something that waits.
#[derive(Clone, Debug)]
pub struct PendingRow {
    /// Its id.
    pub id: PendingId,
    /// What it is.
    pub what: What,
    /// Whom it is about.
    pub peer: PeerId,
    /// Which message, where it is one.
    pub message: Option<MessageId>,
    /// The exact bytes; `None` until the other side has answered.
    pub item: Option<Item>,
    /// Why the human is asked.
    pub reasons: Vec<Reason>,
    /// Whose texts our agent had read before it wrote the message, in the order of their ids.
    pub after: Vec<PeerId>,
    /// A note that came with it.
    pub note: Option<Note>,
    /// Since when.
    pub created: Timestamp,
    /// Until when.
    pub expires: Timestamp,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct StoredReason {
    rule: String,
    severity: Severity,
    text: String,
}

/// All that waits, oldest first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn all_pending(db: &Connection) -> Result<Vec<PendingRow>, StoreError> {
    readable(db, "pending", "SELECT * FROM pending ORDER BY created_ms, id", [], read)
}

const ITEM: &str = "pending.item";
const REASONS: &str = "pending.reasons";
const NOTE: &str = "pending.note";

fn read(row: &Columns<'_>) -> Result<PendingRow, StoreError> {
    let id = row.id("id", PendingId::from_slice)?;
    let place = |column| Place::of(column, id.as_bytes());
    let reasons = row.opened("reasons", &place(REASONS))?;
    let reasons: Vec<StoredReason> =
        serde_json::from_slice(&reasons).map_err(|_| row.wrong("reasons"))?;
    let item = row.opened_opt("item", &place(ITEM))?;
    let item = item.map(|item| Item::decode(&item).map_err(|_| row.wrong("item"))).transpose()?;
    let note = row.opened_text_opt("note", &place(NOTE))?;
    let reason = |StoredReason { rule, severity, text }| Reason { rule, severity, text };
    Ok(PendingRow {
        id,
        what: row.word("what", What::parse)?,
        peer: row.id("peer", PeerId::from_slice)?,
        message: row.id_opt("message", MessageId::from_slice)?,
        item,
        reasons: reasons.into_iter().map(reason).collect(),
        after: row.get::<Option<Vec<u8>>>("after")?.map_or_else(
            || Ok(Vec::new()),
            |ids| {
                let ids: Option<Vec<_>> = ids.chunks(32).map(PeerId::from_slice).collect();
                ids.ok_or_else(|| row.wrong("after"))
            },
        )?,
        note: note.and_then(|note| Note::parse(&note).ok()),
        created: row.time("created_ms")?,
        expires: row.time("expires_ms")?,
    })
}

/// Adds what waits, or brings its bytes up to date.
///
/// # Errors
/// When the database fails.
pub fn put(db: &Connection, row: &PendingRow) -> Result<(), StoreError> {
    let stored = |reason: &Reason| StoredReason {
        rule: reason.rule.clone(),
        severity: reason.severity,
        text: reason.text.clone(),
    };
    let reasons: Vec<StoredReason> = row.reasons.iter().map(stored).collect();
    let after: Vec<u8> = row.after.iter().flat_map(|peer| *peer.as_bytes()).collect();
    let reasons = serde_json::to_vec(&reasons).unwrap_or_default();
    let item = row.item.as_ref().map(Item::encode);
    let place = |column| Place::of(column, row.id.as_bytes());
    let note = row.note.as_ref().map(|note| note.as_str().as_bytes());
    let sql = "INSERT OR REPLACE INTO pending (id, what, peer, message, item, reasons, note,
               created_ms, expires_ms, after) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    db.prepare_cached(sql)?.execute(params![
        row.id.as_bytes(),
        row.what.as_str(),
        row.peer.as_bytes(),
        row.message.as_ref().map(MessageId::as_bytes),
        seal::seal_opt(db, &place(ITEM), item.as_deref())?,
        seal::seal(db, &place(REASONS), &reasons)?,
        seal::seal_opt(db, &place(NOTE), note)?,
        ms(row.created),
        ms(row.expires),
        (!after.is_empty()).then_some(after)
    ])?;
    Ok(())
}

/// Removes what waits. `false` when it was not there: somebody else decided first.
///
/// # Errors
/// When the database fails.
pub fn remove(db: &Connection, id: &PendingId) -> Result<bool, StoreError> {
    let sql = "DELETE FROM pending WHERE id = ?1";
    Ok(db.prepare_cached(sql)?.execute([id.as_bytes()])? == 1)
}

/// Removes all that waits about a peer.
///
/// # Errors
/// When the database fails.
pub fn remove_of_peer(db: &Connection, peer: &PeerId) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM pending WHERE peer = ?1")?.execute([peer.as_bytes()])?;
    Ok(())
}

/// Removes what waits about a peer itself: it is asked about once.
///
/// # Errors
/// When the database fails.
pub fn remove_asks(db: &Connection, peer: &PeerId) -> Result<(), StoreError> {
    let sql = "DELETE FROM pending WHERE peer = ?1 AND message IS NULL";
    db.prepare_cached(sql)?.execute([peer.as_bytes()])?;
    Ok(())
}

/// Removes what waits about a message of ours.
///
/// # Errors
/// When the database fails.
pub fn remove_message(db: &Connection, peer: &PeerId, id: &MessageId) -> Result<(), StoreError> {
    let sql = "DELETE FROM pending WHERE message = ?1 AND peer = ?2 AND what = 'message_out'";
    db.prepare_cached(sql)?.execute(params![id.as_bytes(), peer.as_bytes()])?;
    Ok(())
}

/// The item that asks about a message of ours.
///
/// # Errors
/// When the database fails, or the row is not what we wrote.
pub fn of_message(
    db: &Connection,
    peer: &PeerId,
    id: &MessageId,
) -> Result<Option<PendingId>, StoreError> {
    let sql = "SELECT id FROM pending WHERE message = ?1 AND peer = ?2 AND what = 'message_out'";
    let params = params![id.as_bytes(), peer.as_bytes()];
    let found = all(db, "pending", sql, params, |row| row.id("id", PendingId::from_slice))?;
    Ok(found.into_iter().next())
}

/// Notes what a peer's human wrote beside its consent.
///
/// # Errors
/// When the database fails.
pub fn set_note(db: &Connection, peer: &PeerId, note: &Note) -> Result<(), StoreError> {
    let sql = "UPDATE pending SET note = seal('pending.note', ?2, id)
               WHERE peer = ?1 AND message IS NULL";
    db.prepare_cached(sql)?.execute(params![peer.as_bytes(), note.as_str()])?;
    Ok(())
}

/// Payloads that wait: those that came from `peer`, and all.
///
/// # Errors
/// When the database fails.
pub fn payloads(db: &Connection, peer: &PeerId) -> Result<(usize, usize), StoreError> {
    let sql = "SELECT count(*) FILTER (WHERE peer = ?1 AND what = 'message_in'), count(*)
               FROM pending WHERE message IS NOT NULL";
    let counted = db
        .prepare_cached(sql)?
        .query_row([peer.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(counted)
}

/// A message that the human let pass.
#[derive(Clone, Debug)]
pub struct GivenYes {
    /// Which way.
    pub what: What,
    /// The other side.
    pub peer: PeerId,
    /// The rules for which the human was asked.
    pub rules: BTreeSet<String>,
    /// When.
    pub at: Timestamp,
}

/// The messages that the human let pass since `since`, oldest first; of very many, the newest.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn approved(db: &Connection, since: Timestamp) -> Result<Vec<GivenYes>, StoreError> {
    let sql = "SELECT d.what, d.at_ms, m.id, m.peer, m.outgoing, m.verdict FROM decisions AS d JOIN messages AS m
               ON m.id = d.message AND m.peer = d.peer AND m.outgoing = (d.what = 'message_out')
               WHERE d.decision = 'approved' AND d.at_ms > ?1 AND m.verdict IS NOT NULL
               ORDER BY d.at_ms DESC LIMIT ?2";
    let params = params![ms(since), limits::REPEATS_KEPT_MAX];
    let mut found = readable(db, "messages", sql, params, |row| {
        let verdict = row.opened("verdict", &said::place(row, VERDICT)?)?;
        let verdict: Verdict =
            serde_json::from_slice(&verdict).map_err(|_| row.wrong("verdict"))?;
        Ok(GivenYes {
            what: row.word("what", What::parse)?,
            peer: row.id("peer", PeerId::from_slice)?,
            rules: verdict.reasons.into_iter().map(|reason| reason.rule).collect(),
            at: row.time("at_ms")?,
        })
    })?;
    found.reverse();
    Ok(found)
}

/// What is kept of a decision.
pub struct DecisionRow<'d> {
    /// Which item.
    pub id: PendingId,
    /// Its digest.
    pub digest: Digest,
    /// What it was.
    pub what: What,
    /// Whom it was about.
    pub peer: PeerId,
    /// Which message, where it was one.
    pub message: Option<MessageId>,
    /// `approved` or `denied`.
    pub decision: &'static str,
    /// How the human was asked.
    pub method: &'static str,
    /// What was signed; a refusal needs no signature.
    pub signed: Option<&'d Decision>,
    /// When.
    pub at: Timestamp,
}

/// Keeps a decision. An item is decided once: a second decision fails.
///
/// # Errors
/// When there is one, or the database fails.
pub fn add_decision(db: &Connection, row: &DecisionRow<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO decisions (id, digest, decision, method, statement, signature, at_ms,
               what, peer, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    db.prepare_cached(sql)?.execute(params![
        row.id.as_bytes(),
        row.digest.as_bytes(),
        row.decision,
        row.method,
        row.signed.map(|signed| &signed.statement),
        row.signed.map(|signed| signed.signature),
        ms(row.at),
        row.what.as_str(),
        row.peer.as_bytes(),
        row.message.as_ref().map(MessageId::as_bytes)
    ])?;
    Ok(())
}
