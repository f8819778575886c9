//! Two nodes in one process, over loopback, with both humans' keys at hand.

mod hostile;

use std::{future::Future, time::Duration};

use data_encoding::HEXLOWER;
use serde_json::Value;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    NodeHandle,
    api::{
        AgentRequest, ApiError, ErrorKind, HumanRequest, InboxRequest, Reply, Request, SendRequest,
    },
    clock,
    config::{Config, Home, NetworkConfig, NetworkMode},
    start,
};
use crate::{
    base::{ClaimedName, Secret},
    gate::{Answer, Decision, Item, Statement},
    identity::{ApproverKey, SealNonces, SealedApprover},
    store::keys,
    wire::Method,
};

struct Side {
    home: Home,
    human: ApproverKey,
    node: NodeHandle,
    tasks: TaskTracker,
    cancel: CancellationToken,
    folder: Option<tempfile::TempDir>,
}

async fn side(name: &str) -> Side {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path()).unwrap();
    let seed = clock::random();
    let passphrase = Secret::new("maple orbit velvet 93".to_owned());
    let nonces = SealNonces { salt: clock::random(), nonce: clock::random() };
    let sealed = SealedApprover::seal(&Secret::new(seed), &passphrase, &nonces).unwrap();
    keys::create_approver(&home.approver_file(), &sealed).unwrap();
    keys::create_identity(&home.identity_file(), &Secret::new(clock::random())).unwrap();
    let network = NetworkConfig { mode: Some(NetworkMode::Loopback), ..NetworkConfig::default() };
    let config = Config { name: ClaimedName::parse(name).unwrap(), network };
    keys::write_new(&home.config_file(), config.to_toml().as_bytes()).unwrap();
    let human = ApproverKey::from_seed(&Secret::new(seed));
    Side { folder: Some(folder), ..run(home, human).await }
}

async fn run(home: Home, human: ApproverKey) -> Side {
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let node = start(&home, &tasks, &cancel).await.unwrap();
    Side { home, human, node, tasks, cancel, folder: None }
}

impl Side {
    async fn ask(&self, request: Request) -> Result<Value, ApiError> {
        let reply: Reply = self.node.ask(request).await?;
        Ok(serde_json::to_value(reply).unwrap())
    }

    async fn agent(&self, request: AgentRequest) -> Value {
        self.ask(Request::Agent(request)).await.unwrap()
    }

    async fn human(&self, request: HumanRequest) -> Value {
        self.ask(Request::Human(request)).await.unwrap()
    }

    async fn decision(&self, id: &str, answer: Answer, key: &ApproverKey) -> HumanRequest {
        let shown = self.human(HumanRequest::Show { id: id.to_owned() }).await;
        let bytes = HEXLOWER.decode(shown["bytes"].as_str().unwrap().as_bytes()).unwrap();
        let item = Item::decode(&bytes).unwrap();
        let statement = Statement {
            id: id.parse().unwrap(),
            digest: item.digest(),
            answer,
            method: Method::Passphrase,
            at: clock::now(),
            verified: true,
        };
        let decision = Decision::sign(&item, &statement, key).unwrap();
        HumanRequest::Decide {
            id: id.to_owned(),
            statement: HEXLOWER.encode(&decision.statement),
            signature: HEXLOWER.encode(&decision.signature),
            seal: HEXLOWER.encode(&decision.seal),
            block: false,
        }
    }

    async fn approve(&self, id: &str) -> Value {
        let request = self.decision(id, Answer::Approve, &self.human).await;
        self.human(request).await
    }

    async fn pending(&self) -> Vec<Value> {
        self.human(HumanRequest::Pending).await["items"].as_array().unwrap().clone()
    }

    async fn first_pending(&self) -> String {
        until(async || Some(self.pending().await.first()?["id"].as_str()?.to_owned())).await
    }

    async fn state_of(&self, peer: &str) -> String {
        let peers = self.agent(AgentRequest::Peers { state: None }).await;
        let found = peers["peers"].as_array().unwrap().iter().find(|p| p["name"] == peer).cloned();
        found.map_or_else(String::new, |p| p["state"].as_str().unwrap().to_owned())
    }

    async fn send(&self, to: &str, text: &str) -> Value {
        let (to, text) = (to.to_owned(), text.to_owned());
        self.agent(AgentRequest::Send(SendRequest { to, text, ..SendRequest::default() })).await
    }

    async fn inbox(&self) -> Vec<Value> {
        let all = InboxRequest { limit: Some(100), ..InboxRequest::default() };
        self.agent(AgentRequest::Inbox(all)).await["messages"].as_array().unwrap().clone()
    }

    async fn state(&self, id: &Value) -> String {
        let id = id.as_str().unwrap().to_owned();
        self.agent(AgentRequest::Message { id }).await["state"].as_str().unwrap().to_owned()
    }

    async fn stop(self) -> (Home, ApproverKey, Option<tempfile::TempDir>) {
        self.cancel.cancel();
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(10), self.tasks.wait()).await.unwrap();
        (self.home, self.human, self.folder)
    }

    async fn restart(self) -> Self {
        let (home, human, folder) = self.stop().await;
        Self { folder, ..run(home, human).await }
    }
}

/// Asks again until there is an answer, for at most 20 s.
async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    for _ in 0..800 {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it did not come about in 20 s");
}

async fn trusted(one: &Side, other: &str) {
    until(async || (one.state_of(other).await == "trusted").then_some(())).await;
}

async fn paired() -> (Side, Side) {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    let invite = alice.agent(AgentRequest::Invite { note: None, expires_minutes: None }).await;
    let invite = invite["invite"].as_str().unwrap().to_owned();
    let connected = bob.agent(AgentRequest::Connect { invite, name: None, note: None }).await;
    assert_eq!(connected["state"], "requested");
    let (waits, asked) = (bob.first_pending().await, alice.first_pending().await);
    assert_eq!(connected["pending"], waits);
    let words = |items: Vec<Value>| items[0]["words"].clone();
    assert_eq!(words(alice.pending().await), words(bob.pending().await));
    assert_eq!(words(alice.pending().await).as_array().unwrap().len(), 4);
    alice.approve(&asked).await;
    bob.approve(&waits).await;
    trusted(&alice, "bob").await;
    trusted(&bob, "alice").await;
    (alice, bob)
}

async fn arrived(side: &Side, count: usize) -> Vec<Value> {
    until(async || Some(side.inbox().await).filter(|inbox| inbox.len() >= count)).await
}

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
    let denied = alice.send("bob", &secret).await;
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
    assert!(warning.contains("signature on the consent is missing"), "{warning}");
    drop(bob);
}
