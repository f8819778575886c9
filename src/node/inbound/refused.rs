//! What is noted of messages that were refused.

use rusqlite::Connection;

use super::{Judge, Taken};
use crate::{node::refusals, store::StoreError};

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
