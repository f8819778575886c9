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

fn judge() -> Judge {
    Judge {
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
    }
}

/// A message of ours that expired, and whether it was ever on its way.
fn expired(db: &Connection, id: u8, left: bool) -> Result<(Envelope, i64), StoreError> {
    let mine = text((1, 2), id, "x");
    let first = if left { MessageState::Queued } else { MessageState::Held };
    let number = messages::add(db, &mine, true, first, NOW)?;
    let step = |state| HistoryRow { state, at: NOW, reason: None };
    messages::add_history(db, number, &step(first), None)?;
    messages::set_state(db, number, &step(MessageState::Expired), None)?;
    Ok((mine, number))
}

fn states(db: &Connection, number: i64) -> Result<Vec<MessageState>, StoreError> {
    Ok(messages::history(db, number)?.into_iter().map(|step| step.state).collect())
}

#[tokio::test]
async fn what_a_receiver_says_of_a_message_that_expired_counts_and_is_kept() {
    use MessageState::{Accepted, Delivered, Expired, Held, Queued, Read, Refused};
    in_store(|db| {
        let peer = key(2).id();
        let (mine, number) = expired(db, 7, true)?;
        for (id, state) in [(8, ReceiptState::Accepted), (9, ReceiptState::Read)] {
            take_receipt(db, &peer, &receipt(&mine, id, state, NOW), NOW)?;
        }
        assert_eq!(states(db, number)?, [Queued, Expired, Delivered, Accepted, Read]);
        assert_eq!(count(db, "receipts"), 2, "what the receiver signed is kept");
        assert_eq!(count(db, "audit WHERE event LIKE '%moved%'"), 2);
        let (mine, number) = expired(db, 17, true)?;
        take_receipt(db, &peer, &receipt(&mine, 18, ReceiptState::Refused, NOW), NOW)?;
        assert_eq!(states(db, number)?, [Queued, Expired, Refused]);
        // What never left is nowhere, whoever says so.
        let (mine, number) = expired(db, 27, false)?;
        take_receipt(db, &peer, &receipt(&mine, 28, ReceiptState::Read, NOW), NOW)?;
        assert_eq!(states(db, number)?, [Held, Expired]);
        assert_eq!(count(db, "receipts"), 3);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_reply_to_a_message_that_expired_says_that_it_was_answered() {
    in_store(|db| {
        for (id, left) in [(7, true), (8, false)] {
            let (mine, number) = expired(db, id, left)?;
            let header = Header {
                kind: Kind::Reply,
                id: MessageId::from_bytes([id + 100; 16]),
                reply_to: Some(mine.header().id),
                ..text((2, 1), id, "x").header().clone()
            };
            let body = Body::Text(MessageText::parse("y").unwrap());
            let reply = Draft { header, body }.seal(&key(2)).unwrap();
            let answered = answers::answered(db, &key(2).id(), &reply, NOW)?;
            assert_eq!(answered.is_some(), left);
            let last = if left { MessageState::Replied } else { MessageState::Expired };
            assert_eq!(states(db, number)?.pop(), Some(last));
        }
        assert_eq!(count(db, "audit WHERE event LIKE '%replied%'"), 1, "as each state has");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_had_no_room_counts_for_no_rate_until_it_is_stored() {
    in_store(|db| {
        let look = || {
            let hidden = text((2, 1), 9, &format!("look{}", "\u{200b}".repeat(9)));
            Looked::at(hidden, crate::risk::Scanner::standard())
        };
        let (mut judge, mut taken) = (Judge { payloads_left: 0, ..judge() }, Taken::default());
        for _ in 0..5 {
            let said = take_one(db, &mut judge, &mut taken, look(), None)?;
            assert_eq!(said.0, ReceiptState::Busy);
        }
        assert_eq!((taken.counted, judge.recent.len()), (0, 0));
        judge.payloads_left = 1;
        let said = take_one(db, &mut judge, &mut taken, look(), None)?;
        assert_eq!(said.0, ReceiptState::HeldByPeer);
        assert_eq!((taken.counted, judge.recent.len()), (1, 1));
        let plain = Looked::at(text((2, 1), 10, "x"), crate::risk::Scanner::standard());
        let said = take_one(db, &mut judge, &mut taken, plain, None)?;
        assert_eq!((said.0, taken.counted), (ReceiptState::Accepted, 2));
        Ok(())
    })
    .await;
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
            let taken = take_all(db, judge(), Turn::default(), batch())?;
            assert_eq!(taken.entries.len(), 50, "each is refused");
        }
        assert_eq!(count(db, "messages WHERE outgoing = 0"), 1);
        assert_eq!(count(db, "audit WHERE event LIKE '%refused%'"), 1);
        Ok(())
    })
    .await;
}
