//! What an envelope can say: kinds and their bodies (`SPEC.md` section 4).

use ciborium::Value;

use super::{
    WireError,
    cbor::{self, Fields, MapBuilder},
};
use crate::base::{Digest, MessageId, MessageText, Timestamp, limits};

/// The kind of a message, as its header names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A text for the peer's agent.
    Text,
    /// A question that expects a reply.
    Request,
    /// The answer to a message.
    Reply,
    /// States of messages, signed by their receiver.
    Receipt,
    /// A kind of a later version, or one that nobody knows.
    Unknown(String),
}

impl Kind {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text => "text",
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Receipt => "receipt",
            Self::Unknown(name) => name,
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        match name {
            "text" => Self::Text,
            "request" => Self::Request,
            "reply" => Self::Reply,
            "receipt" => Self::Receipt,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

/// What a message holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Of a text, a request or a reply.
    Text(MessageText),
    /// Of a receipt.
    Receipt(Receipt),
    /// Of an unknown kind: deterministic CBOR that is kept as it came.
    Unknown(Vec<u8>),
}

/// States of messages, as their receiver signs them. One receipt covers what one transaction
/// made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// At least one, at most [`limits::RECEIPT_ENTRIES_MAX`].
    pub entries: Vec<ReceiptEntry>,
    /// The head of its sender's audit chain. Only for a node whose hello says
    /// [`FEATURE_HEADS`](super::FEATURE_HEADS).
    pub head: Option<ChainHead>,
    /// The newest head of its receiver's chain that its sender saw. As for `head`.
    pub echo: Option<ChainHead>,
}

impl Receipt {
    /// A receipt of these entries, without heads.
    #[must_use]
    pub const fn of(entries: Vec<ReceiptEntry>) -> Self {
        Self { entries, head: None, echo: None }
    }
}

/// A place in the audit chain of a node, as a receipt names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// The record's number: 1 to [`ChainHead::NUMBER_MAX`].
    pub number: u64,
    /// The record's hash.
    pub hash: Digest,
}

impl ChainHead {
    /// The largest number of a record: 2^63 - 1.
    pub const NUMBER_MAX: u64 = i64::MAX.unsigned_abs();

    fn value(&self) -> Value {
        MapBuilder::new().put(1, self.number).put(2, self.hash.as_bytes().as_slice()).value()
    }

    fn read(value: Value) -> Result<Self, WireError> {
        let mut fields = Fields::of("chain head", value)?;
        let number = fields.uint(1, "chain head number")?;
        let hash = fields.id(2, "chain head hash", Digest::from_slice)?;
        fields.finish()?;
        if (1..=Self::NUMBER_MAX).contains(&number) {
            Ok(Self { number, hash })
        } else {
            Err(WireError::field("chain head number", "is not within 1 and 2^63 - 1"))
        }
    }
}

/// The state of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptEntry {
    /// Which message.
    pub id: MessageId,
    /// Its envelope's digest, so that the receipt is for these bytes and no others.
    pub digest: Digest,
    /// What became of it.
    pub state: ReceiptState,
    /// When, by the receiver's clock.
    pub at: Timestamp,
    /// Why, for a refusal.
    pub reason: Option<String>,
}

/// What a receiver can say of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReceiptState {
    /// It is on the receiver's disk.
    Delivered,
    /// The receiver's human is asked.
    HeldByPeer,
    /// It is in the agent's inbox.
    Accepted,
    /// It was shown to the agent.
    Read,
    /// It will not be taken.
    Refused,
    /// There is no room now; the sender keeps it and tries again.
    Busy,
}

impl ReceiptState {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Delivered, "delivered"),
        (Self::HeldByPeer, "held_by_peer"),
        (Self::Accepted, "accepted"),
        (Self::Read, "read"),
        (Self::Refused, "refused"),
        (Self::Busy, "busy"),
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    fn parse(name: &str) -> Result<Self, WireError> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(state, _)| *state)
            .ok_or(WireError::field("receipt state", "is not one that version 1 knows"))
    }
}

impl Body {
    /// The body as the envelope's payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => MapBuilder::new().put(1, text.as_str()).encode(),
            Self::Receipt(receipt) => {
                let entries = receipt.entries.iter().map(ReceiptEntry::value).collect();
                MapBuilder::new()
                    .put(1, Value::Array(entries))
                    .put_opt(2, receipt.head.map(|head| head.value()))
                    .put_opt(3, receipt.echo.map(|head| head.value()))
                    .encode()
            }
            Self::Unknown(bytes) => bytes.clone(),
        }
    }

    /// Reads the payload of an envelope of `kind`.
    ///
    /// # Errors
    /// When it is not deterministic CBOR, or not the body of this kind.
    pub fn decode(kind: &Kind, bytes: &[u8]) -> Result<Self, WireError> {
        let bytes_max = limits::ENVELOPE_BYTES_MAX;
        match kind {
            Kind::Text | Kind::Request | Kind::Reply => {
                let mut fields = Fields::read("body", bytes, bytes_max)?;
                let text = fields.text(1, "text", limits::TEXT_BYTES_MAX)?;
                fields.finish()?;
                let text =
                    MessageText::parse(&text).map_err(|_| WireError::field("text", "is empty"))?;
                Ok(Self::Text(text))
            }
            Kind::Receipt => {
                let mut fields = Fields::read("body", bytes, bytes_max)?;
                let entries = fields.need(1, "receipt entries")?;
                let head = fields.take(2).map(ChainHead::read).transpose()?;
                let echo = fields.take(3).map(ChainHead::read).transpose()?;
                fields.finish()?;
                let entries = cbor::array("receipt entries", entries, limits::RECEIPT_ENTRIES_MAX)?;
                let entries: Vec<_> =
                    entries.into_iter().map(ReceiptEntry::read).collect::<Result<_, _>>()?;
                if entries.is_empty() {
                    return Err(WireError::field("receipt entries", "are none"));
                }
                Ok(Self::Receipt(Receipt { entries, head, echo }))
            }
            Kind::Unknown(_) => {
                cbor::decode("body", bytes, bytes_max)?;
                Ok(Self::Unknown(bytes.to_vec()))
            }
        }
    }

    /// The text, for the kinds that have one.
    #[must_use]
    pub fn text(&self) -> Option<&MessageText> {
        match self {
            Self::Text(text) => Some(text),
            Self::Receipt(_) | Self::Unknown(_) => None,
        }
    }
}

impl ReceiptEntry {
    fn value(&self) -> Value {
        MapBuilder::new()
            .put(1, self.id.as_bytes().as_slice())
            .put(2, self.digest.as_bytes().as_slice())
            .put(3, self.state.as_str())
            .put(4, self.at.ms())
            .put_opt(5, self.reason.as_deref())
            .value()
    }

    fn read(value: Value) -> Result<Self, WireError> {
        let mut fields = Fields::of("receipt entry", value)?;
        let entry = Self {
            id: fields.id(1, "message id", MessageId::from_slice)?,
            digest: fields.id(2, "message digest", Digest::from_slice)?,
            state: ReceiptState::parse(&fields.text(
                3,
                "receipt state",
                limits::KIND_BYTES_MAX,
            )?)?,
            at: Timestamp::from_ms(fields.uint(4, "receipt time")?),
            reason: fields
                .take(5)
                .map(|value| cbor::text("reason", value, limits::REASON_BYTES_MAX))
                .transpose()?,
        };
        fields.finish()?;
        Ok(entry)
    }
}
