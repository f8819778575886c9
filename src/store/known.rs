//! Values that are watched for, as keyed hashes. Never a value.

use rusqlite::{Connection, params};

use super::{
    StoreError, migrate,
    rows::{ms, readable},
    seal::{self, Place},
};
use crate::{
    base::{KnownId, Secret, Timestamp},
    risk::KnownValue,
};

/// The key's place in `meta`.
const KEY: &str = "known_key";

/// One value that is watched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRow {
    /// Its id, to be typed.
    pub id: KnownId,
    /// Its name, and what is kept of it.
    pub value: KnownValue,
    /// When it was added.
    pub added: Timestamp,
}

/// All of them, oldest first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn all_known(db: &Connection) -> Result<Vec<KnownRow>, StoreError> {
    let sql = "SELECT * FROM known_values ORDER BY rowid";
    readable(db, "known_values", sql, [], |row| {
        let id = row.id("id", KnownId::from_slice)?;
        let mac: Vec<u8> = row.get("mac")?;
        let value = KnownValue {
            label: row.opened_text("label", &label(id))?,
            length: row.get("length")?,
            filter: row.get("filter")?,
            mac: mac.try_into().map_err(|_| row.wrong("mac"))?,
        };
        Ok(KnownRow { id, value, added: row.time("added_ms")? })
    })
}

fn label(id: KnownId) -> Place {
    Place::of("known_values.label", id.as_bytes())
}

/// Adds one.
///
/// # Errors
/// When there is one of this id, or the database fails.
pub fn add(db: &Connection, row: &KnownRow) -> Result<(), StoreError> {
    let sql = "INSERT INTO known_values (id, label, length, filter, mac, added_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    db.prepare_cached(sql)?.execute(params![
        row.id.as_bytes(),
        seal::seal(db, &label(row.id), row.value.label.as_bytes())?,
        row.value.length,
        row.value.filter,
        row.value.mac,
        ms(row.added)
    ])?;
    Ok(())
}

/// Forgets one.
///
/// # Errors
/// When the database fails.
pub fn forget(db: &Connection, id: &KnownId) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM known_values WHERE id = ?1")?.execute([id.as_bytes()])?;
    Ok(())
}

fn key_place() -> Place {
    Place::of("meta.value", KEY.as_bytes())
}

/// The key of the hashes, where there is one.
///
/// # Errors
/// When the database fails, or the key is not what we wrote.
pub fn key(db: &Connection) -> Result<Option<Secret<[u8; 32]>>, StoreError> {
    let wrong =
        || StoreError::Row { table: "meta", problem: format!("{KEY} is not what was written") };
    let read = |text: String| {
        let sealed = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| wrong())?;
        let key = Secret::new(seal::open(db, &key_place(), &sealed)?);
        key.expose_secret().as_slice().try_into().map(Secret::new).map_err(|_| wrong())
    };
    migrate::meta(db, KEY)?.map(read).transpose()
}

/// Remembers `fresh` as the key, unless there is one; gives the one that counts.
///
/// # Errors
/// See [`key`].
pub fn key_or(db: &Connection, fresh: [u8; 32]) -> Result<Secret<[u8; 32]>, StoreError> {
    if let Some(key) = key(db)? {
        return Ok(key);
    }
    let sealed = seal::seal(db, &key_place(), &fresh)?;
    migrate::set_meta(db, KEY, &data_encoding::HEXLOWER.encode(&sealed))?;
    Ok(Secret::new(fresh))
}
