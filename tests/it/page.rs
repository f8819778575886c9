//! The page of real nodes, over real sockets: what a browser and an attacker on this machine get.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use countersign::{
    ipc::Client,
    node::{
        api::{HumanRequest, PageLink, Request},
        config::Home as Place,
    },
};

use crate::support::{Home, SOON, alice, until};

/// A link to the page, as its human asks for it.
fn link(home: &Home) -> PageLink {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = Client::connect(&Place::at(home.path()).unwrap()).await.unwrap();
        client.ask(Request::Human(HumanRequest::PageLink)).await.unwrap()
    })
}

/// The page's port, and the code that opens it once.
fn way_in(home: &Home) -> (u16, String) {
    let url = link(home).url;
    let (origin, code) = url.split_once("/open#").unwrap();
    let port = origin.strip_prefix("http://localhost:").unwrap().parse().unwrap();
    (port, code.to_owned())
}

/// Sends `head` and a body as they are, and reads until the other side closes.
fn raw(address: IpAddr, port: u16, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect((address, port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let length = body.len();
    let text = format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

struct Browser {
    port: u16,
    cookie: String,
}

impl Browser {
    fn open(home: &Home) -> Self {
        let (port, code) = way_in(home);
        let browser = Self { port, cookie: String::new() };
        let answer = browser.post("/open", &format!("code={code}&origin_key=0"));
        assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let again = browser.post("/open", &format!("code={code}&origin_key=0"));
        assert!(again.starts_with("HTTP/1.1 403"), "a code opens once: {again}");
        Self { cookie, ..browser }
    }

    fn get(&self, path: &str) -> String {
        let (port, cookie) = (self.port, &self.cookie);
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {cookie}");
        raw(Ipv4Addr::LOCALHOST.into(), port, &head, "")
    }

    fn post(&self, path: &str, body: &str) -> String {
        let (port, cookie) = (self.port, &self.cookie);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nCookie: {cookie}"
        );
        raw(Ipv4Addr::LOCALHOST.into(), port, &head, body)
    }

    /// The session's token, as every form of it has it.
    fn csrf(&self) -> String {
        let page = self.get("/peers");
        let after = page.split("name=\"csrf\" value=\"").nth(1).unwrap();
        after.split('"').next().unwrap().to_owned()
    }
}

#[test]
fn a_link_opens_every_page_of_a_real_node() {
    let alice = alice();
    let browser = Browser::open(&alice);
    for path in ["/waiting", "/conversations", "/search?q=hello", "/peers", "/evidence"] {
        let page = browser.get(path);
        assert!(page.starts_with("HTTP/1.1 200"), "{path}: {page}");
    }
    let export = browser.get("/evidence/export");
    assert!(export.contains("{\"verified\":{\"checkpoints\":"), "{export}");
    let bad =
        browser.post("/unlock", &format!("csrf={}&origin_key=0&passphrase=wrong", browser.csrf()));
    assert!(bad.starts_with("HTTP/1.1 303"), "{bad}");
    assert!(browser.get("/waiting").contains("4 tries are left"));
}

#[test]
fn a_page_answers_to_its_own_name_alone() {
    let alice = alice();
    let (port, _) = way_in(&alice);
    let has_v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let v6 = has_v6.then_some(IpAddr::from(Ipv6Addr::LOCALHOST));
    for address in [Some(IpAddr::from(Ipv4Addr::LOCALHOST)), v6].into_iter().flatten() {
        let own = raw(address, port, &format!("GET / HTTP/1.1\r\nHost: localhost:{port}"), "");
        assert!(own.starts_with("HTTP/1.1 401"), "{own}");
        for host in ["evil.example", &format!("evil.example:{port}"), &format!("127.0.0.1:{port}")]
        {
            let other = raw(address, port, &format!("GET / HTTP/1.1\r\nHost: {host}"), "");
            assert!(other.starts_with("HTTP/1.1 421"), "{host}: {other}");
        }
    }
}

#[test]
fn ten_megabytes_are_refused_before_they_are_kept() {
    let alice = alice();
    let browser = Browser::open(&alice);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, browser.port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let (port, cookie) = (browser.port, &browser.cookie);
    let head = format!(
        "POST /peers/invite HTTP/1.1\r\nHost: localhost:{port}\r\n\
         Origin: http://localhost:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Cookie: {cookie}\r\nContent-Length: 10000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The node stops reading long before the end.
    for _ in 0..10_000_000 / 10_000 {
        if stream.write_all(&[b'x'; 10_000]).is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    // A reset may overtake the answer; what counts is that the node goes on.
    if stream.read_exact(&mut answer).is_ok() {
        assert_eq!(&answer, b"HTTP/1.1 413");
    }
    assert!(browser.get("/peers").starts_with("HTTP/1.1 200"));
}

#[test]
fn the_port_stays_and_the_session_does_not_when_the_node_starts_again() {
    let alice = alice();
    let browser = Browser::open(&alice);
    let mut events = TcpStream::connect((Ipv4Addr::LOCALHOST, browser.port)).unwrap();
    let (port, cookie) = (browser.port, &browser.cookie);
    let head =
        format!("GET /events HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {cookie}\r\n\r\n");
    events.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 12];
    events.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let since = Instant::now();
    alice.stop();
    assert!(since.elapsed() < Duration::from_secs(5), "an open page keeps no node from ending");
    alice.start();
    let served = until("the page is served again", SOON, || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok().then(|| way_in(&alice).0)
    });
    assert_eq!(served, port);
    assert!(browser.get("/waiting").starts_with("HTTP/1.1 401"));
}

#[test]
fn a_port_that_somebody_else_took_is_told_in_status_and_by_the_doctor() {
    let alice = alice();
    let (port, _) = way_in(&alice);
    alice.stop();
    // Where this fails, somebody else has it already.
    let _holder = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    alice.start();
    let (other, _) = way_in(&alice);
    assert_ne!(other, port);
    let doctor = alice.run(&["doctor", "--json"]).stdout;
    for told in [alice.warnings(), doctor.to_lowercase()] {
        assert!(told.contains(&format!("port {port} is held by another program")), "{told}");
        assert!(told.contains(&format!("http://localhost:{other}")), "{told}");
        assert!(told.contains("old tab or bookmark"), "{told}");
    }
}
