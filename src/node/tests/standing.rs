//! Rows that are put back, against the audit chain, and a chain that does not hold.

use std::path::{Path, PathBuf};

use super::{grants as granting, hostile::sql, *};
use crate::{
    base::PendingId,
    gate::What,
    node::{api::KeepRequest, pair_write::PairWrite},
    store::{
        self, archive, grants as rows, pairings,
        peers::{self, ConsentRow},
        storage_key::KeySource,
    },
    trust::{Consent, PeerState},
    wire::Direction,
};

/// A copy of a database. No node may run.
fn copy(home: &Home, name: &str) -> PathBuf {
    let to = home.database_file().with_file_name(name);
    std::fs::copy(home.database_file(), &to).unwrap();
    to
}

/// Changes a database, beside an older copy of it.
fn put_back(home: &Home, old: &Path, sql: &str) {
    let db = database(home);
    db.execute("ATTACH ?1 AS old", [old.display().to_string()]).unwrap();
    db.execute_batch(sql).unwrap();
}

async fn warnings(side: &Side) -> String {
    side.human(HumanRequest::Status).await["warnings"].to_string()
}

async fn again(stopped: (Home, ApproverKey, Option<tempfile::TempDir>)) -> Side {
    let (home, human, folder) = stopped;
    Side { folder, ..run(home, human).await }
}

/// Alice's home after she revoked Bob, with copies of its database: from when she alone had said yes,
/// and from when both had.
async fn revoked() -> ((Home, ApproverKey, Option<tempfile::TempDir>), PathBuf, PathBuf) {
    let (alice, bob) = (side("Alice").await, side("Bob").await);
    let (asked, waits) = asked(&alice, &bob).await;
    alice.approve(&asked).await;
    let stopped = alice.stop().await;
    let half = copy(&stopped.0, "half.db");
    let alice = again(stopped).await;
    bob.approve(&waits).await;
    trusted(&alice, "bob").await;
    let stopped = alice.stop().await;
    let whole = copy(&stopped.0, "whole.db");
    let alice = again(stopped).await;
    alice.agent(AgentRequest::Revoke { peer: "bob".to_owned(), block: false }).await;
    bob.stop().await;
    (alice.stop().await, half, whole)
}

const INCOMING: &str = "UPDATE peers SET state = 'incoming', (ours, statement, signature) =
    (SELECT ours, statement, signature FROM old.peers)";

#[tokio::test]
async fn an_old_pairing_is_not_taken_up_after_a_revocation() {
    let (mut stopped, half, _) = revoked().await;
    for change in ["", INCOMING] {
        let rows = "INSERT OR REPLACE INTO pairings SELECT * FROM old.pairings";
        put_back(&stopped.0, &half, &format!("{rows}; {change}"));
        let alice = again(stopped).await;
        let said = warnings(&alice).await;
        assert!(said.contains("that you said yes to a pairing"), "{change}: {said}");
        assert_ne!(alice.state_of("bob").await, "trusted");
        stopped = alice.stop().await;
        let left = pairings::all_pairings(&database(&stopped.0)).unwrap();
        assert!(left.is_empty(), "it is gone from disk: {left:?}");
    }
}

#[tokio::test]
async fn an_old_yes_gives_no_trust_back_whatever_frame_comes() {
    let ((home, human, _folder), half, whole) = revoked().await;
    let old = |path: &Path| {
        let db = rusqlite::Connection::open(path).unwrap();
        let key = keys::read_storage_key(&home.storage_key_file()).unwrap().unwrap();
        Sealer::new(&key).register(&db).unwrap();
        db
    };
    let pairing = pairings::all_pairings(&old(&half)).unwrap().remove(0);
    let row: ConsentRow = peers::all_peers(&old(&whole)).unwrap().remove(0).consent.unwrap();
    let me = keys::read_identity(&home.identity_file()).unwrap().id();
    let approver = keys::read_approver(&home.approver_file()).unwrap().unwrap().public();
    let peer = pairing.peer;
    let consent =
        Consent::verify(&row.record, &row.ours, &row.theirs, (&me, &approver), &peer).unwrap();
    let trusted = Some((consent, row));
    let write =
        PairWrite { pairing, asked: None, over: false, trusted, finished: false, note: None };
    for (change, why) in [("", "revoked"), (INCOMING, "your yes is of")] {
        put_back(&home, &whole, &format!("DELETE FROM pairings; {change}"));
        let db = database(&home);
        pairings::put(&db, &write.pairing).unwrap();
        let refused = write.run(&db).unwrap().unwrap_or_default();
        assert!(refused.contains(why), "{change}: {refused}");
        let moved = store::standing::trust_moved(&db, &peer).unwrap().unwrap();
        assert!(moved.event.contains("\"to\":\"revoked\""), "{}", moved.event);
        assert!(pairings::find(&db, &peer).unwrap().is_none());
    }
    // What she signs now counts.
    let db = database(&home);
    let item = Item::Peer(What::PeerIn, write.pairing.record.clone().unwrap());
    let statement = Statement {
        id: PendingId::from_bytes([1; 5]),
        digest: item.digest(),
        answer: Answer::Approve,
        method: Method::Passphrase,
        at: clock::now(),
        verified: true,
        after: Vec::new(),
    };
    let decision = Decision::sign(&item, &statement, &human).unwrap();
    peers::set_decision(&db, &peer, &decision).unwrap();
    assert_eq!(write.run(&db).unwrap(), None);
    assert_eq!(peers::find(&db, &peer).unwrap().unwrap().state, PeerState::Trusted);
}

#[tokio::test]
async fn a_trusted_row_counts_only_where_the_audit_record_says_so() {
    let (alice, _bob) = paired().await;
    let stopped = alice.stop().await;
    let gone = "DELETE FROM audit WHERE event LIKE '{\"event\":\"trust_moved\"%'";
    assert_eq!(database(&stopped.0).execute(gone, []).unwrap(), 1);
    let alice = again(stopped).await;
    assert_eq!(alice.state_of("bob").await, "revoked");
    let said = warnings(&alice).await;
    assert!(said.contains("does not say that you ever trusted it"), "{said}");
}

#[tokio::test]
async fn a_block_is_not_lifted_by_a_knock_that_somebody_wrote() {
    let (alice, _bob) = paired().await;
    alice.agent(AgentRequest::Revoke { peer: "bob".to_owned(), block: true }).await;
    let stopped = alice.stop().await;
    database(&stopped.0).execute("UPDATE peers SET state = 'incoming'", []).unwrap();
    let alice = again(stopped).await;
    assert_eq!(alice.state_of("bob").await, "blocked");
}

#[tokio::test]
async fn a_broken_chain_is_said_at_each_start_because_nothing_signs_it() {
    let alice = side("Alice").await;
    let stopped = alice.stop().await;
    let changed =
        "UPDATE audit SET at_ms = at_ms + 1 WHERE number = (SELECT max(number) FROM audit)";
    database(&stopped.0).execute(changed, []).unwrap();
    let mut alice = again(stopped).await;
    for start in 1..=3 {
        let said = warnings(&alice).await;
        assert!(said.contains("THE AUDIT RECORD IS BROKEN"), "start {start}: {said}");
        alice = alice.restart().await;
    }
    let (home, _, _folder) = alice.stop().await;
    // Nor does a command that writes down what it did.
    let key = keys::read_identity(&home.identity_file()).unwrap();
    let source = KeySource::file(home.storage_key_file());
    let event = crate::audit::Event::MoveUndone;
    let database_file = home.database_file();
    // The threads of the store that ended may still be folding the log.
    let note = async || archive::note(&database_file, (&key, &source), clock::now(), &event).ok();
    until(note).await;
    let broken = store::standing::tail(&database(&home), &key.id()).unwrap();
    assert!(broken.is_some());
}

#[tokio::test]
async fn a_record_that_was_changed_before_the_last_signature_is_said_soon_after_a_start() {
    let (alice, _bob) = paired().await;
    let stopped = alice.stop().await;
    let changed = "UPDATE audit SET at_ms = at_ms + 1 WHERE number = 2";
    database(&stopped.0).execute(changed, []).unwrap();
    let alice = again(stopped).await;
    let said = until(async || {
        let said = warnings(&alice).await;
        said.contains("THE AUDIT RECORD IS BROKEN").then_some(said)
    });
    assert!(said.await.contains("record 2"));
    let (home, _, _folder) = alice.stop().await;
    let records = store::audit::page(&database(&home), 0, 1000).unwrap();
    let told = |event: &str| event.contains("the audit chain: the chain breaks at record 2");
    assert!(records.iter().any(|record| told(&record.event)), "{records:#?}");
}

#[tokio::test]
async fn a_record_that_is_taken_away_while_the_node_runs_is_said_and_written_down() {
    let (alice, _bob) = paired().await;
    sql(&alice, "DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)");
    alice.send("bob", "a record comes in its place").await;
    let (home, _, _folder) = alice.stop().await;
    let records = store::audit::page(&database(&home), 0, 1000).unwrap();
    let told = |event: &str| event.contains("was taken away or replaced while the node ran");
    assert!(records.iter().any(|record| told(&record.event)), "{records:#?}");
}

#[tokio::test]
async fn a_grant_counts_once_though_its_row_was_taken_away() {
    let (alice, bob) = paired().await;
    let (me, peer) = (granting::id_of(&alice).await, granting::id_of(&bob).await);
    let granted = granting::grant(me, peer, Direction::Out);
    let request = || HumanRequest::Grant(granting::signed(&granted, &alice.human));
    alice.human(request()).await;
    sql(&alice, "DELETE FROM grants");
    let refused = alice.ask(Request::Human(request())).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied, "given before: {refused}");
    alice.human(HumanRequest::GrantEnd { id: granted.id.to_string() }).await;
    let refused = alice.ask(Request::Human(request())).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied, "ended: {refused}");
    // It was not there when it was ended, and comes back.
    let signed = granted.sign(&alice.human).unwrap();
    let stopped = alice.stop().await;
    rows::add(&database(&stopped.0), &granted.id, &signed).unwrap();
    let alice = again(stopped).await;
    assert_eq!(alice.human(HumanRequest::Grants).await["grants"], serde_json::json!([]));
    assert_eq!(alice.send("bob", &granting::secret()).await["state"], "held");
}

#[tokio::test]
async fn a_grant_whose_row_is_away_can_be_ended_and_one_of_another_time_is_not_taken() {
    let (alice, bob) = paired().await;
    let (me, peer) = (granting::id_of(&alice).await, granting::id_of(&bob).await);
    let granted = granting::grant(me, peer, Direction::Out);
    for minutes in [11, 60] {
        let from = clock::now().minus(Duration::from_mins(minutes));
        let old = crate::wire::Grant { from, ..granted.clone() };
        let request = HumanRequest::Grant(granting::signed(&old, &alice.human));
        let refused = alice.ask(Request::Human(request)).await.unwrap_err();
        assert!(refused.message.contains("not signed now"), "{refused}");
    }
    alice.human(HumanRequest::Grant(granting::signed(&granted, &alice.human))).await;
    let signed = granted.sign(&alice.human).unwrap();
    let stopped = alice.stop().await;
    database(&stopped.0).execute("DELETE FROM grants", []).unwrap();
    let alice = again(stopped).await;
    let end = || Request::Human(HumanRequest::GrantEnd { id: granted.id.to_string() });
    alice.ask(end()).await.unwrap();
    assert_eq!(alice.ask(end()).await.unwrap_err().kind, ErrorKind::NotFound, "once");
    let stopped = alice.stop().await;
    rows::add(&database(&stopped.0), &granted.id, &signed).unwrap();
    let alice = again(stopped).await;
    assert_eq!(alice.human(HumanRequest::Grants).await["grants"], serde_json::json!([]));
}

#[tokio::test]
async fn a_grant_of_trust_that_ended_does_not_come_back_with_the_next() {
    let (alice, bob) = paired().await;
    let (me, peer) = (granting::id_of(&alice).await, granting::id_of(&bob).await);
    let granted = granting::grant(me, peer, Direction::Out);
    alice.human(HumanRequest::Grant(granting::signed(&granted, &alice.human))).await;
    let signed = granted.sign(&alice.human).unwrap();
    // Its row is away while she revokes him.
    let stopped = alice.stop().await;
    database(&stopped.0).execute("DELETE FROM grants", []).unwrap();
    let alice = again(stopped).await;
    for (side, peer) in [(&alice, "bob"), (&bob, "alice")] {
        side.agent(AgentRequest::Revoke { peer: peer.to_owned(), block: false }).await;
    }
    pair(&alice, &bob).await;
    let stopped = alice.stop().await;
    rows::add(&database(&stopped.0), &granted.id, &signed).unwrap();
    let alice = again(stopped).await;
    assert_eq!(alice.state_of("bob").await, "trusted");
    assert_eq!(alice.human(HumanRequest::Grants).await["grants"], serde_json::json!([]));
}

#[tokio::test]
async fn who_is_forgotten_is_forgotten_on_disk_too_though_the_row_says_trusted() {
    let (stopped, _, whole) = revoked().await;
    put_back(&stopped.0, &whole, "INSERT OR REPLACE INTO peers SELECT * FROM old.peers");
    let alice = again(stopped).await;
    assert_eq!(alice.state_of("bob").await, "revoked");
    let forget = KeepRequest::Forget { peer: "bob".to_owned(), dry_run: false };
    alice.human(HumanRequest::Keep(forget)).await;
    let (home, _, _folder) = alice.stop().await;
    assert!(peers::all_peers(&database(&home)).unwrap().is_empty());
}

#[tokio::test]
async fn a_new_peer_whose_name_the_policy_names_is_shown_with_it() {
    let bob = side("Bob").await;
    let (home, human, folder) = home("Alice");
    let policy = "version = 1\n[[allow]]\nname = \"old-friend\"\npeers = [\"bob\"]\n";
    let alice = Side { folder: Some(folder), ..run_with(home, human, Some(policy)).await };
    asked(&alice, &bob).await;
    let shown = alice.pending().await[0]["reasons"].to_string();
    assert!(shown.contains("your policy names bob: allow.old-friend"), "{shown}");
    let shown = bob.pending().await[0]["reasons"].to_string();
    assert!(!shown.contains("your policy names"), "{shown}");
}
