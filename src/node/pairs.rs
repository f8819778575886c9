//! Pairings: hearing a knock, and writing each step down before it is sent.

use rusqlite::Connection;

use super::{
    api::{ApiError, ErrorKind, Event},
    clock, grants,
    judge::PeerFacts,
    pair_write::PairWrite,
    refusals::Attempt,
    start::lan_secret,
    state::{InviteEntry, Node, PairingEntry, reply},
};
use crate::{
    base::{
        InviteId, PeerId, PeerName, PendingId,
        failpoint::{Failpoint, reach},
        limits,
    },
    delivery::{
        outbox::backoff,
        pairing::{self, Me, OpenInvite, Pairing, Step},
    },
    gate::What,
    net::LinkId,
    policy::{Action, Verdict},
    store::{
        StoreError, pairings,
        peers::{ConsentRow, PeerRow},
        pending::PendingRow,
    },
    trust::{Consent, PeerState, TrustMove},
    wire::{
        PairFrame,
        pair::{EndReason, Knock},
    },
};

impl Node {
    pub(super) fn dial(&mut self, peer: &PeerId) {
        let addresses = self.peers.get(peer).map(|entry| entry.addresses.clone());
        if let (Some(entry), Some(addresses)) = (self.pairings.get_mut(peer), addresses)
            && entry.pairing.is_joiner()
            && entry.link.is_none()
        {
            entry.dial_at = None;
            let proof = entry.pairing.proof;
            self.net.pair_dial(*peer, addresses, Some(proof));
        }
    }

    pub(super) fn on_pair_up(&mut self, peer: PeerId, link: LinkId, dialed: bool) {
        let me = self.me();
        if let (Some(entry), Some(me)) = (self.pairings.get_mut(&peer), me)
            && entry.pairing.is_joiner() == dialed
        {
            entry.link = Some(link);
            entry.tries = 0;
            // A dial that is due and not made, because there is a link, would be due all the time.
            entry.dial_at = None;
            if let Some(frame) = entry.pairing.opening(&me) {
                self.send_pair(&peer, link, frame);
            }
        }
    }

    pub(super) fn on_pair_down(&mut self, peer: PeerId, link: Option<LinkId>) {
        let Some(entry) = self.pairings.get_mut(&peer) else { return };
        if entry.link == link {
            entry.link = None;
            dial_later(entry);
        }
    }

    pub(super) fn on_pair_frame(&mut self, peer: PeerId, link: LinkId, frame: PairFrame) {
        let me = self.me().filter(|_| !self.connecting.contains(&peer));
        let Some(me) = me else { return self.net.pair_close(&peer, link) };
        if self.is_unasked(&peer) && self.denies_knock(&peer) {
            // The policy was tightened since the knock.
            self.refuse_knock(&peer, link);
            return self.drop_pairing(&peer);
        }
        match (&frame, self.pairings.get_mut(&peer)) {
            (PairFrame::Knock(knock), None) => self.on_knock(peer, link, knock, &me),
            (PairFrame::Knock(knock), Some(entry)) if entry.pairing.is_joiner() => {
                // Both sides use an invite of the other at once: the smaller id stays joiner.
                // What our human said yes to before is over: the peer does not hear our knock.
                if self.id > peer && !self.is_blocked(&peer) {
                    if self.denies_knock(&peer) {
                        return self.refuse_knock(&peer, link);
                    }
                    let knock = knock.clone();
                    self.drop_pairing(&peer);
                    self.on_knock(peer, link, &knock, &me);
                }
            }
            (PairFrame::Knock(knock), Some(entry)) if !entry.pairing.is_knock(knock) => {
                self.on_other_knock(peer, link, knock, &me);
            }
            (_, Some(entry)) if entry.link == Some(link) => {
                let steps = entry.pairing.handle(frame, &me);
                self.apply(peer, steps);
            }
            (_, _) => self.net.pair_close(&peer, link),
        }
    }

    /// The peer gave up the pairing that is, and uses another invite of ours.
    fn on_other_knock(&mut self, peer: PeerId, link: LinkId, knock: &Knock, me: &Me) {
        let former = self.pairings.get(&peer).map(|entry| entry.pairing.invite);
        let invite = self.invite_of(knock, &peer);
        if invite.is_some() && invite != former {
            self.drop_pairing(&peer);
            return self.on_knock(peer, link, knock, me);
        }
        self.refuse_knock(&peer, link);
    }

    /// Whoever may not pair hears the same, whatever the reason is.
    fn refuse_knock(&self, peer: &PeerId, link: LinkId) {
        self.send_pair(peer, link, PairFrame::End(EndReason::NoInvite));
        self.net.pair_close(peer, link);
    }

    /// The peer knocked, and our human was not asked yet.
    fn is_unasked(&self, peer: &PeerId) -> bool {
        let pairing = self.pairings.get(peer).map(|entry| &entry.pairing);
        pairing.is_some_and(|pairing| !pairing.is_joiner() && pairing.record.is_none())
    }

    /// Whether our human's policy denies that this peer asks. Notes it, but not each time.
    fn denies_knock(&mut self, peer: &PeerId) -> bool {
        let facts = PeerFacts { id: *peer, name: self.name_of(peer), verified: false };
        let Verdict::Deny(reasons) = self.reasons_for(Action::PeerIn, &facts, &[]) else {
            return false;
        };
        let rules: Vec<_> = reasons.into_iter().map(|reason| reason.rule).collect();
        let what = format!("a knock: the policy denies it: {}", rules.join(", "));
        self.refused(Attempt::Knock, what, Some(*peer));
        true
    }

    /// The open invite that a knock shows knowledge of.
    fn invite_of(&self, knock: &Knock, peer: &PeerId) -> Option<InviteId> {
        let now = clock::now();
        let given = |invite: &&InviteEntry| !invite.by_code || invite.used_by.is_some();
        let open = self.invites.iter().filter(|invite| invite.expires > now).filter(given);
        let open: Vec<OpenInvite<'_>> = open
            .map(|invite| OpenInvite {
                id: invite.id,
                secret: invite.secret.expose_secret(),
                used_by: invite.used_by,
                approver: invite.approver,
            })
            .collect();
        pairing::invite_of_knock(knock, &open, peer, &self.id)
    }

    fn on_knock(&mut self, peer: PeerId, link: LinkId, knock: &Knock, me: &Me) {
        let strangers = self.pairings.values().filter(|e| !e.pairing.is_joiner()).count();
        let known = self.peers.contains_key(&peer) || !self.is_full();
        let welcome = known && !self.is_blocked(&peer) && strangers < limits::PENDING_STRANGERS_MAX;
        let invite = self.invite_of(knock, &peer);
        let invite = invite.filter(|_| welcome && !self.denies_knock(&peer));
        let Some(invite) = invite else { return self.refuse_knock(&peer, link) };
        let mut pairing = Pairing::inviter(peer, invite, knock, clock::random());
        if let Some(entry) = self.invites.iter_mut().find(|entry| entry.id == invite) {
            entry.used_by = Some(peer);
            pairing.by_code = entry.by_code;
        }
        let steps = pairing.knocked_again(knock, me);
        let id = PendingId::from_bytes(clock::random());
        self.pairings.insert(peer, PairingEntry { link: Some(link), ..new_entry(pairing, id) });
        self.apply(peer, steps);
    }

    /// Writes the steps down in one transaction, then does what they say.
    fn apply(&mut self, peer: PeerId, steps: Vec<Step>) {
        let end = steps.iter().find_map(|step| match step {
            Step::End(reason) => Some(*reason),
            Step::Keep | Step::Ask | Step::Note(_) | Step::Trust | Step::Finish | Step::Send(_) => {
                None
            }
        });
        if let Some(reason) = end {
            return self.ended(peer, reason, steps);
        }
        let Some(write) = self.pair_write(&peer, &steps) else { return };
        let after = write.clone();
        self.write_owed();
        let asks = write.asked.is_some();
        self.asking.extend(asks.then_some(peer));
        reach(Failpoint::PairWrite);
        self.write(
            move |db| write.run(db),
            move |node, done| {
                let asking = node.asking.iter().position(|asking| asks && *asking == peer);
                asking.map(|at| node.asking.swap_remove(at));
                match done {
                    Err(error) => node.step_failed(peer, &error),
                    Ok(None) => node.applied(peer, after, steps),
                    Ok(Some(why)) => node.yes_refused(peer, &why),
                }
            },
        );
    }

    /// What the steps of a pairing change on disk.
    pub(super) fn pair_write(&self, peer: &PeerId, steps: &[Step]) -> Option<PairWrite> {
        let pairing = self.pairings.get(peer)?.pairing.clone();
        let asked = steps.contains(&Step::Ask).then(|| self.asked(peer)).flatten();
        let trusted = steps.contains(&Step::Trust).then(|| self.consented(&pairing)).flatten();
        let finished = steps.contains(&Step::Finish);
        let note = steps.iter().find_map(|step| match step {
            Step::Note(note) => Some(note.clone()),
            Step::Keep | Step::Ask | Step::Trust | Step::Finish | Step::Send(_) | Step::End(_) => {
                None
            }
        });
        let over = self.peers.get(peer).is_some_and(|entry| entry.state.is_ended());
        Some(PairWrite { pairing, asked, over, trusted, finished, note })
    }

    /// A step that could not be written has not happened. The other side will repeat it.
    pub(super) fn step_failed(&mut self, peer: PeerId, error: &StoreError) {
        tracing::error!(%error, "a pairing step could not be stored");
        self.go_back(peer);
    }

    /// What our human said yes to once does not count any more; the pairing is gone from disk.
    pub(super) fn yes_refused(&mut self, peer: PeerId, why: &str) {
        tracing::warn!(peer = %peer.short(), why, "a pairing was refused");
        self.leave_pairing(&peer);
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.warning = Some(refused_pairing(why));
        }
        self.handle.tell(Event::PeersChanged);
    }

    /// Back to the pairing that is on disk, behind all writes that were queued before.
    pub(super) fn go_back(&mut self, peer: PeerId) {
        if let Some(entry) = self.pairings.get_mut(&peer) {
            if let Some(link) = entry.link.take() {
                self.net.pair_close(&peer, link);
            }
            dial_later(entry);
        }
        let find = move |db: &Connection| pairings::find(db, &peer);
        self.write(find, move |node, found| match found {
            Ok(found) => node.gone_back(peer, found),
            // A store that takes no writes can still be read.
            Err(_) => node.read(find, move |node, found| {
                if let Ok(found) = found {
                    node.gone_back(peer, found);
                }
            }),
        });
    }

    fn gone_back(&mut self, peer: PeerId, found: Option<Pairing>) {
        let former = self.pairings.remove(&peer);
        // It ended, and the disk did not take that yet.
        let found = found.filter(|_| !self.owed.iter().any(|(of, _)| *of == peer));
        let asks = |row: &&PendingRow| row.peer == peer && row.message.is_none();
        let pending = self.pending.values().find(asks).map(|row| row.id);
        let former_tries = former.as_ref().map_or(0, |entry| entry.tries);
        let former_pending = former.as_ref().map(|entry| entry.pending);
        let waiting = former.map(|entry| entry.waiting).unwrap_or_default();
        if let Some(pairing) = found {
            let pending = pending.or(former_pending);
            let pending = pending.unwrap_or_else(|| PendingId::from_bytes(clock::random()));
            let tries = former_tries;
            let mut entry = PairingEntry { tries, waiting, ..new_entry(pairing, pending) };
            dial_later(&mut entry);
            self.pairings.insert(peer, entry);
        } else {
            for (answer, _) in waiting {
                self.answer_connect(peer, answer);
            }
        }
        self.refresh_pairing();
    }

    /// The rows that ask our human, now that the record is settled.
    fn asked(&self, peer: &PeerId) -> Option<(PeerRow, PendingRow)> {
        let entry = self.pairings.get(peer)?;
        let pairing = &entry.pairing;
        let claim = pairing.their_name.clone()?;
        let joiner = pairing.is_joiner();
        let step = if joiner { TrustMove::Request } else { TrustMove::Knock };
        let known = self.peers.get(peer);
        let state = known.map_or(PeerState::Revoked, |known| known.state).after(step)?;
        let wanted = match known.filter(|_| entry.named || !joiner) {
            Some(known) => known.name.clone(),
            None => PeerName::suggested(&claim),
        };
        let row = PeerRow {
            id: *peer,
            name: self.free_name(&wanted, peer),
            claim,
            state,
            addresses: known.map(|known| known.addresses.clone()).unwrap_or_default(),
            consent: None,
            other_approver: None,
            created: known.map_or_else(clock::now, |known| known.created),
            seen: known.and_then(|known| known.seen),
        };
        let what = if joiner { What::PeerOut } else { What::PeerIn };
        let fresh = self.pending_row(entry.pending, what, pairing, false);
        let before = self.pending.get(&entry.pending);
        let pending = match before {
            Some(before) => PendingRow { item: fresh.item, ..before.clone() },
            None => fresh,
        };
        Some((row, pending))
    }

    /// The consent that both humans signed, verified once more as a whole.
    fn consented(&self, pairing: &Pairing) -> Option<(Consent, ConsentRow)> {
        let (record, ours, theirs) =
            (pairing.record.as_ref()?.encode(), pairing.ours?.to_vec(), pairing.theirs?.to_vec());
        let me = (&self.id, self.approver.as_ref()?);
        let consent = Consent::verify(&record, &ours, &theirs, me, &pairing.peer)
            .inspect_err(|error| tracing::error!(%error, "a consent did not verify"))
            .ok()?;
        Some((consent, ConsentRow { record, ours, theirs, decision: None }))
    }

    pub(super) fn applied(&mut self, peer: PeerId, write: PairWrite, steps: Vec<Step>) {
        reach(Failpoint::PairWritten);
        // Ended meanwhile, by a human or by a new request: what ended it has the last word.
        let goes_on = |entry: &PairingEntry| entry.pairing.nonce == write.pairing.nonce;
        if !self.pairings.get(&peer).is_some_and(goes_on) {
            let anew = self.pairings.contains_key(&peer);
            if let Some((row, _)) = write.asked.filter(|_| !anew) {
                self.asked_too_late(row);
            }
            // They knocked again meanwhile, which ends no trust.
            let goes_on = self.peers.get(&peer).is_some_and(|entry| !entry.state.is_ended());
            if let Some((consent, _)) = write.trusted.filter(|_| anew && goes_on) {
                self.now_trusted(peer, consent);
            }
            return;
        }
        if let Some((row, pending)) = write.asked {
            self.now_asked(peer, row, pending);
        }
        if let Some(note) = write.note
            && let Some(row) =
                self.pairings.get(&peer).and_then(|entry| self.pending.get_mut(&entry.pending))
        {
            row.note = Some(note);
        }
        if let Some((consent, _)) = write.trusted {
            self.now_trusted(peer, consent);
        }
        let link = self.pairings.get(&peer).and_then(|entry| entry.link);
        if let Some(link) = link {
            for step in steps {
                if let Step::Send(frame) = step {
                    self.send_pair(&peer, link, frame);
                }
            }
        }
        if write.finished {
            self.drop_pairing(&peer);
        }
    }

    fn now_asked(&mut self, peer: PeerId, row: PeerRow, pending: PendingRow) {
        let fresh = self.peer_entry(&peer, row.name.clone(), row.state, row.addresses.clone());
        let entry = self.peers.entry(peer).or_insert(fresh);
        entry.name = row.name;
        entry.claim = row.claim;
        entry.state = row.state;
        self.pending.insert(pending.id, pending);
        self.pending_changed();
        self.handle.tell(Event::PeersChanged);
        self.release_waiting(&peer);
    }

    fn now_trusted(&mut self, peer: PeerId, consent: Consent) {
        // Trust that is given anew is another one: perhaps another human answers there.
        let ended = self.drop_grants(&peer);
        if !ended.is_empty() {
            let now = clock::now();
            self.write(move |db| grants::end(db, &ended, now), |_, _| ());
        }
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.state = PeerState::Trusted;
            self.net.set_lan_secret(peer, lan_secret(&consent));
            entry.consent = Some(consent);
            entry.warning = None;
            let addresses = entry.addresses.clone();
            self.announce_to(&peer);
            self.net.trust(peer, addresses);
        }
        self.handle.tell(Event::PeersChanged);
    }

    /// Answers those who wait for the other side.
    pub(super) fn release_waiting(&mut self, peer: &PeerId) {
        let Some(entry) = self.pairings.get_mut(peer) else { return };
        for (answer, _) in std::mem::take(&mut entry.waiting) {
            self.answer_connect(*peer, answer);
        }
    }

    fn ended(&mut self, peer: PeerId, reason: EndReason, steps: Vec<Step>) {
        tracing::info!(peer = %peer.short(), reason = reason.as_str(), "a pairing ended");
        let link = self.pairings.get(&peer).and_then(|entry| entry.link);
        for step in steps {
            if let (Step::Send(frame), Some(link)) = (step, link) {
                self.send_pair(&peer, link, frame);
            }
        }
        let keeps_trust = self.trusted(&peer).is_some();
        let text = match reason {
            EndReason::Denied => "the other human said no",
            EndReason::NoInvite => "the invite is not open at the other side: used, or expired",
            EndReason::Protocol => "the other side did not keep to the protocol",
        };
        if keeps_trust || !self.peers.contains_key(&peer) {
            self.drop_pairing(&peer);
            return;
        }
        let waiting = self.pairings.get_mut(&peer).map(|entry| std::mem::take(&mut entry.waiting));
        for (answer, _) in waiting.into_iter().flatten() {
            let next = "ask for a new invite";
            reply(answer, Err(ApiError::new(ErrorKind::Denied, text, next)));
        }
        let why = (TrustMove::Revoke, "the pairing ended");
        self.end_trust(peer, why, None, move |node, _| {
            if let Some(entry) = node.peers.get_mut(&peer) {
                entry.warning = Some(text.to_owned());
            }
        });
    }

    /// Forgets a pairing in memory and lets its connection go. Gives the invite that it used,
    /// whose secret is of no use any more.
    pub(super) fn leave_pairing(&mut self, peer: &PeerId) -> Option<InviteId> {
        let entry = self.pairings.remove(peer)?;
        for (answer, _) in entry.waiting {
            self.answer_connect(*peer, answer);
        }
        if let Some(link) = entry.link {
            self.net.pair_close(peer, link);
        }
        self.invites.retain(|invite| invite.id != entry.pairing.invite);
        self.refresh_pairing();
        Some(entry.pairing.invite)
    }

    pub(super) fn send_pair(&self, peer: &PeerId, link: LinkId, frame: PairFrame) {
        if self.net.pair_send(peer, link, frame).is_err() {
            // The joiner dials again, and both sides go on where they were.
            tracing::debug!(peer = %peer.short(), "a pairing frame found no link");
        }
    }
}

/// What a human reads of a pairing that was refused.
pub(super) fn refused_pairing(why: &str) -> String {
    format!("a pairing was refused: {why}; pair again with a new invite if you want to")
}

pub(super) fn new_entry(pairing: Pairing, pending: PendingId) -> PairingEntry {
    let waiting = Vec::new();
    PairingEntry { pairing, pending, link: None, tries: 0, dial_at: None, named: true, waiting }
}

/// The joiner dials again, the inviter waits.
pub(super) fn dial_later(entry: &mut PairingEntry) {
    if entry.pairing.is_joiner() {
        let [jitter] = clock::random();
        entry.dial_at = Some(clock::uptime().saturating_add(backoff(entry.tries, jitter)));
        entry.tries += 1;
    }
}
