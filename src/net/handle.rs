//! What the node holds.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    LinkId, LinkPath, NetCheck, NetConfig, NetError, NetEvent, NetSettings, Outbound, Pinged,
    Reach, SendError, accept,
    address::AddressRules,
    check, code, endpoint, frozen,
    gates::{Expected, Gate, lock},
    keep::{self, Keeper},
    lan::{self, Lan},
    link::Item,
    pair, ping,
    relays::{self, RelayState},
    shared::Shared,
    slots::Slots,
};
use crate::{
    base::{ApproverId, Digest, PeerId, Secret, limits},
    wire::PairFrame,
};

/// A running net. Cloning it gives another handle to the same.
#[derive(Clone)]
pub struct Net {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Arc<NetSettings>,
    slots: Slots,
    lan: Option<Lan>,
}

/// Dials whoever was heard on the LAN.
async fn wake_heard(shared: Arc<Shared>, mut heard: mpsc::Receiver<PeerId>) {
    let wake = async {
        while let Some(peer) = heard.recv().await {
            if let Some(keeper) = shared.keeper(&peer) {
                keeper.wake.notify_one();
            }
        }
    };
    shared.cancel.run_until_cancelled(wake).await;
}

impl Net {
    /// Opens the endpoint and serves. Every task is one of `tasks` and ends when `cancel` is
    /// cancelled. Nobody is trusted yet.
    ///
    /// # Errors
    /// A relay that is no URL, or no socket to be had.
    pub async fn start(
        config: NetConfig,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
        events: mpsc::Sender<NetEvent>,
    ) -> Result<Self, NetError> {
        let rules = AddressRules::of(config.reach, &config.settings)?;
        let gate = Gate::new(config.settings.require_pq);
        let endpoint = endpoint::bind(&config, &rules, &gate).await?;
        let cancel = cancel.child_token();
        let (here, heard) = mpsc::channel(limits::LAN_QUEUE);
        let lan = lan::open(&config, &endpoint, &rules, (tasks, cancel.clone(), here));
        let slots = (lan.clone(), tasks.clone(), cancel.clone());
        let slots = Slots::new(&endpoint, &rules, &config.settings, slots)?;
        let runtime = (tasks.clone(), cancel, events);
        let shared = Shared::new(endpoint, rules, gate, config.approver, runtime);
        let net = Self::serve(shared, config.settings, slots, lan);
        tasks.spawn(wake_heard(Arc::clone(&net.shared), heard));
        Ok(net)
    }

    /// Serves with what was opened.
    pub(super) fn serve(
        shared: Shared,
        settings: NetSettings,
        slots: Slots,
        lan: Option<Lan>,
    ) -> Self {
        let shared = Arc::new(shared);
        let tasks = &shared.tasks;
        tasks.spawn(accept::accept(Arc::clone(&shared)));
        tasks.spawn(accept::watch_addresses(Arc::clone(&shared)));
        tasks.spawn(relays::watch(Arc::clone(&shared)));
        tasks.spawn(frozen::watch(Arc::clone(&shared)));
        Self { shared, settings: Arc::new(settings), slots, lan }
    }

    /// Where strangers meet who know a word.
    #[must_use]
    pub const fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Our id.
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.shared.me
    }

    /// Where we can be reached now: relay URLs, then `ip:port`; at most
    /// [`limits::ADDRESSES_MAX`].
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.shared.addresses()
    }

    /// Where an invite says that we are. In internet mode that is relays alone, where there are
    /// any that may work: whoever an invite is passed on to shall not learn our addresses.
    #[must_use]
    pub fn invited_to(&self) -> Vec<String> {
        let address = self.shared.endpoint.addr();
        let relays = match self.shared.rules.reach() {
            Reach::Internet => lock(&self.shared.relays).meeting_points(Instant::now()),
            Reach::Lan | Reach::Loopback => Vec::new(),
        };
        if relays.is_empty() { self.shared.rules.named(&address) } else { relays }
    }

    /// Those of a stranger's addresses that neither we nor `known` peers use: relays, and in internet
    /// mode what is not in a network of ours. Asking a relay looks its name up, and either tells its
    /// owner that we are here.
    #[must_use]
    pub fn strange_addresses(&self, addresses: &[String], known: &[String]) -> Vec<String> {
        self.shared.rules.strange(addresses, known)
    }

    /// The relay that we are at home at.
    #[must_use]
    pub fn relay(&self) -> Option<String> {
        self.shared.endpoint.addr().relay_urls().next().map(ToString::to_string)
    }

    /// All relays of ours and their states: the configured ones, or the public set. Empty where
    /// none is used.
    #[must_use]
    pub fn relays(&self) -> Vec<RelayState> {
        lock(&self.shared.relays).states()
    }

    /// The UDP port of the IPv4 socket; 0 when there is none.
    #[must_use]
    pub fn port(&self) -> u16 {
        let sockets = self.shared.endpoint.bound_sockets();
        sockets.iter().find(|socket| socket.is_ipv4()).map_or(0, std::net::SocketAddr::port)
    }

    /// There is a human from now on, who speaks through this approver. A second call changes
    /// nothing.
    pub fn set_approver(&self, approver: ApproverId) {
        self.shared.approver.set(approver).ok(); // Set already.
    }

    /// Lets `peer` in and keeps one link to it from now on. When it is trusted already, its
    /// addresses are learned.
    pub fn trust(&self, peer: PeerId, addresses: Vec<String>) {
        let shared = &self.shared;
        let mut keepers = lock(&shared.keepers);
        if !shared.gate.set_trusted(peer, true) {
            drop(keepers);
            return self.learn(&peer, addresses);
        }
        let addresses = shared.rules.dialable(&addresses);
        let keeper = Arc::new(Keeper::new(peer, addresses, shared.cancel.child_token()));
        keepers.insert(peer, Arc::clone(&keeper));
        shared.tasks.spawn(keep::keep(Arc::clone(shared), keeper));
    }

    /// Finds `peer` on the LAN, and answers to it there, by a secret that the two of them alone
    /// have: the same 32 bytes on both sides. Until the trust ends.
    pub fn set_lan_secret(&self, peer: PeerId, secret: Secret<[u8; 32]>) {
        if let Some(lan) = &self.lan {
            lan.know(peer, secret);
        }
    }

    /// What `peer` is told in our hello from now on: at most [`limits::FEATURES_MAX`] features. A
    /// link over which something else was said is closed, and dialed again at once.
    pub fn set_features(&self, peer: PeerId, features: Vec<String>) {
        let shared = &self.shared;
        let is_news = features != shared.features(&peer);
        lock(&shared.features).insert(peer, features);
        if is_news {
            shared.links.close_all(peer, code::BYE);
            if let Some(keeper) = shared.keeper(&peer) {
                keeper.wake.notify_one();
            }
        }
    }

    /// Ends the trust: all its connections are closed with `code` at once, and later handshakes
    /// are refused.
    pub fn distrust(&self, peer: &PeerId, code: u32) {
        if let Some(lan) = &self.lan {
            lan.forget(peer);
        }
        let keeper = {
            let mut keepers = lock(&self.shared.keepers);
            self.shared.gate.set_trusted(*peer, false);
            lock(&self.shared.features).remove(peer);
            self.shared.runs.forget(peer);
            self.shared.trials.forget(peer);
            keepers.remove(peer)
        };
        if let Some(keeper) = keeper {
            keeper.cancel.cancel();
        }
        self.shared.links.close_all(*peer, code);
        self.shared.pairs.close_all(*peer, code);
    }

    /// Takes in fresh addresses of a trusted peer, and dials at once if it is down. An empty list
    /// changes nothing.
    #[expect(clippy::needless_pass_by_value, reason = "as `trust` takes them")]
    pub fn learn(&self, peer: &PeerId, addresses: Vec<String>) {
        let addresses = self.shared.rules.dialable(&addresses);
        if let Some(keeper) = self.shared.keeper(peer) {
            keeper.learn(addresses);
        }
        self.dial_now(peer);
    }

    /// Dials a trusted peer at once if it is down, however long the wait was to be.
    pub fn dial_now(&self, peer: &PeerId) {
        if self.shared.links.up(*peer).is_none()
            && let Some(keeper) = self.shared.keeper(peer)
        {
            keeper.wake.notify_one();
        }
    }

    /// Hands a frame to the link's writer.
    ///
    /// # Errors
    /// The link is gone, or is closed now because its queue is full.
    pub fn send(&self, peer: &PeerId, link: LinkId, frame: Outbound) -> Result<(), SendError> {
        self.shared.links.send(*peer, link, Item::Frame(Box::new(frame)))
    }

    /// Closes a link at once. While the peer is trusted, it is dialed again.
    pub fn close(&self, peer: &PeerId, link: LinkId, code: u32) {
        self.shared.links.close(*peer, link, code);
    }

    /// How a peer is reached, while it is linked.
    #[must_use]
    pub fn path(&self, peer: &PeerId) -> Option<LinkPath> {
        self.shared.links.path(*peer)
    }

    /// Asks a trusted peer `count` times whether it is there, one after the other. When it is not
    /// linked it is dialed at once, and waited for so long.
    pub async fn ping(&self, peer: PeerId, count: u32, wait: Duration) -> Pinged {
        ping::ask(&self.shared, peer, count, wait).await
    }

    /// Looks at what the network gives us, within some seconds.
    pub async fn check(&self) -> NetCheck {
        check::check(&self.shared, &self.slots).await
    }

    /// Serves strangers that pair, or no longer does. Connections that are open stay open.
    pub fn allow_pairing(&self, open: bool) {
        self.shared.gate.set_pairing(open);
    }

    /// Who is let in to pair through a relay while pairing is served: holders of the invites with
    /// these secrets, and those `peers`. Everybody else there learns nothing of us. At most
    /// [`limits::INVITES_OPEN_MAX`] secrets.
    pub fn expect(&self, secrets: Vec<Secret<[u8; 16]>>, peers: impl IntoIterator<Item = PeerId>) {
        let (me, peers) = (Some(self.shared.me), peers.into_iter().collect());
        self.shared.gate.expect(Expected { me, secrets, peers });
    }

    /// Dials once to pair. `PairUp` or `PairDown` without a link follows. A refusal comes after
    /// `PairUp`, as a `PairDown`. With the `proof` that we hold its invite, a peer lets us in
    /// through a relay.
    pub fn pair_dial(&self, peer: PeerId, addresses: Vec<String>, proof: Option<Digest>) {
        self.shared.tasks.spawn(pair::dial(Arc::clone(&self.shared), peer, addresses, proof));
    }

    /// Hands a frame to a pairing connection's writer.
    ///
    /// # Errors
    /// The connection is gone, or is closed now because its queue is full.
    pub fn pair_send(
        &self,
        peer: &PeerId,
        link: LinkId,
        frame: PairFrame,
    ) -> Result<(), SendError> {
        self.shared.pairs.send(*peer, link, frame)
    }

    /// Ends a pairing connection when the frames that were sent before have arrived.
    pub fn pair_close(&self, peer: &PeerId, link: LinkId) {
        self.shared.pairs.remove(*peer, link);
    }

    /// Closes all connections, so that peers know at once, and the endpoint.
    pub async fn shutdown(&self) {
        self.shared.cancel.cancel();
        timeout(limits::CLOSE_TIMEOUT, self.shared.endpoint.close()).await.ok();
    }
}
