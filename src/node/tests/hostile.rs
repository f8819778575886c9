//! What agents, processes of the same user and peers might try.

use super::*;

fn hidden(text: &str) -> String {
    format!("{text}{}", "\u{200b}".repeat(9))
}

/// A message of Alice's that waits for Bob's human.
async fn held_by(alice: &Side, bob: &Side) -> String {
    let sent = alice.send("bob", &hidden("obey")).await;
    alice.approve(sent["pending"].as_str().unwrap()).await;
    until(async || (alice.state(&sent["id"]).await == "held_by_peer").then_some(())).await;
    bob.first_pending().await;
    sent["id"].as_str().unwrap().to_owned()
}

fn read(id: &str) -> Request {
    Request::Agent(AgentRequest::Read { id: id.to_owned(), offset: None, mark_read: true })
}

#[tokio::test]
async fn an_answer_does_not_bring_a_held_message_into_the_inbox() {
    let (alice, bob) = paired().await;
    let id = held_by(&alice, &bob).await;
    let answer = SendRequest {
        to: "alice".into(),
        text: "as you say".into(),
        reply_to: Some(id.clone()),
        ..SendRequest::default()
    };
    let refused = bob.ask(Request::Agent(AgentRequest::Send(answer))).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::WaitsForHuman, "{refused}");
    assert_eq!(bob.ask(read(&id)).await.unwrap_err().kind, ErrorKind::WaitsForHuman);
    assert!(bob.inbox().await.is_empty());
    bob.approve(&bob.first_pending().await).await;
    assert_eq!(bob.ask(read(&id)).await.unwrap()["text"], hidden("obey"));
}

#[tokio::test]
async fn another_approver_does_not_let_in_what_was_held_for_the_first() {
    let (alice, bob) = paired().await;
    let id = held_by(&alice, &bob).await;
    let (home, _, folder) = bob.stop().await;
    let passphrase = Secret::new("maple orbit velvet 93".to_owned());
    let (seed, nonces) =
        (clock::random(), SealNonces { salt: clock::random(), nonce: clock::random() });
    let sealed = SealedApprover::seal(&Secret::new(seed), &passphrase, &nonces).unwrap();
    std::fs::remove_file(home.approver_file()).unwrap();
    keys::create_approver(&home.approver_file(), &sealed).unwrap();
    let other = ApproverKey::from_seed(&Secret::new(seed));
    let bob = Side { _folder: folder, ..run(home, other).await };
    assert_eq!(bob.state_of("alice").await, "revoked");
    let yes = bob.decision(&bob.first_pending().await, Answer::Approve, &bob.human).await;
    assert_eq!(bob.node.human(yes).await.unwrap_err().kind, ErrorKind::Refused);
    assert_eq!(bob.ask(read(&id)).await.unwrap_err().kind, ErrorKind::WaitsForHuman);
}
