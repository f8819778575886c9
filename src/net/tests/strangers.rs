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
