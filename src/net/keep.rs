//! Keeps one link to each trusted peer: dials while there is none, waits while there is one.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use iroh::{
    TransportAddr,
    endpoint::{ConnectError, ConnectOptions, ConnectingError, Connection, ConnectionError},
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
    let mut pace = Pace::new();
    loop {
        let began = Instant::now();
        let lived = match shared.links.up(keeper.peer) {
            Some(gone) => {
                gone.cancelled().await;
                Some(began.elapsed())
            }
            None => dial(&shared, &keeper, &pace).await,
        };
        pace.tried(lived, Instant::now());
        if keeper.rejected.swap(false, Ordering::Relaxed) {
            pace.rejected();
        }
        let woken = tokio::select! {
            () = sleep(jittered(pace.wait(Instant::now()))) => false,
            () = keeper.wake.notified() => true,
        };
        pace.waited(woken);
        // However often it is woken, it does not dial in a hot loop.
        sleep_until(began + limits::BACKOFF_MIN).await;
    }
}

/// How often a peer is dialed.
#[derive(Debug)]
struct Pace {
    backoff: Duration,
    /// When the last link ended that was one.
    lost: Option<Instant>,
    /// The last dial failed.
    failed: bool,
}

impl Pace {
    const fn new() -> Self {
        Self { backoff: limits::BACKOFF_MIN, lost: None, failed: false }
    }

    /// A dial failed, or a link has ended that lived for so long.
    fn tried(&mut self, lived: Option<Duration>, now: Instant) {
        self.failed = lived.is_none();
        if lived.is_some_and(|lived| lived >= limits::LINK_LONG) {
            self.backoff = limits::BACKOFF_MIN;
        }
        if lived.is_some_and(|lived| lived >= limits::LINK_REAL) {
            self.lost = Some(now);
        }
    }

    /// The peer does not want us: it is dialed as seldom as there is.
    fn rejected(&mut self) {
        (self.backoff, self.lost) = (limits::BACKOFF_MAX, None);
    }

    /// Whether the peer was there a while ago: it may be back at any moment.
    fn is_lately(&self, now: Instant) -> bool {
        self.lost.is_some_and(|lost| now.saturating_duration_since(lost) < limits::LOST_LATELY)
    }

    fn wait(&self, now: Instant) -> Duration {
        let is_lately = self.is_lately(now);
        if is_lately { self.backoff.min(limits::BACKOFF_LATELY_MAX) } else { self.backoff }
    }

    /// The wait is over. A sign of life begins the backoff anew.
    fn waited(&mut self, woken: bool) {
        let longer = limits::BACKOFF_MAX.min(self.backoff * 2);
        self.backoff = if woken { limits::BACKOFF_MIN } else { longer };
    }
}

/// One attempt, and the link's whole life if it succeeds. Gives how long that was.
async fn dial(shared: &Arc<Shared>, keeper: &Keeper, pace: &Pace) -> Option<Duration> {
    let place = shared.dials.acquire().await.ok()?;
    let connection = reach(shared, keeper, pace).await?;
    drop(place);
    let began = Instant::now();
    // Its own task: a panic there must not end the keeping.
    shared.tasks.spawn(link::run(Arc::clone(shared), connection, true)).await.ok();
    Some(began.elapsed())
}

/// Dials, and dials again beside that when something changed or the peer was there a while ago.
async fn reach(shared: &Shared, keeper: &Keeper, pace: &Pace) -> Option<Connection> {
    let began = Instant::now();
    let again_until =
        began + if pace.is_lately(began) { limits::CONNECT_TIMEOUT } else { Duration::ZERO };
    let (mut dials, mut failed) = (FuturesUnordered::new(), pace.failed);
    let mut next = Some(began);
    loop {
        let has_room = dials.len() < limits::DIALS_BESIDE;
        tokio::select! {
            biased;
            Some(done) = dials.next() => match done {
                Some(connection) => return Some(connection),
                None if dials.is_empty() || keeper.rejected.load(Ordering::Relaxed) => return None,
                None => failed = true,
            },
            () = sleep_until(next.unwrap_or(began)), if has_room && next.is_some() => {
                let addresses = shared.places(&lock(&keeper.addresses), failed);
                dials.push(connect(shared, &keeper.peer, addresses, ALPN_PEER, Vec::new()));
                let again = Instant::now() + limits::DIAL_AGAIN;
                next = (again < again_until).then_some(again);
            }
            () = keeper.wake.notified(), if has_room => {
                let soon = Instant::now() + limits::DIAL_AGAIN_MIN;
                next = Some(next.map_or(soon, |next| next.min(soon)));
            }
        }
    }
}

/// Connects within our own bound. A peer that closes at once, because it does not want us, is
/// noted as such. `further` are protocols that are offered beside `alpn`.
pub(super) async fn connect(
    shared: &Shared,
    peer: &PeerId,
    addresses: Vec<TransportAddr>,
    alpn: &[u8],
    further: Vec<Vec<u8>>,
) -> Option<Connection> {
    let target = Shared::target(peer, addresses)?;
    let options = ConnectOptions::new().with_additional_alpns(further);
    let dial = async {
        let connecting = shared.endpoint.connect_with_opts(target, alpn, options).await?;
        Ok::<_, ConnectError>(connecting.await?)
    };
    match timeout(limits::CONNECT_TIMEOUT, dial).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            tracing::debug!(peer = %peer.short(), %error, "dial failed");
            if alpn == ALPN_PEER {
                note_rejection(shared, peer, connection_error(&error)).await;
            }
            None
        }
        Err(_) => {
            tracing::debug!(peer = %peer.short(), "dial took too long");
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
    fn a_peer_that_was_there_lately_is_looked_for_often_and_one_that_is_away_seldom() {
        let (start, mut pace) = (Instant::now(), Pace::new());
        let away = |pace: &mut Pace, now| {
            for _ in 0..10 {
                pace.tried(None, now);
                pace.waited(false);
            }
            pace.wait(now)
        };
        assert_eq!(away(&mut pace, start), limits::BACKOFF_MAX);
        pace.waited(true);
        assert_eq!(pace.wait(start), limits::BACKOFF_MIN, "a sign of life");
        pace.tried(Some(limits::LINK_REAL), start);
        assert_eq!(away(&mut pace, start), limits::BACKOFF_LATELY_MAX);
        assert_eq!(away(&mut pace, start + limits::LOST_LATELY), limits::BACKOFF_MAX);
        pace.tried(Some(limits::LINK_LONG), start);
        pace.rejected();
        assert_eq!(pace.wait(start), limits::BACKOFF_MAX);
        // What ends as soon as it begins was no link.
        let mut pace = Pace::new();
        pace.tried(Some(Duration::ZERO), start);
        assert_eq!(away(&mut pace, start), limits::BACKOFF_MAX);
    }

    #[test]
    fn jitter_is_half_to_one_and_a_half() {
        let second = Duration::from_secs(1);
        let waits: Vec<Duration> = (0..200).map(|_| jittered(second)).collect();
        assert!(waits.iter().all(|wait| *wait >= second / 2 && *wait <= second * 3 / 2));
        assert!(waits.iter().any(|wait| *wait < second) && waits.iter().any(|w| *w > second));
    }
}
