//! Invites that short codes carry.

use super::*;
use crate::{
    base::{ApproverId, InviteId},
    store::{
        pairings,
        peers::{self, InviteRow},
    },
};

fn invite(n: u8, by_code: bool) -> InviteRow {
    InviteRow {
        id: InviteId::from_bytes([n; 16]),
        secret: Secret::new([n; 16]),
        note: None,
        expires: Timestamp::from_ms(9_000_000),
        used_by: None,
        by_code,
        approver: None,
    }
}

#[test]
fn what_was_invited_and_begun_before_codes_is_as_it_was() {
    let folder = Folder::new();
    migrate::make(&folder.path(), 4);
    folder
        .raw()
        .execute_batch(
            "INSERT INTO invites (id, secret, created_ms, expires_ms)
         VALUES (zeroblob(16), zeroblob(16), 1, 9000000);
         INSERT INTO pairings (peer, joiner, invite, proof, nonce, commitment, knocked_ms)
         VALUES (zeroblob(32), 0, zeroblob(16), zeroblob(32), zeroblob(16), zeroblob(32), 7);",
        )
        .unwrap();
    let db = folder.made();
    peers::remove_unsaid_codes(&db).unwrap();
    let open = peers::open_invites(&db, NOW).unwrap();
    assert_eq!(open.iter().map(|row| row.by_code).collect::<Vec<_>>(), [false]);
    let begun = pairings::all_pairings(&db).unwrap();
    assert_eq!(begun.iter().map(|row| row.by_code).collect::<Vec<_>>(), [false]);
    pairings::put(&db, &crate::delivery::pairing::Pairing { by_code: true, ..begun[0].clone() })
        .unwrap();
    assert!(pairings::all_pairings(&db).unwrap()[0].by_code);
}

#[test]
fn what_a_code_carried_is_kept_for_whom_it_was_given_to_and_for_nobody_else() {
    let folder = Folder::new();
    let db = folder.made();
    for row in [invite(1, false), invite(2, true), invite(3, true)] {
        peers::add_invite(&db, &row, NOW).unwrap();
    }
    let (peer, approver) = (PeerId::from_bytes([5; 32]), ApproverId::from_bytes([6; 32]));
    for n in [1, 3] {
        peers::bind_invite(&db, &InviteId::from_bytes([n; 16]), &peer, &approver).unwrap();
    }
    peers::remove_unsaid_codes(&db).unwrap();
    let open = peers::open_invites(&db, NOW).unwrap();
    let bound: Vec<_> = open.iter().map(|row| (row.id, row.used_by, row.approver)).collect();
    let id = |n| InviteId::from_bytes([n; 16]);
    assert_eq!(bound, [(id(1), None, None), (id(3), Some(peer), Some(approver))]);
}
