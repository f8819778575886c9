//! What somebody in the middle, and the lookup server, get to know. In the default of internet mode
//! that is: no text, no name, no id, and no address published.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket},
    path::Path,
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

use patchbay::{Nat, Router};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    outcome::Outcome,
    side::{Side, befriend},
    support::{Home, SOON},
    talk::Talk,
    world::{Wall, World},
};

/// Sent in the open, so that the capture is known to see what there is.
const PLAIN: &[u8] = b"a plain datagram for the capture to see";
/// Names that nothing else can contain by chance.
const NAMES: [&str; 2] = ["zebulonquartermain", "wilhelminathistle"];

/// `ETH_P_ALL` of `if_ether.h`: every frame that comes or goes.
const ETH_P_ALL: u16 = 3;

/// Everything that passes a router's interfaces.
struct Capture {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Vec<u8>>>,
}

impl Capture {
    fn begin(router: &Router) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let (listens, is_listening) = mpsc::channel();
        let until = Arc::clone(&ends);
        let listen = move || {
            let protocol = Protocol::from(i32::from(ETH_P_ALL.to_be()));
            let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
            socket.set_recv_buffer_size(1 << 24)?;
            socket.set_read_timeout(Some(Duration::from_millis(100)))?;
            listens.send(())?;
            let (mut seen, mut frame) = (Vec::new(), vec![0; 65536]);
            while !until.load(Ordering::SeqCst) {
                // Silence is no error, and a link that went is none of ours.
                if let Ok(size) = socket.read(&mut frame) {
                    seen.extend_from_slice(&frame[..size]);
                }
            }
            Ok(seen)
        };
        let thread = router.spawn_thread(listen).unwrap();
        is_listening.recv().expect("a capture");
        Self { ends, thread }
    }

    /// All frames, one behind the other.
    fn end(self) -> Vec<u8> {
        self.ends.store(true, Ordering::SeqCst);
        self.thread.join().unwrap().unwrap()
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

/// Two people pair and talk directly, with a capture on the way out of both networks.
pub(super) fn capture_direct() -> Outcome {
    captured(Nat::Moderate, "direct")
}

/// The same through a relay.
pub(super) fn capture_relay() -> Outcome {
    captured(Nat::Strict, "relay")
}

fn captured(nat: Nat, path: &str) -> Outcome {
    let world = World::new();
    let wall = Wall::Nat(nat);
    let sides = NAMES.map(|name| {
        let (device, router) = world.elsewhere(&name[..4], &wall);
        let home = Home::empty(name, "mauve otter drifts past nine lanterns");
        Side::new(home, device, router, &world.network())
    });
    let captures = [0, 1].map(|n: usize| Capture::begin(&sides[n].router));
    let [alice, bob] = sides;
    befriend(&alice, &bob);
    let talk = Talk::between(world, alice, bob, path);
    let server = talk.world.lookup.ip;
    for side in [&talk.alice, &talk.bob] {
        let send = move || {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            Ok(socket.send_to(PLAIN, (server, 9)).map(drop)?)
        };
        side.device.spawn_thread(send).unwrap().join().unwrap().unwrap();
    }
    talk.flows();
    let published = [&talk.alice, &talk.bob].map(|side| record(&talk.world, side));
    let secrets: Vec<(String, Vec<u8>)> = [&talk.alice, &talk.bob]
        .into_iter()
        .flat_map(secrets)
        .chain([("a text".to_owned(), b"stream 1 number".to_vec())])
        .chain([("a text".to_owned(), b"stream 2 number".to_vec())])
        .collect();
    let mut outcome = talk.end();
    let mut bytes = 0;
    for capture in captures {
        let seen = capture.end();
        bytes += seen.len();
        assert!(contains(&seen, PLAIN), "the capture sees what there is");
        for (what, secret) in &secrets {
            assert!(!contains(&seen, secret), "{what} can be seen on the way");
        }
    }
    outcome.note = format!(
        "captures of {} KiB without a text, a name or an id; records of {} and {} bytes without an \
         address",
        bytes / 1024,
        published[0],
        published[1]
    );
    outcome
}

/// What nobody on the way may see, in each form that it could have.
fn secrets(side: &Side) -> Vec<(String, Vec<u8>)> {
    let name = side.home.name;
    let id = side.home.id();
    let key = iroh::EndpointId::from_str(&id).unwrap();
    vec![
        (format!("the name {name}"), name.as_bytes().to_vec()),
        (format!("{name}'s id"), id.into_bytes()),
        (format!("{name}'s id in base 32"), key.to_z32().into_bytes()),
        (format!("{name}'s key"), key.as_bytes().to_vec()),
    ]
}

/// The record that the lookup server has of a home: it names a relay and no address. Gives its size.
fn record(world: &World, side: &Side) -> usize {
    let key = iroh::EndpointId::from_str(&side.home.id()).unwrap().to_z32();
    let (server, roots) = (world.lookup.ip, world.roots());
    let fetch = move || Ok(get(server, &roots, &format!("/pkarr/{key}")));
    let bytes = world.lookup.device.spawn_thread(fetch).unwrap().join().unwrap().unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 200"), "there is a record");
    assert!(contains(&bytes, b"relay=https://"), "the record names a relay");
    assert!(!contains(&bytes, b"addr="), "the record has an address");
    let ips = [side.device.ip(), side.router.uplink_ip(), side.router.downstream_gw()];
    for ip in ips.into_iter().flatten() {
        assert!(!contains(&bytes, ip.to_string().as_bytes()), "the record has {ip}");
        assert!(!contains(&bytes, &ip.octets()), "the record has {ip}");
    }
    bytes.len()
}

/// What a server with TLS answers.
fn get(server: Ipv4Addr, roots: &Path, path: &str) -> Vec<u8> {
    let mut trusted = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(roots).unwrap() {
        trusted.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let name = ServerName::IpAddress(IpAddr::from(server).into());
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect((server, 443)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok(); // It may end without a word of TLS.
    answer
}
