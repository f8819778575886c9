//! The audit chain on disk: what is wrong with it is found and named, and old records can be moved.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::{
    audit::{ChainError, Fault, Head, lines::Checker, witness::Sighting},
    store::{
        audit::{
            Query,
            rotate::{self, Keep, Part},
        },
        policies,
        witnesses::{self, What},
    },
};

pub(super) fn fill(db: &Connection, count: u64) {
    // The threads of a store that was dropped may be writing the mark of its end.
    let transaction =
        rusqlite::Transaction::new_unchecked(db, rusqlite::TransactionBehavior::Immediate);
    let transaction = transaction.unwrap();
    for n in 0..count {
        let at = Timestamp::from_ms(NOW.ms() + n);
        audit::append(db, at, &Event::refused(format!("{n}"), None)).unwrap();
        audit::checkpoint(db, &owner(), false).unwrap();
    }
    audit::checkpoint(db, &owner(), true).unwrap();
    transaction.commit().unwrap();
}

pub(super) fn problem(db: &Connection) -> Option<ChainError> {
    audit::verify(db, &owner().id()).unwrap().problem
}

/// Changes the database, and gives what is wrong then.
pub(super) fn after(db: &Connection, sql: &str) -> Option<ChainError> {
    db.execute_batch(&format!("SAVEPOINT s; {sql}")).unwrap();
    let found = problem(db);
    db.execute_batch("ROLLBACK TO s; RELEASE s").unwrap();
    found
}

pub(super) fn db(folder: &Folder) -> Connection {
    drop(folder.open().unwrap());
    folder.raw()
}

#[test]
fn the_first_bad_record_is_named_with_what_contradicts_it() {
    let folder = Folder::new();
    let db = db(&folder);
    fill(&db, 200);
    assert_eq!(problem(&db), None);
    let broken = |seq, fault| {
        let at = Some(Timestamp::from_ms(NOW.ms() + seq - 1));
        Some(ChainError::Broken { seq, at, fault })
    };
    assert_eq!(
        after(&db, "UPDATE audit SET event = 'x' WHERE number = 7"),
        broken(7, Fault::Content)
    );
    assert_eq!(
        after(&db, "UPDATE audit SET previous = zeroblob(32) WHERE number = 9"),
        broken(9, Fault::Content)
    );
    let missing = Some(ChainError::Broken { seq: 5, at: None, fault: Fault::Missing(6) });
    assert_eq!(after(&db, "DELETE FROM audit WHERE number = 5"), missing);
    assert_eq!(
        after(&db, "DELETE FROM audit WHERE number > 150"),
        Some(ChainError::Cut { last: 150, signed: 200 })
    );
    assert_eq!(
        after(&db, "UPDATE checkpoints SET signature = zeroblob(64) WHERE number = 64"),
        Some(ChainError::Checkpoint(64))
    );
    // A chain that is written anew from record 100 on follows itself; the signatures do not.
    db.execute_batch("SAVEPOINT s; DELETE FROM audit WHERE number >= 100").unwrap();
    for n in 99..200 {
        let at = Timestamp::from_ms(NOW.ms() + n);
        audit::append(&db, at, &Event::refused(format!("other {n}"), None)).unwrap();
    }
    let found = problem(&db).unwrap();
    let at = Timestamp::from_ms(NOW.ms() + 127);
    assert_eq!(found, ChainError::Replaced { seq: 128, at });
    assert_eq!(found.against().unwrap(), "the checkpoint at record 128");
    db.execute_batch("ROLLBACK TO s").unwrap();
}

#[test]
fn a_tail_that_is_cut_with_its_checkpoints_shows_by_what_a_peer_signed() {
    let folder = Folder::new();
    let db = db(&folder);
    fill(&db, 100);
    let head = audit::head(&db).unwrap();
    let (peer, receipt) = (PeerId::from_bytes([7; 32]), MessageId::from_bytes([8; 16]));
    let seen = Sighting { head, receipt, at: NOW };
    witnesses::put(&db, &peer, What::Ours, &seen).unwrap();
    assert_eq!(problem(&db), None);
    let cut = "DELETE FROM audit WHERE number > 90; DELETE FROM checkpoints WHERE number > 90";
    let witness = |at| Some(ChainError::Witness { seq: 100, at, peer, receipt });
    assert_eq!(after(&db, cut), witness(None));
    db.execute_batch(cut).unwrap();
    fill(&db, 20);
    let at = Timestamp::from_ms(NOW.ms() + 9);
    assert_eq!(problem(&db), witness(Some(at)), "the chain has grown over it since");
    witnesses::remove(&db, &peer, What::Ours).unwrap();
    assert_eq!(problem(&db), None, "nobody else knows");
}

fn policy(serial: u64) -> Event {
    Event::PolicySet { digest: "ab".repeat(32), serial, tightened: false }
}

pub(super) fn trust(peer: u8, to: &str) -> Event {
    let peer = PeerId::from_bytes([peer; 32]).to_string();
    Event::TrustMoved { peer, from: "incoming".into(), to: to.into() }
}

/// Moves all but the last `keep` records.
pub(super) fn rotate(db: &Connection, folder: &Folder, keep: u64) -> Part {
    let part = rotate::part(db, Keep::Records(keep)).unwrap().unwrap();
    rotate::write(&folder.path(), &part, &owner()).unwrap();
    assert!(rotate::take_out(db, &part, &owner(), NOW).unwrap());
    part
}

#[test]
fn old_records_move_into_a_file_and_the_chain_and_what_stands_stay() {
    let folder = Folder::new();
    let db = db(&folder);
    audit::append(&db, NOW, &policy(1)).unwrap();
    audit::append(&db, NOW, &policy(2)).unwrap();
    audit::append(&db, NOW, &trust(5, "incoming")).unwrap();
    audit::append(&db, NOW, &trust(5, "trusted")).unwrap();
    fill(&db, 300);
    let first = rotate(&db, &folder, 100);
    assert_eq!((first.after, first.last.seq), (Head::EMPTY, 204));
    assert_eq!(problem(&db), None);
    let last = policies::rows(&db).unwrap().last.unwrap();
    assert_eq!((last.seq, policies::event_of(&last)), (2, Some(policy(2))), "as it was");
    let rows: Vec<u64> = audit::page(&db, 0, 3).unwrap().iter().map(|record| record.seq).collect();
    assert_eq!(rows, [2, 4, 205]);
    for (sql, what) in [
        ("DELETE FROM audit WHERE number = 2", "removed"),
        (
            "UPDATE audit SET event = replace(event, 'trusted', 'blocked') WHERE number = 4",
            "changed",
        ),
        (
            "INSERT INTO audit SELECT 1, previous, at_ms, event, hash FROM audit WHERE number = 2",
            "put in",
        ),
    ] {
        assert_eq!(after(&db, sql), Some(ChainError::Kept { after: 205 }), "{what}");
    }
    let forged = after(&db, "UPDATE anchors SET hash = zeroblob(32)");
    assert_eq!(forged, Some(ChainError::Anchor(204)));
    assert!(after(&db, "DELETE FROM anchors").is_some());
    assert!(after(&db, "DELETE FROM audit WHERE number = 205").is_some());

    // Once more, and the two files follow each other.
    audit::append(&db, NOW, &policy(3)).unwrap();
    fill(&db, 50);
    let second = rotate(&db, &folder, 10);
    assert_eq!(second.after, first.last);
    assert_eq!(problem(&db), None);
    let rows: Vec<u64> = audit::page(&db, 0, 2).unwrap().iter().map(|record| record.seq).collect();
    assert_eq!(rows, [4, 306], "the newest policy is the one that stays");
    let mut after = Head::EMPTY;
    for part in [first, second] {
        let path = folder.path().with_file_name(part.file_name());
        let text = std::fs::read_to_string(&path).unwrap();
        let mut checker = Checker::default();
        for line in text.lines() {
            checker.take(line).unwrap();
        }
        let checked = checker.finish().unwrap();
        assert_eq!((checked.top.after, checked.end.head), (after, part.last));
        after = part.last;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(rotate::part(&db, Keep::Records(1000)).unwrap(), None);
    assert!(!rotate::take_out(&db, &second, &owner(), NOW).unwrap(), "not twice");
}

#[test]
fn a_broken_chain_is_not_moved() {
    let folder = Folder::new();
    let db = db(&folder);
    fill(&db, 50);
    db.execute_batch("UPDATE audit SET event = 'x' WHERE number = 7").unwrap();
    let part = rotate::part(&db, Keep::Records(10)).unwrap().unwrap();
    let error = rotate::write(&folder.path(), &part, &owner()).unwrap_err();
    assert!(error.to_string().contains("record 7"), "{error}");
    assert_eq!(audit::page(&db, 0, 100).unwrap().len(), 50);
    assert!(!folder.path().with_file_name(part.file_name()).exists());
}

#[test]
fn what_stays_by_time_begins_with_the_first_young_record() {
    let folder = Folder::new();
    let db = db(&folder);
    for ms in [10, 20, 500, 30, 600] {
        audit::append(&db, Timestamp::from_ms(ms), &Event::MoveUndone).unwrap();
    }
    let part = |ms| rotate::part(&db, Keep::Since(Timestamp::from_ms(ms))).unwrap();
    assert_eq!(part(400).unwrap().last.seq, 2, "a clock that went back takes nothing young along");
    assert_eq!(part(5), None);
    assert_eq!(part(1000).unwrap().last.seq, 5);
}

#[test]
fn records_are_looked_for_a_part_at_a_time() {
    let folder = Folder::new();
    let db = db(&folder);
    let peer = PeerId::from_bytes([5; 32]);
    for n in 0..30 {
        let at = Timestamp::from_ms(n);
        audit::append(&db, at, &trust(5, "trusted")).unwrap();
        audit::append(&db, at, &Event::refused("x", None)).unwrap();
    }
    let all = Query { after: 0, limit: 100, kinds: Vec::new(), peer: None, since: None };
    let find = |query: Query| {
        let found = audit::find(&db, &query).unwrap();
        (found.records.iter().map(|record| record.seq).collect::<Vec<_>>(), found.next)
    };
    assert_eq!(find(all.clone()).0.len(), 60);
    assert_eq!(find(Query { peer: Some(peer), limit: 2, ..all.clone() }), (vec![1, 3], Some(3)));
    let since = Some(Timestamp::from_ms(28));
    assert_eq!(find(Query { since, ..all.clone() }), (vec![57, 58, 59, 60], None));
    let kinds = vec!["refused".to_owned()];
    assert_eq!(find(Query { kinds, after: 57, ..all }), (vec![58, 60], None));
}

/// The head of a long chain, an append to it and a check of it: the figures are printed, and a chain of
/// any length is checked in parts.
/// All is moved, and what stays of it is not its last record: the chain goes on after the last.
#[test]
fn the_chain_goes_on_after_what_was_moved_and_not_after_what_stays_of_it() {
    let folder = Folder::new();
    let db = db(&folder);
    let moved = Event::TrustMoved {
        peer: owner().id().to_string(),
        from: "requested".to_owned(),
        to: "trusted".to_owned(),
    };
    audit::append(&db, NOW, &moved).unwrap();
    fill(&db, 9);
    let part = rotate::part(&db, Keep::Records(0)).unwrap().unwrap();
    assert_eq!(part.last.seq, 10);
    rotate::write(&folder.path(), &part, &owner()).unwrap();
    assert!(rotate::take_out(&db, &part, &owner(), NOW).unwrap());
    let left: Vec<u64> = audit::page(&db, 0, 99).unwrap().iter().map(|record| record.seq).collect();
    assert_eq!(left, [1, 11], "what stands, and that the rest was moved");
    assert_eq!(audit::append(&db, NOW, &Event::MoveUndone).unwrap().seq, 12);
    assert_eq!(problem(&db), None);
}

#[test]
fn a_long_chain_is_appended_to_and_checked_in_parts() {
    let folder = Folder::new();
    let db = db(&folder);
    fill(&db, 5000);
    let (mut progress, mut parts) = (audit::Progress::default(), 0);
    loop {
        let (next, ended) = audit::verify_part(&db, &owner().id(), &progress).unwrap();
        progress = next;
        if ended != audit::Ended::NotYet {
            assert_eq!(ended, audit::Ended::Whole);
            break;
        }
        parts += 1;
        assert_eq!(progress.head.seq, parts * 1000);
    }
    assert_eq!((parts, progress.records, progress.checkpoints), (5, 5000, 79));
}
