//! The address is the key: whoever starts elsewhere with the same key is found without any act.

use patchbay::Nat;

use crate::{
    outcome::Outcome,
    support::SOON,
    talk::Talk,
    traffic::{Stream, now_ms},
    world::{Wall, World},
};

const EASY: Wall = Wall::Nat(Nat::Moderate);

/// Bob goes on at another host. Alice talks to him all the time.
pub(super) fn other_host() -> Outcome {
    let mut talk = Talk::begin(World::new(), EASY, "direct");
    talk.from_bob.pause();
    let gone_ms = now_ms();
    talk.bob.home.stop();
    let (device, router) = talk.world.elsewhere("bob2", &EASY);
    let bob = talk.bob.moved_to(device, router);
    let back_ms = now_ms();
    bob.start();
    talk.from_alice.now_to(&bob);
    let from_new_bob = Stream::begin(&bob, &talk.alice);
    let old = std::mem::replace(&mut talk.from_bob, from_new_bob);
    talk.outcome.count(old.end());
    talk.bob = bob;
    talk.heals(gone_ms, back_ms, None);
    talk.bob.reaches(&talk.alice, "direct", SOON);
    talk.end()
}

/// Both go on at other hosts. Each knows of the other only where it was, and what the lookup says.
pub(super) fn both_hosts() -> Outcome {
    let mut talk = Talk::begin(World::new(), EASY, "direct");
    talk.from_alice.pause();
    talk.from_bob.pause();
    talk.alice.home.stop();
    talk.bob.home.stop();
    let (device, router) = talk.world.elsewhere("alice2", &EASY);
    let alice = talk.alice.moved_to(device, router);
    let (device, router) = talk.world.elsewhere("bob2", &EASY);
    let bob = talk.bob.moved_to(device, router);
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

/// Both machines are plugged into other networks in the same moment.
pub(super) fn both_networks() -> Outcome {
    let mut talk = Talk::begin(World::new(), EASY, "direct");
    let others = [talk.world.router("other-a", &EASY), talk.world.router("other-b", &EASY)];
    let links = [&talk.alice, &talk.bob].map(|side| side.device.iface("eth0").unwrap());
    let gone_ms = now_ms();
    talk.world
        .wait(async {
            tokio::join!(links[0].replug(others[0].id()), links[1].replug(others[1].id()))
        })
        .0
        .unwrap();
    talk.heals(gone_ms, now_ms(), None);
    talk.bob.reaches(&talk.alice, "direct", SOON);
    talk.end()
}
