//! What all tasks of the net share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, atomic::AtomicU64},
};

use iroh::{Endpoint, EndpointAddr, EndpointId, TransportAddr, endpoint::Connection};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    NetEvent,
    address::AddressRules,
    endpoint,
    gates::{Gate, lock},
    keep::Keeper,
    link::Item,
    relays::Pool,
    table::Table,
};
use crate::{
    base::{ApproverId, PeerId, limits},
    wire::{Hello, PairFrame},
};

/// One running net.
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    pub(super) me: PeerId,
    pub(super) approver: OnceLock<ApproverId>,
    pub(super) rules: AddressRules,
    pub(super) gate: Gate,
    pub(super) links: Table<Item>,
    pub(super) pairs: Table<PairFrame>,
    pub(super) keepers: Mutex<HashMap<PeerId, Arc<Keeper>>>,
    /// What peers are told in our hello, where that is anything.
    pub(super) features: Mutex<HashMap<PeerId, Vec<String>>>,
    pub(super) relays: Mutex<Pool>,
    pub(super) dials: Semaphore,
    pub(super) tasks: TaskTracker,
    pub(super) cancel: CancellationToken,
    events: mpsc::Sender<NetEvent>,
}

impl Shared {
    pub(super) fn new(
        endpoint: Endpoint,
        rules: AddressRules,
        gate: Gate,
        approver: Option<ApproverId>,
        (tasks, cancel, events): (TaskTracker, CancellationToken, mpsc::Sender<NetEvent>),
    ) -> Self {
        let last_link = Arc::new(AtomicU64::new(0));
        Self {
            me: PeerId::from_bytes(*endpoint.id().as_bytes()),
            relays: Mutex::new(Pool::new(&endpoint::relay_map(&rules))),
            endpoint,
            approver: approver.map(OnceLock::from).unwrap_or_default(),
            rules,
            gate,
            links: Table::new(Arc::clone(&last_link)),
            pairs: Table::new(last_link),
            keepers: Mutex::default(),
            features: Mutex::default(),
            dials: Semaphore::new(limits::DIALS_MAX),
            tasks,
            cancel,
            events,
        }
    }

    /// Tells the node, waiting for it if it is busy. At the end nobody may be there to hear.
    pub(super) async fn emit(&self, event: NetEvent) {
        tokio::select! {
            biased;
            sent = self.events.send(event) => sent.ok().unwrap_or_default(),
            () = self.cancel.cancelled() => {}
        }
    }

    /// Our addresses as peers are told.
    pub(super) fn addresses(&self) -> Vec<String> {
        self.rules.named(&self.endpoint.addr())
    }

    /// What we say first to `peer`. Without a human there is nobody to speak for.
    pub(super) fn hello(&self, peer: &PeerId) -> Option<Hello> {
        let approver = *self.approver.get()?;
        Some(Hello { approver, features: self.features(peer), addresses: self.addresses() })
    }

    /// The features that `peer` is told.
    pub(super) fn features(&self, peer: &PeerId) -> Vec<String> {
        lock(&self.features).get(peer).cloned().unwrap_or_default()
    }

    /// Where a peer is dialed that was at `known`; other relays too, when it may have moved there.
    pub(super) fn places(&self, known: &[TransportAddr], failed: bool) -> Vec<TransportAddr> {
        let spares = lock(&self.relays).spares(known, failed);
        known.iter().cloned().chain(spares).collect()
    }

    /// Where to dial; `None` for what is no key.
    pub(super) fn target(
        peer: &PeerId,
        addresses: impl IntoIterator<Item = TransportAddr>,
    ) -> Option<EndpointAddr> {
        let id = EndpointId::from_bytes(peer.as_bytes()).ok()?;
        Some(EndpointAddr::from_parts(id, addresses))
    }

    /// The keeper of the link with `peer`, while it is trusted.
    pub(super) fn keeper(&self, peer: &PeerId) -> Option<Arc<Keeper>> {
        lock(&self.keepers).get(peer).cloned()
    }

    /// Dials everybody who is down.
    pub(super) fn wake_all(&self) {
        for keeper in lock(&self.keepers).values() {
            keeper.wake.notify_one();
        }
    }
}

/// The proven id at the other end.
pub(super) fn remote(connection: &Connection) -> PeerId {
    PeerId::from_bytes(*connection.remote_id().as_bytes())
}

/// Closes a connection, unless it is closed: the first reason is the true one, and iroh would
/// put this one over it.
pub(super) fn close(connection: &Connection, code: u32) {
    if connection.close_reason().is_none() {
        connection.close(code.into(), b"");
    }
}
