//! `countersign/pair/1`.

use super::support::{Party, approver, closed, connect, framed, key, raw};
use crate::{
    base::{ClaimedName, Digest, PeerId, Timestamp, limits},
    net::{LinkId, NetEvent, code},
    wire::{
        ALPN_PAIR, PairFrame,
        pair::{EndReason, Knock},
    },
};

fn knock() -> PairFrame {
    PairFrame::Knock(Knock {
        proof: Digest::from_bytes([1; 32]),
        commitment: Digest::from_bytes([2; 32]),
        approver: approver(),
        name: ClaimedName::parse("Mallory").unwrap(),
        created: Timestamp::from_ms(1),
    })
}

async fn pair_up(party: &mut Party) -> (PeerId, LinkId, bool) {
    match party.next().await {
        NetEvent::PairUp { peer, link, dialed } => (peer, link, dialed),
        other => panic!("{other:?}"),
    }
}

async fn pair_frame(party: &mut Party) -> PairFrame {
    match party.next().await {
        NetEvent::Pair { frame, .. } => frame,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairing_is_refused_while_closed_alike_for_everybody() {
    let mut alice = Party::start(1).await;
    alice.net.trust(key(2).id(), Vec::new());
    for seed in [2, 3] {
        let raw = raw(seed).await;
        let connection = connect(&raw, &alice, ALPN_PAIR).await;
        assert_eq!(closed(&connection).await, u64::from(code::NOT_TRUSTED), "{seed}");
        raw.close().await;
    }
    assert!(alice.heard_nothing());
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairing_is_served_while_open_and_the_last_frame_arrives() {
    let (mut alice, mut bob) = (Party::start(1).await, Party::start(2).await);
    alice.net.allow_pairing(true);
    bob.net.pair_dial(alice.id(), alice.net.addresses(), None);
    let (peer, bobs, dialed) = pair_up(&mut bob).await;
    assert_eq!((peer, dialed), (alice.id(), true));
    bob.net.pair_send(&alice.id(), bobs, knock()).unwrap();
    let (peer, alices, dialed) = pair_up(&mut alice).await;
    assert_eq!((peer, dialed), (bob.id(), false));
    assert_eq!(pair_frame(&mut alice).await, knock());
    // The door may close behind who is in.
    alice.net.allow_pairing(false);
    let end = PairFrame::End(EndReason::Denied);
    alice.net.pair_send(&bob.id(), alices, end.clone()).unwrap();
    alice.net.pair_close(&bob.id(), alices);
    assert_eq!(pair_frame(&mut bob).await, end);
    let down = |event| matches!(event, NetEvent::PairDown { link: Some(_), .. });
    assert!(down(bob.next().await) && down(alice.next().await));
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pairing_that_cannot_be_dialed_says_so() {
    let mut bob = Party::start(2).await;
    bob.net.pair_dial(key(1).id(), Vec::new(), None);
    assert!(matches!(bob.next().await, NetEvent::PairDown { link: None, .. }));
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_that_sends_too_much_is_closed() {
    let mut alice = Party::start(1).await;
    alice.net.allow_pairing(true);
    let raw = raw(3).await;
    let long = u32::try_from(limits::KNOCK_BYTES_MAX + 1).unwrap().to_be_bytes().to_vec();
    let one = framed(&knock().encode());
    for bytes in [long.clone(), [one.clone(), long].concat(), one.repeat(40)] {
        let connection = connect(&raw, &alice, ALPN_PAIR).await;
        let (mut send, _recv) = connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        assert_eq!(closed(&connection).await, u64::from(code::PROTOCOL));
    }
    raw.close().await;
    let mut frames = 0;
    while let Ok(event) = alice.events.try_recv() {
        frames += u32::from(matches!(event, NetEvent::Pair { .. }));
    }
    assert!(frames <= 2 + limits::PAIR_FRAMES_PER_MINUTE, "{frames}");
    alice.stop().await;
}
