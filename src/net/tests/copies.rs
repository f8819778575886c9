//! One key in two places, and a node that came back: which of them is told what.

use std::time::Duration;

use iroh::endpoint::{Connection, RecvStream, SendStream};
use tokio::time::{Instant, timeout};

use super::support::{Party, closed, connect, framed, hello, hello_of, key, raw};
use crate::{
    base::limits,
    net::{NetEvent, code},
    wire::{ALPN_PEER, Frame},
};

/// A raw endpoint's link with `party`, over which this hello was said.
async fn linked(
    from: &iroh::Endpoint,
    party: &Party,
    hello: &[u8],
) -> (Connection, SendStream, RecvStream) {
    let connection = connect(from, party, ALPN_PEER).await;
    let (mut send, recv) = connection.open_bi().await.unwrap();
    send.write_all(hello).await.unwrap();
    (connection, send, recv)
}

/// The next frame.
async fn frame(recv: &mut RecvStream) -> Frame {
    let mut length = [0; 4];
    recv.read_exact(&mut length).await.unwrap();
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    recv.read_exact(&mut bytes).await.unwrap();
    Frame::decode(&bytes).unwrap()
}

/// Waits until this node is told of two places. Gives whether it is its own key.
async fn twice(party: &mut Party) -> bool {
    loop {
        if let NetEvent::Twice { ours, .. } = party.next().await {
            return ours;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_turned_away_and_both_places_are_told() {
    let (mut alice, mut bob) = (Party::start(1).await, Party::start(2).await);
    alice.net.trust(bob.id(), Vec::new());
    bob.trust(&alice);
    alice.up(bob.id()).await;
    bob.up(alice.id()).await;
    let mut copy = Party::start(2).await;
    copy.trust(&alice);
    assert!(!twice(&mut alice).await, "Bob's key");
    assert!(twice(&mut bob).await && twice(&mut copy).await, "their own key");
    // Neither takes the link from the other.
    let until = Instant::now() + Duration::from_secs(4);
    while let Ok(event) = tokio::time::timeout_at(until, alice.events.recv()).await {
        let event = event.unwrap();
        assert!(matches!(event, NetEvent::Twice { ours: false, .. }), "no flapping: {event:?}");
    }
    while let Ok(event) = copy.events.try_recv() {
        assert!(!matches!(event, NetEvent::LinkUp { .. }), "the copy never was linked");
    }
    // The place that stays is still heard.
    let link = alice.net.shared.links.newest(bob.id()).await;
    let ping = crate::net::ping::ping(&alice.net.shared, bob.id(), link, limits::PONG_TIMEOUT);
    assert!(ping.await.is_some());
    for party in [alice, bob, copy] {
        party.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_copy_takes_over_at_once_when_the_first_place_ends() {
    let (mut alice, bob) = (Party::start(1).await, Party::start(2).await);
    alice.net.trust(bob.id(), Vec::new());
    bob.trust(&alice);
    alice.up(bob.id()).await;
    bob.stop().await;
    let mut copy = Party::start(2).await;
    let began = Instant::now();
    copy.trust(&alice);
    copy.up(alice.id()).await;
    assert!(began.elapsed() < limits::TWICE_PONG_MIN, "nobody is asked who is gone");
    for party in [alice, copy] {
        party.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_life_that_does_not_answer_gives_way_in_time() {
    let mut alice = Party::start(1).await;
    let (former, later) = (raw(2).await, raw(2).await);
    alice.net.trust(key(2).id(), Vec::new());
    let (first, _send, mut recv) = linked(&former, &alice, &hello_of(1)).await;
    assert!(matches!(frame(&mut recv).await, Frame::Hello(_)));
    let one = alice.up(key(2).id()).await;
    let began = Instant::now();
    let (_second, _send, mut recv) = linked(&later, &alice, &hello_of(2)).await;
    assert!(matches!(frame(&mut recv).await, Frame::Hello(_)));
    let two = alice.up(key(2).id()).await;
    let took = began.elapsed();
    println!("gave way after {took:?}");
    assert!(two > one && took >= limits::TWICE_PONG_MIN, "it was asked");
    assert!(took < limits::TWICE_PONG_MAX + Duration::from_millis(500), "{took:?}");
    assert_eq!(closed(&first).await, u64::from(code::SUPERSEDED));
    former.close().await;
    later.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_names_no_run_takes_its_place_as_before() {
    let mut alice = Party::start(1).await;
    let (former, later) = (raw(2).await, raw(2).await);
    alice.net.trust(key(2).id(), Vec::new());
    let (first, _send, _recv) = linked(&former, &alice, &hello_of(1)).await;
    alice.up(key(2).id()).await;
    let began = Instant::now();
    let _second = linked(&later, &alice, &hello()).await;
    alice.up(key(2).id()).await;
    assert!(began.elapsed() < limits::TWICE_PONG_MIN);
    assert_eq!(closed(&first).await, u64::from(code::SUPERSEDED));
    former.close().await;
    later.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_comes_back_shows_two_places_where_no_ping_did() {
    let mut alice = Party::start(1).await;
    let bob = raw(2).await;
    alice.net.trust(key(2).id(), Vec::new());
    for run in [1, 2] {
        let (connection, _send, _recv) = linked(&bob, &alice, &hello_of(run)).await;
        let link = alice.up(key(2).id()).await;
        connection.close(0u32.into(), b"");
        alice.down(link).await;
    }
    let (_connection, _send, mut recv) = linked(&bob, &alice, &hello_of(1)).await;
    assert!(!twice(&mut alice).await);
    assert!(matches!(frame(&mut recv).await, Frame::Hello(_)));
    assert_eq!(timeout(limits::PONG_TIMEOUT, frame(&mut recv)).await.unwrap(), Frame::Twice);
    bob.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_of_its_own_key_elsewhere_tells_its_node_and_dials_seldom() {
    let mut alice = Party::start(1).await;
    let bob = raw(2).await;
    let address = bob.bound_sockets()[0].to_string();
    alice.net.trust(key(2).id(), vec![address]);
    let connection = bob.accept().await.unwrap().await.unwrap();
    let (mut send, mut recv) = connection.accept_bi().await.unwrap();
    send.write_all(&hello_of(1)).await.unwrap();
    alice.up(key(2).id()).await;
    send.write_all(&framed(&Frame::Twice.encode())).await.unwrap();
    assert!(twice(&mut alice).await, "her own key");
    // However often it is said, it is news once.
    for _ in 0..50 {
        send.write_all(&framed(&Frame::Twice.encode())).await.unwrap();
    }
    send.write_all(&framed(&Frame::Ping(7).encode())).await.unwrap();
    while frame(&mut recv).await != Frame::Pong(7) {}
    assert!(alice.events.try_recv().is_err(), "she read them all");
    connection.close(0u32.into(), b"");
    let again = timeout(Duration::from_secs(3), bob.accept()).await;
    assert!(again.is_err(), "without the frame she is back within a second");
    bob.close().await;
    alice.stop().await;
}
