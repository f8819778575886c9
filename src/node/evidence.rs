//! A human looks at what trust rests on and at what happened: one peer in full, and the timeline.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use rusqlite::Connection;

use super::{
    api::{ApiError, AuditRecord, ConsentInfo, ConsentSide, PeerRef, PeerShown, Reply, Timeline},
    state::{Answer, Node, reply, store_failed, usage},
    talks::{cut, place},
};
use crate::{
    base::{ApproverId, PeerId, limits},
    identity,
    store::{
        peers::{self, ConsentRow},
        timeline::{self, Filter},
    },
    trust::{Consent, ConsentError, PeerState},
    wire::Party,
};

impl Node {
    pub(super) fn peer_show(&mut self, peer: &str, answer: Answer) {
        let id = match self.find_peer(peer) {
            Ok(id) => id,
            Err(error) => return reply(answer, Err(error)),
        };
        let op = move |db: &Connection| peers::find(db, &id);
        self.read(op, move |node, found| {
            let result = found.map_err(|e| store_failed(&e)).and_then(|row| {
                node.peer_in_full(id, row.and_then(|row| row.consent)).map(Reply::PeerShown)
            });
            reply(answer, result);
        });
    }

    fn peer_in_full(&self, id: PeerId, row: Option<ConsentRow>) -> Result<PeerShown, ApiError> {
        let mut peer = self.peer_now(&id)?;
        // With any other state our own signature is gone, and there is nothing to verify.
        let consent = row
            .filter(|_| peer.state == PeerState::Trusted)
            .zip(self.approver)
            .map(|(row, approver)| self.consent_view(&id, &approver, &row));
        let consent = match consent {
            None => None,
            Some(Ok(consent)) => Some(consent),
            Some(Err(error)) => {
                peer.warning = Some(format!("the consent in the database does not hold: {error}"));
                None
            }
        };
        let asks = self.pending.values().find(|row| row.peer == id && row.message.is_none());
        let since = self.peers.get(&id).map(|entry| entry.created).unwrap_or_default();
        Ok(PeerShown {
            peer,
            did: identity::did_key(&id),
            words: identity::fingerprint_words(&id).into_iter().map(str::to_owned).collect(),
            since: since.rfc3339(),
            consent,
            pending: asks.map(|row| row.id.to_string()),
        })
    }

    /// The consent as it is on disk now, if it verifies.
    fn consent_view(
        &self,
        peer: &PeerId,
        approver: &ApproverId,
        row: &ConsentRow,
    ) -> Result<ConsentInfo, ConsentError> {
        let me = (&self.id, approver);
        let consent = Consent::verify(&row.record, &row.ours, &row.theirs, me, peer)?;
        let record = consent.record();
        let side = |role: &str, party: &Party| {
            let ours = party.identity == self.id;
            ConsentSide {
                role: role.to_owned(),
                ours,
                name: party.name.to_string(),
                node: party.identity.to_string(),
                approver: identity::did_key(&party.approver),
                signature: HEXLOWER.encode(if ours { &row.ours } else { &row.theirs }),
            }
        };
        Ok(ConsentInfo {
            record: HEXLOWER.encode(&row.record),
            knocked_at: record.created.rfc3339(),
            words: record.words().into_iter().map(str::to_owned).collect(),
            sides: vec![side("inviter", &record.inviter), side("joiner", &record.joiner)],
        })
    }

    pub(super) fn timeline(
        &mut self,
        (events, peer): (Vec<String>, Option<&str>),
        before: Option<u64>,
        limit: u32,
        answer: Answer,
    ) {
        let limit = limit.clamp(1, limits::EVIDENCE_PAGE_MAX);
        let filter = self.timeline_filter(events, peer, before, limit);
        let filter = match filter {
            Ok(filter) => filter,
            Err(error) => return reply(answer, Err(error)),
        };
        let op = move |db: &Connection| timeline::newest(db, &filter);
        self.scan(op, move |node, found| {
            let result = found.map_err(|e| store_failed(&e)).map(|mut records| {
                let more = cut(&mut records, limit);
                let older = records.last().filter(|_| more).map(|record| record.seq);
                let records: Vec<AuditRecord> = records.iter().map(AuditRecord::from).collect();
                let peers = node.peers_named(&records);
                Reply::Timeline(Timeline { records, peers, older })
            });
            reply(answer, result);
        });
    }

    fn timeline_filter(
        &self,
        events: Vec<String>,
        peer: Option<&str>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Filter, ApiError> {
        let (count, count_max) = (events.len(), limits::EVIDENCE_EVENTS_MAX);
        if count > count_max {
            let message = format!("{count} events are named; the limit is {count_max}");
            return Err(usage(message, "name fewer, or none for all"));
        }
        let peer = peer.map(|peer| self.find_peer(peer)).transpose()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
        Ok(Filter { events, peer, before: place(before), limit })
    }

    fn peers_named(&self, records: &[AuditRecord]) -> Vec<PeerRef> {
        let named = records.iter().filter_map(|record| record.event.get("peer")?.as_str());
        let ids: BTreeSet<PeerId> = named.filter_map(|id| id.parse().ok()).collect();
        let known = ids.iter().filter(|id| self.peers.contains_key(id));
        known.map(|id| PeerRef { id: id.to_string(), name: self.name_of(id) }).collect()
    }
}
