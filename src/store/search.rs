//! Looking for words in messages.
//!
//! The index holds no word: for each word of a message, and for some beginnings of it, there is a
//! token, a keyed hash ([`super::seal`]). Tokens find messages that may have the words; each is
//! opened and held against the words before it counts.
//!
//! The index is filled while the node has nothing else to do, and to its end when somebody searches,
//! so that no message waits for it. A message's text never changes, so what is indexed stays right.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use rusqlite::{Connection, Params, params};

use super::{
    StoreError,
    messages::{self, Filter, MessageRow},
    migrate,
    rows::Columns,
    said,
    seal::{self, Blind},
    words::{self, Query},
};
use crate::base::{PeerId, limits};

const INDEXED: &str = "indexed";

/// Takes the next messages into the index, at most `most`, of a bounded size. `true` when there may be
/// more.
///
/// # Errors
/// When the database fails.
pub fn index_batch(db: &Connection, most: u32) -> Result<bool, StoreError> {
    let done = migrate::meta(db, INDEXED)?.and_then(|n| n.parse().ok()).unwrap_or(0);
    let (last, full) = index_after(db, done, most)?;
    if last > done {
        migrate::set_meta(db, INDEXED, &last.to_string())?;
    }
    Ok(full)
}

/// Gives the last place that is indexed now, and whether it stopped before the end.
fn index_after(db: &Connection, done: i64, most: u32) -> Result<(i64, bool), StoreError> {
    let sql = "SELECT number, id, peer, outgoing, text FROM messages WHERE number > ?1
               ORDER BY number LIMIT ?2";
    let mut messages = db.prepare_cached(sql)?;
    let mut add = db.prepare_cached("INSERT INTO words (rowid, hashes) VALUES (?1, ?2)")?;
    let mut rows = messages.query(params![done, most])?;
    let (mut last, mut count, mut bytes) = (done, 0, 0_usize);
    let mut tokens = Tokens::default();
    let bytes_max =
        usize::try_from(most).unwrap_or(usize::MAX).saturating_mul(limits::INDEX_MESSAGE_BYTES);
    while let Some(row) = rows.next()? {
        let row = Columns { table: "messages", row, db };
        let text = said::text(&row)?;
        last = row.get("number")?;
        add.execute(params![last, tokens.of_text(db, &text)?])?;
        (count, bytes) = (count + 1, bytes.saturating_add(text.len()));
        if bytes >= bytes_max {
            return Ok((last, true));
        }
    }
    Ok((last, count >= most))
}

/// Takes a message's tokens out of the index, if they are in it.
///
/// # Errors
/// When the database fails.
pub fn forget(db: &Connection, number: i64) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM words WHERE rowid = ?1")?.execute([number])?;
    Ok(())
}

/// Tokens that were made in this batch: words repeat, and a hash costs more than a look.
#[derive(Default)]
struct Tokens(HashMap<(bool, String), String>);

impl Tokens {
    fn of(&mut self, db: &Connection, kind: Blind, word: &str) -> Result<&str, StoreError> {
        match self.0.entry((kind == Blind::Beginning, word.to_owned())) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(seal::blind(db, kind, word)?)),
        }
    }

    /// The tokens of a text, each once and in an order of their own.
    fn of_text(&mut self, db: &Connection, text: &str) -> Result<String, StoreError> {
        let words: BTreeSet<String> =
            words::words(text).into_iter().map(|word| word.folded).collect();
        let begins: BTreeSet<&str> =
            words.iter().flat_map(|word| words::beginnings(word)).collect();
        let whole = words.iter().map(|word| (Blind::Word, word.as_str()));
        let begins = begins.into_iter().map(|begin| (Blind::Beginning, begin));
        let mut tokens = BTreeSet::new();
        for (kind, word) in whole.chain(begins) {
            tokens.insert(self.of(db, kind, word)?.to_owned());
        }
        Ok(tokens.into_iter().collect::<Vec<_>>().join(" "))
    }
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Search {
    /// The words.
    pub query: Query,
    /// Only with this peer.
    pub peer: Option<PeerId>,
    /// Before this place.
    pub before: i64,
    /// At most this many.
    pub limit: u32,
    /// At most this many messages are opened for it; see [`limits::SEARCH_LOOKS_MAX`].
    pub looks: u32,
    /// Put before and after what was found.
    pub marks: (String, String),
}

/// A message that was found.
#[derive(Clone, Debug)]
pub struct HitRow {
    /// The message.
    pub message: MessageRow,
    /// Its text, with the marks.
    pub marked: String,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct HitRows {
    /// Newest first.
    pub hits: Vec<HitRow>,
    /// It opened as many messages as it may: there may be more before this place.
    pub stopped: Option<i64>,
}

/// The index comes first in the join: it gives its hits newest first, and none is sorted.
pub(super) const SEARCH: &str = "
    SELECT messages.* FROM words CROSS JOIN messages ON messages.number = words.rowid
    WHERE words MATCH ?1 AND words.rowid < ?2 AND (?3 IS NULL OR messages.peer = ?3)
    ORDER BY words.rowid DESC";

/// Messages with these words that are in the index, newest first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn search(db: &Connection, search: &Search) -> Result<HitRows, StoreError> {
    let marks = (search.marks.0.as_str(), search.marks.1.as_str());
    let peer = search.peer.as_ref().map(PeerId::as_bytes);
    let params = params![tokens(db, &search.query)?, search.before, peer];
    let (hits, stopped) = walk(db, SEARCH, params, (search.limit, search.looks), |row| {
        let text = said::readable(row)?;
        let Some(marked) = text.and_then(|text| search.query.mark(&text, marks)) else {
            return Ok(None);
        };
        Ok(Some(HitRow { message: messages::read(row)?, marked }))
    })?;
    Ok(HitRows { hits, stopped })
}

/// A page of the inbox, of messages with words.
#[derive(Clone, Debug, Default)]
pub struct FoundRows {
    /// Oldest first.
    pub rows: Vec<MessageRow>,
    /// It opened as many messages as it may: there may be more after this place.
    pub stopped: Option<i64>,
}

/// The inbox, as an agent sees it, oldest first.
pub(super) const PAGE: &str = "
    SELECT messages.* FROM words CROSS JOIN messages ON messages.number = words.rowid
    WHERE words MATCH ?1 AND words.rowid > ?2 AND (?3 IS NULL OR messages.peer = ?3)
    AND outgoing = 0 AND state IN ('accepted', 'read', 'replied')
    ORDER BY words.rowid";

/// The messages that `filter` means, that have these words and are in the index, oldest first. At
/// most `looks` are opened for it.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn page(
    db: &Connection,
    filter: &Filter,
    query: &Query,
    looks: u32,
) -> Result<FoundRows, StoreError> {
    if filter.unread || filter.thread.is_some() || filter.reply_to.is_some() {
        return page_of_few(db, filter, query, looks);
    }
    let peer = filter.peer.as_ref().map(PeerId::as_bytes);
    let params = params![tokens(db, query)?, filter.after, peer];
    let (rows, stopped) = walk(db, PAGE, params, (filter.limit, looks), |row| {
        let has_them = said::readable(row)?.is_some_and(|text| query.is_in(&text));
        has_them.then(|| messages::read(row)).transpose()
    })?;
    Ok(FoundRows { rows, stopped })
}

/// The same of what is unread, of a conversation or of answers: less than what has a common word, and
/// in indexes of its own.
fn page_of_few(
    db: &Connection,
    filter: &Filter,
    query: &Query,
    looks: u32,
) -> Result<FoundRows, StoreError> {
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let mut part = Filter { limit: limits::PAGE_MAX.min(looks), ..filter.clone() };
    let (mut found, mut opened) = (FoundRows::default(), 0);
    while found.rows.len() < limit && opened < looks {
        let rows = messages::page(db, &part)?;
        let Some(last) = rows.last() else { return Ok(found) };
        part.after = last.number;
        opened += part.limit;
        let fits = |row: &MessageRow| row.text != said::UNREADABLE && query.is_in(&row.text);
        found.rows.extend(rows.into_iter().filter(fits));
    }
    if found.rows.len() < limit {
        found.stopped = Some(part.after);
    }
    found.rows.truncate(limit);
    Ok(found)
}

/// Opens the messages that `sql` gives until `limit` of them fit. Where it opened `looks` before, it
/// says at which place it stopped.
fn walk<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    (limit, looks): (u32, u32),
    open: impl Fn(&Columns<'_>) -> Result<Option<T>, StoreError>,
) -> Result<(Vec<T>, Option<i64>), StoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let (mut found, mut opened) = (Vec::new(), 0);
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let row = Columns { table: "messages", row, db };
        opened += 1;
        found.extend(open(&row)?);
        if opened >= looks && found.len() < limit {
            return Ok((found, Some(row.get("number")?)));
        }
    }
    Ok((found, None))
}

/// The words' tokens as a query of FTS5: all of them are there.
fn tokens(db: &Connection, query: &Query) -> Result<String, StoreError> {
    let last = query.parts.len().saturating_sub(1);
    let mut tokens = BTreeSet::new();
    for (at, part) in query.parts.iter().enumerate() {
        for (which, word) in part.iter().enumerate() {
            let is_last = at == last && which + 1 == part.len();
            let token = match words::beginnings(word).last().filter(|_| is_last && query.open) {
                Some(begin) => seal::blind(db, Blind::Beginning, begin)?,
                None => seal::blind(db, Blind::Word, word)?,
            };
            tokens.insert(format!("\"{token}\""));
        }
    }
    Ok(tokens.into_iter().collect::<Vec<_>>().join(" "))
}
