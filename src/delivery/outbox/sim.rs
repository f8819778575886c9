//! An outbox, the store behind it, and a receiver that keeps the rules of `inbox`: the link breaks
//! anywhere, reads are slow, fail or answer late, acknowledgements are lost, the receiver is full
//! again and again, and messages expire. Seeded, so that a failure can be repeated.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    tests::{AT, id, item},
    *,
};
use crate::delivery::{inbox::Turn, pairing::Dice};

/// An acknowledgement with what its receipt says.
struct Ack {
    upto: u64,
    taken: Vec<i64>,
    busy: Option<MessageId>,
}

#[derive(Default)]
struct Receiver {
    /// Every message that was ever stored, in its order.
    stored: Vec<i64>,
    room: usize,
    turn: Turn,
    last_seq: u64,
}

struct World {
    seed: u64,
    dice: Dice,
    at: Moment,
    outbox: Outbox,
    up: bool,
    /// The sender's queue on disk, and what expired before it arrived.
    disk: BTreeMap<i64, Queued>,
    expired: Vec<i64>,
    made: Vec<Queued>,
    queued: usize,
    reads: VecDeque<(u64, i64, usize)>,
    wire: VecDeque<(u64, i64)>,
    acks: VecDeque<Ack>,
    last_seq: u64,
    receiver: Receiver,
}

impl World {
    fn new(seed: u64, made: Vec<Queued>) -> Self {
        let receiver = Receiver { room: 3, ..Receiver::default() };
        Self {
            seed,
            dice: Dice::new(seed),
            at: AT,
            outbox: Outbox::new(),
            up: false,
            disk: BTreeMap::new(),
            expired: Vec::new(),
            made,
            queued: 0,
            reads: VecDeque::new(),
            wire: VecDeque::new(),
            acks: VecDeque::new(),
            last_seq: 0,
            receiver,
        }
    }

    fn feed(&mut self, input: Input) {
        let mut renews = false;
        for effect in self.outbox.handle(input, self.at) {
            match effect {
                Effect::Transmit(seq, envelope) => {
                    assert!(self.up, "seed {}: sent while the link is down", self.seed);
                    self.last_seq += 1;
                    assert_eq!(seq, self.last_seq, "seed {}", self.seed);
                    let id = envelope.item().header().id;
                    let number =
                        self.made.iter().find(|made| made.envelope.item().header().id == id);
                    self.wire.push_back((seq, number.unwrap().number));
                    assert!(self.wire.len() <= limits::IN_FLIGHT_MESSAGES_MAX);
                }
                Effect::Load { ask, after, limit } => self.reads.push_back((ask, after, limit)),
                Effect::Renew => renews = true,
                Effect::Settle(_) | Effect::Expire => panic!("nothing of that is here"),
            }
        }
        if renews {
            self.link(false);
        }
    }

    fn link(&mut self, up: bool) {
        self.up = up;
        self.wire.clear();
        self.acks.clear();
        (self.last_seq, self.receiver.last_seq) = (0, 0);
        self.receiver.turn = Turn::default();
        self.feed(if up { Input::LinkUp } else { Input::LinkDown });
    }

    fn queue(&mut self) {
        if let Some(item) = self.made.get(self.queued).cloned() {
            self.queued += 1;
            self.disk.insert(item.number, item.clone());
            self.feed(Input::Queued(item));
        }
    }

    /// A read that was asked for comes back, perhaps long after.
    fn read(&mut self, fails: bool) {
        let Some((ask, after, limit)) = self.reads.pop_front() else { return };
        if fails {
            return self.feed(Input::LoadFailed(ask));
        }
        let rows = self.disk.range(after + 1..).take(limit);
        let items: Vec<Queued> = rows.map(|(_, item)| item.clone()).collect();
        let seen = items.last().map_or(after, |item| item.number);
        let more = items.len() == limit;
        self.feed(Input::Loaded { ask, items, seen, more });
    }

    /// The receiver takes all that is on the wire, up to `count`.
    fn receive(&mut self, count: u64) {
        let mut ack = Ack { upto: 0, taken: Vec::new(), busy: None };
        for _ in 0..count {
            let Some((seq, number)) = self.wire.pop_front() else { break };
            let receiver = &mut self.receiver;
            assert_eq!(seq, receiver.last_seq + 1, "seed {}", self.seed);
            (receiver.last_seq, ack.upto) = (seq, seq);
            let again = receiver.stored.contains(&number);
            if !again && (receiver.room == 0 || !receiver.turn.is_of(&id(number))) {
                receiver.turn.no_room(&id(number));
                ack.busy.get_or_insert(id(number));
                continue;
            }
            receiver.turn.done(&id(number));
            if !again {
                receiver.room -= 1;
                receiver.stored.push(number);
            }
            ack.taken.push(number);
        }
        if ack.upto > 0 {
            self.acks.push_back(ack);
        }
    }

    fn acknowledge(&mut self) {
        let Some(ack) = self.acks.pop_front() else { return };
        if let Some(id) = ack.busy {
            self.feed(Input::Busy(id));
        }
        for number in ack.taken {
            self.disk.remove(&number);
        }
        self.feed(Input::Acked(ack.upto));
        if self.dice.roll(8) == 0 {
            self.feed(Input::Acked(ack.upto));
        }
    }

    /// One that has not arrived expires at the sender.
    fn expire(&mut self) {
        let first = self.disk.keys().next().copied();
        if let Some(number) = first.filter(|number| !self.receiver.stored.contains(number)) {
            // What is on the wire may still arrive.
            if self.wire.iter().all(|(_, sent)| *sent != number) {
                self.disk.remove(&number);
                self.expired.push(number);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.at = Moment { now: self.at.now.plus(time), uptime: self.at.uptime + time };
    }

    /// Somebody sets the clock, an hour at most; what is under way still counts.
    fn set_clock(&mut self) {
        let step = Duration::from_secs(self.dice.roll(3600));
        let now = self.at.now;
        self.at.now = if self.dice.roll(2) == 0 { now.plus(step) } else { now.minus(step) };
    }

    fn wait(&mut self) {
        // The clock goes on while nothing is under way; else a packet would take seconds.
        let idle = self.wire.is_empty() && self.acks.is_empty();
        let due = self.outbox.next_due().filter(|_| idle);
        let least = Duration::from_millis(1);
        let wait = due.map_or(least, |due| due.saturating_sub(self.at.uptime).max(least));
        self.pass(wait);
        self.feed(Input::Tick);
    }

    fn step(&mut self) {
        match self.dice.roll(20) {
            0 => self.link(!self.up),
            1..=4 => self.queue(),
            5 => self.read(true),
            6..=8 => self.read(false),
            9..=11 => {
                let count = 1 + self.dice.roll(6);
                self.receive(count);
            }
            12..=14 => self.acknowledge(),
            15 => self.receiver.room += 2,
            16 => self.expire(),
            17 => {
                let time = Duration::from_millis(self.dice.roll(50));
                self.pass(time);
            }
            18 => self.set_clock(),
            _ => self.wait(),
        }
    }

    /// From here on nothing fails. All must arrive before the deadline.
    fn calm(&mut self) {
        while self.queued < self.made.len() {
            self.queue();
        }
        if !self.up {
            self.link(true);
        }
        self.receiver.room = usize::MAX;
        let deadline = self.at.uptime + Duration::from_mins(1);
        while !self.disk.is_empty() {
            assert!(
                self.at.uptime < deadline,
                "seed {}: {:?} never left",
                self.seed,
                self.disk.keys()
            );
            if !self.up {
                self.link(true);
            }
            self.read(false);
            self.receive(6);
            self.acknowledge();
            self.wait();
        }
    }
}

#[test]
fn whatever_breaks_all_arrive_once_and_in_order() {
    let made: Vec<Queued> = (1..=40).map(item).collect();
    for seed in 0..250 {
        let mut world = World::new(seed, made.clone());
        for _ in 0..world.dice.roll(400) {
            world.step();
        }
        world.calm();
        let stored = &world.receiver.stored;
        assert!(stored.is_sorted_by(|a, b| a < b), "seed {seed}: {stored:?}");
        let all = stored.len() + world.expired.len();
        assert_eq!(all, made.len(), "seed {seed}: {stored:?} and {:?}", world.expired);
    }
}
