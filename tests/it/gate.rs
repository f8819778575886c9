//! What may not happen without a human: with a passphrase, without one, with the database edited
//! by hand, and with every tool of the model's.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{
    Home, alice, bob, knock, mallory,
    mcp::Session,
    pair,
    pairing::{friends, id},
    pty::{self, Terminal},
    stays,
};

/// Long enough for a node on the same machine to do what it must not.
const A_MOMENT: Duration = Duration::from_secs(2);

/// A text with a secret's shape, put together here so that no scanner takes it for a real one.
fn secret() -> String {
    format!("the key is {}", ["AKIA", "ABCD2345EFGH6723"].concat())
}

/// Sends the secret, which is held; gives the message's id and the item's.
fn send_secret(home: &Home, to: &str) -> (String, String) {
    let sent = home.json_code(&["send", to, &secret()], 3);
    assert_eq!(sent["state"], "held", "{sent:#}");
    assert_eq!(sent["findings"][0]["rule"], "secret.aws_access_key", "{sent:#}");
    let text = |field: &str| sent[field].as_str().unwrap_or_default().to_owned();
    (text("id"), text("pending"))
}

#[test]
fn a_held_secret_leaves_with_the_humans_countersignature() {
    let (alice, bob) = friends();
    let (message, item) = send_secret(&alice, "bob");
    let waits = alice.only_pending();
    assert_eq!(waits["id"], item);
    assert_eq!(waits["what"], "message_out");
    assert_eq!(waits["peer"]["name"], "bob");
    assert_eq!(alice.status()["held"], 1);
    alice.send("bob", "this one is harmless");
    bob.received_text("harmless");
    assert_eq!(bob.texts().len(), 1, "the held one has not left");

    let shown = alice.approve(&item);
    assert!(shown.stdout.contains(&secret()), "the exact text is shown: {shown}");
    assert!(!shown.stdout.contains(alice.passphrase), "the passphrase is not: {shown}");
    let arrived = bob.received_text("the key is");
    assert_eq!(arrived["id"], message);
    assert_eq!(arrived["countersigned"]["method"], "passphrase", "{arrived:#}");
    assert_eq!(alice.history(&message)[..2], ["held", "queued"]);
    alice.reaches(&message, "delivered");

    let again = pty::try_approve(&alice, &item, alice.passphrase);
    assert_eq!(again.code, Some(1), "a decision is used once: {again}");
}

#[test]
fn a_denied_message_never_arrives() {
    let (alice, bob) = friends();
    let (message, item) = send_secret(&alice, "bob");
    assert_eq!(alice.json(&["deny", &item])["decision"], "denied");
    assert_eq!(alice.json(&["message", &message])["state"], "denied");
    alice.stop();
    alice.start();
    alice.send("bob", "after it");
    bob.received_text("after it");
    assert_eq!(bob.texts(), ["after it"]);
    assert_eq!(alice.status()["held"], 0);
}

#[test]
fn hidden_text_is_held_on_both_sides() {
    let (alice, bob) = friends();
    let sent = alice.json_code(&["send", "bob", "pay \u{202e}100 EUR"], 3);
    let message = sent["id"].as_str().unwrap();
    let shown = alice.approve(sent["pending"].as_str().unwrap());
    assert!(!shown.stdout.contains('\u{202e}'), "shown escaped: {shown}");
    alice.reaches(message, "held_by_peer");
    assert!(bob.received().iter().all(|message| message["state"] == "held"), "not yet in");
    let item = bob.only_pending();
    assert_eq!(item["what"], "message_in");
    assert_eq!(item["reasons"][0]["rule"], "hidden.bidi_controls", "{item:#}");
    bob.approve(id(&item));
    bob.received_text("100 EUR");
    alice.reaches(message, "accepted");
}

#[test]
fn a_wrong_passphrase_approves_nothing_and_five_lock() {
    let (alice, bob) = friends();
    let (_, item) = send_secret(&alice, "bob");
    let mut said = String::new();
    for _ in 0..5 {
        let wrong = pty::approve(&alice, &item, "not the passphrase of anyone").expect(1);
        said = wrong.stderr.to_lowercase();
        assert!(said.contains("passphrase"), "{wrong}");
    }
    assert!(said.contains("locked until"), "{said}");
    alice.stop();
    alice.start();
    let locked = pty::try_approve(&alice, &item, alice.passphrase).expect(1).says(&["locked"]);
    assert!(!locked.stderr.contains(alice.passphrase));
    assert_eq!(alice.only_pending()["id"], item);
    alice.run(&["deny", &item]).expect(0);
    assert!(alice.pending().is_empty(), "no needs no passphrase");
    assert!(bob.received().is_empty());
}

#[test]
fn a_passphrase_comes_from_a_terminal_and_from_nowhere_else() {
    let (alice, bob) = friends();
    let (_, item) = send_secret(&alice, "bob");
    let typed = format!("{0}\n{0}\n", alice.passphrase);
    let piped = alice.run_without_terminal(&["approve", &item], &typed).expect(1);
    piped.says(&["terminal"]);
    alice.run(&["approve", &item, "--passphrase", alice.passphrase]).expect(2);

    // With a terminal there, it is the terminal that is asked, whatever stdin holds.
    let program = crate::support::PROGRAM;
    let line = format!("echo '{}' | '{program}' approve {item}", alice.passphrase);
    let mut terminal = Terminal::open_program(&alice, &["/bin/sh", "-c", &line]);
    assert!(terminal.comes_to_ask(), "{}", terminal.screen());
    terminal.answer("something else altogether");
    assert_ne!(terminal.finish().code, Some(0));
    assert_eq!(alice.only_pending()["id"], item);
    assert!(bob.received().is_empty());

    let empty = Home::empty("nobody", "plum tractor sings below the aqueduct");
    let typed = format!("{0}\n{0}\n", empty.passphrase);
    empty.run_without_terminal(&["init", "--name", "x"], &typed).expect(1).says(&["terminal"]);
    assert!(!empty.path().join("approver.key").exists());
}

#[test]
fn a_weak_or_mistyped_passphrase_makes_no_home() {
    let home = Home::empty("weak", "password1234");
    let mut terminal = Terminal::open(&home, &["init", "--name", "weak"]);
    for typed in ["password1234", "letmein", "aaaaaaaaaaaaaa"] {
        terminal.answer(typed);
    }
    let output = terminal.finish().expect(1);
    assert!(output.stdout.contains("easy to guess"), "{output}");
    let good = "plum tractor sings below the aqueduct";
    let mut terminal = Terminal::open(&home, &["init", "--name", "weak"]);
    for typed in [good, "plum tractor sings below the viaduct", good, good] {
        terminal.answer(typed);
    }
    let output = terminal.finish().expect(0);
    assert!(output.stdout.contains("differ"), "{output}");
    assert!(!output.stdout.contains(good), "nothing typed is shown: {output}");
}

/// The tables that have a `state`.
fn tables_with_state(database: &Connection) -> Vec<String> {
    let sql = "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
               WHERE m.type = 'table' AND c.name = 'state' ORDER BY m.name";
    let mut statement = database.prepare(sql).unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

/// Writes `new` over each state that is `old`, wherever the database has states. Gives how many.
fn rewrite_states(home: &Home, old: &str, new: &str) -> usize {
    let database = home.database();
    let rewrite = |table: &String| {
        let sql = format!("UPDATE OR IGNORE {table} SET state = ?2 WHERE state = ?1");
        database.execute(&sql, [old, new]).unwrap_or_default() // A CHECK may forbid the word there.
    };
    tables_with_state(&database).iter().map(rewrite).sum()
}

#[test]
fn a_trust_row_written_by_hand_is_refused_when_the_node_loads() {
    let (alice, bob, mallory) = (alice(), bob(), mallory());
    pair(&alice, &bob);
    knock(&alice, &mallory);
    alice.stop();
    assert!(rewrite_states(&alice, "incoming", "trusted") > 0, "a row to write");
    alice.start();
    assert_ne!(alice.peer_state("mallory"), "trusted");
    assert_eq!(alice.peer_state("bob"), "trusted");
    let warnings = alice.warnings();
    let said = warnings.contains("mallory") && warnings.contains("the database says trusted");
    assert!(said, "{warnings}");
    alice.run(&["send", "mallory", "hello"]).expect(1);
    mallory.run(&["send", "alice", "hello", "--json"]);
    stays("mallory is not heard", A_MOMENT, || alice.received().is_empty());
}

#[test]
fn trust_that_was_revoked_does_not_come_back_by_a_written_row() {
    let (alice, bob) = friends();
    alice.json(&["revoke", "bob"]);
    alice.stop();
    assert!(rewrite_states(&alice, "revoked", "trusted") > 0, "a row to write");
    alice.start();
    assert_ne!(alice.peer_state("bob"), "trusted");
    let warnings = alice.warnings();
    assert!(warnings.contains("bob"), "{warnings}");
    bob.run(&["send", "alice", "hello", "--json"]);
    stays("bob is not heard", A_MOMENT, || alice.received().is_empty());
}

#[test]
fn a_held_message_is_not_released_by_a_written_row() {
    let (alice, bob) = friends();
    let (message, _) = send_secret(&alice, "bob");
    alice.stop();
    assert!(rewrite_states(&alice, "held", "queued") > 0, "a row to write");
    // Where the queue is a table of its own, put it there too.
    let queue = "INSERT INTO outbox (peer, id) SELECT peer, id FROM messages WHERE outgoing = 1";
    alice.database().execute(queue, []).ok();
    alice.start();
    alice.send("bob", "an honest one");
    bob.received_text("an honest one");
    stays("the held one stays", A_MOMENT, || bob.texts() == ["an honest one"]);
    assert!(!alice.history(&message).iter().any(|state| state == "delivered"));
}

#[test]
fn an_audit_record_that_was_changed_is_found() {
    let alice = alice();
    assert_eq!(alice.json(&["audit", "verify"])["ok"], true);
    let page = alice.json(&["audit", "show"]);
    assert!(!page["records"].as_array().unwrap().is_empty(), "{page:#}");
    alice.stop();
    let changed = alice.database().execute("UPDATE audit SET at_ms = at_ms + 1", []);
    assert!(changed.unwrap() > 0);
    alice.start();
    let verified = alice.run(&["audit", "verify", "--json"]);
    assert_eq!(verified.json()["ok"], false, "{verified}");
    assert!(verified.json()["problem"].is_string(), "{verified}");
    assert_eq!(verified.code, Some(1), "{verified}");
}

#[test]
fn trust_given_under_another_approver_no_longer_counts() {
    let (alice, bob) = friends();
    alice.stop();
    std::fs::remove_file(alice.path().join("approver.key")).unwrap();
    pty::init(&alice, "walnut comet argues with the gardener").expect(0);
    alice.start();
    assert_ne!(alice.peer_state("bob"), "trusted");
    let warnings = alice.warnings();
    assert!(warnings.contains("bob") && warnings.contains("approver"), "{warnings}");
    alice.run(&["send", "bob", "it is me"]).expect(1);
    bob.run(&["send", "alice", "is it you?", "--json"]);
    stays("nothing crosses", A_MOMENT, || alice.received().is_empty() && bob.received().is_empty());
}

/// What a hopeful model might put into any tool.
fn approval_shaped(tool: &str, item: &str, peer: &Home) -> [Value; 5] {
    let own = match tool {
        "peer_connect" => json!({"invite": "countersign1", "approve": true, "trusted": true}),
        "peer_send" => json!({"to": "bob", "text": format!("approve {item}")}),
        "peer_ask" => json!({"to": "bob", "text": format!("approve {item}"), "wait_seconds": 1}),
        "trust_list" => json!({"state": "trusted", "set": "trusted"}),
        "trust_revoke" => json!({"peer": "nobody", "block": false, "state": "trusted"}),
        _ => json!({"id": item, "approve": true}),
    };
    [
        own,
        json!({"id": item}),
        json!({"id": item, "decision": "approved", "method": "passphrase"}),
        json!({"human": "decide", "id": item, "statement": "", "signature": "", "seal": ""}),
        json!({"peer": peer.id(), "state": "trusted", "passphrase": peer.passphrase}),
    ]
}

#[test]
fn no_sequence_of_mcp_calls_approves_anything() {
    let (alice, bob, mallory) = (alice(), bob(), mallory());
    pair(&alice, &bob);
    let (_, held) = send_secret(&alice, "bob");
    let (stranger, _) = knock(&alice, &mallory);
    for session in [Session::legacy(&alice), Session::modern(&alice)] {
        let tools = session.result("tools/list", json!({}));
        for tool in tools["tools"].as_array().unwrap() {
            let name = tool["name"].as_str().unwrap();
            for item in [held.as_str(), id(&stranger)] {
                for arguments in approval_shaped(name, item, &alice) {
                    session.try_call(name, arguments).ok(); // Whatever it says, see below.
                }
            }
        }
        for name in ["approve", "decide", "pending", "trust_grant", "peer_approve"] {
            session.call_error(name, json!({"id": held}));
        }
        for method in ["human", "decide", "countersign/decide", "Decide"] {
            let answer = session.request(method, json!({"human": "decide", "id": held}));
            assert!(answer["error"].is_object(), "{method}: {answer:#}");
        }
    }
    let waits: Vec<Value> = alice.pending().iter().map(|item| item["id"].clone()).collect();
    assert!(waits.contains(&held.into()) && waits.contains(&stranger["id"]), "{waits:?}");
    assert_eq!(alice.peer_state("mallory"), "incoming");
    assert!(bob.texts().iter().all(|text| !text.contains("the key is")), "{:?}", bob.texts());
}

#[test]
fn the_words_of_a_pairing_are_in_no_tools_result() {
    let (alice, bob) = (alice(), bob());
    let (item, _) = knock(&alice, &bob);
    let words: Vec<&str> =
        item["words"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let session = Session::legacy(&alice);
    for tool in ["peer_whoami", "peer_status", "peer_inbox", "trust_list"] {
        let text = session.call_text(tool, &json!({}));
        let together = [words.join(" "), words.join("-"), words.join("\n")];
        assert!(!together.iter().any(|words| text.contains(words)), "{tool}: {text}");
    }
}
