//! The iroh endpoint: which sockets, relays and lookups each network mode uses.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use iroh::{
    Endpoint, RelayConfig, RelayMap, RelayMode, RelayUrl, SecretKey,
    endpoint::{BindOpts, Builder, PortmapperConfig, QuicTransportConfig, presets},
    tls::CaTlsConfig,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::time::{Instant, sleep};
use url::Url;

use super::{
    NetConfig, NetError, NetSettings, Reach,
    address::{AddressRules, Relays, redacted},
    gates::Gate,
    lookup, pq,
};
use crate::{
    base::{Secret, limits},
    wire::{ALPN_CODE, ALPN_PAIR, ALPN_PEER},
};

/// Opens the endpoint, at the port that peers may remember, or else at any. A node that ran just
/// before may still hold that port for a moment.
pub(super) async fn bind(
    config: &NetConfig,
    rules: &AddressRules,
    gate: &Gate,
) -> Result<Endpoint, NetError> {
    let failed = |error: &dyn std::error::Error| NetError::Endpoint(error.to_string());
    let build = |port| builder(config, rules, gate, port);
    let until = Instant::now() + limits::PORT_TIMEOUT;
    loop {
        match build(config.port)?.bind().await {
            Ok(endpoint) => return Ok(endpoint),
            Err(error) if config.port == 0 => return Err(failed(&error)),
            Err(_) if Instant::now() < until => sleep(limits::PORT_RETRY).await,
            Err(error) => {
                tracing::info!(port = config.port, %error, "port not to be had; using another");
                return build(0)?.bind().await.map_err(|e| failed(&e));
            }
        }
    }
}

/// What [`bind`] opens.
pub(super) fn builder(
    config: &NetConfig,
    rules: &AddressRules,
    gate: &Gate,
    port: u16,
) -> Result<Builder, NetError> {
    let builder = through_relays(&config.settings, rules, &config.seed)?
        .alpns(vec![ALPN_PEER.to_vec(), ALPN_PAIR.to_vec()])
        .hooks(gate.clone());
    lookup::add(listening(builder, rules, port)?, rules, &config.settings)
}

/// An endpoint for one short code, under a key of its own. In internet mode with relays it has no
/// address of ours, and so none to give away to a stranger.
pub(super) fn door(
    settings: &NetSettings,
    rules: &AddressRules,
    seed: &Secret<[u8; 32]>,
) -> Result<Builder, NetError> {
    let builder = through_relays(settings, rules, seed)?.alpns(vec![ALPN_CODE.to_vec()]);
    if rules.reach() == Reach::Internet && rules.has_relays() {
        return Ok(builder.portmapper_config(PortmapperConfig::Disabled));
    }
    listening(builder, rules, 0)
}

/// What every endpoint of ours has, without a socket.
fn through_relays(
    settings: &NetSettings,
    rules: &AddressRules,
    seed: &Secret<[u8; 32]>,
) -> Result<Builder, NetError> {
    let builder = Endpoint::builder(presets::Empty)
        .crypto_provider(pq::provider())
        .secret_key(SecretKey::from_bytes(seed.expose_secret()))
        .transport_config(transport())
        .relay_mode(relay_mode(rules.relays()))
        .ca_tls_config(roots(settings)?)
        .clear_ip_transports();
    Ok(match &settings.proxy {
        None => builder,
        Some(text) => builder.proxy_url(proxy(text)?),
    })
}

/// The proxy of the configuration. What is refused here is not shown by an error of a library.
fn proxy(text: &str) -> Result<Url, NetError> {
    let url = text.parse().ok().filter(|url: &Url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| NetError::Proxy(redacted(text)))
}

/// With the sockets of a reach.
fn listening(builder: Builder, rules: &AddressRules, port: u16) -> Result<Builder, NetError> {
    Ok(match rules.reach() {
        Reach::Loopback => builder
            .bind_addr((Ipv4Addr::LOCALHOST, port))
            .map_err(|error| NetError::Endpoint(error.to_string()))?
            .portmapper_config(PortmapperConfig::Disabled),
        Reach::Lan => everywhere(builder, port)?.portmapper_config(PortmapperConfig::Disabled),
        Reach::Internet => everywhere(builder, port)?,
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

/// The relays that we may be at home at.
pub(super) fn relay_map(rules: &AddressRules) -> RelayMap {
    relay_mode(rules.relays()).relay_map()
}

fn relay_mode(relays: &Relays) -> RelayMode {
    match relays {
        Relays::Public => RelayMode::Default,
        Relays::Own(own) if own.is_empty() => RelayMode::Disabled,
        Relays::Own(own) => RelayMode::Custom(own.iter().map(relay).collect::<RelayMap>()),
    }
}

/// A relay without TLS is somebody's own for a try, and does not serve address discovery over
/// QUIC; asking it would delay each start by three seconds.
fn relay(url: &RelayUrl) -> RelayConfig {
    if url.scheme() == "https" { url.clone().into() } else { RelayConfig::new(url.clone(), None) }
}

/// By which certificates relays and lookups are trusted.
fn roots(settings: &NetSettings) -> Result<CaTlsConfig, NetError> {
    let Some(path) = &settings.roots else { return Ok(CaTlsConfig::embedded()) };
    let problem = |problem: String| NetError::Roots { path: path.clone(), problem };
    let file = CertificateDer::pem_file_iter(path).map_err(|error| problem(error.to_string()))?;
    let roots: Result<Vec<_>, _> = file.collect();
    let roots = roots.map_err(|error| problem(error.to_string()))?;
    if roots.is_empty() {
        return Err(problem("there is none in it".to_owned()));
    }
    Ok(CaTlsConfig::embedded().with_extra_roots(roots))
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

    #[test]
    fn what_is_no_proxy_is_named_without_its_password() {
        assert!(proxy("http://user:secret@proxy.example:3128").is_ok());
        for text in ["http://user:secret@:3128", "socks5://user:secret@proxy.example", "a:secret@b"]
        {
            let error = proxy(text).unwrap_err();
            assert!(matches!(error, NetError::Proxy(_)));
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }
    use crate::base::Secret;

    fn built(reach: Reach, settings: NetSettings) -> Result<Builder, NetError> {
        let rules = AddressRules::of(reach, &settings)?;
        let config =
            NetConfig { seed: Secret::new([1; 32]), approver: None, reach, settings, port: 0 };
        builder(&config, &rules, &Gate::new(false), 4000)
    }

    fn relays(urls: &[&str]) -> NetSettings {
        let relays = Some(urls.iter().map(ToString::to_string).collect());
        NetSettings { relays, ..NetSettings::default() }
    }

    #[test]
    fn every_mode_is_one_that_iroh_takes() {
        for reach in [Reach::Loopback, Reach::Lan, Reach::Internet] {
            built(reach, NetSettings::default()).unwrap();
            built(reach, relays(&[])).unwrap();
        }
        let own = ["https://relay.example", "http://localhost:3340"];
        built(Reach::Internet, relays(&own)).unwrap();
    }

    #[test]
    fn no_relay_is_used_that_the_configuration_does_not_name() {
        let relay: RelayUrl = "https://relay.example".parse().unwrap();
        let used = relay_mode(&Relays::Own(vec![relay.clone()])).relay_map();
        assert_eq!(used.urls::<Vec<RelayUrl>>(), [relay]);
        assert!(relay_mode(&Relays::Own(Vec::new())).relay_map().is_empty());
    }

    #[test]
    fn a_file_of_certificates_that_holds_none_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path(), std::path::Path::new("/nowhere.pem")] {
            let settings = NetSettings { roots: Some(path.to_owned()), ..NetSettings::default() };
            let error = built(Reach::Internet, settings).err().unwrap().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
