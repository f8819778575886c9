//! The checkers: they look at committed databases and at what leaves, and know what the simulated
//! humans signed. They ask no node anything.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::{
    host::{IN_FREE_BYTES, OUT_FREE_BYTES},
    world::World,
};
use crate::{
    audit::{self, Head},
    base::{ApproverId, Digest, MessageId, PeerId, PendingId, limits},
    gate::{Item, What},
    net::{Inbound, NetEvent, simulated::Call},
    store,
    wire::{Body, ConsentRecord, Envelope, Frame, PairFrame, ReceiptState},
};

/// Who found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checker {
    /// At most once in the inbox.
    Once,
    /// Everything acknowledged or answered is durable.
    Durable,
    /// Every message ends.
    Final,
    /// No byte and no trust without a decision.
    Decision,
    /// Order.
    Order,
    /// The audit chain.
    Audit,
    /// Quotas and tables.
    Bounds,
    /// What a node holds in memory is what is on its disk.
    Memory,
}

/// What is wrong.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) checker: Checker,
    pub(super) what: String,
}

/// What the checkers know of one machine.
#[derive(Clone, Default)]
struct Known {
    /// Messages that its agent was told of.
    answered: BTreeSet<MessageId>,
    copied: BTreeSet<MessageId>,
    /// Claims of a receiver's disk that were looked at.
    seen: BTreeSet<(MessageId, String)>,
    head: Option<Head>,
    sent: BTreeSet<MessageId>,
    arrived: BTreeSet<(PeerId, MessageId)>,
    trust: BTreeMap<PeerId, String>,
    decided: BTreeSet<PendingId>,
    /// How many rows were changed when the disk was looked at last.
    changes: Option<u64>,
}

/// What is known besides the disks.
pub(super) struct Ledger {
    consents: BTreeSet<(Digest, ApproverId)>,
    decided: BTreeSet<(usize, PendingId, Digest)>,
    passed: BTreeSet<(usize, Way, MessageId)>,
    /// In which order a machine's messages were queued, by machine and message.
    order: BTreeMap<(usize, MessageId), u64>,
    last: u64,
    /// What a machine had taken and was restored to a time before.
    forgiven: BTreeSet<(usize, MessageId)>,
    known: Vec<Known>,
    /// What was too late by the clock of the machine at which it came. It is refused, which is not
    /// kept; where the refusal is lost and the clock goes back, it comes again and is taken, behind
    /// what was sent after it. Nothing is promised of the order of these.
    late: BTreeSet<(usize, MessageId)>,
    /// By sender and message: it was queued, and its sender's disk is one on which it waits for the
    /// human. Where it is let go again, that is in another order.
    unqueued: BTreeSet<(usize, MessageId)>,
    /// Machines whose disk was put back: their peers' word says so, rightly.
    pub(super) restored: BTreeSet<usize>,
}

/// Which way a message passed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Out,
    In,
}

/// A message on a disk.
pub(super) struct Row {
    pub(super) id: MessageId,
    pub(super) peer: PeerId,
    pub(super) outgoing: bool,
    pub(super) state: String,
    /// Bytes of the text.
    bytes: usize,
}

pub(super) fn rows(db: &Connection) -> Vec<Row> {
    let sql =
        "SELECT id, peer, outgoing, state, coalesce(length(text), 0) FROM messages ORDER BY number";
    let mut statement = db.prepare_cached(sql).unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Row {
            id: MessageId::from_bytes(row.get(0)?),
            peer: PeerId::from_bytes(row.get(1)?),
            outgoing: row.get(2)?,
            state: row.get(3)?,
            bytes: row.get::<_, usize>(4)?.saturating_sub(store::seal::OVERHEAD_BYTES),
        })
    };
    statement.query_map([], read).unwrap().map(Result::unwrap).collect()
}

/// The state of a message with this peer. Two peers may use one id.
pub(super) fn state_of(
    db: &Connection,
    id: &MessageId,
    peer: &PeerId,
    outgoing: bool,
) -> Option<String> {
    let sql = "SELECT state FROM messages WHERE id = ?1 AND peer = ?2 AND outgoing = ?3";
    let mut statement = db.prepare_cached(sql).unwrap();
    let asked = rusqlite::params![id.as_bytes(), peer.as_bytes(), outgoing];
    statement.query_row(asked, |row| row.get(0)).ok()
}

fn count(db: &Connection, sql: &str) -> u64 {
    db.prepare_cached(sql).unwrap().query_row([], |row| row.get(0)).unwrap_or(0)
}

impl Ledger {
    pub(super) fn of(count: usize) -> Self {
        Self {
            consents: BTreeSet::new(),
            decided: BTreeSet::new(),
            passed: BTreeSet::new(),
            order: BTreeMap::new(),
            last: 0,
            forgiven: BTreeSet::new(),
            known: vec![Known::default(); count],
            late: BTreeSet::new(),
            unqueued: BTreeSet::new(),
            restored: BTreeSet::new(),
        }
    }

    /// A human signed a yes.
    pub(super) fn signed(&mut self, host: usize, id: PendingId, item: &Item, by: ApproverId) {
        self.decided.insert((host, id, item.digest()));
        match item {
            Item::Peer(_, record) => drop(self.consents.insert((record.digest(), by))),
            Item::Message(what, envelope) => {
                let way = if *what == What::MessageOut { Way::Out } else { Way::In };
                self.passed.insert((host, way, envelope.header().id));
            }
        }
    }

    /// A copy of a machine's disk was made.
    pub(super) fn copied(&mut self, host: usize) {
        let known = &mut self.known[host];
        known.copied = known.answered.clone();
    }
}

impl World {
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this alone")]
    pub(super) fn fail(&mut self, checker: Checker, what: String) {
        self.note(&format!("{checker:?}: {what}"));
        let seed = self.seed;
        let what = format!("seed {seed}: {what}");
        self.failure.get_or_insert(Failure { checker, what });
    }

    /// A machine gets an older disk. From here on the promises count as follows: what its agent was
    /// told of since the copy may be gone, and so may be what it had taken and acknowledged since;
    /// all that was there when the copy was made still counts.
    pub(super) fn weaken(&mut self, host: usize) {
        let lost: Vec<Row> = rows(self.hosts[host].db());
        let kept = self.hosts[host].copy.as_ref().map(rows).unwrap_or_default();
        let held = kept.iter().filter(|row| row.outgoing && row.state == "held");
        self.ledger.unqueued.extend(held.map(|row| (host, row.id)));
        self.ledger.restored.insert(host);
        let kept: BTreeMap<MessageId, String> =
            kept.into_iter().filter(|r| !r.outgoing).map(|r| (r.id, r.state)).collect();
        for row in lost.into_iter().filter(|row| !row.outgoing) {
            if kept.get(&row.id) != Some(&row.state) {
                self.ledger.forgiven.insert((host, row.id));
            }
        }
        let known = &mut self.ledger.known[host];
        *known = Known {
            answered: known.copied.clone(),
            copied: known.copied.clone(),
            ..Known::default()
        };
    }

    /// An agent was told of a message.
    pub(super) fn check_answer(&mut self, host: usize, id: &str) {
        let Ok(id) = id.parse::<MessageId>() else { return };
        if !rows(self.hosts[host].db()).iter().any(|row| row.outgoing && row.id == id) {
            self.fail(Checker::Durable, format!("{host} told its agent of {id}, and has it not"));
        }
        self.ledger.known[host].answered.insert(id);
    }

    /// Looks at frames that a node is about to take.
    pub(super) fn check_frames(&mut self, host: usize, event: &NetEvent) {
        let NetEvent::Frames { frames, .. } = event else { return };
        let time = self.hosts[host].time(self.now);
        for frame in frames {
            if let Inbound::Data { envelope: Ok(envelope), .. } = frame
                && envelope.header().expires.plus(limits::EXPIRY_SLACK) <= time
            {
                self.ledger.late.insert((host, envelope.header().id));
            }
        }
    }

    /// Looks at something that a node tells its net.
    pub(super) fn check_call(&mut self, host: usize, call: &Call) {
        match call {
            Call::Send(peer, _, Frame::Data { envelope, .. }) => {
                self.envelopes.push(envelope.clone());
                self.check_data(host, peer, envelope);
            }
            Call::Send(peer, _, Frame::Ack { receipt: Some(receipt), .. }) => {
                self.check_receipt(host, peer, receipt);
            }
            Call::Trust(peer) => self.check_trust(host, peer),
            Call::PairSend(peer, _, PairFrame::Consent { record, .. }) => {
                let by = self.hosts[host].human.id();
                if !self.ledger.consents.contains(&(*record, by)) {
                    let what = format!("{host} says yes to {}, nobody did", peer.short());
                    self.fail(Checker::Decision, what);
                }
            }
            Call::Send(..)
            | Call::Close(..)
            | Call::Distrust(..)
            | Call::Features(..)
            | Call::PairDial(..)
            | Call::PairSend(..)
            | Call::PairClose(..)
            | Call::AllowPairing(..) => {}
        }
    }

    fn check_data(&mut self, host: usize, peer: &PeerId, bytes: &[u8]) {
        let envelope = Envelope::decode(bytes).unwrap();
        let Body::Text(text) = envelope.body() else {
            return self.check_receipt(host, peer, bytes);
        };
        let id = envelope.header().id;
        if envelope.header().expires <= self.hosts[host].time(self.now) {
            self.fail(Checker::Final, format!("{host} sends {id}, which has expired"));
        }
        let state = state_of(self.hosts[host].db(), &id, peer, true);
        if envelope.header().recipient != *peer {
            self.fail(Checker::Decision, format!("{host} sends {id} to somebody else"));
        }
        if state.is_none() {
            self.fail(Checker::Durable, format!("{host} sends {id}, and has it not"));
        }
        let sql = "SELECT state FROM peers WHERE id = ?1";
        let trusted = self.hosts[host].db().query_row(sql, [peer.as_bytes()], |row| row.get(0));
        let long = text.as_str().len() > OUT_FREE_BYTES;
        let passed = self.ledger.passed.contains(&(host, Way::Out, id));
        let held = state.is_some_and(|state| state == "held");
        if trusted != Ok("trusted".to_owned()) || (long && !passed) || held {
            self.fail(Checker::Decision, format!("{host} sends {id}, and nobody let it"));
        }
    }

    /// A receipt that leaves says nothing of a message that is not on disk.
    fn check_receipt(&mut self, host: usize, peer: &PeerId, bytes: &[u8]) {
        let envelope = Envelope::decode(bytes).unwrap();
        let Body::Receipt(receipt) = envelope.body() else { return };
        for entry in &receipt.entries {
            let has = state_of(self.hosts[host].db(), &entry.id, peer, false).is_some();
            let says = match entry.state {
                ReceiptState::Delivered
                | ReceiptState::HeldByPeer
                | ReceiptState::Accepted
                | ReceiptState::Read => true,
                ReceiptState::Refused | ReceiptState::Busy => false,
            };
            let forgiven = self.ledger.forgiven.contains(&(host, entry.id));
            if says && !has && !forgiven && !self.is_peer_hostile(peer) {
                let what = format!("{host} acknowledges {}, and has it not", entry.id);
                self.fail(Checker::Durable, what);
            }
        }
    }

    fn is_peer_hostile(&self, peer: &PeerId) -> bool {
        self.hosts.last().is_some_and(|host| host.id == *peer)
    }

    /// Each trusted peer has a record that both humans signed.
    fn check_trust(&mut self, host: usize, peer: &PeerId) {
        let db = self.hosts[host].db();
        let sql = "SELECT record FROM peers WHERE id = ?1 AND state = 'trusted'";
        let record = db.query_row(sql, [peer.as_bytes()], |row| row.get::<_, Vec<u8>>(0)).ok();
        let record = record.and_then(|bytes| ConsentRecord::decode(&bytes).ok());
        let signed = |record: &ConsentRecord| {
            let both = record.sides(&self.hosts[host].id)?;
            let digest = record.digest();
            let by = |approver| self.ledger.consents.contains(&(digest, approver));
            Some(by(both.0.approver) && by(both.1.approver) && both.1.identity == *peer)
        };
        if record.as_ref().and_then(signed) != Some(true) {
            let what = format!("{host} trusts {}, and not both humans signed", peer.short());
            self.fail(Checker::Decision, what);
        }
    }

    /// Looks at a machine's disk after something was written.
    pub(super) fn check_disk(&mut self, host: usize) {
        let changes = count(self.hosts[host].db(), "SELECT total_changes()");
        if self.ledger.known[host].changes.replace(changes) == Some(changes) {
            return;
        }
        let rows = rows(self.hosts[host].db());
        self.check_answered(host, &rows);
        self.check_queued(host);
        self.check_claims(host, &rows);
        self.check_inbox(host, &rows);
        self.check_audit(host, &rows);
        self.check_bounds(host);
    }

    fn check_answered(&mut self, host: usize, rows: &[Row]) {
        let there: BTreeSet<MessageId> = rows.iter().map(|row| row.id).collect();
        let gone = self.ledger.known[host].answered.difference(&there).next().copied();
        if let Some(id) = gone {
            self.fail(Checker::Durable, format!("{host} has lost {id}, of which its agent knows"));
        }
    }

    /// Notes in which order messages were queued.
    fn check_queued(&mut self, host: usize) {
        let sql = "SELECT id FROM outbox WHERE envelope IS NULL ORDER BY number";
        let db = self.hosts[host].db();
        let mut statement = db.prepare_cached(sql).unwrap();
        let ids = statement.query_map([], |row| Ok(MessageId::from_bytes(row.get(0)?))).unwrap();
        for id in ids.map(Result::unwrap) {
            if !self.ledger.order.contains_key(&(host, id)) {
                self.ledger.last += 1;
                self.ledger.order.insert((host, id), self.ledger.last);
            }
        }
    }

    /// What a sender was told of its messages is so on the receiver's disk.
    fn check_claims(&mut self, host: usize, rows: &[Row]) {
        if self.is_hostile(host) {
            return;
        }
        for row in rows.iter().filter(|row| row.outgoing) {
            let shown = matches!(row.state.as_str(), "accepted" | "read" | "replied");
            if !shown && !matches!(row.state.as_str(), "delivered" | "held_by_peer") {
                continue;
            }
            let Some(to) = self.hosts.iter().position(|host| host.id == row.peer) else { continue };
            let claim = (row.id, row.state.clone());
            let looked = !self.ledger.known[host].seen.insert(claim);
            if looked || self.is_hostile(to) || self.ledger.forgiven.contains(&(to, row.id)) {
                continue;
            }
            let there = state_of(self.hosts[to].db(), &row.id, &self.hosts[host].id, false);
            let in_inbox =
                |state: &String| ["accepted", "read", "replied"].contains(&state.as_str());
            if there.is_none() || (shown && !there.as_ref().is_some_and(in_inbox)) {
                let what =
                    format!("{host} was told that {} is {} at {to}: {there:?}", row.id, row.state);
                self.fail(Checker::Durable, what);
            }
        }
    }

    fn check_inbox(&mut self, host: usize, rows: &[Row]) {
        let mut last: BTreeMap<PeerId, u64> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for row in rows.iter().filter(|row| !row.outgoing) {
            if !seen.insert((row.id, row.peer)) {
                self.fail(Checker::Once, format!("{host} has {} twice", row.id));
            }
            let shown = matches!(row.state.as_str(), "accepted" | "read" | "replied");
            let passed = self.ledger.passed.contains(&(host, Way::In, row.id));
            if shown && row.bytes > IN_FREE_BYTES && !passed {
                self.fail(
                    Checker::Decision,
                    format!("{host} let {} in, and nobody said so", row.id),
                );
            }
            let from = self.hosts.iter().position(|host| host.id == row.peer);
            let Some(from) = from.filter(|from| !self.is_hostile(*from)) else { continue };
            let Some(place) = self.ledger.order.get(&(from, row.id)).copied() else {
                self.fail(
                    Checker::Durable,
                    format!("{host} has {}, which was never queued", row.id),
                );
                return;
            };
            let free = self.ledger.late.contains(&(host, row.id))
                || self.ledger.unqueued.contains(&(from, row.id));
            if free {
                continue;
            }
            if last.insert(row.peer, place).is_some_and(|before| before > place) {
                let what = format!("{} came to {host} behind one that was queued later", row.id);
                self.fail(Checker::Order, what);
            }
        }
    }

    fn check_bounds(&mut self, host: usize) {
        let db = self.hosts[host].db();
        let per_peer = "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM pending
                        WHERE what = 'message_in' GROUP BY peer)";
        let unread = "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM messages
                      WHERE unread = 1 AND outgoing = 0 GROUP BY peer)";
        let sql = "SELECT count(*) FROM ";
        let of = |what: &str| count(db, &format!("{sql}{what}"));
        let bounds = [
            (count(db, per_peer), limits::PENDING_PAYLOADS_PER_PEER_MAX as u64, "held of one peer"),
            (of("pending WHERE message IS NOT NULL"), limits::PENDING_PAYLOADS_MAX as u64, "held"),
            (count(db, unread), limits::INBOX_UNREAD_MESSAGES_MAX, "unread of one peer"),
            (of("invites"), limits::INVITES_OPEN_MAX as u64 * 2, "invites"),
            (of("pairings WHERE joiner = 0"), limits::PENDING_STRANGERS_MAX as u64, "strangers"),
            (of("pairings WHERE joiner = 1"), limits::PENDING_REQUESTS_MAX as u64, "requests"),
            (of("outbox"), limits::OUTBOX_MESSAGES_MAX, "queued"),
        ];
        if let Some((found, most, what)) = bounds.iter().find(|(found, most, _)| found > most) {
            let what = format!("{host} has {found} {what}; the limit is {most}");
            self.fail(Checker::Bounds, what);
        }
    }
}

// The audit chain.
impl World {
    fn check_audit(&mut self, host: usize, rows: &[Row]) {
        let mut head = self.ledger.known[host].head.unwrap_or(Head::EMPTY);
        let records = store::audit::page(self.hosts[host].db(), head.seq, 10_000).unwrap();
        for record in &records {
            match audit::follow(&head, record) {
                Ok(next) => head = next,
                Err(error) => return self.fail(Checker::Audit, format!("{host}: {error}")),
            }
            let event = serde_json::from_str(&record.event).unwrap();
            self.take_record(host, event);
        }
        let known = &mut self.ledger.known[host];
        known.head = Some(head);
        for row in rows {
            let told = if row.outgoing {
                known.sent.contains(&row.id)
            } else {
                known.arrived.contains(&(row.peer, row.id))
            };
            if !told {
                let what = format!("{host}: no record tells of {}", row.id);
                return self.fail(Checker::Audit, what);
            }
        }
        let (sent, came) = (known.sent.len(), known.arrived.len());
        let out = rows.iter().filter(|row| row.outgoing).count();
        if (sent, came) != (out, rows.len() - out) {
            let what = format!("{host}: records of {sent} and {came} messages, and rows of {out}");
            self.fail(Checker::Audit, what);
        }
        self.check_audited_trust(host);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what a checker does not count, it passes over"
    )]
    fn take_record(&mut self, host: usize, event: audit::Event) {
        let known = &mut self.ledger.known[host];
        match event {
            audit::Event::Sent { message, .. } => drop(known.sent.insert(message.parse().unwrap())),
            audit::Event::Arrived { message, peer, .. } => {
                self.stats.arrived += 1;
                let arrival = (peer.parse().unwrap(), message.parse().unwrap());
                if !known.arrived.insert(arrival) {
                    self.fail(Checker::Once, format!("{message} arrived at {host} twice"));
                }
            }
            audit::Event::TrustMoved { peer, to, .. } => {
                known.trust.insert(peer.parse().unwrap(), to);
            }
            audit::Event::Decided { item, digest, decision, method } => {
                let (id, digest) = (item.parse().unwrap(), digest.parse().unwrap());
                let again = !known.decided.insert(id);
                let yes = self.ledger.decided.contains(&(host, id, digest));
                if again || (decision == "approved" && !(yes && method == "passphrase")) {
                    let what = format!("{host} took {item} as {decision}, and nobody said so");
                    self.fail(Checker::Decision, what);
                }
            }
            _ => {}
        }
    }

    /// What the last record says of a peer's trust is how it is.
    fn check_audited_trust(&mut self, host: usize) {
        let db = self.hosts[host].db();
        let mut statement = db.prepare_cached("SELECT id, state FROM peers").unwrap();
        let read = |row: &rusqlite::Row<'_>| {
            Ok((PeerId::from_bytes(row.get(0)?), row.get::<_, String>(1)?))
        };
        let peers: Vec<_> = statement.query_map([], read).unwrap().map(Result::unwrap).collect();
        drop(statement);
        for (peer, state) in peers {
            let told = self.ledger.known[host].trust.get(&peer).cloned();
            let (is, was) = (state == "trusted", told.as_deref() == Some("trusted"));
            if is != was {
                let what = format!("{host}: {} is {state}, the chain says {told:?}", peer.short());
                return self.fail(Checker::Audit, what);
            }
        }
    }
}
