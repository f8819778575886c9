//! Questions.

use serde::{Deserialize, Serialize};

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
        /// Minutes, 1 to 10,080.
        expires_minutes: Option<u64>,
    },
    /// Use an invite.
    Connect {
        /// The invite's text.
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
    /// Only with this text in them.
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
    },
    /// No. Needs no signature: it loosens nothing.
    Deny {
        /// Which.
        id: String,
        /// And hear nothing of the peer again.
        block: bool,
    },
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
    /// What the policy would say of a text.
    PolicyCheck {
        /// The text.
        text: String,
    },
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
