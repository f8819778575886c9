//! Rows of the database: edited, copied from another home, put back in an older version.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use super::{LOOSE, Siege, records, secret};
use crate::support::{Home, pair, pairing::friends, pty::Terminal, stays};

/// How a status begins that says that the chain does not hold.
const BROKEN: &str = "the audit record is broken";

/// What `status` has where nothing needs a look.
const NOTHING: &str = "null";

/// A copy of the database, while the node does not run.
fn copy(home: &Home) -> PathBuf {
    let copy = home.path().with_extension("old");
    fs::copy(home.path().join("countersign.db"), &copy).unwrap();
    copy
}

/// Puts rows of a copy back.
fn put_back(home: &Home, old: &Path, sql: &str) {
    let database = home.database();
    database.execute("ATTACH ?1 AS old", [old.display().to_string()]).unwrap();
    database.execute_batch(sql).unwrap();
}

/// What the audit record says was refused.
fn refused(home: &Home) -> Vec<Value> {
    records(home).into_iter().filter(|event| event["event"] == "refused").collect()
}

/// Types the passphrase for a command.
fn signed(home: &Home, arguments: &[&str]) {
    let mut terminal = Terminal::open(home, arguments);
    terminal.answer(home.passphrase);
    terminal.finish().expect(0);
}

/// Alice and Bob, with a grant for so many more messages.
fn with_grant(messages: &str) -> (Home, Home) {
    let (alice, bob) = friends();
    let item = alice.json_code(&["send", "bob", &secret(0)], 3)["pending"].clone();
    let item = item.as_str().unwrap();
    signed(&alice, &["approve", item, "--for", "1", "--messages", messages]);
    bob.received_text("key 0");
    (alice, bob)
}

#[test]
fn an_old_row_of_a_peer_undoes_neither_a_revocation_nor_a_block() {
    let (alice, bob) = friends();
    alice.stop();
    let old = copy(&alice);
    alice.start();
    for (words, state) in
        [(&["revoke", "bob"][..], "revoked"), (&["revoke", "bob", "--block"], "blocked")]
    {
        alice.json(words);
        alice.stop();
        put_back(&alice, &old, "INSERT OR REPLACE INTO peers SELECT * FROM old.peers");
        let before = alice
            .database()
            .query_row("SELECT state FROM peers", [], |row| row.get::<_, String>(0));
        assert_eq!(before.unwrap(), "trusted", "the row is whole, with both signatures");
        alice.start();
        assert_eq!(alice.peer_state("bob"), state);
        let warnings = alice.warnings();
        assert!(warnings.contains(&format!("the audit record says {state}")), "{warnings}");
        assert!(warnings.contains("pair again"), "it says what to do: {warnings}");
        let said = refused(&alice).pop().unwrap();
        assert!(said["what"].as_str().unwrap().contains("says trusted"), "{said}");
        assert_eq!(said["peer"], bob.id(), "{said}");
        alice.run(&["send", "bob", "hello"]).expect(1);
        bob.run(&["send", "alice", "hello", "--json"]);
        stays("bob is not heard", Duration::from_secs(1), || alice.received().is_empty());
    }
    // Whoever revokes again is rid of the warning; whoever blocked hears no knock.
    alice.json(&["revoke", "bob", "--block"]);
    alice.stop();
    alice.start();
    assert_eq!(
        (alice.peer_state("bob"), alice.warnings()),
        ("blocked".to_owned(), NOTHING.to_owned())
    );
}

#[test]
fn trust_that_both_humans_gave_anew_counts_after_a_revocation() {
    let (alice, bob) = friends();
    alice.json(&["revoke", "bob"]);
    pair(&alice, &bob);
    alice.stop();
    alice.start();
    assert_eq!(
        (alice.peer_state("bob"), alice.warnings()),
        ("trusted".to_owned(), NOTHING.to_owned())
    );
    alice.send("bob", "after all");
    bob.received_text("after all");
}

#[test]
fn a_lifted_block_is_a_block_again() {
    let (alice, bob) = friends();
    alice.json(&["revoke", "bob", "--block"]);
    alice.stop();
    alice.database().execute("UPDATE peers SET state = 'revoked'", []).unwrap();
    alice.start();
    assert_eq!(alice.peer_state("bob"), "blocked");
    let warnings = alice.warnings();
    assert!(warnings.contains("the audit record says blocked"), "{warnings}");
    drop(bob);
}

#[test]
fn a_grant_that_was_ended_does_not_come_back_by_its_old_row() {
    let (alice, bob) = with_grant("5");
    alice.stop();
    let old = copy(&alice);
    alice.start();
    let grant = alice.json(&["grants"])["grants"][0]["id"].as_str().unwrap().to_owned();
    alice.run(&["grants", "end", &grant]).expect(0);
    let edited = "UPDATE grants SET ended_ms = NULL";
    let whole = "DELETE FROM grants; INSERT INTO grants SELECT * FROM old.grants";
    for (number, change) in [(1, edited), (2, whole)] {
        alice.stop();
        put_back(&alice, &old, change);
        alice.start();
        assert_eq!(alice.json(&["grants"])["grants"], serde_json::json!([]), "{change}");
        alice.json_code(&["send", "bob", &secret(number)], 3);
        let warnings = alice.warnings();
        assert!(warnings.contains(&grant) && warnings.contains("was ended"), "{warnings}");
        let said = refused(&alice).pop().unwrap();
        assert!(said["what"].as_str().unwrap().contains(&grant), "{said}");
    }
    alice.stop();
    alice.start();
    assert_eq!(alice.warnings(), NOTHING, "it is ended on disk again");
    assert_eq!(bob.texts(), [secret(0)]);
}

#[test]
fn rows_that_say_nothing_passed_give_a_grant_nothing_back() {
    let (alice, bob) = with_grant("2");
    for number in 1..=2 {
        alice.send("bob", &secret(number));
    }
    bob.received_text(&secret(2));
    for change in ["UPDATE messages SET granted = NULL", "DELETE FROM messages WHERE outgoing = 1"]
    {
        alice.stop();
        alice.database().execute_batch(&format!("PRAGMA foreign_keys = OFF; {change}")).unwrap();
        alice.start();
        let sent = alice.run(&["send", "bob", &secret(3), "--json"]).expect(3).json();
        assert_eq!(sent["state"], "held", "{change}: {sent:#}");
    }
    assert_eq!(bob.texts().len(), 3);
}

#[test]
fn no_row_that_was_edited_or_copied_releases_trusts_or_grants() {
    let siege = Siege::lay();
    let loose = siege.mallory.path().join("loose.toml");
    fs::write(&loose, LOOSE).unwrap();
    signed(&siege.mallory, &["policy", "set", &loose.display().to_string()]);
    siege.mallory.stop();
    let other = copy(&siege.mallory);
    let changes = [
        "UPDATE peers SET state = 'trusted'",
        "UPDATE peers SET state = 'trusted', record = (SELECT record FROM peers WHERE name = 'bob'),
         ours = (SELECT ours FROM peers WHERE name = 'bob'),
         theirs = (SELECT theirs FROM peers WHERE name = 'bob') WHERE name = 'mallory'",
        "UPDATE pairings SET ours = zeroblob(64), theirs = zeroblob(64)",
        "UPDATE OR IGNORE messages SET state = 'queued' WHERE state = 'held';
         INSERT INTO outbox (peer, id, envelope) SELECT peer, id, envelope FROM messages
         WHERE outgoing = 1",
        "INSERT INTO decisions (id, digest, decision, method, at_ms, what, peer, message)
         SELECT id, zeroblob(32), 'approved', 'passphrase', 1, what, peer, message FROM pending",
        "INSERT OR REPLACE INTO policies SELECT * FROM old.policies",
        "DELETE FROM policies; INSERT INTO policies (kind, statement)
         VALUES ('tightened', CAST('version = 1' || char(10) || '[[allow]]' AS BLOB))",
        "INSERT OR REPLACE INTO grants SELECT x'0909090909', statement, zeroblob(64), NULL
         FROM old.policies",
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('order_ms', '0')",
        "INSERT OR IGNORE INTO decisions SELECT * FROM old.decisions",
    ];
    for change in changes {
        siege.restarted(|alice| put_back(alice, &other, change));
        siege.alice.run(&["send", "bob", "an honest line", "--json"]);
        stays("the held one stays", Duration::from_millis(500), || {
            siege.bob.texts().iter().all(|text| !text.contains("AKIA"))
        });
        // A row that says something else of the held message is not what was asked about here.
        let heal =
            "UPDATE messages SET state = 'held' WHERE text LIKE 'key 0%'; DELETE FROM outbox";
        siege.restarted(|alice| alice.database().execute_batch(heal).unwrap());
        siege.nothing_passed(change);
    }
    let said = refused(&siege.alice);
    let of = |word: &str| said.iter().any(|event| event["what"].to_string().contains(word));
    assert!(of("a peer's row") && of("policy"), "{said:#?}");
}

#[test]
fn a_chain_that_does_not_hold_is_told_loudly_and_stops_nothing() {
    let forged = "INSERT INTO audit (number, previous, at_ms, event, hash) SELECT number + 1, hash, \
                  at_ms, '{\"event\":\"taint_cleared\",\"peers\":1}', zeroblob(32) FROM audit \
                  ORDER BY number DESC LIMIT 1";
    let changes = [
        "UPDATE audit SET at_ms = at_ms + 1 WHERE number = (SELECT max(number) FROM audit)",
        "DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)",
        "UPDATE checkpoints SET signature = zeroblob(64)",
        forged,
    ];
    for change in changes {
        let (alice, bob) = friends();
        alice.stop();
        alice.start();
        assert_eq!(alice.warnings(), NOTHING);
        alice.stop();
        assert!(alice.database().execute(change, []).unwrap() > 0);
        alice.start();
        let warnings = alice.warnings();
        assert!(warnings.contains(BROKEN) && warnings.contains("audit verify"), "{warnings}");
        let doctor = alice.run(&["doctor"]).expect(1).stdout;
        assert!(
            doctor.contains("problem") && doctor.contains("AUDIT RECORD IS BROKEN"),
            "{doctor}"
        );
        assert!(alice.run(&["status"]).expect(0).stdout.contains("AUDIT RECORD IS BROKEN"));
        alice.send("bob", "it goes on");
        bob.received_text("it goes on");
        alice.stop();
        alice.start();
        assert!(alice.warnings().contains(BROKEN), "no signature of ours hides it: {change}");
    }
}

#[test]
fn a_database_that_someone_put_a_trigger_into_is_not_used_and_says_what_to_do() {
    let (alice, _bob) = friends();
    alice.stop();
    let trigger = "CREATE TRIGGER quiet BEFORE INSERT ON audit WHEN NEW.event LIKE '%revoked%'
                   BEGIN SELECT RAISE(IGNORE); END";
    alice.database().execute_batch(trigger).unwrap();
    let refused = alice.run(&["node"]);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert_ne!(refused.code, Some(0), "{said}");
    assert!(said.contains("trigger") && said.contains("quiet"), "{said}");
    assert!(said.contains("audit verify"), "it says what to do: {said}");
    alice.database().execute_batch("DROP TRIGGER quiet").unwrap();
    alice.start();
    assert_eq!(
        (alice.peer_state("bob"), alice.warnings()),
        ("trusted".to_owned(), NOTHING.to_owned())
    );
}

#[test]
fn a_trust_record_that_was_changed_trusts_nobody() {
    let (alice, _bob) = friends();
    alice.stop();
    let old = copy(&alice);
    alice.start();
    alice.json(&["revoke", "bob"]);
    alice.stop();
    let change = "INSERT OR REPLACE INTO peers SELECT * FROM old.peers;
                  UPDATE audit SET event = replace(event, '\"to\":\"revoked\"', '\"to\":\"trusted\"')";
    put_back(&alice, &old, change);
    alice.start();
    assert_eq!(alice.peer_state("bob"), "revoked");
    let warnings = alice.warnings();
    assert!(warnings.contains("the audit record about it was changed"), "{warnings}");
}

#[test]
fn limit_an_old_copy_of_the_whole_database_is_the_past() {
    let (alice, _bob) = friends();
    alice.stop();
    let old = copy(&alice);
    alice.start();
    alice.json(&["revoke", "bob"]);
    alice.stop();
    fs::copy(old, alice.path().join("countersign.db")).unwrap();
    alice.start();
    assert_eq!(alice.peer_state("bob"), "trusted", "nothing in the file can tell");
    assert_eq!(alice.json(&["audit", "verify"])["ok"], true);
}

#[test]
fn limit_what_was_read_and_what_is_watched_for_go_with_their_rows() {
    let siege = Siege::lay();
    siege.restarted(|alice| {
        alice.database().execute_batch("DELETE FROM shown; DELETE FROM known_values").unwrap();
    });
    assert_eq!(siege.alice.json(&["taint"])["read"], serde_json::json!([]));
    assert_eq!(siege.alice.json(&["known", "list"])["values"], serde_json::json!([]));
}
