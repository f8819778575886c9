//! How much has passed by a grant.

use super::{
    super::{
        grants::{self, Room},
        messages::{self, HistoryRow},
    },
    Folder, NOW, envelope,
};
use crate::{
    base::{GrantId, Timestamp},
    delivery::MessageState,
    wire::SignedGrant,
};

const ID: GrantId = GrantId::from_bytes([1; 5]);

fn at(minutes: u64) -> Timestamp {
    NOW.plus(std::time::Duration::from_secs(60 * minutes))
}

fn room(messages_max: u64, per_hour_max: Option<u64>) -> Room {
    Room { id: ID, messages_max, per_hour_max }
}

#[tokio::test]
async fn a_rate_counts_what_passed_within_the_hour_and_what_waited_when_it_passed() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let store = &store;
    let check = |expected: [bool; 5]| async move {
        let found = store.read(|db| {
            [0, 30, 61, 89, 91]
                .iter()
                .map(|n| grants::has_room(db, &room(9, Some(2)), at(*n)))
                .collect()
        });
        let found: Vec<bool> = found.await.unwrap().unwrap();
        assert_eq!(found, expected);
    };
    store
        .write(|db| {
            let signed = SignedGrant { statement: vec![1], signature: [0; 64] };
            grants::add(db, &ID, &signed)?;
            let first = messages::add(db, &envelope(1), true, MessageState::Queued, at(0))?;
            grants::set_used(db, first, &ID)
        })
        .await
        .unwrap()
        .unwrap();
    check([true; 5]).await;
    // This one was held for half an hour, and passed then.
    store
        .write(|db| {
            let second = messages::add(db, &envelope(2), true, MessageState::Held, at(0))?;
            let queued = HistoryRow { state: MessageState::Queued, at: at(30), reason: None };
            messages::set_state(db, second, &queued, None)?;
            grants::set_used(db, second, &ID)
        })
        .await
        .unwrap()
        .unwrap();
    check([false, false, true, true, true]).await;
    store
        .write(|db| {
            let third = messages::add(db, &envelope(3), true, MessageState::Queued, at(60))?;
            grants::set_used(db, third, &ID)
        })
        .await
        .unwrap()
        .unwrap();
    check([false, false, false, false, true]).await;
    let full = store.read(|db| grants::has_room(db, &room(3, None), at(91)));
    assert!(!full.await.unwrap().unwrap(), "three in all");
    let ended = store.write(|db| {
        grants::end(db, &ID, at(92))?;
        grants::has_room(db, &room(9, Some(2)), at(200))
    });
    assert!(!ended.await.unwrap().unwrap(), "what ended has no room");
}
