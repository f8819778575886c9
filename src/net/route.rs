//! Which way a connection goes, and since when: direct, or through which relay.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use iroh::{
    TransportAddr,
    endpoint::{Connection, Path, PathList},
};

use super::{LinkId, LinkPath, NetEvent, clock, gates::lock, pq::is_pq, shared::Shared};
use crate::base::{PeerId, Timestamp};

/// The way of one connection, as its watcher saw it last.
#[derive(Clone, Debug)]
pub(super) struct Route(Arc<Mutex<Way>>);

#[derive(Clone, Debug)]
struct Way {
    /// The relay's URL; `None` when direct.
    relay: Option<String>,
    since: Timestamp,
}

impl Route {
    /// As the connection goes now.
    pub(super) fn of(connection: &Connection) -> Self {
        let relay = relay(&connection.paths()).unwrap_or_default();
        Self(Arc::new(Mutex::new(Way { relay, since: clock::now() })))
    }

    /// It goes like this from now on. True when that is news.
    fn set(&self, relay: Option<String>) -> bool {
        let mut way = lock(&self.0);
        let is_news = way.relay != relay;
        if is_news {
            *way = Way { relay, since: clock::now() };
        }
        is_news
    }

    /// With what the connection says of itself now.
    pub(super) fn path(&self, connection: &Connection) -> Option<LinkPath> {
        let paths = connection.paths();
        let rtt_ms = used(&paths)?.rtt().as_secs_f64() * 1000.0;
        let Way { relay, since } = lock(&self.0).clone();
        Some(LinkPath { relayed: relay.is_some(), relay, rtt_ms, pq: is_pq(connection), since })
    }
}

/// The path that carries what is sent. While none was chosen yet, all are tried.
fn used<'a>(paths: &'a PathList<'_>) -> Option<Path<'a>> {
    paths.iter().find(Path::is_selected).or_else(|| paths.iter().next())
}

/// Through which relay, if any; `None` when there is no path at all.
fn relay(paths: &PathList<'_>) -> Option<Option<String>> {
    used(paths).map(|path| match path.remote_addr() {
        TransportAddr::Relay(url) => Some(url.to_string()),
        TransportAddr::Ip(_) | TransportAddr::Custom(_) | _ => None,
    })
}

/// Follows the connection until its end, and tells the node when it goes another way.
pub(super) async fn watch(
    shared: Arc<Shared>,
    connection: Connection,
    (peer, link): (PeerId, LinkId),
    route: Route,
) {
    let mut paths = connection.paths_stream();
    while let Some(now) = paths.next().await.map(|paths| relay(&paths)) {
        if now.is_some_and(|relay| route.set(relay)) {
            shared.emit(NetEvent::PathChanged { peer, link }).await;
        }
    }
}
