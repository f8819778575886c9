//! What a tool gives back: everything in the structured part, bounded, with peer text fenced.

use rmcp::model::{CallToolResult, ContentBlock};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::fence::{self, Fence};
use crate::{
    base::limits::{HELD_BYTES_MAX, RESULT_BYTES_MAX},
    node::{
        AgentHandle,
        api::{
            ApiError, Connected, Inbox, InviteMade, Message, MessageLife, MessagePart, Outstanding,
            Peer, Peers, Sent, SessionShown, Step, Whoami,
        },
    },
};

/// Bytes of a result for everything but its list or its text.
const FRAME_BYTES: usize = 2 * 1024;
/// Bytes of a result for its list or its text.
pub(super) const CONTENT_BYTES_MAX: usize = RESULT_BYTES_MAX - FRAME_BYTES;
/// Bytes of a result for the sessions that are open.
const SESSIONS_BYTES_MAX: usize = 4 * 1024;

/// Who this node is, and what waits.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct WhoamiResult {
    #[serde(flatten)]
    whoami: Whoami,
    /// What the human has to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl From<Whoami> for WhoamiResult {
    fn from(whoami: Whoami) -> Self {
        let next = if !whoami.approver.set {
            Some(
                "approvals are not set up, so every approval waits: ask your human to run \
                 `countersign init` in a terminal, or `countersign page`"
                    .to_owned(),
            )
        } else if whoami.waiting > 0 {
            Some(format!(
                "{} waiting for your human, who sees them on the page (`countersign page`) or with \
                 `countersign pending` in a terminal; you cannot approve",
                whoami.waiting
            ))
        } else {
            None
        };
        Self { whoami, next }
    }
}

/// What became of a message, and what has to happen next.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SentResult {
    #[serde(flatten)]
    pub(super) sent: Sent,
    /// What has to happen next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

impl From<Sent> for SentResult {
    fn from(sent: Sent) -> Self {
        let next = match (sent.state.as_str(), sent.pending.as_deref()) {
            ("held", Some(pending)) => Some(human_decides(pending)),
            ("denied", _) => Some(DENIED.to_owned()),
            _ if sent.again => Some(
                "you asked for exactly this before, and your human was asked: this is what became \
                 of that message; nothing was sent anew"
                    .to_owned(),
            ),
            _ => None,
        };
        Self { sent, next }
    }
}

/// A message that our human does not want sent.
const DENIED: &str = "it was denied: do not send it again, in these or other words; ask your human \
                      what to do instead";

/// What there is to do about a message that has come to its end without being taken.
fn after_end(state: &str) -> Option<&'static str> {
    match state {
        "denied" => Some(DENIED),
        "refused" => Some(
            "the peer did not take it: do not send it again as it is; tell your human, with the \
             reason",
        ),
        "expired" => Some(
            "its time is over, and nothing says that it arrived; it may have, and then its state \
             still moves on: ask your human before you send it anew, or the peer may act twice",
        ),
        _ => None,
    }
}

/// An invite, and what has to happen with it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct InviteResult {
    #[serde(flatten)]
    made: InviteMade,
    /// What has to happen next.
    next: &'static str,
}

impl From<InviteMade> for InviteResult {
    fn from(made: InviteMade) -> Self {
        let next = match made.code {
            None => {
                "give the invite to your human, who passes it on over a channel they trust; when \
                 it is used, both humans are asked; then trust_list shows the peer"
            }
            Some(_) => {
                "tell your human the three words, who says them to the other person: good for ten \
                 minutes and one try; then both humans are asked, and trust_list shows the peer"
            }
        };
        Self { made, next }
    }
}

/// What a human has to do about `pending`, and that nobody else can.
pub(super) fn human_decides(pending: &str) -> String {
    format!(
        "tell your human: it waits for their decision, on the page (`countersign page`) or by \
         `countersign approve {pending}` in a terminal (or `countersign deny {pending}`); you \
         cannot approve it, and sending it again does not help"
    )
}

/// A peer that our human, or the other one, does not want.
pub(super) fn refused_peer() -> String {
    "the request was denied or ended: do not ask for this peer again; ask your human what to do \
     instead"
        .to_owned()
}

/// One message's life, or all that is held or queued.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct StatusResult {
    #[serde(flatten)]
    life: Option<MessageLife>,
    /// All that is held or queued, when no id was given; oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<MessageLife>>,
    /// Messages that wait for our human.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<u64>,
    /// Messages that are on their way.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued: Option<u64>,
    /// Messages that are left out here for their size.
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<usize>,
    /// The open sessions here, and how each learns of messages; `own` is this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<Vec<SessionShown>>,
    /// What has to happen next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl StatusResult {
    /// With the sessions that are open, as many as fit.
    pub(super) fn with_sessions(mut self, node: &AgentHandle) -> Self {
        let mut sessions: Vec<_> = node.sessions().into_iter().map(SessionShown::from).collect();
        for session in &mut sessions {
            session.own = node.session().is_some_and(|own| own.as_str() == session.name);
        }
        // This one stays, whatever else does not fit.
        sessions.sort_by_key(|session| !session.own);
        sessions.truncate(fitting_in(&sessions, SESSIONS_BYTES_MAX));
        self.sessions = Some(sessions);
        self
    }
}

impl From<MessageLife> for StatusResult {
    fn from(life: MessageLife) -> Self {
        let mut life = reasons_fenced(life);
        keep_fitting(&mut life.history, Keep::Last);
        let next = match life.pending.as_deref() {
            Some(pending) => Some(human_decides(pending)),
            None => after_end(&life.state).map(str::to_owned),
        };
        Self { next, life: Some(life), ..Self::default() }
    }
}

impl From<Outstanding> for StatusResult {
    fn from(mut all: Outstanding) -> Self {
        all.messages = all.messages.into_iter().map(reasons_fenced).collect();
        let omitted =
            keep_fitting_in(&mut all.messages, Keep::First, CONTENT_BYTES_MAX - SESSIONS_BYTES_MAX);
        let next = (all.held > 0).then(|| {
            "held messages wait for your human: the page (`countersign page`) and `countersign \
             pending` in a terminal show them; you cannot approve"
                .to_owned()
        });
        let (messages, held, queued) = (Some(all.messages), Some(all.held), Some(all.queued));
        Self { messages, held, queued, omitted, next, life: None, sessions: None }
    }
}

/// Peers, as many as fit.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PeersResult {
    /// By name.
    peers: Vec<Peer>,
    /// Peers that are left out here; narrow with `state`.
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<usize>,
    /// What has to happen next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'static str>,
}

impl From<Peers> for PeersResult {
    fn from(Peers { mut peers }: Peers) -> Self {
        // Its name is chosen by whoever runs it, and no model needs it.
        for peer in &mut peers {
            peer.relay = None;
        }
        let omitted = keep_fitting(&mut peers, Keep::First);
        let next = peers.is_empty().then_some(
            "there is none: peer_invite makes an invite for a person, peer_connect uses theirs",
        );
        Self { peers, omitted, next }
    }
}

/// A pending request to connect says who decides.
pub(super) fn connected(mut connected: Connected) -> Connected {
    if let Some(pending) = connected.pending.as_ref().filter(|_| connected.answered) {
        connected.next = human_decides(pending);
    }
    connected
}

/// Shows no more of what is held than fits beside the messages; its total says how many there are.
pub(super) fn with_held(mut inbox: Inbox) -> Inbox {
    inbox.held.truncate(fitting_in(&inbox.held, HELD_BYTES_MAX));
    inbox
}

#[derive(Clone, Copy)]
enum Keep {
    First,
    Last,
}

/// Drops items until the rest fits; how many, if any.
fn keep_fitting<T: Serialize>(items: &mut Vec<T>, keep: Keep) -> Option<usize> {
    keep_fitting_in(items, keep, CONTENT_BYTES_MAX)
}

fn keep_fitting_in<T: Serialize>(
    items: &mut Vec<T>,
    keep: Keep,
    bytes_max: usize,
) -> Option<usize> {
    if matches!(keep, Keep::Last) {
        items.reverse();
    }
    let before = items.len();
    items.truncate(fitting_in(items, bytes_max));
    if matches!(keep, Keep::Last) {
        items.reverse();
    }
    Some(before - items.len()).filter(|omitted| *omitted > 0)
}

/// How many of `messages`, from the first, fit a result beside what is held.
pub(super) fn fitting(messages: &[Message]) -> usize {
    fitting_in(messages, CONTENT_BYTES_MAX - HELD_BYTES_MAX)
}

/// How many of `items`, from the first, take at most `bytes_max` once they are escaped.
fn fitting_in<T: Serialize>(items: &[T], bytes_max: usize) -> usize {
    let mut bytes = 0;
    let fits = |item: &&T| {
        bytes += json_bytes(&cleaned(item)) + 1;
        bytes <= bytes_max
    };
    items.iter().take_while(fits).count()
}

fn json_bytes(value: &Value) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

/// Fences what peers wrote in `messages`, all with the same fence.
pub(super) fn fenced(mut messages: Vec<Message>) -> Vec<Message> {
    let texts: Vec<_> = messages.iter().map(|message| message.text.as_str()).collect();
    let fence = Fence::around(&texts);
    for message in &mut messages {
        if is_theirs(message) {
            message.text = fence.enclose(&message.text);
        }
    }
    messages
}

/// Fences one part of a message, and shortens it so that it fits a result.
pub(super) fn fenced_part(mut part: MessagePart) -> MessagePart {
    let message = &mut part.message;
    let (shown, taken) = fence::block_prefix(&message.text, CONTENT_BYTES_MAX);
    if taken < message.text.len() {
        message.truncated = true;
        part.next_offset = u64::try_from(taken).ok().map(|taken| part.offset + taken);
    }
    message.text = if is_theirs(message) {
        Fence::around(&[shown.as_str()]).enclose_escaped(&shown)
    } else {
        shown
    };
    part
}

/// Shortens messages that already count as read and would not fit together.
pub(super) fn shortened(mut messages: Vec<Message>) -> Vec<Message> {
    let share = CONTENT_BYTES_MAX / messages.len().max(1) / 2;
    for message in &mut messages {
        let (shown, taken) = fence::block_prefix(&message.text, share);
        message.truncated |= taken < message.text.len();
        message.text = shown;
    }
    messages
}

/// Fences the reasons in the receipts of a message of ours: its receiver wrote them.
fn reasons_fenced(mut life: MessageLife) -> MessageLife {
    let ours = ["held", "queued", "denied", "expired"];
    let sent = life.to.is_some();
    let theirs = |step: &&mut Step| sent && !ours.contains(&step.state.as_str());
    let reasons: Vec<_> = life.history.iter().filter_map(|step| step.reason.as_deref()).collect();
    let fence = Fence::around(&reasons);
    for step in life.history.iter_mut().filter(theirs) {
        step.reason = step.reason.take().map(|reason| fence.enclose_line(&reason));
    }
    life
}

fn is_theirs(message: &Message) -> bool {
    message.untrusted || message.direction != "out"
}

/// A successful result. Clients show a model the structured part or the text, never both: the
/// text is a summary, and the same JSON for those that know no other.
pub(super) fn success(summary: &str, result: &impl Serialize) -> CallToolResult {
    let structured = cleaned(result);
    let text = format!("{}\n{structured}", fence::line(summary));
    let mut answer = CallToolResult::success(vec![ContentBlock::text(text)]);
    answer.structured_content = Some(structured);
    answer
}

/// A failed call: what was wrong, and the next step.
pub(super) fn failure(error: &ApiError) -> CallToolResult {
    let ApiError { message, next, .. } = error;
    let text = format!("{}\nNext: {}", fence::line(message), fence::line(next));
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// As JSON, without a hostile character in any string: only `text` has more than one line.
pub(super) fn cleaned(result: &impl Serialize) -> Value {
    // Our own types always serialise.
    let mut value = serde_json::to_value(result).unwrap_or_default();
    clean(&mut value, false);
    value
}

fn clean(value: &mut Value, lines: bool) {
    match value {
        Value::String(text) => *text = if lines { fence::block(text) } else { fence::line(text) },
        Value::Array(values) => values.iter_mut().for_each(|value| clean(value, false)),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(key, value)| clean(value, key == "text"));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
