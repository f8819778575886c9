//! The words that every other layer uses: ids, times, bounds and secrets.
//!
//! No rule of the product lives here, and nothing here does I/O; but [`failpoint`]
//! ends the process of a test build.

pub mod failpoint;
pub mod ids;
pub mod limits;
#[cfg(test)]
pub mod planted;
pub mod secret;
pub mod severity;
pub mod text;
pub mod time;

pub use ids::{
    ApproverId, Digest, GrantId, InviteId, KnownId, MessageId, PeerId, PendingId, ThreadId, TokenId,
};
pub use secret::Secret;
pub use severity::Severity;
pub use text::{ClaimedName, MessageText, Note, PeerName, SessionName, TextError};
pub use time::{Moment, Timestamp};
