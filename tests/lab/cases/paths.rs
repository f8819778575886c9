//! How two homes reach each other, for each kind of network between them.

use std::time::{Duration, Instant};

use patchbay::Nat;

use crate::{
    outcome::Outcome,
    servers,
    side::{Network, Side, befriend},
    support::SOON,
    traffic::{Stream, now_ms},
    world::{Wall, World},
};

/// How long hole punching may take: iroh tries again every five seconds.
const PUNCHED: Duration = Duration::from_secs(20);

/// Two people pair, both nodes start afresh, and the first message goes as it can.
fn meet(walls: [Wall; 2], path: &str, network: impl FnOnce(&World) -> Network) -> Outcome {
    let world = World::new();
    let network = network(&world);
    let (alice, bob) = world.two_sides(walls, &network);
    let begun = Instant::now();
    befriend(&alice, &bob);
    let paired = begun.elapsed();
    let mut outcome = begin_afresh(&alice, &bob);
    outcome.note = format!("paired after {:.1} s", paired.as_secs_f64());
    let streams = [Stream::begin(&alice, &bob), Stream::begin(&bob, &alice)];
    let begun = Instant::now();
    for (side, other) in [(&alice, &bob), (&bob, &alice)] {
        side.reaches(other, path, PUNCHED);
    }
    if path == "direct" {
        outcome.note += &format!(", direct {:.1} s after the first", begun.elapsed().as_secs_f64());
    }
    path.clone_into(&mut outcome.path);
    streams.into_iter().for_each(|stream| outcome.count(stream.end()));
    outcome
}

/// Restarts both nodes and sends a first message. They trust each other already.
fn begin_afresh(alice: &Side, bob: &Side) -> Outcome {
    alice.home.stop();
    bob.home.stop();
    alice.start();
    let begun_ms = now_ms();
    bob.start();
    let stream = Stream::begin(bob, alice);
    let at_ms = stream.arrives_after(begun_ms, 0, SOON);
    let mut outcome = Outcome { first_ms: Some(at_ms - begun_ms), ..Outcome::default() };
    outcome.count(stream.end());
    outcome
}

pub(super) fn hole_punching() -> Outcome {
    let nat = Wall::Nat(Nat::Moderate);
    meet([nat.clone(), nat], "direct", World::network)
}

pub(super) fn symmetric_nats() -> Outcome {
    let nat = Wall::Nat(Nat::Strict);
    meet([nat.clone(), nat], "relay", World::network)
}

pub(super) fn udp_blocked() -> Outcome {
    let wall = Wall::Tcp(&[443]);
    meet([wall.clone(), wall], "relay", World::network)
}

pub(super) fn http_proxy() -> Outcome {
    let wall = Wall::Tcp(&[servers::PROXY_PORT]);
    meet([wall.clone(), wall], "relay", |world| {
        let proxy = world.proxy();
        Network { more: format!("proxy = {proxy:?}\n"), ..world.network() }
    })
}
