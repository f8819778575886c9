//! The store's own rules.

mod at_rest;
mod chain;
mod codes;
mod deletion;
mod grants;
mod rotation;
mod scale;
mod search;
mod sessions;
mod standing;
mod talks;
mod timeline;
mod unread;
mod whole;

use rusqlite::Connection;

use super::{
    Store, StoreError, audit, messages, migrate, outbox, pending, seal::Sealer,
    storage_key::KeySource,
};
use crate::{
    audit::Event,
    base::{Digest, MessageId, MessageText, PeerId, PendingId, Secret, Timestamp},
    delivery::MessageState,
    gate::What,
    identity::IdentityKey,
    wire::{Body, Draft, Envelope, Header, Kind},
};

const NOW: Timestamp = Timestamp::from_ms(1_000_000);

fn owner() -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([1; 32]))
}

fn envelope(n: u8) -> Envelope {
    let header = Header {
        kind: Kind::Text,
        id: MessageId::from_bytes([n; 16]),
        sender: owner().id(),
        recipient: PeerId::from_bytes([2; 32]),
        created: NOW,
        expires: Timestamp::from_ms(2_000_000),
        thread: None,
        reply_to: None,
        human: false,
        session: None,
    };
    let body = Body::Text(MessageText::parse(&format!("message {n} 100%")).unwrap());
    Draft { header, body }.seal(&owner()).unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("countersign.db")
    }

    fn source(&self) -> KeySource {
        KeySource::file(self.0.path().join("store.key"))
    }

    fn open(&self) -> Result<Store, StoreError> {
        Store::open(&self.path(), &owner().id(), &self.source())
    }

    /// A database that is new, and no store whose threads are still at work on it.
    fn made(&self) -> Connection {
        drop(super::migrate::open(&self.path(), &owner().id(), &self.source()).unwrap());
        self.raw()
    }

    fn raw(&self) -> Connection {
        let db = Connection::open(self.path()).unwrap();
        // The threads of a store that was dropped may still be folding the log.
        db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        let key = super::keys::read_storage_key(&self.0.path().join("store.key")).unwrap();
        if let Some(key) = key {
            Sealer::new(&key).register(&db).unwrap();
        }
        db
    }
}

#[tokio::test]
async fn a_write_that_fails_undoes_itself_alone() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let add =
        |n| move |db: &Connection| messages::add(db, &envelope(n), true, MessageState::Queued, NOW);
    let first = store.write(add(1));
    let bad = store.write(move |db| {
        migrate::set_meta(db, "half", "done")?;
        add(1)(db)
    });
    let second = store.write(add(2));
    assert!(first.await.unwrap().is_ok());
    assert!(bad.await.unwrap().is_err(), "the same id twice");
    assert!(second.await.unwrap().is_ok());
    let half = store.read(|db| migrate::meta(db, "half")).await.unwrap().unwrap();
    assert_eq!(half, None);
    assert_eq!(store.read(messages::counts).await.unwrap().unwrap().queued, 2);
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_next_open() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let peer = PeerId::from_bytes([2; 32]);
    let written = store.write(move |db| {
        messages::add(db, &envelope(1), true, MessageState::Queued, NOW)?;
        outbox::add(db, &peer, &MessageId::from_bytes([1; 16]), None)
    });
    written.await.unwrap().unwrap();
    drop(store);
    let store = folder.open().unwrap();
    let rows = store.read(move |db| outbox::after(db, &peer, 0, 9)).await.unwrap().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].envelope, envelope(1).bytes(), "the same bytes on every try");
}

#[tokio::test]
async fn what_takes_long_to_find_holds_up_no_other_read() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let long = store.scan(move |_| Ok(waits.recv().is_ok()));
    let bound = std::time::Duration::from_secs(20);
    let other = tokio::time::timeout(bound, store.read(messages::counts)).await;
    assert_eq!(other.expect("it does not wait").unwrap().unwrap().queued, 0);
    go_on.send(()).unwrap();
    assert!(long.await.unwrap().unwrap());
}

#[tokio::test]
async fn after_a_fold_the_database_is_one_file() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let written = store.write(|db| migrate::set_meta(db, "key", "value"));
    store.fold().await;
    written.await.unwrap().unwrap();
    let copy = Folder::new();
    std::fs::copy(folder.path(), copy.path()).unwrap();
    std::fs::copy(folder.0.path().join("store.key"), copy.0.path().join("store.key")).unwrap();
    let copied = copy.open().unwrap().read(|db| migrate::meta(db, "key")).await.unwrap().unwrap();
    assert_eq!(copied.as_deref(), Some("value"));
}

#[test]
fn a_file_that_is_not_ours_is_refused_by_name() {
    let folder = Folder::new();
    drop(folder.open().unwrap());
    let other = Store::open(&folder.path(), &PeerId::from_bytes([9; 32]), &folder.source());
    assert!(matches!(other, Err(StoreError::OtherNode { .. })));
    folder.raw().execute_batch("PRAGMA user_version = 99").unwrap();
    let error = folder.open().unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }));
    assert!(error.to_string().contains("update countersign"), "{error}");
    let foreign = Folder::new();
    foreign.raw().execute_batch("CREATE TABLE x (y)").unwrap();
    assert!(matches!(foreign.open(), Err(StoreError::Foreign(_))));
    let text = Folder::new();
    std::fs::write(
        text.path(),
        "not a database at all, but longer than a header of 100 bytes. ".repeat(9),
    )
    .unwrap();
    assert!(matches!(text.open(), Err(StoreError::Foreign(_))));
}

#[tokio::test]
async fn a_damaged_database_is_not_used() {
    let (folder, copy) = (Folder::new(), Folder::new());
    let store = folder.open().unwrap();
    store.fold().await;
    let mut bytes = std::fs::read(folder.path()).unwrap();
    let end = bytes.len() - 1;
    bytes[4096..end].fill(0x5a);
    std::fs::write(copy.path(), bytes).unwrap();
    assert!(copy.open().is_err());
}

#[test]
fn the_documented_schema_is_the_real_one() {
    let version = format!("schema version {}.\n", migrate::newest());
    assert!(include_str!("SCHEMA.md").contains(&version), "{version}");
    let folder = Folder::new();
    let db = folder.made();
    let mut real = String::new();
    let mut tables = db
        .prepare(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
                  AND name NOT LIKE 'words!_%' ESCAPE '!'",
        )
        .unwrap();
    let names: Vec<String> =
        tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for table in names {
        let mut columns =
            db.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
        let columns: Vec<String> = columns
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap()
            .map(|name| format!("`{}`", name.unwrap()))
            .collect();
        real.extend([&table, ": ", &columns.join(" "), "\n"]);
    }
    let mut documented = String::new();
    for line in include_str!("SCHEMA.md").lines().filter_map(|line| line.strip_prefix("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        documented.extend([cells[0].trim_end_matches('`'), ": ", cells[2], "\n"]);
    }
    assert_eq!(documented, real);
}

#[test]
fn a_page_finds_what_is_asked_for() {
    let folder = Folder::new();
    let db = folder.made();
    for n in 1..=3 {
        messages::add(&db, &envelope(n), false, MessageState::Accepted, NOW).unwrap();
    }
    messages::add(&db, &envelope(4), false, MessageState::HeldByPeer, NOW).unwrap();
    let filter = |after, limit| messages::Filter { after, limit, ..messages::Filter::default() };
    let page = |after, limit| messages::page(&db, &filter(after, limit)).unwrap().len();
    assert_eq!(page(0, 9), 3, "what waits for our human is not in the inbox");
    assert_eq!(page(1, 9), 2);
    assert_eq!(page(0, 2), 2);
    crate::store::search::index_batch(&db, 100).unwrap();
    let with = |typed: &str| {
        let query = crate::store::words::Query::of(typed).unwrap();
        crate::store::search::page(&db, &filter(0, 9), &query, 100).unwrap().rows.len()
    };
    assert_eq!(with("MESSAGE 2"), 1);
    assert_eq!(with("100%"), 3);
    assert_eq!(with("1%%"), 3, "signs are not looked for");
    let room = messages::room(&db, &owner().id()).unwrap();
    assert_eq!(room.messages, 4, "what waits for our human takes room");
}

#[test]
fn an_item_is_decided_once() {
    let folder = Folder::new();
    let db = folder.made();
    let row = pending::DecisionRow {
        id: PendingId::from_bytes([1; 5]),
        digest: Digest::from_bytes([0; 32]),
        what: What::MessageOut,
        peer: PeerId::from_bytes([2; 32]),
        message: Some(MessageId::from_bytes([1; 16])),
        decision: "approved",
        method: "passphrase",
        signed: None,
        at: NOW,
    };
    pending::add_decision(&db, &row).unwrap();
    assert!(pending::add_decision(&db, &row).is_err());
    assert!(!pending::remove(&db, &row.id).unwrap());
}

#[tokio::test]
async fn a_full_disk_is_named_and_what_was_stored_stays() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let add =
        |n| move |db: &Connection| messages::add(db, &envelope(n), true, MessageState::Queued, NOW);
    store.write(add(1)).await.unwrap().unwrap();
    let limit = |pages: &'static str| {
        store.write(move |db| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            Ok(db.query_row(&sql, [], |row| row.get::<_, i64>(0))?)
        })
    };
    limit("1").await.unwrap().unwrap();
    let big = |db: &Connection| migrate::set_meta(db, "big", &"x".repeat(100_000));
    let small = |db: &Connection| migrate::set_meta(db, "small", "x");
    // In one batch: what fits may fail with what does not, but is then not there.
    let (full, beside) = (store.write(big), store.write(small));
    let full = full.await.unwrap();
    assert!(matches!(full, Err(StoreError::DiskFull)), "{full:?}");
    let beside = beside.await.unwrap().is_ok();
    let found = store.read(|db| migrate::meta(db, "small")).await.unwrap().unwrap();
    assert_eq!(found.is_some(), beside, "what was said of it is true");
    assert_eq!(store.read(messages::counts).await.unwrap().unwrap().queued, 1);
    limit("1000000").await.unwrap().unwrap();
    store.write(big).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_write_that_is_said_to_have_failed_is_not_there() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    // A batch that cannot begin, because another process holds the lock for too long.
    let other = folder.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let write = store.write(|db| migrate::set_meta(db, "late", "x"));
    assert!(write.await.unwrap().is_err());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.read(|db| migrate::meta(db, "late")).await.unwrap().unwrap(), None);
    store.write(|db| migrate::set_meta(db, "late", "x")).await.unwrap().unwrap();
}
