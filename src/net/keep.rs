//! Keeps one link to each trusted peer: dials while there is none, waits while there is one.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use iroh::{
    TransportAddr,
    endpoint::{ConnectError, ConnectingError, Connection, ConnectionError},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    gates::lock,
    link::{self, note_rejection},
    shared::Shared,
    tried::{Tried, note_not_pq},
};
use crate::{
    base::{PeerId, limits},
    wire::ALPN_PEER,
};

/// What others tell the task that keeps one link.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) peer: PeerId,
    /// Where it was last; a lookup may know more.
    pub(super) addresses: Mutex<Vec<TransportAddr>>,
    /// Dial now if down.
    pub(super) wake: Notify,
    /// It does not want us: dial as seldom as there is.
    pub(super) rejected: AtomicBool,
    /// It is no longer trusted.
    pub(super) cancel: CancellationToken,
}

impl Keeper {
    /// Of a peer that is trusted from now on.
    pub(super) fn new(
        peer: PeerId,
        addresses: Vec<TransportAddr>,
        cancel: CancellationToken,
    ) -> Self {
        let (addresses, rejected) = (Mutex::new(addresses), AtomicBool::new(false));
        Self { peer, addresses, wake: Notify::new(), rejected, cancel }
    }

    /// Knows other addresses from now on.
    pub(super) fn learn(&self, addresses: Vec<TransportAddr>) {
        if !addresses.is_empty() {
            *lock(&self.addresses) = addresses;
        }
    }
}

/// Runs until the peer is no longer trusted.
pub(super) async fn keep(shared: Arc<Shared>, keeper: Arc<Keeper>) {
    let cancel = keeper.cancel.clone();
    // A link that is up when this is dropped was closed by whoever ended the trust.
    cancel.run_until_cancelled(keep_on(shared, keeper)).await;
}

async fn keep_on(shared: Arc<Shared>, keeper: Arc<Keeper>) {
    let mut backoff = limits::BACKOFF_MIN;
    loop {
        let began = Instant::now();
        let lived = match shared.links.up(keeper.peer) {
            Some(gone) => {
                gone.cancelled().await;
                began.elapsed()
            }
            None => dial(&shared, &keeper).await,
        };
        if lived >= limits::LINK_LONG {
            backoff = limits::BACKOFF_MIN;
        }
        if keeper.rejected.swap(false, Ordering::Relaxed) {
            backoff = limits::BACKOFF_MAX;
        }
        let woken = tokio::select! {
            () = sleep(jittered(backoff)) => false,
            () = keeper.wake.notified() => true,
        };
        backoff = if woken { limits::BACKOFF_MIN } else { limits::BACKOFF_MAX.min(backoff * 2) };
        // However often it is woken, it does not dial in a hot loop.
        sleep_until(began + limits::BACKOFF_MIN).await;
    }
}

/// One attempt, and the link's whole life if it succeeds. Gives how long that was.
async fn dial(shared: &Arc<Shared>, keeper: &Keeper) -> Duration {
    let Ok(place) = shared.dials.acquire().await else { return Duration::ZERO };
    let addresses = lock(&keeper.addresses).clone();
    let Some(connection) = connect(shared, &keeper.peer, addresses, ALPN_PEER).await else {
        return Duration::ZERO;
    };
    drop(place);
    let began = Instant::now();
    // Its own task: a panic there must not end the keeping.
    shared.tasks.spawn(link::run(Arc::clone(shared), connection, true)).await.ok();
    began.elapsed()
}

/// Connects within our own bound. A peer that closes at once, because it does not want us, is
/// noted as such.
pub(super) async fn connect(
    shared: &Shared,
    peer: &PeerId,
    addresses: Vec<TransportAddr>,
    alpn: &[u8],
) -> Option<Connection> {
    let target = Shared::target(peer, addresses)?;
    match timeout(limits::CONNECT_TIMEOUT, shared.endpoint.connect(target, alpn)).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            tracing::debug!(peer = %peer.short(), %error, "dial failed");
            if alpn == ALPN_PEER {
                shared.trials.note(*peer, Tried::Silent);
                note_rejection(shared, peer, connection_error(&error)).await;
                note_not_pq(shared).await;
            }
            None
        }
        Err(_) => {
            tracing::debug!(peer = %peer.short(), "dial took too long");
            if alpn == ALPN_PEER {
                shared.trials.note(*peer, Tried::Silent);
            }
            None
        }
    }
}

fn connection_error(error: &ConnectError) -> Option<&ConnectionError> {
    match error {
        ConnectError::Connection { source, .. }
        | ConnectError::Connecting {
            source: ConnectingError::ConnectionError { source, .. },
            ..
        } => Some(source),
        ConnectError::Connect { .. } | ConnectError::Connecting { .. } | _ => None,
    }
}

/// Half to one and a half of `wait`, so that many nodes do not dial in step.
fn jittered(wait: Duration) -> Duration {
    // Without randomness there is no jitter, and nothing else is lost.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    wait.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_half_to_one_and_a_half() {
        let second = Duration::from_secs(1);
        let waits: Vec<Duration> = (0..200).map(|_| jittered(second)).collect();
        assert!(waits.iter().all(|wait| *wait >= second / 2 && *wait <= second * 3 / 2));
        assert!(waits.iter().any(|wait| *wait < second) && waits.iter().any(|w| *w > second));
    }
}
