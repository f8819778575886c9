//! Two people's nodes that follow the rules.

use super::*;

#[tokio::test]
async fn two_humans_say_yes_and_their_agents_talk() {
    let (alice, bob) = paired().await;
    let sent = alice.send("bob", "hello").await;
    assert_eq!(sent["state"], "queued");
    let inbox = arrived(&bob, 1).await;
    assert_eq!((&inbox[0]["text"], &inbox[0]["from"]), (&"hello".into(), &"alice".into()));
    until(async || (alice.state(&sent["id"]).await == "accepted").then_some(())).await;
    let reply = SendRequest {
        to: "alice".into(),
        text: "hi".into(),
        reply_to: Some(sent["id"].as_str().unwrap().to_owned()),
        ..SendRequest::default()
    };
    bob.agent(AgentRequest::Send(reply)).await;
    let answer = arrived(&alice, 1).await;
    assert_eq!(answer[0]["reply_to"], sent["id"]);
    assert_eq!(answer[0]["thread"], inbox[0]["thread"]);
    assert_eq!(alice.state(&sent["id"]).await, "replied");
    let verified = alice.human(HumanRequest::AuditVerify).await;
    assert_eq!(verified["ok"], true, "{verified}");
}

#[tokio::test]
async fn what_waits_for_a_peer_that_is_away_arrives_once_and_in_order() {
    let (alice, bob) = paired().await;
    let (home, human, folder) = bob.stop().await;
    for n in 0..20 {
        assert_eq!(alice.send("bob", &format!("message {n}")).await["state"], "queued");
    }
    let alice = alice.restart().await;
    let bob = Side { folder, ..run(home, human).await };
    let inbox = arrived(&bob, 20).await;
    let texts: Vec<_> = inbox.iter().map(|m| m["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, (0..20).map(|n| format!("message {n}")).collect::<Vec<_>>());
    let bob = bob.restart().await;
    alice.send("bob", "one more").await;
    assert_eq!(arrived(&bob, 21).await.len(), 21);
}

#[tokio::test]
async fn a_secret_leaves_only_when_the_human_signed_it() {
    let (alice, bob) = paired().await;
    let secret = ["key: AKIA", "ABCDEFGHIJKLMNOP"].concat();
    let held = alice.send("bob", &secret).await;
    assert_eq!(held["state"], "held");
    let id = held["pending"].as_str().unwrap().to_owned();
    let forged = alice.decision(&id, Answer::Approve, &bob.human).await;
    let refused = alice.node.human(forged).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied, "{refused}");
    assert_eq!(alice.state(&held["id"]).await, "held");
    alice.approve(&id).await;
    let inbox = arrived(&bob, 1).await;
    assert_eq!(inbox[0]["text"], secret);
    assert_eq!(inbox[0]["countersigned"]["method"], "passphrase");
    let again = alice.node.human(HumanRequest::Deny { id, block: false }).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::NotFound);
    let denied = alice.send("bob", &(secret + ".")).await;
    let id = denied["pending"].as_str().unwrap().to_owned();
    alice.human(HumanRequest::Deny { id, block: false }).await;
    assert_eq!(alice.state(&denied["id"]).await, "denied");
}

#[tokio::test]
async fn hidden_text_waits_for_the_human_of_the_receiver() {
    let (alice, bob) = paired().await;
    // Alice's own gate would hold this; her human lets it go.
    let text = format!("look{}", "\u{200b}".repeat(9));
    let sent = alice.send("bob", &text).await;
    alice.approve(sent["pending"].as_str().unwrap()).await;
    until(async || (alice.state(&sent["id"]).await == "held_by_peer").then_some(())).await;
    assert!(bob.inbox().await.is_empty());
    let read = AgentRequest::Read {
        id: sent["id"].as_str().unwrap().into(),
        offset: None,
        mark_read: true,
    };
    assert_eq!(bob.ask(Request::Agent(read)).await.unwrap_err().kind, ErrorKind::WaitsForHuman);
    bob.approve(&bob.first_pending().await).await;
    arrived(&bob, 1).await;
    until(async || (alice.state(&sent["id"]).await == "accepted").then_some(())).await;
}

#[tokio::test]
async fn revoking_ends_it_at_once_and_purges_what_waits() {
    let (alice, bob) = paired().await;
    let (home, human, folder) = bob.stop().await;
    let waits = alice.send("bob", "too late").await;
    let revoke = AgentRequest::Revoke { peer: "bob".into(), block: false };
    let revoked = alice.agent(revoke).await;
    assert_eq!((&revoked["state"], &revoked["purged"]), (&"revoked".into(), &1.into()));
    assert_eq!(alice.state(&waits["id"]).await, "denied");
    let bob = Side { folder, ..run(home, human).await };
    bob.send("alice", "hello?").await;
    until(async || {
        let peers = bob.agent(AgentRequest::Peers { state: None }).await;
        peers["peers"][0]["warning"].as_str().map(drop)
    })
    .await;
    assert!(alice.inbox().await.is_empty());
    assert!(bob.inbox().await.is_empty());
}

#[tokio::test]
async fn trust_survives_a_restart_and_not_a_row_that_was_written_by_hand() {
    let (alice, bob) = paired().await;
    let alice = alice.restart().await;
    assert_eq!(alice.state_of("bob").await, "trusted");
    alice.agent(AgentRequest::Revoke { peer: "bob".into(), block: false }).await;
    let (home, human, folder) = alice.stop().await;
    let db = rusqlite::Connection::open(home.database_file()).unwrap();
    db.execute_batch("UPDATE peers SET state = 'trusted'").unwrap();
    drop(db);
    let alice = Side { folder, ..run(home, human).await };
    assert_eq!(alice.state_of("bob").await, "revoked");
    let status = alice.human(HumanRequest::Status).await;
    let warning = status["warnings"][0].as_str().unwrap().to_owned();
    assert!(warning.contains("the audit record says revoked"), "{warning}");
    drop(bob);
}

#[tokio::test]
async fn a_second_invite_takes_the_place_of_the_first() {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    let mut connected = Value::Null;
    for _ in 0..2 {
        let invite = alice
            .agent(AgentRequest::Invite { note: None, expires_minutes: None, code: false })
            .await;
        let invite = invite["invite"].as_str().unwrap().to_owned();
        connected = bob.agent(AgentRequest::Connect { invite, name: None, note: None }).await;
        assert_eq!(
            (&connected["state"], &connected["answered"]),
            (&"requested".into(), &true.into())
        );
    }
    let asked = until(async || {
        let items = alice.pending().await;
        let words = bob.pending().await[0]["words"].clone();
        let same = items.len() == 1 && items[0]["words"] == words;
        same.then(|| items[0]["id"].as_str().unwrap().to_owned())
    })
    .await;
    alice.approve(&asked).await;
    bob.approve(connected["pending"].as_str().unwrap()).await;
    trusted(&alice, "bob").await;
    trusted(&bob, "alice").await;
}

#[tokio::test]
async fn who_asked_hears_of_a_no() {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    let invite =
        alice.agent(AgentRequest::Invite { note: None, expires_minutes: None, code: false }).await;
    let invite = invite["invite"].as_str().unwrap().to_owned();
    bob.agent(AgentRequest::Connect { invite, name: None, note: None }).await;
    let id = alice.first_pending().await;
    alice.human(HumanRequest::Deny { id, block: false }).await;
    until(async || (bob.state_of("alice").await == "revoked").then_some(())).await;
    assert!(bob.pending().await.is_empty());
}
