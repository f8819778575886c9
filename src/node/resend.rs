//! The same message asked for again, after a human was asked about it.
//!
//! An agent that was told `held` may call again, because its client gave up the call, or because
//! its human has decided meanwhile. It then finds what became of the first message instead of
//! making a second. A message that no human was asked about is never taken for another.

use rusqlite::Connection;

use super::{
    api::{ApiError, ErrorKind, FindingInfo, SendRequest, Sent},
    decide::{CLIENT_SAID_NO, SAID_NO},
};
use crate::{
    base::{Digest, PeerId, PendingId, SessionName, Timestamp, limits},
    delivery::MessageState,
    store::{
        StoreError,
        messages::{self, HistoryRow, MessageRow},
        pending,
    },
};

/// What was asked for, as far as an agent can say it. Two calls of the same digest are the same.
pub(super) fn digest(
    (to, session): (&PeerId, Option<&SessionName>),
    request: &SendRequest,
    expires_hours: u64,
) -> Digest {
    let SendRequest { to: _, text, request: wants_reply, reply_to, thread, expires_hours: _ } =
        request;
    let to = session.map_or_else(|| to.to_string(), |session| format!("{to}/{session}"));
    let asked = (to, text, wants_reply, reply_to, thread, expires_hours);
    // Texts and numbers always serialise.
    let asked = serde_json::to_vec(&asked).unwrap_or_default();
    Digest::of("countersign/request/v1", &[&asked])
}

/// What became of the first one.
pub(super) enum Earlier {
    /// It still waits, or our human let it go: this is its answer too.
    Stands(Box<MessageRow>, Option<PendingId>),
    /// Our human said no to it.
    Denied,
}

/// Looks for the first one. A yes is used up by being found; a no stands for a day.
pub(super) fn earlier(
    db: &Connection,
    request: &Digest,
    now: Timestamp,
) -> Result<Option<Earlier>, StoreError> {
    let Some(row) = messages::by_request(db, request)? else { return Ok(None) };
    let recent = |step: &HistoryRow| now.since(step.at) <= limits::DECIDED_AGAIN;
    match row.state {
        MessageState::Held => {
            let pending = pending::of_message(db, &row.peer, &row.id)?;
            Ok(Some(Earlier::Stands(Box::new(row), pending)))
        }
        MessageState::Denied => {
            let said_no = |step: &HistoryRow| {
                step.reason.as_deref().is_some_and(|why| [SAID_NO, CLIENT_SAID_NO].contains(&why))
            };
            let last = messages::history(db, row.number)?.pop();
            Ok(last.filter(|step| said_no(step) && recent(step)).map(|_| Earlier::Denied))
        }
        MessageState::Refused => Ok(None),
        MessageState::Expired if !messages::was_queued(db, row.number)? => Ok(None),
        // What left and expired may be there: the first answer is that one's, too.
        MessageState::Expired
        | MessageState::Queued
        | MessageState::Delivered
        | MessageState::HeldByPeer
        | MessageState::Accepted
        | MessageState::Read
        | MessageState::Replied => {
            messages::set_request(db, row.number, None)?;
            let released = |step: &HistoryRow| step.state == MessageState::Queued;
            let stands = messages::history(db, row.number)?.into_iter().find(released);
            let stands = stands.is_some_and(|step| recent(&step));
            Ok(stands.then(|| Earlier::Stands(Box::new(row), None)))
        }
    }
}

impl Earlier {
    /// What the agent is told.
    pub(super) fn answer(self, findings: Vec<FindingInfo>) -> Result<Sent, ApiError> {
        match self {
            Self::Stands(row, pending) => Ok(Sent {
                id: row.id.to_string(),
                state: row.state.as_str().to_owned(),
                pending: pending.map(|id| id.to_string()),
                findings,
                again: true,
                reply: None,
            }),
            Self::Denied => Err(ApiError::new(
                ErrorKind::Denied,
                "your human said no to exactly this message",
                "do not send it again, in these or other words; ask your human what to do instead",
            )),
        }
    }
}
