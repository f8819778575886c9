//! How long messages are kept: by the human's word, and by the sweep.

use std::time::Duration;

use super::*;
use crate::{
    base::limits,
    node::api::{KeepRequest, KeepTime},
};

fn set(peer: Option<&str>, time: KeepTime, dry_run: bool) -> HumanRequest {
    HumanRequest::Keep(KeepRequest::Set { peer: peer.map(str::to_owned), time, dry_run })
}

/// Makes all messages of a home so many days old. No node may run in it.
fn age(home: &Home, days: u64) {
    let db = rusqlite::Connection::open(home.database_file()).unwrap();
    let ms = i64::try_from(days * 24 * 60 * 60 * 1000).unwrap();
    db.execute("UPDATE messages SET stored_ms = stored_ms - ?1", [ms]).unwrap();
}

fn counted(home: &Home) -> i64 {
    let db = rusqlite::Connection::open(home.database_file()).unwrap();
    db.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap()
}

async fn read_all(side: &Side) {
    let all = InboxRequest { limit: Some(100), mark_read: true, ..InboxRequest::default() };
    side.agent(AgentRequest::Inbox(all)).await;
}

#[tokio::test]
async fn what_is_set_deletes_at_once_what_is_older_and_stands_after_a_restart() {
    let (alice, bob) = paired().await;
    for n in 0..3 {
        alice.send("bob", &format!("number {n}")).await;
    }
    arrived(&bob, 3).await;
    read_all(&bob).await;
    let (home, human, folder) = bob.stop().await;
    age(&home, 40);
    let bob = Side { folder, ..run(home, human).await };
    alice.send("bob", "not seen yet").await;
    arrived(&bob, 4).await;
    let dry = bob.human(set(None, KeepTime::Days(30), true)).await;
    assert_eq!(dry["erased"]["messages"], 3, "{dry}");
    assert_eq!((bob.inbox().await.len(), dry["days"].is_null()), (4, true));
    let one = bob.human(set(Some("alice"), KeepTime::Forever, false)).await;
    assert_eq!((&one["erased"]["messages"], &one["peers"][0]["days"]), (&0.into(), &Value::Null));
    let all = bob.human(set(None, KeepTime::Days(30), false)).await;
    assert_eq!(all["erased"]["messages"], 0, "her own setting counts: {all}");
    let one = bob.human(set(Some("alice"), KeepTime::Default, false)).await;
    assert_eq!((&one["erased"]["messages"], &one["erased"]["done"]), (&3.into(), &true.into()));
    assert_eq!(bob.inbox().await.len(), 1);
    let bob = bob.restart().await;
    let shown = bob.human(HumanRequest::Keep(KeepRequest::Show)).await;
    assert_eq!((&shown["days"], shown["peers"].as_array().unwrap().len()), (&30.into(), 0));
    for time in [KeepTime::Days(0), KeepTime::Days(36_501), KeepTime::Default] {
        assert!(bob.ask(Request::Human(set(None, time, false))).await.is_err(), "{time:?}");
    }
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test]
async fn the_sweep_deletes_what_is_over_not_at_once_after_a_start_and_tells_the_audit_chain() {
    let (alice, bob) = paired().await;
    alice.send("bob", "seen").await;
    arrived(&bob, 1).await;
    read_all(&bob).await;
    bob.human(set(None, KeepTime::Days(30), false)).await;
    alice.stop().await;
    let (home, human, folder) = bob.stop().await;
    age(&home, 31);
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let mut prepared = prepare(&home, &tasks, &cancel).await.unwrap();
    let soon = limits::RETENTION_FIRST.saturating_sub(Duration::from_secs(1));
    prepared.node.sweep_kept(clock::now(), soon);
    assert!(prepared.node.writes.is_empty(), "a clock may be wrong at a start");
    prepared.node.sweep_kept(clock::now(), limits::RETENTION_FIRST);
    let node = prepared.go_on(&tasks, &cancel).await.unwrap();
    let bob = Side { home, human, node, tasks, cancel, folder };
    until(async || bob.inbox().await.is_empty().then_some(())).await;
    let audit = async || bob.human(HumanRequest::AuditShow { after: 0, limit: 1000 }).await;
    let told = until(async || {
        let records = audit().await["records"].as_array().unwrap().clone();
        records.into_iter().find(|record| record["event"]["event"] == "deleted")
    });
    let told = told.await;
    assert_eq!((&told["event"]["messages"], &told["event"]["aged"]), (&1.into(), &true.into()));
    let (home, _, _folder) = bob.stop().await;
    assert_eq!(counted(&home), 0);
}

#[tokio::test]
async fn a_copy_that_a_backup_has_is_not_made_anew_under_it() {
    let alice = side("Alice").await;
    let copy = || Request::Human(HumanRequest::Keep(KeepRequest::Copy));
    let copied = HumanRequest::Keep(KeepRequest::Copied { archive: Some("ab".repeat(32)) });
    alice.ask(copy()).await.unwrap();
    let made = std::fs::read(alice.home.copy_file()).unwrap();
    let error = alice.ask(copy()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Busy, "another backup is being made")
    );
    assert_eq!(std::fs::read(alice.home.copy_file()).unwrap(), made, "it is as it was");
    alice.human(copied).await;
    assert!(!alice.home.copy_file().exists());
    alice.ask(copy()).await.unwrap();
}
