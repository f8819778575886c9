//! Links between peers that trust each other.

use std::{
    net::{Ipv4Addr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::support::{Party, closed, hello, key, raw, until};
use crate::{
    base::limits,
    net::{Inbound, LinkId, NetEvent, Outbound, SendError, code, link::supervise},
    wire::{Body, Envelope},
};

/// Two that are linked once and for all, with the link as each of them calls it.
async fn settled() -> (Party, Party, [LinkId; 2]) {
    let (mut alice, mut bob) = (Party::start(1).await, Party::start(2).await);
    bob.net.trust(alice.id(), Vec::new());
    alice.trust(&bob);
    let links = [alice.up(bob.id()).await, bob.up(alice.id()).await];
    (alice, bob, links)
}

fn text(envelope: &Envelope) -> String {
    let Body::Text(text) = envelope.body() else { panic!("a text") };
    text.as_str().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_verified_and_in_order_and_are_acknowledged() {
    let (mut alice, mut bob, [there, back]) = settled().await;
    for (seq, words) in (1..).zip(["one", "two", "three"]) {
        let message = alice.message(bob.id(), seq, words);
        alice.net.send(&bob.id(), there, message).unwrap();
    }
    for (frame, (want, words)) in
        bob.frames(back, 3).await.into_iter().zip((1..).zip(["one", "two", "three"]))
    {
        let Inbound::Data { seq, envelope } = frame else { panic!("data") };
        assert_eq!((seq, text(&envelope.unwrap()).as_str()), (want, words));
    }
    let ack = Outbound::Ack { upto: 3, receipt: None };
    bob.net.send(&alice.id(), back, ack).unwrap();
    let acks = alice.frames(there, 1).await;
    assert!(matches!(acks.as_slice(), [Inbound::Ack { upto: 3, receipt: None }]));
    let path = alice.net.path(&bob.id()).unwrap();
    assert!(!path.relayed && path.rtt_ms < 1000.0);
    let other = LinkId(u64::MAX);
    let ack = Outbound::Ack { upto: 3, receipt: None };
    assert_eq!(bob.net.send(&alice.id(), other, ack), Err(SendError::Gone));
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_arrives_whole_and_in_batches() {
    const COUNT: u64 = 2_000;
    let (alice, mut bob, [there, back]) = settled().await;
    let messages: Vec<_> =
        (1..=COUNT).map(|seq| alice.message(bob.id(), seq, &"x".repeat(1024))).collect();
    let began = Instant::now();
    let mut frames = Vec::new();
    // As a node does: no more on their way than its window, which is half of the queue.
    let mut messages = messages.into_iter().peekable();
    while messages.peek().is_some() {
        let window: Vec<_> = messages.by_ref().take(limits::IN_FLIGHT_MESSAGES_MAX).collect();
        let count = window.len();
        for message in window {
            alice.net.send(&bob.id(), there, message).unwrap();
        }
        frames.extend(bob.frames(back, count).await);
    }
    println!("{COUNT} messages in {:?}", began.elapsed());
    for (frame, want) in frames.iter().zip(1..) {
        assert!(matches!(frame, Inbound::Data { seq, envelope: Ok(_) } if *seq == want));
    }
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_peer_is_told_its_own_features_and_at_once_when_they_change() {
    let (mut alice, mut bob) = (Party::start(1).await, Party::start(2).await);
    let mut carol = Party::start(3).await;
    let features = |of: &[&str]| of.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    alice.net.set_features(bob.id(), features(&["need.grant.all"]));
    for party in [&bob, &carol] {
        party.net.trust(alice.id(), Vec::new());
        alice.trust(party);
    }
    let (first, told) = bob.hello(alice.id()).await;
    assert_eq!(told, ["need.grant.all"]);
    assert!(carol.hello(alice.id()).await.1.is_empty());
    // What is said already is no news, and the link stays.
    alice.net.set_features(bob.id(), features(&["need.grant.all"]));
    alice.net.set_features(carol.id(), Vec::new());
    alice.net.set_features(bob.id(), features(&["card", "need.session.all"]));
    bob.down(first).await;
    assert_eq!(bob.hello(alice.id()).await.1, ["card", "need.session.all"]);
    while alice.up(bob.id()).await <= first {}
    assert!(carol.heard_nothing(), "the other link stays");
    // They end with the trust.
    alice.net.distrust(&bob.id(), code::NOT_TRUSTED);
    alice.trust(&bob);
    while !bob.hello(alice.id()).await.1.is_empty() {}
    for party in [alice, bob, carol] {
        party.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_was_told_old_features_while_it_began_does_not_stay() {
    let (alice, bob) = (Party::start(1).await, raw(2).await);
    let address = bob.bound_sockets()[0].to_string();
    alice.net.trust(key(2).id(), vec![address]);
    let connection = bob.accept().await.unwrap().await.unwrap();
    let (mut send, mut recv) = connection.accept_bi().await.unwrap();
    // Alice has said hello, and hears none yet: the link is not up.
    let mut length = [0; 4];
    recv.read_exact(&mut length).await.unwrap();
    recv.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize]).await.unwrap();
    alice.net.set_features(key(2).id(), vec!["need.grant.all".to_owned()]);
    send.write_all(&hello()).await.unwrap();
    assert_eq!(closed(&connection).await, u64::from(code::BYE));
    bob.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_dial_at_once_end_up_with_one_link() {
    for round in 0..10 {
        let (mut alice, mut bob) = (Party::start(1).await, Party::start(2).await);
        alice.trust(&bob);
        bob.trust(&alice);
        // A link that is up may still lose against the other dial. What counts is that a frame
        // gets through each way.
        let (mut there, mut back) = (alice.up(bob.id()).await, bob.up(alice.id()).await);
        let (mut alice_heard, mut bob_heard) = (false, false);
        while !(alice_heard && bob_heard) {
            let ack = |upto| Outbound::Ack { upto, receipt: None };
            alice.net.send(&bob.id(), there, ack(1)).ok();
            bob.net.send(&alice.id(), back, ack(2)).ok();
            let wait = tokio::time::sleep(Duration::from_millis(50));
            tokio::select! {
                event = alice.next() => match event {
                    NetEvent::LinkUp { link, .. } => there = link,
                    NetEvent::Frames { link, .. } => alice_heard = link == there,
                    _ => {}
                },
                event = bob.next() => match event {
                    NetEvent::LinkUp { link, .. } => back = link,
                    NetEvent::Frames { link, .. } => bob_heard = link == back,
                    _ => {}
                },
                () = wait => {}
            }
        }
        // Two were made, and nobody had to dial again.
        assert!(there.0 <= 2 && back.0 <= 2, "round {round}: {there:?} {back:?}");
        let one = |party: &Party| party.net.shared.links.count();
        until(|| one(&alice) == 1 && one(&bob) == 1).await;
        alice.stop().await;
        bob.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_trust_closes_at_once_and_refuses_later() {
    let (mut alice, mut bob, [there, back]) = settled().await;
    let began = Instant::now();
    alice.net.distrust(&bob.id(), code::NOT_TRUSTED);
    alice.down(there).await;
    bob.down(back).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    let NetEvent::Rejected { peer, code } = bob.next().await else { panic!("a rejection") };
    assert_eq!((peer, code), (alice.id(), u64::from(code::NOT_TRUSTED)));
    // Bob is stubborn.
    bob.net.learn(&alice.id(), alice.net.addresses());
    let NetEvent::Rejected { code, .. } = bob.next().await else { panic!("a rejection") };
    assert_eq!(code, u64::from(code::NOT_TRUSTED));
    assert!(alice.heard_nothing());
    assert_eq!(alice.net.path(&bob.id()), None);
    // And trusted again.
    alice.trust(&bob);
    alice.up(bob.id()).await;
    bob.up(alice.id()).await;
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_is_heard_at_once() {
    let (alice, mut bob, [_, back]) = settled().await;
    let began = Instant::now();
    alice.stop().await;
    bob.down(back).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_one_links_task_ends_that_link_alone() {
    let (mut alice, mut bob, [there, back]) = settled().await;
    let mut carol = Party::start(3).await;
    carol.net.trust(alice.id(), Vec::new());
    alice.trust(&carol);
    let with_carol = alice.up(carol.id()).await;
    let shared = Arc::clone(&alice.net.shared);
    let connection = shared.links.connection(bob.id()).unwrap();
    let body = async { panic!("a bug, as the test wants it") };
    supervise(&shared, &connection, (bob.id(), there), body).await;
    alice.down(there).await;
    bob.down(back).await;
    // It is dialed again, and the other link never noticed.
    alice.up(bob.id()).await;
    let carols = carol.up(alice.id()).await;
    let ack = Outbound::Ack { upto: 1, receipt: None };
    alice.net.send(&carol.id(), with_carol, ack).unwrap();
    assert_eq!(carol.frames(carols, 1).await.len(), 1);
    for party in [alice, bob, carol] {
        party.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_of_this_machine_and_the_port_is_kept() {
    let (alice, bob, _) = settled().await;
    let port = alice.net.port();
    assert_eq!(alice.net.addresses(), [format!("127.0.0.1:{port}")]);
    assert_eq!(alice.net.relay(), None);
    let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let freed = held.local_addr().unwrap().port();
    let (soon, ()) = tokio::join!(Party::start_at(4, freed), async {
        tokio::time::sleep(limits::PORT_TIMEOUT / 4).await;
        drop(held);
    });
    assert_eq!(soon.net.port(), freed, "held for a moment: the same one");
    let taken = Party::start_at(3, port).await;
    assert_ne!(taken.net.port(), port, "taken: another one");
    for party in [alice, bob, soon, taken] {
        party.stop().await;
    }
    // Another test may have been given the port for a moment.
    let mut tries = 0;
    loop {
        let again = Party::start_at(1, port).await;
        let same = again.net.port() == port;
        again.stop().await;
        if same {
            break;
        }
        tries += 1;
        assert!(tries < 50, "the port is free again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
