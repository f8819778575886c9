//! What one step of a pairing changes on disk.

use rusqlite::Connection;

use super::{clock, lowered, standing::yes_is_over};
use crate::{
    audit,
    base::Note,
    delivery::pairing::Pairing,
    store::{
        self, pairings,
        peers::{self, ConsentRow, PeerRow},
        pending::{self, PendingRow},
    },
    trust::{Consent, PeerState},
};

/// What one frame changes on disk.
#[derive(Clone)]
pub(super) struct PairWrite {
    pub(super) pairing: Pairing,
    pub(super) asked: Option<(PeerRow, PendingRow)>,
    /// It was over with the peer before.
    pub(super) over: bool,
    pub(super) trusted: Option<(Consent, ConsentRow)>,
    pub(super) finished: bool,
    pub(super) note: Option<Note>,
}

impl PairWrite {
    /// Runs in one transaction. Where our human's yes leads to trust no more, the pairing ends and
    /// nothing else is written; gives why.
    pub(super) fn run(&self, db: &Connection) -> Result<Option<String>, store::StoreError> {
        let now = clock::now();
        let peer = self.pairing.peer;
        if let Some((consent, _)) = &self.trusted
            && let Some(why) = yes_is_over(db, &peer, consent.record())?
        {
            pairings::remove(db, &peer)?;
            let event = audit::Event::refused(format!("a pairing: {why}"), Some(peer));
            store::audit::append(db, now, &event)?;
            return Ok(Some(why));
        }
        if self.over && self.asked.is_some() {
            lowered::end_on_disk(db, &peer, now)?;
        }
        if self.finished {
            pairings::remove(db, &peer)?;
        } else {
            pairings::put(db, &self.pairing)?;
        }
        if !self.pairing.is_joiner() {
            peers::use_invite(db, &self.pairing.invite, &peer)?;
        }
        if let Some((row, pending)) = &self.asked {
            peers::put(db, row)?;
            pending::put(db, pending)?;
            if !self.pairing.is_joiner() {
                let direction = "in".to_owned();
                let event = audit::Event::PeerAsked { peer: peer.to_string(), direction };
                store::audit::append(db, now, &event)?;
            }
        }
        if let Some(note) = &self.note {
            pending::set_note(db, &peer, note)?;
        }
        if let Some((_, consent)) = &self.trusted {
            peers::set_trusted(db, &peer, consent)?;
            let event = audit::Event::TrustMoved {
                peer: peer.to_string(),
                from: if self.pairing.is_joiner() { "requested" } else { "incoming" }.to_owned(),
                to: PeerState::Trusted.as_str().to_owned(),
            };
            store::audit::append(db, now, &event)?;
        }
        Ok(None)
    }
}
