//! The gate: nothing that needs a yes passes without one.
//!
//! An [`Approved`] value is the proof, and this module is the only place that mints it: for what
//! the policy allows, and for what the human's approver signed. Net and delivery take nothing
//! else. The functions here do no I/O; time is an argument.

use ciborium::Value;

use crate::{
    base::{ApproverId, Digest, PeerId, PendingId, Timestamp, limits},
    identity::{ApproverKey, Domain, IdentityError, IdentityKey, PublicKey as _, SIGNATURE_BYTES},
    policy::{self, Action, Verdict},
    risk::{self, Finding},
    trust::{self, ConsentSignature},
    wire::{
        ConsentRecord, Countersignature, Covered, Direction, Envelope, Grant, GrantKind, Kind,
        Method, SignedGrant, VERSION, WireError,
        cbor::{self, Fields, MapBuilder},
    },
};

/// Proof that the human, or a rule that the human stands behind, let `T` pass.
#[derive(Clone, Debug)]
pub struct Approved<T> {
    item: T,
}

impl<T> Approved<T> {
    /// What may pass.
    pub const fn item(&self) -> &T {
        &self.item
    }

    /// What may pass, taken out. The proof is used up.
    pub fn into_item(self) -> T {
        self.item
    }
}

/// Why something did not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The decision was made for something else, or the item was changed since.
    #[error("the decision is for another item: what was shown is not what waits")]
    OtherItem,
    /// The item's time is over.
    #[error("the item expired at {0}")]
    Expired(Timestamp),
    /// The decision was signed too long ago, or in the future.
    #[error("the decision was signed at {0}, which is not within the last 10 minutes")]
    Stale(Timestamp),
    /// Not signed by our approver.
    #[error("the decision is not signed by this home's approver: {0}")]
    Signature(#[from] IdentityError),
    /// The consent or countersignature that belongs to the yes is missing or wrong.
    #[error("the approval lacks the signature on the item itself")]
    Seal,
    /// Cannot be read.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The policy asks, and nobody said yes.
    #[error("this needs a human's approval, and there is none")]
    NotApproved,
    /// A new peer was decided by a session that the passphrase had opened for messages.
    #[error("a new peer takes the passphrase itself, typed for this one decision")]
    Afresh,
    /// The envelope is from another node, or for another peer.
    #[error("the envelope is not ours to send")]
    NotOurs,
}

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
}

impl Statement {
    fn encode(&self) -> Vec<u8> {
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
            .encode()
    }

    /// Reads a statement without asking who signed it.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::read("decision", bytes, limits::KNOCK_BYTES_MAX)?;
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
        };
        fields.finish()?;
        Ok(statement)
    }
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
    what: What,
    item: T,
    expires: Timestamp,
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
        if statement.id != self.id || statement.digest != item.digest() {
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
        Self { id, what, item, expires }
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
        Self { id, what, item, expires }
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

/// Asks the policy about a message that leaves, and lets it pass if that is its answer. A valid
/// countersignature of our own approver is a yes. Used for new messages and for every message
/// that is read back from disk, so that a row that somebody wrote there passes no easier.
///
/// # Errors
/// The reasons to ask the human.
pub fn outgoing(
    envelope: Envelope,
    me: &PeerId,
    approver: Option<&ApproverId>,
) -> Result<Approved<Envelope>, (GateError, Vec<policy::Reason>)> {
    if envelope.header().sender != *me {
        return Err((GateError::NotOurs, Vec::new()));
    }
    if envelope.header().kind == Kind::Receipt {
        return Ok(Approved { item: envelope });
    }
    let findings = envelope.body().text().map(|text| risk::scan(text.as_str())).unwrap_or_default();
    let written = approver.is_some_and(|approver| envelope.written_by_human(approver));
    if envelope.header().human && !written {
        // It says that our human wrote it, and our human has not signed it.
        return Err((GateError::NotApproved, Vec::new()));
    }
    if approver.is_some_and(|approver| is_released(&envelope, approver, &findings)) {
        return Ok(Approved { item: envelope });
    }
    match policy::decide(Action::MessageOut, &findings) {
        Verdict::Allow => Ok(Approved { item: envelope }),
        Verdict::Ask(reasons) => Err((GateError::NotApproved, reasons)),
    }
}

/// The countersignature of an envelope, where it stands for the human behind `approver`: made by
/// their own hand, or by a grant of theirs that covers what is found in it.
#[must_use]
pub fn released_by<'e>(
    envelope: &'e Envelope,
    approver: &ApproverId,
) -> Option<&'e Countersignature> {
    let findings = envelope.body().text().map(|text| risk::scan(text.as_str())).unwrap_or_default();
    envelope.countersigned_by(approver).filter(|_| is_released(envelope, approver, &findings))
}

/// Whether the human behind `approver` let these findings out: by their own signature on the
/// message, or by a grant that covers them.
fn is_released(envelope: &Envelope, approver: &ApproverId, findings: &[Finding]) -> bool {
    let Some(by) = envelope.countersigned_by(approver) else { return false };
    let Some(grant) = &by.grant else { return true };
    let Ok(grant) = grant.open(approver) else { return false };
    covers(&grant, envelope, findings, by.at)
}

fn covers(grant: &Grant, envelope: &Envelope, findings: &[Finding], at: Timestamp) -> bool {
    let header = envelope.header();
    let peer = match grant.direction {
        Direction::Out => header.recipient,
        Direction::In => header.sender,
    };
    let found: Vec<_> = findings.iter().map(|f| (f.rule, f.severity)).collect();
    let size = envelope.body().text().map_or(0, |text| text.as_str().len());
    // What has no text is not what anybody read in the grant's sentence.
    envelope.body().text().is_some()
        && grant.covers(&Covered {
            peer,
            direction: grant.direction,
            findings: &found,
            size_bytes: u64::try_from(size).unwrap_or(u64::MAX),
            at,
        })
}

/// Lets a message out that one of the human's grants covers. It leaves with the grant in its
/// countersignature, so that whoever reads it later, here or there, can check the same.
///
/// # Errors
/// When the grant is not this human's, not to pass unasked, for another node, or does not cover it
/// at `now`.
pub fn release_by_grant(
    envelope: Envelope,
    signed: &SignedGrant,
    keys: (&IdentityKey, &ApproverId),
    now: Timestamp,
) -> Result<Approved<Envelope>, GateError> {
    release(envelope, (signed, GrantKind::Unasked), keys, now)
}

impl Pending<Envelope> {
    /// Uses up the item by the word of an MCP client that its user said yes. It counts where the
    /// human signed beforehand that it may, and says of itself that a client asserted it.
    ///
    /// # Errors
    /// When the grant is not this human's, not for clients, for another node, or does not cover
    /// the message at `now`; for what comes in; and when the item is too late.
    pub fn decide_by_client(
        self,
        signed: &SignedGrant,
        keys: (&IdentityKey, &ApproverId),
        now: Timestamp,
    ) -> Result<Approved<Envelope>, GateError> {
        if self.what != What::MessageOut {
            return Err(GateError::NotApproved);
        }
        if self.expires <= now {
            return Err(GateError::Expired(self.expires));
        }
        release(self.item, (signed, GrantKind::Inline), keys, now)
    }
}

fn release(
    envelope: Envelope,
    (signed, kind): (&SignedGrant, GrantKind),
    (key, approver): (&IdentityKey, &ApproverId),
    now: Timestamp,
) -> Result<Approved<Envelope>, GateError> {
    if signed.open(approver)?.kind != kind || envelope.header().human {
        return Err(GateError::NotApproved);
    }
    let seal = Countersignature::sign_by_grant(&envelope, key, approver, signed, now)?;
    let envelope = envelope.with_countersignature(seal)?;
    // Not through the policy: what it would allow anyway needs no grant.
    let findings = envelope.body().text().map(|text| risk::scan(text.as_str())).unwrap_or_default();
    if envelope.header().sender == key.id() && is_released(&envelope, approver, &findings) {
        Ok(Approved { item: envelope })
    } else {
        Err(GateError::NotApproved)
    }
}

/// Lets a message in that one of the human's grants covers, with all the `reasons` for which they
/// would be asked.
///
/// # Errors
/// When the grant is not this human's, for another node, or does not cover it at `now`.
pub fn admit_by_grant(
    envelope: Envelope,
    reasons: &[policy::Reason],
    (signed, approver): (&SignedGrant, &ApproverId),
    now: Timestamp,
) -> Result<Approved<Envelope>, GateError> {
    let grant = signed.open(approver)?;
    let findings = envelope.body().text().map(|text| risk::scan(text.as_str())).unwrap_or_default();
    let ours = grant.node == envelope.header().recipient && grant.direction == Direction::In;
    // The reasons are more than findings: a clock that is ahead is one.
    let named =
        reasons.iter().all(|r| grant.rules.contains(&r.rule) && r.severity <= grant.severity_max);
    if ours && named && covers(&grant, &envelope, &findings, now) {
        Ok(Approved { item: envelope })
    } else {
        Err(GateError::NotApproved)
    }
}

/// What the policy says of a message that arrived.
#[derive(Debug)]
pub enum Incoming {
    /// It may go to the inbox.
    Allowed(Approved<Envelope>),
    /// Our human is asked.
    Asked(Envelope, Vec<policy::Reason>),
}

/// Asks the policy about a message that arrives from a trusted peer.
#[must_use]
pub fn incoming(envelope: Envelope, peer_approver: &ApproverId, now: Timestamp) -> Incoming {
    let findings = envelope.body().text().map(|text| risk::scan(text.as_str())).unwrap_or_default();
    // What a client asserted is no human's word to us.
    let asserted = envelope.countersignature().is_some_and(|by| by.method == Method::Client);
    let action = Action::MessageIn {
        countersigned: !asserted && is_released(&envelope, peer_approver, &findings),
        clock_ahead: envelope.header().created.since(now) > limits::CLOCK_AHEAD_MAX,
    };
    match policy::decide(action, &findings) {
        Verdict::Allow => Incoming::Allowed(Approved { item: envelope }),
        Verdict::Ask(reasons) => Incoming::Asked(envelope, reasons),
    }
}

#[cfg(test)]
mod tests;
