//! How long messages are kept, deleting them, and copies of the home: questions and answers.

use serde::{Deserialize, Serialize};

use super::PeerRef;
use crate::trust::PeerState;

/// What a human can ask about what the home keeps. A deletion needs no signature: it loosens nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "keep", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeepRequest {
    /// How long messages are kept.
    Show,
    /// Keep them so long.
    Set {
        /// Those with this peer: a name or an id. None: with everybody who has no setting of their own.
        peer: Option<String>,
        /// How long.
        time: KeepTime,
        /// Change nothing, and say how many messages would go at once.
        dry_run: bool,
    },
    /// Delete one message.
    DeleteMessage {
        /// Which.
        id: String,
        /// Delete nothing, and say whether it may go.
        dry_run: bool,
    },
    /// Delete the messages with a peer that were stored before a time.
    DeleteBefore {
        /// A name or an id.
        peer: String,
        /// Milliseconds since 1970 (UTC), exclusive.
        before_ms: u64,
        /// Delete nothing, and say how many would go.
        dry_run: bool,
    },
    /// Forget a peer that was revoked or blocked, and its messages.
    Forget {
        /// A name or an id.
        peer: String,
        /// Forget nothing, and say what would go.
        dry_run: bool,
    },
    /// Copy the database into a file in the home, as it is now, for a backup.
    Copy,
    /// The copy is not needed any more.
    Copied {
        /// The SHA-256 of the backup that was made of it, hexadecimal. None: none was made.
        archive: Option<String>,
    },
}

/// How long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepTime {
    /// For ever.
    Forever,
    /// So many days after they were stored here, 1 to 36,500.
    Days(u32),
    /// Of one peer: as of everybody.
    Default,
}

/// How long messages are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// With everybody who has no setting of their own; null is for ever.
    pub days: Option<u32>,
    /// The peers that have one.
    pub peers: Vec<KeptOf>,
    /// What the change deleted, or would delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
}

/// How long the messages with one peer are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptOf {
    /// Which.
    pub peer: PeerRef,
    /// Null is for ever.
    pub days: Option<u32>,
}

/// What was deleted, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Messages that went, or would go.
    pub messages: u64,
    /// Messages that were meant, and stay because they are held, queued, unread or await a receipt.
    pub staying: u64,
    /// Nothing was deleted; it was only asked.
    pub dry_run: bool,
    /// It is over. `false`: it takes long, and goes on.
    pub done: bool,
}

/// A peer that was forgotten, or would be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forgotten {
    /// Which.
    pub peer: PeerRef,
    /// What it is to us: of a blocked one the id and the block stay.
    pub state: PeerState,
    /// Its messages.
    pub erased: Erased,
}

/// A copy of the database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CopyMade {
    /// The file's name in the home.
    pub file: String,
}
