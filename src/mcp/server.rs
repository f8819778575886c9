//! One session: what it is told at its start, and where each of its requests goes.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use data_encoding::HEXLOWER;
use futures_util::FutureExt as _;
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt as _,
    handler::server::{router::tool::ToolRouter, tool::ToolCallContext},
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult,
        ErrorCode, GetPromptRequestParams, GetPromptResponse, Implementation,
        InitializeRequestParams, InitializeResult, ListPromptsResult, ListResourceTemplatesResult,
        ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
        ReadResourceResponse, ServerCapabilities, ServerConfig, SubscribeRequestParams,
        SubscriptionFilter, Tool, UnsubscribeRequestParams,
    },
    service::{
        NotificationContext, Peer, RequestContext, ServerInitializeError, SubscriptionContext,
    },
    transport::async_rw::AsyncRwTransport,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::OwnedSemaphorePermit,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    channel::{self, Channel},
    fence, news, prompts,
    resources::{self, Resource},
    results::failure,
    routes, tools,
    underway::UnderWay,
    wait::Call,
};
use crate::{
    base::limits::{LINE_BYTES_MAX, QUESTIONS_MAX, SUBSCRIPTIONS_MAX},
    node::{
        AgentHandle,
        api::{ApiError, ErrorKind},
        clock,
        sessions::{OpenSession, Route},
    },
};

/// What a model is told of the tools together, in fewer than 2 KB.
pub(super) const INSTRUCTIONS: &str = include_str!("instructions.md");

/// The lists are the same for as long as the program is.
const LISTS_TTL_MS: u64 = 3_600_000;

/// JSON-RPC's code for what a server defines itself.
const SERVER_ERROR: i32 = -32_000;

/// Random bytes of a session's name, which is not guessed.
const SESSION_BYTES: usize = 16;

static TOOLS: OnceLock<Arc<ToolRouter<Server>>> = OnceLock::new();

/// A session that ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It never began: the client spoke no version of MCP.
    #[error("the session did not begin: {0}")]
    Handshake(Box<ServerInitializeError>),
    /// Its task died.
    #[error("the session died: {0}")]
    Died(#[from] tokio::task::JoinError),
}

/// Serves one session until its client leaves or `cancel`, in the name of `session`.
///
/// # Errors
/// When the client speaks no MCP.
pub async fn serve<R, W>(
    reader: R,
    writer: W,
    session: OpenSession,
    cancel: CancellationToken,
) -> Result<(), ServeError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    serve_tools(reader, writer, Server::with_all_tools(session, cancel.child_token())).await
}

/// As [`serve`], with other tools.
pub(super) async fn serve_tools<R, W>(
    reader: R,
    writer: W,
    server: Server,
) -> Result<(), ServeError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let transport =
        AsyncRwTransport::new_server(reader, writer).with_max_line_length(LINE_BYTES_MAX);
    let served = handler(server.clone());
    let running = match served.serve_with_ct(transport, server.ending.clone()).await {
        Ok(running) => running,
        // A client that only asked what there is, or a shutdown.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            return Ok(());
        }
        Err(error) => return Err(ServeError::Handshake(Box::new(error))),
    };
    let peer = running.peer().clone();
    tokio::select! {
        ended = running.waiting() => ended.map(drop).map_err(ServeError::from),
        never = resources::follow(&server, &peer) => match never {},
        never = channel::tell(&server, &peer) => match never {},
    }
}

/// What rmcp serves, whatever the transport.
#[cfg(not(feature = "fixtures"))]
pub(super) const fn handler(server: Server) -> Server {
    server
}

/// The same with what the conformance suite asks for, in a test build.
#[cfg(feature = "fixtures")]
pub(super) use super::fixtures::handler;

/// A session's handler. Cheap to clone.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) node: AgentHandle,
    /// What the node knows of this session.
    pub(super) open: Arc<OpenSession>,
    /// Tells this session from others; random.
    pub(super) session: String,
    pub(super) channel: Arc<Channel>,
    pub(super) routes: Arc<routes::Counts>,
    tools: Arc<ToolRouter<Self>>,
    /// Its requests that are under way.
    pub(super) under_way: UnderWay,
    /// The session ends.
    pub(super) ending: CancellationToken,
    followed: Arc<Mutex<BTreeSet<String>>>,
    /// What its user will decide elsewhere.
    later: Arc<Mutex<BTreeSet<String>>>,
    /// Where what a session is told of runs, when the session's own loop is not ours.
    pub(super) beside: Arc<Mutex<Option<TaskTracker>>>,
}

impl Server {
    pub(super) fn new(
        open: OpenSession,
        tools: Arc<ToolRouter<Self>>,
        ending: CancellationToken,
    ) -> Self {
        let (node, open) = (open.agent(), Arc::new(open));
        let session = HEXLOWER.encode(&clock::random::<SESSION_BYTES>());
        let (channel, routes) = (Arc::default(), Arc::default());
        let (followed, later, beside, under_way) = Default::default();
        Self {
            node,
            open,
            session,
            channel,
            routes,
            tools,
            under_way,
            ending,
            followed,
            later,
            beside,
        }
    }

    /// With the tools that there are.
    pub(super) fn with_all_tools(open: OpenSession, ending: CancellationToken) -> Self {
        let tools = TOOLS.get_or_init(|| Arc::new(tools::router()));
        Self::new(open, Arc::clone(tools), ending)
    }

    /// Tells a session over HTTP of what it follows, once, until it ends.
    fn follow_beside(&self, peer: Peer<RoleServer>) {
        let beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tasks) = beside {
            let server = self.clone();
            tasks.spawn(async move {
                let told = resources::follow(&server, &peer);
                server.ending.run_until_cancelled(told).await;
            });
        }
    }

    /// Lets one more request begin, which is under way until what is given is dropped.
    ///
    /// # Errors
    /// When the session has ended, or too many are under way.
    pub(super) fn begin(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        if self.ending.is_cancelled() {
            let next = "begin a new one, with a token that is good";
            return Err(ApiError::new(ErrorKind::Refused, "this session has ended", next));
        }
        self.under_way.begin()
    }

    /// As [`Self::begin`], for requests whose errors are JSON-RPC's.
    fn begin_or_error(&self) -> Result<OwnedSemaphorePermit, ErrorData> {
        self.begin()
            .map_err(|error| ErrorData::new(ErrorCode(SERVER_ERROR), error.to_string(), None))
    }

    pub(super) const fn call(
        &self,
        context: RequestContext<RoleServer>,
        binding: Vec<u8>,
    ) -> Call<'_> {
        Call::new(self, context, binding)
    }

    /// Notes what the client says that it is, with each request since version 2026-07-28.
    fn introduce(&self, context: &RequestContext<RoleServer>) {
        let client = context.client_info();
        let client = client.map(|c| fence::line(&format!("{} {}", c.name, c.version)));
        let protocol = context.protocol_version().map(|version| version.to_string());
        self.open.introduce(client, protocol);
    }

    /// The user of this session will decide about an item elsewhere.
    pub(super) fn put_off(&self, pending: &str) {
        with(&self.later, |later| {
            if later.len() >= QUESTIONS_MAX {
                later.clear();
            }
            later.insert(pending.to_owned());
        });
    }

    pub(super) fn is_put_off(&self, pending: &str) -> bool {
        with(&self.later, |later| later.contains(pending))
    }

    /// Who follows the inbox learns of messages.
    fn follows(&self) {
        let inbox = with(&self.followed, |uris| uris.contains(resources::INBOX));
        self.open.set_route(Route::Resources, inbox);
    }

    /// The resources that a legacy session follows.
    pub(super) fn followed(&self) -> BTreeSet<String> {
        with(&self.followed, |uris| uris.clone())
    }
}

fn with<T>(set: &Mutex<BTreeSet<String>>, work: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
    // A set of strings is whole whatever happened to its last holder.
    work(&mut set.lock().unwrap_or_else(PoisonError::into_inner))
}

/// rmcp answers nothing when a handler panics, so the client would wait for its own timeout. The
/// work stays in the task that rmcp gave it: its progress is routed by that task.
async fn caught<T>(what: &str, work: impl Future<Output = T>) -> Result<T, ApiError> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| {
        tracing::error!(what, "a handler panicked");
        let message = format!("{what} broke inside countersign; its effect is not known");
        let next = "do not repeat it; look with peer_status, and tell your human";
        ApiError::new(ErrorKind::Failed, message, next)
    })
}

/// For requests whose errors are JSON-RPC's.
async fn answered<T>(
    what: &str,
    work: impl Future<Output = Result<T, ErrorData>>,
) -> Result<T, ErrorData> {
    let broken = |error: ApiError| ErrorData::internal_error(error.to_string(), None);
    caught(what, work).await.map_err(broken).and_then(|done| done)
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_resources_list_changed()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        let this = Implementation::new("countersign", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(capabilities)
            .with_server_info(this.with_title("Countersign"))
            .with_instructions(INSTRUCTIONS.trim_end())
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut told = self.negotiate_initialize(&request)?;
        if self.open.channel() {
            self.channel.declare(&context.id.to_string(), &mut told.capabilities);
        }
        Ok(told)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.channel.ready();
        self.follow_beside(context.peer);
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let list = ListToolsResult::with_all_items(self.tools.list_all());
        Ok(list.with_ttl_ms(LISTS_TTL_MS).with_cache_scope(CacheScope::Private))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.get(name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.introduce(&context);
        let name = request.name.clone();
        if self.tools.get(&name).is_none() {
            let message = format!("Unknown tool: {}", fence::line(&name));
            return Err(ErrorData::invalid_params(message, None));
        }
        // Held by the handler: it may outlive the connection over which it was asked for.
        let _place = match self.begin() {
            Ok(place) => place,
            Err(error) => return Ok(failure(&error).into()),
        };
        let work = self.tools.call(ToolCallContext::new(self, request, context));
        let done = caught(&name, work).await.unwrap_or_else(|error| Ok(failure(&error).into()))?;
        Ok(news::with_news(self, &name, done).await)
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let list = ListPromptsResult::with_all_items(prompts::list());
        Ok(list.with_ttl_ms(LISTS_TTL_MS).with_cache_scope(CacheScope::Private))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(&request.name, request.arguments.as_ref()).map(Into::into)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let _place = self.begin_or_error()?;
        answered("completion", prompts::complete(&self.node, &request)).await
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let list = ListResourcesResult::with_all_items(resources::list());
        Ok(list.with_ttl_ms(LISTS_TTL_MS).with_cache_scope(CacheScope::Private))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let list = ListResourceTemplatesResult::with_all_items(resources::templates());
        Ok(list.with_ttl_ms(LISTS_TTL_MS).with_cache_scope(CacheScope::Private))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let _place = self.begin_or_error()?;
        answered("reading", resources::read(&self.node, &request.uri)).await.map(Into::into)
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Resource::parse(&request.uri).ok_or_else(|| resources::not_found(&request.uri))?;
        with(&self.followed, |uris| {
            if uris.len() >= SUBSCRIPTIONS_MAX && !uris.contains(&request.uri) {
                let message = format!("{SUBSCRIPTIONS_MAX} subscriptions are the limit");
                return Err(ErrorData::invalid_params(message, None));
            }
            uris.insert(request.uri);
            Ok(())
        })?;
        self.follows();
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        with(&self.followed, |uris| uris.remove(&request.uri));
        self.follows();
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        asked: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let mut accepted = asked.clone();
        if let Some(uris) = &mut accepted.resource_subscriptions {
            uris.retain(|uri| Resource::parse(uri).is_some());
            uris.truncate(SUBSCRIPTIONS_MAX);
        }
        Some(accepted)
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let _place = self.begin_or_error()?;
        let followed = subscription.accepted().resource_subscriptions.as_ref();
        let inbox = followed.is_some_and(|uris| uris.iter().any(|uri| uri == resources::INBOX));
        let _open = inbox.then(|| self.hold(Route::Listen));
        tokio::select! {
            () = subscription.cancelled() => Ok(()),
            () = self.ending.cancelled() => Ok(()),
            never = resources::listen(&self.node, &subscription) => match never {},
        }
    }
}
