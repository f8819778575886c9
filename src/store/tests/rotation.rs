//! Moving records into a file: nothing that is wrong gets a signature by it, and nothing that counts goes.

use super::{chain::*, *};
use crate::{
    audit::{ChainError, Head, Moved, witness::Sighting},
    base::GrantId,
    store::{
        audit::{
            Ended, Holding, Progress, holds,
            rotate::{self, Keep, RotateError},
        },
        standing,
        witnesses::{self, What},
    },
};

const PEER: PeerId = PeerId::from_bytes([7; 32]);
const RECEIPT: MessageId = MessageId::from_bytes([8; 16]);

fn seen(db: &Connection, seq: u64) -> Sighting {
    let head = Head::of(&audit::record(db, seq).unwrap().unwrap());
    Sighting { head, receipt: RECEIPT, at: NOW }
}

/// Writes the chain anew from this record on, as somebody would who wants no trace of it.
fn rewrite(db: &Connection, from: u64, to: u64) {
    db.execute("DELETE FROM audit WHERE number >= ?1", [from]).unwrap();
    db.execute("DELETE FROM checkpoints WHERE number >= ?1", [from]).unwrap();
    for n in from..=to {
        audit::append(db, NOW, &Event::refused(format!("other {n}"), None)).unwrap();
    }
}

#[test]
fn a_chain_that_a_peer_contradicts_is_not_moved() {
    let folder = Folder::new();
    let db = db(&folder);
    fill(&db, 100);
    let known = seen(&db, 90);
    witnesses::put(&db, &PEER, What::Ours, &known).unwrap();
    rewrite(&db, 70, 200);
    let part = rotate::part(&db, Keep::Records(0)).unwrap().unwrap();
    let error = rotate::write(&folder.path(), &part, &owner()).unwrap_err();
    let of_the_peer = |error: &ChainError| matches!(error, ChainError::Witness { seq: 90, .. });
    assert!(matches!(&error, RotateError::Chain(found) if of_the_peer(found)), "{error}");
    assert!(!folder.path().with_file_name(part.file_name()).exists());
    assert_eq!(audit::page(&db, 0, 1000).unwrap().len(), 200);
}

#[test]
fn what_a_peer_saw_of_moved_records_is_held_against_their_file() {
    let folder = Folder::new();
    let db = db(&folder);
    fill(&db, 300);
    let all: Vec<Sighting> = (1..=300).map(|seq| seen(&db, seq)).collect();
    rotate(&db, &folder, 200);
    let part = rotate(&db, &folder, 100);
    for known in &all {
        assert_eq!(holds(&db, &known.head).unwrap(), Holding::Yes, "{}", known.head.seq);
        let other = Head { hash: Digest::from_bytes([9; 32]), ..known.head };
        assert_eq!(holds(&db, &other).unwrap(), Holding::No, "{}", known.head.seq);
    }
    let put = |what, sighting: &Sighting| witnesses::put(&db, &PEER, what, sighting).unwrap();
    put(What::Ours, &all[149]);
    assert_eq!(problem(&db), None);
    let head = Head { hash: Digest::from_bytes([9; 32]), ..all[149].head };
    put(What::Ours, &Sighting { head, ..all[149] });
    let lost = Some(ChainError::Witness { seq: 150, at: None, peer: PEER, receipt: RECEIPT });
    assert_eq!(problem(&db), lost);
    std::fs::remove_file(folder.path().with_file_name(part.file_name())).unwrap();
    assert_eq!(holds(&db, &head).unwrap(), Holding::Unknown);
    assert_eq!(problem(&db), None, "nobody can say");
    put(What::Lost, &Sighting { head, ..all[149] });
    assert_eq!(problem(&db), lost, "what was disputed before stays so");
}

#[test]
fn where_trust_was_moved_to_and_how_often_a_grant_was_used_stays() {
    let folder = Folder::new();
    let db = db(&folder);
    let [open, over, ended] = [1, 2, 3].map(|n| GrantId::from_bytes([n; 5]));
    let granted = |id: &GrantId, until: Timestamp| Event::Granted {
        grant: id.to_string(),
        peer: None,
        until: until.rfc3339(),
    };
    let passed = |id: &GrantId| Event::Passed {
        message: MessageId::from_bytes([6; 16]).to_string(),
        grant: id.to_string(),
    };
    let later = NOW.plus(std::time::Duration::from_hours(1));
    let peer = PeerId::from_bytes([5; 32]);
    let forgotten = Event::PeerForgotten { peer: peer.to_string(), blocked: false };
    let again = granted(&ended, later);
    let end = Event::GrantEnded { grant: ended.to_string() };
    let past = Timestamp::from_ms(NOW.ms() - 1);
    for event in [
        granted(&open, later),
        granted(&over, past),
        granted(&ended, later),
        passed(&open),
        passed(&open),
        passed(&over),
        trust(5, "trusted"),
        trust(5, "revoked"),
        forgotten,
        end,
        again,
    ] {
        audit::append(&db, NOW, &event).unwrap();
    }
    fill(&db, 9);
    // Twice: the second one chooses among what the first one kept.
    for _ in 0..2 {
        rotate(&db, &folder, 0);
        let used = |id| standing::passed(&db, id, Timestamp::from_ms(0)).unwrap();
        assert_eq!((used(&open), used(&over)), (2, 0));
        let moved = standing::trust_moved(&db, &peer).unwrap().expect("it stays");
        assert!(moved.event.contains("revoked"), "{}", moved.event);
        assert!(standing::grant_ended(&db, &ended).unwrap(), "whatever was said after it");
        assert_eq!(problem(&db), None);
    }
}

#[test]
fn a_rotation_that_this_node_did_not_make_is_found() {
    let folder = Folder::new();
    let db = db(&folder);
    fill(&db, 100);
    let last = seen(&db, 64).head;
    // Records go, and a checkpoint is all that says so.
    let kept = Digest::of("countersign/audit-kept/v1", &[]);
    db.execute_batch(
        "SAVEPOINT s;
         INSERT INTO anchors (number, first, hash, signature, at_ms, kept)
         SELECT number, 1, hash, signature, 1, zeroblob(32) FROM checkpoints WHERE number = 64;
         DELETE FROM audit WHERE number <= 64; DELETE FROM checkpoints WHERE number <= 64;",
    )
    .unwrap();
    db.execute("UPDATE anchors SET kept = ?1", [kept.as_bytes()]).unwrap();
    let (hash, text) = (last.hash.to_string(), kept.to_string());
    let rotated = Event::Rotated { first: 1, last: 64, hash, kept: text };
    audit::append(&db, NOW, &rotated).unwrap();
    assert_eq!(problem(&db), Some(ChainError::Anchor(64)));
    assert_eq!(standing::tail(&db, &owner().id()).unwrap(), None, "its end is signed");
    db.execute_batch("ROLLBACK TO s; RELEASE s").unwrap();
    // The record of a true one has to say what was signed.
    rotate(&db, &folder, 50);
    rotate(&db, &folder, 10);
    assert_eq!(problem(&db), None);
    assert!(matches!(
        after(&db, "DELETE FROM anchors WHERE number = 50"),
        Some(ChainError::Anchor(91))
    ));
    assert!(matches!(after(&db, "UPDATE anchors SET first = 2"), Some(ChainError::Anchor(_))));
    audit::append(&db, NOW, &rotated).unwrap();
    assert_eq!(problem(&db), Some(ChainError::Anchor(91)));
    let moved = Moved { first: 1, last, kept };
    assert!(moved.check(&owner().id(), &moved.sign(&owner())).is_ok());
}

#[test]
fn another_file_of_the_same_name_is_not_written_over() {
    let folder = Folder::new();
    let db = db(&folder);
    fill(&db, 50);
    let part = rotate::part(&db, Keep::Records(10)).unwrap().unwrap();
    let path = folder.path().with_file_name(part.file_name());
    std::fs::write(&path, "what was moved before a rollback\n").unwrap();
    let error = rotate::write(&folder.path(), &part, &owner()).unwrap_err();
    assert!(matches!(error, RotateError::Other { .. }), "{error}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("what was moved"));
    std::fs::remove_file(&path).unwrap();
    // Its deletion failed: the same part is written once more.
    rotate::write(&folder.path(), &part, &owner()).unwrap();
    rotate::write(&folder.path(), &part, &owner()).unwrap();
    assert!(rotate::take_out(&db, &part, &owner(), NOW).unwrap());
    // What an earlier rotation kept was changed since: no new signature goes over it.
    audit::append(&db, NOW, &trust(5, "trusted")).unwrap();
    rotate(&db, &folder, 0);
    fill(&db, 5);
    let part = rotate::part(&db, Keep::Records(0)).unwrap().unwrap();
    rotate::write(&folder.path(), &part, &owner()).unwrap();
    assert!(db.execute("DELETE FROM audit WHERE event LIKE '%trust_moved%'", []).unwrap() > 0);
    assert!(!rotate::take_out(&db, &part, &owner(), NOW).unwrap());
    assert!(rotate::write(&folder.path(), &part, &owner()).is_err());
}

#[test]
fn what_was_changed_once_it_was_written_is_not_taken_out() {
    let folder = Folder::new();
    let db = db(&folder);
    audit::append(&db, NOW, &trust(5, "trusted")).unwrap();
    fill(&db, 50);
    let part = rotate::part(&db, Keep::Records(10)).unwrap().unwrap();
    rotate::write(&folder.path(), &part, &owner()).unwrap();
    let sql = "UPDATE audit SET event = replace(event, 'trusted', 'blocked') WHERE event LIKE
               '%trust_moved%'";
    assert_eq!(db.execute(sql, []).unwrap(), 1);
    let count = || -> [u32; 2] {
        ["audit", "anchors"].map(|table| {
            db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        })
    };
    let before = count();
    assert!(!rotate::take_out(&db, &part, &owner(), NOW).unwrap());
    assert_eq!(count(), before, "nothing was deleted");
}

#[test]
fn records_that_nothing_signs_for_very_long_are_named() {
    let folder = Folder::new();
    let db = db(&folder);
    let most = u64::from(crate::base::limits::AUDIT_TAIL_RECORDS_MAX);
    let head = Head { seq: most, hash: Digest::from_bytes([4; 32]) };
    let record = head.next(NOW, &Event::MoveUndone);
    db.execute(
        "INSERT INTO audit (number, previous, at_ms, event, hash) VALUES (?1, ?2, ?3, ?4, ?5)",
        rusqlite::params![
            record.seq,
            record.previous.as_bytes(),
            NOW.ms(),
            record.event,
            record.hash.as_bytes()
        ],
    )
    .unwrap();
    let check = |signed| {
        let progress = Progress { head, signed, begun: true, ..Progress::default() };
        audit::verify_part(&db, &owner().id(), &progress).unwrap().1
    };
    assert_eq!(check(1), Ended::NotYet);
    let unsigned = ChainError::Unsigned { after: 0, seq: most + 1 };
    assert_eq!(check(0), Ended::Problem(unsigned));
}
