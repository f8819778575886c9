//! Peers and invites on disk.

use rusqlite::{Connection, params};

use super::{
    StoreError,
    rows::{Columns, all, ms, readable},
    seal::{self, Place},
};
use crate::{
    base::{ApproverId, ClaimedName, InviteId, Note, PeerId, PeerName, Secret, Timestamp},
    gate::Decision,
    trust::PeerState,
};

/// A peer as its row says. Whether it is trusted is not for the row to say.
#[derive(Clone, Debug)]
pub struct PeerRow {
    /// Which.
    pub id: PeerId,
    /// What we call it.
    pub name: PeerName,
    /// What it calls itself.
    pub claim: ClaimedName,
    /// Its state, to be verified.
    pub state: PeerState,
    /// Where it was last reached.
    pub addresses: Vec<String>,
    /// The consent.
    pub consent: Option<ConsentRow>,
    /// Another approver that its node announced since.
    pub other_approver: Option<ApproverId>,
    /// Since when we know it.
    pub created: Timestamp,
    /// When its node was last heard.
    pub seen: Option<Timestamp>,
}

/// A consent as its row says.
#[derive(Clone, Debug)]
pub struct ConsentRow {
    /// The record.
    pub record: Vec<u8>,
    /// Our approver's signature.
    pub ours: Vec<u8>,
    /// Their approver's signature.
    pub theirs: Vec<u8>,
    /// Our human's decision, which says whether the words were compared.
    pub decision: Option<Decision>,
}

/// Every peer.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn all_peers(db: &Connection) -> Result<Vec<PeerRow>, StoreError> {
    all(db, "peers", "SELECT * FROM peers ORDER BY name", [], read_peer)
}

/// The peer of this id.
///
/// # Errors
/// When the database fails, or the row is not what we wrote.
pub fn find(db: &Connection, id: &PeerId) -> Result<Option<PeerRow>, StoreError> {
    let sql = "SELECT * FROM peers WHERE id = ?1";
    Ok(all(db, "peers", sql, [id.as_bytes()], read_peer)?.into_iter().next())
}

fn read_peer(row: &Columns<'_>) -> Result<PeerRow, StoreError> {
    let addresses: String = row.get("addresses")?;
    Ok(PeerRow {
        id: row.id("id", PeerId::from_slice)?,
        name: row.word("name", |name| PeerName::parse(name).ok())?,
        claim: row.word("claim", |claim| ClaimedName::parse(claim).ok())?,
        state: row.word("state", PeerState::parse)?,
        addresses: serde_json::from_str(&addresses).map_err(|_| row.wrong("addresses"))?,
        consent: read_consent(row)?,
        other_approver: row.id_opt("other_approver", ApproverId::from_slice)?,
        created: row.time("created_ms")?,
        seen: row.time_opt("seen_ms")?,
    })
}

fn read_consent(row: &Columns<'_>) -> Result<Option<ConsentRow>, StoreError> {
    let Some(record) = row.get::<Option<Vec<u8>>>("record")? else { return Ok(None) };
    let decision = read_decision(row)?;
    let bytes = |column| row.get::<Option<Vec<u8>>>(column).map(Option::unwrap_or_default);
    Ok(Some(ConsentRow { record, ours: bytes("ours")?, theirs: bytes("theirs")?, decision }))
}

fn read_decision(row: &Columns<'_>) -> Result<Option<Decision>, StoreError> {
    let signature: Option<Vec<u8>> = row.get("signature")?;
    let statement: Option<Vec<u8>> = row.get("statement")?;
    let both = signature.and_then(|bytes| bytes.try_into().ok()).zip(statement);
    Ok(both.map(|(signature, statement)| Decision { statement, signature, seal: Vec::new() }))
}

/// Adds a peer, or brings its name, claim, state and addresses up to date.
///
/// # Errors
/// When the database fails.
pub fn put(db: &Connection, peer: &PeerRow) -> Result<(), StoreError> {
    let sql = "INSERT INTO peers (id, name, claim, state, addresses, created_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (id) DO UPDATE SET name = excluded.name, claim = excluded.claim,
               state = excluded.state, addresses = excluded.addresses";
    db.prepare_cached(sql)?.execute(params![
        peer.id.as_bytes(),
        peer.name.as_str(),
        peer.claim.as_str(),
        peer.state.as_str(),
        serde_json::to_string(&peer.addresses).unwrap_or_default(),
        ms(peer.created)
    ])?;
    Ok(())
}

/// Writes a state. With any state but trusted, our own signature on the consent goes away: the
/// row can then not be turned back by hand.
///
/// # Errors
/// When the database fails.
pub fn set_state(db: &Connection, peer: &PeerId, state: PeerState) -> Result<(), StoreError> {
    let sql = "UPDATE peers SET state = ?2 WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![peer.as_bytes(), state.as_str()])?;
    if state != PeerState::Trusted {
        let sql = "UPDATE peers SET ours = NULL, statement = NULL, signature = NULL,
                   other_approver = NULL WHERE id = ?1";
        db.prepare_cached(sql)?.execute([peer.as_bytes()])?;
    }
    Ok(())
}

/// Writes a whole consent and the state that it leads to. The decision stays as it is.
///
/// # Errors
/// When the database fails.
pub fn set_trusted(db: &Connection, peer: &PeerId, consent: &ConsentRow) -> Result<(), StoreError> {
    let sql = "UPDATE peers SET state = 'trusted', record = ?2, ours = ?3, theirs = ?4,
               other_approver = NULL WHERE id = ?1";
    let params = params![peer.as_bytes(), consent.record, consent.ours, consent.theirs];
    let changed = db.prepare_cached(sql)?.execute(params)?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Unwritten("peers")) }
}

/// What our human signed when they said yes to a peer, as its row says.
///
/// # Errors
/// When the database fails, or the row is not what we wrote.
pub fn decision(db: &Connection, peer: &PeerId) -> Result<Option<Decision>, StoreError> {
    let sql = "SELECT statement, signature FROM peers WHERE id = ?1";
    let found = all(db, "peers", sql, [peer.as_bytes()], read_decision)?;
    Ok(found.into_iter().next().flatten())
}

/// Keeps what our human signed when they said yes to a peer.
///
/// # Errors
/// When the database fails.
pub fn set_decision(db: &Connection, peer: &PeerId, decision: &Decision) -> Result<(), StoreError> {
    let sql = "UPDATE peers SET statement = ?2, signature = ?3 WHERE id = ?1";
    let params = params![peer.as_bytes(), decision.statement, decision.signature];
    db.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

/// Notes that the peer's node runs under another approver now.
///
/// # Errors
/// When the database fails.
pub fn set_other_approver(
    db: &Connection,
    peer: &PeerId,
    approver: &ApproverId,
) -> Result<(), StoreError> {
    let sql = "UPDATE peers SET other_approver = ?2 WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![peer.as_bytes(), approver.as_bytes()])?;
    Ok(())
}

/// Notes where and when a peer was reached.
///
/// # Errors
/// When the database fails.
pub fn set_seen(
    db: &Connection,
    peer: &PeerId,
    addresses: &[String],
    at: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE peers SET addresses = ?2, seen_ms = ?3 WHERE id = ?1";
    let addresses = serde_json::to_string(addresses).unwrap_or_default();
    db.prepare_cached(sql)?.execute(params![peer.as_bytes(), addresses, ms(at)])?;
    Ok(())
}

/// What the peers' nodes said that they require of us, as the features of their hello. Whoever
/// reads them passes over what it does not know.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn all_requires(db: &Connection) -> Result<Vec<(PeerId, Vec<String>)>, StoreError> {
    let sql = "SELECT id, requires FROM peers WHERE requires IS NOT NULL";
    all(db, "peers", sql, [], |row| {
        let requires: String = row.get("requires")?;
        let requires = serde_json::from_str(&requires).map_err(|_| row.wrong("requires"))?;
        Ok((row.id("id", PeerId::from_slice)?, requires))
    })
}

/// Keeps which features of a peer's hello matter to us: what it requires, and what it understands.
///
/// # Errors
/// When the database fails.
pub fn set_requires(db: &Connection, peer: &PeerId, requires: &[String]) -> Result<(), StoreError> {
    let sql = "UPDATE peers SET requires = ?2 WHERE id = ?1";
    let requires = serde_json::to_string(requires).unwrap_or_default();
    db.prepare_cached(sql)?.execute(params![peer.as_bytes(), requires])?;
    Ok(())
}

const SECRET: &str = "invites.secret";
const NOTE: &str = "invites.note";

/// An invite that we made.
pub struct InviteRow {
    /// Which.
    pub id: InviteId,
    /// What shows that somebody was given it.
    pub secret: Secret<[u8; 16]>,
    /// What it was made for.
    pub note: Option<Note>,
    /// Until when.
    pub expires: Timestamp,
    /// Who used it, or who alone may.
    pub used_by: Option<PeerId>,
    /// A short code carries it.
    pub by_code: bool,
    /// Whose human alone may use it.
    pub approver: Option<ApproverId>,
}

/// Invites that are not expired.
///
/// # Errors
/// When the database fails, or a row is not what we wrote.
pub fn open_invites(db: &Connection, now: Timestamp) -> Result<Vec<InviteRow>, StoreError> {
    let sql = "SELECT * FROM invites WHERE expires_ms > ?1";
    readable(db, "invites", sql, [ms(now)], |row| {
        let id = row.id("id", InviteId::from_slice)?;
        let secret = Secret::new(row.opened("secret", &Place::of(SECRET, id.as_bytes()))?);
        let secret = secret.expose_secret().as_slice().try_into();
        let note = row.opened_text_opt("note", &Place::of(NOTE, id.as_bytes()))?;
        Ok(InviteRow {
            id,
            secret: Secret::new(secret.map_err(|_| row.wrong("secret"))?),
            note: note.and_then(|note| Note::parse(&note).ok()),
            expires: row.time("expires_ms")?,
            used_by: row.id_opt("used_by", PeerId::from_slice)?,
            by_code: row.get("by_code")?,
            approver: row.id_opt("approver", ApproverId::from_slice)?,
        })
    })
}

/// Adds an invite.
///
/// # Errors
/// When the database fails.
pub fn add_invite(db: &Connection, invite: &InviteRow, now: Timestamp) -> Result<(), StoreError> {
    let place = |column| Place::of(column, invite.id.as_bytes());
    let note = invite.note.as_ref().map(|note| note.as_str().as_bytes());
    let sql = "INSERT INTO invites (id, secret, note, created_ms, expires_ms, by_code)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    db.prepare_cached(sql)?.execute(params![
        invite.id.as_bytes(),
        seal::seal(db, &place(SECRET), invite.secret.expose_secret())?,
        seal::seal_opt(db, &place(NOTE), note)?,
        ms(now),
        ms(invite.expires),
        invite.by_code
    ])?;
    Ok(())
}

/// Binds an invite to the first key that used it.
///
/// # Errors
/// When the database fails.
pub fn use_invite(db: &Connection, id: &InviteId, peer: &PeerId) -> Result<(), StoreError> {
    let sql = "UPDATE invites SET used_by = ?2 WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![id.as_bytes(), peer.as_bytes()])?;
    Ok(())
}

/// Binds an invite that a short code carried to the node and the human that said the words.
///
/// # Errors
/// When the database fails.
pub fn bind_invite(
    db: &Connection,
    id: &InviteId,
    peer: &PeerId,
    approver: &ApproverId,
) -> Result<(), StoreError> {
    let sql = "UPDATE invites SET used_by = ?2, approver = ?3 WHERE id = ?1 AND by_code = 1";
    db.prepare_cached(sql)?.execute(params![
        id.as_bytes(),
        peer.as_bytes(),
        approver.as_bytes()
    ])?;
    Ok(())
}

/// Removes the invites of short codes that nobody said: such a code ends with its process.
///
/// # Errors
/// When the database fails.
pub fn remove_unsaid_codes(db: &Connection) -> Result<(), StoreError> {
    db.execute("DELETE FROM invites WHERE by_code = 1 AND used_by IS NULL", [])?;
    Ok(())
}

/// Removes what is of no use any more.
///
/// # Errors
/// When the database fails.
pub fn remove_invites(
    db: &Connection,
    now: Timestamp,
    done: Option<&InviteId>,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM invites WHERE expires_ms <= ?1 OR id = ?2";
    db.prepare_cached(sql)?.execute(params![ms(now), done.map(InviteId::as_bytes)])?;
    Ok(())
}
