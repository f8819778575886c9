//! Looking for words in messages.
//!
//! The index is filled while the node has nothing else to do, and to its end when somebody searches,
//! so that no message waits for it. A message's text never changes, so what is indexed stays right.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    messages::{self, MessageRow},
    migrate,
    rows::all,
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
    let sql = "SELECT number, text FROM messages WHERE number > ?1 ORDER BY number LIMIT ?2";
    let mut messages = db.prepare_cached(sql)?;
    let mut add = db.prepare_cached("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?;
    let mut rows = messages.query(params![done, most])?;
    let (mut last, mut count, mut bytes) = (done, 0, 0_usize);
    let bytes_max =
        usize::try_from(most).unwrap_or(usize::MAX).saturating_mul(limits::INDEX_MESSAGE_BYTES);
    while let Some(row) = rows.next()? {
        // What is no text has no words.
        let text = row.get_ref(1)?.as_str().unwrap_or_default();
        last = row.get(0)?;
        add.execute(params![last, text])?;
        (count, bytes) = (count + 1, bytes.saturating_add(text.len()));
        if bytes >= bytes_max {
            return Ok((last, true));
        }
    }
    Ok((last, count >= most))
}

/// What a person typed as a query of FTS5: every word is there, in any order, and the last may be
/// a beginning. Each is quoted, so none is an operator. `None` where there is no word.
#[must_use]
pub fn words_query(typed: &str) -> Option<String> {
    // FTS5 reads up to a NUL, and nobody looks for a control character.
    let between = |c: char| c.is_whitespace() || c.is_control();
    let quoted = |word: &str| format!("\"{}\"", word.replace('"', "\"\""));
    let mut words: Vec<&str> = Vec::new();
    for word in typed.split(between).filter(|word| !word.is_empty()) {
        // Once more is nothing more to find. The last one stays last.
        words.retain(|known| *known != word);
        words.push(word);
    }
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    // Words beside each other, rather than with AND: then one of mere signs is left out.
    (!words.is_empty()).then(|| words.join(" ") + "*")
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Search {
    /// Of [`words_query`].
    pub query: String,
    /// Only with this peer.
    pub peer: Option<PeerId>,
    /// Before this place.
    pub before: i64,
    /// At most this many.
    pub limit: u32,
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

/// The index comes first in the join: it gives its hits newest first, and none is sorted. Of
/// FTS5's own functions, `snippet` compares each place with each other one, which for a text of
/// one word again and again takes minutes; `highlight` goes through it once.
pub(super) const SEARCH: &str = "
    SELECT messages.*, highlight(words, 0, ?2, ?3) AS marked
    FROM words CROSS JOIN messages ON messages.number = words.rowid
    WHERE words MATCH ?1 AND words.rowid < ?4 AND (?5 IS NULL OR messages.peer = ?5)
    ORDER BY words.rowid DESC LIMIT ?6";

/// Messages with these words that are in the index, newest first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn search(db: &Connection, search: &Search) -> Result<Vec<HitRow>, StoreError> {
    let (begins, ends) = &search.marks;
    let params = params![
        search.query,
        begins,
        ends,
        search.before,
        search.peer.as_ref().map(PeerId::as_bytes),
        search.limit
    ];
    all(db, "messages", SEARCH, params, |row| {
        Ok(HitRow { message: messages::read(row)?, marked: row.get("marked")? })
    })
}
