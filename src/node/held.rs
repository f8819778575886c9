//! What an agent learns of messages that wait for its human: that they are there, of whom, how
//! large and why. Nothing of what they say, and no id by which they could be read.

use super::{
    api::{FindingInfo, HeldInfo},
    state::Node,
};
use crate::{
    base::{PeerId, limits},
    gate::{Item, What},
    store::pending::PendingRow,
    wire::{Body, Envelope, Kind},
};

/// Who looks at them.
const NOTE: &str = "your human is looking at it; you cannot read it before they say yes";

impl Node {
    /// The newest of them, and how many there are; of one peer, or of all.
    pub(super) fn held_view(&self, from: Option<&PeerId>) -> (Vec<HeldInfo>, u64) {
        let of_peer = |row: &&PendingRow| from.is_none_or(|peer| row.peer == *peer);
        let came = |row: &'_ &PendingRow| row.what == What::MessageIn;
        let mut rows: Vec<&PendingRow> =
            self.pending.values().filter(came).filter(of_peer).collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.created, row.id)));
        let total = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let shown = rows.into_iter().take(limits::HELD_SHOWN_MAX);
        (shown.map(|row| self.held_info(row)).collect(), total)
    }

    fn held_info(&self, row: &PendingRow) -> HeldInfo {
        let envelope = match &row.item {
            Some(Item::Message(_, envelope)) => Some(envelope),
            Some(Item::Peer(..)) | None => None,
        };
        let mut reasons: Vec<FindingInfo> = row.reasons.iter().map(FindingInfo::from).collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.severity));
        reasons.truncate(limits::HELD_REASONS_MAX);
        HeldInfo {
            from: self.name_of(&row.peer),
            kind: envelope
                .map_or("unsupported", |envelope| kind(&envelope.header().kind))
                .to_owned(),
            size_bytes: envelope.map(size_bytes).unwrap_or_default(),
            reasons,
            since: row.created.rfc3339(),
            note: NOTE.to_owned(),
        }
    }
}

/// The name of a kind that we know. Any other name is the sender's words.
const fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Request => "request",
        Kind::Reply => "reply",
        Kind::Receipt | Kind::Unknown(_) => "unsupported",
    }
}

fn size_bytes(envelope: &Envelope) -> u64 {
    let size = match envelope.body() {
        Body::Text(text) => text.as_str().len(),
        Body::Unknown(bytes) => bytes.len(),
        Body::Receipt(_) => 0,
    };
    u64::try_from(size).unwrap_or(u64::MAX)
}
