//! What became of the last dial of each peer, for people who ask why it is not linked.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Mutex, atomic::Ordering},
};

use tokio::sync::Notify;

use super::{NetEvent, gates::lock, shared::Shared};
use crate::base::PeerId;

/// Why a dial led to no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Nobody answered in time at any address that is known.
    Silent,
    /// The other side closed the connection with this code.
    Refused(u64),
    /// We did, because its keys are not exchanged in a post-quantum way.
    NotPq,
}

/// The last dial of each peer that is trusted and not linked.
#[derive(Default)]
pub(super) struct Trials {
    last: Mutex<HashMap<PeerId, Tried>>,
    changed: Notify,
}

impl Trials {
    /// A dial ended so. That another one beside it met nobody says nothing against a refusal.
    pub(super) fn note(&self, peer: PeerId, tried: Tried) {
        let mut last = lock(&self.last);
        if tried == Tried::Silent {
            last.entry(peer).or_insert(tried);
        } else {
            last.insert(peer, tried);
        }
        drop(last);
        self.changed.notify_waiters();
    }

    /// Nothing is known of `peer` from now on.
    pub(super) fn forget(&self, peer: &PeerId) {
        lock(&self.last).remove(peer);
    }

    /// The last one.
    pub(super) fn last(&self, peer: &PeerId) -> Option<Tried> {
        lock(&self.last).get(peer).copied()
    }

    /// Waits until `peer` was dialed and one of both did not want the other.
    pub(super) async fn refused(&self, peer: &PeerId) {
        loop {
            let changed = pin!(self.changed.notified());
            match self.last(peer) {
                Some(Tried::Refused(_) | Tried::NotPq) => return,
                Some(Tried::Silent) | None => changed.await,
            }
        }
    }
}

/// Tells the node and the keepers whom the gate refused for its key exchange.
pub(super) async fn note_not_pq(shared: &Shared) {
    for peer in shared.gate.take_not_pq() {
        tracing::info!(peer = %peer.short(), "refused: no post-quantum key exchange");
        if let Some(keeper) = shared.keeper(&peer) {
            keeper.rejected.store(true, Ordering::Relaxed);
            shared.trials.note(peer, Tried::NotPq);
            shared.emit(NetEvent::NotPq { peer }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn silence_is_waited_out_and_a_refusal_is_not() {
        let (trials, bob) = (Trials::default(), PeerId::from_bytes([2; 32]));
        let mut refused = pin!(trials.refused(&bob));
        assert!(refused.as_mut().now_or_never().is_none());
        trials.note(bob, Tried::Silent);
        assert!(refused.as_mut().now_or_never().is_none());
        trials.note(PeerId::from_bytes([3; 32]), Tried::NotPq);
        assert!(refused.as_mut().now_or_never().is_none());
        trials.note(bob, Tried::Refused(0x403));
        assert!(refused.as_mut().now_or_never().is_some());
        trials.note(bob, Tried::Silent);
        assert_eq!(trials.last(&bob), Some(Tried::Refused(0x403)));
        trials.forget(&bob);
        assert_eq!(trials.last(&bob), None);
    }
}
