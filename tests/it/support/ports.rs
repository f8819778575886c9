//! TCP ports for the tests' own servers. A port that the system chooses can be given to somebody
//! else while the node that had it is stopped: another listener, or a connection that goes out. These
//! are below all ports that the system chooses from, and each is given once.

use std::{
    net::{Ipv4Addr, Ipv6Addr, TcpListener},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Above the page's usual port and those after it, and below 32,768, where Linux begins to choose.
const FIRST: u16 = 10_000;
const COUNT: u16 = 10_000;
/// A node whose port is taken goes on to the next one, which is nobody's own.
const APART: u16 = 2;
/// How far apart two processes begin that were started one after the other. It has no factor in
/// common with [`COUNT`].
const STEP: u32 = 7_001;

static GIVEN: AtomicU32 = AtomicU32::new(0);

/// A port that nobody has on either address of `localhost`, and that no other test is given.
pub(crate) fn own() -> u16 {
    let begin = process::id() % u32::from(COUNT) * STEP;
    for _ in 0..COUNT {
        let nth = (begin + GIVEN.fetch_add(1, Ordering::Relaxed)) % u32::from(COUNT);
        let port = FIRST + APART * u16::try_from(nth).unwrap();
        let six = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
        // A machine may have no such address at all.
        let taken = six.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
        if !taken && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {FIRST} on is free");
}

#[test]
fn a_port_is_given_once_and_is_nobodys() {
    let first = own();
    let next = FIRST + (first - FIRST + APART) % (APART * COUNT);
    let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, next));
    let others: Vec<u16> = (0..50).map(|_| own()).collect();
    let range = FIRST..FIRST + APART * COUNT;
    assert!(others.iter().all(|port| range.contains(port) && port % APART == 0), "{others:?}");
    assert!(!others.contains(&first) && !others.contains(&next), "{first} {others:?}");
    let mut once = others.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), others.len());
}
