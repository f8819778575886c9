//! What to send to one peer, and when: the order, the window, and what happens when the link
//! goes, comes back, or the peer has no room.
//!
//! The store holds the queue. This machine holds what is in flight on the present link, and asks
//! for more when there is room. On a new link everything unacknowledged is sent again, the same
//! bytes in the same order; the receiver drops what it has.

use std::{collections::VecDeque, time::Duration};

#[cfg(test)]
use crate::base::planted::{Bug, planted};
use crate::{
    base::{MessageId, Moment, Timestamp, limits},
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
    /// The next one has expired: take what has out of the queue.
    Expire,
    /// The peer waits on this link for one that is not in the queue any more: begin on a new link.
    Renew,
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
    /// The place of the first that had no room, which the peer waits for on this link.
    first: Option<i64>,
    /// Questions asked so far, over all links.
    asked: u64,
}

/// Nothing is sent before this uptime, and then from this place on.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Duration,
    from: i64,
}

impl Queued {
    /// A message that is worthless by now. A receipt counts whenever it comes.
    fn is_late(&self, now: Timestamp) -> bool {
        let header = self.envelope.item().header();
        header.kind != Kind::Receipt && header.expires <= now
    }
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
            first: None,
            asked: 0,
        }
    }

    /// At which uptime the machine wants a tick. While something is in flight, its answer comes first.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let ready = self.up && self.in_flight.is_empty() && !self.is_loading();
        self.pause.filter(|_| ready).map(|pause| pause.until)
    }

    /// The peer had no room for the last that it was sent.
    #[must_use]
    pub const fn is_peer_full(&self) -> bool {
        self.probing
    }

    /// Takes an input and says what to do.
    pub fn handle(&mut self, input: Input, at: Moment) -> Vec<Effect> {
        let uptime = at.uptime;
        let mut effects = Vec::new();
        match input {
            Input::LinkUp => *self = Self { up: true, ..self.anew() },
            Input::LinkDown => *self = self.anew(),
            Input::Queued(item) => self.queued(item, at, &mut effects),
            // An answer that was meant for a link before this one would leave gaps.
            Input::Loaded { ask, .. } | Input::LoadFailed(ask) if ask != self.asked => {}
            Input::Loaded { items, seen, more, .. } => {
                self.loaded(items, (seen, more), at, &mut effects);
            }
            Input::LoadFailed(_) => self.load_failed(uptime),
            Input::Acked(upto) => self.acked(upto, &mut effects),
            Input::Busy(id) => self.no_room(&id, uptime),
            Input::Tick => {}
        }
        self.after_pause(uptime);
        self.load(&mut effects);
        effects
    }

    /// As it begins on a link.
    fn anew(&self) -> Self {
        #[cfg(test)]
        if planted(Bug::DroppedOnLinkLoss) {
            return Self { asked: self.asked, sent_upto: self.sent_upto, ..Self::new() };
        }
        Self { asked: self.asked, ..Self::new() }
    }

    const fn is_loading(&self) -> bool {
        matches!(self.backlog, Backlog::Loading(_))
    }

    fn room(&self) -> usize {
        let window = if self.probing { 1 } else { limits::IN_FLIGHT_MESSAGES_MAX };
        window.saturating_sub(self.in_flight.len())
    }

    fn queued(&mut self, item: Queued, at: Moment, effects: &mut Vec<Effect>) {
        if item.number <= self.sent_upto {
            return; // A read of the store has brought it already.
        }
        let next = self.up && self.backlog == Backlog::Empty && self.pause.is_none();
        if next && self.room() > 0 {
            self.send(item, at, effects);
        } else {
            self.backlog = match self.backlog {
                Backlog::Loading(_) => Backlog::Loading(true),
                Backlog::Empty | Backlog::Waiting => Backlog::Waiting,
            };
        }
    }

    fn loaded(
        &mut self,
        items: Vec<Queued>,
        (seen, more): (i64, bool),
        at: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let Backlog::Loading(since) = self.backlog else { return };
        if !self.up || self.pause.is_some() {
            self.backlog = Backlog::Waiting;
            return;
        }
        for item in items {
            if !self.send(item, at, effects) {
                break;
            }
        }
        self.sent_upto = self.sent_upto.max(seen);
        self.backlog = if more || since { Backlog::Waiting } else { Backlog::Empty };
    }

    /// What has expired does not leave, or it would be taken after it was given up. What is behind
    /// it waits until it is out of the queue: where the clock is set back before that, it leaves
    /// after all, and nothing must have passed it.
    fn after_expiry(&mut self, number: i64, uptime: Duration, effects: &mut Vec<Effect>) {
        self.pause = Some(Pause { until: uptime.saturating_add(limits::BUSY_RETRY), from: number });
        effects.push(Effect::Expire);
    }

    /// A store that cannot be read now is not asked again at once.
    fn load_failed(&mut self, uptime: Duration) {
        if self.is_loading() {
            self.backlog = Backlog::Waiting;
            let next = Pause {
                until: uptime.saturating_add(limits::BUSY_RETRY),
                from: self.sent_upto + 1,
            };
            self.pause = self.pause.or(Some(next));
        }
    }

    /// Sends the next one, unless nothing may leave now; gives whether the one behind it may.
    fn send(&mut self, item: Queued, at: Moment, effects: &mut Vec<Effect>) -> bool {
        let receipt = item.envelope.item().header().kind == Kind::Receipt;
        if item.is_late(at.now) {
            self.after_expiry(item.number, at.uptime, effects);
            return false;
        }
        if !receipt && self.first.take().is_some_and(|first| first != item.number) {
            // As good as down: nothing leaves on it any more.
            self.up = false;
            effects.push(Effect::Renew);
            return false;
        }
        self.transmit(item, effects);
        true
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

    fn no_room(&mut self, id: &MessageId, uptime: Duration) {
        let Some(flight) = self.in_flight.iter().find(|flight| flight.id == *id) else { return };
        let from = self.pause.map_or(flight.number, |pause| pause.from.min(flight.number));
        self.pause = Some(Pause { until: uptime.saturating_add(limits::BUSY_RETRY), from });
        self.first = Some(self.first.map_or(flight.number, |first| first.min(flight.number)));
        self.probing = true;
    }

    /// Begins again at the first envelope that had no room, once all in flight was answered.
    fn after_pause(&mut self, uptime: Duration) {
        if let Some(pause) = self.pause
            && pause.until <= uptime
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
mod sim;
#[cfg(test)]
mod tests;
