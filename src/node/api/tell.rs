//! What is told to an agent without its asking: the questions and the shapes of the answers.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Message;
use crate::node::sessions::{Route, SessionInfo, Transport};

/// What is new, so that it can be told. It consumes nothing: no message counts as read. Peers'
/// texts are shown by it, so it taints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TellRequest {
    /// The hook of a client that asks: it is told each message once, oldest first. Without it an
    /// open session asks, and is told the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookCall>,
    /// At most this many messages.
    pub messages_max: u32,
    /// About so many bytes of text together, and one message in any case.
    pub bytes_max: u32,
}

/// The process of a client's hook, by which its session is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookCall {
    /// The processes above it, nearest first.
    #[serde(default)]
    pub ancestors: Vec<u32>,
    /// The folder that the client works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<PathBuf>,
    /// What the client calls the conversation: another one is told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
}

/// What is new.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Told {
    /// The session that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Messages that are told now, oldest first.
    pub messages: Vec<Message>,
    /// Unread messages that were not told yet, beside these.
    pub more: u64,
}

/// A client's session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct SessionShown {
    /// What it is called here.
    pub name: String,
    /// What the client calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// How the client speaks to us.
    pub transport: Transport,
    /// The ways in which it learns of messages now.
    pub routes: Vec<Route>,
    /// It is this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

impl From<SessionInfo> for SessionShown {
    fn from(info: SessionInfo) -> Self {
        let SessionInfo { name, wish, client, routes, .. } = info;
        let (name, transport) = (name.to_string(), wish.transport);
        Self { name, client, transport, routes, own: false }
    }
}
