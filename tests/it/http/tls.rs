//! The listener for other machines.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
};

use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};

use super::{caller::Caller, configure};
use crate::support::{Home, SOON, alice, http::Request, ports};

/// Puts a certificate for `box.test` and its key into the home.
fn certificate(home: &Home) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["box.test".to_owned()]).unwrap();
    fs::write(home.path().join("tls.crt"), made.cert.pem()).unwrap();
    fs::write(home.path().join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn listen(address: SocketAddr) -> String {
    format!(
        "[mcp]\nhosts = [\"box.test\"]\n[mcp.listen]\naddress = \"{address}\"\n\
         certificate = \"tls.crt\"\nkey = \"tls.key\""
    )
}

/// Sends a request over TLS, and reads until the end.
fn over_tls(address: SocketAddr, root: &CertificateDer<'static>, request: &Request) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("box.test").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    stream.write_all(&request.bytes()).unwrap();
    let mut answer = Vec::new();
    // It may end without a word of TLS.
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn other_machines_come_over_tls_alone_and_never_to_the_page() {
    let home = alice();
    let caller = Caller::new(&home, "remote");
    let root = certificate(&home);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::own()));
    assert!(!home.warnings().contains("other machines"));
    configure(&home, &listen(address));
    assert!(home.warnings().contains("clients of other machines can come"), "{}", home.warnings());
    let said = home.run(&["doctor"]).stdout;
    assert!(said.contains("other machines can come"), "{said}");
    let ask = |request: Request| over_tls(address, &root, &request);
    let hello = || caller.post(&caller.hello()).header("Host", "box.test");
    let answer = ask(hello());
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("protocolVersion"), "{answer}");
    let by_address = ask(hello().header("Host", &address.to_string()));
    assert!(by_address.starts_with("HTTP/1.1 200"), "{by_address}");
    assert!(ask(hello().without("Authorization")).starts_with("HTTP/1.1 401"));
    assert!(ask(hello().header("Host", "evil.example")).starts_with("HTTP/1.1 403"));
    for path in ["/", "/waiting", "/open", "/style.css", "/events", "/sse"] {
        let answer = ask(caller.request("GET", path).header("Host", "box.test"));
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    let mut plain = TcpStream::connect(address).unwrap();
    plain.set_read_timeout(Some(SOON)).unwrap();
    plain.write_all(&hello().bytes()).unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).ok();
    assert!(!answer.starts_with(b"HTTP"), "without TLS there is nothing");
}

#[test]
fn a_listener_whose_files_are_not_there_does_not_start_and_says_so() {
    let home = alice();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    configure(&home, &listen(address));
    let warnings = home.warnings();
    assert!(warnings.contains("cannot come") && warnings.contains("tls.crt"), "{warnings}");
    assert!(TcpStream::connect(address).is_err());
    Caller::new(&home, "local").begin();
}
