//! One run: some machines, a net between them, people, and everything that can go wrong, in an
//! order that a seed decides.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    checks::{Failure, Ledger},
    host::{Answered, Host},
    wires::Wire,
};
use crate::{
    base::{PeerId, PendingId, limits, planted},
    net::{Inbound, NetEvent},
    node::{api::HumanRequest, clock::simulated},
    wire::PairFrame,
};

/// Small numbers that look like chance (splitmix64).
#[derive(Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// From 0 to `sides` - 1.
    pub(super) fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % sides.max(1)
    }

    /// An index below `count`.
    pub(super) fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }

    /// Once in so many times.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// What a run was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stats {
    pub(super) steps: u64,
    pub(super) sent: u64,
    pub(super) links: u64,
    pub(super) crashes: u64,
    pub(super) restores: u64,
    pub(super) full_disks: u64,
    pub(super) partitions: u64,
    pub(super) broken: u64,
    pub(super) clock_steps: u64,
    pub(super) hostile: u64,
    pub(super) pairings: u64,
    pub(super) arrived: u64,
    /// Time that went by in the world.
    pub(super) simulated_ms: u64,
    /// All that happened, in one number.
    pub(super) digest: u64,
}

impl Stats {
    /// Those of another run.
    pub(super) fn add(&mut self, of: &Self) {
        self.steps += of.steps;
        self.sent += of.sent;
        self.links += of.links;
        self.crashes += of.crashes;
        self.restores += of.restores;
        self.full_disks += of.full_disks;
        self.partitions += of.partitions;
        self.broken += of.broken;
        self.clock_steps += of.clock_steps;
        self.hostile += of.hostile;
        self.pairings += of.pairings;
        self.arrived += of.arrived;
        self.simulated_ms += of.simulated_ms;
    }
}

/// Something that was asked, and what came of it is to be noted.
pub(super) struct Asked {
    pub(super) host: usize,
    pub(super) what: Question,
    pub(super) answered: Answered,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Send,
    /// For this host.
    Invite(usize),
    Other,
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) dice: Dice,
    /// Milliseconds since the beginning.
    pub(super) now: u64,
    pub(super) hosts: Vec<Host>,
    pub(super) wires: BTreeMap<u64, Wire>,
    pub(super) last_wire: u64,
    pub(super) last_link: u64,
    /// Pairs between which nothing passes.
    pub(super) cuts: BTreeSet<(usize, usize)>,
    pub(super) dials: Vec<(usize, PeerId)>,
    /// When two are linked again at the earliest.
    pub(super) redial_at: BTreeMap<(usize, usize), u64>,
    pub(super) asked: Vec<Asked>,
    /// Recorded, to be replayed.
    pub(super) knocks: Vec<PairFrame>,
    pub(super) envelopes: Vec<Vec<u8>>,
    pub(super) decides: Vec<(usize, HumanRequest)>,
    pub(super) texts: u64,
    /// How often a human has decided an item.
    pub(super) tries: BTreeMap<(usize, PendingId), u32>,
    pub(super) ledger: Ledger,
    pub(super) stats: Stats,
    pub(super) failure: Option<Failure>,
    pub(super) calm: bool,
    trace: bool,
}

/// Ends what is simulated on this thread, however a run ends.
struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        simulated::end();
        planted::plant(None);
    }
}

/// Steps in which things go wrong.
const WILD_STEPS: u64 = 1500;
/// Within this time of peace, what can arrive has arrived.
const SOON_MS: u64 = 10 * 60 * 1000;
/// Within this time everything has ended: a day for the human, the longest expiry that is asked for
/// here, and the slack.
const DEADLINE_MS: u64 = 30 * 3_600_000;

/// Runs a seed.
#[expect(clippy::result_large_err, reason = "a few hundred are made, and each is read at once")]
pub(super) fn run(
    seed: u64,
    bug: Option<planted::Bug>,
    trace: bool,
) -> Result<Stats, (Failure, Stats)> {
    let _ends = Ends;
    simulated::begin(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    planted::plant(bug);
    let mut world = World::new(seed, trace);
    world.pair_all();
    for _ in 0..WILD_STEPS {
        world.step();
        if world.failure.is_some() {
            break;
        }
    }
    if world.failure.is_none() {
        world.end();
    }
    world.stats.simulated_ms = world.now;
    match world.failure {
        Some(failure) => Err((failure, world.stats)),
        None => Ok(world.stats),
    }
}

impl World {
    fn new(seed: u64, trace: bool) -> Self {
        let mut dice = Dice(seed);
        let count = 3 + dice.index(2);
        let host = |index| {
            let drawn = || crate::node::clock::random();
            Host::new(index, [drawn(), drawn()])
        };
        let mut hosts: Vec<Host> = (0..count).map(host).collect();
        for (index, host) in hosts.iter_mut().enumerate() {
            host.start(0, index as u64);
        }
        let ledger = Ledger::of(count);
        let mut world = Self {
            seed,
            dice,
            now: 0,
            hosts,
            wires: BTreeMap::new(),
            last_wire: 0,
            last_link: 0,
            cuts: BTreeSet::new(),
            dials: Vec::new(),
            redial_at: BTreeMap::new(),
            asked: Vec::new(),
            knocks: Vec::new(),
            envelopes: Vec::new(),
            decides: Vec::new(),
            texts: 0,
            tries: BTreeMap::new(),
            ledger,
            stats: Stats { digest: 0xcbf2_9ce4_8422_2325, ..Stats::default() },
            failure: None,
            calm: false,
            trace,
        };
        (0..count).for_each(|host| world.follow(host));
        world
    }

    /// The one whose net does what it likes.
    pub(super) fn is_hostile(&self, host: usize) -> bool {
        host + 1 == self.hosts.len()
    }

    pub(super) fn note(&mut self, what: &str) {
        let now = self.now;
        for byte in what.bytes().chain(now.to_le_bytes()) {
            self.stats.digest = (self.stats.digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        if self.trace {
            println!("{now:>10} {what}");
        }
    }

    /// Each connects to the next, in peace.
    fn pair_all(&mut self) {
        self.calm = true;
        for host in 0..self.hosts.len() {
            self.invite((host + 1) % self.hosts.len(), host);
        }
        let until = 60_000;
        while self.now < until && self.failure.is_none() {
            self.settle(until);
        }
        self.calm = false;
    }

    fn step(&mut self) {
        self.stats.steps += 1;
        match self.dice.below(100) {
            0..=19 => self.some(Self::take_event),
            20..=34 => self.some(Self::commit),
            35..=39 => self.some(Self::read),
            40..=54 => self.some(Self::go_on),
            55..=69 => self.some_wire(),
            70..=74 => self.some(Self::dial_some),
            75..=79 => self.some(Self::tick),
            80..=85 => self.now += 1 + self.dice.below(200),
            // Long enough that a sweep is due.
            86 if !self.is_under_way() => self.now += 15_000,
            86 => self.now += 200,
            87..=92 => self.some(Self::agent),
            93..=95 => self.some(Self::human),
            96..=98 => self.hostile(),
            _ => self.fault(),
        }
    }

    /// Something is between two machines, or comes to one that has not taken it. A link that
    /// stands still for so long is closed for want of a pong, before its sender is told `busy`.
    fn is_under_way(&self) -> bool {
        let ends = self.wires.values().flat_map(|wire| wire.ends.iter());
        let lives = self.hosts.iter().filter_map(|host| host.life.as_ref());
        ends.map(|end| end.inbox.len()).sum::<usize>() > 0
            || lives.map(|l| l.events.len() + l.node.writes.len()).sum::<usize>() > 0
    }

    /// Lets one machine, by chance, do something; else another one that can.
    fn some(&mut self, act: fn(&mut Self, usize) -> bool) {
        let (first, count) = (self.dice.index(self.hosts.len()), self.hosts.len());
        (first..first + count).any(|host| act(self, host % count));
    }

    fn some_wire(&mut self) {
        let ids: Vec<u64> = self.wires.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let (first, side) = (self.dice.index(ids.len()), self.dice.index(2));
        let all = (first..first + ids.len()).map(|n| ids[n % ids.len()]);
        for id in all {
            if self.carry(id, side) || self.carry(id, 1 - side) {
                return self.note(&format!("wire {id}"));
            }
        }
    }

    fn take_event(&mut self, host: usize) -> bool {
        self.hosts[host].at(self.now);
        let Some(life) = self.hosts[host].life.as_mut() else { return false };
        if !life.node.has_room(limits::NODE_WRITES_NET_MAX) {
            return false;
        }
        let Some(event) = life.events.pop_front() else { return false };
        let said = format!("{host} hears {}", what_of(&event));
        self.note(&said);
        self.check_frames(host, &event);
        let Some(life) = self.hosts[host].life.as_mut() else { return false };
        life.node.on_net(event);
        self.after(host);
        true
    }

    pub(super) fn commit(&mut self, host: usize) -> bool {
        self.hosts[host].at(self.now);
        let most = if self.dice.once_in(3) { 1 + self.dice.index(3) } else { usize::MAX };
        let Some(life) = self.hosts[host].life.as_mut() else { return false };
        if life.store.writes() == 0 {
            return false;
        }
        life.store.commit(most);
        life.answered = true;
        self.note(&format!("{host} commits"));
        self.check_disk(host);
        true
    }

    pub(super) fn read(&mut self, host: usize) -> bool {
        self.hosts[host].at(self.now);
        let Some(life) = self.hosts[host].life.as_mut() else { return false };
        if life.store.reads() == 0 {
            return false;
        }
        life.store.read();
        life.answered = true;
        true
    }

    pub(super) fn go_on(&mut self, host: usize) -> bool {
        self.hosts[host].at(self.now);
        let Some(life) = self.hosts[host].life.as_mut() else { return false };
        if !life.answered || !life.go_on() {
            return false;
        }
        self.note(&format!("{host} goes on"));
        self.after(host);
        true
    }

    fn dial_some(&mut self, host: usize) -> bool {
        if let Some(n) = self.dials.iter().position(|(from, _)| *from == host) {
            let (_, peer) = self.dials.remove(n);
            self.pair_dial(host, peer);
            return true;
        }
        let to = self.dice.index(self.hosts.len());
        self.dial(host, to)
    }

    fn tick(&mut self, host: usize) -> bool {
        self.hosts[host].at(self.now);
        let now = self.now;
        let Some(life) = self.hosts[host].life.as_mut() else { return false };
        if life.sweep_at <= now {
            life.sweep_at = now + 15_000;
            life.node.sweep(std::time::Duration::from_millis(now.saturating_sub(life.began)));
        } else {
            life.node.tick();
        }
        self.after(host);
        true
    }

    /// What follows once a node did something: its net obeys, and whoever asked hears.
    pub(super) fn after(&mut self, host: usize) {
        self.follow(host);
        self.hear_answers(host);
    }

    fn fault(&mut self) {
        let host = self.dice.index(self.hosts.len());
        match self.dice.below(12) {
            0..=2 => self.crash(host),
            3..=5 => {
                let ids: Vec<u64> = self.wires.keys().copied().collect();
                if !ids.is_empty() {
                    let id = ids[self.dice.index(ids.len())];
                    self.cut(id, crate::net::code::BYE);
                    self.stats.broken += 1;
                    self.note(&format!("wire {id} breaks"));
                }
            }
            6 | 7 => {
                let other = self.dice.index(self.hosts.len());
                let pair = (host.min(other), host.max(other));
                if !self.cuts.remove(&pair) {
                    self.cuts.insert(pair);
                    self.stats.partitions += u64::from(host != other);
                    self.cut_between(pair);
                }
            }
            8 => {
                let minutes = i64::try_from(1 + self.dice.below(180)).unwrap();
                let step = if self.dice.once_in(2) { minutes } else { -minutes } * 60_000;
                let most = 6 * 3_600_000;
                self.hosts[host].ahead_ms = (self.hosts[host].ahead_ms + step).clamp(-most, most);
                self.stats.clock_steps += 1;
                self.note(&format!("{host} clock {step}"));
            }
            9 => {
                let full = self.dice.once_in(2);
                if let Some(life) = &self.hosts[host].life {
                    life.store.set_full(full);
                    self.stats.full_disks += u64::from(full);
                    self.note(&format!("{host} disk full {full}"));
                }
            }
            10 => {
                self.hosts[host].keep_copy();
                self.ledger.copied(host);
                self.note(&format!("{host} is copied"));
            }
            _ if self.dice.once_in(3) => self.restore(host),
            _ => self.revive_some(),
        }
        self.revive_some();
    }

    fn cut_between(&mut self, (a, b): (usize, usize)) {
        let between = |wire: &Wire| wire.ends.iter().all(|end| end.host == a || end.host == b);
        let ids: Vec<u64> =
            self.wires.iter().filter(|(_, w)| between(w)).map(|(id, _)| *id).collect();
        for id in ids {
            self.cut(id, crate::net::code::BYE);
        }
    }

    fn crash(&mut self, host: usize) {
        if self.hosts[host].life.is_none() {
            return;
        }
        self.hosts[host].die();
        self.asked.retain(|asked| asked.host != host);
        self.dials.retain(|(from, _)| *from != host);
        self.unplug(host);
        self.stats.crashes += 1;
        self.note(&format!("{host} dies"));
        self.check_disk(host);
    }

    /// The disk is as it was once. What was promised since is not there.
    fn restore(&mut self, host: usize) {
        if self.hosts[host].copy.is_none() {
            return;
        }
        self.crash(host);
        self.weaken(host);
        if self.hosts[host].restore() {
            self.stats.restores += 1;
            self.note(&format!("{host} is restored"));
        }
    }

    fn revive_some(&mut self) {
        for host in 0..self.hosts.len() {
            if self.hosts[host].life.is_none() && (self.calm || self.dice.once_in(2)) {
                let run = 100 + self.stats.crashes;
                self.hosts[host].start(self.now, run);
                self.note(&format!("{host} starts"));
                self.check_disk(host);
                self.after(host);
            }
        }
    }

    /// Does all there is to do, and then lets time go on to what is due next.
    fn settle(&mut self, until: u64) {
        self.revive_some();
        for _ in 0..100_000 {
            if self.failure.is_some() {
                return;
            }
            let mut busy = false;
            for host in 0..self.hosts.len() {
                busy |= self.take_event(host) | self.commit(host) | self.read(host);
                busy |= self.go_on(host) | self.human(host);
                while self.dials.iter().any(|(from, _)| *from == host) {
                    busy |= self.dial_some(host);
                }
                for other in 0..self.hosts.len() {
                    // Whoever is refused tries again later.
                    let trusted = self.is_let_in(other, host);
                    busy |= trusted && self.dial(host, other);
                }
            }
            let ids: Vec<u64> = self.wires.keys().copied().collect();
            for id in ids {
                busy |= self.carry(id, 0) | self.carry(id, 1);
            }
            if !busy {
                break;
            }
        }
        self.pass(until);
    }

    fn is_let_in(&self, by: usize, host: usize) -> bool {
        let id = self.hosts[host].id;
        self.hosts[by].life.as_ref().is_some_and(|life| life.trusts.contains(&id))
    }

    fn pass(&mut self, until: u64) {
        let mut next = until.min(self.now + 15_000);
        self.forget_wires();
        let frames = self.wires.values().flat_map(|wire| wire.ends.iter());
        let due = frames.filter_map(|end| end.inbox.front().map(|(due, _)| *due)).min();
        next = next.min(due.unwrap_or(next));
        for host in &self.hosts {
            host.at(self.now);
            if let Some(life) = &host.life {
                let wait = u64::try_from(life.node.next_due().as_millis()).unwrap();
                next = next.min(self.now + wait);
            }
        }
        self.now = next.max(self.now + 1);
        for host in 0..self.hosts.len() {
            self.tick(host);
        }
    }

    /// Peace: everything that can arrive arrives, and everything ends.
    fn end(&mut self) {
        self.calm = true;
        self.cuts.clear();
        self.note("peace");
        for host in 0..self.hosts.len() {
            self.hosts[host].ahead_ms = 0;
            if let Some(life) = &self.hosts[host].life {
                life.store.set_full(false);
            }
        }
        let soon = self.now + SOON_MS;
        while self.now < soon && self.failure.is_none() {
            self.settle(soon);
        }
        self.check_peace();
        let deadline = self.now + DEADLINE_MS;
        while self.now < deadline && self.failure.is_none() {
            self.now += 60 * 60_000;
            for host in 0..self.hosts.len() {
                self.tick(host);
            }
            self.settle(self.now + 1);
        }
        self.check_end();
    }
}

/// An event, for a trace.
fn what_of(event: &NetEvent) -> String {
    match event {
        NetEvent::LinkUp { link, .. } => format!("that link {} is up", link.0),
        NetEvent::LinkDown { link, .. } => format!("that link {} is down", link.0),
        NetEvent::Rejected { code, .. } => format!("that it is refused with {code}"),
        NetEvent::PairUp { link, dialed, .. } => format!("that pairing {} is up {dialed}", link.0),
        NetEvent::PairDown { link, .. } => format!("that a pairing is down {link:?}"),
        NetEvent::Pair { link, frame, .. } => {
            let what = match frame {
                PairFrame::Knock(_) => "a knock",
                PairFrame::Answer(_) => "an answer",
                PairFrame::Reveal(_) => "a reveal",
                PairFrame::Consent { .. } => "a consent",
                PairFrame::ConsentKept(_) => "that a consent is kept",
                PairFrame::End(_) => "an end",
                PairFrame::Unknown(_) => "something",
            };
            format!("{what} on pairing {}", link.0)
        }
        NetEvent::Frames { link, frames, .. } => {
            let name = |frame: &Inbound| match frame {
                Inbound::Data { seq, envelope } => match envelope {
                    Ok(envelope) => format!(" {seq}={}", envelope.header().id),
                    Err(_) => format!(" {seq}=?"),
                },
                Inbound::Ack { upto, .. } => format!(" ack {upto}"),
            };
            format!("on link {}:{}", link.0, frames.iter().map(name).collect::<String>())
        }
        NetEvent::PathChanged { .. }
        | NetEvent::NotPq { .. }
        | NetEvent::Twice { .. }
        | NetEvent::AddressesChanged
        | NetEvent::Ended => "something else".to_owned(),
    }
}
