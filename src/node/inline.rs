//! The word of an MCP client that its user said yes: it counts where the human signed beforehand
//! that it may, for messages that leave, and for nothing else.

use super::{
    api::{ApiError, ErrorKind},
    clock,
    grants::{Fitting, GrantEntry},
    state::{Answer, Node, reply},
};
use crate::{
    base::limits,
    gate::{Approved, Item, Pending, Refused, What, taint::Act},
    store::{grants::Room, pending::PendingRow},
    wire::{Envelope, GrantKind},
};

impl Node {
    /// Whether the human signed that a client's yes to this item counts.
    pub(super) fn may_approve(&self, row: &PendingRow) -> bool {
        self.by_client(row).is_ok()
    }

    fn by_client(&self, row: &PendingRow) -> Result<Fitting<Approved<Envelope>>, ApiError> {
        let off = || {
            let message = "approvals in the client are off for this item";
            let next = "your human decides, on the page or with `countersign approve ID`";
            ApiError::new(ErrorKind::Refused, message, next)
        };
        let approver = self.approver.ok_or_else(off)?;
        let Some(Item::Message(What::MessageOut, envelope)) = &row.item else {
            return Err(off());
        };
        // Whoever says yes has to have seen all of it.
        let text = envelope.body().text().map_or("", |text| text.as_str());
        if text.len() > limits::QUESTION_TEXT_BYTES {
            return Err(off());
        }
        let (now, least) = (clock::now(), self.required(envelope));
        // What holds now, too: the row says what held when it was written.
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let read = self.read_before(Act::Send { to: row.peer, bytes });
        let mut reasons = match self.judge_out(envelope.clone(), Vec::new()) {
            Ok(_) => Vec::new(),
            Err(Refused::Asked(ruling)) => ruling.reasons,
            Err(Refused::Denied(_) | Refused::Wrong(_)) => return Err(off()),
        };
        if !read.is_empty() {
            return Err(off());
        }
        reasons.extend(row.reasons.iter().cloned());
        let inline = |entry: &&GrantEntry| entry.grant.kind == GrantKind::Inline;
        let covers = |entry: &GrantEntry| {
            let pending = Pending::message(row.id, What::MessageOut, envelope.clone(), row.expires);
            let pending = pending.after(row.after.clone()).needs(least);
            let keys = (&*self.key, &approver);
            let scanner = (&self.rules.scanner, now);
            let released = pending.decide_by_client(&reasons, &entry.signed, keys, scanner);
            Some((Room::from(&entry.grant), released.ok()?))
        };
        self.live_grants(now).filter(inline).find_map(covers).ok_or_else(off)
    }

    /// Lets a message out because a client says so, if the human signed that this may be.
    pub(super) fn approve_by_client(&mut self, row: PendingRow, answer: Answer) {
        match self.by_client(&row) {
            Ok((room, envelope)) => self.release_by_client(row, room, envelope, answer),
            Err(error) => {
                self.note_refusal(&error);
                reply(answer, Err(error));
            }
        }
    }
}
