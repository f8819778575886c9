//! Peers on the same local network, by mDNS (RFC 6762), without telling the network who we are.
//!
//! Nothing is announced. A node asks for a name that only the two of a consent can compute, of
//! this day and this direction; who has that name answers with its port, and nobody else does.
//! Whoever listens sees that this program is used, and which machine answered which: what the
//! connection that follows shows too. It sees no id, no name, and cannot link one day to the next.
//!
//! Names, messages and what follows from them are pure; this file has the socket. IPv4 only: a
//! local network without it is rare, and relays and lookups know IPv6. Packets that do not come
//! from a network that this machine is in are dropped.

mod book;
pub mod message;
pub mod names;
#[cfg(test)]
mod tests;

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use iroh::{
    Endpoint, EndpointId, TransportAddr,
    address_lookup::{AddressLookup, EndpointData, Error, Item},
    endpoint_info::EndpointInfo,
};
use iroh_dns::pkarr::Timestamp;
use netwatch::interfaces::{IpNet, State};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    NetConfig, Reach,
    address::AddressRules,
    gates::lock,
    slots::{Contact, Slot},
};
use crate::base::{PeerId, Secret, limits};
use book::{Book, Door, Effect, GROUP, Link, PORT};
use message::Answer;
use names::{Days, Label};

/// Asks and answers on the networks that this machine is in. Cloning it gives another handle to
/// the same.
#[derive(Clone)]
pub(super) struct Lan(Arc<Inner>);

struct Inner {
    book: Mutex<Book>,
    ask: mpsc::Sender<Ask>,
    rules: AddressRules,
}

struct Ask {
    label: Label,
    /// The answer may come to us alone.
    unicast: bool,
}

impl std::fmt::Debug for Lan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lan")
    }
}

/// The days whose names count now.
fn days() -> Days {
    Days::at(Timestamp::now().as_micros() / 1_000_000)
}

/// mDNS as the configuration has it; `None` where it is off or the socket cannot be had. Dials of
/// `endpoint` ask it.
pub(super) fn open(
    config: &NetConfig,
    endpoint: &Endpoint,
    rules: &AddressRules,
    (tasks, cancel, here): (&TaskTracker, CancellationToken, mpsc::Sender<PeerId>),
) -> Option<Lan> {
    let is_on = config.settings.mdns.unwrap_or(config.reach == Reach::Lan);
    if !is_on || config.reach == Reach::Loopback {
        return None;
    }
    let sockets = endpoint.bound_sockets();
    let port = sockets.iter().find(|socket| socket.is_ipv4())?.port();
    let me = (PeerId::from_bytes(*endpoint.id().as_bytes()), port);
    let lan = Lan::start(me, rules, (tasks, cancel), here);
    let lan = lan.inspect_err(|error| {
        tracing::warn!(%error, "mDNS is off: its port 5353 cannot be used; peers on the LAN are \
             found by the addresses that they had");
    });
    let lan = lan.ok()?;
    endpoint.address_lookup().ok()?.add(lan.clone());
    Some(lan)
}

impl Lan {
    /// Begins to listen. Peers that ask for us are told to `here`.
    ///
    /// # Errors
    /// The socket cannot be had.
    pub(super) fn start(
        (me, port): (PeerId, u16),
        rules: &AddressRules,
        (tasks, cancel): (&TaskTracker, CancellationToken),
        here: mpsc::Sender<PeerId>,
    ) -> std::io::Result<Self> {
        let socket = socket()?;
        let (ask, asks) = mpsc::channel(limits::LAN_QUEUE);
        let mut book = Book::new(me, port, Instant::now());
        book.begin(days());
        let lan = Self(Arc::new(Inner { book: Mutex::new(book), ask, rules: rules.clone() }));
        let running = run(lan.clone(), socket, asks, here);
        tasks.spawn(async move { cancel.run_until_cancelled(running).await });
        Ok(lan)
    }

    /// Finds `peer` and answers to it, by the secret of the two.
    pub(super) fn know(&self, peer: PeerId, secret: Secret<[u8; 32]>) {
        lock(&self.0.book).know(peer, secret);
    }

    /// Answers to it no longer.
    pub(super) fn forget(&self, peer: &PeerId) {
        lock(&self.0.book).forget(peer);
    }

    /// Who is in `slot` on this network.
    pub(super) async fn find(&self, slot: &Slot) -> Vec<Contact> {
        let mut found = Vec::new();
        let take = |answer: Answer| {
            let contact = answer.door.map(|door| {
                let there = SocketAddrV4::new(answer.address, answer.port);
                Contact { door, addresses: vec![there.to_string()] }
            });
            found.extend(contact.filter(|new| !found.contains(new)));
            Next::Ask
        };
        self.ask(names::slot(slot), limits::LAN_SLOT_WAIT, take).await;
        found
    }

    /// Answers for `slot`, with the door's own port.
    pub(super) fn put(&self, slot: &Slot, contact: Option<&Contact>) {
        let door = contact.and_then(|contact| {
            let ports = contact.addresses.iter().filter_map(|text| text.parse().ok());
            let port = ports.filter(SocketAddr::is_ipv4).map(|address| address.port()).next()?;
            Some(Door { id: contact.door, port })
        });
        lock(&self.0.book).put(slot, door);
    }

    /// Asks a few times, as each answer's taker has it, until it takes too long. First for an
    /// answer to us alone; then for one to all, because where several programs listen at mDNS's
    /// port, one of the others may get the first.
    async fn ask(&self, label: Label, wait: Duration, mut take: impl FnMut(Answer) -> Next) {
        let began = Instant::now();
        let mut answers = lock(&self.0.book).expect(label);
        let repeats = limits::LAN_REPEATS.into_iter().filter(|after| *after < wait);
        let (mut unicast, mut next) = (true, Next::Ask);
        for until in repeats.chain([wait]) {
            if next == Next::Ask {
                // A question that finds no room is lost, as a packet may be.
                self.0.ask.try_send(Ask { label, unicast }).ok();
            }
            unicast = false;
            while let Ok(Some(answer)) = timeout_at(began + until, answers.recv()).await {
                next = take(answer);
                if next == Next::End {
                    return;
                }
            }
        }
    }

    /// Tells `found` where `peer` is on this network. Who answers first may be somebody else, so
    /// some more answers are heard; the right one is who passes the handshake.
    async fn peer(self, peer: PeerId, found: mpsc::Sender<TransportAddr>) {
        let label = {
            let mut book = lock(&self.0.book);
            book.begin(days());
            book.name_of(&peer)
        };
        let Some(label) = label else { return };
        let mut known = Vec::new();
        let take = |answer: Answer| {
            let text = SocketAddrV4::new(answer.address, answer.port).to_string();
            if let Some(address) = self.0.rules.dialable(&[text]).pop()
                && !known.contains(&address)
            {
                found.try_send(address.clone()).ok(); // The dial has ended.
                known.push(address);
            }
            match known.len() {
                0 => Next::Ask,
                few if few < limits::LAN_ANSWERS_MAX => Next::Listen,
                _ => Next::End,
            }
        };
        self.ask(label, limits::LAN_PEER_WAIT, take).await;
    }
}

/// What follows on an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Ask again in a while, and hear further ones.
    Ask,
    /// Hear further ones.
    Listen,
    /// That was enough.
    End,
}

impl AddressLookup for Lan {
    fn resolve(&self, id: EndpointId) -> Option<super::lookup::Found> {
        let peer = PeerId::from_bytes(*id.as_bytes());
        lock(&self.0.book).name_of(&peer)?;
        let (found, places) = mpsc::channel(limits::LAN_ANSWERS_MAX);
        let asking = stream::once(self.clone().peer(peer, found));
        let asking = asking.filter_map(|()| std::future::ready(None));
        let places = stream::unfold(places, |mut places| async move {
            places.recv().await.map(|address| (address, places))
        });
        let item = move |address| {
            let info = EndpointInfo::from_parts(id, EndpointData::new(vec![address]));
            Ok::<_, Error>(Item::new(info, "lan", None))
        };
        Some(stream::select(asking, places).map(item).boxed())
    }
}

/// mDNS's port, shared with whoever else on this machine listens there.
fn socket() -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_ttl_v4(255)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT).into())?;
    UdpSocket::from_std(socket.into())
}

/// The networks that this machine is in now.
async fn links() -> Vec<Link> {
    let state = State::new().await;
    let up = state.interfaces.values().filter(|interface| interface.is_up());
    let links = up.flat_map(|interface| interface.addrs().collect::<Vec<_>>());
    let links = links.filter_map(|net| match net {
        IpNet::V4(net) => Some(Link { address: net.addr(), prefix: net.prefix_len() }),
        IpNet::V6 { .. } => None,
    });
    // Nobody else is in a network of one or two.
    let links = links.filter(|link| !link.address.is_loopback() && link.prefix < 31);
    links.take(limits::LAN_LINKS_MAX).collect()
}

/// The socket, and the networks that it listens in.
struct Ears {
    socket: UdpSocket,
    links: Vec<Link>,
    due: Instant,
}

impl Ears {
    async fn refresh(&mut self) {
        self.links = links().await;
        self.due = Instant::now() + limits::LAN_LINKS_EVERY;
        for link in &self.links {
            self.socket.join_multicast_v4(GROUP, link.address).ok(); // Joined before.
        }
    }

    async fn say(&self, bytes: &[u8], to: Option<SocketAddrV4>, link: Link) {
        // A network that went away says nothing, and neither do we there.
        if to.is_none() {
            SockRef::from(&self.socket).set_multicast_if_v4(&link.address).ok();
        }
        let to = to.unwrap_or(SocketAddrV4::new(GROUP, PORT));
        let sent = self.socket.send_to(bytes, to).await;
        if let Err(error) = sent {
            tracing::debug!(%error, "an mDNS message was not sent");
        }
    }
}

async fn run(
    lan: Lan,
    socket: UdpSocket,
    mut asks: mpsc::Receiver<Ask>,
    here: mpsc::Sender<PeerId>,
) {
    let mut ears = Ears { socket, links: Vec::new(), due: Instant::now() };
    ears.refresh().await;
    let mut packet = vec![0; limits::LAN_MESSAGE_BYTES_MAX + 1];
    loop {
        tokio::select! {
            () = sleep_until(ears.due) => {
                ears.refresh().await;
                lock(&lan.0.book).begin(days());
            }
            ask = asks.recv() => {
                let Some(ask) = ask else { return };
                if let Some(bytes) = message::question(&ask.label, ask.unicast) {
                    for link in ears.links.iter().copied() {
                        let may = lock(&lan.0.book).may_say(Instant::now());
                        if may {
                            ears.say(&bytes, None, link).await;
                        }
                    }
                }
            }
            got = ears.socket.recv_from(&mut packet) => {
                let Ok((bytes, SocketAddr::V4(from))) = got else {
                    sleep(limits::BACKOFF_MIN).await;
                    continue;
                };
                hear(&lan, &ears, (packet.get(..bytes).unwrap_or_default(), from), &here).await;
            }
        }
    }
}

/// One packet. What comes from no network that we are in is dropped.
async fn hear(
    lan: &Lan,
    ears: &Ears,
    (packet, from): (&[u8], SocketAddrV4),
    here: &mpsc::Sender<PeerId>,
) {
    let Some(link) = ears.links.iter().copied().find(|link| link.contains(*from.ip())) else {
        return;
    };
    let effects = lock(&lan.0.book).handle(packet, from, link, Instant::now());
    for effect in effects {
        match effect {
            Effect::Say { bytes, to } => ears.say(&bytes, to, link).await,
            // Whoever is told dials all the same, sooner or later.
            Effect::Here(peer) => here.try_send(peer).unwrap_or_default(),
        }
    }
}
