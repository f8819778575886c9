//! The taint rule: what a peer wrote may steer our agent, so what the agent writes to others after
//! it has read it is asked about.
//!
//! The invariant: no message that was written after a text of A was shown goes to B without a
//! decision that names A and B, and no connection with B is begun. A decision is the approver's
//! signature on the message with A in [`super::Statement::after`], on a policy with a flow from A to
//! B, or on the order to forget what was shown. It needs no detector, and holds where they fail.
//!
//! One machine for the node: an agent may have several sessions. It knows no clock.

use std::{collections::BTreeMap, time::Duration};

use crate::base::{PeerId, Timestamp};

/// The rule that asks.
pub const RULE: &str = "taint.read";

/// Whose texts were shown, and until when that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    until: BTreeMap<PeerId, Timestamp>,
}

/// What an agent wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// To send a text of so many bytes.
    Send {
        /// To whom.
        to: PeerId,
        /// The text, bytes of UTF-8.
        bytes: u64,
    },
    /// To begin a connection.
    Connect {
        /// With whom.
        to: PeerId,
    },
}

/// How far the rule goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long a text that was shown counts.
    pub life: Duration,
    /// What may go back to the peer whose text was read, bytes of UTF-8.
    pub reply_bytes_max: u64,
}

impl Taint {
    /// As it was written down.
    #[must_use]
    pub fn of(rows: impl IntoIterator<Item = (PeerId, Timestamp)>) -> Self {
        Self { until: rows.into_iter().collect() }
    }

    /// A text of this peer is about to be shown: true where that has to be written down before.
    #[must_use]
    pub fn show(&mut self, peer: PeerId, now: Timestamp, bounds: &Bounds) -> bool {
        let until = now.plus(bounds.life);
        let before = self.until.get(&peer).copied();
        if before.is_some_and(|before| before >= until) {
            return false;
        }
        self.until.insert(peer, until);
        true
    }

    /// Until when it counts that a text of this peer was shown.
    #[must_use]
    pub fn until(&self, peer: &PeerId) -> Option<Timestamp> {
        self.until.get(peer).copied()
    }

    /// Whose texts count at `now`.
    pub fn live(&self, now: Timestamp) -> impl Iterator<Item = (&PeerId, Timestamp)> {
        self.until
            .iter()
            .filter(move |(_, until)| **until > now)
            .map(|(peer, until)| (peer, *until))
    }

    /// The human says that it counts no more.
    pub fn clear(&mut self) {
        self.until.clear();
    }

    /// Whose texts make the human be asked about an act, in the order of their ids. `flows` says
    /// for which pairs, from and to, the human signed beforehand.
    #[must_use]
    pub fn sources(
        &self,
        act: Act,
        now: Timestamp,
        bounds: &Bounds,
        flows: impl Fn(&PeerId, &PeerId) -> bool,
    ) -> Vec<PeerId> {
        let counts = |from: &PeerId| match act {
            Act::Connect { to } => to != *from,
            Act::Send { to, bytes } if to == *from => bytes > bounds.reply_bytes_max,
            Act::Send { to, .. } => !flows(from, &to),
        };
        self.live(now).map(|(peer, _)| *peer).filter(counts).collect()
    }
}

#[cfg(test)]
mod tests;
