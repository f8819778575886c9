//! Refused attempts in the audit log, bounded: what a peer or a program repeats cannot fill the disk,
//! and what has no record of its own is counted.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{api::ApiError, clock, state::Node, views::prefix};
use crate::{
    audit,
    base::{PeerId, Timestamp, limits},
    store::{self, StoreError, keys, migrate},
};

/// Where it is remembered how many wrong passphrases the audit log tells of.
const WRONG: &str = "wrong_passphrases";

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attempt {
    /// A decision, an order, a grant or a draft that does not count.
    Decision,
    /// A call over HTTP without a good token, or from a wrong place.
    Token,
    /// A link to the page that is not good.
    Page,
    /// A stranger's knock.
    Knock,
    /// A peer's message.
    Message,
    /// A peer's link that does not keep to the protocol.
    Protocol,
    /// A peer's node under another approver.
    Approver,
}

impl Attempt {
    /// How many have a record within [`limits::REFUSALS_NOTED_EVERY`].
    const fn most(self) -> u32 {
        match self {
            Self::Decision | Self::Token | Self::Page => limits::REFUSALS_NOTED_HERE,
            Self::Knock | Self::Message | Self::Protocol | Self::Approver => 1,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Decision => "more decisions, orders, grants or drafts that do not count",
            Self::Token => "more calls over HTTP",
            Self::Page => "more links to the page",
            Self::Knock => "more knocks",
            Self::Message => "more messages",
            Self::Protocol => "more links that did not keep to the protocol",
            Self::Approver => "more links of another approver",
        }
    }
}

/// Of which kind and of which known peer. Strangers are one: each has as many keys as it likes.
type Key = (Attempt, Option<PeerId>);

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    since: Timestamp,
    noted: u32,
    left_out: u64,
}

/// What was refused lately.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<Key, Tally>);

impl Refusals {
    /// Whether one more may have a record, and how many before it had none.
    pub(super) fn would(&self, key: Key, now: Timestamp) -> Option<u64> {
        let Some(tally) = self.0.get(&key) else { return Some(0) };
        let over = now.since(tally.since) > limits::REFUSALS_NOTED_EVERY;
        (over || tally.noted < key.0.most()).then_some(tally.left_out)
    }

    /// One has a record, which says how many had none.
    pub(super) fn noted(&mut self, key: Key, now: Timestamp) {
        let tally = self.0.entry(key).or_default();
        if now.since(tally.since) > limits::REFUSALS_NOTED_EVERY {
            *tally = Tally { since: now, ..Tally::default() };
        }
        tally.noted = tally.noted.saturating_add(1);
        tally.left_out = 0;
    }

    /// So many have none.
    pub(super) fn left_out(&mut self, key: Key, count: u64) {
        if count > 0 {
            let tally = self.0.entry(key).or_default();
            tally.left_out = tally.left_out.saturating_add(count);
        }
    }

    /// What was left out and can have a record now, or at the end; forgets what is long over.
    fn due(&mut self, now: Timestamp, end: bool) -> Vec<(Key, u64)> {
        let over = |tally: &Tally| now.since(tally.since) > limits::REFUSALS_NOTED_EVERY;
        let due = self.0.iter().filter(|(_, tally)| tally.left_out > 0 && (end || over(tally)));
        let due: Vec<(Key, u64)> = due.map(|(key, tally)| (*key, tally.left_out)).collect();
        self.0.retain(|_, tally| !over(tally) && !end);
        for (key, _) in &due {
            self.noted(*key, now);
        }
        due
    }
}

/// A record of a refusal.
pub(super) fn note(
    db: &Connection,
    now: Timestamp,
    (what, peer): (&str, Option<PeerId>),
    left_out: u64,
) -> Result<(), StoreError> {
    let what = prefix(what, limits::REFUSAL_BYTES_MAX).to_owned();
    let peer = peer.map(|peer| peer.to_string());
    let event = audit::Event::Refused { what, peer, left_out };
    store::audit::append(db, now, &event).map(drop)
}

impl Node {
    /// Notes that something was refused, or counts it.
    pub(super) fn refused(&mut self, kind: Attempt, what: String, peer: Option<PeerId>) {
        let now = clock::now();
        let key =
            (kind, peer.filter(|peer| kind != Attempt::Knock && self.peers.contains_key(peer)));
        let Some(left_out) = self.refusals.would(key, now) else {
            return self.refusals.left_out(key, 1);
        };
        self.refusals.noted(key, now);
        let op = move |db: &Connection| note(db, now, (&what, peer), left_out);
        self.write(op, |_, done| {
            if let Err(error) = done {
                tracing::error!(%error, "a refusal could not be noted");
            }
        });
    }

    /// What does not count as the human's word is somebody's attempt.
    pub(super) fn note_refusal(&mut self, error: &ApiError) {
        self.refused(Attempt::Decision, format!("a decision: {}", error.message), None);
    }

    /// Notes what was only counted, where its time has come; all of it at the node's end.
    pub(super) fn note_left_out(&mut self, end: bool) {
        let turned_away = self.handle.tokens().take_turned_away();
        if turned_away > 0 {
            let what = format!("{turned_away} calls over HTTP without a good token");
            self.refused(Attempt::Token, what, None);
        }
        self.note_passphrases();
        let now = clock::now();
        for ((kind, peer), count) in self.refusals.due(now, end) {
            let op = move |db: &Connection| {
                note(db, now, (&format!("{count} {}", kind.words()), peer), count)
            };
            self.write(op, |_, done| {
                if let Err(error) = done {
                    tracing::error!(%error, "refusals could not be noted");
                }
            });
        }
    }

    /// Wrong passphrases are counted in a file by whatever process they were typed into, whether the
    /// node runs or not. What is new there goes into the audit log.
    pub(super) fn note_passphrases(&mut self) {
        // While one is tried, later: it may be right.
        let Some(total) = keys::wrong_passphrases(&self.home.attempts_file()) else { return };
        let tries = total.saturating_sub(self.wrong_noted);
        if total == self.wrong_noted {
            return;
        }
        self.wrong_noted = total;
        let now = clock::now();
        let op = move |db: &Connection| {
            migrate::set_meta(db, WRONG, &total.to_string())?;
            if tries > 0 {
                store::audit::append(db, now, &audit::Event::WrongPassphrase { tries })?;
            }
            Ok(())
        };
        self.write(op, |_, done| {
            if let Err(error) = done {
                tracing::error!(%error, "wrong passphrases could not be noted");
            }
        });
    }
}

/// How many wrong passphrases the audit log tells of.
pub(super) fn wrong_noted(db: &Connection) -> Result<u64, StoreError> {
    Ok(migrate::meta(db, WRONG)?.and_then(|count| count.parse().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_has_a_few_records_and_the_rest_is_counted() {
        let mut refusals = Refusals::default();
        let key = (Attempt::Decision, None);
        let mut now = Timestamp::from_ms(10_000_000);
        let mut records = 0_u64;
        let mut counted = 0;
        for _ in 0..1000 {
            match refusals.would(key, now) {
                Some(left_out) => {
                    refusals.noted(key, now);
                    (records, counted) = (records + 1, counted + left_out);
                }
                None => refusals.left_out(key, 1),
            }
            now = now.plus(std::time::Duration::from_millis(300));
        }
        counted += refusals.due(now, true).iter().map(|(_, count)| count).sum::<u64>();
        assert_eq!(records + counted, 1000, "each has a record or is counted");
        assert!(records <= 6 * u64::from(limits::REFUSALS_NOTED_HERE), "{records}");
        assert!(refusals.due(now, true).is_empty());
        assert_eq!(refusals.would((Attempt::Page, None), now), Some(0), "others have their own");
    }
}
