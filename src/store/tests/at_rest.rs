//! What a copied database says, and what happens when somebody changes it.

use rusqlite::params;

use super::*;
use crate::{
    base::{ApproverId, InviteId, KnownId, Note, limits},
    gate::Item,
    risk::KnownValue,
    store::{
        known::{self, KnownRow},
        peers::{self, InviteRow},
        pending::PendingRow,
        search,
        verdicts::{self, Verdict},
        words::Query,
    },
};

const MARKER: &str = "xylophone-marzipan-4711";

fn said(n: u8, text: &str) -> Envelope {
    let header = envelope(n).header().clone();
    let body = Body::Text(MessageText::parse(text).unwrap());
    Draft { header, body }.seal(&owner()).unwrap()
}

/// Every spelling in which the marker might lie in a file.
fn spellings() -> Vec<Vec<u8>> {
    let marker = MARKER.as_bytes();
    let mut all = vec![marker.to_vec(), MARKER.to_uppercase().into_bytes()];
    // Four digits stand by chance in a hash.
    let words = MARKER.split('-').filter(|word| word.len() > 4);
    all.extend(words.map(|word| word.as_bytes().to_vec()));
    all.push(data_encoding::HEXLOWER.encode(marker).into_bytes());
    all.push(data_encoding::HEXUPPER.encode(marker).into_bytes());
    // In base64 what stands before it moves the letters.
    for shift in 0..3 {
        let text = [&b"\0\0\0"[..shift], marker].concat();
        let base64 = data_encoding::BASE64_NOPAD.encode(&text).into_bytes();
        all.push(base64[4..base64.len() - 2].to_vec());
    }
    all
}

fn assert_silent(folder: &Folder) {
    let mut bytes_read = 0;
    for entry in std::fs::read_dir(folder.0.path()).unwrap() {
        let path = entry.unwrap().path();
        // The threads of a store that was dropped may be taking its log away.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        bytes_read += bytes.len();
        for spelling in spellings() {
            let at = memchr::memmem::find(&bytes, &spelling);
            assert_eq!(at, None, "{:?} in {}", String::from_utf8_lossy(&spelling), path.display());
        }
    }
    assert!(bytes_read > 100_000, "{bytes_read}");
}

fn texts(db: &Connection) -> Vec<String> {
    let filter = messages::Filter { limit: 99, ..messages::Filter::default() };
    messages::page(db, &filter).unwrap().into_iter().map(|row| row.text).collect()
}

fn waiting(n: u8) -> PendingRow {
    PendingRow {
        id: PendingId::from_bytes([n; 5]),
        what: What::MessageIn,
        peer: owner().id(),
        message: Some(MessageId::from_bytes([n; 16])),
        item: Some(Item::Message(What::MessageIn, said(n, MARKER))),
        reasons: Vec::new(),
        after: Vec::new(),
        note: Some(Note::parse(MARKER).unwrap()),
        created: NOW,
        expires: NOW,
    }
}

fn known_row() -> KnownRow {
    let value = KnownValue { label: MARKER.to_owned(), length: 5, filter: 6, mac: [7; 32] };
    KnownRow { id: KnownId::from_bytes([1; 5]), value, added: NOW }
}

fn invite() -> InviteRow {
    InviteRow {
        id: InviteId::from_bytes([3; 16]),
        secret: Secret::new(*b"marzipan-4711-xy"),
        note: Some(Note::parse(MARKER).unwrap()),
        expires: Timestamp::from_ms(9_000_000),
        used_by: None::<PeerId>,
        by_code: false,
        approver: None::<ApproverId>,
    }
}

#[test]
fn nothing_that_was_said_is_in_any_file_of_the_database() {
    let folder = Folder::new();
    let db = folder.made();
    db.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
    let large = format!("{MARKER} {}", "and more of it ".repeat(3000));
    for (n, text) in [(1, MARKER), (2, &large), (3, "something else")] {
        let number =
            messages::add(&db, &said(n, text), false, MessageState::Accepted, NOW).unwrap();
        let verdict = Verdict {
            verdict: "ask".into(),
            rule: "x".into(),
            policy: "y".into(),
            reasons: vec![verdicts::VerdictReason {
                rule: "x".into(),
                severity: crate::risk::Severity::High,
                text: MARKER.into(),
            }],
        };
        verdicts::set_verdict(&db, number, &verdict).unwrap();
        assert_eq!(verdicts::verdict(&db, number).unwrap(), Some(verdict));
        messages::set_envelope(&db, number, &said(n, text)).unwrap();
    }
    pending::put(&db, &waiting(4)).unwrap();
    pending::set_note(&db, &owner().id(), &Note::parse(MARKER).unwrap()).unwrap();
    let found = pending::all_pending(&db).unwrap();
    assert_eq!(found[0].item, waiting(4).item);
    assert_eq!(found[0].note, waiting(4).note);
    messages::put_receipt(&db, &said(5, MARKER), NOW).unwrap();
    let (peer, id) = (owner().id(), MessageId::from_bytes([6; 16]));
    outbox::add(&db, &peer, &id, Some(said(6, MARKER).bytes())).unwrap();
    let out = outbox::after(&db, &peer, 0, 9).unwrap();
    assert_eq!(out[0].envelope, said(6, MARKER).bytes());
    peers::add_invite(&db, &invite(), NOW).unwrap();
    let open = peers::open_invites(&db, NOW).unwrap();
    assert_eq!(open[0].secret.expose_secret(), invite().secret.expose_secret());
    known::add(&db, &known_row()).unwrap();
    assert_eq!(known::all_known(&db).unwrap(), [known_row()]);

    search::index_batch(&db, limits::INDEX_BATCH).unwrap();
    let asked = search::Search {
        query: Query::of("XYLOPHONE marz").unwrap(),
        peer: None,
        before: i64::MAX,
        limit: 9,
        looks: 9,
        marks: ("<".into(), ">".into()),
    };
    let hits = search::search(&db, &asked).unwrap().hits;
    assert_eq!(hits.len(), 2);
    assert!(hits[1].marked.starts_with("<xylophone>-<marzipan>-4711"), "{}", hits[1].marked);
    assert_silent(&folder);
    // Deleted rows leave nothing either, nor does the log when it was folded.
    db.execute_batch("DELETE FROM messages; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert_silent(&folder);
}

/// A database as the version before wrote it, with the marker wherever it could be.
fn older() -> Folder {
    let folder = Folder::new();
    migrate::make(&folder.path(), migrate::before_at_rest());
    let db = folder.raw();
    db.execute_batch(
        "PRAGMA secure_delete = ON; INSERT INTO meta VALUES ('indexed', '3');
         INSERT INTO meta VALUES ('known_key', printf('%064d', 7));",
    )
    .unwrap();
    migrate::set_meta(&db, "identity", &owner().id().to_string()).unwrap();
    let large = format!("{MARKER} {}", "and more of it ".repeat(3000));
    for (n, text) in [(1, MARKER), (2, &large), (3, "something else")] {
        let envelope = said(n, text);
        db.execute(
            "INSERT INTO messages (outgoing, peer, id, digest, kind, thread, text, envelope, state,
             unread, created_ms, expires_ms, stored_ms, verdict)
             VALUES (0, ?1, ?2, ?3, 'text', ?2, ?4, ?5, 'accepted', 1, 1, 2, 3, ?6)",
            params![
                owner().id().as_bytes(),
                [n; 16],
                envelope.digest().as_bytes(),
                text,
                envelope.bytes(),
                format!(r#"{{"verdict":"ask","rule":"{MARKER}","policy":"y","reasons":[]}}"#),
            ],
        )
        .unwrap();
    }
    db.execute("INSERT INTO words (rowid, text) SELECT number, text FROM messages", []).unwrap();
    let item = waiting(4).item.unwrap().encode();
    db.execute(
        "INSERT INTO pending (id, what, peer, message, item, reasons, note, created_ms, expires_ms)
         VALUES (?1, 'message_in', ?2, ?3, ?4, '[]', ?5, 1, 2)",
        params![[4_u8; 5], owner().id().as_bytes(), [4_u8; 16], item, MARKER],
    )
    .unwrap();
    let invite = invite();
    db.execute(
        "INSERT INTO invites (id, secret, note, created_ms, expires_ms)
         VALUES (?1, ?2, ?3, 1, 9000000)",
        params![invite.id.as_bytes(), invite.secret.expose_secret(), MARKER],
    )
    .unwrap();
    db.execute(
        "INSERT INTO known_values VALUES (?1, ?2, 5, 6, ?3, ?4)",
        params![[1_u8; 5], MARKER, [7_u8; 32], 1_000_000],
    )
    .unwrap();
    let receipt = said(5, MARKER);
    db.execute(
        "INSERT INTO receipts VALUES (?1, ?2, ?3, 1)",
        params![[5_u8; 16], owner().id().as_bytes(), receipt.bytes()],
    )
    .unwrap();
    db.execute(
        "INSERT INTO outbox (peer, id, envelope) VALUES (?1, ?2, ?3)",
        params![owner().id().as_bytes(), [6_u8; 16], said(6, MARKER).bytes()],
    )
    .unwrap();
    // What was deleted before may lie in free pages.
    db.execute_batch("PRAGMA secure_delete = OFF; CREATE TABLE gone (x)").unwrap();
    for _ in 0..50 {
        db.execute("INSERT INTO gone VALUES (?1)", [&large]).unwrap();
    }
    db.execute_batch("DROP TABLE gone").unwrap();
    folder
}

#[test]
fn an_older_database_is_sealed_where_it_stands_and_its_plain_text_is_gone() {
    let folder = older();
    let loud = std::fs::read(folder.path()).unwrap();
    assert!(memchr::memmem::find(&loud, MARKER.as_bytes()).is_some(), "the test tests nothing");
    let db = folder.made();
    assert_silent(&folder);
    assert_eq!(texts(&db)[0], MARKER);
    let row = messages::find(&db, &MessageId::from_bytes([1; 16])).unwrap().unwrap();
    assert_eq!(row.envelope, said(1, MARKER).bytes());
    assert_eq!(verdicts::verdict(&db, row.number).unwrap().unwrap().rule, MARKER);
    let found = pending::all_pending(&db).unwrap();
    assert_eq!((found[0].item.clone(), found[0].note.clone()), (waiting(4).item, waiting(4).note));
    let open = peers::open_invites(&db, NOW).unwrap();
    assert_eq!(open[0].secret.expose_secret(), invite().secret.expose_secret());
    assert_eq!(known::all_known(&db).unwrap(), [known_row()]);
    let key = known::key(&db).unwrap().unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(key.expose_secret()), format!("{:064}", 7));
    let out = outbox::after(&db, &owner().id(), 0, 9).unwrap();
    assert_eq!(out[0].envelope, said(6, MARKER).bytes());
    assert!(!search::index_batch(&db, limits::INDEX_BATCH).unwrap());
    let indexed: i64 = db.query_row("SELECT count(*) FROM words", [], |row| row.get(0)).unwrap();
    assert_eq!(indexed, 3);
    drop(db);
    drop(folder.open().unwrap());
    assert_eq!(texts(&folder.raw()).len(), 3, "and it stays so");
}

/// Whether a file that this process has open, and that has no name any more, holds these bytes.
#[cfg(target_os = "linux")]
fn spilled(bytes: &[u8]) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter_map(Result::ok).any(|entry| {
        let unnamed = std::fs::read_link(entry.path())
            .is_ok_and(|to| to.to_string_lossy().contains("/etilqs_"));
        let holds = |held: Vec<u8>| memchr::memmem::find(&held, bytes).is_some();
        unnamed && std::fs::read(entry.path()).is_ok_and(holds)
    })
}

#[cfg(target_os = "linux")]
#[test]
fn no_temporary_file_holds_what_is_being_sealed() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let folder = older();
    let db = folder.raw();
    // Far more than a statement keeps of old pages before it wants a file for them.
    let long = "lilac heron ".repeat(200);
    let sql = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000)
               INSERT INTO messages (outgoing, peer, id, digest, kind, thread, text, envelope,
               state, unread, created_ms, expires_ms, stored_ms, verdict)
               SELECT outgoing, peer, randomblob(16), digest, kind, thread, ?1, envelope,
               state, unread, created_ms, expires_ms, stored_ms, verdict
               FROM messages, n WHERE number = 3";
    db.execute(sql, [&long]).unwrap();
    drop(db);
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = false;
            while !seen && !done.load(Ordering::Relaxed) {
                seen = spilled(b"lilac heron");
                std::thread::yield_now();
            }
            seen
        });
        drop(folder.open().unwrap());
        done.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });
    assert!(!seen, "a temporary file held the texts before they were sealed");
    assert_eq!(texts(&folder.raw()).pop(), Some(long));
}

#[test]
fn a_migration_that_was_cut_short_leaves_the_older_database_or_the_new_one() {
    let folder = older();
    let db = folder.raw();
    // Another process reads, so that nothing can be rewritten now.
    db.execute_batch("BEGIN; SELECT count(*) FROM messages").unwrap();
    let store = folder.open();
    drop(store);
    db.execute_batch("COMMIT").unwrap();
    drop(db);
    // What ends of the first opening may still read; then the next start does it.
    let rewritten = || migrate::meta(&folder.raw(), "rewrite").unwrap().is_none();
    for _ in 0..20 {
        drop(folder.open().unwrap());
        if rewritten() {
            break;
        }
    }
    assert!(rewritten());
    assert_silent(&folder);
    assert_eq!(texts(&folder.raw())[0], MARKER);
}

#[test]
fn a_row_that_was_changed_or_moved_is_said_and_the_others_are_read() {
    let folder = Folder::new();
    let db = folder.made();
    for n in 1..=4 {
        messages::add(&db, &envelope(n), false, MessageState::Accepted, NOW).unwrap();
        pending::put(&db, &PendingRow { id: PendingId::from_bytes([n; 5]), ..waiting(n) }).unwrap();
    }
    search::index_batch(&db, limits::INDEX_BATCH).unwrap();
    db.execute_batch(
        "UPDATE messages SET text = (SELECT text FROM messages WHERE number = 1),
                             envelope = (SELECT envelope FROM messages WHERE number = 1)
         WHERE number = 2;
         UPDATE messages SET text = 'plain text, as nobody of ours wrote it' WHERE number = 3
           AND typeof(text) = 'text';
         UPDATE messages SET text = x'01', envelope = zeroblob(500) WHERE number = 3;
         UPDATE pending SET item = (SELECT item FROM pending LIMIT 1 OFFSET 1)
         WHERE id = (SELECT id FROM pending LIMIT 1);",
    )
    .unwrap();
    let bad = crate::store::said::UNREADABLE;
    assert_eq!(texts(&db), ["message 1 100%", bad, bad, "message 4 100%"]);
    let filter = messages::Filter { limit: 9, ..messages::Filter::default() };
    let found = |typed: &str| {
        let query = Query::of(typed).unwrap();
        search::page(&db, &filter, &query, 100).unwrap().rows.len()
    };
    assert_eq!((found("message"), found("100")), (2, 2));
    let row = messages::find(&db, &MessageId::from_bytes([2; 16])).unwrap().unwrap();
    assert!(Envelope::decode(&row.envelope).is_err());
    assert_eq!(pending::all_pending(&db).unwrap().len(), 3);
    outbox::add(&db, &owner().id(), &MessageId::from_bytes([9; 16]), Some(b"x")).unwrap();
    db.execute("UPDATE outbox SET envelope = x'0102'", []).unwrap();
    assert!(outbox::after(&db, &owner().id(), 0, 9).unwrap()[0].envelope.is_empty());
}
