//! Looking for words in messages.
//!
//! The index holds no word: for each word of a message, and for some beginnings of it, there is a
//! token, a keyed hash ([`super::seal`]). Tokens find messages that may have the words; each is
//! opened and held against the words before it counts.
//!
//! The index is filled while the node has nothing else to do, and to its end when somebody searches,
//! so that no message waits for it. A message's text never changes, so what is indexed stays right.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use rusqlite::{Connection, params};

use super::{
    StoreError,
    messages::{self, MessageRow},
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
    let limit = usize::try_from(search.limit).unwrap_or(usize::MAX);
    let query = query(db, &search.query)?;
    let mut statement = db.prepare_cached(SEARCH)?;
    let peer = search.peer.as_ref().map(PeerId::as_bytes);
    let mut rows = statement.query(params![query, search.before, peer])?;
    let mut found = HitRows::default();
    let mut looks = 0;
    while found.hits.len() < limit
        && let Some(row) = rows.next()?
    {
        let row = Columns { table: "messages", row, db };
        looks += 1;
        if let Some(marked) = search.query.mark(&said::text(&row)?, marks) {
            found.hits.push(HitRow { message: messages::read(&row)?, marked });
        }
        if looks >= search.looks && found.hits.len() < limit {
            found.stopped = Some(row.get("number")?);
            break;
        }
    }
    Ok(found)
}

/// The words' tokens as a query of FTS5: all of them are there.
fn query(db: &Connection, query: &Query) -> Result<String, StoreError> {
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
