//! What arrives over a link: messages, receipts, acknowledgements.

use rusqlite::Connection;

use super::{
    api::Event,
    clock,
    outbound::{entry, held_row},
    state::Node,
};
use crate::{
    audit,
    base::{ApproverId, MessageId, PeerId, Timestamp, limits},
    delivery::{
        MessageState,
        inbox::{self, Refusal, Room},
        outbox::Input,
    },
    gate::{self, Incoming, What},
    net::{Inbound, LinkId, Outbound},
    store::{
        self, StoreError,
        messages::{self, Arrival, HistoryRow},
        outbox,
        pending::{self, PendingRow},
    },
    wire::{
        Body, Envelope, Kind, ReceiptState, WireError,
        message::{Receipt, ReceiptEntry},
    },
};

/// What one transaction made of a batch.
#[derive(Default)]
struct Taken {
    entries: Vec<ReceiptEntry>,
    arrived: Vec<MessageId>,
    answered: Vec<MessageId>,
    held: Vec<PendingRow>,
    no_room_for: Option<MessageId>,
}

/// What a batch is judged by.
struct Judge {
    peer: PeerId,
    approver: ApproverId,
    now: Timestamp,
    room: Room,
    no_room_for: Option<MessageId>,
    payloads_left: usize,
}

impl Node {
    /// Takes frames in their order.
    pub(super) fn on_frames(&mut self, peer: PeerId, link: LinkId, frames: Vec<Inbound>) {
        let known = self.peers.get(&peer).is_some_and(|entry| entry.link == Some(link));
        let Some(approver) = self.trusted(&peer).map(|(_, approver)| approver).filter(|_| known)
        else {
            return;
        };
        let mut batch = Vec::new();
        let mut upto = 0;
        for frame in frames {
            let done = match frame {
                Inbound::Data { seq, envelope } => {
                    upto = seq;
                    envelope.and_then(|envelope| self.sort(&peer, *envelope, &mut batch))
                }
                Inbound::Ack { upto, receipt } => self.on_ack(&peer, upto, receipt),
            };
            if let Err(error) = done {
                return self.protocol_error(&peer, link, &error.to_string());
            }
        }
        if upto > 0 {
            self.take(peer, approver, (link, upto), batch);
        }
    }

    /// A receipt is read at once; a message joins the batch.
    fn sort(
        &mut self,
        peer: &PeerId,
        envelope: Envelope,
        batch: &mut Vec<(Envelope, Option<Refusal>)>,
    ) -> Result<(), WireError> {
        let refusal = inbox::check(&envelope, &self.id, peer, clock::now()).err();
        match refusal {
            Some(Refusal::NotForMe | Refusal::NotTheSender) => {
                return Err(WireError::field("envelope", "is not from this peer to this node"));
            }
            Some(Refusal::Expired) | None => {}
        }
        if envelope.header().kind == Kind::Receipt {
            self.on_receipt(*peer, envelope);
        } else {
            batch.push((envelope, refusal));
        }
        Ok(())
    }

    fn on_ack(
        &mut self,
        peer: &PeerId,
        upto: u64,
        receipt: Option<Result<Box<Envelope>, WireError>>,
    ) -> Result<(), WireError> {
        if let Some(receipt) = receipt {
            let receipt = *receipt?;
            let ours = inbox::check(&receipt, &self.id, peer, clock::now()).is_ok();
            if !ours || receipt.header().kind != Kind::Receipt {
                return Err(WireError::field("receipt", "is not from this peer to this node"));
            }
            if let Body::Receipt(Receipt { entries }) = receipt.body() {
                let busy = entries.iter().find(|entry| entry.state == ReceiptState::Busy);
                if let Some(id) = busy.map(|entry| entry.id) {
                    self.feed(peer, Input::Busy(id));
                }
            }
            self.on_receipt(*peer, receipt);
        }
        self.feed(peer, Input::Acked(upto));
        Ok(())
    }

    /// Writes a batch in one transaction, then acknowledges it with one signed receipt.
    fn take(
        &mut self,
        peer: PeerId,
        approver: ApproverId,
        (link, upto): (LinkId, u64),
        batch: Vec<(Envelope, Option<Refusal>)>,
    ) {
        let now = clock::now();
        let waiting = self.pending.values().filter(|row| row.message.is_some()).count();
        let judge = Judge {
            peer,
            approver,
            now,
            room: Room::default(),
            no_room_for: self.peers.get(&peer).and_then(|entry| entry.no_room_for),
            payloads_left: limits::PENDING_PAYLOADS_MAX.saturating_sub(waiting),
        };
        let op = move |db: &Connection| take_all(db, judge, batch);
        self.write(op, move |node, done| match done {
            Err(error) => {
                // Nothing is acknowledged: the sender keeps all of it and sends it again.
                tracing::error!(%error, "arrivals could not be stored");
                node.net.close(&peer, link, crate::net::code::BYE);
            }
            Ok(taken) => node.taken(peer, (link, upto), taken),
        });
    }

    fn taken(&mut self, peer: PeerId, (link, upto): (LinkId, u64), taken: Taken) {
        let now = clock::now();
        let receipt =
            if taken.entries.is_empty() { None } else { self.receipt(peer, taken.entries, now) };
        if self.net.send(&peer, link, Outbound::Ack { upto, receipt }).is_err() {
            tracing::debug!(peer = %peer.short(), "an acknowledgement found no link");
        }
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.no_room_for = taken.no_room_for;
        }
        let from = self.name_of(&peer);
        for id in taken.arrived {
            self.handle.tell(Event::Arrived { message: id.to_string(), from: from.clone() });
        }
        for id in taken.answered {
            self.handle.tell(Event::MessageChanged { message: id.to_string() });
        }
        if !taken.held.is_empty() {
            self.pending.extend(taken.held.into_iter().map(|row| (row.id, row)));
            self.handle.tell(Event::PendingChanged);
        }
    }

    /// Writes down what a peer says of our messages.
    fn on_receipt(&mut self, peer: PeerId, receipt: Envelope) {
        let now = clock::now();
        let op = move |db: &Connection| take_receipt(db, &peer, &receipt, now);
        self.write(op, |node, done| match done {
            Err(error) => tracing::error!(%error, "a receipt could not be stored"),
            Ok(changed) => {
                for id in changed {
                    node.handle.tell(Event::MessageChanged { message: id.to_string() });
                }
            }
        });
    }
}

fn take_all(
    db: &Connection,
    mut judge: Judge,
    batch: Vec<(Envelope, Option<Refusal>)>,
) -> Result<Taken, StoreError> {
    judge.room = messages::room(db, &judge.peer)?;
    let mut taken = Taken { no_room_for: judge.no_room_for, ..Taken::default() };
    for (envelope, refusal) in batch {
        let (id, digest) = (envelope.header().id, envelope.digest());
        let (state, reason) = take_one(db, &mut judge, &mut taken, envelope, refusal)?;
        taken.entries.push(entry(id, digest, state, reason.as_deref(), judge.now));
    }
    Ok(taken)
}

type Said = (ReceiptState, Option<String>);

fn take_one(
    db: &Connection,
    judge: &mut Judge,
    taken: &mut Taken,
    envelope: Envelope,
    refusal: Option<Refusal>,
) -> Result<Said, StoreError> {
    let id = envelope.header().id;
    if let Some(before) = messages::arrival(db, &judge.peer, &id)? {
        return again(db, judge, &envelope, before);
    }
    if let Some(refusal) = refusal {
        return Ok((ReceiptState::Refused, Some(refusal.to_string())));
    }
    let size = u64::try_from(envelope.bytes().len()).unwrap_or(u64::MAX);
    let its_turn = taken.no_room_for.is_none_or(|first| first == id);
    if !its_turn || !judge.room.take(size) {
        taken.no_room_for = Some(taken.no_room_for.unwrap_or(id));
        return Ok((ReceiptState::Busy, None));
    }
    let said = match gate::incoming(envelope, &judge.approver, judge.now) {
        Incoming::Allowed(approved) => {
            arrive(db, judge, approved.item(), MessageState::Accepted)?;
            taken.answered.extend(answers(db, judge, approved.item())?);
            taken.arrived.push(id);
            ReceiptState::Accepted
        }
        Incoming::Asked(..) if judge.payloads_left == 0 => {
            taken.no_room_for = Some(id);
            return Ok((ReceiptState::Busy, None));
        }
        Incoming::Asked(envelope, reasons) => {
            judge.payloads_left -= 1;
            arrive(db, judge, &envelope, MessageState::HeldByPeer)?;
            let row = held_row(What::MessageIn, envelope, reasons, judge.now);
            pending::put(db, &row)?;
            taken.held.push(row);
            ReceiptState::HeldByPeer
        }
    };
    taken.no_room_for = None;
    Ok((said, None))
}

/// A message that has arrived before is acknowledged again and stored once.
fn again(
    db: &Connection,
    judge: &Judge,
    envelope: &Envelope,
    before: Arrival,
) -> Result<Said, StoreError> {
    if before.digest != envelope.digest() {
        let what = format!("another message under the id {}", envelope.header().id);
        let event = audit::Event::refused(what, Some(judge.peer));
        store::audit::append(db, judge.now, &event)?;
        return Ok((ReceiptState::Refused, Some("another message has this id".to_owned())));
    }
    let said = match before.state {
        MessageState::HeldByPeer => ReceiptState::HeldByPeer,
        MessageState::Accepted => ReceiptState::Accepted,
        MessageState::Read | MessageState::Replied => ReceiptState::Read,
        MessageState::Refused => ReceiptState::Refused,
        MessageState::Held
        | MessageState::Queued
        | MessageState::Delivered
        | MessageState::Denied
        | MessageState::Expired => ReceiptState::Delivered,
    };
    Ok((said, before.reason))
}

/// The inbox row, its history, the duplicate row and the audit record, in one transaction.
fn arrive(
    db: &Connection,
    judge: &Judge,
    envelope: &Envelope,
    state: MessageState,
) -> Result<(), StoreError> {
    let number = messages::add(db, envelope, false, state, judge.now)?;
    for state in [MessageState::Delivered, state] {
        let step = HistoryRow { state, at: judge.now, reason: None };
        messages::add_history(db, number, &step, None)?;
    }
    let header = envelope.header();
    let arrival = Arrival { digest: envelope.digest(), state, reason: None };
    let forget = header.expires.plus(limits::DUPLICATE_KEPT);
    messages::put_arrival(db, &judge.peer, &header.id, &arrival, forget)?;
    let event = audit::Event::Arrived {
        message: header.id.to_string(),
        peer: judge.peer.to_string(),
        state: state.as_str().to_owned(),
        digest: envelope.digest().to_string(),
    };
    store::audit::append(db, judge.now, &event).map(drop)
}

/// A reply tells us that our message was answered.
pub(super) fn answered(
    db: &Connection,
    peer: &PeerId,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<Option<MessageId>, StoreError> {
    let Some(id) = envelope.header().reply_to else { return Ok(None) };
    let row = messages::find_sent(db, &id, peer)?;
    let Some(row) = row.filter(|row| row.state.may_become(MessageState::Replied)) else {
        return Ok(None);
    };
    let step = HistoryRow { state: MessageState::Replied, at: now, reason: None };
    messages::set_state(db, row.number, &step, None)?;
    outbox::remove_message(db, peer, &id)?;
    Ok(Some(id))
}

fn answers(
    db: &Connection,
    judge: &Judge,
    envelope: &Envelope,
) -> Result<Option<MessageId>, StoreError> {
    answered(db, &judge.peer, envelope, judge.now)
}

/// Moves our messages as their receiver says, and keeps what it signed.
fn take_receipt(
    db: &Connection,
    peer: &PeerId,
    receipt: &Envelope,
    now: Timestamp,
) -> Result<Vec<MessageId>, StoreError> {
    let Body::Receipt(Receipt { entries }) = receipt.body() else { return Ok(Vec::new()) };
    let mut changed = Vec::new();
    for entry in entries {
        if take_entry(db, peer, entry, &receipt.header().id)? {
            changed.push(entry.id);
        }
    }
    if !changed.is_empty() {
        messages::put_receipt(db, receipt, now)?;
    }
    Ok(changed)
}

fn take_entry(
    db: &Connection,
    peer: &PeerId,
    entry: &ReceiptEntry,
    receipt: &MessageId,
) -> Result<bool, StoreError> {
    let row = messages::find_sent(db, &entry.id, peer)?;
    let Some(row) = row.filter(|row| row.digest == entry.digest) else { return Ok(false) };
    let Some(state) = MessageState::of_receipt(entry.state) else {
        messages::set_note(db, row.number, "the peer's inbox is full; it is tried again")?;
        return Ok(true);
    };
    outbox::remove_message(db, peer, &entry.id)?;
    if !row.state.may_become(state) {
        return Ok(false);
    }
    // Whatever it became, it was delivered first.
    let implied = row.state == MessageState::Queued
        && !matches!(state, MessageState::Delivered | MessageState::Refused);
    if implied {
        let step = HistoryRow { state: MessageState::Delivered, at: entry.at, reason: None };
        messages::add_history(db, row.number, &step, Some(receipt))?;
    }
    let step = HistoryRow { state, at: entry.at, reason: entry.reason.clone() };
    messages::set_state(db, row.number, &step, Some(receipt))?;
    store::audit::append(db, entry.at, &audit::Event::moved(entry.id, state.as_str()))?;
    Ok(true)
}
