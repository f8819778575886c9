//! The envelope: a COSE_Sign1 (RFC 9052 section 4.2) by the sender's identity key.
//!
//! An [`Envelope`] exists only with a signature that verified, in the one encoding that its
//! content has. Whether it is for us, trusted, fresh and new is for later layers to ask.

use ciborium::Value;
use coset::{
    CborSerializable as _, CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _,
    iana,
};

use super::{
    Body, Countersignature, Direction, Kind, Method, VERSION, WireError,
    cbor::{self, Fields, MapBuilder},
    countersignature,
};
use crate::{
    base::{ApproverId, Digest, MessageId, PeerId, SessionName, ThreadId, Timestamp, limits},
    identity::{IdentityKey, PublicKey as _},
};

/// `external_aad` of every envelope's signature.
pub const ENVELOPE_LABEL: &str = "countersign/envelope/v1";
/// The protected header parameter that holds ours; private use (RFC 9052 section 11.1).
pub const HEADER_LABEL: i64 = -70_001;
/// The author of a message that the sender's human wrote.
const HUMAN: &str = "human";
/// Countersignature, version 1 (RFC 8152 section 4.5).
const OLD_COUNTERSIGNATURE: i64 = 7;

/// The protected header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the body is.
    pub kind: Kind,
    /// Chosen by the sender, once.
    pub id: MessageId,
    /// Whose key signed.
    pub sender: PeerId,
    /// Whom it is for.
    pub recipient: PeerId,
    /// When it was signed, by the sender's clock.
    pub created: Timestamp,
    /// When it is worthless, at most [`limits::EXPIRY_MAX`] later.
    pub expires: Timestamp,
    /// The conversation it belongs to; receipts have none.
    pub thread: Option<ThreadId>,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// The sender says that its human wrote it. True only beside that human's countersignature.
    pub human: bool,
    /// Which session of the recipient's it is for, by the name that it has there. Only for a node
    /// that says [`FEATURE_SESSIONS`](super::FEATURE_SESSIONS).
    pub session: Option<SessionName>,
}

/// An envelope that is not signed yet.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its header; `sender` must be the signing key's id.
    pub header: Header,
    /// Its content.
    pub body: Body,
}

/// A signed envelope. Its bytes never change again, but for a countersignature that is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    header: Header,
    body: Body,
    countersignature: Option<Countersignature>,
    digest: Digest,
    bytes: Vec<u8>,
}

impl Draft {
    /// Signs.
    ///
    /// # Errors
    /// When a bound is broken, the header names another sender, or the body is not of its kind.
    pub fn seal(self, key: &IdentityKey) -> Result<Envelope, WireError> {
        if self.header.sender != key.id() {
            return Err(WireError::field("sender", "is not the signing key"));
        }
        check_header(&self.header)?;
        let payload = self.body.encode();
        // What no receiver would read must not be signed: a body of another kind, or over a bound.
        let kind = Kind::parse(self.header.kind.as_str());
        if kind != self.header.kind || Body::decode(&kind, &payload)? != self.body {
            return Err(WireError::field("body", "is not of its kind"));
        }
        let sign1 = CoseSign1Builder::new()
            .protected(protected(&self.header))
            .payload(payload)
            .create_signature(ENVELOPE_LABEL.as_bytes(), |tbs| key.sign_cose(tbs).to_vec())
            .build();
        Envelope::from_parts(self.header, self.body, None, sign1)
    }
}

impl Envelope {
    /// Reads an envelope and verifies its signature. A countersignature is parsed but not
    /// verified: that needs to know whose it must be ([`Envelope::countersigned_by`]).
    ///
    /// # Errors
    /// Whatever is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let limit = limits::ENVELOPE_BYTES_MAX;
        if bytes.len() > limit {
            return Err(WireError::TooLarge { what: "envelope", size: bytes.len(), limit });
        }
        refuse_nested(bytes)?;
        let sign1 = CoseSign1::from_tagged_slice(bytes)
            .map_err(|e| WireError::Cbor(format!("not a COSE_Sign1: {e}")))?;
        let header = read_header(&sign1)?;
        let payload = sign1.payload.as_deref().unwrap_or_default();
        let body = Body::decode(&header.kind, payload)?;
        let countersignature = countersignature::read(&sign1.unprotected)?;
        // This refuses a weak key, too.
        sign1.verify_signature(ENVELOPE_LABEL.as_bytes(), |signature, tbs| {
            header.sender.verify_cose(tbs, signature)
        })?;
        let signature = sign1.signature;
        let fresh = CoseSign1Builder::new()
            .protected(protected(&header))
            .payload(body.encode())
            .signature(signature)
            .build();
        let envelope = Self::from_parts(header, body, countersignature, fresh)?;
        if envelope.bytes == bytes {
            Ok(envelope)
        } else {
            Err(WireError::NotDeterministic("the envelope differs from its own re-encoding"))
        }
    }

    fn from_parts(
        header: Header,
        body: Body,
        countersignature: Option<Countersignature>,
        mut sign1: CoseSign1,
    ) -> Result<Self, WireError> {
        if let Some(countersignature) = &countersignature {
            sign1.unprotected.rest = vec![(countersignature::HEADER, countersignature.value())];
        }
        let signed = [protected_bytes(&sign1), sign1.payload.clone().unwrap_or_default()];
        let signed = cbor::encode(&Value::Array(signed.map(Value::Bytes).to_vec()));
        let digest = Digest::of("countersign/envelope-digest/v1", &[&signed, &sign1.signature]);
        let bytes = sign1.to_tagged_vec().map_err(|e| WireError::Cbor(e.to_string()))?;
        if bytes.len() > limits::ENVELOPE_BYTES_MAX {
            let (size, limit) = (bytes.len(), limits::ENVELOPE_BYTES_MAX);
            return Err(WireError::TooLarge { what: "envelope", size, limit });
        }
        Ok(Self { header, body, countersignature, digest, bytes })
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The content.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// The bytes as sent, stored and hashed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of what the sender signed. A countersignature does not change it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    fn sign1(&self) -> Option<CoseSign1> {
        CoseSign1::from_tagged_slice(&self.bytes).ok()
    }

    /// The countersignature, unverified.
    #[must_use]
    pub const fn countersignature(&self) -> Option<&Countersignature> {
        self.countersignature.as_ref()
    }

    /// The bytes that an approver signs to countersign (RFC 9338 section 3.3).
    ///
    /// # Errors
    /// Never for an envelope that was decoded or sealed here.
    pub fn to_be_countersigned(&self, protected: &[u8]) -> Result<Vec<u8>, WireError> {
        let sign1 = self.sign1().ok_or(WireError::field("envelope", "cannot be read again"))?;
        Ok(countersignature::structure(
            &protected_bytes(&sign1),
            protected,
            &sign1.payload.unwrap_or_default(),
            &sign1.signature,
        ))
    }

    /// Adds a countersignature, or replaces the one that is there.
    ///
    /// # Errors
    /// When the envelope would grow over its bound.
    pub fn with_countersignature(self, added: Countersignature) -> Result<Self, WireError> {
        let sign1 = self.sign1().ok_or(WireError::field("envelope", "cannot be read again"))?;
        Self::from_parts(self.header, self.body, Some(added), sign1)
    }

    /// The countersignature, if it stands for `approver` and verifies: made by their key, or by
    /// the sender's node under a grant of theirs that held then, for this recipient. Whether the
    /// grant covers what the message says is for the gate to ask.
    #[must_use]
    pub fn countersigned_by(&self, approver: &ApproverId) -> Option<&Countersignature> {
        let countersignature = self.countersignature.as_ref()?;
        if countersignature.approver != *approver {
            return None;
        }
        let tbs = self.to_be_countersigned(&countersignature.protected()).ok()?;
        let signature = &countersignature.signature;
        let verifies = match &countersignature.grant {
            None => approver.verify_cose(&tbs, signature).is_ok(),
            Some(grant) => {
                let grant = grant.open(approver).ok()?;
                let held = (grant.from..grant.until).contains(&countersignature.at);
                let recipient = self.header.recipient;
                held && Method::of_grant(grant.kind) == countersignature.method
                    && grant.node == self.header.sender
                    && grant.direction == Direction::Out
                    && grant.peer.is_none_or(|peer| peer == recipient)
                    && self.header.sender.verify_cose(&tbs, signature).is_ok()
            }
        };
        verifies.then_some(countersignature)
    }

    /// The sender's human, whose approver this is, wrote it and signed for that.
    #[must_use]
    pub fn written_by_human(&self, approver: &ApproverId) -> bool {
        let signed = self.countersigned_by(approver).is_some_and(|by| by.method.is_human());
        self.header.human && signed
    }
}

/// A countersignature of the old form (header parameter 7) has headers of its own, which may hold
/// another, and coset follows them as deep as they go. No envelope has one.
fn refuse_nested(bytes: &[u8]) -> Result<(), WireError> {
    let wrong = |e: &dyn std::fmt::Display| WireError::Cbor(format!("not a COSE_Sign1: {e}"));
    let read = |bytes: &[u8]| -> Result<Value, WireError> {
        // One level more than a body has, for the tag.
        ciborium::de::from_reader_with_recursion_limit(bytes, limits::CBOR_DEPTH_MAX + 1)
            .map_err(|e| wrong(&e))
    };
    let (Value::Tag(_, sign1), old) = (read(bytes)?, Value::from(OLD_COUNTERSIGNATURE)) else {
        return Err(wrong(&"it has no tag"));
    };
    for header in sign1.as_array().into_iter().flatten().take(2) {
        let encoded = header.as_bytes().filter(|bytes| !bytes.is_empty());
        let decoded = encoded.map(|bytes| read(bytes)).transpose()?;
        let map = decoded.as_ref().unwrap_or(header).as_map();
        if map.is_some_and(|map| map.iter().any(|(key, _)| *key == old)) {
            return Err(WireError::field("header", "holds a countersignature of the old form"));
        }
    }
    Ok(())
}

fn protected_bytes(sign1: &CoseSign1) -> Vec<u8> {
    sign1
        .protected
        .original_data
        .clone()
        .unwrap_or_else(|| sign1.protected.header.clone().to_vec().unwrap_or_default())
}

fn protected(header: &Header) -> coset::Header {
    let fields = MapBuilder::new()
        .put(1, VERSION)
        .put(2, header.kind.as_str())
        .put(3, header.id.as_bytes().as_slice())
        .put(4, header.recipient.as_bytes().as_slice())
        .put(5, header.created.ms())
        .put(6, header.expires.ms())
        .put_opt(7, header.thread.as_ref().map(|id| id.as_bytes().as_slice()))
        .put_opt(8, header.reply_to.as_ref().map(|id| id.as_bytes().as_slice()))
        .put_opt(9, header.human.then_some(HUMAN))
        .put_opt(10, header.session.as_ref().map(SessionName::as_str))
        .value();
    HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(header.sender.as_bytes().to_vec())
        .value(HEADER_LABEL, fields)
        .build()
}

fn read_header(sign1: &CoseSign1) -> Result<Header, WireError> {
    let cose = &sign1.protected.header;
    if cose.alg != Some(coset::RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA)) {
        return Err(WireError::field("algorithm", "is not EdDSA"));
    }
    let sender = PeerId::from_slice(&cose.key_id)
        .ok_or(WireError::field("kid", "is not an identity key"))?;
    let label = coset::Label::Int(HEADER_LABEL);
    let (_, ours) = cose
        .rest
        .iter()
        .find(|(found, _)| *found == label)
        .ok_or(WireError::field("header", "is missing"))?;
    // Read from bytes, so that this map too is held to the deterministic form.
    let bytes = cbor::encode(ours);
    let mut fields = Fields::read("header", &bytes, limits::ENVELOPE_BYTES_MAX)?;
    let version = fields.uint(1, "version")?;
    if version != VERSION {
        return Err(WireError::Version(version));
    }
    let header = Header {
        kind: Kind::parse(&fields.text(2, "kind", limits::KIND_BYTES_MAX)?),
        id: fields.id(3, "message id", MessageId::from_slice)?,
        sender,
        recipient: fields.id(4, "recipient", PeerId::from_slice)?,
        created: Timestamp::from_ms(fields.uint(5, "created")?),
        expires: Timestamp::from_ms(fields.uint(6, "expires")?),
        thread: fields.id_opt(7, "thread", ThreadId::from_slice)?,
        reply_to: fields.id_opt(8, "reply_to", MessageId::from_slice)?,
        human: read_author(&mut fields)?,
        session: read_session(&mut fields)?,
    };
    fields.finish()?;
    check_header(&header)?;
    Ok(header)
}

/// Who wrote it: the agent where nothing is said.
fn read_author(fields: &mut Fields) -> Result<bool, WireError> {
    match fields.take(9) {
        None => Ok(false),
        Some(author) if author == Value::from(HUMAN) => Ok(true),
        Some(_) => Err(WireError::field("author", "is not human")),
    }
}

/// Whose it is among the recipient's sessions: everybody's where nothing is said.
fn read_session(fields: &mut Fields) -> Result<Option<SessionName>, WireError> {
    let Some(name) = fields.take(10) else { return Ok(None) };
    let name = cbor::text("session", name, limits::SESSION_NAME_BYTES_MAX)?;
    let wrong = |_| WireError::field("session", "is not 1 to 32 of a-z, 0-9, '-', '_' and '.'");
    SessionName::parse(&name).map(Some).map_err(wrong)
}

fn check_header(header: &Header) -> Result<(), WireError> {
    let kind = header.kind.as_str();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_');
    if kind.is_empty() || kind.len() > limits::KIND_BYTES_MAX || !kind.chars().all(plain) {
        return Err(WireError::field("kind", "is not 1 to 32 of a-z, 0-9, '.' and '_'"));
    }
    let life = header.expires.since(header.created);
    if life.is_zero() || life > limits::EXPIRY_MAX {
        return Err(WireError::Lifetime);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{MessageText, Secret},
        identity::ApproverKey,
        wire::Method,
    };

    fn envelope() -> (IdentityKey, Envelope) {
        let key = IdentityKey::from_seed(&Secret::new([1; 32]));
        let header = Header {
            kind: Kind::Text,
            id: MessageId::from_bytes([2; 16]),
            sender: key.id(),
            recipient: IdentityKey::from_seed(&Secret::new([3; 32])).id(),
            created: Timestamp::from_ms(1_000),
            expires: Timestamp::from_ms(2_000),
            thread: Some(ThreadId::from_bytes([4; 16])),
            reply_to: None,
            human: false,
            session: None,
        };
        let body = Body::Text(MessageText::parse("hello").unwrap());
        let envelope = Draft { header, body }.seal(&key).unwrap();
        (key, envelope)
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let (_, envelope) = envelope();
        assert_eq!(Envelope::decode(envelope.bytes()).unwrap(), envelope);
        for at in 0..envelope.bytes().len() * 8 {
            let mut bytes = envelope.bytes().to_vec();
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(Envelope::decode(&bytes).is_err(), "bit {at}");
        }
    }

    #[test]
    fn headers_within_headers_do_not_use_up_the_stack() {
        let (_, envelope) = envelope();
        // Each level: {7: [the header within, {}, '']}.
        let mut header = Vec::new();
        while header.len() < limits::ENVELOPE_BYTES_MAX - 1024 {
            let within = Value::Array(vec![
                Value::Bytes(header),
                Value::Map(Vec::new()),
                Value::Bytes(Vec::new()),
            ]);
            header = cbor::encode(&Value::Map(vec![(7.into(), within)]));
        }
        let deep = Value::Bytes(header);
        let map: Value = ciborium::from_reader(deep.as_bytes().unwrap().as_slice()).unwrap();
        let sign1 = envelope.sign1().unwrap();
        let rest = [Value::Bytes(sign1.payload.unwrap()), Value::Bytes(sign1.signature)];
        let protected = Value::Bytes(protected(&envelope.header).to_vec().unwrap());
        for headers in [[deep, Value::Map(Vec::new())], [protected, map]] {
            let parts = headers.into_iter().chain(rest.clone()).collect();
            let bytes = cbor::encode(&Value::Tag(18, Box::new(Value::Array(parts))));
            assert!(Envelope::decode(&bytes).is_err());
        }
    }

    #[test]
    fn what_no_receiver_would_read_is_not_sealed() {
        let (key, envelope) = envelope();
        let (header, body) = (envelope.header, envelope.body);
        let text = |kind| Header { kind, ..header.clone() };
        let named = Kind::Unknown("text".to_owned());
        for (kind, body) in [
            (Kind::Receipt, body.clone()),
            (Kind::Receipt, Body::Receipt(crate::wire::Receipt::of(Vec::new()))),
            (Kind::Unknown("card".to_owned()), body.clone()),
            (named, body),
            (Kind::Unknown("card".to_owned()), Body::Unknown(vec![0xff])),
        ] {
            assert!(Draft { header: text(kind), body }.seal(&key).is_err());
        }
    }

    #[test]
    fn a_countersignature_holds_for_its_approver_and_envelope_alone() {
        let (_, envelope) = envelope();
        let human = ApproverKey::from_seed(&Secret::new([5; 32]));
        let at = Timestamp::from_ms(1_500);
        let signed = Countersignature::sign(&envelope, &human, Method::Passphrase, at).unwrap();
        let digest = envelope.digest();
        let whole = envelope.with_countersignature(signed).unwrap();
        assert_eq!(whole.digest(), digest, "the digest is of what the sender signed");
        let read = Envelope::decode(whole.bytes()).unwrap();
        assert_eq!(read.countersigned_by(&human.id()).unwrap().method, Method::Passphrase);
        let other = ApproverKey::from_seed(&Secret::new([6; 32]));
        assert!(read.countersigned_by(&other.id()).is_none());
        let forged =
            Countersignature { approver: other.id(), ..read.countersignature.clone().unwrap() };
        let forged = read.with_countersignature(forged).unwrap();
        assert!(forged.countersigned_by(&other.id()).is_none());
    }
}
