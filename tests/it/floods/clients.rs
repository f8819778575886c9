//! Clients on this machine that take their time: at the socket and at the page's port.

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use super::measure::{Bounds, MEMORY, check, send, sized};
use crate::support::{Home, pairing::friends, require::slow};

const MIB: u64 = 1024 * 1024;
/// Clients at the socket, and what each asks for; in the long form the second.
const LOCAL: (usize, usize) = (4, 128);
const ASKED: (usize, usize) = (1, 2);

fn page_port(home: &Home) -> u16 {
    let config: toml::Table =
        fs::read_to_string(home.path().join("config.toml")).unwrap().parse().unwrap();
    u16::try_from(config["page"]["port"].as_integer().unwrap()).unwrap()
}

/// Reads a byte a second of each, for `time`.
fn read_slowly<S: std::io::Read>(streams: &mut [S], time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        for stream in &mut *streams {
            stream.read_exact(&mut [0]).ok(); // The node may have closed it.
        }
        thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn clients_that_read_a_byte_a_second_hold_up_nobody_else() {
    if !slow() {
        return;
    }
    let (alice, bob) = friends();
    let big = "x".repeat(4000);
    for number in 0..100 {
        send(&bob, "alice", format!("{number} {big}")).unwrap();
    }
    alice.received_text("99 x");
    let time = Duration::from_secs(if sized(0, 1) == 1 { 60 } else { 4 });
    // Each holds what it asked for, of half a megabyte, until it loses its connection.
    let asked = sized(LOCAL.0, LOCAL.1) * sized(ASKED.0, ASKED.1);
    let memory = MEMORY + MIB / 2 * u64::try_from(asked).unwrap();
    let bounds = Bounds { memory, disk: 4 * MIB, pending: 0, alerts: 0 };
    check("clients that read a byte a second", (&alice, &bob), &bounds, || {
        let asked = r#"{"id":1,"request":{"agent":"inbox","from":null,"thread":null,"query":null,"unread":false,"reply_to":null,"limit":100,"cursor":null,"mark_read":false}}"#;
        // A build without optimisation opens a page of sealed messages in a fifth of a second and
        // more: a few fill a socket as well as many do.
        let mut local: Vec<UnixStream> = (0..sized(LOCAL.0, LOCAL.1))
            .map(|_| {
                let mut stream = UnixStream::connect(alice.path().join("node.sock")).unwrap();
                stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
                writeln!(stream, r#"{{"hello":1,"role":"client","pid":1,"cwd":"/"}}"#).unwrap();
                for _ in 0..sized(ASKED.0, ASKED.1) {
                    writeln!(stream, "{asked}").unwrap();
                }
                stream
            })
            .collect();
        let mut page: Vec<TcpStream> = (0..sized(40, 128))
            .map(|_| {
                let mut stream = TcpStream::connect(("127.0.0.1", page_port(&alice))).unwrap();
                stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
                // A request whose headers never end.
                stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ").ok();
                stream
            })
            .collect();
        thread::scope(|scope| {
            scope.spawn(|| read_slowly(&mut local, time));
            scope.spawn(|| read_slowly(&mut page, time));
        });
    });
    alice.json(&["whoami"]);
}
