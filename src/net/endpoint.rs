//! The iroh endpoint: which sockets, relays and lookups each network mode uses.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use iroh::{
    Endpoint, RelayConfig, RelayMap, RelayMode, RelayUrl, SecretKey,
    address_lookup::{AddrFilter, DnsAddressLookup, PkarrPublisher},
    endpoint::{BindOpts, Builder, PortmapperConfig, QuicTransportConfig, presets},
};
use iroh_mdns_address_lookup::MdnsAddressLookup;

use super::{NetConfig, NetError, address::AddressRules, gates::Gate};
use crate::{
    base::limits,
    wire::{ALPN_PAIR, ALPN_PEER},
};

/// What mDNS answers to.
const MDNS_SERVICE: &str = "countersign";

/// An endpoint that runs.
pub(super) struct Bound {
    /// The endpoint.
    pub(super) endpoint: Endpoint,
    /// In LAN mode, what finds peers.
    pub(super) mdns: Option<MdnsAddressLookup>,
}

/// Opens the endpoint, at the port that peers may remember, or else at any.
pub(super) async fn bind(
    config: &NetConfig,
    rules: &AddressRules,
    gate: &Gate,
) -> Result<Bound, NetError> {
    let failed = |error: &dyn std::error::Error| NetError::Endpoint(error.to_string());
    let build = |port| builder(config, rules, gate, port);
    let endpoint = match build(config.port)?.bind().await {
        Ok(endpoint) => endpoint,
        Err(error) if config.port == 0 => return Err(failed(&error)),
        Err(error) => {
            tracing::info!(port = config.port, %error, "port not to be had; using another");
            build(0)?.bind().await.map_err(|e| failed(&e))?
        }
    };
    let mdns = match rules {
        AddressRules::Lan => add_mdns(&endpoint),
        AddressRules::Loopback | AddressRules::Internet { .. } => None,
    };
    Ok(Bound { endpoint, mdns })
}

fn builder(
    config: &NetConfig,
    rules: &AddressRules,
    gate: &Gate,
    port: u16,
) -> Result<Builder, NetError> {
    let builder = Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(config.seed.expose_secret()))
        .alpns(vec![ALPN_PEER.to_vec(), ALPN_PAIR.to_vec()])
        .transport_config(transport())
        .hooks(gate.clone())
        .clear_ip_transports();
    Ok(match rules {
        AddressRules::Loopback => builder
            .bind_addr((Ipv4Addr::LOCALHOST, port))
            .map_err(|error| NetError::Endpoint(error.to_string()))?
            .portmapper_config(PortmapperConfig::Disabled)
            .relay_mode(RelayMode::Disabled),
        AddressRules::Lan => everywhere(builder, port)?
            .portmapper_config(PortmapperConfig::Disabled)
            .relay_mode(RelayMode::Disabled),
        AddressRules::Internet { relays } => {
            let builder = everywhere(builder, port)?.relay_mode(relay_mode(relays.as_deref()));
            look_up(builder, relays.as_deref())
        }
    })
}

fn everywhere(builder: Builder, port: u16) -> Result<Builder, NetError> {
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    // A machine without IPv6 is none the worse. A prefix of 0 makes it the default route.
    let optional = BindOpts::default().set_prefix_len(0).set_is_required(false);
    builder
        .bind_addr((Ipv4Addr::UNSPECIFIED, port))
        .and_then(|builder| builder.bind_addr_with_opts(v6, optional))
        .map_err(|error| NetError::Endpoint(error.to_string()))
}

fn relay_mode(relays: Option<&[RelayUrl]>) -> RelayMode {
    match relays {
        None => RelayMode::Default,
        Some([]) => RelayMode::Disabled,
        Some(relays) => RelayMode::Custom(relays.iter().map(relay).collect::<RelayMap>()),
    }
}

/// A relay without TLS is somebody's own for a try, and does not serve address discovery over
/// QUIC; asking it would delay each start by three seconds.
fn relay(url: &RelayUrl) -> RelayConfig {
    if url.scheme() == "https" { url.clone().into() } else { RelayConfig::new(url.clone(), None) }
}

/// Peers are found by their id. What is published is our relay, never our addresses: the record
/// is public.
fn look_up(builder: Builder, relays: Option<&[RelayUrl]>) -> Builder {
    let builder = builder.address_lookup(DnsAddressLookup::n0_dns());
    if relays.is_some_and(<[_]>::is_empty) {
        return builder;
    }
    builder.address_lookup(PkarrPublisher::n0_dns().addr_filter(AddrFilter::relay_only()))
}

fn add_mdns(endpoint: &Endpoint) -> Option<MdnsAddressLookup> {
    let mdns = MdnsAddressLookup::builder()
        .service_name(MDNS_SERVICE)
        .addr_filter(AddrFilter::ip_only())
        .build(endpoint.id());
    let mdns = match mdns {
        Ok(mdns) => mdns,
        Err(error) => {
            tracing::warn!(%error, "no mDNS: peers are dialed where they were last");
            return None;
        }
    };
    match endpoint.address_lookup() {
        Ok(services) => services.add(mdns.clone()),
        Err(error) => tracing::warn!(%error, "no mDNS: the endpoint is closed"),
    }
    Some(mdns)
}

/// Windows bound what a peer can make us hold. A stream window of 4 MiB and more makes this
/// QUIC implementation close fast links by mistake. The idle timeout stays at its 30 s: longer
/// ones were measured to be worse after sleep.
fn transport() -> QuicTransportConfig {
    QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(32u32.into())
        .max_concurrent_uni_streams(0u32.into())
        .datagram_receive_buffer_size(None)
        .stream_receive_window(limits::STREAM_WINDOW_BYTES.into())
        .receive_window(limits::CONNECTION_WINDOW_BYTES.into())
        .send_window(limits::CONNECTION_WINDOW_BYTES.into())
        .default_path_max_idle_timeout(limits::PATH_IDLE_TIMEOUT)
        .default_path_keep_alive_interval(limits::PATH_KEEP_ALIVE)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::Secret, net::Reach};

    #[test]
    fn every_mode_is_one_that_iroh_takes() {
        let own = vec!["https://relay.example".to_owned(), "http://localhost:3340".to_owned()];
        for reach in [
            Reach::Loopback,
            Reach::Lan,
            Reach::Internet { relays: None },
            Reach::Internet { relays: Some(Vec::new()) },
            Reach::Internet { relays: Some(own) },
        ] {
            let rules = AddressRules::of(&reach).unwrap();
            let seed = Secret::new([1; 32]);
            let config = NetConfig { seed, approver: None, reach, port: 0 };
            builder(&config, &rules, &Gate::new(), 4000).unwrap();
        }
    }

    #[test]
    fn no_relay_is_used_that_the_configuration_does_not_name() {
        let relay: RelayUrl = "https://relay.example".parse().unwrap();
        let used = relay_mode(Some(std::slice::from_ref(&relay))).relay_map();
        assert_eq!(used.urls::<Vec<RelayUrl>>(), [relay]);
        assert!(relay_mode(Some(&[])).relay_map().is_empty());
    }
}
