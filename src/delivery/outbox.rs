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
        /// Which question this answers.
        ask: u64,
        /// In their order.
        items: Vec<Queued>,
        /// How far the store looked, even where rows were left out.
        seen: i64,
        /// There is more behind it.
        more: bool,
    },
    /// The store could not answer this question.
    LoadFailed(u64),
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
        /// The number of this question: an answer to an older one says nothing about this link.
        ask: u64,
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
    pause: Option<Pause>,
    /// The peer had no room: until it takes one again, one is sent at a time.
    probing: bool,
    /// Questions asked so far, over all links.
    asked: u64,
}

/// Nothing is sent for a while, and then from this place on.
#[derive(Clone, Copy, Debug)]
struct Pause {
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
            pause: None,
            probing: false,
            asked: 0,
        }
    }

    /// When the machine wants a tick. While something is in flight, its answer comes first.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let ready = self.up && self.in_flight.is_empty() && !self.is_loading();
        self.pause.filter(|_| ready).map(|pause| pause.until)
    }

    /// Takes an input and says what to do.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::LinkUp => *self = Self { up: true, asked: self.asked, ..Self::new() },
            Input::LinkDown => *self = Self { asked: self.asked, ..Self::new() },
            Input::Queued(item) => self.queued(item, &mut effects),
            // An answer that was meant for a link before this one would leave gaps.
            Input::Loaded { ask, .. } | Input::LoadFailed(ask) if ask != self.asked => {}
            Input::Loaded { items, seen, more, .. } => {
                self.loaded(items, (seen, more), &mut effects);
            }
            Input::LoadFailed(_) => self.load_failed(now),
            Input::Acked(upto) => self.acked(upto, &mut effects),
            Input::Busy(id) => self.no_room(&id, now),
            Input::Tick => {}
        }
        self.after_pause(now);
        self.load(&mut effects);
        effects
    }

    const fn is_loading(&self) -> bool {
        matches!(self.backlog, Backlog::Loading(_))
    }

    fn room(&self) -> usize {
        let window = if self.probing { 1 } else { limits::IN_FLIGHT_MESSAGES_MAX };
        window.saturating_sub(self.in_flight.len())
    }

    fn queued(&mut self, item: Queued, effects: &mut Vec<Effect>) {
        if item.number <= self.sent_upto {
            return; // A read of the store has brought it already.
        }
        let next = self.up && self.backlog == Backlog::Empty && self.pause.is_none();
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
        if !self.up || self.pause.is_some() {
            self.backlog = Backlog::Waiting;
            return;
        }
        for item in items {
            self.transmit(item, effects);
        }
        self.sent_upto = self.sent_upto.max(seen);
        self.backlog = if more || since { Backlog::Waiting } else { Backlog::Empty };
    }

    /// A store that cannot be read now is not asked again at once.
    fn load_failed(&mut self, now: Timestamp) {
        if self.is_loading() {
            self.backlog = Backlog::Waiting;
            let next = Pause { until: now.plus(limits::BUSY_RETRY), from: self.sent_upto + 1 };
            self.pause = self.pause.or(Some(next));
        }
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
            // It had room for this one; if it had not, it has said so before.
            self.probing &= self.pause.is_some();
            // A message leaves the queue with its signed receipt, not with the acknowledgement.
            if flight.receipt {
                effects.push(Effect::Settle(flight.number));
            }
        }
    }

    fn no_room(&mut self, id: &MessageId, now: Timestamp) {
        let Some(flight) = self.in_flight.iter().find(|flight| flight.id == *id) else { return };
        let from = self.pause.map_or(flight.number, |pause| pause.from.min(flight.number));
        self.pause = Some(Pause { until: now.plus(limits::BUSY_RETRY), from });
        self.probing = true;
    }

    /// Begins again at the first envelope that had no room, once all in flight was answered.
    fn after_pause(&mut self, now: Timestamp) {
        if let Some(pause) = self.pause
            && pause.until <= now
            && self.in_flight.is_empty()
            && !self.is_loading()
        {
            self.pause = None;
            self.sent_upto = pause.from - 1;
            self.backlog = Backlog::Waiting;
        }
    }

    fn load(&mut self, effects: &mut Vec<Effect>) {
        let room = self.room();
        let due = self.up && self.pause.is_none() && self.backlog == Backlog::Waiting;
        // A read for a handful of rows each time an acknowledgement comes would be wasteful.
        let enough = if self.probing { 1 } else { limits::IN_FLIGHT_MESSAGES_MAX / 2 };
        if due && room >= enough {
            self.backlog = Backlog::Loading(false);
            self.asked += 1;
            effects.push(Effect::Load { ask: self.asked, after: self.sent_upto, limit: room });
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
        outbox.handle(Input::Loaded { ask: 1, items: vec![], seen: 0, more: false }, NOW);
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
        let loaded = Input::Loaded { ask: 2, items: vec![item(7)], seen: 7, more: false };
        assert_eq!(sent(&outbox.handle(loaded, NOW)), [1], "numbers begin anew on each link");
    }

    #[test]
    fn what_is_queued_during_a_read_is_sent_once() {
        let mut outbox = Outbox::new();
        outbox.handle(Input::LinkUp, NOW);
        outbox.handle(Input::Queued(item(2)), NOW);
        let items = vec![item(1), item(2)];
        let loaded = Input::Loaded { ask: 1, items, seen: 2, more: false };
        let effects = outbox.handle(loaded, NOW);
        assert_eq!(sent(&effects), [1, 2]);
        assert_eq!(loads(&effects), Some(2), "the store is asked again, lest one was missed");
        let none = Input::Loaded { ask: 2, items: vec![], seen: 2, more: false };
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
    fn a_full_peer_is_asked_with_one_message_until_it_takes_it() {
        let mut outbox = running();
        for number in 1..=3 {
            outbox.handle(Input::Queued(item(number)), NOW);
        }
        outbox.handle(Input::Busy(id(1)), NOW);
        outbox.handle(Input::Acked(3), NOW);
        let effects = outbox.handle(Input::Tick, outbox.next_due().unwrap());
        assert!(matches!(effects[..], [Effect::Load { ask: 2, after: 0, limit: 1 }]));
        let one = Input::Loaded { ask: 2, items: vec![item(1)], seen: 1, more: true };
        assert_eq!(sent(&outbox.handle(one, NOW)), [4]);
        let effects = outbox.handle(Input::Acked(4), NOW);
        let all = limits::IN_FLIGHT_MESSAGES_MAX;
        assert!(matches!(effects[..], [Effect::Load { after: 1, limit, .. }] if limit == all));
    }

    #[test]
    fn an_answer_for_a_former_link_leaves_no_gap_on_this_one() {
        let mut outbox = running();
        let most = i64::try_from(limits::IN_FLIGHT_MESSAGES_MAX).unwrap();
        for number in 1..=most + 1 {
            outbox.handle(Input::Queued(item(number)), NOW);
        }
        let acked = u64::try_from(most).unwrap() / 2;
        assert_eq!(loads(&outbox.handle(Input::Acked(acked), NOW)), Some(most));
        outbox.handle(Input::LinkDown, NOW);
        assert_eq!(loads(&outbox.handle(Input::LinkUp, NOW)), Some(0));
        let items = vec![item(most + 1)];
        let late = Input::Loaded { ask: 2, items, seen: most + 1, more: false };
        assert!(outbox.handle(late, NOW).is_empty(), "what is before it has not been sent");
        let items = vec![item(1)];
        let loaded = Input::Loaded { ask: 3, items, seen: 1, more: true };
        assert_eq!(sent(&outbox.handle(loaded, NOW)), [1]);
    }

    #[test]
    fn a_store_that_cannot_be_read_is_asked_again_later_and_not_at_once() {
        let mut outbox = Outbox::new();
        outbox.handle(Input::LinkUp, NOW);
        assert!(outbox.handle(Input::LoadFailed(1), NOW).is_empty());
        let due = outbox.next_due().unwrap();
        assert!(due > NOW);
        assert_eq!(loads(&outbox.handle(Input::Tick, due)), Some(0));
    }

    #[test]
    fn a_pause_wants_no_tick_while_an_answer_is_still_to_come() {
        let mut outbox = running();
        outbox.handle(Input::Queued(item(1)), NOW);
        outbox.handle(Input::Queued(item(2)), NOW);
        outbox.handle(Input::Busy(id(1)), NOW);
        outbox.handle(Input::Acked(1), NOW);
        assert_eq!(outbox.next_due(), None);
        outbox.handle(Input::Acked(2), NOW);
        assert!(outbox.next_due().is_some());
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
