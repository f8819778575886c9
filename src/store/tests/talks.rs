//! Conversations, their threads, and parts of them.

use rusqlite::params;

use super::*;
use crate::store::{messages::HistoryRow, talks};

const PEER: PeerId = PeerId::from_bytes([2; 32]);

/// Many messages at once, as rows without envelopes that anybody signed: `count` of them with
/// the peers 0 to `peers - 1`, in turn, each in one of `threads` threads.
pub(super) fn fill(db: &Connection, count: u32, peers: u32, threads: u32) {
    let sql = "
        WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
        INSERT INTO messages (outgoing, peer, id, digest, kind, thread, text, envelope, state,
                              unread, created_ms, expires_ms, stored_ms)
        SELECT i % 2, CAST(printf('%032d', i % ?2) AS BLOB), CAST(printf('%016d', i) AS BLOB),
               zeroblob(32), 'text', CAST(printf('%08d%08d', i % ?2, i / ?2 % ?3) AS BLOB),
               seal('messages.text', 'word' || i || ' every', CAST(printf('%016d', i) AS BLOB),
                    CAST(printf('%032d', i % ?2) AS BLOB), i % 2),
               zeroblob(300), 'accepted', 0, i, i, i FROM n";
    db.execute(sql, params![count, peers, threads]).unwrap();
}

pub(super) fn filled_peer(number: u32) -> PeerId {
    PeerId::from_slice(format!("{number:032}").as_bytes()).unwrap()
}

/// What the query looks at, a line each.
pub(super) fn plan(db: &Connection, sql: &str) -> Vec<String> {
    let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let count = plan.parameter_count();
    let none = rusqlite::params_from_iter(vec![rusqlite::types::Null; count]);
    plan.query_map(none, |row| row.get(3)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn no_query_of_a_conversation_walks_a_table_or_sorts_one() {
    let folder = Folder::new();
    let db = folder.made();
    let check = |sql: &str, index: &[&str]| {
        let plan = plan(&db, sql);
        for index in index {
            assert!(plan.iter().any(|line| line.contains(index)), "{index}: {plan:#?}");
        }
        for table in ["messages", "history", "decisions", "m", "u", "begin", "newest"] {
            let walked = format!("SCAN {table}");
            let walks = |line: &&String| **line == walked;
            assert_eq!(plan.iter().find(walks), None, "{plan:#?}");
        }
        plan
    };
    let plain = check(talks::PART, &["messages_by_peer (peer=? AND number<?)"]);
    assert_eq!(plain.len(), 1, "its order is the index's: {plain:#?}");
    let by_thread = "messages_by_talk (peer=? AND thread=? AND number<?)";
    assert_eq!(check(talks::PART_OF_THREAD, &[by_thread]).len(), 1);
    check(talks::TALKS, &["SCAN talks", "USING INTEGER PRIMARY KEY"]);
    let newest = "newest USING COVERING INDEX messages_by_talk (peer=? AND thread=? AND number=?)";
    check(talks::THREADS, &["SEARCH threads USING INDEX threads_by_last (peer=?)", newest]);
    check(talks::HISTORIES, &["history_by_message (message=?)"]);
    check(messages::ROOM, &["messages_unread (peer=?)"]);
    check(messages::WAITING_FOR, &["messages_waiting (outgoing=? AND state=?)"]);
    check(talks::DECISIONS, &["decisions_by_message (message=?)", "SEARCH messages USING INTEGER"]);
}

#[test]
fn conversations_count_per_peer_and_the_newest_comes_first() {
    let folder = Folder::new();
    let db = folder.made();
    assert!(talks::talks(&db).unwrap().is_empty());
    fill(&db, 30, 3, 2);
    let change = |sql: &str| assert_eq!(db.execute(sql, []).unwrap(), 1, "{sql}");
    change("UPDATE messages SET unread = 1 WHERE number = 1");
    change("UPDATE messages SET unread = 1 WHERE number = 7");
    change("UPDATE messages SET unread = 1, state = 'held_by_peer' WHERE number = 10");
    let found = talks::talks(&db).unwrap();
    let counts: Vec<_> = found.iter().map(|t| (t.threads, t.messages, t.unread)).collect();
    assert_eq!(counts, [(2, 10, 0), (2, 10, 0), (2, 10, 2)], "what is held is not unread");
    let last: Vec<_> = found.iter().map(|t| (t.last.peer, t.last.number)).collect();
    let expected = [(filled_peer(2), 30), (filled_peer(1), 29), (filled_peer(0), 28)];
    assert_eq!(last, expected);
}

#[test]
fn threads_begin_with_the_one_that_was_last_said_something_in() {
    let folder = Folder::new();
    let db = folder.made();
    fill(&db, 20, 2, 3);
    let threads = talks::threads(&db, &filled_peer(1), 9).unwrap();
    let short: Vec<_> =
        threads.iter().map(|t| (t.messages, t.text.as_str(), t.last.ms())).collect();
    let expected = [(4, "word1 every", 19), (3, "word5 every", 17), (3, "word3 every", 15)];
    assert_eq!(short, expected);
    assert_eq!(talks::threads(&db, &filled_peer(1), 2).unwrap().len(), 2);
    assert!(talks::threads(&db, &PEER, 9).unwrap().is_empty());
}

#[test]
fn parts_join_without_a_gap_or_a_double_while_messages_arrive() {
    let folder = Folder::new();
    let db = folder.made();
    fill(&db, 100, 2, 2);
    let read = |thread, expected: u32| {
        let (mut seen, mut before) = (Vec::new(), i64::MAX);
        loop {
            let part = talks::Part { peer: filled_peer(0), thread, before, limit: 7 };
            let rows = talks::part(&db, &part).unwrap();
            let Some(last) = rows.last() else { break };
            before = last.number;
            seen.extend(rows.iter().map(|row| row.number));
            // One more arrives between two parts.
            let n = 100 + u8::try_from(seen.len()).unwrap();
            let peer = filled_peer(0);
            let sql = "UPDATE messages SET peer = ?1 WHERE number = ?2";
            let number = messages::add(&db, &envelope(n), false, MessageState::Accepted, NOW);
            db.execute(sql, params![peer.as_bytes(), number.unwrap()]).unwrap();
        }
        assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
        let below = seen.iter().filter(|number| **number <= 100).count();
        assert_eq!(below, usize::try_from(expected).unwrap(), "{seen:?}");
    };
    let thread = crate::base::ThreadId::from_slice(b"0000000000000001").unwrap();
    read(Some(thread), 25);
    db.execute("DELETE FROM messages WHERE number > 100", []).unwrap();
    read(None, 50);
}

#[test]
fn states_and_decisions_come_for_the_whole_part_and_for_its_messages_alone() {
    let folder = Folder::new();
    let db = folder.made();
    for n in 1..=3 {
        let number = messages::add(&db, &envelope(n), true, MessageState::Held, NOW).unwrap();
        for state in [MessageState::Held, MessageState::Queued] {
            let step = HistoryRow { state, at: NOW, reason: None };
            messages::add_history(&db, number, &step, None).unwrap();
        }
    }
    let decide = |id: u8, what, peer, message: u8, decision| {
        let row = pending::DecisionRow {
            id: PendingId::from_bytes([id; 5]),
            digest: Digest::from_bytes([0; 32]),
            what,
            peer,
            message: Some(MessageId::from_bytes([message; 16])),
            decision,
            method: "session",
            signed: None,
            at: NOW,
        };
        pending::add_decision(&db, &row).unwrap();
    };
    decide(1, What::MessageOut, PEER, 1, "approved");
    decide(2, What::MessageIn, PEER, 2, "denied");
    decide(3, What::MessageOut, owner().id(), 2, "denied");
    decide(4, What::MessageOut, PEER, 3, "denied");
    let part = talks::Part { peer: PEER, thread: None, before: 3, limit: 9 };
    let rows = talks::part(&db, &part).unwrap();
    assert_eq!(rows.len(), 2);
    let histories = talks::histories(&db, &rows).unwrap();
    assert_eq!(histories.len(), 2);
    for row in &rows {
        let states: Vec<_> = histories[&row.number].iter().map(|step| step.state).collect();
        assert_eq!(states, [MessageState::Held, MessageState::Queued]);
    }
    let decided = talks::decisions(&db, &rows).unwrap();
    assert_eq!(decided.len(), 1, "of the other direction and the other peer is not of this one");
    assert_eq!((&*decided[&1].decision, &*decided[&1].method), ("approved", "session"));
}
