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
use tokio::time::Instant;

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

/// The runs of the trusted peers.
#[derive(Default)]
pub(super) struct Runs {
    /// Those that linked lately; the last one is the newest.
    linked: Mutex<HashMap<PeerId, VecDeque<Run>>>,
    /// When it was said last that a peer is in two places, or that it sees us there.
    said: Mutex<HashMap<(PeerId, bool), Instant>>,
}

impl Runs {
    /// A link of this run is up. True when another had taken its place before: a run that ended
    /// does not come back, so both are alive.
    pub(super) fn note(&self, peer: PeerId, run: Run) -> bool {
        let mut all = lock(&self.linked);
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
        lock(&self.linked).remove(peer);
        lock(&self.said).retain(|(other, _), _| other != peer);
    }

    /// Whether it is worth a word that a key is in two places, ours or the peer's: a peer may say
    /// so as often as it likes.
    fn is_news(&self, peer: PeerId, ours: bool, now: Instant) -> bool {
        let mut said = lock(&self.said);
        let last = said.get(&(peer, ours));
        let is_news = last.is_none_or(|last| *last + limits::TWICE_NEWS_EVERY <= now);
        if is_news {
            said.insert((peer, ours), now);
        }
        is_news
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
    shared.links.offer(peer, link, Item::Twice);
    tell_twice(shared, peer, false).await;
    Err(code::TWICE)
}

/// Tells the node of a key in two places, if it was not told within a minute.
pub(super) async fn tell_twice(shared: &Shared, peer: PeerId, ours: bool) {
    if shared.runs.is_news(peer, ours, Instant::now()) {
        tracing::debug!(peer = %peer.short(), ours, "a key is said to be in two places");
        shared.emit(NetEvent::Twice { peer, ours }).await;
    }
}

/// How long the older node may take: what is usual on its path, and some more.
fn patience(shared: &Shared, peer: PeerId) -> Duration {
    let rtt_ms = shared.links.path(peer).map_or(0.0, |path| path.rtt_ms);
    let rtt = Duration::try_from_secs_f64(rtt_ms / 1000.0).unwrap_or_default();
    (rtt * 4 + limits::TWICE_PONG_MIN / 2).clamp(limits::TWICE_PONG_MIN, limits::TWICE_PONG_MAX)
}

/// A peer claims that our own key is at work elsewhere too. It is dialed seldom from now on, so that
/// two copies do not take the link from each other all the time.
pub(super) async fn told_twice(shared: &Shared, peer: &PeerId) {
    if let Some(keeper) = shared.keeper(peer) {
        keeper.rejected.store(true, Ordering::Relaxed);
    }
    tell_twice(shared, *peer, true).await;
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
    fn what_a_peer_says_again_and_again_is_news_once_a_minute() {
        let (runs, bob, start) = (Runs::default(), PeerId::from_bytes([2; 32]), Instant::now());
        let minute = limits::TWICE_NEWS_EVERY;
        assert!(runs.is_news(bob, true, start));
        assert!(!runs.is_news(bob, true, start + minute / 2));
        assert!(runs.is_news(bob, false, start + minute / 2), "of its own key");
        assert!(runs.is_news(PeerId::from_bytes([3; 32]), true, start), "another's");
        assert!(runs.is_news(bob, true, start + minute));
        assert!(!runs.is_news(bob, true, start + minute));
        runs.forget(&bob);
        assert!(runs.is_news(bob, true, start + minute));
    }

    #[test]
    fn so_many_runs_are_remembered_and_no_more() {
        let (runs, bob) = (Runs::default(), PeerId::from_bytes([2; 32]));
        for run in 0..100 {
            assert!(!runs.note(bob, Run(run)));
        }
        assert_eq!(lock(&runs.linked)[&bob].len(), limits::RUNS_KEPT);
        assert!(runs.note(bob, Run(98)) && !runs.note(bob, Run(3)));
    }
}
