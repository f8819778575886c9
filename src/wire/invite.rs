//! The invite: a text that one human hands to another (`SPEC.md` section 9).
//!
//! `countersign1` and then base32 (RFC 4648, lower case, no padding) of
//! `length (2 bytes, big-endian) ‖ CBOR ‖ the first 4 bytes of its digest`.

use ciborium::Value;
use data_encoding::BASE32_NOPAD_NOCASE;

use super::{
    VERSION, WireError,
    cbor::{self, Fields, MapBuilder},
};
use crate::{
    base::{ApproverId, Digest, InviteId, PeerId, Secret, Timestamp, limits},
    identity::PublicKey as _,
};

/// How every invite begins. The digit is the version.
pub const PREFIX: &str = "countersign1";
const CHECKSUM_BYTES: usize = 4;
/// Bytes of the approver's fingerprint: 128 bits.
pub const FINGERPRINT_BYTES: usize = 16;

/// Why a text is no invite that we can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// Something else.
    #[error("this is not an invite: an invite begins with {PREFIX}")]
    NotAnInvite,
    /// Of a later version.
    #[error("this invite is of a later version; update countersign to use it")]
    Version,
    /// The end is missing.
    #[error("the invite is cut off: {have} of {whole} bytes arrived; copy the whole of it again")]
    CutOff {
        /// What is there.
        have: usize,
        /// What there should be.
        whole: usize,
    },
    /// A character was changed, lost or added.
    #[error("the invite was damaged on its way (its checksum does not fit); copy it again")]
    Damaged,
    /// The checksum fits, the content does not.
    #[error("the invite cannot be read: {0}")]
    Content(#[from] WireError),
    /// Too late.
    #[error("the invite expired at {0}; ask for a new one")]
    Expired(Timestamp),
}

/// What an invite says.
pub struct Invite {
    /// Whom to dial.
    pub inviter: PeerId,
    /// The first 16 bytes of the digest of the inviter's approver key.
    pub approver: [u8; FINGERPRINT_BYTES],
    /// Where: `ip:port` or a relay URL.
    pub addresses: Vec<String>,
    /// What shows that the joiner was given this invite.
    pub secret: Secret<[u8; 16]>,
    /// Until when.
    pub expires: Timestamp,
}

/// The fingerprint of an approver, as an invite holds it.
#[must_use]
pub fn approver_fingerprint(approver: &ApproverId) -> [u8; FINGERPRINT_BYTES] {
    let digest = Digest::of("countersign/fingerprint/v1", &[approver.as_bytes()]);
    let mut short = [0; FINGERPRINT_BYTES];
    short.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    short
}

/// The public name of an invite's secret.
#[must_use]
pub fn invite_id(secret: &[u8; 16]) -> InviteId {
    let digest = Digest::of("countersign/invite-id/v1", &[secret]);
    let mut short = [0; 16];
    short.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    InviteId::from_bytes(short)
}

impl Invite {
    /// The invite's id.
    #[must_use]
    pub fn id(&self) -> InviteId {
        invite_id(self.secret.expose_secret())
    }

    /// The text to hand over. It holds the secret.
    #[must_use]
    pub fn encode(&self) -> String {
        let body = MapBuilder::new()
            .put(1, VERSION)
            .put(2, self.inviter.as_bytes().as_slice())
            .put(3, self.approver.as_slice())
            .put(4, cbor::texts_value(&self.addresses))
            .put(5, self.secret.expose_secret().as_slice())
            .put(6, self.expires.ms())
            .encode();
        let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
        let bytes = [&length, body.as_slice(), &checksum(&body)].concat();
        format!("{PREFIX}{}", BASE32_NOPAD_NOCASE.encode(&bytes).to_ascii_lowercase())
    }

    /// Reads an invite. White space, as mail programs put it in, is passed over.
    ///
    /// # Errors
    /// See [`InviteError`].
    pub fn decode(text: &str, now: Timestamp) -> Result<Self, InviteError> {
        if text.len() > limits::INVITE_BYTES_MAX {
            return Err(InviteError::NotAnInvite);
        }
        let text: String = text.split_whitespace().collect::<String>().to_ascii_lowercase();
        let Some(code) = text.strip_prefix(PREFIX) else {
            let later = text
                .strip_prefix("countersign")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            return Err(if later { InviteError::Version } else { InviteError::NotAnInvite });
        };
        let body = open(code)?;
        let invite = Self::read(&body)?;
        if invite.expires <= now {
            return Err(InviteError::Expired(invite.expires));
        }
        Ok(invite)
    }

    fn read(body: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::read("invite", body, limits::INVITE_BYTES_MAX)?;
        let version = fields.uint(1, "version")?;
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        let inviter = fields.id(2, "inviter", PeerId::from_slice)?;
        let approver = fields.id(3, "approver fingerprint", |bytes| bytes.try_into().ok())?;
        let addresses: Value = fields.need(4, "addresses")?;
        let secret = fields.id(5, "secret", |bytes| bytes.try_into().ok())?;
        let expires = Timestamp::from_ms(fields.uint(6, "expires")?);
        fields.finish()?;
        inviter.check()?;
        let (most, long) = (limits::ADDRESSES_MAX, limits::ADDRESS_BYTES_MAX);
        let addresses = cbor::texts("addresses", addresses, most, long)?;
        Ok(Self { inviter, approver, addresses, secret: Secret::new(secret), expires })
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Digest::of("countersign/invite-checksum/v1", &[body]);
    let [a, b, c, d, ..] = *digest.as_bytes();
    [a, b, c, d]
}

/// The body behind length and checksum. A text that ends early still decodes up to where it
/// ends, so that it can be told from one that was damaged.
fn open(code: &str) -> Result<Vec<u8>, InviteError> {
    // Five bits a character: a cut inside a byte leaves a tail that is no whole byte.
    let whole_chars = code.len() - [0, 1, 0, 1, 0, 0, 1, 0].get(code.len() % 8).unwrap_or(&0);
    let trimmed = code.get(..whole_chars).ok_or(InviteError::Damaged)?;
    let mut spec = data_encoding::BASE32_NOPAD_NOCASE.specification();
    spec.check_trailing_bits = false;
    let lenient = spec.encoding().map_err(|_| InviteError::Damaged)?;
    let bytes = lenient.decode(trimmed.as_bytes()).map_err(|_| InviteError::Damaged)?;
    let (length, rest) = bytes.split_at_checked(2).ok_or(InviteError::Damaged)?;
    let length = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
    let whole = length + CHECKSUM_BYTES;
    if rest.len() < whole {
        return Err(InviteError::CutOff { have: bytes.len(), whole: whole + 2 });
    }
    let (body, sum) = rest.split_at_checked(length).ok_or(InviteError::Damaged)?;
    let fits = sum == checksum(body).as_slice()
        && BASE32_NOPAD_NOCASE.decode(code.as_bytes()).is_ok_and(|exact| exact == bytes);
    if fits { Ok(body.to_vec()) } else { Err(InviteError::Damaged) }
}
