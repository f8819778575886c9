//! Whether a database's schema is what our migrations make, and nothing else.
//!
//! Who can write the file can put a trigger into it that takes rows away as they are written, a view in
//! place of a table, or an index that leaves rows out: the node would say what it was made to see. So
//! what is not ours is refused before anything is read, by its name and its text.

use std::{collections::BTreeMap, path::Path, sync::OnceLock};

use rusqlite::Connection;

use super::{StoreError, migrate, seal::Sealer};
use crate::base::Secret;

/// Kind and name, and the text without what may differ from one version of `SQLite` to another.
type Schema = BTreeMap<(String, String), String>;

/// Most bytes of a foreign name that an error repeats.
const NAME_CHARS_MAX: usize = 60;

/// Refuses triggers and views that no migration makes. For a database of any version.
///
/// # Errors
/// [`StoreError::Planted`], or when the database fails.
pub(super) fn refuse_planted(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let (found, ours) = (schema(db)?, ours()?);
    let acts = |(kind, _): &(String, String)| kind == "trigger" || kind == "view";
    match found.iter().find(|(key, text)| acts(key) && ours.get(*key) != Some(text)) {
        Some((key, _)) => Err(planted(path, format!("there is {}", called(key)))),
        None => Ok(()),
    }
}

/// Refuses a database of the newest version whose schema is not the newest.
///
/// # Errors
/// As [`refuse_planted`].
pub(super) fn check(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let (found, ours) = (schema(db)?, ours()?);
    for (key, text) in &found {
        match ours.get(key) {
            None => return Err(planted(path, format!("there is {}", called(key)))),
            Some(own) if own != text => {
                return Err(planted(path, format!("{} is another than it was", called(key))));
            }
            Some(_) => {}
        }
    }
    match ours.keys().find(|key| !found.contains_key(*key)) {
        Some(key) => Err(planted(path, format!("{} is gone", called(key)))),
        None => Ok(()),
    }
}

/// What all migrations make, found out once.
fn ours() -> Result<&'static Schema, StoreError> {
    static OURS: OnceLock<Schema> = OnceLock::new();
    if let Some(ours) = OURS.get() {
        return Ok(ours);
    }
    let db = Connection::open_in_memory()?;
    // They seal no row: there is none.
    Sealer::new(&Secret::new([0; 32])).register(&db)?;
    migrate::run_all(&db)?;
    let made = schema(&db)?;
    Ok(OURS.get_or_init(|| made))
}

fn schema(db: &Connection) -> Result<Schema, StoreError> {
    // What ANALYZE leaves tells the planner alone.
    let sql = "SELECT type, name, coalesce(sql, '') FROM sqlite_schema
               WHERE NOT (type = 'table' AND name GLOB 'sqlite_stat[0-9]')";
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let (kind, name, text): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // Of the tables behind the index of words, SQLite writes the text.
        let text = if name.starts_with("words_") { String::new() } else { text };
        let text = text.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
        Ok(((kind, name), text))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn called((kind, name): &(String, String)) -> String {
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    format!("the {} \"{}\"", kind.escape_debug(), name.escape_debug())
}

fn planted(path: &Path, what: String) -> StoreError {
    StoreError::Planted { path: path.to_owned(), what }
}
