//! MCP over HTTP, for callers whose token was found good elsewhere.
//!
//! The same handler as over stdio serves them. A client of the versions up to 2025-11-25 has a
//! session, with an id that no other token's holder can use. A client since 2026-07-28 has none: its
//! requests belong together by its token and the name that it gives in `Countersign-Session`, and
//! are one session here for as long as some come.

mod answer;
mod events;
mod manager;
mod rooms;

use std::sync::Arc;

use answer::{Begun, early, held, plain, token_ended};
use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, Method, StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
};
use manager::OfToken;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rooms::{Key, Lease};
use serde::{Deserialize, de::IgnoredAny};

pub use rooms::Clients;

use super::server::handler;
use crate::{
    base::{SessionName, limits::LINE_BYTES_MAX},
    node::tokens::Pass,
};

/// The header by which a client says what its session is called.
const SESSION: &str = "countersign-session";
/// The header that holds the id of a session up to version 2025-11-25.
const SESSION_ID: &str = "mcp-session-id";

/// What a client gets for an id that is not of a session of its own. It then begins anew.
const NO_SESSION: &str = "there is no such session; begin one with initialize\n";

/// What is looked at before rmcp reads a message.
#[derive(Deserialize)]
struct Peek<'m> {
    #[serde(borrow)]
    method: Option<std::borrow::Cow<'m, str>>,
    params: Option<Params>,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "_meta")]
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<IgnoredAny>,
}

/// What a request belongs to.
enum Part {
    /// A session that it begins.
    Beginning,
    /// A session that has this id.
    Session(Arc<str>),
    /// What its token and name make one session.
    Name,
    /// Nothing: rmcp says why.
    Nothing,
}

fn part(method: &Method, headers: &HeaderMap, body: &[u8]) -> Part {
    let peek = serde_json::from_slice::<Peek<'_>>(body).ok();
    let version = peek.as_ref().and_then(|peek| peek.params.as_ref()?.meta.as_ref()?.version);
    if *method == Method::POST && version.is_some() {
        return Part::Name;
    }
    if let Some(id) = headers.get(SESSION_ID).and_then(|id| id.to_str().ok()) {
        return Part::Session(id.into());
    }
    match peek.and_then(|peek| peek.method).as_deref() {
        Some("initialize") if *method == Method::POST => Part::Beginning,
        _ => Part::Nothing,
    }
}

/// What its client wants the session to be called.
fn choice(headers: &HeaderMap) -> Result<Option<SessionName>, String> {
    let Some(value) = headers.get(SESSION) else { return Ok(None) };
    let name = value.to_str().unwrap_or_default();
    SessionName::parse(name).map(Some).map_err(|error| format!("Countersign-Session: {error}\n"))
}

fn too_many_calls() -> Response {
    let message = "too many requests are under way; end some, or try again in a moment\n";
    plain(StatusCode::SERVICE_UNAVAILABLE, message)
}

impl Clients {
    /// The name that a request chooses, as far as its token may choose one more.
    fn chosen(&self, pass: &Pass, headers: &HeaderMap) -> Result<Option<SessionName>, String> {
        let choice = choice(headers)?;
        choice.as_ref().map_or(Ok(()), |name| self.choose(pass.id, name))?;
        Ok(choice)
    }

    /// Answers a request at `/mcp` of whom `pass` let in.
    pub async fn answer(&self, pass: &Pass, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let name = match self.chosen(pass, &parts.headers) {
            Ok(choice) => choice,
            Err(error) => return plain(StatusCode::BAD_REQUEST, error),
        };
        let Some(call) = self.call(pass.id) else { return too_many_calls() };
        let body = match answer::read(body, &parts.headers, LINE_BYTES_MAX).await {
            Ok(body) => body,
            Err(refused) => return refused,
        };
        // Reading may have taken a while.
        if pass.ended.is_cancelled() {
            return token_ended();
        }
        match self.enter(pass, name, &parts, &body) {
            Ok(entered) => held(self.serve(pass, entered, parts, body).await, call),
            Err(refused) => *refused,
        }
    }

    /// The session that a request belongs to, and how its answer may begin.
    fn enter(
        &self,
        pass: &Pass,
        choice: Option<SessionName>,
        parts: &Parts,
        body: &Bytes,
    ) -> Result<(Option<Lease>, Begun), Box<Response>> {
        match part(&parts.method, &parts.headers, body) {
            Part::Beginning => Ok((Some(self.begin(pass, choice)?), Begun::ByItself)),
            // Another token's session is as unknown as none.
            Part::Session(id) => match self.lease(&Key::Session(id), pass.id) {
                Some(lease) => Ok((Some(lease), Begun::ByItself)),
                None => Err(Box::new(plain(StatusCode::NOT_FOUND, NO_SESSION))),
            },
            Part::Name => Ok((Some(self.by_name(pass, choice)?), Begun::Early)),
            Part::Nothing => Ok((None, Begun::ByItself)),
        }
    }

    async fn serve(
        &self,
        pass: &Pass,
        (lease, begun): (Option<Lease>, Begun),
        parts: Parts,
        body: Bytes,
    ) -> Response {
        let ending = lease.as_ref().map_or(&pass.ended, |lease| &lease.server().ending).clone();
        let config = StreamableHttpServerConfig::default()
            // `http` looked at it before.
            .disable_allowed_hosts()
            .with_json_response(true)
            .with_max_request_body_bytes(LINE_BYTES_MAX)
            .with_cancellation_token(ending);
        let server = lease.as_ref().map(|lease| lease.server().clone());
        let factory =
            move || server.clone().map(handler).ok_or_else(|| std::io::Error::other("no session"));
        let manager = OfToken::new(self.clone(), pass.id, lease.as_ref().and_then(Lease::begins));
        let service = StreamableHttpService::new(factory, Arc::new(manager), config);
        let ends = parts.method == Method::DELETE;
        let request = Request::from_parts(parts, Body::from(body));
        let work = async move { service.handle(request).await.map(Body::new) };
        let answer = early(begun, work).await;
        if ends && answer.status() == StatusCode::ACCEPTED {
            // The session has ended: some clients complain where that is only promised.
            return held(StatusCode::NO_CONTENT.into_response(), lease);
        }
        held(answer, lease)
    }
}
