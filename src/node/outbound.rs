//! Messages and receipts on their way out.

use rusqlite::Connection;

#[cfg(test)]
use crate::base::planted::{Bug, planted};

use super::{
    agent::{in_inbox, no_message, parse_opt, waits_for_human},
    api::{ApiError, ErrorKind, FindingInfo, Reply, SendRequest},
    clock,
    judge::{keep_shown, outgoing_again, verdict},
    recheck::held_back,
    resend,
    state::{Answer, Node, reply, store_failed, usage},
    written::{Ready, Sending, Written, held_row, new_sent, write_outgoing},
};
use crate::{
    audit,
    base::{
        Digest, MessageId, MessageText, PeerId, SessionName, ThreadId, Timestamp,
        failpoint::{Failpoint, Fault, is_planted, reach},
        limits,
    },
    delivery::{
        MessageState,
        outbox::{Effect, Input, Queued},
    },
    gate::{Approved, Refused, Ruling, What, taint::Act},
    net::{LinkId, Outbound, code},
    store::{
        self, StoreError,
        messages::{self, Arrival, HistoryRow, MessageRow},
        outbox,
        pending::{self, PendingRow},
        sessions,
    },
    trust::PeerState,
    wire::{
        Body, Direction, Draft, Envelope, Header, Kind, Receipt, ReceiptState, WireError,
        message::ReceiptEntry,
    },
};

/// What a new message is about, once everything was parsed.
pub(super) struct Plan {
    to: PeerId,
    /// Which session of the peer's it is for.
    named: Option<SessionName>,
    /// Which session of ours sends it.
    by: Option<SessionName>,
    kind: Kind,
    text: MessageText,
    thread: Option<ThreadId>,
    reply_to: Option<MessageId>,
    expires: Timestamp,
    /// Our human wrote it.
    human: bool,
    /// What the agent asked for.
    request: Digest,
}

/// Messages that an agent is shown whole.
pub(super) struct Reading {
    pub(super) rows: Vec<MessageRow>,
    /// Which session reads.
    pub(super) session: Option<SessionName>,
    /// Which of them that session has not seen before, by their numbers.
    pub(super) unseen: Vec<i64>,
}

impl Plan {
    /// The same, written by our human.
    pub(super) fn by_human(self) -> Self {
        Self { human: true, ..self }
    }
}

impl Node {
    /// Sends a message: durable before the answer.
    pub(super) fn send(&mut self, request: &SendRequest, by: Option<SessionName>, answer: Answer) {
        self.with_plan(request, answer, |node, plan, answer| {
            node.send_plan(Plan { by, ..plan }, answer);
        });
    }

    /// Parses a request, looks up what it answers, and goes on.
    pub(super) fn with_plan(
        &mut self,
        request: &SendRequest,
        answer: Answer,
        then: impl FnOnce(&mut Self, Plan, Answer) + Send + 'static,
    ) {
        let plan = match self.plan(request) {
            Ok(plan) => plan,
            Err(error) => return reply(answer, Err(error)),
        };
        let Some(id) = plan.reply_to else { return then(self, plan, answer) };
        self.read(
            move |db| messages::find(db, &id),
            move |node, found| match found {
                Ok(Some(row)) if !row.outgoing && !in_inbox(row.state) => {
                    reply(answer, Err(waits_for_human()));
                }
                Ok(Some(row)) if row.peer == plan.to => {
                    let thread = Some(plan.thread.unwrap_or(row.thread));
                    then(node, Plan { thread, ..plan }, answer);
                }
                Ok(Some(_)) => {
                    let message =
                        format!("message {id} is not from or to {}", node.name_of(&plan.to));
                    let next = "reply to the peer that sent it";
                    reply(answer, Err(ApiError::new(ErrorKind::Usage, message, next)));
                }
                Ok(None) => reply(answer, Err(no_message(&id))),
                Err(error) => reply(answer, Err(store_failed(&error))),
            },
        );
    }

    fn plan(&self, request: &SendRequest) -> Result<Plan, ApiError> {
        let (to, named) = self.find_address(&request.to)?;
        self.need_trusted(&to)?;
        self.may_name(&to, named.as_ref())?;
        let text = MessageText::parse(&request.text)
            .map_err(|e| usage(e, "split a longer text into several messages"))?;
        let ids = "copy the id from a message";
        let reply_to = parse_opt(request.reply_to.as_deref(), ids)?;
        let thread = parse_opt(request.thread.as_deref(), ids)?;
        let longest = limits::EXPIRY_MAX.as_secs() / 3600;
        let hours = request.expires_hours.unwrap_or(limits::EXPIRY_DEFAULT.as_secs() / 3600);
        if !(1..=longest).contains(&hours) {
            let message = format!("expires_hours is {hours}; it goes from 1 to {longest}");
            return Err(usage(message, "choose a number in between"));
        }
        let expires = clock::now().plus(std::time::Duration::from_secs(hours * 3600));
        let kind = match (&reply_to, request.request) {
            (_, true) => Kind::Request,
            (Some(_), false) => Kind::Reply,
            (None, false) => Kind::Text,
        };
        let request = resend::digest((&to, named.as_ref()), request, hours);
        let (by, human) = (None, false);
        Ok(Plan { to, named, by, kind, text, thread, reply_to, expires, human, request })
    }

    pub(super) fn need_trusted(&self, peer: &PeerId) -> Result<(), ApiError> {
        let name = self.name_of(peer);
        let state = self.peers.get(peer).map_or(PeerState::Revoked, |entry| entry.state);
        let (kind, next) = match state {
            PeerState::Trusted => return Ok(()),
            PeerState::Requested => {
                let next = "both humans have to approve first; yours: countersign pending, or \
                            countersign page";
                (ErrorKind::WaitsForHuman, next.to_owned())
            }
            PeerState::Incoming => {
                let next = "your human decides: countersign pending, or countersign page";
                (ErrorKind::WaitsForHuman, next.to_owned())
            }
            PeerState::Revoked | PeerState::Blocked => {
                (ErrorKind::Refused, "connect again with a new invite of theirs".to_owned())
            }
        };
        let message = format!("{name} is {}, not trusted; nothing was sent", state.as_str());
        Err(ApiError::new(kind, message, next))
    }

    fn send_plan(&mut self, plan: Plan, answer: Answer) {
        // Trust may have ended while the message that this answers was looked up.
        if let Err(error) = self.need_trusted(&plan.to) {
            return reply(answer, Err(error));
        }
        let (now, to, reply_to, request) = (clock::now(), plan.to, plan.reply_to, plan.request);
        let by = plan.by.clone();
        let sealed = self.seal(plan, now);
        let ready = sealed.and_then(|envelope| self.ask_policy(envelope, now));
        let (ready, findings) = match ready {
            Ok(ready) => ready,
            Err(error) => return reply(answer, Err(error)),
        };
        #[cfg(test)]
        let answer = super::planted::answer_early(&ready, answer);
        #[cfg(test)]
        self.send_early(&to, &ready);
        let may_hold = !matches!(ready, Ready::Queue(..));
        reach(Failpoint::SendWrite);
        let write = move |db: &Connection| {
            if let Some(earlier) = resend::earlier(db, &request, now)? {
                return Ok(Sending::Earlier(earlier));
            }
            if outbox::waiting(db, &to)? >= limits::OUTBOX_MESSAGES_MAX {
                return Ok(Sending::Full(outbox_full()));
            }
            let (_, payloads) = pending::payloads(db, &to)?;
            if may_hold && payloads >= limits::PENDING_PAYLOADS_MAX {
                return Ok(Sending::Full(payloads_full(payloads)));
            }
            let written = write_outgoing(db, ready, (Some(&request), by.as_ref()), now)?;
            // What is held is no answer yet: our human may say no.
            let leaves = written.queued.is_some().then_some(now);
            mark_replied(db, reply_to, &to, by.as_ref(), leaves)?;
            Ok(Sending::Written(written))
        };
        self.write(write, move |node, done| match done {
            Ok(Sending::Written(written)) => {
                reach(Failpoint::SendWritten);
                reply(answer, Ok(Reply::Send(new_sent(&written, findings))));
                reach(Failpoint::SendAnswered);
                node.sent(&to, written);
            }
            Ok(Sending::Earlier(earlier)) => {
                reply(answer, earlier.answer(findings).map(Reply::Send));
            }
            Ok(Sending::Full(full)) => reply(answer, Err(full)),
            Err(error) => reply(answer, Err(store_failed(&error))),
        });
    }

    /// What follows once a new message is on disk.
    pub(super) fn sent(&mut self, to: &PeerId, written: Written) {
        if let Some(grant) = written.granted {
            self.count_use(grant);
        }
        #[cfg(test)]
        self.held_leaves(to, written.held.as_ref());
        // While they pair anew it waits all the same.
        let goes_on = self.peers.get(to).is_some_and(|entry| !entry.state.is_ended());
        if let Some(row) = written.held.filter(|_| goes_on) {
            self.pending.insert(row.id, row);
            self.pending_changed();
        }
        if let Some(queued) = written.queued {
            self.feed(to, Input::Queued(queued));
        }
    }

    pub(super) fn seal(&self, plan: Plan, now: Timestamp) -> Result<Envelope, ApiError> {
        let header = Header {
            kind: plan.kind,
            id: MessageId::from_bytes(clock::random()),
            sender: self.id,
            recipient: plan.to,
            created: now,
            expires: plan.expires,
            thread: Some(plan.thread.unwrap_or_else(|| ThreadId::from_bytes(clock::random()))),
            reply_to: plan.reply_to,
            human: plan.human,
            session: plan.named,
        };
        let draft = Draft { header, body: Body::Text(plan.text) };
        draft.seal(&self.key).map_err(|e| usage(e, "shorten the text"))
    }

    fn ask_policy(
        &mut self,
        envelope: Envelope,
        now: Timestamp,
    ) -> Result<(Ready, Vec<FindingInfo>), ApiError> {
        let to = envelope.header().recipient;
        let bytes = envelope.body().text().map_or(0, |text| text.as_str().len());
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let sources = self.read_before(Act::Send { to, bytes });
        if sources.len() > limits::TAINT_SOURCES_MAX {
            let message =
                "your agent has read texts of too many peers to name them in one question";
            let next = "your human runs `countersign taint clear`";
            return Err(ApiError::new(ErrorKind::WaitsForHuman, message, next));
        }
        let further = self.taint_reason(&sources, &to).into_iter();
        let further = further.chain(self.required_reason(&envelope)).collect();
        let ruling = match self.judge_out(envelope.clone(), further) {
            Ok((approved, ruling)) => {
                // Counted at once: what is asked for in one breath counts too.
                self.recent.note(to, Direction::Out, now);
                let verdict = verdict("allow", &ruling, &self.rules);
                return Ok((Ready::Queue(approved, verdict), Vec::new()));
            }
            Err(Refused::Asked(ruling)) => ruling,
            Err(Refused::Denied(ruling)) => return Err(denied(&ruling)),
            Err(Refused::Wrong(error)) => {
                return Err(usage(error, "send it without saying who wrote it"));
            }
        };
        let findings = ruling.reasons.iter().map(FindingInfo::from).collect();
        let granted = self.granted_out(&envelope, &ruling.reasons, now);
        if !granted.is_empty() {
            self.recent.note(to, Direction::Out, now);
        }
        let word = if granted.is_empty() { "ask" } else { "grant" };
        let verdict = verdict(word, &ruling, &self.rules);
        let row = held_row(What::MessageOut, envelope.clone(), ruling.reasons, now);
        let row = PendingRow { after: sources, ..row };
        let ready = if granted.is_empty() {
            Ready::Hold(envelope, row, verdict)
        } else {
            Ready::Granted(granted, row, verdict)
        };
        Ok((ready, findings))
    }

    /// Gives one peer's outbox machine an input, and does what it says.
    pub(super) fn feed(&mut self, peer: &PeerId, input: Input) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        let link = entry.link;
        let effects = entry.outbox.handle(input, clock::moment());
        match entry.outbox.next_due() {
            Some(at) => self.outboxes_due.insert(*peer, at),
            None => self.outboxes_due.remove(peer),
        };
        for effect in effects {
            match effect {
                Effect::Transmit(seq, envelope) => self.transmit(peer, link, seq, envelope),
                Effect::Load { ask, after, limit } => self.load(*peer, (ask, after), limit),
                Effect::Expire => self.expire(clock::now()),
                Effect::Renew => link.into_iter().for_each(|l| self.net.close(peer, l, code::BYE)),
                Effect::Settle(number) => {
                    // A row that stays is sent once more, and acknowledged once more.
                    reach(Failpoint::SendSettle);
                    self.write(move |db| outbox::remove(db, number), |_, _| ());
                }
            }
        }
    }

    fn transmit(
        &self,
        peer: &PeerId,
        link: Option<LinkId>,
        seq: u64,
        envelope: Approved<Envelope>,
    ) {
        let Some(link) = link else { return };
        reach(Failpoint::SendTransmit);
        if self.net.send(peer, link, Outbound::Data { seq, envelope }).is_err() {
            // The link is gone; when it is back, all that was not acknowledged is sent again.
            tracing::debug!(peer = %peer.short(), "a frame found no link");
        }
    }

    /// Reads what waits for a peer. Each row passes the gate again.
    fn load(&mut self, peer: PeerId, (ask, after): (u64, i64), limit: usize) {
        let (me, approver) = (self.id, self.approver);
        let (facts, rules) = (self.facts(&peer), self.rules.clone());
        let sessions = self.peers.get(&peer).is_some_and(|entry| entry.sessions);
        let op = move |db: &Connection| {
            let rows = outbox::after(db, &peer, after, limit)?;
            let seen = rows.last().map_or(after, |row| row.number);
            let more = rows.len() == limit;
            let mut held = Vec::new();
            let items = rows.into_iter().filter_map(|row| {
                let envelope = Envelope::decode(&row.envelope).ok()?;
                if envelope.header().recipient != peer {
                    tracing::warn!(number = row.number, "a queued message is another peer's; kept");
                    return None;
                }
                let id = envelope.header().id;
                if envelope.header().session.is_some() && !sessions {
                    held.push((id, NO_SESSIONS.to_owned()));
                    return None;
                }
                let again = outgoing_again(envelope, (&me, approver.as_ref()), &facts, &rules);
                let kept = |refused: &Refused| held.push((id, held_back(refused)));
                let envelope = again.inspect_err(kept).ok()?;
                Some(Queued { number: row.number, envelope })
            });
            let mut items: Vec<Queued> = items.collect();
            if is_planted(Fault::SendBackwards) {
                items.reverse();
            }
            #[cfg(test)]
            if planted(Bug::ResendReversed) {
                items.reverse();
            }
            Ok((Input::Loaded { ask, items, seen, more }, held))
        };
        self.read(op, move |node, loaded| {
            let (input, held) = loaded.unwrap_or((Input::LoadFailed(ask), Vec::new()));
            node.note_held(peer, held);
            node.feed(&peer, input);
        });
    }

    /// Messages are about to be shown to the agent: writes that down, marks `read` among them and
    /// queues the receipts, and only then answers.
    pub(super) fn show_messages(
        &mut self,
        shown: &[MessageRow],
        read: Reading,
        result: Reply,
        answer: Answer,
    ) {
        let theirs = shown.iter().filter(|row| !row.outgoing).map(|row| row.peer);
        let changed = self.taint_by(&theirs.collect());
        let unread = |row: &MessageRow| !row.outgoing && row.state == MessageState::Accepted;
        let Reading { rows, session, unseen } = read;
        let rows: Vec<MessageRow> = rows.into_iter().filter(unread).collect();
        if rows.is_empty() && unseen.is_empty() && changed.is_empty() {
            return reply(answer, Ok(result));
        }
        let now = clock::now();
        let receipts = self.receipts(&rows, ReceiptState::Read, None, now);
        let kept = changed.clone();
        reach(Failpoint::ShowWrite);
        let op = move |db: &Connection| {
            keep_shown(db, &changed)?;
            let step = HistoryRow { state: MessageState::Read, at: now, reason: None };
            for row in &rows {
                if messages::set_seen(db, row.number)? {
                    move_arrived(db, row, &step)?;
                }
            }
            if let Some(session) = &session {
                sessions::set_seen(db, session, &unseen)?;
            }
            queue_receipts(db, receipts)
        };
        self.write(op, move |node, done| match done {
            Err(error) => reply(answer, Err(store_failed(&error))),
            Ok(queued) => {
                reach(Failpoint::ShowWritten);
                node.kept.add(kept);
                reply(answer, Ok(result));
                node.feed_all(queued);
            }
        });
    }

    /// The same for what became of messages: a receiver may have said why, in its own words.
    pub(super) fn show_lives(
        &mut self,
        lives: &[(MessageRow, Vec<HistoryRow>)],
        result: Reply,
        answer: Answer,
    ) {
        let in_their_words = |(row, history): &&(MessageRow, Vec<HistoryRow>)| {
            let theirs = |step: &HistoryRow| step.reason.is_some() && step.state.is_peers_word();
            row.outgoing && history.iter().any(theirs)
        };
        let peers = lives.iter().filter(in_their_words).map(|(row, _)| row.peer).collect();
        let changed = self.taint_by(&peers);
        if changed.is_empty() {
            return reply(answer, Ok(result));
        }
        let kept = changed.clone();
        self.write(
            move |db| keep_shown(db, &changed),
            move |node, done| {
                if done.is_ok() {
                    node.kept.add(kept);
                }
                reply(answer, done.map(|()| result).map_err(|e| store_failed(&e)));
            },
        );
    }

    /// Receipts for messages that came in, one a peer and 256 messages.
    pub(super) fn receipts(
        &self,
        rows: &[MessageRow],
        state: ReceiptState,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Vec<Approved<Envelope>> {
        let mut by_peer: std::collections::BTreeMap<PeerId, Vec<ReceiptEntry>> =
            std::collections::BTreeMap::new();
        for row in rows.iter().filter(|row| self.trusted(&row.peer).is_some()) {
            let entry = entry(row.id, row.digest, state, reason, now);
            by_peer.entry(row.peer).or_default().push(entry);
        }
        let chunks = by_peer.iter().flat_map(|(peer, entries)| {
            entries.chunks(limits::RECEIPT_ENTRIES_MAX).map(move |chunk| (peer, chunk.to_vec()))
        });
        chunks
            .filter_map(|(peer, entries)| self.receipt(*peer, Receipt::of(entries), now))
            .collect()
    }

    /// Signs a receipt. Entries without long reasons always fit an envelope.
    pub(super) fn receipt(
        &self,
        peer: PeerId,
        receipt: Receipt,
        now: Timestamp,
    ) -> Option<Approved<Envelope>> {
        let header = Header {
            kind: Kind::Receipt,
            id: MessageId::from_bytes(clock::random()),
            sender: self.id,
            recipient: peer,
            created: now,
            expires: now.plus(limits::EXPIRY_MAX),
            thread: None,
            reply_to: None,
            human: false,
            session: None,
        };
        let sealed = Draft { header, body: Body::Receipt(receipt) }.seal(&self.key);
        let sealed = sealed.inspect_err(|error: &WireError| tracing::error!(%error, "no receipt"));
        self.judge_out(sealed.ok()?, Vec::new()).ok().map(|(approved, _)| approved)
    }

    /// Gives each peer's machine what was queued for it.
    pub(super) fn feed_all(&mut self, queued: Vec<Queued>) {
        for item in queued {
            let peer = item.envelope.item().header().recipient;
            self.feed(&peer, Input::Queued(item));
        }
    }
}

/// Why a message that names a session does not leave: its receiver would refuse it.
const NO_SESSIONS: &str = "held back: the peer's countersign does not know sessions any more";

/// One entry of a receipt.
pub(super) fn entry(
    id: MessageId,
    digest: Digest,
    state: ReceiptState,
    reason: Option<&str>,
    at: Timestamp,
) -> ReceiptEntry {
    ReceiptEntry { id, digest, state, at, reason: reason.map(str::to_owned) }
}

/// A message that came in is answered, by a session: it was seen, and when the answer `leaves`, it
/// is replied to.
pub(super) fn mark_replied(
    db: &Connection,
    id: Option<MessageId>,
    peer: &PeerId,
    by: Option<&SessionName>,
    leaves: Option<Timestamp>,
) -> Result<(), StoreError> {
    let Some(id) = id else { return Ok(()) };
    let row = messages::find_with(db, &id, peer, false)?;
    let number = row.as_ref().filter(|row| in_inbox(row.state)).map(|row| row.number);
    let shown = |row: &MessageRow| matches!(row.state, MessageState::Accepted | MessageState::Read);
    if let Some(row) = row.filter(shown) {
        messages::set_seen(db, row.number)?;
        if let Some(at) = leaves {
            let step = HistoryRow { state: MessageState::Replied, at, reason: None };
            messages::set_state(db, row.number, &step, None)?;
            let event = audit::Event::moved(id, step.state.as_str(), (peer, false));
            store::audit::append(db, at, &event)?;
        }
    }
    match by.zip(number) {
        Some((by, number)) => sessions::set_seen(db, by, &[number]),
        None => Ok(()),
    }
}

/// Brings a message that came in, and what its sender will be told again, into another state.
pub(super) fn move_arrived(
    db: &Connection,
    row: &MessageRow,
    step: &HistoryRow,
) -> Result<(), StoreError> {
    messages::set_state(db, row.number, step, None)?;
    let arrival = Arrival { digest: row.digest, state: step.state, reason: step.reason.clone() };
    let forget = row.expires.plus(limits::DUPLICATE_KEPT);
    messages::put_arrival(db, &row.peer, &row.id, &arrival, forget)?;
    let event = audit::Event::moved(row.id, step.state.as_str(), (&row.peer, false));
    store::audit::append(db, step.at, &event).map(drop)
}

/// Queues receipts, to be sent until they are acknowledged.
pub(super) fn queue_receipts(
    db: &Connection,
    receipts: Vec<Approved<Envelope>>,
) -> Result<Vec<Queued>, StoreError> {
    let queue = |envelope: Approved<Envelope>| {
        let header = envelope.item().header();
        let (peer, id) = (header.recipient, header.id);
        let number = outbox::add(db, &peer, &id, Some(envelope.item().bytes()))?;
        Ok(Queued { number, envelope })
    };
    receipts.into_iter().map(queue).collect()
}

/// The policy says no, and nobody is asked.
fn denied(ruling: &Ruling) -> ApiError {
    let why: Vec<_> = ruling.reasons.iter().map(|reason| reason.text.as_str()).collect();
    let message = format!("your human's policy denies it ({}): {}", ruling.rule, why.join("; "));
    ApiError::new(ErrorKind::Denied, message, "nothing was sent; change what you send")
}

/// A person can only look at so many payloads.
fn payloads_full(payloads: usize) -> ApiError {
    let message = format!("{payloads} payloads wait for your human already");
    let next = "your human decides: countersign pending, or countersign page";
    ApiError::new(ErrorKind::Busy, message, next)
}

pub(super) fn outbox_full() -> ApiError {
    let message = format!("{} messages wait for this peer", limits::OUTBOX_MESSAGES_MAX);
    ApiError::new(ErrorKind::Busy, message, "wait until it is back; peer_status shows the queue")
}
