//! What a peer says of our messages.

use rusqlite::Connection;

use super::super::views::PEER_FULL;
use crate::{
    audit,
    base::{MessageId, PeerId, Timestamp},
    delivery::MessageState,
    store::{
        self, StoreError,
        messages::{self, HistoryRow},
        outbox,
    },
    wire::{
        Body, Envelope,
        message::{Receipt, ReceiptEntry},
    },
};

/// Moves our messages as their receiver says, and keeps what it signed.
pub(super) fn take_receipt(
    db: &Connection,
    peer: &PeerId,
    receipt: &Envelope,
    now: Timestamp,
) -> Result<Vec<MessageId>, StoreError> {
    let Body::Receipt(Receipt { entries, .. }) = receipt.body() else { return Ok(Vec::new()) };
    let mut changed = Vec::new();
    let mut moved = false;
    for entry in entries {
        let change = take_entry(db, (peer, now), entry, &receipt.header().id)?;
        moved |= change == Some(Change::Moved);
        changed.extend(change.map(|_| entry.id));
    }
    if moved {
        messages::put_receipt(db, receipt, now)?;
    }
    Ok(changed)
}

/// What an entry of a receipt did.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Noted,
    Moved,
}

fn take_entry(
    db: &Connection,
    (peer, now): (&PeerId, Timestamp),
    entry: &ReceiptEntry,
    receipt: &MessageId,
) -> Result<Option<Change>, StoreError> {
    let row = messages::find_sent(db, &entry.id, peer)?;
    let Some(row) = row.filter(|row| row.digest == entry.digest) else { return Ok(None) };
    let Some(state) = MessageState::of_receipt(entry.state) else {
        let queued = row.state == MessageState::Queued;
        let noted = queued && messages::set_note(db, row.number, PEER_FULL)?;
        return Ok(noted.then_some(Change::Noted));
    };
    if row.state == MessageState::Held {
        // It never left; whatever this is, our human's answer is not it.
        return Ok(None);
    }
    outbox::remove_message(db, peer, &entry.id)?;
    if !row.may_become(db, state)? {
        return Ok(None);
    }
    // Whatever it became, it was delivered first.
    let implied = matches!(row.state, MessageState::Queued | MessageState::Expired)
        && !matches!(state, MessageState::Delivered | MessageState::Refused);
    if implied {
        let step = HistoryRow { state: MessageState::Delivered, at: entry.at, reason: None };
        messages::add_history(db, row.number, &step, Some(receipt))?;
    }
    let step = HistoryRow { state, at: entry.at, reason: entry.reason.clone() };
    messages::set_state(db, row.number, &step, Some(receipt))?;
    // Our own clock: the chain's times are not for a peer to choose.
    store::audit::append(db, now, &audit::Event::moved(entry.id, state.as_str(), (peer, true)))?;
    Ok(Some(Change::Moved))
}
