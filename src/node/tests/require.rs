//! Countersignatures on demand between two nodes.

use super::{
    grants::{grant, inline, secret, signed},
    mallory::{bob_and_mallory, id_of},
    *,
};
use crate::{
    gate,
    wire::{Countersignature, Direction, Envelope},
};

/// Bob takes requests and secrets only with the passphrase.
const DEMANDING: &str = r#"
version = 1
[[require]]
name = "requests"
kinds = ["request"]
strength = "passphrase"
[[require]]
name = "secrets"
findings = ["secret.*"]
strength = "passphrase"
[[allow]]
name = "all"
"#;

const REQUEST: &str = "messages of kind request need a countersignature by passphrase or better";
const SECRETS: &str =
    "messages with findings of secret* need a countersignature by passphrase or better";

impl Side {
    /// What stands at a peer in one of its lists.
    async fn of_peer(&self, peer: &str, list: &str) -> Vec<String> {
        let peers = self.agent(AgentRequest::Peers { state: None }).await;
        let found = peers["peers"].as_array().unwrap().iter().find(|p| p["name"] == peer).cloned();
        let list = found.unwrap().get(list).cloned().unwrap_or(Value::Array(Vec::new()));
        serde_json::from_value(list).unwrap()
    }

    async fn ask_for(&self, to: &str, text: &str) -> Value {
        let (to, text) = (to.to_owned(), text.to_owned());
        let request = SendRequest { to, text, request: true, ..SendRequest::default() };
        self.agent(AgentRequest::Send(request)).await
    }

    async fn history(&self, id: &Value) -> Vec<Value> {
        let id = id.as_str().unwrap().to_owned();
        let life = self.agent(AgentRequest::Message { id }).await;
        life["history"].as_array().unwrap().clone()
    }

    async fn decide_by(&self, id: &str, method: Method) -> Result<Value, ApiError> {
        let request = self.decision_by(id, (Answer::Approve, method), &self.human).await;
        self.ask(Request::Human(request)).await
    }
}

/// Alice, and Bob under [`DEMANDING`], whom she has heard.
async fn told() -> (Side, Side) {
    let (alice, bob) = paired().await;
    let bob = bob.restart_with(DEMANDING).await;
    until(async || (alice.of_peer("bob", "requires").await.len() == 2).then_some(())).await;
    (alice, bob)
}

#[tokio::test]
async fn both_sides_see_what_one_requires() {
    let (alice, bob) = told().await;
    let mut requires = alice.of_peer("bob", "requires").await;
    requires.sort();
    assert_eq!(requires, [REQUEST, SECRETS]);
    assert!(alice.of_peer("bob", "we_require").await.is_empty());
    let mut ours = bob.of_peer("alice", "we_require").await;
    ours.sort();
    assert_eq!(ours, [REQUEST, SECRETS]);
    assert!(bob.of_peer("alice", "requires").await.is_empty());
    // Kept while Bob is away, and gone when he requires it no more.
    let (home, human, _folder) = bob.stop().await;
    let alice = alice.restart().await;
    assert_eq!(alice.of_peer("bob", "requires").await.len(), 2);
    let _bob = run(home, human).await;
    until(async || alice.of_peer("bob", "requires").await.is_empty().then_some(())).await;
    let alice = alice.restart().await;
    assert!(alice.of_peer("bob", "requires").await.is_empty());
}

#[tokio::test]
async fn what_the_receiver_requires_is_asked_for_before_it_leaves() {
    let (alice, bob) = told().await;
    let plain = alice.send("bob", "a plain text").await;
    assert_eq!(plain["state"], "queued", "it is about other messages");
    let held = alice.ask_for("bob", "please do it").await;
    assert_eq!(held["state"], "held", "{held:#}");
    let reason = &held["findings"][0];
    assert_eq!(reason["rule"], gate::PEER_REQUIRES);
    let text = "bob takes this only with your countersignature (passphrase or better)";
    assert_eq!(reason["text"], text);
    let waits = alice.pending().await;
    assert_eq!(waits[0]["strength"], "passphrase");
    let item = held["pending"].as_str().unwrap();
    let weak = alice.decide_by(item, Method::Session).await.unwrap_err();
    assert!(weak.message.contains("passphrase or better"), "{}", weak.message);
    assert_eq!(alice.pending().await.len(), 1, "it still waits");
    alice.approve(item).await;
    let inbox = arrived(&bob, 2).await;
    let request = inbox.iter().find(|message| message["kind"] == "request").unwrap();
    assert_eq!(request["countersigned"]["method"], "passphrase");
}

#[tokio::test]
async fn no_grant_covers_what_the_receiver_wants_a_human_for() {
    let (alice, bob) = told().await;
    let (me, peer) = (id_of(&alice), id_of(&bob));
    for grant in [grant(me, peer, Direction::Out), inline(me)] {
        alice.human(HumanRequest::Grant(signed(&grant, &alice.human))).await;
    }
    let held = alice.send("bob", &secret()).await;
    assert_eq!(held["state"], "held", "{held:#}");
    let pending = held["pending"].as_str().unwrap().to_owned();
    let yes = Request::Agent(AgentRequest::ClientAnswered { pending, yes: true });
    assert_eq!(alice.ask(yes).await.unwrap_err().kind, ErrorKind::Refused);
    assert_eq!(alice.state(&held["id"]).await, "held");
}

/// An item that was held before its receiver was heard is as demanding as a later one.
#[tokio::test]
async fn what_waits_already_needs_what_the_receiver_says_now() {
    let (alice, bob) = paired().await;
    alice.human(HumanRequest::Grant(signed(&inline(id_of(&alice)), &alice.human))).await;
    let held = alice.send("bob", &secret()).await;
    let pending = held["pending"].as_str().unwrap().to_owned();
    let _bob = bob.restart_with(DEMANDING).await;
    until(async || (!alice.of_peer("bob", "requires").await.is_empty()).then_some(())).await;
    let id = pending.clone();
    let yes = Request::Agent(AgentRequest::ClientAnswered { pending: id, yes: true });
    assert_eq!(alice.ask(yes).await.unwrap_err().kind, ErrorKind::Refused);
    assert!(alice.decide_by(&pending, Method::Session).await.is_err());
    alice.decide_by(&pending, Method::Passphrase).await.unwrap();
}

#[tokio::test]
async fn what_our_human_writes_is_signed_well_enough_or_not_sent() {
    let (alice, _bob) = told().await;
    let secret = secret();
    for (text, method, strength, sent) in [
        ("hello", Method::Session, Value::Null, true),
        (&*secret, Method::Session, Value::from("passphrase"), false),
        (&*secret, Method::Passphrase, Value::from("passphrase"), true),
    ] {
        let (to, text) = ("bob".to_owned(), text.to_owned());
        let draft = HumanRequest::Draft { to, text, reply_to: None, thread: None };
        let drafted = alice.human(draft).await;
        assert_eq!(drafted["strength"], strength);
        let bytes = HEXLOWER.decode(drafted["envelope"].as_str().unwrap().as_bytes()).unwrap();
        let envelope = Envelope::decode(&bytes).unwrap();
        let seal = Countersignature::sign(&envelope, &alice.human, method, clock::now()).unwrap();
        let signed = HEXLOWER.encode(envelope.with_countersignature(seal).unwrap().bytes());
        let send = Request::Human(HumanRequest::SendDraft { envelope: signed });
        assert_eq!(alice.ask(send).await.is_ok(), sent, "{method}");
    }
}

#[tokio::test]
async fn a_message_that_left_before_the_receiver_was_heard_is_refused_with_the_reason() {
    let (alice, bob) = paired().await;
    let (home, human, _folder) = bob.stop().await;
    let sent = alice.ask_for("bob", "please do it").await;
    assert_eq!(sent["state"], "queued", "alice does not know yet");
    let bob = run_with(home, human, Some(DEMANDING)).await;
    until(async || (alice.state(&sent["id"]).await == "refused").then_some(())).await;
    let last = alice.history(&sent["id"]).await.pop().unwrap();
    let reason = "the receiver takes this only with its sender's human's countersignature \
                  (passphrase or better): messages of kind request";
    assert_eq!(last["reason"], reason);
    assert!(bob.inbox().await.is_empty());
    assert!(bob.pending().await.is_empty(), "nobody was asked");
}

#[tokio::test]
async fn a_peer_says_what_it_likes_and_only_what_we_know_counts() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let say = |features: &[&str]| features.iter().map(|text| (*text).to_owned()).collect();
    let said = [
        "need.session.kind.text",
        "need.session.kind.text",
        "need.telepathy.all",
        "need.client.all",
        "NEED.grant.all",
        "card",
        "\u{1b}[2J",
    ];
    mallory.net.set_features(mallory.bob, say(&said));
    mallory.link_up().await;
    until(async || (bob.of_peer("mallory", "requires").await.len() == 1).then_some(())).await;
    let told = bob.of_peer("mallory", "requires").await;
    assert_eq!(told, ["messages of kind text need a countersignature by session or better"]);
    let held = bob.send("mallory", "hello").await;
    assert_eq!(held["state"], "held");
    bob.decide_by(held["pending"].as_str().unwrap(), Method::Session).await.unwrap();
    assert_eq!(bob.state_of("carol").await, "trusted");
    assert_eq!(bob.send("carol", "hello").await["state"], "queued", "it is about mallory alone");
}
