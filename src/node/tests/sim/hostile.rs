//! Mallory, whom the others trust and whose net does what it likes; strangers who knock with what
//! they overheard; and somebody on this machine who replays what its human signed.

use super::world::{Question, World};
use crate::{
    base::{MessageId, MessageText, PeerId},
    net::{LinkId, NetEvent},
    node::api::{HumanRequest, Request},
    wire::{
        Body, Draft, Envelope, Frame, Header, Kind, Receipt, ReceiptState, message::ReceiptEntry,
    },
};

impl World {
    /// A frame on its way. Of Mallory's, some are not what her node sent.
    pub(super) fn tampered(&mut self, from: usize, bytes: Vec<u8>) -> Vec<u8> {
        if self.calm || !self.is_hostile(from) || !self.dice.once_in(5) {
            return bytes;
        }
        self.stats.hostile += 1;
        let Ok(Frame::Data { seq, envelope }) = Frame::decode(&bytes) else { return bytes };
        let envelope = match self.dice.below(5) {
            0 if !self.envelopes.is_empty() => {
                self.envelopes[self.dice.index(self.envelopes.len())].clone()
            }
            1 => self.mutated(envelope),
            2 => self.under_an_old_id(from, &envelope).unwrap_or(envelope),
            3 => self.forged_receipt(from, &envelope).unwrap_or(envelope),
            _ => return self.mutated(bytes),
        };
        Frame::Data { seq, envelope }.encode()
    }

    fn mutated(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let place = self.dice.index(bytes.len());
        bytes[place] ^= 1 << self.dice.below(8);
        bytes
    }

    /// Another text under an id that was used before, by her or somebody else.
    fn under_an_old_id(&mut self, from: usize, envelope: &[u8]) -> Option<Vec<u8>> {
        let envelope = Envelope::decode(envelope).ok()?;
        let old = self.envelopes.get(self.dice.index(self.envelopes.len()))?;
        let id = Envelope::decode(old).ok()?.header().id;
        let header = Header { id, kind: Kind::Text, reply_to: None, ..envelope.header().clone() };
        let body = Body::Text(MessageText::parse(&"m".repeat(20 + self.dice.index(500))).unwrap());
        let draft = Draft { header, body };
        Some(draft.seal(&self.hosts[from].key).ok()?.bytes().to_vec())
    }

    /// She says something of messages that were never hers.
    fn forged_receipt(&mut self, from: usize, envelope: &[u8]) -> Option<Vec<u8>> {
        let envelope = Envelope::decode(envelope).ok()?;
        let old = self.envelopes.get(self.dice.index(self.envelopes.len()))?;
        let old = Envelope::decode(old).ok()?;
        let states = [ReceiptState::Accepted, ReceiptState::Refused, ReceiptState::Busy];
        let (id, digest) = (old.header().id, old.digest());
        let (state, at) = (states[self.dice.index(3)], envelope.header().created);
        let entries = vec![ReceiptEntry { id, digest, state, at, reason: None }];
        let own = MessageId::from_bytes(crate::node::clock::random());
        let header = Header {
            id: own,
            kind: Kind::Receipt,
            thread: None,
            reply_to: None,
            ..envelope.header().clone()
        };
        let draft = Draft { header, body: Body::Receipt(Receipt::of(entries)) };
        Some(draft.seal(&self.hosts[from].key).ok()?.bytes().to_vec())
    }

    /// Something that nobody may do.
    pub(super) fn hostile(&mut self) {
        let host = self.dice.index(self.hosts.len());
        if self.dice.once_in(2) {
            self.stranger(host);
        } else {
            self.replay_decision(host);
        }
    }

    /// A stranger replays a knock.
    fn stranger(&mut self, host: usize) {
        if self.knocks.is_empty() || !self.hosts[host].life.as_ref().is_some_and(|l| l.pairing) {
            return;
        }
        let frame = self.knocks[self.dice.index(self.knocks.len())].clone();
        let peer = PeerId::from_bytes(crate::node::clock::random());
        self.last_link += 1;
        self.stats.hostile += 1;
        let link = LinkId(self.last_link);
        self.tell(host, NetEvent::PairUp { peer, link, dialed: false });
        self.tell(host, NetEvent::Pair { peer, link, frame });
        self.tell(host, NetEvent::PairDown { peer, link: Some(link) });
    }

    /// A signed decision comes again: for what it was made for, or for what waits now.
    fn replay_decision(&mut self, host: usize) {
        let anybodys = self.dice.once_in(4);
        let mut signed: Vec<&HumanRequest> = Vec::new();
        signed
            .extend(self.decides.iter().filter(|(by, _)| anybodys || *by == host).map(|(_, r)| r));
        if signed.is_empty() {
            return;
        }
        let mut request = signed[self.dice.index(signed.len())].clone();
        let Some(life) = &self.hosts[host].life else { return };
        let waits: Vec<String> = life.node.pending.keys().map(ToString::to_string).collect();
        if let HumanRequest::Decide { id, .. } = &mut request
            && !waits.is_empty()
            && self.dice.once_in(2)
        {
            id.clone_from(&waits[self.dice.index(waits.len())]);
        }
        self.stats.hostile += 1;
        self.ask(host, Request::Human(request), Question::Other);
    }
}
