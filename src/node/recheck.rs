//! What was queued under other rules: whatever the rules that count now do not let pass stays here,
//! and says so.

use rusqlite::Connection;

use super::{
    api::Event,
    judge::{PeerFacts, outgoing_again},
    state::Node,
};
use crate::{
    base::{ApproverId, MessageId, PeerId},
    gate::{Refused, Rules},
    net::code,
    store::{StoreError, messages, outbox},
    wire::Envelope,
};

/// What a note begins with that says so.
const HELD: &str = "held back by your policy";
/// Messages that are looked at in one read.
const PAGE: usize = 256;

/// Why a queued message does not leave.
pub(super) fn held_back(refused: &Refused) -> String {
    match refused {
        Refused::Asked(ruling) | Refused::Denied(ruling) => format!("{HELD}: {}", ruling.rule),
        Refused::Wrong(error) => format!("held back: {error}"),
    }
}

/// A message, and why it does not leave.
pub(super) type Held = (MessageId, String);

/// What one look at a part of the queue found.
struct Looked {
    held: Vec<Held>,
    passing: Vec<MessageId>,
    /// Where the next part begins.
    next: Option<i64>,
}

impl Node {
    /// Looks at all that is queued, under the rules that count now.
    pub(super) fn look_again(&mut self) {
        let trusted = self.peers.keys().filter(|peer| self.trusted(peer).is_some());
        for peer in trusted.copied().collect::<Vec<PeerId>>() {
            self.look_from(peer, 0);
        }
    }

    fn look_from(&mut self, peer: PeerId, after: i64) {
        let (me, approver) = (self.id, self.approver);
        let (facts, rules) = (self.facts(&peer), self.rules.clone());
        let op = move |db: &Connection| look(db, after, (&me, approver.as_ref()), &facts, &rules);
        self.read(op, move |node, looked| {
            let Ok(Looked { held, passing, next }) = looked else { return };
            node.note_held(peer, held);
            node.let_go(peer, passing);
            if let Some(next) = next {
                node.look_from(peer, next);
            }
        });
    }

    /// Says of messages why they do not leave.
    pub(super) fn note_held(&mut self, peer: PeerId, held: Vec<Held>) {
        if held.is_empty() {
            return;
        }
        tracing::warn!(peer = %peer.short(), count = held.len(), "the rules hold messages back");
        let op = move |db: &Connection| {
            let mut noted = Vec::new();
            for (id, note) in held {
                let row = messages::find_sent(db, &id, &peer)?;
                let news = row.map(|row| messages::set_note(db, row.number, &note)).transpose()?;
                noted.extend(news.filter(|news| *news).map(|_| id));
            }
            Ok(noted)
        };
        self.write(op, Self::tell_changed);
    }

    /// Says no more of messages that the rules hold them back, and sends those of which it was
    /// said.
    fn let_go(&mut self, peer: PeerId, passing: Vec<MessageId>) {
        let op = move |db: &Connection| {
            let mut freed = Vec::new();
            for id in passing {
                let row = messages::find_sent(db, &id, &peer)?;
                let was = row.map(|row| messages::end_note(db, row.number, HELD)).transpose()?;
                freed.extend(was.filter(|was| *was).map(|_| id));
            }
            Ok(freed)
        };
        self.write(op, move |node, freed| {
            let any = freed.as_ref().is_ok_and(|freed| !freed.is_empty());
            Self::tell_changed(node, freed);
            let link = node.peers.get(&peer).and_then(|entry| entry.link).filter(|_| any);
            if let Some(link) = link {
                // This link went past them. On the next one all that waits is read again.
                node.net.close(&peer, link, code::BYE);
            }
        });
    }

    fn tell_changed(node: &mut Self, changed: Result<Vec<MessageId>, StoreError>) {
        for id in changed.unwrap_or_default() {
            node.handle.tell(Event::MessageChanged { message: id.to_string() });
        }
    }
}

fn look(
    db: &Connection,
    after: i64,
    us: (&PeerId, Option<&ApproverId>),
    facts: &PeerFacts,
    rules: &Rules,
) -> Result<Looked, StoreError> {
    let rows = outbox::after(db, &facts.id, after, PAGE)?;
    let next = rows.last().filter(|_| rows.len() == PAGE).map(|row| row.number);
    let mut looked = Looked { held: Vec::new(), passing: Vec::new(), next };
    for envelope in rows.iter().filter_map(|row| Envelope::decode(&row.envelope).ok()) {
        let id = envelope.header().id;
        match outgoing_again(envelope, us, facts, rules) {
            Ok(_) => looked.passing.push(id),
            Err(refused) => looked.held.push((id, held_back(&refused))),
        }
    }
    Ok(looked)
}
