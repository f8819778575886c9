//! What the network gives us, for `doctor`: looked at on demand, and within a bound.

use std::net::SocketAddr;

use iroh::{EndpointId, RelayUrl, Watcher as _};
use tokio::{net::TcpStream, time::timeout};

use super::{Reach, gates::lock, relays::RelayState, shared::Shared, slots::Slots};
use crate::base::limits;

/// What was found.
#[derive(Clone, Debug)]
pub struct NetCheck {
    /// The UDP port of the IPv4 socket; 0 when there is none.
    pub port: u16,
    /// Where peers are told that we are.
    pub addresses: Vec<String>,
    /// An address of ours that no interface of this machine has: what others saw, by UDP.
    pub seen_at: Option<String>,
    /// The router gave us a port.
    pub mapped: bool,
    /// The relays of the configuration, or the one that we are at home at.
    pub relays: Vec<RelayCheck>,
    /// The lookups of the configuration, in its order.
    pub lookups: Vec<LookupCheck>,
}

/// One relay.
#[derive(Clone, Debug)]
pub struct RelayCheck {
    /// Its URL.
    pub url: String,
    /// We are at home there now.
    pub connected: bool,
    /// Why not; a relay's words may be in it.
    pub problem: Option<String>,
    /// It does not want us: what it says of that.
    pub denied: Option<String>,
}

/// One lookup, asked for our own id.
#[derive(Clone, Debug)]
pub struct LookupCheck {
    /// Its URL without a password, or [`super::LOOKUP_DHT`].
    pub name: String,
    /// It knows us.
    pub known: bool,
    /// Why it could not be asked.
    pub problem: Option<String>,
}

/// Looks.
pub(super) async fn check(shared: &Shared, slots: &Slots) -> NetCheck {
    let (relays, lookups) = tokio::join!(relays(shared), lookups(shared, slots));
    let sockets = shared.endpoint.bound_sockets();
    let metrics = shared.endpoint.metrics();
    NetCheck {
        port: sockets.iter().find(|socket| socket.is_ipv4()).map_or(0, SocketAddr::port),
        addresses: shared.addresses(),
        seen_at: seen_at(shared, &sockets),
        mapped: metrics.net_report.portmap_external_address_updated.get() > 0,
        relays,
        lookups,
    }
}

/// Binding to an address works only where an interface has it.
fn seen_at(shared: &Shared, sockets: &[SocketAddr]) -> Option<String> {
    if shared.rules.reach() != Reach::Internet || sockets.is_empty() {
        return None;
    }
    let address = shared.endpoint.addr();
    let foreign = |address: &&SocketAddr| {
        std::net::UdpSocket::bind(SocketAddr::new(address.ip(), 0)).is_err()
    };
    address.ip_addrs().find(foreign).map(ToString::to_string)
}

async fn relays(shared: &Shared) -> Vec<RelayCheck> {
    let home = shared.endpoint.home_relay_status().get();
    let states = lock(&shared.relays).states();
    let of = |state: RelayState| {
        let status = home.iter().find(|status| status.url().to_string() == state.url);
        let denied = status.and_then(|status| status.auth_denied_reason());
        let denied = denied.filter(|_| !state.connected).map(ToOwned::to_owned);
        async move {
            let RelayState { url, connected, problem, .. } = state;
            let problem = match problem {
                _ if connected => None,
                Some(problem) => Some(problem),
                None => silent(&url).await,
            };
            RelayCheck { url, connected, problem, denied }
        }
    };
    futures_util::future::join_all(states.into_iter().map(of)).await
}

/// Why nothing listens where a relay should be; `None` when something does. One that is not our
/// home has no connection to us, and needs none.
async fn silent(url: &str) -> Option<String> {
    let url: RelayUrl = url.parse().ok()?;
    let (host, port) = (url.host_str()?.trim_matches(['[', ']']), url.port_or_known_default()?);
    match timeout(limits::CHECK_TIMEOUT, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("it does not answer".to_owned()),
    }
}

/// Each lookup by itself: what one of them answers says nothing of the others.
async fn lookups(shared: &Shared, slots: &Slots) -> Vec<LookupCheck> {
    let Ok(me) = EndpointId::from_bytes(shared.me.as_bytes()) else { return Vec::new() };
    let check = |(name, answer): (String, Result<bool, String>)| LookupCheck {
        name,
        known: answer == Ok(true),
        problem: answer.err(),
    };
    slots.knows(me).await.into_iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_relay_that_is_not_there_is_told_from_one_that_is() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        assert_eq!(silent(&url).await, None);
        drop(listener);
        assert!(silent(&url).await.unwrap().contains("refused"));
    }
}
