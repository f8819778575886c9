//! A client that answers for its user: it says yes to whatever it is asked, in whatever form.

use serde_json::{Value, json};

use super::{records, secret};
use crate::support::{Home, SOON, mallory, mcp::Session, pairing::friends};

/// Answers that mean yes to somebody.
fn yeses(pass: &str) -> [Value; 4] {
    [
        json!({"action": "accept", "content": {"decision": "approve"}}),
        json!({"action": "accept", "content": {"decision": "approve", "passphrase": pass,
               "signature": "00".repeat(64), "method": "passphrase"}}),
        json!({"action": "accept", "content": {"decision": ["approve"], "approved": true}}),
        json!({"action": "approve", "content": "approve", "decision": "approve"}),
    ]
}

fn message(number: usize) -> Value {
    json!({"to": "bob", "text": secret(number)})
}

/// Alice and Bob, and so many messages of hers that wait; nothing else may have come of it.
#[track_caller]
fn still_asked(alice: &Home, bob: &Home, items: usize) {
    assert_eq!(alice.pending().len(), items);
    assert_eq!(alice.json(&["grants"])["grants"], json!([]));
    assert_eq!(bob.json(&["inbox"])["messages"], json!([]));
    let events = records(alice);
    let yes = |event: &&Value| event["event"] == "decided" && event["decision"] == "approved";
    assert_eq!(events.iter().filter(yes).count(), 1, "the pairing's alone: {events:#?}");
}

#[test]
fn no_form_of_an_automatic_yes_counts_in_a_session_with_a_handshake() {
    let (alice, bob) = friends();
    let [session, _] = Session::asking(&alice);
    for (number, yes) in yeses(alice.passphrase).iter().enumerate() {
        let call = session.start_call("peer_send", &message(number + 1));
        let question = session.question();
        session.says(&question, yes);
        let answer = session.answer(call, SOON);
        assert_ne!(answer["result"]["structuredContent"]["state"], "queued", "{yes}: {answer:#}");
        // And once more, to a question that is over, and to one that nobody asked.
        session.says(&question, yes);
        session.says(&json!({"id": number + 1000}), yes);
    }
    still_asked(&alice, &bob, 4);
}

#[test]
fn no_form_of_an_automatic_yes_counts_where_the_client_carries_the_question() {
    let (alice, bob) = friends();
    let mallory = mallory();
    let [_, session] = Session::asking(&alice);
    let stranger = Session::modern(&mallory);
    let yes = &yeses(alice.passphrase)[1];
    let again = |number: usize, state: &Value| {
        json!({"name": "peer_send", "arguments": message(number), "requestState": state,
               "inputResponses": {"approval": yes}})
    };
    let mut former = json!("AAAA");
    for number in 1..=2 {
        let call = session.start_call("peer_send", &message(number));
        let question = session.answer(call, SOON)["result"].clone();
        assert_eq!(question["resultType"], "input_required", "{question:#}");
        let state = question["requestState"].clone();
        let flipped = json!(state.as_str().unwrap().replace('A', "B"));
        let tries = [
            again(number, &former),
            again(number, &flipped),
            again(9, &state),
            again(number, &state),
            again(number, &state),
        ];
        for asked in tries {
            let answer = session.request("tools/call", asked.clone());
            let content = &answer["result"]["structuredContent"];
            assert_ne!(content["state"], "queued", "{asked}: {answer:#}");
            let answer = stranger.request("tools/call", asked);
            assert_ne!(answer["result"]["structuredContent"]["state"], "queued", "{answer:#}");
        }
        former = state;
    }
    let items = alice.pending().len();
    assert!(items >= 2, "both still wait");
    still_asked(&alice, &bob, items);
}
