//! The same call again, and what a client may ask and answer about what waits.

use super::{hostile::sql, *};

fn secret() -> String {
    ["key: AKIA", "ABCDEFGHIJKLMNOP"].concat()
}

fn sending(text: &str) -> SendRequest {
    SendRequest { to: "bob".into(), text: text.into(), ..SendRequest::default() }
}

async fn try_send(side: &Side, request: SendRequest) -> Result<Value, ApiError> {
    side.ask(Request::Agent(AgentRequest::Send(request))).await
}

async fn answered(side: &Side, pending: &str, yes: bool) -> Result<Value, ApiError> {
    let pending = pending.to_owned();
    side.ask(Request::Agent(AgentRequest::ClientAnswered { pending, yes })).await
}

async fn question(side: &Side, pending: &str) -> Result<Value, ApiError> {
    side.ask(Request::Agent(AgentRequest::Question { pending: pending.to_owned() })).await
}

fn id(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_held_message_is_not_made_twice_by_the_same_call() {
    let (alice, _bob) = paired().await;
    let first = alice.send("bob", &secret()).await;
    assert_eq!((&first["state"], first.get("again")), (&"held".into(), None));
    let bob_id = id(&alice.agent(AgentRequest::Peers { state: None }).await["peers"][0]["id"]);
    // The peer's id names the same peer as its name does.
    let by_id = SendRequest { to: bob_id, ..sending(&secret()) };
    let (one, two) = tokio::join!(try_send(&alice, by_id), try_send(&alice, sending(&secret())));
    let alice = alice.restart().await;
    let after = try_send(&alice, sending(&secret())).await;
    for again in [one, two, after] {
        let again = again.unwrap();
        assert_eq!((&again["id"], &again["pending"]), (&first["id"], &first["pending"]));
        assert_eq!((&again["again"], &again["state"]), (&true.into(), &"held".into()));
        assert_eq!(again["findings"], first["findings"]);
    }
    assert_eq!(alice.pending().await.len(), 1);
    assert_eq!(alice.agent(AgentRequest::Outstanding).await["held"], 1);
}

#[tokio::test]
async fn two_first_calls_at_once_make_one_message() {
    let (alice, _bob) = paired().await;
    let calls = (0..8).map(|_| try_send(&alice, sending(&secret())));
    let sent = futures_util::future::join_all(calls).await;
    let sent: Vec<Value> = sent.into_iter().map(Result::unwrap).collect();
    assert!(sent.iter().all(|each| each["id"] == sent[0]["id"]), "{sent:?}");
    assert_eq!(sent.iter().filter(|sent| sent["again"] != true).count(), 1);
    assert_eq!(alice.pending().await.len(), 1);
}

#[tokio::test]
async fn a_call_that_differs_in_anything_is_another_message() {
    let (alice, bob) = paired().await;
    let carol = side("Carol").await;
    pair(&alice, &carol).await;
    let base = sending(&secret());
    let thread = Some("0123456789abcdef0123456789abcdef".to_owned());
    let requests = [
        base.clone(),
        SendRequest { text: secret() + ".", ..base.clone() },
        SendRequest { request: true, ..base.clone() },
        SendRequest { thread, ..base.clone() },
        SendRequest { expires_hours: Some(2), ..base.clone() },
        SendRequest { to: "carol".into(), ..base.clone() },
    ];
    for request in requests {
        let sent = try_send(&alice, request.clone()).await.unwrap();
        assert_ne!(sent["again"], true, "{request:?}");
    }
    assert_eq!(alice.pending().await.len(), 6);
    // The usual time is the same whether it is said or not.
    let week = SendRequest { expires_hours: Some(168), ..base };
    assert_eq!(try_send(&alice, week).await.unwrap()["again"], true);
    drop(bob);
}

#[tokio::test]
async fn a_message_that_nobody_was_asked_about_is_sent_as_often_as_it_is_asked_for() {
    let (alice, bob) = paired().await;
    let (one, two) = (alice.send("bob", "tick").await, alice.send("bob", "tick").await);
    assert_ne!(one["id"], two["id"]);
    assert_ne!(two["again"], true);
    assert_eq!(arrived(&bob, 2).await.len(), 2);
}

#[tokio::test]
async fn an_approval_given_meanwhile_is_found_once() {
    let (alice, bob) = paired().await;
    let first = alice.send("bob", &secret()).await;
    alice.approve(first["pending"].as_str().unwrap()).await;
    until(async || (alice.state(&first["id"]).await == "accepted").then_some(())).await;
    let alice = alice.restart().await;
    let again = alice.send("bob", &secret()).await;
    assert_eq!((&again["id"], &again["again"]), (&first["id"], &true.into()));
    assert_eq!((&again["state"], again.get("pending")), (&"accepted".into(), None));
    // One yes was for one message: the next is a new one, and waits.
    let alice = alice.restart().await;
    let third = alice.send("bob", &secret()).await;
    assert_ne!(third["id"], first["id"]);
    assert_eq!((&third["state"], third.get("again")), (&"held".into(), None));
    assert_eq!(arrived(&bob, 1).await.len(), 1);
}

#[tokio::test]
async fn a_no_stands_for_the_same_message_for_a_day() {
    let (alice, _bob) = paired().await;
    let first = alice.send("bob", &secret()).await;
    alice.human(HumanRequest::Deny { id: id(&first["pending"]), block: false }).await;
    let alice = alice.restart().await;
    for _ in 0..3 {
        let error = try_send(&alice, sending(&secret())).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied);
        assert_eq!(error.message, "your human said no to exactly this message");
        assert!(error.next.contains("do not send it again"), "{error}");
    }
    assert!(alice.pending().await.is_empty());
    sql(&alice, "UPDATE history SET at_ms = at_ms - 24 * 3600 * 1000 - 1 WHERE state = 'denied'");
    assert_eq!(alice.send("bob", &secret()).await["state"], "held");
}

#[tokio::test]
async fn what_nobody_decided_in_time_is_asked_anew() {
    let (mut alice, _bob) = paired().await;
    for late in ["messages SET expires_ms = 1", "pending SET expires_ms = 1"] {
        let first = alice.send("bob", &secret()).await;
        assert_ne!(first["again"], true, "{late}");
        sql(&alice, &format!("UPDATE {late}"));
        alice = alice.restart().await;
        until(async || alice.pending().await.is_empty().then_some(())).await;
        until(async || (alice.state(&first["id"]).await != "held").then_some(())).await;
    }
    let anew = alice.send("bob", &secret()).await;
    assert_eq!((&anew["state"], anew.get("again")), (&"held".into(), None));
}

#[tokio::test]
async fn what_left_and_expired_may_be_there_and_is_found_once() {
    let (alice, bob) = paired().await;
    let first = alice.send("bob", &secret()).await;
    alice.approve(first["pending"].as_str().unwrap()).await;
    arrived(&bob, 1).await;
    // As where the link went before the receipt came, and the time after it.
    until(async || (alice.state(&first["id"]).await == "accepted").then_some(())).await;
    sql(&alice, "UPDATE messages SET state = 'expired'");
    let alice = alice.restart().await;
    let again = alice.send("bob", &secret()).await;
    assert_eq!((&again["id"], &again["again"]), (&first["id"], &true.into()));
    assert_eq!((&again["state"], again.get("pending")), (&"expired".into(), None));
    let third = alice.send("bob", &secret()).await;
    assert_eq!((&third["state"], third.get("again")), (&"held".into(), None));
    // Bob's agent reads it, and his node says so, signed.
    let inbox = InboxRequest { mark_read: true, ..InboxRequest::default() };
    bob.agent(AgentRequest::Inbox(inbox)).await;
    until(async || (alice.state(&first["id"]).await == "read").then_some(())).await;
}

#[tokio::test]
async fn a_message_counts_as_replied_to_when_the_reply_leaves() {
    let (alice, bob) = paired().await;
    alice.send("bob", "how is it?").await;
    let id = arrived(&bob, 1).await[0]["id"].clone();
    let reply = |more: &str| SendRequest {
        to: "alice".into(),
        text: secret() + more,
        reply_to: Some(id.as_str().unwrap().to_owned()),
        ..SendRequest::default()
    };
    let held = try_send(&bob, reply("")).await.unwrap();
    assert_eq!((&held["state"], bob.state(&id).await.as_str()), (&"held".into(), "accepted"));
    let no = HumanRequest::Deny { id: self::id(&held["pending"]), block: false };
    bob.human(no).await;
    assert_eq!(bob.state(&id).await, "accepted", "our human said no: nobody replied");
    let held = try_send(&bob, reply("!")).await.unwrap();
    bob.approve(held["pending"].as_str().unwrap()).await;
    assert_eq!(bob.state(&id).await, "replied");
}

#[tokio::test]
async fn a_question_shows_what_our_agent_wrote_and_no_more_than_its_beginning() {
    let (alice, _bob) = paired().await;
    let text = secret() + &"ä".repeat(2000);
    let held = alice.send("bob", &text).await;
    let asked = question(&alice, held["pending"].as_str().unwrap()).await.unwrap();
    assert_eq!((&asked["what"], &asked["id"]), (&"message_out".into(), &held["pending"]));
    assert_eq!((&asked["peer"]["name"], &asked["peer"]["claim"]), (&"bob".into(), &"Bob".into()));
    assert_eq!(asked["may_approve"], false);
    assert_eq!(asked["size_bytes"], text.len());
    let shown = asked["text"].as_str().unwrap();
    assert!(text.starts_with(shown) && (1020..=1024).contains(&shown.len()), "{}", shown.len());
    assert_eq!(asked["reasons"], held["findings"]);
}

#[tokio::test]
async fn a_client_never_learns_of_what_came_from_others_and_cannot_answer_for_it() {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    let (at_alice, at_bob) = super::asked(&alice, &bob).await;
    let asked = question(&bob, &at_bob).await.unwrap();
    assert_eq!(asked["what"], "peer_out");
    let words = bob.pending().await[0]["words"].as_array().unwrap().clone();
    let shown = asked.to_string();
    assert!(words.iter().any(|word| !shown.contains(word.as_str().unwrap())), "{shown}");
    assert!(asked.get("words").is_none() && asked.get("text").is_none(), "{asked}");
    let check = async |side: &Side, pending: &str| {
        let hidden = question(side, pending).await.unwrap_err();
        assert_eq!(hidden.kind, ErrorKind::NotFound);
        assert_eq!(hidden.next, "countersign pending lists what waits");
        for yes in [false, true] {
            let error = answered(side, pending, yes).await.unwrap_err();
            assert_eq!(error, hidden, "as of an item that is not there");
        }
    };
    check(&alice, &at_alice).await;
    alice.approve(&at_alice).await;
    bob.approve(&at_bob).await;
    trusted(&bob, "alice").await;
    trusted(&alice, "bob").await;
    let text = format!("look{}", "\u{200b}".repeat(9));
    let sent = alice.send("bob", &text).await;
    alice.approve(sent["pending"].as_str().unwrap()).await;
    let at_bob = bob.first_pending().await;
    check(&bob, &at_bob).await;
    assert_eq!(bob.first_pending().await, at_bob, "it still waits for Bob himself");
}

#[tokio::test]
async fn a_clients_no_counts_once_and_says_whose_it_was() {
    let (alice, bob) = paired().await;
    let held = alice.send("bob", &secret()).await;
    let pending = id(&held["pending"]);
    let (one, two) =
        tokio::join!(answered(&alice, &pending, false), answered(&alice, &pending, false));
    let (good, bad): (Vec<_>, Vec<_>) = [one, two].into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (1, 1));
    let decided = good[0].as_ref().unwrap();
    assert_eq!((&decided["decision"], &decided["method"]), (&"denied".into(), &"client".into()));
    assert_eq!(bad[0].as_ref().unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(alice.state(&held["id"]).await, "denied");
    assert_eq!(question(&alice, &pending).await.unwrap_err().kind, ErrorKind::NotFound);
    let audit = alice.human(HumanRequest::AuditShow { after: 0, limit: 1000 }).await.to_string();
    assert!(audit.contains(r#""method":"client""#), "{audit}");
    let error = try_send(&alice, sending(&secret())).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(bob.inbox().await.is_empty());
}

#[tokio::test]
async fn a_clients_no_ends_a_request_of_our_own() {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    let (_, at_bob) = super::asked(&alice, &bob).await;
    answered(&bob, &at_bob, false).await.unwrap();
    assert_eq!(bob.state_of("alice").await, "revoked");
    until(async || (alice.state_of("bob").await == "revoked").then_some(())).await;
}

#[tokio::test]
async fn a_clients_yes_approves_neither_a_message_nor_a_peer_unasked() {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    let (at_alice, at_bob) = super::asked(&alice, &bob).await;
    let error = answered(&bob, &at_bob, true).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.next.contains("countersign approve"), "{error}");
    assert_eq!(bob.first_pending().await, at_bob);
    alice.approve(&at_alice).await;
    bob.approve(&at_bob).await;
    trusted(&alice, "bob").await;
    trusted(&bob, "alice").await;
    let held = alice.send("bob", &secret()).await;
    let error = answered(&alice, held["pending"].as_str().unwrap(), true).await.unwrap_err();
    assert_eq!(error.message, "approvals in the client are off for this item");
    assert_eq!(alice.state(&held["id"]).await, "held");
    assert!(bob.inbox().await.is_empty());
}
