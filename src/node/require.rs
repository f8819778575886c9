//! What the hellos say. Countersignatures on demand: what we tell peers that their messages need, what
//! they told us, and what that means for a message of ours. And whether a message may name a session.
//!
//! What a peer told us only ever makes our human be asked more. It is kept over a restart, so that
//! a message is not sent in vain while the peer is away.

use super::{
    api::{ApiError, ErrorKind},
    state::{Node, PeerEntry},
};
use crate::{
    base::{ApproverId, PeerId, SessionName, Severity, limits},
    gate::{self, Item, What},
    policy::{Action, REQUIREMENTS_MAX, Reason, Requirement, Strength, Subject},
    store::{peers, pending::PendingRow},
    trust::PeerState,
    wire::{Envelope, FEATURE_HEADS, FEATURE_SESSIONS},
};

/// Features of ours beside what is required fit a hello: sessions, heads, the version, the run.
const _: () = assert!(REQUIREMENTS_MAX + 4 <= limits::FEATURES_MAX);

/// What features of a hello require; those that we do not know are passed over.
pub(super) fn known(features: &[String]) -> Vec<Requirement> {
    let mut known: Vec<_> = features.iter().filter_map(|f| Requirement::from_feature(f)).collect();
    known.sort();
    known.dedup();
    known
}

/// Whether the features of a hello say that a message may name a session.
pub(super) fn knows_sessions(features: &[String]) -> bool {
    features.iter().any(|feature| feature == FEATURE_SESSIONS)
}

/// Whether the features of a hello say that a receipt may hold heads of audit chains.
pub(super) fn knows_heads(features: &[String]) -> bool {
    features.iter().any(|feature| feature == FEATURE_HEADS)
}

fn features(requirements: &[Requirement], (sessions, heads): (bool, bool)) -> Vec<String> {
    let sessions = sessions.then(|| FEATURE_SESSIONS.to_owned());
    let heads = heads.then(|| FEATURE_HEADS.to_owned());
    requirements.iter().map(Requirement::to_feature).chain(sessions).chain(heads).collect()
}

fn sentences(requirements: &[Requirement]) -> Vec<String> {
    requirements.iter().map(Requirement::sentence).collect()
}

impl Node {
    /// Tells each trusted peer what our policy requires of it and what we understand, where that is news to it. To be
    /// called whenever the policy changed.
    pub(super) fn announce(&mut self) {
        let trusted = self.peers.iter().filter(|(_, entry)| entry.state == PeerState::Trusted);
        for (id, _) in trusted {
            self.announce_to(id);
        }
    }

    /// Tells one peer, at the next hello.
    pub(super) fn announce_to(&self, peer: &PeerId) {
        self.net.set_features(*peer, features(&self.we_require(peer), (true, true)));
    }

    fn we_require(&self, peer: &PeerId) -> Vec<Requirement> {
        self.rules.policy.requirements_for(&self.facts(peer).peer())
    }

    /// A peer's node said what it requires, and what it understands.
    pub(super) fn told(&mut self, peer: PeerId, said: &[String]) {
        let (requires, sessions, heads) = (known(said), knows_sessions(said), knows_heads(said));
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        if (&entry.requires, entry.sessions, entry.chains.speaks) == (&requires, sessions, heads) {
            return;
        }
        let kept = features(&requires, (sessions, heads));
        (entry.requires, entry.sessions) = (requires, sessions);
        entry.chains.speaks = heads;
        self.write(move |db| peers::set_requires(db, &peer, &kept), |_, _| ());
    }

    /// A message to this session of a peer's can be read there: an older node refuses it.
    pub(super) fn may_name(
        &self,
        peer: &PeerId,
        session: Option<&SessionName>,
    ) -> Result<(), ApiError> {
        let Some(session) = session else { return Ok(()) };
        if self.peers.get(peer).is_some_and(|entry| entry.sessions) {
            return Ok(());
        }
        let name = self.name_of(peer);
        let message = format!("{name}'s countersign does not know sessions yet; nothing was sent");
        let next = format!("send it to {name}, without /{session}");
        Err(ApiError::new(ErrorKind::Refused, message, next))
    }

    /// The least countersignature with which the receiver of a message of ours takes it.
    pub(super) fn required(&self, envelope: &Envelope) -> Option<Strength> {
        let header = envelope.header();
        let requires = &self.peers.get(&header.recipient)?.requires;
        if requires.is_empty() {
            return None;
        }
        let findings = gate::findings(envelope, &self.rules.scanner);
        let size = envelope.body().text().map_or(0, |text| text.as_str().len());
        let facts = self.facts(&header.recipient);
        let subject = Subject {
            action: Action::MessageOut,
            peer: facts.peer(),
            kind: header.kind.as_str(),
            size_bytes: u64::try_from(size).unwrap_or(u64::MAX),
            findings: &findings,
            countersigned: None,
            clock_ahead: false,
            recent: &|_| 0,
        };
        let apply = requires.iter().filter(|requirement| requirement.applies(&subject));
        apply.map(Requirement::strength).max()
    }

    /// The same of something that waits.
    pub(super) fn least(&self, row: &PendingRow) -> Option<Strength> {
        match &row.item {
            Some(Item::Message(What::MessageOut, envelope)) => self.required(envelope),
            Some(Item::Message(..) | Item::Peer(..)) | None => None,
        }
    }

    /// The reason for which our human is then asked.
    pub(super) fn required_reason(&self, envelope: &Envelope) -> Option<Reason> {
        let least = self.required(envelope)?;
        Some(Reason {
            rule: gate::PEER_REQUIRES.to_owned(),
            severity: Severity::High,
            text: self.takes_only(&envelope.header().recipient, least),
        })
    }

    fn takes_only(&self, peer: &PeerId, least: Strength) -> String {
        let (name, least) = (self.name_of(peer), gate::or_better(least));
        format!("{name} takes this only with your countersignature ({least})")
    }

    /// What our human signed is signed well enough for its receiver.
    pub(super) fn is_enough(
        &self,
        envelope: &Envelope,
        approver: &ApproverId,
    ) -> Result<(), ApiError> {
        let by = envelope.countersigned_by(approver).map(|by| gate::strength(by.method));
        match self.required(envelope) {
            Some(least) if by.is_none_or(|by| by < least) => {
                let message = self.takes_only(&envelope.header().recipient, least);
                let next = "nothing was sent; type your approval passphrase for it";
                Err(ApiError::new(ErrorKind::Refused, message, next))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// For people: what a trusted peer requires of us, and what we require of it.
    pub(super) fn requirements(
        &self,
        peer: &PeerId,
        entry: &PeerEntry,
    ) -> (Vec<String>, Vec<String>) {
        if entry.state != PeerState::Trusted {
            return (Vec::new(), Vec::new());
        }
        (sentences(&entry.requires), sentences(&self.we_require(peer)))
    }
}
