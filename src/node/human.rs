//! What a human may ask: what waits, decide, how things are, the audit chain.

use data_encoding::HEXLOWER;
use rusqlite::Connection;

use super::{
    api::{
        ApiError, AuditPage, AuditRecord, AuditVerified, Decided, ErrorKind, Event, FindingInfo,
        HumanRequest, PendingList, PendingShown, PolicyAnswer, Reply, Status, Stopping,
    },
    clock,
    inbound::answered,
    outbound::{move_arrived, queue_receipts},
    state::{Answer, Node, reply, store_failed, usage},
};
use crate::{
    audit,
    base::{Digest, MessageId, PeerId, PendingId, Timestamp, limits},
    delivery::{
        MessageState,
        outbox::{Input, Queued},
    },
    gate::{self, Approved, Decision, GateError, Item, Outcome, Pending, SignedConsent, What},
    policy::{self, Action, Verdict},
    risk,
    store::{
        self, StoreError,
        messages::{self, HistoryRow},
        outbox, peers,
        pending::{self, DecisionRow, PendingRow},
    },
    trust::TrustMove,
    wire::{Envelope, PairFrame, ReceiptState, pair::EndReason},
};

/// What was decided, verified.
enum Verdicted {
    Consent(Approved<SignedConsent>),
    Release(Approved<Envelope>),
    Admit(Approved<Envelope>),
    No,
}

impl Node {
    /// Answers a human.
    pub(super) fn on_human(&mut self, request: HumanRequest, answer: Answer) {
        match request {
            HumanRequest::Pending => reply(answer, Ok(self.list_pending())),
            HumanRequest::Show { id } => reply(answer, self.show(&id)),
            HumanRequest::Decide { id, statement, signature, seal, block } => {
                match read_decision(&statement, &signature, &seal) {
                    Ok(decision) => self.decide(&id, &decision, block, answer),
                    Err(error) => reply(answer, Err(error)),
                }
            }
            HumanRequest::Deny { id, block } => self.deny(&id, block, answer),
            HumanRequest::Status => self.status(answer),
            HumanRequest::Stop => {
                self.stopping = true;
                reply(answer, Ok(Reply::Stopping(Stopping { stopping: true })));
            }
            HumanRequest::AuditShow { after, limit } => self.audit_show(after, limit, answer),
            HumanRequest::AuditVerify => self.audit_verify(answer),
            HumanRequest::PolicyCheck { text } => reply(answer, Ok(policy_check(&text))),
        }
    }

    fn list_pending(&self) -> Reply {
        let mut rows: Vec<&PendingRow> = self.pending.values().collect();
        rows.sort_by_key(|row| (row.created, row.id));
        let items = rows.into_iter().map(|row| self.pending_view(row)).collect();
        Reply::Pending(PendingList { items })
    }

    fn find_pending(&self, id: &str) -> Result<&PendingRow, ApiError> {
        let next = "countersign pending lists what waits";
        let id: PendingId = id.parse().map_err(|e| usage(e, next))?;
        self.pending.get(&id).ok_or_else(|| {
            let message = format!("nothing waits under {id}: it was decided, or expired");
            ApiError::new(ErrorKind::NotFound, message, next)
        })
    }

    fn show(&self, id: &str) -> Result<Reply, ApiError> {
        let row = self.find_pending(id)?;
        let bytes = row.item.as_ref().map(Item::encode).unwrap_or_default();
        let item = self.pending_view(row);
        let (bytes, node) = (HEXLOWER.encode(&bytes), self.id.to_string());
        Ok(Reply::Show(PendingShown { item, bytes, node }))
    }

    fn decide(&mut self, id: &str, decision: &Decision, block: bool, answer: Answer) {
        let verified = self.find_pending(id).cloned().and_then(|row| {
            let verdict = self.verify(&row, decision).map_err(|e| gate_error(&e));
            verdict.map(|verdict| (row, verdict))
        });
        let (row, verdict) = match verified {
            Ok(verified) => verified,
            Err(error) => {
                self.note_refusal(&error);
                return reply(answer, Err(error));
            }
        };
        match verdict {
            Verdicted::Consent(signed) => self.consent(row, decision, signed, answer),
            Verdicted::Release(envelope) => self.release(row, decision, envelope, answer),
            Verdicted::Admit(envelope) => self.admit(row, decision, &envelope, answer),
            Verdicted::No => self.refuse(row, Some(decision.clone()), block, answer),
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
                let pending = Pending::message(row.id, what, envelope, row.expires);
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

    /// A decision that did not verify is somebody's attempt.
    fn note_refusal(&mut self, error: &ApiError) {
        let event = audit::Event::refused(format!("a decision: {}", error.message), None);
        let now = clock::now();
        self.write(move |db| store::audit::append(db, now, &event).map(drop), |_, _| ());
    }

    fn consent(
        &mut self,
        row: PendingRow,
        decision: &Decision,
        signed: Approved<SignedConsent>,
        answer: Answer,
    ) {
        let (peer, signed) = (row.peer, signed.into_item());
        let known = self.pairings.get(&peer).is_some_and(|entry| entry.pending == row.id);
        if !known {
            let next = "ask for a new invite";
            let error = ApiError::new(ErrorKind::NotFound, "this pairing has ended", next);
            return reply(answer, Err(error));
        }
        let (now, kept) = (clock::now(), decision.clone());
        let op = move |db: &Connection| {
            keep_decision(db, &row, "approved", Some(&kept), now)?;
            peers::set_decision(db, &peer, &kept)
        };
        let id = decided_id(decision);
        self.write(op, move |node, done| {
            if let Err(error) = done {
                return reply(answer, Err(store_failed(&error)));
            }
            let Some(entry) = node.pairings.get_mut(&peer) else { return };
            let pending = entry.pending;
            let steps = entry.pairing.consent(&signed);
            if let Some(entry) = node.peers.get_mut(&peer) {
                entry.verified = signed.verified;
            }
            node.apply(peer, steps);
            node.decided(pending, "approved", id, answer);
        });
    }

    fn release(
        &mut self,
        row: PendingRow,
        decision: &Decision,
        envelope: Approved<Envelope>,
        answer: Answer,
    ) {
        let header = envelope.item().header().clone();
        let (now, kept, pending, peer) = (clock::now(), decision.clone(), row.id, row.peer);
        if let Err(error) = self.still_trusted(&peer) {
            return reply(answer, Err(error));
        }
        let op = move |db: &Connection| {
            keep_decision(db, &row, "approved", Some(&kept), now)?;
            let found = messages::find_with(db, &header.id, &header.recipient, true)?;
            let Some(message) = found.filter(|m| m.state == MessageState::Held) else {
                return Ok(None);
            };
            messages::set_envelope(db, message.number, envelope.item())?;
            let step = HistoryRow { state: MessageState::Queued, at: now, reason: None };
            messages::set_state(db, message.number, &step, None)?;
            let number = outbox::add(db, &header.recipient, &header.id, None)?;
            Ok(Some(Queued { number, envelope }))
        };
        let id = decided_id(decision);
        self.write(op, move |node, done| match done {
            Err(error) => reply(answer, Err(store_failed(&error))),
            Ok(queued) => {
                node.decided(pending, "approved", id, answer);
                if let Some(queued) = queued {
                    node.feed(&peer, Input::Queued(queued));
                }
            }
        });
    }

    /// A yes to a message counts while its peer is trusted, under the approver that said it.
    fn still_trusted(&self, peer: &PeerId) -> Result<(), ApiError> {
        let message = || format!("{} is not trusted any more", self.name_of(peer));
        let error = || ApiError::new(ErrorKind::Refused, message(), "nothing passed; deny it");
        self.trusted(peer).map(drop).ok_or_else(error)
    }

    fn admit(
        &mut self,
        row: PendingRow,
        decision: &Decision,
        envelope: &Approved<Envelope>,
        answer: Answer,
    ) {
        let (now, kept, pending, peer) = (clock::now(), decision.clone(), row.id, row.peer);
        if let Err(error) = self.still_trusted(&peer) {
            return reply(answer, Err(error));
        }
        let (id, digest) = (envelope.item().header().id, envelope.item().digest());
        let receipt = self.one_receipt(peer, (id, digest), ReceiptState::Accepted, None, now);
        let envelope = envelope.item().clone();
        let op = move |db: &Connection| {
            keep_decision(db, &row, "approved", Some(&kept), now)?;
            answered(db, &peer, &envelope, now)?;
            settle_arrival(db, &peer, &id, (MessageState::Accepted, None), now)?;
            queue_receipts(db, receipt)
        };
        let method = decided_id(decision);
        let from = self.name_of(&peer);
        self.write(op, move |node, done| match done {
            Err(error) => reply(answer, Err(store_failed(&error))),
            Ok(queued) => {
                node.decided(pending, "approved", method, answer);
                node.handle.tell(Event::Arrived { message: id.to_string(), from });
                node.feed_all(queued);
            }
        });
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
        self.receipt(peer, vec![entry], now).into_iter().collect()
    }

    fn deny(&mut self, id: &str, block: bool, answer: Answer) {
        match self.find_pending(id).cloned() {
            Ok(row) => self.refuse(row, None, block, answer),
            Err(error) => reply(answer, Err(error)),
        }
    }

    /// No. Whatever it is does not pass, and the other side is told where it waits for us.
    pub(super) fn refuse(
        &mut self,
        row: PendingRow,
        signed: Option<Decision>,
        block: bool,
        answer: Answer,
    ) {
        let pending = row.id;
        let method = signed.as_ref().map_or(("terminal", clock::now()), decided_id);
        if row.message.is_some() && !block {
            return self.refuse_message(row, signed, move |node, done| match done {
                Err(error) => reply(answer, Err(store_failed(&error))),
                Ok(()) => node.decided(pending, "denied", method, answer),
            });
        }
        let (now, peer) = (clock::now(), row.peer);
        let link = self.pairings.get(&peer).and_then(|entry| entry.link);
        if let Some(link) = link {
            self.send_pair(&peer, link, PairFrame::End(EndReason::Denied));
        }
        let op = move |db: &Connection| keep_decision(db, &row, "denied", signed.as_ref(), now);
        self.write(op, |_, _| ());
        let step = if block { TrustMove::Block } else { TrustMove::Revoke };
        self.end_trust(peer, step, "your human said no", move |node, done| match done {
            Err(error) => reply(answer, Err(store_failed(&error))),
            Ok(_) => node.decided(pending, "denied", method, answer),
        });
    }

    fn refuse_message(
        &mut self,
        row: PendingRow,
        signed: Option<Decision>,
        then: impl FnOnce(&mut Self, Result<(), StoreError>) + Send + 'static,
    ) {
        let (now, peer, what) = (clock::now(), row.peer, row.what);
        let Some(Item::Message(_, envelope)) = row.item.clone() else { return then(self, Ok(())) };
        let (id, digest) = (envelope.header().id, envelope.digest());
        let reason = "the recipient's human said no";
        let receipt = if what == What::MessageIn {
            self.one_receipt(peer, (id, digest), ReceiptState::Refused, Some(reason), now)
        } else {
            Vec::new()
        };
        let op = move |db: &Connection| {
            keep_decision(db, &row, "denied", signed.as_ref(), now)?;
            if what == What::MessageIn {
                let end = (MessageState::Refused, Some("your human said no".to_owned()));
                settle_arrival(db, &peer, &id, end, now)?;
            } else if let Some(message) = messages::find_with(db, &id, &peer, true)?
                .filter(|message| message.state == MessageState::Held)
            {
                let step = HistoryRow { state: MessageState::Denied, at: now, reason: None };
                messages::set_state(db, message.number, &step, None)?;
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
        self.pending.remove(&pending);
        self.handle.tell(Event::PendingChanged);
        let (id, decision) = (pending.to_string(), decision.to_owned());
        let decided = Decided { id, decision, method: method.to_owned(), at: at.rfc3339() };
        reply(answer, Ok(Reply::Decided(decided)));
    }

    /// What nobody decided in time is a no.
    pub(super) fn expire_pending(&mut self, now: Timestamp) {
        let late = |row: &&PendingRow| row.expires <= now;
        let rows: Vec<PendingRow> = self.pending.values().filter(late).cloned().collect();
        for row in rows {
            let (answer, _) = tokio::sync::oneshot::channel();
            self.refuse(row, None, false, answer);
        }
        self.invites.retain(|invite| invite.expires > now);
        self.drop_silent_strangers();
        self.refresh_pairing();
    }

    fn status(&mut self, answer: Answer) {
        let connected = self.peers.values().filter(|entry| entry.link.is_some()).count();
        let warnings = self.warnings();
        self.read(messages::counts, move |_, counts| {
            let result = counts.map_err(|e| store_failed(&e)).map(|counts| {
                Reply::Status(Status {
                    running: true,
                    pid: Some(std::process::id()),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    peers_connected: u64::try_from(connected).unwrap_or(u64::MAX),
                    queued: counts.queued,
                    held: counts.held,
                    warnings,
                })
            });
            reply(answer, result);
        });
    }

    fn warnings(&self) -> Vec<String> {
        let of_peer = |entry: &super::state::PeerEntry| {
            entry.warning.as_ref().map(|warning| format!("{}: {warning}", entry.name))
        };
        let approver = self
            .approver
            .is_none()
            .then(|| "approvals are not set up; run: countersign init".to_owned());
        approver.into_iter().chain(self.peers.values().filter_map(of_peer)).collect()
    }

    fn audit_show(&mut self, after: u64, limit: u32, answer: Answer) {
        let limit = limit.clamp(1, 1000);
        let op = move |db: &Connection| store::audit::page(db, after, limit + 1);
        self.read(op, move |_, found| {
            let result = found.map_err(|e| store_failed(&e)).map(|mut records| {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let more = records.len() > limit;
                records.truncate(limit);
                let records = records.iter().map(record_view).collect();
                Reply::Audit(AuditPage { records, more })
            });
            reply(answer, result);
        });
    }

    fn audit_verify(&mut self, answer: Answer) {
        let me = self.id;
        self.read(
            move |db| store::audit::verify(db, &me),
            |_, found| {
                let result = found.map_err(|e| store_failed(&e)).map(|verified| {
                    Reply::AuditVerified(AuditVerified {
                        ok: verified.problem.is_none(),
                        records: verified.records,
                        checkpoints: verified.checkpoints,
                        problem: verified.problem.map(|problem| problem.to_string()),
                    })
                });
                reply(answer, result);
            },
        );
    }
}

fn record_view(record: &audit::Record) -> AuditRecord {
    AuditRecord {
        seq: record.seq,
        at: record.at.rfc3339(),
        event: serde_json::from_str(&record.event).unwrap_or_default(),
        hash: record.hash.to_string(),
    }
}

fn policy_check(text: &str) -> Reply {
    let verdict = policy::decide(Action::MessageOut, &risk::scan(text));
    let (verdict, reasons) = match &verdict {
        Verdict::Allow => ("allow", Vec::new()),
        Verdict::Ask(reasons) => ("ask", reasons.iter().map(FindingInfo::from).collect()),
    };
    Reply::Policy(PolicyAnswer { verdict: verdict.to_owned(), reasons })
}

/// How and when, as the approver signed it. Called after the signature was verified.
fn decided_id(decision: &Decision) -> (&'static str, Timestamp) {
    let signed = gate::Statement::read(&decision.statement);
    signed.map_or(("passphrase", clock::now()), |s| (s.method.as_str(), s.at))
}

/// Uses the item up: a second decision on it fails as a whole.
fn keep_decision(
    db: &Connection,
    row: &PendingRow,
    decision: &'static str,
    signed: Option<&Decision>,
    now: Timestamp,
) -> Result<(), StoreError> {
    if !pending::remove(db, &row.id)? {
        let problem = "it was decided already".to_owned();
        return Err(StoreError::Row { table: "pending", problem });
    }
    let digest = row.item.as_ref().map_or(Digest::from_bytes([0; 32]), Item::digest);
    let (method, at) = signed.map_or(("terminal", now), decided_id);
    let kept = DecisionRow { id: row.id, digest, decision, method, signed, at };
    pending::add_decision(db, &kept)?;
    let event = audit::Event::decided(row.id, digest, decision, method);
    store::audit::append(db, now, &event).map(drop)
}

/// Brings a message that was held here to where the human decided.
fn settle_arrival(
    db: &Connection,
    peer: &PeerId,
    id: &MessageId,
    (state, reason): (MessageState, Option<String>),
    now: Timestamp,
) -> Result<(), StoreError> {
    let found = messages::find_with(db, id, peer, false)?;
    let Some(row) = found.filter(|row| row.state == MessageState::HeldByPeer) else {
        return Ok(());
    };
    let refused = state == MessageState::Refused;
    move_arrived(db, &row, &HistoryRow { state, at: now, reason })?;
    if refused {
        messages::set_seen(db, row.number)?;
    }
    Ok(())
}

fn read_decision(statement: &str, signature: &str, seal: &str) -> Result<Decision, ApiError> {
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

fn gate_error(error: &GateError) -> ApiError {
    let (kind, next) = match error {
        GateError::Signature(_) => (
            ErrorKind::Denied,
            "only the human's passphrase makes a decision: countersign approve ID",
        ),
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
