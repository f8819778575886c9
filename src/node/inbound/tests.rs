//! What arrives, against a store alone.

use super::*;
use crate::{
    base::{MessageText, Secret},
    identity::{ApproverKey, IdentityKey},
    store::{Store, storage_key::KeySource},
    wire::{Draft, Header},
};

const NOW: Timestamp = Timestamp::from_ms(1_000_000);

fn key(n: u8) -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([n; 32]))
}

/// From node `from` to node `to`.
fn envelope((from, to): (u8, u8), id: u8, kind: Kind, body: Body) -> Envelope {
    let header = Header {
        kind,
        id: MessageId::from_bytes([id; 16]),
        sender: key(from).id(),
        recipient: key(to).id(),
        created: NOW,
        expires: NOW.plus(limits::EXPIRY_MAX),
        thread: None,
        reply_to: None,
        human: false,
        session: None,
    };
    Draft { header, body }.seal(&key(from)).unwrap()
}

fn text(way: (u8, u8), id: u8, text: &str) -> Envelope {
    envelope(way, id, Kind::Text, Body::Text(MessageText::parse(text).unwrap()))
}

fn receipt(of: &Envelope, id: u8, state: ReceiptState, at: Timestamp) -> Envelope {
    let entries = vec![entry(of.header().id, of.digest(), state, None, at)];
    envelope((2, 1), id, Kind::Receipt, Body::Receipt(Receipt::of(entries)))
}

async fn in_store<T: Send + 'static>(
    work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
) -> T {
    let folder = tempfile::tempdir().unwrap();
    let source = KeySource::file(folder.path().join("store.key"));
    let path = folder.path().join("countersign.db");
    let store = Store::open(&path, &key(1).id(), &source).unwrap();
    store.write(work).await.unwrap().unwrap()
}

fn count(db: &Connection, table: &str) -> u64 {
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_receipt_from_the_end_of_time_does_not_break_the_audit_chain() {
    in_store(|db| {
        let mine = text((1, 2), 7, "x");
        messages::add(db, &mine, true, MessageState::Queued, NOW)?;
        let at = Timestamp::from_ms(u64::MAX);
        take_receipt(db, &key(2).id(), &receipt(&mine, 8, ReceiptState::Read, at), NOW)?;
        let verified = store::audit::verify(db, &key(1).id())?;
        assert_eq!((verified.records, verified.problem), (1, None));
        let records = store::audit::page(db, 0, 9)?;
        assert_eq!(records.first().map(|record| record.at), Some(NOW));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_peer_does_not_fill_the_disk_with_what_it_repeats() {
    in_store(|db| {
        let mine = text((1, 2), 7, "x");
        messages::add(db, &mine, true, MessageState::Queued, NOW)?;
        for id in 10..50 {
            let busy = receipt(&mine, id, ReceiptState::Busy, NOW);
            take_receipt(db, &key(2).id(), &busy, NOW)?;
        }
        assert_eq!(count(db, "receipts"), 0, "a full inbox is no state");
        let look = |envelope| Looked::at(envelope, crate::risk::Scanner::standard());
        let one = |n| (look(text((2, 1), 9, &format!("{n}"))), None);
        let batch = || (0..50).map(one).collect();
        for _ in 0..3 {
            let judge = Judge {
                peer: key(2).id(),
                approver: ApproverKey::from_seed(&Secret::new([3; 32])).id(),
                human: None,
                grants: Vec::new(),
                rules: Rules::standard(),
                facts: PeerFacts { id: key(2).id(), name: "x".to_owned(), verified: false },
                recent: Times::new(),
                now: NOW,
                open: Vec::new(),
                room: Room::default(),
                payloads_left: 9,
                note_refusal: Some(0),
            };
            let taken = take_all(db, judge, Turn::default(), batch())?;
            assert_eq!(taken.entries.len(), 50, "each is refused");
        }
        assert_eq!(count(db, "messages WHERE outgoing = 0"), 1);
        assert_eq!(count(db, "audit WHERE event LIKE '%refused%'"), 1);
        Ok(())
    })
    .await;
}
