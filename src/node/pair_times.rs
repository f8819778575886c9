//! When pairings are tried again, and when they are forgotten.

use std::time::Duration;

use super::{
    clock,
    state::{Node, PairingEntry},
};
use crate::{base::PeerId, delivery::pairing::Pairing};

impl Node {
    /// Dials joiners whose time has come, and answers those who waited long enough.
    pub(super) fn tick_pairings(&mut self) {
        let now = clock::uptime();
        let due = |entry: &PairingEntry| entry.dial_at.is_some_and(|at| at <= now);
        let dial: Vec<PeerId> =
            self.pairings.iter().filter(|(_, e)| due(e)).map(|(peer, _)| *peer).collect();
        for peer in dial {
            self.dial(&peer);
        }
        let late = |entry: &PairingEntry| entry.waiting.iter().any(|(_, until)| *until <= now);
        let answer: Vec<PeerId> =
            self.pairings.iter().filter(|(_, e)| late(e)).map(|(peer, _)| *peer).collect();
        for peer in answer {
            self.release_waiting(&peer);
        }
    }

    /// Forgets those who knocked and said no more while their invite was open.
    pub(super) fn drop_silent_strangers(&mut self) {
        let open = |id| self.invites.iter().any(|invite| invite.id == id);
        let silent = |pairing: &Pairing| {
            !pairing.is_joiner() && pairing.record.is_none() && !open(pairing.invite)
        };
        let gone = self.pairings.values().map(|entry| &entry.pairing);
        let gone: Vec<PeerId> = gone.filter(|p| silent(p)).map(|p| p.peer).collect();
        for peer in gone {
            self.drop_pairing(&peer);
        }
    }

    /// At which uptime the pairings want a tick.
    pub(super) fn pairings_due(&self) -> Option<Duration> {
        let times = self.pairings.values().flat_map(|entry| {
            entry.dial_at.into_iter().chain(entry.waiting.iter().map(|(_, until)| *until))
        });
        times.min()
    }
}
