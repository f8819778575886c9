//! The way in for MCP clients over HTTP: who calls is looked at here, and whom a token lets in is
//! handed to [`mcp::http`], which knows no token.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS},
    },
    response::{IntoResponse as _, Response},
    routing::any,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    http::{Callers, TurnedAway},
    mcp::http::Clients,
    node::{NodeHandle, config::McpConfig, tokens::Pass},
};

/// One way in.
#[derive(Clone)]
pub(super) struct Entrance {
    node: NodeHandle,
    clients: Clients,
    callers: Arc<Callers>,
}

/// The sessions of all clients over HTTP, of whichever listener.
pub(super) fn clients(
    node: &NodeHandle,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) -> Clients {
    let node = node.clone();
    Clients::new(move |wish| node.open_session(wish), tasks, cancel)
}

impl Entrance {
    /// For programs of this machine.
    pub(super) fn local(
        node: &NodeHandle,
        clients: &Clients,
        config: &McpConfig,
        port: u16,
    ) -> Self {
        let callers = Callers::local(port, &config.hosts, &config.origins);
        Self { node: node.clone(), clients: clients.clone(), callers: Arc::new(callers) }
    }

    /// What is served here.
    pub(super) fn router(self) -> Router {
        Router::new().route("/mcp", any(call)).with_state(self)
    }

    fn pass(&self, request: &Request) -> Result<Pass, TurnedAway> {
        let token = self.callers.token(request.uri(), request.headers())?;
        self.node.admit(token).ok_or_else(|| self.callers.wrong())
    }
}

async fn call(State(entrance): State<Entrance>, request: Request) -> Response {
    let mut response = match entrance.pass(&request) {
        Ok(pass) => entrance.clients.answer(&pass, request).await,
        Err(turned) => {
            tracing::info!(?turned, "a call over HTTP was turned away");
            turned.into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
