//! What the gate needs to know of a message besides its bytes: the rules that count, the peer, what
//! went before, and what our agent has read.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use rusqlite::Connection;

use super::{
    api::{ApiError, ErrorKind},
    clock,
    state::Node,
};
use crate::{
    base::{PeerId, Severity, Timestamp, limits},
    gate::{
        self, Approved, Bench, Refused, Rules, Ruling,
        taint::{self, Act, Bounds},
    },
    policy::{self, Action, Reason, Subject, Verdict as Says},
    risk::Finding,
    store::{StoreError, shown, verdicts::Verdict},
    wire::{Direction, Envelope},
};

/// A peer as a policy names it.
#[derive(Clone, Debug)]
pub(super) struct PeerFacts {
    pub(super) id: PeerId,
    pub(super) name: String,
    pub(super) verified: bool,
}

impl PeerFacts {
    /// The same, borrowed.
    pub(super) fn peer(&self) -> policy::Peer<'_> {
        policy::Peer { id: self.id, name: &self.name, verified: self.verified }
    }
}

/// When messages went which way with whom, for the rates that a policy names.
#[derive(Default)]
pub(super) struct Recent {
    times: HashMap<(PeerId, bool), VecDeque<Timestamp>>,
}

/// The times of one peer and way.
pub(super) type Times = VecDeque<Timestamp>;

/// How many of them lie within `window` before `now`.
pub(super) fn count(times: &Times, window: Duration, now: Timestamp) -> u64 {
    let within = times.iter().rev().take_while(|at| now.since(**at) <= window).count();
    u64::try_from(within).unwrap_or(u64::MAX)
}

impl Recent {
    /// As the messages on disk say.
    pub(super) fn of(rows: Vec<(PeerId, bool, Timestamp)>) -> Self {
        let mut recent = Self::default();
        for (peer, outgoing, at) in rows {
            recent.note(peer, direction(outgoing), at);
        }
        recent
    }

    /// One more message.
    pub(super) fn note(&mut self, peer: PeerId, direction: Direction, at: Timestamp) {
        let times = self.times.entry((peer, direction == Direction::Out)).or_default();
        times.push_back(at);
        let old = |first: &Timestamp| at.since(*first) > limits::RATE_WINDOW_MAX;
        while times.len() > limits::RATE_MESSAGES_MAX || times.front().is_some_and(old) {
            times.pop_front();
        }
    }

    /// The times of one peer and way.
    pub(super) fn times(&self, peer: &PeerId, direction: Direction) -> Times {
        self.times.get(&(*peer, direction == Direction::Out)).cloned().unwrap_or_default()
    }
}

const fn direction(outgoing: bool) -> Direction {
    if outgoing { Direction::Out } else { Direction::In }
}

/// Whose texts were shown, as far as it is on disk: nobody is answered before.
#[derive(Default)]
pub(super) struct Kept {
    until: HashMap<PeerId, Timestamp>,
    /// It is being forgotten, so that what is on disk is not sure.
    clearing: bool,
}

impl Kept {
    /// As it was written down.
    pub(super) fn of(rows: &[(PeerId, Timestamp)]) -> Self {
        Self { until: rows.iter().copied().collect(), clearing: false }
    }

    fn has(&self, peer: &PeerId, until: Timestamp) -> bool {
        !self.clearing && self.until.get(peer).is_some_and(|kept| *kept >= until)
    }

    /// It was written down.
    pub(super) fn add(&mut self, rows: Vec<(PeerId, Timestamp)>) {
        self.until.extend(rows);
    }

    /// It is to be forgotten.
    pub(super) fn clear(&mut self) {
        self.clearing = true;
    }

    /// It is forgotten; what follows is written after it.
    pub(super) fn cleared(&mut self) {
        self.until.clear();
        self.clearing = false;
    }
}

/// What was decided of a message, as it is written down beside it.
pub(super) fn verdict(word: &str, ruling: &Ruling, rules: &Rules) -> Verdict {
    Verdict {
        verdict: word.to_owned(),
        rule: ruling.rule.clone(),
        policy: rules.policy.digest().to_string(),
        reasons: ruling.reasons.iter().map(Into::into).collect(),
    }
}

/// Passes a message that was queued before to the gate once more.
pub(super) fn outgoing_again(
    envelope: Envelope,
    us: (&PeerId, Option<&crate::base::ApproverId>),
    facts: &PeerFacts,
    rules: &Rules,
) -> Result<Approved<Envelope>, Refused> {
    // It was counted when it was written.
    let bench = Bench { rules, peer: facts.peer(), recent: &|_| 0 };
    gate::outgoing(envelope, us, &bench, Vec::new()).map(|(approved, _)| approved)
}

impl Node {
    /// A peer as a policy names it.
    pub(super) fn facts(&self, peer: &PeerId) -> PeerFacts {
        let verified = self.peers.get(peer).is_some_and(|entry| entry.verified);
        PeerFacts { id: *peer, name: self.name_of(peer), verified }
    }

    /// Passes a new message to the gate.
    pub(super) fn judge_out(
        &self,
        envelope: Envelope,
        further: Vec<Reason>,
    ) -> Result<(Approved<Envelope>, Ruling), Refused> {
        let to = envelope.header().recipient;
        let (facts, now) = (self.facts(&to), clock::now());
        let times = self.recent.times(&to, Direction::Out);
        let recent = |window| count(&times, window, now);
        let bench = Bench { rules: &self.rules, peer: facts.peer(), recent: &recent };
        gate::outgoing(envelope, (&self.id, self.approver.as_ref()), &bench, further)
    }

    /// Why our human is asked about a new peer; the policy may also deny it.
    pub(super) fn reasons_for(
        &self,
        action: Action,
        facts: &PeerFacts,
        findings: &[Finding],
    ) -> Says {
        let subject = Subject {
            action,
            peer: facts.peer(),
            kind: "peer",
            size_bytes: 0,
            findings,
            countersigned: None,
            clock_ahead: false,
            recent: &|_| 0,
        };
        self.rules.policy.decide(&subject).verdict
    }

    /// How far the taint rule goes.
    pub(super) fn taint_bounds(&self) -> Bounds {
        let policy::Taint { hours, reply_bytes } = self.rules.policy.taint();
        let life = Duration::from_hours(u64::from(hours));
        Bounds { life, reply_bytes_max: reply_bytes }
    }

    /// Whose texts, which our agent has read, make the human be asked about an act.
    pub(super) fn read_before(&self, act: Act) -> Vec<PeerId> {
        let flows = |from: &PeerId, to: &PeerId| {
            let (from, to) = (self.facts(from), self.facts(to));
            self.rules.policy.flow_allows(&from.peer(), &to.peer())
        };
        self.taint.sources(act, clock::now(), &self.taint_bounds(), flows)
    }

    /// The reason that they are.
    pub(super) fn taint_reason(&self, sources: &[PeerId], to: &PeerId) -> Option<Reason> {
        if sources.is_empty() {
            return None;
        }
        let names: Vec<_> = sources.iter().map(|peer| self.name_of(peer)).collect();
        let to = self.name_of(to);
        let text = format!(
            "your agent has read texts of {}, and may have been told there what to write to {to}",
            names.join(", ")
        );
        Some(Reason { rule: taint::RULE.to_owned(), severity: Severity::High, text })
    }

    /// Texts of these peers are about to be shown to an agent. What has to be on disk before.
    pub(super) fn taint_by(&mut self, peers: &BTreeSet<PeerId>) -> Vec<(PeerId, Timestamp)> {
        let (now, bounds) = (clock::now(), self.taint_bounds());
        // A little longer, so that not every look is a write.
        let longer = Bounds { life: bounds.life + limits::TAINT_STEP, ..bounds };
        let mut changed = Vec::new();
        for peer in peers {
            let counts = self.taint.until(peer).is_some_and(|until| until >= now.plus(bounds.life));
            if !counts {
                let _ = self.taint.show(*peer, now, &longer);
            }
            let until = self.taint.until(peer);
            changed.extend(until.filter(|until| !self.kept.has(peer, *until)).map(|u| (*peer, u)));
        }
        changed
    }

    /// A new connection waits until the human has said that what was read counts no more.
    pub(super) fn may_connect(&self, to: PeerId) -> Result<(), ApiError> {
        let sources = self.read_before(Act::Connect { to });
        if sources.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = sources.iter().map(|peer| self.name_of(peer)).collect();
        let message = format!(
            "your agent has read texts of {}, and may have been told there whom to connect with",
            names.join(", ")
        );
        let next = "your human can run countersign connect, with the invite or the words, in a terminal; \
                    or lets you begin anew: countersign taint clear, or countersign page";
        Err(ApiError::new(ErrorKind::WaitsForHuman, message, next))
    }
}

/// Writes down whose texts are shown.
pub(super) fn keep_shown(
    db: &Connection,
    changed: &[(PeerId, Timestamp)],
) -> Result<(), StoreError> {
    changed.iter().try_for_each(|(peer, until)| shown::put(db, peer, *until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_counts_what_lies_within_its_window() {
        let mut recent = Recent::default();
        let (a, b) = (PeerId::from_bytes([1; 32]), PeerId::from_bytes([2; 32]));
        let at = |seconds: u64| Timestamp::from_ms(1_000_000_000 + seconds * 1000);
        for seconds in [0, 30, 59, 60, 61] {
            recent.note(a, Direction::Out, at(seconds));
        }
        recent.note(a, Direction::In, at(61));
        let minute = Duration::from_mins(1);
        assert_eq!(count(&recent.times(&a, Direction::Out), minute, at(90)), 4);
        assert_eq!(count(&recent.times(&a, Direction::In), minute, at(90)), 1);
        assert_eq!(count(&recent.times(&b, Direction::Out), minute, at(90)), 0);
        for n in 0..5000 {
            recent.note(b, Direction::Out, at(n));
        }
        assert_eq!(recent.times(&b, Direction::Out).len(), limits::RATE_MESSAGES_MAX);
    }
}
