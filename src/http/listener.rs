//! Sockets on loopback, and the connections that they accept.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{owner::Door, patient::Patient};
use crate::base::limits::{
    HTTP_BUFFER_BYTES, HTTP_CLOSE_TIMEOUT, HTTP_CONNECTIONS_MAX, HTTP_HEADER_TIMEOUT, PAGE_PORT,
    PAGE_PORTS_TRIED,
};

/// A wait after the system has no socket left.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One port, on each loopback address that this machine has.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<TcpListener>,
    port: u16,
    held: Option<u16>,
}

impl Listener {
    /// Takes the port that is remembered, or a free one after it. A browser asks either address
    /// of `localhost`, so a port where somebody else has one of them is not ours.
    ///
    /// # Errors
    /// What the system said of the last port, when none could be had.
    pub async fn bind(remembered: Option<u16>) -> io::Result<Self> {
        let mut last = io::ErrorKind::AddrInUse.into();
        let mut held = None;
        for port in ports(remembered) {
            match both(port).await {
                Ok(sockets) => return Ok(Self { sockets, port, held }),
                Err(error) => {
                    held = held.or(Some(port));
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The port that comes first, remembered or usual, when another one had to be taken.
    #[must_use]
    pub const fn held(&self) -> Option<u16> {
        self.held
    }

    /// Serves `router` until `cancel`; what is under way then has a short time to end.
    pub fn serve(self, router: &Router, tasks: &TaskTracker, cancel: &CancellationToken) {
        let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
        let door = Door::new();
        for socket in self.sockets {
            let accepting = Accepting {
                router: router.clone(),
                places: Arc::clone(&places),
                door: door.clone(),
                tasks: tasks.clone(),
                cancel: cancel.clone(),
            };
            tasks.spawn(accepting.run(socket));
        }
    }
}

fn ports(remembered: Option<u16>) -> impl Iterator<Item = u16> {
    let from = |port: u16| port..=port.saturating_add(PAGE_PORTS_TRIED);
    remembered.filter(|port| *port != 0).map(from).into_iter().flatten().chain(from(PAGE_PORT))
}

/// The port on 127.0.0.1 and, where there is one, on `[::1]`.
async fn both(port: u16) -> io::Result<Vec<TcpListener>> {
    let mut sockets = Vec::new();
    let mut lacks = None;
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        match TcpListener::bind((address, port)).await {
            Ok(socket) => sockets.push(socket),
            Err(error) if is_missing(&error) => lacks = Some(error),
            Err(error) => return Err(error),
        }
    }
    match lacks {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

/// This machine has no such address, or not that family at all.
fn is_missing(error: &io::Error) -> bool {
    let family = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(family)
}

struct Accepting {
    router: Router,
    places: Arc<Semaphore>,
    door: Door,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Accepting {
    async fn run(self, socket: TcpListener) {
        let accept = self.accept(&socket);
        // Its connections end by themselves.
        self.cancel.run_until_cancelled(accept).await;
    }

    async fn accept(&self, socket: &TcpListener) {
        loop {
            // Who comes when all places are taken waits in the system's queue.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            match socket.accept().await {
                Ok((stream, _)) => {
                    let (router, cancel) = (self.router.clone(), self.cancel.clone());
                    let (door, tasks) = (self.door.clone(), self.tasks.clone());
                    self.tasks.spawn(async move {
                        // Without it a small answer may wait for the browser's next packet.
                        stream.set_nodelay(true).ok();
                        if door.admits(&stream, &tasks).await {
                            connection(Patient::new(stream), router, cancel).await;
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the page accepts no connection for a moment");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Serves one connection until its other side leaves it, or `cancel`. A [`Patient`] is in `stream`
/// where its bytes go out, so that every one that the other side takes counts.
pub(super) async fn connection<S>(stream: S, router: Router, cancel: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEADER_TIMEOUT)
        .max_buf_size(HTTP_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(HTTP_CLOSE_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection over HTTP broke");
    }
}

#[cfg(test)]
mod tests;
