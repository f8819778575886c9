//! A listener beyond this machine, over TLS: for MCP clients alone, and only where the configuration
//! names an address, a certificate and its key. It cannot tell whose connection it is; the bearer
//! token says who may come.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::Router;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{self, ServerConfig, crypto::aws_lc_rs},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    listener::{ACCEPT_PAUSE, connection},
    patient::Patient,
};
use crate::base::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEADER_TIMEOUT};

/// Why there is no such listener.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate cannot be read.
    #[error("the certificate {path} cannot be read: {problem}")]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The key cannot be read.
    #[error("the key {path} cannot be read: {problem}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// They are not of each other, or of no use.
    #[error("the certificate and the key cannot be used together: {0}")]
    Pair(rustls::Error),
    /// The address cannot be had.
    #[error("{address} cannot be listened at: {problem}")]
    Address {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        problem: io::Error,
    },
}

/// An address, with what is shown to who connects to it.
pub struct TlsListener {
    socket: TcpListener,
    address: SocketAddr,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    /// Takes the address, with a certificate chain and its key, both PEM (RFC 7468).
    ///
    /// # Errors
    /// Files that cannot be read or do not fit, or an address that cannot be had.
    pub async fn bind(
        address: SocketAddr,
        certificate: &Path,
        key: &Path,
    ) -> Result<Self, TlsError> {
        let config = config(certificate, key)?;
        let wrong = |problem| TlsError::Address { address, problem };
        let socket = TcpListener::bind(address).await.map_err(wrong)?;
        let address = socket.local_addr().map_err(wrong)?;
        Ok(Self { socket, address, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` until `cancel`; what is under way then has a short time to end.
    pub fn serve(self, router: Router, tasks: &TaskTracker, cancel: &CancellationToken) {
        let (own, cancel) = (tasks.clone(), cancel.clone());
        tasks.spawn(async move {
            let accept = self.accept(router, &own, &cancel);
            // Its connections end by themselves.
            cancel.run_until_cancelled(accept).await;
        });
    }

    async fn accept(&self, router: Router, tasks: &TaskTracker, cancel: &CancellationToken) {
        // Places of its own: other machines take none of the page's.
        let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    let (router, cancel) = (router.clone(), cancel.clone());
                    let acceptor = self.acceptor.clone();
                    tasks.spawn(async move {
                        stream.set_nodelay(true).ok();
                        handle(stream, &acceptor, router, cancel).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the TLS listener accepts no connection for a moment");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn handle<S>(stream: S, acceptor: &TlsAcceptor, router: Router, cancel: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // Below TLS, which takes bytes that the other side does not.
    let shaken = timeout(HTTP_HEADER_TIMEOUT, acceptor.accept(Patient::new(stream)));
    match cancel.run_until_cancelled(shaken).await {
        Some(Ok(Ok(stream))) => connection(stream, router, cancel).await,
        Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
        Some(Err(_)) | None => {}
    }
}

fn config(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let wrong = |problem: String| TlsError::Certificate { path: certificate.to_owned(), problem };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| TlsError::Key { path: key.to_owned(), problem: error.to_string() })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::{fs, net::Ipv4Addr};

    use axum::{body::Body, routing::get};
    use futures_util::{StreamExt as _, stream};
    use rustls_pki_types::ServerName;
    use tokio::io::{AsyncWriteExt as _, duplex};
    use tokio_rustls::{
        TlsConnector,
        rustls::{ClientConfig, RootCertStore},
    };

    use super::*;
    use crate::base::limits::{HTTP_BODY_TIMEOUT, HTTP_KEEP_ALIVE};

    const PIPE_BYTES: usize = 8 * 1024;

    fn pair(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let path = |kind: &str| folder.join(format!("{name}.{kind}"));
        fs::write(path("crt"), made.cert.pem()).unwrap();
        fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
        (path("crt"), path("key"))
    }

    #[tokio::test]
    async fn files_that_are_missing_empty_or_of_another_pair_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (certificate, key) = pair(folder.path(), "one");
        let (_, other) = pair(folder.path(), "two");
        let (missing, empty) = (folder.path().join("none"), folder.path().join("empty"));
        fs::write(&empty, "").unwrap();
        let check = async |certificate: &Path, key: &Path, expected: &str| {
            let error = TlsListener::bind(any, certificate, key).await.err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&missing, &key, "none cannot be read").await;
        check(&empty, &key, "no certificate in it").await;
        check(&certificate, &missing, "none cannot be read").await;
        check(&certificate, &empty, "empty cannot be read").await;
        check(&certificate, &other, "cannot be used together").await;
        let listener = TlsListener::bind(any, &certificate, &key).await.unwrap();
        let taken = TlsListener::bind(listener.address(), &certificate, &key).await;
        assert!(matches!(taken, Err(TlsError::Address { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_holds_its_place_for_a_bounded_time() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = pair(folder.path(), "one");
        let acceptor = TlsAcceptor::from(Arc::new(config(&certificate, &key).unwrap()));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A stream that is touched now and then, as those of MCP are.
        let touches = async || {
            let touch = async |()| {
                sleep(HTTP_KEEP_ALIVE).await;
                Some((Ok::<_, io::Error>(":\n\n"), ()))
            };
            let first = stream::iter([Ok("x".repeat(PIPE_BYTES).leak() as &str)]);
            Body::from_stream(first.chain(stream::unfold((), touch)))
        };
        let router = Router::new().route("/", get(touches));
        let (ours, theirs) = duplex(PIPE_BYTES);
        let served = TaskTracker::new().spawn(async move {
            handle(theirs, &acceptor, router, CancellationToken::new()).await;
        });
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, ours).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
        timeout(2 * HTTP_BODY_TIMEOUT, served).await.expect("it gave up").unwrap();
    }
}
