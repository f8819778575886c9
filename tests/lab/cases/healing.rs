//! Something breaks under two homes that talk. The bounds are the product's promise.

use std::{thread, time::Duration};

use patchbay::Nat;
use rustix::process::Signal;

use crate::{
    outcome::Outcome,
    side::signal,
    support::{SOON, until},
    talk::Talk,
    traffic::now_ms,
    world::{Wall, World, forbid},
};

const EASY: Wall = Wall::Nat(Nat::Moderate);
const SYMMETRIC: Wall = Wall::Nat(Nat::Strict);
/// The product's promises.
const RELAY: Option<Duration> = Some(Duration::from_secs(5));
const UDP: Option<Duration> = Some(Duration::from_secs(5));
const RESTART: Option<Duration> = Some(Duration::from_secs(3));
const NAT: Option<Duration> = Some(Duration::from_secs(2));
const LINK: Option<Duration> = Some(Duration::from_secs(2));
const WAKE: Option<Duration> = Some(Duration::from_secs(3));

/// Two homes that need a relay, both at home at the first of two: the other one can be reached only
/// now.
fn with_two_relays() -> Talk {
    let world = World::with_relays(2);
    let second = world.relays[1].device.iface("eth0").unwrap();
    world.wait(second.link_down()).unwrap();
    let talk = Talk::begin(world, SYMMETRIC, "relay");
    let first = format!("https://{}/", talk.world.relays[0].ip);
    for side in [&talk.alice, &talk.bob] {
        until("the home relay is the first", SOON, || side.home_relay().as_ref() == Some(&first));
    }
    talk.world.wait(second.link_up()).unwrap();
    talk
}

pub(super) fn relay_dies() -> Outcome {
    let mut talk = with_two_relays();
    talk.world.relays[0].kill();
    let dead_ms = now_ms();
    talk.heals(dead_ms, dead_ms, RELAY);
    talk.end()
}

pub(super) fn relay_lost() -> Outcome {
    let mut talk = with_two_relays();
    let first = talk.world.relays[0].device.iface("eth0").unwrap();
    talk.world.wait(first.link_down()).unwrap();
    let lost_ms = now_ms();
    talk.heals(lost_ms, lost_ms, None);
    talk.end()
}

pub(super) fn udp_lost() -> Outcome {
    let mut talk = Talk::begin(World::new(), EASY, "direct");
    forbid(&talk.bob.router, "noudp", "meta l4proto udp drop");
    let lost_ms = now_ms();
    talk.heals(lost_ms, lost_ms, UDP);
    until("the path is the relay's", SOON, || talk.alice.path_to(&talk.bob) == "relay");
    talk.end()
}

pub(super) fn peer_killed() -> Outcome {
    let mut talk = Talk::begin(World::new(), EASY, "direct");
    talk.from_bob.pause();
    talk.bob.home.kill_node();
    let killed_ms = now_ms();
    thread::sleep(Duration::from_secs(3));
    let back_ms = now_ms();
    talk.bob.start();
    talk.from_bob.resume();
    talk.heals(killed_ms, back_ms, RESTART);
    talk.end()
}

pub(super) fn nat_rebound() -> Outcome {
    let mut talk = Talk::begin(World::new(), EASY, "direct");
    talk.world.wait(talk.bob.router.flush_nat_state()).unwrap();
    let lost_ms = now_ms();
    talk.heals(lost_ms, lost_ms, NAT);
    talk.end()
}

pub(super) fn nat_changed() -> Outcome {
    let mut talk = Talk::begin(World::new(), EASY, "direct");
    let other = talk.world.router("nat-other", &EASY);
    let link = talk.bob.device.iface("eth0").unwrap();
    let gone_ms = now_ms();
    talk.world.wait(link.replug(other.id())).unwrap();
    talk.heals(gone_ms, now_ms(), NAT);
    talk.bob.reaches(&talk.alice, "direct", SOON);
    talk.end()
}

pub(super) fn link_20() -> Outcome {
    link_gone(Duration::from_secs(20))
}

pub(super) fn link_60() -> Outcome {
    link_gone(Duration::from_mins(1))
}

fn link_gone(time: Duration) -> Outcome {
    let mut talk = Talk::begin(World::new(), EASY, "direct");
    let link = talk.bob.device.iface("eth0").unwrap();
    talk.world.wait(link.link_down()).unwrap();
    let gone_ms = now_ms();
    thread::sleep(time);
    talk.world.wait(link.link_up()).unwrap();
    talk.heals(gone_ms, now_ms(), LINK);
    talk.end()
}

pub(super) fn frozen() -> Outcome {
    let mut talk = Talk::begin(World::new(), EASY, "direct");
    talk.from_bob.pause();
    let pid = talk.bob.home.pid().unwrap();
    signal(pid, Signal::STOP);
    let asleep_ms = now_ms();
    thread::sleep(Duration::from_secs(40));
    let awake_ms = now_ms();
    signal(pid, Signal::CONT);
    talk.from_bob.resume();
    talk.heals(asleep_ms, awake_ms, WAKE);
    talk.end()
}

pub(super) fn silence_30() -> Outcome {
    silence(Duration::from_secs(30))
}

pub(super) fn silence_600() -> Outcome {
    silence(Duration::from_mins(10))
}

/// The link must outlive it, so the first message after it takes no longer than any other.
fn silence(time: Duration) -> Outcome {
    let mut talk = Talk::begin(World::new(), EASY, "direct");
    talk.from_alice.pause();
    talk.from_bob.pause();
    thread::sleep(time);
    let over_ms = now_ms();
    talk.from_alice.resume();
    talk.from_bob.resume();
    talk.heals(over_ms, over_ms, Some(Duration::from_secs(2)));
    talk.end()
}
