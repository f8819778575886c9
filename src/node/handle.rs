//! Handles on a running node.
//!
//! An [`AgentHandle`] can say [`AgentRequest`] and nothing else; it is what `mcp/` holds.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::Instant,
};

use super::{
    api::{
        AgentRequest, ApiError, ErrorKind, Event, HumanRequest, Inbox, InboxRequest, News, Reply,
        Request, SendRequest, Sent,
    },
    sessions::{OpenSession, Route, SessionInfo, Sessions, Wish},
    tokens::{Pass, Tokens},
};
use crate::{
    base::{SessionName, limits},
    store::sessions::{Introduced, Open},
};

/// A question with the place for its answer.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub request: Request,
    /// Which session of a client asks. None: a person, or a part of the node itself.
    pub session: Option<SessionName>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Reply, ApiError>>,
}

/// A handle that can ask anything. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NodeHandle {
    questions: mpsc::Sender<Question>,
    events: broadcast::Sender<Event>,
    page_port: Arc<OnceLock<u16>>,
    page_held: Arc<OnceLock<u16>>,
    sessions: Arc<Sessions>,
    tokens: Arc<Tokens>,
    notices: Arc<Mutex<Vec<String>>>,
}

/// A handle for an agent's session. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AgentHandle {
    node: NodeHandle,
    session: Option<SessionName>,
}

impl NodeHandle {
    /// A handle, and the end that the node reads.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Question>) {
        let (questions, receiver) = mpsc::channel(limits::NODE_QUEUE_REQUESTS);
        let (events, _) = broadcast::channel(limits::EVENT_QUEUE);
        let (page_port, page_held) = (Arc::default(), Arc::default());
        let (sessions, tokens, notices) = Default::default();
        let handle = Self { questions, events, page_port, page_held, sessions, tokens, notices };
        (handle, receiver)
    }

    /// The same node, for an agent without a session of its own: what it reads counts for all.
    #[must_use]
    pub fn agent(&self) -> AgentHandle {
        AgentHandle { node: self.clone(), session: None }
    }

    /// The same node, for the session `name`.
    #[must_use]
    pub(super) fn agent_of(&self, name: SessionName) -> AgentHandle {
        AgentHandle { node: self.clone(), session: Some(name) }
    }

    /// A client's session begins. It is there until what this gives is dropped.
    #[must_use]
    pub fn open_session(&self, wish: Wish) -> OpenSession {
        OpenSession::open(self, &self.sessions, wish)
    }

    /// The sessions that are open now, in the order of their beginnings.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.sessions.all()
    }

    /// Whom this bearer token lets in as an agent; `None` when it is not good.
    #[must_use]
    pub fn admit(&self, token: &[u8]) -> Option<Pass> {
        self.tokens.admit(token)
    }

    /// A call over HTTP was turned away: the audit log says so, some time later.
    pub fn turned_away(&self) {
        self.tokens.turned_away();
    }

    pub(super) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The open session `name` was told in this way.
    pub(super) fn mark(&self, name: &SessionName, route: Route) {
        if self.sessions.mark(name, route) {
            self.tell(Event::SessionsChanged { closed: false });
        }
    }

    /// The same, as the store knows them.
    pub(super) fn introduced(&self) -> Vec<Introduced> {
        self.sessions.introduced()
    }

    /// The one of this name, where it is open.
    pub(super) fn introduced_as(&self, name: &SessionName) -> Option<Introduced> {
        self.sessions.introduced_as(name)
    }

    /// The names of all that are open.
    pub(super) fn open_names(&self) -> Open {
        self.sessions.names()
    }

    /// Hints of what changes from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// The page is served at this port from now on. A second call changes nothing.
    pub fn set_page_port(&self, port: u16) {
        // It is set once a process.
        self.page_port.set(port).ok();
    }

    /// The port that the page should have had is somebody else's. A second call changes nothing.
    pub fn set_page_held(&self, port: u16) {
        // It is set once a process.
        self.page_held.set(port).ok();
    }

    /// Something that its user should know for as long as the node runs: `status` and `doctor` say
    /// it. Asked for at its start, a few times.
    pub fn notice(&self, text: impl Into<String>) {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).push(text.into());
    }

    pub(super) fn notices(&self) -> Vec<String> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What to say when the page is not where it should be.
    pub(super) fn page_warning(&self) -> Option<String> {
        let (held, page) = (self.page_held.get()?, self.page()?);
        Some(format!(
            "port {held} is held by another program, so the page is at {page} instead; an old tab or \
             bookmark of port {held} is not Countersign's page: type nothing there, and get a link \
             from countersign page"
        ))
    }

    /// Where the page is, without a way in: `http://localhost:PORT`. `None` when it is not served.
    #[must_use]
    pub fn page(&self) -> Option<String> {
        self.page_port.get().map(|port| format!("http://localhost:{port}"))
    }

    /// Tells all who listen.
    pub fn tell(&self, event: Event) {
        // Nobody listening is no error.
        self.events.send(event).ok();
    }

    /// Asks as a human.
    ///
    /// # Errors
    /// What the node answers, or that it is gone.
    pub async fn human(&self, request: HumanRequest) -> Result<Reply, ApiError> {
        self.ask(Request::Human(request)).await
    }

    /// Asks.
    ///
    /// # Errors
    /// What the node answers, or that it is gone.
    pub async fn ask(&self, request: Request) -> Result<Reply, ApiError> {
        self.ask_for(request, None).await
    }

    async fn ask_for(
        &self,
        request: Request,
        session: Option<SessionName>,
    ) -> Result<Reply, ApiError> {
        let gone = || {
            let (message, next) = ("the node is shutting down", "try again in a moment");
            ApiError::new(ErrorKind::Failed, message, next)
        };
        let (answer, answered) = oneshot::channel();
        self.questions.send(Question { request, session, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl AgentHandle {
    /// Asks.
    ///
    /// # Errors
    /// What the node answers, or that it is gone.
    pub async fn ask(&self, request: AgentRequest) -> Result<Reply, ApiError> {
        self.node.ask_for(Request::Agent(request), self.session.clone()).await
    }

    /// What this session is called. None: a person's command, or a part of the node.
    #[must_use]
    pub const fn session(&self) -> Option<&SessionName> {
        self.session.as_ref()
    }

    /// The sessions that are open now, in the order of their beginnings.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.node.sessions()
    }

    /// Whether a message that is for `session` is told to this one now: it is for every one, or for
    /// this one, or for one that is not open.
    #[must_use]
    pub fn is_told(&self, session: Option<&SessionName>) -> bool {
        session.is_none_or(|name| {
            self.session.as_ref() == Some(name) || !self.node.sessions.is_open(name)
        })
    }

    /// What this session has not seen, in numbers.
    ///
    /// # Errors
    /// What the node answers, or that it is gone.
    pub async fn news(&self) -> Result<News, ApiError> {
        let Reply::News(news) = self.ask(AgentRequest::News).await? else {
            return Err(unexpected());
        };
        Ok(news)
    }

    /// Hints of what changes from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.node.events()
    }

    /// Where the human's page is, without a way in. `None` when it is not served.
    #[must_use]
    pub fn page(&self) -> Option<String> {
        self.node.page()
    }

    /// The call for which a client asked its user about an item is over. Waits for nothing, so
    /// that it can be said on every way out of a call.
    pub fn prompt_ended(&self, pending: &str) {
        let ended = AgentRequest::PromptEnded { pending: pending.to_owned() };
        let (answer, _) = oneshot::channel();
        // Where the queue is full, the question's time ends it.
        let (request, session) = (Request::Agent(ended), self.session.clone());
        self.node.questions.try_send(Question { request, session, answer }).ok();
    }

    /// A page of the inbox; when it is empty, waits for a message until `wait` is over. Waits on
    /// events, and reads the store again after each. A page that is empty because as much was looked
    /// through as may be at once is not waited on: its cursor goes on.
    ///
    /// # Errors
    /// What the node answers, or that it is gone.
    pub async fn inbox(&self, request: InboxRequest, wait: Duration) -> Result<Inbox, ApiError> {
        let until = Instant::now() + wait.min(limits::WAIT_MAX);
        let mut events = self.events();
        loop {
            let reply = self.ask(AgentRequest::Inbox(request.clone())).await?;
            let Reply::Inbox(inbox) = reply else { return Err(unexpected()) };
            let is_some = !inbox.messages.is_empty() || inbox.next_cursor.is_some();
            if is_some || !changed_before(&mut events, until).await {
                return Ok(inbox);
            }
        }
    }

    /// Sends a request and waits for its reply until `wait` is over.
    ///
    /// # Errors
    /// What the node answers, or that it is gone.
    pub async fn send(&self, request: SendRequest, wait: Duration) -> Result<Sent, ApiError> {
        // Whoever of the peer's sessions answers.
        let to = request.to.split('/').next().unwrap_or_default().to_owned();
        let Reply::Send(mut sent) = self.ask(AgentRequest::Send(request)).await? else {
            return Err(unexpected());
        };
        if !wait.is_zero() {
            let reply_to = Some(sent.id.clone());
            let from = Some(to);
            let answers =
                InboxRequest { from, reply_to, mark_read: true, ..InboxRequest::default() };
            sent.reply = self.inbox(answers, wait).await?.messages.into_iter().next();
        }
        Ok(sent)
    }
}

/// Waits for any event. `false` when the time is over first.
async fn changed_before(events: &mut broadcast::Receiver<Event>, until: Instant) -> bool {
    loop {
        match tokio::time::timeout_at(until, events.recv()).await {
            Err(_) | Ok(Err(broadcast::error::RecvError::Closed)) => return false,
            // What was for a session that closed is for every one.
            Ok(
                Ok(Event::Arrived { .. } | Event::SessionsChanged { closed: true })
                | Err(broadcast::error::RecvError::Lagged(_)),
            ) => {
                return true;
            }
            Ok(Ok(
                Event::MessageChanged { .. }
                | Event::PeersChanged
                | Event::PendingChanged
                | Event::Alert { .. }
                | Event::PageOpened
                | Event::SessionsChanged { closed: false },
            )) => {}
        }
    }
}

fn unexpected() -> ApiError {
    ApiError::new(ErrorKind::Failed, "the node gave another kind of answer", "report this")
}
