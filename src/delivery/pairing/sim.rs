//! Two nodes that pair over a connection that breaks anywhere, and that die anywhere: before a
//! step is on disk, and between the disk and the net. Seeded, so that a failure can be repeated.

use std::collections::VecDeque;

use super::{
    tests::{Side, alice_invites},
    *,
};
use crate::wire::Invite;

/// Small numbers that look like chance (xorshift64*).
pub(in crate::delivery) struct Dice(u64);

impl Dice {
    pub(in crate::delivery) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 to `sides` - 1.
    pub(in crate::delivery) const fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }
}

/// What survives the death of a node.
#[derive(Clone, Default)]
struct Disk {
    pairing: Option<Pairing>,
    asked: bool,
    trusts: bool,
}

struct Node {
    side: Side,
    disk: Disk,
    /// Alice's invite: who may still use it.
    invite_open: bool,
    human: Human,
}

/// What the human will say when asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Human {
    Yes,
    No,
}

/// How a node's step ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Luck {
    Good,
    DiesBeforeTheDisk,
    DiesBeforeTheNet,
}

impl Node {
    /// As the node does it: everything a step changes in one transaction, and then the frames.
    fn apply(&mut self, steps: Vec<Step>, luck: Luck) -> Vec<PairFrame> {
        let mut disk = Disk { pairing: self.side.pairing.clone(), ..self.disk.clone() };
        let mut out = Vec::new();
        for step in steps {
            match step {
                Step::Send(frame) => out.push(frame),
                Step::Trust => disk.trusts = true,
                Step::Ask => disk.asked = true,
                Step::Finish | Step::End(_) => disk.pairing = None,
                Step::Keep | Step::Note(_) => {}
            }
        }
        if luck != Luck::DiesBeforeTheDisk {
            self.disk = disk;
        }
        self.side.pairing.clone_from(&self.disk.pairing);
        if luck == Luck::Good { out } else { Vec::new() }
    }

    fn receive(
        &mut self,
        frame: &PairFrame,
        from: &Me,
        invite: &Invite,
        luck: Luck,
    ) -> Vec<PairFrame> {
        let me = self.side.me.clone();
        if let (PairFrame::Knock(knock), None) = (frame, &self.side.pairing) {
            let secret = invite.secret.expose_secret();
            let open = OpenInvite { id: invite.id(), secret, used_by: None, approver: None };
            let open = if self.invite_open { vec![open] } else { vec![] };
            let Some(id) = invite_of_knock(knock, &open, &from.identity, &me.identity) else {
                return vec![PairFrame::End(EndReason::NoInvite)];
            };
            let pairing = Pairing::inviter(from.identity, id, knock, [8; 16]);
            let steps = pairing.knocked_again(knock, &me);
            self.side.pairing = Some(pairing);
            return self.apply(steps, luck);
        }
        let Some(pairing) = self.side.pairing.as_mut() else { return Vec::new() };
        let had = pairing.invite;
        let steps = pairing.handle(frame.clone(), &me);
        let out = self.apply(steps, luck);
        // An invite goes with the pairing that used it.
        self.invite_open &= self.disk.pairing.is_some() || had != invite.id() || luck != Luck::Good;
        out
    }

    /// The human answers, if asked.
    fn decide(&mut self, luck: Luck) -> Vec<PairFrame> {
        let waits = |p: &Pairing| p.record.is_some() && p.ours.is_none();
        if !self.disk.asked || !self.side.pairing.as_ref().is_some_and(waits) {
            return Vec::new();
        }
        let steps = match self.human {
            Human::Yes => {
                let signed = self.side.sign();
                self.side.pairing.as_mut().unwrap().consent(signed.item())
            }
            Human::No => end(EndReason::Denied),
        };
        self.apply(steps, luck)
    }
}

struct World {
    alice: Node,
    bob: Node,
    invite: Invite,
    dice: Dice,
    to_alice: VecDeque<PairFrame>,
    to_bob: VecDeque<PairFrame>,
    quiet: bool,
}

impl World {
    fn new(seed: u64, humans: (Human, Human)) -> Self {
        let (alice, bob, invite) = alice_invites();
        let node = |side: Side, human, invite_open| {
            let disk = Disk { pairing: side.pairing.clone(), ..Disk::default() };
            Node { side, disk, invite_open, human }
        };
        Self {
            alice: node(alice, humans.0, true),
            bob: node(bob, humans.1, false),
            invite,
            dice: Dice::new(seed),
            to_alice: VecDeque::new(),
            to_bob: VecDeque::new(),
            quiet: false,
        }
    }

    fn luck(&mut self) -> Luck {
        match self.dice.roll(12) {
            _ if self.quiet => Luck::Good,
            0 => Luck::DiesBeforeTheDisk,
            1 => Luck::DiesBeforeTheNet,
            _ => Luck::Good,
        }
    }

    /// A new connection: what was on the old one is gone.
    fn connect(&mut self) {
        self.to_alice.clear();
        self.to_bob.clear();
        let opening = self.bob.side.pairing.as_ref().and_then(|p| p.opening(&self.bob.side.me));
        self.to_alice.extend(opening);
    }

    fn step(&mut self) {
        let luck = self.luck();
        match self.dice.roll(8) {
            0 if !self.quiet => self.connect(),
            1 => self.to_bob.extend(self.alice.decide(luck)),
            2 => self.to_alice.extend(self.bob.decide(luck)),
            3..=5 => {
                let Some(frame) = self.to_alice.pop_front() else { return };
                self.repeat(&frame, true);
                let from = self.bob.side.me.clone();
                self.to_bob.extend(self.alice.receive(&frame, &from, &self.invite, luck));
            }
            _ => {
                let Some(frame) = self.to_bob.pop_front() else { return };
                self.repeat(&frame, false);
                let from = self.alice.side.me.clone();
                self.to_alice.extend(self.bob.receive(&frame, &from, &self.invite, luck));
            }
        }
        if luck != Luck::Good {
            self.connect();
        }
    }

    /// Now and then a frame comes twice.
    fn repeat(&mut self, frame: &PairFrame, to_alice: bool) {
        if !self.quiet && self.dice.roll(10) == 0 {
            let queue = if to_alice { &mut self.to_alice } else { &mut self.to_bob };
            queue.push_front(frame.clone());
        }
    }

    fn run(&mut self) -> (bool, bool) {
        for _ in 0..self.dice.roll(80) {
            self.step();
        }
        self.quiet = true;
        for _ in 0..5 {
            self.connect();
            for _ in 0..100 {
                self.step();
            }
        }
        (self.alice.disk.trusts, self.bob.disk.trusts)
    }
}

#[test]
fn whatever_breaks_both_sides_trust_in_the_end() {
    for seed in 0..300 {
        let mut world = World::new(seed, (Human::Yes, Human::Yes));
        assert_eq!(world.run(), (true, true), "seed {seed}");
        let left = [&world.alice.disk.pairing, &world.bob.disk.pairing];
        assert!(left.iter().all(|pairing| pairing.as_ref().is_none_or(Pairing::is_consented)));
    }
}

#[test]
fn whatever_breaks_a_no_of_one_human_leaves_no_trust_on_either_side() {
    for seed in 0..300 {
        for humans in [(Human::Yes, Human::No), (Human::No, Human::Yes)] {
            let mut world = World::new(seed, humans);
            assert_eq!(world.run(), (false, false), "seed {seed}");
        }
    }
}
