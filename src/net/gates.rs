//! Gates A and B: who gets through the handshake.
//!
//! A copy of the gate lives inside the endpoint, so it holds no connection and no endpoint.

use std::{
    collections::HashSet,
    fmt,
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
    base::{PeerId, Secret, limits},
    wire::{ALPN_PEER, pair},
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
    pairing_open: bool,
    expected: Expected,
}

/// Whom pairing is served to when it comes through a relay. The handshake tells our addresses, so
/// a stranger has to show first, in its first packets, that it holds an invite of ours.
#[derive(Default)]
pub(super) struct Expected {
    /// Ourselves, as invites name us.
    pub(super) me: Option<PeerId>,
    /// The secrets of the invites that are open.
    pub(super) secrets: Vec<Secret<[u8; 16]>>,
    /// Those whom we are pairing with.
    pub(super) peers: HashSet<PeerId>,
}

impl Expected {
    /// The protocols of which `joiner` has to offer one: a proof for each open invite. Nobody
    /// else can make them, and they are good for this joiner alone.
    fn alpns(&self, joiner: &PeerId) -> Vec<Vec<u8>> {
        let Some(me) = &self.me else { return Vec::new() };
        let few = self.secrets.iter().take(limits::INVITES_OPEN_MAX);
        few.map(|secret| pair::alpn_of(&pair::proof(secret.expose_secret(), joiner, me))).collect()
    }
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected").field("peers", &self.peers).finish_non_exhaustive()
    }
}

/// What a connection counts as, before its handshake.
#[derive(Debug, PartialEq, Eq)]
struct Caller {
    /// Whose rate it counts in.
    source: Source,
    /// It must speak one of these; `None` for what we speak with everybody.
    alpns: Option<Vec<Vec<u8>>>,
}

/// What gate A says about a connection that wants to begin.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Shake hands, holding this until it is done; in one of these protocols, if they are named.
    Accept(OwnedSemaphorePermit, Option<Vec<Vec<u8>>>),
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

    /// Who is let in to pair through a relay, from now on.
    pub(super) fn expect(&self, expected: Expected) {
        lock(&self.who).expected = expected;
    }

    /// Whether `peer` is trusted now.
    pub(super) fn trusts(&self, peer: &PeerId) -> bool {
        lock(&self.who).trusted.contains(peer)
    }

    /// A place for one pairing connection that somebody else dialed.
    pub(super) fn pairing_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pairings).try_acquire_owned().ok()
    }

    /// Gate A.
    pub(super) fn before_handshake(&self, incoming: &Incoming) -> Verdict {
        let Some(caller) = self.caller(incoming.remote_addr()) else { return Verdict::Refuse };
        let Caller { source, alpns } = caller;
        let Ok(permit) = Arc::clone(&self.handshakes).try_acquire_owned() else {
            return Verdict::Refuse;
        };
        // What comes through a relay cannot say that it comes from elsewhere.
        let is_proven = !matches!(source, Source::Network(_)) || incoming.remote_addr_validated();
        match lock(&self.rates).check(source, is_proven, Instant::now()) {
            Rate::Within => Verdict::Accept(permit, alpns),
            Rate::Unproven => Verdict::Retry,
            Rate::Over => Verdict::Refuse,
        }
    }

    /// What a connection counts as; `None` for whom there is nothing here. A relay says whose
    /// packets it carries, and shaking hands with a stranger would tell it our addresses: TLS
    /// itself ends the handshake of one that shows no proof, before anything is told.
    fn caller(&self, address: IncomingAddr) -> Option<Caller> {
        let (url, endpoint_id) = match address {
            IncomingAddr::Ip(address) => {
                return Some(Caller {
                    source: Source::Network(network(address.ip())),
                    alpns: None,
                });
            }
            IncomingAddr::Relay { url, endpoint_id } => (url, endpoint_id),
            // No other transport is configured.
            IncomingAddr::Custom(_) | _ => return None,
        };
        let peer = PeerId::from_bytes(*endpoint_id.as_bytes());
        let who = lock(&self.who);
        if who.trusted.contains(&peer) {
            return Some(Caller { source: Source::Peer(peer), alpns: None });
        }
        if !who.pairing_open {
            return None;
        }
        let source = Source::Relay(url.to_string());
        if who.expected.peers.contains(&peer) {
            return Some(Caller { source, alpns: None });
        }
        let alpns = who.expected.alpns(&peer);
        (!alpns.is_empty()).then_some(Caller { source, alpns: Some(alpns) })
    }

    /// Gate B. A refusal is the same for everybody and every reason.
    fn serves(&self, peer: &PeerId, alpn: &[u8]) -> bool {
        let who = lock(&self.who);
        match alpn {
            ALPN_PEER => who.trusted.contains(peer),
            _ if pair::is_alpn(alpn) => who.pairing_open && self.pairings.available_permits() > 0,
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
    use crate::wire::ALPN_PAIR;

    #[test]
    fn a_relayed_stranger_is_refused_before_the_handshake_unless_it_can_show_an_invite() {
        let (gate, key) = (Gate::new(false), iroh::SecretKey::from_bytes(&[1; 32]).public());
        let address =
            IncomingAddr::Relay { url: "https://relay.example".parse().unwrap(), endpoint_id: key };
        let peer = PeerId::from_bytes(*key.as_bytes());
        let me = PeerId::from_bytes([7; 32]);
        let caller = || gate.caller(address.clone());
        assert_eq!(caller(), None);
        gate.set_pairing(true);
        assert_eq!(caller(), None, "nobody is expected");
        let secrets = || [[3; 16], [4; 16]].map(Secret::new).into();
        let expected = |peers| Expected { me: Some(me), secrets: secrets(), peers };
        gate.expect(expected(HashSet::new()));
        let shown =
            [[3; 16], [4; 16]].map(|secret| pair::alpn_of(&pair::proof(&secret, &peer, &me)));
        let source = Source::Relay("https://relay.example/".to_owned());
        assert_eq!(caller(), Some(Caller { source, alpns: Some(shown.to_vec()) }));
        // We are pairing with it already.
        gate.expect(expected(HashSet::from([peer])));
        assert_eq!(caller().unwrap().alpns, None);
        gate.set_trusted(peer, true);
        gate.set_pairing(false);
        assert_eq!(caller(), Some(Caller { source: Source::Peer(peer), alpns: None }));
        gate.set_trusted(peer, false);
        assert_eq!(caller(), None);
    }

    #[test]
    fn what_is_expected_is_never_written_out() {
        let secrets = vec![Secret::new([0xab; 16])];
        let expected = Expected { me: None, secrets, peers: HashSet::new() };
        assert!(!format!("{expected:?}").contains("171"));
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
