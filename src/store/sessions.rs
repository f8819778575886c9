//! The clients' sessions that are known by name: whose an arriving message is, and what each of
//! them has not seen.
//!
//! `messages.unread` says whether nobody has seen a message. This says it for one session, by the
//! rule in `SCHEMA.md`; `sessions.after` keeps what has to be looked at short.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    StoreError,
    messages::MessageRow,
    rows::{all, ms},
    unread::{Asked, Unread},
};
use crate::{
    base::{SessionName, Timestamp, limits},
    wire::Envelope,
};

/// A session that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// What it is called.
    pub name: SessionName,
    /// What its client calls itself.
    pub client: Option<String>,
    /// The folder that it works in.
    pub project: Option<String>,
    /// Since when it is known.
    pub began: Timestamp,
    /// When it was there last.
    pub seen: Timestamp,
}

/// What is known of a session that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduced {
    /// What it is called.
    pub name: SessionName,
    /// What its client calls itself.
    pub client: Option<String>,
    /// The folder that it works in.
    pub project: Option<String>,
}

/// The sessions that are open. What is for one of them waits for it; what is for one that is not is
/// for every session, until it is there again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open(Vec<SessionName>);

impl Open {
    /// None is open.
    pub const NONE: Self = Self(Vec::new());

    /// As SQL takes them.
    pub(super) fn json(&self) -> String {
        // Names always serialise.
        serde_json::to_string(&self.0).unwrap_or_else(|_| "[]".to_owned())
    }
}

impl FromIterator<SessionName> for Open {
    fn from_iter<T: IntoIterator<Item = SessionName>>(names: T) -> Self {
        Self(names.into_iter().collect())
    }
}

/// Remembers a session. Where there are too many then, those that were seen longest ago and are
/// not `open` are forgotten.
///
/// # Errors
/// When the database fails.
pub fn remember(
    db: &Connection,
    session: &Introduced,
    open: &[Introduced],
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO sessions (name, client, project, began_ms, seen_ms, after)
               VALUES (?1, ?2, ?3, ?4, ?4, coalesce((SELECT max(number) FROM messages), 0))
               ON CONFLICT (name) DO UPDATE SET client = coalesce(excluded.client, client),
               project = coalesce(excluded.project, project), seen_ms = excluded.seen_ms";
    let Introduced { name, client, project } = session;
    db.prepare_cached(sql)?.execute(params![name.as_str(), client, project, ms(now)])?;
    let open = open.iter().map(|open| open.name.clone()).collect::<Open>().json();
    let sql = "UPDATE sessions SET seen_ms = ?2 WHERE name IN (SELECT value FROM json_each(?1))";
    db.prepare_cached(sql)?.execute(params![open, ms(now)])?;
    let sql = "SELECT name FROM sessions
               WHERE name <> ?2 AND name NOT IN (SELECT value FROM json_each(?1))
               ORDER BY seen_ms, name
               LIMIT max(0, (SELECT count(*) FROM sessions) - ?3)";
    let params = params![open, name.as_str(), limits::SESSIONS_KNOWN_MAX];
    let over = all(db, "sessions", sql, params, |row| row.get::<String>("name"))?;
    over.iter().try_for_each(|name| forget(db, name))
}

pub(super) const FORGET_UNREAD: &str = "
    UPDATE messages INDEXED BY messages_unread_of SET session = NULL
    WHERE outgoing = 0 AND unread = 1 AND session = ?1";

/// What was for it, and nobody has seen, is for every session from then on.
fn forget(db: &Connection, name: &str) -> Result<(), StoreError> {
    let statements = [
        "DELETE FROM sessions WHERE name = ?1",
        "DELETE FROM session_reads WHERE session = ?1",
        FORGET_UNREAD,
    ];
    for sql in statements {
        db.prepare_cached(sql)?.execute([name])?;
    }
    Ok(())
}

/// Every session that is known, by name.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn all_sessions(db: &Connection) -> Result<Vec<SessionRow>, StoreError> {
    all(db, "sessions", "SELECT * FROM sessions ORDER BY name", [], |row| {
        Ok(SessionRow {
            name: row.session_opt("name")?.ok_or_else(|| row.wrong("name"))?,
            client: row.get("client")?,
            project: row.get("project")?,
            began: row.time("began_ms")?,
            seen: row.time("seen_ms")?,
        })
    })
}

/// Whether a session of this name is known.
///
/// # Errors
/// When the database fails.
pub fn is_known(db: &Connection, name: &SessionName) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM sessions WHERE name = ?1";
    Ok(db.prepare_cached(sql)?.exists([name.as_str()])?)
}

pub(super) const SENDER: &str =
    "SELECT session FROM messages WHERE id = ?1 AND peer = ?2 AND outgoing = 1";
pub(super) const LAST_SPEAKER: &str = "
    SELECT session FROM messages INDEXED BY messages_by_session
    WHERE peer = ?1 AND thread = ?2 AND outgoing = 1 AND session IS NOT NULL
    ORDER BY number DESC LIMIT 1";

/// The session of ours that a message of a peer's is for: the one that it names, the one that it
/// answers, or the one that spoke last in its thread. None of these, or none that is known: every
/// one.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn whose(db: &Connection, envelope: &Envelope) -> Result<Option<SessionName>, StoreError> {
    let header = envelope.header();
    if let Some(named) = &header.session
        && is_known(db, named)?
    {
        return Ok(Some(named.clone()));
    }
    let peer = header.sender.as_bytes();
    if let Some(id) = header.reply_to
        && let Some(sender) = known(db, SENDER, params![id.as_bytes(), peer])?
    {
        return Ok(Some(sender));
    }
    match &header.thread {
        None => Ok(None),
        Some(thread) => known(db, LAST_SPEAKER, params![peer, thread.as_bytes()]),
    }
}

/// The session that a query finds, where it is known.
fn known(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Option<SessionName>, StoreError> {
    let found = all(db, "messages", sql, params, |row| row.session_opt("session"))?;
    let Some(name) = found.into_iter().flatten().next() else { return Ok(None) };
    Ok(is_known(db, &name)?.then_some(name))
}

/// Which messages nobody has seen and are new to the session ?1, where the sessions ?3 are open: what
/// is for one that is not is new to it too.
pub(super) const UNSEEN: &str = "
    unread = 1 AND outgoing = 0 AND state IN ('accepted', 'read', 'replied')
    AND (session IS NULL OR session = ?1 OR session NOT IN (SELECT value FROM json_each(?3)))";

/// From where the rest comes that is new to the session ?1: what others have seen after ?2, for every
/// session, for it alone, and for one that is not open and has not seen it itself.
pub(super) const SEEN: [&str; 3] = [
    "messages INDEXED BY messages_seen
    WHERE outgoing = 0 AND unread = 0 AND session IS NULL AND number > ?2
    AND state IN ('accepted', 'read', 'replied') AND NOT EXISTS (
        SELECT 1 FROM session_reads AS r WHERE r.session = ?1 AND r.message = messages.number)",
    "messages INDEXED BY messages_seen
    WHERE outgoing = 0 AND unread = 0 AND session = ?1 AND number > ?2
    AND state IN ('accepted', 'read', 'replied') AND NOT EXISTS (
        SELECT 1 FROM session_reads AS r WHERE r.session = ?1 AND r.message = messages.number)",
    "sessions AS other
    CROSS JOIN messages INDEXED BY messages_seen ON messages.session = other.name
    WHERE other.name <> ?1 AND other.name NOT IN (SELECT value FROM json_each(?3))
    AND outgoing = 0 AND unread = 0 AND number > max(other.after, ?2)
    AND state IN ('accepted', 'read', 'replied') AND NOT EXISTS (
        SELECT 1 FROM session_reads AS r
        WHERE r.session IN (?1, other.name) AND r.message = messages.number)",
];

/// Up to which message nothing is new to a session that somebody has seen. Everything, to one that
/// is not known: it begins now.
///
/// # Errors
/// When the database fails.
pub(super) fn known_until(db: &Connection, name: &SessionName) -> Result<i64, StoreError> {
    let sql = "SELECT after FROM sessions WHERE name = ?1";
    let after = db.prepare_cached(sql)?.query_row([name.as_str()], |row| row.get(0)).optional()?;
    let newest = newest(db)?;
    Ok(after.unwrap_or(newest).max(newest - i64::from(limits::SESSION_BEHIND_MAX)))
}

fn newest(db: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce(max(number), 0) FROM messages";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// How many messages are new to a session, of whom: of the `peers_max` with most of them.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn unread_by_peer(
    db: &Connection,
    name: &SessionName,
    open: &Open,
    peers_max: u32,
) -> Result<Unread, StoreError> {
    at_once(db, || new_to(db, name, open)?.most(db, peers_max))
}

/// How many messages are new to a session.
///
/// # Errors
/// When the database fails.
pub fn unread(db: &Connection, name: &SessionName, open: &Open) -> Result<u64, StoreError> {
    at_once(db, || new_to(db, name, open)?.count(db))
}

/// What is read in several statements is of one moment: a message that is seen between two of them
/// would be in neither.
fn at_once<T>(
    db: &Connection,
    read: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // Where there is a transaction, as in a write, it is.
    let moment = db.is_autocommit().then(|| db.unchecked_transaction()).transpose()?;
    let found = read();
    drop(moment);
    found
}

/// [`UNSEEN`] as it was counted, and [`SEEN`].
fn new_to(db: &Connection, name: &SessionName, open: &Open) -> Result<Asked, StoreError> {
    let open = open.json();
    let mut besides = HashMap::new();
    let mut seen = db.prepare_cached(&seen_by_others())?;
    let mut rows = seen.query(params![name.as_str(), known_until(db, name)?, open])?;
    while let Some(row) = rows.next()? {
        *besides.entry(row.get(0)?).or_default() += 1;
    }
    Ok(Asked { session: Some(name.to_string()), open, besides })
}

/// Of whom the messages of [`SEEN`] are.
pub(super) fn seen_by_others() -> String {
    SEEN.map(|seen| format!("SELECT peer FROM {seen}")).join(" UNION ALL ")
}

pub(super) const ELSEWHERE: &str = "
    SELECT name, sum(many) AS many FROM (
        SELECT session AS name, many FROM unread_totals
        WHERE session <> ?1 AND session IN (SELECT value FROM json_each(?3))
        UNION ALL
        SELECT other.name AS name, 1 AS many FROM sessions AS other
        CROSS JOIN messages INDEXED BY messages_seen ON messages.session = other.name
        WHERE other.name <> ?1 AND other.name IN (SELECT value FROM json_each(?3))
        AND outgoing = 0 AND unread = 0
        AND number > max(other.after, ?2) AND state IN ('accepted', 'read', 'replied')
        AND NOT EXISTS (SELECT 1 FROM session_reads AS r
            WHERE r.session = other.name AND r.message = messages.number)
    ) GROUP BY name ORDER BY name";

/// How many messages are for another session than this one that is open, and new to that one, by
/// its name.
///
/// # Errors
/// When the database fails.
pub fn elsewhere(
    db: &Connection,
    name: &SessionName,
    open: &Open,
) -> Result<Vec<(String, u64)>, StoreError> {
    let behind = newest(db)? - i64::from(limits::SESSION_BEHIND_MAX);
    let params = params![name.as_str(), behind, open.json()];
    all(db, "messages", ELSEWHERE, params, |row| Ok((row.get("name")?, row.get("many")?)))
}

/// Which of these messages this session has not seen, as far as that has to be written down.
///
/// # Errors
/// When the database fails.
pub fn unseen(
    db: &Connection,
    name: &SessionName,
    rows: &[MessageRow],
) -> Result<Vec<i64>, StoreError> {
    let until = known_until(db, name)?;
    let sql = "SELECT 1 FROM session_reads WHERE session = ?1 AND message = ?2";
    let mut seen = db.prepare_cached(sql)?;
    let mut unseen = Vec::new();
    for row in rows.iter().filter(|row| !row.outgoing && row.number > until) {
        if !seen.exists(params![name.as_str(), row.number])? {
            unseen.push(row.number);
        }
    }
    Ok(unseen)
}

/// A session has seen these messages. To be called once the messages themselves are marked seen.
///
/// # Errors
/// When the database fails.
pub fn set_seen(db: &Connection, name: &SessionName, numbers: &[i64]) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO session_reads (session, message) VALUES (?1, ?2)";
    let mut insert = db.prepare_cached(sql)?;
    for number in numbers {
        insert.execute(params![name.as_str(), number])?;
    }
    move_up(db, name)
}

/// The first message after ?1 that nobody has seen: it is, or may yet be, any session's.
pub(super) const FIRST_UNREAD: &str = "
    SELECT number FROM messages INDEXED BY messages_to_read
    WHERE unread = 1 AND outgoing = 0 AND number > ?1
    ORDER BY number LIMIT 1";
/// The first after ?2 that others have seen, and for every session.
pub(super) const FIRST_OF_ALL: &str = "
    SELECT number FROM messages INDEXED BY messages_seen
    WHERE outgoing = 0 AND unread = 0 AND session IS NULL AND number > ?2
    AND state IN ('accepted', 'read', 'replied') AND NOT EXISTS (
        SELECT 1 FROM session_reads AS r WHERE r.session = ?1 AND r.message = messages.number)
    ORDER BY number LIMIT 1";
/// The same of those that are for the session alone.
pub(super) const FIRST_OF_ITS: &str = "
    SELECT number FROM messages INDEXED BY messages_seen
    WHERE outgoing = 0 AND unread = 0 AND session = ?1 AND number > ?2
    AND state IN ('accepted', 'read', 'replied') AND NOT EXISTS (
        SELECT 1 FROM session_reads AS r WHERE r.session = ?1 AND r.message = messages.number)
    ORDER BY number LIMIT 1";

/// The same of those that are for others that have not seen them, open or not: they may close.
pub(super) const FIRST_OF_OTHERS: &str = "
    SELECT min((
        SELECT number FROM messages INDEXED BY messages_seen
        WHERE outgoing = 0 AND unread = 0 AND session = other.name
        AND number > max(other.after, ?2)
        AND state IN ('accepted', 'read', 'replied') AND NOT EXISTS (
            SELECT 1 FROM session_reads AS r
            WHERE r.session IN (?1, other.name) AND r.message = messages.number)
        ORDER BY number LIMIT 1
    )) FROM sessions AS other WHERE other.name <> ?1";

/// Where a session has seen everything up to a place, that place is all that is kept of it.
fn move_up(db: &Connection, name: &SessionName) -> Result<(), StoreError> {
    let until = known_until(db, name)?;
    let first = |row: &rusqlite::Row<'_>| row.get::<_, Option<i64>>(0);
    let unread = db.prepare_cached(FIRST_UNREAD)?.query_row([until], first).optional()?;
    let mut firsts = vec![unread.flatten()];
    for sql in [FIRST_OF_ALL, FIRST_OF_ITS, FIRST_OF_OTHERS] {
        let found = db.prepare_cached(sql)?.query_row(params![name.as_str(), until], first);
        firsts.push(found.optional()?.flatten());
    }
    let seen_to = firsts.into_iter().flatten().fold(newest(db)?, |to, first| to.min(first - 1));
    let sql = "UPDATE sessions SET after = ?2 WHERE name = ?1 AND after < ?2";
    if db.prepare_cached(sql)?.execute(params![name.as_str(), seen_to])? == 1 {
        let sql = "DELETE FROM session_reads WHERE session = ?1 AND message <= ?2";
        db.prepare_cached(sql)?.execute(params![name.as_str(), seen_to])?;
    }
    Ok(())
}
