//! iroh without us: an endpoint with the product's transport settings, and one long-lived stream
//! of frames.

use std::time::{Duration, Instant};

use countersign::base::limits;
use iroh::{
    Endpoint, EndpointAddr, RelayConfig, RelayMap, RelayMode, RelayUrl, TransportAddr,
    endpoint::{
        Connection, PortmapperConfig, QuicTransportConfig, RecvStream, SendStream, presets,
    },
};
use tokio::sync::Semaphore;

pub(crate) const ALPN: &[u8] = b"countersign-bench/1";
/// As large as an envelope with a text of 1 KiB.
const ECHO_BYTES: usize = 1400;
/// A frame that the other end answers when its inbox is read.
const READ_ALL: &[u8] = b"read all";
/// A frame that makes the other end read all the time from then on.
const KEEP_READING: &[u8] = b"keep reading";

/// Names the relay by which both ends reach each other, where that is to be measured.
pub(crate) const RELAY: &str = "COUNTERSIGN_BENCH_RELAY";

fn relay() -> Option<RelayUrl> {
    std::env::var(RELAY).ok().map(|url| url.parse().unwrap())
}

/// As `net::endpoint` makes its own.
pub(crate) async fn endpoint() -> Endpoint {
    let transport = QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(32u32.into())
        .max_concurrent_uni_streams(0u32.into())
        .datagram_receive_buffer_size(None)
        .stream_receive_window(limits::STREAM_WINDOW_BYTES.into())
        .receive_window(limits::CONNECTION_WINDOW_BYTES.into())
        .send_window(limits::CONNECTION_WINDOW_BYTES.into())
        .default_path_max_idle_timeout(limits::PATH_IDLE_TIMEOUT)
        .default_path_keep_alive_interval(limits::PATH_KEEP_ALIVE)
        .build();
    let builder = Endpoint::builder(presets::Minimal)
        .alpns(vec![ALPN.to_vec()])
        .transport_config(transport)
        .portmapper_config(PortmapperConfig::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap();
    let Some(relay) = relay() else {
        return builder.relay_mode(RelayMode::Disabled).bind().await.unwrap();
    };
    let map: RelayMap = [RelayConfig::new(relay, None)].into_iter().collect();
    let endpoint = builder.relay_mode(RelayMode::Custom(map)).bind().await.unwrap();
    endpoint.online().await;
    endpoint
}

/// `id@address`, for another process.
pub(crate) fn address(endpoint: &Endpoint) -> String {
    match relay() {
        None => format!("{}@{}", endpoint.id(), endpoint.bound_sockets()[0]),
        Some(relay) => format!("{}@{relay}", endpoint.id()),
    }
}

/// One stream to the other end.
pub(crate) struct Stream {
    _connection: Connection,
    send: SendStream,
    recv: RecvStream,
    echoed: Vec<u8>,
}

/// What the other end asks for between its measurements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    ReadAll,
    KeepReading,
}

impl Stream {
    /// Dials an [`address`].
    pub(crate) async fn dial(endpoint: &Endpoint, to: &str) -> Self {
        let (id, place) = to.split_once('@').unwrap();
        let address = match place.parse() {
            Ok(socket) => TransportAddr::Ip(socket),
            Err(_) => TransportAddr::Relay(place.parse().unwrap()),
        };
        let address = EndpointAddr::from_parts(id.parse().unwrap(), [address]);
        let connection = endpoint.connect(address, ALPN).await.unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        Self { _connection: connection, send, recv, echoed: Vec::new() }
    }

    /// Accepts the other end's.
    pub(crate) async fn accept(endpoint: &Endpoint) -> Self {
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        let (send, recv) = connection.accept_bi().await.unwrap();
        Self { _connection: connection, send, recv, echoed: Vec::new() }
    }

    /// Sends everything back at once, but what is a wish only once it is granted.
    pub(crate) async fn echo<F: Future<Output = ()>>(mut self, grant: impl Fn(Wish) -> F) {
        while read(&mut self.recv, &mut self.echoed).await.is_some() {
            match self.echoed.as_slice() {
                READ_ALL => grant(Wish::ReadAll).await,
                KEEP_READING => grant(Wish::KeepReading).await,
                _ => {}
            }
            self.send.write_all(&framed(&self.echoed)).await.unwrap();
        }
    }

    /// How long a frame takes to the other end and back.
    pub(crate) async fn round_trip(&mut self) -> Duration {
        let frame = framed(&[7; ECHO_BYTES]);
        let begun = Instant::now();
        self.send.write_all(&frame).await.unwrap();
        read(&mut self.recv, &mut self.echoed).await.unwrap();
        begun.elapsed()
    }

    /// How many frames a second go to the other end and back, with so many on their way at once.
    pub(crate) async fn rate(&mut self, in_flight: usize, frames: usize) -> f64 {
        let frame = framed(&[7; ECHO_BYTES]);
        let places = Semaphore::new(in_flight);
        let begun = Instant::now();
        let sending = async {
            for _ in 0..frames {
                places.acquire().await.unwrap().forget();
                self.send.write_all(&frame).await.unwrap();
            }
        };
        let receiving = async {
            for _ in 0..frames {
                read(&mut self.recv, &mut self.echoed).await.unwrap();
                places.add_permits(1);
            }
        };
        tokio::join!(sending, receiving);
        f64::from(u32::try_from(frames).unwrap()) / begun.elapsed().as_secs_f64()
    }

    /// Asks the other end for something, and waits until it is done.
    pub(crate) async fn wish(&mut self, wish: Wish) {
        let frame = match wish {
            Wish::ReadAll => READ_ALL,
            Wish::KeepReading => KEEP_READING,
        };
        self.send.write_all(&framed(frame)).await.unwrap();
        read(&mut self.recv, &mut self.echoed).await.unwrap();
    }
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

async fn read(recv: &mut RecvStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut length = [0; 4];
    recv.read_exact(&mut length).await.ok()?;
    bytes.resize(usize::try_from(u32::from_be_bytes(length)).unwrap(), 0);
    recv.read_exact(bytes).await.ok()
}
