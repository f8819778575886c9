//! Noticing that this process stood still: a laptop slept, or somebody stopped it. Peers have
//! given up their side by then, and the network may be another one.

use std::{sync::Arc, time::Duration};

use iroh::endpoint::Connection;
use tokio::time::{Instant, sleep};

use super::{clock, code, gates::lock, link::Item, shared::Shared, shared::close};
use crate::base::limits;

/// Runs until the end.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut last = (Instant::now(), clock::now());
    while shared.cancel.run_until_cancelled(sleep(limits::FROZEN_TICK)).await.is_some() {
        let now = (Instant::now(), clock::now());
        let (ran, passed) = (now.0.saturating_duration_since(last.0), now.1.since(last.1));
        last = now;
        if was_frozen(ran, passed) {
            tracing::info!(?ran, ?passed, "this process stood still; all links are looked at");
            wake(&shared).await;
        }
    }
}

/// Whether more than a tick lies between two of them, by a clock that stands still while the
/// machine sleeps, or by the one on the wall. A wall clock that was set is taken for sleep too,
/// and nothing is lost by it.
fn was_frozen(ran: Duration, passed: Duration) -> bool {
    ran.max(passed) >= limits::FROZEN_TICK + limits::FROZEN_AFTER
}

/// Looks at everything as after a change of the network.
pub(super) async fn wake(shared: &Arc<Shared>) {
    lock(&shared.relays).hope();
    shared.endpoint.network_change().await;
    for (link, connection, queue) in shared.links.all() {
        // With a full queue something is under way that is answered as well.
        queue.try_send(Item::Ping(link.0)).ok();
        shared.tasks.spawn(expect(Arc::clone(shared), connection));
    }
    shared.wake_all();
}

/// Closes a connection over which nothing arrives soon.
async fn expect(shared: Arc<Shared>, connection: Connection) {
    let before = connection.stats().udp_rx.datagrams;
    let waited = shared.cancel.run_until_cancelled(sleep(limits::WAKE_TIMEOUT)).await;
    if waited.is_some() && connection.stats().udp_rx.datagrams == before {
        close(&connection, code::SLOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_of_either_clock_is_a_freeze_and_a_busy_machine_is_not() {
        let (tick, long) = (limits::FROZEN_TICK, Duration::from_secs(40));
        for (ran, passed, frozen) in [
            (tick, tick, false),
            (tick * 2, tick * 2, false),
            // A clock that was set back.
            (tick, Duration::ZERO, false),
            // Stopped.
            (long, long, true),
            // Slept: one clock stood still.
            (tick, long, true),
            (long, Duration::ZERO, true),
        ] {
            assert_eq!(was_frozen(ran, passed), frozen, "{ran:?} {passed:?}");
        }
    }
}
