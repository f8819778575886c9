//! The servers of a lab: relays, a lookup, an HTTP proxy. Each lives in a device's namespace.

use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use iroh_dns_server::config::{CertMode, Config, MetricsConfig};
use iroh_relay::server as relay_server;
use patchbay::Device;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

/// Where the proxy listens.
pub(crate) const PROXY_PORT: u16 = 3128;

/// A server's life.
pub(crate) struct Running {
    kill: mpsc::Sender<()>,
    thread: Mutex<Option<JoinHandle<anyhow::Result<()>>>>,
}

impl Running {
    /// Starts `serve` on a thread in the namespace of `device`. What it gives lives until the end.
    fn start<S, F>(device: &Device, serve: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = S> + Send + 'static,
    {
        let (kill, mut killed) = mpsc::channel(1);
        let (ready, is_ready) = oneshot::channel();
        let life = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let server = serve().await;
                ready.send(()).unwrap();
                killed.recv().await;
                drop(server);
            });
            // All its tasks end here, and all its sockets with them, as with a process.
            drop(runtime);
            Ok(())
        };
        let thread = Mutex::new(Some(device.spawn_thread(life).unwrap()));
        is_ready.blocking_recv().expect("a server that starts");
        Self { kill, thread }
    }

    /// Ends it, and waits until it has.
    pub(crate) fn kill(&self) {
        self.kill.blocking_send(()).unwrap();
        let thread = self.thread.lock().unwrap().take();
        thread.expect("a server that runs").join().unwrap().unwrap();
    }
}

/// Signs the servers' certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for an address, and its key.
    fn pem_of(&self, ip: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![ip.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn tls(&self, ip: Ipv4Addr) -> rustls::ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![ip.to_string()]).unwrap();
        let chain: Vec<CertificateDer<'static>> =
            vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }
}

/// A relay with TLS at port 443, and address discovery over QUIC at its usual port.
pub(crate) fn relay(device: &Device, authority: &Authority) -> Running {
    let any = Ipv4Addr::UNSPECIFIED;
    let server_config = authority.tls(device.ip().unwrap());
    let cert = relay_server::CertConfig::Manual { server_config };
    let mut config = relay_server::RelayConfig::new((any, 80));
    config.tls = Some(relay_server::TlsConfig::new((any, 443), cert));
    let mut server = relay_server::ServerConfig::default();
    server.relay = Some(config);
    let mut quic =
        relay_server::QuicConfig::new((any, iroh_relay::defaults::DEFAULT_RELAY_QUIC_PORT));
    quic.server_config = Some(authority.tls(device.ip().unwrap()));
    server.quic = Some(quic);
    Running::start(device, async move || relay_server::Server::spawn(server).await.unwrap())
}

/// A server of pkarr records and DNS, with TLS at port 443.
pub(crate) fn lookup(device: &Device, authority: &Authority, folder: &Path) -> Running {
    let ip = device.ip().unwrap().to_string();
    let (chain, key) = authority.pem_of(&ip);
    let certificates = folder.join("cert_cache");
    fs::create_dir_all(&certificates).unwrap();
    fs::write(certificates.join(format!("{ip}.crt")), chain).unwrap();
    fs::write(certificates.join(format!("{ip}.key")), key).unwrap();
    let mut config = Config::default();
    config.http = None;
    config.metrics = Some(MetricsConfig::disabled());
    config.data_dir = Some(folder.to_owned());
    if let Some(https) = &mut config.https {
        https.port = 443;
        https.bind_addr = Some(Ipv4Addr::UNSPECIFIED.into());
        https.domains = vec![ip];
        https.cert_mode = CertMode::Manual;
    }
    config.dns.bind_addr = Some(Ipv4Addr::UNSPECIFIED.into());
    config.dns.port = 53;
    Running::start(device, async move || iroh_dns_server::Server::bind(config).await.unwrap())
}

/// An HTTP proxy that opens tunnels (RFC 9110 section 9.3.6) and does nothing else.
pub(crate) fn proxy(device: &Device) -> Running {
    Running::start(device, async || {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PROXY_PORT)).await.unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client));
            }
        });
        AbortOnDrop(serving)
    })
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn tunnel(client: TcpStream) -> Option<()> {
    let mut client = BufReader::new(client);
    let mut first = String::new();
    client.read_line(&mut first).await.ok()?;
    let mut header = String::new();
    while header != "\r\n" {
        header.clear();
        client.read_line(&mut header).await.ok().filter(|read| *read > 0)?;
    }
    let target = first.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let Some(target) = target else {
        client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n").await.ok()?;
        return None;
    };
    let mut server = TcpStream::connect(target).await.ok()?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok().map(drop)
}
