//! The net of test builds: the real one, or one that a simulation plays. What a node tells the
//! latter is noted, in its order; what such a node hears, the simulation makes up.
#![expect(
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    reason = "a test's own: it fails as a test does"
)]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    LinkId, LinkPath, NetCheck, NetConfig, NetError, NetEvent, Outbound, Pinged, RelayState,
    SendError,
    door::Door,
    gates::lock,
    handle,
    link::{self, Item},
    slots::Slots,
};
use crate::{
    base::{ApproverId, Digest, PeerId, Secret},
    wire::{Frame, PairFrame},
};

/// A net of a test build.
#[derive(Clone)]
pub enum Net {
    /// Sockets.
    Real(handle::Net),
    /// None.
    Simulated(Arc<Noted>),
}

/// What a node told its net.
#[derive(Debug)]
pub enum Call {
    /// A frame, as it leaves.
    Send(PeerId, LinkId, Frame),
    /// The end of a link, with its code.
    Close(PeerId, LinkId, u32),
    /// A peer is let in and dialed.
    Trust(PeerId),
    /// A peer is not, any more.
    Distrust(PeerId, u32),
    /// What a peer hears in our hello.
    Features(PeerId, Vec<String>),
    /// A dial to pair.
    PairDial(PeerId),
    /// A frame of a pairing.
    PairSend(PeerId, LinkId, PairFrame),
    /// The end of a pairing connection, behind what was sent.
    PairClose(PeerId, LinkId),
    /// Strangers are served, or not.
    AllowPairing(bool),
}

/// A net that only notes.
#[derive(Debug)]
pub struct Noted {
    me: PeerId,
    port: u16,
    calls: Mutex<Vec<Call>>,
    /// The connections of which the node was told and that are not gone.
    up: Mutex<BTreeSet<LinkId>>,
}

impl Noted {
    /// Of a node at this port of loopback.
    #[must_use]
    pub fn new(me: PeerId, port: u16) -> Arc<Self> {
        Arc::new(Self { me, port, calls: Mutex::default(), up: Mutex::default() })
    }

    /// What was told since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *lock(&self.calls))
    }

    /// A connection is there from now on, or is not any more.
    pub fn set_up(&self, link: LinkId, up: bool) {
        if up {
            lock(&self.up).insert(link);
        } else {
            lock(&self.up).remove(&link);
        }
    }

    fn note(&self, call: Call) {
        lock(&self.calls).push(call);
    }

    fn need(&self, link: LinkId) -> Result<(), SendError> {
        if lock(&self.up).contains(&link) { Ok(()) } else { Err(SendError::Gone) }
    }

    fn addresses(&self) -> Vec<String> {
        vec![format!("127.0.0.1:{}", self.port)]
    }
}

#[expect(missing_docs, reason = "each is the real net's, or its note")]
impl Net {
    pub async fn start(
        config: NetConfig,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
        events: mpsc::Sender<NetEvent>,
    ) -> Result<Self, NetError> {
        handle::Net::start(config, tasks, cancel, events).await.map(Self::Real)
    }

    #[must_use]
    pub fn slots(&self) -> &Slots {
        match self {
            Self::Real(net) => net.slots(),
            Self::Simulated(_) => panic!("codes are not simulated"),
        }
    }

    pub async fn open_door(&self, seed: Secret<[u8; 32]>) -> Result<Door, NetError> {
        match self {
            Self::Real(net) => net.open_door(seed).await,
            Self::Simulated(_) => panic!("codes are not simulated"),
        }
    }

    pub fn beside<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> BoxFuture<'static, Option<T>> {
        match self {
            Self::Real(net) => Box::pin(net.beside(work)),
            Self::Simulated(_) => panic!("nothing is simulated beside the node"),
        }
    }

    #[must_use]
    pub fn id(&self) -> PeerId {
        match self {
            Self::Real(net) => net.id(),
            Self::Simulated(noted) => noted.me,
        }
    }

    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        match self {
            Self::Real(net) => net.addresses(),
            Self::Simulated(noted) => noted.addresses(),
        }
    }

    #[must_use]
    pub fn invited_to(&self) -> Vec<String> {
        match self {
            Self::Real(net) => net.invited_to(),
            Self::Simulated(noted) => noted.addresses(),
        }
    }

    #[must_use]
    pub fn strange_addresses(&self, addresses: &[String], known: &[String]) -> Vec<String> {
        match self {
            Self::Real(net) => net.strange_addresses(addresses, known),
            Self::Simulated(_) => Vec::new(),
        }
    }

    #[must_use]
    pub fn relay(&self) -> Option<String> {
        match self {
            Self::Real(net) => net.relay(),
            Self::Simulated(_) => None,
        }
    }

    #[must_use]
    pub fn relays(&self) -> Vec<RelayState> {
        match self {
            Self::Real(net) => net.relays(),
            Self::Simulated(_) => Vec::new(),
        }
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Real(net) => net.port(),
            Self::Simulated(noted) => noted.port,
        }
    }

    pub fn set_approver(&self, approver: ApproverId) {
        match self {
            Self::Real(net) => net.set_approver(approver),
            Self::Simulated(_) => {}
        }
    }

    pub fn trust(&self, peer: PeerId, addresses: Vec<String>) {
        match self {
            Self::Real(net) => net.trust(peer, addresses),
            Self::Simulated(noted) => noted.note(Call::Trust(peer)),
        }
    }

    pub fn set_lan_secret(&self, peer: PeerId, secret: Secret<[u8; 32]>) {
        match self {
            Self::Real(net) => net.set_lan_secret(peer, secret),
            Self::Simulated(_) => {}
        }
    }

    pub fn set_features(&self, peer: PeerId, features: Vec<String>) {
        match self {
            Self::Real(net) => net.set_features(peer, features),
            Self::Simulated(noted) => noted.note(Call::Features(peer, features)),
        }
    }

    pub fn distrust(&self, peer: &PeerId, code: u32) {
        match self {
            Self::Real(net) => net.distrust(peer, code),
            Self::Simulated(noted) => noted.note(Call::Distrust(*peer, code)),
        }
    }

    pub fn learn(&self, peer: &PeerId, addresses: Vec<String>) {
        match self {
            Self::Real(net) => net.learn(peer, addresses),
            Self::Simulated(_) => {}
        }
    }

    pub fn send(&self, peer: &PeerId, link: LinkId, frame: Outbound) -> Result<(), SendError> {
        match self {
            Self::Real(net) => net.send(peer, link, frame),
            Self::Simulated(noted) => {
                noted.need(link)?;
                let frame = link::encode(Item::Frame(Box::new(frame)));
                noted.note(Call::Send(*peer, link, frame));
                Ok(())
            }
        }
    }

    pub fn close(&self, peer: &PeerId, link: LinkId, code: u32) {
        match self {
            Self::Real(net) => net.close(peer, link, code),
            Self::Simulated(noted) => noted.note(Call::Close(*peer, link, code)),
        }
    }

    #[must_use]
    pub fn path(&self, peer: &PeerId) -> Option<LinkPath> {
        match self {
            Self::Real(net) => net.path(peer),
            Self::Simulated(_) => None,
        }
    }

    pub async fn ping(&self, peer: PeerId, count: u32, wait: Duration) -> Pinged {
        match self {
            Self::Real(net) => net.ping(peer, count, wait).await,
            Self::Simulated(_) => panic!("pings are not simulated"),
        }
    }

    pub async fn check(&self) -> NetCheck {
        match self {
            Self::Real(net) => net.check().await,
            Self::Simulated(_) => panic!("the look at the network is not simulated"),
        }
    }

    pub fn allow_pairing(&self, open: bool) {
        match self {
            Self::Real(net) => net.allow_pairing(open),
            Self::Simulated(noted) => noted.note(Call::AllowPairing(open)),
        }
    }

    pub fn expect(&self, secrets: Vec<Secret<[u8; 16]>>, peers: impl IntoIterator<Item = PeerId>) {
        match self {
            Self::Real(net) => net.expect(secrets, peers),
            // Who is expected counts where there are relays.
            Self::Simulated(_) => {}
        }
    }

    pub fn pair_dial(&self, peer: PeerId, addresses: Vec<String>, proof: Option<Digest>) {
        match self {
            Self::Real(net) => net.pair_dial(peer, addresses, proof),
            Self::Simulated(noted) => noted.note(Call::PairDial(peer)),
        }
    }

    pub fn pair_send(
        &self,
        peer: &PeerId,
        link: LinkId,
        frame: PairFrame,
    ) -> Result<(), SendError> {
        match self {
            Self::Real(net) => net.pair_send(peer, link, frame),
            Self::Simulated(noted) => {
                noted.need(link)?;
                noted.note(Call::PairSend(*peer, link, frame));
                Ok(())
            }
        }
    }

    pub fn pair_close(&self, peer: &PeerId, link: LinkId) {
        match self {
            Self::Real(net) => net.pair_close(peer, link),
            Self::Simulated(noted) => noted.note(Call::PairClose(*peer, link)),
        }
    }

    pub async fn shutdown(&self) {
        match self {
            Self::Real(net) => net.shutdown().await,
            Self::Simulated(_) => {}
        }
    }
}
