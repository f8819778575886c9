//! The pairing of two strangers, as one side sees it: knock, answer, reveal, and the exchange of
//! two consents (`SPEC.md` section 7).
//!
//! A [`Pairing`] is what the store keeps, so that it can go on after a crash at any step: every
//! step is written down before its frame leaves, and the same knock always gets the same answer.

#[cfg(test)]
use crate::base::planted::{Bug, planted};
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
    /// It began with a short code, which showed that the other side knew its words.
    pub by_code: bool,
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
    /// Who used it already, or who alone may.
    pub used_by: Option<PeerId>,
    /// Whose human alone may.
    pub approver: Option<ApproverId>,
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
        equal
            && invite.used_by.is_none_or(|user| user == *joiner)
            && invite.approver.is_none_or(|approver| approver == knock.approver)
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
            by_code: false,
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
            by_code: false,
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
        if self.is_knock(knock) {
            vec![Step::Keep, Step::Send(self.answer(me))]
        } else {
            end(EndReason::NoInvite)
        }
    }

    /// This is the knock that the pairing began with.
    #[must_use]
    pub fn is_knock(&self, knock: &Knock) -> bool {
        !self.is_joiner()
            && knock.proof == self.proof
            && knock.commitment == self.commitment
            && knock.created == self.knocked
            && Some(&knock.name) == self.their_name.as_ref()
            && Some(knock.approver) == self.their_approver
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
        #[cfg(test)]
        if planted(Bug::OneSignature) {
            self.theirs.get_or_insert(signed.signature);
        }
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
        // A human may say yes just when a connection is new. What the consent is about was lost
        // with the former one, comes next, and the consent comes again behind it.
        let Some(record) = self.record.as_ref() else { return Vec::new() };
        if record.digest() != *digest {
            return end(EndReason::Protocol);
        }
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
pub(super) use sim::Dice;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
