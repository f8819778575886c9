//! Two machines in one network, and nobody's servers.

use std::time::Instant;

use patchbay::Nat;

use super::words::pair_by_words;
use crate::{
    outcome::Outcome,
    side::{Network, Side, befriend},
    support::SOON,
    talk::Talk,
    traffic::{Stream, now_ms},
    world::{Wall, World},
};

fn two_on_a_lan() -> (World, Side, Side) {
    let world = World::new();
    let router = world.router("lan", &Wall::Nat(Nat::Moderate));
    let network = Network {
        mode: "lan",
        relays: Vec::new(),
        lookups: Vec::new(),
        roots: None,
        more: String::new(),
    };
    let side =
        |name, home| Side::new(home, world.device(name, router.id()), router.clone(), &network);
    let (alice, bob) = (side("alice", crate::side::alice()), side("bob", crate::side::bob()));
    (world, alice, bob)
}

/// Bob goes on at another machine of the network, where mDNS alone can find him.
pub(super) fn found() -> Outcome {
    let (world, alice, bob) = two_on_a_lan();
    befriend(&alice, &bob);
    let mut talk = Talk::between(world, alice, bob, "direct");
    talk.from_alice.pause();
    talk.from_bob.pause();
    talk.alice.home.stop();
    talk.bob.home.stop();
    let move_to = |side: &Side, name: &str| {
        side.moved_to(talk.world.device(name, side.router.id()), side.router.clone())
    };
    let (alice, bob) = (move_to(&talk.alice, "alice2"), move_to(&talk.bob, "bob2"));
    let back_ms = now_ms();
    alice.start();
    bob.start();
    let streams = (Stream::begin(&alice, &bob), Stream::begin(&bob, &alice));
    for (mut old, to) in [
        (std::mem::replace(&mut talk.from_alice, streams.0), &bob),
        (std::mem::replace(&mut talk.from_bob, streams.1), &alice),
    ] {
        old.now_to(to);
        talk.outcome.count(old.end());
    }
    (talk.alice, talk.bob) = (alice, bob);
    talk.heals(back_ms, back_ms, None);
    talk.bob.reaches(&talk.alice, "direct", SOON);
    talk.end()
}

/// Strangers in one network pair by three words.
pub(super) fn words() -> Outcome {
    let (world, alice, bob) = two_on_a_lan();
    alice.start();
    bob.start();
    alice.is_online();
    bob.is_online();
    let begun = Instant::now();
    pair_by_words(&alice, &bob);
    let took = begun.elapsed();
    let mut outcome = Talk::between(world, alice, bob, "direct").end();
    outcome.note = format!("paired by three words after {:.1} s", took.as_secs_f64());
    outcome
}
