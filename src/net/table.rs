//! The connections that are up, and which of two stays.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use iroh::{TransportAddr, endpoint::Connection};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{LinkId, LinkPath, SendError, code, gates::lock, route::Route, shared::close};
use crate::base::{PeerId, limits};

/// One connection that is up.
pub(super) struct Slot<T> {
    /// The connection.
    pub(super) connection: Connection,
    /// To its writer.
    pub(super) queue: mpsc::Sender<T>,
    /// Which way it goes.
    pub(super) route: Route,
    /// We dialed.
    pub(super) dialed: bool,
    /// Since when.
    pub(super) since: Instant,
    /// Cancelled when it is gone and the node was told.
    pub(super) gone: CancellationToken,
}

/// All connections of one protocol.
pub(super) struct Table<T> {
    slots: Mutex<BTreeMap<(PeerId, LinkId), Slot<T>>>,
    last_link: Arc<AtomicU64>,
}

fn all(peer: PeerId) -> RangeInclusive<(PeerId, LinkId)> {
    (peer, LinkId(0))..=(peer, LinkId(u64::MAX))
}

impl<T> Table<T> {
    /// An empty one. All tables count their links together.
    pub(super) const fn new(last_link: Arc<AtomicU64>) -> Self {
        Self { slots: Mutex::new(BTreeMap::new()), last_link }
    }

    fn next_link(&self) -> LinkId {
        LinkId(self.last_link.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Adds a connection. One that was dialed the same way is closed.
    pub(super) fn replace(&self, peer: PeerId, slot: Slot<T>) -> LinkId {
        let mut slots = lock(&self.slots);
        for (_, old) in slots.range(all(peer)).filter(|(_, old)| old.dialed == slot.dialed) {
            close(&old.connection, code::SUPERSEDED);
        }
        let link = self.next_link();
        slots.insert((peer, link), slot);
        link
    }

    /// Lets a connection be the one with `peer`, or not. Two that were made at once are a tie:
    /// the one that the smaller id dialed stays, and both sides come to the same answer. Else the
    /// newer one stays, so that a peer that came back is not locked out by its former life.
    ///
    /// Gives what must be gone before the node hears of the new one, or the code to close with.
    pub(super) fn admit(
        &self,
        me: &PeerId,
        peer: PeerId,
        slot: Slot<T>,
        is_trusted: impl Fn() -> bool,
    ) -> Result<(LinkId, Vec<CancellationToken>), u32> {
        let mut slots = lock(&self.slots);
        // Asked under the lock, so that either this sees the end of trust or `close_all` sees the
        // connection.
        if !is_trusted() {
            return Err(code::NOT_TRUSTED);
        }
        let smaller_dialed = |dialed: bool| (*me < peer) == dialed;
        let mut former = Vec::new();
        for (_, old) in slots.range(all(peer)) {
            let lives = old.connection.close_reason().is_none();
            let tie = old.since.elapsed() < limits::TIE_WINDOW;
            if lives && tie && smaller_dialed(old.dialed) && !smaller_dialed(slot.dialed) {
                return Err(code::DUPLICATE);
            }
            former.push((old.connection.clone(), old.gone.clone()));
        }
        let link = self.next_link();
        slots.insert((peer, link), slot);
        drop(slots);
        for (connection, _) in &former {
            close(connection, code::SUPERSEDED);
        }
        Ok((link, former.into_iter().map(|(_, gone)| gone).collect()))
    }

    /// The token of the connection that is up with `peer`.
    pub(super) fn up(&self, peer: PeerId) -> Option<CancellationToken> {
        lock(&self.slots).range(all(peer)).next_back().map(|(_, slot)| slot.gone.clone())
    }

    /// Puts a frame into the writer's queue. A peer that lets it fill up loses its connection.
    pub(super) fn send(&self, peer: PeerId, link: LinkId, item: T) -> Result<(), SendError> {
        let slots = lock(&self.slots);
        let slot = slots.get(&(peer, link)).ok_or(SendError::Gone)?;
        match slot.queue.try_send(item) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(SendError::Gone),
            Err(mpsc::error::TrySendError::Full(_)) => {
                close(&slot.connection, code::SLOW);
                Err(SendError::Full)
            }
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        lock(&self.slots).len()
    }

    /// The connection that is up with `peer`.
    #[cfg(test)]
    pub(super) fn connection(&self, peer: PeerId) -> Option<Connection> {
        lock(&self.slots).range(all(peer)).next_back().map(|(_, slot)| slot.connection.clone())
    }

    /// Closes one connection at once.
    pub(super) fn close(&self, peer: PeerId, link: LinkId, code: u32) {
        if let Some(slot) = lock(&self.slots).get(&(peer, link)) {
            close(&slot.connection, code);
        }
    }

    /// All of them, with their writers' queues.
    pub(super) fn all(&self) -> Vec<(LinkId, Connection, mpsc::Sender<T>)> {
        let slots = lock(&self.slots);
        let each = slots
            .iter()
            .map(|((_, link), slot)| (*link, slot.connection.clone(), slot.queue.clone()));
        each.collect()
    }

    /// Closes the connections that have no other way than `address`.
    pub(super) fn close_over(&self, address: &TransportAddr, code: u32) {
        for slot in lock(&self.slots).values() {
            let paths = slot.connection.paths();
            if !paths.is_empty() && paths.iter().all(|path| path.remote_addr() == address) {
                close(&slot.connection, code);
            }
        }
    }

    /// Closes all connections with `peer` at once.
    pub(super) fn close_all(&self, peer: PeerId, code: u32) {
        for (_, slot) in lock(&self.slots).range(all(peer)) {
            close(&slot.connection, code);
        }
    }

    /// Takes a connection out of the table; its writer ends when it has written what waits.
    pub(super) fn remove(&self, peer: PeerId, link: LinkId) {
        lock(&self.slots).remove(&(peer, link));
    }

    /// How `peer` is reached.
    pub(super) fn path(&self, peer: PeerId) -> Option<LinkPath> {
        let slots = lock(&self.slots);
        let (_, slot) = slots.range(all(peer)).next_back()?;
        slot.route.path(&slot.connection)
    }
}
