//! The consent record: what both humans sign (`SPEC.md` section 8).

use ciborium::Value;

use super::{
    VERSION, WireError,
    cbor::{Fields, MapBuilder},
};
use crate::{
    base::{ApproverId, ClaimedName, Digest, InviteId, PeerId, Timestamp, limits},
    identity::{self, PublicKey as _},
};

/// Bytes of a nonce of the pairing.
pub const NONCE_BYTES: usize = 16;

/// One side of a consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its node.
    pub identity: PeerId,
    /// Its human.
    pub approver: ApproverId,
    /// What it calls itself.
    pub name: ClaimedName,
    /// Its part of the randomness that the words come from.
    pub nonce: [u8; NONCE_BYTES],
}

/// Who consents to whom. The same bytes on both sides, signed by both approvers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRecord {
    /// The invite that it began with.
    pub invite: InviteId,
    /// When the joiner knocked, by the joiner's clock.
    pub created: Timestamp,
    /// Who made the invite.
    pub inviter: Party,
    /// Who used it.
    pub joiner: Party,
}

impl Party {
    pub(super) fn value(&self) -> Value {
        MapBuilder::new()
            .put(1, self.identity.as_bytes().as_slice())
            .put(2, self.approver.as_bytes().as_slice())
            .put(3, self.name.as_str())
            .put(4, self.nonce.as_slice())
            .value()
    }

    fn read(what: &'static str, value: Value) -> Result<Self, WireError> {
        let mut fields = Fields::of(what, value)?;
        let party = Self {
            identity: fields.id(1, "identity", PeerId::from_slice)?,
            approver: fields.id(2, "approver", ApproverId::from_slice)?,
            name: read_name(&mut fields, 3)?,
            nonce: fields.id(4, "nonce", |bytes| bytes.try_into().ok())?,
        };
        fields.finish()?;
        party.identity.check()?;
        party.approver.check()?;
        Ok(party)
    }
}

pub(super) fn read_name(fields: &mut Fields, key: i64) -> Result<ClaimedName, WireError> {
    let name = fields.text(key, "name", limits::CLAIMED_NAME_BYTES_MAX)?;
    ClaimedName::parse(&name).map_err(|_| WireError::field("name", "is empty or has controls"))
}

impl ConsentRecord {
    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        MapBuilder::new()
            .put(1, VERSION)
            .put(2, self.invite.as_bytes().as_slice())
            .put(3, self.created.ms())
            .put(4, self.inviter.value())
            .put(5, self.joiner.value())
            .encode()
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is not deterministic, not of its shape, or holds a weak key.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::read("consent record", bytes, 2 * limits::KNOCK_BYTES_MAX)?;
        let version = fields.uint(1, "version")?;
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        let record = Self {
            invite: fields.id(2, "invite", InviteId::from_slice)?,
            created: Timestamp::from_ms(fields.uint(3, "created")?),
            inviter: Party::read("inviter", fields.need(4, "inviter")?)?,
            joiner: Party::read("joiner", fields.need(5, "joiner")?)?,
        };
        fields.finish()?;
        if record.inviter.identity == record.joiner.identity {
            return Err(WireError::field("joiner", "is the inviter"));
        }
        Ok(record)
    }

    /// The record's digest, by which a consent names it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of("countersign/consent-digest/v1", &[&self.encode()])
    }

    /// The four words that both humans compare: 44 bits that neither side could choose, because
    /// the joiner committed to its nonce before it saw the inviter's.
    #[must_use]
    pub fn words(&self) -> Vec<&'static str> {
        let digest = Digest::of("countersign/words/v1", &[&self.encode()]);
        identity::words(digest.as_bytes(), 4)
    }

    /// The two sides as `me` sees them: mine, then theirs. `None` when `me` is neither.
    #[must_use]
    pub fn sides(&self, me: &PeerId) -> Option<(&Party, &Party)> {
        if self.inviter.identity == *me {
            Some((&self.inviter, &self.joiner))
        } else if self.joiner.identity == *me {
            Some((&self.joiner, &self.inviter))
        } else {
            None
        }
    }
}
