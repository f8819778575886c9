//! The key exchange, as it was negotiated.

use std::time::Duration;

use tokio::time::timeout;

use super::support::{Party, closed, connect, hello, key, raw};
use crate::{
    net::{NetEvent, NetSettings, code},
    wire::ALPN_PEER,
};

/// One that takes nothing but hybrid key exchanges.
async fn strict(seed: u8) -> Party {
    let settings = NetSettings { require_pq: true, ..NetSettings::default() };
    Party::start_with(seed, 0, settings).await
}

/// Waits until this node has refused somebody for their key exchange.
async fn not_pq(party: &mut Party) {
    let event = party.next().await;
    assert!(matches!(event, NetEvent::NotPq { peer } if peer == key(2).id()), "{event:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nets_exchange_their_keys_by_x25519mlkem768() {
    for strict_too in [false, true] {
        let mut alice = if strict_too { strict(1).await } else { Party::start(1).await };
        let mut bob = Party::start(2).await;
        bob.net.trust(alice.id(), Vec::new());
        alice.trust(&bob);
        alice.up(bob.id()).await;
        bob.up(alice.id()).await;
        assert!(alice.net.path(&bob.id()).unwrap().pq && bob.net.path(&alice.id()).unwrap().pq);
        alice.stop().await;
        bob.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_with_elliptic_curves_alone_is_linked_and_shown_as_such() {
    let (mut alice, bob) = (Party::start(1).await, raw(2).await);
    alice.net.trust(key(2).id(), Vec::new());
    let connection = connect(&bob, &alice, ALPN_PEER).await;
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(&hello()).await.unwrap();
    alice.up(key(2).id()).await;
    assert!(!alice.net.path(&key(2).id()).unwrap().pq);
    bob.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_required_a_dialer_without_it_is_refused_and_told_why() {
    let (mut alice, bob) = (strict(1).await, raw(2).await);
    alice.net.trust(key(2).id(), Vec::new());
    let connection = connect(&bob, &alice, ALPN_PEER).await;
    assert_eq!(closed(&connection).await, u64::from(code::NOT_PQ));
    not_pq(&mut alice).await;
    bob.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_required_a_dialed_peer_without_it_is_left_alone_for_long() {
    let (mut alice, bob) = (strict(1).await, raw(2).await);
    let address = bob.bound_sockets()[0].to_string();
    alice.net.trust(key(2).id(), vec![address]);
    let connection = bob.accept().await.unwrap().await.unwrap();
    assert_eq!(closed(&connection).await, u64::from(code::NOT_PQ));
    not_pq(&mut alice).await;
    let again = timeout(Duration::from_secs(3), bob.accept()).await;
    assert!(again.is_err(), "a dial that merely failed is repeated within a second");
    bob.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_refuses_us_for_it_is_heard() {
    let (mut alice, bob) = (Party::start(1).await, raw(2).await);
    let address = bob.bound_sockets()[0].to_string();
    alice.net.trust(key(2).id(), vec![address]);
    let connection = bob.accept().await.unwrap().await.unwrap();
    connection.close(code::NOT_PQ.into(), b"");
    let event = alice.next().await;
    assert!(
        matches!(event, NetEvent::Rejected { code, .. } if code == u64::from(code::NOT_PQ)),
        "{event:?}"
    );
    bob.close().await;
    alice.stop().await;
}
