//! What an MCP client may show its user of an item that waits, and what it may answer for them.
//!
//! A client is a program that the human did not sign anything with: its no counts, because a no
//! loosens nothing; its yes counts where [`Node::may_approve`] says so. It is never told of what
//! somebody else sent.

use super::{
    api::{ApiError, Question, Reply},
    decide::How,
    human::nothing_waits,
    state::{Answer, Node, reply},
    views::prefix,
};
use crate::{
    base::limits,
    gate::{Item, What},
    store::pending::PendingRow,
};

impl Node {
    pub(super) fn question(&self, id: &str) -> Result<Reply, ApiError> {
        let row = self.asked_by_agent(id)?;
        let shown = self.pending_view(row);
        let envelope = match &row.item {
            Some(Item::Message(_, envelope)) => Some(envelope),
            Some(Item::Peer(..)) | None => None,
        };
        let text = envelope.and_then(|envelope| envelope.body().text());
        let session = envelope.and_then(|envelope| envelope.header().session.as_ref());
        Ok(Reply::Question(Question {
            id: shown.id,
            what: shown.what,
            peer: shown.peer,
            session: session.map(ToString::to_string),
            reasons: shown.reasons,
            size_bytes: text.and_then(|t| u64::try_from(t.as_str().len()).ok()).unwrap_or_default(),
            text: text.map(|t| prefix(t.as_str(), limits::QUESTION_TEXT_BYTES).to_owned()),
            may_approve: self.may_approve(row),
            expires_at: shown.expires_at,
        }))
    }

    pub(super) fn client_answered(&mut self, id: &str, yes: bool, answer: Answer) {
        match self.asked_by_agent(id).cloned() {
            Err(error) => reply(answer, Err(error)),
            Ok(row) if yes => self.approve_by_client(row, answer),
            Ok(row) => self.refuse(row, How::Client, false, answer),
        }
    }

    /// An item that a call of our own agent made. Whatever else waits is as if it were not there.
    fn asked_by_agent(&self, id: &str) -> Result<&PendingRow, ApiError> {
        let row = self.find_pending(id)?;
        match row.what {
            What::MessageOut | What::PeerOut => Ok(row),
            What::MessageIn | What::PeerIn => Err(nothing_waits(row.id)),
        }
    }
}
