//! Bodies: what comes is bounded, and what goes begins soon.

use axum::{
    body::{Body, BodyDataStream, Bytes, to_bytes},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse as _, Response},
};
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, Stream},
};
use tokio::time::{Interval, interval, timeout};

use crate::base::limits::{HTTP_BODY_TIMEOUT, HTTP_FIRST_BYTE, HTTP_KEEP_ALIVE, RESULT_BYTES_MAX};

/// What an event stream is called.
pub(super) const EVENTS: &str = "text/event-stream";
/// A comment: it says that the answer is still to come (HTML, "server-sent events").
pub(super) const TOUCH: &[u8] = b":\n\n";
/// How often a body may be longer than its limit and still be read to its end, so that its sender
/// reads the answer.
const OVERLONG: usize = 16;
/// The longest answer that is put into an event: a result, escaped, with what is around it.
const ANSWER_BYTES_MAX: usize = 16 * RESULT_BYTES_MAX;

/// How an answer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// At once, because its transport does so.
    ByItself,
    /// When a time is over, if nothing came before.
    Early,
}

/// A few words.
pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    let mut response = (status, text.into()).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        close_after(&mut response);
    }
    response
}

/// Whoever is refused holds no place with an idle connection.
fn close_after(response: &mut Response) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

/// For a request whose token was good when it began, and is no more.
pub(super) fn token_ended() -> Response {
    let mut response = plain(StatusCode::UNAUTHORIZED, "the token has been ended\n");
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    close_after(&mut response);
    response
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Response> {
    let late = |_| plain(StatusCode::REQUEST_TIMEOUT, "the body took too long\n");
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    timeout(HTTP_BODY_TIMEOUT, collect(body, length, limit)).await.map_err(late)?
}

async fn collect(body: Body, length: Option<usize>, limit: usize) -> Result<Bytes, Response> {
    let mut whole = Vec::with_capacity(length.unwrap_or_default().min(limit));
    let (mut parts, mut count) = (body.into_data_stream(), 0);
    while count <= limit.saturating_mul(OVERLONG) {
        match parts.next().await {
            None if count <= limit => return Ok(whole.into()),
            None => break,
            Some(Err(_)) => return Err(plain(StatusCode::BAD_REQUEST, "the body ended early\n")),
            Some(Ok(part)) => {
                count += part.len();
                if count <= limit {
                    whole.extend_from_slice(&part);
                }
            }
        }
    }
    let message = format!("the body is over {limit} bytes\n");
    Err(plain(StatusCode::PAYLOAD_TOO_LARGE, message))
}

/// `response`, with `guard` held until its body has ended or nobody reads it any more.
pub(super) fn held<G: Send + 'static>(response: Response, guard: G) -> Response {
    response.map(|body| {
        let parts = body.into_data_stream().map(move |part| {
            let _held = &guard;
            part
        });
        Body::from_stream(parts)
    })
}

/// The answer that `work` gives. rmcp sends no header before a handler's first message, and several
/// clients give up when nothing came for a while: where it takes long, an event stream begins, and
/// the answer comes in it.
pub(super) async fn early(
    begun: Begun,
    work: impl Future<Output = Response> + Send + 'static,
) -> Response {
    let mut work = work.boxed();
    if begun == Begun::ByItself {
        return work.await;
    }
    if let Ok(response) = timeout(HTTP_FIRST_BYTE, &mut work).await {
        return response;
    }
    let body = Body::from_stream(events(work));
    ([(CONTENT_TYPE, EVENTS)], body).into_response()
}

enum Late {
    Waiting(BoxFuture<'static, Response>, Interval),
    Passing(BodyDataStream),
    Ended,
}

fn events(work: BoxFuture<'static, Response>) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    stream::unfold(Late::Waiting(work, interval(HTTP_KEEP_ALIVE)), next)
}

async fn next(late: Late) -> Option<(Result<Bytes, axum::Error>, Late)> {
    match late {
        Late::Waiting(mut work, mut ticks) => {
            let response = tokio::select! {
                biased;
                response = &mut work => response,
                _ = ticks.tick() => {
                    return Some((Ok(Bytes::from_static(TOUCH)), Late::Waiting(work, ticks)));
                }
            };
            answered(response).await
        }
        Late::Passing(mut body) => {
            let part = body.next().await?;
            Some((part, Late::Passing(body)))
        }
        Late::Ended => None,
    }
}

/// What comes of an answer once there is one.
async fn answered(response: Response) -> Option<(Result<Bytes, axum::Error>, Late)> {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    if kind.starts_with(EVENTS) {
        let mut body = response.into_body().into_data_stream();
        let part = body.next().await?;
        return Some((part, Late::Passing(body)));
    }
    if !kind.starts_with("application/json") {
        return None;
    }
    // One line: JSON-RPC messages are written without spaces.
    let json = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.ok()?;
    let event = [b"data: ".as_slice(), &json, b"\n\n"].concat();
    Some((Ok(event.into()), Late::Ended))
}
