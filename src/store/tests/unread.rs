//! Who has most that is unread, beside a sum over everything.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::{prelude::*, test_runner::TestRunner};
use rusqlite::params;

use super::*;
use crate::store::unread::Asked;

type Rows = Vec<(u8, u8, u64)>;

/// Rows of sessions, peers and how many; of which sessions are open; what else is new, of whom.
fn counts() -> impl Strategy<Value = (Rows, BTreeSet<u8>, HashMap<u8, u64>)> {
    let rows = prop::collection::vec((0..14_u8, 0..40_u8, 1..9_u64), 0..120);
    let some = |of: std::ops::Range<u8>, many: std::ops::Range<usize>| {
        prop::sample::subsequence(of.collect::<Vec<_>>(), many)
    };
    let besides = prop_oneof![3 => some(0..40, 0..6), 1 => some(0..150, 101..110)];
    let besides = besides.prop_map(|peers| {
        peers.into_iter().map(|n| (n, 1 + u64::from(n % 4))).collect::<HashMap<_, _>>()
    });
    // Few lists are new to the session in most cases, and many in some.
    let open = prop_oneof![3 => some(1..14, 9..13), 1 => some(1..14, 0..5)];
    let open = open.prop_map(|sessions| sessions.into_iter().collect::<BTreeSet<_>>());
    (rows, open, besides)
}

/// `0` is what is for every session.
fn name(session: u8) -> String {
    if session == 0 { String::new() } else { format!("s{session}") }
}

const fn key(peer: u8) -> [u8; 32] {
    // Not in the order of the counts.
    [peer.wrapping_mul(91); 32]
}

#[test]
fn whoever_has_most_is_named() {
    let db = crate::store::migrate::open_in_memory(&owner().id()).unwrap();
    let check = |((rows, open, besides), most)| {
        db.execute_batch("BEGIN").unwrap();
        let checked = check(&db, rows, (&open, &besides), most);
        db.execute_batch("ROLLBACK").unwrap();
        checked
    };
    TestRunner::default().run(&(counts(), 1..7_u32), check).unwrap();
}

#[test]
fn whoever_is_behind_in_each_list_and_first_in_all_of_them_is_named() {
    let db = crate::store::migrate::open_in_memory(&owner().id()).unwrap();
    // More than are looked at, in each of the two.
    let front = |session: u8| (0..40).map(move |n| (session, 50 * session + n, 10));
    let rows = front(0).chain(front(1)).chain([(0, 100, 6), (1, 100, 6)]).collect();
    check(&db, rows, (&BTreeSet::new(), &HashMap::new()), 1).unwrap();
}

fn check(
    db: &Connection,
    rows: Rows,
    (open, besides): (&BTreeSet<u8>, &HashMap<u8, u64>),
    most: u32,
) -> Result<(), TestCaseError> {
    let mut rows_of: BTreeMap<(u8, u8), u64> = BTreeMap::new();
    for (session, peer, many) in rows {
        let sql = "INSERT INTO unread_counts VALUES (?1, ?2, ?3)
                   ON CONFLICT (session, peer) DO UPDATE SET many = excluded.many";
        db.execute(sql, params![name(session), key(peer), many]).unwrap();
        rows_of.insert((session, peer), many);
    }
    let new = |session: u8| session == 0 || session == 1 || !open.contains(&session);
    let mut by_peer: BTreeMap<[u8; 32], u64> = BTreeMap::new();
    let counted = rows_of.iter().filter(|((session, _), _)| new(*session));
    let counted = counted.map(|((_, peer), many)| (peer, many));
    for (peer, many) in counted.chain(besides) {
        *by_peer.entry(key(*peer)).or_default() += many;
    }
    let names: Vec<String> = open.iter().map(|session| name(*session)).collect();
    let asked = || Asked {
        session: Some(name(1)),
        open: serde_json::to_string(&names).unwrap(),
        besides: besides.iter().map(|(peer, many)| (key(*peer), *many)).collect(),
    };
    let all: u64 = by_peer.values().sum();
    prop_assert_eq!(asked().count(db).unwrap(), all);
    let found = asked().most(db, most).unwrap();
    prop_assert_eq!(found.all, all);
    let mut expected: Vec<u64> = by_peer.values().copied().collect();
    expected.sort_by(|a, b| b.cmp(a));
    expected.truncate(most as usize);
    let many: Vec<u64> = found.most.iter().map(|(_, many)| *many).collect();
    prop_assert_eq!(many, expected, "those with most");
    let mut named = BTreeSet::new();
    for (peer, many) in &found.most {
        prop_assert_eq!(by_peer.get(peer.as_bytes()), Some(many));
        prop_assert!(named.insert(*peer), "once each");
    }
    Ok(())
}
