//! What the audit chain says of rows, and whether its end holds.

use super::{
    super::{StoreError, audit, migrate, standing},
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
    let db = folder.made();
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
    assert!(!standing::granted(&db, &GRANT).unwrap());
    let (grant, until) = (GRANT.to_string(), NOW.rfc3339());
    let granted = Event::Granted { grant, peer: Some(PEER.to_string()), until };
    audit::append(&db, NOW, &granted).unwrap();
    assert!(standing::granted(&db, &GRANT).unwrap());
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

/// Opens the home's database after a change of its schema.
fn after(change: &str) -> Result<super::super::Store, StoreError> {
    let folder = Folder::new();
    drop(folder.open().unwrap());
    folder.raw().execute_batch(change).unwrap();
    folder.open()
}

#[test]
fn a_database_with_a_foreign_schema_is_not_used() {
    let index = "CREATE INDEX audit_trust ON audit (number) WHERE number < 9";
    let swapped = format!("DROP INDEX audit_trust; {index}");
    let kept =
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '')
                WHERE name = 'audit'";
    for (change, what) in [
        (
            "CREATE TRIGGER quiet BEFORE INSERT ON audit WHEN NEW.event LIKE '%revoked%'
             BEGIN SELECT RAISE(IGNORE); END",
            "there is the trigger \"quiet\"",
        ),
        (
            "ALTER TABLE audit RENAME TO a; CREATE VIEW audit AS SELECT * FROM a",
            "the view \"audit\"",
        ),
        ("CREATE TABLE mine (x)", "there is the table \"mine\""),
        (&swapped, "the index \"audit_trust\" is another than it was"),
        ("DROP INDEX audit_trust", "the index \"audit_trust\" is gone"),
        ("DROP TRIGGER unread_went", "the trigger \"unread_went\" is gone"),
        (kept, "the table \"audit\" is another than it was"),
    ] {
        let error = after(change).unwrap_err();
        assert!(matches!(error, StoreError::Planted { .. }), "{change}: {error}");
        assert!(error.to_string().contains(what), "{change}: {error}");
    }
    after("ANALYZE").unwrap();
}

#[test]
fn a_trigger_is_refused_before_an_older_schema_is_brought_up_to_date() {
    let folder = Folder::new();
    migrate::make(&folder.path(), 5);
    folder
        .raw()
        .execute_batch("CREATE TRIGGER x AFTER UPDATE ON messages BEGIN DELETE FROM audit; END")
        .unwrap();
    assert!(matches!(folder.open(), Err(StoreError::Planted { .. })));
    let version: u32 =
        folder.raw().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 5, "nothing was changed");
}

#[tokio::test]
async fn a_record_that_a_trigger_takes_away_is_not_written_and_nothing_with_it() {
    for (when, what) in [
        ("BEFORE", "SELECT RAISE(IGNORE)"),
        ("AFTER", "DELETE FROM audit WHERE number = NEW.number"),
    ] {
        let folder = Folder::new();
        let store = folder.open().unwrap();
        let append = |event| {
            store.write(move |db| {
                migrate::set_meta(db, "with it", "yes")?;
                audit::append(db, NOW, &event)
            })
        };
        let sql = format!("CREATE TRIGGER x {when} INSERT ON audit BEGIN {what}; END");
        folder.raw().execute_batch(&sql).unwrap();
        let failed = append(moved(PEER, "revoked")).await.unwrap();
        assert!(matches!(failed, Err(StoreError::Unwritten("audit"))), "{when}: {failed:?}");
        assert_eq!(migrate::meta(&folder.raw(), "with it").unwrap(), None);
        folder.raw().execute_batch("DROP TRIGGER x").unwrap();
        assert_eq!(append(moved(PEER, "revoked")).await.unwrap().unwrap().seq, 1);
    }
}

#[tokio::test]
async fn a_chain_that_another_process_changed_meanwhile_is_noticed_at_the_next_write() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let append = || store.write(|db| audit::append(db, NOW, &passed()));
    let first = append().await.unwrap().unwrap();
    append().await.unwrap().unwrap();
    assert_eq!(store.cut(), None);
    folder.raw().execute("DELETE FROM audit WHERE number = 2", []).unwrap();
    append().await.unwrap().unwrap();
    assert_eq!(store.cut().map(|head| head.seq), Some(2));
    assert_ne!(store.head(), first);
}

#[test]
fn the_end_of_the_chain_is_verified_from_the_last_signature_on() {
    let folder = Folder::new();
    let db = folder.made();
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
