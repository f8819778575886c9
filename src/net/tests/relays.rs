//! Relays of the tests' own: fail-over, the way back to a direct path, and what a stranger that
//! comes through one learns.

use std::{collections::HashSet, time::Duration};

use iroh::{
    Endpoint, EndpointAddr, EndpointId, RelayMap, RelayMode, SecretKey, TransportAddr,
    endpoint::{ConnectOptions, PortmapperConfig, presets},
};
use tokio::time::{Instant, timeout};

use super::support::{LONG, Party, Relay, key, until};
use crate::{
    base::{PeerId, Secret},
    net::{NetEvent, NetSettings},
    wire::{ALPN_PAIR, pair},
};

/// Alice and Bob, whom only relays join, linked through `home`.
async fn joined(home: &Relay, relays: &[&Relay]) -> (Party, Party) {
    let mut alice = Party::relay_only(1, relays).await;
    let mut bob = Party::relay_only(2, relays).await;
    alice.at_home(home).await;
    bob.at_home(home).await;
    assert_eq!(alice.net.addresses(), [home.url()]);
    alice.trust(&bob);
    bob.trust(&alice);
    alice.up(bob.id()).await;
    bob.up(alice.id()).await;
    let path = alice.net.path(&bob.id()).unwrap();
    assert_eq!((path.relayed, path.relay), (true, Some(home.url())));
    (alice, bob)
}

/// Waits until a link is up at both ends that both know by now.
async fn linked(alice: &mut Party, bob: &mut Party, relay: &Relay) {
    let (one, other) = (alice.id(), bob.id());
    let over = |party: &Party, peer: &PeerId| {
        party.net.path(peer).is_some_and(|path| path.relay == Some(relay.url()))
    };
    // Somebody has to listen, or the nets wait for their nodes.
    let poll = async {
        while !(over(alice, &other) && over(bob, &one)) {
            let pause = tokio::time::sleep(Duration::from_millis(20));
            tokio::select! {
                _ = alice.events.recv() => {}
                _ = bob.events.recv() => {}
                () = pause => {}
            }
        }
    };
    timeout(LONG, poll).await.expect("they are linked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_home_relay_dies_another_one_joins_them() {
    let (mut first, mut other) = (Relay::up().await, Relay::down());
    let (mut alice, mut bob) = joined(&first, &[&first, &other]).await;
    other.start(true).await;
    let began = Instant::now();
    first.die().await;
    linked(&mut alice, &mut bob, &other).await;
    println!("linked again {:?} after the relay's death", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(10));
    alice.at_home(&other).await;
    for state in alice.net.relays() {
        let is_other = state.url == other.url();
        assert_eq!((state.home, state.connected), (is_other, is_other), "{state:?}");
        assert_eq!(state.problem.is_none(), is_other, "{state:?}");
    }
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_relays_are_dead_the_first_that_returns_joins_them() {
    let (mut first, mut other) = (Relay::up().await, Relay::down());
    let (mut alice, mut bob) = joined(&first, &[&first, &other]).await;
    first.die().await;
    // They have left it and found nothing else.
    let left = |party: &Party| party.net.path(&key(2).id()).is_none();
    until(|| left(&alice) && alice.net.relays().iter().all(|state| !state.connected)).await;
    let began = Instant::now();
    other.start(true).await;
    linked(&mut alice, &mut bob, &other).await;
    println!("linked {:?} after a relay returned", began.elapsed());
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_relay_that_restarts_joins_them_again() {
    let mut relay = Relay::up().await;
    let (mut alice, mut bob) = joined(&relay, &[&relay]).await;
    relay.die().await;
    until(|| alice.net.relays().iter().all(|state| !state.connected)).await;
    let began = Instant::now();
    relay.start(true).await;
    linked(&mut alice, &mut bob, &relay).await;
    alice.at_home(&relay).await;
    println!("at home again after {:?}", began.elapsed());
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_begins_through_a_relay_goes_direct_when_it_can() {
    let relay = Relay::up().await;
    let mut alice = Party::start_with(1, 0, Relay::settings(&[&relay])).await;
    let mut bob = Party::start_with(2, 0, Relay::settings(&[&relay])).await;
    alice.at_home(&relay).await;
    bob.at_home(&relay).await;
    alice.net.trust(bob.id(), Vec::new());
    bob.net.trust(alice.id(), vec![relay.url()]);
    let (there, back) = (alice.up(bob.id()).await, bob.up(alice.id()).await);
    let direct = |party: &Party, peer: &PeerId| {
        party.net.path(peer).is_some_and(|path| !path.relayed && path.relay.is_none())
    };
    until(|| direct(&alice, &bob.id()) && direct(&bob, &alice.id())).await;
    let path = bob.net.path(&alice.id()).unwrap();
    assert!(path.since.ms() > 0);
    // Whoever was told of the link before hears that it changed.
    for (party, link) in [(&mut alice, there), (&mut bob, back)] {
        while let Ok(event) = party.events.try_recv() {
            match event {
                NetEvent::PathChanged { link: which, .. } => assert_eq!(which, link),
                NetEvent::AddressesChanged => {}
                other => panic!("{other:?}"),
            }
        }
    }
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_lets_us_not_in_is_left_and_says_why() {
    let (mut first, mut other) = (Relay::down(), Relay::down());
    first.start(false).await;
    let alice = Party::relay_only(1, &[&first, &other]).await;
    let says = |words: &str| {
        let states = alice.net.relays();
        states.iter().any(|state| state.problem.as_ref().is_some_and(|p| p.contains(words)))
    };
    until(|| says("members\\nonly")).await;
    other.start(true).await;
    alice.at_home(&other).await;
    assert!(says("members\\nonly"), "what was wrong with the other is still said");
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_whose_certificate_is_of_our_own_is_trusted_by_the_configured_roots() {
    let mut relay = Relay::down();
    let root = relay.start_tls().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), root).unwrap();
    let settings = Relay::settings(&[&relay]);
    let trusting = NetSettings { roots: Some(file.path().to_owned()), ..settings.clone() };
    let (alice, bob) =
        (Party::start_with(1, 0, trusting).await, Party::start_with(2, 0, settings).await);
    alice.at_home(&relay).await;
    assert!(bob.net.relays().iter().all(|state| !state.connected));
    alice.stop().await;
    bob.stop().await;
}

/// A raw endpoint at the relay.
async fn stranger(seed: u8, relay: &Relay) -> Endpoint {
    let config = iroh::RelayConfig::new(relay.url().parse().unwrap(), None);
    let endpoint = Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&[seed; 32]))
        .relay_mode(RelayMode::Custom(RelayMap::from(config)))
        .portmapper_config(PortmapperConfig::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap()
        .bind()
        .await
        .unwrap();
    timeout(LONG, endpoint.online()).await.unwrap();
    endpoint
}

/// What a stranger that offers these protocols learns of Alice: her addresses.
async fn learned(mallory: &Endpoint, alice: &Party, relay: &Relay, alpns: &[Vec<u8>]) -> bool {
    let id = EndpointId::from_bytes(alice.id().as_bytes()).unwrap();
    let address = EndpointAddr::new(id).with_relay_url(relay.url().parse().unwrap());
    let options = ConnectOptions::new().with_additional_alpns(alpns[1..].to_vec());
    let connected = async {
        let connecting = mallory.connect_with_opts(address, &alpns[0], options).await.ok()?;
        connecting.await.ok()
    };
    let connected = timeout(LONG, connected).await.expect("an answer in time");
    let addresses = async {
        let info = mallory.remote_info(id).await;
        let addresses = info.iter().flat_map(|info| info.addrs().map(|a| a.addr().clone()));
        addresses.filter(TransportAddr::is_ip).collect::<Vec<_>>()
    };
    let Some(connection) = connected else { return !addresses.await.is_empty() };
    // What is told comes with the handshake or right after it.
    let told = async {
        while mallory
            .remote_info(id)
            .await
            .is_none_or(|info| !info.addrs().any(|a| a.addr().is_ip()))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let told = timeout(Duration::from_secs(5), told).await.is_ok();
    drop(connection);
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_at_the_relay_learns_no_address_unless_it_holds_an_invite() {
    let relay = Relay::up().await;
    let mut alice = Party::start_with(1, 0, Relay::settings(&[&relay])).await;
    alice.at_home(&relay).await;
    let (mallory, me) = (stranger(3, &relay).await, key(3).id());
    let plain = vec![ALPN_PAIR.to_vec()];
    let inviter = alice.id();
    let shown = |secret: [u8; 16], joiner: &PeerId| {
        let proof = pair::proof(&secret, joiner, &inviter);
        vec![ALPN_PAIR.to_vec(), pair::alpn_of(&proof)]
    };
    assert!(!learned(&mallory, &alice, &relay, &plain).await, "no invite is open");
    alice.net.allow_pairing(true);
    assert!(!learned(&mallory, &alice, &relay, &plain).await, "nobody is expected");
    let open = || vec![Secret::new([6; 16]), Secret::new([7; 16])];
    alice.net.expect(open(), []);
    assert!(!learned(&mallory, &alice, &relay, &plain).await, "no proof");
    assert!(!learned(&mallory, &alice, &relay, &shown([8; 16], &me)).await, "another invite");
    let stolen = shown([7; 16], &key(4).id());
    assert!(!learned(&mallory, &alice, &relay, &stolen).await, "the proof of somebody else");
    while let Ok(event) = alice.events.try_recv() {
        assert!(matches!(event, NetEvent::AddressesChanged), "{event:?}");
    }
    // And the measure measures.
    assert!(learned(&mallory, &alice, &relay, &shown([7; 16], &me)).await, "it holds an invite");
    alice.net.expect(Vec::new(), HashSet::from([me]));
    let again = stranger(3, &relay).await;
    assert!(learned(&again, &alice, &relay, &plain).await, "we are pairing with it");
    mallory.close().await;
    again.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_an_invite_pairs_through_a_relay() {
    let relay = Relay::up().await;
    let mut alice = Party::relay_only(1, &[&relay]).await;
    let mut bob = Party::relay_only(2, &[&relay]).await;
    alice.at_home(&relay).await;
    bob.at_home(&relay).await;
    alice.net.allow_pairing(true);
    alice.net.expect(vec![Secret::new([7; 16])], []);
    bob.net.pair_dial(alice.id(), vec![relay.url()], None);
    let refused = loop {
        match bob.next().await {
            NetEvent::AddressesChanged => {}
            event => break event,
        }
    };
    assert!(matches!(refused, NetEvent::PairDown { link: None, .. }), "{refused:?}");
    let proof = pair::proof(&[7; 16], &bob.id(), &alice.id());
    bob.net.pair_dial(alice.id(), vec![relay.url()], Some(proof));
    let link = loop {
        match bob.next().await {
            NetEvent::PairUp { peer, link, dialed: true } if peer == alice.id() => break link,
            NetEvent::AddressesChanged => {}
            other => panic!("{other:?}"),
        }
    };
    bob.net.pair_send(&alice.id(), link, super::pairing::knock()).unwrap();
    loop {
        match alice.next().await {
            NetEvent::Pair { peer, frame, .. } => {
                assert_eq!((peer, frame), (bob.id(), super::pairing::knock()));
                break;
            }
            NetEvent::PairUp { dialed: false, .. } | NetEvent::AddressesChanged => {}
            other => panic!("{other:?}"),
        }
    }
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_names_our_addresses_outside_of_internet_mode() {
    let relay = Relay::up().await;
    let alice = Party::start_with(1, 0, Relay::settings(&[&relay])).await;
    alice.at_home(&relay).await;
    let direct = format!("127.0.0.1:{}", alice.net.port());
    assert_eq!(alice.net.invited_to(), [relay.url(), direct]);
    alice.stop().await;
}
