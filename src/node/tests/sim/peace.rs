//! The checks at the end: what can arrive has arrived, what waits has ended, and memory and disk say
//! the same.

use std::collections::BTreeSet;

use super::{
    checks::{Checker, rows, state_of},
    world::World,
};
use crate::{
    audit::ChainError,
    base::{MessageId, PeerId, limits},
    store::{self, pending::PendingRow},
};

impl World {
    /// After some minutes of peace: between two that trust each other nothing waits any more.
    pub(super) fn check_peace(&mut self) {
        for host in 0..self.hosts.len() {
            self.check_disk(host);
            self.check_memory(host);
        }
        for (from, to) in self.honest_pairs() {
            let db = self.hosts[from].db();
            let queued = rows(db).into_iter().filter(|row| {
                row.outgoing && row.peer == self.hosts[to].id && row.state == "queued"
            });
            let ids: Vec<MessageId> = queued.map(|row| row.id).collect();
            let held = "SELECT count(*) FROM pending WHERE what = 'message_in' AND peer = ?1";
            let me = self.hosts[from].id;
            let held: i64 =
                self.hosts[to].db().query_row(held, [me.as_bytes()], |row| row.get(0)).unwrap();
            let full = held >= i64::try_from(limits::PENDING_PAYLOADS_PER_PEER_MAX).unwrap();
            if !full && let Some(id) = ids.first() {
                let what = format!("{id} waits at {from} for {to}, for ten minutes of peace");
                self.fail(Checker::Final, what);
            }
        }
    }

    /// Pairs of which each trusts the other, under one record.
    fn honest_pairs(&self) -> Vec<(usize, usize)> {
        let record = |by: usize, of: usize| {
            let sql = "SELECT record FROM peers WHERE id = ?1 AND state = 'trusted'";
            let id = self.hosts[of].id;
            self.hosts[by].db().query_row(sql, [id.as_bytes()], |row| row.get::<_, Vec<u8>>(0)).ok()
        };
        let honest = 0..self.hosts.len() - 1;
        let pairs = honest.clone().flat_map(|from| honest.clone().map(move |to| (from, to)));
        let both = |(a, b): &(usize, usize)| {
            a != b && record(*a, *b).is_some() && record(*b, *a).is_some()
        };
        pairs.filter(both).collect()
    }

    /// When the deadline is over, everything has ended.
    pub(super) fn check_end(&mut self) {
        let pairs = self.honest_pairs();
        for host in 0..self.hosts.len() {
            self.check_disk(host);
            self.check_memory(host);
            let found = store::audit::verify(self.hosts[host].db(), &self.hosts[host].id).unwrap();
            let restored = self.ledger.restored.contains(&host);
            let witnessed = |problem: &ChainError| matches!(problem, ChainError::Witness { .. });
            if let Some(problem) = found.problem.filter(|found| !(restored && witnessed(found))) {
                self.fail(Checker::Audit, format!("{host}: {problem}"));
            }
            for row in rows(self.hosts[host].db()) {
                let waits = match row.state.as_str() {
                    "held" | "queued" => true,
                    // Where trust ended, or the receiver's disk is older, nobody says more of it.
                    "held_by_peer" if row.outgoing => pairs.iter().any(|(a, b)| {
                        *a == host
                            && self.hosts[*b].id == row.peer
                            && state_of(self.hosts[*b].db(), &row.id, &self.hosts[host].id, false)
                                .is_some_and(|state| state == "held_by_peer")
                    }),
                    "held_by_peer" => true,
                    _ => false,
                };
                if waits {
                    let what = format!("{} is still {} at {host}", row.id, row.state);
                    self.fail(Checker::Final, what);
                }
            }
        }
    }

    /// With nothing under way, memory and disk say the same.
    fn check_memory(&mut self, host: usize) {
        let Some(life) = &self.hosts[host].life else { return };
        if life.store.writes() > 0 || !life.node.writes.is_empty() {
            return;
        }
        let db = life.store.db();
        let on_disk = store::pending::all_pending(db).unwrap();
        let name = |row: &PendingRow| format!("{} {:?} {}", row.id, row.what, row.peer.short());
        let on_disk: BTreeSet<String> = on_disk.iter().map(name).collect();
        let held: BTreeSet<String> = life.node.pending.values().map(name).collect();
        let peers = store::peers::all_peers(db).unwrap();
        let differs = peers
            .iter()
            .find(|row| life.node.peers.get(&row.id).is_none_or(|entry| entry.state != row.state));
        let differs = differs.map(|row| {
            let state = life.node.peers.get(&row.id).map(|entry| entry.state);
            format!("{} is {:?} on disk, {state:?} in memory", row.id.short(), row.state)
        });
        let pairings = store::pairings::all_pairings(db).unwrap();
        let pairings: BTreeSet<PeerId> = pairings.iter().map(|pairing| pairing.peer).collect();
        let paired: BTreeSet<PeerId> = life.node.pairings.keys().copied().collect();
        if on_disk != held {
            self.fail(
                Checker::Memory,
                format!(
                    "{host}: {:?} on disk alone, {:?} in memory alone",
                    on_disk.difference(&held).collect::<Vec<_>>(),
                    held.difference(&on_disk).collect::<Vec<_>>()
                ),
            );
        } else if let Some(peer) = differs {
            self.fail(Checker::Memory, format!("{host}: {peer}"));
        } else if pairings != paired {
            self.fail(Checker::Memory, format!("{host}: {pairings:?} on disk, {paired:?} held"));
        }
    }
}
