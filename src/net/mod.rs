//! Links to peers over iroh: what the node tells the net, and what the net tells the node.
//!
//! Decides nothing about trust: it keeps one link to each peer that it was told to trust, and
//! turns away everybody else at four gates, before a byte of theirs is looked at:
//!
//! | gate | where | by |
//! |---|---|---|
//! | A | before the handshake | rates; a relayed stranger, because the handshake itself would tell it our addresses, unless it shows an invite of ours |
//! | B | after the handshake | the proven id and the protocol that it asks for |
//! | C | per connection | hello in time; one link a peer; a task of its own, so that a panic ends nothing else |
//! | D | per frame | its size before it is read, a deadline for the whole of it |
//!
//! How peers are found, and what that shows to whom, is in [`discovery`].
//!
//! Being linked means that the other side's node said hello, not that QUIC connected.

mod accept;
pub mod address;
mod check;
mod clock;
#[doc = include_str!("DISCOVERY.md")]
pub mod discovery {}
pub mod door;
mod endpoint;
pub mod framing;
mod frozen;
mod gates;
mod handle;
mod keep;
pub mod lan;
mod link;
mod lookup;
mod pair;
mod ping;
mod pq;
mod rates;
mod reader;
mod relays;
mod route;
mod shared;
#[cfg(test)]
pub mod simulated;
pub mod slots;
mod table;
mod tried;
mod twice;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf};

pub use check::{LookupCheck, NetCheck, RelayCheck};
#[cfg(not(test))]
pub use handle::Net;
pub use ping::Pinged;
pub use relays::RelayState;
#[cfg(test)]
pub use simulated::Net;
pub use tried::Tried;

use crate::{
    base::{ApproverId, PeerId, Secret, Timestamp},
    gate::Approved,
    wire::{Envelope, Hello, PairFrame, WireError},
};

/// Which networks are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Direct and through relays.
    Internet,
    /// Direct on the local network.
    Lan,
    /// 127.0.0.1 alone.
    Loopback,
}

/// How a network is used, beyond its reach. What is `None` is as that reach has it by default.
#[derive(Clone, Debug, Default)]
pub struct NetSettings {
    /// Relay URLs. By default the public relays of iroh's makers in internet mode, and none
    /// elsewhere. In loopback mode each must be at a loopback address.
    pub relays: Option<Vec<String>>,
    /// Where peers are looked up and we can be: URLs of pkarr servers, or [`LOOKUP_DHT`]. By
    /// default the public server of iroh's makers in internet mode, and none elsewhere. In loopback
    /// mode each must be at a loopback address.
    pub lookups: Option<Vec<String>>,
    /// Find peers by mDNS. By default in LAN mode; never in loopback mode.
    pub mdns: Option<bool>,
    /// An HTTP proxy for relays and lookups.
    pub proxy: Option<String>,
    /// Certificates (PEM) that relays and lookups are trusted by, beside the public ones.
    pub roots: Option<PathBuf>,
    /// Take no connection whose keys are exchanged by elliptic curves alone.
    pub require_pq: bool,
    /// Where peers are, as our human wrote it down.
    pub places: BTreeMap<PeerId, Vec<String>>,
}

/// Among the lookups, the BitTorrent DHT (BEP 5, BEP 44).
pub const LOOKUP_DHT: &str = "dht";

/// What an endpoint needs to start.
pub struct NetConfig {
    /// The identity's secret bytes.
    pub seed: Secret<[u8; 32]>,
    /// Our human, named in our hello.
    pub approver: Option<ApproverId>,
    /// Which networks.
    pub reach: Reach,
    /// How they are used.
    pub settings: NetSettings,
    /// The UDP port to try first; 0 for any.
    pub port: u16,
}

/// Application error codes that a connection is closed with.
pub mod code {
    /// Nothing is wrong; the other side goes away.
    pub const BYE: u32 = 0;
    /// Two connections were made at once, and this one lost.
    pub const DUPLICATE: u32 = 0x10;
    /// A newer connection took its place.
    pub const SUPERSEDED: u32 = 0x11;
    /// Bytes that the protocol does not allow.
    pub const PROTOCOL: u32 = 0x20;
    /// Silent for too long, or slower than what is sent to it.
    pub const SLOW: u32 = 0x21;
    /// The other side runs under another approver than the consent names.
    pub const APPROVER_CHANGED: u32 = 0x30;
    /// The other side takes no connection without a post-quantum key exchange.
    pub const NOT_PQ: u32 = 0x31;
    /// The other side sees this key at work in another place too.
    pub const TWICE: u32 = 0x32;
    /// The other side does not trust this key; also what a stranger is told.
    pub const NOT_TRUSTED: u32 = 0x403;
}

/// Why the net could not start.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A relay of the configuration.
    #[error("{0:?} is not a relay URL; use https://host in config.toml")]
    Relay(String),
    /// A relay or lookup elsewhere, in loopback mode.
    #[error("{0:?} is not on this machine; in loopback mode use 127.0.0.1, or another mode")]
    NotLoopback(String),
    /// A lookup of the configuration.
    #[error("{0:?} is no lookup; use https://host/pkarr or \"dht\" in config.toml")]
    Lookup(String),
    /// The proxy of the configuration, without a password, as all of these texts are.
    #[error("{0:?} is not a proxy URL; use http://host:port in config.toml")]
    Proxy(String),
    /// The file of certificates.
    #[error("{path} holds no certificate that can be used: {problem}; use PEM")]
    Roots {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// No socket, or no way to use it.
    #[error("the network cannot be used: {0}")]
    Endpoint(String),
}

/// Why a frame was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// That link is no more.
    #[error("the link is gone")]
    Gone,
    /// The peer takes frames slower than they are sent; the link was closed.
    #[error(
        "{} frames wait to be written; the link was closed",
        crate::base::limits::SEND_QUEUE_FRAMES
    )]
    Full,
}

/// One life of a connection to a peer. A later one has a higher number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What the net tells the node.
#[derive(Debug)]
pub enum NetEvent {
    /// Both sides have said hello over `countersign/1`: the other side's node runs and trusts us.
    LinkUp {
        /// Whom.
        peer: PeerId,
        /// Which connection.
        link: LinkId,
        /// What the other side said.
        hello: Hello,
    },
    /// The connection is gone.
    LinkDown {
        /// Whom.
        peer: PeerId,
        /// Which connection.
        link: LinkId,
    },
    /// A link goes another way: direct, or through another relay; [`Net::path`] says which.
    PathChanged {
        /// With whom.
        peer: PeerId,
        /// Which connection.
        link: LinkId,
    },
    /// The other side refused us, with its close code.
    Rejected {
        /// Whom.
        peer: PeerId,
        /// The QUIC application error code.
        code: u64,
    },
    /// We refused the other side: its keys were exchanged by elliptic curves alone, and that is not
    /// enough by our configuration.
    NotPq {
        /// Whom.
        peer: PeerId,
    },
    /// A key is at work in two places at once.
    Twice {
        /// Who saw that of our key, or whose key it is.
        peer: PeerId,
        /// It is our key.
        ours: bool,
    },
    /// Frames in their order, at most [`crate::base::limits::NET_BATCH_FRAMES`].
    Frames {
        /// From whom.
        peer: PeerId,
        /// Over which connection.
        link: LinkId,
        /// The frames.
        frames: Vec<Inbound>,
    },
    /// A pairing connection is open.
    PairUp {
        /// With whom.
        peer: PeerId,
        /// Which connection.
        link: LinkId,
        /// We dialed: we are the joiner.
        dialed: bool,
    },
    /// A pairing frame.
    Pair {
        /// From whom.
        peer: PeerId,
        /// Over which connection.
        link: LinkId,
        /// The frame.
        frame: PairFrame,
    },
    /// The pairing connection is gone, or could not be opened.
    PairDown {
        /// With whom.
        peer: PeerId,
        /// Which connection; `None` when the dial failed.
        link: Option<LinkId>,
    },
    /// We can be reached at other addresses now.
    AddressesChanged,
    /// The endpoint ended and must be started anew.
    Ended,
}

/// A frame that arrived. Signatures are verified where the frame is read, beside the node.
#[derive(Debug)]
pub enum Inbound {
    /// A message or receipt.
    Data {
        /// Its number.
        seq: u64,
        /// What it is, or why it is nothing.
        envelope: Result<Box<Envelope>, WireError>,
    },
    /// An acknowledgement.
    Ack {
        /// All up to here is durable there.
        upto: u64,
        /// The signed receipt.
        receipt: Option<Result<Box<Envelope>, WireError>>,
    },
}

/// A frame that leaves. A message leaves approved or not at all.
#[derive(Debug)]
pub enum Outbound {
    /// A message or receipt.
    Data {
        /// Its number.
        seq: u64,
        /// What it is.
        envelope: Approved<Envelope>,
    },
    /// An acknowledgement.
    Ack {
        /// All up to here is durable here.
        upto: u64,
        /// The signed receipt.
        receipt: Option<Approved<Envelope>>,
    },
}

/// How a peer is reached now.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkPath {
    /// Through a relay.
    pub relayed: bool,
    /// Its URL, when it goes through one.
    pub relay: Option<String>,
    /// Round trip.
    pub rtt_ms: f64,
    /// The keys were exchanged by X25519MLKEM768 (FIPS 203 beside RFC 7748), so that a recording
    /// says nothing to a later quantum computer.
    pub pq: bool,
    /// Since when it goes this way.
    pub since: Timestamp,
}
