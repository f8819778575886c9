//! Frames of `countersign/1`, between trusted peers (`SPEC.md` section 6).

use ciborium::Value;

use super::{
    VERSION, WireError,
    cbor::{self, Fields, MapBuilder},
};
use crate::{
    base::{ApproverId, limits},
    identity::PublicKey as _,
};

/// The feature of a hello whose sender understands messages that name a session of theirs.
pub const FEATURE_SESSIONS: &str = "sessions";

/// The feature of a hello whose sender understands receipts with heads of audit chains.
pub const FEATURE_HEADS: &str = "heads";

/// What the feature of a hello begins with that names its sender's version.
const FEATURE_VERSION: &str = "v=";

/// What the feature of a hello begins with that names the run of its sender's node.
const FEATURE_RUN: &str = "run=";

/// One frame. On the stream each is preceded by its length, four bytes big-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The first frame in each direction.
    Hello(Hello),
    /// Are you there? The other side answers with the same number.
    Ping(u64),
    /// The answer to a ping.
    Pong(u64),
    /// An envelope. `seq` counts from 1 within one connection and direction.
    Data {
        /// Its number.
        seq: u64,
        /// The envelope's bytes.
        envelope: Vec<u8>,
    },
    /// All up to `upto` is durable, or `receipt` says of it that it is busy or refused. The receipt
    /// covers those that are messages.
    Ack {
        /// The highest number that was dealt with, with all before it.
        upto: u64,
        /// An envelope of kind `receipt`.
        receipt: Option<Vec<u8>>,
    },
    /// Your key is at work in another place too: a second node said hello under it.
    Twice,
    /// A frame of a later version; it is skipped.
    Unknown(u64),
}

/// What each side says of itself before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The approver that this node runs under.
    pub approver: ApproverId,
    /// Optional features it speaks.
    pub features: Vec<String>,
    /// Where it can be reached now: `ip:port` or a relay URL.
    pub addresses: Vec<String>,
}

/// One run of a node: a number that it draws when it starts. It tells a node that came back from
/// one that is there twice, and says nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run(pub u64);

impl Run {
    /// As a feature of a hello.
    #[must_use]
    pub fn feature(self) -> String {
        format!("{FEATURE_RUN}{:016x}", self.0)
    }
}

impl Frame {
    /// The frame's bytes, without the length before it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let parts = match self {
            Self::Hello(hello) => vec![0.into(), hello.value()],
            Self::Ping(nonce) => vec![1.into(), (*nonce).into()],
            Self::Pong(nonce) => vec![2.into(), (*nonce).into()],
            Self::Data { seq, envelope } => {
                vec![3.into(), (*seq).into(), envelope.as_slice().into()]
            }
            Self::Ack { upto, receipt } => {
                let receipt = receipt.as_deref().map_or(Value::Null, Value::from);
                vec![4.into(), (*upto).into(), receipt]
            }
            Self::Twice => vec![5.into()],
            Self::Unknown(tag) => vec![(*tag).into()],
        };
        cbor::encode(&Value::Array(parts))
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// When it is over its bound, not deterministic, or not of its shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let value = cbor::decode("frame", bytes, limits::FRAME_BYTES_MAX)?;
        let mut parts = cbor::array("frame", value, 16)?.into_iter();
        let missing = WireError::field("frame", "is cut short");
        let tag = cbor::uint("frame type", &parts.next().ok_or_else(|| missing.clone())?)?;
        let mut next = || parts.next().ok_or_else(|| missing.clone());
        let frame = match tag {
            0 => Self::Hello(Hello::read(next()?)?),
            1 => Self::Ping(cbor::uint("ping", &next()?)?),
            2 => Self::Pong(cbor::uint("pong", &next()?)?),
            3 => Self::Data {
                seq: cbor::uint("sequence number", &next()?)?,
                envelope: cbor::bytes("envelope", next()?)?,
            },
            4 => Self::Ack {
                upto: cbor::uint("sequence number", &next()?)?,
                receipt: match next()? {
                    value if value.is_null() => None,
                    value => Some(cbor::bytes("receipt", value)?),
                },
            },
            5 => Self::Twice,
            later => return Ok(Self::Unknown(later)),
        };
        if parts.next().is_some() {
            return Err(WireError::field("frame", "is too long"));
        }
        Ok(frame)
    }
}

impl Hello {
    /// The feature that names this program's version.
    #[must_use]
    pub fn own_version() -> String {
        format!("{FEATURE_VERSION}{}", env!("CARGO_PKG_VERSION"))
    }

    /// The version of the sender's program, where it says one: letters, digits and `.+-`.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        let version = self.feature(FEATURE_VERSION)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
        (!version.is_empty() && version.chars().all(is_plain)).then_some(version)
    }

    /// The run of the sender's node, where it says one: sixteen lower-case hexadecimal digits.
    #[must_use]
    pub fn run(&self) -> Option<Run> {
        let digits = self.feature(FEATURE_RUN)?;
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let is_one = digits.len() == 16 && digits.bytes().all(is_digit);
        u64::from_str_radix(digits, 16).ok().filter(|_| is_one).map(Run)
    }

    fn feature(&self, beginning: &str) -> Option<&str> {
        self.features.iter().find_map(|feature| feature.strip_prefix(beginning))
    }

    fn value(&self) -> Value {
        MapBuilder::new()
            .put(1, VERSION)
            .put(2, self.approver.as_bytes().as_slice())
            .put(3, cbor::texts_value(&self.features))
            .put(4, cbor::texts_value(&self.addresses))
            .value()
    }

    fn read(value: Value) -> Result<Self, WireError> {
        let mut fields = Fields::of("hello", value)?;
        let version = fields.uint(1, "version")?;
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        let approver = fields.id(2, "approver", ApproverId::from_slice)?;
        let features = fields.need(3, "features")?;
        let addresses = fields.need(4, "addresses")?;
        fields.finish()?;
        approver.check()?;
        let (most, long) = (limits::FEATURES_MAX, limits::KIND_BYTES_MAX);
        let features = cbor::texts("features", features, most, long)?;
        let (most, long) = (limits::ADDRESSES_MAX, limits::ADDRESS_BYTES_MAX);
        let addresses = cbor::texts("addresses", addresses, most, long)?;
        Ok(Self { approver, features, addresses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(features: &[&str]) -> Hello {
        let features = features.iter().map(ToString::to_string).collect();
        Hello { approver: ApproverId::from_bytes([1; 32]), features, addresses: Vec::new() }
    }

    #[test]
    fn a_hello_names_its_senders_version_and_run() {
        let hello = said(&["sessions", &Hello::own_version(), &Run(0xab).feature()]);
        assert_eq!(hello.version(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(hello.run(), Some(Run(0xab)));
        assert!(hello.features.iter().all(|feature| feature.len() <= limits::KIND_BYTES_MAX));
        let older = said(&["sessions"]);
        assert_eq!((older.version(), older.run()), (None, None));
    }

    #[test]
    fn what_is_no_version_and_no_run_is_passed_over() {
        for wrong in ["v=", "v=1 now", "v=1\u{1b}[2J", "v=\u{202e}1"] {
            assert_eq!(said(&[wrong]).version(), None, "{wrong:?}");
        }
        for wrong in ["run=", "run=ab", "run=+0000000000000ab", "run=00000000000000AB"] {
            assert_eq!(said(&[wrong]).run(), None, "{wrong:?}");
        }
    }
}
