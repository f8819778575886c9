//! How the page looks and reads: pure functions from what the node answered to HTML.
//!
//! Nothing here asks the node, decides or signs. Whatever a peer wrote goes through `text`, which
//! shows what a browser would obey or a reader not see; maud escapes the rest. No markup here has a
//! style or a script in it: the content security policy forbids both.

mod bubble;
mod conversation;
mod conversations;
mod decide;
mod entry;
mod evidence;
mod forms;
mod frame;
mod grants;
mod item;
mod message;
mod peer;
mod peers;
mod rules;
mod search;
mod sessions;
mod settings;
mod text;
mod time;
mod waiting;
mod words;

pub use conversation::{TalkView, conversation};
pub use conversations::conversations;
pub use entry::{error, no_session, open, setup};
pub use evidence::{EvidenceView, evidence};
pub use message::{MessageView, message};
pub use peer::peer;
pub use peers::{PeersView, peers};
pub use search::{SearchView, search};
pub use settings::{PolicyDraft, SettingsView, settings};
pub use waiting::{Card, waiting, waiting_item};

#[cfg(test)]
mod tests;

use crate::{base::Timestamp, node::api::Whoami};

/// The one stylesheet, served as `/style.css`.
pub const STYLE: &str = include_str!("../style.css");
/// The one script, served as `/page.js`.
pub const SCRIPT: &str = include_str!("../page.js");
/// The icon, served as `/icon.svg`.
pub const ICON: &str = include_str!("../icon.svg");

/// What every page has around its content.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The part of the page that the navigation marks.
    pub section: Section,
    /// The title, before the product's name. Ours, or our name for a peer.
    pub title: &'a str,
    /// Who this node is; `None` before there is a session or a set-up.
    pub me: Option<&'a Whoami>,
    /// Items that wait for the human.
    pub waiting: u64,
    /// Messages that the agent has not seen.
    pub unread: u64,
    /// Whether messages can be decided about without the passphrase.
    pub lock: Lock,
    /// Goes into every form; empty where there is no session.
    pub csrf: &'a str,
    /// What the last action gave.
    pub notice: Option<&'a Notice>,
    /// The time of this page.
    pub now: Timestamp,
}

/// The parts of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What waits.
    Waiting,
    /// Conversations, messages and the search.
    Conversations,
    /// Peers.
    Peers,
    /// The timeline.
    Evidence,
    /// Settings.
    Settings,
    /// A page without navigation: no session yet, or no set-up.
    Outside,
}

/// Whether a passphrase that was typed a short time before still counts for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// It does not.
    Locked,
    /// It does.
    Unlocked {
        /// Until when, if no form is sent.
        idle_until: Timestamp,
        /// Until when, whatever is done.
        until: Timestamp,
    },
}

/// What the last action gave, above the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It was done: a sentence.
    Done(String),
    /// It was not done.
    Trouble(crate::node::api::ApiError),
}
