//! A second node with a doctored home: another approver's key, another identity, a copied database.

use std::{fs, time::Duration};

use super::{Siege, Socket, sockets};
use crate::support::{Home, pty, stays};

/// A home of the attacker's own making, out of parts of Alice's.
fn doctored(siege: &Siege, parts: &[&str]) -> Home {
    let home = Home::empty("alice", "seven crates of damp marzipan rockets");
    fs::create_dir(home.path()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(home.path(), mode).unwrap();
    for part in parts {
        fs::copy(siege.alice.path().join(part), home.path().join(part)).unwrap();
    }
    home
}

#[test]
fn a_copy_of_the_home_under_another_passphrase_speaks_for_nobody() {
    let siege = Siege::lay();
    siege.alice.stop();
    let parts = ["identity.key", "countersign.db", "config.toml", "store.key"];
    let other = doctored(&siege, &parts);
    pty::init(&other, other.passphrase).expect(0);
    other.start();
    assert_ne!(other.peer_state("bob"), "trusted");
    let warnings = other.warnings();
    assert!(warnings.contains("bob") && warnings.contains("approver"), "{warnings}");
    let tried = pty::try_approve(&other, &siege.item, other.passphrase);
    assert_ne!(tried.code, Some(0), "{tried}");
    let tried = pty::try_approve(&other, &siege.stranger, other.passphrase);
    assert_ne!(tried.code, Some(0), "{tried}");
    other.run(&["send", "bob", "it is me"]).expect(1);
    stays("nothing crosses", Duration::from_secs(1), || {
        siege.bob.received().is_empty() && siege.mallory.received().is_empty()
    });
    other.stop();
    siege.alice.start();
    siege.holds("a copy under another passphrase");
}

#[test]
fn the_humans_sealed_key_does_nothing_in_another_home() {
    let siege = Siege::lay();
    siege.alice.stop();
    // Another node under Alice's human: it has no word of hers about anybody.
    let other = doctored(&siege, &["approver.key", "config.toml"]);
    fs::copy(siege.mallory.path().join("identity.key"), other.path().join("identity.key")).unwrap();
    siege.mallory.stop();
    other.start();
    assert_eq!(other.peer_state("bob"), "", "nobody is known there");
    let wrong = pty::try_approve(&other, &siege.item, other.passphrase);
    assert_ne!(wrong.code, Some(0), "{wrong}");
    other.stop();
    siege.alice.start();
    siege.holds("her sealed key elsewhere");
}

#[test]
fn a_database_of_another_identity_is_refused_by_name() {
    let siege = Siege::lay();
    siege.mallory.stop();
    siege.alice.stop();
    let mine = siege.alice.path().join("countersign.db");
    let kept = fs::read(&mine).unwrap();
    fs::copy(siege.mallory.path().join("countersign.db"), &mine).unwrap();
    siege.alice.run(&["node"]).expect(1).says(&["belongs to the node", "another"]);
    fs::write(&mine, kept).unwrap();
    siege.alice.start();
    siege.holds("another home's database");
}

#[test]
fn another_approvers_key_in_the_running_home_decides_nothing() {
    let siege = Siege::lay();
    let file = siege.alice.path().join("approver.key");
    let kept = fs::read(&file).unwrap();
    fs::copy(siege.mallory.path().join("approver.key"), &file).unwrap();
    // The attacker's passphrase opens the file that lies there now.
    for item in siege.items() {
        let tried = pty::try_approve(&siege.alice, item, siege.mallory.passphrase);
        assert_ne!(tried.code, Some(0), "{tried}");
    }
    let answer = Socket::open(&siege.alice).ask(&serde_json::json!({"human": "approver_set"}));
    assert!(answer["error"].is_object(), "the node keeps the approver that it has: {answer}");
    let mut socket = Socket::open(&siege.alice);
    let item = sockets::item_of(&mut socket, &siege.item);
    let key = sockets::key_of(&siege.mallory);
    let forged = sockets::decision(&item, &siege.item, sockets::now(), &key);
    assert_eq!(socket.ask(&forged)["error"]["kind"], "denied");
    fs::write(&file, kept).unwrap();
    let events = super::records(&siege.alice);
    assert!(events.iter().any(|event| event["event"] == "refused"), "it is in the audit record");
    siege.nothing_passed("another approver's key in the home");
}
