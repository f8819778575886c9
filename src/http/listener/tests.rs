use axum::{body::Body, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;
use crate::base::limits::HTTP_BODY_TIMEOUT;

const SOON: Duration = Duration::from_secs(30);

struct Served {
    port: u16,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

async fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port()
}

async fn serve() -> Served {
    let endless = async || Body::from_stream(futures_util::stream::pending::<io::Result<&[u8]>>());
    let large = async || vec![0_u8; LARGE_BYTES];
    let router = Router::new()
        .route("/", get(async || "here"))
        .route("/endless", get(endless))
        .route("/large", get(large));
    let listener = Listener::bind(Some(free_port().await)).await.unwrap();
    let served = Served {
        port: listener.port(),
        tasks: TaskTracker::new(),
        cancel: CancellationToken::new(),
    };
    listener.serve(&router, &served.tasks, &served.cancel);
    served
}

async fn ask(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

const LARGE_BYTES: usize = 64 << 20;

/// All that comes until the other side closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    // A reset is an end, too.
    stream.read_to_end(&mut all).await.ok();
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn both_addresses_of_localhost_answer_at_one_port() {
    let served = serve().await;
    let has_v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok();
    let addresses: &[IpAddr] = &[Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    for address in &addresses[..if has_v6 { 2 } else { 1 }] {
        let mut stream = TcpStream::connect((*address, served.port)).await.unwrap();
        ask(&mut stream, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        let answer = timeout(SOON, rest(stream)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
    }
}

#[tokio::test]
async fn a_port_whose_other_address_is_taken_is_left_for_the_next() {
    let Ok(taken) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else { return };
    let port = taken.local_addr().unwrap().port();
    let listener = Listener::bind(Some(port)).await.unwrap();
    assert_ne!(listener.port(), port);
    assert_eq!(listener.held(), Some(port), "it is known which one it was");
    let free = free_port().await;
    let listener = Listener::bind(Some(free)).await.unwrap();
    assert_eq!(listener.held().is_some(), listener.port() != free);
}

#[test]
fn a_remembered_port_comes_first_and_the_usual_ones_after_it() {
    let tried: Vec<u16> = ports(Some(9000)).collect();
    assert_eq!(tried.first(), Some(&9000));
    assert_eq!(tried.len(), 2 * (usize::from(PAGE_PORTS_TRIED) + 1));
    assert!(tried.contains(&PAGE_PORT));
    assert_eq!(ports(None).next(), Some(PAGE_PORT));
    assert_eq!(ports(Some(0)).next(), Some(PAGE_PORT));
    assert_eq!(ports(Some(u16::MAX)).nth(1), Some(PAGE_PORT));
}

#[tokio::test(start_paused = true)]
async fn headers_that_never_end_and_a_connection_that_says_nothing_are_closed() {
    let served = serve().await;
    for begun in ["GET / HTTP/1.1\r\nHost: x\r\nX-A: b", "", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, served.port)).await.unwrap();
        ask(&mut stream, begun).await;
        // The clock is not the wall's: nobody waits.
        timeout(HTTP_HEADER_TIMEOUT * 3, rest(stream)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_an_answer_is_left() {
    let served = serve().await;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, served.port)).await.unwrap();
    ask(&mut stream, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    // The clock is not the wall's: nobody waits.
    timeout(2 * HTTP_BODY_TIMEOUT, std::future::pending::<()>()).await.unwrap_err();
    let mut all = Vec::new();
    // A reset is an end, too.
    stream.read_to_end(&mut all).await.ok();
    assert!(all.starts_with(b"HTTP/1.1 200") && all.len() < LARGE_BYTES, "{}", all.len());
}

#[tokio::test]
async fn the_end_comes_soon_for_a_silent_connection_and_for_an_endless_answer() {
    let served = serve().await;
    let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, served.port));
    let silent = connect().await.unwrap();
    let mut endless = connect().await.unwrap();
    ask(&mut endless, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut first = [0; 12];
    endless.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    served.cancel.cancel();
    served.tasks.close();
    timeout(HTTP_CLOSE_TIMEOUT * 5, served.tasks.wait()).await.unwrap();
    timeout(SOON, rest(silent)).await.unwrap();
    timeout(SOON, rest(endless)).await.unwrap();
}
