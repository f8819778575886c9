//! Messages, their history and their arrivals on disk.

use rusqlite::{Connection, params};

use super::{
    StoreError, page,
    rows::{Columns, all, ms},
    said::{self, ENVELOPE, TEXT},
    seal::{self, OVERHEAD_BYTES, Place},
    sessions,
    unread::{Asked, Unread},
};
use crate::{
    base::{Digest, MessageId, PeerId, SessionName, ThreadId, Timestamp},
    delivery::{MessageState, inbox::Room},
    wire::{Envelope, Kind},
};

/// A message.
#[derive(Clone, Debug)]
pub struct MessageRow {
    /// Its place in the inbox.
    pub number: i64,
    /// We sent it.
    pub outgoing: bool,
    /// The other side.
    pub peer: PeerId,
    /// Its id.
    pub id: MessageId,
    /// Its envelope's digest.
    pub digest: Digest,
    /// Its kind.
    pub kind: Kind,
    /// Its conversation.
    pub thread: ThreadId,
    /// What it answers.
    pub reply_to: Option<MessageId>,
    /// What it says.
    pub text: String,
    /// The envelope's bytes.
    pub envelope: Vec<u8>,
    /// It carries a countersignature, to be verified when it is shown.
    pub countersigned: bool,
    /// Its newest state.
    pub state: MessageState,
    /// When it was signed, by the sender's clock.
    pub created: Timestamp,
    /// When it is worthless.
    pub expires: Timestamp,
    /// What keeps it waiting.
    pub note: Option<String>,
    /// Of a message of ours, the session that sent it. Of another, the session that it is for.
    pub session: Option<SessionName>,
    /// The session of its recipient's that its header names.
    pub named: Option<SessionName>,
}

/// One state that a message was in.
#[derive(Clone, Debug)]
pub struct HistoryRow {
    /// The state.
    pub state: MessageState,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: Option<String>,
}

pub(super) fn read(row: &Columns<'_>) -> Result<MessageRow, StoreError> {
    Ok(MessageRow {
        number: row.get("number")?,
        outgoing: row.get("outgoing")?,
        peer: row.id("peer", PeerId::from_slice)?,
        id: row.id("id", MessageId::from_slice)?,
        digest: row.id("digest", Digest::from_slice)?,
        kind: Kind::parse(&row.get::<String>("kind")?),
        thread: row.id("thread", ThreadId::from_slice)?,
        reply_to: row.id_opt("reply_to", MessageId::from_slice)?,
        text: said::text(row)?,
        envelope: said::envelope(row)?,
        countersigned: row.get("countersigned")?,
        state: row.word("state", MessageState::parse)?,
        created: row.time("created_ms")?,
        expires: row.time("expires_ms")?,
        note: row.get("note")?,
        session: row.session_opt("session")?,
        named: row.session_opt("named")?,
    })
}

/// The conversation of an envelope: its own, or one of its own name.
#[must_use]
pub fn thread_of(envelope: &Envelope) -> ThreadId {
    let header = envelope.header();
    header.thread.unwrap_or_else(|| ThreadId::from_bytes(*header.id.as_bytes()))
}

/// Adds a message. `unread` where it waits for our agent.
///
/// # Errors
/// When there is one of this id already, or the database fails.
pub fn add(
    db: &Connection,
    envelope: &Envelope,
    outgoing: bool,
    state: MessageState,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let header = envelope.header();
    let peer = if outgoing { header.recipient } else { header.sender };
    let text = envelope.body().text().map_or("", |text| text.as_str());
    let place = |column| Place::message(column, &header.id, &peer, outgoing);
    let sql = "INSERT INTO messages (outgoing, peer, id, digest, kind, thread, reply_to, text,
               envelope, state, unread, created_ms, expires_ms, stored_ms, countersigned, named)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    db.prepare_cached(sql)?.execute(params![
        outgoing,
        peer.as_bytes(),
        header.id.as_bytes(),
        envelope.digest().as_bytes(),
        header.kind.as_str(),
        thread_of(envelope).as_bytes(),
        header.reply_to.as_ref().map(MessageId::as_bytes),
        seal::seal(db, &place(TEXT), text.as_bytes())?,
        seal::seal(db, &place(ENVELOPE), envelope.bytes())?,
        state.as_str(),
        !outgoing,
        ms(header.created),
        ms(header.expires),
        ms(now),
        envelope.countersignature().is_some(),
        header.session.as_ref().map(SessionName::as_str)
    ])?;
    Ok(db.last_insert_rowid())
}

/// Notes whose a message is among our sessions: see [`MessageRow::session`].
///
/// # Errors
/// When the database fails.
pub fn set_session(
    db: &Connection,
    number: i64,
    session: Option<&SessionName>,
) -> Result<(), StoreError> {
    let Some(session) = session else { return Ok(()) };
    let sql = "UPDATE messages SET session = ?2 WHERE number = ?1";
    db.prepare_cached(sql)?.execute(params![number, session.as_str()])?;
    Ok(())
}

/// Adds a step to a message's history.
///
/// # Errors
/// When the database fails.
pub fn add_history(
    db: &Connection,
    number: i64,
    step: &HistoryRow,
    receipt: Option<&MessageId>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO history (message, state, at_ms, reason, receipt)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    db.prepare_cached(sql)?.execute(params![
        number,
        step.state.as_str(),
        ms(step.at),
        step.reason,
        receipt.map(MessageId::as_bytes)
    ])?;
    Ok(())
}

/// Brings a message into another state and notes it in its history.
///
/// # Errors
/// When the database fails.
pub fn set_state(
    db: &Connection,
    number: i64,
    step: &HistoryRow,
    receipt: Option<&MessageId>,
) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET state = ?2, note = NULL WHERE number = ?1";
    db.prepare_cached(sql)?.execute(params![number, step.state.as_str()])?;
    add_history(db, number, step, receipt)
}

/// Replaces a message's envelope by its countersigned form.
///
/// # Errors
/// When the database fails.
pub fn set_envelope(db: &Connection, number: i64, envelope: &Envelope) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET countersigned = 1,
               envelope = seal('messages.envelope', ?2, id, peer, outgoing) WHERE number = ?1";
    db.prepare_cached(sql)?.execute(params![number, envelope.bytes()])?;
    Ok(())
}

/// Remembers, or forgets, what our agent asked for with a message that a human was asked about.
///
/// # Errors
/// When the database fails.
pub fn set_request(
    db: &Connection,
    number: i64,
    request: Option<&Digest>,
) -> Result<(), StoreError> {
    let sql = "UPDATE messages SET request = keyed(?2) WHERE number = ?1";
    db.prepare_cached(sql)?.execute(params![number, request.map(Digest::as_bytes)])?;
    Ok(())
}

/// The newest message of ours that was asked for like this.
///
/// # Errors
/// When the database fails, or the row is not what we wrote.
pub fn by_request(db: &Connection, request: &Digest) -> Result<Option<MessageRow>, StoreError> {
    let sql = "SELECT * FROM messages WHERE request = keyed(?1) AND outgoing = 1
               ORDER BY number DESC LIMIT 1";
    Ok(all(db, "messages", sql, [request.as_bytes()], read)?.into_iter().next())
}

/// Notes what keeps a message waiting. `false` when that is no news.
///
/// # Errors
/// When the database fails.
pub fn set_note(db: &Connection, number: i64, note: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE messages SET note = ?2 WHERE number = ?1 AND note IS NOT ?2";
    Ok(db.prepare_cached(sql)?.execute(params![number, note])? == 1)
}

/// What kept a queued message of ours waiting does not, any more. `false` when it did not.
///
/// # Errors
/// When the database fails.
pub fn end_note(db: &Connection, number: i64, note: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE messages SET note = NULL
               WHERE number = ?1 AND substr(note, 1, length(?2)) = ?2";
    Ok(db.prepare_cached(sql)?.execute(params![number, note])? == 1)
}

/// The message was shown to the agent. `false` when it had been before.
///
/// # Errors
/// When the database fails.
pub fn set_seen(db: &Connection, number: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE messages SET unread = 0 WHERE number = ?1 AND unread = 1";
    Ok(db.prepare_cached(sql)?.execute([number])? == 1)
}

/// The message of this id. Ids are chosen by senders, so two senders may choose the same: the
/// first that came is meant.
///
/// # Errors
/// When the database fails, or the row is not what we wrote.
pub fn find(db: &Connection, id: &MessageId) -> Result<Option<MessageRow>, StoreError> {
    let sql = "SELECT * FROM messages WHERE id = ?1 ORDER BY number LIMIT 1";
    Ok(all(db, "messages", sql, [id.as_bytes()], read)?.into_iter().next())
}

/// The message of this id that we sent to `peer`, or that came from it.
///
/// # Errors
/// When the database fails, or the row is not what we wrote.
pub fn find_with(
    db: &Connection,
    id: &MessageId,
    peer: &PeerId,
    outgoing: bool,
) -> Result<Option<MessageRow>, StoreError> {
    let sql = "SELECT * FROM messages WHERE id = ?1 AND peer = ?2 AND outgoing = ?3";
    let params = params![id.as_bytes(), peer.as_bytes(), outgoing];
    Ok(all(db, "messages", sql, params, read)?.into_iter().next())
}

/// What a receipt is held against.
#[derive(Clone, Copy, Debug)]
pub struct SentRow {
    /// The message's place.
    pub number: i64,
    /// Its envelope's digest.
    pub digest: Digest,
    /// Its newest state.
    pub state: MessageState,
}

impl SentRow {
    /// Whether its receiver's word that it is in `next` counts. What expired while it was held never
    /// left, so no such word is about it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn may_become(&self, db: &Connection, next: MessageState) -> Result<bool, StoreError> {
        let expired = self.state == MessageState::Expired;
        Ok(self.state.may_become(next) && (!expired || was_queued(db, self.number)?))
    }
}

/// Whether a message of ours was ever on its way.
///
/// # Errors
/// When the database fails.
pub fn was_queued(db: &Connection, number: i64) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM history WHERE message = ?1 AND state = 'queued'";
    Ok(db.prepare_cached(sql)?.exists([number])?)
}

/// As [`find_with`], of a message that we sent, without what it says.
///
/// # Errors
/// When the database fails, or the row is not what we wrote.
pub fn find_sent(
    db: &Connection,
    id: &MessageId,
    peer: &PeerId,
) -> Result<Option<SentRow>, StoreError> {
    let sql = "SELECT number, digest, state FROM messages
               WHERE id = ?1 AND peer = ?2 AND outgoing = 1";
    let found = all(db, "messages", sql, params![id.as_bytes(), peer.as_bytes()], |row| {
        Ok(SentRow {
            number: row.get("number")?,
            digest: row.id("digest", Digest::from_slice)?,
            state: row.word("state", MessageState::parse)?,
        })
    })?;
    Ok(found.into_iter().next())
}

/// A message's states, oldest first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn history(db: &Connection, number: i64) -> Result<Vec<HistoryRow>, StoreError> {
    let sql = "SELECT * FROM history WHERE message = ?1 ORDER BY rowid";
    all(db, "history", sql, [number], read_step)
}

pub(super) fn read_step(row: &Columns<'_>) -> Result<HistoryRow, StoreError> {
    Ok(HistoryRow {
        state: row.word("state", MessageState::parse)?,
        at: row.time("at_ms")?,
        reason: row.get("reason")?,
    })
}

/// Which messages a page shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this peer's.
    pub peer: Option<PeerId>,
    /// Only this conversation's; both directions.
    pub thread: Option<ThreadId>,
    /// Only those that the agent has not seen.
    pub unread: bool,
    /// The session that asks: what is unread is what it has not seen.
    pub session: Option<SessionName>,
    /// The sessions that are open: of what is unread, what is for another of these is left out.
    pub open: sessions::Open,
    /// Only answers to this message.
    pub reply_to: Option<MessageId>,
    /// Only after this place.
    pub after: i64,
    /// At most this many.
    pub limit: u32,
}

/// Messages that are in the inbox (and, of a conversation, those that we sent), oldest first.
/// What waits for our human's decision is not in the inbox.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn page(db: &Connection, filter: &Filter) -> Result<Vec<MessageRow>, StoreError> {
    let until = match filter.session.as_ref().filter(|_| filter.unread) {
        Some(session) => sessions::known_until(db, session)?,
        None => 0,
    };
    let page = page::page(filter, until);
    all(db, "messages", &page.sql, rusqlite::params_from_iter(page.values), read)
}

/// The numbers come from the index in their order, so that no message is sorted.
pub(super) const OUTSTANDING: &str = "
    SELECT * FROM messages WHERE number IN (
        SELECT number FROM (
            SELECT number FROM messages INDEXED BY messages_waiting
            WHERE outgoing = 1 AND state = 'held' AND state IN ('held', 'queued')
            ORDER BY number LIMIT ?1)
        UNION ALL SELECT number FROM (
            SELECT number FROM messages INDEXED BY messages_waiting
            WHERE outgoing = 1 AND state = 'queued' AND state IN ('held', 'queued')
            ORDER BY number LIMIT ?1)
    ) ORDER BY number LIMIT ?1";

/// Our messages that are held or queued, oldest first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn outstanding(db: &Connection, limit: u32) -> Result<Vec<MessageRow>, StoreError> {
    all(db, "messages", OUTSTANDING, [limit], read)
}

/// As with [`ROOM`]: little of a conversation waits.
pub(super) const WAITING_FOR: &str = "
    SELECT number FROM messages INDEXED BY messages_waiting
    WHERE outgoing = 1 AND state IN ('held', 'queued') AND peer = ?1 ORDER BY number";

/// The places of our messages for `peer` that are held or queued, oldest first.
///
/// # Errors
/// When the database fails.
pub fn waiting_for(db: &Connection, peer: &PeerId) -> Result<Vec<i64>, StoreError> {
    all(db, "messages", WAITING_FOR, [peer.as_bytes()], |row| row.get("number"))
}

/// What came from `peer` and waits for our human, oldest first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn held_from(db: &Connection, peer: &PeerId) -> Result<Vec<MessageRow>, StoreError> {
    let sql = "SELECT * FROM messages WHERE peer = ?1 AND unread = 1 AND outgoing = 0
               AND state = 'held_by_peer' ORDER BY number";
    all(db, "messages", sql, [peer.as_bytes()], read)
}

/// The index is named, because the planner would rather walk the whole conversation.
pub(super) const ROOM: &str = "
    SELECT count(*), coalesce(sum(length(envelope)), 0)
    FROM messages INDEXED BY messages_unread WHERE peer = ?1 AND unread = 1";

/// What a peer's messages take of its room: all that wait unread, held ones too.
///
/// # Errors
/// When the database fails.
pub fn room(db: &Connection, peer: &PeerId) -> Result<Room, StoreError> {
    let room = db.prepare_cached(ROOM)?.query_row([peer.as_bytes()], |row| {
        let (messages, sealed): (u64, u64) = (row.get(0)?, row.get(1)?);
        let overhead = messages.saturating_mul(u64::try_from(OVERHEAD_BYTES).unwrap_or(u64::MAX));
        Ok(Room { messages, bytes: sealed.saturating_sub(overhead) })
    })?;
    Ok(room)
}

/// How many messages wait in which way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// In the inbox, not seen by the agent.
    pub unread: u64,
    /// Ours, on their way.
    pub queued: u64,
    /// Ours, waiting for our human.
    pub held: u64,
}

/// Counts messages.
///
/// # Errors
/// When the database fails.
pub fn counts(db: &Connection) -> Result<Counts, StoreError> {
    let count = |sql: &str| -> Result<u64, StoreError> {
        Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    };
    let waiting = |state: &str| {
        count(&format!(
            "SELECT count(*) FROM messages WHERE outgoing = 1 AND state = '{state}'
             AND state IN ('held', 'queued')"
        ))
    };
    Ok(Counts {
        unread: nobody_saw().count(db)?,
        queued: waiting("queued")?,
        held: waiting("held")?,
    })
}

/// How many messages in the inbox no agent has seen, of whom: of the `peers_max` with most of them.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn unread_by_peer(db: &Connection, peers_max: u32) -> Result<Unread, StoreError> {
    nobody_saw().most(db, peers_max)
}

fn nobody_saw() -> Asked {
    Asked { open: "[]".to_owned(), ..Asked::default() }
}

/// Our messages whose time is over, and of which no receipt came.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn expired(db: &Connection, now: Timestamp) -> Result<Vec<MessageRow>, StoreError> {
    let sql = "SELECT * FROM messages WHERE outgoing = 1 AND state IN ('held', 'queued')
               AND expires_ms <= ?1 ORDER BY number LIMIT 1000";
    all(db, "messages", sql, [ms(now)], read)
}

/// What became of something that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The envelope's digest.
    pub digest: Digest,
    /// The message's state, as its sender was or will be told.
    pub state: MessageState,
    /// Why, for a refusal.
    pub reason: Option<String>,
}

/// Whether a message has arrived before.
///
/// # Errors
/// When the database fails, or the row is not what we wrote.
pub fn arrival(
    db: &Connection,
    peer: &PeerId,
    id: &MessageId,
) -> Result<Option<Arrival>, StoreError> {
    let sql = "SELECT * FROM arrivals WHERE peer = ?1 AND id = ?2";
    let found = all(db, "arrivals", sql, params![peer.as_bytes(), id.as_bytes()], |row| {
        Ok(Arrival {
            digest: row.id("digest", Digest::from_slice)?,
            state: row.word("state", MessageState::parse)?,
            reason: row.get("reason")?,
        })
    })?;
    Ok(found.into_iter().next())
}

/// Remembers that a message arrived, until `forget`.
///
/// # Errors
/// When the database fails.
pub fn put_arrival(
    db: &Connection,
    peer: &PeerId,
    id: &MessageId,
    arrival: &Arrival,
    forget: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO arrivals (peer, id, digest, state, reason, forget_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (peer, id) DO UPDATE SET state = excluded.state, reason = excluded.reason";
    db.prepare_cached(sql)?.execute(params![
        peer.as_bytes(),
        id.as_bytes(),
        arrival.digest.as_bytes(),
        arrival.state.as_str(),
        arrival.reason,
        ms(forget)
    ])?;
    Ok(())
}

/// A few at once: whatever is written meanwhile waits for it.
pub(super) const FORGET_ARRIVALS: &str = "
    DELETE FROM arrivals WHERE (peer, id) IN
    (SELECT peer, id FROM arrivals WHERE forget_ms <= ?1 ORDER BY forget_ms LIMIT 1000)";

/// Forgets arrivals whose messages expired long ago. At most 1,000 at once.
///
/// # Errors
/// When the database fails.
pub fn forget_arrivals(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(FORGET_ARRIVALS)?.execute([ms(now)])?;
    Ok(())
}

/// Whether another receipt is kept under the id of this one. A peer chooses the ids of what it signs;
/// the second one would have no evidence behind it.
///
/// # Errors
/// When the database fails, or the row cannot be opened.
pub fn is_other_receipt(db: &Connection, receipt: &Envelope) -> Result<bool, StoreError> {
    let id = receipt.header().id;
    let sql = "SELECT envelope FROM receipts WHERE id = ?1";
    let kept = all(db, "receipts", sql, [id.as_bytes()], |row| row.get::<Vec<u8>>("envelope"))?;
    let Some(kept) = kept.into_iter().next() else { return Ok(false) };
    let place = Place::of("receipts.envelope", id.as_bytes());
    Ok(seal::open(db, &place, &kept)? != receipt.bytes())
}

/// Keeps a receipt that a peer signed.
///
/// # Errors
/// When the database fails.
pub fn put_receipt(db: &Connection, receipt: &Envelope, now: Timestamp) -> Result<(), StoreError> {
    let place = Place::of("receipts.envelope", receipt.header().id.as_bytes());
    let sql = "INSERT OR IGNORE INTO receipts (id, peer, envelope, at_ms) VALUES (?1, ?2, ?3, ?4)";
    db.prepare_cached(sql)?.execute(params![
        receipt.header().id.as_bytes(),
        receipt.header().sender.as_bytes(),
        seal::seal(db, &place, receipt.bytes())?,
        ms(now)
    ])?;
    Ok(())
}
