//! Two sides of a pairing that exchange frames.

use super::*;
use crate::{
    base::{PendingId, Secret},
    gate::{self, Approved, Decision, Item, Outcome, Pending, Statement, What},
    identity::{ApproverKey, IdentityKey},
    wire::{Invite, Method},
};

pub(super) const NOW: Timestamp = Timestamp::from_ms(1_000_000);

pub(super) struct Side {
    pub(super) me: Me,
    pub(super) human: ApproverKey,
    pub(super) pairing: Option<Pairing>,
    pub(super) asked: bool,
    pub(super) trusts: bool,
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

pub(super) fn alice_invites() -> (Side, Side, Invite) {
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
                approver: None,
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
        let signed = self.sign();
        let steps = self.pairing.as_mut().unwrap().consent(signed.item());
        self.take(steps)
    }

    /// The human's yes, as the gate lets it through.
    pub(super) fn sign(&self) -> Approved<SignedConsent> {
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
            after: Vec::new(),
        };
        let decision = Decision::sign(&item, &statement, &self.human).unwrap();
        let later = NOW.plus(std::time::Duration::from_secs(9));
        let pending = Pending::peer(id, what, record, later);
        let (me, approver) = (self.me.identity, self.me.approver);
        let outcome = pending.decide(&decision, &me, &approver, NOW).unwrap();
        let Outcome::Approved(approved) = outcome else { panic!() };
        approved
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
        let words = |side: &Side| side.pairing.as_ref().unwrap().record.as_ref().unwrap().words();
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
        assert!(alice.trusts && bob.trusts, "frame {lost} lost: {:?} {:?}", alice.ended, bob.ended);
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

#[test]
fn an_invite_that_a_code_carried_is_for_one_node_of_one_human() {
    let (alice, bob, invite) = alice_invites();
    let frames = knock(&bob);
    let [PairFrame::Knock(knock)] = frames.as_slice() else { panic!("a knock") };
    let found = |used_by: PeerId, approver: ApproverId| {
        let secret = invite.secret.expose_secret();
        let (used_by, approver) = (Some(used_by), Some(approver));
        let open = OpenInvite { id: invite.id(), secret, used_by, approver };
        invite_of_knock(knock, &[open], &bob.me.identity, &alice.me.identity).is_some()
    };
    assert!(found(bob.me.identity, bob.me.approver));
    assert!(!found(bob.me.identity, alice.me.approver), "another human's");
    assert!(!found(alice.me.identity, bob.me.approver), "another node's");
}
