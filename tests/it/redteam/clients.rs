//! A client that answers for its user: it says yes to whatever it is asked, in whatever form.

use serde_json::{Value, json};

use super::{Siege, secret};
use crate::support::{SOON, mcp::Session};

/// Answers that mean yes to somebody.
fn yeses(siege: &Siege) -> Vec<Value> {
    let pass = siege.alice.passphrase;
    vec![
        json!({"action": "accept", "content": {"decision": "approve"}}),
        json!({"action": "accept", "content": {"decision": "approve", "passphrase": pass,
               "signature": "00".repeat(64), "method": "passphrase"}}),
        json!({"action": "accept"}),
        json!({"action": "accept", "content": {"decision": ["approve"], "approved": true}}),
        json!({"action": "approve", "content": "approve", "decision": "approve"}),
    ]
}

fn message(number: usize) -> Value {
    json!({"to": "bob", "text": secret(number)})
}

#[test]
fn no_form_of_an_automatic_yes_counts_in_a_session_with_a_handshake() {
    let siege = Siege::lay();
    let [session, _] = Session::asking(&siege.alice);
    for (number, yes) in yeses(&siege).iter().enumerate() {
        let call = session.start_call("peer_send", &message(number + 1));
        let question = session.question();
        session.says(&question, yes);
        let answer = session.answer(call, SOON);
        assert_ne!(answer["result"]["structuredContent"]["state"], "queued", "{yes}: {answer:#}");
        // And once more, to a question that is over.
        session.says(&question, yes);
        session.says(&json!({"id": number + 1000}), yes);
    }
    siege.holds("an automatic yes");
    let said = siege.refused();
    assert!(said > 0, "the attempts are in the audit record");
}

#[test]
fn no_form_of_an_automatic_yes_counts_where_the_client_carries_the_question() {
    let siege = Siege::lay();
    let [_, session] = Session::asking(&siege.alice);
    let stranger = Session::asking(&siege.mallory).into_iter().nth(1).unwrap();
    let mut former = json!("AAAA");
    for (number, yes) in yeses(&siege).iter().enumerate().take(4) {
        let arguments = message(number + 1);
        let call = session.start_call("peer_send", &arguments);
        let question = session.answer(call, SOON)["result"].clone();
        assert_eq!(question["resultType"], "input_required", "{question:#}");
        let state = question["requestState"].clone();
        let flipped = state.as_str().unwrap().replace('A', "B");
        let again = |arguments: &Value, state: &Value| {
            json!({"name": "peer_send", "arguments": arguments, "requestState": state,
                   "inputResponses": {"approval": yes}})
        };
        let tries = [
            again(&arguments, &former),
            again(&arguments, &json!(flipped)),
            again(&json!({"to": "bob", "text": secret(0)}), &state),
            again(&arguments, &state),
            again(&arguments, &state),
        ];
        for asked in tries {
            let answer = session.request("tools/call", asked.clone());
            let content = &answer["result"]["structuredContent"];
            assert_ne!(content["state"], "queued", "{asked}: {answer:#}");
            stranger.request("tools/call", asked);
        }
        former = state;
    }
    siege.holds("an automatic yes that is carried");
}
