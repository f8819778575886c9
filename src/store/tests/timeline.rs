//! The audit chain from its end.

use super::*;
use crate::store::timeline::{Filter, newest};

fn all() -> Filter {
    Filter { events: Vec::new(), peer: None, before: i64::MAX, limit: 1000 }
}

fn hex(n: u8) -> String {
    PeerId::from_bytes([n; 32]).to_string()
}

/// Peer 2 is sent message 1, about which the human says yes; peer 3 is heard of meanwhile.
fn told() -> (Folder, Connection) {
    let folder = Folder::new();
    let db = folder.made();
    let id = PendingId::from_bytes([1; 5]);
    let digest = Digest::from_bytes([0; 32]);
    messages::add(&db, &envelope(1), true, MessageState::Queued, NOW).unwrap();
    let row = pending::DecisionRow {
        id,
        digest,
        what: What::MessageOut,
        peer: PeerId::from_bytes([2; 32]),
        message: Some(MessageId::from_bytes([1; 16])),
        decision: "approved",
        method: "passphrase",
        signed: None,
        at: NOW,
    };
    pending::add_decision(&db, &row).unwrap();
    let tell = |event: Event| audit::append(&db, NOW, &event).unwrap();
    let word = ToOwned::to_owned;
    tell(Event::Started { version: word("1"), approver: None });
    let (message, state) = (MessageId::from_bytes([1; 16]), word("held"));
    let digest_text = digest.to_string();
    tell(Event::Sent { message: message.to_string(), peer: hex(2), state, digest: digest_text });
    tell(Event::TrustMoved { peer: hex(3), from: word("incoming"), to: word("trusted") });
    tell(Event::decided(id, digest, "approved", "passphrase"));
    tell(Event::moved(message, "queued", (&PeerId::from_bytes([2; 32]), true)));
    tell(Event::decided(PendingId::from_bytes([9; 5]), digest, "denied", "terminal"));
    tell(Event::refused(format!("\"peer\":\"{}\"", hex(2)), Some(PeerId::from_bytes([3; 32]))));
    tell(Event::refused("decided", None));
    (folder, db)
}

#[test]
fn records_come_newest_first_and_pages_join() {
    let (_folder, db) = told();
    let numbers = |filter: &Filter| -> Vec<u64> {
        newest(&db, filter).unwrap().iter().map(|record| record.seq).collect()
    };
    assert_eq!(numbers(&all()), [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(numbers(&Filter { limit: 3, ..all() }), [8, 7, 6]);
    assert_eq!(numbers(&Filter { limit: 3, before: 6, ..all() }), [5, 4, 3]);
    assert!(numbers(&Filter { before: 1, ..all() }).is_empty());
}

#[test]
fn only_the_named_events_are_shown() {
    let (_folder, db) = told();
    let check = |names: &[&str], expected: &[u64]| {
        let events = names.iter().map(|name| (*name).to_owned()).collect();
        let found = newest(&db, &Filter { events, ..all() }).unwrap();
        let found: Vec<u64> = found.iter().map(|record| record.seq).collect();
        assert_eq!(found, expected, "{names:?}");
    };
    check(&["decided"], &[6, 4]);
    check(&["decided", "trust_moved"], &[6, 4, 3]);
    check(&["decide"], &[]);
    check(&["%"], &[]);
    check(&[""], &[]);
    check(&["decided\",\"item"], &[]);
    check(&["nothing"], &[]);
}

#[test]
fn about_a_peer_is_what_names_it_and_what_was_decided_and_said_with_it() {
    let (_folder, db) = told();
    let about = |n: u8| -> Vec<u64> {
        let peer = Some(PeerId::from_bytes([n; 32]));
        newest(&db, &Filter { peer, ..all() }).unwrap().iter().map(|record| record.seq).collect()
    };
    assert_eq!(about(2), [5, 4, 2], "a text that looks like a peer is none");
    assert_eq!(about(3), [7, 3]);
    assert!(about(4).is_empty());
    db.execute("DELETE FROM messages", []).unwrap();
    assert_eq!(about(2), [5, 4, 2], "a state is of its peer when the message is gone, too");
}

#[test]
fn a_record_that_somebody_broke_hides_no_other() {
    let (_folder, db) = told();
    db.execute("UPDATE audit SET event = 'x' WHERE number = 4", []).unwrap();
    let peer = Some(PeerId::from_bytes([2; 32]));
    assert_eq!(newest(&db, &all()).unwrap().len(), 8);
    assert_eq!(newest(&db, &Filter { peer, ..all() }).unwrap().len(), 2);
    assert_eq!(newest(&db, &Filter { events: vec!["decided".into()], ..all() }).unwrap().len(), 1);
}
