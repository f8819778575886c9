//! Who is not trusted, and who is but breaks the rules.

use std::time::Duration;

use tokio::time::Instant;

use super::support::{LONG, Party, ack, closed, connect, framed, hello, key, raw};
use crate::{
    base::limits,
    net::{Inbound, NetEvent, code, framing::FrameStream},
    wire::{ALPN_PEER, Frame},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_no_stream_and_nobody_hears_of_it() {
    let mut alice = Party::start(1).await;
    let mut mallory = Party::start(3).await;
    mallory.trust(&alice);
    let NetEvent::Rejected { peer, code } = mallory.next().await else { panic!("a rejection") };
    assert_eq!((peer, code), (alice.id(), u64::from(code::NOT_TRUSTED)));
    let raw = raw(4).await;
    let connection = connect(&raw, &alice, ALPN_PEER).await;
    assert_eq!(closed(&connection).await, u64::from(code::NOT_TRUSTED));
    assert!(alice.heard_nothing() && mallory.heard_nothing());
    raw.close().await;
    alice.stop().await;
    mallory.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_dialer_does_not_dial_in_a_hot_loop() {
    let alice = Party::start(1).await;
    let mut mallory = Party::start(3).await;
    mallory.trust(&alice);
    assert!(matches!(mallory.next().await, NetEvent::Rejected { .. }));
    let again = tokio::time::timeout(limits::BACKOFF_MIN * 8, mallory.events.recv()).await;
    assert!(again.is_err(), "{again:?}");
    alice.stop().await;
    mallory.stop().await;
}

/// A raw peer that Alice trusts, connected and past its hello.
async fn rude() -> (Party, crate::net::LinkId, iroh::Endpoint, iroh::endpoint::Connection) {
    let mut alice = Party::start(1).await;
    let bob = key(2).id();
    alice.net.trust(bob, Vec::new());
    let raw = raw(2).await;
    let connection = connect(&raw, &alice, ALPN_PEER).await;
    let (mut send, recv) = connection.open_bi().await.unwrap();
    send.write_all(&hello()).await.unwrap();
    let link = alice.up(bob).await;
    // The stream stays open for as long as the test runs.
    std::mem::forget((send, recv));
    (alice, link, raw, connection)
}

/// What Alice does about `bytes` behind a good hello.
async fn check(bytes: &[u8]) -> u64 {
    let mut alice = Party::start(1).await;
    let bob = key(2).id();
    alice.net.trust(bob, Vec::new());
    let raw = raw(2).await;
    let connection = connect(&raw, &alice, ALPN_PEER).await;
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(&hello()).await.unwrap();
    let link = alice.up(bob).await;
    send.write_all(bytes).await.unwrap();
    let code = closed(&connection).await;
    alice.down(link).await;
    raw.close().await;
    alice.stop().await;
    code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_is_too_long_or_no_frame_ends_the_link() {
    let long = u32::try_from(limits::FRAME_BYTES_MAX + 1).unwrap().to_be_bytes();
    for bytes in [long.to_vec(), framed(b"not a frame"), framed(b""), hello()] {
        assert_eq!(check(&bytes).await, u64::from(code::PROTOCOL), "{bytes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_a_bad_signature_is_handed_on_as_an_error_and_later_frames_are_skipped() {
    let (mut alice, _, raw, _) = rude().await;
    let connection = connect(&raw, &alice, ALPN_PEER).await;
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(&hello()).await.unwrap();
    // The newer connection of the same dialer takes the place of the older one.
    let link = alice.up(key(2).id()).await;
    let forged = Frame::Data { seq: 1, envelope: vec![1, 2, 3] };
    let bytes = [framed(&Frame::Unknown(99).encode()), framed(&forged.encode()), ack(7)].concat();
    send.write_all(&bytes).await.unwrap();
    let frames = alice.frames(link, 2).await;
    assert!(matches!(
        frames.as_slice(),
        [Inbound::Data { seq: 1, envelope: Err(_) }, Inbound::Ack { upto: 7, receipt: None }]
    ));
    raw.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_is_answered_without_the_node() {
    let mut alice = Party::start(1).await;
    alice.net.trust(key(2).id(), Vec::new());
    let raw = raw(2).await;
    let connection = connect(&raw, &alice, ALPN_PEER).await;
    let (mut send, recv) = connection.open_bi().await.unwrap();
    let bytes = [hello(), framed(&Frame::Ping(77).encode())].concat();
    send.write_all(&bytes).await.unwrap();
    alice.up(key(2).id()).await;
    let mut recv = FrameStream::new(recv, limits::FRAME_BYTES_MAX);
    let answers = async { (recv.first().await.unwrap(), recv.first().await.unwrap()) };
    let (first, second) = tokio::time::timeout(LONG, answers).await.unwrap();
    let [first, second] = [first, second].map(|bytes| Frame::decode(&bytes).unwrap());
    assert!(matches!(first, Frame::Hello(_)));
    assert_eq!(second, Frame::Pong(77));
    raw.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_trickles_its_hello_is_closed_in_time() {
    let mut alice = Party::start(1).await;
    alice.net.trust(key(2).id(), Vec::new());
    let raw = raw(2).await;
    let connection = connect(&raw, &alice, ALPN_PEER).await;
    let began = Instant::now();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    let trickle = async {
        for byte in hello() {
            if send.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    };
    let (code, ()) = tokio::join!(closed(&connection), trickle);
    assert_eq!(code, u64::from(code::SLOW));
    assert!(began.elapsed() < limits::HELLO_TIMEOUT * 2);
    assert!(alice.heard_nothing());
    raw.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trust_that_ends_during_the_hello_ends_the_connection() {
    let mut alice = Party::start(1).await;
    let bob = key(2).id();
    let raw = raw(2).await;
    alice.net.trust(bob, vec![raw.bound_sockets()[0].to_string()]);
    let connection = raw.accept().await.unwrap().await.unwrap();
    let (mut send, recv) = connection.accept_bi().await.unwrap();
    // Alice is past her gates and has said hello herself.
    FrameStream::new(recv, limits::FRAME_BYTES_MAX).first().await.unwrap();
    alice.net.distrust(&bob, code::NOT_TRUSTED);
    send.write_all(&hello()).await.unwrap();
    assert_eq!(closed(&connection).await, u64::from(code::NOT_TRUSTED));
    assert!(alice.heard_nothing());
    raw.close().await;
    alice.stop().await;
}

/// Alice has dialed Bob, and a moment later Bob dials Alice.
async fn crossed(alices: u8, bobs: u8) {
    let mut alice = Party::start(alices).await;
    let (bob, raw) = (key(bobs).id(), raw(bobs).await);
    raw.set_alpns(vec![ALPN_PEER.to_vec()]);
    let port = raw.bound_sockets()[0].port();
    alice.net.trust(bob, vec![format!("127.0.0.1:{port}")]);
    let first = raw.accept().await.unwrap().await.unwrap();
    let (mut send, _recv) = first.accept_bi().await.unwrap();
    send.write_all(&hello()).await.unwrap();
    let link = alice.up(bob).await;
    let second = connect(&raw, &alice, ALPN_PEER).await;
    let (mut send, _recv) = second.open_bi().await.unwrap();
    send.write_all(&hello()).await.unwrap();
    if alice.id() < bob {
        assert_eq!(closed(&second).await, u64::from(code::DUPLICATE));
        assert!(first.close_reason().is_none());
    } else {
        assert_eq!(closed(&first).await, u64::from(code::SUPERSEDED));
        // The node hears of the end of one before it hears of the other.
        alice.down(link).await;
        assert!(alice.up(bob).await > link);
        assert!(second.close_reason().is_none());
    }
    raw.close().await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_dials_at_once_the_smaller_ids_stays() {
    crossed(1, 2).await;
    crossed(2, 1).await;
}
