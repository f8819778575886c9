//! The rounds: a node is started with a place to die at, something happens that leads there, and it
//! dies; now and then all is started again and looked at.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use countersign::{base::failpoint::Failpoint, node::api::HumanRequest};
use serde_json::Value;

use crate::{
    plan::{Counts, Dice, Kill, Way, way},
    side::{Side, Started},
    support,
    traffic::World,
};

/// Kills between two looks at the whole.
const KILLS_A_BLOCK: usize = 4;
/// How long a place may not be reached.
const REACHED: Duration = Duration::from_millis(2500);
/// What is counted where no place was reached.
pub(crate) const ANY_TIME: &str = "at any moment";

/// What the rounds saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) counts: Counts,
    /// How long each start took.
    pub(crate) starts: Vec<Duration>,
    rounds: usize,
    pub(crate) kills: usize,
}

impl Seen {
    pub(crate) fn killed(&mut self, at: &'static str) {
        *self.counts.entry(at).or_default() += 1;
        self.kills += 1;
    }

    /// What was seen beside it.
    pub(crate) fn add(&mut self, other: Self) {
        for (at, count) in other.counts {
            *self.counts.entry(at).or_default() += count;
        }
        self.starts.extend(other.starts);
        self.kills += other.kills;
        self.rounds += other.rounds;
    }

    pub(crate) fn started(&mut self, started: Started) {
        if let Started::Ready(time) = started {
            self.starts.push(time);
        }
    }
}

/// Alice and Bob, who trust each other and whose nodes run.
pub(crate) fn world(alice: Side, bob: Side) -> World {
    for side in [&alice, &bob] {
        assert!(matches!(side.start(None), Started::Ready(_)));
    }
    support::pair(&alice.home, &bob.home);
    World::new([alice, bob], None, false)
}

/// A block of kills of one side, with all started again and looked at in the end. Sometimes the
/// other side dies too.
pub(crate) fn block(
    world: &World,
    victim: usize,
    kills: &[Kill],
    (seen, dice): (&mut Seen, &mut Dice),
) {
    let side = &world.sides[victim];
    if side.kill() {
        seen.killed(ANY_TIME);
    }
    for kill in kills {
        round(world, victim, *kill, (seen, dice));
        if dice.below(6) == 0 && world.sides[1 - victim].kill() {
            world.journal().note(format!("{} dies too", world.sides[1 - victim].name()));
            seen.killed(ANY_TIME);
            seen.started(world.sides[1 - victim].start(None));
        }
    }
    let starts = world.settle();
    seen.starts.extend(starts);
}

/// One kill. A place that is not reached is tried again, at its first time.
fn round(world: &World, victim: usize, kill: Kill, (seen, dice): (&mut Seen, &mut Dice)) {
    let mut times = match kill {
        Kill::At(point) => dice.times(point),
        Kill::AnyTime => 0,
    };
    for _ in 0..3 {
        seen.rounds += 1;
        let side = &world.sides[victim];
        let armed = match kill {
            Kill::At(point) => Some((point, times)),
            Kill::AnyTime => None,
        };
        world.journal().note(format!("round {}: {} starts, {armed:?}", seen.rounds, side.name()));
        let started = side.start(armed);
        seen.started(started);
        if started != Started::Died && !dies(world, victim, (kill, seen.rounds), dice) {
            side.kill();
            seen.killed(ANY_TIME);
            times = 1;
            if kill == Kill::AnyTime {
                return;
            }
            continue;
        }
        if let Kill::At(point) = kill {
            seen.killed(point.name());
        }
        return;
    }
}

/// Lets things happen until the node dies at its place. False where it did not.
fn dies(world: &World, victim: usize, (kill, round): (Kill, usize), dice: &mut Dice) -> bool {
    let (over, side) = (AtomicBool::new(false), &world.sides[victim]);
    let time = Duration::from_millis(u64::from(dice.below(300)));
    thread::scope(|scope| {
        let traffic = scope.spawn(|| world.run(round, &over));
        let died = match kill {
            Kill::AnyTime => side.dies_within(time),
            Kill::At(point) => {
                if way(point) == Way::Stop {
                    thread::sleep(time);
                    side.human::<Value>(HumanRequest::Stop).ok();
                }
                side.dies_within(REACHED)
            }
        };
        over.store(true, Ordering::Relaxed);
        if !died {
            side.kill();
        }
        traffic.join().unwrap();
        died
    })
}

/// The places that a world of two trusting homes comes to.
pub(crate) fn is_of_worlds(kill: Kill) -> bool {
    match kill {
        Kill::At(point) => matches!(way(point), Way::Traffic | Way::Stop),
        Kill::AnyTime => true,
    }
}

/// All kills of a plan that a world takes, in blocks.
pub(crate) fn blocks(kills: &[Kill]) -> Vec<Vec<Kill>> {
    let of_worlds: Vec<Kill> = kills.iter().copied().filter(|kill| is_of_worlds(*kill)).collect();
    of_worlds.chunks(KILLS_A_BLOCK).map(<[Kill]>::to_vec).collect()
}

/// The places of a plan that are reached another way.
pub(crate) fn points(kills: &[Kill], wanted: Way) -> Vec<Failpoint> {
    let points = kills.iter().filter_map(|kill| match kill {
        Kill::At(point) => Some(*point),
        Kill::AnyTime => None,
    });
    points.filter(|point| way(*point) == wanted).collect()
}
