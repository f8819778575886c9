//! Who is trusted: the states of a peer, the only moves between them, and the consent that
//! trust rests on.
//!
//! A peer is trusted because two humans signed one record, never because a row says so.

use serde::{Deserialize, Serialize};

#[cfg(test)]
use crate::base::planted::{Bug, planted};
use crate::{
    base::{ApproverId, Digest, PeerId},
    identity::{ApproverKey, Domain, IdentityError, PublicKey as _, SIGNATURE_BYTES},
    wire::{ConsentRecord, Party, WireError},
};

/// What a peer is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum PeerState {
    /// We asked; not both humans have said yes.
    Requested,
    /// They asked; not both humans have said yes.
    Incoming,
    /// Both humans said yes.
    Trusted,
    /// Trust ended, or was never given.
    Revoked,
    /// As revoked, and not even a new request is heard.
    Blocked,
}

/// What happens to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustMove {
    /// We use an invite of theirs.
    Request,
    /// They use an invite of ours.
    Knock,
    /// A verified consent of both humans.
    Consent,
    /// We end it, or their side said no.
    Revoke,
    /// We end it for good.
    Block,
}

impl PeerState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Requested, Self::Incoming, Self::Trusted, Self::Revoked, Self::Blocked];

    /// Nothing goes on with the peer.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Revoked | Self::Blocked)
    }

    /// The name, as the contract spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Incoming => "incoming",
            Self::Trusted => "trusted",
            Self::Revoked => "revoked",
            Self::Blocked => "blocked",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The state after a move, `None` where the move is not allowed. Only [`TrustMove::Consent`]
    /// leads to [`Self::Trusted`]; a blocked peer is let in again by a request of ours alone.
    #[must_use]
    pub const fn after(self, step: TrustMove) -> Option<Self> {
        match (self, step) {
            (_, TrustMove::Block) => Some(Self::Blocked),
            (Self::Blocked, TrustMove::Revoke | TrustMove::Knock | TrustMove::Consent) => None,
            (_, TrustMove::Revoke) => Some(Self::Revoked),
            (Self::Trusted, TrustMove::Request | TrustMove::Knock | TrustMove::Consent) => {
                Some(Self::Trusted)
            }
            (_, TrustMove::Request) => Some(Self::Requested),
            (Self::Requested, TrustMove::Knock) => Some(Self::Requested),
            (_, TrustMove::Knock) => Some(Self::Incoming),
            (Self::Requested | Self::Incoming, TrustMove::Consent) => Some(Self::Trusted),
            (Self::Revoked, TrustMove::Consent) => None,
        }
    }
}

/// One human's signature on a consent record.
pub type ConsentSignature = [u8; SIGNATURE_BYTES];

/// Why a consent does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsentError {
    /// The record cannot be read.
    #[error("the consent record cannot be read: {0}")]
    Record(#[from] WireError),
    /// The record names other nodes.
    #[error("the consent record is not between this node and that peer")]
    OtherNodes,
    /// The record names another approver as ours.
    #[error("the consent was given under another approver, {0}")]
    OtherApprover(ApproverId),
    /// Our human's signature is missing or wrong.
    #[error("our human's signature on the consent is missing or wrong: {0}")]
    Ours(IdentityError),
    /// Their human's signature is missing or wrong.
    #[error("their human's signature on the consent is missing or wrong: {0}")]
    Theirs(IdentityError),
}

/// A consent that both approvers signed: the only thing that trust is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    record: ConsentRecord,
    peer: PeerId,
    peer_approver: ApproverId,
}

impl Consent {
    /// Verifies a consent between `me`, run by `approver`, and `peer`.
    ///
    /// # Errors
    /// Whatever keeps it from counting.
    pub fn verify(
        record: &[u8],
        ours: &[u8],
        theirs: &[u8],
        me: (&PeerId, &ApproverId),
        peer: &PeerId,
    ) -> Result<Self, ConsentError> {
        let record = ConsentRecord::decode(record)?;
        let (mine, other) = parties(&record, me, peer)?;
        let bytes = record.encode();
        verify_signature(mine, &bytes, ours).map_err(ConsentError::Ours)?;
        let theirs = verify_signature(other, &bytes, theirs).map_err(ConsentError::Theirs);
        #[cfg(test)]
        let theirs = if planted(Bug::OneSignature) { Ok(()) } else { theirs };
        theirs?;
        let peer_approver = other.approver;
        Ok(Self { peer: *peer, peer_approver, record })
    }

    /// The peer.
    #[must_use]
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// The peer's human, whose countersignatures count.
    #[must_use]
    pub const fn peer_approver(&self) -> ApproverId {
        self.peer_approver
    }

    /// The record.
    #[must_use]
    pub const fn record(&self) -> &ConsentRecord {
        &self.record
    }

    /// The record's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.record.digest()
    }
}

fn parties<'r>(
    record: &'r ConsentRecord,
    me: (&PeerId, &ApproverId),
    peer: &PeerId,
) -> Result<(&'r Party, &'r Party), ConsentError> {
    let (mine, other) = record.sides(me.0).ok_or(ConsentError::OtherNodes)?;
    if other.identity != *peer || other.identity == mine.identity {
        return Err(ConsentError::OtherNodes);
    }
    if mine.approver != *me.1 {
        return Err(ConsentError::OtherApprover(mine.approver));
    }
    Ok((mine, other))
}

fn verify_signature(party: &Party, record: &[u8], signature: &[u8]) -> Result<(), IdentityError> {
    party.approver.verify(Domain::Consent, record, signature)
}

/// A human's signature on a record that their node takes part in.
#[must_use]
pub fn sign_consent(key: &ApproverKey, record: &ConsentRecord) -> ConsentSignature {
    key.sign(Domain::Consent, &record.encode())
}

/// Verifies one side's signature while the other's is still awaited.
///
/// # Errors
/// When `party`'s approver did not sign this record.
pub fn verify_one(
    record: &ConsentRecord,
    party: &Party,
    signature: &[u8],
) -> Result<(), IdentityError> {
    verify_signature(party, &record.encode(), signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{ClaimedName, InviteId, Secret, Timestamp},
        identity::IdentityKey,
    };

    #[test]
    fn only_a_consent_leads_to_trust() {
        for state in PeerState::ALL {
            for step in [TrustMove::Request, TrustMove::Knock, TrustMove::Revoke, TrustMove::Block]
            {
                let after = state.after(step);
                let stays = state == PeerState::Trusted;
                assert!(after != Some(PeerState::Trusted) || stays, "{state:?} {step:?}");
            }
        }
        assert_eq!(PeerState::Revoked.after(TrustMove::Consent), None);
        assert_eq!(PeerState::Blocked.after(TrustMove::Consent), None);
        assert_eq!(PeerState::Blocked.after(TrustMove::Knock), None);
        assert_eq!(PeerState::Requested.after(TrustMove::Consent), Some(PeerState::Trusted));
    }

    #[test]
    fn a_consent_counts_with_both_signatures_of_the_right_approvers() {
        let seed = |n| Secret::new([n; 32]);
        let (alice, bob) = (IdentityKey::from_seed(&seed(1)), IdentityKey::from_seed(&seed(2)));
        let (ann, ben) = (ApproverKey::from_seed(&seed(3)), ApproverKey::from_seed(&seed(4)));
        let party = |node: &IdentityKey, human: &ApproverKey| Party {
            identity: node.id(),
            approver: human.id(),
            name: ClaimedName::parse("x").unwrap(),
            nonce: [0; 16],
        };
        let record = ConsentRecord {
            invite: InviteId::from_bytes([0; 16]),
            created: Timestamp::from_ms(1),
            inviter: party(&alice, &ann),
            joiner: party(&bob, &ben),
        };
        let (by_ann, by_ben) = (sign_consent(&ann, &record), sign_consent(&ben, &record));
        let bytes = record.encode();
        let me = (&alice.id(), &ann.id());
        let check = |ours: &[u8], theirs: &[u8], me, peer: &PeerId| {
            Consent::verify(&bytes, ours, theirs, me, peer)
        };
        assert_eq!(check(&by_ann, &by_ben, me, &bob.id()).unwrap().peer_approver(), ben.id());
        assert!(matches!(check(&[], &by_ben, me, &bob.id()), Err(ConsentError::Ours(_))));
        assert!(matches!(check(&by_ann, &by_ann, me, &bob.id()), Err(ConsentError::Theirs(_))));
        let stranger = IdentityKey::from_seed(&seed(9)).id();
        assert_eq!(check(&by_ann, &by_ben, me, &stranger), Err(ConsentError::OtherNodes));
        let other = (&alice.id(), &ben.id());
        let expected = Err(ConsentError::OtherApprover(ann.id()));
        assert_eq!(check(&by_ann, &by_ben, other, &bob.id()), expected);
    }
}
