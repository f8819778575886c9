//! How long messages are kept, what the human deletes, and whom they forget.
//!
//! By their age messages go in a sweep each hour; the rule for which is in [`deletion`].

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{
    agent::no_message,
    api::{
        ApiError, Erased, ErrorKind, Event, Forgotten, KeepRequest, KeepTime, Kept, KeptOf,
        PeerRef, Reply,
    },
    clock,
    erase::{Erasing, tell_erased},
    state::{Answer, Node, reply, store_failed, usage},
    witness::{self, Chains},
};
use crate::{
    audit,
    base::{ClaimedName, MessageId, PeerId, PeerName, Timestamp, limits},
    store::{
        self, StoreError,
        deletion::{self, Choice, Rule, Standing},
        retention::{self, Keep, Setting},
    },
    trust::PeerState,
};

/// What the human set, in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keeping {
    all: Option<u32>,
    of: BTreeMap<PeerId, Option<u32>>,
}

impl Keeping {
    /// As it is on disk.
    pub(super) fn of(settings: &[Setting]) -> Self {
        let mut keeping = Self::default();
        for Setting { peer, keep } in settings {
            match peer {
                None => keeping.all = keep.days(),
                Some(peer) => drop(keeping.of.insert(*peer, keep.days())),
            }
        }
        keeping
    }

    /// With the change.
    fn with(mut self, peer: Option<PeerId>, keep: Option<Keep>) -> Self {
        match (peer, keep) {
            (None, keep) => self.all = keep.and_then(Keep::days),
            (Some(peer), None) => drop(self.of.remove(&peer)),
            (Some(peer), Some(keep)) => drop(self.of.insert(peer, keep.days())),
        }
        self
    }

    /// What is old enough to go.
    fn over(&self, peers: impl Iterator<Item = PeerId>, now: Timestamp) -> Vec<Choice> {
        let over = |peer: PeerId| {
            let days = self.of.get(&peer).copied().unwrap_or(self.all)?;
            let kept = std::time::Duration::from_secs(u64::from(days) * 24 * 60 * 60);
            Some(Choice { peer, until: now.minus(kept), rule: Rule::Aged(now) })
        };
        peers.filter_map(over).collect()
    }
}

impl Node {
    pub(super) fn on_keep(&mut self, request: KeepRequest, answer: Answer) {
        match request {
            KeepRequest::Show => reply(answer, Ok(Reply::Kept(self.kept(None)))),
            KeepRequest::Set { peer, time, dry_run } => {
                self.keep_set(peer.as_deref(), time, dry_run, answer);
            }
            KeepRequest::DeleteMessage { id, dry_run } => self.delete_message(&id, dry_run, answer),
            KeepRequest::DeleteBefore { peer, before_ms, dry_run } => {
                self.delete_before(&peer, Timestamp::from_ms(before_ms), dry_run, answer);
            }
            KeepRequest::Forget { peer, dry_run } => self.forget(&peer, dry_run, answer),
            KeepRequest::Copy => self.copy(answer),
            KeepRequest::Copied { archive } => self.copied(archive, answer),
        }
    }

    fn peer_ref(&self, peer: &PeerId) -> PeerRef {
        PeerRef { id: peer.to_string(), name: self.name_of(peer) }
    }

    fn kept(&self, erased: Option<Erased>) -> Kept {
        let of = |(peer, days): (&PeerId, &Option<u32>)| KeptOf {
            peer: self.peer_ref(peer),
            days: *days,
        };
        Kept { days: self.keeping.all, peers: self.keeping.of.iter().map(of).collect(), erased }
    }

    fn keep_set(&mut self, peer: Option<&str>, time: KeepTime, dry_run: bool, answer: Answer) {
        let parsed = parse_time(time, peer.is_some()).and_then(|keep| {
            let peer = peer.map(|peer| self.find_peer(peer)).transpose()?;
            if dry_run { Ok((peer, keep)) } else { self.may_erase().map(|()| (peer, keep)) }
        });
        let (peer, keep) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return reply(answer, Err(error)),
        };
        let (now, next) = (clock::now(), self.keeping.clone().with(peer, keep));
        let concerned = self.peers.keys().copied().filter(|id| peer.is_none_or(|peer| peer == *id));
        let over = next.over(concerned, now);
        let finish = move |node: &mut Self, erased: Result<Erased, StoreError>| {
            let erased = erased.map(|erased| Reply::Kept(node.kept(Some(erased))));
            reply(answer, erased.map_err(|error| store_failed(&error)));
        };
        let erasing = Erasing::new(over, (peer, true), dry_run, finish);
        if dry_run {
            return self.erase(erasing);
        }
        // Before it is on disk, so that nothing else begins to delete.
        self.chores.erasing = true;
        let op = move |db: &Connection| {
            retention::set(db, peer.as_ref(), keep, now)?;
            let days = keep.and_then(Keep::days);
            let event = audit::Event::RetentionSet {
                peer: peer.map(|peer| peer.to_string()),
                days,
                default: keep.is_none(),
            };
            store::audit::append(db, now, &event).map(drop)
        };
        self.write(op, move |node, done| {
            node.chores.erasing = false;
            match done {
                Ok(()) => {
                    node.keeping = next;
                    node.erase(erasing);
                }
                Err(error) => erasing.fail(node, error),
            }
        });
    }

    fn delete_message(&mut self, id: &str, dry_run: bool, answer: Answer) {
        let next = "copy the id from a message";
        let id: Result<MessageId, ApiError> = id.parse().map_err(|error| usage(error, next));
        let ready = id.and_then(|id| self.may_erase().map(|()| id));
        let id = match ready {
            Ok(id) => id,
            Err(error) => return reply(answer, Err(error)),
        };
        let now = clock::now();
        let op = move |db: &Connection| {
            let standing = deletion::standing(db, &id)?;
            if let (Standing::Goes(number), false) = (standing, dry_run) {
                deletion::delete(db, &[number], now)?;
            }
            Ok(standing)
        };
        // A write for the dry run too: it is one row, and says what the deletion would meet.
        self.write(op, move |node, done| match done {
            Err(error) => reply(answer, Err(store_failed(&error))),
            Ok(Standing::Absent) => reply(answer, Err(no_message(&id))),
            Ok(Standing::Waits) => reply(answer, Err(waits(&id))),
            Ok(Standing::Goes(_)) => node.one_deleted(dry_run, answer),
        });
    }

    fn one_deleted(&mut self, dry_run: bool, answer: Answer) {
        if dry_run {
            let erased = Erased { messages: 1, staying: 0, dry_run, done: true };
            return reply(answer, Ok(Reply::Erased(erased)));
        }
        let finish = move |_: &mut Self, erased: Result<Erased, StoreError>| {
            reply(answer, erased.map(Reply::Erased).map_err(|error| store_failed(&error)));
        };
        // The message is gone; what is left to do is what comes after each deletion.
        self.erase(Erasing::after(1, (None, false), finish));
    }

    fn delete_before(&mut self, peer: &str, before: Timestamp, dry_run: bool, answer: Answer) {
        let ready = self.find_peer(peer).and_then(|peer| self.may_erase().map(|()| peer));
        let peer = match ready {
            Ok(peer) => peer,
            Err(error) => return reply(answer, Err(error)),
        };
        let until = before.minus(std::time::Duration::from_millis(1));
        let choice = Choice { peer, until, rule: Rule::Asked };
        let finish = move |_: &mut Self, erased: Result<Erased, StoreError>| {
            reply(answer, erased.map(Reply::Erased).map_err(|error| store_failed(&error)));
        };
        self.erase(Erasing::new([choice], (Some(peer), false), dry_run, finish));
    }

    fn forget(&mut self, peer: &str, dry_run: bool, answer: Answer) {
        let ready = self.find_peer(peer).and_then(|peer| self.may_forget(peer));
        let (peer, state) = match ready {
            Ok(ready) => ready,
            Err(error) => return reply(answer, Err(error)),
        };
        let shown = self.peer_ref(&peer);
        let until = Timestamp::from_ms(u64::MAX);
        let choice = Choice { peer, until, rule: Rule::Asked };
        let finish = move |node: &mut Self, erased: Result<Erased, StoreError>| match erased {
            Err(error) => reply(answer, Err(store_failed(&error))),
            Ok(erased) => {
                let whole = erased.done && erased.staying == 0;
                let forgotten = Forgotten { peer: shown, state, erased };
                if dry_run || !whole {
                    return reply(answer, Ok(Reply::Forgotten(forgotten)));
                }
                node.forget_rows(peer, forgotten, answer);
            }
        };
        self.erase(Erasing::new([choice], (Some(peer), false), dry_run, finish));
    }

    /// Only whom we do not trust, and with whom nothing is under way.
    fn may_forget(&self, peer: PeerId) -> Result<(PeerId, PeerState), ApiError> {
        self.may_erase()?;
        let state = self.peers.get(&peer).map_or(PeerState::Revoked, |entry| entry.state);
        if state.is_ended()
            && !self.pairings.contains_key(&peer)
            && !self.connecting.contains(&peer)
        {
            return Ok((peer, state));
        }
        let message =
            format!("{} is {}; nothing was forgotten", self.name_of(&peer), state.as_str());
        let next = "end that first: countersign revoke PEER";
        Err(ApiError::new(ErrorKind::Refused, message, next))
    }

    fn forget_rows(&mut self, peer: PeerId, forgotten: Forgotten, answer: Answer) {
        // It may have asked again while its messages went.
        if let Err(error) = self.may_forget(peer) {
            return reply(answer, Err(error));
        }
        let (now, blocked) = (clock::now(), forgotten.state == PeerState::Blocked);
        self.keeping.of.remove(&peer);
        if blocked && let Some(entry) = self.peers.get_mut(&peer) {
            let name = deletion::forgotten_name(&peer);
            // Both are made of hexadecimal digits.
            entry.name = PeerName::parse(&name).unwrap_or_else(|_| entry.name.clone());
            entry.claim = ClaimedName::parse("-").unwrap_or_else(|_| entry.claim.clone());
            entry.addresses.clear();
            entry.warning = None;
            entry.seen = None;
            entry.chains = Chains::default();
        } else {
            self.peers.remove(&peer);
        }
        let op = move |db: &Connection| {
            witness::forget(db, &peer, now)?;
            deletion::forget_peer(db, &peer, blocked)?;
            let event = audit::Event::PeerForgotten { peer: peer.to_string(), blocked };
            store::audit::append(db, now, &event).map(drop)
        };
        self.write(op, move |node, done| {
            node.handle.tell(Event::PeersChanged);
            if let Err(error) = done {
                return reply(answer, Err(store_failed(&error)));
            }
            let finish = move |_: &mut Self, _| reply(answer, Ok(Reply::Forgotten(forgotten)));
            node.erase(Erasing::after(0, (Some(peer), false), finish));
        });
    }

    /// Deletes what was kept for long enough. Asked for every few seconds; does something each hour.
    pub(super) fn sweep_kept(&mut self, now: Timestamp, uptime: std::time::Duration) {
        self.wipe_late();
        let since = uptime.saturating_sub(self.swept);
        let due =
            if self.swept.is_zero() { limits::RETENTION_FIRST } else { limits::RETENTION_EVERY };
        if since < due || self.may_erase().is_err() {
            return;
        }
        self.swept = uptime;
        let op = move |db: &Connection| {
            deletion::forget_spent(db, now)?;
            // Of a deletion that a failure ended.
            tell_erased(db, (None, false), now)
        };
        self.write(op, |_, _| ());
        let over = self.keeping.over(self.peers.keys().copied(), now);
        if !over.is_empty() {
            self.erase(Erasing::new(over, (None, true), false, |_, _| ()));
        }
    }
}

/// `None` takes a peer's own setting away.
fn parse_time(time: KeepTime, of_peer: bool) -> Result<Option<Keep>, ApiError> {
    let days = 1..=limits::RETENTION_DAYS_MAX;
    match time {
        KeepTime::Forever => Ok(Some(Keep::Forever)),
        KeepTime::Days(n) if days.contains(&n) => Ok(Some(Keep::Days(n))),
        KeepTime::Days(n) => {
            let message = format!("{n} days; it goes from 1 to {}", days.end());
            Err(usage(message, "choose a number in between, or forever"))
        }
        KeepTime::Default if of_peer => Ok(None),
        KeepTime::Default => {
            Err(usage("`default` is for one peer", "give --peer NAME, or a time such as 90d"))
        }
    }
}

fn waits(id: &MessageId) -> ApiError {
    let message = format!("message {id} is held or has still to reach its peer; it stays");
    let next =
        "decide about it first (countersign pending), or wait until it has arrived or expired";
    ApiError::new(ErrorKind::Refused, message, next)
}
