//! Frames of `countersign/pair/1`, between strangers (`SPEC.md` section 7). Each is at most
//! [`limits::KNOCK_BYTES_MAX`] bytes, because a stranger makes us read it.

use ciborium::Value;

use super::{
    VERSION, WireError,
    cbor::{self, Fields, MapBuilder},
    consent::{NONCE_BYTES, read_name},
};
use crate::{
    base::{ApproverId, ClaimedName, Digest, Note, PeerId, Timestamp, limits},
    identity::{PublicKey as _, SIGNATURE_BYTES},
};

/// One frame. The joiner dials and speaks first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PairFrame {
    /// Joiner: I hold your invite, this is who I am, and I am bound to this nonce.
    Knock(Knock),
    /// Inviter: this is who I am, and my nonce.
    Answer(Answer),
    /// Joiner: the nonce that I was bound to.
    Reveal([u8; NONCE_BYTES]),
    /// Either: my human signed the record of this digest.
    Consent {
        /// The record's digest.
        record: Digest,
        /// By my approver, over the record.
        signature: [u8; SIGNATURE_BYTES],
        /// A line from the joiner's side, sent only after its human said yes.
        note: Option<Note>,
    },
    /// Either: I have your consent on disk.
    ConsentKept(Digest),
    /// Either: it ends here.
    End(EndReason),
    /// A frame of a later version; it is skipped.
    Unknown(u64),
}

/// The joiner's first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knock {
    /// Shows that the joiner holds the invite's secret: see [`proof`].
    pub proof: Digest,
    /// Binds the joiner to its nonce: see [`commitment`].
    pub commitment: Digest,
    /// The joiner's human.
    pub approver: ApproverId,
    /// What the joiner calls itself.
    pub name: ClaimedName,
    /// When, by the joiner's clock.
    pub created: Timestamp,
}

/// The inviter's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The inviter's human.
    pub approver: ApproverId,
    /// What the inviter calls itself.
    pub name: ClaimedName,
    /// The inviter's part of the randomness.
    pub nonce: [u8; NONCE_BYTES],
}

/// Why a pairing ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The invite is unknown, used by another key, or expired. Strangers see no difference.
    NoInvite,
    /// The human said no, or did not answer in time.
    Denied,
    /// The frame was not expected at this step.
    Protocol,
}

impl EndReason {
    const ALL: [(Self, &'static str); 3] =
        [(Self::NoInvite, "no_invite"), (Self::Denied, "denied"), (Self::Protocol, "protocol")];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(reason, _)| *reason == self).map_or("", |(_, name)| name)
    }

    fn parse(name: &str) -> Result<Self, WireError> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(reason, _)| *reason)
            .ok_or(WireError::field("end reason", "is not one that version 1 knows"))
    }
}

/// What a joiner shows instead of the secret: a digest that only its holder can make, good for
/// these two endpoints alone. The endpoints themselves are proven by QUIC's handshake.
#[must_use]
pub fn proof(secret: &[u8; 16], joiner: &PeerId, inviter: &PeerId) -> Digest {
    let parts: [&[u8]; 3] = [secret, joiner.as_bytes(), inviter.as_bytes()];
    Digest::of("countersign/invite-proof/v1", &parts)
}

/// The ALPN by which a joiner shows its [`proof`] in the handshake itself, before the inviter has
/// said a word.
#[must_use]
pub fn alpn_of(proof: &Digest) -> Vec<u8> {
    [super::ALPN_PAIR, b"/", proof.to_string().as_bytes()].concat()
}

/// Whether an ALPN is one of pairing: plain, or with a proof.
#[must_use]
pub fn is_alpn(alpn: &[u8]) -> bool {
    let rest = alpn.strip_prefix(super::ALPN_PAIR);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// What binds a joiner to its nonce before it sees the inviter's.
#[must_use]
pub fn commitment(nonce: &[u8; NONCE_BYTES], joiner: &PeerId) -> Digest {
    Digest::of("countersign/commitment/v1", &[nonce, joiner.as_bytes()])
}

impl PairFrame {
    /// The frame's bytes, without the length before it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let digest = |d: &Digest| Value::from(d.as_bytes().as_slice());
        let parts = match self {
            Self::Knock(knock) => vec![0.into(), knock.value()],
            Self::Answer(answer) => vec![1.into(), answer.value()],
            Self::Reveal(nonce) => vec![2.into(), nonce.as_slice().into()],
            Self::Consent { record, signature, note } => {
                let note = note.as_ref().map_or(Value::Null, |note| note.as_str().into());
                vec![3.into(), digest(record), signature.as_slice().into(), note]
            }
            Self::ConsentKept(record) => vec![4.into(), digest(record)],
            Self::End(reason) => vec![5.into(), reason.as_str().into()],
            Self::Unknown(tag) => vec![(*tag).into()],
        };
        cbor::encode(&Value::Array(parts))
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// When it is over its bound, not deterministic, or not of its shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let value = cbor::decode("pairing frame", bytes, limits::KNOCK_BYTES_MAX)?;
        let mut parts = cbor::array("pairing frame", value, 8)?.into_iter();
        let missing = WireError::field("pairing frame", "is cut short");
        let tag = cbor::uint("frame type", &parts.next().ok_or_else(|| missing.clone())?)?;
        let mut next = || parts.next().ok_or_else(|| missing.clone());
        let frame = match tag {
            0 => Self::Knock(Knock::read(next()?)?),
            1 => Self::Answer(Answer::read(next()?)?),
            2 => Self::Reveal(fixed("nonce", next()?)?),
            3 => Self::Consent {
                record: read_digest(next()?)?,
                signature: fixed("signature", next()?)?,
                note: read_note(next()?)?,
            },
            4 => Self::ConsentKept(read_digest(next()?)?),
            5 => Self::End(EndReason::parse(&cbor::text(
                "end reason",
                next()?,
                limits::KIND_BYTES_MAX,
            )?)?),
            later => return Ok(Self::Unknown(later)),
        };
        if parts.next().is_some() {
            return Err(WireError::field("pairing frame", "is too long"));
        }
        Ok(frame)
    }
}

fn fixed<const N: usize>(field: &'static str, value: Value) -> Result<[u8; N], WireError> {
    cbor::bytes(field, value)?
        .try_into()
        .map_err(|_| WireError::field(field, "has the wrong length"))
}

fn read_digest(value: Value) -> Result<Digest, WireError> {
    fixed("digest", value).map(Digest::from_bytes)
}

fn read_note(value: Value) -> Result<Option<Note>, WireError> {
    if value == Value::Null {
        return Ok(None);
    }
    let text = cbor::text("note", value, limits::NOTE_BYTES_MAX)?;
    let note = Note::parse(&text).map_err(|_| WireError::field("note", "has controls"))?;
    Ok(Some(note))
}

impl Knock {
    fn value(&self) -> Value {
        MapBuilder::new()
            .put(1, VERSION)
            .put(2, self.proof.as_bytes().as_slice())
            .put(3, self.commitment.as_bytes().as_slice())
            .put(4, self.approver.as_bytes().as_slice())
            .put(5, self.name.as_str())
            .put(6, self.created.ms())
            .value()
    }

    fn read(value: Value) -> Result<Self, WireError> {
        let mut fields = Fields::of("knock", value)?;
        check_version(&mut fields)?;
        let knock = Self {
            proof: fields.id(2, "proof", Digest::from_slice)?,
            commitment: fields.id(3, "commitment", Digest::from_slice)?,
            approver: fields.id(4, "approver", ApproverId::from_slice)?,
            name: read_name(&mut fields, 5)?,
            created: Timestamp::from_ms(fields.uint(6, "created")?),
        };
        fields.finish()?;
        knock.approver.check()?;
        Ok(knock)
    }
}

impl Answer {
    fn value(&self) -> Value {
        MapBuilder::new()
            .put(1, VERSION)
            .put(2, self.approver.as_bytes().as_slice())
            .put(3, self.name.as_str())
            .put(4, self.nonce.as_slice())
            .value()
    }

    fn read(value: Value) -> Result<Self, WireError> {
        let mut fields = Fields::of("answer", value)?;
        check_version(&mut fields)?;
        let answer = Self {
            approver: fields.id(2, "approver", ApproverId::from_slice)?,
            name: read_name(&mut fields, 3)?,
            nonce: fields.id(4, "nonce", |bytes| bytes.try_into().ok())?,
        };
        fields.finish()?;
        answer.approver.check()?;
        Ok(answer)
    }
}

fn check_version(fields: &mut Fields) -> Result<(), WireError> {
    match fields.uint(1, "version")? {
        VERSION => Ok(()),
        other => Err(WireError::Version(other)),
    }
}
