//! Two nodes in one process, over loopback, with both humans' keys at hand.
#![expect(
    clippy::large_futures,
    reason = "a test may move a whole node, whose net may be simulated"
)]

mod again;
mod audit;
mod budget;
pub(super) mod codes;
mod crash;
mod grants;
mod held;
mod keeping;
mod hostile;
mod mallory;
mod outsiders;
mod page;
mod reading;
mod require;
mod rules;
mod searching;
mod sessions;
mod sim;
mod standing;
mod talk;
mod witness;

use std::{cell::Cell, future::Future, sync::Mutex, time::Duration};

use data_encoding::HEXLOWER;
use serde_json::Value;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    NodeHandle,
    api::{
        AgentRequest, ApiError, ErrorKind, HumanRequest, InboxRequest, Reply, Request, SendRequest,
    },
    clock,
    config::{Config, Home, NetworkConfig, NetworkMode, StorageConfig},
    start::prepare,
};
use crate::{
    base::{ClaimedName, Secret},
    gate::{Answer, Decision, Item, Statement},
    identity::{ApproverKey, SealNonces, SealedApprover},
    policy::Policy,
    store::{keys, seal::Sealer, storage_key::KeyPlace},
    wire::Method,
};

pub(super) struct Side {
    pub(super) home: Home,
    pub(super) human: ApproverKey,
    pub(super) node: NodeHandle,
    tasks: TaskTracker,
    cancel: CancellationToken,
    folder: Option<tempfile::TempDir>,
}

/// No test asks the keyring of whoever runs it.
pub(super) fn in_file() -> StorageConfig {
    StorageConfig { key: Some(KeyPlace::File) }
}

/// The home's database, with the functions that open what is sealed. The node has started before.
pub(super) fn database(home: &Home) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(home.database_file()).unwrap();
    let key = keys::read_storage_key(&home.storage_key_file()).unwrap().unwrap();
    Sealer::new(&key).register(&db).unwrap();
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    db
}

/// A home that is set up, and its human's key.
pub(super) fn home(name: &str) -> (Home, ApproverKey, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path()).unwrap();
    let (seed, sealed) = next_human();
    keys::create_approver(&home.approver_file(), &sealed).unwrap();
    keys::create_identity(&home.identity_file(), &Secret::new(clock::random())).unwrap();
    let network = NetworkConfig { mode: Some(NetworkMode::Loopback), ..NetworkConfig::default() };
    let name = ClaimedName::parse(name).unwrap();
    let config = Config { network, storage: in_file(), ..Config::of(name) };
    keys::write_new(&home.config_file(), config.to_toml().as_bytes()).unwrap();
    (home, ApproverKey::from_seed(&Secret::new(seed)), folder)
}

/// A human with a key of their own, sealed. That takes a tenth of a second and 64 MiB, so tests share their humans:
/// no two homes of one test have the same, and the first home of each test has the first.
pub(super) fn next_human() -> ([u8; 32], SealedApprover) {
    static SEALED: Mutex<Vec<([u8; 32], SealedApprover)>> = Mutex::new(Vec::new());
    // A test is a thread.
    thread_local!(static MET: Cell<usize> = const { Cell::new(0) });
    let next = MET.replace(MET.get() + 1);
    let mut humans = SEALED.lock().unwrap();
    while humans.len() <= next {
        let seed = clock::random();
        let passphrase = Secret::new("maple orbit velvet 93".to_owned());
        let nonces = SealNonces { salt: clock::random(), nonce: clock::random() };
        humans
            .push((seed, SealedApprover::seal(&Secret::new(seed), &passphrase, &nonces).unwrap()));
    }
    humans[next].clone()
}

pub(super) async fn side(name: &str) -> Side {
    let (home, human, folder) = home(name);
    Side { folder: Some(folder), ..run(home, human).await }
}

pub(super) async fn run(home: Home, human: ApproverKey) -> Side {
    run_with(home, human, None).await
}

/// Runs a node, under another policy than its home holds.
pub(super) async fn run_with(home: Home, human: ApproverKey, policy: Option<&str>) -> Side {
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let mut prepared = prepare(&home, &tasks, &cancel).await.unwrap();
    if let Some(text) = policy {
        prepared.node.rules.policy = Policy::parse(text).unwrap().into();
    }
    let node = prepared.go_on(&tasks, &cancel).await.unwrap();
    Side { home, human, node, tasks, cancel, folder: None }
}

impl Side {
    pub(super) async fn ask(&self, request: Request) -> Result<Value, ApiError> {
        let reply: Reply = self.node.ask(request).await?;
        Ok(serde_json::to_value(reply).unwrap())
    }

    pub(super) async fn agent(&self, request: AgentRequest) -> Value {
        self.ask(Request::Agent(request)).await.unwrap()
    }

    pub(super) async fn human(&self, request: HumanRequest) -> Value {
        self.ask(Request::Human(request)).await.unwrap()
    }

    pub(super) async fn decision(
        &self,
        id: &str,
        answer: Answer,
        key: &ApproverKey,
    ) -> HumanRequest {
        self.decision_by(id, (answer, Method::Passphrase), key).await
    }

    pub(super) async fn decision_by(
        &self,
        id: &str,
        (answer, method): (Answer, Method),
        key: &ApproverKey,
    ) -> HumanRequest {
        let shown = self.human(HumanRequest::Show { id: id.to_owned() }).await;
        let bytes = HEXLOWER.decode(shown["bytes"].as_str().unwrap().as_bytes()).unwrap();
        let item = Item::decode(&bytes).unwrap();
        let statement = Statement {
            id: id.parse().unwrap(),
            digest: item.digest(),
            answer,
            method,
            at: clock::now(),
            verified: true,
            after: Vec::new(),
        };
        let decision = Decision::sign(&item, &statement, key).unwrap();
        HumanRequest::Decide {
            id: id.to_owned(),
            statement: HEXLOWER.encode(&decision.statement),
            signature: HEXLOWER.encode(&decision.signature),
            seal: HEXLOWER.encode(&decision.seal),
            block: false,
            grant: None,
        }
    }

    pub(super) async fn approve(&self, id: &str) -> Value {
        let request = self.decision(id, Answer::Approve, &self.human).await;
        self.human(request).await
    }

    pub(super) async fn pending(&self) -> Vec<Value> {
        self.human(HumanRequest::Pending).await["items"].as_array().unwrap().clone()
    }

    pub(super) async fn first_pending(&self) -> String {
        until(async || Some(self.pending().await.first()?["id"].as_str()?.to_owned())).await
    }

    pub(super) async fn state_of(&self, peer: &str) -> String {
        let peers = self.agent(AgentRequest::Peers { state: None }).await;
        let found = peers["peers"].as_array().unwrap().iter().find(|p| p["name"] == peer).cloned();
        found.map_or_else(String::new, |p| p["state"].as_str().unwrap().to_owned())
    }

    pub(super) async fn send(&self, to: &str, text: &str) -> Value {
        let (to, text) = (to.to_owned(), text.to_owned());
        self.agent(AgentRequest::Send(SendRequest { to, text, ..SendRequest::default() })).await
    }

    pub(super) async fn inbox(&self) -> Vec<Value> {
        let all = InboxRequest { limit: Some(100), ..InboxRequest::default() };
        self.agent(AgentRequest::Inbox(all)).await["messages"].as_array().unwrap().clone()
    }

    pub(super) async fn state(&self, id: &Value) -> String {
        let id = id.as_str().unwrap().to_owned();
        self.agent(AgentRequest::Message { id }).await["state"].as_str().unwrap().to_owned()
    }

    pub(super) async fn stop(self) -> (Home, ApproverKey, Option<tempfile::TempDir>) {
        self.cancel.cancel();
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(10), self.tasks.wait()).await.unwrap();
        (self.home, self.human, self.folder)
    }

    pub(super) async fn restart(self) -> Self {
        let (home, human, folder) = self.stop().await;
        Self { folder, ..run(home, human).await }
    }

    pub(super) async fn restart_with(self, policy: &str) -> Self {
        let (home, human, folder) = self.stop().await;
        Self { folder, ..run_with(home, human, Some(policy)).await }
    }
}

/// Asks again until there is an answer, for at most 20 s.
pub(super) async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    for _ in 0..800 {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it did not come about in 20 s");
}

pub(super) async fn trusted(one: &Side, other: &str) {
    until(async || (one.state_of(other).await == "trusted").then_some(())).await;
}

pub(super) async fn paired() -> (Side, Side) {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    pair(&alice, &bob).await;
    (alice, bob)
}

/// Both have asked their humans; gives what waits at each.
pub(super) async fn asked(alice: &Side, bob: &Side) -> (String, String) {
    let invite =
        alice.agent(AgentRequest::Invite { note: None, expires_minutes: None, code: false }).await;
    let invite = invite["invite"].as_str().unwrap().to_owned();
    let connected = bob.agent(AgentRequest::Connect { invite, name: None, note: None }).await;
    assert_eq!(connected["state"], "requested");
    let (waits, asked) = (bob.first_pending().await, alice.first_pending().await);
    assert_eq!(connected["pending"], waits);
    let words = |items: Vec<Value>| items[0]["words"].clone();
    assert_eq!(words(alice.pending().await), words(bob.pending().await));
    assert_eq!(words(alice.pending().await).as_array().unwrap().len(), 4);
    (asked, waits)
}

async fn pair(alice: &Side, bob: &Side) {
    let (asked, waits) = asked(alice, bob).await;
    alice.approve(&asked).await;
    bob.approve(&waits).await;
    trusted(alice, "bob").await;
    trusted(bob, "alice").await;
}

pub(super) async fn arrived(side: &Side, count: usize) -> Vec<Value> {
    until(async || Some(side.inbox().await).filter(|inbox| inbox.len() >= count)).await
}
