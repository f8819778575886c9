//! A peer that dies without a word. Only a process of its own can be killed like that.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::{Instant, timeout},
};

use super::{
    pairing::knock,
    support::{LONG, Party, key},
};
use crate::{
    base::{PeerId, limits},
    net::NetEvent,
};

/// Set in the process that is to die: whom it trusts, and where.
const TRUSTED: &str = "COUNTERSIGN_TEST_TRUSTED";

/// Not a test by itself: the life of the peer that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_in_another_process() {
    let Ok(trusted) = std::env::var(TRUSTED) else { return };
    let (id, address) = trusted.split_once(' ').unwrap();
    let mut bob = Party::start(2).await;
    let alice: PeerId = id.parse().unwrap();
    bob.net.trust(alice, vec![address.to_owned()]);
    bob.net.allow_pairing(true);
    bob.up(alice).await;
    println!("\nport {}", bob.net.port());
    // Killed long before.
    tokio::time::sleep(LONG).await;
}

pub(super) async fn another_process(alice: &Party) -> (Child, u16) {
    let trusted = format!("{} 127.0.0.1:{}", alice.id(), alice.net.port());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "net::tests::death::a_life_in_another_process"])
        .env(TRUSTED, trusted)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it tells its port");
            if let Some(port) = line.strip_prefix("port ") {
                return port.parse().unwrap();
            }
        }
    };
    let port = timeout(LONG, port).await.expect("in time");
    (child, port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_died_is_noticed_and_linked_again_when_it_comes_back() {
    let mut alice = Party::start(1).await;
    let bob = key(2).id();
    alice.net.trust(bob, Vec::new());
    let (mut child, port) = another_process(&alice).await;
    let first = alice.up(bob).await;
    alice.net.learn(&bob, vec![format!("127.0.0.1:{port}")]);
    let began = Instant::now();
    child.kill().await.unwrap();
    alice.down(first).await;
    let noticed = began.elapsed();
    println!("noticed after {noticed:?}");
    // Silent it was for a moment before, and a second more is for a busy machine.
    assert!(noticed > limits::PONG_TIMEOUT, "no goodbye was said");
    assert!(noticed < limits::PING_AFTER + limits::PONG_TIMEOUT + Duration::from_secs(1));
    // Bob comes back, and dials nobody: it is Alice who finds him.
    let back = Party::start_at(2, port).await;
    assert_eq!(back.net.port(), port);
    back.net.trust(alice.id(), Vec::new());
    let second = alice.up(bob).await;
    println!("linked again after {:?}", began.elapsed());
    assert!(second > first);
    alice.stop().await;
    back.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_comes_back_at_once_is_not_locked_out_by_its_former_life() {
    let mut alice = Party::start(1).await;
    let bob = key(2).id();
    alice.net.trust(bob, Vec::new());
    let (mut child, port) = another_process(&alice).await;
    let first = alice.up(bob).await;
    child.kill().await.unwrap();
    let mut back = Party::start_at(2, port).await;
    let began = Instant::now();
    back.trust(&alice);
    back.up(alice.id()).await;
    let second = alice.up(bob).await;
    println!("back after {:?}", began.elapsed());
    assert!(second > first && began.elapsed() < Duration::from_secs(2));
    alice.stop().await;
    back.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pairing_whose_other_side_died_ends_long_before_quic_gives_it_up() {
    let mut alice = Party::start(1).await;
    let bob = key(2).id();
    alice.net.trust(bob, Vec::new());
    let (mut child, port) = another_process(&alice).await;
    alice.up(bob).await;
    alice.net.pair_dial(bob, vec![format!("127.0.0.1:{port}")], None);
    let link = loop {
        if let NetEvent::PairUp { link, .. } = alice.next().await {
            break link;
        }
    };
    // Who dials and says nothing is closed sooner, at `HELLO_TIMEOUT`.
    alice.net.pair_send(&bob, link, knock()).unwrap();
    // It is not given up while it lives, however little is said.
    let silent = timeout(limits::PAIR_SILENCE * 2, alice.events.recv()).await;
    assert!(silent.is_err(), "{silent:?}");
    let began = Instant::now();
    child.kill().await.unwrap();
    let down = async { while !matches!(alice.next().await, NetEvent::PairDown { .. }) {} };
    timeout(limits::PAIR_SILENCE * 2 + Duration::from_secs(2), down).await.expect("in time");
    println!("noticed after {:?}", began.elapsed());
    alice.stop().await;
}
