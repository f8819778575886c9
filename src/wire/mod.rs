#![doc = include_str!("SPEC.md")]

pub mod cbor;
pub mod code;
pub mod consent;
pub mod countersignature;
pub mod envelope;
pub mod frame;
pub mod grant;
pub mod invite;
pub mod message;
pub mod order;
pub mod pair;

pub use code::Code;
pub use consent::{ConsentRecord, Party};
pub use countersignature::{Countersignature, Method};
pub use envelope::{Draft, Envelope, Header};
pub use frame::{FEATURE_HEADS, FEATURE_SESSIONS, Frame, Hello, Run};
pub use grant::{Covered, Direction, Grant, GrantKind, KINDS as GRANT_KINDS, SignedGrant};
pub use invite::{Invite, InviteError};
pub use message::{Body, ChainHead, Kind, Receipt, ReceiptState};
pub use order::{Command, Order, SignedOrder};
pub use pair::PairFrame;

use crate::identity::IdentityError;

/// The protocol version that envelopes, records and frames carry.
pub const VERSION: u64 = 1;
/// ALPN between trusted peers.
pub const ALPN_PEER: &[u8] = b"countersign/1";
/// ALPN between strangers, while an invite is open or a request is out.
pub const ALPN_PAIR: &[u8] = b"countersign/pair/1";
/// ALPN between two endpoints that know nothing of each other but the first word of a code.
pub const ALPN_CODE: &[u8] = b"countersign/code/1";

/// Why bytes were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Over a limit, before anything was parsed.
    #[error("{what} is {size} bytes; the limit is {limit}")]
    TooLarge {
        /// What was measured.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The bound.
        limit: usize,
    },
    /// Not CBOR, or nested too deep, or cut off.
    #[error("not valid CBOR: {0}")]
    Cbor(String),
    /// CBOR, but not the one deterministic form of it (RFC 8949 section 4.2).
    #[error("not in deterministic encoding: {0}")]
    NotDeterministic(&'static str),
    /// A field is missing, doubled, unknown or of the wrong type.
    #[error("{what}: {problem}")]
    Field {
        /// Which field.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A version that we do not speak.
    #[error("version {0} is not spoken here; this is version 1")]
    Version(u64),
    /// A key or signature was refused.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// `expires` is not after `created`, or further from it than allowed.
    #[error("a message must expire after it was created and within 30 days of it")]
    Lifetime,
}

impl WireError {
    pub(crate) const fn field(what: &'static str, problem: &'static str) -> Self {
        Self::Field { what, problem }
    }
}
