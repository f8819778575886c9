//! Conversations as a human reads them: who was talked with, in which threads, and a part of one.
//!
//! Everything is read from an index or by its number, and what is counted was counted before: a
//! conversation may have 100,000 messages.
//! Held messages are there too, so none of this is for an agent.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::{
    StoreError,
    messages::{self, HistoryRow, MessageRow},
    rows::{Columns, all},
    said, unread,
};
use crate::{
    base::{PeerId, ThreadId, Timestamp},
    wire::Kind,
};

/// All that was said with one peer, in short.
#[derive(Clone, Debug)]
pub struct TalkRow {
    /// How many threads.
    pub threads: u64,
    /// How many messages, both ways.
    pub messages: u64,
    /// In the inbox, not seen by the agent.
    pub unread: u64,
    /// The newest message.
    pub last: MessageRow,
}

/// As many messages are read as there are conversations; the rest was counted before.
pub(super) const TALKS: &str = "
    SELECT messages.*, talks.threads AS threads, talks.messages AS said
    FROM conversations AS talks CROSS JOIN messages ON messages.number = talks.last";

/// Every conversation that has a message, the one with the newest first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn talks(db: &Connection) -> Result<Vec<TalkRow>, StoreError> {
    let unread = unread::of_each(db)?;
    let mut talks = all(db, "messages", TALKS, [], |row| {
        let last = messages::read(row)?;
        Ok(TalkRow {
            threads: row.get("threads")?,
            messages: row.get("said")?,
            unread: unread.get(&last.peer).copied().unwrap_or_default(),
            last,
        })
    })?;
    talks.sort_by_key(|talk| std::cmp::Reverse(talk.last.number));
    Ok(talks)
}

/// One thread with a peer, in short.
#[derive(Clone, Debug)]
pub struct ThreadRow {
    /// Which.
    pub thread: ThreadId,
    /// How many messages.
    pub messages: u64,
    /// The kind of its first message.
    pub kind: Kind,
    /// The beginning of its first message.
    pub text: String,
    /// When its newest message was stored.
    pub last: Timestamp,
}

/// Characters of a thread's first message that are read.
const TITLE_CHARS: usize = 1000;

pub(super) const THREADS: &str = "
    WITH talked AS (
        SELECT thread AS which, messages AS said, first, last
        FROM threads WHERE peer = ?1 ORDER BY last DESC LIMIT ?2
    )
    SELECT which, said, begin.kind AS kind, begin.id AS id,
           begin.peer AS peer, begin.outgoing AS outgoing, begin.text AS text,
           newest.stored_ms AS stored_ms
    FROM talked CROSS JOIN messages AS begin ON begin.number = talked.first
    CROSS JOIN messages AS newest INDEXED BY messages_by_talk
    ON newest.peer = ?1 AND newest.thread = talked.which AND newest.number = talked.last
    ORDER BY talked.last DESC";

/// The threads with a peer, the one with the newest message first, at most `limit`.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn threads(db: &Connection, peer: &PeerId, limit: u32) -> Result<Vec<ThreadRow>, StoreError> {
    all(db, "messages", THREADS, params![peer.as_bytes(), limit], |row| {
        Ok(ThreadRow {
            thread: row.id("which", ThreadId::from_slice)?,
            messages: row.get("said")?,
            kind: Kind::parse(&row.get::<String>("kind")?),
            text: said::text(row)?.chars().take(TITLE_CHARS).collect(),
            last: row.time("stored_ms")?,
        })
    })
}

/// Which part of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// With whom.
    pub peer: PeerId,
    /// Only this thread.
    pub thread: Option<ThreadId>,
    /// Before this place.
    pub before: i64,
    /// At most this many.
    pub limit: u32,
}

pub(super) const PART: &str = "
    SELECT * FROM messages WHERE peer = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3";
pub(super) const PART_OF_THREAD: &str = "
    SELECT * FROM messages WHERE peer = ?1 AND thread = ?4 AND number < ?2
    ORDER BY number DESC LIMIT ?3";

/// Messages of a conversation, both ways, in every state, newest first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn part(db: &Connection, part: &Part) -> Result<Vec<MessageRow>, StoreError> {
    let (peer, before, limit) = (part.peer.as_bytes(), part.before, part.limit);
    match &part.thread {
        None => all(db, "messages", PART, params![peer, before, limit], messages::read),
        Some(thread) => {
            let params = params![peer, before, limit, thread.as_bytes()];
            all(db, "messages", PART_OF_THREAD, params, messages::read)
        }
    }
}

pub(super) const HISTORIES: &str = "
    SELECT history.* FROM history
    WHERE message IN (SELECT value FROM json_each(?1)) ORDER BY history.rowid";

/// The states of all of these messages, each message's oldest first, by its number.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn histories(
    db: &Connection,
    rows: &[MessageRow],
) -> Result<HashMap<i64, Vec<HistoryRow>>, StoreError> {
    let mut found: HashMap<i64, Vec<HistoryRow>> = HashMap::new();
    let steps = all(db, "history", HISTORIES, [numbers(rows)], |row| {
        Ok((row.get::<i64>("message")?, messages::read_step(row)?))
    })?;
    for (message, step) in steps {
        found.entry(message).or_default().push(step);
    }
    Ok(found)
}

/// What was decided about a message.
#[derive(Clone, Debug)]
pub struct DecidedRow {
    /// `approved` or `denied`.
    pub decision: String,
    /// How the human was asked.
    pub method: String,
    /// When.
    pub at: Timestamp,
}

/// A peer may give a message of its own the id of one of ours, so the direction counts too.
pub(super) const DECISIONS: &str = "
    SELECT messages.number AS number, decisions.decision AS decision,
           decisions.method AS method, decisions.at_ms AS at_ms
    FROM messages CROSS JOIN decisions
    ON decisions.message = messages.id AND decisions.peer = messages.peer
    AND decisions.what = iif(messages.outgoing, 'message_out', 'message_in')
    WHERE messages.number IN (SELECT value FROM json_each(?1)) ORDER BY decisions.rowid";

/// What was decided about these messages, by the message's number.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn decisions(
    db: &Connection,
    rows: &[MessageRow],
) -> Result<HashMap<i64, DecidedRow>, StoreError> {
    let found = all(db, "decisions", DECISIONS, [numbers(rows)], |row: &Columns<'_>| {
        let (decision, method) = (row.get("decision")?, row.get("method")?);
        Ok((row.get("number")?, DecidedRow { decision, method, at: row.time("at_ms")? }))
    })?;
    Ok(found.into_iter().collect())
}

/// The messages' numbers as a JSON array: a list of any length is one parameter.
fn numbers(rows: &[MessageRow]) -> String {
    let numbers: Vec<String> = rows.iter().map(|row| row.number.to_string()).collect();
    format!("[{}]", numbers.join(","))
}
