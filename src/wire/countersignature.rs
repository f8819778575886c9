//! The countersignature of a human (RFC 9338, version 2, header parameter 11).
//!
//! It covers the sender's signature and everything under it, and says how the human was asked.
//! Where they signed a grant beforehand, the node signs, and the grant is inside.

use std::fmt;

use ciborium::Value;
use coset::Label;

use super::{
    Envelope, GrantKind, SignedGrant, WireError,
    cbor::{self, Fields},
};
use crate::{
    base::{ApproverId, Timestamp, limits},
    identity::{ApproverKey, IdentityKey, SIGNATURE_BYTES},
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
    /// A click on the page, while the passphrase that was typed there a short time before holds.
    Session,
    /// An MCP client says that its user answered; the human signed beforehand that this counts.
    Client,
}

impl Method {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Passphrase, "passphrase"),
        (Self::Passkey, "passkey"),
        (Self::Grant, "grant"),
        (Self::Session, "session"),
        (Self::Client, "client"),
    ];

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

    /// The human's own key signed this very item; otherwise a grant stands for them.
    #[must_use]
    pub const fn is_human(self) -> bool {
        match self {
            Self::Passphrase | Self::Passkey | Self::Session => true,
            Self::Grant | Self::Client => false,
        }
    }

    /// How a human is said to have been asked by a grant of this kind.
    #[must_use]
    pub const fn of_grant(kind: GrantKind) -> Self {
        match kind {
            GrantKind::Unasked => Self::Grant,
            GrantKind::Inline => Self::Client,
        }
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
    /// What they signed beforehand, where the method is not a human's own.
    pub grant: Option<SignedGrant>,
    /// Ed25519 over the structure of `SPEC.md` section 5: the approver's, or with a grant that of
    /// the node that sends.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Countersignature {
    /// Signs `envelope` with the human's key.
    ///
    /// # Errors
    /// When the method is not a human's own.
    pub fn sign(
        envelope: &Envelope,
        key: &ApproverKey,
        method: Method,
        at: Timestamp,
    ) -> Result<Self, WireError> {
        if !method.is_human() {
            return Err(WireError::field("method", "goes with a grant"));
        }
        let signature = [0; SIGNATURE_BYTES];
        let unsigned = Self { approver: key.id(), method, at, grant: None, signature };
        let tbs = envelope.to_be_countersigned(&unsigned.protected())?;
        Ok(Self { signature: key.sign_cose(&tbs), ..unsigned })
    }

    /// Signs `envelope` with the node's key, for a human who signed `grant` beforehand. Whether
    /// the grant covers the message is for the gate to ask.
    ///
    /// # Errors
    /// When the grant is not `approver`'s.
    pub fn sign_by_grant(
        envelope: &Envelope,
        key: &IdentityKey,
        approver: &ApproverId,
        grant: &SignedGrant,
        at: Timestamp,
    ) -> Result<Self, WireError> {
        let method = Method::of_grant(grant.open(approver)?.kind);
        let (grant, signature) = (Some(grant.clone()), [0; SIGNATURE_BYTES]);
        let unsigned = Self { approver: *approver, method, at, grant, signature };
        let tbs = envelope.to_be_countersigned(&unsigned.protected())?;
        Ok(Self { signature: key.sign_cose(&tbs), ..unsigned })
    }

    /// Its protected header, encoded: `{1: -8, 4: approver, -70002: [method, at]}`, and with a
    /// grant `[method, at, grant, signature of the grant]`.
    pub(super) fn protected(&self) -> Vec<u8> {
        let mut how = vec![self.method.as_str().into(), self.at.ms().into()];
        if let Some(grant) = &self.grant {
            how.push(grant.statement.as_slice().into());
            how.push(grant.signature.as_slice().into());
        }
        let how = Value::Array(how);
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
        let mut how = cbor::array("how", fields.need(HOW_LABEL, "how")?, 4)?.into_iter();
        fields.finish()?;
        let (Some(method), Some(at)) = (how.next(), how.next()) else { return Err(wrong) };
        let method = Method::parse(&cbor::text("method", method, limits::KIND_BYTES_MAX)?)
            .ok_or(WireError::field("method", "is not one that version 1 knows"))?;
        let at = Timestamp::from_ms(cbor::uint("time", &at)?);
        let grant = match (how.next(), how.next()) {
            (None, None) => None,
            (Some(statement), Some(signature)) => Some(read_grant(statement, signature)?),
            (_, _) => return Err(WireError::field("how", "has a grant without its signature")),
        };
        if method.is_human() == grant.is_some() {
            return Err(WireError::field("how", "has a grant where the method says no, or none"));
        }
        Ok(Self { approver, method, at, grant, signature })
    }

    /// Reads one from its own encoding, as a decision carries it.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::read(cbor::decode("countersignature", bytes, COUNTERSIGNATURE_BYTES_MAX)?)
    }

    /// Its own encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&self.value())
    }
}

/// One with a grant.
const COUNTERSIGNATURE_BYTES_MAX: usize = limits::GRANT_BYTES_MAX + limits::KNOCK_BYTES_MAX;

fn read_grant(statement: Value, signature: Value) -> Result<SignedGrant, WireError> {
    let statement = cbor::bytes("grant", statement)?;
    if statement.len() > limits::GRANT_BYTES_MAX {
        let (size, limit) = (statement.len(), limits::GRANT_BYTES_MAX);
        return Err(WireError::TooLarge { what: "grant", size, limit });
    }
    let signature = cbor::bytes("grant", signature)?
        .try_into()
        .map_err(|_| WireError::field("grant", "has a signature that is not 64 bytes"))?;
    Ok(SignedGrant { statement, signature })
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
