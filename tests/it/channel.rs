//! `countersign mcp --channel`: messages appear in the conversation as they arrive.

use serde_json::{Value, json};

use crate::support::{SOON, mcp::Session, pairing::friends, until};

const METHOD: &str = "notifications/claude/channel";

fn pushed(session: &Session) -> Value {
    let push = session.next(SOON, |line| line["method"] == METHOD);
    push.expect("a push")["params"].clone()
}

#[test]
fn a_message_is_pushed_as_it_arrives_and_stays_unread_and_taints() {
    let (alice, bob) = friends();
    let early = bob.send("alice", "before you were there");
    bob.reaches(&early, "accepted");
    let (session, able) = Session::channel(&alice);
    assert_eq!(able["experimental"], json!({"claude/channel": {}}), "{able}");
    assert_eq!(pushed(&session)["meta"]["id"], early.as_str());
    assert!(alice.run(&["taint"]).expect(0).stdout.contains("bob"));
    let id = bob.send("alice", "which port?\u{200b}");
    let push = pushed(&session);
    let content = push["content"].as_str().unwrap();
    assert!(content.contains(">>\nwhich port?\\u{200b}\n<<end "), "{content}");
    let thread = alice.received_text("which port")["thread"].clone();
    let meta = json!({"from": "bob", "id": id, "kind": "text", "thread": thread});
    assert_eq!(push["meta"], meta);
    let whoami = session.call("peer_whoami", json!({}));
    assert_eq!(whoami["unread"], 2);
    assert_eq!(whoami["news"], "2 unread from bob: peer_inbox reads them");
    assert!(!bob.history(&id).contains(&"read".to_owned()), "nobody says that it was read");
    let status = session.call("peer_status", json!({}));
    assert_eq!(status["sessions"][0]["routes"], json!(["channel"]), "{status:#}");
    let doctor = alice.run(&["doctor"]).expect(0);
    assert!(doctor.stdout.contains("learns of messages by its channel"), "{doctor}");
    session.call("peer_inbox", json!({"unread": true}));
    bob.reaches(&id, "read");
    assert_eq!(session.call("peer_whoami", json!({})).get("news"), None);
}

#[test]
fn without_the_switch_nothing_is_pushed_and_the_next_result_says_that_something_came() {
    let (alice, bob) = friends();
    let session = Session::legacy(&alice);
    let id = bob.send("alice", "hello");
    bob.reaches(&id, "accepted");
    until("the news is there", SOON, || {
        session.call("trust_list", json!({}))["news"] == "1 unread from bob: peer_inbox reads them"
    });
    let error = session.call_error("peer_send", json!({"to": "nobody", "text": "x"}));
    assert!(error.ends_with("\nNews: 1 unread from bob: peer_inbox reads them"), "{error}");
    let none = session.next(std::time::Duration::ZERO, |line| line["method"] == METHOD);
    assert_eq!(none, None);
    assert!(!alice.run(&["taint"]).expect(0).stdout.contains("bob"), "a number shows no text");
}
