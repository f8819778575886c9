//! Two nodes' logs of one conversation, side by side, by message and digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Event, Record};
use crate::base::{PeerId, Timestamp};

/// How far two people's clocks may differ before a missing message is held against a log.
const CLOCK_SLACK: std::time::Duration = std::time::Duration::from_mins(10);

/// What one log says of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The envelope's digest.
    pub digest: String,
    /// The first record's number.
    pub seq: u64,
    /// Its time.
    pub at: String,
    /// The last state that is written down.
    pub state: String,
}

/// What a log says of the messages between its node and one other.
#[derive(Clone, Debug)]
pub struct Log {
    node: PeerId,
    other: PeerId,
    /// Nothing before this time is in the log, by its own clock.
    covers: Option<Timestamp>,
    /// By id, and whether it was sent or arrived: another node chooses the ids of what it sends.
    messages: BTreeMap<(String, bool), (Timestamp, Said)>,
}

impl Log {
    /// The log of `node` about `other`. It is `partial` where it does not begin with the first record.
    #[must_use]
    pub fn new(node: PeerId, other: PeerId, partial: Option<Timestamp>) -> Self {
        Self { node, other, covers: partial, messages: BTreeMap::new() }
    }

    /// Adds a record, in the order of the log.
    pub fn add(&mut self, record: &Record) {
        let Ok(event) = serde_json::from_str::<Event>(&record.event) else { return };
        if let Event::Sent { message, peer, state, digest } = event {
            self.begin(record, (message, true), &peer, (state, digest));
        } else if let Event::Arrived { message, peer, state, digest } = event {
            self.begin(record, (message, false), &peer, (state, digest));
        } else if let Event::Moved { message, state, peer, sent } = event
            && peer.is_none_or(|peer| peer == self.other.to_string())
            && let Some(said) = self.said_of(message, sent)
        {
            said.state = state;
        }
    }

    /// The message that a state is about. Where an old record does not say whether it was sent, and there
    /// are both, nobody can tell.
    fn said_of(&mut self, message: String, sent: Option<bool>) -> Option<&mut Said> {
        let mut key = (message, true);
        let there = self.messages.contains_key(&key);
        key.1 = false;
        let came = self.messages.contains_key(&key);
        key.1 = sent.or_else(|| (there != came).then_some(there))?;
        self.messages.get_mut(&key).map(|(_, said)| said)
    }

    fn begin(
        &mut self,
        record: &Record,
        (message, sent): (String, bool),
        peer: &str,
        (state, digest): (String, String),
    ) {
        if peer != self.other.to_string() {
            return;
        }
        let said = Said { digest, seq: record.seq, at: record.at.rfc3339(), state };
        self.messages.entry((message, sent)).or_insert((record.at, said));
    }

    /// What it says of the other side of a message.
    fn other_side(&self, message: &str, sent: bool) -> Option<&Said> {
        self.messages.get(&(message.to_owned(), !sent)).map(|(_, said)| said)
    }

    /// Whether what happened then would be in it.
    fn covers(&self, at: Timestamp) -> bool {
        self.covers.is_none_or(|from| at >= from.plus(CLOCK_SLACK))
    }
}

/// What two logs say of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Both have it, with the same digest.
    Match,
    /// One has it, and its states say why the other has not.
    Explained,
    /// One has it, and the other log does not reach back so far.
    NotCovered,
    /// They cannot both be true.
    Contradiction,
}

/// One message in both logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which message.
    pub message: String,
    /// Who sent it: `mine` or `theirs`.
    pub sent_by: String,
    /// What the two say together.
    pub finding: Finding,
    /// Why, in words.
    pub why: String,
    /// What the first log says.
    pub mine: Option<Said>,
    /// What the second says.
    pub theirs: Option<Said>,
}

/// Lays two logs side by side: every message, in the order of its first time.
#[must_use]
pub fn compare(mine: &Log, theirs: &Log) -> Vec<Row> {
    let mut rows: Vec<(Timestamp, Row)> = Vec::new();
    for ((message, sent), (at, said)) in &mine.messages {
        let other = theirs.other_side(message, *sent);
        let both_ways = theirs.messages.get(&(message.clone(), *sent));
        let twice = both_ways.filter(|_| mine.other_side(message, *sent).is_none());
        let (finding, why) = match (other, twice) {
            (Some(other), _) => both(said, other),
            (None, Some(_)) => same_side(),
            (None, None) if theirs.covers(*at) => alone(*sent, said),
            (None, None) => not_covered(),
        };
        let theirs = other.or(twice.map(|(_, said)| said)).cloned();
        let row = (message, *sent, finding, why);
        rows.push((*at, one(row, (Some(said.clone()), theirs))));
    }
    for ((message, sent), (at, said)) in &theirs.messages {
        let same = mine.messages.contains_key(&(message.clone(), *sent));
        let told = same && theirs.other_side(message, *sent).is_none();
        if told || mine.other_side(message, *sent).is_some() {
            continue;
        }
        let (finding, why) = if mine.covers(*at) { alone(*sent, said) } else { not_covered() };
        let row = (message, !*sent, finding, why);
        rows.push((*at, one(row, (None, Some(said.clone())))));
    }
    rows.sort_by(|a, b| (a.0, &a.1.message).cmp(&(b.0, &b.1.message)));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Whether the two logs are of the two sides of one conversation.
#[must_use]
pub fn are_sides(mine: &Log, theirs: &Log) -> bool {
    mine.node == theirs.other && theirs.node == mine.other && mine.node != theirs.node
}

fn one(
    (message, mine_sent, finding, why): (&String, bool, Finding, String),
    (mine, theirs): (Option<Said>, Option<Said>),
) -> Row {
    let sent_by = if mine_sent { "mine" } else { "theirs" }.to_owned();
    Row { message: message.clone(), sent_by, finding, why, mine, theirs }
}

fn not_covered() -> (Finding, String) {
    (Finding::NotCovered, "the other log does not reach back so far".to_owned())
}

fn same_side() -> (Finding, String) {
    let why = "both logs say that they sent it, or both that it arrived";
    (Finding::Contradiction, why.to_owned())
}

fn both(mine: &Said, theirs: &Said) -> (Finding, String) {
    if mine.digest != theirs.digest {
        let why = "the two logs have other bytes under this id: the digests differ";
        return (Finding::Contradiction, why.to_owned());
    }
    (Finding::Match, "both have it, with one digest".to_owned())
}

/// A message that one side alone has written down. What its sender says of it explains that it never
/// arrived, or says that its receiver acknowledged it.
fn alone(sent: bool, said: &Said) -> (Finding, String) {
    if !sent {
        let why = "it arrived at one side, and the sender's log does not have it";
        return (Finding::Contradiction, why.to_owned());
    }
    let never = match said.state.as_str() {
        "held" => "it waits for the sender's human, or they decided and it was not delivered yet",
        "queued" => "it was not delivered yet",
        "denied" => "the sender's human did not let it leave",
        "expired" => "it was too late before it arrived",
        "refused" => "the receiver did not take it, and keeps nothing of what it refuses",
        _ => {
            let state = &said.state;
            let why = format!(
                "the sender has the receiver's signed word that it is {state}, and the receiver's log \
                 does not have it"
            );
            return (Finding::Contradiction, why);
        }
    };
    (Finding::Explained, never.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::Head,
        base::{Digest, MessageId, Secret},
        identity::IdentityKey,
    };

    fn node(n: u8) -> PeerId {
        IdentityKey::from_seed(&Secret::new([n; 32])).id()
    }

    fn log(me: u8, other: u8, partial: Option<u64>, events: &[Event]) -> Log {
        let mut log = Log::new(node(me), node(other), partial.map(Timestamp::from_ms));
        let mut head = Head::EMPTY;
        for event in events {
            let record = head.next(Timestamp::from_ms(1000 * (head.seq + 1)), event);
            head = Head::of(&record);
            log.add(&record);
        }
        log
    }

    fn message(n: u8) -> String {
        MessageId::from_bytes([n; 16]).to_string()
    }

    fn digest(n: u8) -> String {
        Digest::from_bytes([n; 32]).to_string()
    }

    fn sent(n: u8, to: u8, state: &str) -> Event {
        let (peer, state) = (node(to).to_string(), state.to_owned());
        Event::Sent { message: message(n), peer, state, digest: digest(n) }
    }

    fn arrived(n: u8, from: u8, bytes: u8) -> Event {
        let (peer, state) = (node(from).to_string(), "accepted".to_owned());
        Event::Arrived { message: message(n), peer, state, digest: digest(bytes) }
    }

    fn moved(n: u8, state: &str) -> Event {
        Event::Moved { message: message(n), state: state.to_owned(), peer: None, sent: None }
    }

    #[test]
    fn what_both_have_matches_and_what_one_lacks_is_explained_or_a_contradiction() {
        let mine = log(
            1,
            2,
            None,
            &[
                sent(1, 2, "queued"),
                moved(1, "accepted"),
                sent(2, 2, "held"),
                moved(2, "denied"),
                sent(3, 2, "queued"),
                sent(4, 2, "queued"),
                moved(4, "read"),
                arrived(5, 2, 5),
                arrived(6, 2, 6),
                sent(9, 3, "queued"),
                sent(7, 2, "queued"),
                moved(7, "refused"),
            ],
        );
        let theirs = log(2, 1, None, &[arrived(1, 1, 1), sent(5, 1, "queued"), arrived(3, 1, 8)]);
        assert!(are_sides(&mine, &theirs));
        assert!(!are_sides(&mine, &log(3, 1, None, &[])) && !are_sides(&mine, &mine));
        let rows = compare(&mine, &theirs);
        let found = |n: u8| {
            let row = rows.iter().find(|row| row.message == message(n)).unwrap();
            (row.finding, row.sent_by.as_str())
        };
        assert_eq!(rows.len(), 7, "another peer's message is not of this conversation");
        assert_eq!(found(1), (Finding::Match, "mine"));
        assert_eq!(found(2), (Finding::Explained, "mine"));
        assert_eq!(found(3), (Finding::Contradiction, "mine"), "other bytes");
        assert_eq!(found(4), (Finding::Contradiction, "mine"), "read, and not there");
        assert_eq!(found(5), (Finding::Match, "theirs"));
        assert_eq!(found(6), (Finding::Contradiction, "theirs"), "it was never sent");
        assert_eq!(found(7), (Finding::Explained, "mine"));
        let back = compare(&theirs, &mine);
        let finding = |row: &Row| (row.message.clone(), row.finding);
        let sorted = |rows: &[Row]| {
            let mut all: Vec<_> = rows.iter().map(finding).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        };
        assert_eq!(sorted(&rows), sorted(&back), "it is the same from the other side");
    }

    #[test]
    fn a_message_under_the_id_of_ours_explains_nothing() {
        let say = |state: &str, sent| {
            Event::moved(MessageId::from_bytes([1; 16]), state, (&node(2), sent))
        };
        let read = [sent(1, 2, "queued"), say("read", true)];
        let mine =
            log(1, 2, None, &[&read[..], &[arrived(1, 2, 9), say("refused", false)]].concat());
        let finding = |mine: &Log, theirs: &[Event]| {
            let rows = compare(mine, &log(2, 1, None, theirs));
            rows.iter().map(|row| (row.sent_by.clone(), row.finding)).collect::<Vec<_>>()
        };
        let own = sent(1, 1, "queued");
        let other = Event::Sent {
            message: message(1),
            peer: node(1).to_string(),
            state: "queued".into(),
            digest: digest(9),
        };
        let found = finding(&mine, &[other]);
        assert!(found.contains(&("mine".into(), Finding::Contradiction)), "{found:?}");
        assert!(found.contains(&("theirs".into(), Finding::Match)), "{found:?}");
        assert_eq!(found.len(), 2);
        // Old records say no direction: what was known before the second message counts.
        let old = log(1, 2, None, &[&read[..], &[arrived(1, 2, 9), moved(1, "refused")]].concat());
        assert!(finding(&old, &[]).contains(&("mine".into(), Finding::Contradiction)));
        let both = finding(&log(1, 2, None, &[sent(1, 2, "queued")]), &[own]);
        assert_eq!(both, [("mine".into(), Finding::Contradiction)], "both say that they sent it");
    }

    #[test]
    fn a_log_that_does_not_reach_back_is_no_contradiction() {
        let mine = log(1, 2, None, &[sent(1, 2, "queued"), moved(1, "read")]);
        let later = log(2, 1, Some(5_000), &[]);
        assert_eq!(compare(&mine, &later)[0].finding, Finding::NotCovered);
        assert_eq!(compare(&later, &mine)[0].finding, Finding::NotCovered);
        assert_eq!(compare(&mine, &log(2, 1, None, &[]))[0].finding, Finding::Contradiction);
    }
}
