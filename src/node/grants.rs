//! Grants: what the human signed beforehand, kept in memory once it was verified, counted on disk.

use data_encoding::HEXLOWER;
use rusqlite::Connection;

use super::{
    api::{ApiError, Done, ErrorKind, Event, GrantInfo, Grants, Reply, SignedHex},
    clock,
    review::grant_text,
    state::{Answer, Node, reply, store_failed, usage},
};
use crate::{
    audit,
    base::{ApproverId, GrantId, PeerId, Timestamp, limits},
    gate::{self, Approved, GateError, Item, What},
    policy::Reason,
    risk,
    store::{
        self, StoreError,
        grants::{self, GrantRow, Room},
        pending::PendingRow,
        standing,
    },
    wire::{Direction, Envelope, Grant, GrantKind, SignedGrant},
};

/// A grant whose signature was verified.
#[derive(Clone, Debug)]
pub(super) struct GrantEntry {
    pub(super) grant: Grant,
    pub(super) signed: SignedGrant,
    /// How many messages passed by it, for people to read; what counts is on disk.
    pub(super) used: u64,
}

impl GrantEntry {
    /// From what a human or the disk gives us.
    pub(super) fn verify(
        signed: SignedGrant,
        me: &PeerId,
        approver: &ApproverId,
    ) -> Result<Self, GateError> {
        let grant = signed.open(approver)?;
        if grant.node == *me {
            Ok(Self { grant, signed, used: 0 })
        } else {
            Err(GateError::NotOurs)
        }
    }

    /// Writes it down, once: what was signed lies open in a row that can be deleted, and the audit
    /// record knows it all the same.
    pub(super) fn keep(&self, db: &Connection, now: Timestamp) -> Result<(), StoreError> {
        let id = self.grant.id;
        if standing::granted(db, &id)? || standing::grant_ended(db, &id)? {
            return Err(StoreError::Again(id));
        }
        grants::add(db, &id, &self.signed)?;
        let event = audit::Event::Granted {
            grant: id.to_string(),
            peer: self.grant.peer.map(|peer| peer.to_string()),
            until: self.grant.until.rfc3339(),
        };
        store::audit::append(db, now, &event).map(drop)
    }
}

/// The rows that count.
pub(super) fn verified(
    rows: Vec<GrantRow>,
    me: &PeerId,
    approver: Option<&ApproverId>,
) -> Vec<GrantEntry> {
    let Some(approver) = approver else { return Vec::new() };
    let entry = |row: GrantRow| match GrantEntry::verify(row.signed, me, approver) {
        Ok(entry) => Some(GrantEntry { used: row.used, ..entry }),
        Err(error) => {
            tracing::warn!(%error, "a grant's row was refused");
            None
        }
    };
    rows.into_iter().filter_map(entry).collect()
}

/// Which message passed by which grant.
pub(super) fn note_use(
    db: &Connection,
    (id, number): (&GrantId, i64),
    envelope: &Envelope,
    now: Timestamp,
) -> Result<(), StoreError> {
    grants::set_used(db, number, id)?;
    let message = envelope.header().id.to_string();
    let event = audit::Event::Passed { message, grant: id.to_string() };
    store::audit::append(db, now, &event).map(drop)
}

/// A grant that covers a message, and how much may pass by it.
pub(super) type Fitting<T> = (Room, T);

impl Node {
    /// The grants that hold at `now`.
    pub(super) fn live_grants(&self, now: Timestamp) -> impl Iterator<Item = &GrantEntry> {
        self.grants.iter().filter(move |entry| {
            (entry.grant.from..entry.grant.until).contains(&now)
                && entry.used < entry.grant.messages_max
        })
    }

    /// Lets a message of ours out by each grant that covers it; the first that has room counts.
    pub(super) fn granted_out(
        &self,
        envelope: &Envelope,
        reasons: &[Reason],
        now: Timestamp,
    ) -> Vec<Fitting<Approved<Envelope>>> {
        let Some(approver) = self.approver.as_ref() else { return Vec::new() };
        let to = envelope.header().recipient;
        let fits = |entry: &&GrantEntry| {
            let grant = &entry.grant;
            grant.kind == GrantKind::Unasked
                && grant.direction == Direction::Out
                && grant.peer == Some(to)
        };
        let release = |entry: &GrantEntry| {
            let keys = (&*self.key, approver);
            let (signed, scanner) = (&entry.signed, &self.rules.scanner);
            let released =
                gate::release_by_grant(envelope.clone(), reasons, signed, keys, (scanner, now));
            Some((Room::from(&entry.grant), released.ok()?))
        };
        self.live_grants(now).filter(fits).filter_map(release).collect()
    }

    /// The grants that may let messages of this peer in.
    pub(super) fn grants_in(&self, peer: &PeerId, now: Timestamp) -> Vec<Fitting<SignedGrant>> {
        let fits = |entry: &&GrantEntry| {
            entry.grant.direction == Direction::In && entry.grant.peer == Some(*peer)
        };
        let fitting = self.live_grants(now).filter(fits);
        fitting.map(|e| (Room::from(&e.grant), e.signed.clone())).collect()
    }

    /// One more message passed by it.
    pub(super) fn count_use(&mut self, id: GrantId) {
        if let Some(entry) = self.grants.iter_mut().find(|entry| entry.grant.id == id) {
            entry.used = entry.used.saturating_add(1);
        }
    }

    /// A grant that comes with the yes to an item: for that peer and way, and no wider.
    pub(super) fn grant_with(
        &self,
        row: &PendingRow,
        signed: &SignedHex,
    ) -> Result<GrantEntry, ApiError> {
        let entry = self.read_grant(signed)?;
        let grant = &entry.grant;
        let way = match row.what {
            What::MessageOut => Direction::Out,
            What::MessageIn => Direction::In,
            What::PeerOut | What::PeerIn => {
                let next = "approve the peer alone";
                return Err(usage("a grant is for messages, and this is a new peer", next));
            }
        };
        let fits = grant.kind == GrantKind::Unasked
            && grant.peer == Some(row.peer)
            && grant.direction == way;
        if !fits {
            return Err(usage("the grant is not for this peer and this way", "approve it alone"));
        }
        if is_of(grant, row) {
            Ok(entry)
        } else {
            let message = "the grant covers more than was found in this message";
            Err(usage(message, "approve it alone"))
        }
    }

    fn read_grant(&self, signed: &SignedHex) -> Result<GrantEntry, ApiError> {
        let refuse = |error: &dyn std::fmt::Display| {
            let next = "nothing was granted; sign it with the approval passphrase";
            ApiError::new(ErrorKind::Denied, format!("the grant does not count: {error}"), next)
        };
        let approver = self.need_approver()?;
        if self.grants.len() >= limits::GRANTS_MAX {
            let message = format!("{} grants hold already", limits::GRANTS_MAX);
            return Err(ApiError::new(ErrorKind::Busy, message, "end some: countersign grants"));
        }
        let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).map_err(|error| refuse(&error));
        let statement = bytes(&signed.statement)?;
        let signature = bytes(&signed.signature)?
            .try_into()
            .map_err(|_| refuse(&"its signature is not 64 bytes"))?;
        let signed = SignedGrant { statement, signature };
        let entry = GrantEntry::verify(signed, &self.id, &approver).map_err(|e| refuse(&e))?;
        let (now, from) = (clock::now(), entry.grant.from);
        if entry.grant.until <= now {
            return Err(refuse(&format!("it ended at {}", entry.grant.until)));
        }
        if now.since(from).max(from.since(now)) > limits::DECISION_LIFE {
            return Err(refuse(&format!("it was not signed now, but for {from}")));
        }
        if entry.grant.peer.is_some_and(|peer| self.trusted(&peer).is_none()) {
            return Err(refuse(&"its peer is not trusted"));
        }
        Ok(entry)
    }

    /// Keeps a grant that comes alone.
    pub(super) fn grant(&mut self, signed: &SignedHex, answer: Answer) {
        let entry = match self.read_grant(signed) {
            Ok(entry) => entry,
            Err(error) => {
                self.note_refusal(&error);
                return reply(answer, Err(error));
            }
        };
        let now = clock::now();
        let kept = entry.clone();
        self.write(
            move |db| kept.keep(db, now),
            move |node, done| {
                if let Err(error) = done {
                    let error = store_failed(&error);
                    node.note_refusal(&error);
                    return reply(answer, Err(error));
                }
                node.keep_grant(entry);
                node.handle.tell(Event::PeersChanged);
                reply(answer, Ok(Reply::Done(Done { done: true })));
            },
        );
    }

    /// Holds a grant that is on disk. Trust may have ended while it was written; it ends with it.
    pub(super) fn keep_grant(&mut self, entry: GrantEntry) {
        if entry.grant.peer.is_none_or(|peer| self.trusted(&peer).is_some()) {
            return self.grants.push(entry);
        }
        let (id, now) = (entry.grant.id, clock::now());
        self.write(move |db| end(db, &[id], now), |_, _| ());
    }

    /// Ends a grant. What passed by it before stays as it is.
    pub(super) fn end_grant(&mut self, id: &str, answer: Answer) {
        let next = "countersign grants lists them";
        let id: GrantId = match id.parse() {
            Ok(id) => id,
            Err(error) => return reply(answer, Err(usage(error, next))),
        };
        let before = self.grants.len();
        self.grants.retain(|entry| entry.grant.id != id);
        let held = self.grants.len() < before;
        self.handle.tell(Event::PeersChanged);
        let now = clock::now();
        let op = move |db: &Connection| {
            // A row that somebody took away may come back: it ends all the same.
            let ends = held || (standing::granted(db, &id)? && !standing::grant_ended(db, &id)?);
            if ends {
                end(db, &[id], now)?;
            }
            Ok(ends)
        };
        self.write(op, move |_, done| {
            let done = done.map_err(|e| store_failed(&e)).and_then(|ended| {
                let message = format!("there is no grant {id}, or it has ended");
                let nothing = || ApiError::new(ErrorKind::NotFound, message, next);
                ended.then_some(Reply::Done(Done { done: true })).ok_or_else(nothing)
            });
            reply(answer, done);
        });
    }

    /// Takes the grants of a peer whose trust ends out of memory; they are to be ended on disk.
    pub(super) fn drop_grants(&mut self, peer: &PeerId) -> Vec<GrantId> {
        let theirs = |entry: &GrantEntry| entry.grant.peer == Some(*peer);
        let ids = self.grants.iter().filter(|entry| theirs(entry)).map(|entry| entry.grant.id);
        let ids = ids.collect();
        self.grants.retain(|entry| !theirs(entry));
        ids
    }

    /// Forgets the grants whose time is over.
    pub(super) fn expire_grants(&mut self, now: Timestamp) {
        self.grants.retain(|entry| entry.grant.until > now);
    }

    pub(super) fn list_grants(&self) -> Reply {
        let now = clock::now();
        let open = self.grants.iter().filter(|entry| entry.grant.until > now);
        Reply::Grants(Grants { grants: open.map(|entry| self.grant_view(entry)).collect() })
    }

    /// The grants for one peer.
    pub(super) fn grants_of(&self, peer: &PeerId) -> Vec<GrantInfo> {
        let now = clock::now();
        let theirs = |e: &&GrantEntry| e.grant.peer == Some(*peer) && e.grant.until > now;
        self.grants.iter().filter(theirs).map(|entry| self.grant_view(entry)).collect()
    }

    fn grant_view(&self, entry: &GrantEntry) -> GrantInfo {
        let grant = &entry.grant;
        let peer = grant.peer.map(|peer| self.name_of(&peer));
        GrantInfo {
            id: grant.id.to_string(),
            text: grant_text(grant, peer.as_deref()),
            kind: grant.kind,
            peer,
            direction: grant.direction,
            rules: grant.rules.clone(),
            messages_left: grant.messages_max.saturating_sub(entry.used),
            kinds: grant.kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
            per_hour_max: grant.per_hour_max,
            until: grant.until.rfc3339(),
        }
    }
}

/// Whether a grant covers no rule and no severity but those that are found in an item's bytes.
fn is_of(grant: &Grant, row: &PendingRow) -> bool {
    let Some(Item::Message(_, envelope)) = &row.item else { return false };
    let text = envelope.body().text().map_or("", |text| text.as_str());
    let found = risk::scan(text);
    let worst = found.iter().map(|finding| finding.severity).max();
    worst.is_some_and(|worst| grant.severity_max <= worst)
        && grant.rules.iter().all(|rule| found.iter().any(|finding| finding.rule == *rule))
}

/// Ends grants on disk. The audit record says so whether there is a row or not: one that is put back
/// later does not count.
pub(super) fn end(db: &Connection, ids: &[GrantId], now: Timestamp) -> Result<(), StoreError> {
    for id in ids {
        grants::end(db, id, now)?;
        let event = audit::Event::GrantEnded { grant: id.to_string() };
        store::audit::append(db, now, &event)?;
    }
    Ok(())
}
