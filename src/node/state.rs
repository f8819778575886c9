//! What the node holds in memory, and how it writes and goes on.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::{
    future::BoxFuture,
    stream::{FuturesOrdered, FuturesUnordered},
};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    api::{ApiError, ErrorKind, Reply},
    codes::Codes,
    config::{Home, NetworkConfig, NetworkMode},
    effective::Effective,
    grants::GrantEntry,
    handle::NodeHandle,
    judge::{Kept, Recent},
    keep::Keeping,
    known::Watched,
    lowered::Owed,
    page::PageCodes,
    reach::Doubles,
    refusals::Refusals,
    repeats::Liked,
    roster::Roster,
    standing,
    tell::ToldBefore,
    upkeep::Indexing,
    witness::Chains,
};
use crate::{
    base::{
        ApproverId, ClaimedName, InviteId, Note, PeerId, PeerName, PendingId, Secret, SessionName,
        Timestamp, limits,
    },
    delivery::{
        budget::Budget,
        inbox::{Refusal, Turn},
        outbox::Outbox,
        pairing::{Me, Pairing},
    },
    gate::{Rules, taint::Taint},
    identity::IdentityKey,
    net::{LinkId, Net},
    policy::{self, Requirement},
    store::{Store, StoreError, pending::PendingRow},
    trust::{Consent, PeerState},
    wire::Envelope,
};

/// Where an answer goes.
pub(super) type Answer = oneshot::Sender<Result<Reply, ApiError>>;
/// What goes on when the store is done.
pub(super) type Then = Box<dyn FnOnce(&mut Node) + Send>;

/// A peer in memory. Its `state` is `trusted` only beside a consent that was verified.
pub(super) struct PeerEntry {
    pub(super) name: PeerName,
    pub(super) claim: ClaimedName,
    pub(super) state: PeerState,
    pub(super) consent: Option<Consent>,
    pub(super) verified: bool,
    pub(super) addresses: Vec<String>,
    pub(super) created: Timestamp,
    pub(super) seen: Option<Timestamp>,
    pub(super) warning: Option<String>,
    /// Which messages of ours its node takes only countersigned.
    pub(super) requires: Vec<Requirement>,
    /// Its node understands messages that name a session.
    pub(super) sessions: bool,
    /// What it signed of its audit chain and of ours.
    pub(super) chains: Chains,
    /// Its node refuses this one: it does not trust it (any more), or sees another approver.
    pub(super) refuses_us: bool,
    /// What its node said of its program's version.
    pub(super) version: Option<String>,
    /// How far its clock is ahead of ours, milliseconds, by its newest receipt in this run.
    pub(super) skew_ms: Option<i64>,
    pub(super) link: Option<LinkId>,
    pub(super) outbox: Outbox,
    pub(super) intake: Intake,
}

/// What came over a link and is not on disk yet. One batch is written at a time, so that nothing
/// passes a batch that could not be stored.
#[derive(Default)]
pub(super) struct Intake {
    /// The frames of this link are not listened to any more.
    pub(super) closed: bool,
    /// A batch is being written.
    pub(super) taking: bool,
    /// The number of the last data frame.
    pub(super) seq: u64,
    pub(super) waiting: VecDeque<Came>,
    pub(super) turn: Turn,
}

/// A message, and why it is not to be taken where that is plain from itself.
pub(super) type Judged = (Envelope, Option<Refusal>);

/// A data frame. A receipt is on its way to the disk by itself.
pub(super) struct Came {
    pub(super) seq: u64,
    pub(super) message: Option<Judged>,
}

/// A pairing in memory.
pub(super) struct PairingEntry {
    pub(super) pairing: Pairing,
    pub(super) pending: PendingId,
    pub(super) link: Option<LinkId>,
    pub(super) tries: u32,
    /// At which uptime it is dialled again.
    pub(super) dial_at: Option<Duration>,
    /// Our side chose the name; it is not changed to what the peer claims.
    pub(super) named: bool,
    /// Who waits for what comes of it, and up to which uptime.
    pub(super) waiting: Vec<(Answer, Duration)>,
}

/// An invite that is open.
pub(super) struct InviteEntry {
    pub(super) id: InviteId,
    pub(super) secret: Secret<[u8; 16]>,
    pub(super) note: Option<Note>,
    pub(super) expires: Timestamp,
    /// Who used it, or who alone may.
    pub(super) used_by: Option<PeerId>,
    /// A short code carries it: until that was said to the end, it is nobody's.
    pub(super) by_code: bool,
    /// Whose human alone may use it.
    pub(super) approver: Option<ApproverId>,
}

/// What the node does with the database for a longer time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chores {
    /// Messages are being deleted.
    pub(super) erasing: bool,
    /// The database is being copied.
    pub(super) copying: bool,
    /// Audit records are being moved into a file.
    pub(super) rotating: bool,
}

/// The node. One task owns it.
pub(super) struct Node {
    pub(super) home: Home,
    pub(super) key: Arc<IdentityKey>,
    pub(super) id: PeerId,
    pub(super) approver: Option<ApproverId>,
    pub(super) name: ClaimedName,
    pub(super) mode: NetworkMode,
    pub(super) network: NetworkConfig,
    /// Keys that are at work in two places.
    pub(super) doubles: Doubles,
    pub(super) store: Store,
    pub(super) net: Net,
    pub(super) handle: NodeHandle,
    pub(super) peers: BTreeMap<PeerId, PeerEntry>,
    pub(super) pairings: BTreeMap<PeerId, PairingEntry>,
    /// Peers whose request is being written down.
    pub(super) connecting: BTreeSet<PeerId>,
    /// Peers of whom it is being written down that our human is asked, each as often as it is.
    pub(super) asking: Vec<PeerId>,
    pub(super) invites: Vec<InviteEntry>,
    pub(super) codes: Codes,
    pub(super) pending: BTreeMap<PendingId, PendingRow>,
    pub(super) grants: Vec<GrantEntry>,
    pub(super) prompts: Budget,
    pub(super) liked: Liked,
    pub(super) rules: Rules,
    /// The policy of these rules, and where it comes from.
    pub(super) policy: Effective,
    /// What the audit chain said of the home at the start that its human has to know.
    pub(super) standing: standing::Told,
    /// A policy is being written down.
    pub(super) changing_policy: bool,
    /// When the last order that was followed was signed.
    pub(super) followed: Timestamp,
    pub(super) known: Watched,
    pub(super) taint: Taint,
    pub(super) kept: Kept,
    pub(super) recent: Recent,
    pub(super) page_codes: PageCodes,
    pub(super) refusals: Refusals,
    /// How many wrong passphrases the audit log tells of.
    pub(super) wrong_noted: u64,
    pub(super) told: ToldBefore,
    pub(super) roster: Roster,
    /// How long messages are kept.
    pub(super) keeping: Keeping,
    /// How long this node had run when messages of enough age were looked for last.
    pub(super) swept: Duration,
    pub(super) chores: Chores,
    /// The database's log could not be emptied after the last deletion.
    pub(super) log_holds_deleted: bool,
    /// What ended in memory and is not on disk.
    pub(super) owed: Vec<(PeerId, Owed)>,
    /// Since when there is a copy.
    pub(super) copy_made: Option<Timestamp>,
    /// At which uptime which outbox wants a tick; few do.
    pub(super) outboxes_due: BTreeMap<PeerId, Duration>,
    pub(super) indexing: Indexing,
    pub(super) stopping: bool,
    pub(super) writes: FuturesOrdered<BoxFuture<'static, Then>>,
    pub(super) reads: FuturesUnordered<BoxFuture<'static, Then>>,
}

impl Node {
    /// Queues a write; `then` runs on this task when it is on disk, in the order of the calls.
    pub(super) fn write<T: Send + 'static>(
        &mut self,
        op: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(&mut Self, Result<T, StoreError>) + Send + 'static,
    ) {
        let answered = self.store.write(op);
        self.writes.push_back(Box::pin(async move {
            let result = answered.await.unwrap_or(Err(StoreError::Closed));
            Box::new(move |node: &mut Self| then(node, result)) as Then
        }));
    }

    /// Queues a read; `then` runs on this task with what it found.
    pub(super) fn read<T: Send + 'static>(
        &mut self,
        op: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(&mut Self, Result<T, StoreError>) + Send + 'static,
    ) {
        let answered = self.store.read(op);
        self.once_read(answered, then);
    }

    /// As [`Node::read`], where more is looked through than shown: no other kind of read waits for it.
    pub(super) fn scan<T: Send + 'static>(
        &mut self,
        op: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(&mut Self, Result<T, StoreError>) + Send + 'static,
    ) {
        let answered = self.store.scan(op);
        self.once_read(answered, then);
    }

    fn once_read<T: Send + 'static>(
        &mut self,
        answered: oneshot::Receiver<Result<T, StoreError>>,
        then: impl FnOnce(&mut Self, Result<T, StoreError>) + Send + 'static,
    ) {
        self.reads.push(Box::pin(async move {
            let result = answered.await.unwrap_or(Err(StoreError::Closed));
            Box::new(move |node: &mut Self| then(node, result)) as Then
        }));
    }

    /// Who we are in a pairing, once a human is there to consent.
    pub(super) fn me(&self) -> Option<Me> {
        let approver = self.approver?;
        Some(Me { identity: self.id, approver, name: self.name.clone() })
    }

    /// The trusted peer of this id, with its human.
    pub(super) fn trusted(&self, peer: &PeerId) -> Option<(&PeerEntry, ApproverId)> {
        let entry = self.peers.get(peer).filter(|entry| entry.state == PeerState::Trusted)?;
        Some((entry, entry.consent.as_ref()?.peer_approver()))
    }

    /// No more peers can be known.
    pub(super) fn is_full(&self) -> bool {
        u64::try_from(self.peers.len()).unwrap_or(u64::MAX) >= limits::PEERS_MAX
    }

    /// Our human blocked this peer, and has not said yes to it since.
    pub(super) fn is_blocked(&self, peer: &PeerId) -> bool {
        let asks = |row: &PendingRow| row.reasons.iter().any(|r| r.rule == policy::BLOCKED);
        self.peers.get(peer).is_some_and(|entry| entry.state == PeerState::Blocked)
            || self.pending.values().any(|row| row.peer == *peer && asks(row))
    }

    /// What we call a peer.
    pub(super) fn name_of(&self, peer: &PeerId) -> String {
        self.peers.get(peer).map_or_else(|| peer.short(), |entry| entry.name.to_string())
    }

    /// The peer that a surface names by our name for it or by its id.
    pub(super) fn find_peer(&self, text: &str) -> Result<PeerId, ApiError> {
        let by_name = self.peers.iter().find(|(_, entry)| entry.name.as_str() == text);
        if let Some((id, _)) = by_name {
            return Ok(*id);
        }
        let by_id = text.parse::<PeerId>().ok().filter(|id| self.peers.contains_key(id));
        by_id.ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            let message = format!("there is no peer {shown:?}");
            ApiError::new(ErrorKind::NotFound, message, "trust_list (countersign peers) names them")
        })
    }

    /// The peer that a surface names, and perhaps a session of its: `name` or `name/session`.
    pub(super) fn find_address(
        &self,
        text: &str,
    ) -> Result<(PeerId, Option<SessionName>), ApiError> {
        let Some((peer, session)) = text.split_once('/') else {
            return self.find_peer(text).map(|peer| (peer, None));
        };
        let peer = self.find_peer(peer)?;
        let session = SessionName::parse(session)
            .map_err(|e| usage(e, "write it as peer/session, or the peer's name alone"))?;
        Ok((peer, Some(session)))
    }

    /// A name that no other peer has.
    pub(super) fn free_name(&self, wanted: &PeerName, peer: &PeerId) -> PeerName {
        let taken = |name: &PeerName| {
            name.as_str() == "me"
                || self.peers.iter().any(|(id, entry)| id != peer && entry.name == *name)
        };
        if !taken(wanted) {
            return wanted.clone();
        }
        // There are fewer peers than numbers.
        let numbers = 2..=u32::try_from(limits::PEERS_MAX).unwrap_or(u32::MAX);
        let free = numbers.map(|n| wanted.numbered(n)).find(|name| !taken(name));
        free.unwrap_or_else(|| wanted.clone())
    }

    /// Strangers are heard only while somebody is expected.
    pub(super) fn refresh_pairing(&self) {
        let secrets = self.invites.iter().map(|invite| Secret::new(*invite.secret.expose_secret()));
        self.net.expect(secrets.collect(), self.pairings.keys().copied());
        self.net.allow_pairing(!self.invites.is_empty() || !self.pairings.is_empty());
    }
}

/// An answer for a store that failed.
pub(super) fn store_failed(error: &StoreError) -> ApiError {
    let (kind, next) = match error {
        StoreError::DiskFull => (ErrorKind::Failed, "free some space and try again"),
        StoreError::Busy => (ErrorKind::Busy, "try again in a moment"),
        StoreError::ReadOnly(_) => (ErrorKind::Failed, "make COUNTERSIGN_HOME writable"),
        StoreError::Decided(_) => (ErrorKind::NotFound, "countersign pending lists what waits"),
        StoreError::Again(_) => (ErrorKind::Denied, "nothing was granted; sign another one"),
        StoreError::Newer { .. }
        | StoreError::Foreign(_)
        | StoreError::OtherNode { .. }
        | StoreError::Damaged { .. }
        | StoreError::Planted { .. }
        | StoreError::Unwritten(_)
        | StoreError::Sqlite(_)
        | StoreError::Row { .. }
        | StoreError::Sealed { .. }
        | StoreError::Key(_)
        | StoreError::Closed => (ErrorKind::Failed, "run: countersign doctor"),
    };
    ApiError::new(kind, error.to_string(), next)
}

/// Answers. Whoever asked may have gone; then nobody needs it.
pub(super) fn reply(answer: Answer, result: Result<Reply, ApiError>) {
    answer.send(result).ok();
}

/// An argument that is wrong.
pub(super) fn usage(error: impl std::fmt::Display, next: &str) -> ApiError {
    ApiError::new(ErrorKind::Usage, error.to_string(), next)
}
