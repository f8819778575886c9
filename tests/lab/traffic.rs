//! Messages that flow while something happens, and the proof that none was lost or came twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use countersign::store::{keys, seal::Sealer};
use rusqlite::OpenFlags;

use crate::{
    side::Side,
    support::{Home, wait},
};

/// From one message to the next, at the beginning.
const PACE: Duration = Duration::from_millis(150);
/// After so many messages the pace is half of what it was: nobody reads them, and a node takes no more
/// than `INBOX_UNREAD_MESSAGES_MAX` from a peer.
const HALF_AFTER: usize = 50;
/// How long what was sent may take to arrive in the end. It is a bound for what would never end.
const ARRIVES: Duration = Duration::from_secs(45);
/// What a stream may send: a little less than its receiver takes, and no case is that long.
const MESSAGES_MAX: usize = 190;

/// Milliseconds since 1970, as the nodes write them.
pub(crate) fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A message of a stream, as its receiver has it.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    number: usize,
    at_ms: i64,
}

/// Tells the streams of a case apart.
static STREAMS: AtomicUsize = AtomicUsize::new(0);

const FLOWS: u8 = 0;
const PAUSES: u8 = 1;
const RESTS: u8 = 2;

/// Numbered messages from one home to another, at a steady pace.
pub(crate) struct Stream {
    from: Arc<Home>,
    to: Arc<Home>,
    /// What its texts begin with.
    label: String,
    state: Arc<AtomicU8>,
    ends: Arc<AtomicBool>,
    /// When each message was asked to be sent.
    sender: Option<JoinHandle<Vec<i64>>>,
    sent: Vec<i64>,
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: usize,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    /// Messages that came after one that was sent later.
    pub(crate) late: usize,
}

impl Stream {
    /// Begins to send.
    pub(crate) fn begin(from: &Side, to: &Side) -> Self {
        let (from, to) = (Arc::clone(&from.home), Arc::clone(&to.home));
        let (state, ends) = (Arc::new(AtomicU8::new(FLOWS)), Arc::new(AtomicBool::new(false)));
        let label = format!("stream {} number ", STREAMS.fetch_add(1, Ordering::Relaxed));
        let sender = {
            let (from, name, label) = (Arc::clone(&from), to.name, label.clone());
            let (state, ends) = (Arc::clone(&state), Arc::clone(&ends));
            thread::spawn(move || send((&from, name), &label, &state, &ends))
        };
        Self { from, to, label, state, ends, sender: Some(sender), sent: Vec::new() }
    }

    /// Stops sending, and waits until the last one is on the sender's disk.
    pub(crate) fn pause(&self) {
        self.state.store(PAUSES, Ordering::SeqCst);
        let rests = || (self.state.load(Ordering::SeqCst) == RESTS).then_some(());
        assert!(wait::within(ARRIVES, rests), "{} cannot send", self.from.name);
    }

    /// Sends again.
    pub(crate) fn resume(&self) {
        self.state.store(FLOWS, Ordering::SeqCst);
    }

    /// When a message first arrived that was sent after `since`; no earlier than `from`.
    pub(crate) fn arrives_after(&self, since_ms: i64, from_ms: i64, within: Duration) -> i64 {
        let begun = Instant::now();
        loop {
            // A message is signed after it was asked for, and so numbered by its text alone.
            let found = self
                .arrived()
                .into_iter()
                .filter(|(signed_ms, arrived)| *signed_ms >= since_ms && arrived.at_ms >= from_ms)
                .map(|(_, arrived)| arrived.at_ms)
                .min();
            if let Some(at_ms) = found {
                return at_ms;
            }
            let who = self.to.name;
            assert!(begun.elapsed() < within, "{who} receives nothing new within {within:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The receiver's home is another folder from now on.
    pub(crate) fn now_to(&mut self, to: &Side) {
        self.to = Arc::clone(&to.home);
    }

    /// Stops, waits for what is under way, and counts.
    pub(crate) fn end(mut self) -> Tally {
        self.finish();
        let sent = self.sent.len();
        let all = || (self.arrived().len() >= sent).then_some(());
        wait::within(ARRIVES, all); // What is missing is counted below.
        tally(sent, &self.arrived())
    }

    /// What is in the receiver's store, in the order of arrival: when it was signed, and what it is.
    fn arrived(&self) -> Vec<(i64, Arrived)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let Ok(db) =
            rusqlite::Connection::open_with_flags(self.to.path().join("countersign.db"), flags)
        else {
            return Vec::new();
        };
        db.busy_timeout(Duration::from_secs(5)).unwrap();
        let Ok(Some(key)) = keys::read_storage_key(&self.to.path().join("store.key")) else {
            return Vec::new();
        };
        Sealer::new(&key).register(&db).unwrap();
        let query = "SELECT * FROM ( \
                     SELECT CAST(unseal('messages.text', messages.text, messages.id, \
                     messages.peer, messages.outgoing) AS TEXT) AS said, \
                     messages.created_ms, messages.stored_ms FROM messages \
                     JOIN peers ON peers.id = messages.peer \
                     WHERE NOT messages.outgoing AND peers.name = ?1 ORDER BY messages.number) \
                     WHERE said LIKE ?2 || '%'";
        let mut rows = db.prepare(query).unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            let text: String = row.get(0)?;
            let number = text[self.label.len()..].parse().unwrap();
            Ok((row.get(1)?, Arrived { number, at_ms: row.get(2)? }))
        };
        rows.query_map([self.from.name, &self.label], row).unwrap().map(Result::unwrap).collect()
    }

    fn finish(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(sender) = self.sender.take() {
            self.sent = sender.join().expect("a sender that could send");
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
    }
}

fn send((from, to): (&Home, &str), label: &str, state: &AtomicU8, ends: &AtomicBool) -> Vec<i64> {
    let mut sent = Vec::new();
    while !ends.load(Ordering::SeqCst) && sent.len() < MESSAGES_MAX {
        let begun = Instant::now();
        if state.load(Ordering::SeqCst) == FLOWS {
            sent.push(now_ms());
            from.send(to, &format!("{label}{}", sent.len() - 1));
        } else {
            state.compare_exchange(PAUSES, RESTS, Ordering::SeqCst, Ordering::SeqCst).ok();
        }
        let pace = PACE * (1 << (sent.len() / HALF_AFTER));
        thread::sleep(pace.saturating_sub(begun.elapsed()));
    }
    sent
}

fn tally(sent: usize, arrived: &[(i64, Arrived)]) -> Tally {
    let numbers: Vec<usize> = arrived.iter().map(|(_, arrived)| arrived.number).collect();
    let count = |number| numbers.iter().filter(|other| **other == number).count();
    let counts: Vec<usize> = (0..sent).map(count).collect();
    Tally {
        sent,
        lost: counts.iter().filter(|count| **count == 0).count(),
        doubled: counts.iter().map(|count| count.saturating_sub(1)).sum(),
        late: numbers.windows(2).filter(|pair| pair[1] < pair[0]).count(),
    }
}
