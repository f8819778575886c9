//! The audit chain: what a human can ask of it, and the answers.

use serde::{Deserialize, Serialize};

use crate::{
    audit::{Head, Record},
    base::{PeerId, Timestamp},
    store::audit::Progress,
};

/// What a human can ask of the audit chain beside its pages.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "audit", rename_all = "snake_case", deny_unknown_fields)]
pub enum AuditRequest {
    /// Records as they were hashed, oldest first.
    Find {
        /// Records after this number.
        after: u64,
        /// At most this many, up to 1000.
        limit: u32,
        /// Only about this peer: a name or an id.
        #[serde(default)]
        peer: Option<String>,
        /// Only of this time or later.
        #[serde(default)]
        since: Option<Timestamp>,
        /// Only these events, by the names in the records; none named is all.
        #[serde(default)]
        kinds: Vec<String>,
    },
    /// Where the chain begins and ends, signed, and what was moved into files.
    State,
    /// Check the next part of the chain.
    Verify {
        /// How far the check has come; `None` at its beginning.
        progress: Option<Progress>,
    },
    /// Move old records into a file beside the database. Needs no signature: it loosens nothing, and
    /// no record is lost.
    Rotate {
        /// What stays.
        keep: AuditKeep,
    },
    /// The human has looked at what this peer disputes, or at what is wrong with its chain: it is
    /// warned of no more. Needs no signature: what is wrong stays in the records.
    Accept {
        /// A name or an id.
        peer: String,
    },
}

/// What stays in the database.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditKeep {
    /// The records of so many milliseconds.
    Ms(u64),
    /// So many records.
    Records(u64),
}

/// Some records, as they were hashed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditFound {
    /// Oldest first.
    pub records: Vec<Record>,
    /// After which record to go on; `None` where the chain ends.
    pub next: Option<u64>,
    /// The peer that was asked for.
    pub peer: Option<PeerId>,
}

/// Records that were moved into a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditMoved {
    /// The file, in the home.
    pub file: String,
    /// The first record in it.
    pub first: u64,
    /// The last one.
    pub last: Head,
    /// When.
    pub at: String,
}

/// Where the chain begins and ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditState {
    /// Whose chain.
    pub node: PeerId,
    /// What the first record in the database follows.
    pub after: Head,
    /// The end.
    pub head: Head,
    /// The node's signature of the end, hexadecimal.
    pub signature: String,
    /// What was moved, oldest first.
    pub moved: Vec<AuditMoved>,
}

/// What checking a part of the chain gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditPart {
    /// How far the check has come.
    pub progress: Progress,
    /// The result, where it has ended.
    pub verified: Option<AuditVerified>,
}

/// What was moved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditRotated {
    /// The file; `None` where there was nothing to move.
    pub moved: Option<AuditMoved>,
    /// How many records.
    pub records: u64,
}

/// One audit record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: String,
    /// What happened.
    pub event: serde_json::Value,
    /// Its hash.
    pub hash: String,
}

impl From<&Record> for AuditRecord {
    fn from(record: &Record) -> Self {
        Self {
            seq: record.seq,
            at: record.at.rfc3339(),
            event: serde_json::from_str(&record.event).unwrap_or_default(),
            hash: record.hash.to_string(),
        }
    }
}

/// Some of the audit chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditPage {
    /// Oldest first.
    pub records: Vec<AuditRecord>,
    /// There are more after the last.
    pub more: bool,
}

/// The first record that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstBad {
    /// Its number.
    pub seq: u64,
    /// Its time, as it says itself; absent where it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What says otherwise: a checkpoint, or a peer's receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradicts: Option<String>,
}

/// What checking the chain gave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuditVerified {
    /// The chain is whole.
    pub ok: bool,
    /// Records that were checked.
    pub records: u64,
    /// Signed checkpoints that were checked.
    pub checkpoints: u64,
    /// The first thing that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The record that it is wrong at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bad: Option<FirstBad>,
    /// What peers signed of this log that is not in it, and that the human has looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked_at: Vec<String>,
}
