//! Links that come back soon.

use std::time::Duration;

use tokio::time::Instant;

use super::support::{Party, key, until};
use crate::{
    base::limits,
    net::{code, frozen},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_that_goes_nowhere_does_not_hold_up_one_that_may_succeed() {
    let (mut alice, mut bob) = (Party::start(1).await, Party::start(2).await);
    // Nobody answers there.
    let hole = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    bob.net.trust(alice.id(), Vec::new());
    alice.net.trust(bob.id(), vec![hole.local_addr().unwrap().to_string()]);
    let mut packet = [0; 2048];
    hole.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    hole.recv_from(&mut packet).expect("she dials");
    let began = Instant::now();
    alice.net.learn(&bob.id(), bob.net.addresses());
    alice.up(bob.id()).await;
    bob.up(alice.id()).await;
    println!("linked {:?} after the news", began.elapsed());
    assert!(began.elapsed() < limits::CONNECT_TIMEOUT / 2);
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_lives_is_kept_when_we_wake() {
    let (mut alice, mut bob) = (Party::start(1).await, Party::start(2).await);
    bob.net.trust(alice.id(), Vec::new());
    alice.trust(&bob);
    let link = alice.up(bob.id()).await;
    bob.up(alice.id()).await;
    frozen::wake(&alice.net.shared).await;
    tokio::time::sleep(limits::WAKE_TIMEOUT + Duration::from_millis(500)).await;
    let connection = alice.net.shared.links.connection(bob.id()).unwrap();
    assert_eq!(connection.close_reason(), None);
    // And it is still the first one.
    alice.net.close(&bob.id(), link, code::BYE);
    alice.down(link).await;
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_whose_other_end_is_gone_is_closed_soon_after_we_wake() {
    let mut alice = Party::start(1).await;
    alice.net.trust(key(2).id(), Vec::new());
    let (mut child, _) = super::death::another_process(&alice).await;
    let link = alice.up(key(2).id()).await;
    child.kill().await.unwrap();
    let began = Instant::now();
    frozen::wake(&alice.net.shared).await;
    alice.down(link).await;
    println!("closed {:?} after waking", began.elapsed());
    assert!(began.elapsed() < limits::WAKE_TIMEOUT + Duration::from_secs(1));
    until(|| alice.net.path(&key(2).id()).is_none()).await;
    alice.stop().await;
}
