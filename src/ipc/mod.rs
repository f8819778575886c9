//! The node's Unix socket: one hello line says who comes, then a client speaks JSON lines of
//! `node::api`, and an agent's session is handed on as the stream that it is.
//!
//! A connection begins with `{"hello":1,"role":"client","pid":1,"cwd":"/"}`, which the node answers
//! with `{"hello":1,"pid":2,"version":"0.1.0"}`, or with `{"error":{..}}` and the end. Then
//! `{"id":1,"request":{..},"wait_seconds":5}` is answered by `{"id":1,"reply":{..}}` or
//! `{"id":1,"error":{..}}`. What a session says after its hello is not looked at here. To a `watch`
//! the node says `{"hint":"pending_changed"}` and the like, and hears nothing more.

mod client;
pub mod line;
mod listener;
mod once;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use client::{Client, ClientError, Hints, open, watch};
pub use listener::{Listener, ListenerError, SessionStream};
pub use once::ask_once;

use crate::{
    base::SessionName,
    node::api::{ApiError, Event, Request},
};

/// The version of this protocol.
pub const HELLO: u32 = 1;

/// Who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A command of a person, which asks for one thing after the other.
    Client,
    /// An agent's session, which speaks MCP.
    Mcp,
    /// A person's live view, which is told when it should ask again.
    Watch,
}

/// What a watch is told: that something changed, and nothing of what a peer wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hint", rename_all = "snake_case")]
pub enum Hint {
    /// A message is in the inbox.
    Arrived {
        /// Its id.
        message: String,
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
    /// The human may be interrupted, once.
    Alert {
        /// So many items wait that nobody was told of before.
        items: u64,
    },
    /// A link to the page was used.
    PageOpened,
    /// A client's session began, ended or changed.
    SessionsChanged,
    /// There were more than could be told: ask for everything again.
    Missed,
}

impl From<Event> for Hint {
    fn from(event: Event) -> Self {
        match event {
            Event::Arrived { message, .. } => Self::Arrived { message },
            Event::MessageChanged { message } => Self::MessageChanged { message },
            Event::PeersChanged => Self::PeersChanged,
            Event::PendingChanged => Self::PendingChanged,
            Event::Alert { items } => Self::Alert { items },
            Event::PageOpened => Self::PageOpened,
            Event::SessionsChanged { .. } => Self::SessionsChanged,
        }
    }
}

/// The first line of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`HELLO`].
    pub hello: u32,
    /// Who comes.
    pub role: Role,
    /// Its process.
    pub pid: u32,
    /// The folder that it runs in.
    pub cwd: PathBuf,
    /// The process that started it: a client's, which also starts its hooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// The folder that the client works in, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<PathBuf>,
    /// What its user calls the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionName>,
    /// Its user says that the client shows what comes over `claude/channel`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub channel: bool,
}

impl Hello {
    /// This process's.
    #[must_use]
    pub fn of(role: Role) -> Self {
        // A folder that was removed has no name; it is only for people to read.
        let cwd = std::env::current_dir().unwrap_or_default();
        let parent = Some(std::os::unix::process::parent_id());
        let pid = std::process::id();
        let (project, session, channel) = (None, None, false);
        Self { hello: HELLO, role, pid, cwd, parent, project, session, channel }
    }

    /// An agent's session with this name, of a client that works in this folder.
    #[must_use]
    pub fn of_session(session: Option<SessionName>, project: Option<PathBuf>) -> Self {
        Self { project, session, ..Self::of(Role::Mcp) }
    }
}

/// The node's answer to a hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// [`HELLO`].
    pub hello: u32,
    /// The node's process.
    pub pid: u32,
    /// Of countersign, as the node runs it.
    pub version: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    id: u64,
    request: Request,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wait_seconds: Option<u64>,
}

/// One answer. `R` is the node's reply on its side, and whatever a client makes of it on the other.
#[derive(Debug, Serialize, Deserialize)]
struct Answer<R> {
    /// None where it concerns the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    reply: Option<R>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<ApiError>,
}

const fn none<R>() -> Option<R> {
    None
}

/// A line of JSON. Our own types always serialise.
fn to_line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests;
