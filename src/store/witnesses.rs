//! What peers signed about audit chains, on disk: a few heads for each peer.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    rows::{Columns, all, ms},
};
use crate::{
    audit::{Head, witness::Sighting},
    base::{Digest, MessageId, PeerId},
};

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The newest head of the peer's own chain.
    Theirs,
    /// A head of the peer's own chain that contradicts the newest one.
    Forked,
    /// The newest head of ours that it saw, and that is in our chain, as far as can be looked at.
    Ours,
    /// A head of ours that it saw, and that is not in our chain.
    Lost,
    /// The like of `Lost`, which the human has looked at.
    Excused,
}

impl What {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Theirs, "theirs"),
        (Self::Forked, "forked"),
        (Self::Ours, "ours"),
        (Self::Lost, "lost"),
        (Self::Excused, "excused"),
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Theirs => "theirs",
            Self::Forked => "forked",
            Self::Ours => "ours",
            Self::Lost => "lost",
            Self::Excused => "excused",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(what, _)| *what)
    }
}

/// All that one peer signed about the two chains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// See [`What::Theirs`].
    pub theirs: Option<Sighting>,
    /// See [`What::Forked`].
    pub forked: Option<Sighting>,
    /// See [`What::Ours`].
    pub ours: Option<Sighting>,
    /// See [`What::Lost`].
    pub lost: Option<Sighting>,
    /// See [`What::Excused`].
    pub excused: Option<Sighting>,
}

impl Witness {
    const fn set(&mut self, what: What, sighting: Option<Sighting>) {
        match what {
            What::Theirs => self.theirs = sighting,
            What::Forked => self.forked = sighting,
            What::Ours => self.ours = sighting,
            What::Lost => self.lost = sighting,
            What::Excused => self.excused = sighting,
        }
    }
}

type Row = (PeerId, What, Sighting);

fn read(row: &Columns<'_>) -> Result<Row, StoreError> {
    let seq: i64 = row.get("number")?;
    let seq = u64::try_from(seq).map_err(|_| row.wrong("number"))?;
    let head = Head { seq, hash: row.id("hash", Digest::from_slice)? };
    let receipt = row.id("receipt", MessageId::from_slice)?;
    let sighting = Sighting { head, receipt, at: row.time("at_ms")? };
    Ok((row.id("peer", PeerId::from_slice)?, row.word("what", What::parse)?, sighting))
}

/// What one peer signed.
///
/// # Errors
/// When the database fails.
pub fn of(db: &Connection, peer: &PeerId) -> Result<Witness, StoreError> {
    let sql = "SELECT * FROM witnesses WHERE peer = ?1";
    let mut witness = Witness::default();
    for (_, what, sighting) in all(db, "witnesses", sql, [peer.as_bytes()], read)? {
        witness.set(what, Some(sighting));
    }
    Ok(witness)
}

/// What every peer signed.
///
/// # Errors
/// When the database fails.
pub fn all_witnesses(db: &Connection) -> Result<Vec<(PeerId, Witness)>, StoreError> {
    let sql = "SELECT * FROM witnesses ORDER BY peer";
    let mut found: Vec<(PeerId, Witness)> = Vec::new();
    for (peer, what, sighting) in all(db, "witnesses", sql, [], read)? {
        if found.last().is_none_or(|(last, _)| *last != peer) {
            found.push((peer, Witness::default()));
        }
        if let Some((_, witness)) = found.last_mut() {
            witness.set(what, Some(sighting));
        }
    }
    Ok(found)
}

/// Keeps a head, in the place of the one of its kind.
///
/// # Errors
/// When the database fails.
pub fn put(
    db: &Connection,
    peer: &PeerId,
    what: What,
    sighting: &Sighting,
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO witnesses (peer, what, number, hash, receipt, at_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    db.prepare_cached(sql)?.execute(params![
        peer.as_bytes(),
        what.word(),
        sighting.head.seq,
        sighting.head.hash.as_bytes(),
        sighting.receipt.as_bytes(),
        ms(sighting.at)
    ])?;
    Ok(())
}

/// Forgets a head.
///
/// # Errors
/// When the database fails.
pub fn remove(db: &Connection, peer: &PeerId, what: What) -> Result<(), StoreError> {
    let sql = "DELETE FROM witnesses WHERE peer = ?1 AND what = ?2";
    db.prepare_cached(sql)?.execute(params![peer.as_bytes(), what.word()])?;
    Ok(())
}
