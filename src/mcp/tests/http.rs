//! Sessions over HTTP: whose they are, how many there are, and when they end.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::StatusCode,
    response::Response,
};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, advance};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::support::{Fake, message, server};
use crate::{
    base::{
        SessionName, TokenId,
        limits::{
            HTTP_CALLS_TOKEN_MAX, HTTP_FIRST_BYTE, HTTP_KEEP_ALIVE, HTTP_NAME_IDLE,
            HTTP_SESSION_IDLE, HTTP_SESSIONS_MAX, HTTP_SESSIONS_TOKEN_MAX, HTTP_SWEEP_EVERY,
        },
    },
    mcp::{http::Clients, tools},
    node::{api::AgentRequest, sessions::Transport, tokens::Pass},
};

struct Served {
    fake: Fake,
    clients: Clients,
    _cancel: tokio_util::sync::DropGuard,
}

fn served() -> Served {
    let (fake, cancel) = (Fake::new(), CancellationToken::new());
    let node = fake.node.clone();
    let clients = Clients::new(move |wish| node.open_session(wish), &TaskTracker::new(), &cancel);
    Served { fake, clients, _cancel: cancel.drop_guard() }
}

fn pass(number: u8) -> Pass {
    let name = SessionName::parse(&format!("token-{number}")).unwrap();
    Pass { id: TokenId::from_bytes([number; 5]), name, ended: CancellationToken::new() }
}

fn post(message: &Value, headers: &[(&str, &str)]) -> Request {
    let request = Request::post("/mcp")
        .header("host", "localhost:7311")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Body::from(message.to_string())).unwrap()
}

fn modern(tool: &str, arguments: &Value, session: Option<&str>) -> Request {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    });
    let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let mut headers = vec![
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
    ];
    headers.extend(session.map(|name| ("countersign-session", name)));
    post(&call, &headers)
}

async fn body(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

impl Served {
    /// Begins a session, reads the answer to its end, and gives the id.
    async fn begin(&self, pass: &Pass) -> Result<String, StatusCode> {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        });
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let response = self.clients.answer(pass, post(&hello, &[])).await;
        if response.status() != StatusCode::OK {
            return Err(response.status());
        }
        let id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        assert!(body(response).await.contains("\"serverInfo\""));
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let answer = post(&initialized, &[("mcp-session-id", &id)]);
        assert_eq!(self.clients.answer(pass, answer).await.status(), StatusCode::ACCEPTED);
        Ok(id)
    }

    async fn lives(&self, pass: &Pass, id: &str) -> bool {
        let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
        let response = self.clients.answer(pass, post(&ping, &[("mcp-session-id", id)])).await;
        let lives = response.status() == StatusCode::OK;
        let gone = [StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED].contains(&response.status());
        assert!(lives || gone);
        body(response).await;
        lives
    }

    /// A stream of what a session is told.
    async fn listen(&self, pass: &Pass, id: &str) -> Response {
        let request = Request::get("/mcp")
            .header("host", "localhost:7311")
            .header("accept", "text/event-stream")
            .header("mcp-session-id", id)
            .body(Body::empty())
            .unwrap();
        self.clients.answer(pass, request).await
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.fake.node.sessions().iter().map(|session| session.name.to_string()).collect();
        names.sort();
        names
    }

    async fn until_there_are(&self, count: usize) {
        while self.fake.node.sessions().len() != count {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_session_that_was_silent_for_longest_ends_for_a_new_one() {
    let (served, one, two) = (served(), pass(1), pass(2));
    let other = served.begin(&two).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..HTTP_SESSIONS_TOKEN_MAX {
        ids.push(served.begin(&one).await.unwrap());
        advance(Duration::from_millis(1)).await;
    }
    assert!(served.lives(&one, &ids[0]).await);
    ids.push(served.begin(&one).await.unwrap());
    assert!(!served.lives(&one, &ids[1]).await, "the one that was silent for longest");
    assert!(served.lives(&one, &ids[0]).await && served.lives(&one, &ids[32]).await);
    assert!(served.lives(&two, &other).await, "another token's is not touched");
    served.until_there_are(HTTP_SESSIONS_TOKEN_MAX + 1).await;
}

#[tokio::test(start_paused = true)]
async fn there_are_so_many_sessions_in_all_and_those_in_use_stay() {
    let served = served();
    let all = HTTP_SESSIONS_MAX / HTTP_SESSIONS_TOKEN_MAX;
    let mut first = None;
    for number in 1..=u8::try_from(all).unwrap() {
        for _ in 0..HTTP_SESSIONS_TOKEN_MAX {
            let id = served.begin(&pass(number)).await.unwrap();
            first = first.or(Some(id));
            advance(Duration::from_millis(1)).await;
        }
    }
    let first = first.unwrap();
    let stream = served.listen(&pass(1), &first).await;
    served.begin(&pass(99)).await.unwrap();
    served.until_there_are(HTTP_SESSIONS_MAX).await;
    assert!(served.lives(&pass(1), &first).await, "it has a stream");
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn where_all_sessions_are_in_use_a_new_one_has_to_wait() {
    let (served, pass) = (served(), pass(1));
    let mut streams = Vec::new();
    for _ in 0..HTTP_SESSIONS_TOKEN_MAX {
        let id = served.begin(&pass).await.unwrap();
        streams.push(served.listen(&pass, &id).await);
    }
    assert_eq!(served.begin(&pass).await, Err(StatusCode::SERVICE_UNAVAILABLE));
    streams.pop();
    served.begin(&pass).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_token_takes_a_share_of_the_requests() {
    let (served, one) = (served(), pass(1));
    let id = served.begin(&one).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..HTTP_CALLS_TOKEN_MAX {
        streams.push(served.listen(&one, &id).await);
    }
    assert!(streams.iter().all(|stream| stream.status() == StatusCode::OK));
    let refused = served.listen(&one, &id).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["connection"], "close", "it holds no place");
    served.begin(&pass(2)).await.unwrap();
    streams.pop();
    assert!(served.lives(&one, &id).await);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_it_is_silent_for_half_an_hour_and_not_while_it_listens() {
    let (served, pass) = (served(), pass(1));
    let (silent, listens) =
        (served.begin(&pass).await.unwrap(), served.begin(&pass).await.unwrap());
    let stream = served.listen(&pass, &listens).await;
    advance(HTTP_SESSION_IDLE / 2).await;
    assert_eq!(served.names().len(), 2);
    advance(HTTP_SESSION_IDLE / 2 + HTTP_SWEEP_EVERY).await;
    served.until_there_are(1).await;
    assert!(!served.lives(&pass, &silent).await && served.lives(&pass, &listens).await);
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_session_are_one_session_by_their_token_and_name() {
    let served = served();
    let call = async |pass: &Pass, name: Option<&str>| {
        let response = served.clients.answer(pass, modern("peer_whoami", &json!({}), name)).await;
        assert_eq!(response.status(), StatusCode::OK, "{}", body(response).await);
    };
    call(&pass(1), None).await;
    call(&pass(1), None).await;
    assert_eq!(served.names(), ["token-1"]);
    call(&pass(1), Some("work")).await;
    call(&pass(2), Some("work")).await;
    assert_eq!(served.names(), ["token-1", "work", "work-2"], "of two tokens, so two sessions");
    let all = served.fake.node.sessions();
    assert!(all.iter().all(|session| session.wish.transport == Transport::Http));
    assert_eq!(all[0].wish.token.as_deref(), Some("token-1"));
    assert_eq!(all[0].client.as_deref(), Some("t 1"));
    advance(HTTP_NAME_IDLE + HTTP_SWEEP_EVERY).await;
    served.until_there_are(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_ended_takes_its_sessions_with_it_at_once() {
    let (served, one, two) = (served(), pass(1), pass(2));
    let id = served.begin(&one).await.unwrap();
    let kept = served.begin(&two).await.unwrap();
    let waits = modern("peer_inbox", &json!({"wait_seconds": 600}), None);
    let (clients, waiting) = (served.clients.clone(), one.clone());
    let call = tokio::spawn(async move { body(clients.answer(&waiting, waits).await).await });
    let stream = tokio::spawn(body(served.listen(&one, &id).await));
    served.until_there_are(3).await;
    one.ended.cancel();
    stream.await.unwrap();
    call.await.unwrap();
    served.until_there_are(1).await;
    assert!(!served.lives(&one, &id).await && served.lives(&two, &kept).await);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_long_begins_early_and_is_touched() {
    let (served, pass) = (served(), pass(1));
    let begun = Instant::now();
    let waits = modern("peer_inbox", &json!({"wait_seconds": 40}), None);
    let response = served.clients.answer(&pass, waits).await;
    assert_eq!(begun.elapsed(), HTTP_FIRST_BYTE);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = body(response).await;
    assert_eq!(begun.elapsed().as_secs(), 40);
    let touched = text.matches(":\n\n").count();
    let expected = 1 + (40 - HTTP_FIRST_BYTE.as_secs()) / HTTP_KEEP_ALIVE.as_secs();
    assert_eq!(u64::try_from(touched).unwrap(), expected, "{text}");
    let answer = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(answer["result"]["structuredContent"]["unread"], 0, "{answer}");
    // What is there at once is an answer of its own.
    let response = served.clients.answer(&pass, modern("peer_whoami", &json!({}), None)).await;
    assert_eq!(response.headers()["content-type"], "application/json");
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_when_its_client_has_gone() {
    let (served, pass) = (served(), pass(1));
    let waits = modern("peer_inbox", &json!({"wait_seconds": 600}), None);
    let response = served.clients.answer(&pass, waits).await;
    assert_eq!(response.status(), StatusCode::OK);
    drop(response);
    // A call that still waited would take the message and mark it as read.
    served.fake.arrive(message("msg_1", "bob", "too late"));
    body(served.clients.answer(&pass, modern("peer_whoami", &json!({}), None)).await).await;
    assert!(served.fake.world.lock().unwrap().read.is_empty());
    // In use no more, so it ends when it was silent for long enough.
    advance(HTTP_NAME_IDLE + 2 * HTTP_SWEEP_EVERY).await;
    served.until_there_are(0).await;
}

/// A call in a session up to version 2025-11-25.
fn legacy(tool: &str, arguments: &Value, session: &str) -> Request {
    let params = json!({"name": tool, "arguments": arguments});
    let call = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params});
    post(&call, &[("mcp-session-id", session)])
}

#[tokio::test(start_paused = true)]
async fn handlers_that_nobody_waits_for_any_more_take_their_places_until_they_end() {
    let (served, one, two) = (served(), pass(1), pass(2));
    let ids = [served.begin(&one).await.unwrap(), served.begin(&one).await.unwrap()];
    let waiting = || {
        let inbox = |request: &AgentRequest| matches!(request, AgentRequest::Inbox { .. });
        served.fake.asked().iter().filter(|request| inbox(request)).count()
    };
    for (count, id) in ids.iter().cycle().take(HTTP_CALLS_TOKEN_MAX).enumerate() {
        let waits = legacy("peer_inbox", &json!({"wait_seconds": 600}), id);
        let (clients, pass) = (served.clients.clone(), one.clone());
        let call = tokio::spawn(async move { body(clients.answer(&pass, waits).await).await });
        while waiting() <= count {
            tokio::task::yield_now().await;
        }
        // Its client goes away; the handler stays.
        call.abort();
        call.await.unwrap_err();
    }
    let whoami = |id: &str| legacy("peer_whoami", &json!({}), id);
    for id in &ids {
        let refused = body(served.clients.answer(&one, whoami(id)).await).await;
        assert!(
            refused.contains("\"isError\":true") && refused.contains("is the limit"),
            "{refused}"
        );
    }
    let read = json!({
        "jsonrpc": "2.0", "id": 4, "method": "resources/read",
        "params": {"uri": "countersign://inbox"},
    });
    let read = post(&read, &[("mcp-session-id", &ids[0])]);
    let refused = body(served.clients.answer(&one, read).await).await;
    assert!(refused.contains("-32000") && refused.contains("is the limit"), "{refused}");
    let other = served.begin(&two).await.unwrap();
    let answer = body(served.clients.answer(&two, whoami(&other)).await).await;
    assert!(answer.contains("\"isError\":false"), "another token is not touched: {answer}");
    advance(Duration::from_secs(601)).await;
    let answer = body(served.clients.answer(&one, whoami(&ids[0])).await).await;
    assert!(answer.contains("\"isError\":false"), "the handlers have ended: {answer}");
}

/// `request`, whose token is ended while its body comes.
fn ended_meanwhile(pass: &Pass, request: Request) -> Request {
    let ended = pass.ended.clone();
    request.map(|body| {
        let end = futures_util::stream::once(async move {
            ended.cancel();
            Ok::<_, axum::Error>(axum::body::Bytes::new())
        });
        Body::from_stream(end.chain(body.into_data_stream()))
    })
}

#[tokio::test]
async fn a_token_that_is_ended_while_a_body_comes_does_nothing_more() {
    let served = served();
    let request = modern("peer_send", &json!({"to": "bob", "text": "hi"}), None);
    let one = pass(1);
    let answer = served.clients.answer(&one, ended_meanwhile(&one, request)).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()["connection"], "close");
    assert_eq!(served.fake.spoken(), 0);
    let events = Request::get("/sse").body(Body::empty()).unwrap();
    assert_eq!(served.clients.events(&one, &events).status(), StatusCode::UNAUTHORIZED);
    assert!(served.names().is_empty(), "no session begins with it");
    // The older pair.
    let two = pass(2);
    let stream = served.clients.events(&two, &events);
    let mut stream = stream.into_body().into_data_stream();
    let first = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    let to = first.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    let posted = Request::post(to).body(Body::from(ping.to_string())).unwrap();
    let answer = served.clients.message(&two, ended_meanwhile(&two, posted)).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_that_has_ended_begins_no_call() {
    let server = server(&Fake::new(), tools::router());
    drop(server.begin().unwrap());
    server.ending.cancel();
    assert!(server.begin().unwrap_err().message.contains("has ended"));
}
