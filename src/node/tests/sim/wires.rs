//! The net between the nodes. It keeps what `net` promises and nothing more: a node hears of one
//! link at a time to each peer, frames come in their order and whole, and a link can end behind any
//! of them, at another one for each side.

use std::collections::VecDeque;

use super::world::World;
use crate::{
    base::{PeerId, limits},
    net::{Inbound, LinkId, NetEvent, code, simulated::Call},
    wire::{Envelope, Frame, Hello, PairFrame},
};

/// A keeper dials again after so many milliseconds.
const REDIAL_MS: u64 = 200;

/// A connection.
pub(super) struct Wire {
    pub(super) pair: bool,
    /// The first dialed.
    pub(super) ends: [End; 2],
    /// With which code it was closed.
    pub(super) broken: Option<u32>,
}

/// One side of it.
pub(super) struct End {
    pub(super) host: usize,
    pub(super) link: LinkId,
    told: bool,
    gone: bool,
    hello: Vec<u8>,
    /// What comes to this side, and when.
    pub(super) inbox: VecDeque<(u64, Vec<u8>)>,
}

impl Wire {
    fn is_gone(&self) -> bool {
        self.ends.iter().all(|end| end.gone)
    }
}

impl World {
    fn wire_of(&self, link: LinkId) -> Option<(u64, usize)> {
        self.wires.iter().find_map(|(id, wire)| {
            let side = wire.ends.iter().position(|end| end.link == link)?;
            Some((*id, side))
        })
    }

    fn new_end(&mut self, host: usize, hello: Vec<u8>) -> End {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        End { host, link, told: false, gone: false, hello, inbox: VecDeque::new() }
    }

    fn hello(&self, of: usize, to: PeerId) -> Vec<u8> {
        let life = self.hosts[of].life.as_ref().unwrap();
        let mut features = life.features.get(&to).cloned().unwrap_or_default();
        features.extend([Hello::own_version(), life.run.feature()]);
        let addresses = vec![format!("127.0.0.1:{}", 7001 + of)];
        let approver = self.hosts[of].human.id();
        Frame::Hello(Hello { approver, features, addresses }).encode()
    }

    pub(super) fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cuts.contains(&(a.min(b), a.max(b)))
    }

    /// A keeper of `from` dials `to`.
    pub(super) fn dial(&mut self, from: usize, to: usize) -> bool {
        let (me, peer) = (self.hosts[from].id, self.hosts[to].id);
        let trusts = |host: usize, peer: &PeerId| {
            self.hosts[host].life.as_ref().is_some_and(|life| life.trusts.contains(peer))
        };
        let both_live = self.hosts[from].life.is_some() && self.hosts[to].life.is_some();
        let waits =
            self.redial_at.get(&(from.min(to), from.max(to))).is_some_and(|at| *at > self.now);
        if from == to || !both_live || waits || self.is_cut(from, to) || !trusts(from, &peer) {
            return false;
        }
        let linked =
            |wire: &Wire| !wire.pair && wire.ends.iter().all(|e| e.host == from || e.host == to);
        if self.wires.values().any(|wire| linked(wire) && wire.broken.is_none()) {
            return false;
        }
        if !trusts(to, &me) {
            let code = u64::from(code::NOT_TRUSTED);
            self.tell(from, NetEvent::Rejected { peer, code });
            return true;
        }
        // The newer one stays, and the node hears of the end of the older one first.
        let older: Vec<u64> =
            self.wires.iter().filter(|(_, wire)| linked(wire)).map(|(id, _)| *id).collect();
        for id in older {
            self.end_now(id);
        }
        let hellos = [self.hello(to, me), self.hello(from, peer)];
        let [first, second] = hellos;
        let ends = [self.new_end(from, first), self.new_end(to, second)];
        self.add_wire(Wire { pair: false, ends, broken: None });
        self.stats.links += 1;
        true
    }

    /// What is gone at both ends, or comes to an end that is, is no more.
    pub(super) fn forget_wires(&mut self) {
        self.wires.retain(|_, wire| !wire.is_gone());
        for end in self.wires.values_mut().flat_map(|wire| &mut wire.ends) {
            if end.gone {
                end.inbox.clear();
            }
        }
    }

    fn add_wire(&mut self, wire: Wire) {
        self.last_wire += 1;
        self.wires.insert(self.last_wire, wire);
    }

    /// `from` dials once to pair.
    pub(super) fn pair_dial(&mut self, from: usize, peer: PeerId) {
        let to = self.hosts.iter().position(|host| host.id == peer);
        let reached = to.filter(|to| self.hosts[*to].life.is_some() && !self.is_cut(from, *to));
        let Some(to) = reached else {
            return self.tell(from, NetEvent::PairDown { peer, link: None });
        };
        let open = self.hosts[to].life.as_ref().is_some_and(|life| life.pairing);
        let same = |wire: &Wire| wire.pair && wire.ends[0].host == from && wire.ends[1].host == to;
        let older: Vec<u64> =
            self.wires.iter().filter(|(_, w)| same(w)).map(|(id, _)| *id).collect();
        for id in older {
            self.cut(id, code::SUPERSEDED);
        }
        let ends = [self.new_end(from, Vec::new()), self.new_end(to, Vec::new())];
        let broken = (!open).then_some(code::NOT_TRUSTED);
        self.add_wire(Wire { pair: true, ends, broken });
    }

    /// The connection ends: of what is under way to each side, something may still come.
    pub(super) fn cut(&mut self, id: u64, code: u32) {
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.broken.is_none()) else {
            return;
        };
        wire.broken = Some(code);
        let [a, b] = [wire.ends[0].host, wire.ends[1].host];
        self.redial_at.insert((a.min(b), a.max(b)), self.now + REDIAL_MS);
        for end in &mut wire.ends {
            let stays = self.dice.below(end.inbox.len() as u64 + 1);
            end.inbox.truncate(usize::try_from(stays).unwrap());
        }
    }

    /// It ends, and both sides know at once.
    fn end_now(&mut self, id: u64) {
        self.cut(id, code::SUPERSEDED);
        for side in 0..2 {
            if let Some(wire) = self.wires.get_mut(&id) {
                wire.ends[side].inbox.clear();
            }
            self.carry(id, side);
        }
        self.wires.remove(&id);
    }

    /// A machine is off: its connections are gone, and the others see it sooner or later.
    pub(super) fn unplug(&mut self, host: usize) {
        let of: Vec<u64> = self.wires.keys().copied().collect();
        for id in of {
            let wire = self.wires.get_mut(&id).unwrap();
            let Some(side) = wire.ends.iter().position(|end| end.host == host) else { continue };
            wire.ends[side].gone = true;
            wire.ends[side].inbox.clear();
            self.cut(id, code::BYE);
        }
    }

    pub(super) fn tell(&mut self, host: usize, event: NetEvent) {
        if let Some(life) = self.hosts[host].life.as_mut() {
            life.events.push_back(event);
        }
    }

    /// Tells one side of a connection what is new. `false` when nothing is.
    pub(super) fn carry(&mut self, id: u64, side: usize) -> bool {
        let Some(wire) = self.wires.get(&id) else { return false };
        let (end, other) = (&wire.ends[side], &wire.ends[1 - side]);
        if end.gone {
            return false;
        }
        let (host, link, pair, broken) = (end.host, end.link, wire.pair, wire.broken);
        let peer = self.hosts[other.host].id;
        let due = end.inbox.front().is_some_and(|(due, _)| *due <= self.now);
        if !end.told {
            // Whoever is dialed to pair hears of it with the first frame.
            if pair && side == 1 && !due && broken.is_none() {
                return false;
            }
            if broken.is_some() && (!pair || side == 1) {
                self.wires.get_mut(&id).unwrap().ends[side].gone = true;
                return true;
            }
            return self.tell_up(id, side, (host, peer, link));
        }
        if due {
            return self.deliver(id, side, (host, peer, link));
        }
        if broken.is_none() || !end.inbox.is_empty() {
            return false;
        }
        self.wires.get_mut(&id).unwrap().ends[side].gone = true;
        if let Some(life) = &self.hosts[host].life {
            life.net.set_up(link, false);
        }
        let down = if pair {
            NetEvent::PairDown { peer, link: Some(link) }
        } else {
            NetEvent::LinkDown { peer, link }
        };
        self.tell(host, down);
        let refusals = [code::NOT_TRUSTED, code::APPROVER_CHANGED];
        if let Some(code) = broken.filter(|code| !pair && refusals.contains(code)) {
            self.tell(host, NetEvent::Rejected { peer, code: u64::from(code) });
        }
        if self.wires.get(&id).is_some_and(Wire::is_gone) {
            self.wires.remove(&id);
        }
        true
    }

    fn tell_up(
        &mut self,
        id: u64,
        side: usize,
        (host, peer, link): (usize, PeerId, LinkId),
    ) -> bool {
        let wire = self.wires.get_mut(&id).unwrap();
        let end = &mut wire.ends[side];
        let (pair, hello) = (wire.pair, end.hello.clone());
        let Some(life) = self.hosts[host].life.as_mut() else { return false };
        if !pair && !life.trusts.contains(&peer) {
            self.cut(id, code::NOT_TRUSTED);
            return true;
        }
        end.told = true;
        life.net.set_up(link, true);
        if pair {
            self.tell(host, NetEvent::PairUp { peer, link, dialed: side == 0 });
        } else {
            let Ok(Frame::Hello(hello)) = Frame::decode(&hello) else { panic!("a hello is one") };
            self.tell(host, NetEvent::LinkUp { peer, link, hello });
        }
        true
    }

    fn deliver(
        &mut self,
        id: u64,
        side: usize,
        (host, peer, link): (usize, PeerId, LinkId),
    ) -> bool {
        let most = 1 + self.dice.below(8);
        let (now, from) = (self.now, self.wires[&id].ends[1 - side].host);
        let pair = self.wires[&id].pair;
        let mut frames = Vec::new();
        for _ in 0..most {
            let inbox = &mut self.wires.get_mut(&id).unwrap().ends[side].inbox;
            let Some((_, bytes)) = inbox.pop_front_if(|(due, _)| *due <= now) else { break };
            if pair {
                match PairFrame::decode(&bytes) {
                    Ok(frame) => self.tell(host, NetEvent::Pair { peer, link, frame }),
                    Err(_) => self.cut(id, code::PROTOCOL),
                }
                return true;
            }
            let Ok(frame) = Frame::decode(&self.tampered(from, bytes)) else {
                self.cut(id, code::PROTOCOL);
                break;
            };
            frames.extend(inbound(frame));
        }
        if !frames.is_empty() {
            self.tell(host, NetEvent::Frames { peer, link, frames });
        }
        true
    }

    /// Does what a node told its net, after a look at it.
    pub(super) fn follow(&mut self, host: usize) {
        let Some(life) = self.hosts[host].life.as_ref() else { return };
        for call in life.net.take() {
            self.check_call(host, &call);
            self.obey(host, call);
        }
    }

    fn obey(&mut self, host: usize, call: Call) {
        let life = self.hosts[host].life.as_mut().unwrap();
        match call {
            Call::Send(_, link, frame) => self.send(link, frame.encode()),
            Call::PairSend(_, link, frame) => {
                if let PairFrame::Knock(_) = frame {
                    self.knocks.push(frame.clone());
                }
                self.send(link, frame.encode());
            }
            Call::Close(_, link, code) => {
                if let Some((id, _)) = self.wire_of(link) {
                    self.cut(id, code);
                }
            }
            Call::PairClose(_, link) => {
                if let Some((id, side)) = self.wire_of(link) {
                    let wire = self.wires.get_mut(&id).unwrap();
                    // What was sent before still arrives.
                    wire.broken.get_or_insert(code::BYE);
                    wire.ends[side].inbox.clear();
                }
            }
            Call::Trust(peer) => drop(life.trusts.insert(peer)),
            Call::Distrust(peer, code) => {
                life.trusts.remove(&peer);
                life.features.remove(&peer);
                self.close_all(host, peer, code);
            }
            Call::Features(peer, features) => {
                let former = life.features.insert(peer, features.clone());
                if former.is_some_and(|former| former != features) {
                    self.close_all(host, peer, code::BYE);
                }
            }
            Call::PairDial(peer) => self.dials.push((host, peer)),
            Call::AllowPairing(open) => life.pairing = open,
        }
    }

    fn close_all(&mut self, host: usize, peer: PeerId, code: u32) {
        let other = self.hosts.iter().position(|other| other.id == peer);
        let between =
            |wire: &Wire| wire.ends.iter().all(|e| e.host == host || Some(e.host) == other);
        let ids: Vec<u64> =
            self.wires.iter().filter(|(_, w)| between(w)).map(|(id, _)| *id).collect();
        for id in ids {
            self.cut(id, code);
        }
    }

    fn send(&mut self, link: LinkId, bytes: Vec<u8>) {
        assert!(bytes.len() <= limits::FRAME_BYTES_MAX);
        let Some((id, side)) = self.wire_of(link) else { return };
        let late = self.now + 1 + self.dice.below(80);
        let wire = self.wires.get_mut(&id).unwrap();
        if wire.broken.is_none() && !wire.ends[1 - side].gone {
            let inbox = &mut wire.ends[1 - side].inbox;
            let due = inbox.back().map_or(late, |(due, _)| late.max(*due));
            inbox.push_back((due, bytes));
        }
    }
}

/// As the reader of a link hands it on.
fn inbound(frame: Frame) -> Option<Inbound> {
    let read = |bytes: Vec<u8>| Envelope::decode(&bytes).map(Box::new);
    match frame {
        Frame::Data { seq, envelope } => Some(Inbound::Data { seq, envelope: read(envelope) }),
        Frame::Ack { upto, receipt } => Some(Inbound::Ack { upto, receipt: receipt.map(read) }),
        Frame::Hello(_) | Frame::Ping(_) | Frame::Pong(_) | Frame::Twice | Frame::Unknown(_) => {
            None
        }
    }
}
