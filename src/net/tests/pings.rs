//! Asking a peer whether it is there.

use std::time::Duration;

use tokio::time::Instant;

use super::support::{Party, connect, hello, key, raw};
use crate::{
    base::limits,
    net::{Tried, code},
    wire::ALPN_PEER,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_there_answers_each_ping() {
    let (alice, bob) = (Party::start(1).await, Party::start(2).await);
    bob.net.trust(alice.id(), Vec::new());
    alice.trust(&bob);
    // It is not linked yet, and waited for.
    let pinged = alice.net.ping(bob.id(), 3, Duration::from_secs(10)).await;
    assert_eq!((pinged.rtts.len(), pinged.lost, pinged.tried), (3, 0, None));
    let path = pinged.path.unwrap();
    assert!(path.pq && !path.relayed && path.relay.is_none());
    let many = alice.net.ping(bob.id(), u32::MAX, Duration::ZERO).await;
    assert_eq!(many.rtts.len(), limits::PINGS_MAX as usize);
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_answers_nothing_loses_its_pings() {
    let (mut alice, bob) = (Party::start(1).await, raw(2).await);
    alice.net.trust(key(2).id(), Vec::new());
    let connection = connect(&bob, &alice, ALPN_PEER).await;
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(&hello()).await.unwrap();
    alice.up(key(2).id()).await;
    let pinged = alice.net.ping(key(2).id(), 1, Duration::ZERO).await;
    assert_eq!((pinged.rtts.len(), pinged.lost), (0, 1));
    assert!(pinged.path.is_some());
    bob.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_there_is_waited_for_and_who_refuses_is_not() {
    let (alice, bob) = (Party::start(1).await, Party::start(2).await);
    alice.trust(&bob);
    let began = Instant::now();
    let pinged = alice.net.ping(bob.id(), 3, Duration::from_secs(20)).await;
    assert_eq!(pinged.tried, Some(Tried::Refused(u64::from(code::NOT_TRUSTED))));
    assert!(began.elapsed() < Duration::from_secs(5) && pinged.path.is_none());
    assert_eq!(pinged.places, bob.net.addresses());
    bob.stop().await;
    let wait = Duration::from_millis(700);
    let began = Instant::now();
    let pinged = alice.net.ping(key(2).id(), 3, wait).await;
    assert!(began.elapsed() >= wait && pinged.path.is_none());
    assert!(!matches!(pinged.tried, Some(Tried::Refused(_))), "{:?}", pinged.tried);
    alice.stop().await;
}
