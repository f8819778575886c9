//! For how long messages are kept, as the human set it: for everybody, and for single peers.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    rows::{all, ms},
};
use crate::base::{PeerId, Timestamp};

/// How long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until somebody deletes them by name.
    Forever,
    /// So many days of 24 hours after they were stored, 1 to 36,500.
    Days(u32),
}

impl Keep {
    /// The days; none for ever.
    #[must_use]
    pub const fn days(self) -> Option<u32> {
        match self {
            Self::Forever => None,
            Self::Days(days) => Some(days),
        }
    }
}

/// What was set for one peer, or for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Of whom; none: of everybody who has no setting of their own.
    pub peer: Option<PeerId>,
    /// How long.
    pub keep: Keep,
}

/// All that was set; the setting for everybody comes first.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn settings(db: &Connection) -> Result<Vec<Setting>, StoreError> {
    all(db, "retention", "SELECT * FROM retention ORDER BY peer", [], |row| {
        let bytes: Vec<u8> = row.get("peer")?;
        let peer = PeerId::from_slice(&bytes);
        if peer.is_none() && !bytes.is_empty() {
            return Err(row.wrong("peer"));
        }
        let keep = row.get::<Option<u32>>("days")?.map_or(Keep::Forever, Keep::Days);
        Ok(Setting { peer, keep })
    })
}

/// Sets how long the messages of a peer, or of everybody, are kept. `None` takes the setting away.
///
/// # Errors
/// When the number of days is out of its bounds, or the database fails.
pub fn set(
    db: &Connection,
    peer: Option<&PeerId>,
    keep: Option<Keep>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let key = peer.map_or(&[][..], |peer| peer.as_bytes().as_slice());
    let Some(keep) = keep else {
        db.prepare_cached("DELETE FROM retention WHERE peer = ?1")?.execute([key])?;
        return Ok(());
    };
    let sql = "INSERT INTO retention (peer, days, set_ms) VALUES (?1, ?2, ?3)
               ON CONFLICT (peer) DO UPDATE SET days = excluded.days, set_ms = excluded.set_ms";
    db.prepare_cached(sql)?.execute(params![key, keep.days(), ms(now)])?;
    Ok(())
}
