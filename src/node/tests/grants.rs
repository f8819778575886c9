//! Grants between two nodes: what passes by one, and when it ends.

use super::*;
use crate::{
    base::{GrantId, PeerId, Severity, Timestamp},
    node::api::SignedHex,
    wire::{Direction, Envelope, Grant, GrantKind, Kind},
};
use serde_json::json;

// Put together here, so that no scanner of repositories takes it for real.
pub(super) fn secret() -> String {
    format!("use {}{}", "ghp_", "a1B2c3D4e5F6".repeat(3))
}

pub(super) async fn id_of(side: &Side) -> PeerId {
    side.agent(AgentRequest::Whoami).await["id"].as_str().unwrap().parse().unwrap()
}

pub(super) fn grant(node: PeerId, peer: PeerId, direction: Direction) -> Grant {
    Grant {
        id: GrantId::from_bytes(clock::random()),
        node,
        kind: GrantKind::Unasked,
        peer: Some(peer),
        direction,
        rules: vec!["secret.github_token".to_owned()],
        severity_max: Severity::Critical,
        size_bytes_max: 4096,
        messages_max: 2,
        from: clock::now(),
        until: clock::now().plus(Duration::from_hours(1)),
        kinds: Vec::new(),
        per_hour_max: None,
    }
}

pub(super) fn signed(grant: &Grant, key: &ApproverKey) -> SignedHex {
    SignedHex::from(&grant.sign(key).unwrap())
}

impl Side {
    /// Approves an item together with a grant.
    async fn approve_with(&self, id: &str, grant: SignedHex) -> Result<Value, ApiError> {
        let request = self.decision(id, Answer::Approve, &self.human).await;
        let HumanRequest::Decide { id, statement, signature, seal, block, .. } = request else {
            panic!()
        };
        let grant = Some(grant);
        let request = HumanRequest::Decide { id, statement, signature, seal, block, grant };
        self.ask(Request::Human(request)).await
    }

    async fn grants(&self) -> Vec<Value> {
        self.human(HumanRequest::Grants).await["grants"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn what_a_grant_covers_passes_so_often_and_nothing_else_does() {
    let (alice, bob) = paired().await;
    let (me, peer) = (id_of(&alice).await, id_of(&bob).await);
    let held = alice.send("bob", &secret()).await;
    assert_eq!(held["state"], "held");
    let item = held["pending"].as_str().unwrap();
    let granted = grant(me, peer, Direction::Out);
    alice.approve_with(item, signed(&granted, &alice.human)).await.unwrap();
    assert_eq!(alice.grants().await[0]["messages_left"], 2);
    for left in [1, 0] {
        let sent = alice.send("bob", &format!("{left}: {}", secret())).await;
        assert_eq!((&sent["state"], sent.get("pending")), (&Value::from("queued"), None));
        assert_eq!(sent["findings"][0]["rule"], "secret.github_token", "it is told all the same");
        assert_eq!(alice.grants().await[0]["messages_left"], left);
    }
    let over = alice.send("bob", &format!("over: {}", secret())).await;
    assert_eq!(over["state"], "held", "it is used up");
    let inbox = arrived(&bob, 3).await;
    let methods: Vec<&str> =
        inbox.iter().map(|m| m["countersigned"]["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["passphrase", "grant", "grant"], "each says how the human was asked");
    let other = format!("{}{}", "AKIA", "ABCD2345".repeat(2));
    let more = grant(me, peer, Direction::Out);
    alice.human(HumanRequest::Grant(signed(&more, &alice.human))).await;
    assert_eq!(alice.send("bob", &other).await["state"], "held", "another finding");
    assert_eq!(
        alice.send("bob", &format!("{} {}", secret(), "x ".repeat(2500))).await["state"],
        "held"
    );
    let more = alice.send("bob", &format!("more: {}", secret())).await;
    assert_eq!(more["state"], "queued");
}

#[tokio::test]
async fn a_grant_that_was_ended_or_whose_peer_is_revoked_lets_nothing_pass() {
    let (alice, bob) = paired().await;
    let (me, peer) = (id_of(&alice).await, id_of(&bob).await);
    let granted = grant(me, peer, Direction::Out);
    alice.human(HumanRequest::Grant(signed(&granted, &alice.human))).await;
    alice.human(HumanRequest::GrantEnd { id: granted.id.to_string() }).await;
    assert!(alice.grants().await.is_empty());
    assert_eq!(alice.send("bob", &secret()).await["state"], "held");
    // The same signed grant is not taken twice.
    let again = HumanRequest::Grant(signed(&granted, &alice.human));
    assert!(alice.ask(Request::Human(again)).await.is_err());
    let more = grant(me, peer, Direction::Out);
    alice.human(HumanRequest::Grant(signed(&more, &alice.human))).await;
    let alice = alice.restart().await;
    assert_eq!(alice.grants().await.len(), 1, "it is there after a restart");
    alice.agent(AgentRequest::Revoke { peer: "bob".to_owned(), block: false }).await;
    assert!(alice.grants().await.is_empty());
    let alice = alice.restart().await;
    assert!(alice.grants().await.is_empty());
}

#[tokio::test]
async fn a_grant_counts_with_the_approvers_signature_alone() {
    let (alice, bob) = paired().await;
    let (me, peer) = (id_of(&alice).await, id_of(&bob).await);
    let good = grant(me, peer, Direction::Out);
    let stranger = side("Mallory").await;
    let elsewhere = grant(peer, peer, Direction::Out);
    let unknown = grant(me, id_of(&stranger).await, Direction::Out);
    let over = Grant { from: Timestamp::from_ms(1), until: Timestamp::from_ms(2), ..good.clone() };
    let mut bent = signed(&good, &alice.human);
    bent.statement = bent.statement.replace("0a02", "0a03");
    for refused in [
        signed(&good, &bob.human),
        signed(&elsewhere, &alice.human),
        signed(&unknown, &alice.human),
        signed(&over, &alice.human),
        bent,
    ] {
        let error = alice.ask(Request::Human(HumanRequest::Grant(refused))).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    }
    // Neither does a row that somebody wrote.
    let (home, human, folder) = alice.stop().await;
    let forged = good.sign(&bob.human).unwrap();
    let db = rusqlite::Connection::open(home.database_file()).unwrap();
    crate::store::grants::add(&db, &good.id, &forged).unwrap();
    drop(db);
    let alice = Side { folder, ..run(home, human).await };
    assert!(alice.grants().await.is_empty());
    assert_eq!(alice.send("bob", &secret()).await["state"], "held");
}

#[tokio::test]
async fn a_grant_that_does_not_fit_its_item_decides_nothing() {
    let (alice, bob) = paired().await;
    let (me, peer) = (id_of(&alice).await, id_of(&bob).await);
    let held = alice.send("bob", &secret()).await;
    let item = held["pending"].as_str().unwrap();
    let inward = grant(me, peer, Direction::In);
    let refused = alice.approve_with(item, signed(&inward, &alice.human)).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Usage);
    let out = grant(me, peer, Direction::Out);
    let wider = vec!["secret.github_token".to_owned(), "secret.private_key".to_owned()];
    let wider = Grant { rules: wider, ..out.clone() };
    let refused = alice.approve_with(item, signed(&wider, &alice.human)).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Usage, "more rules than were found");
    let forged = grant(me, peer, Direction::Out);
    assert!(alice.approve_with(item, signed(&forged, &bob.human)).await.is_err());
    assert_eq!(alice.state(&held["id"]).await, "held");
    assert!(alice.grants().await.is_empty());
}

#[tokio::test]
async fn a_grant_lets_messages_in_that_would_wait() {
    let (alice, bob) = paired().await;
    let (me, peer) = (id_of(&bob).await, id_of(&alice).await);
    let hidden = format!("a{}b", "\u{200b}".repeat(9));
    // Alice's human lets it out, once and for all; Bob's is asked.
    let rules = vec!["hidden.zero_width_run".to_owned()];
    let base = |node, peer, way| Grant { severity_max: Severity::High, ..grant(node, peer, way) };
    let out = Grant { rules: rules.clone(), ..base(peer, me, Direction::Out) };
    alice.human(HumanRequest::Grant(signed(&out, &alice.human))).await;
    alice.send("bob", &hidden).await;
    let waits = bob.first_pending().await;
    let inward = Grant { rules, messages_max: 1, ..base(me, peer, Direction::In) };
    bob.approve_with(&waits, signed(&inward, &bob.human)).await.unwrap();
    arrived(&bob, 1).await;
    alice.send("bob", &hidden).await;
    arrived(&bob, 2).await;
    assert!(bob.pending().await.is_empty());
    let peers = bob.agent(AgentRequest::Peers { state: None }).await;
    assert_eq!(peers["peers"][0]["grants"][0]["messages_left"], 0);
}

#[tokio::test]
async fn what_a_human_writes_needs_their_signature_and_says_who_wrote_it() {
    let (alice, bob) = paired().await;
    let draft = |text: &str| HumanRequest::Draft {
        to: "bob".to_owned(),
        text: text.to_owned(),
        reply_to: None,
        thread: None,
    };
    let drafted = alice.human(draft(&secret())).await;
    let hex = drafted["envelope"].as_str().unwrap();
    let envelope = Envelope::decode(&HEXLOWER.decode(hex.as_bytes()).unwrap()).unwrap();
    let send = |envelope: &Envelope| HumanRequest::SendDraft {
        envelope: HEXLOWER.encode(envelope.bytes()),
    };
    let by = |key: &ApproverKey, method| {
        let signed =
            crate::wire::Countersignature::sign(&envelope, key, method, clock::now()).unwrap();
        envelope.clone().with_countersignature(signed).unwrap()
    };
    for refused in [envelope.clone(), by(&bob.human, Method::Session)] {
        let error = alice.ask(Request::Human(send(&refused))).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    }
    assert!(bob.inbox().await.is_empty());
    let good = by(&alice.human, Method::Session);
    assert_eq!(alice.human(send(&good)).await["state"], "queued");
    let error = alice.ask(Request::Human(send(&good))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "it is sent once");
    let inbox = arrived(&bob, 1).await;
    assert_eq!(inbox[0]["countersigned"]["method"], "session");
    assert!(bob.pending().await.is_empty(), "its human released the secret");
}

pub(super) fn inline(node: PeerId) -> Grant {
    Grant {
        kind: GrantKind::Inline,
        peer: None,
        rules: Vec::new(),
        ..grant(node, node, Direction::Out)
    }
}

#[tokio::test]
async fn a_clients_yes_counts_where_the_human_signed_that_it_may() {
    let (alice, bob) = paired().await;
    let me = id_of(&alice).await;
    let held = |text: String| {
        let alice = &alice;
        async move { alice.send("bob", &text).await["pending"].as_str().unwrap().to_owned() }
    };
    let yes = |pending: &str| {
        let pending = pending.to_owned();
        Request::Agent(AgentRequest::ClientAnswered { pending, yes: true })
    };
    let first = held(secret()).await;
    assert_eq!(alice.ask(yes(&first)).await.unwrap_err().kind, ErrorKind::Refused, "it is off");
    let rule = inline(me);
    alice.human(HumanRequest::Grant(signed(&rule, &alice.human))).await;
    assert_eq!(alice.ask(yes(&first)).await.unwrap()["method"], "client");
    let twice = alice.ask(yes(&first)).await.unwrap_err();
    assert_eq!(twice.kind, ErrorKind::NotFound, "an item is decided once");
    // Bob's node takes no client's word for Alice's.
    let waits = bob.first_pending().await;
    assert!(bob.inbox().await.is_empty());
    bob.approve(&waits).await;
    assert_eq!(arrived(&bob, 1).await[0]["countersigned"]["method"], "client");
    let long = held(format!("{}{}", "x".repeat(2000), secret())).await;
    let error = alice.ask(yes(&long)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "the client cannot show all of it");
    let second = held(format!("2 {}", secret())).await;
    alice.ask(yes(&second)).await.unwrap();
    let third = held(format!("3 {}", secret())).await;
    assert_eq!(alice.ask(yes(&third)).await.unwrap_err().kind, ErrorKind::Refused, "used up");
    let more = inline(me);
    alice.human(HumanRequest::Grant(signed(&more, &alice.human))).await;
    alice.human(HumanRequest::GrantEnd { id: more.id.to_string() }).await;
    assert_eq!(alice.ask(yes(&third)).await.unwrap_err().kind, ErrorKind::Refused, "ended");
    let verified = alice.human(HumanRequest::AuditVerify).await;
    assert_eq!(verified["ok"], true);
}

#[tokio::test]
async fn a_grant_covers_its_kinds_alone_and_so_many_an_hour_over_a_restart() {
    let (alice, bob) = paired().await;
    let (me, peer) = (id_of(&alice).await, id_of(&bob).await);
    let granted = Grant {
        kinds: vec![Kind::Text],
        per_hour_max: Some(2),
        messages_max: 9,
        ..grant(me, peer, Direction::Out)
    };
    alice.human(HumanRequest::Grant(signed(&granted, &alice.human))).await;
    let listed = &alice.grants().await[0];
    assert_eq!((&listed["kinds"], &listed["per_hour_max"]), (&json!(["text"]), &json!(2)));
    let request = SendRequest {
        to: "bob".to_owned(),
        text: format!("asked: {}", secret()),
        request: true,
        ..SendRequest::default()
    };
    let asked = alice.agent(AgentRequest::Send(request)).await;
    assert_eq!(asked["state"], "held", "a request is no text");
    let texts: Vec<String> = (0..4).map(|n| format!("{n}: {}", secret())).collect();
    assert_eq!(alice.send("bob", &texts[0]).await["state"], "queued");
    let alice = alice.restart().await;
    assert_eq!(alice.send("bob", &texts[1]).await["state"], "queued");
    assert_eq!(alice.send("bob", &texts[2]).await["state"], "held", "two within the hour");
    let alice = alice.restart().await;
    assert_eq!(alice.send("bob", &texts[3]).await["state"], "held", "a restart counts them too");
    assert_eq!(alice.grants().await[0]["messages_left"], 7);
    // A second grant passes what the first has no room for.
    let more = Grant { per_hour_max: None, ..grant(me, peer, Direction::Out) };
    alice.human(HumanRequest::Grant(signed(&more, &alice.human))).await;
    assert_eq!(alice.send("bob", &format!("4: {}", secret())).await["state"], "queued");
    assert_eq!(arrived(&bob, 3).await.len(), 3, "the receiver checks the kinds for itself");
}

#[tokio::test]
async fn what_repeats_what_was_approved_says_so_and_over_a_restart() {
    let (alice, _bob) = paired().await;
    for n in 0..2 {
        let held = alice.send("bob", &format!("{n}: {}", secret())).await;
        assert_eq!(alice.pending().await[0].get("repeats"), (n > 0).then(|| json!(n)).as_ref());
        alice.approve(held["pending"].as_str().unwrap()).await;
    }
    let alice = alice.restart().await;
    let held = alice.send("bob", &format!("3: {}", secret())).await;
    assert_eq!(alice.pending().await[0]["repeats"], 2);
    alice
        .human(HumanRequest::Deny {
            id: held["pending"].as_str().unwrap().to_owned(),
            block: false,
        })
        .await;
    let other = format!("{}{} and {}", "AKIA", "ABCD2345".repeat(2), secret());
    alice.send("bob", &other).await;
    assert_eq!(alice.pending().await[0].get("repeats"), None, "another set of rules");
}
