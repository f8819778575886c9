//! What has arrived before.

use rusqlite::Connection;

use super::{Judge, Said};
use crate::{
    audit,
    base::limits,
    delivery::MessageState,
    store::{
        self, StoreError,
        messages::{self, Arrival},
    },
    wire::{Envelope, ReceiptState},
};

/// A message that has arrived before is acknowledged again and stored once.
pub(super) fn again(
    db: &Connection,
    judge: &Judge,
    envelope: &Envelope,
    before: Arrival,
) -> Result<Said, StoreError> {
    if before.digest != envelope.digest() {
        // Noted once an id: a peer must not be able to fill the disk with it.
        let reason = || Some("another message has this id".to_owned());
        if before.reason.is_none() {
            let header = envelope.header();
            let what = format!("another message under the id {}", header.id);
            let event = audit::Event::refused(what, Some(judge.peer));
            store::audit::append(db, judge.now, &event)?;
            let noted = Arrival { reason: reason(), ..before };
            let forget = header.expires.plus(limits::DUPLICATE_KEPT);
            messages::put_arrival(db, &judge.peer, &header.id, &noted, forget)?;
        }
        return Ok((ReceiptState::Refused, reason()));
    }
    let said = match before.state {
        MessageState::HeldByPeer => ReceiptState::HeldByPeer,
        MessageState::Accepted => ReceiptState::Accepted,
        MessageState::Read | MessageState::Replied => ReceiptState::Read,
        MessageState::Refused => ReceiptState::Refused,
        MessageState::Held
        | MessageState::Queued
        | MessageState::Delivered
        | MessageState::Denied
        | MessageState::Expired => ReceiptState::Delivered,
    };
    Ok((said, before.reason.filter(|_| said == ReceiptState::Refused)))
}
