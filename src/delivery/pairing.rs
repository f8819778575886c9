//! The pairing of two strangers, as one side sees it: knock, answer, reveal, and the exchange of
//! two consents (`SPEC.md` section 7).
//!
//! A [`Pairing`] is what the store keeps, so that it can go on after a crash at any step: every
//! step is written down before its frame leaves, and the same knock always gets the same answer.

use crate::{
    base::{ApproverId, ClaimedName, Digest, InviteId, Note, PeerId, Timestamp},
    gate::SignedConsent,
    identity::SIGNATURE_BYTES,
    trust,
    wire::{
        ConsentRecord, PairFrame, Party,
        consent::NONCE_BYTES,
        invite::{self, FINGERPRINT_BYTES},
        pair::{self, Answer, EndReason, Knock},
    },
};

/// Which side we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We made the invite.
    Inviter,
    /// We use it.
    Joiner {
        /// Of the approver that the invite names.
        fingerprint: [u8; FINGERPRINT_BYTES],
    },
}

/// Who we are, in every pairing.
#[derive(Clone, Debug)]
pub struct Me {
    /// Our node.
    pub identity: PeerId,
    /// Our human.
    pub approver: ApproverId,
    /// What we call ourselves.
    pub name: ClaimedName,
}

/// A pairing with one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// With whom.
    pub peer: PeerId,
    /// Which side we are.
    pub role: Role,
    /// Which invite.
    pub invite: InviteId,
    /// What the joiner shows.
    pub proof: Digest,
    /// Our nonce.
    pub nonce: [u8; NONCE_BYTES],
    /// What the joiner bound itself with.
    pub commitment: Digest,
    /// When the joiner knocked, by its clock.
    pub knocked: Timestamp,
    /// What the other side calls itself.
    pub their_name: Option<ClaimedName>,
    /// The other side's human.
    pub their_approver: Option<ApproverId>,
    /// Settled once both nonces are known.
    pub record: Option<ConsentRecord>,
    /// Our human's signature.
    pub ours: Option<[u8; SIGNATURE_BYTES]>,
    /// Their human's signature.
    pub theirs: Option<[u8; SIGNATURE_BYTES]>,
    /// The other side has our consent on disk.
    pub kept: bool,
    /// From the joiner's human's side, sent with its consent.
    pub note: Option<Note>,
}

/// What to do after a frame. Everything is written down first, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The pairing changed: write it down.
    Keep,
    /// The record is settled: the human can be asked.
    Ask,
    /// A note came with the consent.
    Note(Note),
    /// Both consents are here: trust counts from now on.
    Trust,
    /// Nothing is left to do on either side.
    Finish,
    /// It ends without trust.
    End(EndReason),
    /// Send this.
    Send(PairFrame),
}

/// What an inviter has to hold against a knock.
pub struct OpenInvite<'i> {
    /// Its id.
    pub id: InviteId,
    /// Its secret.
    pub secret: &'i [u8; 16],
    /// Who used it already.
    pub used_by: Option<PeerId>,
}

/// The invite that a knock shows knowledge of, if the knocker may use it. Looks at every invite,
/// and takes the same time for each.
#[must_use]
pub fn invite_of_knock(
    knock: &Knock,
    invites: &[OpenInvite<'_>],
    joiner: &PeerId,
    me: &PeerId,
) -> Option<InviteId> {
    use subtle::ConstantTimeEq as _;
    let fits = |invite: &&OpenInvite<'_>| {
        let expected = pair::proof(invite.secret, joiner, me);
        let equal: bool = expected.as_bytes().ct_eq(knock.proof.as_bytes()).into();
        equal && invite.used_by.is_none_or(|user| user == *joiner)
    };
    invites.iter().filter(fits).map(|invite| invite.id).next_back()
}

impl Pairing {
    /// We use an invite.
    #[must_use]
    pub fn joiner(
        invite: &invite::Invite,
        me: &Me,
        nonce: [u8; NONCE_BYTES],
        note: Option<Note>,
        now: Timestamp,
    ) -> Self {
        Self {
            peer: invite.inviter,
            role: Role::Joiner { fingerprint: invite.approver },
            invite: invite.id(),
            proof: pair::proof(invite.secret.expose_secret(), &me.identity, &invite.inviter),
            commitment: pair::commitment(&nonce, &me.identity),
            nonce,
            knocked: now,
            their_name: None,
            their_approver: None,
            record: None,
            ours: None,
            theirs: None,
            kept: false,
            note,
        }
    }

    /// Somebody uses an invite of ours.
    #[must_use]
    pub fn inviter(
        peer: PeerId,
        invite: InviteId,
        knock: &Knock,
        nonce: [u8; NONCE_BYTES],
    ) -> Self {
        Self {
            peer,
            role: Role::Inviter,
            invite,
            proof: knock.proof,
            commitment: knock.commitment,
            nonce,
            knocked: knock.created,
            their_name: Some(knock.name.clone()),
            their_approver: Some(knock.approver),
            record: None,
            ours: None,
            theirs: None,
            kept: false,
            note: None,
        }
    }

    /// We are the joiner.
    #[must_use]
    pub const fn is_joiner(&self) -> bool {
        matches!(self.role, Role::Joiner { .. })
    }

    /// Both humans signed.
    #[must_use]
    pub const fn is_consented(&self) -> bool {
        self.ours.is_some() && self.theirs.is_some()
    }

    /// What to send when a connection opens: the joiner knocks, the inviter waits.
    #[must_use]
    pub fn opening(&self, me: &Me) -> Option<PairFrame> {
        self.is_joiner().then(|| {
            PairFrame::Knock(Knock {
                proof: self.proof,
                commitment: self.commitment,
                approver: me.approver,
                name: me.name.clone(),
                created: self.knocked,
            })
        })
    }

    /// A knock by the peer that this pairing is with. The same knock gets the same answer.
    #[must_use]
    pub fn knocked_again(&self, knock: &Knock, me: &Me) -> Vec<Step> {
        let same = !self.is_joiner()
            && knock.proof == self.proof
            && knock.commitment == self.commitment
            && knock.created == self.knocked
            && Some(&knock.name) == self.their_name.as_ref()
            && Some(knock.approver) == self.their_approver;
        if same { vec![Step::Keep, Step::Send(self.answer(me))] } else { end(EndReason::NoInvite) }
    }

    fn answer(&self, me: &Me) -> PairFrame {
        PairFrame::Answer(Answer {
            approver: me.approver,
            name: me.name.clone(),
            nonce: self.nonce,
        })
    }

    /// Takes a frame, but for a first knock, and says what to do.
    pub fn handle(&mut self, frame: PairFrame, me: &Me) -> Vec<Step> {
        match frame {
            PairFrame::Knock(knock) => self.knocked_again(&knock, me),
            PairFrame::Answer(answer) => self.on_answer(answer, me),
            PairFrame::Reveal(nonce) => self.on_reveal(nonce, me),
            PairFrame::Consent { record, signature, note } => {
                self.on_consent(&record, signature, note, me)
            }
            PairFrame::ConsentKept(record) => self.on_kept(&record),
            PairFrame::End(reason) => vec![Step::End(reason)],
            PairFrame::Unknown(_) => Vec::new(),
        }
    }

    fn on_answer(&mut self, answer: Answer, me: &Me) -> Vec<Step> {
        let Role::Joiner { fingerprint } = self.role else { return end(EndReason::Protocol) };
        if invite::approver_fingerprint(&answer.approver) != fingerprint {
            return end(EndReason::Protocol);
        }
        let Answer { approver, name, nonce } = answer;
        let inviter = Party { identity: self.peer, approver, name: name.clone(), nonce };
        let record = self.record_of(inviter, self.my_party(me));
        self.their_name = Some(name);
        self.their_approver = Some(approver);
        self.settle(record, Some(PairFrame::Reveal(self.nonce)))
    }

    fn on_reveal(&mut self, nonce: [u8; NONCE_BYTES], me: &Me) -> Vec<Step> {
        let bound = pair::commitment(&nonce, &self.peer) == self.commitment;
        let (Role::Inviter, true) = (self.role, bound) else { return end(EndReason::Protocol) };
        let (Some(name), Some(approver)) = (self.their_name.clone(), self.their_approver) else {
            return end(EndReason::Protocol);
        };
        let joiner = Party { identity: self.peer, approver, name, nonce };
        let record = self.record_of(self.my_party(me), joiner);
        self.settle(record, None)
    }

    fn my_party(&self, me: &Me) -> Party {
        let Me { identity, approver, name } = me.clone();
        Party { identity, approver, name, nonce: self.nonce }
    }

    fn record_of(&self, inviter: Party, joiner: Party) -> ConsentRecord {
        ConsentRecord { invite: self.invite, created: self.knocked, inviter, joiner }
    }

    /// Settles the record, or checks that it is the one that was settled before.
    fn settle(&mut self, record: ConsentRecord, then: Option<PairFrame>) -> Vec<Step> {
        let mut steps = Vec::new();
        match &self.record {
            None => {
                self.record = Some(record);
                steps.extend([Step::Keep, Step::Ask]);
            }
            Some(settled) if *settled == record => {}
            Some(_) => return end(EndReason::Protocol),
        }
        steps.extend(then.map(Step::Send));
        steps.extend(self.our_consent().map(Step::Send));
        steps
    }

    /// Our consent, while the other side is not known to have it.
    fn our_consent(&self) -> Option<PairFrame> {
        let record = self.record.as_ref()?.digest();
        let signature = self.ours.filter(|_| !self.kept)?;
        let note = self.note.clone().filter(|_| self.is_joiner());
        Some(PairFrame::Consent { record, signature, note })
    }

    /// Our human said yes.
    pub fn consent(&mut self, signed: &SignedConsent) -> Vec<Step> {
        if self.record.as_ref() != Some(&signed.record) {
            return Vec::new();
        }
        self.ours = Some(signed.signature);
        let mut steps = vec![Step::Keep];
        if self.is_consented() {
            steps.push(Step::Trust);
        }
        steps.extend(self.our_consent().map(Step::Send));
        steps
    }

    fn on_consent(
        &mut self,
        digest: &Digest,
        signature: [u8; SIGNATURE_BYTES],
        note: Option<Note>,
        me: &Me,
    ) -> Vec<Step> {
        let Some(record) = self.record.as_ref().filter(|record| record.digest() == *digest) else {
            return end(EndReason::Protocol);
        };
        let theirs = record.sides(&me.identity).map(|(_, theirs)| theirs);
        if theirs.is_none_or(|party| trust::verify_one(record, party, &signature).is_err()) {
            return end(EndReason::Protocol);
        }
        let new = self.theirs.is_none();
        self.theirs = Some(signature);
        let mut steps = vec![Step::Keep];
        steps.extend(note.filter(|_| new && !self.is_joiner()).map(Step::Note));
        if new && self.is_consented() {
            steps.push(Step::Trust);
        }
        steps.push(Step::Send(PairFrame::ConsentKept(*digest)));
        steps.extend(self.finished().then_some(Step::Finish));
        steps
    }

    fn on_kept(&mut self, digest: &Digest) -> Vec<Step> {
        let ours = self.ours.is_some();
        if !ours || self.record.as_ref().is_none_or(|record| record.digest() != *digest) {
            return end(EndReason::Protocol);
        }
        self.kept = true;
        let mut steps = vec![Step::Keep];
        steps.extend(self.finished().then_some(Step::Finish));
        steps
    }

    /// Both consents are on both disks, as far as we know.
    const fn finished(&self) -> bool {
        self.kept && self.is_consented()
    }
}

fn end(reason: EndReason) -> Vec<Step> {
    vec![Step::Send(PairFrame::End(reason)), Step::End(reason)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{PendingId, Secret},
        gate::{self, Decision, Item, Outcome, Pending, Statement, What},
        identity::{ApproverKey, IdentityKey},
        wire::{Invite, Method},
    };

    const NOW: Timestamp = Timestamp::from_ms(1_000_000);

    struct Side {
        me: Me,
        human: ApproverKey,
        pairing: Option<Pairing>,
        asked: bool,
        trusts: bool,
        finished: bool,
        ended: Option<EndReason>,
    }

    fn side(n: u8, name: &str) -> Side {
        let human = ApproverKey::from_seed(&Secret::new([n + 100; 32]));
        let me = Me {
            identity: IdentityKey::from_seed(&Secret::new([n; 32])).id(),
            approver: human.id(),
            name: ClaimedName::parse(name).unwrap(),
        };
        Side { me, human, pairing: None, asked: false, trusts: false, finished: false, ended: None }
    }

    fn alice_invites() -> (Side, Side, Invite) {
        let (alice, mut bob) = (side(1, "Alice"), side(2, "Bob"));
        let invite = Invite {
            inviter: alice.me.identity,
            approver: invite::approver_fingerprint(&alice.me.approver),
            addresses: vec![],
            secret: Secret::new([7; 16]),
            expires: NOW,
        };
        bob.pairing = Some(Pairing::joiner(&invite, &bob.me, [9; 16], None, NOW));
        (alice, bob, invite)
    }

    impl Side {
        fn take(&mut self, steps: Vec<Step>) -> Vec<PairFrame> {
            let mut out = Vec::new();
            for step in steps {
                match step {
                    Step::Send(frame) => out.push(frame),
                    Step::Trust => self.trusts = true,
                    Step::Finish => self.finished = true,
                    Step::Ask => self.asked = true,
                    Step::End(reason) => self.ended = Some(reason),
                    Step::Keep | Step::Note(_) => {}
                }
            }
            out
        }

        fn receive(&mut self, frame: &PairFrame, from: &Me, invite: &Invite) -> Vec<PairFrame> {
            let frame = PairFrame::decode(&frame.encode()).unwrap();
            if let (PairFrame::Knock(knock), None) = (&frame, &self.pairing) {
                let open = OpenInvite {
                    id: invite.id(),
                    secret: invite.secret.expose_secret(),
                    used_by: None,
                };
                let id = invite_of_knock(knock, &[open], &from.identity, &self.me.identity);
                let Some(id) = id else { return vec![PairFrame::End(EndReason::NoInvite)] };
                let pairing = Pairing::inviter(from.identity, id, knock, [8; 16]);
                let steps = pairing.knocked_again(knock, &self.me);
                self.pairing = Some(pairing);
                return self.take(steps);
            }
            let me = self.me.clone();
            let steps = self.pairing.as_mut().unwrap().handle(frame, &me);
            self.take(steps)
        }

        fn approve(&mut self) -> Vec<PairFrame> {
            let pairing = self.pairing.clone().unwrap();
            let what = if pairing.is_joiner() { What::PeerOut } else { What::PeerIn };
            let record = pairing.record.unwrap();
            let item = Item::Peer(what, record.clone());
            let id = PendingId::from_bytes([1; 5]);
            let statement = Statement {
                id,
                digest: item.digest(),
                answer: gate::Answer::Approve,
                method: Method::Passphrase,
                at: NOW,
                verified: true,
            };
            let decision = Decision::sign(&item, &statement, &self.human).unwrap();
            let later = NOW.plus(std::time::Duration::from_secs(9));
            let pending = Pending::peer(id, what, record, later);
            let (me, approver) = (self.me.identity, self.me.approver);
            let outcome = pending.decide(&decision, &me, &approver, NOW).unwrap();
            let Outcome::Approved(approved) = outcome else { panic!() };
            let steps = self.pairing.as_mut().unwrap().consent(approved.item());
            self.take(steps)
        }
    }

    /// Carries frames both ways until both are quiet.
    fn carry(alice: &mut Side, bob: &mut Side, invite: &Invite, mut to_alice: Vec<PairFrame>) {
        let mut to_bob = Vec::new();
        while !to_alice.is_empty() || !to_bob.is_empty() {
            for frame in std::mem::take(&mut to_alice) {
                to_bob.extend(alice.receive(&frame, &bob.me.clone(), invite));
            }
            for frame in std::mem::take(&mut to_bob) {
                to_alice.extend(bob.receive(&frame, &alice.me.clone(), invite));
            }
        }
    }

    fn carry_to_bob(alice: &mut Side, bob: &mut Side, invite: &Invite, to_bob: Vec<PairFrame>) {
        let back = to_bob.into_iter().flat_map(|f| bob.receive(&f, &alice.me.clone(), invite));
        let back = back.collect();
        carry(alice, bob, invite, back);
    }

    fn knock(bob: &Side) -> Vec<PairFrame> {
        bob.pairing.as_ref().unwrap().opening(&bob.me).into_iter().collect()
    }

    #[test]
    fn both_sides_see_the_same_words_and_trust_after_both_consents_in_either_order() {
        for alice_first in [true, false] {
            let (mut alice, mut bob, invite) = alice_invites();
            let first = knock(&bob);
            carry(&mut alice, &mut bob, &invite, first);
            assert!(alice.asked && bob.asked);
            let words =
                |side: &Side| side.pairing.as_ref().unwrap().record.as_ref().unwrap().words();
            assert_eq!(words(&alice), words(&bob));
            assert_eq!(words(&alice).len(), 4);
            for turn in [alice_first, !alice_first] {
                assert!(!alice.trusts && !bob.trusts, "one yes is not enough");
                if turn {
                    let frames = alice.approve();
                    carry_to_bob(&mut alice, &mut bob, &invite, frames);
                } else {
                    let frames = bob.approve();
                    carry(&mut alice, &mut bob, &invite, frames);
                }
            }
            assert!(alice.trusts && bob.trusts && alice.finished && bob.finished);
        }
    }

    #[test]
    fn a_frame_lost_at_any_step_is_made_good_by_knocking_again() {
        for lost in 0..12 {
            let (mut alice, mut bob, invite) = alice_invites();
            let mut count = 0;
            for _ in 0..4 {
                let mut to_alice = knock(&bob);
                let mut cut = false;
                while !to_alice.is_empty() && !cut {
                    let mut to_bob = Vec::new();
                    for frame in std::mem::take(&mut to_alice) {
                        count += 1;
                        cut |= count == lost;
                        if !cut {
                            to_bob.extend(alice.receive(&frame, &bob.me.clone(), &invite));
                        }
                    }
                    for frame in to_bob {
                        count += 1;
                        cut |= count == lost;
                        if !cut {
                            to_alice.extend(bob.receive(&frame, &alice.me.clone(), &invite));
                        }
                    }
                }
                let ready = |side: &Side| {
                    side.pairing.as_ref().is_some_and(|p| p.record.is_some() && p.ours.is_none())
                };
                if ready(&bob) {
                    bob.approve();
                }
                if ready(&alice) {
                    alice.approve();
                }
            }
            assert!(
                alice.trusts && bob.trusts,
                "frame {lost} lost: {:?} {:?}",
                alice.ended,
                bob.ended
            );
        }
    }

    #[test]
    fn a_wrong_secret_another_key_or_another_nonce_opens_nothing() {
        let (mut alice, bob, invite) = alice_invites();
        let mut frames = knock(&bob);
        let Some(PairFrame::Knock(good)) = frames.pop() else { panic!() };
        let wrong = Knock { proof: Digest::from_bytes([0; 32]), ..good.clone() };
        let mallory = side(3, "Mallory");
        for (knock, from) in [(wrong, &bob.me), (good.clone(), &mallory.me)] {
            let answer = alice.receive(&PairFrame::Knock(knock), from, &invite);
            assert_eq!(answer, [PairFrame::End(EndReason::NoInvite)]);
        }
        alice.receive(&PairFrame::Knock(good), &bob.me, &invite);
        let answer = alice.receive(&PairFrame::Reveal([1; 16]), &bob.me, &invite);
        assert_eq!(answer, [PairFrame::End(EndReason::Protocol)]);
        assert!(!alice.asked);
    }

    #[test]
    fn a_consent_by_another_human_does_not_count() {
        let (mut alice, mut bob, invite) = alice_invites();
        let first = knock(&bob);
        carry(&mut alice, &mut bob, &invite, first);
        bob.human = ApproverKey::from_seed(&Secret::new([99; 32]));
        let record = bob.pairing.as_ref().unwrap().record.clone().unwrap();
        let signature = trust::sign_consent(&bob.human, &record);
        let forged = PairFrame::Consent { record: record.digest(), signature, note: None };
        alice.approve();
        alice.receive(&forged, &bob.me, &invite);
        assert!(!alice.trusts);
        assert_eq!(alice.ended, Some(EndReason::Protocol));
    }
}
