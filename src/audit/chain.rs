//! Records, the head of a chain, and what can be wrong with one.

use serde::{Deserialize, Serialize};

use super::Event;
use crate::{
    base::{Digest, MessageId, PeerId, Timestamp},
    identity::{Domain, IdentityKey, PublicKey as _, SIGNATURE_BYTES},
};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last record's number; 0 for an empty chain.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}

impl Head {
    /// The head of an empty chain.
    pub const EMPTY: Self = Self { seq: 0, hash: Digest::from_bytes([0; 32]) };

    /// The head of a chain that ends with this record.
    #[must_use]
    pub const fn of(record: &Record) -> Self {
        Self { seq: record.seq, hash: record.hash }
    }

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

/// A part of a chain that was moved into a file. It is signed as a whole, under a label of its own, so
/// that no signature of a head passes for one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The number of its first record.
    pub first: u64,
    /// Its last record.
    pub last: Head,
    /// The digest of those of its records that stay in the database.
    pub kept: Digest,
}

impl Moved {
    /// Signs it.
    #[must_use]
    pub fn sign(&self, key: &IdentityKey) -> [u8; SIGNATURE_BYTES] {
        key.sign(Domain::Anchor, &self.signed_bytes())
    }

    /// Checks its signature.
    ///
    /// # Errors
    /// [`ChainError::Anchor`] when it is not `node`'s.
    pub fn check(&self, node: &PeerId, signature: &[u8]) -> Result<(), ChainError> {
        node.verify(Domain::Anchor, &self.signed_bytes(), signature)
            .map_err(|_| ChainError::Anchor(self.last.seq))
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let first = self.first.to_be_bytes();
        [first.as_slice(), &self.last.signed_bytes(), self.kept.as_bytes()].concat()
    }
}

fn hash(seq: u64, previous: &Digest, at: Timestamp, event: &str) -> Digest {
    let parts: [&[u8]; 4] =
        [&seq.to_be_bytes(), previous.as_bytes(), &at.ms().to_be_bytes(), event.as_bytes()];
    Digest::of("countersign/audit/v1", &parts)
}

/// What is wrong with a record by itself, or beside the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there: the next one that is has this number.
    Missing(u64),
    /// Its hash is not that of its content.
    Content,
    /// It names another record before it than the one that is there.
    Previous,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(found) => {
                write!(f, "it is missing: after the record before it comes record {found}")
            }
            Self::Content => f.write_str("its content was changed: its hash is another's"),
            Self::Previous => f.write_str(
                "it follows another record than the one before it: one of the two was replaced",
            ),
        }
    }
}

/// What is wrong with a chain, and where first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A record was changed, removed or put in.
    #[error("the chain breaks at record {seq}: {fault}")]
    Broken {
        /// The first record that is wrong.
        seq: u64,
        /// Its time, as it says; `None` where it is not there.
        at: Option<Timestamp>,
        /// What is wrong.
        fault: Fault,
    },
    /// What should be our signature of a record is not.
    #[error("the checkpoint at record {0} is not this node's signature")]
    Checkpoint(u64),
    /// What should be our signature of a part that was moved into a file is not, or a part before it has
    /// none.
    #[error(
        "this node did not sign that the records up to {0} were moved into a file as it is noted"
    )]
    Anchor(u64),
    /// Far more records than a node leaves unsigned follow the last signature before this one.
    #[error("no checkpoint signs the records from {after} to {seq}: some were taken away")]
    Unsigned {
        /// The last one that was signed before.
        after: u64,
        /// How far there is none.
        seq: u64,
    },
    /// A record is not the one that was signed there.
    #[error("record {seq} is not the one that was signed as record {seq}: it was replaced")]
    Replaced {
        /// Which.
        seq: u64,
        /// Its time, as it says.
        at: Timestamp,
    },
    /// A signed record is not there any more.
    #[error("the chain ends at record {last}, but record {signed} was signed: the tail was cut")]
    Cut {
        /// The last record that is there.
        last: u64,
        /// The last one that was signed.
        signed: u64,
    },
    /// A peer has seen a record that is not in the chain.
    #[error(
        "a peer signed that this log had a record {seq} which is not in it: the log was cut or rolled \
         back, or that peer's node is wrong"
    )]
    Witness {
        /// Its number.
        seq: u64,
        /// The time of the record that has this number now, if one has.
        at: Option<Timestamp>,
        /// Who signed.
        peer: PeerId,
        /// Their receipt.
        receipt: MessageId,
    },
    /// A record that a rotation kept is not one that the chain had.
    #[error(
        "what stays of the records before record {after} is not what the rotation kept: one was \
         changed, removed or put in"
    )]
    Kept {
        /// The first record that was not moved.
        after: u64,
    },
}

impl ChainError {
    /// The number of the first record that is wrong or missing.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        match self {
            Self::Broken { seq, .. }
            | Self::Checkpoint(seq)
            | Self::Anchor(seq)
            | Self::Replaced { seq, .. }
            | Self::Witness { seq, .. } => *seq,
            Self::Cut { last, .. } => last.saturating_add(1),
            Self::Unsigned { after, .. } => after.saturating_add(1),
            Self::Kept { after } => after.saturating_sub(1),
        }
    }

    /// The time of that record, as it says itself; `None` where it is not there.
    #[must_use]
    pub const fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Broken { at, .. } | Self::Witness { at, .. } => *at,
            Self::Replaced { at, .. } => Some(*at),
            Self::Checkpoint(_)
            | Self::Anchor(_)
            | Self::Unsigned { .. }
            | Self::Cut { .. }
            | Self::Kept { .. } => None,
        }
    }

    /// What says otherwise, for people.
    #[must_use]
    pub fn against(&self) -> Option<String> {
        match self {
            Self::Broken { .. } | Self::Unsigned { .. } => None,
            Self::Anchor(_) => Some("the anchor of the file".to_owned()),
            Self::Checkpoint(seq) | Self::Replaced { seq, .. } => {
                Some(format!("the checkpoint at record {seq}"))
            }
            Self::Cut { signed, .. } => Some(format!("the checkpoint at record {signed}")),
            Self::Witness { peer, receipt, .. } => {
                Some(format!("the receipt {receipt} that {peer} signed"))
            }
            Self::Kept { .. } => Some("the record of the rotation".to_owned()),
        }
    }
}

/// Checks that `record` follows `head`, and gives the head after it.
///
/// # Errors
/// [`ChainError::Broken`] where it does not.
pub fn follow(head: &Head, record: &Record) -> Result<Head, ChainError> {
    let expected = head.seq.saturating_add(1);
    if record.seq != expected {
        let fault = Fault::Missing(record.seq);
        return Err(ChainError::Broken { seq: expected, at: None, fault });
    }
    check_alone(record)?;
    if record.previous != head.hash {
        let at = Some(record.at);
        return Err(ChainError::Broken { seq: record.seq, at, fault: Fault::Previous });
    }
    Ok(Head::of(record))
}

/// Checks that a record's hash is that of its content, whatever comes before it.
///
/// # Errors
/// [`ChainError::Broken`] where it is not.
pub fn check_alone(record: &Record) -> Result<(), ChainError> {
    if record.hash == hash(record.seq, &record.previous, record.at, &record.event) {
        return Ok(());
    }
    Err(ChainError::Broken { seq: record.seq, at: Some(record.at), fault: Fault::Content })
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
    fn a_changed_removed_or_added_record_breaks_the_chain_and_is_named() {
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
        let broken = |seq, at: Option<u64>, fault| {
            Err(ChainError::Broken { seq, at: at.map(Timestamp::from_ms), fault })
        };
        assert_eq!(verify(&records), Ok(head));
        let mut changed = records.clone();
        changed[2].event = changed[2].event.replace('x', "y");
        assert_eq!(verify(&changed), broken(3, Some(2), Fault::Content));
        changed[2] = Head::of(&records[1]).next(Timestamp::from_ms(2), &Event::MoveUndone);
        assert_eq!(verify(&changed), broken(4, Some(3), Fault::Previous));
        let mut removed = records.clone();
        removed.remove(1);
        assert_eq!(verify(&removed), broken(2, None, Fault::Missing(3)));
        let key = IdentityKey::from_seed(&Secret::new([1; 32]));
        let signature = head.sign(&key);
        assert!(check_checkpoint(&head, &key.id(), &signature).is_ok());
        assert!(check_checkpoint(&Head { seq: 4, ..head }, &key.id(), &signature).is_err());
        let moved = Moved { first: 1, last: head, kept: Digest::from_bytes([7; 32]) };
        let anchor = moved.sign(&key);
        let fits = |moved: Moved, signature: &[u8]| moved.check(&key.id(), signature).is_ok();
        assert!(fits(moved, &anchor));
        assert!(!fits(moved, &signature), "a checkpoint is no anchor");
        assert!(check_checkpoint(&head, &key.id(), &anchor).is_err());
        assert!(!fits(Moved { first: 2, ..moved }, &anchor));
        assert!(!fits(Moved { last: Head::of(&records[3]), ..moved }, &anchor));
        assert!(!fits(Moved { kept: Digest::from_bytes([8; 32]), ..moved }, &anchor));
    }
}
