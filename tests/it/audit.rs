//! The audit log of real homes: what is cut shows by the peer, what is exported can be checked by
//! anyone, and both sides' logs of one conversation fit.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::support::{Home, SOON, pairing::friends, pty, until};

/// One message from `from`, which arrives and is acknowledged.
fn say(from: &Home, to: &Home, text: &str) -> String {
    let id = from.send(to.name, text);
    to.received_text(text);
    from.reaches(&id, "accepted");
    id
}

/// Both have seen the other's head, and the other saw that.
fn talk(alice: &Home, bob: &Home, round: u8) {
    say(alice, bob, &format!("a{round}"));
    say(bob, alice, &format!("b{round}"));
    say(alice, bob, &format!("c{round}"));
}

fn export(home: &Home, name: &str, more: &[&str]) -> String {
    let file = home.path().join(name).display().to_string();
    home.run(&[&["audit", "export", &file], more].concat()).expect(0);
    file
}

#[test]
fn a_tail_that_was_cut_from_the_database_is_shown_by_the_peer() {
    let (alice, bob) = friends();
    // More is cut off than comes anew before bob hears of it.
    (3..9).for_each(|round| talk(&alice, &bob, round));
    alice.run(&["audit", "verify"]).expect(0);
    alice.stop();
    // All that the database itself could say about it goes too; that bob is trusted stays, or he
    // would not be.
    alice
        .database()
        .execute_batch(
            "DELETE FROM audit WHERE number > (SELECT max(number) FROM audit WHERE event LIKE
                 '%trust_moved%'); DELETE FROM checkpoints; DELETE FROM witnesses;",
        )
        .unwrap();
    alice.start();
    alice.run(&["audit", "verify"]).expect(0);
    say(&alice, &bob, "after the cut");
    until("alice is told", SOON, || alice.warnings().contains("bob has signed that it saw record"));
    let verified = alice.json_code(&["audit", "verify"], 1);
    assert_eq!(verified["ok"], false, "{verified:#}");
    assert!(verified["first_bad"]["seq"].as_u64().unwrap() > 0, "{verified:#}");
    let receipt = verified["first_bad"]["contradicts"].as_str().unwrap();
    assert!(receipt.contains("bob"), "{verified:#}");
    let shown = alice.run(&["audit", "verify"]).expect(1);
    for words in ["bob has signed", "first bad record", "it contradicts the receipt"] {
        assert!(shown.stdout.contains(words), "no {words:?} in {shown}");
    }
    let doctor = alice.run(&["doctor"]);
    assert!(doctor.stdout.contains("bob has signed that it saw record"), "{doctor}");
    say(&bob, &alice, "what happened?");
    until("bob sees it too", SOON, || bob.warnings().contains("alice's audit log went back"));
    bob.run(&["audit", "verify"]).expect(0);
    alice.run(&["audit", "accept", "bob"]).expect(0);
    bob.run(&["audit", "accept", "alice"]).expect(0);
    talk(&alice, &bob, 2);
    alice.run(&["audit", "verify"]).expect(0);
    assert!(!bob.warnings().contains("audit log"), "{}", bob.warnings());
}

#[test]
fn an_export_is_checked_without_a_home_and_both_sides_logs_fit() {
    let (alice, bob) = friends();
    talk(&alice, &bob, 1);
    let (mine, theirs) = (export(&alice, "mine.jsonl", &[]), export(&bob, "theirs.jsonl", &[]));
    let mode = fs::metadata(&mine).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    alice.run(&["audit", "export", &mine]).expect(1).says(&["name a new file"]);
    // Nobody's home: the file says it all.
    let nobody = Home::empty("nobody", "none");
    let checked = nobody.json(&["audit", "verify", "--file", &mine]);
    assert_eq!((&checked["ok"], &checked["whole"]), (&true.into(), &true.into()), "{checked:#}");
    assert_eq!(checked["node"], alice.id());
    let compared = nobody.json(&["audit", "compare", &mine, &theirs]);
    assert_eq!((&compared["ok"], &compared["matching"]), (&true.into(), &3.into()), "{compared:#}");
    // This node's own log against the other's file.
    let compared = alice.json(&["audit", "compare", "--peer", "bob", &theirs]);
    assert_eq!((&compared["ok"], &compared["matching"]), (&true.into(), &3.into()), "{compared:#}");
    let peers = export(&alice, "peer.jsonl", &["--peer", "bob", "--since", "1h"]);
    let checked = nobody.json(&["audit", "verify", "--file", &peers]);
    assert_eq!((&checked["ok"], &checked["whole"]), (&true.into(), &false.into()), "{checked:#}");
    nobody.run(&["audit", "compare", &mine, &mine]).expect(2);

    // A line that was changed, and one that was left out.
    let text = fs::read_to_string(&theirs).unwrap();
    let bad = bob.path().join("bad.jsonl").display().to_string();
    fs::write(&bad, text.replacen("accepted", "denied", 1)).unwrap();
    let checked = nobody.json_code(&["audit", "verify", "--file", &bad], 1);
    assert!(checked["first_bad"]["seq"].as_u64().unwrap() > 0, "{checked:#}");
    nobody.run(&["audit", "compare", &mine, &bad]).expect(1);
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&bad, [&lines[..3], &lines[4..]].concat().join("\n") + "\n").unwrap();
    let checked = nobody.json_code(&["audit", "verify", "--file", &bad], 1);
    assert_eq!(checked["first_bad"]["seq"], 3, "{checked:#}");
    fs::write(&bad, lines[..5].join("\n") + "\n").unwrap();
    nobody.run(&["audit", "verify", "--file", &bad]).expect(1);

    // Bob's log without a message that he acknowledged contradicts Alice's.
    bob.stop();
    bob.database()
        .execute_batch(
            "DELETE FROM audit WHERE number >= (SELECT min(number) FROM audit
                                                WHERE event LIKE '%\"arrived\"%');
             DELETE FROM checkpoints; DELETE FROM witnesses;",
        )
        .unwrap();
    bob.start();
    let forged = export(&bob, "forged.jsonl", &[]);
    nobody.run(&["audit", "verify", "--file", &forged]).expect(0);
    let compared = nobody.json_code(&["audit", "compare", &mine, &forged], 1);
    assert_eq!(compared["ok"], false);
    assert!(compared["contradictions"].as_u64().unwrap() >= 2, "{compared:#}");
    alice.run(&["audit", "compare", "--peer", "bob", &forged]).expect(1);
}

fn events(page: &Value) -> Vec<&str> {
    let records = page["records"].as_array().unwrap();
    records.iter().map(|record| record["event"]["event"].as_str().unwrap()).collect()
}

#[test]
fn records_are_chosen_and_moved_and_the_chain_goes_on_over_both() {
    let (alice, bob) = friends();
    talk(&alice, &bob, 1);
    let page = alice.json(&[
        "audit", "show", "--peer", "bob", "--since", "1h", "--kind", "sent", "--kind", "arrived",
    ]);
    assert_eq!(events(&page), ["sent", "arrived", "sent"], "{page:#}");
    let none = alice.json(&["audit", "show", "--since", "2999-01-01"]);
    assert!(none["records"].as_array().unwrap().is_empty());
    alice.run(&["audit", "show", "--since", "yesterday"]).expect(2).says(&["7d"]);
    alice.run(&["audit", "show", "--peer", "nobody"]).expect(1);
    let few = alice.run(&["audit", "show", "--limit", "2", "--json"]).expect(0);
    assert_eq!(few.json()["more"], true);

    let nothing = alice.json(&["audit", "rotate"]);
    assert_eq!(nothing["records"], 0, "nothing is 90 days old: {nothing:#}");
    let moved = alice.json(&["audit", "rotate", "--keep", "3"]);
    let file = alice.path().join(moved["moved"]["file"].as_str().unwrap());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let verified = alice.json(&["audit", "verify"]);
    assert_eq!((&verified["ok"], &verified["moved"]), (&true.into(), &moved["records"]));
    alice.json(&["audit", "verify", "--file", file.to_str().unwrap()]);
    alice.stop();
    alice.start();
    talk(&alice, &bob, 2);
    assert_eq!(alice.peer_state("bob"), "trusted");
    let rest = export(&alice, "rest.jsonl", &[]);
    assert_eq!(alice.json(&["audit", "verify", "--file", &rest])["whole"], true);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("trust_moved", "trust_moves", 1)).unwrap();
    let bad = alice.json_code(&["audit", "verify"], 1);
    assert!(bad["problem"].as_str().unwrap().contains("audit-0000"), "{bad:#}");
    assert!(bad["first_bad"]["seq"].is_u64(), "{bad:#}");
    fs::remove_file(&file).unwrap();
    let absent = alice.json(&["audit", "verify"]);
    assert_eq!(absent["ok"], true, "what is in the database is whole: {absent:#}");
    assert_eq!(absent["absent"].as_array().unwrap().len(), 1);
    let theirs = export(&bob, "theirs.jsonl", &[]);
    let compared = alice.json(&["audit", "compare", "--peer", "bob", &theirs]);
    assert_eq!(compared["contradictions"], 0, "what was moved is no contradiction: {compared:#}");
}

#[test]
fn a_wrong_passphrase_is_in_the_log_whether_the_node_ran_or_not() {
    let (alice, bob) = friends();
    let secret = format!("use {}{}", "ghp_", "a1B2c3D4e5F6".repeat(3));
    let held = alice.json_code(&["send", "bob", &secret], 3);
    let item = held["pending"].as_str().unwrap();
    pty::try_approve(&alice, item, "not the passphrase");
    let wrong = until("the node has looked", SOON, || {
        let wrong = alice.json(&["audit", "show", "--kind", "wrong_passphrase"]);
        (events(&wrong) == ["wrong_passphrase"]).then_some(wrong)
    });
    assert_eq!(wrong["records"][0]["event"]["tries"], 1);
    pty::approve(&alice, item, alice.passphrase).expect(0);
    bob.received_text(&secret);
    let wrong = alice.json(&["audit", "show", "--kind", "wrong_passphrase"]);
    assert_eq!(events(&wrong).len(), 1, "a right one is none: {wrong:#}");
    assert_eq!(alice.json(&["audit", "verify"])["ok"], true);
}
