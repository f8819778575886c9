//! Unfinished pairings on disk.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    rows::{Columns, ms, readable},
    seal::{self, Place},
};
use crate::{
    base::{ApproverId, ClaimedName, Digest, InviteId, Note, PeerId},
    delivery::pairing::{Pairing, Role},
    wire::ConsentRecord,
};

/// Every pairing that is not finished on both sides.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn all_pairings(db: &Connection) -> Result<Vec<Pairing>, StoreError> {
    readable(db, "pairings", "SELECT * FROM pairings", [], read)
}

const PROOF: &str = "pairings.proof";
const NONCE: &str = "pairings.nonce";
const NOTE: &str = "pairings.note";

/// The pairing with this peer.
///
/// # Errors
/// When the database fails, or the row is not what we wrote.
pub fn find(db: &Connection, peer: &PeerId) -> Result<Option<Pairing>, StoreError> {
    let sql = "SELECT * FROM pairings WHERE peer = ?1";
    Ok(readable(db, "pairings", sql, [peer.as_bytes()], read)?.into_iter().next())
}

fn read(row: &Columns<'_>) -> Result<Pairing, StoreError> {
    let signature = |column: &str| {
        row.id_opt(column, |bytes| <[u8; crate::identity::SIGNATURE_BYTES]>::try_from(bytes).ok())
    };
    let peer = row.id("peer", PeerId::from_slice)?;
    let place = |column| Place::of(column, peer.as_bytes());
    let proof = row.opened("proof", &place(PROOF))?;
    let nonce = row.opened("nonce", &place(NONCE))?;
    let note = row.opened_text_opt("note", &place(NOTE))?;
    let joiner: bool = row.get("joiner")?;
    let fingerprint = row.id_opt("fingerprint", |bytes| bytes.try_into().ok())?;
    Ok(Pairing {
        peer,
        role: match (joiner, fingerprint) {
            (true, Some(fingerprint)) => Role::Joiner { fingerprint },
            (true, None) => return Err(row.wrong("fingerprint")),
            (false, _) => Role::Inviter,
        },
        invite: row.id("invite", InviteId::from_slice)?,
        proof: Digest::from_slice(&proof).ok_or_else(|| row.wrong("proof"))?,
        nonce: nonce.try_into().map_err(|_| row.wrong("nonce"))?,
        commitment: row.id("commitment", Digest::from_slice)?,
        knocked: row.time("knocked_ms")?,
        their_name: row
            .get::<Option<String>>("their_name")?
            .and_then(|name| ClaimedName::parse(&name).ok()),
        their_approver: row.id_opt("their_approver", ApproverId::from_slice)?,
        record: row.id_opt("record", |bytes| ConsentRecord::decode(bytes).ok())?,
        ours: signature("ours")?,
        theirs: signature("theirs")?,
        kept: row.get("kept")?,
        note: note.and_then(|note| Note::parse(&note).ok()),
        by_code: row.get("by_code")?,
    })
}

/// Writes a pairing as it stands.
///
/// # Errors
/// When the database fails.
pub fn put(db: &Connection, pairing: &Pairing) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO pairings (peer, joiner, invite, proof, fingerprint, nonce,
               commitment, knocked_ms, their_name, their_approver, record, ours, theirs, kept, note,
               by_code)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    let fingerprint = match pairing.role {
        Role::Joiner { fingerprint } => Some(fingerprint),
        Role::Inviter => None,
    };
    let place = |column| Place::of(column, pairing.peer.as_bytes());
    let note = pairing.note.as_ref().map(|note| note.as_str().as_bytes());
    db.prepare_cached(sql)?.execute(params![
        pairing.peer.as_bytes(),
        fingerprint.is_some(),
        pairing.invite.as_bytes(),
        seal::seal(db, &place(PROOF), pairing.proof.as_bytes())?,
        fingerprint,
        seal::seal(db, &place(NONCE), &pairing.nonce)?,
        pairing.commitment.as_bytes(),
        ms(pairing.knocked),
        pairing.their_name.as_ref().map(ClaimedName::as_str),
        pairing.their_approver.as_ref().map(ApproverId::as_bytes),
        pairing.record.as_ref().map(ConsentRecord::encode),
        pairing.ours,
        pairing.theirs,
        pairing.kept,
        seal::seal_opt(db, &place(NOTE), note)?,
        pairing.by_code
    ])?;
    Ok(())
}

/// Removes a pairing that is finished or ended.
///
/// # Errors
/// When the database fails.
pub fn remove(db: &Connection, peer: &PeerId) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM pairings WHERE peer = ?1")?.execute([peer.as_bytes()])?;
    Ok(())
}
