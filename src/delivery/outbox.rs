//! What to send to one peer, and when: the order, the window, and what happens when the link
//! goes, comes back, or the peer has no room.
//!
//! The store holds the queue. This machine holds what is in flight on the present link, and asks
//! for more when there is room. On a new link everything unacknowledged is sent again, the same
//! bytes in the same order; the receiver drops what it has.

use std::{collections::VecDeque, time::Duration};

use crate::{
    base::{MessageId, Timestamp, limits},
    gate::Approved,
    wire::{Envelope, Kind},
};

/// An envelope and its place in the store's queue.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Its place.
    pub number: i64,
    /// What may leave.
    pub envelope: Approved<Envelope>,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The link is up.
    LinkUp,
    /// The link is gone.
    LinkDown,
    /// An envelope is durable in the queue.
    Queued(Queued),
    /// What was asked for. `more` when the store had more than asked.
    Loaded {
        /// In their order.
        items: Vec<Queued>,
        /// How far the store looked, even where rows were left out.
        seen: i64,
        /// There is more behind it.
        more: bool,
    },
    /// The store could not be read.
    LoadFailed,
    /// The peer has all up to this number on disk.
    Acked(u64),
    /// The peer has no room for this message, nor for those after it.
    Busy(MessageId),
    /// Time went by.
    Tick,
}

/// What to do.
#[derive(Debug)]
pub enum Effect {
    /// Send under this number of the link.
    Transmit(u64, Approved<Envelope>),
    /// Read at most `limit` envelopes after place `after`.
    Load {
        /// Place.
        after: i64,
        /// How many.
        limit: usize,
    },
    /// The peer has this one, and nothing more is expected of it: remove it from the queue.
    Settle(i64),
}

#[derive(Debug)]
struct Flight {
    seq: u64,
    id: MessageId,
    number: i64,
    receipt: bool,
}

/// What the store may hold that was not sent on this link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backlog {
    Empty,
    Waiting,
    /// A read is under way; `true` when more was queued since.
    Loading(bool),
}

/// The machine of one peer.
#[derive(Debug)]
pub struct Outbox {
    up: bool,
    next_seq: u64,
    in_flight: VecDeque<Flight>,
    backlog: Backlog,
    sent_upto: i64,
    busy: Option<Busy>,
}

#[derive(Clone, Copy, Debug)]
struct Busy {
    until: Timestamp,
    from: i64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Outbox {
    /// A machine whose link is down.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            up: false,
            next_seq: 1,
            in_flight: VecDeque::new(),
            backlog: Backlog::Waiting,
            sent_upto: 0,
            busy: None,
        }
    }

    /// When the machine wants a tick.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.busy.filter(|_| self.up).map(|busy| busy.until)
    }

    /// The peer said that it has no room.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// Takes an input and says what to do.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::LinkUp => {
                *self = Self { up: true, ..Self::new() };
            }
            Input::LinkDown => *self = Self::new(),
            Input::Queued(item) => self.queued(item, &mut effects),
            Input::Loaded { items, seen, more } => self.loaded(items, (seen, more), &mut effects),
            Input::LoadFailed => self.backlog = Backlog::Waiting,
            Input::Acked(upto) => self.acked(upto, &mut effects),
            Input::Busy(id) => self.no_room(&id, now),
            Input::Tick => {}
        }
        self.after_busy(now);
        self.load(&mut effects);
        effects
    }

    fn room(&self) -> usize {
        limits::IN_FLIGHT_MESSAGES_MAX.saturating_sub(self.in_flight.len())
    }

    fn queued(&mut self, item: Queued, effects: &mut Vec<Effect>) {
        if item.number <= self.sent_upto {
            return; // A read of the store has brought it already.
        }
        let next = self.up && self.backlog == Backlog::Empty && self.busy.is_none();
        if next && self.room() > 0 {
            self.transmit(item, effects);
        } else {
            self.backlog = match self.backlog {
                Backlog::Loading(_) => Backlog::Loading(true),
                Backlog::Empty | Backlog::Waiting => Backlog::Waiting,
            };
        }
    }

    fn loaded(&mut self, items: Vec<Queued>, (seen, more): (i64, bool), effects: &mut Vec<Effect>) {
        let Backlog::Loading(since) = self.backlog else { return };
        if !self.up || self.busy.is_some() {
            self.backlog = Backlog::Waiting;
            return;
        }
        for item in items {
            self.transmit(item, effects);
        }
        self.sent_upto = self.sent_upto.max(seen);
        self.backlog = if more || since { Backlog::Waiting } else { Backlog::Empty };
    }

    fn transmit(&mut self, item: Queued, effects: &mut Vec<Effect>) {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.sent_upto = item.number;
        let header = item.envelope.item().header();
        let (id, receipt) = (header.id, header.kind == Kind::Receipt);
        self.in_flight.push_back(Flight { seq, id, number: item.number, receipt });
        effects.push(Effect::Transmit(seq, item.envelope));
    }

    fn acked(&mut self, upto: u64, effects: &mut Vec<Effect>) {
        while let Some(flight) = self.in_flight.pop_front_if(|flight| flight.seq <= upto) {
            // A message leaves the queue with its signed receipt, not with the acknowledgement.
            if flight.receipt {
                effects.push(Effect::Settle(flight.number));
            }
        }
    }

    fn no_room(&mut self, id: &MessageId, now: Timestamp) {
        let Some(flight) = self.in_flight.iter().find(|flight| flight.id == *id) else { return };
        let from = self.busy.map_or(flight.number, |busy| busy.from.min(flight.number));
        self.busy = Some(Busy { until: now.plus(limits::BUSY_RETRY), from });
    }

    /// Begins again at the first envelope that had no room, once all in flight was answered.
    fn after_busy(&mut self, now: Timestamp) {
        if let Some(busy) = self.busy
            && busy.until <= now
            && self.in_flight.is_empty()
            && !matches!(self.backlog, Backlog::Loading(_))
        {
            self.busy = None;
            self.sent_upto = busy.from - 1;
            self.backlog = Backlog::Waiting;
        }
    }

    fn load(&mut self, effects: &mut Vec<Effect>) {
        let room = self.room();
        let due = self.up && self.busy.is_none() && self.backlog == Backlog::Waiting;
        // A read for a handful of rows each time an acknowledgement comes would be wasteful.
        if due && room >= limits::IN_FLIGHT_MESSAGES_MAX / 2 {
            self.backlog = Backlog::Loading(false);
            effects.push(Effect::Load { after: self.sent_upto, limit: room });
        }
    }
}

/// The wait before try number `tries` (from 0): from [`limits::BACKOFF_MIN`], doubling, to
/// [`limits::BACKOFF_MAX`], and half more or less by `jitter` (0 to 255).
#[must_use]
pub fn backoff(tries: u32, jitter: u8) -> Duration {
    let doubled = limits::BACKOFF_MIN.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX));
    let base = doubled.min(limits::BACKOFF_MAX);
    base / 2 + base * u32::from(jitter) / 255
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{MessageText, PeerId, Secret},
        gate,
        identity::IdentityKey,
        wire::{Body, Draft, Header},
    };

    const NOW: Timestamp = Timestamp::from_ms(1_000);

    fn id(number: i64) -> MessageId {
        MessageId::from_bytes(i128::from(number).to_be_bytes())
    }

    fn item(number: i64) -> Queued {
        let key = IdentityKey::from_seed(&Secret::new([1; 32]));
        let header = Header {
            kind: Kind::Text,
            id: id(number),
            sender: key.id(),
            recipient: PeerId::from_bytes([2; 32]),
            created: NOW,
            expires: NOW.plus(Duration::from_mins(1)),
            thread: None,
            reply_to: None,
        };
        let body = Body::Text(MessageText::parse("x").unwrap());
        let envelope = Draft { header, body }.seal(&key).unwrap();
        Queued { number, envelope: gate::outgoing(envelope, &key.id(), None).unwrap() }
    }

    fn sent(effects: &[Effect]) -> Vec<u64> {
        let seq = |effect: &Effect| match effect {
            Effect::Transmit(seq, _) => Some(*seq),
            Effect::Load { .. } | Effect::Settle(_) => None,
        };
        effects.iter().filter_map(seq).collect()
    }

    fn loads(effects: &[Effect]) -> Option<i64> {
        effects.iter().find_map(|effect| match effect {
            Effect::Load { after, .. } => Some(*after),
            Effect::Transmit(..) | Effect::Settle(_) => None,
        })
    }

    /// A machine whose link is up and whose backlog is known to be empty.
    fn running() -> Outbox {
        let mut outbox = Outbox::new();
        assert_eq!(loads(&outbox.handle(Input::LinkUp, NOW)), Some(0));
        outbox.handle(Input::Loaded { items: vec![], seen: 0, more: false }, NOW);
        outbox
    }

    #[test]
    fn nothing_leaves_while_the_link_is_down() {
        let mut outbox = Outbox::new();
        assert!(outbox.handle(Input::Queued(item(1)), NOW).is_empty());
        let effects = outbox.handle(Input::LinkUp, NOW);
        assert_eq!(loads(&effects), Some(0), "what waits is read from the store");
    }

    #[test]
    fn what_is_queued_is_sent_at_once_and_in_order() {
        let mut outbox = running();
        assert_eq!(sent(&outbox.handle(Input::Queued(item(1)), NOW)), [1]);
        assert_eq!(sent(&outbox.handle(Input::Queued(item(2)), NOW)), [2]);
    }

    #[test]
    fn a_new_link_sends_again_what_was_not_acknowledged() {
        let mut outbox = running();
        outbox.handle(Input::Queued(item(7)), NOW);
        outbox.handle(Input::LinkDown, NOW);
        assert_eq!(loads(&outbox.handle(Input::LinkUp, NOW)), Some(0));
        let loaded = Input::Loaded { items: vec![item(7)], seen: 7, more: false };
        assert_eq!(sent(&outbox.handle(loaded, NOW)), [1], "numbers begin anew on each link");
    }

    #[test]
    fn what_is_queued_during_a_read_is_sent_once() {
        let mut outbox = Outbox::new();
        outbox.handle(Input::LinkUp, NOW);
        outbox.handle(Input::Queued(item(2)), NOW);
        let loaded = Input::Loaded { items: vec![item(1), item(2)], seen: 2, more: false };
        let effects = outbox.handle(loaded, NOW);
        assert_eq!(sent(&effects), [1, 2]);
        assert_eq!(loads(&effects), Some(2), "the store is asked again, lest one was missed");
        let none = Input::Loaded { items: vec![], seen: 2, more: false };
        assert!(outbox.handle(none, NOW).is_empty());
        assert!(outbox.handle(Input::Queued(item(2)), NOW).is_empty());
        assert_eq!(sent(&outbox.handle(Input::Queued(item(3)), NOW)), [3]);
    }

    #[test]
    fn the_window_bounds_what_is_in_flight() {
        let mut outbox = running();
        let most = i64::try_from(limits::IN_FLIGHT_MESSAGES_MAX).unwrap();
        for number in 1..=most {
            assert_eq!(sent(&outbox.handle(Input::Queued(item(number)), NOW)).len(), 1);
        }
        assert!(outbox.handle(Input::Queued(item(most + 1)), NOW).is_empty());
        let half = u64::try_from(most / 2).unwrap();
        assert_eq!(loads(&outbox.handle(Input::Acked(half - 1), NOW)), None);
        assert_eq!(loads(&outbox.handle(Input::Acked(half), NOW)), Some(most));
    }

    #[test]
    fn a_busy_peer_gets_the_same_again_later_and_in_order() {
        let mut outbox = running();
        for number in 1..=3 {
            outbox.handle(Input::Queued(item(number)), NOW);
        }
        outbox.handle(Input::Busy(id(2)), NOW);
        outbox.handle(Input::Busy(id(3)), NOW);
        assert!(outbox.handle(Input::Acked(3), NOW).is_empty());
        assert!(outbox.handle(Input::Queued(item(4)), NOW).is_empty(), "4 must not pass 2");
        let due = outbox.next_due().unwrap();
        let effects = outbox.handle(Input::Tick, due);
        assert_eq!(loads(&effects), Some(1), "begin again at the first that had no room");
    }

    #[test]
    fn a_backoff_stays_within_its_bounds() {
        for tries in [0, 1, 5, 31, 40] {
            for jitter in [0, 128, 255] {
                let wait = backoff(tries, jitter);
                assert!(wait >= limits::BACKOFF_MIN / 2 && wait <= limits::BACKOFF_MAX * 3 / 2);
            }
        }
        assert!(backoff(0, 0) < backoff(3, 0));
    }
}
