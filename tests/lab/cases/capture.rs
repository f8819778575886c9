//! What somebody in the middle, and the lookup server, get to know. In the default of internet mode
//! that is: no text, no name, no id, and no address published.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    str::FromStr as _,
    sync::Arc,
    thread,
    time::Duration,
};

use patchbay::{Nat, Router};
use rustix::process::{Pid, Signal, kill_process};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use crate::{
    outcome::Outcome,
    side::{Side, befriend},
    support::{Home, SOON, until},
    talk::Talk,
    world::{Wall, World},
};

/// Sent in the open, so that the capture is known to see what there is.
const PLAIN: &[u8] = b"a plain datagram for the capture to see";
/// Names that nothing else can contain by chance.
const NAMES: [&str; 2] = ["zebulonquartermain", "wilhelminathistle"];

/// Everything that passes a router's interfaces, into a file.
struct Capture {
    tcpdump: Child,
    file: std::path::PathBuf,
}

impl Capture {
    fn begin(router: &Router, folder: &Path) -> Self {
        let file = folder.join(format!("{}.pcap", router.name()));
        let mut command = Command::new("tcpdump");
        command.args(["-i", "any", "-U", "-s", "0", "-Z", "root", "-w"]).arg(&file);
        let tcpdump = router.spawn_command_sync({
            command.stdin(Stdio::null());
            command
        });
        let tcpdump = tcpdump.unwrap();
        // The file's header is written when it listens.
        until("tcpdump listens", SOON, || fs::metadata(&file).is_ok_and(|file| file.len() >= 24));
        Self { tcpdump, file }
    }

    fn end(mut self) -> Vec<u8> {
        let pid = Pid::from_raw(self.tcpdump.id().cast_signed()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        self.tcpdump.wait().unwrap();
        fs::read(&self.file).unwrap()
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

/// Whether a router's user can see what passes.
pub(crate) fn is_possible() -> bool {
    let mut command = Command::new("tcpdump");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
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
    if !is_possible() {
        let note = "NOT TESTED: no tcpdump".to_owned();
        return Outcome { note, ..Outcome::default() };
    }
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let wall = Wall::Nat(nat);
    let sides = NAMES.map(|name| {
        let (device, router) = world.elsewhere(&name[..4], &wall);
        let home = Home::empty(name, "mauve otter drifts past nine lanterns");
        Side::new(home, device, router, &world.network())
    });
    let captures = [0, 1].map(|n: usize| Capture::begin(&sides[n].router, folder.path()));
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
    thread::sleep(Duration::from_secs(2));
    let published = [&talk.alice, &talk.bob].map(|side| record(&talk.world, side));
    let secrets: Vec<(String, Vec<u8>)> = [&talk.alice, &talk.bob]
        .into_iter()
        .flat_map(|side| secrets(side))
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
