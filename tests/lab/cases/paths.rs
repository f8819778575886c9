//! How two homes reach each other, for each kind of network between them.

use std::{fmt::Write as _, time::Instant};

use patchbay::Nat;

use crate::{
    outcome::Outcome,
    servers,
    side::{Network, befriend},
    talk::{PUNCHED, begin_afresh},
    traffic::Stream,
    world::{Wall, World},
};

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
        let seconds = begun.elapsed().as_secs_f64();
        write!(outcome.note, ", direct {seconds:.1} s after the first").unwrap();
    }
    path.clone_into(&mut outcome.path);
    for stream in streams {
        outcome.count(stream.end());
    }
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
