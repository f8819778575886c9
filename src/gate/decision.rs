//! What waits for a human, what they say of it, and what becomes of it then.

use ciborium::Value;

use super::{Approved, GateError, strength};
#[cfg(test)]
use crate::base::planted::{Bug, planted};
use crate::{
    base::{ApproverId, Digest, PeerId, PendingId, Timestamp, limits},
    identity::{ApproverKey, Domain, PublicKey as _, SIGNATURE_BYTES},
    policy::Strength,
    trust::{self, ConsentSignature},
    wire::{
        ConsentRecord, Countersignature, Envelope, Method, VERSION, WireError,
        cbor::{self, Fields, MapBuilder},
    },
};

/// What kind of thing waits. The names are part of the contract.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Our agent asks for a new peer.
    PeerOut,
    /// A new peer asks for us.
    PeerIn,
    /// A message wants to leave.
    MessageOut,
    /// A message wants to come in.
    MessageIn,
}

impl What {
    const ALL: [(Self, &'static str); 4] = [
        (Self::PeerOut, "peer_out"),
        (Self::PeerIn, "peer_in"),
        (Self::MessageOut, "message_out"),
        (Self::MessageIn, "message_in"),
    ];

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(what, _)| *what == self).map_or("", |(_, name)| name)
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(what, _)| *what)
    }
}

/// Something that waits for a human, as exact bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A consent record: our human's signature on it is asked for.
    Peer(What, ConsentRecord),
    /// An envelope: to be countersigned and sent, or to be let in.
    Message(What, Envelope),
}

impl Item {
    /// What kind it is.
    #[must_use]
    pub const fn what(&self) -> What {
        match self {
            Self::Peer(what, _) | Self::Message(what, _) => *what,
        }
    }

    /// Its bytes: what is shown, hashed and decided about.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let payload = match self {
            Self::Peer(_, record) => record.encode(),
            Self::Message(_, envelope) => envelope.bytes().to_vec(),
        };
        let what = Value::from(self.what().as_str());
        cbor::encode(&Value::Array(vec![what, Value::Bytes(payload)]))
    }

    /// Reads an item.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let wrong = WireError::field("item", "is not [what, bytes]");
        let limit = limits::FRAME_BYTES_MAX;
        let parts: [Value; 2] = cbor::array("item", cbor::decode("item", bytes, limit)?, 2)?
            .try_into()
            .map_err(|_| wrong.clone())?;
        let [what, payload] = parts;
        let what = What::parse(&cbor::text("what", what, limits::KIND_BYTES_MAX)?).ok_or(wrong)?;
        let payload = cbor::bytes("payload", payload)?;
        Ok(match what {
            What::PeerOut | What::PeerIn => Self::Peer(what, ConsentRecord::decode(&payload)?),
            What::MessageOut | What::MessageIn => Self::Message(what, Envelope::decode(&payload)?),
        })
    }

    /// The digest that a decision names.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of("countersign/item/v1", &[&self.encode()])
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may pass, once.
    Approve,
    /// It may not.
    Deny,
}

/// What a human decided, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Which item, by the id that was typed.
    pub id: PendingId,
    /// Which item, by its bytes.
    pub digest: Digest,
    /// Yes or no.
    pub answer: Answer,
    /// How the human was asked.
    pub method: Method,
    /// When.
    pub at: Timestamp,
    /// The human compared a pairing's words with the other human.
    pub verified: bool,
    /// Whose texts our agent had read before it wrote the message, other than its recipient's:
    /// the human was shown these names and lets the message go all the same.
    pub after: Vec<PeerId>,
}

impl Statement {
    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let answer = match self.answer {
            Answer::Approve => "approve",
            Answer::Deny => "deny",
        };
        MapBuilder::new()
            .put(1, VERSION)
            .put(2, self.id.as_bytes().as_slice())
            .put(3, self.digest.as_bytes().as_slice())
            .put(4, answer)
            .put(5, self.method.as_str())
            .put(6, self.at.ms())
            .put(7, self.verified)
            .put_opt(8, after_value(&self.after))
            .encode()
    }

    /// Reads a statement without asking who signed it.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::read("decision", bytes, limits::STATEMENT_BYTES_MAX)?;
        let version = fields.uint(1, "version")?;
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        let statement = Self {
            id: fields.id(2, "item id", PendingId::from_slice)?,
            digest: fields.id(3, "item digest", Digest::from_slice)?,
            answer: match fields.text(4, "answer", limits::KIND_BYTES_MAX)?.as_str() {
                "approve" => Answer::Approve,
                "deny" => Answer::Deny,
                _ => return Err(WireError::field("answer", "is neither approve nor deny")),
            },
            method: Method::parse(&fields.text(5, "method", limits::KIND_BYTES_MAX)?)
                .ok_or(WireError::field("method", "is not one that version 1 knows"))?,
            at: Timestamp::from_ms(fields.uint(6, "time")?),
            verified: fields
                .need(7, "verified")?
                .as_bool()
                .ok_or(WireError::field("verified", "is not true or false"))?,
            after: fields.take(8).map(after).transpose()?.unwrap_or_default(),
        };
        fields.finish()?;
        Ok(statement)
    }
}

/// In their order, each once; nothing where there are none.
fn after_value(peers: &[PeerId]) -> Option<Value> {
    let value = |peer: &PeerId| Value::Bytes(peer.as_bytes().to_vec());
    (!peers.is_empty()).then(|| Value::Array(peers.iter().map(value).collect()))
}

fn after(value: Value) -> Result<Vec<PeerId>, WireError> {
    let wrong = || WireError::field("after", "is not a sorted list of node ids");
    let peer = |value: Value| {
        let bytes = cbor::bytes("after", value)?;
        PeerId::from_slice(&bytes).ok_or_else(wrong)
    };
    let values = cbor::array("after", value, limits::TAINT_SOURCES_MAX)?;
    let peers: Vec<PeerId> = values.into_iter().map(peer).collect::<Result<_, _>>()?;
    let sorted = peers.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes());
    if peers.is_empty() || !sorted { Err(wrong()) } else { Ok(peers) }
}

/// A decision that the approver signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The statement's bytes.
    pub statement: Vec<u8>,
    /// The approver's signature on them.
    pub signature: [u8; SIGNATURE_BYTES],
    /// For a yes: the signature on the item itself. A consent signature, a countersignature, or
    /// nothing for what comes in.
    pub seal: Vec<u8>,
}

impl Decision {
    /// Signs a decision. This is what the human's passphrase is for.
    ///
    /// # Errors
    /// Never for an item that was decoded here.
    pub fn sign(item: &Item, statement: &Statement, key: &ApproverKey) -> Result<Self, GateError> {
        if statement.digest != item.digest() {
            return Err(GateError::OtherItem);
        }
        let seal = match (statement.answer, item) {
            (Answer::Approve, Item::Peer(_, record)) => trust::sign_consent(key, record).to_vec(),
            (Answer::Approve, Item::Message(What::MessageOut, envelope)) => {
                Countersignature::sign(envelope, key, statement.method, statement.at)?.encode()
            }
            (Answer::Approve, Item::Message(..)) | (Answer::Deny, _) => Vec::new(),
        };
        let statement = statement.encode();
        let signature = key.sign(Domain::Decision, &statement);
        Ok(Self { statement, signature, seal })
    }

    /// Verifies who signed, and reads what was said.
    ///
    /// # Errors
    /// A wrong signature, or bytes that are no statement.
    pub fn open(&self, approver: &ApproverId) -> Result<Statement, GateError> {
        approver.verify(Domain::Decision, &self.statement, &self.signature)?;
        Ok(Statement::read(&self.statement)?)
    }
}

/// Something that waits, with the time until which a yes counts.
#[derive(Clone, Debug)]
pub struct Pending<T> {
    id: PendingId,
    pub(super) what: What,
    pub(super) item: T,
    pub(super) expires: Timestamp,
    pub(super) after: Vec<PeerId>,
    /// Of a message that leaves: the least countersignature that its receiver takes.
    pub(super) least: Option<Strength>,
}

/// A consent record with our human's signature on it.
#[derive(Clone, Debug)]
pub struct SignedConsent {
    /// The record.
    pub record: ConsentRecord,
    /// Our approver's signature.
    pub signature: ConsentSignature,
    /// Our human compared the words.
    pub verified: bool,
}

/// What became of a pending item.
#[derive(Debug)]
pub enum Outcome<T> {
    /// Yes.
    Approved(Approved<T>),
    /// No.
    Denied,
}

impl<T> Pending<T> {
    /// What the human says, if it is the human, says it of this item, and says it in time.
    fn answer(
        &self,
        item: &Item,
        decision: &Decision,
        approver: &ApproverId,
        now: Timestamp,
    ) -> Result<Statement, GateError> {
        let statement = decision.open(approver)?;
        let is_other = statement.id != self.id || statement.digest != item.digest();
        #[cfg(test)]
        let is_other = is_other && !planted(Bug::OtherItemAccepted);
        if is_other {
            return Err(GateError::OtherItem);
        }
        // A yes names whose texts were read before; a no needs to name nobody.
        if statement.answer == Answer::Approve && statement.after != self.after {
            return Err(GateError::OtherItem);
        }
        if self.expires <= now {
            return Err(GateError::Expired(self.expires));
        }
        let late = now.since(statement.at) > limits::DECISION_LIFE;
        let early = statement.at.since(now) > limits::DECISION_LIFE;
        if late || early { Err(GateError::Stale(statement.at)) } else { Ok(statement) }
    }
}

impl Pending<ConsentRecord> {
    /// A new peer that waits.
    #[must_use]
    pub const fn peer(id: PendingId, what: What, item: ConsentRecord, expires: Timestamp) -> Self {
        Self { id, what, item, expires, after: Vec::new(), least: None }
    }

    /// Uses up the item with a decision.
    ///
    /// # Errors
    /// See [`GateError`].
    pub fn decide(
        self,
        decision: &Decision,
        me: &PeerId,
        approver: &ApproverId,
        now: Timestamp,
    ) -> Result<Outcome<SignedConsent>, GateError> {
        let item = Item::Peer(self.what, self.item.clone());
        let statement = self.answer(&item, decision, approver, now)?;
        if statement.answer == Answer::Deny {
            return Ok(Outcome::Denied);
        }
        if !matches!(statement.method, Method::Passphrase | Method::Passkey) {
            return Err(GateError::Afresh);
        }
        let signature: ConsentSignature =
            decision.seal.as_slice().try_into().map_err(|_| GateError::Seal)?;
        let (mine, _) = self.item.sides(me).ok_or(GateError::NotOurs)?;
        if mine.approver != *approver {
            return Err(GateError::Seal);
        }
        trust::verify_one(&self.item, mine, &signature).map_err(|_| GateError::Seal)?;
        let item = SignedConsent { record: self.item, signature, verified: statement.verified };
        Ok(Outcome::Approved(Approved { item }))
    }
}

impl Pending<Envelope> {
    /// A message that waits.
    #[must_use]
    pub const fn message(id: PendingId, what: What, item: Envelope, expires: Timestamp) -> Self {
        Self { id, what, item, expires, after: Vec::new(), least: None }
    }

    /// The same, written after our agent had read texts of these peers (sorted, each once).
    #[must_use]
    pub fn after(self, after: Vec<PeerId>) -> Self {
        Self { after, ..self }
    }

    /// The same, to a receiver that takes it with no less than this.
    #[must_use]
    pub fn needs(self, least: Option<Strength>) -> Self {
        Self { least, ..self }
    }

    /// Uses up the item with a decision. What leaves comes back countersigned.
    ///
    /// # Errors
    /// See [`GateError`].
    pub fn decide(
        self,
        decision: &Decision,
        approver: &ApproverId,
        now: Timestamp,
    ) -> Result<Outcome<Envelope>, GateError> {
        let item = Item::Message(self.what, self.item.clone());
        let statement = self.answer(&item, decision, approver, now)?;
        if statement.answer == Answer::Deny {
            return Ok(Outcome::Denied);
        }
        if self.what != What::MessageOut {
            return Ok(Outcome::Approved(Approved { item: self.item }));
        }
        if let Some(least) = self.least.filter(|least| strength(statement.method) < *least) {
            return Err(GateError::TooWeak(least));
        }
        let seal = Countersignature::decode(&decision.seal).map_err(|_| GateError::Seal)?;
        // A grant is not what was typed now, and the seal says how and when the human was asked.
        if !seal.method.is_human() || (seal.method, seal.at) != (statement.method, statement.at) {
            return Err(GateError::Seal);
        }
        let item = self.item.with_countersignature(seal)?;
        if item.countersigned_by(approver).is_none() {
            return Err(GateError::Seal);
        }
        Ok(Outcome::Approved(Approved { item }))
    }
}
