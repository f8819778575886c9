//! Addresses as text: which of a peer's we dial, and which of ours we name.
//!
//! A peer writes its own addresses, so they are a way to make us send packets somewhere. Each
//! network mode dials only what can be a peer in it.

use std::net::{IpAddr, SocketAddr};

use iroh::{EndpointAddr, RelayUrl, TransportAddr};

use super::{NetError, Reach};
use crate::base::limits;

/// Which addresses count.
#[derive(Clone, Debug)]
pub(super) enum AddressRules {
    /// Loopback addresses alone.
    Loopback,
    /// Addresses but those of this machine; no relay.
    Lan,
    /// As `Lan`, and relays: those of the configuration, and, if there is a relay at all, every
    /// one with TLS.
    Internet {
        /// As configured; `None` means the public ones.
        relays: Option<Vec<RelayUrl>>,
    },
}

impl AddressRules {
    /// The rules of a mode.
    pub(super) fn of(reach: &Reach) -> Result<Self, NetError> {
        let relay = |url: &String| url.parse().map_err(|_| NetError::Relay(url.clone()));
        Ok(match reach {
            Reach::Loopback => Self::Loopback,
            Reach::Lan => Self::Lan,
            Reach::Internet { relays: None } => Self::Internet { relays: None },
            Reach::Internet { relays: Some(urls) } => {
                let urls: Result<Vec<RelayUrl>, NetError> = urls.iter().map(relay).collect();
                Self::Internet { relays: Some(urls?) }
            }
        })
    }

    /// The addresses among a peer's that we dial.
    pub(super) fn dialable(&self, addresses: &[String]) -> Vec<TransportAddr> {
        let few = addresses.iter().take(limits::ADDRESSES_MAX);
        few.filter(|text| text.len() <= limits::ADDRESS_BYTES_MAX)
            .filter_map(|text| self.parse(text))
            .collect()
    }

    fn parse(&self, text: &str) -> Option<TransportAddr> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return self.may_dial(address).then_some(TransportAddr::Ip(address));
        }
        let url: RelayUrl = text.parse().ok()?;
        let known = match self {
            Self::Loopback | Self::Lan => false,
            Self::Internet { relays: None } => url.scheme() == "https",
            Self::Internet { relays: Some(relays) } => {
                relays.contains(&url) || (!relays.is_empty() && url.scheme() == "https")
            }
        };
        known.then_some(TransportAddr::Relay(url))
    }

    fn may_dial(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let somewhere = match ip {
            IpAddr::V4(v4) => !v4.is_broadcast() && !v4.is_unspecified() && !v4.is_multicast(),
            IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast(),
        };
        let in_reach = match self {
            Self::Loopback => ip.is_loopback(),
            Self::Lan | Self::Internet { .. } => !ip.is_loopback(),
        };
        address.port() != 0 && somewhere && in_reach
    }

    /// Our own addresses as we name them to peers: relays first, they are the surest.
    pub(super) fn named(&self, address: &EndpointAddr) -> Vec<String> {
        let relays = address.relay_urls().map(ToString::to_string);
        let direct = address.ip_addrs().filter(|ip| self.may_name(**ip)).map(ToString::to_string);
        let fits = |text: &String| text.len() <= limits::ADDRESS_BYTES_MAX;
        relays.chain(direct).filter(fits).take(limits::ADDRESSES_MAX).collect()
    }

    fn may_name(&self, address: SocketAddr) -> bool {
        let local = match address.ip() {
            IpAddr::V4(_) => false,
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        self.may_dial(address) && !local
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reach: &Reach, text: &str, dialed: bool) {
        let rules = AddressRules::of(reach).unwrap();
        assert_eq!(rules.dialable(&[text.to_owned()]).len() == 1, dialed, "{reach:?} {text}");
    }

    #[test]
    fn a_peer_cannot_make_us_send_packets_where_no_peer_is() {
        let public = Reach::Internet { relays: None };
        let own = Reach::Internet { relays: Some(vec!["http://relay.example:3340".to_owned()]) };
        let none = Reach::Internet { relays: Some(Vec::new()) };
        for reach in [&public, &own, &none, &Reach::Lan] {
            check(reach, "192.0.2.7:4000", true);
            check(reach, "[2001:db8::1]:4000", true);
            let bad = ["127.0.0.1:4000", "[::1]:4000", "[::ffff:127.0.0.1]:4000", "0.0.0.0:4000"];
            let worse = ["224.0.0.1:4000", "255.255.255.255:4000", "192.0.2.7:0", "192.0.2.7", ""];
            for text in bad.into_iter().chain(worse) {
                check(reach, text, false);
            }
        }
        check(&Reach::Loopback, "127.0.0.1:4000", true);
        check(&Reach::Loopback, "192.0.2.7:4000", false);
        for (reach, tls, plain) in [
            (&public, true, false),
            (&own, true, true),
            (&none, false, false),
            (&Reach::Lan, false, false),
            (&Reach::Loopback, false, false),
        ] {
            check(reach, "https://other.example", tls);
            check(reach, "http://relay.example:3340", plain);
        }
        check(&own, "http://other.example", false);
    }

    #[test]
    fn a_relay_that_is_no_url_is_named_in_the_error() {
        let reach = Reach::Internet { relays: Some(vec!["not a url".to_owned()]) };
        let error = AddressRules::of(&reach).unwrap_err().to_string();
        assert!(error.contains("not a url"), "{error}");
    }
}
