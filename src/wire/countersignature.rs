//! The countersignature of a human (RFC 9338, version 2, header parameter 11).
//!
//! It covers the sender's signature and everything under it, and says how the human was asked.

use std::fmt;

use ciborium::Value;
use coset::Label;

use super::{
    Envelope, WireError,
    cbor::{self, Fields},
};
use crate::{
    base::{ApproverId, Timestamp, limits},
    identity::{ApproverKey, SIGNATURE_BYTES},
};

/// `external_aad` of every countersignature.
pub const COUNTERSIGNATURE_LABEL: &str = "countersign/countersignature/v1";
/// Countersignature version 2 (RFC 9338 section 3).
pub(super) const HEADER: Label = Label::Int(11);
/// The protected parameter that holds how and when; private use.
const HOW_LABEL: i64 = -70_002;

/// How the human was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// The approval passphrase was typed for this one item.
    Passphrase,
    /// A passkey with user verification.
    Passkey,
    /// A rule that the human signed beforehand.
    Grant,
}

impl Method {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Passphrase, "passphrase"), (Self::Passkey, "passkey"), (Self::Grant, "grant")];

    /// The name on the wire and on every surface.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(method, _)| *method == self).map_or("", |(_, name)| name)
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(method, _)| *method)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A human's signature on an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Countersignature {
    /// Whose it is.
    pub approver: ApproverId,
    /// How they were asked.
    pub method: Method,
    /// When they said yes.
    pub at: Timestamp,
    /// Ed25519 over the structure of `SPEC.md` section 5.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Countersignature {
    /// Signs `envelope` with the human's key.
    ///
    /// # Errors
    /// Never for an envelope that was decoded or sealed here.
    pub fn sign(
        envelope: &Envelope,
        key: &ApproverKey,
        method: Method,
        at: Timestamp,
    ) -> Result<Self, WireError> {
        let unsigned = Self { approver: key.id(), method, at, signature: [0; SIGNATURE_BYTES] };
        let tbs = envelope.to_be_countersigned(&unsigned.protected())?;
        Ok(Self { signature: key.sign_cose(&tbs), ..unsigned })
    }

    /// Its protected header, encoded: `{1: -8, 4: approver, -70002: [method, at]}`.
    pub(super) fn protected(&self) -> Vec<u8> {
        let how = Value::Array(vec![self.method.as_str().into(), self.at.ms().into()]);
        let approver = Value::from(self.approver.as_bytes().as_slice());
        cbor::encode(&Value::Map(vec![
            (1.into(), Value::from(EDDSA)),
            (4.into(), approver),
            (HOW_LABEL.into(), how),
        ]))
    }

    /// `COSE_Countersignature = [protected, unprotected, signature]`.
    pub(super) fn value(&self) -> Value {
        Value::Array(vec![
            Value::Bytes(self.protected()),
            Value::Map(Vec::new()),
            Value::from(self.signature.as_slice()),
        ])
    }

    fn read(value: Value) -> Result<Self, WireError> {
        let field = "countersignature";
        let wrong = WireError::field(field, "is not [protected, {}, signature]");
        let parts: [Value; 3] =
            cbor::array(field, value, 3)?.try_into().map_err(|_| wrong.clone())?;
        let [protected, unprotected, signature] = parts;
        if unprotected != Value::Map(Vec::new()) {
            return Err(wrong);
        }
        let protected = cbor::bytes(field, protected)?;
        let signature = cbor::bytes(field, signature)?.try_into().map_err(|_| wrong.clone())?;
        let mut fields = Fields::read(field, &protected, limits::ENVELOPE_BYTES_MAX)?;
        if fields.need(1, "algorithm")? != Value::from(EDDSA) {
            return Err(WireError::field("algorithm", "is not EdDSA"));
        }
        let approver = fields.id(4, "kid", ApproverId::from_slice)?;
        let how = cbor::array("how", fields.need(HOW_LABEL, "how")?, 2)?;
        fields.finish()?;
        let [method, at]: [Value; 2] = how.try_into().map_err(|_| wrong)?;
        let method = Method::parse(&cbor::text("method", method, limits::KIND_BYTES_MAX)?)
            .ok_or(WireError::field("method", "is not one that version 1 knows"))?;
        let at = Timestamp::from_ms(cbor::uint("time", &at)?);
        Ok(Self { approver, method, at, signature })
    }

    /// Reads one from its own encoding, as a decision carries it.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::read(cbor::decode("countersignature", bytes, limits::KNOCK_BYTES_MAX)?)
    }

    /// Its own encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&self.value())
    }
}

/// `EdDSA` in the COSE registry.
const EDDSA: i64 = -8;

/// Reads the countersignature of an unprotected header that may hold nothing else.
pub(super) fn read(unprotected: &coset::Header) -> Result<Option<Countersignature>, WireError> {
    let empty = coset::Header { rest: unprotected.rest.clone(), ..coset::Header::default() };
    let field = "unprotected header";
    if *unprotected != empty {
        return Err(WireError::field(field, "holds more than a countersignature"));
    }
    match unprotected.rest.as_slice() {
        [] => Ok(None),
        [(label, value)] if *label == HEADER => Countersignature::read(value.clone()).map(Some),
        _ => Err(WireError::field(field, "holds more than a countersignature")),
    }
}

/// `Countersign_structure` (RFC 9338 section 3.3) of a COSE_Sign1: the signature is the one
/// "other field".
pub(super) fn structure(
    body_protected: &[u8],
    sign_protected: &[u8],
    payload: &[u8],
    signature: &[u8],
) -> Vec<u8> {
    cbor::encode(&Value::Array(vec![
        "CounterSignatureV2".into(),
        body_protected.into(),
        sign_protected.into(),
        COUNTERSIGNATURE_LABEL.as_bytes().into(),
        payload.into(),
        Value::Array(vec![signature.into()]),
    ]))
}
