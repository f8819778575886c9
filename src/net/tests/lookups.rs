//! Finding peers by their id, through a lookup server of the tests' own.

use std::net::Ipv4Addr;

use futures_util::StreamExt as _;
use iroh::{
    TransportAddr,
    address_lookup::{
        AddrFilter, AddressLookup as _, AddressLookupBuilder as _, EndpointData, PkarrPublisher,
        PkarrRelayClient,
    },
    dns::DnsResolver,
    tls::CaTlsConfig,
};
use iroh_dns::pkarr::SignedPacket;
use iroh_dns_server::config::{Config, MetricsConfig, RateLimitConfig};

use super::support::{Party, raw, until_async};
use crate::{
    base::PeerId,
    net::{
        NetError, NetSettings, Reach,
        address::AddressRules,
        lookup::{Lookup, Lookups, lookups},
        pq,
    },
};

/// A pkarr server in this process, at a port of its own.
pub(super) struct LookupServer {
    pub(super) url: String,
    _server: iroh_dns_server::Server,
    _data: tempfile::TempDir,
}

impl LookupServer {
    pub(super) async fn start() -> Self {
        let data = tempfile::tempdir_in("/tmp").unwrap();
        let mut config = Config::default();
        config.data_dir = Some(data.path().to_owned());
        config.https = None;
        let http = config.http.as_mut().unwrap();
        (http.port, http.bind_addr) = (0, Some(Ipv4Addr::LOCALHOST.into()));
        (config.dns.port, config.dns.bind_addr) = (0, Some(Ipv4Addr::LOCALHOST.into()));
        config.metrics = Some(MetricsConfig::disabled());
        config.pkarr_put_rate_limit = RateLimitConfig::Disabled;
        let server = iroh_dns_server::Server::bind(config).await.unwrap();
        let url = format!("http://{}/pkarr", server.http_addr().unwrap());
        Self { url, _server: server, _data: data }
    }

    pub(super) fn settings(&self) -> NetSettings {
        NetSettings { lookups: Some(vec![self.url.clone()]), ..NetSettings::default() }
    }
}

/// What the server tells anybody about a key.
pub(super) async fn packet(server: &LookupServer, key: [u8; 32]) -> Option<SignedPacket> {
    let tls = CaTlsConfig::embedded().client_config(pq::provider()).unwrap();
    let client = PkarrRelayClient::new(server.url.parse().unwrap(), tls, DnsResolver::new());
    client.resolve(iroh::EndpointId::from_bytes(&key).unwrap()).await.ok()
}

#[tokio::test]
async fn two_find_each_other_by_their_ids_alone_and_again_after_a_move() {
    let server = LookupServer::start().await;
    let mut alice = Party::start_with(1, 0, server.settings()).await;
    let mut bob = Party::start_with(2, 0, server.settings()).await;
    alice.net.trust(bob.id(), Vec::new());
    bob.net.trust(alice.id(), Vec::new());
    let link = alice.up(bob.id()).await;
    bob.up(alice.id()).await;
    let (id, port) = (bob.id(), bob.net.port());
    bob.stop().await;
    alice.down(link).await;
    let taken = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
    let mut bob = Party::start_with(2, 0, server.settings()).await;
    assert_ne!(bob.net.port(), port);
    drop(taken);
    // It does not know where Alice is; she did nothing.
    bob.net.trust(alice.id(), Vec::new());
    alice.up(id).await;
    bob.up(alice.id()).await;
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test]
async fn a_peer_is_found_where_our_human_wrote_that_it_is() {
    let mut bob = Party::start(2).await;
    let place = |at: String| NetSettings {
        places: [(bob.id(), vec![at])].into_iter().collect(),
        ..NetSettings::default()
    };
    let mut alice = Party::start_with(1, 0, place(format!("127.0.0.1:{}", bob.net.port()))).await;
    bob.net.trust(alice.id(), Vec::new());
    // What is known beside it is wrong.
    alice.net.trust(bob.id(), vec!["127.0.0.1:9".to_owned()]);
    alice.up(bob.id()).await;
    bob.up(alice.id()).await;
    alice.stop().await;
    bob.stop().await;
}

fn settings(lookup: &str) -> NetSettings {
    NetSettings { lookups: Some(vec![lookup.to_owned()]), ..NetSettings::default() }
}

#[test]
fn a_lookup_that_is_none_and_one_elsewhere_are_named() {
    for bad in ["", "DHT", "dns.example", "ftp://dns.example/pkarr", "data:x", "https://h/p?q=1"] {
        for reach in [Reach::Internet, Reach::Lan, Reach::Loopback] {
            let error = lookups(reach, &settings(bad)).unwrap_err();
            assert!(matches!(error, NetError::Lookup(_)), "{error}");
        }
    }
    for elsewhere in ["dht", "https://dns.example/pkarr", "http://192.0.2.7/pkarr"] {
        let error = lookups(Reach::Loopback, &settings(elsewhere)).unwrap_err();
        assert!(matches!(error, NetError::NotLoopback(_)), "{error}");
        assert_eq!(lookups(Reach::Internet, &settings(elsewhere)).unwrap().len(), 1);
    }
}

#[test]
fn by_default_only_internet_mode_has_a_lookup() {
    let of = |reach| lookups(reach, &NetSettings::default()).unwrap().len();
    assert_eq!([Reach::Internet, Reach::Lan, Reach::Loopback].map(of), [1, 0, 0]);
    let none = NetSettings { lookups: Some(Vec::new()), ..NetSettings::default() };
    assert!(lookups(Reach::Internet, &none).unwrap().is_empty());
}

/// What anybody reads of a key.
async fn record(server: &LookupServer, id: PeerId) -> Vec<String> {
    until_async(async || packet(server, *id.as_bytes()).await.is_some()).await;
    let packet = packet(server, *id.as_bytes()).await.unwrap();
    packet.all_txt_records().into_iter().map(|(_, value)| value).collect()
}

#[tokio::test]
async fn beyond_this_machine_a_record_holds_the_relay_and_no_address() {
    const RELAY: &str = "https://relay.example./";
    let server = LookupServer::start().await;
    let address = TransportAddr::Ip("192.0.2.7:4000".parse().unwrap());
    for (seed, reach) in [(1, Reach::Internet), (2, Reach::Lan)] {
        let settings = NetSettings { relays: Some(vec![RELAY.to_owned()]), ..server.settings() };
        let rules = AddressRules::of(reach, &settings).unwrap();
        let endpoint = raw(seed).await;
        let lookups = Lookups { lookups: lookups(reach, &settings).unwrap(), rules };
        let service = lookups.into_address_lookup(&endpoint).unwrap();
        // Before there is a relay: not even that we are awake. What is published is in order.
        service.publish(&EndpointData::new(vec![address.clone()]));
        let both = vec![address.clone(), TransportAddr::Relay(RELAY.parse().unwrap())];
        service.publish(&EndpointData::new(both));
        let id = PeerId::from_bytes(*endpoint.id().as_bytes());
        assert_eq!(record(&server, id).await, [format!("relay={RELAY}")]);
        endpoint.close().await;
    }
}

#[tokio::test]
async fn a_record_cannot_make_us_dial_what_is_no_peer() {
    let server = LookupServer::start().await;
    let settings = server.settings();
    let mallory = raw(66).await;
    let publisher = PkarrPublisher::builder(server.url.parse().unwrap());
    let publisher = publisher.addr_filter(AddrFilter::unfiltered());
    let publisher = publisher.into_address_lookup(&mallory).unwrap();
    let there = |text: &str| TransportAddr::Ip(text.parse().unwrap());
    let known = ["127.0.0.1:22", "224.0.0.251:5353", "255.255.255.255:9", "192.0.2.7:4000"];
    publisher.publish(&EndpointData::new(known.map(there).to_vec()));
    let id = PeerId::from_bytes(*mallory.id().as_bytes());
    assert_eq!(record(&server, id).await.len(), known.len());
    let rules = AddressRules::of(Reach::Internet, &settings).unwrap();
    let lookups = Lookups { lookups: lookups(Reach::Internet, &settings).unwrap(), rules };
    let alice = raw(1).await;
    let service = lookups.into_address_lookup(&alice).unwrap();
    let found: Vec<_> = service.resolve(mallory.id()).unwrap().collect().await;
    let found: Vec<_> = found.iter().flatten().flat_map(|item| item.addrs().cloned()).collect();
    assert_eq!(found, [there("192.0.2.7:4000")]);
    mallory.close().await;
    alice.close().await;
}

#[tokio::test]
async fn in_the_dht_a_record_holds_the_relay_and_no_address() {
    const RELAY: &str = "https://relay.example./";
    let net = n0_mainline::Testnet::new(5).await.unwrap();
    let dht = || {
        let mut dht = n0_mainline::DhtBuilder::default();
        dht.bootstrap(&net.bootstrap);
        vec![Lookup::Dht(dht)]
    };
    let settings = NetSettings { relays: Some(vec![RELAY.to_owned()]), ..NetSettings::default() };
    let rules = || AddressRules::of(Reach::Internet, &settings).unwrap();
    let (alice, bob) = (raw(1).await, raw(2).await);
    let service = |endpoint| {
        Lookups { lookups: dht(), rules: rules() }.into_address_lookup(endpoint).unwrap()
    };
    let (alices, bobs) = (service(&alice), service(&bob));
    let address = TransportAddr::Ip("192.0.2.7:4000".parse().unwrap());
    let relay = TransportAddr::Relay(RELAY.parse().unwrap());
    alices.publish(&EndpointData::new(vec![address, relay.clone()]));
    let found = async || {
        let items: Vec<_> = bobs.resolve(alice.id()).unwrap().collect().await;
        items.iter().flatten().flat_map(|item| item.addrs().cloned()).collect::<Vec<_>>()
    };
    until_async(async || !found().await.is_empty()).await;
    assert_eq!(found().await, [relay]);
    alice.close().await;
    bob.close().await;
}
