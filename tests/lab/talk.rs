//! Two owners who know each other, and whose agents talk both ways while something happens.

use std::time::Duration;

use crate::{
    outcome::Outcome,
    side::{Side, befriend},
    support::SOON,
    traffic::{Stream, now_ms},
    world::{Wall, World},
};

/// How long hole punching may take: iroh tries again every five seconds.
pub(crate) const PUNCHED: Duration = Duration::from_secs(20);
/// After so long, a link that has not healed will not.
const HEALS: Duration = Duration::from_secs(100);

/// Restarts both nodes and sends a first message. They trust each other already.
pub(crate) fn begin_afresh(alice: &Side, bob: &Side) -> Outcome {
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

/// A conversation.
pub(crate) struct Talk {
    pub(crate) alice: Side,
    pub(crate) bob: Side,
    pub(crate) from_alice: Stream,
    pub(crate) from_bob: Stream,
    pub(crate) outcome: Outcome,
    /// Ends last.
    pub(crate) world: World,
}

impl Talk {
    /// Two owners, each behind a wall of this kind, who talk over `path`.
    pub(crate) fn begin(world: World, wall: Wall, path: &str) -> Self {
        let (alice, bob) = world.two_sides([wall.clone(), wall], &world.network());
        befriend(&alice, &bob);
        Self::between(world, alice, bob, path)
    }

    /// Two owners who trust each other.
    pub(crate) fn between(world: World, alice: Side, bob: Side, path: &str) -> Self {
        let outcome = begin_afresh(&alice, &bob);
        alice.reaches(&bob, path, PUNCHED);
        bob.reaches(&alice, path, PUNCHED);
        let (from_alice, from_bob) = (Stream::begin(&alice, &bob), Stream::begin(&bob, &alice));
        let talk = Self { alice, bob, from_alice, from_bob, outcome, world };
        talk.flows();
        talk
    }

    /// Waits until messages arrive both ways.
    pub(crate) fn flows(&self) {
        let now = now_ms();
        self.from_alice.arrives_after(now, now, HEALS);
        self.from_bob.arrives_after(now, now, HEALS);
    }

    /// Measures the time from `back_ms`, when the trouble was over, until both directions carry what
    /// was sent since `since_ms`, when it began.
    pub(crate) fn heals(&mut self, since_ms: i64, back_ms: i64, bound: Option<Duration>) {
        let [there, back] = [&self.from_alice, &self.from_bob]
            .map(|stream| stream.arrives_after(since_ms, back_ms, HEALS) - back_ms);
        self.outcome.heal_ms = Some(there.max(back));
        self.outcome.heal_bound_ms = bound.map(|bound| i64::try_from(bound.as_millis()).unwrap());
    }

    /// Ends both streams and counts.
    pub(crate) fn end(mut self) -> Outcome {
        self.flows();
        self.outcome.path = self.alice.path_to(&self.bob);
        for stream in [self.from_alice, self.from_bob] {
            self.outcome.count(stream.end());
        }
        self.outcome
    }
}
