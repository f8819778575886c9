//! Alice, Bob and Mallory: nets of their own, and a raw endpoint that follows no rules.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use iroh::{
    Endpoint, EndpointAddr, EndpointId, RelayMode, SecretKey,
    endpoint::{Connection, ConnectionError, PortmapperConfig, presets},
};
use iroh_relay::server::{
    Access, AccessControl, CertConfig, ClientRequest, RelayConfig, Server, ServerConfig, TlsConfig,
};
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::PrivateKeyDer;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    base::{ApproverId, MessageId, MessageText, PeerId, Secret, Timestamp, limits},
    gate,
    identity::{ApproverKey, IdentityKey},
    net::{
        Inbound, LinkId, NetConfig, NetEvent, NetSettings, Outbound, Reach, RelayState,
        address::AddressRules, endpoint, gates::Gate, handle::Net, pq, shared::Shared,
        slots::Slots,
    },
    wire::{ALPN_PEER, Body, Draft, Frame, Header, Hello, Kind, Run, frame},
};

/// Longer than any test waits when all is well.
pub(super) const LONG: Duration = Duration::from_secs(25);

/// A relay on this machine, at a port that it keeps.
pub(super) struct Relay {
    scheme: &'static str,
    port: u16,
    server: Option<Server>,
}

/// Lets everybody in, or nobody.
#[derive(Debug)]
struct Door(bool);

impl AccessControl for Door {
    async fn on_connect(&self, _request: &ClientRequest) -> Access {
        if self.0 {
            Access::Allow
        } else {
            Access::Deny { reason: Some("members\nonly".to_owned()) }
        }
    }
}

impl Relay {
    /// A port where none runs yet.
    pub(super) fn down() -> Self {
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self { scheme: "http", port: socket.local_addr().unwrap().port(), server: None }
    }

    /// A relay that runs.
    pub(super) async fn up() -> Self {
        let mut relay = Self::down();
        relay.start(true).await;
        relay
    }

    /// Runs it, for everybody or nobody.
    pub(super) async fn start(&mut self, everybody: bool) {
        let mut config = RelayConfig::new((Ipv4Addr::LOCALHOST, self.port));
        config.access = Arc::new(Door(everybody));
        let mut server = ServerConfig::default();
        server.relay = Some(config);
        self.server = Some(Server::spawn(server).await.unwrap());
    }

    /// Runs it with TLS, at another port, and gives the certificate (PEM) of its CA.
    pub(super) async fn start_tls(&mut self) -> String {
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let signer = rcgen::KeyPair::generate().unwrap();
        let root = authority.self_signed(&signer).unwrap().pem();
        let issuer = rcgen::Issuer::new(authority, signer);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server_config = rustls::ServerConfig::builder_with_provider(pq::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)
            .unwrap();
        let tls = TlsConfig::new((Ipv4Addr::LOCALHOST, 0), CertConfig::Manual { server_config });
        let mut config = RelayConfig::new((Ipv4Addr::LOCALHOST, self.port));
        config.tls = Some(tls);
        let mut server = ServerConfig::default();
        server.relay = Some(config);
        let server = Server::spawn(server).await.unwrap();
        (self.port, self.scheme) = (server.https_addr().unwrap().port(), "https");
        self.server = Some(server);
        root
    }

    /// Ends it.
    pub(super) async fn die(&mut self) {
        let server = self.server.take().expect("it runs");
        timeout(LONG, server.shutdown()).await.unwrap().ok();
    }

    /// Its URL.
    pub(super) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/", self.scheme, self.port)
    }

    /// Settings that name these.
    pub(super) fn settings(relays: &[&Self]) -> NetSettings {
        let relays = Some(relays.iter().map(|relay| relay.url()).collect());
        NetSettings { relays, ..NetSettings::default() }
    }
}

/// One person's node, as far as the net goes.
pub(super) struct Party {
    pub(super) net: Net,
    pub(super) key: IdentityKey,
    pub(super) events: mpsc::Receiver<NetEvent>,
    pub(super) tasks: TaskTracker,
    pub(super) cancel: CancellationToken,
}

/// A human's key, the same for everybody: the net does not look at it.
pub(super) fn approver() -> ApproverId {
    ApproverKey::from_seed(&Secret::new([9; 32])).id()
}

/// The key made of `seed`.
pub(super) fn key(seed: u8) -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([seed; 32]))
}

impl Party {
    /// Starts one, on any port.
    pub(super) async fn start(seed: u8) -> Self {
        Self::start_at(seed, 0).await
    }

    /// Starts one.
    pub(super) async fn start_at(seed: u8, port: u16) -> Self {
        Self::start_with(seed, port, NetSettings::default()).await
    }

    /// Starts one that can be reached through these relays alone: it has no UDP socket.
    pub(super) async fn relay_only(seed: u8, relays: &[&Relay]) -> Self {
        let (sender, events) = mpsc::channel(limits::NET_QUEUE_EVENTS);
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let config = Self::config(seed, 0, Relay::settings(relays));
        let rules = AddressRules::of(config.reach, &config.settings).unwrap();
        let gate = Gate::new(false);
        let builder = endpoint::builder(&config, &rules, &gate, 0).unwrap();
        let endpoint = builder.clear_ip_transports().bind().await.unwrap();
        let slots = (None, tasks.clone(), cancel.clone());
        let slots = Slots::new(&endpoint, &rules, &config.settings, slots).unwrap();
        let runtime = (tasks.clone(), cancel.child_token(), sender);
        let shared = Shared::new(endpoint, rules, gate, config.approver, runtime);
        let net = Net::serve(shared, config.settings, slots, None);
        Self { net, key: key(seed), events, tasks, cancel }
    }

    fn config(seed: u8, port: u16, settings: NetSettings) -> NetConfig {
        let (seed, approver) = (Secret::new([seed; 32]), Some(approver()));
        NetConfig { seed, approver, reach: Reach::Loopback, settings, port }
    }

    /// Starts one with settings.
    pub(super) async fn start_with(seed: u8, port: u16, settings: NetSettings) -> Self {
        let (sender, events) = mpsc::channel(limits::NET_QUEUE_EVENTS);
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let config = Self::config(seed, port, settings);
        let net = Net::start(config, &tasks, &cancel, sender).await.unwrap();
        Self { net, key: key(seed), events, tasks, cancel }
    }

    /// Waits until it is at home at `relay`.
    pub(super) async fn at_home(&self, relay: &Relay) {
        let url = relay.url();
        let there = |state: &RelayState| state.url == url && state.home && state.connected;
        until(|| self.net.relays().iter().any(there)).await;
    }

    /// Its id.
    pub(super) fn id(&self) -> PeerId {
        self.net.id()
    }

    /// Trusts and knows where.
    pub(super) fn trust(&self, other: &Self) {
        self.net.trust(other.id(), other.net.addresses());
    }

    /// The next event.
    pub(super) async fn next(&mut self) -> NetEvent {
        timeout(LONG, self.events.recv()).await.expect("an event in time").expect("the net runs")
    }

    /// Waits for the link with `peer`, whatever comes before.
    pub(super) async fn up(&mut self, peer: PeerId) -> LinkId {
        self.hello(peer).await.0
    }

    /// Waits for the link with `peer`, and gives what it said of itself beside what all say.
    pub(super) async fn hello(&mut self, peer: PeerId) -> (LinkId, Vec<String>) {
        loop {
            if let NetEvent::LinkUp { peer: who, link, hello } = self.next().await
                && who == peer
            {
                assert_eq!(hello.approver, approver());
                assert!(hello.version().is_some() == hello.run().is_some());
                let own = |text: &String| !text.starts_with("v=") && !text.starts_with("run=");
                return (link, hello.features.into_iter().filter(own).collect());
            }
        }
    }

    /// Waits for the end of `link`, whatever comes before.
    pub(super) async fn down(&mut self, link: LinkId) {
        loop {
            if matches!(self.next().await, NetEvent::LinkDown { link: which, .. } if which == link)
            {
                return;
            }
        }
    }

    /// Nothing is waiting to be told.
    pub(super) fn heard_nothing(&mut self) -> bool {
        self.events.try_recv().is_err()
    }

    /// A message to `peer`, approved as the policy says.
    pub(super) fn message(&self, peer: PeerId, seq: u64, text: &str) -> Outbound {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&seq.to_be_bytes());
        let header = Header {
            kind: Kind::Text,
            id: MessageId::from_bytes(id),
            sender: self.id(),
            recipient: peer,
            created: Timestamp::from_ms(1_000),
            expires: Timestamp::from_ms(2_000),
            thread: None,
            reply_to: None,
            human: false,
            session: None,
        };
        let body = Body::Text(MessageText::parse(text).unwrap());
        let envelope = Draft { header, body }.seal(&self.key).unwrap();
        let envelope = gate::unasked(envelope);
        Outbound::Data { seq, envelope }
    }

    /// The next `count` frames of `link`, in their order.
    pub(super) async fn frames(&mut self, link: LinkId, count: usize) -> Vec<Inbound> {
        let mut all = Vec::new();
        while all.len() < count {
            if let NetEvent::Frames { link: which, frames, .. } = self.next().await {
                assert_eq!(which, link);
                assert!(frames.len() <= limits::NET_BATCH_FRAMES);
                all.extend(frames);
            }
        }
        all
    }

    /// Says goodbye, and waits until every task has ended.
    pub(super) async fn stop(self) {
        self.net.shutdown().await;
        self.tasks.close();
        timeout(LONG, self.tasks.wait()).await.expect("every task ends");
        assert!(!self.cancel.is_cancelled(), "the token is the daemon's");
    }
}

/// Waits until `test` holds.
pub(super) async fn until(test: impl Fn() -> bool) {
    let poll = async {
        while !test() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, poll).await.expect("it comes to hold");
}

/// Waits until `test` holds.
pub(super) async fn until_async(test: impl AsyncFn() -> bool) {
    let poll = async {
        while !test().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, poll).await.expect("it comes to hold");
}

/// An endpoint that nobody keeps to the rules. Its keys are exchanged by elliptic curves alone.
pub(super) async fn raw(seed: u8) -> Endpoint {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    Endpoint::builder(presets::Empty)
        .crypto_provider(Arc::new(provider))
        .alpns(vec![ALPN_PEER.to_vec()])
        .secret_key(SecretKey::from_bytes(&[seed; 32]))
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap()
        .bind()
        .await
        .unwrap()
}

/// Dials `party` from a raw endpoint.
pub(super) async fn connect(from: &Endpoint, party: &Party, alpn: &[u8]) -> Connection {
    let id = EndpointId::from_bytes(party.id().as_bytes()).unwrap();
    let address = format!("127.0.0.1:{}", party.net.port()).parse().unwrap();
    let address = EndpointAddr::new(id).with_ip_addr(address);
    timeout(LONG, from.connect(address, alpn)).await.unwrap().unwrap()
}

/// The code that the other side closed with.
pub(super) async fn closed(connection: &Connection) -> u64 {
    match timeout(LONG, connection.closed()).await.expect("it is closed") {
        ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("{other}"),
    }
}

/// A frame with its length.
pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

/// A hello that nothing is wrong with.
pub(super) fn hello() -> Vec<u8> {
    hello_with(Vec::new())
}

/// The same of a run.
pub(super) fn hello_of(run: u64) -> Vec<u8> {
    hello_with(vec![Hello::own_version(), Run(run).feature()])
}

fn hello_with(features: Vec<String>) -> Vec<u8> {
    let hello = Hello { approver: approver(), features, addresses: Vec::new() };
    framed(&frame::Frame::Hello(hello).encode())
}

/// An acknowledgement that nothing is wrong with.
pub(super) fn ack(upto: u64) -> Vec<u8> {
    framed(&Frame::Ack { upto, receipt: None }.encode())
}
