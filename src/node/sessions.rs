//! The sessions of clients that are open: who is there, by what name, and how each can be told of
//! a message.
//!
//! A name is the user's choice, or the project folder, or the client. Two open sessions never have
//! the same one, but for those of one token over HTTP: many clients leave a session there without
//! a word and begin another. Kept beside the node's task, because a session that ends can wait for
//! nobody.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    api::Event,
    clock,
    handle::{AgentHandle, NodeHandle},
};
use crate::{
    base::{
        SessionName, Timestamp,
        limits::{CLIENT_CHARS_MAX, PROJECT_BYTES_MAX, PROTOCOL_CHARS_MAX},
    },
    store::sessions::{Introduced, Open},
};

/// How a client speaks to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Transport {
    /// `countersign mcp`.
    Stdio,
    /// Streamable HTTP.
    Http,
    /// The older pair of HTTP and server-sent events.
    Sse,
}

/// A way in which a session learns of a message without asking for it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Route {
    /// The text itself appears in the conversation (`claude/channel`).
    Channel,
    /// `notifications/resources/updated`, for the resources that it follows.
    Resources,
    /// A subscription of version 2026-07-28.
    Listen,
    /// A call of `peer_inbox` or `peer_ask` waits now.
    Wait,
    /// `countersign hook` ran for this session.
    Hook,
}

/// What is known of a session when it begins.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What its user calls it.
    pub choice: Option<SessionName>,
    /// The folder that it works in.
    pub project: Option<PathBuf>,
    /// The name of the bearer token, over HTTP.
    pub token: Option<String>,
    /// The process that started `countersign mcp`.
    pub parent: Option<u32>,
    /// How it speaks to us.
    pub transport: Transport,
    /// Its user says that the client shows what comes over `claude/channel`.
    pub channel: bool,
}

/// What is kept of a folder's name.
pub(super) fn cut_folder(folder: PathBuf) -> PathBuf {
    let text = folder.to_string_lossy();
    if text.len() <= PROJECT_BYTES_MAX {
        return folder;
    }
    let end = text.floor_char_boundary(PROJECT_BYTES_MAX);
    PathBuf::from(text.get(..end).unwrap_or_default())
}

impl Wish {
    /// The name that it should have.
    fn name(&self) -> SessionName {
        let folder = || Some(self.project.as_ref()?.file_name()?.to_string_lossy().into_owned());
        self.choice.clone().unwrap_or_else(|| {
            let text = folder().or_else(|| self.token.clone()).unwrap_or_default();
            SessionName::suggested(&text)
        })
    }
}

/// A session that is open.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// What it is called here.
    pub name: SessionName,
    /// What was known when it began.
    pub wish: Wish,
    /// What the client calls itself, once it has said so.
    pub client: Option<String>,
    /// The version of MCP, once it is agreed.
    pub protocol: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// The ways in which it learns of messages now.
    pub routes: Vec<Route>,
}

impl SessionInfo {
    fn introduced(&self) -> Introduced {
        let project = self.wish.project.as_ref();
        Introduced {
            name: self.name.clone(),
            client: self.client.clone(),
            project: project.map(|folder| folder.to_string_lossy().into_owned()),
        }
    }
}

/// All of them, by the order of their beginnings.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<BTreeMap<u64, SessionInfo>>);

impl Sessions {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<u64, SessionInfo>) -> T) -> T {
        // Each entry is whole whatever happened to the last holder.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn all(&self) -> Vec<SessionInfo> {
        self.with(|all| all.values().cloned().collect())
    }

    /// Adds a route that nobody takes away; whether it is new.
    pub(super) fn mark(&self, name: &SessionName, route: Route) -> bool {
        self.with(|all| {
            let found = all.values_mut().find(|session| session.name == *name);
            let Some(session) = found.filter(|session| !session.routes.contains(&route)) else {
                return false;
            };
            session.routes.push(route);
            session.routes.sort_unstable();
            true
        })
    }

    /// As the store knows them.
    pub(super) fn introduced(&self) -> Vec<Introduced> {
        self.with(|all| all.values().map(SessionInfo::introduced).collect())
    }

    pub(super) fn names(&self) -> Open {
        self.with(|all| all.values().map(|info| info.name.clone()).collect())
    }

    pub(super) fn is_open(&self, name: &SessionName) -> bool {
        self.with(|all| all.values().any(|info| info.name == *name))
    }

    pub(super) fn introduced_as(&self, name: &SessionName) -> Option<Introduced> {
        self.with(|all| all.values().find(|info| info.name == *name).map(SessionInfo::introduced))
    }

    fn add(&self, mut wish: Wish) -> (u64, SessionName) {
        let wanted = wish.name();
        wish.project = wish.project.map(cut_folder);
        self.with(|all| {
            let mut name = wanted.clone();
            let mut number = 2;
            // One token's sessions of one name are one client's, which seldom says when it ends one.
            let other =
                |session: &SessionInfo| wish.token.is_none() || session.wish.token != wish.token;
            while all.values().any(|session| session.name == name && other(session)) {
                name = wanted.numbered(number);
                number += 1;
            }
            let key = all.last_key_value().map_or(0, |(key, _)| key + 1);
            let (client, protocol, since) = (None, None, clock::now());
            let routes = Vec::new();
            let info = SessionInfo { name: name.clone(), wish, client, protocol, since, routes };
            all.insert(key, info);
            (key, name)
        })
    }
}

/// A session, for as long as this is held.
pub struct OpenSession {
    key: u64,
    name: SessionName,
    channel: bool,
    node: NodeHandle,
    sessions: Arc<Sessions>,
}

impl OpenSession {
    pub(super) fn open(node: &NodeHandle, sessions: &Arc<Sessions>, wish: Wish) -> Self {
        let channel = wish.channel;
        let (key, name) = sessions.add(wish);
        node.tell(Event::SessionsChanged { closed: false });
        Self { key, name, channel, node: node.clone(), sessions: Arc::clone(sessions) }
    }

    /// What it is called here.
    #[must_use]
    pub const fn name(&self) -> &SessionName {
        &self.name
    }

    /// Its user says that the client shows what comes over `claude/channel`.
    #[must_use]
    pub const fn channel(&self) -> bool {
        self.channel
    }

    /// Asks in this session's name.
    #[must_use]
    pub fn agent(&self) -> AgentHandle {
        self.node.agent_of(self.name.clone())
    }

    /// The client said what it is, and what it speaks.
    pub fn introduce(&self, client: Option<String>, protocol: Option<String>) {
        let client = client.map(|said| said.chars().take(CLIENT_CHARS_MAX).collect());
        let protocol = protocol.map(|said| said.chars().take(PROTOCOL_CHARS_MAX).collect());
        self.change(|info| {
            info.client = client.or(info.client.take());
            info.protocol = protocol.or(info.protocol.take());
        });
    }

    /// It can be told in this way from now on, or no more.
    pub fn set_route(&self, route: Route, live: bool) {
        self.change(|info| {
            info.routes.retain(|known| *known != route);
            if live {
                info.routes.push(route);
                info.routes.sort_unstable();
            }
        });
    }

    fn change(&self, work: impl FnOnce(&mut SessionInfo)) {
        let changed = self.sessions.with(|all| {
            let Some(info) = all.get_mut(&self.key) else { return false };
            let before = (info.client.clone(), info.protocol.clone(), info.routes.clone());
            work(info);
            before != (info.client.clone(), info.protocol.clone(), info.routes.clone())
        });
        if changed {
            self.node.tell(Event::SessionsChanged { closed: false });
        }
    }
}

impl fmt::Debug for OpenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenSession").field(&self.name).finish()
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.sessions.with(|all| all.remove(&self.key));
        self.node.tell(Event::SessionsChanged { closed: true });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(project: &str) -> Wish {
        let project = Some(PathBuf::from(project));
        let (token, parent, transport) = (None, None, Transport::Stdio);
        Wish { choice: None, project, token, parent, transport, channel: false }
    }

    #[test]
    fn two_open_sessions_never_have_one_name_and_a_free_one_is_used_again() {
        let (node, _questions) = NodeHandle::channel();
        let first = node.open_session(wish("/projects/Api Server"));
        let second = node.open_session(wish("/elsewhere/api server"));
        assert_eq!(first.name().as_str(), "api-server");
        assert_eq!(second.name().as_str(), "api-server-2");
        drop(first);
        assert_eq!(node.sessions().len(), 1);
        assert_eq!(node.open_session(wish("/x/api-server")).name().as_str(), "api-server");
        let chosen = Wish { choice: Some(SessionName::parse("mine").unwrap()), ..wish("/x") };
        assert_eq!(node.open_session(chosen).name().as_str(), "mine");
    }

    #[test]
    fn what_a_client_says_of_itself_is_cut_where_it_enters() {
        let (node, _questions) = NodeHandle::channel();
        let session = node.open_session(wish(&format!("/{}/api", "é".repeat(2000))));
        assert_eq!(session.name().as_str(), "api", "the name is the whole folder's");
        session.introduce(Some("é".repeat(100)), Some("1".repeat(100)));
        let info = node.sessions().remove(0);
        assert_eq!(info.client, Some("é".repeat(CLIENT_CHARS_MAX)));
        assert_eq!(info.protocol, Some("1".repeat(PROTOCOL_CHARS_MAX)));
        let folder = info.wish.project.clone().unwrap().to_string_lossy().into_owned();
        assert_eq!(folder, format!("/{}", "é".repeat(511)));
        // What is beyond is no change.
        let mut events = node.events();
        session.introduce(Some(format!("{}x", "é".repeat(CLIENT_CHARS_MAX))), None);
        assert!(events.try_recv().is_err());
    }

    #[test]
    fn sessions_of_one_token_and_name_are_of_one_name() {
        let (node, _questions) = NodeHandle::channel();
        let by = |token: &str| Wish {
            token: Some(token.to_owned()),
            choice: Some(SessionName::parse("api").unwrap()),
            transport: Transport::Http,
            ..wish("/x")
        };
        let abandoned = node.open_session(by("laptop"));
        assert_eq!(node.open_session(by("laptop")).name(), abandoned.name());
        let other = node.open_session(by("phone"));
        assert_eq!(other.name().as_str(), "api-2");
        assert_eq!(node.open_session(by("phone")).name(), other.name());
    }

    #[test]
    fn what_changes_is_told_and_what_does_not_is_not() {
        let (node, _questions) = NodeHandle::channel();
        let session = node.open_session(wish("/x"));
        let mut events = node.events();
        session.set_route(Route::Hook, true);
        session.set_route(Route::Channel, true);
        session.set_route(Route::Hook, true);
        assert_eq!(node.sessions()[0].routes, [Route::Channel, Route::Hook]);
        session.set_route(Route::Hook, false);
        assert_eq!(node.sessions()[0].routes, [Route::Channel]);
        assert_eq!(events.len(), 3);
        assert_eq!(events.try_recv(), Ok(Event::SessionsChanged { closed: false }));
    }
}
