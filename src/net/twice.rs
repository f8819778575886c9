//! One key in two places: whether a peer that says hello again came back, or is there twice.
//!
//! Each node draws a number when it starts, its run, and says it in its hellos. A second run of one
//! peer beside a link that is up is either the same node after a restart, whose older link is dead,
//! or a copy of its home. Who answers over the older link is alive, and the copy is turned away.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, atomic::Ordering},
    time::Duration,
};

use iroh::endpoint::Connection;

use super::{
    NetEvent, code,
    gates::lock,
    link::Item,
    ping::ping,
    shared::{Shared, remote},
};
use crate::{
    base::{PeerId, limits},
    wire::{Hello, Run},
};

/// The runs that linked lately, of each trusted peer; the last one is the newest.
#[derive(Default)]
pub(super) struct Runs(Mutex<HashMap<PeerId, VecDeque<Run>>>);

impl Runs {
    /// A link of this run is up. True when another had taken its place before: a run that ended
    /// does not come back, so both are alive.
    pub(super) fn note(&self, peer: PeerId, run: Run) -> bool {
        let mut all = lock(&self.0);
        let runs = all.entry(peer).or_default();
        let is_newest = runs.back() == Some(&run);
        let came_back = !is_newest && runs.contains(&run);
        runs.retain(|other| *other != run);
        runs.push_back(run);
        if runs.len() > limits::RUNS_KEPT {
            runs.pop_front();
        }
        came_back
    }

    /// The peer is no longer trusted.
    pub(super) fn forget(&self, peer: &PeerId) {
        lock(&self.0).remove(peer);
    }
}

/// Looks whether the node that says this hello is a second one beside the one that is linked.
///
/// # Errors
/// It is: the code to close its connection with. The first one was told.
pub(super) async fn refuse_second(
    shared: &Shared,
    connection: &Connection,
    hello: &Hello,
) -> Result<(), u32> {
    let peer = remote(connection);
    let Some(run) = hello.run() else { return Ok(()) };
    let Some((link, older)) = shared.links.of_other_run(peer, run) else { return Ok(()) };
    let pong = tokio::select! {
        pong = ping(shared, peer, link, patience(shared, peer)) => pong,
        _ = older.closed() => None,
        _ = connection.closed() => None,
    };
    if pong.is_none() {
        return Ok(());
    }
    tracing::warn!(peer = %peer.short(), "its key is at work in two places");
    shared.links.offer(peer, link, Item::Twice);
    shared.emit(NetEvent::Twice { peer, ours: false }).await;
    Err(code::TWICE)
}

/// How long the older node may take: what is usual on its path, and some more.
fn patience(shared: &Shared, peer: PeerId) -> Duration {
    let rtt_ms = shared.links.path(peer).map_or(0.0, |path| path.rtt_ms);
    let rtt = Duration::try_from_secs_f64(rtt_ms / 1000.0).unwrap_or_default();
    (rtt * 4 + limits::TWICE_PONG_MIN / 2).clamp(limits::TWICE_PONG_MIN, limits::TWICE_PONG_MAX)
}

/// A peer says that our own key is at work elsewhere too. It is dialed seldom from now on, so that
/// two copies do not take the link from each other all the time.
pub(super) async fn told_twice(shared: &Shared, peer: &PeerId) {
    tracing::warn!(peer = %peer.short(), "the peer sees our own key in two places");
    if let Some(keeper) = shared.keeper(peer) {
        keeper.rejected.store(true, Ordering::Relaxed);
    }
    shared.emit(NetEvent::Twice { peer: *peer, ours: true }).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_comes_back_after_another_is_a_second_place() {
        let (runs, bob) = (Runs::default(), PeerId::from_bytes([2; 32]));
        assert!(!runs.note(bob, Run(1)));
        assert!(!runs.note(bob, Run(1)), "a link of the same run anew");
        assert!(!runs.note(bob, Run(2)), "a restart");
        assert!(!runs.note(PeerId::from_bytes([3; 32]), Run(1)), "another's");
        assert!(runs.note(bob, Run(1)));
        assert!(runs.note(bob, Run(2)));
        assert!(!runs.note(bob, Run(2)));
        runs.forget(&bob);
        assert!(!runs.note(bob, Run(1)));
    }

    #[test]
    fn so_many_runs_are_remembered_and_no_more() {
        let (runs, bob) = (Runs::default(), PeerId::from_bytes([2; 32]));
        for run in 0..100 {
            assert!(!runs.note(bob, Run(run)));
        }
        assert_eq!(lock(&runs.0)[&bob].len(), limits::RUNS_KEPT);
        assert!(runs.note(bob, Run(98)) && !runs.note(bob, Run(3)));
    }
}
