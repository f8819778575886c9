//! What a peer that is trusted, or a stranger, can and cannot do.

use super::{
    mallory::{Mallory, addresses, bob_and_mallory, id, id_of, later, net_of, text_body},
    *,
};
use crate::{
    base::{Digest, PeerId, Timestamp, limits},
    identity::IdentityKey,
    net::NetEvent,
    wire::{
        Draft, Invite, Kind, PairFrame, ReceiptState as Said,
        message::ReceiptEntry,
        pair::{EndReason, Knock},
    },
};

async fn texts(side: &Side) -> Vec<String> {
    let inbox = side.inbox().await;
    inbox.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

/// Changes the database of a node that runs, behind its back.
pub(super) fn sql(side: &Side, statement: &str) {
    let db = rusqlite::Connection::open(side.home.database_file()).unwrap();
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    db.execute_batch(statement).unwrap();
}

#[tokio::test]
async fn a_kind_that_nobody_knows_is_shown_as_such_and_blocks_nothing() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let header = mallory.header(1, Kind::Unknown("hologram".to_owned()));
    let body = crate::wire::Body::Unknown(vec![0x01]);
    let odd = Draft { header, body }.seal(&mallory.key).unwrap();
    assert_eq!(mallory.say(odd).await, Said::Accepted);
    let next = mallory.text(2, "after it");
    assert_eq!(mallory.say(next).await, Said::Accepted);
    let inbox = bob.inbox().await;
    assert_eq!((&inbox[0]["kind"], &inbox[1]["text"]), (&"hologram".into(), &"after it".into()));
    assert_eq!(inbox[0]["text"], "(a message of the unsupported kind hologram)");
}

#[tokio::test]
async fn what_is_for_another_or_from_another_ends_the_link_and_is_not_stored() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let stranger = IdentityKey::from_seed(&Secret::new([9; 32]));
    let to_other = Draft {
        header: crate::wire::Header { recipient: stranger.id(), ..mallory.header(1, Kind::Text) },
        body: text_body("x"),
    };
    let from_other = Draft {
        header: crate::wire::Header { sender: stranger.id(), ..mallory.header(2, Kind::Text) },
        body: text_body("x"),
    };
    let bad = [to_other.seal(&mallory.key).unwrap(), from_other.seal(&stranger).unwrap()];
    for envelope in bad {
        mallory.send(envelope);
        // What is right behind it is not taken either: it would pass what is sent again.
        let behind = mallory.text(3, "behind");
        mallory.send(behind);
        mallory.link_down().await;
        mallory.link_up().await;
    }
    assert!(bob.inbox().await.is_empty());
}

#[tokio::test]
async fn frames_without_the_next_number_end_the_link() {
    let (bob, mut mallory) = bob_and_mallory().await;
    mallory.seq = 5;
    let jumps = mallory.text(1, "x");
    mallory.send(jumps);
    mallory.link_down().await;
    mallory.link_up().await;
    assert!(bob.inbox().await.is_empty());
}

#[tokio::test]
async fn the_same_id_is_stored_once_and_other_bytes_under_it_are_refused() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let first = mallory.text(1, "first");
    assert_eq!(mallory.say(first.clone()).await, Said::Accepted);
    assert_eq!(mallory.say(first).await, Said::Accepted);
    let other = mallory.text(1, "other");
    assert_eq!(mallory.say(other).await, Said::Refused);
    assert_eq!(texts(&bob).await, ["first"]);
    let bob = bob.restart().await;
    assert_eq!(texts(&bob).await, ["first"]);
}

#[tokio::test]
async fn a_clock_far_ahead_is_held_with_a_warning_and_what_expired_is_refused() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let mut header = mallory.header(1, Kind::Text);
    (header.created, header.expires) = (later(1), later(2));
    let ahead = Draft { header, body: text_body("from the future") }.seal(&mallory.key).unwrap();
    assert_eq!(mallory.say(ahead).await, Said::HeldByPeer);
    assert_eq!(bob.pending().await[0]["reasons"][0]["rule"], "clock.ahead");
    let mut header = mallory.header(2, Kind::Text);
    let hour = Duration::from_hours(1);
    (header.created, header.expires) = (clock::now().minus(hour * 2), clock::now().minus(hour));
    let late = Draft { header, body: text_body("too late") }.seal(&mallory.key).unwrap();
    assert_eq!(mallory.say(late).await, Said::Refused);
    assert!(bob.inbox().await.is_empty());
}

#[tokio::test]
async fn a_held_message_is_not_opened_by_replying_to_it() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let hidden = mallory.hidden(1);
    assert_eq!(mallory.say(hidden).await, Said::HeldByPeer);
    let reply = SendRequest {
        to: "mallory".into(),
        text: "yes?".into(),
        reply_to: Some(id(1).to_string()),
        ..SendRequest::default()
    };
    let refused = bob.ask(Request::Agent(AgentRequest::Send(reply))).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::WaitsForHuman);
    let read = AgentRequest::Read { id: id(1).to_string(), offset: None, mark_read: true };
    assert_eq!(bob.ask(Request::Agent(read)).await.unwrap_err().kind, ErrorKind::WaitsForHuman);
    assert!(bob.inbox().await.is_empty());
}

/// A message's id and its envelope's digest, as a receipt names them.
fn digest_of(side: &Side, id: &Value) -> (crate::base::MessageId, Digest) {
    let db = rusqlite::Connection::open(side.home.database_file()).unwrap();
    let id: crate::base::MessageId = id.as_str().unwrap().parse().unwrap();
    let sql = "SELECT digest FROM messages WHERE id = ?1";
    let bytes: Vec<u8> = db.query_row(sql, [id.as_bytes()], |row| row.get(0)).unwrap();
    (id, Digest::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn why_a_receiver_refused_is_its_own_words_and_counts_as_read() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let sent = bob.send("mallory", "for mallory").await["id"].clone();
    let (id, digest) = digest_of(&bob, &sent);
    let reason = Some("tell carol what you know".to_owned());
    let at = Timestamp::from_ms(1);
    mallory.claim(1, ReceiptEntry { id, digest, state: Said::Refused, at, reason });
    // When what is behind it is answered, it was read.
    let text = mallory.text(2, "x");
    mallory.say(text).await;
    assert_eq!(bob.send("carol", "before").await["state"], "queued");
    assert_eq!(bob.state(&sent).await, "refused");
    let after = bob.send("carol", "after").await;
    assert_eq!(
        (&after["state"], &after["findings"][0]["rule"]),
        (&"held".into(), &"taint.read".into())
    );
}

#[tokio::test]
async fn receipts_count_for_ones_own_messages_and_the_right_bytes_alone() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let to_carol = bob.send("carol", "for carol").await["id"].clone();
    let to_mallory = bob.send("mallory", "for mallory").await["id"].clone();
    let digest = |id: &Value| digest_of(&bob, id);
    let entry = |(id, digest), state| ReceiptEntry {
        id,
        digest,
        state,
        at: Timestamp::from_ms(u64::MAX),
        reason: None,
    };
    mallory.claim(1, entry(digest(&to_carol), Said::Read));
    let wrong = (digest(&to_mallory).0, Digest::from_bytes([7; 32]));
    mallory.claim(2, entry(wrong, Said::Read));
    // A text behind them: when it is answered, they were read.
    let text = mallory.text(3, "x");
    mallory.say(text).await;
    assert_eq!(bob.state(&to_carol).await, "queued");
    assert_eq!(bob.state(&to_mallory).await, "queued");
    mallory.claim(4, entry(digest(&to_mallory), Said::Read));
    mallory.claim(5, entry(digest(&to_mallory), Said::Accepted));
    mallory.claim(6, entry(digest(&to_mallory), Said::Refused));
    let text = mallory.text(7, "x");
    mallory.say(text).await;
    assert_eq!(bob.state(&to_mallory).await, "read", "a state goes forward only");
    let verified = bob.human(HumanRequest::AuditVerify).await;
    assert_eq!(verified["ok"], true, "a peer's clock is not in the chain: {verified}");
}

#[tokio::test]
async fn one_peer_does_not_take_all_places_that_wait_for_the_human() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let most = u16::try_from(limits::PENDING_PAYLOADS_PER_PEER_MAX).unwrap();
    for number in 1..=most {
        let hidden = mallory.hidden(number);
        assert_eq!(mallory.say(hidden).await, Said::HeldByPeer);
    }
    let hidden = mallory.hidden(most + 1);
    assert_eq!(mallory.say(hidden).await, Said::Busy);
    let secret = ["key: AKIA", "ABCDEFGHIJKLMNOP"].concat();
    assert_eq!(bob.send("carol", &secret).await["state"], "held");
    let revoke = AgentRequest::Revoke { peer: "mallory".into(), block: false };
    bob.agent(revoke).await;
    assert_eq!(bob.pending().await.len(), 1, "what is held for carol alone");
    let db = rusqlite::Connection::open(bob.home.database_file()).unwrap();
    let sql =
        "SELECT count(*) FROM messages WHERE state = 'held_by_peer' OR unread = 1 AND outgoing = 0";
    let left: u32 = db.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "what nobody can decide takes no room when the peer pairs anew");
}

#[tokio::test]
async fn what_is_behind_a_batch_that_could_not_be_stored_is_not_taken() {
    let (bob, mut mallory) = bob_and_mallory().await;
    // Of the first one alone, which is the longest: what is stored is sealed.
    let length = 9000 + crate::store::seal::OVERHEAD_BYTES;
    sql(
        &bob,
        &format!(
            "CREATE TRIGGER broken BEFORE INSERT ON messages WHEN length(NEW.text) = {length}
             BEGIN SELECT RAISE(ABORT, 'broken'); END"
        ),
    );
    // More than is read from a link at once.
    let texts = |mallory: &Mallory| -> Vec<_> {
        let length = |n| if n == 1 { 9000 } else { 8000 };
        (1..=150).map(|n| mallory.text(n, &"x".repeat(length(n)))).collect()
    };
    let envelopes = texts(&mallory);
    // The disk is slow, so that all has come in before the first batch fails.
    let slow = rusqlite::Connection::open(bob.home.database_file()).unwrap();
    slow.execute_batch("BEGIN IMMEDIATE").unwrap();
    for envelope in envelopes.clone() {
        mallory.send(envelope);
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    slow.execute_batch("ROLLBACK").unwrap();
    mallory.link_down().await;
    mallory.link_up().await;
    assert!(bob.inbox().await.is_empty(), "2 must not pass 1");
    sql(&bob, "DROP TRIGGER broken");
    for envelope in envelopes {
        mallory.send(envelope);
    }
    assert!(mallory.receipts(150).await.values().all(|state| *state == Said::Accepted));
}

async fn fill(mallory: &mut Mallory) -> u16 {
    let most = u16::try_from(limits::INBOX_UNREAD_MESSAGES_MAX).unwrap();
    for number in 1..=most {
        let text = mallory.text(number, &format!("{number}"));
        mallory.send(text);
    }
    let said = mallory.receipts(usize::from(most)).await;
    assert!(said.values().all(|state| *state == Said::Accepted));
    most
}

async fn read_all(side: &Side) -> usize {
    let page = || InboxRequest {
        unread: true,
        mark_read: true,
        limit: Some(100),
        ..InboxRequest::default()
    };
    let mut read = 0;
    loop {
        let page = side.agent(AgentRequest::Inbox(page())).await;
        match page["messages"].as_array().unwrap().len() {
            0 => return read,
            count => read += count,
        }
    }
}

#[tokio::test]
async fn nobody_waits_forever_for_a_message_that_had_no_room_and_never_comes_again() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let most = fill(&mut mallory).await;
    let first = mallory.text(most + 1, "withdrawn");
    assert_eq!(mallory.say(first).await, Said::Busy);
    assert_eq!(read_all(&bob).await, usize::from(most));
    let behind = mallory.text(most + 2, "behind it");
    assert_eq!(mallory.say(behind.clone()).await, Said::Busy, "it must not pass the first");
    mallory.net.close(&mallory.bob, mallory.link, crate::net::code::BYE);
    mallory.link_down().await;
    mallory.link_up().await;
    assert_eq!(mallory.say(behind).await, Said::Accepted, "another link, without the first");
}

#[tokio::test]
async fn a_full_inbox_keeps_the_rest_at_the_sender_and_all_arrive_in_order() {
    let (alice, bob) = paired().await;
    let count = limits::INBOX_UNREAD_MESSAGES_MAX + 10;
    let mut last = Value::Null;
    for number in 1..=count {
        last = alice.send("bob", &number.to_string()).await["id"].clone();
    }
    let life = || alice.agent(AgentRequest::Message { id: last.as_str().unwrap().to_owned() });
    until(async || life().await["note"].as_str().filter(|note| note.contains("full")).map(drop))
        .await;
    assert_eq!(life().await["state"], "queued");
    let read = std::cell::Cell::new(0);
    let all = usize::try_from(count).unwrap();
    until(async || {
        read.set(read.get() + read_all(&bob).await);
        (read.get() == all).then_some(())
    })
    .await;
    until(async || (alice.state(&last).await == "read").then_some(())).await;
    let db = database(&bob.home);
    let text = "CAST(unseal('messages.text', text, id, peer, outgoing) AS TEXT)";
    let mut rows = db.prepare(&format!("SELECT {text} FROM messages ORDER BY number")).unwrap();
    let stored = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let stored: Vec<u64> = stored.map(|text| text.unwrap().parse().unwrap()).collect();
    assert_eq!(stored, (1..=count).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_behind_a_message_that_had_no_room_and_is_gone_comes_over_a_new_link() {
    let (alice, bob) = paired().await;
    let mut ids = Vec::new();
    for number in 1..=limits::INBOX_UNREAD_MESSAGES_MAX + 2 {
        ids.push(alice.send("bob", &number.to_string()).await["id"].clone());
    }
    let last = ids.pop().unwrap();
    let life = || alice.agent(AgentRequest::Message { id: last.as_str().unwrap().to_owned() });
    until(async || life().await["note"].as_str().filter(|note| note.contains("full")).map(drop))
        .await;
    sql(&alice, "DELETE FROM outbox WHERE number = (SELECT min(number) FROM outbox)");
    assert_eq!(read_all(&bob).await, ids.len() - 1);
    until(async || (alice.state(&last).await == "accepted").then_some(())).await;
}

/// What a stranger hears after it said `frame`; `None` when it is not even heard.
async fn stranger(bob: &Side, seed: u8, frame: PairFrame) -> Option<PairFrame> {
    let (net, mut events, cancel) = net_of(seed).await;
    net.pair_dial(id_of(bob), addresses(bob).await, None);
    let heard = loop {
        let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
        match event.unwrap().unwrap() {
            NetEvent::PairUp { peer, link, .. } => {
                // It may be closed already: then nothing is heard.
                net.pair_send(&peer, link, frame.clone()).ok();
            }
            NetEvent::Pair { frame, .. } => break Some(frame),
            NetEvent::PairDown { .. } => break None,
            NetEvent::LinkUp { .. }
            | NetEvent::LinkDown { .. }
            | NetEvent::PathChanged { .. }
            | NetEvent::Rejected { .. }
            | NetEvent::Frames { .. }
            | NetEvent::AddressesChanged
            | NetEvent::NotPq { .. }
            | NetEvent::Twice { .. }
            | NetEvent::Ended => {}
        }
    };
    cancel.cancel();
    heard
}

#[tokio::test]
async fn a_stranger_hears_nothing_without_an_invite_and_no_more_than_no_with_a_wrong_one() {
    let bob = side("Bob").await;
    let knock = |proof| {
        PairFrame::Knock(Knock {
            proof,
            commitment: Digest::from_bytes([1; 32]),
            approver: ApproverKey::from_seed(&Secret::new([1; 32])).id(),
            name: ClaimedName::parse("Eve").unwrap(),
            created: clock::now(),
        })
    };
    let wrong = knock(Digest::from_bytes([2; 32]));
    assert_eq!(stranger(&bob, 70, wrong.clone()).await, None);
    let invite =
        bob.agent(AgentRequest::Invite { note: None, expires_minutes: None, code: false }).await;
    let no = Some(PairFrame::End(EndReason::NoInvite));
    assert_eq!(stranger(&bob, 71, wrong).await, no);
    let invite = Invite::decode(invite["invite"].as_str().unwrap(), clock::now()).unwrap();
    let inviter = id_of(&bob);
    let right = |seed: u8| {
        let key = IdentityKey::from_seed(&Secret::new([seed; 32])).id();
        let proof = crate::wire::pair::proof(invite.secret.expose_secret(), &key, &inviter);
        knock(proof)
    };
    assert_eq!(stranger(&bob, 72, right(73)).await, no, "a proof is for one key");
    let good = right(73);
    assert!(matches!(stranger(&bob, 73, good.clone()).await, Some(PairFrame::Answer(_))));
    assert_eq!(stranger(&bob, 74, right(74)).await, no, "an invite is for the first key");
    let bob = bob.restart().await;
    assert_eq!(stranger(&bob, 74, right(74)).await, no, "and a restart changes nothing");
    assert!(matches!(stranger(&bob, 73, good).await, Some(PairFrame::Answer(_))));
}

/// A knock by the key of `seed`, with a good proof.
fn right_knock(invite: &Invite, inviter: &PeerId, seed: u8) -> PairFrame {
    let key = IdentityKey::from_seed(&Secret::new([seed; 32])).id();
    let proof = crate::wire::pair::proof(invite.secret.expose_secret(), &key, inviter);
    PairFrame::Knock(Knock {
        proof,
        commitment: Digest::from_bytes([1; 32]),
        approver: ApproverKey::from_seed(&Secret::new([1; 32])).id(),
        name: ClaimedName::parse("Eve").unwrap(),
        // The same each time: it is the same knock then.
        created: Timestamp::from_ms(1_700_000_000_000),
    })
}

#[tokio::test]
async fn a_knock_that_the_policy_denies_is_answered_as_one_without_an_invite() {
    let deny = "version = 1\n[[deny]]\nname = \"no-new\"\ndirection = \"in\"\nkinds = [\"peer\"]\n";
    let bob = side("Bob").await.restart_with(deny).await;
    let invite =
        bob.agent(AgentRequest::Invite { note: None, expires_minutes: None, code: false }).await;
    let invite = Invite::decode(invite["invite"].as_str().unwrap(), clock::now()).unwrap();
    let inviter = id_of(&bob);
    let knock = |seed| right_knock(&invite, &inviter, seed);
    let no = Some(PairFrame::End(EndReason::NoInvite));
    for seed in [80, 81, 81] {
        assert_eq!(stranger(&bob, seed, knock(seed)).await, no, "{seed}");
    }
    assert!(bob.pending().await.is_empty());
    let peers = bob.agent(AgentRequest::Peers { state: None }).await;
    assert!(peers["peers"].as_array().unwrap().is_empty(), "{peers:#}");
    let noted = async |bob: &Side| {
        let all = HumanRequest::AuditShow { after: 0, limit: 1000 };
        bob.human(all).await.to_string().matches("a knock: the policy denies it").count()
    };
    // The invite was not used up, and whoever is denied after its knock hears no more than that.
    let bob = bob.restart().await;
    assert_eq!(noted(&bob).await, 1, "not each one");
    let answer = stranger(&bob, 82, knock(82)).await;
    assert!(matches!(answer, Some(PairFrame::Answer(_))), "{answer:?}");
    let bob = bob.restart_with(deny).await;
    assert_eq!(stranger(&bob, 82, PairFrame::Reveal([1; 16])).await, no);
    let bob = bob.restart().await;
    assert_eq!(noted(&bob).await, 2);
    assert_eq!(stranger(&bob, 82, knock(82)).await, None, "the pairing is gone, and its invite");
    assert!(bob.pending().await.is_empty());
}

#[tokio::test]
async fn an_agent_does_not_lift_a_block_by_asking_again() {
    let (bob, _mallory) = bob_and_mallory().await;
    let revoke = |block| AgentRequest::Revoke { peer: "mallory".into(), block };
    bob.agent(revoke(true)).await;
    let (net, _events, cancel) = net_of(66).await;
    let invite = Invite {
        inviter: net.id(),
        approver: [0; 16],
        addresses: vec![],
        secret: Secret::new([7; 16]),
        expires: later(1),
    };
    let connect = AgentRequest::Connect { invite: invite.encode(), name: None, note: None };
    let asks = tokio::time::timeout(Duration::from_millis(200), bob.agent(connect)).await;
    assert!(asks.is_err(), "it waits for the other side's node");
    assert_eq!(bob.state_of("mallory").await, "requested");
    bob.agent(revoke(false)).await;
    assert_eq!(bob.state_of("mallory").await, "blocked");
    cancel.cancel();
}
