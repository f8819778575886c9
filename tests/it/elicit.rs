//! Questions that a client shows its user, through real stdio sessions and a real node.

use serde_json::{Value, json};

use crate::support::{
    Home, SOON, alice, bob, knock,
    mcp::{Session, outcome},
    pairing::{friends, id},
    until,
};

fn secret() -> Value {
    let text = ["key: AKIA", "ABCDEFGHIJKLMNOP"].concat();
    json!({"to": "bob", "text": text})
}

/// Starts a call that is held, and gives its id and the question.
fn asked(session: &Session) -> (u64, Value) {
    let call = session.start_call("peer_send", &secret());
    (call, session.question())
}

/// The same call again, with the question that it was answered with and the user's answer.
fn carried(session: &Session, tool: &str, arguments: &Value, answer: &Value) -> (Value, Value) {
    let call = session.start_call(tool, arguments);
    let question = session.answer(call, SOON)["result"].clone();
    assert_eq!(question["resultType"], "input_required", "{question:#}");
    let again = json!({
        "name": tool, "arguments": arguments, "requestState": question["requestState"],
        "inputResponses": {"approval": answer},
    });
    (question, again)
}

fn approve() -> Value {
    json!({"action": "accept", "content": {"decision": "approve"}})
}

fn deny() -> Value {
    json!({"action": "accept", "content": {"decision": "deny"}})
}

fn waiting(home: &Home) -> String {
    let items = home.pending();
    assert_eq!(items.len(), 1, "{items:#?}");
    id(&items[0]).to_owned()
}

fn decided_by(home: &Home) -> Vec<String> {
    let records = home.json(&["audit", "show"])["records"].clone();
    let decided = records.as_array().unwrap().iter().map(|record| record["event"].clone());
    let decided = decided.filter(|event| event["event"] == "decided");
    let word = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    decided.map(|e| format!("{} by {}", word(&e, "decision"), word(&e, "method"))).collect()
}

#[test]
fn a_no_in_the_client_is_a_no_and_the_record_says_whose() {
    let (alice, bob) = friends();
    let [legacy, modern] = Session::asking(&alice);
    let (call, question) = asked(&legacy);
    let message = question["params"]["message"].as_str().unwrap();
    assert!(message.contains("to bob (calls itself \"bob\""), "{message}");
    assert!(message.contains("| key: AKIA"), "{message}");
    assert!(message.contains(&format!("countersign approve {}", waiting(&alice))), "{message}");
    legacy.says(&question, &deny());
    let sent = outcome(&legacy.answer(call, SOON)).unwrap();
    assert_eq!(sent["state"], "denied", "{sent:#}");
    let error = modern.call_error("peer_send", secret());
    assert!(
        error.starts_with("your human said no to exactly this message\nNext: do not"),
        "{error}"
    );
    let other = json!({"to": "bob", "text": secret()["text"].as_str().unwrap().to_owned() + "!"});
    let (_, again) = carried(&modern, "peer_send", &other, &json!({"action": "decline"}));
    let sent = outcome(&modern.request("tools/call", again)).unwrap();
    assert_eq!(sent["state"], "denied", "{sent:#}");
    assert!(alice.pending().is_empty());
    assert_eq!(decided_by(&alice)[1..], ["denied by client", "denied by client"]);
    assert_eq!(bob.json(&["inbox"])["messages"], json!([]));
}

#[test]
fn ten_messages_of_two_sessions_are_one_question_and_a_list() {
    let (alice, _bob) = friends();
    let session = Session::asking(&alice).into_iter().next().unwrap();
    let other = Session::legacy(&alice);
    let text = |number: u32| json!({"to": "bob", "text": format!("{number} {}", secret()["text"])});
    let first = session.start_call("peer_send", &text(0));
    let question = session.question();
    let calls: Vec<u64> = (1..5).map(|n| session.start_call("peer_send", &text(n))).collect();
    for call in calls {
        let sent = outcome(&session.answer(call, SOON)).unwrap();
        assert_eq!(sent["state"], "held", "{sent:#}");
        assert!(sent["pending"].is_string(), "{sent:#}");
    }
    for number in 5..10 {
        assert_eq!(other.call("peer_send", text(number))["state"], "held");
    }
    assert_eq!(alice.pending().len(), 10);
    assert_eq!(alice.status()["prompts"]["digest"], 9);
    session.says(&question, &deny());
    assert_eq!(outcome(&session.answer(first, SOON)).unwrap()["state"], "denied");
    let prompts = alice.status()["prompts"].clone();
    assert_eq!((&prompts["open"], &prompts["digest"]), (&json!(true), &json!(0)), "told at once");
}

#[test]
fn a_client_that_accepts_everything_gets_neither_a_message_nor_a_peer_approved() {
    let (alice, bob) = (alice(), bob());
    for (at, session) in Session::asking(&bob).iter().enumerate() {
        let invite = alice.json(&["invite"])["invite"].clone();
        let connect = json!({"invite": invite, "name": "alice"});
        let connected = if at == 0 {
            let call = session.start_call("peer_connect", &connect);
            let question = session.question();
            assert!(!question.to_string().contains("approve\""), "it is not offered");
            session.says(&question, &approve());
            session.answer(call, SOON)
        } else {
            let (_, again) = carried(session, "peer_connect", &connect, &approve());
            session.request("tools/call", again)
        };
        let connected = outcome(&connected).unwrap();
        assert_eq!(connected["state"], "requested", "{connected:#}");
        assert_eq!(connected["pending"], waiting(&bob), "it waits for the human");
        assert_eq!(bob.peer_state("alice"), "requested");
    }
    let words = bob.pending()[0]["words"].clone();
    assert_eq!(words.as_array().unwrap().len(), 4);
    bob.approve(&waiting(&bob));
    until("alice is asked about the last request", SOON, || {
        alice.pending().iter().any(|item| item["words"] == words)
    });
    alice.approve(&waiting(&alice));
    crate::support::pairing::trusted(&alice, &bob);
    let held = json!({"to": "alice", "text": secret()["text"]});
    let [legacy, modern] = Session::asking(&bob);
    let call = legacy.start_call("peer_send", &held);
    legacy.says(&legacy.question(), &approve());
    let first = outcome(&legacy.answer(call, SOON)).unwrap();
    let (_, again) = carried(&modern, "peer_send", &held, &approve());
    let second = outcome(&modern.request("tools/call", again)).unwrap();
    for sent in [&first, &second] {
        assert_eq!((&sent["state"], &sent["pending"]), (&json!("held"), &json!(waiting(&bob))));
    }
    assert_eq!((&second["id"], &second["again"]), (&first["id"], &json!(true)));
    assert_eq!(alice.json(&["inbox"])["messages"], json!([]));
    assert_eq!(decided_by(&bob), ["approved by passphrase"]);
}

#[test]
fn an_approval_in_the_terminal_withdraws_the_question_and_the_call_goes_on() {
    let (alice, bob) = friends();
    let [session, _] = Session::asking(&alice);
    let (call, question) = asked(&session);
    alice.approve(&waiting(&alice));
    let withdrawn = session.next(SOON, |line| line["method"] == "notifications/cancelled");
    assert_eq!(withdrawn.expect("a withdrawal")["params"]["requestId"], question["id"]);
    let sent = outcome(&session.answer(call, SOON)).unwrap();
    assert!(!["held", "denied"].contains(&sent["state"].as_str().unwrap()), "{sent:#}");
    // A no that comes too late is for nothing.
    session.says(&question, &deny());
    bob.received_text("key: AKIA");
    let again = session.call("peer_send", secret());
    assert_eq!((&again["id"], &again["again"]), (&sent["id"], &json!(true)));
    assert!(again["next"].as_str().unwrap().contains("nothing was sent anew"), "{again:#}");
}

#[test]
fn a_question_does_not_outlive_its_node_and_the_message_does() {
    let (alice, _bob) = friends();
    let [legacy, modern] = Session::asking(&alice);
    // One question is open at a time: each session's own ends with a node of its own.
    let (_, stale) = carried(&modern, "peer_send", &secret(), &deny());
    let pending = waiting(&alice);
    alice.kill_node();
    alice.start();
    until("the session is back", SOON, || legacy.try_call("peer_whoami", json!({})).is_ok());
    let (call, old) = asked(&legacy);
    alice.kill_node();
    assert!(outcome(&legacy.answer(call, SOON)).is_err());
    let withdrawn = legacy.next(SOON, |line| line["method"] == "notifications/cancelled");
    assert_eq!(withdrawn.expect("a withdrawal")["params"]["requestId"], old["id"]);
    let (call, new) = asked(&legacy);
    assert_ne!(old["id"], new["id"]);
    // The answer to the old question is not one to the new.
    legacy.says(&old, &deny());
    let refused = outcome(&modern.request("tools/call", stale)).unwrap_err();
    assert!(refused.starts_with("requestState was refused"), "{refused}");
    assert_eq!(legacy.call("peer_whoami", json!({}))["waiting"], 1);
    assert_eq!(waiting(&alice), pending, "the same item waits");
    legacy.says(&new, &json!({"action": "cancel"}));
    let sent = outcome(&legacy.answer(call, SOON)).unwrap();
    assert_eq!((&sent["pending"], &sent["again"]), (&json!(pending), &json!(true)));
}

#[test]
fn a_client_learns_nothing_of_what_strangers_sent() {
    let (alice, bob) = (alice(), bob());
    let (at_alice, at_bob) = knock(&alice, &bob);
    let [session, _] = Session::asking(&alice);
    let waits = session.call("peer_whoami", json!({}))["waiting"].clone();
    assert_eq!(waits, 1);
    let status = session.call("peer_status", json!({}));
    let peers = session.call("trust_list", json!({}));
    for word in at_alice["words"].as_array().unwrap() {
        let word = format!(" {} ", word.as_str().unwrap());
        assert!(!status.to_string().contains(&word) && !peers.to_string().contains(&word));
    }
    let asked = session.next(std::time::Duration::ZERO, |l| l["method"] == "elicitation/create");
    assert_eq!(asked, None, "a stranger's knock asks nobody in a client");
    drop(at_bob);
}
