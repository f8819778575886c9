//! Errors and events.

use serde::{Deserialize, Serialize};

use crate::base::SessionName;

/// What kind of trouble it is; a surface maps it to its own codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// An argument is wrong.
    Usage,
    /// There is no such thing.
    NotFound,
    /// It is not allowed now.
    Refused,
    /// A human has to act first.
    WaitsForHuman,
    /// A human said no.
    Denied,
    /// Too much at once; later may work.
    Busy,
    /// Something broke here.
    Failed,
}

/// An error with the next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}; {next}")]
pub struct ApiError {
    /// What kind.
    pub kind: ErrorKind,
    /// What was wrong, with the value and its bound.
    pub message: String,
    /// What to do next.
    pub next: String,
}

impl ApiError {
    /// An error with its next step.
    pub fn new(kind: ErrorKind, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { kind, message: message.into(), next: next.into() }
    }
}

/// A hint that something changed. A listener that missed some reads the store again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message is in the inbox.
    Arrived {
        /// Its id.
        message: String,
        /// Our name for its sender.
        from: String,
        /// The session that it is for, open or not. None: every one.
        session: Option<SessionName>,
    },
    /// A message changed its state.
    MessageChanged {
        /// Its id.
        message: String,
    },
    /// A peer changed its state, or came or went.
    PeersChanged,
    /// Something began or ceased to wait for the human.
    PendingChanged,
    /// The human may be interrupted: surfaces ring or notify, once. [`Event::PendingChanged`]
    /// follows.
    Alert {
        /// So many items wait that nobody was told of before.
        items: u64,
    },
    /// A link to the page was used.
    PageOpened,
    /// A client's session began, ended or changed what is known of it.
    SessionsChanged {
        /// One closed: what is for it is for every other one from now on.
        closed: bool,
    },
}
