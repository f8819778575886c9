//! Questions.

use serde::{Deserialize, Serialize};

use super::{AuditRequest, KeepRequest, TellRequest};
use crate::trust::PeerState;

/// What an agent can ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "agent", rename_all = "snake_case", deny_unknown_fields)]
pub enum AgentRequest {
    /// Who am I.
    Whoami,
    /// Make an invite.
    Invite {
        /// Shown to our human beside the request that uses it.
        note: Option<String>,
        /// Minutes, 1 to 10,080. Not with a code, which has its own time.
        expires_minutes: Option<u64>,
        /// As three words to say, instead of a text to hand over.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        code: bool,
    },
    /// Use an invite.
    Connect {
        /// The invite's text, or the three words of a code.
        invite: String,
        /// What to call the peer.
        name: Option<String>,
        /// A line for the other human, sent once ours said yes.
        note: Option<String>,
    },
    /// Send a message.
    Send(SendRequest),
    /// List messages.
    Inbox(InboxRequest),
    /// Read one message whole.
    Read {
        /// Which.
        id: String,
        /// From this byte on.
        offset: Option<u64>,
        /// It is shown to the agent, which its sender learns.
        mark_read: bool,
    },
    /// One message's life.
    Message {
        /// Which.
        id: String,
    },
    /// All messages that are held or queued.
    Outstanding,
    /// Peers.
    Peers {
        /// Only those in this state.
        state: Option<PeerState>,
    },
    /// What an MCP client may show its user of an item that our own agent's call made. Of any
    /// other item there is no such answer: nothing that a stranger sent is shown this way.
    Question {
        /// Which item.
        pending: String,
    },
    /// As [`AgentRequest::Question`], by a client that is about to show it: `busy` where the human
    /// is asked about something else, or was asked often enough lately.
    Prompt {
        /// Which item.
        pending: String,
    },
    /// The call that led to a question of a client's has ended.
    PromptEnded {
        /// The item that the question was about.
        pending: String,
    },
    /// What an MCP client says that its user answered to a question that it was given. A no
    /// counts. A yes counts where the human signed beforehand that it may.
    ClientAnswered {
        /// The item that the question was about.
        pending: String,
        /// Yes or no.
        yes: bool,
    },
    /// How many messages this session has not seen, and of whom. Shows nothing of what they say.
    News,
    /// What is new, to be told to an agent that did not ask.
    Tell(TellRequest),
    /// End trust.
    Revoke {
        /// Whom: a name or an id.
        peer: String,
        /// And hear nothing of them again.
        block: bool,
    },
}

/// A message to send.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// A name or an id.
    pub to: String,
    /// The text.
    pub text: String,
    /// A reply is expected.
    pub request: bool,
    /// The message that this answers.
    pub reply_to: Option<String>,
    /// The conversation that this belongs to.
    pub thread: Option<String>,
    /// Hours, 1 to 720.
    pub expires_hours: Option<u64>,
}

/// Which messages to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InboxRequest {
    /// Only from this peer.
    pub from: Option<String>,
    /// Only of this conversation, in both directions.
    pub thread: Option<String>,
    /// Only with all of these words, in any order; the last may be the beginning of one. At most
    /// [`SEARCH_QUERY_BYTES_MAX`](crate::base::limits::SEARCH_QUERY_BYTES_MAX) bytes.
    pub query: Option<String>,
    /// Only those that the agent has not seen.
    pub unread: bool,
    /// Only the answers to this message.
    pub reply_to: Option<String>,
    /// At most this many.
    pub limit: Option<u32>,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// They are shown to the agent, which their senders learn.
    pub mark_read: bool,
}

/// An invite that our human uses.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UseInvite {
    /// The invite's text.
    pub invite: String,
    /// What to call the peer.
    pub name: Option<String>,
    /// A line for the other human, sent once ours said yes.
    pub note: Option<String>,
}

/// What a human can ask, from the terminal or the page.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "human", rename_all = "snake_case", deny_unknown_fields)]
pub enum HumanRequest {
    /// What waits.
    Pending,
    /// One item with its exact bytes.
    Show {
        /// Which.
        id: String,
    },
    /// A signed decision. Bytes are hexadecimal.
    Decide {
        /// Which.
        id: String,
        /// The statement.
        statement: String,
        /// The approver's signature on it.
        signature: String,
        /// The approver's signature on the item.
        seal: String,
        /// Deny, and block the peer.
        block: bool,
        /// With the yes: a grant for the like of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grant: Option<SignedHex>,
    },
    /// No. Needs no signature: it loosens nothing.
    Deny {
        /// Which.
        id: String,
        /// And hear nothing of the peer again.
        block: bool,
    },
    /// A grant that the approver signed.
    Grant(SignedHex),
    /// End a grant. Needs no signature: it loosens nothing.
    GrantEnd {
        /// Which.
        id: String,
    },
    /// The grants that hold.
    Grants,
    /// A link to the page, with a code that opens it once.
    PageLink,
    /// Use such a code. Asked by the page.
    PageOpen {
        /// The code.
        code: String,
    },
    /// The port of the page that is remembered over restarts. Asked by the page.
    PagePort {
        /// Where it is served now: remembered from now on.
        served: Option<u16>,
    },
    /// The approver was set up while the node ran: read its public key and the name.
    ApproverSet,
    /// Every conversation, in short.
    Conversations,
    /// The threads with one peer.
    Threads {
        /// A name or an id.
        peer: String,
    },
    /// A part of a conversation, newest part first.
    Talk {
        /// A name or an id.
        peer: String,
        /// Only this thread.
        thread: Option<String>,
        /// Before this place.
        before: Option<u64>,
        /// At most this many.
        limit: u32,
    },
    /// Look for words in every message, held ones too.
    Search {
        /// Words; all of them must be there. The last may be a beginning.
        query: String,
        /// Only with this peer: a name or an id.
        peer: Option<String>,
        /// Before this place.
        before: Option<u64>,
        /// At most this many.
        limit: u32,
    },
    /// A peer in full.
    PeerShow {
        /// A name or an id.
        peer: String,
    },
    /// Use an invite, at whatever relay it names. An agent's may name only relays that we or our
    /// peers use: else its text could have any name looked up, before a human said yes.
    Connect(UseInvite),
    /// Sign a message that our human wrote with the node's key. Nothing is kept or sent.
    Draft {
        /// A name or an id.
        to: String,
        /// The text.
        text: String,
        /// The message that this answers.
        reply_to: Option<String>,
        /// The conversation that this belongs to.
        thread: Option<String>,
    },
    /// Send a draft that our human has countersigned.
    SendDraft {
        /// The envelope, hexadecimal.
        envelope: String,
    },
    /// The audit chain's records, newest first.
    Timeline {
        /// Only these events, by the names in the records; none named is all.
        events: Vec<String>,
        /// Only about this peer: a name or an id.
        peer: Option<String>,
        /// Before this record.
        before: Option<u64>,
        /// At most this many.
        limit: u32,
    },
    /// The sessions of clients: those that are open, and those that are known.
    Sessions,
    /// Ask a peer's node whether it is there; it is dialed at once when it is not linked.
    Ping {
        /// A name or an id.
        peer: String,
        /// How often, up to ten times.
        count: u32,
        /// How long to wait for a link, seconds, up to 30.
        wait_s: u64,
    },
    /// Look at what the network gives.
    Check,
    /// How the node is.
    Status,
    /// End the node.
    Stop,
    /// The audit chain's records, oldest first.
    AuditShow {
        /// Records after this number.
        after: u64,
        /// At most this many.
        limit: u32,
    },
    /// Check the chain.
    AuditVerify,
    /// More about the chain.
    Audit(AuditRequest),
    /// The policy that counts.
    Policy,
    /// Another policy is to count.
    PolicySet {
        /// Its text.
        text: String,
        /// The order for it. Without one it counts only where it lets nothing pass that is asked
        /// about now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<SignedHex>,
    },
    /// The standard policy is to count, with an order as for any other.
    PolicyReset {
        /// The order for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<SignedHex>,
    },
    /// What the policy said of a message, and what it would say today.
    Explain {
        /// Which.
        message: String,
    },
    /// Whose texts were shown to an agent, and until when that counts.
    TaintShow,
    /// What was shown counts no more.
    TaintClear {
        /// The order for it.
        order: SignedHex,
    },
    /// The key of the hashes of values that are watched for: they are hashed by whoever asks, so
    /// that no value is sent anywhere.
    KnownKey,
    /// Watch for values. Needs no signature: it loosens nothing.
    KnownAdd {
        /// Their hashes.
        values: Vec<KnownNew>,
    },
    /// What is watched for.
    KnownList,
    /// Watch for a value no more.
    KnownForget {
        /// The order for it.
        order: SignedHex,
    },
    /// Let a client in over HTTP by a token, as an agent. Needs no signature: whoever can ask this
    /// can start `countersign mcp`, which is let in as far.
    TokenNew {
        /// What it is called.
        name: String,
        /// The SHA-256 of the token, hexadecimal. The token itself is never sent.
        hash: String,
    },
    /// The tokens that are good.
    Tokens,
    /// End a token, and every session that came by it.
    TokenEnd {
        /// What it is called.
        name: String,
    },
    /// About what the home keeps: for how long, what is deleted, and copies of it.
    Keep(KeepRequest),
    /// What the policy would say of a text.
    PolicyCheck {
        /// The text.
        text: String,
    },
}

/// A value that is to be watched for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownNew {
    /// What the human calls it.
    pub label: String,
    /// How long it is, bytes.
    pub length: u16,
    /// What a text must hold before it is hashed.
    pub filter: u16,
    /// The keyed hash, hexadecimal.
    pub mac: String,
}

/// Signed bytes, hexadecimal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHex {
    /// What was signed.
    pub statement: String,
    /// By the approver.
    pub signature: String,
}

/// Anything that can be asked over the node's socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Request {
    /// As an agent.
    Agent(AgentRequest),
    /// As a human.
    Human(HumanRequest),
}
