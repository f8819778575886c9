//! Countersignature on demand, between two real homes: what one human requires of a peer's messages,
//! and what becomes of those that lack it.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Home, SOON, mcp::Session, pairing::friends, until};

const REQUIRE: &str = r#"
[[require]]
name = "requests"
kinds = ["request"]
strength = "passphrase"

[[require]]
name = "secrets"
findings = ["secret.*"]
strength = "passphrase"
"#;

/// A text with a secret's shape, put together here so that no scanner takes it for a real one.
fn secret() -> String {
    format!("the key is {}", ["AKIA", "ABCD2345EFGH6723"].concat())
}

/// The home takes requests and secrets only with the passphrase of the other human.
fn demand(home: &Home) {
    let standard = home.run(&["policy", "show", "--standard"]).expect(0).stdout;
    let file = home.path().join("demanding.toml");
    fs::write(&file, standard + REQUIRE).unwrap();
    let set = home.json(&["policy", "set", file.to_str().unwrap()]);
    assert_eq!(set["source"], "tightened", "it loosens nothing: {set:#}");
}

/// What stands at a peer in one of its lists.
fn of_peer(home: &Home, peer: &str, list: &str) -> Vec<String> {
    let found = home.peer(peer).unwrap()[list].take();
    if found.is_null() { Vec::new() } else { serde_json::from_value(found).unwrap() }
}

fn learns(home: &Home, peer: &str, count: usize) {
    until(&format!("{} hears what {peer} requires", home.name), SOON, || {
        of_peer(home, peer, "requires").len() == count
    });
}

/// The agent asks for something, and does not wait for the answer.
fn request(home: &Home, text: &str) -> Value {
    Session::modern(home).call("peer_ask", json!({"to": "bob", "text": text, "wait_seconds": 0}))
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// It waits for alice's human, and arrives with their countersignature.
fn passes_with_the_passphrase((alice, bob): (&Home, &Home), sent: &Value, words: &str) {
    assert_eq!(sent["state"], "held", "{sent:#}");
    let waits = alice.only_pending();
    assert_eq!(waits["strength"], "passphrase", "{waits:#}");
    let reasons = waits["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason["rule"] == "peer.requires"), "{waits:#}");
    alice.approve(text(sent, "pending"));
    let arrived = bob.received_text(words);
    assert_eq!(arrived["countersigned"]["method"], "passphrase", "{arrived:#}");
    alice.reaches(text(sent, "id"), "accepted");
}

#[test]
fn what_is_required_is_told_asked_for_and_delivered_with_the_passphrase() {
    let (alice, bob) = friends();
    assert_ne!(text(&request(&alice, "before"), "state"), "held");
    demand(&bob);
    learns(&alice, "bob", 2);
    let needs = "need a countersignature by passphrase or better";
    let mut seen = of_peer(&alice, "bob", "requires");
    seen.sort();
    assert_eq!(seen[0], format!("messages of kind request {needs}"));
    assert!(seen[1].contains("secret") && seen[1].ends_with(needs), "{seen:?}");
    let mut ours = of_peer(&bob, "alice", "we_require");
    ours.sort();
    assert_eq!(ours, seen, "both sides read the same");
    let listed = Session::modern(&alice).call("trust_list", json!({}));
    assert_eq!(listed["peers"][0]["requires"].as_array().unwrap().len(), 2, "{listed:#}");
    let peers = alice.run(&["peers"]).expect(0).stdout;
    assert!(peers.contains("bob requires of you: messages of kind request"), "{peers}");

    let sent = request(&alice, "please deploy");
    passes_with_the_passphrase((&alice, &bob), &sent, "please deploy");
    let sent = alice.json_code(&["send", "bob", &secret()], 3);
    passes_with_the_passphrase((&alice, &bob), &sent, "the key is");
    assert!(bob.pending().is_empty(), "bob's human is asked about none of them");
}

#[test]
fn what_left_without_it_is_refused_with_the_reason() {
    let (alice, bob) = friends();
    alice.stop();
    demand(&bob);
    bob.stop();
    alice.start();
    let sent = request(&alice, "please deploy");
    assert_eq!(sent["state"], "queued", "alice's node does not know yet: {sent:#}");
    bob.start();
    alice.reaches(text(&sent, "id"), "refused");
    let life = alice.json(&["message", text(&sent, "id")]);
    let last = life["history"].as_array().unwrap().last().unwrap().clone();
    let why = "the receiver takes this only with its sender's human's countersignature (passphrase \
               or better): messages of kind request";
    assert_eq!(last["reason"], why, "{life:#}");
    assert!(bob.received().is_empty() && bob.pending().is_empty());

    learns(&alice, "bob", 2);
    let again = request(&alice, "please deploy");
    assert_eq!(again["state"], "held", "now it is asked for: {again:#}");
    alice.approve(text(&again, "pending"));
    bob.received_text("please deploy");
}

#[test]
fn what_is_required_no_more_is_told_too() {
    let (alice, bob) = friends();
    demand(&bob);
    learns(&alice, "bob", 2);
    let mut terminal = crate::support::pty::Terminal::open(&bob, &["policy", "reset"]);
    terminal.answer(bob.passphrase);
    terminal.finish().expect(0);
    learns(&alice, "bob", 0);
    assert_ne!(text(&request(&alice, "please deploy"), "state"), "held");
    bob.received_text("please deploy");
}
