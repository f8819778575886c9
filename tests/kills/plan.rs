//! Which kills there are, in which order, and how each place is reached.

use std::collections::BTreeMap;

use countersign::base::failpoint::Failpoint;

/// What leads a node to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Messages that go both ways.
    Traffic,
    /// The node is told to end.
    Stop,
    /// Two homes pair.
    Pairing,
    /// A home is set up.
    Setup,
}

const STOP: [Failpoint; 3] = [Failpoint::StoreFold, Failpoint::StoreFolded, Failpoint::Finish];
const SETUP: [Failpoint; 2] = [Failpoint::FileWritten, Failpoint::FileNamed];
const PAIRING: [Failpoint; 9] = [
    Failpoint::InviteWrite,
    Failpoint::ConnectWrite,
    Failpoint::ConnectWritten,
    Failpoint::PairWrite,
    Failpoint::PairWritten,
    Failpoint::ConsentWrite,
    Failpoint::ConsentWritten,
    Failpoint::PairFrame,
    Failpoint::PairFrameWritten,
];
/// Reached once by a node, or once a link.
const ONCE: [Failpoint; 5] = [
    Failpoint::StartLoaded,
    Failpoint::StartReady,
    Failpoint::LinkHello,
    Failpoint::LinkUp,
    Failpoint::Checkpoint,
];

/// What these begin with is reached a few times by a round: many messages are one batch.
const SELDOM: [&str; 6] = ["link-", "take-", "ack-", "receipt-", "send-settle", "decide-"];

/// How a place is reached.
pub(crate) fn way(point: Failpoint) -> Way {
    if STOP.contains(&point) {
        Way::Stop
    } else if SETUP.contains(&point) {
        Way::Setup
    } else if PAIRING.contains(&point) {
        Way::Pairing
    } else {
        Way::Traffic
    }
}

/// Something that the harness itself does wrong, so that a checker has something to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// A message is sent twice, and noted once.
    SendTwice,
    /// A human's yes is not noted.
    HideYes,
}

/// Random numbers that a seed gives (xorshift64*, Marsaglia 2003, Vigna 2016).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // Zero would stay zero; neighbouring seeds begin far from each other.
        Self((seed ^ 0x9E37_79B9_7F4A_7C15).max(1).wrapping_mul(0xBF58_476D_1CE4_E5B9) | 1)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        u32::try_from(high % u64::from(end)).unwrap()
    }

    /// How many times a place is reached until the node dies there.
    pub(crate) fn times(&mut self, point: Failpoint) -> u32 {
        match way(point) {
            _ if ONCE.contains(&point) => 1,
            Way::Traffic if SELDOM.iter().any(|start| point.name().starts_with(start)) => {
                1 + self.below(2)
            }
            Way::Traffic => 1 + self.below(6),
            Way::Setup => 1 + self.below(3),
            Way::Stop | Way::Pairing => 1,
        }
    }
}

/// What is killed next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kill {
    /// A node dies at a place.
    At(Failpoint),
    /// A node is killed at any moment.
    AnyTime,
}

/// So many kills: every place in turn, in another order each time, and a random moment after every
/// fourth.
pub(crate) fn kills(count: usize, dice: &mut Dice) -> Vec<Kill> {
    let mut kills = Vec::new();
    while kills.len() < count {
        let mut points = Failpoint::ALL;
        for at in (1..points.len()).rev() {
            let other = dice.below(u32::try_from(at + 1).unwrap());
            points.swap(at, usize::try_from(other).unwrap());
        }
        for (number, point) in points.into_iter().enumerate() {
            kills.push(Kill::At(point));
            // The first pass is through the places, so that few kills reach them all.
            if number % 4 == 3 && kills.len() > Failpoint::ALL.len() {
                kills.push(Kill::AnyTime);
            }
        }
        if kills.len() == Failpoint::ALL.len() {
            kills.extend([Kill::AnyTime; 4]);
        }
    }
    kills.truncate(count);
    kills
}

/// Kills at each place; none is "at any moment".
pub(crate) type Counts = BTreeMap<&'static str, usize>;
