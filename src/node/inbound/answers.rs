//! Replies to messages of ours.

use rusqlite::Connection;

use super::Judge;
use crate::{
    audit,
    base::{MessageId, PeerId, Timestamp},
    delivery::MessageState,
    store::{
        self, StoreError,
        messages::{self, HistoryRow},
        outbox,
    },
    wire::Envelope,
};

/// A reply tells us that our message was answered.
pub(in crate::node) fn answered(
    db: &Connection,
    peer: &PeerId,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<Option<MessageId>, StoreError> {
    let Some(id) = envelope.header().reply_to else { return Ok(None) };
    let row = messages::find_sent(db, &id, peer)?;
    let Some(row) = row else { return Ok(None) };
    if !row.may_become(db, MessageState::Replied)? {
        return Ok(None);
    }
    let step = HistoryRow { state: MessageState::Replied, at: now, reason: None };
    messages::set_state(db, row.number, &step, None)?;
    let event = audit::Event::moved(id, step.state.as_str(), (peer, true));
    store::audit::append(db, now, &event)?;
    outbox::remove_message(db, peer, &id)?;
    Ok(Some(id))
}

pub(super) fn answers(
    db: &Connection,
    judge: &Judge,
    envelope: &Envelope,
) -> Result<Option<MessageId>, StoreError> {
    answered(db, &judge.peer, envelope, judge.now)
}
