//! What is noted of messages that were refused.

use rusqlite::Connection;

use super::{Judge, Said, Taken};
use crate::{base::MessageId, node::refusals, store::StoreError, wire::ReceiptState};

/// In the audit log, or counted.
pub(super) fn note(
    db: &Connection,
    judge: &mut Judge,
    taken: &mut Taken,
    what: &str,
) -> Result<(), StoreError> {
    let Some(left_out) = judge.note_refusal.take() else {
        taken.left_out += 1;
        return Ok(());
    };
    taken.noted = true;
    refusals::note(db, judge.now, (what, Some(judge.peer)), left_out)
}

/// Its id is that of a message of ours to this peer: what is noted of the two must never be taken one
/// for the other.
pub(super) fn ours(
    db: &Connection,
    judge: &mut Judge,
    taken: &mut Taken,
    id: &MessageId,
) -> Result<Said, StoreError> {
    let why = "another message has this id";
    note(db, judge, taken, &format!("message {id}: {why}"))?;
    Ok((ReceiptState::Refused, Some(why.to_owned())))
}
