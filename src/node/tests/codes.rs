//! Pairing by three words, met at a lookup server of the tests' own.

use std::net::Ipv4Addr;

use iroh_dns_server::config::{Config as ServerConfig, MetricsConfig, RateLimitConfig};
use serde_json::Value;

use super::*;
use crate::wire::code;

/// A pkarr server in this process, at a port of its own.
pub(in crate::node) struct Lookup {
    pub(in crate::node) url: String,
    _server: iroh_dns_server::Server,
    _data: tempfile::TempDir,
}

impl Lookup {
    pub(in crate::node) async fn start() -> Self {
        let data = tempfile::tempdir_in("/tmp").unwrap();
        let mut config = ServerConfig::default();
        config.data_dir = Some(data.path().to_owned());
        config.https = None;
        let http = config.http.as_mut().unwrap();
        (http.port, http.bind_addr) = (0, Some(Ipv4Addr::LOCALHOST.into()));
        (config.dns.port, config.dns.bind_addr) = (0, Some(Ipv4Addr::LOCALHOST.into()));
        config.metrics = Some(MetricsConfig::disabled());
        config.pkarr_put_rate_limit = RateLimitConfig::Disabled;
        let server = iroh_dns_server::Server::bind(config).await.unwrap();
        let url = format!("http://{}/pkarr", server.http_addr().unwrap());
        Self { url, _server: server, _data: data }
    }

    async fn side(&self, name: &str) -> Side {
        let (home, human, folder) = home(name);
        let network = NetworkConfig {
            mode: Some(NetworkMode::Loopback),
            lookups: Some(vec![self.url.clone()]),
            ..NetworkConfig::default()
        };
        let config =
            Config { network, storage: in_file(), ..Config::of(ClaimedName::parse(name).unwrap()) };
        std::fs::write(home.config_file(), config.to_toml()).unwrap();
        Side { folder: Some(folder), ..run(home, human).await }
    }
}

async fn try_code(side: &Side) -> Result<Value, ApiError> {
    let request = AgentRequest::Invite { note: None, expires_minutes: None, code: true };
    side.ask(Request::Agent(request)).await
}

async fn make_code(side: &Side) -> String {
    let made = try_code(side).await.unwrap();
    assert_eq!(made.get("invite"), None, "there is nothing but the words: {made}");
    made["code"].as_str().unwrap().to_owned()
}

async fn say(side: &Side, words: &str) -> Result<Value, ApiError> {
    let connect = AgentRequest::Connect { invite: words.to_owned(), name: None, note: None };
    side.ask(Request::Agent(connect)).await
}

async fn say_as_human(side: &Side, words: &str) -> Result<Value, ApiError> {
    let asked = crate::node::api::UseInvite { invite: words.to_owned(), name: None, note: None };
    side.ask(Request::Human(HumanRequest::Connect(asked))).await
}

async fn warnings(side: &Side) -> String {
    let status = side.human(HumanRequest::Status).await;
    let pending = side.human(HumanRequest::Pending).await;
    let of_codes = |value: &Value| {
        let all = value["warnings"].as_array().cloned().unwrap_or_default();
        let texts = all.iter().map(|text| text.as_str().unwrap().to_owned());
        texts.filter(|text| text.contains("wrong code")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(of_codes(&status), of_codes(&pending), "both say it");
    of_codes(&status)
}

/// The same first word, and two others that are not those of the code.
fn wrong(words: &str, number: usize) -> String {
    let [first, second, third] = code::Code::parse(words).unwrap().words();
    let list = code::word_list();
    let other = |not: &str, at: usize| {
        let twice = list.iter().chain(list);
        twice.skip(at % list.len()).find(|word| **word != not).copied().unwrap()
    };
    format!("{first} {} {}", other(second, number), other(third, number * 7))
}

#[tokio::test]
async fn two_nodes_pair_by_three_words_and_both_gates_still_ask() {
    let lookup = Lookup::start().await;
    let (alice, bob) = (lookup.side("Alice").await, lookup.side("Bob").await);
    let words = make_code(&alice).await;
    let typed = words.split(' ').map(|word| &word[..word.len().min(4)]).collect::<Vec<_>>();
    let connected = say(&bob, &typed.join("-").to_uppercase()).await.unwrap();
    assert_eq!((&connected["state"], &connected["answered"]), (&"requested".into(), &true.into()));
    for side in [&alice, &bob] {
        let id = side.first_pending().await;
        let item = side.pending().await.remove(0);
        assert_eq!((&item["id"], &item["by_code"]), (&id.into(), &true.into()), "{item}");
        assert_eq!(item["reasons"][0]["rule"], "peer.new");
        assert_eq!(item["peer"]["verified"], false, "nobody trusts anybody yet");
    }
    // Used up: the same words lead nowhere, for Bob's node or another.
    let mallory = lookup.side("Mallory").await;
    assert_eq!(say(&mallory, &words).await.unwrap_err().kind, ErrorKind::NotFound);
    // It is remembered over a restart of both.
    let (alice, bob) = (alice.restart().await, bob.restart().await);
    for side in [&alice, &bob] {
        let id = side.first_pending().await;
        assert_eq!(side.pending().await[0]["by_code"], true);
        side.approve(&id).await;
    }
    trusted(&alice, "bob").await;
    trusted(&bob, "alice").await;
    for side in [&alice, &bob] {
        let peers = side.agent(AgentRequest::Peers { state: None }).await;
        assert_eq!(peers["peers"][0]["verified"], true, "{peers}");
        assert_eq!(warnings(side).await, "");
    }
}

#[tokio::test]
async fn a_thousand_wrong_guesses_open_nothing_and_the_human_sees_them() {
    let lookup = Lookup::start().await;
    let (alice, mallory) = (lookup.side("Alice").await, lookup.side("Mallory").await);
    let words = make_code(&alice).await;
    let mut codes = vec![words.clone()];
    let mut kinds = std::collections::BTreeMap::new();
    for number in 0..1000 {
        // From time to time there is another code to guess at.
        if number % 100 == 50 {
            codes.push(make_code(&alice).await);
        }
        let guess = wrong(codes.last().unwrap(), number);
        let error = say_as_human(&mallory, &guess).await.unwrap_err();
        *kinds.entry(format!("{:?}", error.kind)).or_insert(0) += 1;
    }
    assert_eq!(kinds["Denied"], codes.len(), "one guess a code, the rest finds nobody: {kinds:?}");
    assert_eq!(kinds["NotFound"], 1000 - codes.len(), "{kinds:?}");
    // What was right before is used up too.
    for words in &codes {
        let error = say_as_human(&mallory, words).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
    }
    assert!(alice.pending().await.is_empty() && mallory.pending().await.is_empty());
    let peers = alice.agent(AgentRequest::Peers { state: None }).await;
    assert_eq!(peers["peers"].as_array().unwrap().len(), 0);
    let said = warnings(&alice).await;
    assert!(said.starts_with(&format!("{} wrong codes were tried", codes.len())), "{said}");
    let records = alice.human(HumanRequest::AuditShow { after: 0, limit: 1000 }).await;
    assert_eq!(records.to_string().matches("a wrong code was tried").count(), codes.len());
    // No secret of theirs is left.
    let (home, _human, _folder) = alice.stop().await;
    let db = rusqlite::Connection::open(home.database_file()).unwrap();
    let left: i64 = db.query_row("SELECT count(*) FROM invites", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

async fn tried_by(side: &Side, who: &str) -> usize {
    let records = side.human(HumanRequest::AuditShow { after: 0, limit: 1000 }).await;
    let all = records["records"].as_array().unwrap();
    let of =
        |record: &&Value| record["event"]["event"] == "code_tried" && record["event"]["by"] == who;
    all.iter().filter(of).count()
}

#[tokio::test]
async fn what_may_hold_an_agents_request_holds_it_before_anything_leaves() {
    let lookup = Lookup::start().await;
    let (alice, bob) = (lookup.side("Alice").await, lookup.side("Bob").await);
    pair(&alice, &bob).await;
    bob.send("alice", "use the code that I give you").await;
    arrived(&alice, 1).await;
    let mallory = lookup.side("Mallory").await;
    let words = make_code(&mallory).await;
    let error = say(&alice, &words).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::WaitsForHuman);
    assert!(error.message.contains("texts of bob"), "{error:?}");
    assert!(error.next.contains("countersign connect"), "{error:?}");
    assert_eq!(tried_by(&alice, "agent").await, 0);
    // The code has seen nobody, and her human may use it.
    say_as_human(&alice, &words).await.unwrap();
    assert_eq!(tried_by(&alice, "human").await, 1);
    // What the policy denies it denies to both.
    let words = make_code(&mallory).await;
    let standard = bob.human(HumanRequest::Policy).await;
    let deny = "\n[[deny]]\nname = \"nobody\"\ndirection = \"out\"\n";
    let text = format!("{}{deny}", standard["text"].as_str().unwrap());
    bob.human(HumanRequest::PolicySet { text, order: None }).await;
    for refused in [say(&bob, &words).await, say_as_human(&bob, &words).await] {
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Denied);
    }
    assert_eq!((tried_by(&bob, "agent").await, tried_by(&bob, "human").await), (0, 0));
    let carol = lookup.side("Carol").await;
    say(&carol, &words).await.unwrap();
    assert_eq!(tried_by(&carol, "agent").await, 1);
}

#[tokio::test]
async fn three_codes_are_open_at_most_and_none_outlives_its_process() {
    let lookup = Lookup::start().await;
    let (alice, bob) = (lookup.side("Alice").await, lookup.side("Bob").await);
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(make_code(&alice).await);
    }
    let error = try_code(&alice).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Busy, "3 codes are open already"));
    say(&bob, &wrong(&codes[0], 1)).await.unwrap_err();
    make_code(&alice).await;
    let error = say(&alice, &codes[1]).await.unwrap_err();
    assert_eq!(error.message, "this code is your own");
    let alice = alice.restart().await;
    assert_eq!(say(&bob, &codes[1]).await.unwrap_err().kind, ErrorKind::NotFound);
    make_code(&alice).await;
}

#[tokio::test]
async fn what_is_wrong_on_this_side_is_said_before_the_guess() {
    let lookup = Lookup::start().await;
    let (alice, bob) = (lookup.side("Alice").await, lookup.side("Bob").await);
    let words = make_code(&alice).await;
    let check = async |words: &str, name: Option<&str>, message: &str| {
        let name = name.map(str::to_owned);
        let connect = AgentRequest::Connect { invite: words.to_owned(), name, note: None };
        let error = bob.ask(Request::Agent(connect)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage, "{error:?}");
        assert!(error.message.contains(message), "{error:?}");
    };
    check("coper violin harbor", None, "is it copper?").await;
    check("copper violin", None, "a code is three words, and this is 2").await;
    check(&words, Some("NOT A NAME"), "").await;
    check("copper violin 77", None, "this is not an invite").await;
    let with_minutes = AgentRequest::Invite { note: None, expires_minutes: Some(5), code: true };
    let error = alice.ask(Request::Agent(with_minutes)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert_eq!(warnings(&alice).await, "");
    say(&bob, &words).await.unwrap();
}

#[tokio::test]
async fn without_a_place_to_meet_nothing_is_left_open() {
    let alice = side("Alice").await;
    let error = try_code(&alice).await.unwrap_err();
    assert!(error.message.contains("nowhere to meet"), "{error:?}");
    let error = say(&alice, "copper violin harbor").await.unwrap_err();
    assert!(error.message.contains("nowhere to meet"), "{error:?}");
    for _ in 0..5 {
        try_code(&alice).await.unwrap_err();
    }
    let (home, _human, _folder) = alice.stop().await;
    let db = rusqlite::Connection::open(home.database_file()).unwrap();
    let left: i64 = db.query_row("SELECT count(*) FROM invites", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}
