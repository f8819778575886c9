//! Nodes that die at once, and disks that refuse a single write.

use super::{hostile::sql, *};
use crate::store::seal;

/// A node on a runtime of its own, which can be dropped between two instructions.
struct Mortal {
    side: Side,
    runtime: tokio::runtime::Runtime,
}

async fn mortal(home: Home, human: ApproverKey) -> Mortal {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let side = runtime.spawn(run(home, human)).await.unwrap();
    Mortal { side, runtime }
}

impl Mortal {
    /// Nothing is closed, said or waited for.
    fn dies(self) -> (Home, ApproverKey) {
        self.runtime.shutdown_background();
        (self.side.home, self.side.human)
    }
}

/// Makes every such change of a table fail until [`heal`].
fn break_disk(side: &Side, change: &str) {
    sql(
        side,
        &format!("CREATE TRIGGER broken BEFORE {change} BEGIN SELECT RAISE(ABORT, 'broken'); END"),
    );
}

fn heal(side: &Side) {
    sql(side, "DROP TRIGGER broken");
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_death() {
    let bob = side("Bob").await;
    let (home, human, folder) = home("Alice");
    let mut alice = mortal(home, human).await;
    pair(&alice.side, &bob).await;
    let mut sent = Vec::new();
    for round in 0..4 {
        for number in 0..5 {
            let text = format!("{round} {number}");
            assert_eq!(alice.side.send("bob", &text).await["state"], "queued");
            sent.push(text);
        }
        let (home, human) = alice.dies();
        alice = mortal(home, human).await;
        assert_eq!(alice.side.state_of("bob").await, "trusted");
    }
    let inbox = arrived(&bob, sent.len()).await;
    let texts: Vec<_> = inbox.iter().map(|m| m["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, sent);
    alice.dies();
    drop(folder);
}

#[tokio::test]
async fn a_human_who_said_yes_is_not_asked_again_after_a_death() {
    for alice_dies in [true, false] {
        let ((home_a, human_a, _fa), (home_b, human_b, _fb)) = (home("Alice"), home("Bob"));
        let (alice, bob) = (mortal(home_a, human_a).await, mortal(home_b, human_b).await);
        let (asked, waits) = asked(&alice.side, &bob.side).await;
        let (id, side, other) = if alice_dies { (asked, alice, bob) } else { (waits, bob, alice) };
        side.side.approve(&id).await;
        // Both, because a peer that died without a word is missed only after a while.
        let ((home, human), (other_home, other_human)) = (side.dies(), other.dies());
        let side = mortal(home, human).await;
        let other = mortal(other_home, other_human).await;
        assert!(side.side.pending().await.is_empty());
        other.side.approve(&other.side.first_pending().await).await;
        trusted(&side.side, if alice_dies { "bob" } else { "alice" }).await;
        trusted(&other.side, if alice_dies { "alice" } else { "bob" }).await;
        side.dies();
        other.dies();
    }
}

#[tokio::test]
async fn a_yes_that_could_not_be_stored_whole_can_be_said_again() {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    let (asked, waits) = asked(&alice, &bob).await;
    bob.approve(&waits).await;
    break_disk(&alice, "INSERT ON pairings WHEN NEW.ours IS NOT NULL");
    let yes = alice.decision(&asked, Answer::Approve, &alice.human).await;
    let failed = alice.node.human(yes.clone()).await.unwrap_err();
    assert!(failed.message.contains("broken"), "{failed}");
    assert_eq!(alice.first_pending().await, asked, "it still waits");
    assert_ne!(alice.state_of("bob").await, "trusted");
    heal(&alice);
    let alice = alice.restart().await;
    alice.approve(&asked).await;
    trusted(&alice, "bob").await;
    trusted(&bob, "alice").await;
}

/// Alice's human says no, and her disk does not take it, for now.
async fn no_that_is_not_stored(alice: &Side, bob: &Side) -> String {
    let (asked, _) = asked(alice, bob).await;
    break_disk(alice, "DELETE ON pairings");
    let no = HumanRequest::Deny { id: asked.clone(), block: false };
    let error = alice.node.human(no).await.unwrap_err();
    assert!(error.message.contains("broken"), "{error}");
    assert!(error.message.contains("it counts all the same while this node runs"), "{error}");
    assert!(alice.pending().await.is_empty());
    heal(alice);
    asked
}

#[tokio::test]
async fn a_no_that_could_not_be_stored_whole_changes_nothing_on_disk() {
    let (bob, (home, human, _folder)) = (side("Bob").await, home("Alice"));
    let alice = mortal(home, human).await;
    let asked = no_that_is_not_stored(&alice.side, &bob).await;
    let (home, human) = alice.dies();
    let alice = mortal(home, human).await;
    assert_eq!(alice.side.first_pending().await, asked, "the human can still say it");
    alice.dies();
}

#[tokio::test]
async fn a_no_that_could_not_be_stored_is_stored_with_its_decision_once_there_is_room() {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    let asked = no_that_is_not_stored(&alice, &bob).await;
    let alice = alice.restart().await;
    assert!(alice.pending().await.is_empty());
    assert_eq!(alice.state_of("bob").await, "revoked");
    let sql = "SELECT decision FROM decisions WHERE id = ?1";
    let id: crate::base::PendingId = asked.parse().unwrap();
    let db = database(&alice.home);
    let decision: String = db.query_row(sql, [id.as_bytes()], |row| row.get(0)).unwrap();
    assert_eq!(decision, "denied");
}

#[tokio::test]
async fn a_question_that_could_not_be_stored_is_asked_when_the_peer_comes_again() {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    break_disk(&alice, "INSERT ON pending WHEN NEW.what = 'peer_in'");
    let invite =
        alice.agent(AgentRequest::Invite { note: None, expires_minutes: None, code: false }).await;
    let invite = invite["invite"].as_str().unwrap().to_owned();
    bob.agent(AgentRequest::Connect { invite, name: None, note: None }).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(alice.pending().await.is_empty());
    heal(&alice);
    let asked = alice.first_pending().await;
    alice.approve(&asked).await;
    bob.approve(&bob.first_pending().await).await;
    trusted(&alice, "bob").await;
}

#[tokio::test]
async fn a_receipt_that_could_not_be_stored_comes_again() {
    let (alice, bob) = paired().await;
    let sent = alice.send("bob", "hello").await;
    until(async || (alice.state(&sent["id"]).await == "accepted").then_some(())).await;
    break_disk(&alice, "UPDATE ON messages WHEN NEW.state = 'read'");
    let inbox = InboxRequest { mark_read: true, ..InboxRequest::default() };
    bob.agent(AgentRequest::Inbox(inbox)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(alice.state(&sent["id"]).await, "accepted");
    heal(&alice);
    until(async || (alice.state(&sent["id"]).await == "read").then_some(())).await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_neither_acknowledged_nor_passed() {
    let (alice, bob) = paired().await;
    // What is stored is sealed: only its length tells it.
    let length = 3 + seal::OVERHEAD_BYTES;
    break_disk(&bob, &format!("INSERT ON messages WHEN length(NEW.text) = {length}"));
    for text in ["one", "second", "third"] {
        alice.send("bob", text).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(bob.inbox().await.is_empty(), "nothing may pass the first one");
    heal(&bob);
    let inbox = arrived(&bob, 3).await;
    let texts: Vec<_> = inbox.iter().map(|m| m["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["one", "second", "third"]);
    until(async || {
        let outstanding = alice.agent(AgentRequest::Outstanding).await;
        outstanding["messages"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    let failing = break_and_send(&alice).await;
    assert!(failing.message.contains("broken"), "{failing}");
}

/// A send that the disk refuses says so, and leaves nothing.
async fn break_and_send(alice: &Side) -> ApiError {
    break_disk(alice, "INSERT ON outbox");
    let send = SendRequest { to: "bob".into(), text: "lost?".into(), ..SendRequest::default() };
    let failed = alice.ask(Request::Agent(AgentRequest::Send(send))).await.unwrap_err();
    heal(alice);
    let outstanding = alice.agent(AgentRequest::Outstanding).await;
    assert_eq!(outstanding["messages"].as_array().unwrap().len(), 0);
    failed
}

#[tokio::test]
async fn a_message_that_expired_while_it_was_held_is_expired_and_not_denied() {
    let (alice, _bob) = paired().await;
    let secret = ["key: AKIA", "ABCDEFGHIJKLMNOP"].concat();
    let held = alice.send("bob", &secret).await;
    let pending = held["pending"].as_str().unwrap().to_owned();
    sql(&alice, "UPDATE messages SET expires_ms = 1; UPDATE pending SET expires_ms = 1");
    let alice = alice.restart().await;
    until(async || (alice.state(&held["id"]).await == "expired").then_some(())).await;
    until(async || alice.pending().await.is_empty().then_some(())).await;
    let alice = alice.restart().await;
    assert_eq!(alice.state(&held["id"]).await, "expired");
    let gone = alice.node.human(HumanRequest::Show { id: pending }).await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
}
