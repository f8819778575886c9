//! Trust is lowered: at once in memory and on the net, and then on disk.
//!
//! A full disk takes nothing. What was lowered counts all the same while this node runs, and is
//! written again until the disk takes it: the next start must not trust whom a human revoked.

use std::sync::Arc;

use rusqlite::Connection;

use super::{
    api::{ApiError, Event},
    clock, grants,
    outbound::move_arrived,
    state::{Node, PairingEntry, PeerEntry, store_failed},
};
use crate::{
    audit,
    base::{GrantId, InviteId, PeerId, Timestamp},
    delivery::MessageState,
    net::code,
    store::{
        self, StoreError,
        messages::{self, HistoryRow},
        outbox, pairings,
        peers::{self, PeerRow},
        pending,
    },
    trust::{PeerState, TrustMove},
};

/// What has to be on disk, and could not be written.
#[derive(Clone)]
pub(super) enum Owed {
    Trust(Lowered),
    /// A pairing ended; the invite that it used is of no use any more.
    Pairing(InviteId),
}

/// Trust that ended.
#[derive(Clone)]
pub(super) struct Lowered {
    from: PeerState,
    to: PeerState,
    reason: &'static str,
    invite: Option<InviteId>,
    /// Grants that ended with it.
    ended: Vec<GrantId>,
    /// What is written in the same transaction.
    with: Vec<With>,
    /// The disk did not take it once.
    tried: bool,
    /// Another pairing has begun since.
    keeps_pairing: bool,
}

/// Written with trust that ends.
pub(super) type With = Arc<dyn Fn(&Connection) -> Result<(), StoreError> + Send + Sync>;

impl Lowered {
    const fn new((from, to): (PeerState, PeerState), reason: &'static str) -> Self {
        Self {
            from,
            to,
            reason,
            invite: None,
            ended: vec![],
            with: vec![],
            tried: false,
            keeps_pairing: false,
        }
    }

    /// Gives how many messages of ours waited for the peer.
    fn write(&self, db: &Connection, peer: &PeerId, now: Timestamp) -> Result<u64, StoreError> {
        for with in &self.with {
            match with(db) {
                // What was asked has ended otherwise since.
                Err(StoreError::Decided(_)) if self.tried => {}
                done => done?,
            }
        }
        peers::set_state(db, peer, self.to)?;
        peers::remove_invites(db, now, self.invite.as_ref())?;
        if !self.keeps_pairing {
            pairings::remove(db, peer)?;
        }
        grants::end(db, &self.ended, now)?;
        let purged = purge(db, peer, self.reason, now)?;
        let (from, to) = (self.from.as_str().to_owned(), self.to.as_str().to_owned());
        let event = audit::Event::TrustMoved { peer: peer.to_string(), from, to };
        store::audit::append(db, now, &event)?;
        Ok(purged)
    }
}

impl Node {
    /// Lowers trust, at once in memory and on the net, and then on disk: what waits for the peer
    /// never leaves, and nothing of it is asked any more. `with` is written in the same
    /// transaction.
    pub(super) fn end_trust(
        &mut self,
        peer: PeerId,
        (step, reason): (TrustMove, &'static str),
        with: Option<With>,
        then: impl FnOnce(&mut Self, Result<u64, StoreError>) + Send + 'static,
    ) {
        // A request of our agent's, while nobody said yes to it, does not lift a block.
        let step = if self.is_blocked(&peer) { TrustMove::Block } else { step };
        let Some(entry) = self.peers.get_mut(&peer) else { return then(self, Ok(0)) };
        let before = entry.state;
        let Some(state) = before.after(step) else {
            // It was asked for again: what the disk did not take may be there now.
            let begins = self.connecting.remove(&peer);
            let (from, to) = (PeerState::Requested, before);
            let owed = self.take_owed(&peer);
            // A request that is just being written ends right behind that.
            let owed = owed.or_else(|| begins.then(|| Lowered::new((from, to), reason)));
            let Some(mut lowered) = owed else { return then(self, Ok(0)) };
            lowered.with.extend(with);
            return self.write_lowered(peer, lowered, then);
        };
        let from = entry.state;
        entry.state = state;
        // A pairing that is just being written does not begin.
        self.connecting.remove(&peer);
        entry.consent = None;
        entry.verified = false;
        entry.link = None;
        entry.warning = None;
        if from == PeerState::Trusted {
            // At once. A pairing connection is left in order, with what was said on it.
            self.net.distrust(&peer, code::NOT_TRUSTED);
        }
        let invite = self.leave_pairing(&peer);
        self.pending.retain(|_, row| row.peer != peer);
        let ended = self.drop_grants(&peer);
        let mut lowered = Lowered { invite, ended, ..Lowered::new((from, state), reason) };
        if let Some(before) = self.take_owed(&peer) {
            lowered.from = before.from;
            lowered.ended.extend(before.ended);
            lowered.with = before.with;
        }
        lowered.with.extend(with);
        self.write_lowered(peer, lowered, then);
    }

    fn write_lowered(
        &mut self,
        peer: PeerId,
        lowered: Lowered,
        then: impl FnOnce(&mut Self, Result<u64, StoreError>) + Send + 'static,
    ) {
        let (now, again) = (clock::now(), Lowered { tried: true, ..lowered.clone() });
        self.write(
            move |db| lowered.write(db, &peer, now),
            move |node, done| {
                match &done {
                    Err(error) => node.owe(peer, Owed::Trust(again), error),
                    Ok(_) => node.not_taken_up(&peer, again.invite),
                }
                node.handle.tell(Event::PeersChanged);
                node.pending_changed();
                then(node, done);
            },
        );
    }

    /// It is on disk that a peer asks, and what it asked is over: nobody is asked any more.
    pub(super) fn asked_too_late(&mut self, row: PeerRow) {
        let (peer, from) = (row.id, row.state);
        // A request of ours is being written behind it, and begins with ending it.
        if self.connecting.contains(&peer) {
            return;
        }
        let known = self.peers.get(&peer).map(|entry| entry.state);
        let to = known.or_else(|| from.after(TrustMove::Revoke)).unwrap_or(from);
        // What else it is by now has its own writer.
        if to == from || !to.is_ended() {
            return;
        }
        if known.is_none() {
            let entry = PeerEntry {
                claim: row.claim,
                ..self.peer_entry(&peer, row.name, to, row.addresses)
            };
            self.peers.insert(peer, entry);
        }
        let lowered = Lowered::new((from, to), "the pairing ended");
        self.write_lowered(peer, lowered, |_, _| ());
    }

    /// Forgets a pairing everywhere, and what it asks our human.
    pub(super) fn drop_pairing(&mut self, peer: &PeerId) {
        let Some(invite) = self.leave_pairing(peer) else { return };
        self.pending.retain(|_, row| row.peer != *peer || row.message.is_some());
        self.write_dropped(*peer, invite);
    }

    fn write_dropped(&mut self, peer: PeerId, invite: InviteId) {
        let now = clock::now();
        let op = move |db: &Connection| {
            pairings::remove(db, &peer)?;
            peers::remove_invites(db, now, Some(&invite))?;
            pending::remove_asks(db, &peer)
        };
        self.write(op, move |node, done| {
            match done {
                Err(error) => node.owe(peer, Owed::Pairing(invite), &error),
                Ok(()) => node.not_taken_up(&peer, Some(invite)),
            }
            node.pending_changed();
        });
    }

    /// A pairing that has ended on disk, too: a step that failed may have brought it back from there.
    fn not_taken_up(&mut self, peer: &PeerId, invite: Option<InviteId>) {
        let ended = |entry: &PairingEntry| Some(entry.pairing.invite) == invite;
        if self.pairings.get(peer).is_some_and(ended) {
            self.leave_pairing(peer);
        }
    }

    fn owe(&mut self, peer: PeerId, owed: Owed, error: &StoreError) {
        tracing::warn!(peer = %peer.short(), %error, "what ended is not on disk; it is tried again");
        self.owed.push((peer, owed));
    }

    fn take_owed(&mut self, peer: &PeerId) -> Option<Lowered> {
        let theirs = |(of, owed): &(PeerId, Owed)| of == peer && matches!(owed, Owed::Trust(_));
        let at = self.owed.iter().position(theirs)?;
        match self.owed.remove(at).1 {
            Owed::Trust(lowered) => Some(lowered),
            Owed::Pairing(_) => None,
        }
    }

    /// Writes what the disk did not take. Where a human has trusted anew since, that counts; the
    /// grants of before ended all the same.
    pub(super) fn write_owed(&mut self) {
        for (peer, owed) in std::mem::take(&mut self.owed) {
            match owed {
                // What counts is known when that is written.
                owed if self.connecting.contains(&peer) || self.asking.contains(&peer) => {
                    self.owed.push((peer, owed));
                }
                Owed::Pairing(_) if self.pairings.contains_key(&peer) => {}
                Owed::Pairing(invite) => self.write_dropped(peer, invite),
                Owed::Trust(lowered) => {
                    let counts = self.peers.get(&peer).is_some_and(|e| e.state == lowered.to);
                    if counts {
                        let keeps_pairing = self.pairings.contains_key(&peer);
                        let lowered = Lowered { keeps_pairing, ..lowered };
                        self.write_lowered(peer, lowered, |_, _| ());
                    } else {
                        let (ended, now) = (lowered.ended.clone(), clock::now());
                        let end = move |db: &Connection| grants::end(db, &ended, now);
                        self.write(end, move |node, done| {
                            if let Err(error) = done {
                                node.owe(peer, Owed::Trust(lowered), &error);
                            }
                        });
                    }
                }
            }
        }
    }
}

/// What is said where trust was lowered, and the disk did not take it.
pub(super) fn not_written(error: &StoreError) -> ApiError {
    let ApiError { kind, message, .. } = store_failed(error);
    let message = format!("{message}; it counts all the same while this node runs");
    let next = "free some space: the node writes it as soon as it can, and until then a restart \
                undoes it";
    ApiError::new(kind, message, next)
}

/// Where it is over with a peer, and the disk did not take that: before something begins anew, so
/// that nothing of before comes back with it.
pub(super) fn end_on_disk(
    db: &Connection,
    peer: &PeerId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let state = peers::find(db, peer)?.map(|row| row.state);
    let Some(from) = state.filter(|state| !state.is_ended()) else { return Ok(()) };
    Lowered::new((from, PeerState::Revoked), "trust had ended").write(db, peer, now).map(drop)
}

/// Ends every message that waits, ours for the peer and its own for our human, and what asks.
fn purge(
    db: &Connection,
    peer: &PeerId,
    reason: &'static str,
    now: Timestamp,
) -> Result<u64, StoreError> {
    pending::remove_of_peer(db, peer)?;
    outbox::purge(db, peer)?;
    let step = |state| HistoryRow { state, at: now, reason: Some(reason.to_owned()) };
    for row in messages::held_from(db, peer)? {
        move_arrived(db, &row, &step(MessageState::Refused))?;
        messages::set_seen(db, row.number)?;
    }
    let waiting = messages::waiting_for(db, peer)?;
    for number in &waiting {
        let denied = step(MessageState::Denied);
        messages::set_state(db, *number, &denied, None)?;
        if let Some(id) = store::audit::message_id(db, *number)? {
            let event = audit::Event::moved(id, denied.state.as_str(), (peer, true));
            store::audit::append(db, now, &event)?;
        }
    }
    Ok(u64::try_from(waiting.len()).unwrap_or(u64::MAX))
}
