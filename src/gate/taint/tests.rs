//! The invariant, over all orders of tool calls up to a depth and along random long ones, against an
//! oracle that keeps the whole history. The same check finds planted holes.

use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds { life: Duration::from_secs(10), reply_bytes_max: 100 };
/// A tool call takes a second; a pause is longer than what was shown counts.
const STEP: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(11);
const PEERS: u8 = 3;
const SESSIONS: usize = 2;
const DEPTH: usize = 4;

fn peer(n: u8) -> PeerId {
    PeerId::from_bytes([n; 32])
}

/// One tool call of one session, or something that the human or the clock does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Read(usize, u8),
    Send(usize, u8, u64),
    Connect(usize, u8),
    Clear,
    Pause,
}

fn calls() -> Vec<Call> {
    let mut calls = vec![Call::Clear, Call::Pause];
    for session in 0..SESSIONS {
        for peer in 0..PEERS {
            calls.extend([Call::Read(session, peer), Call::Connect(session, peer)]);
            let sizes = [BOUNDS.reply_bytes_max, BOUNDS.reply_bytes_max + 1];
            calls.extend(sizes.map(|bytes| Call::Send(session, peer, bytes)));
        }
    }
    calls
}

/// Our human signed that what is read of peer 0 may go to peer 1, and nothing else.
fn flows(from: &PeerId, to: &PeerId) -> bool {
    (*from, *to) == (peer(0), peer(1))
}

/// What is checked: the machine, or one with a hole.
trait Rule: Clone {
    fn read(&mut self, session: usize, from: PeerId, now: Timestamp);
    fn asks(&mut self, session: usize, act: Act, now: Timestamp) -> Vec<PeerId>;
    fn clear(&mut self);
}

impl Rule for Taint {
    fn read(&mut self, _: usize, from: PeerId, now: Timestamp) {
        let _ = self.show(from, now, &BOUNDS);
    }

    fn asks(&mut self, _: usize, act: Act, now: Timestamp) -> Vec<PeerId> {
        self.sources(act, now, &BOUNDS, flows)
    }

    fn clear(&mut self) {
        Self::clear(self);
    }
}

/// Everything that happened, and nothing forgotten.
#[derive(Clone, Default)]
struct History {
    read: Vec<(PeerId, Timestamp)>,
    cleared: Option<usize>,
}

impl History {
    /// Whose texts count, by the invariant's own words.
    fn counts(&self, now: Timestamp) -> Vec<PeerId> {
        let since = self.read.get(self.cleared.unwrap_or(0)..).unwrap();
        let live = since.iter().filter(|(_, at)| now.since(*at) < BOUNDS.life);
        let mut peers: Vec<_> = live.map(|(peer, _)| *peer).collect();
        peers.sort();
        peers.dedup();
        peers
    }
}

#[derive(Clone)]
struct World<R> {
    rule: R,
    history: History,
    now: Timestamp,
}

impl<R: Rule> World<R> {
    fn new(rule: R) -> Self {
        Self { rule, history: History::default(), now: Timestamp::from_ms(1_000_000) }
    }

    /// Does one call; tells what the invariant says against what the rule did.
    fn call(&mut self, call: Call) -> Result<(), String> {
        self.now = self.now.plus(STEP);
        match call {
            Call::Read(session, from) => {
                self.rule.read(session, peer(from), self.now);
                self.history.read.push((peer(from), self.now));
            }
            Call::Clear => {
                self.rule.clear();
                self.history.cleared = Some(self.history.read.len());
            }
            Call::Pause => {
                self.now = self.now.plus(PAUSE);
            }
            Call::Send(session, to, bytes) => {
                let to = peer(to);
                let named = self.rule.asks(session, Act::Send { to, bytes }, self.now);
                let counts = self.history.counts(self.now);
                let plain = bytes <= BOUNDS.reply_bytes_max;
                let must: Vec<_> = counts
                    .into_iter()
                    .filter(|from| if *from == to { !plain } else { !flows(from, &to) })
                    .collect();
                if named != must {
                    return Err(format!("{call:?}: the question names {named:?}, not {must:?}"));
                }
            }
            Call::Connect(session, to) => {
                let to = peer(to);
                let named = self.rule.asks(session, Act::Connect { to }, self.now);
                let must: Vec<_> =
                    self.history.counts(self.now).into_iter().filter(|from| *from != to).collect();
                if named != must {
                    return Err(format!("{call:?}: the question names {named:?}, not {must:?}"));
                }
            }
        }
        Ok(())
    }
}

/// The first order of calls, shortest first, that breaks the invariant; and how many were tried.
fn broken<R: Rule>(rule: &R) -> (Option<(Vec<Call>, String)>, u64) {
    let mut tried = 0;
    for depth in 1..=DEPTH {
        if let Some(found) = deeper(&World::new(rule.clone()), depth, &mut Vec::new(), &mut tried) {
            return (Some(found), tried);
        }
    }
    (None, tried)
}

fn deeper<R: Rule>(
    world: &World<R>,
    depth: usize,
    path: &mut Vec<Call>,
    tried: &mut u64,
) -> Option<(Vec<Call>, String)> {
    for call in calls() {
        let mut next = world.clone();
        path.push(call);
        *tried += 1;
        if let Err(why) = next.call(call) {
            return Some((path.clone(), why));
        }
        if depth > 1
            && let Some(found) = deeper(&next, depth - 1, path, tried)
        {
            return Some(found);
        }
        path.pop();
    }
    None
}

#[test]
fn the_invariant_holds_over_all_orders_of_calls() {
    let (found, tried) = broken(&Taint::default());
    assert_eq!(found, None);
    let orders: u64 = (1..=u32::try_from(DEPTH).unwrap())
        .map(|depth| (1..=depth).map(|n| 26_u64.pow(n)).sum::<u64>())
        .sum();
    assert_eq!((calls().len(), tried), (26, orders), "none was left out");
}

/// Machines that each forget one thing.
#[derive(Clone)]
struct Hole {
    taint: [Taint; SESSIONS],
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// What one session read counts for it alone.
    OfEachSession,
    /// Only the last peer counts.
    LastOnly,
    /// A question asked once is not asked again.
    OnceAsked,
    /// What is read again counts from the first time.
    FirstTime,
    /// A long reply is a reply.
    LongReply,
    /// A flow goes both ways.
    BothWays,
    /// A connection is no message.
    Connects,
    /// To whom one has written before, one may write again.
    Known,
}

impl Rule for Hole {
    fn read(&mut self, session: usize, from: PeerId, now: Timestamp) {
        let kind = self.kind;
        for (n, taint) in self.taint.iter_mut().enumerate() {
            if kind == Kind::OfEachSession && n != session {
                continue;
            }
            if kind == Kind::LastOnly {
                taint.clear();
            }
            if kind == Kind::FirstTime && taint.until(&from).is_some_and(|until| until > now) {
                continue;
            }
            let _ = taint.show(from, now, &BOUNDS);
        }
    }

    fn asks(&mut self, session: usize, act: Act, now: Timestamp) -> Vec<PeerId> {
        let mut bounds = BOUNDS;
        match (self.kind, act) {
            (Kind::Connects, Act::Connect { .. }) => return Vec::new(),
            (Kind::LongReply, _) => bounds.reply_bytes_max = u64::MAX,
            (Kind::Known, Act::Send { to, .. }) if self.taint[session].until(&to).is_some() => {
                let both = |from: &PeerId, to: &PeerId| from != to;
                return self.taint[session].sources(act, now, &bounds, both);
            }
            _ => {}
        }
        let both_ways = self.kind == Kind::BothWays;
        let flows = |from: &PeerId, to: &PeerId| flows(from, to) || (both_ways && flows(to, from));
        let named = self.taint[session].sources(act, now, &bounds, flows);
        if self.kind == Kind::OnceAsked && !named.is_empty() {
            self.clear();
        }
        named
    }

    fn clear(&mut self) {
        self.taint.iter_mut().for_each(Taint::clear);
    }
}

#[test]
fn planted_holes_are_found() {
    for kind in [
        Kind::OfEachSession,
        Kind::LastOnly,
        Kind::OnceAsked,
        Kind::LongReply,
        Kind::BothWays,
        Kind::Connects,
        Kind::Known,
    ] {
        let (found, _) = broken(&Hole { taint: Default::default(), kind });
        assert!(found.is_some(), "{kind:?} is not found");
    }
}

#[test]
fn what_is_read_again_counts_from_the_last_time() {
    let mut world = World::new(Taint::default());
    let hole = Hole { taint: Default::default(), kind: Kind::FirstTime };
    let mut holed = World::new(hole);
    // Ten steps are as long as it counts; the second read is five steps after the first.
    let mut calls = vec![Call::Read(0, 0)];
    calls.extend(vec![Call::Send(0, 0, 1); 4]);
    calls.push(Call::Read(0, 0));
    calls.extend(vec![Call::Send(1, 0, 1); 6]);
    calls.push(Call::Send(1, 2, 1));
    assert_eq!(calls.iter().try_for_each(|call| world.call(*call)), Ok(()));
    assert!(calls.iter().try_for_each(|call| holed.call(*call)).is_err());
}

proptest! {
    #[test]
    fn the_invariant_holds_along_any_long_row_of_calls(
        row in prop::collection::vec(prop::sample::select(calls()), 0..300),
    ) {
        let mut world = World::new(Taint::default());
        for call in row {
            prop_assert_eq!(world.call(call), Ok(()));
        }
    }
}
