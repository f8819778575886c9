//! The audit chain: each record holds the hash of the one before it, and every so often the
//! node signs the head.
//!
//! Makes and checks records; keeping them is the store's work. [`lines`] is the chain as a file,
//! [`witness`] what a peer's word about a chain means, and [`compare`] lays the logs of two nodes side
//! by side.

mod chain;
pub mod compare;
pub mod lines;
pub mod witness;

pub use chain::{ChainError, Fault, Head, Moved, Record, check_alone, check_checkpoint, follow};

use serde::{Deserialize, Serialize};

use crate::base::{Digest, MessageId, PeerId, PendingId};

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
    /// A message with this peer reached another state: one that was `sent` from here, or one that arrived.
    /// Old records do not say which.
    Moved {
        message: String,
        state: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<bool>,
    },
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
    /// Something was refused that nobody may do. Before it, `left_out` others of its kind were
    /// refused that have no record of their own.
    Refused {
        what: String,
        peer: Option<String>,
        #[serde(default, skip_serializing_if = "is_none")]
        left_out: u64,
    },
    /// So many wrong approval passphrases were typed since the last such record, at any surface.
    WrongPassphrase { tries: u64 },
    /// The records `first` to `last` went into a file. `hash` is that of `last`, and `kept` the digest
    /// of those of them that stay in the database.
    Rotated { first: u64, last: u64, hash: String, kept: String },
    /// A peer signed a head of a chain that is not in it: of `ours`, or of its own (`theirs`), which
    /// went back or forked.
    HeadDisputed { peer: String, chain: String, number: u64, hash: String, receipt: String },
    /// The human looked at what a peer disputes, or at what is wrong with its chain: the head that
    /// [`Event::HeadDisputed`] named.
    DisputeAccepted {
        peer: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chain: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<String>,
    },
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
}

impl Event {
    /// A decision.
    #[must_use]
    pub fn decided(item: PendingId, digest: Digest, decision: &str, method: &str) -> Self {
        let (item, digest) = (item.to_string(), digest.to_string());
        Self::Decided { item, digest, decision: decision.into(), method: method.into() }
    }

    /// The new state of a message that was `sent` to a peer from here, or that arrived from it.
    #[must_use]
    pub fn moved(message: MessageId, state: &str, (peer, sent): (&PeerId, bool)) -> Self {
        let (peer, sent) = (Some(peer.to_string()), Some(sent));
        Self::Moved { message: message.to_string(), state: state.into(), peer, sent }
    }

    /// A refusal.
    #[must_use]
    pub fn refused(what: impl Into<String>, peer: Option<PeerId>) -> Self {
        Self::Refused { what: what.into(), peer: peer.map(|peer| peer.to_string()), left_out: 0 }
    }
}

/// Whether a count is left out of a record, as records before it had it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}
