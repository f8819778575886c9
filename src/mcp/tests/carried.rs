//! Questions that a client carries itself, and clients that try to make something of that.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, InputRequiredResult, InputResponses,
};
use serde_json::{Value, json};

use super::support::*;

fn secret() -> Value {
    json!({ "to": "bob", "text": "a secret", "expires_hours": 5 })
}

/// Calls once, and gives the question that the client has to carry.
async fn question(client: &Client, tool: &str, arguments: Value) -> InputRequiredResult {
    let answer = client.call_tool_once(request(tool, arguments)).await.unwrap();
    let CallToolResponse::InputRequired(question) = answer else { panic!("{answer:?}") };
    question
}

fn state(question: &InputRequiredResult) -> String {
    question.request_state.clone().unwrap()
}

fn says(answer: &Value) -> InputResponses {
    InputResponses::from([("approval".to_owned(), answer.clone())])
}

fn decline() -> Value {
    json!({ "action": "decline" })
}

fn again(tool: &str, arguments: Value, state: &str, answer: &Value) -> CallToolRequestParams {
    request(tool, arguments).with_request_state(state).with_input_responses(says(answer))
}

/// Calls with a question that is refused.
async fn refused(client: &Client, call: CallToolRequestParams) {
    let result = complete(client, call).await;
    assert_eq!(result.is_error, Some(true), "{result:?}");
    let text = &result.content[0].as_text().unwrap().text;
    assert!(text.starts_with("requestState was refused:"), "{text}");
    assert!(text.contains("\nNext: what was asked about still waits"), "{text}");
}

/// Calls with a question that is taken.
async fn taken(client: &Client, call: CallToolRequestParams) -> Value {
    complete(client, call).await.structured_content.unwrap()
}

async fn complete(client: &Client, call: CallToolRequestParams) -> CallToolResult {
    let answer = client.call_tool_once(call).await.unwrap();
    let CallToolResponse::Complete(result) = answer else { panic!("{answer:?}") };
    result
}

#[tokio::test]
async fn an_answer_is_applied_once_and_nothing_is_sent_again() {
    let fake = Fake::new();
    let (client, _told) = session_of(&fake, Era::Modern, Person::Away).await;
    let asked = question(&client, "peer_send", secret()).await;
    let (sealed, once) =
        (state(&asked), json!({ "action": "accept", "content": { "decision": "deny" } }));
    // The order of the arguments is nobody's.
    let turned = json!({ "expires_hours": 5, "text": "a secret", "to": "bob" });
    let sent = taken(&client, again("peer_send", turned, &sealed, &once)).await;
    assert_eq!((&sent["id"], &sent["state"]), (&"msg_out".into(), &"denied".into()));
    assert_eq!((fake.spoken(), fake.client_answers().len()), (1, 1));
    refused(&client, again("peer_send", secret(), &sealed, &once)).await;
    assert_eq!((fake.spoken(), fake.client_answers().len()), (1, 1), "it was used");
}

#[tokio::test]
async fn a_question_is_only_for_the_call_that_it_was_asked_in() {
    let fake = Fake::new();
    let (client, _told) = session_of(&fake, Era::Modern, Person::Away).await;
    let sealed = state(&question(&client, "peer_send", secret()).await);
    let mut flipped = sealed.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let other_text = json!({ "to": "bob", "text": "another secret", "expires_hours": 5 });
    let other_peer = json!({ "to": "carol", "text": "a secret", "expires_hours": 5 });
    let fewer = json!({ "to": "bob", "text": "a secret" });
    let ask = json!({ "to": "bob", "text": "a secret" });
    for call in [
        again("peer_send", secret(), &flipped, &decline()),
        again("peer_send", secret(), &sealed[1..], &decline()),
        again("peer_send", secret(), "", &decline()),
        again("peer_send", secret(), "x", &decline()),
        again("peer_send", other_text, &sealed, &decline()),
        again("peer_send", other_peer, &sealed, &decline()),
        again("peer_send", fewer, &sealed, &decline()),
        again("peer_ask", ask, &sealed, &decline()),
        again("peer_whoami", none(), &sealed, &decline()),
        again("trust_revoke", json!({ "peer": "bob" }), &sealed, &decline()),
    ] {
        refused(&client, call).await;
    }
    let (other, _told) = session_of(&fake, Era::Modern, Person::Away).await;
    refused(&other, again("peer_send", secret(), &sealed, &decline())).await;
    let (legacy, _told) = session(&fake, Era::Legacy).await;
    refused(&legacy, again("peer_send", secret(), &sealed, &decline())).await;
    assert_eq!((fake.spoken(), fake.client_answers().len()), (1, 0));
    // None of that used it up.
    let sent = taken(&client, again("peer_send", secret(), &sealed, &decline())).await;
    assert_eq!(sent["state"], "denied");
}

#[tokio::test]
async fn a_call_with_an_answer_and_no_question_is_a_call() {
    let fake = Fake::new();
    let (client, _told) = session_of(&fake, Era::Modern, Person::Away).await;
    for answer in [decline(), json!({ "action": "accept", "content": { "decision": "approve" } })] {
        let forged = request("peer_send", secret()).with_input_responses(says(&answer));
        let answered = client.call_tool_once(forged).await.unwrap();
        assert!(matches!(answered, CallToolResponse::InputRequired(_)), "{answered:?}");
    }
    assert!(fake.client_answers().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_none_leaves_it_waiting() {
    let answers = [
        json!({ "action": "accept", "content": { "decision": "approve" } }),
        json!({ "action": "accept" }),
        json!({ "action": "approve" }),
        json!("approve"),
        json!(null),
    ];
    for answer in answers {
        let fake = Fake::new();
        let (client, _told) = session_of(&fake, Era::Modern, Person::Away).await;
        let sealed = state(&question(&client, "peer_send", secret()).await);
        let sent = taken(&client, again("peer_send", secret(), &sealed, &answer)).await;
        assert_eq!((&sent["state"], &sent["pending"]), (&"held".into(), &"pnd_9".into()));
        assert!(fake.client_answers().is_empty(), "{answer}");
    }
    let fake = Fake::new();
    let (client, _told) = session_of(&fake, Era::Modern, Person::Away).await;
    let sealed = state(&question(&client, "peer_send", secret()).await);
    let bare = request("peer_send", secret()).with_request_state(&*sealed);
    assert_eq!(taken(&client, bare).await["state"], "held");
    let mut other_key = again("peer_send", secret(), &sealed, &decline());
    other_key.input_responses = Some(InputResponses::from([("other".to_owned(), decline())]));
    refused(&client, other_key).await;
}

#[tokio::test]
async fn a_question_remembers_that_approving_was_not_offered() {
    let fake = Fake::new();
    let (client, _told) = session_of(&fake, Era::Modern, Person::Away).await;
    let sealed = state(&question(&client, "peer_send", secret()).await);
    // From now on it would be offered; this question was asked before.
    fake.world.lock().unwrap().inline = true;
    let yes = json!({ "action": "accept", "content": { "decision": "approve" } });
    let sent = taken(&client, again("peer_send", secret(), &sealed, &yes)).await;
    assert_eq!(sent["state"], "held");
    assert!(fake.client_answers().is_empty());
}

#[tokio::test]
async fn an_answer_after_a_decision_elsewhere_tells_what_became_of_it() {
    for (yes, state_now, peer_now) in [(true, "queued", "trusted"), (false, "denied", "revoked")] {
        let fake = Fake::new();
        let (client, _told) = session_of(&fake, Era::Modern, Person::Away).await;
        let invite = json!({ "invite": "countersign1x" });
        let sent = state(&question(&client, "peer_send", secret()).await);
        let connected = state(&question(&client, "peer_connect", invite.clone()).await);
        fake.decide_elsewhere("pnd_9", yes);
        fake.decide_elsewhere("pnd_7", yes);
        let sent = taken(&client, again("peer_send", secret(), &sent, &decline())).await;
        assert_eq!(sent["state"], state_now, "a no that comes too late changes nothing");
        let connected = taken(&client, again("peer_connect", invite, &connected, &decline())).await;
        assert_eq!(connected["state"], peer_now);
        assert_eq!(fake.spoken(), 2);
    }
}
