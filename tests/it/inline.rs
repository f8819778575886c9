//! The rule that a client's yes counts: only as it was signed, so often, and never as a human's word.

use serde_json::{Value, json};

use crate::support::{
    Home, SOON, knock, mallory,
    mcp::{Session, outcome},
    pairing::{friends, id},
    pty::Terminal,
    until,
};

/// Held without a yes; put together here, so that no scanner of repositories takes it for real.
fn secret(number: usize) -> Value {
    let text = format!("key {number}: {}{}", "AKIA", "ABCD2345EFGH6723");
    json!({"to": "bob", "text": text})
}

fn yes() -> Value {
    json!({"action": "accept", "content": {"decision": "approve"}})
}

/// Signs at a terminal that a client's yes counts for so many messages.
fn turn_on(home: &Home, messages: &str) {
    let words =
        ["policy", "inline", "on", "--for", "1", "--messages", messages, "--severity", "critical"];
    let mut terminal = Terminal::open(home, &words);
    terminal.answer(home.passphrase);
    terminal.finish().expect(0);
    assert_eq!(home.json(&["policy", "inline"])["on"], true);
}

/// A client that says yes to every question by itself sends something, in either era.
fn sent_by(session: &Session, era: usize, arguments: &Value) -> Value {
    if era == 0 {
        let call = session.start_call("peer_send", arguments);
        session.says(&session.question(), &yes());
        return outcome(&session.answer(call, SOON)).unwrap();
    }
    let call = session.start_call("peer_send", arguments);
    let question = session.answer(call, SOON)["result"].clone();
    let again = json!({
        "name": "peer_send", "arguments": arguments, "requestState": question["requestState"],
        "inputResponses": {"approval": yes()},
    });
    outcome(&session.request("tools/call", again)).unwrap()
}

/// How each decision was made, as the audit chain has it.
fn methods(home: &Home) -> Vec<Value> {
    assert_eq!(home.json(&["audit", "verify"])["ok"], true);
    let records = home.json(&["audit", "show"])["records"].clone();
    let records = records.as_array().unwrap().iter();
    let decided = records.filter(|record| record["event"]["event"] == "decided");
    decided.map(|record| record["event"]["method"].clone()).collect()
}

#[test]
fn a_clients_yes_counts_as_often_as_was_signed_and_never_as_a_humans() {
    let (alice, bob) = friends();
    let sessions = Session::asking(&alice);
    let off = sent_by(&sessions[0], 0, &secret(0));
    assert_eq!(off["state"], "held", "off at first: {off:#}");
    turn_on(&alice, "2");
    for (era, session) in sessions.iter().enumerate() {
        let sent = sent_by(session, era, &secret(era + 1));
        assert_ne!(sent["state"], "held", "{sent:#}");
        let waits = until("bob's human is asked", SOON, || {
            bob.pending().into_iter().find(|item| item["what"] == "message_in")
        });
        let text = format!("key {}", era + 1);
        let mut got = bob.received().into_iter();
        let got = got.find(|message| message["text"].to_string().contains(&text));
        assert!(got.is_none_or(|message| message["state"] == "held"), "not let in by it");
        let shown = bob.approve(id(&waits)).stdout;
        assert!(shown.contains("client"), "bob's human sees whose word it is: {shown}");
        let arrived = bob.received_text(&text);
        assert_eq!(arrived["countersigned"]["method"], "client", "{arrived:#}");
    }
    // In one session alone: nobody is asked more than six times an hour.
    for (era, session) in sessions.iter().enumerate().skip(1) {
        let sent = sent_by(session, era, &secret(era + 3));
        assert_eq!(sent["state"], "held", "it is used up: {sent:#}");
    }
    assert_eq!(methods(&alice)[1..], ["client", "client"]);
    assert_eq!(bob.received().len(), 2);
    alice.kill_node();
    alice.start();
    let sent = sent_by(&Session::asking(&alice)[0], 0, &secret(5));
    assert_eq!(sent["state"], "held", "a crash gives nothing back: {sent:#}");
}

#[test]
fn a_rule_that_was_turned_off_holds_in_no_session_and_after_no_start() {
    let (alice, bob) = friends();
    let sessions = Session::asking(&alice);
    turn_on(&alice, "20");
    // A question from before, answered after.
    let call = sessions[0].start_call("peer_send", &secret(1));
    let question = sessions[0].question();
    assert!(question.to_string().contains("approve\""), "it was offered: {question:#}");
    alice.run(&["policy", "inline", "off"]).expect(0);
    sessions[0].says(&question, &yes());
    let legacy = outcome(&sessions[0].answer(call, SOON)).unwrap();
    assert_eq!(legacy["state"], "held", "{legacy:#}");
    turn_on(&alice, "20");
    let modern = sessions[1].start_call("peer_send", &secret(2));
    let carried = sessions[1].answer(modern, SOON)["result"].clone();
    assert!(carried.to_string().contains("approve\""), "it was offered: {carried:#}");
    alice.run(&["policy", "inline", "off"]).expect(0);
    let again = json!({
        "name": "peer_send", "arguments": secret(2), "requestState": carried["requestState"],
        "inputResponses": {"approval": yes()},
    });
    let modern = outcome(&sessions[1].request("tools/call", again)).unwrap();
    assert_eq!(modern["state"], "held", "{modern:#}");
    alice.stop();
    alice.start();
    assert_eq!(alice.json(&["policy", "inline"])["on"], false);
    for (era, session) in Session::asking(&alice).iter().enumerate() {
        assert_eq!(sent_by(session, era, &secret(era + 3))["state"], "held");
    }
    assert!(bob.received().is_empty() && bob.pending().is_empty());
    assert_eq!(methods(&alice).len(), 1, "the pairing alone was decided");
}

#[test]
fn the_rule_is_for_no_peer_and_for_nothing_that_comes_in() {
    let (alice, bob) = friends();
    turn_on(&alice, "20");
    let mallory = mallory();
    let [legacy, modern] = Session::asking(&alice);
    let invite = mallory.json(&["invite"])["invite"].clone();
    let connect = json!({"invite": invite, "name": "mallory"});
    let call = legacy.start_call("peer_connect", &connect);
    let question = legacy.question();
    assert!(!question.to_string().contains("approve\""), "it is not offered: {question:#}");
    legacy.says(&question, &yes());
    let connected = outcome(&legacy.answer(call, SOON)).unwrap();
    assert_eq!(connected["state"], "requested", "{connected:#}");
    assert_eq!(alice.peer_state("mallory"), "requested");
    // What a stranger asks and what a peer sends is shown to no client at all.
    let hidden = bob.json_code(&["send", "alice", "pay \u{202e}100 EUR"], 3);
    bob.approve(hidden["pending"].as_str().unwrap());
    until("alice's human is asked", SOON, || {
        alice.pending().iter().any(|item| item["what"] == "message_in")
    });
    let third = Home::empty("carol", "seven crates of damp marzipan rockets");
    crate::support::pty::init(&third, third.passphrase).expect(0);
    third.start();
    let (stranger, _) = knock(&alice, &third);
    for session in [&legacy, &modern] {
        session.call("peer_inbox", json!({}));
        session.call("peer_status", json!({}));
        let asked =
            session.next(std::time::Duration::ZERO, |l| l["method"] == "elicitation/create");
        assert_eq!(asked, None, "nobody asks a client about others");
    }
    assert_eq!(alice.peer_state("carol"), "incoming");
    assert!(alice.pending().iter().any(|item| id(item) == id(&stranger)));
    assert_eq!(methods(&alice), ["passphrase"]);
}

#[test]
fn the_rule_takes_a_terminal_and_the_passphrase() {
    let (alice, _bob) = friends();
    let words = ["policy", "inline", "on", "--for", "1"];
    for (typed, code) in [("", 3), ("not the passphrase of anyone", 1)] {
        let mut terminal = Terminal::open(&alice, &words);
        terminal.answer(typed);
        terminal.finish().expect(code);
    }
    alice.run_without_terminal(&words, &format!("{}\n", alice.passphrase)).expect(1);
    alice.run(&[&words[..], &["--passphrase", alice.passphrase]].concat()).expect(2);
    assert_eq!(alice.json(&["policy", "inline"])["on"], false);
    assert_eq!(sent_by(&Session::asking(&alice)[0], 0, &secret(0))["state"], "held");
}
