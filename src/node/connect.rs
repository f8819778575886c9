//! Asking for a peer: an invite is used, and our human is asked.

use rusqlite::Connection;

use super::{
    api::{ApiError, Connected, ErrorKind, PeerRef, Reply, UseInvite},
    clock,
    judge::PeerFacts,
    lowered,
    pairs::new_entry,
    state::{Answer, Intake, Node, PairingEntry, PeerEntry, reply, store_failed, usage},
};
use crate::{
    audit,
    base::{
        ClaimedName, Note, PeerId, PeerName, PendingId,
        failpoint::{Failpoint, reach},
        limits,
    },
    delivery::{outbox::Outbox, pairing::Pairing},
    gate::{Item, What},
    net::code as close,
    policy::{self, Action, Reason, Verdict},
    risk,
    store::{
        self, pairings,
        peers::{self, PeerRow},
        pending::{self, PendingRow},
    },
    trust::PeerState,
    wire::{Invite, code},
};

/// Who uses an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// An agent, with what it was given.
    Agent,
    /// Our human.
    Human,
}

impl Node {
    /// Uses an invite, or the words of a code. The answer waits a while for the other side's node.
    pub(super) fn connect(&mut self, asked: UseInvite, by: Asker, answer: Answer) {
        let UseInvite { invite, name, note } = asked;
        let next = "paste the whole invite text, or type the three words of a code";
        let decode = || Invite::decode(&invite, clock::now()).map_err(|e| usage(e, next));
        let read = if code::is_meant(&invite) { Ok(None) } else { decode().map(Some) };
        match read.and_then(|read| Ok((read, self.wish(name, note, by)?))) {
            Err(error) => reply(answer, Err(error)),
            Ok((Some(invite), wish)) => self.connect_with(invite, wish, answer),
            Ok((None, wish)) => self.connect_by_code(&invite, wish, answer),
        }
    }

    /// What our side wants of the peer, as far as it can be seen without its id.
    fn wish(
        &self,
        name: Option<String>,
        note: Option<String>,
        by: Asker,
    ) -> Result<Wish, ApiError> {
        self.need_approver()?;
        let name = name.map(PeerName::try_from).transpose();
        let name = name.map_err(|e| usage(e, "choose another name"))?;
        let note =
            note.map(Note::try_from).transpose().map_err(|e| usage(e, "shorten the note"))?;
        Ok(Wish { name, note, by, by_code: false })
    }

    /// Uses an invite that was read.
    pub(super) fn connect_with(&mut self, invite: Invite, wish: Wish, answer: Answer) {
        match self.new_request(invite, wish) {
            Err(error) => reply(answer, Err(error)),
            Ok(Request::Known(peer)) => self.answer_connect(peer, answer),
            Ok(Request::New(new)) => self.begin(*new, answer),
        }
    }

    fn new_request(&self, mut invite: Invite, wish: Wish) -> Result<Request, ApiError> {
        let now = clock::now();
        let Wish { name, note, by, by_code } = wish;
        let me = self.me().ok_or_else(no_approver)?;
        if invite.inviter == self.id {
            let next = "give it to the other person; their agent uses it";
            return Err(usage("this invite is your own", next));
        }
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
        if by == Asker::Agent {
            self.may_connect(peer)?;
            self.leave_strange_addresses(&mut invite.addresses)?;
        }
        self.policy_lets_ask(peer)?;
        if self.connecting.contains(&peer) {
            let message = "a request to this peer is being made at this moment";
            return Err(ApiError::new(ErrorKind::Busy, message, "ask again in a moment"));
        }
        self.has_room_to_ask(known.is_some())?;
        let blocked = self.is_blocked(&peer);
        let pairing = Pairing::joiner(&invite, &me, clock::random(), note, now);
        let pairing = Pairing { by_code, ..pairing };
        let named = name.is_some();
        let name = name.unwrap_or_else(|| self.first_name(&peer));
        Ok(Request::New(Box::new(New { invite, pairing, name, named, blocked })))
    }

    /// The policy does not deny that this peer is asked for.
    fn policy_lets_ask(&self, peer: PeerId) -> Result<(), ApiError> {
        let facts = PeerFacts { id: peer, name: self.name_of(&peer), verified: false };
        let Verdict::Deny(reasons) = self.reasons_for(Action::PeerOut, &facts, &[]) else {
            return Ok(());
        };
        let why: Vec<_> = reasons.iter().map(|reason| reason.text.as_str()).collect();
        let message = format!("your human's policy denies it: {}", why.join("; "));
        Err(ApiError::new(ErrorKind::Denied, message, "nothing was asked"))
    }

    /// There is room for one more request of ours, and for a peer that is not `known` yet.
    fn has_room_to_ask(&self, known: bool) -> Result<(), ApiError> {
        let requests = self.pairings.values().filter(|e| e.pairing.is_joiner()).count();
        if requests >= limits::PENDING_REQUESTS_MAX {
            let message = format!("{requests} requests of yours wait already");
            let next = "your human decides: countersign pending, or countersign page";
            return Err(ApiError::new(ErrorKind::Busy, message, next));
        }
        if !known && self.is_full() {
            let message = format!("{} peers are known", limits::PEERS_MAX);
            return Err(ApiError::new(ErrorKind::Busy, message, "use another COUNTERSIGN_HOME"));
        }
        Ok(())
    }

    /// All that can speak against a request to somebody who is not known yet, before anything
    /// leaves. Our human's own is not held up by what an agent has read.
    pub(super) fn may_ask_somebody(&self, by: Asker) -> Result<(), ApiError> {
        if by == Asker::Agent {
            // Whoever it is: our own id is no source of what was read.
            self.may_connect(self.id)?;
        }
        self.policy_lets_ask(PeerId::from_bytes([0; 32]))?;
        self.has_room_to_ask(false)
    }

    /// Where those that we trust are.
    pub(super) fn trusted_addresses(&self) -> Vec<String> {
        let trusted = self.peers.values().filter(|entry| entry.state == PeerState::Trusted);
        trusted.flat_map(|entry| entry.addresses.clone()).collect()
    }

    /// Whoever wrote an invite chose what it names. Asking a relay looks its name up, and a packet
    /// to an address tells whoever is there: words could leave that way, before a human said yes to
    /// anything.
    fn leave_strange_addresses(&self, addresses: &mut Vec<String>) -> Result<(), ApiError> {
        let strange = self.net.strange_addresses(addresses, &self.trusted_addresses());
        if let Some(address) = strange.first().filter(|_| strange.len() == addresses.len()) {
            let message = format!(
                "this invite is for an address that neither this node nor its peers use: \"{}\"",
                address.escape_debug()
            );
            let next = "your human may use it: countersign connect INVITE, in a terminal or on the \
                        page; or they add the relay to config.toml";
            return Err(ApiError::new(ErrorKind::WaitsForHuman, message, next));
        }
        addresses.retain(|address| !strange.contains(address));
        Ok(())
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
        // What a former pairing still hears must not be taken for this one.
        let former = self.leave_pairing(&peer);
        self.connecting.insert(peer);
        let entry = self.peer_entry(&peer, name, PeerState::Requested, invite.addresses);
        let peer_row = row_of(&peer, &entry);
        let (stored, pending_row) = (pairing.clone(), row.clone());
        // What ended before is written before, or it would end this one.
        self.write_owed();
        let ended = self.peers.get(&peer).is_some_and(|entry| entry.state.is_ended());
        reach(Failpoint::ConnectWrite);
        let op = move |db: &Connection| {
            if ended {
                lowered::end_on_disk(db, &peer, now)?;
            }
            // By the disk: a consent may have been written since.
            if peers::find(db, &peer)?.is_some_and(|row| row.state == PeerState::Trusted) {
                let (from, to) = (PeerState::Trusted.as_str(), PeerState::Requested.as_str());
                let (peer, from, to) = (peer.to_string(), from.to_owned(), to.to_owned());
                let event = audit::Event::TrustMoved { peer, from, to };
                store::audit::append(db, now, &event)?;
            }
            pending::remove_asks(db, &peer)?;
            peers::remove_invites(db, now, former.as_ref())?;
            peers::set_state(db, &peer, PeerState::Revoked)?;
            peers::put(db, &peer_row)?;
            pairings::put(db, &stored)?;
            pending::put(db, &pending_row)?;
            let direction = "out".to_owned();
            let event = audit::Event::PeerAsked { peer: peer.to_string(), direction };
            store::audit::append(db, now, &event).map(drop)
        };
        self.write(op, move |node, done| {
            let goes_on = node.connecting.remove(&peer);
            if let Err(error) = done {
                node.go_back(peer);
                return reply(answer, Err(store_failed(&error)));
            }
            if !goes_on {
                // The end is written right behind it.
                let next = "connect again if you still want to";
                let ended = "trust was ended while this was written";
                return reply(answer, Err(ApiError::new(ErrorKind::Denied, ended, next)));
            }
            reach(Failpoint::ConnectWritten);
            node.pending.retain(|_, row| row.peer != peer || row.message.is_some());
            node.net.distrust(&peer, close::NOT_TRUSTED);
            node.peers.insert(peer, entry);
            let waiting =
                vec![(answer, clock::uptime().saturating_add(limits::CONNECT_ANSWER_WAIT))];
            node.pairings.insert(peer, PairingEntry { named, waiting, ..new_entry(pairing, id) });
            node.pending.insert(id, row);
            node.refresh_pairing();
            node.dial(&peer);
            node.pending_changed();
        });
    }

    /// The entry of a peer that is new, or whose state goes on.
    pub(super) fn peer_entry(
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
            requires: known.map(|entry| entry.requires.clone()).unwrap_or_default(),
            sessions: known.is_some_and(|entry| entry.sessions),
            chains: known.map(|entry| entry.chains).unwrap_or_default(),
            refuses_us: false,
            version: None,
            skew_ms: None,
            link: None,
            outbox: Outbox::new(),
            intake: Intake::default(),
        }
    }

    pub(super) fn pending_row(
        &self,
        id: PendingId,
        what: What,
        pairing: &Pairing,
        blocked: bool,
    ) -> PendingRow {
        let action = if what == What::PeerOut { Action::PeerOut } else { Action::PeerIn };
        let facts =
            PeerFacts { id: pairing.peer, name: self.name_of(&pairing.peer), verified: false };
        let note = pairing.note.as_ref();
        let findings = note.map(|note| self.rules.scanner.scan(note.as_str())).unwrap_or_default();
        let mut reasons = match self.reasons_for(action, &facts, &findings) {
            Verdict::Ask(reasons) | Verdict::Deny(reasons) => reasons,
            Verdict::Allow => Vec::new(),
        };
        if blocked {
            reasons.push(Reason {
                rule: policy::BLOCKED.to_owned(),
                severity: risk::Severity::Critical,
                text: "you blocked this peer before; approving unblocks it".to_owned(),
            });
        }
        // The agent's note leaves with our human's yes.
        reasons.extend(findings.iter().filter(|f| f.severity >= policy::ASK_FROM).map(Reason::of));
        let invite = self.invites.iter().find(|invite| invite.id == pairing.invite);
        let now = clock::now();
        PendingRow {
            id,
            what,
            peer: pairing.peer,
            message: None,
            item: pairing.record.clone().map(|record| Item::Peer(what, record)),
            reasons,
            after: Vec::new(),
            note: pairing.note.clone().or_else(|| invite.and_then(|invite| invite.note.clone())),
            created: now,
            expires: now.plus(limits::PENDING_PEER_LIFE),
        }
    }

    /// Answers whoever waits for a connect.
    pub(super) fn answer_connect(&self, peer: PeerId, answer: Answer) {
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
                again and again. Once it has, your human decides: countersign pending, or \
                countersign page"
                .to_owned(),
            (Some(id), _) => {
                format!("your human decides: countersign approve {id}, or countersign page")
            }
            (None, PeerState::Requested) => {
                "your side said yes; the other human decides".to_owned()
            }
            (None, _) => "the request was denied or ended; ask for a new invite".to_owned(),
        };
        let peer = PeerRef { id: peer.to_string(), name: entry.name.to_string() };
        reply(
            answer,
            Ok(Reply::Connect(Connected { peer, state: entry.state, pending, answered, next })),
        );
    }
}

/// What our side wants of a peer that it asks for.
pub(super) struct Wish {
    pub(super) name: Option<PeerName>,
    pub(super) note: Option<Note>,
    /// Who asks.
    pub(super) by: Asker,
    /// The invite came by a code: its sender proved to know the words, and sealed it.
    pub(super) by_code: bool,
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
    ApiError::new(
        ErrorKind::WaitsForHuman,
        "no approver is set up",
        "run countersign init in a terminal, or countersign page",
    )
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
