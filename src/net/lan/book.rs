//! What is known on the LAN, and what a packet makes of it: no sockets and no clock in here.

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use super::{
    message::{self, Answer, Heard, Question},
    names::{self, Days, Label},
};
use crate::{
    base::{PeerId, Secret, limits},
    net::{rates::Bucket, slots::Slot},
};

/// mDNS's port and group (RFC 6762 section 3).
pub(super) const PORT: u16 = 5353;
pub(super) const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

/// One network that this machine is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Our address in it.
    pub(super) address: Ipv4Addr,
    /// How many bits all addresses in it have in common.
    pub(super) prefix: u8,
}

impl Link {
    /// Whether an address is in it.
    pub(super) fn contains(self, other: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
        self.address.to_bits() & mask == other.to_bits() & mask
    }
}

/// What to do about a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Send this, to all where there is no address.
    Say { bytes: Vec<u8>, to: Option<SocketAddrV4> },
    /// This peer is here, and asks for us.
    Here(PeerId),
}

/// A door of ours that is in a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Door {
    pub(super) id: PeerId,
    pub(super) port: u16,
}

/// A name of ours.
#[derive(Clone, Copy, Debug)]
enum Ours {
    /// As this peer asks for it.
    Peer(PeerId),
    Slot(Door),
}

/// All of it.
pub(super) struct Book {
    me: PeerId,
    port: u16,
    peers: BTreeMap<PeerId, Secret<[u8; 32]>>,
    slots: BTreeMap<Label, Door>,
    /// What we answer to; made anew each day.
    ours: HashMap<Label, Ours>,
    days: Days,
    asking: HashMap<Label, Vec<mpsc::Sender<Answer>>>,
    heard: Bucket,
    said: Bucket,
    answered: HashMap<Label, Instant>,
    /// When a peer's question was last a sign that it is here.
    here: HashMap<PeerId, Instant>,
}

impl Book {
    /// An empty one of `me`, whose endpoint is at `port`.
    pub(super) fn new(me: PeerId, port: u16, now: Instant) -> Self {
        let second = Duration::from_secs(1);
        Self {
            me,
            port,
            peers: BTreeMap::new(),
            slots: BTreeMap::new(),
            ours: HashMap::new(),
            days: Days::default(),
            asking: HashMap::new(),
            heard: Bucket::new(limits::LAN_HEARD_PER_S, second, now),
            said: Bucket::new(limits::LAN_SAID_PER_S, second, now),
            answered: HashMap::new(),
            here: HashMap::new(),
        }
    }

    /// Answers to `peer` from now on.
    pub(super) fn know(&mut self, peer: PeerId, secret: Secret<[u8; 32]>) {
        self.peers.insert(peer, secret);
        self.renew();
    }

    /// Answers to it no longer.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
        self.here.remove(peer);
        self.renew();
    }

    /// A door is in a slot, or none is.
    pub(super) fn put(&mut self, slot: &Slot, door: Option<Door>) {
        match door {
            Some(door) => self.slots.insert(names::slot(slot), door),
            None => self.slots.remove(&names::slot(slot)),
        };
        self.renew();
    }

    /// It is this time.
    pub(super) fn begin(&mut self, days: Days) {
        if self.days != days {
            self.days = days;
            self.renew();
        }
    }

    fn renew(&mut self) {
        let mut ours = HashMap::new();
        for (peer, secret) in &self.peers {
            for day in self.days.all() {
                let label = names::peer(secret.expose_secret(), &self.me, peer, day);
                ours.insert(label, Ours::Peer(*peer));
            }
        }
        ours.extend(self.slots.iter().map(|(label, door)| (*label, Ours::Slot(*door))));
        self.answered.retain(|label, _| ours.contains_key(label));
        self.ours = ours;
    }

    /// What we ask for to find `peer`: the name of today alone, so that the questions of two days
    /// have nothing in common. Near midnight who answers knows the neighbouring day's as well.
    pub(super) fn name_of(&self, peer: &PeerId) -> Option<Label> {
        let secret = self.peers.get(peer)?.expose_secret();
        Some(names::peer(secret, peer, &self.me, self.days.today))
    }

    /// Answers to this name are taken from now on.
    pub(super) fn expect(&mut self, label: Label) -> mpsc::Receiver<Answer> {
        let (sender, answers) = mpsc::channel(limits::LAN_ANSWERS_MAX);
        self.asking.retain(|_, waiting| {
            waiting.retain(|sender| !sender.is_closed());
            !waiting.is_empty()
        });
        self.asking.entry(label).or_default().push(sender);
        answers
    }

    /// Whether another message may be sent now.
    pub(super) fn may_say(&mut self, now: Instant) -> bool {
        self.said.take(now)
    }

    /// What a packet makes us do. It came from `from`, over the network `link`.
    pub(super) fn handle(
        &mut self,
        packet: &[u8],
        from: SocketAddrV4,
        link: Link,
        now: Instant,
    ) -> Vec<Effect> {
        if !self.heard.take(now) || !link.contains(*from.ip()) {
            return Vec::new();
        }
        match message::read(packet) {
            Some(Heard::Questions { id, questions }) => {
                let legacy = (from.port() != PORT).then_some(id);
                let answered =
                    questions.iter().map(|asked| self.answer(asked, from, (legacy, link), now));
                answered.collect::<Vec<_>>().into_iter().flatten().collect()
            }
            Some(Heard::Answers(answers)) => {
                // An answer is about who sent it, and nobody else.
                for answer in answers.into_iter().filter(|a| a.address == *from.ip()) {
                    for waiting in self.asking.get(&answer.label).into_iter().flatten() {
                        waiting.try_send(answer.clone()).ok(); // It has enough of them.
                    }
                }
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// A peer asked. Somebody else may repeat its question, so that is a sign now and then alone.
    fn is_here(&mut self, peer: PeerId, now: Instant) -> Option<Effect> {
        let last = self.here.get(&peer);
        if last.is_some_and(|last| *last + limits::LAN_HERE_EVERY > now) {
            return None;
        }
        self.here.insert(peer, now);
        Some(Effect::Here(peer))
    }

    fn answer(
        &mut self,
        asked: &Question,
        from: SocketAddrV4,
        (legacy, link): (Option<u16>, Link),
        now: Instant,
    ) -> Vec<Effect> {
        let Some(ours) = self.ours.get(&asked.label).copied() else { return Vec::new() };
        let last = self.answered.get(&asked.label);
        let is_soon = last.is_some_and(|last| *last + limits::LAN_ANSWER_EVERY > now);
        if is_soon || !self.may_say(now) {
            return Vec::new();
        }
        self.answered.insert(asked.label, now);
        let (port, door, here) = match ours {
            Ours::Peer(peer) => (self.port, None, self.is_here(peer, now)),
            Ours::Slot(door) => (door.port, Some(door.id), None),
        };
        let answer = Answer { label: asked.label, address: link.address, port, door };
        let to = (asked.unicast || legacy.is_some()).then_some(from);
        let said = message::answer(&answer, legacy).map(|bytes| Effect::Say { bytes, to });
        said.into_iter().chain(here).collect()
    }
}
