//! Asking a client's user about what a call led to: what waits, and where to decide.
//!
//! Three ways: a request to the client in the middle of the call (up to version 2025-11-25), a
//! question that the client carries (since 2026-07-28, see [`super::carried`]), or none, where the
//! client can show nothing. Whatever goes wrong with it leaves the item waiting.

use rmcp::{
    RoleServer,
    model::{
        ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult, InputRequiredResult,
        ProtocolVersion, ServerRequest,
    },
    service::{PeerRequestOptions, RequestContext, RequestHandle},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};

use super::{
    carried::About,
    question::{self, Mode, Verdict},
    wait::Call,
};
use crate::{
    base::limits::{QUESTION_WAIT, QUESTION_WAIT_PROGRESS},
    node::{
        AgentHandle,
        api::{AgentRequest, ErrorKind, Event, Question, Reply},
    },
};

/// What came of asking.
pub(super) enum Asked {
    /// Nobody was asked.
    Nobody,
    /// The user was, or somebody decided elsewhere: look what became of it.
    Look,
    /// The client asks, and calls again.
    Carry(Box<InputRequiredResult>),
}

/// Asks the client's user about `about`.
pub(super) async fn ask(call: &Call<'_>, about: &About) -> Asked {
    let (Some(pending), Some(mode)) = (about.pending(), mode(&call.context)) else {
        return Asked::Nobody;
    };
    // Who said "later" is not asked again by a call that is repeated.
    if call.server.is_put_off(pending) {
        return Asked::Nobody;
    }
    let events = call.node().events();
    let question = match prompt(call.node(), pending).await {
        Ok(question) => question,
        // The human is asked about something else, or was asked often enough lately.
        Err(Unasked::Busy) => return Asked::Nobody,
        Err(Unasked::Gone) => return Asked::Look,
    };
    let open = Open { node: call.node(), pending };
    let page = call.node().page();
    let Some(params) = question::params(&question, mode, page.as_deref()) else {
        return Asked::Nobody;
    };
    let may_approve = question.may_approve;
    if is_modern(&call.context) {
        open.stays();
        return Asked::Carry(Box::new(call.carry(about.clone(), params, may_approve)));
    }
    let verdict = match dialog(call, params, pending, events).await {
        None => return Asked::Look,
        Some(result) if mode != Mode::Link => question::verdict(&result, may_approve),
        // That an address was opened, or was not, decides nothing.
        Some(_) => Verdict::Later,
    };
    apply(call, pending, verdict).await;
    Asked::Look
}

/// Tells the node what the client's user said.
pub(super) async fn apply(call: &Call<'_>, pending: &str, verdict: Verdict) {
    let yes = match verdict {
        Verdict::Later => return call.server.put_off(pending),
        Verdict::Deny => false,
        Verdict::Approve => true,
    };
    let answered = AgentRequest::ClientAnswered { pending: pending.to_owned(), yes };
    if let Err(error) = call.node().ask(answered).await {
        // It was decided elsewhere first, or may not be approved like this: what became of it is
        // looked up in any case.
        tracing::debug!(%error, "a client's answer did not count");
    }
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| !version.has_initialize())
}

/// How the client of this call can show a question.
fn mode(context: &RequestContext<RoleServer>) -> Option<Mode> {
    let able = context.client_capabilities()?.elicitation?;
    // A client that says neither means forms, which were there first.
    if able.form.is_none() && able.url.is_some() {
        return Some(Mode::Link);
    }
    let version = context.protocol_version();
    let titles_apart = version.is_some_and(|version| version < ProtocolVersion::V_2025_11_25);
    Some(Mode::Form { titles_apart })
}

/// What may be shown of an item, while it waits.
pub(super) async fn question(node: &AgentHandle, pending: &str) -> Option<Question> {
    let asked = AgentRequest::Question { pending: pending.to_owned() };
    match node.ask(asked).await {
        Ok(Reply::Question(question)) => Some(question),
        _ => None,
    }
}

/// Why nobody is asked.
enum Unasked {
    Busy,
    Gone,
}

/// What may be shown of an item, where its human may be interrupted for it.
async fn prompt(node: &AgentHandle, pending: &str) -> Result<Question, Unasked> {
    match node.ask(AgentRequest::Prompt { pending: pending.to_owned() }).await {
        Ok(Reply::Question(question)) => Ok(question),
        Err(error) if error.kind == ErrorKind::Busy => Err(Unasked::Busy),
        Ok(_) | Err(_) => Err(Unasked::Gone),
    }
}

/// A question that is shown. The node hears of its end however its call ends.
struct Open<'a> {
    node: &'a AgentHandle,
    pending: &'a str,
}

impl Open<'_> {
    /// The client shows it beyond this call, and brings the answer with another one.
    fn stays(self) {
        std::mem::forget(self);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.node.prompt_ended(self.pending);
    }
}

/// Asks in the middle of the call. `None` when there is no answer, whatever the reason: the
/// question is withdrawn then.
async fn dialog(
    call: &Call<'_>,
    params: ElicitRequestParams,
    pending: &str,
    events: Receiver<Event>,
) -> Option<ElicitResult> {
    let reports = call.context.meta.get_progress_token().is_some();
    let limit = if reports { QUESTION_WAIT_PROGRESS } else { QUESTION_WAIT };
    let mut open: Option<RequestHandle<RoleServer>> = None;
    let asking = async {
        let request = ServerRequest::ElicitRequest(ElicitRequest::new(params));
        let options = PeerRequestOptions::no_options();
        let sent = call.context.peer.send_request_with_option(request, options).await;
        let Ok(sent) = sent else { return End::Answered(None) };
        let handle = open.insert(sent);
        tokio::select! {
            biased;
            answer = &mut handle.rx => End::Answered(match answer {
                Ok(Ok(ClientResult::ElicitResult(result))) => Some(result),
                // It threw, said something else, or left.
                Ok(Ok(_) | Err(_)) | Err(_) => None,
            }),
            () = gone(call.node(), pending, events) => End::Elsewhere,
        }
    };
    let limited = async { Ok(timeout(limit, asking).await.unwrap_or(End::Late)) };
    let end = call.waiting(limit, limited).await.unwrap_or(End::GivenUp);
    let why = match end {
        End::Answered(result) => return result,
        End::Elsewhere => "it was decided elsewhere",
        End::Late => "it waits on; the call could not",
        End::GivenUp => "the call was given up",
    };
    if let Some(handle) = open {
        // A client that cannot be told shows a question whose answer counts for nothing.
        handle.cancel(Some(why.to_owned())).await.ok();
    }
    None
}

/// How a question came to its end.
enum End {
    Answered(Option<ElicitResult>),
    Elsewhere,
    Late,
    GivenUp,
}

/// Returns once the item does not wait any more. `events` began before it was looked at.
async fn gone(node: &AgentHandle, pending: &str, mut events: Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::PendingChanged) | Err(RecvError::Lagged(_)) => {
                let asked = AgentRequest::Question { pending: pending.to_owned() };
                if node.ask(asked).await.is_err_and(|error| error.kind == ErrorKind::NotFound) {
                    return;
                }
            }
            // The node is gone: whoever waits besides hears of it.
            Err(RecvError::Closed) => std::future::pending().await,
            Ok(
                Event::Arrived { .. }
                | Event::MessageChanged { .. }
                | Event::PeersChanged
                | Event::Alert { .. }
                | Event::PageOpened
                | Event::SessionsChanged { .. },
            ) => {}
        }
    }
}
