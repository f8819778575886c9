//! Gates A and B: who gets through the handshake.
//!
//! A copy of the gate lives inside the endpoint, so it holds no connection and no endpoint.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use iroh::endpoint::{
    AfterHandshakeOutcome, Connection, EndpointHooks, Incoming, IncomingAddr, VarInt,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    code,
    pq::is_pq,
    rates::{Rate, Rates, Source, network},
};
use crate::{
    base::{PeerId, limits},
    wire::{ALPN_PAIR, ALPN_PEER},
};

/// A lock that a panic elsewhere does not take away: what it guards is valid at every step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whom the net serves.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    who: Arc<Mutex<Who>>,
    rates: Arc<Mutex<Rates>>,
    handshakes: Arc<Semaphore>,
    pairings: Arc<Semaphore>,
    require_pq: bool,
}

#[derive(Debug, Default)]
struct Who {
    trusted: HashSet<PeerId>,
    /// Those among them that were refused for their key exchange, until it was told.
    not_pq: HashSet<PeerId>,
    pairing_open: bool,
}

/// What gate A says about a connection that wants to begin.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Shake hands, holding this until it is done.
    Accept(OwnedSemaphorePermit),
    /// Show first that packets reach you there.
    Retry,
    /// No.
    Refuse,
}

impl Gate {
    /// Nobody is trusted, and no pairing is open.
    pub(super) fn new(require_pq: bool) -> Self {
        Self {
            require_pq,
            who: Arc::default(),
            rates: Arc::new(Mutex::new(Rates::new(Instant::now()))),
            handshakes: Arc::new(Semaphore::new(limits::HANDSHAKES_MAX)),
            pairings: Arc::new(Semaphore::new(limits::PAIR_CONNECTIONS_MAX)),
        }
    }

    /// From now on `peer` is served, or not. True when that is news.
    pub(super) fn set_trusted(&self, peer: PeerId, trusted: bool) -> bool {
        let mut who = lock(&self.who);
        if trusted { who.trusted.insert(peer) } else { who.trusted.remove(&peer) }
    }

    /// Pairing is served, or not.
    pub(super) fn set_pairing(&self, open: bool) {
        lock(&self.who).pairing_open = open;
    }

    /// Whether `peer` is trusted now.
    pub(super) fn trusts(&self, peer: &PeerId) -> bool {
        lock(&self.who).trusted.contains(peer)
    }

    /// Whom gate B refused for its key exchange since this was asked last.
    pub(super) fn take_not_pq(&self) -> HashSet<PeerId> {
        std::mem::take(&mut lock(&self.who).not_pq)
    }

    /// A place for one pairing connection that somebody else dialed.
    pub(super) fn pairing_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pairings).try_acquire_owned().ok()
    }

    /// Gate A.
    pub(super) fn before_handshake(&self, incoming: &Incoming) -> Verdict {
        let Some(source) = self.source(incoming.remote_addr()) else { return Verdict::Refuse };
        let Ok(permit) = Arc::clone(&self.handshakes).try_acquire_owned() else {
            return Verdict::Refuse;
        };
        // What comes through a relay cannot say that it comes from elsewhere.
        let is_proven = !matches!(source, Source::Network(_)) || incoming.remote_addr_validated();
        match lock(&self.rates).check(source, is_proven, Instant::now()) {
            Rate::Within => Verdict::Accept(permit),
            Rate::Unproven => Verdict::Retry,
            Rate::Over => Verdict::Refuse,
        }
    }

    /// Whose rate a connection counts in; `None` for whom there is nothing here. A relay says
    /// whose packets it carries, and shaking hands with a stranger would tell it our addresses.
    fn source(&self, address: IncomingAddr) -> Option<Source> {
        let (url, endpoint_id) = match address {
            IncomingAddr::Ip(address) => return Some(Source::Network(network(address.ip()))),
            IncomingAddr::Relay { url, endpoint_id } => (url, endpoint_id),
            // No other transport is configured.
            IncomingAddr::Custom(_) | _ => return None,
        };
        let peer = PeerId::from_bytes(*endpoint_id.as_bytes());
        let who = lock(&self.who);
        if who.trusted.contains(&peer) {
            Some(Source::Peer(peer))
        } else {
            who.pairing_open.then(|| Source::Relay(url.to_string()))
        }
    }

    /// Gate B. A refusal is the same for everybody and every reason.
    fn serves(&self, peer: &PeerId, alpn: &[u8]) -> bool {
        let who = lock(&self.who);
        match alpn {
            ALPN_PEER => who.trusted.contains(peer),
            ALPN_PAIR => who.pairing_open && self.pairings.available_permits() > 0,
            _ => false,
        }
    }
}

impl EndpointHooks for Gate {
    async fn after_handshake<'a>(&'a self, connection: &'a Connection) -> AfterHandshakeOutcome {
        let peer = PeerId::from_bytes(*connection.remote_id().as_bytes());
        if !connection.side().is_client() && !self.serves(&peer, connection.alpn()) {
            return refusal(code::NOT_TRUSTED, b"not trusted");
        }
        if self.require_pq && !is_pq(connection) {
            let mut who = lock(&self.who);
            if who.trusted.contains(&peer) {
                who.not_pq.insert(peer);
            }
            return refusal(code::NOT_PQ, b"post-quantum key exchange required");
        }
        AfterHandshakeOutcome::Accept
    }
}

fn refusal(code: u32, reason: &[u8]) -> AfterHandshakeOutcome {
    let error_code = VarInt::from_u32(code);
    AfterHandshakeOutcome::Reject { error_code, reason: reason.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relayed_stranger_is_refused_before_the_handshake_unless_pairing_is_open() {
        let (gate, key) = (Gate::new(false), iroh::SecretKey::from_bytes(&[1; 32]).public());
        let address =
            IncomingAddr::Relay { url: "https://relay.example".parse().unwrap(), endpoint_id: key };
        let peer = PeerId::from_bytes(*key.as_bytes());
        let source = || gate.source(address.clone());
        assert_eq!(source(), None);
        gate.set_pairing(true);
        assert!(matches!(source(), Some(Source::Relay(_))));
        gate.set_trusted(peer, true);
        gate.set_pairing(false);
        assert_eq!(source(), Some(Source::Peer(peer)));
        gate.set_trusted(peer, false);
        assert_eq!(source(), None);
    }

    #[test]
    fn pairing_is_for_the_open_door_alone_and_trust_for_the_trusted() {
        let (gate, peer) = (Gate::new(false), PeerId::from_bytes([1; 32]));
        assert!(!gate.serves(&peer, ALPN_PAIR) && !gate.serves(&peer, ALPN_PEER));
        gate.set_trusted(peer, true);
        assert!(gate.serves(&peer, ALPN_PEER) && !gate.serves(&peer, ALPN_PAIR));
        gate.set_pairing(true);
        assert!(gate.serves(&peer, ALPN_PAIR) && !gate.serves(&peer, b"other/1"));
        let places: Vec<_> = std::iter::from_fn(|| gate.pairing_place()).collect();
        assert_eq!(places.len(), limits::PAIR_CONNECTIONS_MAX);
        assert!(!gate.serves(&peer, ALPN_PAIR));
        drop(places);
        assert!(gate.serves(&peer, ALPN_PAIR));
    }
}
