//! What a human decides: each decision is used once, and is one transaction with what it does.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use rusqlite::Connection;

#[cfg(test)]
use crate::base::planted::{Bug, planted};

use super::{
    api::{ApiError, Decided, ErrorKind, Event, Reply, SignedHex},
    clock,
    grants::{GrantEntry, note_use},
    inbound::answers::answered,
    lowered,
    outbound::{mark_replied, move_arrived, queue_receipts},
    pairs::refused_pairing,
    state::{Answer, Node, PairingEntry, reply, store_failed, usage},
};
use crate::{
    audit,
    base::{
        Digest, MessageId, PeerId, PendingId, SessionName, Timestamp,
        failpoint::{Failpoint, reach},
        limits,
    },
    delivery::{
        MessageState,
        outbox::{Input, Queued},
    },
    gate::{self, Approved, Decision, GateError, Item, Outcome, Pending, SignedConsent, What},
    store::{
        self, StoreError,
        grants::{self, Room},
        messages::{self, HistoryRow},
        outbox, peers,
        pending::{self, DecisionRow, PendingRow},
    },
    trust::TrustMove,
    wire::{Envelope, Method, PairFrame, Receipt, ReceiptState, pair::EndReason},
};

/// What was decided, verified.
enum Verdicted {
    Consent(Approved<SignedConsent>),
    Release(Approved<Envelope>),
    Admit(Approved<Envelope>),
    No,
}

impl Node {
    pub(super) fn decide(
        &mut self,
        id: &str,
        decision: &Decision,
        (block, grant): (bool, Option<&SignedHex>),
        answer: Answer,
    ) {
        let verified = self.find_pending(id).cloned().and_then(|row| {
            let verdict = self.verify(&row, decision).map_err(|e| gate_error(&e))?;
            let grant = grant.map(|signed| self.grant_with(&row, signed)).transpose()?;
            Ok((row, verdict, grant))
        });
        let (row, verdict, grant) = match verified {
            Ok(verified) => verified,
            Err(error) => {
                self.note_refusal(&error);
                return reply(answer, Err(error));
            }
        };
        reach(Failpoint::DecideWrite);
        let how = How::Signed(decision.clone(), grant);
        match verdict {
            Verdicted::Consent(signed) => self.consent(row, decision, signed, answer),
            Verdicted::Release(envelope) => self.release(row, how, envelope, answer),
            Verdicted::Admit(envelope) => self.admit(row, how, &envelope, answer),
            Verdicted::No => {
                self.refuse(row, How::Signed(decision.clone(), None), block, answer);
            }
        }
    }

    fn verify(&self, row: &PendingRow, decision: &Decision) -> Result<Verdicted, GateError> {
        let approver = self.approver.as_ref().ok_or(GateError::NotApproved)?;
        let item = row.item.clone().ok_or(GateError::NotApproved)?;
        let now = clock::now();
        Ok(match item {
            Item::Peer(what, record) => {
                let pending = Pending::peer(row.id, what, record, row.expires);
                match pending.decide(decision, &self.id, approver, now)? {
                    Outcome::Approved(signed) => Verdicted::Consent(signed),
                    Outcome::Denied => Verdicted::No,
                }
            }
            Item::Message(what, envelope) => {
                let least = self.least(row);
                let pending = Pending::message(row.id, what, envelope, row.expires);
                let pending = pending.after(row.after.clone()).needs(least);
                match pending.decide(decision, approver, now)? {
                    Outcome::Approved(envelope) if what == What::MessageOut => {
                        Verdicted::Release(envelope)
                    }
                    Outcome::Approved(envelope) => Verdicted::Admit(envelope),
                    Outcome::Denied => Verdicted::No,
                }
            }
        })
    }

    fn consent(
        &mut self,
        row: PendingRow,
        decision: &Decision,
        signed: Approved<SignedConsent>,
        answer: Answer,
    ) {
        let (peer, signed) = (row.peer, signed.into_item());
        let asks = |entry: &&mut PairingEntry| {
            entry.pending == row.id && entry.pairing.record.as_ref() == Some(&signed.record)
        };
        let Some(entry) = self.pairings.get_mut(&peer).filter(asks) else {
            let next = "ask for a new invite";
            let error = ApiError::new(ErrorKind::NotFound, "this pairing has ended", next);
            return reply(answer, Err(error));
        };
        let (now, kept, pending) = (clock::now(), decision.clone(), row.id);
        let steps = entry.pairing.consent(&signed);
        let Some(write) = self.pair_write(&peer, &steps) else { return };
        let after = write.clone();
        reach(Failpoint::ConsentWrite);
        // What the human said and what follows from it: neither without the other.
        let op = move |db: &Connection| {
            keep_decision(db, &row, "approved", &How::Signed(kept.clone(), None), now)?;
            peers::set_decision(db, &peer, &kept)?;
            write.run(db)
        };
        let id = decided_id(decision);
        self.write(op, move |node, done| {
            match done {
                Ok(None) => {}
                Ok(Some(why)) => return node.consent_refused((pending, peer), &why, answer),
                Err(error) => {
                    node.step_failed(peer, &error);
                    return reply(answer, Err(store_failed(&error)));
                }
            }
            reach(Failpoint::ConsentWritten);
            if let Some(entry) = node.peers.get_mut(&peer) {
                entry.verified = signed.verified;
            }
            node.applied(peer, after, steps);
            node.decided(pending, "approved", id, answer);
        });
    }

    fn consent_refused(&mut self, (pending, peer): (PendingId, PeerId), why: &str, answer: Answer) {
        self.yes_refused(peer, why);
        self.pending.remove(&pending);
        self.pending_changed();
        let next = "pair again with a new invite";
        reply(answer, Err(ApiError::new(ErrorKind::Refused, refused_pairing(why), next)));
    }

    fn release(&mut self, row: PendingRow, how: How, envelope: Approved<Envelope>, answer: Answer) {
        let header = envelope.item().header().clone();
        let (now, pending, peer) = (clock::now(), row.id, row.peer);
        let (id, after) = (how.said(now), how.clone());
        let may = self.still_trusted(&peer);
        if let Err(error) = may.and_then(|()| self.may_name(&peer, header.session.as_ref())) {
            return reply(answer, Err(error));
        }
        let op = move |db: &Connection| {
            let found = messages::find_with(db, &header.id, &header.recipient, true)?;
            let Some(message) = found.filter(|m| m.state == MessageState::Held) else {
                return Ok(None);
            };
            if let How::Granted(room) = &how {
                if !grants::has_room(db, room, now)? {
                    return Ok(None);
                }
                note_use(db, (&room.id, message.number), envelope.item(), now)?;
            }
            keep_decision(db, &row, "approved", &how, now)?;
            messages::set_envelope(db, message.number, envelope.item())?;
            let step = HistoryRow { state: MessageState::Queued, at: now, reason: None };
            messages::set_state(db, message.number, &step, None)?;
            let event = audit::Event::moved(
                header.id,
                MessageState::Queued.as_str(),
                (&header.recipient, true),
            );
            store::audit::append(db, now, &event)?;
            let number = outbox::add(db, &header.recipient, &header.id, None)?;
            mark_replied(db, header.reply_to, &header.recipient, None, Some(now))?;
            Ok(Some(Queued { number, envelope }))
        };
        self.write(op, move |node, done| match done {
            Err(error) => reply(answer, Err(store_failed(&error))),
            Ok(None) => {
                let message = "the message does not wait any more, or what lets it pass is used \
                               up; nothing was sent";
                let next = "countersign status shows what became of it";
                reply(answer, Err(ApiError::new(ErrorKind::Refused, message, next)));
            }
            Ok(Some(queued)) => {
                node.after_decision(after);
                node.decided(pending, "approved", id, answer);
                node.feed(&peer, Input::Queued(queued));
            }
        });
    }

    /// A yes to a message counts while its peer is trusted, under the approver that said it.
    fn still_trusted(&self, peer: &PeerId) -> Result<(), ApiError> {
        let message = || format!("{} is not trusted any more", self.name_of(peer));
        let error = || ApiError::new(ErrorKind::Refused, message(), "nothing passed; deny it");
        self.trusted(peer).map(drop).ok_or_else(error)
    }

    fn admit(&mut self, row: PendingRow, how: How, envelope: &Approved<Envelope>, answer: Answer) {
        let (now, pending, peer) = (clock::now(), row.id, row.peer);
        let (method, after) = (how.said(now), how.clone());
        if let Err(error) = self.still_trusted(&peer) {
            return reply(answer, Err(error));
        }
        let (id, digest) = (envelope.item().header().id, envelope.item().digest());
        let receipt = self.one_receipt(peer, (id, digest), ReceiptState::Accepted, None, now);
        let envelope = envelope.item().clone();
        let op = move |db: &Connection| {
            keep_decision(db, &row, "approved", &how, now)?;
            answered(db, &peer, &envelope, now)?;
            let session = settle_arrival(db, &peer, &id, (MessageState::Accepted, None), now)?;
            Ok((queue_receipts(db, receipt)?, session))
        };
        let from = self.name_of(&peer);
        self.write(op, move |node, done| match done {
            Err(error) => reply(answer, Err(store_failed(&error))),
            Ok((queued, session)) => {
                node.after_decision(after);
                node.decided(pending, "approved", method, answer);
                node.handle.tell(Event::Arrived { message: id.to_string(), from, session });
                node.feed_all(queued);
            }
        });
    }

    /// What a decision brought with it, once it is on disk.
    fn after_decision(&mut self, how: How) {
        match how {
            How::Signed(_, Some(grant)) => self.keep_grant(grant),
            How::Granted(room) => self.count_use(room.id),
            How::Signed(_, None) | How::Typed | How::Client | How::Late => {}
        }
    }

    /// Lets a message out on a client's word; `grant` is what the human signed about that.
    pub(super) fn release_by_client(
        &mut self,
        row: PendingRow,
        room: Room,
        envelope: Approved<Envelope>,
        answer: Answer,
    ) {
        self.release(row, How::Granted(room), envelope, answer);
    }

    fn one_receipt(
        &self,
        peer: PeerId,
        (id, digest): (MessageId, Digest),
        state: ReceiptState,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Vec<Approved<Envelope>> {
        let entry = super::outbound::entry(id, digest, state, reason, now);
        self.receipt(peer, Receipt::of(vec![entry]), now).into_iter().collect()
    }

    pub(super) fn deny(&mut self, id: &str, block: bool, answer: Answer) {
        match self.find_pending(id).cloned() {
            Ok(row) => self.refuse(row, How::Typed, block, answer),
            Err(error) => reply(answer, Err(error)),
        }
    }

    /// No. Whatever it is does not pass, and the other side is told where it waits for us.
    pub(super) fn refuse(&mut self, row: PendingRow, how: How, block: bool, answer: Answer) {
        let (pending, said) = (row.id, how.said(clock::now()));
        if row.message.is_some() && !block {
            return self.refuse_message(row, how, move |node, done| match done {
                Err(error) => reply(answer, Err(store_failed(&error))),
                Ok(()) => node.decided(pending, "denied", said, answer),
            });
        }
        let (now, peer) = (clock::now(), row.peer);
        let link = self.pairings.get(&peer).and_then(|entry| entry.link);
        if let Some(link) = link {
            self.send_pair(&peer, link, PairFrame::End(EndReason::Denied));
        }
        // That nobody answered a peer that pairs anew says nothing against the trust that is.
        let keeps_trust = matches!(how, How::Late) && self.trusted(&peer).is_some();
        let keep = move |db: &Connection| keep_decision(db, &row, "denied", &how, now);
        if keeps_trust {
            self.write(keep, move |node, done| match done {
                Err(error) => reply(answer, Err(store_failed(&error))),
                Ok(()) => node.decided(pending, "denied", said, answer),
            });
            return self.drop_pairing(&peer);
        }
        let step = if block { TrustMove::Block } else { TrustMove::Revoke };
        self.end_trust(peer, (step, SAID_NO), Some(Arc::new(keep)), move |node, done| match done {
            Err(error) => reply(answer, Err(lowered::not_written(&error))),
            Ok(_) => node.decided(pending, "denied", said, answer),
        });
    }

    fn refuse_message(
        &mut self,
        row: PendingRow,
        how: How,
        then: impl FnOnce(&mut Self, Result<(), StoreError>) + Send + 'static,
    ) {
        let (now, peer, what) = (clock::now(), row.peer, row.what);
        let Some(Item::Message(_, envelope)) = row.item.clone() else { return then(self, Ok(())) };
        let (id, digest) = (envelope.header().id, envelope.digest());
        let (local, told) = how.reasons();
        let receipt = if what == What::MessageIn {
            self.one_receipt(peer, (id, digest), ReceiptState::Refused, Some(told), now)
        } else {
            Vec::new()
        };
        let op = move |db: &Connection| {
            keep_decision(db, &row, "denied", &how, now)?;
            if what == What::MessageIn {
                let end = (MessageState::Refused, Some(local.to_owned()));
                settle_arrival(db, &peer, &id, end, now)?;
            } else if let Some(message) = messages::find_with(db, &id, &peer, true)?
                && message.state == MessageState::Held
            {
                let reason = Some(local.to_owned());
                let step = HistoryRow { state: MessageState::Denied, at: now, reason };
                messages::set_state(db, message.number, &step, None)?;
                let event = audit::Event::moved(id, MessageState::Denied.as_str(), (&peer, true));
                store::audit::append(db, now, &event)?;
            }
            queue_receipts(db, receipt)
        };
        self.write(op, move |node, done| {
            let done = done.map(|queued| node.feed_all(queued));
            node.handle.tell(Event::MessageChanged { message: id.to_string() });
            then(node, done);
        });
    }

    fn decided(
        &mut self,
        pending: PendingId,
        decision: &str,
        (method, at): (&'static str, Timestamp),
        answer: Answer,
    ) {
        reach(Failpoint::DecideWritten);
        let row = self.pending.remove(&pending);
        #[cfg(test)]
        if let Some(row) = row.clone().filter(|_| planted(Bug::ReplayAccepted)) {
            self.pending.insert(pending, row);
        }
        if let Some(row) = row.filter(|_| decision == "approved") {
            self.liked.note(&row, at);
        }
        self.pending_changed();
        let (id, decision) = (pending.to_string(), decision.to_owned());
        let decided = Decided { id, decision, method: method.to_owned(), at: at.rfc3339() };
        reply(answer, Ok(Reply::Decided(decided)));
        reach(Failpoint::DecideAnswered);
    }

    /// Each human has had the time to answer, one after the other. One that never did holds a
    /// place, and the joiner dials all the time.
    fn expire_pairings(&mut self, now: Timestamp) {
        let late = |peer: &PeerId, entry: &PairingEntry| {
            // The knock's time is the joiner's; its clock may be wrong.
            let known = self.peers.get(peer).map(|entry| entry.created);
            let since = known.unwrap_or_default().max(entry.pairing.knocked);
            !entry.pairing.is_consented() && since.plus(limits::PAIRING_LIFE) <= now
        };
        let over = self.pairings.iter().filter(|(peer, entry)| late(peer, entry));
        let over: Vec<PeerId> = over.map(|(peer, _)| *peer).collect();
        for peer in over {
            if self.trusted(&peer).is_some() {
                self.drop_pairing(&peer);
                continue;
            }
            let why = (TrustMove::Revoke, "the other human did not answer in time");
            self.end_trust(peer, why, None, |_, _| ());
        }
    }

    /// What nobody decided in time is a no.
    pub(super) fn expire_pending(&mut self, now: Timestamp) {
        let late = |row: &&PendingRow| row.expires <= now;
        let rows: Vec<PendingRow> = self.pending.values().filter(late).cloned().collect();
        for row in rows {
            let (answer, _) = tokio::sync::oneshot::channel();
            self.refuse(row, How::Late, false, answer);
        }
        self.expire_pairings(now);
        self.invites.retain(|invite| invite.expires > now);
        self.drop_silent_strangers();
        self.refresh_pairing();
    }
}

/// How and when, as the approver signed it. Called after the signature was verified.
fn decided_id(decision: &Decision) -> (&'static str, Timestamp) {
    let signed = gate::Statement::read(&decision.statement);
    signed.map_or(("passphrase", clock::now()), |s| (s.method.as_str(), s.at))
}

/// What the sender of a message is told.
const DECLINED: &str = "the recipient's human said no";
/// In the history of a message that our human denied.
pub(super) const SAID_NO: &str = "your human said no";
/// In the history of one that a client's answer denied.
pub(super) const CLIENT_SAID_NO: &str = "your MCP client answered that its user said no";

/// How something was decided.
#[derive(Clone)]
pub(super) enum How {
    /// By the human's key, with a grant for the like of it.
    Signed(Decision, Option<GrantEntry>),
    /// A yes by an MCP client's word, under a grant that lets so many messages pass.
    Granted(Room),
    /// By a human without a key, which is enough for a no.
    Typed,
    /// By whoever answered in an MCP client, which is enough for a no too.
    Client,
    /// By nobody in time, which is a no.
    Late,
}

impl How {
    /// The method, and when.
    fn said(&self, now: Timestamp) -> (&'static str, Timestamp) {
        match self {
            Self::Signed(decision, _) => decided_id(decision),
            Self::Typed => ("terminal", now),
            Self::Granted(..) | Self::Client => (Method::Client.as_str(), now),
            Self::Late => ("timeout", now),
        }
    }

    /// Why a message is refused, as our side reads it and as its sender is told.
    const fn reasons(&self) -> (&'static str, &'static str) {
        match self {
            Self::Client => (CLIENT_SAID_NO, DECLINED),
            Self::Signed(..) | Self::Granted(..) | Self::Typed => (SAID_NO, DECLINED),
            Self::Late => ("your human did not decide in time", "nobody decided in time"),
        }
    }
}

/// Uses the item up: a second decision on it fails as a whole.
fn keep_decision(
    db: &Connection,
    row: &PendingRow,
    decision: &'static str,
    how: &How,
    now: Timestamp,
) -> Result<(), StoreError> {
    #[cfg(test)]
    super::planted::undecide(db, row)?;
    if !pending::remove(db, &row.id)? {
        return Err(StoreError::Decided(row.id));
    }
    let digest = row.item.as_ref().map_or(Digest::from_bytes([0; 32]), Item::digest);
    let (method, at) = how.said(now);
    let signed = match how {
        How::Signed(decision, _) => Some(decision),
        How::Granted(..) | How::Typed | How::Client | How::Late => None,
    };
    let (what, peer, message) = (row.what, row.peer, row.message);
    let kept =
        DecisionRow { id: row.id, digest, what, peer, message, decision, method, signed, at };
    pending::add_decision(db, &kept)?;
    let event = audit::Event::decided(row.id, digest, decision, method);
    store::audit::append(db, now, &event)?;
    if let How::Signed(_, Some(grant)) = how {
        grant.keep(db, now)?;
    }
    Ok(())
}

/// Brings a message that was held here to where the human decided. Gives the session that it is for.
fn settle_arrival(
    db: &Connection,
    peer: &PeerId,
    id: &MessageId,
    (state, reason): (MessageState, Option<String>),
    now: Timestamp,
) -> Result<Option<SessionName>, StoreError> {
    let found = messages::find_with(db, id, peer, false)?;
    let Some(row) = found.filter(|row| row.state == MessageState::HeldByPeer) else {
        return Ok(None);
    };
    let refused = state == MessageState::Refused;
    move_arrived(db, &row, &HistoryRow { state, at: now, reason })?;
    if refused {
        messages::set_seen(db, row.number)?;
    }
    Ok(row.session)
}

pub(super) fn read_decision(
    statement: &str,
    signature: &str,
    seal: &str,
) -> Result<Decision, ApiError> {
    let bytes = |what: &str, text: &str| {
        let bounded = text.len() <= 4 * limits::KNOCK_BYTES_MAX;
        HEXLOWER.decode(text.as_bytes()).ok().filter(|_| bounded).ok_or_else(|| {
            usage(
                format!("the decision's {what} is not hexadecimal"),
                "run: countersign approve ID",
            )
        })
    };
    let signature = bytes("signature", signature)?;
    let signature = signature.try_into().map_err(|_| {
        usage("the decision's signature is not 64 bytes", "run: countersign approve ID")
    })?;
    Ok(Decision {
        statement: bytes("statement", statement)?,
        signature,
        seal: bytes("seal", seal)?,
    })
}

pub(super) fn gate_error(error: &GateError) -> ApiError {
    let (kind, next) = match error {
        GateError::Signature(_) => (
            ErrorKind::Denied,
            "only the human's passphrase makes a decision: countersign approve ID",
        ),
        GateError::TooWeak(_) => (ErrorKind::Denied, "type the approval passphrase for this one"),
        GateError::Afresh => (ErrorKind::Denied, "type the approval passphrase for it"),
        GateError::NotApproved => {
            (ErrorKind::WaitsForHuman, "it cannot be approved yet: countersign pending says why")
        }
        GateError::OtherItem | GateError::Seal | GateError::Wire(_) | GateError::NotOurs => {
            (ErrorKind::Denied, "look at it again: countersign approve ID")
        }
        GateError::Expired(_) | GateError::Stale(_) => {
            (ErrorKind::Refused, "look at it again: countersign pending")
        }
    };
    ApiError::new(kind, error.to_string(), next)
}
