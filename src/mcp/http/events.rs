//! The older pair of version 2024-11-05: `GET /sse` gives a stream of events, the first of which
//! says where to post messages. A session is there for as long as its stream is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{
        HeaderValue, Method, StatusCode,
        header::{ALLOW, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
};
use futures_util::stream::{self, Stream};
use serde::de::IgnoredAny;
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines, ReadHalf,
        WriteHalf, duplex, split,
    },
    time::{Interval, interval, timeout},
};

use super::{
    NO_SESSION,
    answer::{EVENTS, TOUCH, held, plain, read, token_ended},
    rooms::{Clients, Key, Lease},
};
use crate::{
    base::limits::{HTTP_BODY_TIMEOUT, HTTP_KEEP_ALIVE, LINE_BYTES_MAX},
    mcp::server::serve_tools,
    node::tokens::Pass,
};

/// What is between a request and its handler.
const PIPE_BYTES: usize = 64 * 1024;

type Input = Arc<tokio::sync::Mutex<WriteHalf<DuplexStream>>>;

/// Where what is posted goes, by the session's id.
#[derive(Default)]
pub(super) struct Inputs(Mutex<HashMap<Arc<str>, Input>>);

impl Inputs {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Arc<str>, Input>) -> T) -> T {
        // Each entry is whole whatever happened to the last holder.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A session's stream of events: where it goes away, the session ends.
struct Open {
    clients: Clients,
    id: Arc<str>,
    _lease: Lease,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.clients.inputs().with(|inputs| inputs.remove(&self.id));
        self.clients.end(&Key::Events(Arc::clone(&self.id)));
    }
}

fn not_this_way(allowed: &'static str) -> Response {
    let allow = [(ALLOW, HeaderValue::from_static(allowed))];
    (StatusCode::METHOD_NOT_ALLOWED, allow).into_response()
}

impl Clients {
    /// Answers a request at `/sse` of whom `pass` let in.
    #[must_use]
    pub fn events(&self, pass: &Pass, request: &Request) -> Response {
        if *request.method() != Method::GET {
            return not_this_way("GET");
        }
        let choice = match self.chosen(pass, request.headers()) {
            Ok(choice) => choice,
            Err(error) => return plain(StatusCode::BAD_REQUEST, error),
        };
        let Some(call) = self.call(pass.id) else { return super::too_many_calls() };
        let (id, lease) = match self.begin_events(pass, choice) {
            Ok(begun) => begun,
            Err(refused) => return *refused,
        };
        let (ours, theirs) = duplex(PIPE_BYTES);
        let ((output, input), (reader, writer)) = (split(ours), split(theirs));
        let input = Arc::new(tokio::sync::Mutex::new(input));
        self.inputs().with(|inputs| inputs.insert(Arc::clone(&id), input));
        let server = lease.server().clone();
        self.tasks().spawn(async move {
            if let Err(error) = serve_tools(reader, writer, server).await {
                tracing::info!(%error, "a session over SSE failed");
            }
        });
        let open = Open { clients: self.clone(), id: Arc::clone(&id), _lease: lease };
        let body = Body::from_stream(events(&id, output));
        held(held(([(CONTENT_TYPE, EVENTS)], body).into_response(), open), call)
    }

    /// Answers a request at `/messages` of whom `pass` let in.
    pub async fn message(&self, pass: &Pass, request: Request) -> Response {
        if *request.method() != Method::POST {
            return not_this_way("POST");
        }
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        let id = query.split('&').find_map(|pair| pair.strip_prefix("sessionId="));
        let key = Key::Events(id.unwrap_or_default().into());
        let Some(lease) = self.lease(&key, pass.id) else {
            return plain(StatusCode::NOT_FOUND, NO_SESSION);
        };
        let Some(_call) = self.call(pass.id) else { return super::too_many_calls() };
        let body = match read(body, &parts.headers, LINE_BYTES_MAX).await {
            Ok(body) => body,
            Err(refused) => return refused,
        };
        // Reading may have taken a while.
        if pass.ended.is_cancelled() {
            return token_ended();
        }
        let Some(line) = line(&body) else {
            return plain(StatusCode::BAD_REQUEST, "the body is no JSON\n");
        };
        let input = id.and_then(|id| self.inputs().with(|inputs| inputs.get(id).cloned()));
        let written = async { input?.lock().await.write_all(&line).await.ok() };
        let answer = match timeout(HTTP_BODY_TIMEOUT, written).await {
            Ok(Some(())) => plain(StatusCode::ACCEPTED, "Accepted"),
            Ok(None) => plain(StatusCode::NOT_FOUND, NO_SESSION),
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "the session reads nothing now\n"),
        };
        drop(lease);
        answer
    }
}

/// One message in one line. Between the parts of JSON a line's end is a space, and within them
/// there is none.
fn line(body: &[u8]) -> Option<Vec<u8>> {
    serde_json::from_slice::<IgnoredAny>(body).ok()?;
    let space = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
    Some(body.iter().map(space).chain([b'\n']).collect())
}

struct Output {
    first: Option<String>,
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    ticks: Interval,
}

fn events(
    id: &str,
    output: ReadHalf<DuplexStream>,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + use<> {
    let first = Some(format!("event: endpoint\ndata: /messages?sessionId={id}\n\n"));
    let lines = BufReader::new(output).lines();
    let output = Output { first, lines, ticks: interval(HTTP_KEEP_ALIVE) };
    stream::unfold(output, async |mut output| {
        if let Some(first) = output.first.take() {
            return Some((Ok(first.into()), output));
        }
        let event = tokio::select! {
            biased;
            line = output.lines.next_line() => match line {
                Ok(Some(line)) => format!("event: message\ndata: {line}\n\n").into(),
                Ok(None) => return None,
                Err(error) => return Some((Err(error), output)),
            },
            _ = output.ticks.tick() => Bytes::from_static(TOUCH),
        };
        Some((Ok(event), output))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_many_lines_becomes_one() {
        let text = b"{\r\n  \"a\": [1,\n2, \"b\\n\"]\n}";
        let line = line(text).unwrap();
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        let same = serde_json::from_slice::<serde_json::Value>(&line).unwrap();
        assert_eq!(same, serde_json::from_slice::<serde_json::Value>(text).unwrap());
        assert!(super::line(b"{").is_none() && super::line(b"{}{}").is_none());
    }
}
