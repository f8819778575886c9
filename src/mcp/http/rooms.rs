//! The sessions of clients that come over HTTP: whose they are, who uses them, when they end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use axum::{http::StatusCode, response::Response};
use data_encoding::HEXLOWER;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    answer::{plain, token_ended},
    events::Inputs,
};
use crate::{
    base::{
        Digest, SessionName, TokenId,
        limits::{
            HTTP_CALLS_MAX, HTTP_CALLS_TOKEN_MAX, HTTP_NAME_IDLE, HTTP_NAMES_KEPT,
            HTTP_NAMES_TOKEN_MAX, HTTP_SESSION_IDLE, HTTP_SESSIONS_MAX, HTTP_SESSIONS_TOKEN_MAX,
            HTTP_SWEEP_EVERY,
        },
    },
    mcp::{server::Server, underway::UnderWay},
    node::{
        clock,
        sessions::{OpenSession, Transport, Wish},
        tokens::Pass,
    },
};

/// Random bytes of a session's id, which is not guessed.
const ID_BYTES: usize = 16;
/// What a session's name among carried questions is made under.
const LABEL: &str = "countersign/http-session/v1";

/// What a session is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// An id that we gave.
    Session(Arc<str>),
    /// The same of the older pair of `/sse` and `/messages`.
    Events(Arc<str>),
    /// A token and a name.
    Name(TokenId, SessionName),
}

/// One session.
struct Room {
    token: TokenId,
    server: Server,
    /// Requests and streams of it that are under way.
    busy: usize,
    /// Since when there was none.
    silent_since: Instant,
}

/// The sessions of clients over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct Clients(Arc<Inner>);

struct Inner {
    open: Box<dyn Fn(Wish) -> OpenSession + Send + Sync>,
    sessions: LocalSessionManager,
    /// Drawn anew each time that the node starts.
    key: [u8; 32],
    tasks: TaskTracker,
    calls: Arc<Semaphore>,
    rooms: Mutex<HashMap<Key, Room>>,
    /// How many requests of each token are under way.
    callers: Mutex<HashMap<TokenId, usize>>,
    /// The places of each token's handlers, in all of its sessions: rmcp lets a handler run on when
    /// the connection has gone.
    handlers: Mutex<HashMap<TokenId, Weak<Semaphore>>>,
    /// Which names each token chose, and when last.
    names: Mutex<HashMap<TokenId, HashMap<SessionName, Instant>>>,
    inputs: Inputs,
}

/// A request that is under way, until this is dropped.
pub(super) struct Call {
    clients: Clients,
    token: TokenId,
    _place: OwnedSemaphorePermit,
}

/// A session that is in use, until this is dropped.
pub(super) struct Lease {
    clients: Clients,
    key: Key,
    server: Server,
    /// It has just begun.
    begins: bool,
}

impl Clients {
    /// Nobody yet. `open` opens a session at the node.
    pub fn new(
        open: impl Fn(Wish) -> OpenSession + Send + Sync + 'static,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Self {
        let mut sessions = LocalSessionManager::default();
        // They end by what is said here: rmcp does not know whether a stream is open.
        sessions.session_config.keep_alive = None;
        let clients = Self(Arc::new(Inner {
            open: Box::new(open),
            sessions,
            key: clock::random(),
            tasks: tasks.clone(),
            calls: Arc::new(Semaphore::new(HTTP_CALLS_MAX)),
            rooms: Mutex::default(),
            callers: Mutex::default(),
            handlers: Mutex::default(),
            names: Mutex::default(),
            inputs: Inputs::default(),
        }));
        tasks.spawn(clients.clone().sweep(cancel.clone()));
        clients
    }

    pub(super) fn sessions(&self) -> &LocalSessionManager {
        &self.0.sessions
    }

    pub(super) fn inputs(&self) -> &Inputs {
        &self.0.inputs
    }

    /// Where what is beside a request runs.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Key, Room>) -> T) -> T {
        // Each entry is whole whatever happened to the last holder.
        work(&mut self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A place for one more request of `token`, where there is one.
    pub(super) fn call(&self, token: TokenId) -> Option<Call> {
        let place = Arc::clone(&self.0.calls).try_acquire_owned().ok()?;
        let mut callers = self.0.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let count = callers.entry(token).or_default();
        if *count >= HTTP_CALLS_TOKEN_MAX {
            return None;
        }
        *count += 1;
        Some(Call { clients: self.clone(), token, _place: place })
    }

    /// Where the handlers of `token` are counted. It is there for as long as any of its sessions, or
    /// a handler that one of them left behind.
    fn handlers(&self, token: TokenId) -> UnderWay {
        let mut all = self.0.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, places| places.strong_count() > 0);
        let places = all.get(&token).and_then(Weak::upgrade).unwrap_or_else(|| {
            let places = Arc::new(Semaphore::new(HTTP_CALLS_TOKEN_MAX));
            all.insert(token, Arc::downgrade(&places));
            places
        });
        UnderWay::sharing(places, HTTP_CALLS_TOKEN_MAX)
    }

    /// Notes that `token` uses a name that it chose. One token cannot fill the list of the sessions
    /// that are known, which would make others' be forgotten.
    ///
    /// # Errors
    /// When it chose too many others of late.
    pub(super) fn choose(&self, token: TokenId, name: &SessionName) -> Result<(), String> {
        let now = Instant::now();
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = names.entry(token).or_default();
        chosen.retain(|_, used| now.duration_since(*used) < HTTP_NAMES_KEPT);
        if chosen.len() >= HTTP_NAMES_TOKEN_MAX && !chosen.contains_key(name) {
            return Err(format!(
                "this token has used {HTTP_NAMES_TOKEN_MAX} names of sessions within a day; use one \
                 of these, or another token (countersign token new)\n"
            ));
        }
        chosen.insert(name.clone(), now);
        Ok(())
    }

    /// A session of a client that begins one.
    ///
    /// # Errors
    /// What to answer when there are too many that are in use, or the token has been ended.
    pub(super) fn begin(
        &self,
        pass: &Pass,
        choice: Option<SessionName>,
    ) -> Result<Lease, Box<Response>> {
        self.open(Key::Session(fresh_id()), pass, choice, Transport::Http)
    }

    /// The session of a client that has none but its token and name.
    ///
    /// # Errors
    /// See [`Self::begin`].
    pub(super) fn by_name(
        &self,
        pass: &Pass,
        choice: Option<SessionName>,
    ) -> Result<Lease, Box<Response>> {
        let name = choice.clone().unwrap_or_else(|| pass.name.clone());
        let key = Key::Name(pass.id, name);
        self.lease(&key, pass.id)
            .map_or_else(|| self.open(key.clone(), pass, choice, Transport::Http), Ok)
    }

    /// The session of this key, where it is this token's.
    pub(super) fn lease(&self, key: &Key, token: TokenId) -> Option<Lease> {
        let server = self.with(|rooms| {
            let room = rooms.get_mut(key).filter(|room| room.is_of(token))?;
            room.busy += 1;
            Some(room.server.clone())
        })?;
        Some(Lease { clients: self.clone(), key: key.clone(), server, begins: false })
    }

    /// As [`Self::begin`], for the older transport.
    ///
    /// # Errors
    /// See [`Self::begin`].
    pub(super) fn begin_events(
        &self,
        pass: &Pass,
        choice: Option<SessionName>,
    ) -> Result<(Arc<str>, Lease), Box<Response>> {
        let id: Arc<str> = fresh_id();
        let lease = self.open(Key::Events(Arc::clone(&id)), pass, choice, Transport::Sse)?;
        Ok((id, lease))
    }

    /// Whether there is a session of this id and token.
    pub(super) fn knows(&self, id: &Arc<str>, token: TokenId) -> bool {
        let key = Key::Session(Arc::clone(id));
        self.with(|rooms| rooms.get(&key).is_some_and(|room| room.is_of(token)))
    }

    /// Whether there is a session of this id that another token began.
    pub(super) fn is_of_other(&self, id: &Arc<str>, token: TokenId) -> bool {
        let key = Key::Session(Arc::clone(id));
        self.with(|rooms| rooms.get(&key).is_some_and(|room| room.token != token))
    }

    fn open(
        &self,
        key: Key,
        pass: &Pass,
        choice: Option<SessionName>,
        transport: Transport,
    ) -> Result<Lease, Box<Response>> {
        if pass.ended.is_cancelled() {
            return Err(Box::new(token_ended()));
        }
        self.make_place(pass.id)?;
        let token = Some(pass.name.to_string());
        let wish = Wish { choice, project: None, token, parent: None, transport, channel: false };
        let ending = pass.ended.child_token();
        let mut server = Server::with_all_tools((self.0.open)(wish), ending.clone());
        server.under_way = self.handlers(pass.id);
        match &key {
            Key::Name(token, name) => {
                // The same for every request, and after a pause: a client may bring a question back.
                let parts: [&[u8]; 3] = [&self.0.key, token.as_bytes(), name.as_str().as_bytes()];
                server.session = Digest::of(LABEL, &parts).to_string();
            }
            Key::Session(_) => {
                server.beside = Arc::new(Mutex::new(Some(self.0.tasks.clone())));
            }
            // Its loop is our own.
            Key::Events(_) => {}
        }
        let silent_since = Instant::now();
        let room = Room { token: pass.id, server: server.clone(), busy: 1, silent_since };
        // Somebody else of the same name may have come first.
        let other = self.with(|rooms| match rooms.get_mut(&key) {
            Some(first) if first.is_of(pass.id) => {
                first.busy += 1;
                Some(first.server.clone())
            }
            _ => {
                rooms.insert(key.clone(), room);
                None
            }
        });
        if let Some(server) = other {
            return Ok(Lease { clients: self.clone(), key, server, begins: false });
        }
        let (clients, ended) = (self.clone(), key.clone());
        self.0.tasks.spawn(async move {
            ending.cancelled().await;
            clients.remove_ended(&ended);
        });
        Ok(Lease { clients: self.clone(), key, server, begins: true })
    }

    /// Ends the session that nobody used for longest, when there are as many as there may be.
    fn make_place(&self, token: TokenId) -> Result<(), Box<Response>> {
        let ended = self.with(|rooms| {
            let own = rooms.values().filter(|room| room.token == token).count();
            let among = |room: &Room| {
                if own >= HTTP_SESSIONS_TOKEN_MAX { room.token == token } else { true }
            };
            if own < HTTP_SESSIONS_TOKEN_MAX && rooms.len() < HTTP_SESSIONS_MAX {
                return Ok(None);
            }
            let free = rooms.iter().filter(|(_, room)| room.busy == 0 && among(room));
            let longest =
                free.min_by_key(|(_, room)| room.silent_since).map(|(key, _)| key.clone());
            longest.map(|key| rooms.remove(&key)).ok_or_else(|| {
                let full = "too many sessions are in use; end some, or try again in a moment\n";
                Box::new(plain(StatusCode::SERVICE_UNAVAILABLE, full))
            })
        })?;
        // Not under the lock: what it holds ends with it.
        if let Some(room) = ended {
            room.server.ending.cancel();
        }
        Ok(())
    }

    /// Ends a session, where there is one.
    pub(super) fn end(&self, key: &Key) {
        if let Some(room) = self.with(|rooms| rooms.remove(key)) {
            room.server.ending.cancel();
        }
    }

    /// Forgets a session that has ended, and no later one of the same key.
    fn remove_ended(&self, key: &Key) {
        let ended = self.with(|rooms| {
            let over = rooms.get(key).is_some_and(|room| room.server.ending.is_cancelled());
            if over { rooms.remove(key) } else { None }
        });
        drop(ended);
    }

    async fn sweep(self, cancel: CancellationToken) {
        let mut ticks = interval(HTTP_SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = Instant::now();
            let over = |(key, room): (&Key, &Room)| {
                let most = match key {
                    Key::Session(_) | Key::Events(_) => HTTP_SESSION_IDLE,
                    Key::Name(..) => HTTP_NAME_IDLE,
                };
                let silent = room.busy == 0 && now.duration_since(room.silent_since) >= most;
                silent.then(|| key.clone())
            };
            let over: Vec<Key> = self.with(|rooms| rooms.iter().filter_map(over).collect());
            for key in &over {
                self.end(key);
            }
        }
    }
}

fn fresh_id() -> Arc<str> {
    HEXLOWER.encode(&clock::random::<ID_BYTES>()).into()
}

impl Room {
    fn is_of(&self, token: TokenId) -> bool {
        self.token == token && !self.server.ending.is_cancelled()
    }
}

impl Lease {
    pub(super) const fn server(&self) -> &Server {
        &self.server
    }

    /// The id of the session that begins with this request.
    pub(super) fn begins(&self) -> Option<Arc<str>> {
        match &self.key {
            Key::Session(id) if self.begins => Some(Arc::clone(id)),
            Key::Session(_) | Key::Events(_) | Key::Name(..) => None,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.clients.with(|rooms| {
            if let Some(room) = rooms.get_mut(&self.key) {
                room.busy = room.busy.saturating_sub(1);
                room.silent_since = Instant::now();
            }
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut callers = self.clients.0.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = callers.get_mut(&self.token) {
            *count -= 1;
            if *count == 0 {
                callers.remove(&self.token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodeHandle;

    #[tokio::test(start_paused = true)]
    async fn one_token_chooses_so_many_names_and_no_more() {
        let (node, _questions) = NodeHandle::channel();
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let clients = Clients::new(move |wish| node.open_session(wish), &tasks, &cancel);
        let token = |number: u8| TokenId::from_bytes([number; 5]);
        let choose = |number, name: usize| {
            clients.choose(token(number), &SessionName::parse(&format!("s{name}")).unwrap())
        };
        (0..HTTP_NAMES_TOKEN_MAX).for_each(|name| choose(1, name).unwrap());
        assert!(choose(1, HTTP_NAMES_TOKEN_MAX).unwrap_err().contains("use one of these"));
        choose(1, 0).unwrap();
        choose(2, HTTP_NAMES_TOKEN_MAX).unwrap();
        tokio::time::advance(HTTP_NAMES_KEPT).await;
        choose(1, HTTP_NAMES_TOKEN_MAX).unwrap();
        cancel.cancel();
    }

    #[tokio::test]
    async fn what_a_question_is_bound_to_outlives_a_pause_and_is_of_one_token_and_name() {
        let (node, _questions) = NodeHandle::channel();
        let opening = node.clone();
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let clients = Clients::new(move |wish| opening.open_session(wish), &tasks, &cancel);
        let pass = |number: u8| {
            let name = SessionName::parse("laptop").unwrap();
            let (id, ended) = (TokenId::from_bytes([number; 5]), CancellationToken::new());
            Pass { id, name, ended }
        };
        let session = |number: u8, name: Option<&str>| {
            let name = name.map(|name| SessionName::parse(name).unwrap());
            clients.by_name(&pass(number), name).unwrap().server.session.clone()
        };
        let first = session(1, None);
        clients.end(&Key::Name(TokenId::from_bytes([1; 5]), pass(1).name));
        assert!(node.sessions().is_empty());
        assert_eq!(session(1, None), first);
        assert_ne!(session(1, Some("work")), first);
        assert_ne!(session(2, None), first);
        assert_eq!(node.sessions().len(), 3);
        cancel.cancel();
    }
}
