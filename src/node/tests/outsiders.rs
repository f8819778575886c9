//! What agents, processes of the same user and peers might try.

use rusqlite::Connection;

use super::{
    super::{
        api::UseInvite,
        pairs::{dial_later, new_entry},
    },
    *,
};
use crate::{
    base::{ApproverId, Digest, InviteId, PeerId, PendingId, Timestamp},
    delivery::pairing::Pairing,
    store::pairings,
    wire::pair::Knock,
};

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
    let (seed, sealed) = next_human();
    std::fs::remove_file(home.approver_file()).unwrap();
    keys::create_approver(&home.approver_file(), &sealed).unwrap();
    let other = ApproverKey::from_seed(&Secret::new(seed));
    let bob = Side { folder, ..run(home, other).await };
    assert_eq!(bob.state_of("alice").await, "revoked");
    let yes = bob.decision(&bob.first_pending().await, Answer::Approve, &bob.human).await;
    assert_eq!(bob.node.human(yes).await.unwrap_err().kind, ErrorKind::Refused);
    assert_eq!(bob.ask(read(&id)).await.unwrap_err().kind, ErrorKind::WaitsForHuman);
}

#[tokio::test]
async fn what_ends_trust_counts_even_while_trust_is_written() {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    let invite =
        alice.agent(AgentRequest::Invite { note: None, expires_minutes: None, code: false }).await;
    let invite = invite["invite"].as_str().unwrap().to_owned();
    bob.agent(AgentRequest::Connect { invite, name: None, note: None }).await;
    alice.approve(&alice.first_pending().await).await;
    // Alice's disk is busy when Bob's consent comes, and Alice changes her mind meanwhile.
    let disk = database(&alice.home);
    until(async || pairings::all_pairings(&disk).unwrap()[0].ours.map(drop)).await;
    disk.execute_batch("BEGIN IMMEDIATE").unwrap();
    bob.approve(&bob.first_pending().await).await;
    trusted(&bob, "alice").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let revoke = alice.agent(AgentRequest::Revoke { peer: "bob".into(), block: false });
    let disk = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        disk.execute_batch("ROLLBACK").unwrap();
    };
    let (revoked, ()) = tokio::join!(revoke, disk);
    assert_eq!(revoked["state"], "revoked");
    assert_eq!(alice.state_of("bob").await, "revoked");
}

#[tokio::test]
async fn what_was_signed_of_something_else_makes_nobody_verified() {
    let (alice, bob) = paired().await;
    let secret = ["key: AKIA", "ABCDEFGHIJKLMNOP"].concat();
    let held = alice.send("bob", &secret).await;
    // Signed with `verified`, as no command of ours would.
    alice.approve(held["pending"].as_str().unwrap()).await;
    let alice = alice.restart().await;
    let peer = |peers: Value| peers["peers"][0].clone();
    let all = || AgentRequest::Peers { state: None };
    assert_eq!(peer(alice.agent(all()).await)["verified"], true);
    let (home, human, folder) = alice.stop().await;
    Connection::open(home.database_file())
        .unwrap()
        .execute_batch(
            "UPDATE peers SET claim = 'Carol', (statement, signature) =
             (SELECT statement, signature FROM decisions ORDER BY at_ms DESC LIMIT 1)",
        )
        .unwrap();
    let alice = Side { folder, ..run(home, human).await };
    let bob_there = peer(alice.agent(all()).await);
    assert_eq!((&bob_there["state"], &bob_there["verified"]), (&"trusted".into(), &false.into()));
    assert_eq!(bob_there["claim"], "Bob", "as the human signed it");
    drop(bob);
}

#[tokio::test]
async fn an_agent_does_not_lift_a_block() {
    let (alice, bob) = paired().await;
    alice.agent(AgentRequest::Revoke { peer: "bob".into(), block: true }).await;
    let invite =
        bob.agent(AgentRequest::Invite { note: None, expires_minutes: None, code: false }).await;
    let invite = invite["invite"].as_str().unwrap().to_owned();
    let asked = AgentRequest::Connect { invite, name: None, note: None };
    assert_eq!(alice.agent(asked).await["state"], "requested");
    assert_eq!(alice.pending().await[0]["reasons"][1]["rule"], "peer.blocked");
    alice.agent(AgentRequest::Revoke { peer: "bob".into(), block: false }).await;
    assert_eq!(alice.state_of("bob").await, "blocked");
}

#[tokio::test]
async fn a_secret_in_a_note_is_told_and_a_start_names_the_approver() {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    let invite =
        alice.agent(AgentRequest::Invite { note: None, expires_minutes: None, code: false }).await;
    let invite = invite["invite"].as_str().unwrap().to_owned();
    let note = Some(["AKIA", "ABCDEFGHIJKLMNOP"].concat());
    bob.agent(AgentRequest::Connect { invite, name: None, note }).await;
    assert_eq!(bob.pending().await[0]["reasons"][1]["rule"], "secret.aws_access_key");
    let audit = bob.human(HumanRequest::AuditShow { after: 0, limit: 1 }).await;
    assert_eq!(audit["records"][0]["event"]["approver"], bob.human.id().to_string());
}

fn silent_stranger() -> Pairing {
    let knock = Knock {
        proof: Digest::from_bytes([1; 32]),
        commitment: Digest::from_bytes([2; 32]),
        approver: ApproverId::from_bytes([3; 32]),
        name: ClaimedName::parse("x").unwrap(),
        created: Timestamp::from_ms(1),
    };
    Pairing::inviter(PeerId::from_bytes([4; 32]), InviteId::from_bytes([5; 16]), &knock, [6; 16])
}

#[tokio::test]
async fn a_stranger_that_knocked_and_is_silent_is_forgotten_with_its_invite() {
    let (home, human, folder) = side("Alice").await.stop().await;
    let db = database(&home);
    pairings::put(&db, &silent_stranger()).unwrap();
    let alice = Side { folder, ..run(home, human).await };
    until(async || pairings::all_pairings(&db).unwrap().is_empty().then_some(())).await;
    drop(alice);
}

#[test]
fn an_inviter_dials_nobody() {
    let mut entry = new_entry(silent_stranger(), PendingId::from_bytes([1; 5]));
    dial_later(&mut entry);
    assert_eq!(entry.dial_at, None, "or it would be due again and again");
}

#[tokio::test]
async fn what_waits_for_a_decision_is_refused_when_trust_ends() {
    let (alice, bob) = paired().await;
    let id = held_by(&alice, &bob).await;
    bob.agent(AgentRequest::Revoke { peer: "alice".into(), block: false }).await;
    assert!(bob.pending().await.is_empty());
    assert_eq!(bob.state(&id.clone().into()).await, "refused", "nobody can decide about it now");
    assert_eq!(bob.ask(read(&id)).await.unwrap_err().kind, ErrorKind::WaitsForHuman);
}

#[tokio::test]
async fn what_is_held_while_trust_ends_waits_for_nobody() {
    let (alice, bob) = paired().await;
    let disk = Connection::open(alice.home.database_file()).unwrap();
    disk.execute_batch("BEGIN IMMEDIATE").unwrap();
    let secret = ["key: AKIA", "ABCDEFGHIJKLMNOP"].concat();
    let later = async |ms| tokio::time::sleep(Duration::from_millis(ms)).await;
    let revoke = async {
        later(300).await;
        alice.agent(AgentRequest::Revoke { peer: "bob".into(), block: false }).await
    };
    let disk = async {
        later(600).await;
        disk.execute_batch("ROLLBACK").unwrap();
    };
    let (held, revoked, ()) = tokio::join!(alice.send("bob", &secret), revoke, disk);
    assert_eq!((&held["state"], &revoked["state"]), (&"held".into(), &"revoked".into()));
    assert!(alice.pending().await.is_empty());
    assert_eq!(alice.state(&held["id"]).await, "denied");
    drop(bob);
}

#[tokio::test]
async fn an_agent_cannot_have_a_relay_asked_that_nobody_here_uses() {
    let (home, human, folder) = home("Bob");
    let listen = || async { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap() };
    let (own, strange) = (listen().await, listen().await);
    let url = |of: &tokio::net::TcpListener| format!("http://{}/", of.local_addr().unwrap());
    let network = NetworkConfig {
        mode: Some(NetworkMode::Loopback),
        relays: Some(vec![url(&own)]),
        ..NetworkConfig::default()
    };
    let config =
        Config { network, storage: in_file(), ..Config::of(ClaimedName::parse("Bob").unwrap()) };
    std::fs::write(home.config_file(), config.to_toml()).unwrap();
    let bob = Side { folder: Some(folder), ..run(home, human).await };
    let invite = |seed, addresses| {
        let inviter = crate::identity::IdentityKey::from_seed(&Secret::new([seed; 32])).id();
        let expires = clock::now().plus(Duration::from_mins(1));
        let secret = Secret::new([7; 16]);
        crate::wire::Invite { inviter, approver: [0; 16], addresses, secret, expires }.encode()
    };
    let asked = |invite| AgentRequest::Connect { invite, name: None, note: None };
    let there = invite(71, vec![url(&strange)]);
    let refused = bob.ask(Request::Agent(asked(there.clone()))).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::WaitsForHuman);
    assert!(refused.message.contains(&url(&strange)), "{refused}");
    assert!(bob.pending().await.is_empty());
    // Beside a relay that is ours the other one is passed over.
    let both = bob.agent(asked(invite(72, vec![url(&strange), url(&own)])));
    let accepted = async { strange.accept().await.unwrap() };
    tokio::pin!(accepted);
    let short = Duration::from_secs(1);
    let waited = tokio::time::timeout(short, async { tokio::join!(both, &mut accepted) }).await;
    assert!(waited.is_err(), "it waits for the other side, which is asked at our relay");
    // Our human may.
    let asked = UseInvite { invite: there, name: None, note: None };
    let asks = bob.human(HumanRequest::Connect(asked));
    let reached = async { tokio::join!(asks, accepted).1 };
    tokio::time::timeout(Duration::from_secs(20), reached).await.expect("the relay is asked");
}
