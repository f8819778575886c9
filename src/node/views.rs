//! Rows as the shapes of the contract.

use super::{
    api::{
        Countersigned, FindingInfo, Message, MessageLife, Peer, PeerRef, PendingItem, PendingPeer,
        Step,
    },
    state::{Node, PeerEntry},
};
use crate::{
    base::{PeerId, Timestamp, limits},
    gate::{self, Item, What},
    policy::{self, Reason},
    risk,
    store::{
        messages::{HistoryRow, MessageRow},
        pending::PendingRow,
    },
    trust::PeerState,
    wire::{Envelope, Kind},
};

/// The longest prefix of `text` of at most `bytes_max` bytes that ends between characters.
pub(super) fn prefix(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}

/// What is shown of a message of a kind that has no text.
pub(super) fn unsupported(kind: &Kind) -> Option<String> {
    matches!(kind, Kind::Unknown(_))
        .then(|| format!("(a message of the unsupported kind {})", kind.as_str()))
}

/// What keeps a message waiting whose receiver answered `busy`.
pub(super) const PEER_FULL: &str = "the peer's inbox is full; it is tried again";

/// What the sender's human signed of a message.
struct SignedByHuman {
    view: Countersigned,
    /// They wrote it themselves, and said so with their own hand.
    written: bool,
}

impl Node {
    /// A message as a list shows it.
    pub(super) fn message_view(&self, row: &MessageRow) -> Message {
        let name = self.name_of(&row.peer);
        let (from, to) = if row.outgoing { ("me".into(), name) } else { (name, "me".into()) };
        let unsupported = unsupported(&row.kind);
        let text = unsupported.as_deref().unwrap_or(&row.text);
        let text = prefix(text, limits::PREVIEW_BYTES_MAX);
        let signed = self.signed_by_human(row);
        let written = signed.as_ref().is_some_and(|signed| signed.written);
        let session = if row.outgoing { &row.named } else { &row.session };
        let unknown = row.named.as_ref().filter(|named| Some(*named) != session.as_ref());
        Message {
            id: row.id.to_string(),
            from,
            to,
            direction: if row.outgoing { "out" } else { "in" }.to_owned(),
            kind: row.kind.as_str().to_owned(),
            author: if written { "human" } else { "agent" }.to_owned(),
            truncated: unsupported.is_none() && text.len() < row.text.len(),
            text: text.to_owned(),
            thread: row.thread.to_string(),
            reply_to: row.reply_to.map(|id| id.to_string()),
            session: session.as_ref().map(ToString::to_string),
            unknown_session: unknown.map(ToString::to_string),
            sent_at: row.created.rfc3339(),
            state: row.state.as_str().to_owned(),
            countersigned: signed.map(|signed| signed.view),
            untrusted: !row.outgoing,
        }
    }

    /// A countersignature is shown only where it verifies as that of the sender's human.
    fn signed_by_human(&self, row: &MessageRow) -> Option<SignedByHuman> {
        if !row.countersigned {
            return None;
        }
        let human = if row.outgoing {
            self.approver?
        } else {
            self.peers.get(&row.peer)?.consent.as_ref()?.peer_approver()
        };
        let envelope = Envelope::decode(&row.envelope).ok()?;
        let found = gate::released_by(&envelope, &human, &self.rules.scanner)?;
        Some(SignedByHuman {
            view: Countersigned { method: found.method.to_string(), at: found.at.rfc3339() },
            written: envelope.header().human && found.method.is_human(),
        })
    }

    /// A message's life.
    pub(super) fn life_view(&self, row: &MessageRow, history: &[HistoryRow]) -> MessageLife {
        let step = |step: &HistoryRow| Step {
            state: step.state.as_str().to_owned(),
            at: step.at.rfc3339(),
            reason: step.reason.clone(),
        };
        let name = self.name_of(&row.peer);
        let pending = self
            .pending
            .values()
            .filter(|pending| (pending.what == What::MessageOut) == row.outgoing)
            .find(|pending| pending.message == Some(row.id) && pending.peer == row.peer);
        MessageLife {
            id: row.id.to_string(),
            to: row.outgoing.then(|| name.clone()),
            from: (!row.outgoing).then_some(name),
            state: row.state.as_str().to_owned(),
            history: history.iter().map(step).collect(),
            pending: pending.map(|pending| pending.id.to_string()),
            expires_at: row.expires.rfc3339(),
            note: row.note.clone().or_else(|| self.waiting_note(row)),
        }
    }

    /// Why a queued message has not left yet.
    fn waiting_note(&self, row: &MessageRow) -> Option<String> {
        let queued = row.outgoing && row.state == crate::delivery::MessageState::Queued;
        let entry = self.peers.get(&row.peer).filter(|_| queued)?;
        if entry.outbox.is_peer_full() {
            return Some(PEER_FULL.to_owned());
        }
        entry.link.is_none().then(|| {
            entry.warning.clone().unwrap_or_else(|| "the peer's node does not answer".to_owned())
        })
    }

    /// A peer.
    pub(super) fn peer_view(&self, id: &PeerId, entry: &PeerEntry) -> Peer {
        let path = entry.link.and_then(|_| self.net.path(id));
        let word =
            path.as_ref().map_or("offline", |path| if path.relayed { "relay" } else { "direct" });
        let (requires, we_require) = self.requirements(id, entry);
        // A stranger's words reach the human who decides, and no agent before a yes.
        let asked = entry.state != PeerState::Trusted;
        Peer {
            name: entry.name.to_string(),
            id: id.to_string(),
            claim: if asked { String::new() } else { entry.claim.to_string() },
            state: entry.state,
            verified: entry.verified,
            path: word.to_owned(),
            rtt_ms: path.as_ref().map(|path| path.rtt_ms),
            path_since: Self::path_since(entry, path.as_ref()),
            pq: path.as_ref().map(|path| path.pq),
            relay: path.and_then(|path| path.relay),
            last_seen: entry.seen.map(Timestamp::rfc3339),
            grants: self.grants_of(id),
            requires,
            we_require,
            warning: self.warning_of(id, entry),
        }
    }

    /// That rules of the human's policy name a new peer by the name that it would have here: they may
    /// have been meant for somebody who was forgotten.
    fn named_by_policy(&self, row: &PendingRow) -> Option<Reason> {
        let name = self.peers.get(&row.peer).filter(|_| row.message.is_none())?.name.as_str();
        let rules = self.rules.policy.rules_naming(name);
        (!rules.is_empty()).then(|| Reason {
            rule: policy::NAMED.to_owned(),
            severity: risk::Severity::High,
            text: format!(
                "your policy names {name}: {}; from your yes on that is about this peer, whoever was \
                 called {name} before",
                rules.join(", ")
            ),
        })
    }

    /// Something that waits.
    pub(super) fn pending_view(&self, row: &PendingRow) -> PendingItem {
        let entry = self.peers.get(&row.peer);
        let words = row.item.as_ref().and_then(|item| match item {
            Item::Peer(_, record) => Some(record.words().into_iter().map(str::to_owned).collect()),
            Item::Message(..) => None,
        });
        let not_ready = row.item.is_none().then(|| {
            "the other side's node has not answered yet, so there is nothing to sign; it is tried \
             again and again while both nodes run"
                .to_owned()
        });
        PendingItem {
            id: row.id.to_string(),
            what: row.what,
            peer: PendingPeer {
                name: self.name_of(&row.peer),
                id: row.peer.to_string(),
                claim: entry.map(|entry| entry.claim.to_string()).unwrap_or_default(),
                verified: entry.is_some_and(|entry| entry.verified),
            },
            reasons: row
                .reasons
                .iter()
                .chain(&self.named_by_policy(row))
                .map(FindingInfo::from)
                .collect(),
            digest: row.item.as_ref().map(|item| item.digest().to_string()).unwrap_or_default(),
            size_bytes: row
                .item
                .as_ref()
                .and_then(|item| u64::try_from(item.encode().len()).ok())
                .unwrap_or_default(),
            words,
            by_code: self.pairings.get(&row.peer).is_some_and(|entry| {
                entry.pairing.by_code && row.message.is_none() && row.item.is_some()
            }),
            created_at: row.created.rfc3339(),
            expires_at: row.expires.rfc3339(),
            note: row.note.as_ref().map(ToString::to_string),
            not_ready,
            repeats: self.repeats(row),
            after: row
                .after
                .iter()
                .map(|peer| PeerRef { id: peer.to_string(), name: self.name_of(peer) })
                .collect(),
            strength: self.least(row),
        }
    }
}
