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
    base::{Digest, GrantId, MessageId, PendingId, SessionName, Timestamp, limits},
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
    /// It passes by the first of these grants that has room, or is held.
    Granted(Vec<Fitting<Approved<Envelope>>>, PendingRow, Verdict),
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

/// A message that is about to be written down.
enum Settled {
    Queue(Approved<Envelope>, Option<GrantId>, Verdict),
    Hold(Envelope, PendingRow, Verdict),
}

/// Whether a grant still has room shows only here, where nothing else is written.
fn settled(db: &Connection, ready: Ready, now: Timestamp) -> Result<Settled, StoreError> {
    let (granted, row, verdict) = match ready {
        Ready::Queue(envelope, verdict) => return Ok(Settled::Queue(envelope, None, verdict)),
        Ready::Hold(envelope, row, verdict) => return Ok(Settled::Hold(envelope, row, verdict)),
        Ready::Granted(granted, row, verdict) => (granted, row, verdict),
    };
    for (room, released) in granted {
        if grants::has_room(db, &room, now)? {
            return Ok(Settled::Queue(released, Some(room.id), verdict));
        }
    }
    let Some(Item::Message(_, envelope)) = row.item.clone() else {
        let problem = "it holds no message".to_owned();
        return Err(StoreError::Row { table: "pending", problem });
    };
    Ok(Settled::Hold(envelope, row, Verdict { verdict: "ask".to_owned(), ..verdict }))
}

pub(super) fn write_outgoing(
    db: &Connection,
    ready: Ready,
    (request, by): (Option<&Digest>, Option<&SessionName>),
    now: Timestamp,
) -> Result<Written, StoreError> {
    let settled = settled(db, ready, now)?;
    let (state, envelope) = match &settled {
        Settled::Queue(approved, ..) => (MessageState::Queued, approved.item()),
        Settled::Hold(envelope, ..) => (MessageState::Held, envelope),
    };
    let (id, peer) = (envelope.header().id, envelope.header().recipient);
    let number = messages::add(db, envelope, true, state, now)?;
    messages::set_session(db, number, by)?;
    messages::add_history(db, number, &HistoryRow { state, at: now, reason: None }, None)?;
    let event = audit::Event::Sent {
        message: id.to_string(),
        peer: peer.to_string(),
        state: state.as_str().to_owned(),
        digest: envelope.digest().to_string(),
    };
    store::audit::append(db, now, &event)?;
    let mut written = Written { id, queued: None, held: None, granted: None };
    match settled {
        Settled::Queue(envelope, grant, verdict) => {
            verdicts::set_verdict(db, number, &verdict)?;
            if let Some(grant) = &grant {
                note_use(db, (grant, number), envelope.item(), now)?;
            }
            written.queued = Some(Queued { number: outbox::add(db, &peer, &id, None)?, envelope });
            written.granted = grant;
        }
        Settled::Hold(_, row, verdict) => {
            verdicts::set_verdict(db, number, &verdict)?;
            pending::put(db, &row)?;
            messages::set_request(db, number, request)?;
            written.held = Some(row);
        }
    }
    Ok(written)
}
