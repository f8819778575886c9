//! What arrives over a link: messages, receipts, acknowledgements.

pub(super) mod answers;
mod again;
mod early;
mod receipts;
mod refused;

use rusqlite::Connection;

#[cfg(test)]
use super::planted::skip_duplicate;
use super::{
    api::Event,
    clock,
    grants::{Fitting, note_use},
    judge::{PeerFacts, Times, count, verdict},
    outbound::entry,
    reach::skew_ms,
    refusals::Attempt,
    roster::whose,
    state::{Came, Intake, Judged, Node, Then},
    views::prefix,
    witness::take_heads,
    written::held_row,
};
#[cfg(test)]
use crate::base::planted::{Bug, planted};
use crate::{
    audit,
    base::{
        ApproverId, GrantId, MessageId, PeerId, SessionName, Timestamp,
        failpoint::{Failpoint, Fault, is_planted, reach},
        limits,
    },
    delivery::{
        MessageState,
        inbox::{self, Refusal, Room, Turn},
        outbox::Input,
    },
    gate::{self, Approved, Bench, Incoming, Looked, Rules, Ruling, What},
    net::{Inbound, LinkId, Outbound, code},
    policy::Reason,
    store::{
        self, StoreError, grants,
        messages::{self, Arrival, HistoryRow},
        pending::{self, PendingRow},
        sessions::Introduced,
        verdicts,
    },
    wire::{
        Body, Direction, Envelope, Kind, ReceiptState, SignedGrant, WireError,
        message::{Receipt, ReceiptEntry},
    },
};
use receipts::take_receipt;

/// What one transaction made of a batch.
#[derive(Default)]
struct Taken {
    entries: Vec<ReceiptEntry>,
    arrived: Vec<(MessageId, Option<SessionName>)>,
    answered: Vec<MessageId>,
    held: Vec<PendingRow>,
    granted: Vec<GrantId>,
    /// How many count for a rate.
    counted: usize,
    /// A refusal was noted.
    noted: bool,
    /// So many were not.
    left_out: u64,
    turn: Turn,
}

/// A message that was looked at, and why it is not to be taken where that is plain from itself.
type Seen = (Looked, Option<Refusal>);

/// What a batch is judged by.
struct Judge {
    peer: PeerId,
    approver: ApproverId,
    /// Our own human, and what they signed for this peer.
    human: Option<ApproverId>,
    grants: Vec<Fitting<SignedGrant>>,
    rules: Rules,
    facts: PeerFacts,
    /// When messages of this peer came before.
    recent: Times,
    now: Timestamp,
    /// The sessions that are open, where a message names one.
    open: Vec<Introduced>,
    room: Room,
    payloads_left: usize,
    /// A refusal goes into the audit log, with how many before it did not: not each one, or a peer
    /// could fill the disk.
    note_refusal: Option<u64>,
}

impl Intake {
    /// A data frame came. Numbers have no gaps, and nobody sends more than the window.
    fn add(&mut self, came: Came) -> Result<(), WireError> {
        if came.seq != self.seq + 1 {
            return Err(WireError::field("seq", "is not the next"));
        }
        if self.waiting.len() >= limits::IN_FLIGHT_MESSAGES_MAX {
            return Err(WireError::field("seq", "is beyond what may be unacknowledged"));
        }
        self.seq = came.seq;
        self.waiting.push_back(came);
        Ok(())
    }

    /// The next batch and its last number, unless one is being written.
    fn next(&mut self) -> Option<(Vec<Judged>, u64)> {
        if self.closed || self.taking {
            return None;
        }
        let count = self.waiting.len().min(limits::NET_BATCH_FRAMES);
        let came: Vec<Came> = self.waiting.drain(..count).collect();
        let upto = came.last()?.seq;
        self.taking = true;
        Some((came.into_iter().filter_map(|came| came.message).collect(), upto))
    }
}

impl Node {
    /// Takes frames in their order.
    pub(super) fn on_frames(&mut self, peer: PeerId, link: LinkId, frames: Vec<Inbound>) {
        if self.intake(&peer, link).is_none_or(|intake| intake.closed) {
            return;
        }
        for frame in frames {
            let done = match frame {
                Inbound::Data { seq, envelope } => {
                    envelope.and_then(|envelope| self.on_data(&peer, link, (seq, *envelope)))
                }
                Inbound::Ack { upto, receipt } => self.on_ack(&peer, link, upto, receipt),
            };
            if let Err(error) = done {
                return self.protocol_error(&peer, link, &error.to_string());
            }
        }
        self.take(peer, link);
    }

    /// What came over this link, while it is the one that is up with a trusted peer.
    fn intake(&mut self, peer: &PeerId, link: LinkId) -> Option<&mut Intake> {
        self.trusted(peer)?;
        let entry = self.peers.get_mut(peer).filter(|entry| entry.link == Some(link))?;
        Some(&mut entry.intake)
    }

    /// A receipt is read at once; a message joins those that wait to be written.
    fn on_data(
        &mut self,
        peer: &PeerId,
        link: LinkId,
        (seq, envelope): (u64, Envelope),
    ) -> Result<(), WireError> {
        let refusal = inbox::check(&envelope, &self.id, peer, clock::now()).err();
        match refusal {
            Some(Refusal::NotForMe | Refusal::NotTheSender) => {
                return Err(WireError::field("envelope", "is not from this peer to this node"));
            }
            Some(Refusal::Expired) | None => {}
        }
        let message = if envelope.header().kind == Kind::Receipt {
            self.on_receipt(*peer, (link, false), envelope);
            None
        } else {
            Some((envelope, refusal))
        };
        self.intake(peer, link).map_or(Ok(()), |intake| intake.add(Came { seq, message }))
    }

    fn on_ack(
        &mut self,
        peer: &PeerId,
        link: LinkId,
        upto: u64,
        receipt: Option<Result<Box<Envelope>, WireError>>,
    ) -> Result<(), WireError> {
        if let Some(receipt) = receipt {
            let receipt = *receipt?;
            let ours = inbox::check(&receipt, &self.id, peer, clock::now()).is_ok();
            if !ours || receipt.header().kind != Kind::Receipt {
                return Err(WireError::field("receipt", "is not from this peer to this node"));
            }
            if let Some(entry) = self.peers.get_mut(peer) {
                // It was signed a moment ago.
                entry.skew_ms = Some(skew_ms(receipt.header().created, clock::now()));
            }
            if let Body::Receipt(Receipt { entries, .. }) = receipt.body() {
                let busy = entries.iter().find(|entry| entry.state == ReceiptState::Busy);
                if let Some(id) = busy.map(|entry| entry.id) {
                    self.feed(peer, Input::Busy(id));
                }
            }
            self.on_receipt(*peer, (link, true), receipt);
        }
        reach(Failpoint::AckTake);
        self.feed(peer, Input::Acked(upto));
        Ok(())
    }

    /// Looks at a batch, writes it in one transaction, and acknowledges it with one signed receipt.
    fn take(&mut self, peer: PeerId, link: LinkId) {
        let Some(intake) = self.intake(&peer, link) else { return };
        let Some((batch, upto)) = intake.next() else { return };
        let scanner = self.rules.scanner.clone();
        let look = move |batch: Vec<Judged>| -> Vec<Seen> {
            let looked = |(envelope, refusal)| (Looked::at(envelope, &scanner), refusal);
            batch.into_iter().map(looked).collect()
        };
        let bytes: usize = batch.iter().map(|(envelope, _)| envelope.bytes().len()).sum();
        let at_once = bytes <= limits::LOOK_AT_ONCE_BYTES;
        // A simulation has no other thread.
        #[cfg(test)]
        let at_once = at_once || clock::simulated::is_on();
        if at_once {
            return self.write_batch(peer, (link, upto), look(batch));
        }
        // Elsewhere: neither the node nor the disk waits for it.
        let looked = tokio::task::spawn_blocking(move || look(batch));
        self.reads.push(Box::pin(async move {
            let looked = looked.await;
            Box::new(move |node: &mut Self| match looked {
                Ok(batch) => node.write_batch(peer, (link, upto), batch),
                Err(_) => node.not_stored(&peer, link, &StoreError::Closed),
            }) as Then
        }));
    }

    fn write_batch(&mut self, peer: PeerId, (link, upto): (LinkId, u64), batch: Vec<Seen>) {
        // Trust, or the link, may have ended meanwhile.
        let Some(approver) = self.trusted(&peer).map(|(_, approver)| approver) else { return };
        let Some(turn) = self.intake(&peer, link).map(|intake| intake.turn) else { return };
        let now = clock::now();
        let names = |(looked, _): &Seen| looked.envelope().header().session.is_some();
        let open = if batch.iter().any(names) { self.handle.introduced() } else { Vec::new() };
        let judge = Judge {
            peer,
            approver,
            human: self.approver,
            grants: self.grants_in(&peer, now),
            rules: self.rules.clone(),
            facts: self.facts(&peer),
            recent: self.recent.times(&peer, Direction::In),
            now,
            open,
            room: Room::default(),
            payloads_left: 0,
            note_refusal: self.refusals.would((Attempt::Message, Some(peer)), now),
        };
        if is_planted(Fault::AckEarly) {
            self.acknowledge_early(peer, (link, upto), &batch);
        }
        #[cfg(test)]
        self.receipt_early(peer, (link, upto), batch.iter().map(|(looked, _)| looked));
        let op = move |db: &Connection| {
            early::wait_for_disk();
            reach(Failpoint::TakeWrite);
            take_all(db, judge, turn, batch)
        };
        self.write(op, move |node, done| match done {
            Err(error) => node.not_stored(&peer, link, &error),
            Ok(taken) => node.taken(peer, (link, upto), taken),
        });
    }

    /// Nothing is acknowledged, and nothing behind it is taken: the sender keeps all of it and
    /// sends it again on the next link.
    fn not_stored(&mut self, peer: &PeerId, link: LinkId, error: &StoreError) {
        tracing::error!(%error, "what arrived could not be stored");
        self.stop_listening(peer, link);
        self.net.close(peer, link, code::BYE);
    }

    /// Closes a link whose other side does not keep to the protocol.
    fn protocol_error(&mut self, peer: &PeerId, link: LinkId, problem: &str) {
        tracing::warn!(peer = %peer.short(), problem, "protocol error");
        self.refused(Attempt::Protocol, format!("a link: protocol error: {problem}"), Some(*peer));
        self.stop_listening(peer, link);
        self.net.close(peer, link, code::PROTOCOL);
    }

    fn stop_listening(&mut self, peer: &PeerId, link: LinkId) {
        if let Some(intake) = self.intake(peer, link) {
            intake.closed = true;
            intake.waiting.clear();
        }
    }

    fn taken(&mut self, peer: PeerId, (link, upto): (LinkId, u64), taken: Taken) {
        let now = clock::now();
        let receipt = if taken.entries.is_empty() {
            None
        } else {
            reach(Failpoint::TakeWritten);
            self.receipt(peer, self.acknowledging(&peer, taken.entries), now)
        };
        if self.net.send(&peer, link, Outbound::Ack { upto, receipt }).is_err() {
            tracing::debug!(peer = %peer.short(), "an acknowledgement found no link");
        }
        reach(Failpoint::TakeAcked);
        if let Some(intake) = self.intake(&peer, link) {
            intake.turn = taken.turn;
            intake.taking = false;
        }
        let key = (Attempt::Message, Some(peer));
        if taken.noted {
            self.refusals.noted(key, now);
        }
        self.refusals.left_out(key, taken.left_out);
        for _ in 0..taken.counted {
            self.recent.note(peer, Direction::In, now);
        }
        self.take(peer, link);
        #[cfg(test)]
        self.audit_later(&peer, taken.arrived.iter().map(|(id, _)| *id).collect());
        let from = self.name_of(&peer);
        for (id, session) in taken.arrived {
            let (message, from) = (id.to_string(), from.clone());
            self.handle.tell(Event::Arrived { message, from, session });
        }
        for id in taken.granted {
            self.count_use(id);
        }
        for id in taken.answered {
            self.handle.tell(Event::MessageChanged { message: id.to_string() });
        }
        // When trust ended meanwhile, what was to be asked is no more.
        if !taken.held.is_empty() && self.trusted(&peer).is_some() {
            self.pending.extend(taken.held.into_iter().map(|row| (row.id, row)));
            self.pending_changed();
        }
    }

    /// Writes down what a peer says of our messages; of the two audit chains, where it was signed a
    /// moment ago, for an acknowledgement.
    fn on_receipt(&mut self, peer: PeerId, (link, is_new): (LinkId, bool), receipt: Envelope) {
        let now = clock::now();
        reach(Failpoint::ReceiptWrite);
        let op = move |db: &Connection| {
            if messages::is_other_receipt(db, &receipt)? {
                tracing::warn!(peer = %peer.short(), "a receipt has the id of another one; it is not taken");
                return Ok((Vec::new(), None));
            }
            let changed = take_receipt(db, &peer, &receipt, now)?;
            let heads = if is_new { take_heads(db, &peer, &receipt, now)? } else { None };
            Ok((changed, heads))
        };
        self.write(op, move |node, done| match done {
            // It must not be acknowledged with what comes behind it.
            Err(error) => node.not_stored(&peer, link, &error),
            Ok((changed, heads)) => {
                reach(Failpoint::ReceiptWritten);
                if let Some(witness) = heads {
                    node.witnessed(&peer, &witness);
                }
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
    turn: Turn,
    batch: Vec<Seen>,
) -> Result<Taken, StoreError> {
    judge.room = messages::room(db, &judge.peer)?;
    let (of_peer, all) = pending::payloads(db, &judge.peer)?;
    judge.payloads_left = limits::PENDING_PAYLOADS_MAX
        .saturating_sub(all)
        .min(limits::PENDING_PAYLOADS_PER_PEER_MAX.saturating_sub(of_peer));
    #[cfg(test)]
    if planted(Bug::PendingUnbounded) {
        judge.payloads_left = usize::MAX;
    }
    let mut taken = Taken { turn, ..Taken::default() };
    for (looked, refusal) in batch {
        let envelope = looked.envelope();
        let (id, digest) = (envelope.header().id, envelope.digest());
        let (state, reason) = take_one(db, &mut judge, &mut taken, looked, refusal)?;
        if state == ReceiptState::Busy {
            taken.turn.no_room(&id);
        } else {
            taken.turn.done(&id);
        }
        taken.entries.push(entry(id, digest, state, reason.as_deref(), judge.now));
    }
    Ok(taken)
}

impl Judge {
    fn judge(&self, looked: Looked) -> Incoming {
        let recent = |window| count(&self.recent, window, self.now);
        let bench = Bench { rules: &self.rules, peer: self.facts.peer(), recent: &recent };
        gate::incoming(looked, &self.approver, &bench, self.now)
    }

    /// One more is stored, which counts for the rates. What had no room comes again, and would
    /// count each time.
    fn count(&mut self, taken: &mut Taken) {
        self.recent.push_back(self.now);
        taken.counted += 1;
    }
}

/// What a sender hears of it.
const REFUSED_BY_POLICY: &str = "the receiver's policy does not take such a message";

type Said = (ReceiptState, Option<String>);

fn take_one(
    db: &Connection,
    judge: &mut Judge,
    taken: &mut Taken,
    looked: Looked,
    refusal: Option<Refusal>,
) -> Result<Said, StoreError> {
    let envelope = looked.envelope();
    let id = envelope.header().id;
    #[cfg(test)]
    skip_duplicate(db, &id)?;
    let before = messages::arrival(db, &judge.peer, &id)?;
    if let Some(before) = before.filter(|_| !is_planted(Fault::ForgetArrivals)) {
        return again::again(db, judge, envelope, before);
    }
    if messages::find_sent(db, &id, &judge.peer)?.is_some() {
        return refused::ours(db, judge, taken, &id);
    }
    if let Some(refusal) = refusal {
        refused::note(db, judge, taken, &format!("message {id}: {refusal}"))?;
        return Ok((ReceiptState::Refused, Some(refusal.to_string())));
    }
    let size = u64::try_from(envelope.bytes().len()).unwrap_or(u64::MAX);
    if !taken.turn.is_of(&id) || !judge.room.take(size) {
        return Ok((ReceiptState::Busy, None));
    }
    let judged = judge.judge(looked);
    match judged {
        Incoming::Allowed(approved, ruling) => {
            judge.count(taken);
            let verdict = verdict("allow", &ruling, &judge.rules);
            let (number, session) = arrive(db, judge, approved.item(), MessageState::Accepted)?;
            verdicts::set_verdict(db, number, &verdict)?;
            taken.answered.extend(answers::answers(db, judge, approved.item())?);
            taken.arrived.push((id, session));
            Ok((ReceiptState::Accepted, None))
        }
        Incoming::Asked(envelope, ruling) => ask(db, judge, taken, (envelope, ruling)),
        Incoming::Refused(envelope, ruling) => refuse(db, judge, taken, (&envelope, &ruling)),
    }
}

/// A grant lets it in, or our human is asked.
fn ask(
    db: &Connection,
    judge: &mut Judge,
    taken: &mut Taken,
    (envelope, ruling): (Envelope, Ruling),
) -> Result<Said, StoreError> {
    if let Some((grant, approved)) = by_grant(db, judge, &envelope, &ruling.reasons)? {
        judge.count(taken);
        let (number, session) = arrive(db, judge, approved.item(), MessageState::Accepted)?;
        verdicts::set_verdict(db, number, &verdict("grant", &ruling, &judge.rules))?;
        note_use(db, (&grant, number), approved.item(), judge.now)?;
        taken.answered.extend(answers::answers(db, judge, approved.item())?);
        taken.arrived.push((approved.item().header().id, session));
        taken.granted.push(grant);
        return Ok((ReceiptState::Accepted, None));
    }
    if judge.payloads_left == 0 {
        #[cfg(test)]
        if planted(Bug::BusyAcknowledged) {
            return Ok((ReceiptState::Accepted, None));
        }
        return Ok((ReceiptState::Busy, None));
    }
    judge.payloads_left -= 1;
    judge.count(taken);
    let (number, _) = arrive(db, judge, &envelope, MessageState::HeldByPeer)?;
    verdicts::set_verdict(db, number, &verdict("ask", &ruling, &judge.rules))?;
    let row = held_row(What::MessageIn, envelope, ruling.reasons, judge.now);
    pending::put(db, &row)?;
    taken.held.push(row);
    Ok((ReceiptState::HeldByPeer, None))
}

/// The policy does not take it. Its sender learns so; it is not stored, and the same message sent
/// again is judged again.
fn refuse(
    db: &Connection,
    judge: &mut Judge,
    taken: &mut Taken,
    (envelope, ruling): (&Envelope, &Ruling),
) -> Result<Said, StoreError> {
    let what = format!("message {} by {}", envelope.header().id, ruling.rule);
    refused::note(db, judge, taken, &what)?;
    let why = ruling.reasons.first().filter(|_| ruling.rule == gate::REQUIRE);
    let why = why.map_or(REFUSED_BY_POLICY, |reason| &reason.text);
    let why = prefix(why, limits::REASON_BYTES_MAX).to_owned();
    Ok((ReceiptState::Refused, Some(why)))
}

/// The first grant of our human's that covers a message and has room.
fn by_grant(
    db: &Connection,
    judge: &Judge,
    envelope: &Envelope,
    reasons: &[Reason],
) -> Result<Option<(GrantId, Approved<Envelope>)>, StoreError> {
    let Some(human) = &judge.human else { return Ok(None) };
    for (room, signed) in &judge.grants {
        let keys = (signed, human);
        let at = (&judge.rules.scanner, judge.now);
        let admitted = gate::admit_by_grant(envelope.clone(), reasons, keys, at);
        if let Ok(approved) = admitted
            && grants::has_room(db, room, judge.now)?
        {
            return Ok(Some((room.id, approved)));
        }
    }
    Ok(None)
}

/// The inbox row, its history, the duplicate row and the audit record, in one transaction.
fn arrive(
    db: &Connection,
    judge: &Judge,
    envelope: &Envelope,
    state: MessageState,
) -> Result<(i64, Option<SessionName>), StoreError> {
    let session = whose(db, envelope, &judge.open, judge.now)?;
    let number = messages::add(db, envelope, false, state, judge.now)?;
    messages::set_session(db, number, session.as_ref())?;
    for state in [MessageState::Delivered, state] {
        let step = HistoryRow { state, at: judge.now, reason: None };
        messages::add_history(db, number, &step, None)?;
    }
    let header = envelope.header();
    let arrival = Arrival { digest: envelope.digest(), state, reason: None };
    let forget = header.expires.plus(limits::DUPLICATE_KEPT);
    #[cfg(test)]
    let forget = if planted(Bug::ArrivalsForgotten) { judge.now } else { forget };
    messages::put_arrival(db, &judge.peer, &header.id, &arrival, forget)?;
    #[cfg(test)]
    if planted(Bug::AuditApart) {
        return Ok((number, session));
    }
    let event = audit::Event::Arrived {
        message: header.id.to_string(),
        peer: judge.peer.to_string(),
        state: state.as_str().to_owned(),
        digest: envelope.digest().to_string(),
    };
    store::audit::append(db, judge.now, &event)?;
    Ok((number, session))
}

#[cfg(test)]
mod tests;
