//! Heads of audit chains that peers exchange: what was cut or rolled back shows, and what is only late
//! does not.

use super::{
    mallory::{Mallory, bob_and_mallory, later},
    *,
};
use crate::{
    base::{Digest, MessageId, Timestamp},
    node::api::{AuditKeep, AuditRequest, KeepRequest},
    wire::{ChainHead, Receipt, ReceiptState, message::ReceiptEntry},
};

async fn warnings(side: &Side) -> String {
    let warnings = side.human(HumanRequest::Status).await["warnings"].clone();
    if warnings.is_null() { "[]".to_owned() } else { warnings.to_string() }
}

async fn verified(side: &Side) -> Value {
    side.human(HumanRequest::AuditVerify).await
}

async fn disputes(side: &Side) -> usize {
    let all = HumanRequest::AuditShow { after: 0, limit: 1000 };
    side.human(all).await.to_string().matches("\"head_disputed\"").count()
}

async fn accept(side: &Side, peer: &str) {
    let peer = peer.to_owned();
    side.human(HumanRequest::Audit(AuditRequest::Accept { peer })).await;
}

/// How many rows of this kind a side has.
fn rows(side: &Side, what: &str) -> u64 {
    let db = rusqlite::Connection::open(side.home.database_file()).unwrap();
    let sql = "SELECT count(*) FROM witnesses WHERE what = ?1";
    db.query_row(sql, [what], |row| row.get(0)).unwrap()
}

/// One message each way, so that both have seen the other's head and had theirs back.
async fn talk(alice: &Side, bob: &Side, round: usize) {
    for (from, to, name) in [(alice, bob, "bob"), (bob, alice, "alice"), (alice, bob, "bob")] {
        let text = format!("{name} {round}");
        let sent = from.send(name, &text).await;
        until(async || {
            let here = to.inbox().await.iter().any(|message| message["text"] == text.as_str());
            let there = from.state(&sent["id"]).await == "accepted";
            (here && there).then_some(())
        })
        .await;
    }
}

/// Ends a node, changes its database, and starts it again.
async fn changed(side: Side, statements: &str) -> Side {
    let (home, human, folder) = side.stop().await;
    let db = rusqlite::Connection::open(home.database_file()).unwrap();
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    db.execute_batch(statements).unwrap();
    drop(db);
    Side { folder, ..run(home, human).await }
}

/// The last four records, and every signature of them.
const CUT: &str = "DELETE FROM audit WHERE number > (SELECT max(number) - 4 FROM audit);
                   DELETE FROM checkpoints WHERE number > (SELECT max(number) FROM audit);";

#[tokio::test]
async fn a_tail_that_is_cut_shows_at_the_start_and_after_the_next_message() {
    let (alice, bob) = paired().await;
    talk(&alice, &bob, 1).await;
    assert_eq!((rows(&alice, "theirs"), rows(&alice, "ours")), (1, 1));
    assert_eq!(
        (warnings(&alice).await, verified(&alice).await["ok"].clone()),
        ("[]".into(), true.into())
    );
    // Whoever cuts the tail and leaves what the peer signed is found out at once.
    let alice = changed(alice, CUT).await;
    let warned = warnings(&alice).await;
    assert!(warned.contains("bob has signed that it saw record"), "{warned}");
    assert_eq!((disputes(&alice).await, rows(&alice, "lost")), (1, 1), "and that stays noted");
    accept(&alice, "bob").await;
    assert!(!warnings(&alice).await.contains("has signed"), "it was looked at");
    // Whoever rolls all of it back is found out by the peer.
    talk(&alice, &bob, 2).await;
    let all = "DELETE FROM audit WHERE number > (SELECT max(number) FROM audit
               WHERE event LIKE '{\"event\":\"trust_moved\"%');
               DELETE FROM checkpoints; DELETE FROM witnesses;";
    let alice = changed(alice, all).await;
    assert!(!warnings(&alice).await.contains("has signed"), "nothing here says so");
    let sent = alice.send("bob", "after the cut").await;
    until(async || (alice.state(&sent["id"]).await == "accepted").then_some(())).await;
    let warned =
        until(async || Some(warnings(&alice).await).filter(|warned| warned.contains("has signed")))
            .await;
    assert!(warned.contains("bob has signed that it saw record"), "{warned}");
    let found = verified(&alice).await;
    assert_eq!(found["ok"], false, "{found}");
    assert!(found["problem"].as_str().unwrap().contains("bob has signed"), "{found}");
    assert!(found["first_bad"]["contradicts"].as_str().unwrap().contains("receipt"), "{found}");
    let peers = alice.agent(AgentRequest::Peers { state: None }).await.to_string();
    assert!(peers.contains("bob has signed that it saw record"), "{peers}");
    // Bob sees that Alice's log went back, once, and keeps what he knows.
    bob.send("alice", "what happened?").await;
    until(async || warnings(&bob).await.contains("audit log went back").then_some(())).await;
    assert_eq!((disputes(&alice).await, disputes(&bob).await), (1, 1));
    accept(&bob, "alice").await;
    accept(&alice, "bob").await;
    talk(&alice, &bob, 3).await;
    let found = verified(&alice).await;
    assert_eq!(found["ok"], true, "{found}");
    assert_eq!(warnings(&bob).await, "[]");
    assert!(!warnings(&alice).await.contains("has signed"));
    let alice = alice.restart().await;
    talk(&alice, &bob, 4).await;
    assert!(!warnings(&alice).await.contains("has signed"), "it was looked at");
}

#[tokio::test]
async fn what_rotation_moved_is_no_loss() {
    let (alice, bob) = paired().await;
    talk(&alice, &bob, 1).await;
    let keep = AuditKeep::Records(0);
    let moved = alice.human(HumanRequest::Audit(AuditRequest::Rotate { keep })).await;
    assert!(moved["records"].as_u64().unwrap() > 5, "{moved}");
    assert!(alice.home.path().join(moved["moved"]["file"].as_str().unwrap()).exists());
    let found = verified(&alice).await;
    assert_eq!(found["ok"], true, "{found}");
    let alice = alice.restart().await;
    talk(&alice, &bob, 2).await;
    assert_eq!((warnings(&alice).await, warnings(&bob).await), ("[]".into(), "[]".into()));
    assert_eq!((disputes(&alice).await, disputes(&bob).await), (0, 0));
    let found = verified(&alice).await;
    assert_eq!(found["ok"], true, "{found}");
}

const fn head(number: u64, fill: u8) -> ChainHead {
    ChainHead { number, hash: Digest::from_bytes([fill; 32]) }
}

/// Her word that she has what Bob sent.
fn accepted(bob: &Side, sent: &Value) -> ReceiptEntry {
    let id: MessageId = sent["id"].as_str().unwrap().parse().unwrap();
    let db = rusqlite::Connection::open(bob.home.database_file()).unwrap();
    let sql = "SELECT digest FROM messages WHERE id = ?1";
    let digest: Vec<u8> = db.query_row(sql, [id.as_bytes()], |row| row.get(0)).unwrap();
    let digest = Digest::from_slice(&digest).unwrap();
    ReceiptEntry { id, digest, state: ReceiptState::Accepted, at: clock::now(), reason: None }
}

/// Bob sends Mallory a text, and she acknowledges it with these heads.
async fn answer(
    bob: &Side,
    mallory: &mut Mallory,
    (number, created): (u16, Timestamp),
    (head, echo): (Option<ChainHead>, Option<ChainHead>),
) {
    let sent = bob.send("mallory", &format!("text {number}")).await;
    let receipt = Receipt { head, echo, ..Receipt::of(vec![accepted(bob, &sent)]) };
    mallory.acknowledge(receipt, number, created).await;
    until(async || (bob.state(&sent["id"]).await == "accepted").then_some(())).await;
}

#[tokio::test]
async fn what_is_late_or_comes_twice_is_no_alarm_and_what_was_signed_later_is() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let now = clock::now();
    let at = |seconds: u64| now.minus(Duration::from_secs(60 - seconds));
    for (number, second, head) in [
        (1, 10, head(50, 1)),
        (2, 20, head(60, 2)),
        (3, 10, head(50, 1)),
        (4, 15, head(55, 9)),
        (5, 20, head(60, 2)),
        (6, 30, head(60, 2)),
    ] {
        answer(&bob, &mut mallory, (number, at(second)), (Some(head), None)).await;
        assert_eq!(disputes(&bob).await, 0, "{number}");
    }
    assert!(!warnings(&bob).await.contains("audit log"));
    answer(&bob, &mut mallory, (7, at(40)), (Some(head(59, 3)), None)).await;
    until(async || warnings(&bob).await.contains("mallory's audit log went back").then_some(()))
        .await;
    answer(&bob, &mut mallory, (8, at(41)), (Some(head(58, 3)), None)).await;
    answer(&bob, &mut mallory, (9, at(42)), (Some(head(60, 4)), None)).await;
    assert_eq!(disputes(&bob).await, 1, "a peer does not fill the log with it");
    accept(&bob, "mallory").await;
    answer(&bob, &mut mallory, (10, at(43)), (Some(head(58, 3)), None)).await;
    assert!(!warnings(&bob).await.contains("audit log went"));
    answer(&bob, &mut mallory, (11, at(44)), (Some(head(58, 5)), None)).await;
    until(async || warnings(&bob).await.contains("mallory's audit log went back").then_some(()))
        .await;
    assert_eq!(verified(&bob).await["ok"], true, "our own log is whole");
    assert_eq!(rows(&bob, "theirs") + rows(&bob, "forked"), 2);
}

#[tokio::test]
async fn an_echo_that_is_not_in_our_chain_is_said_and_the_receipt_is_kept() {
    let (bob, mut mallory) = bob_and_mallory().await;
    answer(&bob, &mut mallory, (1, clock::now()), (None, Some(head(100_000, 9)))).await;
    let warned = until(async || {
        Some(warnings(&bob).await).filter(|warned| warned.contains("mallory has signed"))
    })
    .await;
    assert!(warned.contains("record 100000"), "{warned}");
    let found = verified(&bob).await;
    assert_eq!((&found["ok"], &found["first_bad"]["seq"]), (&false.into(), &100_000.into()));
    let db = rusqlite::Connection::open(bob.home.database_file()).unwrap();
    let sql = "SELECT count(*) FROM receipts r JOIN witnesses w ON w.receipt = r.id
               WHERE w.what = 'lost'";
    assert_eq!(db.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap(), 1);
    accept(&bob, "mallory").await;
    answer(&bob, &mut mallory, (2, clock::now()), (None, Some(head(100_000, 9)))).await;
    let found = verified(&bob).await;
    assert_eq!(found["ok"], true, "it was looked at");
    let looked_at = found["looked_at"][0].as_str().unwrap();
    assert!(looked_at.starts_with("record 100000 that mallory has signed"), "{looked_at}");
    assert_eq!(disputes(&bob).await, 1);
}

/// Asks to accept, and gives how that was refused.
async fn accept_refused(side: &Side, peer: &str) -> ApiError {
    let request = HumanRequest::Audit(AuditRequest::Accept { peer: peer.to_owned() });
    side.ask(Request::Human(request)).await.unwrap_err()
}

#[tokio::test]
async fn an_echo_of_a_moved_record_is_held_against_its_file() {
    let (bob, mut mallory) = bob_and_mallory().await;
    answer(&bob, &mut mallory, (1, clock::now()), (None, None)).await;
    let keep = AuditKeep::Records(0);
    let (one, two) = tokio::join!(
        bob.ask(Request::Human(HumanRequest::Audit(AuditRequest::Rotate { keep }))),
        bob.ask(Request::Human(HumanRequest::Audit(AuditRequest::Rotate { keep }))),
    );
    let records = one.unwrap()["records"].as_u64().unwrap();
    assert!(records > 2);
    assert_eq!(two.unwrap_err().kind, ErrorKind::Busy, "one at a time");
    let again = HumanRequest::Audit(AuditRequest::Rotate { keep });
    assert_eq!(bob.human(again).await["records"], 1, "and then another one");
    // The one before the last: it says what became of a message, so nothing of it stays here.
    let echo = Some(head(records - 1, 9));
    answer(&bob, &mut mallory, (2, clock::now()), (None, echo)).await;
    until(async || warnings(&bob).await.contains("mallory has signed").then_some(())).await;
    assert_eq!(disputes(&bob).await, 1);
    assert_eq!(verified(&bob).await["ok"], false);
    let refused = HumanRequest::Audit(AuditRequest::Rotate { keep });
    let error = bob.ask(Request::Human(refused)).await.unwrap_err();
    assert!(error.message.contains("mallory has signed"), "{}", error.message);
}

#[tokio::test]
async fn a_dispute_keeps_its_receipt_and_ends_with_the_peer() {
    let (bob, mut mallory) = bob_and_mallory().await;
    assert_eq!(accept_refused(&bob, "mallory").await.kind, ErrorKind::NotFound);
    answer(&bob, &mut mallory, (1, clock::now()), (None, None)).await;
    // A second receipt under the id of one that is kept has no evidence behind it.
    let sent = bob.send("mallory", "once more").await;
    let echo = Some(head(100_000, 9));
    let again = Receipt { echo, ..Receipt::of(vec![accepted(&bob, &sent)]) };
    mallory.acknowledge(again, 1, clock::now()).await;
    answer(&bob, &mut mallory, (2, clock::now()), (None, None)).await;
    assert_eq!(disputes(&bob).await, 0);
    answer(&bob, &mut mallory, (3, clock::now()), (None, echo)).await;
    until(async || warnings(&bob).await.contains("mallory has signed").then_some(())).await;
    let kept = || {
        let db = rusqlite::Connection::open(bob.home.database_file()).unwrap();
        let sql = "SELECT count(*) FROM receipts JOIN witnesses ON receipt = id";
        db.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap()
    };
    assert_eq!(kept(), 1);
    let before_ms = later(1).ms();
    let peer = || "mallory".to_owned();
    let delete = KeepRequest::DeleteBefore { peer: peer(), before_ms, dry_run: false };
    bob.human(HumanRequest::Keep(delete)).await;
    assert_eq!(kept(), 1, "the messages are gone: {sent}");
    bob.agent(AgentRequest::Revoke { peer: peer(), block: false }).await;
    bob.human(HumanRequest::Keep(KeepRequest::Forget { peer: peer(), dry_run: false })).await;
    assert_eq!((kept(), rows(&bob, "excused")), (1, 1));
    assert_eq!(rows(&bob, "lost") + rows(&bob, "ours") + rows(&bob, "theirs"), 0);
    let found = verified(&bob).await;
    assert_eq!(found["ok"], true, "nobody can be asked about it any more: {found}");
    let log = bob.human(HumanRequest::AuditShow { after: 0, limit: 1000 }).await;
    let accepted = log["records"].as_array().unwrap().iter().find_map(|record| {
        Some(&record["event"]).filter(|event| event["event"] == "dispute_accepted")
    });
    assert_eq!(accepted.expect("it is in the log")["number"], 100_000);
}

#[tokio::test]
async fn a_message_under_the_id_of_ours_is_not_taken() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let sent = bob.send("mallory", "ours").await;
    let id: MessageId = sent["id"].as_str().unwrap().parse().unwrap();
    let mine = mallory.text_under(id, "mine, under your id");
    assert_eq!(mallory.say(mine).await, ReceiptState::Refused);
    let other = mallory.text(7, "mine");
    assert_eq!(mallory.say(other).await, ReceiptState::Accepted);
    assert_eq!(arrived(&bob, 1).await[0]["text"], "mine");
}
