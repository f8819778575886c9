//! Two owners, two nodes, the command line: pairing with both humans' consent, and messages that
//! are not lost, whoever is killed when.

use std::{thread, time::Duration};

use serde_json::Value;

use crate::support::{
    Home, SOON, alice, bob, knock, pair,
    pairing::{friends, id, ready_item, trusted},
    stays, until,
};

/// Long enough for a node on the same machine to do what it must not.
const A_MOMENT: Duration = Duration::from_secs(2);

#[test]
fn both_humans_see_the_same_words_and_say_yes_in_any_order() {
    let (alice, bob) = (alice(), bob());
    let (at_alice, at_bob) = knock(&alice, &bob);
    assert_eq!(at_alice["words"], at_bob["words"]);
    assert_eq!(at_alice["words"].as_array().unwrap().len(), 4, "{at_alice:#}");
    assert_eq!(at_alice["peer"]["claim"], "bob");
    assert_eq!(at_alice["peer"]["id"], bob.id());
    assert_eq!(at_bob["peer"]["id"], alice.id());
    for item in [&at_alice, &at_bob] {
        assert_eq!(item["reasons"][0]["rule"], "peer.new", "{item:#}");
        assert_eq!(item["digest"].as_str().unwrap().len(), 64, "{item:#}");
    }
    assert_eq!(alice.peer_state("bob"), "incoming");

    // The inviter's human first; the other way round is what `pair` does.
    let shown = alice.approve(id(&at_alice));
    for word in at_alice["words"].as_array().unwrap() {
        assert!(shown.stdout.contains(word.as_str().unwrap()), "the words are shown: {shown}");
    }
    stays("one yes is not enough", A_MOMENT, || {
        alice.peer_state("bob") != "trusted" && bob.peer_state("alice") != "trusted"
    });
    bob.run(&["send", "alice", "too early"]).expect(3).says(&["requested", "pending"]);
    bob.approve(id(&at_bob));
    trusted(&alice, &bob);
    assert!(alice.pending().is_empty() && bob.pending().is_empty());

    let sent = bob.json(&["send", "alice", "hello, Alice"]);
    let arrived = alice.received_text("hello, Alice");
    assert_eq!(arrived["id"], sent["id"]);
    assert_eq!((&arrived["from"], &arrived["to"]), (&"bob".into(), &"me".into()), "{arrived:#}");
    assert_eq!(arrived["untrusted"], true);
    bob.reaches(sent["id"].as_str().unwrap(), "accepted");
}

#[test]
fn words_that_were_compared_make_the_peer_verified() {
    let (alice, bob) = (alice(), bob());
    let (at_alice, at_bob) = knock(&alice, &bob);
    let mut terminal =
        crate::support::pty::Terminal::open(&alice, &["approve", id(&at_alice), "--verified"]);
    terminal.answer(alice.passphrase);
    terminal.finish().expect(0);
    bob.approve(id(&at_bob));
    trusted(&alice, &bob);
    assert_eq!(alice.peer("bob").unwrap()["verified"], true);
    assert_eq!(bob.peer("alice").unwrap()["verified"], false);
}

#[test]
fn a_request_is_answered_and_the_answer_is_in_its_thread() {
    let (alice, bob) = friends();
    let answer = thread::scope(|scope| {
        let asking = scope.spawn(|| bob.json(&["ask", "alice", "which port?", "--wait", "60"]));
        let request = alice.received_text("which port?");
        assert_eq!(request["kind"], "request", "{request:#}");
        let reply_to = request["id"].as_str().unwrap();
        alice.json(&["send", "bob", "7000", "--reply-to", reply_to]);
        let answer = asking.join().unwrap();
        assert_eq!(answer["reply"]["thread"], request["thread"], "{answer:#}");
        answer
    });
    assert_eq!(answer["reply"]["text"], "7000", "{answer:#}");
    assert_eq!(answer["reply"]["reply_to"], answer["id"]);
    bob.reaches(answer["id"].as_str().unwrap(), "replied");
}

#[test]
fn what_is_sent_while_the_receiver_is_dead_arrives_once_and_in_order() {
    let (alice, bob) = friends();
    bob.kill_node();
    let texts = ["one", "two", "three"];
    let ids: Vec<String> = texts.iter().map(|text| alice.send("bob", text)).collect();
    for id in &ids {
        assert_eq!(alice.json(&["message", id])["state"], "queued");
    }
    assert_eq!(alice.status()["queued"], 3);
    bob.start();
    bob.received_text("three");
    assert_eq!(bob.texts(), texts);
    for id in &ids {
        alice.reaches(id, "delivered");
    }
    until("nothing is queued", SOON, || alice.status()["queued"] == 0);
    let verified = alice.json(&["audit", "verify"]);
    assert_eq!(verified["ok"], true, "{verified:#}");

    // Once more, with the receiver killed after it had them.
    bob.kill_node();
    bob.start();
    alice.send("bob", "four");
    bob.received_text("four");
    assert_eq!(bob.texts(), ["one", "two", "three", "four"]);
}

#[test]
fn what_send_returned_for_outlives_the_sender() {
    let (alice, bob) = friends();
    for round in 0..3 {
        let text = format!("round {round}");
        let pid = alice.pid().unwrap();
        let id = alice.send("bob", &text);
        alice.kill(pid);
        alice.start();
        bob.received_text(&text);
        alice.reaches(&id, "delivered");
    }
    assert_eq!(bob.texts(), ["round 0", "round 1", "round 2"]);
}

#[test]
fn trust_outlives_a_restart_of_both_nodes() {
    let (alice, bob) = friends();
    let before = alice.peer("bob").unwrap();
    alice.stop();
    bob.stop();
    alice.start();
    bob.start();
    let after = alice.peer("bob").unwrap();
    assert_eq!(before["id"], after["id"]);
    assert_eq!(after["state"], "trusted", "{}", alice.warnings());
    alice.send("bob", "still here?");
    bob.received_text("still here?");
    let reached = || bob.peer("alice").is_some_and(|peer| peer["path"] == "direct");
    until("bob sees alice connected", SOON, reached);
}

#[test]
fn a_crash_between_the_two_consents_loses_neither() {
    let (alice, bob) = (alice(), bob());
    let (at_alice, at_bob) = knock(&alice, &bob);
    bob.approve(id(&at_bob));
    bob.kill_node();
    alice.kill_node();
    alice.start();
    bob.start();
    let waits = alice.only_pending();
    assert_eq!(waits["words"], at_alice["words"], "the same pairing goes on");
    alice.approve(id(&waits));
    trusted(&alice, &bob);
}

#[test]
fn a_denied_peer_is_not_trusted_and_can_be_blocked() {
    let (alice, bob) = (alice(), bob());
    let (at_alice, at_bob) = knock(&alice, &bob);
    bob.approve(id(&at_bob));
    let denied = alice.json(&["deny", id(&at_alice)]);
    assert_eq!((&denied["id"], &denied["decision"]), (&at_alice["id"], &"denied".into()));
    assert!(alice.pending().is_empty());
    stays("a denied peer is not trusted", A_MOMENT, || {
        alice.peer_state("bob") != "trusted" && bob.peer_state("alice") != "trusted"
    });

    // A new invite, a new request, and this time for good.
    let invite = alice.json(&["invite"])["invite"].as_str().unwrap().to_owned();
    bob.run(&["connect", &invite, "--name", "alice", "--json"]);
    let item = ready_item(&alice, "peer_in");
    alice.json(&["deny", id(&item), "--block"]);
    assert_eq!(alice.peer_state("bob"), "blocked");
    let invite = alice.json(&["invite"])["invite"].as_str().unwrap().to_owned();
    bob.run(&["connect", &invite, "--name", "alice", "--json"]);
    stays("a blocked peer is not heard", A_MOMENT, || alice.pending().is_empty());
}

#[test]
fn revoking_closes_at_once_and_purges_what_waited() {
    let (alice, bob) = friends();
    bob.stop();
    let waiting = [alice.send("bob", "never mind"), alice.send("bob", "nor this")];
    let revoked = alice.json(&["revoke", "bob"]);
    assert_eq!(revoked["state"], "revoked");
    assert_eq!(revoked["purged"], 2, "{revoked:#}");
    assert_eq!(alice.peer_state("bob"), "revoked");
    for id in &waiting {
        let state = alice.json(&["message", id])["state"].clone();
        assert!(state != "queued" && state != "delivered", "{id} is {state}");
    }
    alice.run(&["send", "bob", "hello?"]).expect(1).says(&["bob", "revoked", "connect"]);
    bob.start();
    let refused = bob.run(&["send", "alice", "are we still friends?", "--json"]);
    stays("nothing crosses after revoking", A_MOMENT, || {
        alice.received().is_empty() && bob.received().is_empty()
    });
    if let (Some(0), Some(id)) = (refused.code, refused.json()["id"].as_str()) {
        assert!(!bob.history(id).iter().any(|state| state == "delivered"));
    }

    // Trust comes back as it came: with two new consents.
    pair(&alice, &bob);
    alice.send("bob", "friends again");
    bob.received_text("friends again");
}

#[test]
fn a_blocked_peer_is_gone_while_others_stay() {
    let (alice, bob) = friends();
    let mallory = crate::support::mallory();
    pair(&alice, &mallory);
    let blocked = alice.json(&["revoke", "mallory", "--block"]);
    assert_eq!(blocked["state"], "blocked");
    mallory.run(&["send", "alice", "let me in", "--json"]);
    bob.send("alice", "it is me");
    alice.received_text("it is me");
    stays("only bob is heard", A_MOMENT, || alice.texts() == ["it is me"]);
}

#[test]
fn the_inbox_is_read_in_pages_and_by_what_is_asked_for() {
    let (alice, bob) = friends();
    for n in 0..5 {
        alice.send("bob", &format!("note {n}"));
    }
    bob.received_text("note 4");
    let (mut texts, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..4 {
        let page = page(&bob, cursor.as_deref());
        for message in page["messages"].as_array().unwrap() {
            texts.push(message["text"].as_str().unwrap().to_owned());
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    texts.sort();
    assert_eq!(texts, ["note 0", "note 1", "note 2", "note 3", "note 4"]);
    let found = bob.json(&["inbox", "--query", "note 3"]);
    assert_eq!(found["messages"].as_array().unwrap().len(), 1, "{found:#}");
    let found = bob.json(&["inbox", "--from", "alice"]);
    assert_eq!(found["messages"].as_array().unwrap().len(), 5);
    assert_eq!(found["unread"], 5, "a person's look does not count as the agent's");
}

fn page(home: &Home, cursor: Option<&str>) -> Value {
    let mut arguments = vec!["inbox", "--limit", "2"];
    if let Some(cursor) = cursor {
        arguments.extend(["--cursor", cursor]);
    }
    home.json(&arguments)
}
