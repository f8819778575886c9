//! The way in for MCP clients over HTTP: who calls is looked at here, and whom a token lets in is
//! handed to [`mcp::http`], which knows no token.

use std::{path::Path, sync::Arc};

use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{
        HeaderValue,
        header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::any,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    http::{Callers, TlsListener, TurnedAway},
    mcp::http::Clients,
    node::{
        NodeHandle,
        config::{Home, ListenConfig, McpConfig},
        tokens::Pass,
    },
};

/// One way in.
#[derive(Clone)]
struct Entrance {
    node: NodeHandle,
    clients: Clients,
    callers: Arc<Callers>,
}

/// The ways in for MCP clients, and what they share.
pub(super) struct Ways {
    node: NodeHandle,
    clients: Clients,
    config: McpConfig,
}

impl Ways {
    /// As `config` says.
    pub(super) fn new(
        node: &NodeHandle,
        config: McpConfig,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Self {
        let sessions = node.clone();
        let clients = Clients::new(move |wish| sessions.open_session(wish), tasks, cancel);
        Self { node: node.clone(), clients, config }
    }

    /// For programs of this machine, beside the page.
    pub(super) fn local(&self, port: u16) -> Router {
        self.router(Callers::local(port, &self.config.hosts, &self.config.origins))
    }

    /// For other machines, where the configuration says so. Says loudly that they can come, or why
    /// they cannot.
    pub(super) async fn beyond(
        &self,
        home: &Home,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) {
        let Some(ListenConfig { address, certificate, key }) = &self.config.listen else { return };
        let inside = |file: &Path| home.path().join(file);
        match TlsListener::bind(*address, &inside(certificate), &inside(key)).await {
            Ok(listener) => {
                let address = listener.address();
                let callers = Callers::remote(address, &self.config.hosts, &self.config.origins);
                listener.serve(self.router(callers), tasks, cancel);
                self.tell(format!(
                    "clients of other machines can come: https://{address}/mcp is served to whoever \
                     has a token (countersign token list), because [mcp.listen] of config.toml says \
                     so"
                ));
            }
            Err(error) => self.tell(format!(
                "clients of other machines cannot come, although [mcp.listen] of config.toml says \
                 so: {error}; correct it, and start the node again"
            )),
        }
    }

    fn tell(&self, text: String) {
        tracing::warn!("{text}");
        self.node.notice(text);
    }

    fn router(&self, callers: Callers) -> Router {
        let (node, clients) = (self.node.clone(), self.clients.clone());
        let entrance = Entrance { node, clients, callers: Arc::new(callers) };
        let mut router = Router::new().route("/mcp", any(mcp));
        if self.config.sse {
            router = router.route("/sse", any(events)).route("/messages", any(message));
        }
        let guarded = middleware::from_fn_with_state(entrance.clone(), guard);
        router.route_layer(guarded).with_state(entrance)
    }
}

impl Entrance {
    fn pass(&self, request: &Request) -> Result<Pass, TurnedAway> {
        let token = self.callers.token(request.uri(), request.headers())?;
        self.node.admit(token).ok_or_else(|| self.callers.wrong())
    }
}

/// Lets in whom a token lets in, before any handler runs.
async fn guard(State(entrance): State<Entrance>, mut request: Request, next: Next) -> Response {
    let mut response = match entrance.pass(&request) {
        Ok(pass) => {
            // Who asks is known; no handler sees by what.
            request.headers_mut().remove(AUTHORIZATION);
            request.headers_mut().remove(COOKIE);
            request.extensions_mut().insert(pass);
            next.run(request).await
        }
        Err(turned) => {
            entrance.node.turned_away();
            tracing::info!(?turned, "a call over HTTP was turned away");
            turned.into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

type Let = (State<Entrance>, Extension<Pass>);

async fn mcp((State(entrance), Extension(pass)): Let, request: Request) -> Response {
    entrance.clients.answer(&pass, request).await
}

async fn events((State(entrance), Extension(pass)): Let, request: Request) -> Response {
    entrance.clients.events(&pass, &request)
}

async fn message((State(entrance), Extension(pass)): Let, request: Request) -> Response {
    entrance.clients.message(&pass, request).await
}
