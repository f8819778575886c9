//! Whether a peer is there: a ping over its link, and its pong.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{LinkId, LinkPath, gates::lock, link::Item, shared::Shared, tried::Tried};
use crate::base::{PeerId, limits};

/// What came of asking a peer whether it is there.
#[derive(Clone, Debug)]
pub struct Pinged {
    /// How it is reached; `None` when it is not linked.
    pub path: Option<LinkPath>,
    /// How long each answer took that came.
    pub rtts: Vec<Duration>,
    /// How many did not come.
    pub lost: u32,
    /// What became of the last dial, where there was one and it led to no link.
    pub tried: Option<Tried>,
    /// Where it was dialed.
    pub places: Vec<String>,
}

/// The pings that wait for their pongs.
#[derive(Default)]
pub(super) struct Pings {
    waiting: Mutex<HashMap<u64, (PeerId, oneshot::Sender<()>)>>,
    last: AtomicU64,
}

/// Above the numbers that a link's own pings have.
const FIRST: u64 = 1 << 32;

impl Pings {
    /// The pong of `peer` with this number came. One that nobody waits for says nothing.
    pub(super) fn answer(&self, peer: &PeerId, nonce: u64) {
        let mut waiting = lock(&self.waiting);
        if waiting.get(&nonce).is_some_and(|(who, _)| who == peer)
            && let Some((_, answered)) = waiting.remove(&nonce)
        {
            answered.send(()).ok(); // It was waited for too long.
        }
    }

    fn begin(&self, peer: PeerId) -> (Waiting<'_>, oneshot::Receiver<()>) {
        let nonce = FIRST + self.last.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        lock(&self.waiting).insert(nonce, (peer, answered));
        (Waiting { pings: self, nonce }, answer)
    }
}

/// A place among those that wait, until it is dropped.
struct Waiting<'a> {
    pings: &'a Pings,
    nonce: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.pings.waiting).remove(&self.nonce);
    }
}

/// Asks over this link. Gives how long the answer took; `None` when there was none.
pub(super) async fn ping(
    shared: &Shared,
    peer: PeerId,
    link: LinkId,
    patience: Duration,
) -> Option<Duration> {
    let (waiting, answer) = shared.pings.begin(peer);
    let began = Instant::now();
    if !shared.links.offer(peer, link, Item::Ping(waiting.nonce)) {
        return None;
    }
    timeout(patience, answer).await.ok()?.ok()?;
    Some(began.elapsed())
}

/// Asks `count` times, one after the other. A peer that is not linked is dialed at once and waited
/// for; who refuses us is not.
pub(super) async fn ask(shared: &Shared, peer: PeerId, count: u32, wait: Duration) -> Pinged {
    let places = shared.ways(&peer);
    if shared.links.up(peer).is_none()
        && let Some(keeper) = shared.keeper(&peer)
    {
        shared.trials.forget(&peer);
        keeper.wake.notify_one();
    }
    let link = tokio::select! {
        link = timeout(wait, shared.links.newest(peer)) => link.ok(),
        () = shared.trials.refused(&peer) => None,
    };
    let mut pinged = Pinged { path: None, rtts: Vec::new(), lost: 0, tried: None, places };
    let Some(link) = link else {
        pinged.tried = shared.trials.last(&peer);
        return pinged;
    };
    for _ in 0..count.min(limits::PINGS_MAX) {
        match ping(shared, peer, link, limits::PONG_TIMEOUT).await {
            Some(rtt) => pinged.rtts.push(rtt),
            None => pinged.lost += 1,
        }
    }
    pinged.path = shared.links.path(peer);
    pinged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pong_answers_the_ping_of_its_number_to_its_peer_alone() {
        let (pings, bob, mallory) =
            (Pings::default(), PeerId::from_bytes([2; 32]), PeerId::from_bytes([3; 32]));
        let (first, mut one) = pings.begin(bob);
        let (second, mut two) = pings.begin(bob);
        pings.answer(&mallory, first.nonce);
        pings.answer(&bob, first.nonce + 7);
        assert!(one.try_recv().is_err() && two.try_recv().is_err());
        pings.answer(&bob, second.nonce);
        assert!(one.try_recv().is_err() && two.try_recv().is_ok());
        drop((first, second));
        assert!(lock(&pings.waiting).is_empty(), "nothing stays");
    }
}
