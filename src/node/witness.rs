//! Heads of audit chains, exchanged with trusted peers in the receipts of acknowledgements
//! (`SPEC.md` section 11): a peer's chain that goes back or forks is noticed here, and ours there.
//!
//! What a peer says never changes what passes. It makes our human look.

use rusqlite::Connection;

use super::{
    api::{ApiError, Done, ErrorKind, Event, Reply},
    clock,
    state::{Answer, Node, PeerEntry, reply, store_failed},
};
use crate::{
    audit::{
        self, Head,
        witness::{Sighting, Step, weigh},
    },
    base::{PeerId, Timestamp},
    store::{
        self, StoreError,
        audit::{Holding, holds},
        messages,
        witnesses::{self, What, Witness},
    },
    wire::{Body, ChainHead, Envelope, Receipt, message::ReceiptEntry},
};

/// What a peer knows of audit chains.
#[derive(Clone, Copy, Default)]
pub(super) struct Chains {
    /// Its node understands receipts with heads.
    pub(super) speaks: bool,
    /// What it signed.
    pub(super) seen: Witness,
}

const fn sent(head: Head) -> Option<ChainHead> {
    if head.seq == 0 { None } else { Some(ChainHead { number: head.seq, hash: head.hash }) }
}

/// Takes the heads of a receipt that goes with an acknowledgement. What contradicts what is known is
/// kept with its receipt and noted once.
pub(super) fn take_heads(
    db: &Connection,
    peer: &PeerId,
    receipt: &Envelope,
    now: Timestamp,
) -> Result<Option<Witness>, StoreError> {
    let Body::Receipt(Receipt { head, echo, .. }) = receipt.body() else { return Ok(None) };
    if head.is_none() && echo.is_none() {
        return Ok(None);
    }
    let header = receipt.header();
    let seen = |place: &ChainHead| Sighting {
        head: Head { seq: place.number, hash: place.hash },
        receipt: header.id,
        at: header.created,
    };
    let before = witnesses::of(db, peer)?;
    if let Some(head) = head {
        take_theirs(db, (peer, receipt), &before, &seen(head), now)?;
    }
    if let Some(echo) = echo {
        take_ours(db, (peer, receipt), &before, &seen(echo), now)?;
    }
    let after = witnesses::of(db, peer)?;
    Ok((after != before).then_some(after))
}

fn take_theirs(
    db: &Connection,
    (peer, receipt): (&PeerId, &Envelope),
    before: &Witness,
    new: &Sighting,
    now: Timestamp,
) -> Result<(), StoreError> {
    if before.forked.is_some() {
        // What is known stays as it is, and is echoed, until our human has looked.
        return Ok(());
    }
    match weigh(before.theirs.as_ref(), new) {
        Step::Keep => Ok(()),
        Step::Advance => witnesses::put(db, peer, What::Theirs, new),
        Step::Contradicts => dispute(db, (peer, receipt), (What::Forked, new), now),
    }
}

fn take_ours(
    db: &Connection,
    (peer, receipt): (&PeerId, &Envelope),
    before: &Witness,
    new: &Sighting,
    now: Timestamp,
) -> Result<(), StoreError> {
    if before.lost.is_some() || before.excused.is_some_and(|known| known.head == new.head) {
        return Ok(());
    }
    // Of what cannot be looked at now, the word is kept: it is held against the file when that is there.
    if holds(db, &new.head)? == Holding::No {
        return dispute(db, (peer, receipt), (What::Lost, new), now);
    }
    if before.ours.is_none_or(|known| known.head.seq < new.head.seq) {
        witnesses::put(db, peer, What::Ours, new)?;
    }
    Ok(())
}

fn dispute(
    db: &Connection,
    (peer, receipt): (&PeerId, &Envelope),
    (what, new): (What, &Sighting),
    now: Timestamp,
) -> Result<(), StoreError> {
    witnesses::put(db, peer, what, new)?;
    messages::put_receipt(db, receipt, now)?;
    let event = disputed(peer, (what, new));
    store::audit::append(db, now, &event).map(drop)
}

const fn chain_of(what: What) -> &'static str {
    match what {
        What::Theirs | What::Forked => "theirs",
        What::Ours | What::Lost | What::Excused => "ours",
    }
}

fn disputed(peer: &PeerId, (what, new): (What, &Sighting)) -> audit::Event {
    audit::Event::HeadDisputed {
        peer: peer.to_string(),
        chain: chain_of(what).to_owned(),
        number: new.head.seq,
        hash: new.head.hash.to_string(),
        receipt: new.receipt.to_string(),
    }
}

fn accepted(peer: &PeerId, (what, seen): (What, &Sighting)) -> audit::Event {
    audit::Event::DisputeAccepted {
        peer: peer.to_string(),
        chain: Some(chain_of(what).to_owned()),
        number: Some(seen.head.seq),
        hash: Some(seen.head.hash.to_string()),
        receipt: Some(seen.receipt.to_string()),
    }
}

/// What peers signed, as it is at the start: what they saw of our chain and is not in it any more is
/// lost, whoever cut it while the node did not run.
pub(super) fn load(db: &Connection) -> Result<Vec<(PeerId, Witness)>, StoreError> {
    let mut all = witnesses::all_witnesses(db)?;
    for (_, witness) in &mut all {
        if witness.lost.is_none()
            && let Some(ours) = witness.ours
            && holds(db, &ours.head)? == Holding::No
        {
            witness.lost = Some(ours);
        }
    }
    Ok(all)
}

/// Notes what [`load`] finds: it stays disputed, in the chain too, until the human has looked.
pub(super) fn note_lost(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let before = witnesses::all_witnesses(db)?;
    for ((peer, found), (_, known)) in load(db)?.iter().zip(before) {
        if let (Some(lost), None) = (&found.lost, known.lost) {
            witnesses::put(db, peer, What::Lost, lost)?;
            store::audit::append(db, now, &disputed(peer, (What::Lost, lost)))?;
        }
    }
    Ok(())
}

/// Our human has looked at what is disputed with a peer. `false` where nothing is.
fn accept(db: &Connection, peer: &PeerId, now: Timestamp) -> Result<bool, StoreError> {
    let known = witnesses::of(db, peer)?;
    let mut looked_at = Vec::new();
    if let Some(forked) = known.forked {
        witnesses::remove(db, peer, What::Forked)?;
        witnesses::remove(db, peer, What::Theirs)?;
        looked_at.push((What::Forked, forked));
    }
    let cut = match known.ours {
        Some(ours) => (holds(db, &ours.head)? == Holding::No).then_some(ours),
        None => None,
    };
    if cut.is_some() {
        witnesses::remove(db, peer, What::Ours)?;
    }
    if let Some(lost) = known.lost.or(cut) {
        witnesses::put(db, peer, What::Excused, &lost)?;
        witnesses::remove(db, peer, What::Lost)?;
        looked_at.push((What::Lost, lost));
    }
    for (what, seen) in &looked_at {
        store::audit::append(db, now, &accepted(peer, (*what, seen)))?;
    }
    Ok(!looked_at.is_empty())
}

/// A peer is forgotten, and nobody can be asked about it any more: what it disputed counts as looked at,
/// and stays in the chain. Its signed word about ours stays too.
pub(super) fn forget(db: &Connection, peer: &PeerId, now: Timestamp) -> Result<(), StoreError> {
    accept(db, peer, now)?;
    witnesses::remove(db, peer, What::Theirs)?;
    witnesses::remove(db, peer, What::Ours)
}

impl Node {
    /// A receipt of these entries, with the heads of the two chains where the peer's node knows them.
    /// Only for an acknowledgement: it is sent on the link whose hello says so, and never again.
    pub(super) fn acknowledging(&self, peer: &PeerId, entries: Vec<ReceiptEntry>) -> Receipt {
        let receipt = Receipt::of(entries);
        let Some(entry) = self.peers.get(peer).filter(|entry| entry.chains.speaks) else {
            return receipt;
        };
        let echo = entry.chains.seen.theirs.and_then(|seen| sent(seen.head));
        Receipt { head: sent(self.store.head()), echo, ..receipt }
    }

    /// What a peer signed of the two chains changed.
    pub(super) fn witnessed(&mut self, peer: &PeerId, witness: &Witness) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        // What was found at the start stays said.
        let lost = witness.lost.or(entry.chains.seen.lost);
        let news = (entry.chains.seen.lost, entry.chains.seen.forked) != (lost, witness.forked);
        entry.chains.seen = Witness { lost, ..*witness };
        if news {
            tracing::warn!(peer = %peer.short(), "an audit chain is not what was signed of it");
            self.handle.tell(Event::PeersChanged);
        }
    }

    /// What our human has to look at, about the two chains.
    pub(super) fn chain_warning(entry: &PeerEntry) -> Option<String> {
        let name = &entry.name;
        let lost = entry.chains.seen.lost.map(|lost| {
            format!(
                "{name} has signed that it saw record {} of this node's audit log, and the log does not \
                 contain it: it was cut or rolled back, or {name}'s node is wrong (receipt {}); see \
                 countersign audit verify",
                lost.head.seq, lost.receipt
            )
        });
        let forked = entry.chains.seen.forked.zip(entry.chains.seen.theirs).map(|(new, known)| {
            format!(
                "{name}'s audit log went back or was replaced: it showed record {} before, and then \
                 another record {} (receipt {}); ask {name}, then run countersign audit accept {name}",
                known.head.seq, new.head.seq, new.receipt
            )
        });
        let both: Vec<String> = lost.into_iter().chain(forked).collect();
        (!both.is_empty()).then(|| both.join("; "))
    }

    /// Our human has looked at it.
    pub(super) fn audit_accept(&mut self, peer: &str, answer: Answer) {
        let peer = match self.find_peer(peer) {
            Ok(peer) => peer,
            Err(error) => return reply(answer, Err(error)),
        };
        let now = clock::now();
        let op = move |db: &Connection| {
            let accepted = accept(db, &peer, now)?;
            Ok((accepted, witnesses::of(db, &peer)?))
        };
        self.write(op, move |node, done| {
            let (accepted, witness) = match done {
                Ok(done) => done,
                Err(error) => return reply(answer, Err(store_failed(&error))),
            };
            if !accepted {
                let message = format!("nothing is disputed with {}", node.name_of(&peer));
                let next = "countersign status says what is";
                return reply(answer, Err(ApiError::new(ErrorKind::NotFound, message, next)));
            }
            if let Some(entry) = node.peers.get_mut(&peer) {
                entry.chains.seen = witness;
            }
            node.handle.tell(Event::PeersChanged);
            reply(answer, Ok(Reply::Done(Done { done: true })));
        });
    }
}
