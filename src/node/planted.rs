//! What the simulation's planted bugs do here (test builds alone; the list is in
//! [`base::planted`](crate::base::planted)).

use rusqlite::{Connection, params};

use super::{
    api::{Reply, Sent},
    clock,
    outbound::entry,
    state::{Answer, Node, reply},
    written::Ready,
};
use crate::{
    audit,
    base::{
        Digest, MessageId, PeerId,
        planted::{Bug, planted},
    },
    delivery::MessageState,
    gate::{Item, Looked, unasked},
    net::{LinkId, Outbound},
    store::{
        self, StoreError,
        pending::{self, PendingRow},
    },
    wire::{Envelope, Receipt, ReceiptState},
};

impl Node {
    /// [`Bug::ReceiptBeforeCommit`].
    pub(super) fn receipt_early<'m>(
        &mut self,
        peer: PeerId,
        (link, upto): (LinkId, u64),
        batch: impl Iterator<Item = &'m Looked>,
    ) {
        if planted(Bug::ReceiptBeforeCommit) {
            let now = clock::now();
            let say = |looked: &Looked| {
                let (id, digest) = (looked.envelope().header().id, looked.envelope().digest());
                entry(id, digest, ReceiptState::Accepted, None, now)
            };
            let receipt = self.receipt(peer, Receipt::of(batch.map(say).collect()), now);
            self.net.send(&peer, link, Outbound::Ack { upto, receipt }).ok();
        }
    }

    /// [`Bug::SendBeforeCommit`].
    pub(super) fn send_early(&self, to: &PeerId, ready: &Ready) {
        if let Ready::Queue(envelope, _) = ready
            && planted(Bug::SendBeforeCommit)
        {
            self.leaves(to, envelope.item().clone());
        }
    }

    /// [`Bug::HeldLeaves`].
    pub(super) fn held_leaves(&self, to: &PeerId, held: Option<&PendingRow>) {
        if let Some(Item::Message(_, envelope)) = held.and_then(|row| row.item.clone())
            && planted(Bug::HeldLeaves)
        {
            self.leaves(to, envelope);
        }
    }

    fn leaves(&self, to: &PeerId, envelope: Envelope) {
        if let Some(link) = self.peers.get(to).and_then(|entry| entry.link) {
            let frame = Outbound::Data { seq: 1, envelope: unasked(envelope) };
            self.net.send(to, link, frame).ok();
        }
    }

    /// [`Bug::AuditApart`].
    pub(super) fn audit_later(&mut self, peer: &PeerId, arrived: Vec<MessageId>) {
        if planted(Bug::AuditApart) {
            let (now, peer) = (clock::now(), peer.to_string());
            self.write(
                move |db| {
                    for id in arrived {
                        let event = audit::Event::Arrived {
                            message: id.to_string(),
                            peer: peer.clone(),
                            state: MessageState::Accepted.as_str().to_owned(),
                            digest: Digest::from_bytes([0; 32]).to_string(),
                        };
                        store::audit::append(db, now, &event)?;
                    }
                    Ok(())
                },
                |_, _| (),
            );
        }
    }
}

/// [`Bug::AnswerBeforeCommit`]: what is answered later goes nowhere.
pub(super) fn answer_early(ready: &Ready, answer: Answer) -> Answer {
    let Ready::Queue(envelope, _) = ready else { return answer };
    if !planted(Bug::AnswerBeforeCommit) {
        return answer;
    }
    let sent = Sent {
        id: envelope.item().header().id.to_string(),
        state: MessageState::Queued.as_str().to_owned(),
        pending: None,
        findings: Vec::new(),
        again: false,
        reply: None,
    };
    reply(answer, Ok(Reply::Send(sent)));
    tokio::sync::oneshot::channel().0
}

/// [`Bug::DuplicateSkipped`]: nothing is known of what came before.
pub(super) fn skip_duplicate(db: &Connection, id: &MessageId) -> Result<(), StoreError> {
    if planted(Bug::DuplicateSkipped) {
        db.execute("DELETE FROM arrivals WHERE id = ?1", params![id.as_bytes()])?;
        let sql = "DELETE FROM messages WHERE id = ?1 AND outgoing = 0";
        db.execute(sql, params![id.as_bytes()])?;
    }
    Ok(())
}

/// [`Bug::ReplayAccepted`]: what was decided waits again.
pub(super) fn undecide(db: &Connection, row: &PendingRow) -> Result<(), StoreError> {
    if planted(Bug::ReplayAccepted) {
        db.execute("DELETE FROM decisions WHERE id = ?1", params![row.id.as_bytes()])?;
        pending::put(db, row)?;
    }
    Ok(())
}
