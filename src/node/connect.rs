//! Asking for a peer: an invite is used, and our human is asked.

use rusqlite::Connection;

use super::{
    api::{ApiError, Connected, ErrorKind, PeerRef, Reply},
    clock,
    judge::PeerFacts,
    pairs::new_entry,
    state::{Answer, Intake, Node, PairingEntry, PeerEntry, reply, store_failed, usage},
};
use crate::{
    audit,
    base::{ClaimedName, Note, PeerId, PeerName, PendingId, limits},
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

impl Node {
    /// Uses an invite, or the words of a code. The answer waits a while for the other side's node.
    pub(super) fn connect(
        &mut self,
        invite: &str,
        name: Option<String>,
        note: Option<String>,
        answer: Answer,
    ) {
        match self.wish(name, note) {
            Err(error) => reply(answer, Err(error)),
            Ok(wish) if code::is_meant(invite) => self.connect_by_code(invite, wish, answer),
            Ok(wish) => match Invite::decode(invite, clock::now()) {
                Ok(invite) => self.connect_with(invite, wish, answer),
                Err(error) => {
                    let next = "paste the whole invite text, or type the three words of a code";
                    reply(answer, Err(usage(error, next)));
                }
            },
        }
    }

    /// What our side wants of the peer, as far as it can be seen without its id.
    fn wish(&self, name: Option<String>, note: Option<String>) -> Result<Wish, ApiError> {
        self.need_approver()?;
        let name = name.map(PeerName::try_from).transpose();
        let name = name.map_err(|e| usage(e, "choose another name"))?;
        let note =
            note.map(Note::try_from).transpose().map_err(|e| usage(e, "shorten the note"))?;
        let by_code = false;
        Ok(Wish { name, note, by_code })
    }

    /// Uses an invite that was read.
    pub(super) fn connect_with(&mut self, invite: Invite, wish: Wish, answer: Answer) {
        match self.new_request(invite, wish) {
            Err(error) => reply(answer, Err(error)),
            Ok(Request::Known(peer)) => self.answer_connect(peer, answer),
            Ok(Request::New(new)) => self.begin(*new, answer),
        }
    }

    fn new_request(&self, invite: Invite, wish: Wish) -> Result<Request, ApiError> {
        let now = clock::now();
        let Wish { name, note, by_code } = wish;
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
        self.may_connect(peer)?;
        let facts = PeerFacts { id: peer, name: self.name_of(&peer), verified: false };
        if let Verdict::Deny(reasons) = self.reasons_for(Action::PeerOut, &facts, &[]) {
            let why: Vec<_> = reasons.iter().map(|reason| reason.text.as_str()).collect();
            let message = format!("your human's policy denies it: {}", why.join("; "));
            return Err(ApiError::new(ErrorKind::Denied, message, "nothing was asked"));
        }
        if self.connecting.contains(&peer) {
            let message = "a request to this peer is being made at this moment";
            return Err(ApiError::new(ErrorKind::Busy, message, "ask again in a moment"));
        }
        let requests = self.pairings.values().filter(|e| e.pairing.is_joiner()).count();
        if requests >= limits::PENDING_REQUESTS_MAX {
            let message = format!("{requests} requests of yours wait already");
            return Err(ApiError::new(
                ErrorKind::Busy,
                message,
                "your human decides: countersign pending, or countersign page",
            ));
        }
        if known.is_none() && self.is_full() {
            let message = format!("{} peers are known", limits::PEERS_MAX);
            return Err(ApiError::new(ErrorKind::Busy, message, "use another COUNTERSIGN_HOME"));
        }
        let blocked = self.is_blocked(&peer);
        let pairing = Pairing::joiner(&invite, &me, clock::random(), note, now);
        let pairing = Pairing { by_code, ..pairing };
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
        // What a former pairing still hears must not be taken for this one.
        let former = self.leave_pairing(&peer);
        self.connecting.insert(peer);
        let entry = self.peer_entry(&peer, name, PeerState::Requested, invite.addresses);
        let peer_row = row_of(&peer, &entry);
        let (stored, pending_row) = (pairing.clone(), row.clone());
        let op = move |db: &Connection| {
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
            node.connecting.remove(&peer);
            if let Err(error) = done {
                node.go_back(peer);
                return reply(answer, Err(store_failed(&error)));
            }
            node.pending.retain(|_, row| row.peer != peer || row.message.is_some());
            node.net.distrust(&peer, close::NOT_TRUSTED);
            node.peers.insert(peer, entry);
            let waiting = vec![(answer, now.plus(limits::CONNECT_ANSWER_WAIT))];
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
            refuses_us: false,
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
    /// The invite came by a code.
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
