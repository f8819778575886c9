//! Rows that carry no signature of their own, held against the audit chain when the node starts.
//!
//! A consent and a grant are signed; that they were ended is not. An old row that is put back would
//! undo that. The chain names the last move of a peer's trust, every grant that was ended and every
//! message that passed by one, and counts where a row says otherwise; a row of trust that the chain
//! does not know is none. Whoever rewrites the chain too has to sign it with the node's key; see
//! `audit verify`.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{
    api::{self, PolicySource},
    clock,
    grants::GrantEntry,
    state::Node,
};
use crate::{
    audit::{ChainError, Event, Record},
    base::{GrantId, PeerId, Timestamp},
    delivery::pairing::Pairing,
    gate::{Answer, Item, What},
    store::{
        self, StoreError,
        audit::{Ended, Progress},
        grants::GrantRow,
        peers::{self, PeerRow},
        policies, standing,
    },
    trust::{PeerState, TrustMove},
    wire::{ConsentRecord, Grant},
};

/// How a warning begins that says that the audit chain does not hold.
pub const BROKEN: &str = "THE AUDIT RECORD IS BROKEN";
/// How a warning begins that says that a row was refused.
const SAYS: &str = "the database says";

/// What the chain says of a grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OfGrant {
    ended: bool,
    passed: u64,
}

/// What the audit chain says at the start.
#[derive(Debug, Default)]
pub(super) struct Standing {
    trust: BTreeMap<PeerId, Record>,
    grants: BTreeMap<GrantId, OfGrant>,
    /// Pairings whose yes does not count any more, and why.
    over: BTreeMap<PeerId, String>,
    broken: Option<ChainError>,
}

/// What was found, while the node runs.
#[derive(Debug)]
pub(super) struct Told {
    /// What a human has to know.
    pub(super) warnings: Vec<String>,
    /// Grants that were open again; they are ended on disk once more.
    pub(super) ended: Vec<GrantId>,
    /// Peers whose pairing was refused; it is removed from disk.
    pub(super) unpaired: Vec<PeerId>,
    /// The audit chain does not hold: its head is not signed, so that the next start says so too.
    pub(super) broken: bool,
    /// It was said that its end was changed while the node ran.
    cut: bool,
}

/// What counts instead of a peer's row, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Against {
    pub(super) state: PeerState,
    pub(super) why: String,
}

impl Standing {
    /// Looks for what is said of these rows. A record that cannot be read is a broken chain, and
    /// does not keep the node from starting.
    pub(super) fn load(
        db: &Connection,
        me: &PeerId,
        peers: &[PeerRow],
        (grants, pairings): (&[GrantRow], &[Pairing]),
    ) -> Result<Self, StoreError> {
        let mut found = Self::default();
        for row in peers {
            if let Some(record) = standing::trust_moved(db, &row.id)? {
                found.trust.insert(row.id, record);
            }
        }
        // A grant whose statement cannot be read is refused by its signature.
        for grant in grants.iter().filter_map(|row| Grant::decode(&row.signed.statement).ok()) {
            let ended = standing::grant_ended(db, &grant.id)?;
            let passed = standing::passed(db, &grant.id, Timestamp::from_ms(0))?;
            found.grants.insert(grant.id, OfGrant { ended, passed });
        }
        for pairing in pairings {
            if let Some(why) = over(db, pairing)? {
                found.over.insert(pairing.peer, why);
            }
        }
        found.broken = standing::tail(db, me)?;
        Ok(found)
    }

    /// The pairings that go on.
    pub(super) fn of_pairings(&self, found: Vec<Pairing>) -> Vec<Pairing> {
        found.into_iter().filter(|pairing| !self.over.contains_key(&pairing.peer)).collect()
    }

    /// What speaks against a peer's row: it says `trusted`, and the chain says that this ended, or
    /// says nothing; or it lifts a block that nobody lifted.
    pub(super) fn against(&self, row: &PeerRow) -> Option<Against> {
        let Some(record) = self.trust.get(&row.id) else {
            let why = "the audit record does not say that you ever trusted it".to_owned();
            let against = Against { state: PeerState::Revoked, why };
            return (row.state == PeerState::Trusted).then_some(against);
        };
        let said = moved_to(record);
        let state = match (row.state, said) {
            (PeerState::Trusted, Some(PeerState::Trusted)) => return None,
            // A request of ours lifts a block; a knock does not.
            (
                PeerState::Trusted | PeerState::Revoked | PeerState::Incoming,
                Some(PeerState::Blocked),
            ) => PeerState::Blocked,
            (PeerState::Trusted, Some(_) | None) => PeerState::Revoked,
            (_, _) => return None,
        };
        let why = said.map_or_else(
            || "the audit record about it was changed".to_owned(),
            |said| format!("the audit record says {} since {}", said.as_str(), record.at.rfc3339()),
        );
        Some(Against { state, why })
    }

    /// The grants that the chain lets stand, used as often as it says; and the others.
    pub(super) fn of_grants(&self, found: Vec<GrantEntry>) -> (Vec<GrantEntry>, Vec<GrantId>) {
        let said = |id: &GrantId| self.grants.get(id).copied().unwrap_or_default();
        // With the trust that it was signed under a grant ends, wherever its row was then.
        let moved = |entry: &GrantEntry| {
            let record = entry.grant.peer.and_then(|peer| self.trust.get(&peer));
            record.is_some_and(|record| record.at > entry.grant.from)
        };
        let (ended, open): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|entry| said(&entry.grant.id).ended || moved(entry));
        let used = |entry: GrantEntry| GrantEntry {
            used: entry.used.max(said(&entry.grant.id).passed),
            ..entry
        };
        (open.into_iter().map(used).collect(), ended.iter().map(|entry| entry.grant.id).collect())
    }

    /// What a human has to know of the chain, and of grants that were open again.
    pub(super) fn told(&self, ended: Vec<GrantId>) -> Told {
        let broken = self.broken.as_ref().map(|problem| {
            tracing::error!(%problem, "the audit chain is broken");
            broken_text(&problem.to_string())
        });
        let pairing = |(peer, why): (&PeerId, &String)| {
            tracing::warn!(peer = %peer.short(), why, "a pairing's row was refused");
            format!(
                "{SAYS} that you said yes to a pairing with {}, but that is refused: {why}; the pairing \
                 was removed, so pair again with an invite if you want to",
                peer.short()
            )
        };
        let grant = |id: &GrantId| {
            tracing::warn!(grant = %id, "a grant's row was refused");
            format!(
                "{SAYS} that the grant {id} holds, but that is refused: the audit record \
                 says that it was ended, or that trust in its peer was; somebody put an old row back, \
                 and it is ended again"
            )
        };
        let warnings = broken.into_iter().chain(ended.iter().map(grant));
        Told {
            warnings: warnings.chain(self.over.iter().map(pairing)).collect(),
            ended,
            unpaired: self.over.keys().copied().collect(),
            broken: self.broken.is_some(),
            cut: false,
        }
    }
}

fn broken_text(problem: &str) -> String {
    format!(
        "{BROKEN}: {problem}; somebody changed countersign.db, so trust no row of it \
         blindly: countersign audit verify looks at all of it, countersign peers and \
         countersign grants list what counts"
    )
}

/// Why our human's yes in a pairing from disk does not count, where it does not.
fn over(db: &Connection, pairing: &Pairing) -> Result<Option<String>, StoreError> {
    let Some(record) = pairing.record.as_ref().filter(|_| pairing.ours.is_some()) else {
        return Ok(None);
    };
    // What led to the trust that is goes on until the other side has our consent.
    let trusted = standing::trust_moved(db, &pairing.peer)?;
    let trusted = trusted.as_ref().and_then(moved_to) == Some(PeerState::Trusted);
    if trusted && pairing.is_consented() {
        Ok(None)
    } else {
        yes_is_over(db, &pairing.peer, record)
    }
}

/// Why our human's yes to this record does not lead to trust any more, where it does not. A consent
/// has no time in it: whoever keeps one of a peer whose trust ended could bring it again. What the
/// human signed with it has, and must be no older than the last move of that peer's trust.
pub(super) fn yes_is_over(
    db: &Connection,
    peer: &PeerId,
    record: &ConsentRecord,
) -> Result<Option<String>, StoreError> {
    let state = peers::find(db, peer)?.map(|row| row.state);
    if state.is_none_or(|state| state.after(TrustMove::Consent).is_none()) {
        let state = state.map_or("not known", PeerState::as_str);
        return Ok(Some(format!("the peer is {state}, and nobody asked for it since")));
    }
    let approver = record.sides(peer).map(|(_, ours)| ours.approver);
    let decision = peers::decision(db, peer)?;
    let said = approver.zip(decision).and_then(|(by, decision)| decision.open(&by).ok());
    let of = |what| Item::Peer(what, record.clone()).digest();
    let said = said.filter(|said| {
        said.answer == Answer::Approve
            && (said.digest == of(What::PeerOut) || said.digest == of(What::PeerIn))
    });
    let Some(said) = said else {
        return Ok(Some("there is no signed decision about it".to_owned()));
    };
    let Some(record) = standing::trust_moved(db, peer)? else { return Ok(None) };
    Ok(match moved_to(&record) {
        None => Some("the audit record about this peer was changed".to_owned()),
        Some(state) if said.at < record.at => Some(format!(
            "your yes is of {}, and the audit record says {} since {}",
            said.at,
            state.as_str(),
            record.at.rfc3339()
        )),
        Some(_) => None,
    })
}

/// Where a record says that trust was moved; `None` where its hash is not that of what it says.
fn moved_to(record: &Record) -> Option<PeerState> {
    crate::audit::check_alone(record).ok()?;
    let Some(Event::TrustMoved { to, .. }) = policies::event_of(record) else { return None };
    PeerState::parse(&to)
}

/// What a human reads of a peer's row that does not count.
pub(super) fn refused_row(row: &PeerRow, why: &str) -> String {
    tracing::warn!(peer = %row.id.short(), why, "a peer's row was refused");
    format!(
        "{SAYS} {}, but that is refused: {why}; pair again with an invite, or revoke it to be rid of \
         this",
        row.state.as_str()
    )
}

impl Node {
    /// Says it, and writes it down, where somebody changed the end of the audit chain while the node
    /// ran: what is written from here on follows another record.
    pub(super) fn look_at_chain(&mut self) {
        let Some(head) = self.store.cut().filter(|_| !self.standing.cut) else { return };
        self.standing.cut = true;
        self.chain_is_broken(&format!(
            "record {} was taken away or replaced while the node ran",
            head.seq
        ));
    }

    /// Verifies all of the chain, a part at a time, so that nothing else waits for it: a start looks
    /// only at what came after the last signature.
    pub(super) fn verify_all(&mut self, progress: Progress) {
        let me = self.id;
        let op = move |db: &Connection| store::audit::verify_part(db, &me, &progress);
        self.scan(op, |node, found| match found {
            Err(error) => tracing::warn!(%error, "the audit chain could not be verified"),
            Ok((progress, Ended::NotYet)) => node.verify_all(progress),
            // What a peer saw is said with the peer, until a human has looked at it.
            Ok((_, Ended::Whole | Ended::Problem(ChainError::Witness { .. }))) => {}
            Ok((_, Ended::Problem(_))) if node.standing.broken => {}
            Ok((_, Ended::Problem(problem))) => node.chain_is_broken(&problem.to_string()),
        });
    }

    fn chain_is_broken(&mut self, what: &str) {
        self.standing.broken = true;
        tracing::error!(what, "the audit chain is broken");
        self.standing.warnings.push(broken_text(what));
        let (now, event) = (clock::now(), Event::refused(format!("the audit chain: {what}"), None));
        self.write(move |db| store::audit::append(db, now, &event).map(drop), |_, _| ());
        self.handle.tell(api::Event::PeersChanged);
    }

    /// What was refused while the home was read, for the audit record: each start says it again as
    /// long as it is there.
    pub(super) fn refused_at_start(&self) -> Vec<Event> {
        let rows = self.peers.iter().filter(|(_, entry)| entry.state != PeerState::Trusted);
        let peers = rows.filter_map(|(id, entry)| {
            let warning = entry.warning.as_ref().filter(|text| text.starts_with(SAYS))?;
            Some(Event::refused(format!("a peer's row: {warning}"), Some(*id)))
        });
        let own =
            self.standing.warnings.iter().map(|warning| Event::refused(warning.clone(), None));
        let closed = self.policy.source == PolicySource::Closed;
        let policy = self.policy.warning.iter().filter(|_| closed);
        let policy = policy.map(|warning| Event::refused(warning.clone(), None));
        peers.chain(own).chain(policy).collect()
    }
}
