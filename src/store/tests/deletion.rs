//! Deleting: what may go, what goes with it, and that nothing of it is left in a file.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    base::{GrantId, limits},
    store::{
        deletion::{self, Choice, Part, Place, Rule, Standing},
        grants,
        messages::HistoryRow,
        retention::{self, Keep, Setting},
        seal, search, space, verdicts,
    },
    wire::{
        ReceiptState,
        message::{Receipt, ReceiptEntry},
    },
};

const PEER: PeerId = PeerId::from_bytes([2; 32]);
const EXPIRES: Timestamp = Timestamp::from_ms(2_000_000);

fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn saying(n: u16, text: &str) -> Envelope {
    let mut id = [7; 16];
    id[..2].copy_from_slice(&n.to_be_bytes());
    let header = Header { id: MessageId::from_bytes(id), ..envelope(1).header().clone() };
    let body = Body::Text(MessageText::parse(text).unwrap());
    Draft { header, body }.seal(&owner()).unwrap()
}

/// All that a choice says at `now`.
fn whole(db: &Connection, until: Timestamp, rule: Rule) -> Part {
    deletion::part(db, &Choice { peer: PEER, until, rule }, Place::default(), 1000).unwrap()
}

fn step(state: MessageState) -> HistoryRow {
    HistoryRow { state, at: NOW, reason: None }
}

#[test]
fn only_what_is_over_goes_by_its_age_and_only_what_waits_stays_when_it_is_asked_for() {
    use MessageState::{
        Accepted, Delivered, Denied, Expired, Held, HeldByPeer, Queued, Read, Refused, Replied,
    };
    let folder = Folder::new();
    let db = folder.made();
    // Outgoing or not, seen, and whether it goes by age before and after its expiry, and when asked.
    let cases = [
        (true, Held, false, [false, false, false]),
        (true, Queued, false, [false, false, false]),
        (true, Delivered, false, [false, true, true]),
        (true, HeldByPeer, false, [false, true, true]),
        (true, Accepted, false, [false, true, true]),
        (true, Read, false, [true; 3]),
        (true, Replied, false, [true; 3]),
        (true, Denied, false, [true; 3]),
        (true, Refused, false, [true; 3]),
        (true, Expired, false, [true; 3]),
        (false, HeldByPeer, false, [false, false, false]),
        (false, HeldByPeer, true, [false, false, false]),
        (false, Accepted, false, [false, false, true]),
        (false, Accepted, true, [true; 3]),
        (false, Read, true, [true; 3]),
        (false, Replied, true, [true; 3]),
        (false, Refused, true, [true; 3]),
    ];
    for (n, (outgoing, state, seen, expected)) in (1..).zip(cases) {
        let sealed = saying(n, "x");
        let number = messages::add(&db, &sealed, outgoing, state, NOW).unwrap();
        db.execute("UPDATE messages SET peer = ?1", [PEER.as_bytes()]).unwrap();
        if seen {
            messages::set_seen(&db, number).unwrap();
        }
        let goes = |part: Part| part.going.contains(&number);
        let found = [
            goes(whole(&db, NOW, Rule::Aged(at(1_999_999)))),
            goes(whole(&db, NOW, Rule::Aged(EXPIRES))),
            goes(whole(&db, NOW, Rule::Asked)),
        ];
        assert_eq!(found, expected, "{outgoing} {state:?} {seen}");
        assert!(!goes(whole(&db, at(NOW.ms() - 1), Rule::Asked)), "it is not that old");
        let standing = deletion::standing(&db, &sealed.header().id).unwrap();
        let expected = if expected[2] { Standing::Goes(number) } else { Standing::Waits };
        assert_eq!(standing, expected, "{outgoing} {state:?} {seen}");
    }
    let asked = whole(&db, NOW, Rule::Asked);
    assert_eq!((asked.going.len(), asked.staying, asked.next), (13, 4, None));
    let none = deletion::standing(&db, &MessageId::from_bytes([1; 16])).unwrap();
    assert_eq!(none, Standing::Absent);
}

#[test]
fn what_the_human_is_asked_about_and_what_is_to_be_sent_stays_whatever_its_state() {
    let folder = Folder::new();
    let db = folder.made();
    let ids: Vec<_> = (1..=2)
        .map(|n| {
            let sealed = saying(n, "x");
            messages::add(&db, &sealed, true, MessageState::Read, NOW).unwrap();
            sealed.header().id
        })
        .collect();
    assert_eq!(whole(&db, NOW, Rule::Asked).going.len(), 2);
    outbox::add(&db, &PEER, &ids[0], None).unwrap();
    db.execute(
        "INSERT INTO pending (id, what, peer, message, reasons, created_ms, expires_ms)
         VALUES (x'0102030405', 'message_out', ?1, ?2, x'00', 0, 0)",
        [PEER.as_bytes().as_slice(), ids[1].as_bytes()],
    )
    .unwrap();
    for rule in [Rule::Asked, Rule::Aged(EXPIRES)] {
        let part = whole(&db, NOW, rule);
        assert_eq!((part.going.len(), part.staying), (0, 2));
    }
}

#[test]
fn a_choice_is_looked_at_in_parts_and_large_messages_make_small_ones() {
    let folder = Folder::new();
    let db = folder.made();
    let large = "x".repeat(60_000);
    for n in 0..12 {
        let text = if n < 6 { "x" } else { &large };
        // Two of each time, so that the number tells them apart.
        let then = at(u64::from(n) / 2 + 1);
        messages::add(&db, &saying(n, text), true, MessageState::Read, then).unwrap();
    }
    let choice = Choice { peer: PEER, until: NOW, rule: Rule::Asked };
    let (mut place, mut sizes, mut numbers) = (Place::default(), Vec::new(), Vec::new());
    loop {
        let part = deletion::part(&db, &choice, place, 5).unwrap();
        sizes.push(part.going.len());
        numbers.extend(part.going);
        let Some(next) = part.next else { break };
        place = next;
    }
    assert_eq!(numbers, (1..=12).collect::<Vec<i64>>(), "each once, in their order");
    assert_eq!(sizes, [5, 5, 2], "five of 60 kB are over the bound of bytes too");
    let first = deletion::part(&db, &choice, Place::default(), 1000).unwrap();
    assert!(first.going.len() == 11, "{first:?}");
}

fn receipt(n: u16, of: &[&Envelope]) -> Envelope {
    let entry = |sealed: &&Envelope| ReceiptEntry {
        id: sealed.header().id,
        digest: sealed.digest(),
        state: ReceiptState::Refused,
        at: NOW,
        reason: Some("the peer's own words".into()),
    };
    let header = Header { kind: Kind::Receipt, ..saying(n, "x").header().clone() };
    let body =
        Body::Receipt(Receipt { entries: of.iter().map(entry).collect(), head: None, echo: None });
    Draft { header, body }.seal(&owner()).unwrap()
}

/// The messages that the index has under a word.
fn indexed(db: &Connection, word: &str) -> Vec<i64> {
    let token = seal::blind(db, seal::Blind::Word, word).unwrap();
    let sql = "SELECT rowid FROM words WHERE words MATCH ?1 ORDER BY rowid";
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([format!("\"{token}\"")], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_holds_a_text_goes_with_it_and_a_receipt_with_the_last_of_its_messages() {
    let folder = Folder::new();
    let db = folder.made();
    db.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    let (one, two) = (saying(1, "first thing"), saying(2, "second thing"));
    let said = receipt(3, &[&one, &two]);
    messages::put_receipt(&db, &said, NOW).unwrap();
    let id = said.header().id;
    for sealed in [&one, &two] {
        let number = messages::add(&db, sealed, true, MessageState::Queued, NOW).unwrap();
        messages::set_state(&db, number, &step(MessageState::Refused), Some(&id)).unwrap();
        db.execute("INSERT INTO session_reads VALUES ('s', ?1)", [number]).unwrap();
    }
    search::index_batch(&db, limits::INDEX_BATCH).unwrap();
    let count = |what: &str| -> i64 {
        db.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
    };
    let counts = || {
        let tables = ["messages", "history", "session_reads", "receipts"].map(count);
        let found = ["first", "thing"].map(|word| i64::try_from(indexed(&db, word).len()).unwrap());
        tables.into_iter().chain(found).collect::<Vec<i64>>()
    };
    assert_eq!(counts(), [2, 2, 2, 1, 1, 2]);
    deletion::delete(&db, &[1], NOW).unwrap();
    assert_eq!(counts(), [1, 1, 1, 1, 0, 1], "the receipt tells of the second one still");
    deletion::delete(&db, &[2, 99], NOW).unwrap();
    assert_eq!(counts(), [0; 6]);
    db.execute_batch("INSERT INTO words (words, rank) VALUES ('integrity-check', 0)").unwrap();
    assert_eq!(deletion::take_untold(&db).unwrap(), 3);
    assert_eq!(deletion::take_untold(&db).unwrap(), 0);
}

#[test]
fn a_message_that_is_not_indexed_yet_is_deleted_without_harm_to_the_index() {
    let folder = Folder::new();
    let db = folder.made();
    for n in 1..=3 {
        messages::add(&db, &saying(n, "some words"), true, MessageState::Read, NOW).unwrap();
        if n == 1 {
            search::index_batch(&db, limits::INDEX_BATCH).unwrap();
        }
    }
    deletion::delete(&db, &[1, 2], NOW).unwrap();
    search::index_batch(&db, limits::INDEX_BATCH).unwrap();
    assert_eq!(indexed(&db, "some"), [3]);
    let number = messages::add(&db, &saying(9, "x"), true, MessageState::Read, NOW).unwrap();
    deletion::delete(&db, &[number], NOW).unwrap();
    let next = messages::add(&db, &saying(10, "x"), true, MessageState::Read, NOW).unwrap();
    assert!(next > number, "no place in the inbox is used again");
}

#[test]
fn a_deletion_gives_nothing_back_of_a_grant_or_of_a_rate() {
    let folder = Folder::new();
    let db = folder.made();
    let id = GrantId::from_bytes([5; 5]);
    db.execute(
        "INSERT INTO grants (id, statement, signature) VALUES (?1, x'', x'')",
        [id.as_bytes()],
    )
    .unwrap();
    let day = limits::RATE_WINDOW_MAX;
    let now = NOW.plus(day * 60);
    let room = |messages_max, per_hour_max| grants::Room { id, messages_max, per_hour_max };
    // One of long ago that counts no more, one of ten days ago, and one of now that was held at first.
    let times = [NOW, now.minus(day * 10), now.minus(day * 2)];
    for (n, then) in (1..).zip(times) {
        let number = messages::add(&db, &saying(n, "x"), true, MessageState::Read, then).unwrap();
        grants::set_used(&db, number, &id).unwrap();
    }
    let queued = HistoryRow { state: MessageState::Queued, at: now, reason: None };
    messages::add_history(&db, 3, &queued, None).unwrap();
    messages::add(&db, &saying(4, "x"), true, MessageState::Read, now).unwrap();
    let open = |room| grants::has_room(&db, &room, now).unwrap();
    let recent = || verdicts::recent(&db, now.minus(day)).unwrap();
    let before = recent();
    assert_eq!(before, [(PEER, true, now)]);
    assert!(!open(room(3, None)) && open(room(4, None)) && !open(room(9, Some(1))));
    deletion::delete(&db, &[2, 3, 4], now).unwrap();
    assert!(!open(room(3, None)) && open(room(4, None)) && !open(room(9, Some(1))));
    assert!(open(room(9, Some(2))), "and no more than there was");
    assert_eq!(recent().len(), 2, "the one that was held passed now: {:?}", recent());
    deletion::delete(&db, &[1], now).unwrap();
    let kept = || -> i64 { db.query_row("SELECT count(*) FROM spent", [], |r| r.get(0)).unwrap() };
    assert_eq!(kept(), 3, "no grant lives for sixty days");
    deletion::forget_spent(&db, now.plus(limits::GRANT_LIFE_MAX.saturating_sub(day))).unwrap();
    assert_eq!(kept(), 2);
    deletion::forget_spent(&db, now.plus(limits::GRANT_LIFE_MAX)).unwrap();
    assert_eq!(kept(), 0);
}

#[test]
fn what_was_set_is_read_as_it_was_set() {
    let folder = Folder::new();
    let db = folder.made();
    assert_eq!(retention::settings(&db).unwrap(), []);
    retention::set(&db, Some(&PEER), Some(Keep::Days(30)), NOW).unwrap();
    retention::set(&db, None, Some(Keep::Days(90)), NOW).unwrap();
    retention::set(&db, None, Some(Keep::Days(91)), NOW).unwrap();
    let all = Setting { peer: None, keep: Keep::Days(91) };
    let one = Setting { peer: Some(PEER), keep: Keep::Days(30) };
    assert_eq!(retention::settings(&db).unwrap(), [all, one]);
    retention::set(&db, Some(&PEER), Some(Keep::Forever), NOW).unwrap();
    assert_eq!(retention::settings(&db).unwrap()[1].keep, Keep::Forever);
    retention::set(&db, Some(&PEER), None, NOW).unwrap();
    assert_eq!(retention::settings(&db).unwrap(), [all]);
    for days in [0, 36_501] {
        assert!(retention::set(&db, None, Some(Keep::Days(days)), NOW).is_err(), "{days}");
    }
}

/// All files of a folder, one behind the other.
fn files(folder: &Folder) -> Vec<u8> {
    let files = std::fs::read_dir(folder.0.path()).unwrap();
    files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

/// What of a message's row is nowhere else: the beginnings of its sealed values, which are random.
fn prints(db: &Connection) -> BTreeMap<i64, [Vec<u8>; 2]> {
    let sql = "SELECT number, substr(text, 2, 24), substr(envelope, 2, 24) FROM messages";
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, [row.get(1)?, row.get(2)?])));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// Those whose prints are anywhere in these bytes.
fn found(prints: &BTreeMap<i64, [Vec<u8>; 2]>, bytes: &[u8]) -> BTreeSet<i64> {
    let (numbers, known): (Vec<i64>, Vec<&Vec<u8>>) =
        prints.iter().flat_map(|(number, of)| of.iter().map(|print| (*number, print))).unzip();
    let finder = aho_corasick::AhoCorasick::new(known).unwrap();
    finder.find_overlapping_iter(bytes).map(|at| numbers[at.pattern().as_usize()]).collect()
}

fn size(folder: &Folder) -> u64 {
    std::fs::metadata(folder.path()).unwrap().len()
}

/// Deletes in one write, as the node does.
async fn delete(store: &Store, numbers: Vec<i64>) {
    store.write(move |db| deletion::delete(db, &numbers, NOW)).await.unwrap().unwrap();
}

/// What comes after a deletion.
async fn tidy(store: &Store) {
    let mut more = true;
    while more {
        more = store.write(|db| space::shrink(db, 64)).await.unwrap().unwrap();
    }
    assert!(store.wipe_log().await.unwrap());
}

#[tokio::test]
async fn nothing_of_what_was_deleted_is_left_in_any_file_and_the_file_shrinks() {
    const COUNT: u16 = 200;
    let folder = Folder::new();
    let store = folder.open().unwrap();
    // Rows of many sizes, so that pages are split, joined and balanced; every word but one is rare.
    let text = |n: u16| {
        let filler = format!("word{}q ", n + 1).repeat(usize::from(n % 37) * 4);
        format!("zebrafish{} {filler}", n + 1)
    };
    for from in (0..COUNT).step_by(50) {
        let add = move |db: &Connection| {
            for n in from..from + 50 {
                let sealed = saying(n, &text(n));
                let number = messages::add(db, &sealed, true, MessageState::Read, NOW)?;
                messages::add_history(db, number, &step(MessageState::Queued), None)?;
            }
            search::index_batch(db, limits::INDEX_BATCH).map(drop)
        };
        store.write(add).await.unwrap().unwrap();
    }
    let prints = store.read(|db| Ok(prints(db))).await.unwrap().unwrap();
    assert_eq!(found(&prints, &files(&folder)).len(), usize::from(COUNT));
    store.fold().await;
    let all = size(&folder);
    // In an order that leaves pages half empty on the way, and 20 stay to the end.
    let mut numbers: Vec<i64> = (1..=i64::from(COUNT)).collect();
    numbers.sort_by_key(|number| (number * 7919) % 601);
    let kept = numbers.split_off(usize::from(COUNT) - 20);
    let gone = numbers;
    // Rows that grow are moved between pages, which leaves copies behind that nobody overwrites.
    let grow = |db: &Connection| {
        let sql = "UPDATE messages SET verdict = CAST(?2 AS BLOB) WHERE number = ?1";
        let order = (1..=i64::from(COUNT)).map(|n| (n * 263) % 601);
        order.into_iter().try_for_each(|number| {
            let length = usize::try_from(number % 200).unwrap_or_default();
            Ok(db.prepare_cached(sql)?.execute((number, "v".repeat(length))).map(drop)?)
        })
    };
    store.write(grow).await.unwrap().unwrap();
    for part in gone.chunks(40) {
        delete(&store, part.to_vec()).await;
    }
    tidy(&store).await;
    assert_eq!(found(&prints, &files(&folder)), kept.iter().copied().collect());
    assert_eq!(gone.len() + kept.len(), usize::from(COUNT));
    let some = size(&folder);
    assert!(some < all / 2, "{some} of {all} bytes");
    delete(&store, kept).await;
    tidy(&store).await;
    assert_eq!(found(&prints, &files(&folder)), BTreeSet::new());
}

#[tokio::test]
async fn the_log_waits_for_a_reader_and_not_for_ever() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let reader = folder.raw();
    reader.execute_batch("BEGIN; SELECT * FROM meta;").unwrap();
    store.write(|db| migrate::set_meta(db, "key", "value")).await.unwrap().unwrap();
    assert!(!store.wipe_log().await.unwrap(), "somebody reads what was");
    reader.execute_batch("COMMIT").unwrap();
    assert!(store.wipe_log().await.unwrap());
}

#[tokio::test]
async fn a_copy_is_of_one_moment_while_others_write_and_holds_no_free_page() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let writer = store.clone();
    let writing = tokio_util::task::TaskTracker::new().spawn(async move {
        for n in 0..300_u16 {
            let write = move |db: &Connection| {
                // Two rows of one transaction: no copy has the one without the other.
                messages::add(db, &saying(n, "x"), true, MessageState::Queued, NOW)?;
                outbox::add(db, &PEER, &saying(n, "x").header().id, None)
            };
            writer.write(write).await.unwrap().unwrap();
        }
    });
    let (from, into) = (folder.path(), Folder::new());
    let mut counts = Vec::new();
    for n in 0..5 {
        let target = into.0.path().join(format!("{n}.db"));
        let (from, to) = (from.clone(), target.clone());
        tokio::task::spawn_blocking(move || space::copy(&from, &to)).await.unwrap().unwrap();
        let db = Connection::open(target).unwrap();
        let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let messages = count("SELECT count(*) FROM messages");
        assert_eq!(messages, count("SELECT count(*) FROM outbox"));
        assert_eq!(count("PRAGMA freelist_count"), 0);
        let whole: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(whole, "ok");
        counts.push(messages);
    }
    writing.await.unwrap();
    assert!(counts.is_sorted(), "{counts:?}");
    let taken = space::copy(&from, &into.0.path().join("0.db"));
    assert!(taken.is_err(), "nothing is written over");
    let store = Store::open(&into.0.path().join("4.db"), &owner().id(), &folder.source()).unwrap();
    assert_eq!(
        store.read(messages::counts).await.unwrap().unwrap().queued.cast_signed(),
        counts[4]
    );
}

#[test]
fn an_old_database_becomes_one_that_can_shrink() {
    let folder = Folder::new();
    let db = folder.raw();
    db.execute_batch("PRAGMA auto_vacuum = NONE; PRAGMA journal_mode = WAL;").unwrap();
    db.execute_batch(include_str!("../migrations/0001.sql")).unwrap();
    db.execute_batch("PRAGMA application_id = 0x4353676e; PRAGMA user_version = 1;").unwrap();
    migrate::set_meta(&db, "kept", "yes").unwrap();
    drop(db);
    let db = folder.made();
    let mode: u32 = db.pragma_query_value(None, "auto_vacuum", |row| row.get(0)).unwrap();
    assert_eq!((mode, migrate::meta(&db, "kept").unwrap().as_deref()), (2, Some("yes")));
}
