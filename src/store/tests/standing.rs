//! What the audit chain says of rows, and whether its end holds.

use super::{
    super::{audit, standing},
    Folder, NOW, owner,
};
use crate::{
    audit::{ChainError, Event, Fault},
    base::{GrantId, PeerId, Timestamp, limits},
};

const PEER: PeerId = PeerId::from_bytes([3; 32]);
const OTHER: PeerId = PeerId::from_bytes([4; 32]);
const GRANT: GrantId = GrantId::from_bytes([5; 5]);

fn moved(peer: PeerId, to: &str) -> Event {
    Event::TrustMoved { peer: peer.to_string(), from: "trusted".to_owned(), to: to.to_owned() }
}

fn passed() -> Event {
    let message = crate::base::MessageId::from_bytes([6; 16]).to_string();
    Event::Passed { message, grant: GRANT.to_string() }
}

#[test]
fn the_newest_record_of_a_peer_and_every_one_of_a_grant_are_found_by_an_index() {
    let folder = Folder::new();
    drop(folder.open().unwrap());
    let db = folder.raw();
    let ended = Event::GrantEnded { grant: GRANT.to_string() };
    assert!(standing::trust_moved(&db, &PEER).unwrap().is_none());
    assert!(!standing::grant_ended(&db, &GRANT).unwrap());
    for event in [moved(PEER, "trusted"), passed(), moved(PEER, "revoked"), moved(OTHER, "blocked")]
    {
        audit::append(&db, NOW, &event).unwrap();
    }
    audit::append(&db, NOW.plus(limits::GRANT_RATE_WINDOW), &passed()).unwrap();
    audit::append(&db, NOW, &ended).unwrap();
    let record = standing::trust_moved(&db, &PEER).unwrap().unwrap();
    assert_eq!((record.seq, record.event.contains("revoked")), (3, true));
    assert!(standing::grant_ended(&db, &GRANT).unwrap());
    assert!(!standing::grant_ended(&db, &GrantId::from_bytes([7; 5])).unwrap());
    let since = |at| standing::passed(&db, &GRANT, at).unwrap();
    assert_eq!((since(Timestamp::from_ms(0)), since(NOW)), (2, 1));
    for (index, sql) in [
        (
            "audit_trust",
            "substr(event, 1, 22) = '{\"event\":\"trust_moved\"' AND substr(event, 32, 64) = 'x' ORDER BY number DESC",
        ),
        (
            "audit_grant_ended",
            "substr(event, 1, 22) = '{\"event\":\"grant_ended\"' AND substr(event, 33, 8) = 'x'",
        ),
        (
            "audit_passed",
            "substr(event, 1, 17) = '{\"event\":\"passed\"' AND substr(event, 73, 8) = 'x' AND at_ms > 1",
        ),
    ] {
        let plan = format!("EXPLAIN QUERY PLAN SELECT * FROM audit WHERE {sql}");
        let plan: String = db.query_row(&plan, [], |row| row.get("detail")).unwrap();
        assert!(plan.contains(index), "{plan}");
    }
}

#[test]
fn the_end_of_the_chain_is_verified_from_the_last_signature_on() {
    let folder = Folder::new();
    drop(folder.open().unwrap());
    let db = folder.raw();
    let me = owner().id();
    assert_eq!(standing::tail(&db, &me).unwrap(), None, "an empty chain");
    for number in 1..=9 {
        audit::append(&db, NOW, &passed()).unwrap();
        if number == 5 {
            audit::checkpoint(&db, &owner(), true).unwrap();
        }
    }
    assert_eq!(standing::tail(&db, &me).unwrap(), None);
    let broken = |seq, at: Option<u64>, fault| {
        Some(ChainError::Broken { seq, at: at.map(Timestamp::from_ms), fault })
    };
    let check = |change: &str, expected: Option<ChainError>| {
        db.execute_batch("SAVEPOINT before").unwrap();
        assert!(db.execute(change, []).unwrap() > 0, "{change}");
        assert_eq!(standing::tail(&db, &me).unwrap(), expected, "{change}");
        db.execute_batch("ROLLBACK TO before").unwrap();
    };
    check("UPDATE audit SET at_ms = 1 WHERE number = 7", broken(7, Some(1), Fault::Content));
    check("UPDATE audit SET at_ms = 1 WHERE number = 5", broken(5, Some(1), Fault::Content));
    check("DELETE FROM audit WHERE number = 8", broken(8, None, Fault::Missing(9)));
    let cut = Some(ChainError::Cut { last: 4, signed: 5 });
    check("DELETE FROM audit WHERE number > 4", cut);
    let forged = Some(ChainError::Checkpoint(5));
    check("UPDATE checkpoints SET signature = zeroblob(64)", forged);
    // What is older is for `verify`.
    check("UPDATE audit SET at_ms = 1 WHERE number = 2", None);
    assert_eq!(audit::verify(&db, &me).unwrap().problem, None, "all of it was put right again");
    let stranger = standing::tail(&db, &OTHER).unwrap();
    assert_eq!(stranger, Some(ChainError::Checkpoint(5)), "signed by this node's key");
}
