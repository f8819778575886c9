//! A new message as it is written down: queued, or held for our human.

use rusqlite::Connection;

use super::{
    api::{ApiError, FindingInfo, Sent},
    clock,
    grants::{Fitting, note_use},
    resend::Earlier,
};
use crate::{
    audit,
    base::{Digest, GrantId, MessageId, PendingId, Timestamp, limits},
    delivery::{MessageState, outbox::Queued},
    gate::{Approved, Item, What},
    policy::Reason,
    store::{
        self, StoreError, grants,
        messages::{self, HistoryRow},
        outbox,
        pending::{self, PendingRow},
        verdicts::{self, Verdict},
    },
    wire::Envelope,
};

/// A message that is ready to be written down.
pub(super) enum Ready {
    Queue(Approved<Envelope>, Verdict),
    /// It passes by a grant, or is held when that is used up.
    Granted(Fitting<Approved<Envelope>>, PendingRow, Verdict),
    Hold(Envelope, PendingRow, Verdict),
}

/// Something that waits for our human.
pub(super) fn held_row(
    what: What,
    envelope: Envelope,
    reasons: Vec<Reason>,
    now: Timestamp,
) -> PendingRow {
    let header = envelope.header();
    let peer = if what == What::MessageOut { header.recipient } else { header.sender };
    let expires = now.plus(limits::PENDING_PAYLOAD_LIFE).min(header.expires);
    PendingRow {
        id: PendingId::from_bytes(clock::random()),
        what,
        peer,
        message: Some(header.id),
        item: Some(Item::Message(what, envelope)),
        reasons,
        after: Vec::new(),
        note: None,
        created: now,
        expires,
    }
}

/// What became of a request to send.
pub(super) enum Sending {
    Written(Written),
    /// It was asked for before, and a human was asked.
    Earlier(Earlier),
    Full(ApiError),
}

pub(super) fn new_sent(written: &Written, findings: Vec<FindingInfo>) -> Sent {
    let held = written.held.as_ref();
    let state = if held.is_some() { MessageState::Held } else { MessageState::Queued };
    Sent {
        id: written.id.to_string(),
        state: state.as_str().to_owned(),
        pending: held.map(|row| row.id.to_string()),
        findings,
        again: false,
        reply: None,
    }
}

/// What was written of a new message.
pub(super) struct Written {
    id: MessageId,
    pub(super) queued: Option<Queued>,
    pub(super) held: Option<PendingRow>,
    pub(super) granted: Option<GrantId>,
}

/// Whether a grant still has room shows only here, where nothing else is written.
fn settled(db: &Connection, ready: Ready) -> Result<Ready, StoreError> {
    let Ready::Granted((id, messages_max, released), row, verdict) = ready else {
        return Ok(ready);
    };
    if grants::has_room(db, &id, messages_max)? {
        return Ok(Ready::Granted((id, messages_max, released), row, verdict));
    }
    let Some(Item::Message(_, envelope)) = row.item.clone() else {
        let problem = "it holds no message".to_owned();
        return Err(StoreError::Row { table: "pending", problem });
    };
    Ok(Ready::Hold(envelope, row, Verdict { verdict: "ask".to_owned(), ..verdict }))
}

pub(super) fn write_outgoing(
    db: &Connection,
    ready: Ready,
    request: Option<&Digest>,
    now: Timestamp,
) -> Result<Written, StoreError> {
    let ready = settled(db, ready)?;
    let (state, envelope) = match &ready {
        Ready::Queue(approved, _) | Ready::Granted((_, _, approved), ..) => {
            (MessageState::Queued, approved.item())
        }
        Ready::Hold(envelope, ..) => (MessageState::Held, envelope),
    };
    let (id, peer) = (envelope.header().id, envelope.header().recipient);
    let number = messages::add(db, envelope, true, state, now)?;
    messages::add_history(db, number, &HistoryRow { state, at: now, reason: None }, None)?;
    let event = audit::Event::Sent {
        message: id.to_string(),
        peer: peer.to_string(),
        state: state.as_str().to_owned(),
        digest: envelope.digest().to_string(),
    };
    store::audit::append(db, now, &event)?;
    let mut written = Written { id, queued: None, held: None, granted: None };
    match &ready {
        Ready::Queue(_, verdict) | Ready::Granted(_, _, verdict) | Ready::Hold(_, _, verdict) => {
            verdicts::set_verdict(db, number, verdict)?;
        }
    }
    match ready {
        Ready::Queue(envelope, _) => {
            written.queued = Some(Queued { number: outbox::add(db, &peer, &id, None)?, envelope });
        }
        Ready::Granted((grant, _, envelope), ..) => {
            note_use(db, (&grant, number), envelope.item(), now)?;
            written.queued = Some(Queued { number: outbox::add(db, &peer, &id, None)?, envelope });
            written.granted = Some(grant);
        }
        Ready::Hold(_, row, _) => {
            pending::put(db, &row)?;
            messages::set_request(db, number, request)?;
            written.held = Some(row);
        }
    }
    Ok(written)
}
