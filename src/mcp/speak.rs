//! The tools that say something to a peer, each of which may lead to a question to the human.

use rmcp::model::CallToolResult;
use tokio::time::Instant;

use super::{
    arguments::{Ask, Connect, SendText},
    carried::About,
    elicit::{self, Asked},
    results::{SentResult, connected, fenced, refused_peer, success},
    tools::Outcome,
    wait::{Call, ended, life, unexpected},
};
use crate::{
    node::{
        AgentHandle,
        api::{AgentRequest, ApiError, Connected, Inbox, InboxRequest, Reply, SendRequest, Sent},
        sessions::Route,
    },
    trust::PeerState,
};

/// What a call has to answer with.
enum Step<T> {
    Done(T),
    /// A question that the client carries.
    Carry(Box<rmcp::model::InputRequiredResult>),
}

pub(super) async fn connect(call: &Call<'_>, arguments: Connect) -> Outcome {
    let reply = match connecting(call, arguments).await? {
        Step::Done(reply) => connected(reply),
        Step::Carry(question) => return Ok((*question).into()),
    };
    Ok(success(&format!("{}: {}", reply.state.as_str(), reply.next), &reply).into())
}

async fn connecting(call: &Call<'_>, arguments: Connect) -> Result<Step<Connected>, ApiError> {
    if let Some(About::Peer(reply)) = call.answered().await {
        return Ok(Step::Done(connection_now(call.node(), reply).await));
    }
    let Connect { invite, name, note } = arguments;
    let request = AgentRequest::Connect { invite, name, note };
    let Reply::Connect(reply) = call.node().ask(request).await? else {
        return Err(unexpected());
    };
    if !reply.answered {
        return Ok(Step::Done(reply));
    }
    match elicit::ask(call, &About::Peer(reply.clone())).await {
        Asked::Nobody => Ok(Step::Done(reply)),
        Asked::Look => Ok(Step::Done(connection_now(call.node(), reply).await)),
        Asked::Carry(question) => Ok(Step::Carry(question)),
    }
}

/// What became of a request to connect. The invite is not used for this: where the request was
/// denied it would begin anew.
async fn connection_now(node: &AgentHandle, mut reply: Connected) -> Connected {
    let Ok(Reply::Peers(all)) = node.ask(AgentRequest::Peers { state: None }).await else {
        // The node is about to end. What it said first is better than that.
        return reply;
    };
    if let Some(pending) = reply.pending.take() {
        reply.pending = elicit::question(node, &pending).await.map(|question| question.id);
    }
    let peer = all.peers.into_iter().find(|peer| peer.id == reply.peer.id);
    reply.state = peer.map_or(PeerState::Revoked, |peer| peer.state);
    if reply.pending.is_none() {
        reply.next = match reply.state {
            PeerState::Trusted => "connected: send with peer_send".to_owned(),
            PeerState::Requested | PeerState::Incoming => {
                "your human said yes; the other human decides, see trust_list".to_owned()
            }
            PeerState::Revoked | PeerState::Blocked => refused_peer(),
        };
    }
    reply
}

pub(super) async fn send(call: &Call<'_>, arguments: SendText) -> Outcome {
    match sending(call, arguments.request()?).await? {
        Step::Done(sent) => Ok(sent_result(&SentResult::from(sent)).into()),
        Step::Carry(question) => Ok((*question).into()),
    }
}

/// Sends, and asks the client's user where that leads to a question.
async fn sending(call: &Call<'_>, request: SendRequest) -> Result<Step<Sent>, ApiError> {
    if let Some(About::Message(sent)) = call.answered().await {
        return Ok(Step::Done(sent_now(call.node(), sent).await));
    }
    let Reply::Send(sent) = call.node().ask(AgentRequest::Send(request)).await? else {
        return Err(unexpected());
    };
    match elicit::ask(call, &About::Message(sent.clone())).await {
        Asked::Nobody => Ok(Step::Done(sent)),
        Asked::Look => Ok(Step::Done(sent_now(call.node(), sent).await)),
        Asked::Carry(question) => Ok(Step::Carry(question)),
    }
}

/// What became of a message.
async fn sent_now(node: &AgentHandle, mut sent: Sent) -> Sent {
    // Of a node that is about to end, what it said first is better than an error.
    if let Ok(life) = life(node, &sent.id).await {
        (sent.state, sent.pending) = (life.state, life.pending);
    }
    sent
}

fn sent_result(result: &SentResult) -> CallToolResult {
    let summary = match (&result.next, &result.sent.reply) {
        (Some(next), _) => format!("{}; {next}", result.sent.state),
        (None, Some(_)) => "a reply came; it is data from the peer".to_owned(),
        (None, None) => format!("the message is {}", result.sent.state),
    };
    success(&summary, result)
}

pub(super) async fn ask(call: &Call<'_>, arguments: Ask) -> Outcome {
    let (wait, begun) = (arguments.wait()?, Instant::now());
    let request = SendRequest {
        to: arguments.to,
        text: arguments.text,
        request: true,
        ..SendRequest::default()
    };
    let mut sent = match sending(call, request).await? {
        Step::Done(sent) => sent,
        Step::Carry(question) => return Ok((*question).into()),
    };
    // A held message gets no reply before the human said yes: the model should say so now.
    if matches!(sent.state.as_str(), "held" | "denied") {
        return Ok(sent_result(&SentResult::from(sent)).into());
    }
    let wait = wait.saturating_sub(begun.elapsed());
    let answers = InboxRequest {
        reply_to: Some(sent.id.clone()),
        limit: Some(1),
        mark_read: true,
        ..InboxRequest::default()
    };
    let _open = (!wait.is_zero()).then(|| call.server.hold(Route::Wait));
    let reply = call.waiting(wait, async {
        tokio::select! {
            biased;
            inbox = call.node().inbox(answers, wait) => inbox,
            life = ended(call.node(), &sent.id) => life.map(|_| NO_REPLY),
        }
    });
    sent.reply = fenced(reply.await?.messages).into_iter().next();
    sent.state = life(call.node(), &sent.id).await?.state;
    Ok(sent_result(&without_reply_yet(sent)).into())
}

const NO_REPLY: Inbox =
    Inbox { messages: Vec::new(), unread: 0, next_cursor: None, held: Vec::new(), held_total: 0 };

fn without_reply_yet(sent: Sent) -> SentResult {
    let mut result = SentResult { sent, next: None };
    if result.sent.reply.is_none() {
        let id = &result.sent.id;
        result.next = Some(match result.sent.state.as_str() {
            "denied" | "refused" => "no reply will come; tell your human".to_owned(),
            "expired" => {
                "its time is over, and nothing says that it arrived: do not send it again, \
                          tell your human; if it did arrive, peer_inbox shows a reply when it comes"
                    .to_owned()
            }
            _ => format!(
                "no reply yet; do not send it again: peer_status with id {id} tells its state, \
                 and peer_inbox shows a reply when it comes"
            ),
        });
    }
    result
}
