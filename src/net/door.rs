//! A door: an endpoint that lives as long as one short code and says nothing of who we are.
//!
//! Its key is random, and where there is a relay it has no address of ours to give away. Over it
//! goes the exchange of `countersign/code/1`, one stream a connection; what is said there is not
//! this module's business.

use std::time::Duration;

use iroh::{
    Endpoint, Watcher as _,
    endpoint::{Connection, Incoming, RecvStream, SendStream},
};
use tokio::time::timeout;

use super::{
    NetError,
    address::AddressRules,
    code, endpoint,
    framing::{self, FrameStream},
    handle::Net,
    shared::{Shared, close, remote},
    slots::Contact,
};
use crate::{
    base::{PeerId, Secret, limits},
    wire::{ALPN_CODE, WireError, code::exchange::CodeFrame},
};

/// An endpoint for one code.
pub struct Door {
    endpoint: Endpoint,
    rules: AddressRules,
}

/// Somebody at our door.
pub struct Caller(Incoming);

/// A connection over which one code is tried.
pub struct Talk {
    connection: Connection,
    send: SendStream,
    recv: FrameStream,
}

/// Why nothing more is heard.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// The connection is gone, or was never there.
    #[error("the connection broke")]
    Gone,
    /// The other side takes too long.
    #[error("the other side did not answer in time")]
    Slow,
    /// Not the protocol.
    #[error("the other side did not keep to the protocol: {0}")]
    Frame(#[from] WireError),
}

impl Net {
    /// Opens a door with a key of its own.
    ///
    /// # Errors
    /// No socket, or no way to use it.
    pub async fn open_door(&self, seed: Secret<[u8; 32]>) -> Result<Door, NetError> {
        let rules = self.shared.rules.clone();
        let builder = endpoint::door(&self.settings, &rules, &seed)?;
        let endpoint = builder.bind().await.map_err(|e| NetError::Endpoint(e.to_string()))?;
        let door = Door { endpoint, rules };
        // A door that is nowhere yet is offered all the same; whoever looks finds nothing there.
        timeout(limits::CODE_ONLINE_TIMEOUT, door.is_somewhere()).await.ok();
        Ok(door)
    }

    /// Runs something beside the node, until it is done or the net ends; then, and where it
    /// panics, there is nothing.
    pub fn beside<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send + 'static {
        let cancel = self.shared.cancel.clone();
        let running = self.shared.tasks.spawn(cancel.run_until_cancelled_owned(work));
        async move { running.await.ok().flatten() }
    }
}

impl Door {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> PeerId {
        PeerId::from_bytes(*self.endpoint.id().as_bytes())
    }

    /// Where it is now.
    #[must_use]
    pub fn contact(&self) -> Contact {
        Contact { door: self.id(), addresses: self.rules.named(&self.endpoint.addr()) }
    }

    /// Waits until others could reach it.
    async fn is_somewhere(&self) {
        if self.rules.has_relays() {
            self.endpoint.online().await;
        }
        let mut watcher = self.endpoint.watch_addr();
        while self.contact().addresses.is_empty() {
            if watcher.updated().await.is_err() {
                return;
            }
        }
    }

    /// Waits for somebody; `None` when nobody comes any more.
    pub async fn accept(&self) -> Option<Caller> {
        self.endpoint.accept().await.map(Caller)
    }

    /// Goes to another door.
    ///
    /// # Errors
    /// When it is not reached in time.
    pub async fn dial(&self, contact: &Contact) -> Result<Talk, TalkError> {
        let addresses = self.rules.dialable(&contact.addresses);
        let target = Shared::target(&contact.door, addresses).ok_or(TalkError::Gone)?;
        let begin = async {
            let connection = self.endpoint.connect(target, ALPN_CODE).await.ok()?;
            let streams = connection.open_bi().await.ok()?;
            Some(Talk::new(connection, streams, limits::CODE_FRAME_BYTES_MAX))
        };
        let begun = timeout(limits::CODE_STEP_TIMEOUT, begin).await;
        begun.map_err(|_| TalkError::Slow)?.ok_or(TalkError::Gone)
    }

    /// Ends it, with every connection.
    pub async fn close(self) {
        timeout(limits::CLOSE_TIMEOUT, self.endpoint.close()).await.ok();
    }
}

impl Caller {
    /// Lets them in.
    ///
    /// # Errors
    /// When they leave, or open no stream in time.
    pub async fn talk(self) -> Result<Talk, TalkError> {
        let begin = async {
            let connection = self.0.await.ok()?;
            let streams = connection.accept_bi().await.ok()?;
            Some(Talk::new(connection, streams, limits::KNOCK_BYTES_MAX))
        };
        let begun = timeout(limits::CODE_STEP_TIMEOUT, begin).await;
        begun.map_err(|_| TalkError::Slow)?.ok_or(TalkError::Gone)
    }
}

impl Talk {
    fn new(connection: Connection, streams: (SendStream, RecvStream), bytes_max: usize) -> Self {
        let (send, recv) = streams;
        Self { connection, send, recv: FrameStream::new(recv, bytes_max) }
    }

    /// The proven id of the other door.
    #[must_use]
    pub fn remote(&self) -> PeerId {
        remote(&self.connection)
    }

    /// Says something.
    ///
    /// # Errors
    /// When the connection is gone, or the other side does not listen.
    pub async fn say(&mut self, frame: &CodeFrame) -> Result<(), TalkError> {
        let mut bytes = Vec::new();
        framing::put(&mut bytes, &frame.encode());
        let written = timeout(limits::CODE_STEP_TIMEOUT, self.send.write_all(&bytes)).await;
        written.map_err(|_| TalkError::Slow)?.map_err(|_| TalkError::Gone)
    }

    /// Waits for what the other side says.
    ///
    /// # Errors
    /// When it says nothing in time, or nothing that can be read.
    pub async fn hear(&mut self) -> Result<CodeFrame, TalkError> {
        let heard = timeout(limits::CODE_STEP_TIMEOUT, self.recv.first()).await;
        let bytes = heard.map_err(|_| TalkError::Slow)?.ok_or(TalkError::Gone)?;
        Ok(CodeFrame::decode(&bytes)?)
    }

    /// Waits, not long, until the other side has heard the last of it.
    pub async fn last(mut self) {
        self.send.finish().ok(); // A connection that is gone has no end to say.
        self.end(limits::PAIR_FLUSH_TIMEOUT).await;
    }

    /// Ends it: all was heard.
    pub async fn done(self) {
        self.end(Duration::ZERO).await;
    }

    async fn end(self, wait: Duration) {
        timeout(wait, self.connection.closed()).await.ok();
        close(&self.connection, code::BYE);
    }
}
