//! Answers for the human's side: conversations, search, a peer in full, grants, sessions, the
//! timeline and the audit chain.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AuditRecord, Message, Peer, PeerRef, Step};
use crate::{
    node::sessions::{Route, Transport},
    policy::Strength,
    wire::{Direction, GrantKind},
};

/// A link to the page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PageLink {
    /// It opens the page once: the code behind `#` is not sent to any server by the browser itself.
    pub url: String,
    /// Until when.
    pub expires_at: String,
}

/// Whether a code was good. It is used up either way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PageOpened {
    /// It was.
    pub opened: bool,
}

/// The page's port.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PagePort {
    /// The one that is remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// A thing was done that has no more to say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    /// Always true.
    pub done: bool,
}

/// A standing permission, which the human signed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct GrantInfo {
    /// Its id.
    pub id: String,
    /// What it allows, for a person.
    pub text: String,
    /// `unasked`: what it covers passes without asking. `inline`: the MCP client may show the
    /// question, and its answer counts.
    pub kind: GrantKind,
    /// With whom: our name for the peer; without it, every trusted peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Which way.
    pub direction: Direction,
    /// The rules that it covers; none named is every rule.
    pub rules: Vec<String>,
    /// How many messages may still pass by it.
    pub messages_left: u64,
    /// The kinds of message that it covers; none named is every kind that holds a text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// How many messages may pass by it within an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour_max: Option<u64>,
    /// Until when.
    pub until: String,
}

/// Grants that hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grants {
    /// Oldest first.
    pub grants: Vec<GrantInfo>,
}

/// All that was said with one peer, in short.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Conversation {
    /// The peer.
    pub peer: Peer,
    /// How many threads.
    pub threads: u64,
    /// How many messages, both ways.
    pub messages: u64,
    /// Messages that our agent has not seen.
    pub unread: u64,
    /// Messages that wait for our human, both ways.
    pub held: u64,
    /// The newest message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Message>,
}

/// Every conversation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Conversations {
    /// The one with the newest message first; peers without messages last, by name.
    pub conversations: Vec<Conversation>,
}

/// One thread of a conversation, in short.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Thread {
    /// Which.
    pub thread: String,
    /// How many messages.
    pub messages: u64,
    /// Its first message's beginning, to know it by.
    pub title: String,
    /// When its newest message was stored here.
    pub last_at: String,
}

/// The threads with one peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Threads {
    /// With whom.
    pub peer: Peer,
    /// The newest first; at most 200.
    pub threads: Vec<Thread>,
}

/// A message as a human reads it: with all its states.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TalkMessage {
    /// The message. Its text is whole up to 4 KiB; `truncated` says that there is more.
    #[serde(flatten)]
    pub message: Message,
    /// Every state, oldest first.
    pub history: Vec<Step>,
    /// The item that waits for our human.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// What our human decided about it: `approved` or `denied`, how and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<DecisionInfo>,
    /// What keeps it waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A decision of our human's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecisionInfo {
    /// `approved` or `denied`.
    pub decision: String,
    /// How the human was asked.
    pub method: String,
    /// When.
    pub at: String,
}

/// A part of a conversation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Talk {
    /// With whom.
    pub peer: Peer,
    /// The thread, where only one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// Oldest first.
    pub messages: Vec<TalkMessage>,
    /// Pass it as `before` for older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older: Option<u64>,
}

/// Marks around what was found in a snippet: noncharacters, which no text has a use for.
pub const HIT_BEGINS: char = '\u{fdd0}';
/// See [`HIT_BEGINS`].
pub const HIT_ENDS: char = '\u{fdd1}';

/// One message that was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hit {
    /// The message.
    pub message: Message,
    /// Our name for the peer it was said with.
    pub peer: PeerRef,
    /// The place, with [`HIT_BEGINS`] and [`HIT_ENDS`] around each word that was looked for.
    pub snippet: String,
}

/// What a search found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// Newest first.
    pub hits: Vec<Hit>,
    /// Pass it as `before` for older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older: Option<u64>,
}

/// One side of a consent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConsentSide {
    /// `inviter` or `joiner`.
    pub role: String,
    /// It is ours.
    pub ours: bool,
    /// What it called itself.
    pub name: String,
    /// Its node.
    pub node: String,
    /// Its human's approver, as a `did:key`.
    pub approver: String,
    /// That human's signature on the record, hexadecimal.
    pub signature: String,
}

/// A consent that both humans signed, verified again for this answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConsentInfo {
    /// The record's bytes, hexadecimal (`SPEC.md`).
    pub record: String,
    /// When the joiner knocked.
    pub knocked_at: String,
    /// The four words that both humans saw.
    pub words: Vec<String>,
    /// The inviter, then the joiner.
    pub sides: Vec<ConsentSide>,
}

/// A peer in full.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerShown {
    /// The peer.
    pub peer: Peer,
    /// Its id as a `did:key`.
    pub did: String,
    /// Twelve words for its id, to compare with a person.
    pub words: Vec<String>,
    /// Since when it is known.
    pub since: String,
    /// What its trust rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentInfo>,
    /// The item that waits for our human.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
}

/// A message that our human wrote, signed by the node and not by them yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Drafted {
    /// The envelope, hexadecimal. It is not kept: countersign it and send it.
    pub envelope: String,
    /// The least countersignature with which its receiver takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<Strength>,
}

/// Some of the timeline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Timeline {
    /// Newest first.
    pub records: Vec<AuditRecord>,
    /// Names for the peers that the records name.
    pub peers: Vec<PeerRef>,
    /// Pass it as `before` for older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older: Option<u64>,
}

/// A session of a client, as its human sees it. No peer is told any of this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What it is called: a message to `peer/NAME` reaches it.
    pub name: String,
    /// A client is there now.
    pub open: bool,
    /// What the client calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The folder that it works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// How it speaks to us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// The version of MCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// When this client came; of one that is not open, when it was seen last.
    pub since: String,
    /// The ways in which it learns of messages now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Messages that are new to it.
    pub unread: u64,
}

/// The sessions of clients.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sessions {
    /// Those that are open first, each by name.
    pub sessions: Vec<Session>,
}
