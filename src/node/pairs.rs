//! Pairings: using an invite, hearing a knock, and writing each step down before it is sent.

use rusqlite::Connection;

use super::{
    api::{ApiError, Connected, ErrorKind, Event, PeerRef, Reply},
    clock,
    pair_write::PairWrite,
    state::{Answer, Node, PairingEntry, PeerEntry, reply, store_failed, usage},
};
use crate::{
    audit,
    base::{ClaimedName, Note, PeerId, PeerName, PendingId, limits},
    delivery::{
        outbox::Outbox,
        pairing::{self, Me, OpenInvite, Pairing, Step},
    },
    gate::{Item, What},
    net::{LinkId, code},
    policy::{self, Action, Verdict},
    risk,
    store::{
        self, pairings,
        peers::{self, ConsentRow, PeerRow},
        pending::{self, PendingRow},
    },
    trust::{Consent, PeerState, TrustMove},
    wire::{
        Invite, PairFrame,
        pair::{EndReason, Knock},
    },
};

impl Node {
    /// Uses an invite. The answer waits a while for the other side's node.
    pub(super) fn connect(
        &mut self,
        invite: &str,
        name: Option<String>,
        note: Option<String>,
        answer: Answer,
    ) {
        match self.new_request(invite, name, note) {
            Err(error) => reply(answer, Err(error)),
            Ok(Request::Known(peer)) => self.answer_connect(peer, answer),
            Ok(Request::New(new)) => self.begin(*new, answer),
        }
    }

    fn new_request(
        &self,
        invite: &str,
        name: Option<String>,
        note: Option<String>,
    ) -> Result<Request, ApiError> {
        let now = clock::now();
        let invite =
            Invite::decode(invite, now).map_err(|e| usage(e, "paste the whole invite text"))?;
        self.need_approver()?;
        let me = self.me().ok_or_else(no_approver)?;
        if invite.inviter == self.id {
            let next = "give it to the other person; their agent uses it";
            return Err(usage("this invite is your own", next));
        }
        let name = name.map(PeerName::try_from).transpose();
        let name = name.map_err(|e| usage(e, "choose another name"))?;
        let note =
            note.map(Note::try_from).transpose().map_err(|e| usage(e, "shorten the note"))?;
        let peer = invite.inviter;
        if let Some(name) = name.as_ref().filter(|name| self.free_name(name, &peer) != **name) {
            return Err(usage(format!("another peer is called {name}"), "choose another name"));
        }
        let known = self.peers.get(&peer);
        let paired = self.pairings.get(&peer).is_some_and(|e| e.pairing.invite == invite.id());
        // A peer that refuses us has ended its side: a new invite begins anew.
        let holds = |entry: &PeerEntry| entry.state == PeerState::Trusted && !entry.refuses_us;
        if paired || known.is_some_and(holds) {
            return Ok(Request::Known(peer));
        }
        let requests = self.pairings.values().filter(|e| e.pairing.is_joiner()).count();
        if requests >= limits::PENDING_REQUESTS_MAX {
            let message = format!("{requests} requests of yours wait already");
            return Err(ApiError::new(
                ErrorKind::Busy,
                message,
                "your human decides: countersign pending",
            ));
        }
        let blocked = self.is_blocked(&peer);
        let pairing = Pairing::joiner(&invite, &me, clock::random(), note, now);
        let named = name.is_some();
        let name = name.unwrap_or_else(|| self.first_name(&peer));
        Ok(Request::New(Box::new(New { invite, pairing, name, named, blocked })))
    }

    /// What a peer is called until it has said its name.
    fn first_name(&self, peer: &PeerId) -> PeerName {
        let known = self.peers.get(peer).map(|entry| entry.name.clone());
        let short = || PeerName::parse(&format!("peer-{}", peer.short())).ok();
        let fallback = || PeerName::suggested(&self.name);
        self.free_name(&known.or_else(short).unwrap_or_else(fallback), peer)
    }

    fn begin(&mut self, new: New, answer: Answer) {
        let now = clock::now();
        let New { invite, pairing, name, named, blocked } = new;
        let peer = pairing.peer;
        let id = PendingId::from_bytes(clock::random());
        let row = self.pending_row(id, What::PeerOut, &pairing, blocked);
        let old = self.pairings.get(&peer).map(|entry| entry.pending);
        let entry = self.peer_entry(&peer, name, PeerState::Requested, invite.addresses);
        let peer_row = row_of(&peer, &entry);
        let (stored, pending_row) = (pairing.clone(), row.clone());
        let op = move |db: &Connection| {
            if let Some(old) = old {
                pending::remove(db, &old)?;
            }
            peers::set_state(db, &peer, PeerState::Revoked)?;
            peers::put(db, &peer_row)?;
            pairings::put(db, &stored)?;
            pending::put(db, &pending_row)?;
            let direction = "out".to_owned();
            let event = audit::Event::PeerAsked { peer: peer.to_string(), direction };
            store::audit::append(db, now, &event).map(drop)
        };
        self.write(op, move |node, done| {
            if let Err(error) = done {
                return reply(answer, Err(store_failed(&error)));
            }
            if let Some(old) = old {
                node.pending.remove(&old);
            }
            node.net.distrust(&peer, code::NOT_TRUSTED);
            node.peers.insert(peer, entry);
            let waiting = vec![(answer, now.plus(limits::CONNECT_ANSWER_WAIT))];
            node.pairings.insert(peer, PairingEntry { named, waiting, ..new_entry(pairing, id) });
            node.pending.insert(id, row);
            node.refresh_pairing();
            node.dial(&peer);
            node.handle.tell(Event::PendingChanged);
        });
    }

    /// The entry of a peer that is new, or whose state goes on.
    fn peer_entry(
        &self,
        peer: &PeerId,
        name: PeerName,
        state: PeerState,
        addresses: Vec<String>,
    ) -> PeerEntry {
        let known = self.peers.get(peer);
        let said = known.map(|entry| entry.claim.clone());
        PeerEntry {
            claim: said
                .or_else(|| ClaimedName::parse(name.as_str()).ok())
                .unwrap_or_else(|| self.name.clone()),
            name,
            state,
            consent: None,
            verified: false,
            addresses,
            created: known.map_or_else(clock::now, |entry| entry.created),
            seen: known.and_then(|entry| entry.seen),
            warning: None,
            refuses_us: false,
            link: None,
            outbox: Outbox::new(),
            no_room_for: None,
        }
    }

    fn pending_row(
        &self,
        id: PendingId,
        what: What,
        pairing: &Pairing,
        blocked: bool,
    ) -> PendingRow {
        let action = if what == What::PeerOut { Action::PeerOut } else { Action::PeerIn };
        let mut reasons = match policy::decide(action, &[]) {
            Verdict::Ask(reasons) => reasons,
            Verdict::Allow => Vec::new(),
        };
        if blocked {
            reasons.push(policy::Reason {
                rule: policy::BLOCKED.to_owned(),
                severity: risk::Severity::Critical,
                text: "you blocked this peer before; approving unblocks it".to_owned(),
            });
        }
        // The agent's note leaves with our human's yes.
        let findings = pairing.note.as_ref().map(|note| risk::scan(note.as_str()));
        if let Verdict::Ask(more) =
            policy::decide(Action::MessageOut, &findings.unwrap_or_default())
        {
            reasons.extend(more);
        }
        let invite = self.invites.iter().find(|invite| invite.id == pairing.invite);
        let now = clock::now();
        PendingRow {
            id,
            what,
            peer: pairing.peer,
            message: None,
            item: pairing.record.clone().map(|record| Item::Peer(what, record)),
            reasons,
            note: pairing.note.clone().or_else(|| invite.and_then(|invite| invite.note.clone())),
            created: now,
            expires: now.plus(limits::PENDING_PEER_LIFE),
        }
    }

    pub(super) fn dial(&mut self, peer: &PeerId) {
        let addresses = self.peers.get(peer).map(|entry| entry.addresses.clone());
        if let (Some(entry), Some(addresses)) = (self.pairings.get_mut(peer), addresses)
            && entry.pairing.is_joiner()
            && entry.link.is_none()
        {
            entry.dial_at = None;
            self.net.pair_dial(*peer, addresses);
        }
    }

    /// Answers whoever waits for a connect.
    fn answer_connect(&self, peer: PeerId, answer: Answer) {
        let Some(entry) = self.peers.get(&peer) else {
            let next = "connect again with a new invite";
            return reply(
                answer,
                Err(ApiError::new(ErrorKind::NotFound, "the request ended", next)),
            );
        };
        let pending = self.pairings.get(&peer).map(|pairing| pairing.pending);
        let pending = pending.filter(|id| self.pending.contains_key(id)).map(|id| id.to_string());
        let answered = self.pairings.get(&peer).is_none_or(|p| p.pairing.record.is_some());
        let next = match (&pending, entry.state) {
            (_, PeerState::Trusted) => "connected: send with peer_send".to_owned(),
            (Some(_), _) if !answered => "the other side's node has not answered yet; it is tried \
                again and again. Once it has, your human runs: countersign pending"
                .to_owned(),
            (Some(id), _) => {
                format!("your human decides: countersign approve {id}")
            }
            (None, PeerState::Requested) => {
                "your side said yes; the other human decides".to_owned()
            }
            (None, _) => "the request was denied or ended; ask for a new invite".to_owned(),
        };
        let peer = PeerRef { id: peer.to_string(), name: entry.name.to_string() };
        reply(answer, Ok(Reply::Connect(Connected { peer, state: entry.state, pending, next })));
    }

    pub(super) fn on_pair_up(&mut self, peer: PeerId, link: LinkId, dialed: bool) {
        if !dialed {
            self.knocking.insert(peer, link);
        }
        let me = self.me();
        if let (Some(entry), Some(me)) = (self.pairings.get_mut(&peer), me)
            && entry.pairing.is_joiner() == dialed
        {
            entry.link = Some(link);
            entry.tries = 0;
            if let Some(frame) = entry.pairing.opening(&me) {
                self.send_pair(&peer, link, frame);
            }
        }
    }

    pub(super) fn on_pair_down(&mut self, peer: PeerId, link: Option<LinkId>) {
        if self.knocking.get(&peer).copied() == link {
            self.knocking.remove(&peer);
        }
        let Some(entry) = self.pairings.get_mut(&peer) else { return };
        if entry.link == link {
            entry.link_lost(clock::now());
        }
    }

    pub(super) fn on_pair_frame(&mut self, peer: PeerId, link: LinkId, frame: PairFrame) {
        let Some(me) = self.me() else { return self.net.pair_close(&peer, link) };
        match (&frame, self.pairings.get_mut(&peer)) {
            (PairFrame::Knock(knock), None) => self.on_knock(peer, link, knock, &me),
            (PairFrame::Knock(knock), Some(entry)) if entry.pairing.is_joiner() => {
                // Both sides use an invite of the other at once: the smaller id stays joiner.
                let undecided = entry.pairing.ours.is_none();
                if self.id > peer && undecided && !self.is_blocked(&peer) {
                    let knock = knock.clone();
                    self.drop_pairing(&peer);
                    self.on_knock(peer, link, &knock, &me);
                }
            }
            (_, Some(entry)) if entry.link == Some(link) => {
                let steps = entry.pairing.handle(frame, &me);
                self.apply(peer, steps);
            }
            (_, _) => self.net.pair_close(&peer, link),
        }
    }

    fn on_knock(&mut self, peer: PeerId, link: LinkId, knock: &Knock, me: &Me) {
        let now = clock::now();
        let open: Vec<OpenInvite<'_>> = self
            .invites
            .iter()
            .filter(|invite| invite.expires > now)
            .map(|invite| OpenInvite {
                id: invite.id,
                secret: invite.secret.expose_secret(),
                used_by: invite.used_by,
            })
            .collect();
        let strangers = self.pairings.values().filter(|e| !e.pairing.is_joiner()).count();
        let welcome = !self.is_blocked(&peer) && strangers < limits::PENDING_STRANGERS_MAX;
        let invite = pairing::invite_of_knock(knock, &open, &peer, &self.id);
        let Some(invite) = invite.filter(|_| welcome) else {
            self.send_pair(&peer, link, PairFrame::End(EndReason::NoInvite));
            return self.net.pair_close(&peer, link);
        };
        let pairing = Pairing::inviter(peer, invite, knock, clock::random());
        let steps = pairing.knocked_again(knock, me);
        if let Some(entry) = self.invites.iter_mut().find(|entry| entry.id == invite) {
            entry.used_by = Some(peer);
        }
        let id = PendingId::from_bytes(clock::random());
        self.pairings.insert(peer, PairingEntry { link: Some(link), ..new_entry(pairing, id) });
        self.write(move |db| peers::use_invite(db, &invite, &peer), |_, _| ());
        self.apply(peer, steps);
    }

    /// Writes the steps down in one transaction, then does what they say.
    pub(super) fn apply(&mut self, peer: PeerId, steps: Vec<Step>) {
        let Some(entry) = self.pairings.get(&peer) else { return };
        if let Some(reason) = steps.iter().find_map(|step| match step {
            Step::End(reason) => Some(*reason),
            Step::Keep | Step::Ask | Step::Note(_) | Step::Trust | Step::Finish | Step::Send(_) => {
                None
            }
        }) {
            return self.ended(peer, reason, steps);
        }
        let pairing = entry.pairing.clone();
        let asked = steps.contains(&Step::Ask).then(|| self.asked(&peer)).flatten();
        let trusted = steps.contains(&Step::Trust).then(|| self.consented(&pairing)).flatten();
        let finished = steps.contains(&Step::Finish);
        let note = steps.iter().find_map(|step| match step {
            Step::Note(note) => Some(note.clone()),
            Step::Keep | Step::Ask | Step::Trust | Step::Finish | Step::Send(_) | Step::End(_) => {
                None
            }
        });
        let write = PairWrite { pairing, asked, trusted, finished, note };
        let after = write.clone();
        self.write(
            move |db| write.run(db),
            move |node, done| match done {
                Err(error) => tracing::error!(%error, "a pairing step could not be stored"),
                Ok(()) => node.applied(peer, after, steps),
            },
        );
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

    fn applied(&mut self, peer: PeerId, write: PairWrite, steps: Vec<Step>) {
        // Our nonce is drawn anew for each pairing.
        let same = |entry: &PairingEntry| entry.pairing.nonce == write.pairing.nonce;
        if !self.pairings.get(&peer).is_some_and(same) {
            // It ended while this was written, and what ended it is written behind this.
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
            self.end_pairing(&peer);
        }
    }

    fn now_asked(&mut self, peer: PeerId, row: PeerRow, pending: PendingRow) {
        let fresh = self.peer_entry(&peer, row.name.clone(), row.state, row.addresses.clone());
        let entry = self.peers.entry(peer).or_insert(fresh);
        entry.name = row.name;
        entry.claim = row.claim;
        entry.state = row.state;
        self.pending.insert(pending.id, pending);
        self.handle.tell(Event::PendingChanged);
        self.handle.tell(Event::PeersChanged);
        self.release_waiting(&peer);
    }

    fn now_trusted(&mut self, peer: PeerId, consent: Consent) {
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.state = PeerState::Trusted;
            entry.consent = Some(consent);
            entry.warning = None;
            let addresses = entry.addresses.clone();
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
        self.end_trust(peer, TrustMove::Revoke, "the pairing ended", move |node, _| {
            if let Some(entry) = node.peers.get_mut(&peer) {
                entry.warning = Some(text.to_owned());
            }
        });
    }

    /// Forgets a pairing in memory and lets its connection go.
    pub(super) fn end_pairing(&mut self, peer: &PeerId) {
        let Some(entry) = self.pairings.remove(peer) else { return };
        for (answer, _) in entry.waiting {
            self.answer_connect(*peer, answer);
        }
        if let Some(link) = entry.link {
            self.net.pair_close(peer, link);
        }
        self.invites.retain(|invite| invite.id != entry.pairing.invite);
        let (invite, now) = (entry.pairing.invite, clock::now());
        // The secret is of no use any more; a copy that stays opens nothing, for it was used.
        self.write(move |db| peers::remove_invites(db, now, Some(&invite)), |_, _| ());
        self.refresh_pairing();
    }

    /// Forgets a pairing everywhere.
    pub(super) fn drop_pairing(&mut self, peer: &PeerId) {
        let (peer, pending) = (*peer, self.pairings.get(peer).map(|entry| entry.pending));
        self.end_pairing(&peer);
        if let Some(pending) = pending {
            self.pending.remove(&pending);
        }
        let op = move |db: &Connection| {
            pairings::remove(db, &peer)?;
            pending.map(|id| pending::remove(db, &id)).transpose().map(drop)
        };
        self.write(op, |node, _| node.handle.tell(Event::PendingChanged));
    }

    pub(super) fn send_pair(&self, peer: &PeerId, link: LinkId, frame: PairFrame) {
        if self.net.pair_send(peer, link, frame).is_err() {
            // The joiner dials again, and both sides go on where they were.
            tracing::debug!(peer = %peer.short(), "a pairing frame found no link");
        }
    }
}

enum Request {
    Known(PeerId),
    New(Box<New>),
}

struct New {
    invite: Invite,
    pairing: Pairing,
    name: PeerName,
    named: bool,
    blocked: bool,
}

fn no_approver() -> ApiError {
    ApiError::new(ErrorKind::WaitsForHuman, "no approver is set up", "run: countersign init")
}

pub(super) fn new_entry(pairing: Pairing, pending: PendingId) -> PairingEntry {
    let waiting = Vec::new();
    PairingEntry { pairing, pending, link: None, tries: 0, dial_at: None, named: true, waiting }
}

fn row_of(peer: &PeerId, entry: &PeerEntry) -> PeerRow {
    PeerRow {
        id: *peer,
        name: entry.name.clone(),
        claim: entry.claim.clone(),
        state: entry.state,
        addresses: entry.addresses.clone(),
        consent: None,
        other_approver: None,
        created: entry.created,
        seen: entry.seen,
    }
}
