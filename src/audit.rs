//! The audit chain: each record holds the hash of the one before it, and every so often the
//! node signs the head.
//!
//! Makes and checks records; keeping them is the store's work.

use serde::{Deserialize, Serialize};

use crate::{
    base::{Digest, MessageId, PeerId, PendingId, Timestamp},
    identity::{Domain, IdentityKey, PublicKey as _, SIGNATURE_BYTES},
};

/// What happened. Holds ids and states, never a message's text or a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the words of the design")]
pub enum Event {
    /// The node started, under this approver.
    Started { version: String, approver: Option<String> },
    /// The human's approver was set up while the node ran.
    ApproverSet { approver: String },
    /// An invite was made.
    Invited { invite: String },
    /// A peer asked us, or we asked it.
    PeerAsked { peer: String, direction: String },
    /// Another's code began to be used, by an agent or the human.
    CodeTried { by: String },
    /// The human decided.
    Decided { item: String, digest: String, decision: String, method: String },
    /// The human signed a grant.
    Granted { grant: String, peer: Option<String>, until: String },
    /// A grant ended before its time.
    GrantEnded { grant: String },
    /// A message passed by a grant, without the human being asked.
    Passed { message: String, grant: String },
    /// A peer's state changed.
    TrustMoved { peer: String, from: String, to: String },
    /// A message was queued or held here.
    Sent { message: String, peer: String, state: String, digest: String },
    /// A message arrived.
    Arrived { message: String, peer: String, state: String, digest: String },
    /// A message reached another state.
    Moved { message: String, state: String },
    /// Another policy counts from now on: one that the human signed, or one that only tightens what
    /// they signed last, under that one's serial.
    PolicySet { digest: String, serial: u64, tightened: bool },
    /// The human signed that the standard policy counts from now on.
    PolicyReset { serial: u64 },
    /// The human signed that what was read counts no more.
    TaintCleared { peers: u64 },
    /// Values are watched for from now on.
    KnownAdded { values: u64 },
    /// The human signed that a value is watched for no more.
    KnownForgotten { known: String },
    /// A client may come over HTTP with this token.
    TokenMade { token: String, name: String },
    /// A token is good no more.
    TokenEnded { token: String, name: String },
    /// The home went into the archive of this SHA-256, and starts here no more.
    HomeExported { archive: String },
    /// The home came out of the archive of this SHA-256, which was made then.
    HomeImported { archive: String, made: String },
    /// The human said that the home starts here again.
    MoveUndone,
    /// The human set how long messages are kept: of a peer, or of everybody; no days: for ever;
    /// `default`: as for everybody.
    RetentionSet { peer: Option<String>, days: Option<u32>, default: bool },
    /// So many messages were deleted here: by their age, or because the human named them.
    Deleted { messages: u64, peer: Option<String>, aged: bool },
    /// The human had a peer forgotten. Of a blocked one the block stays.
    PeerForgotten { peer: String, blocked: bool },
    /// The home was copied into the backup of this SHA-256.
    HomeBackedUp { archive: String },
    /// The home was put back from the backup of this SHA-256, which was made then: what came after
    /// that is not in this chain.
    HomeRestored { archive: String, made: String },
    /// Something was refused that nobody may do.
    Refused { what: String, peer: Option<String> },
}

impl Event {
    /// A decision.
    #[must_use]
    pub fn decided(item: PendingId, digest: Digest, decision: &str, method: &str) -> Self {
        let (item, digest) = (item.to_string(), digest.to_string());
        Self::Decided { item, digest, decision: decision.into(), method: method.into() }
    }

    /// A message's new state.
    #[must_use]
    pub fn moved(message: MessageId, state: &str) -> Self {
        Self::Moved { message: message.to_string(), state: state.into() }
    }

    /// A refusal.
    #[must_use]
    pub fn refused(what: impl Into<String>, peer: Option<PeerId>) -> Self {
        Self::Refused { what: what.into(), peer: peer.map(|peer| peer.to_string()) }
    }
}

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// From 1, without gaps.
    pub seq: u64,
    /// The hash of the record before, or zeros.
    pub previous: Digest,
    /// When.
    pub at: Timestamp,
    /// The event as JSON, exactly as it was hashed.
    pub event: String,
    /// `SHA-256(label, seq ‖ previous ‖ at ‖ event)`.
    pub hash: Digest,
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last record's number; 0 for an empty chain.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}

impl Head {
    /// The head of an empty chain.
    pub const EMPTY: Self = Self { seq: 0, hash: Digest::from_bytes([0; 32]) };

    /// The record after this head.
    #[must_use]
    pub fn next(&self, at: Timestamp, event: &Event) -> Record {
        // Our own enum of strings always serialises.
        let event = serde_json::to_string(event).unwrap_or_default();
        let seq = self.seq.saturating_add(1);
        let hash = hash(seq, &self.hash, at, &event);
        Record { seq, previous: self.hash, at, event, hash }
    }

    /// Signs this head.
    #[must_use]
    pub fn sign(&self, key: &IdentityKey) -> [u8; SIGNATURE_BYTES] {
        key.sign(Domain::Checkpoint, &self.signed_bytes())
    }

    fn signed_bytes(&self) -> Vec<u8> {
        [self.seq.to_be_bytes().as_slice(), self.hash.as_bytes()].concat()
    }
}

fn hash(seq: u64, previous: &Digest, at: Timestamp, event: &str) -> Digest {
    let parts: [&[u8]; 4] =
        [&seq.to_be_bytes(), previous.as_bytes(), &at.ms().to_be_bytes(), event.as_bytes()];
    Digest::of("countersign/audit/v1", &parts)
}

/// What is wrong with a chain, and where first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A record was changed, removed or put in.
    #[error("the chain breaks at record {0}: it was changed, removed or put in")]
    Broken(u64),
    /// A checkpoint does not fit the record that it signs.
    #[error("the checkpoint at record {0} is not this node's signature of it")]
    Checkpoint(u64),
    /// A signed record is not there any more.
    #[error("the chain ends at record {last}, but record {signed} was signed: the tail was cut")]
    Cut {
        /// The last record that is there.
        last: u64,
        /// The last one that was signed.
        signed: u64,
    },
}

/// Checks that `record` follows `head`, and gives the head after it.
///
/// # Errors
/// [`ChainError::Broken`] where it does not.
pub fn follow(head: &Head, record: &Record) -> Result<Head, ChainError> {
    let fits = record.seq == head.seq.saturating_add(1)
        && record.previous == head.hash
        && record.hash == hash(record.seq, &record.previous, record.at, &record.event);
    if fits {
        Ok(Head { seq: record.seq, hash: record.hash })
    } else {
        Err(ChainError::Broken(head.seq.saturating_add(1)))
    }
}

/// Checks a checkpoint's signature.
///
/// # Errors
/// [`ChainError::Checkpoint`] when it is not `node`'s.
pub fn check_checkpoint(head: &Head, node: &PeerId, signature: &[u8]) -> Result<(), ChainError> {
    node.verify(Domain::Checkpoint, &head.signed_bytes(), signature)
        .map_err(|_| ChainError::Checkpoint(head.seq))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    #[test]
    fn a_changed_removed_or_added_record_breaks_the_chain() {
        let mut records = Vec::new();
        let mut head = Head::EMPTY;
        for n in 0..5 {
            let record = head.next(Timestamp::from_ms(n), &Event::refused("x", None));
            head = follow(&head, &record).unwrap();
            records.push(record);
        }
        let verify = |records: &[Record]| {
            records.iter().try_fold(Head::EMPTY, |head, record| follow(&head, record))
        };
        assert_eq!(verify(&records), Ok(head));
        let mut changed = records.clone();
        changed[2].event = changed[2].event.replace('x', "y");
        assert_eq!(verify(&changed), Err(ChainError::Broken(3)));
        let mut removed = records.clone();
        removed.remove(1);
        assert_eq!(verify(&removed), Err(ChainError::Broken(2)));
        let key = IdentityKey::from_seed(&Secret::new([1; 32]));
        let signature = head.sign(&key);
        assert!(check_checkpoint(&head, &key.id(), &signature).is_ok());
        assert!(check_checkpoint(&Head { seq: 4, ..head }, &key.id(), &signature).is_err());
    }
}
