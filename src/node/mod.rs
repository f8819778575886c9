//! The node: what can be asked of it, and the loop that answers.
//!
//! One task owns the state. It writes first, in one transaction, and only then tells the net or
//! whoever asked; a crash in between repeats a send and loses none.

mod agent;
pub mod api;
mod backup;
pub mod clock;
mod chain;
mod codes;
pub mod config;
mod connect;
mod decide;
mod drafts;
mod effective;
mod erase;
mod evidence;
mod expiry;
mod explain;
mod grants;
pub mod guard;
pub mod handle;
mod held;
mod human;
mod inbound;
mod inbox;
mod inline;
mod judge;
mod keep;
mod known;
mod lowered;
mod orders;
mod outbound;
mod page;
mod page_port;
mod pair_times;
mod pair_write;
mod pairs;
#[cfg(test)]
mod planted;
mod policy;
mod questions;
mod reach;
mod refusals;
mod recheck;
pub mod moved;
mod require;
mod prompts;
mod repeats;
mod resend;
mod roster;
pub mod review;
mod run;
mod search;
pub mod sessions;
pub mod standing;
mod start;
mod state;
mod talks;
pub mod tokens;
mod tell;
#[cfg(test)]
mod tests;
pub mod unlock;
mod upkeep;
mod views;
mod witness;
mod written;

pub use handle::{AgentHandle, NodeHandle};
pub use start::start;

use std::path::PathBuf;

use crate::{
    identity::IdentityError,
    net::NetError,
    store::{StoreError, keys::KeyFileError},
};

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is no identity.
    #[error("{0} is not set up; run `countersign init` in a terminal")]
    NotSetUp(PathBuf),
    /// It is used on another host.
    #[error("{0}; {next}", next = moved::MOVED_NEXT)]
    Moved(String),
    /// A key file cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The approver's public key is weak.
    #[error("approver.key: {0}")]
    Approver(IdentityError),
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The net does not start.
    #[error(transparent)]
    Net(#[from] NetError),
}
