//! The gate: nothing that needs a yes passes without one.
//!
//! An [`Approved`] value is the proof, and this module is the only place that mints it: for what
//! the policy allows, and for what the human's approver signed. Net and delivery take nothing
//! else. The functions here do no I/O; time is an argument.

mod decision;
mod pass;
pub mod taint;

use crate::{base::Timestamp, identity::IdentityError, wire::WireError};

pub use decision::{Answer, Decision, Item, Outcome, Pending, SignedConsent, Statement, What};
pub use pass::{
    Bench, Incoming, PEER_REQUIRES, Refused, Rules, Ruling, admit_by_grant, findings, incoming,
    outgoing, release_by_grant, released_by, strength,
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

/// What the standard rules let out, for tests of what comes after.
///
/// # Panics
/// When they do not.
#[cfg(test)]
pub(crate) fn passed(
    envelope: crate::wire::Envelope,
    us: (&crate::base::PeerId, Option<&crate::base::ApproverId>),
) -> Approved<crate::wire::Envelope> {
    let peer =
        crate::policy::Peer { id: envelope.header().recipient, name: "peer", verified: false };
    let bench = Bench { rules: &Rules::standard(), peer, recent: &|_| 0 };
    outgoing(envelope, us, &bench, Vec::new()).map(|(approved, _)| approved).unwrap()
}

#[cfg(test)]
mod tests;
